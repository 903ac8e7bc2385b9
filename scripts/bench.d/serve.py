"""scripts/bench serve: `fxmount serve` and nginx with the same 50 MiB file in one run, as ratios; requests a second; a long list.

Everything listens on loopback, all files lie on one file system. Rounds are interleaved, and the median counts.
`--write` puts the table into docs/BENCHMARKS.md.
"""

import argparse
import datetime
import http.client
import json
import os
import pathlib
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
ORIGIN = "https://app.example.org"
BASE = "/v3/modules/fileexchange/apps/file/"
SIZE = 50 << 20


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until_listening(port, what):
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"bench: {what} does not listen")


def curl(*arguments):
    """Seconds that curl took, by its own clock."""
    ended = subprocess.run(
        ["curl", "-sS", "-f", "-o", "/dev/null", "-w", "%{time_total}", *arguments], capture_output=True, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"bench: curl {arguments}: {ended.stderr} {ended.stdout}")
    return float(ended.stdout)


class Nginx:
    def __init__(self, base):
        self.port = free_port()
        self.files = base / "nginx"
        self.files.mkdir()
        (base / "nginx-temp").mkdir()
        os.chmod(base, 0o755)
        config = base / "nginx.conf"
        config.write_text(f"""
            daemon off; worker_processes 2; pid {base}/nginx.pid; error_log {base}/nginx.log; user root;
            events {{ worker_connections 256; }}
            http {{
                access_log off; sendfile on; tcp_nopush on; client_max_body_size 100m;
                client_body_temp_path {base}/nginx-temp; default_type application/octet-stream;
                server {{ listen 127.0.0.1:{self.port}; root {self.files}; location / {{ dav_methods PUT; }} }}
            }}""")
        self.process = subprocess.Popen(["nginx", "-p", str(base), "-c", str(config)])
        until_listening(self.port, "nginx")

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/{name}"


class Server:
    def __init__(self, base, program):
        self.port = free_port()
        self.files = base / "fxmount"
        self.files.mkdir()
        state = base / "state"
        state.mkdir(mode=0o700)
        self.environment = os.environ | {"FXMOUNT_STATE_DIR": str(state), "FXMOUNT_CONFIG": str(base / "config.toml")}
        (base / "config.toml").write_text("[serve]\nrequests_per_second = 1000000\n")
        self.program = program
        self.run("consent", "grant", ORIGIN)
        self.run("type", "create", "e", "t", "--path", str(self.files), "--no-prompt", "--app", "app.example.org")
        self.process = subprocess.Popen(
            [program, "serve", "--listen", f"127.0.0.1:{self.port}", "--quiet"], env=self.environment,
            stdout=subprocess.DEVNULL)
        until_listening(self.port, "fxmount serve")

    def run(self, *arguments):
        subprocess.run([self.program, *arguments], env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def url(self, operation):
        return f"http://127.0.0.1:{self.port}{BASE}{operation}"

    def upload(self, name):
        body = json.dumps({"entity": "e", "type": "t", "fileName": name})
        return curl("-H", f"Origin: {ORIGIN}", "-H", "Content-Type: application/json", "-d", body, self.url("upload"))

    def download(self, path, name):
        return curl(
            "-H", f"Origin: {ORIGIN}", "-H", "X-CSRF-Token: t", "-H", "Expect:", "-F", "entity=e", "-F", "type=t",
            "-F", f"file=@{path}", "-F", f"fileName={name}", self.url("download"))

    def session(self):
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def memory(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024


def ask(connection, operation, body):
    connection.request("POST", BASE + operation, json.dumps(body), {"Origin": ORIGIN, "Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise SystemExit(f"bench: {operation}: {answer.status} {data[:200]}")
    return data


def measure(options, base):
    source = base / "source"
    with open(source, "wb") as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
    nginx, server = Nginx(base), Server(base, options.fxmount)
    try:
        shutil.copy(source, nginx.files / "file")
        shutil.copy(source, server.files / "file")
        took = {}
        for number in range(options.rounds):
            for key, action in {
                ("up", "nginx"): lambda: curl(nginx.url("file")),
                ("up", "fxmount"): lambda: server.upload("file"),
                ("down", "nginx"): lambda: curl("-H", "Expect:", "-T", str(source), nginx.url(f"new-{number}")),
                ("down", "fxmount"): lambda: server.download(source, f"new-{number}"),
            }.items():
                took.setdefault(key, []).append(action())
            for place in (nginx.files, server.files):
                (place / f"new-{number}").unlink()
        median = {key: statistics.median(values) for key, values in took.items()}
        connection = server.session()
        body = {"entity": "e", "type": "t", "fileName": "file"}
        for _ in range(200):
            ask(connection, "get-file-info", body)
        begin = time.monotonic()
        for _ in range(options.requests):
            ask(connection, "get-file-info", body)
        rate = options.requests / (time.monotonic() - begin)
        (server.files / "many").mkdir()
        for number in range(10_000):
            (server.files / "many" / f"file-{number:05}.txt").touch()
        lists = []
        for _ in range(options.rounds):
            begin = time.monotonic()
            answer = ask(connection, "list-type-content", {"entity": "e", "type": "t", "relPath": ["many"]})
            lists.append(time.monotonic() - begin)
        if json.loads(answer)["data"]["total"] != 10_000:
            raise SystemExit("bench: the list is not whole")
        return median, rate, statistics.median(lists) * 1000, server.memory()
    finally:
        for process in (nginx.process, server.process):
            process.terminate()
            process.wait()


def table(options, base, result):
    median, rate, milliseconds, memory = result
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    kind = subprocess.run(["stat", "-f", "-c", "%T", str(base)], capture_output=True, text=True).stdout.strip()
    mib = SIZE >> 20

    def row(what, key):
        own, other = median[key, "fxmount"], median[key, "nginx"]
        return f"| {what} | {mib / own:.0f} MiB/s | {mib / other:.0f} MiB/s | {other / own:.2f} | >= 0.5 |"

    return "\n".join([
        f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, commit {commit}, Linux {platform.release()}, {os.cpu_count()} cores,"
        f" files on {kind}, `scripts/bench {' '.join(['serve'] + sys.argv[1:])}`, median of {options.rounds}.".replace(f" --fxmount {options.fxmount}", ""),
        "", "| measure | fxmount | nginx | ratio | bar |", "|---|---|---|---|---|",
        row("`upload` of 50 MiB / nginx serving it", "up"), row("`download` of 50 MiB / nginx receiving it (PUT)", "down"),
        f"| `get-file-info` on one connection | {rate:.0f} /s | | | >= 1000 /s |",
        f"| `list-type-content` of 10,000 files | {milliseconds:.0f} ms | | | < 150 ms |",
        f"| resident memory, at most | {memory} MiB | | | |", ""])


def write(page):
    path = ROOT / "docs/BENCHMARKS.md"
    begin, end = "<!-- bench:serve:begin -->", "<!-- bench:serve:end -->"
    head, rest = path.read_text().split(begin)
    path.write_text(head + begin + "\n" + page + end + rest.split(end)[1])


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench serve")
    parser.add_argument("--fxmount", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the table into docs/BENCHMARKS.md")
    options = parser.parse_args()
    options.rounds, options.requests = (3, 500) if options.quick else (9, 5000)
    memory = pathlib.Path("/dev/shm")
    base = pathlib.Path(tempfile.mkdtemp(prefix="fxmount-bench.", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        page = table(options, base, measure(options, base))
        print(page)
        if options.write:
            write(page)
    finally:
        shutil.rmtree(base)


main()
