#!/usr/bin/env bash
# Backs a directory up into a session and completes it: backup-example.sh SOURCE MOUNT [REMOTE]
# The session's name is the day and the time. Exit codes: 0 everything is stored and verified complete, else that of the step that failed.
set -euo pipefail

source=${1:?usage: backup-example.sh SOURCE MOUNT [REMOTE]}
mount=${2:?usage: backup-example.sh SOURCE MOUNT [REMOTE]}
remote=${3:-local}
session=$mount/sessions/$remote/$(date +%Y-%m-%dT%H-%M-%S)

mkdir "$session"
# A session holds files and directories; symbolic links and special files are left out, and rsync names them.
# rsync writes to a temporary name and renames: one upload a file. A second run sends only what is missing.
rsync -a --no-owner --no-group --no-links --no-specials --no-devices "$source"/ "$session"/
# Waits for every file; fails with a list if one failed. From here on the session is read-only.
fxmount session complete "$session"
