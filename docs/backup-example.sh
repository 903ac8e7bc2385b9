#!/usr/bin/env bash
# Backs a directory up into a new session of a remote and completes it.
# backup-example.sh DIRECTORY PLACE [SESSION]
# PLACE is where sessions are made: MOUNT/sessions/REMOTE, or MOUNT/sessions/clinic/PROJECT/PARTICIPANT of an OpenTera.
# The session is named after the day and the time unless you name it. It holds the directory twice: as one archive, which keeps everything
# a file system can hold, and as plain files, which can be looked at one by one.
# Exit 0: everything is at the service, and the session is complete. Else the code of the step that failed, with its reason.
set -euo pipefail

usage="usage: backup-example.sh DIRECTORY PLACE [SESSION]"
directory=$(realpath -e "${1:?$usage}")
place=${2:?$usage}
name=$(basename "$directory")
session=$place/${3:-$(date +%Y-%m-%dT%H-%M-%S)}

mkdir "$session"
# A close that returns 0 means: the service has the file, whole. So tar and cp fail if it has not.
tar -C "$(dirname "$directory")" -cf "$session/$name.tar" "$name"
# A session has no symbolic links: -L copies what they point to. Where it has no directories either, the archive has them.
if mkdir "$session/$name" 2>/dev/null; then
    cp -rL "$directory"/. "$session/$name"/
else
    find "$directory" -maxdepth 1 -type f -exec cp -t "$session" -- {} +
fi
# Waits for every file and makes the session read-only; fails with a list if one is missing.
fxmount session complete "$session"
