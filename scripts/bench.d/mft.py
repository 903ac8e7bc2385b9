"""scripts/bench mft: a group transfer against curl with four connections, and a backup through a line that breaks.

Everything listens on loopback. `--write` puts the table into docs/BENCHMARKS.md.
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHUNK = 10 << 20


class Bench:
    def __init__(self, options):
        self.options = options
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="fxmount-bench."))
        self.processes, self.mounts = [], []
        self.curl, self.own = [], []
        self.groups, self.sessions = [], []
        self.most = 0

    def service(self, *arguments):
        """Starts one of the test services; answers the line of JSON it prints. It ends with our end of its input."""
        process = subprocess.Popen([self.options.services, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.processes.append(process)
        return json.loads(process.stdout.readline())

    def leave(self):
        for at in self.mounts:
            subprocess.run(["fusermount3", "-uz", at], stderr=subprocess.DEVNULL)
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        if self.options.keep:
            print(f"bench: everything is in {self.base}", file=sys.stderr)
        else:
            shutil.rmtree(self.base, ignore_errors=True)

    def ask(self, method, path, fields=None, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, headers=fields or {},
                                         data=body)
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")

    def mount(self):
        (self.base / "password").write_text("user1-secret")
        (self.base / "password").chmod(0o600)
        remote = ('[remotes.{0}]\nkind = "mft"\nurl = "http://127.0.0.1:{1}/vault_rest"\nusername = "user1"\n'
                  'password_file = "{2}/password"\ncommit = "journal"\n')
        (self.base / "config.toml").write_text(
            remote.format("vault", self.port, self.base) + remote.format("broken", self.proxy["port"], self.base))
        self.at = self.base / "mnt"
        self.at.mkdir()
        self.mounts.append(self.at)
        log = open(self.base / "fxmount.log", "wb")
        self.daemon = subprocess.Popen(
            [self.options.fxmount, "mount", self.at, "--config", self.base / "config.toml", "--state-dir",
             self.base / "state"], stdout=log, stderr=log)
        self.processes.append(self.daemon)
        deadline = time.monotonic() + 30
        while not (self.at / "sessions").exists():
            if time.monotonic() > deadline:
                sys.exit(f"bench: the mount did not come up; see {self.base}")
            time.sleep(0.05)

    def resident(self):
        with open(f"/proc/{self.daemon.pid}/status") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))

    # 512 MiB, from seal to the last acknowledged chunk

    def by_curl(self, token, chunks):
        """One curl, four connections, the chunks and digests that fxmount sends."""
        bearer = {"Authorization": f"Bearer {token}"}
        group = self.ask("GET", "/vault_rest/transfer", {**bearer, "group_id": str(uuid.uuid4())})["group_id"]
        size = sum(length for _, _, length, _ in chunks)
        file = self.ask("GET", "/vault_rest/transfer_file", {
            **bearer, "group_id": group, "transfer_method": "Chunk", "file_size": str(size), "file_name": "big"})["file_id"]
        blocks = []
        for path, offset, _, digest in chunks:
            fields = {**bearer, "group_id": group, "file_id": file, "chunk_offset": offset, "chunk_checksum": digest}
            lines = [f'url = "http://127.0.0.1:{self.port}/vault_rest/transfer_file"', 'request = "PATCH"',
                     f'upload-file = "{path}"', 'header = "Expect:"', 'output = "/dev/null"', "fail"]
            lines += [f'header = "{name}: {value}"' for name, value in fields.items()]
            blocks.append("\n".join(lines))
        (self.base / "curl.conf").write_text("\nnext\n".join(blocks) + "\n")
        begin = time.monotonic()
        done = subprocess.run(["curl", "-sS", "--parallel", "--parallel-immediate", "--parallel-max", "4", "-K",
                               self.base / "curl.conf"], stderr=subprocess.PIPE, text=True)
        self.curl.append(time.monotonic() - begin)
        # With several at once it shows its progress whatever it is told.
        if done.returncode != 0:
            sys.exit(f"bench: curl failed: {done.stderr}")
        self.ask("POST", "/vault_rest/transfer_file", {**bearer, "group_id": group, "file_id": file})
        # It stays to the end: what is removed leaves its pages to whoever writes next.
        self.groups.append((bearer, group))

    def warm(self):
        """Pages a virtual machine has never used cost three times as much: both find as many that were just given back."""
        path, piece = self.base / "warm", bytes(1 << 20)
        with open(path, "wb") as out:
            for _ in range(3 * self.options.mebibytes):
                out.write(piece)
        path.unlink()

    def by_fxmount(self, number, big):
        session = self.at / "sessions" / "vault" / f"round-{number}"
        session.mkdir()
        target = session / "big"
        # close(2) returns when the file is sealed.
        shutil.copyfile(big, target)
        begin = time.monotonic()
        while os.getxattr(target, "user.fxmount.state") != b"committed":
            if time.monotonic() - begin > 120:
                sys.exit(f"bench: not committed: {os.getxattr(target, 'user.fxmount.state')}")
            time.sleep(0.002)
        self.own.append(time.monotonic() - begin)
        self.most = max(self.most, self.resident())
        self.sessions.append(session)

    def large(self):
        big = self.base / "big"
        with open(big, "wb") as out:
            for _ in range(self.options.mebibytes):
                out.write(os.urandom(1 << 20))
        chunks = []
        with open(big, "rb") as source:
            while piece := source.read(CHUNK):
                path = self.base / f"chunk-{len(chunks)}"
                path.write_bytes(piece)
                chunks.append((path, len(chunks) * CHUNK, len(piece), hashlib.md5(piece).hexdigest()))
        token = self.ask("POST", "/_control/key", body=b'{"username":"user1"}')
        for number in range(self.options.rounds):
            self.warm()
            self.by_curl(token, chunks)
            self.warm()
            self.by_fxmount(number, big)
        for bearer, group in self.groups:
            self.ask("DELETE", "/vault_rest/transfer", {**bearer, "group_id": group})
        for session in self.sessions:
            subprocess.run([self.options.fxmount, "session", "abort", session], check=True, stdout=subprocess.DEVNULL)

    # A backup of many files through a proxy that cuts every 200th request

    def backup(self):
        files, size = self.options.files, self.options.backup_mebibytes << 20
        rules = [{"number": number, "cut_request_after" if number % 400 else "cut_response_after": 300 if number % 400 else 0,
                  "reset": True} for number in range(200, 40 * files, 200)]
        control = urllib.request.Request(f"http://127.0.0.1:{self.proxy['control']}/rules", method="POST",
                                         data=json.dumps(rules).encode())
        urllib.request.urlopen(control).read()
        session = self.at / "sessions" / "broken" / "backup"
        session.mkdir()
        done = threading.Event()

        def watch():
            while not done.wait(0.1):
                self.most = max(self.most, self.resident())
        watcher = threading.Thread(target=watch)
        watcher.start()
        begin, digests = time.monotonic(), {}
        each = size // 2 // files
        for number in range(files):
            # Half of it in small files, half in ten large ones.
            length = size // 20 if number % (files // 10) == 0 else each
            digest = hashlib.sha256()
            with open(session / f"file-{number}", "wb") as out:
                while length > 0:
                    piece = os.urandom(min(length, 1 << 20))
                    digest.update(piece)
                    out.write(piece)
                    length -= len(piece)
            digests[f"file-{number}"] = digest.hexdigest()
        subprocess.run([self.options.fxmount, "session", "complete", session], check=True, stdout=subprocess.DEVNULL)
        took = time.monotonic() - begin
        done.set()
        watcher.join()
        held = self.ask("GET", "/_control/files")
        found = {file["name"]: file.get("sha256") for file in held}
        if len(held) != files or found != digests:
            sys.exit(f"bench: the backup is not what was sent: {len(held)} of {files} files")
        log = urllib.request.urlopen(f"http://127.0.0.1:{self.proxy['control']}/counters").read()
        return took, json.loads(log)["requests"]

    def run(self):
        self.port = self.service("mft")["port"]
        self.proxy = self.service("proxy", "--upstream", str(self.port))
        self.mount()
        self.large()
        took, requests = self.backup()
        options = self.options
        curl, own = statistics.median(self.curl), statistics.median(self.own)
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        rounds = lambda values: " ".join(f"{value:.2f}" for value in values)
        return "\n".join([
            f"{datetime.date.today()}, commit {commit.stdout.strip()}, Linux {os.uname().release}, {os.cpu_count()} cores, "
            f"`scripts/bench mft`, median of {options.rounds} interleaved rounds.", "",
            "| measure | figure | bar |", "|---|---|---|",
            f"| {options.mebibytes} MiB by one `curl`, four connections, s | {curl:.2f} ({rounds(self.curl)}) | |",
            f"| the same by fxmount, from seal to commit, s | {own:.2f} ({rounds(self.own)}) | |",
            f"| fxmount / curl | {own / curl:.2f} | ≤ 1.2 |",
            f"| {options.backup_mebibytes} MiB in {options.files} files, every 200th of {requests} requests cut, complete and "
            f"verified, s | {took:.0f} | |",
            f"| most resident memory in all of this | {self.most} MiB | ≤ 160 |", ""])


def write(page):
    path = ROOT / "docs" / "BENCHMARKS.md"
    begin, end = "<!-- bench:mft:begin -->", "<!-- bench:mft:end -->"
    head, rest = path.read_text().split(begin)
    path.write_text(head + begin + "\n" + page + end + rest.split(end)[1])


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench mft")
    parser.add_argument("--fxmount", required=True, help="the program to measure")
    parser.add_argument("--services", required=True, help="test-services")
    parser.add_argument("--quick", action="store_true", help="one short round, for looking")
    parser.add_argument("--write", action="store_true", help="put the table into docs/BENCHMARKS.md")
    parser.add_argument("--keep", action="store_true", help="leave logs and data behind")
    options = parser.parse_args()
    options.rounds, options.mebibytes = (1, 64) if options.quick else (5, 512)
    options.files, options.backup_mebibytes = (200, 128) if options.quick else (5000, 2048)
    bench = Bench(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        page = bench.run()
        print(page, end="")
        if options.write:
            write(page)
    finally:
        bench.leave()


main()
