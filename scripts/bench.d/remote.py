"""scripts/bench remote: SeaweedFS, curl, rclone and fxmount on the same bytes in one run, as ratios.

Everything listens on loopback. Rounds are interleaved (curl, rclone, fxmount, curl, ...), and the median counts: a noisy
minute hurts everybody alike. `--write` puts the tables into docs/BENCHMARKS.md.
"""

import argparse
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
GIGABIT = 125_000_000  # bytes a second
IDLE_BAR, MOST_BAR = 64, 160  # MiB resident that docs/BENCHMARKS.md promises: idle, and at most under load
KEY, SECRET, REGION, BUCKET = "benchkey", "benchsecret", "us-east-1", "bench"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def presigned(method, port, path):
    """A query-signed URL (SigV4), so that curl sends the bytes and nothing else."""
    now = datetime.datetime.now(datetime.timezone.utc)
    day, moment = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{day}/{REGION}/s3/aws4_request"
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": f"{KEY}/{scope}", "X-Amz-Date": moment,
        "X-Amz-Expires": "3600", "X-Amz-SignedHeaders": "host",
    }
    quote = lambda text: urllib.parse.quote(text, safe="-_.~")
    text = "&".join(f"{quote(name)}={quote(value)}" for name, value in sorted(query.items()))
    host = f"127.0.0.1:{port}"
    canonical = f"{method}\n{path}\n{text}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = ("AWS4" + SECRET).encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}".encode(), hashlib.sha256).hexdigest()
    return f"http://{host}{path}?{text}&X-Amz-Signature={signature}"


class Bench:
    def __init__(self, options):
        self.options = options
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="fxmount-bench."))
        self.processes, self.mounts, self.results = [], [], {}
        self.tools = ROOT / ".venv" / "bin"

    # Processes and mounts: everything started here is ended here, by pid.

    def start(self, name, command, **more):
        log = open(self.base / f"{name}.log", "wb")
        process = subprocess.Popen(command, stdout=more.pop("stdout", log), stderr=log, **more)
        self.processes.append(process)
        return process

    def until(self, condition, what, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                sys.exit(f"bench: {what} did not come up; see {self.base}")
            time.sleep(0.05)

    def is_mounted(self, at):
        with open("/proc/self/mountinfo") as table:
            return any(line.split()[4] == str(at) for line in table)

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
        if not self.options.keep:
            shutil.rmtree(self.base, ignore_errors=True)

    def start_seaweed(self):
        names = ["master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "s3", "s3_grpc"]
        port = dict(zip(names, free_ports(len(names))))
        identity = {"name": "bench", "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
                    "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        (self.base / "identities.json").write_text(json.dumps({"identities": [identity]}))
        (self.base / "data").mkdir()
        self.start("seaweedfs", [
            self.tools / "weed", "server", f"-dir={self.base}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
            f"-master.port={port['master']}", f"-master.port.grpc={port['master_grpc']}",
            f"-volume.port={port['volume']}", f"-volume.port.grpc={port['volume_grpc']}", "-volume.max=40",
            "-master.volumeSizeLimitMB=1024", "-filer", f"-filer.port={port['filer']}",
            f"-filer.port.grpc={port['filer_grpc']}", "-s3", f"-s3.port={port['s3']}",
            f"-s3.port.grpc={port['s3_grpc']}", "-s3.port.iceberg=0", "-s3.port.lance=0",
            f"-s3.config={self.base}/identities.json"])
        self.s3 = port["s3"]

        def has_bucket():
            try:
                request = urllib.request.Request(presigned("PUT", self.s3, f"/{BUCKET}"), method="PUT")
                return urllib.request.urlopen(request, timeout=5).status == 200
            except OSError:
                return False
        self.until(has_bucket, "SeaweedFS", 60)

    def start_proxy(self, delay, rate=0):
        """The fault proxy of the tests, set to add half of the round trip in each direction; answers its port."""
        process = self.start(f"proxy-{delay}-{rate}", [
            self.options.services, "proxy", "--upstream", str(self.s3), "--round-trip", str(delay), "--rate", str(rate)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return json.loads(process.stdout.readline())["port"]

    def start_fxmount(self):
        secret = self.base / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        text = ""
        for name, port, commit in (("s3", self.s3, "remote"), ("s3journal", self.s3, "journal"),
                                   ("near", self.near, "remote"), ("slow", self.slow, "remote"),
                                   ("line", self.line, "remote"), ("long", self.long, "remote"),
                                   ("slowjournal", self.slow, "journal")):
            text += (f'[remotes.{name}]\nkind = "s3"\nendpoint = "http://127.0.0.1:{port}"\nregion = "{REGION}"\n'
                     f'bucket = "{BUCKET}"\nprefix = "{name}"\naccess_key_id = "{KEY}"\npath_style = true\n'
                     f'secret_access_key_file = "{secret}"\ncommit = "{commit}"\n\n')
        (self.base / "config.toml").write_text(text)
        (self.base / "state").mkdir(mode=0o700)
        self.at = self.base / "fxmount"
        self.at.mkdir()
        self.environment = {**os.environ, "FXMOUNT_STATE_DIR": str(self.base / "state"),
                            "FXMOUNT_CONFIG": str(self.base / "config.toml")}
        names = self.base / "names"
        names.mkdir()
        for number in range(self.options.entries):
            (names / f"file-{number}").write_bytes(b"x")
        subprocess.run([self.options.fxmount, "type", "create", "bench", "names", "--path", names, "--no-prompt"],
                       check=True, env=self.environment, stdout=subprocess.DEVNULL)
        self.daemon = self.start("fxmount", [self.options.fxmount, "mount", self.at], env=self.environment)
        self.mounts.append(self.at)
        self.until(lambda: self.is_mounted(self.at), "fxmount")
        for name in ("s3", "s3journal", "near", "slow", "line", "long", "slowjournal"):
            (self.at / "sessions" / name / "bench").mkdir()

    def rclone(self, *arguments, port=None):
        remote = {
            "RCLONE_CONFIG_S_TYPE": "s3", "RCLONE_CONFIG_S_PROVIDER": "Other", "RCLONE_CONFIG_S_REGION": REGION,
            "RCLONE_CONFIG_S_ACCESS_KEY_ID": KEY, "RCLONE_CONFIG_S_SECRET_ACCESS_KEY": SECRET,
            "RCLONE_CONFIG_S_ENDPOINT": f"http://127.0.0.1:{port or self.s3}", "RCLONE_CONFIG": "/dev/null"}
        return [self.tools / "rclone", *arguments], {**os.environ, **remote}

    def start_rclone_mount(self):
        self.rclone_at = self.base / "rclone"
        self.rclone_at.mkdir()
        command, environment = self.rclone(
            "mount", f"S:{BUCKET}", self.rclone_at, "--vfs-cache-mode", "off", "--dir-cache-time", "1s")
        self.start("rclone-mount", command, env=environment)
        self.mounts.append(self.rclone_at)
        self.until(lambda: self.is_mounted(self.rclone_at), "rclone mount")

    # Measuring

    def record(self, measure, who, value):
        self.results.setdefault(measure, {}).setdefault(who, []).append(value)

    def level(self):
        """Everybody finds a disk that owes nothing, and memory in the same state: pages a virtual machine has never used
        cost three times as much, and who keeps a second copy of the file would pay for them."""
        subprocess.run(["sync"])
        path, piece = self.base / "level", bytes(1 << 20)
        with open(path, "wb") as out:
            for _ in range(3 * self.options.mebibytes):
                out.write(piece)
        path.unlink()

    def timed(self, measure, who, command, env=None):
        self.level()
        begin = time.monotonic()
        subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
        took = time.monotonic() - begin
        self.record(measure, who, took)
        return took

    def drop_caches(self):
        subprocess.run(["sync"])
        try:
            pathlib.Path("/proc/sys/vm/drop_caches").write_text("1")
        except OSError:
            pass

    def resident(self):
        with open(f"/proc/{self.daemon.pid}/status") as status:
            return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))

    def large(self, number, measure, port, remote, session, big, peers=("rclone copyto",)):
        up, down = f"{measure} up", f"{measure} down"
        self.timed(up, "curl", ["curl", "-sSf", "-T", big, presigned("PUT", port, f"/{BUCKET}/curl-{session}-{number}")])
        if "rclone copyto" in peers:
            command, environment = self.rclone("copyto", big, f"S:{BUCKET}/rclone-{session}-{number}", port=port)
            self.timed(up, "rclone copyto", command, environment)
        if "rclone mount" in peers:
            self.timed(up, "rclone mount", ["cp", big, self.rclone_at / f"mount-{number}"])
        self.timed(up, "fxmount", ["cp", big, self.at / "sessions" / remote / "bench" / f"{big.name}-{number}"])
        if not self.options.down:
            return
        # Down: an object nobody here has seen, put where fxmount lists it.
        source = f"{remote}/bench/cold-{big.name}-{number}"
        subprocess.run(["curl", "-sSf", "-T", big, presigned("PUT", self.s3, f"/{BUCKET}/{source}")], check=True)
        out = self.base / "out"
        self.drop_caches()
        self.timed(down, "curl", ["curl", "-sSf", "-o", out, presigned("GET", port, f"/{BUCKET}/{source}")])
        if "rclone copyto" in peers:
            command, environment = self.rclone("copyto", f"S:{BUCKET}/{source}", out, port=port)
            self.timed(down, "rclone copyto", command, environment)
        if "rclone mount" in peers:
            self.timed(down, "rclone mount", ["cp", self.rclone_at / source, out])
        listed = self.at / "sessions" / remote / "bench" / f"cold-{big.name}-{number}"
        self.until(listed.exists, str(listed))
        self.timed(down, "fxmount", ["cp", listed, out])
        subprocess.run(["cmp", out, big], check=True)
        out.unlink()

    def listing(self):
        """`ls -l` of as many names in a type and in a session, both warm."""
        measure = f"ls -l of {self.options.entries:,} files"
        command, environment = self.rclone("copy", "--transfers", "32", self.base / "names", f"S:{BUCKET}/s3/long")
        subprocess.run(command, check=True, env=environment)
        session = self.at / "sessions" / "s3" / "long"
        self.until(session.exists, str(session), 60)
        of_type = self.at / "types" / "bench" / "names"
        for _ in range(2):
            count = len(subprocess.run(["ls", "-l", session], check=True, capture_output=True).stdout.splitlines())
        if count != self.options.entries + 1:
            sys.exit(f"bench: the session shows {count} lines")
        subprocess.run(["ls", "-l", of_type], check=True, stdout=subprocess.DEVNULL)
        for _ in range(self.options.rounds):
            self.timed(measure, "fxmount, type", ["ls", "-l", of_type])
            self.timed(measure, "fxmount, session", ["ls", "-l", session])

    def small(self, number):
        tree, measure = self.base / "small", "1,000 x 16 KiB"
        command, environment = self.rclone("copy", "--transfers", "8", tree, f"S:{BUCKET}/rclone-small-{number}")
        self.timed(measure, "rclone copy", command, environment)
        if number == 0:
            self.timed(measure, "rclone mount", ["cp", "-r", tree, self.rclone_at / f"mount-small-{number}"])
        for remote, who in (("s3journal", "fxmount journal"), ("s3", "fxmount remote")):
            target = self.at / "sessions" / remote / "bench" / f"small-{number}"
            self.level()
            begin = time.monotonic()
            subprocess.run(["cp", "-r", tree, target], check=True)
            subprocess.run([self.options.fxmount, "wait", target], check=True, env=self.environment,
                           stdout=subprocess.DEVNULL)
            self.record(measure, who, time.monotonic() - begin)

    def in_flight(self):
        """The most files under way at once, seen in .fxmount while 1,000 small ones go through the delay."""
        most, done = 0, threading.Event()

        def watch():
            nonlocal most
            while not done.is_set():
                lines = (self.at / ".fxmount" / "transfers.jsonl").read_text().splitlines()
                most = max(most, sum('"state":"uploading"' in line for line in lines))
        watcher = threading.Thread(target=watch)
        watcher.start()
        target = self.at / "sessions" / "slowjournal" / "bench" / "small"
        begin = time.monotonic()
        subprocess.run(["cp", "-r", self.base / "small", target], check=True)
        subprocess.run([self.options.fxmount, "wait", target], check=True, env=self.environment,
                       stdout=subprocess.DEVNULL)
        self.record("1,000 x 16 KiB, delayed", "fxmount journal", time.monotonic() - begin)
        done.set()
        watcher.join()
        return most

    def memory(self):
        """The most memory while 4 GiB go up, 10,000 small files are queued behind a slow line and 32 readers read."""
        self.idle = self.resident()
        sessions, most, done = self.at / "sessions", 0, threading.Event()
        subprocess.run(["cp", self.base / "big", sessions / "s3" / "bench" / "read"], check=True)

        def watch():
            nonlocal most
            while not done.is_set():
                most = max(most, self.resident())
                time.sleep(0.05)
        watcher = threading.Thread(target=watch)
        watcher.start()
        queue = subprocess.Popen(["python3", "-c", (
            "import sys\nfor n in range(10000):\n"
            "    with open(f'{sys.argv[1]}/q{n}', 'wb') as f: f.write(b'x' * 16384)"), sessions / "slowjournal" / "bench"])
        with open(self.base / "big", "rb") as big:
            block = big.read(64 << 20)
        upload = subprocess.Popen(["python3", "-c", (
            "import sys\nb = sys.stdin.buffer.read()\nwith open(sys.argv[1], 'wb') as f:\n"
            "    for _ in range(4096 * 1048576 // len(b)): f.write(b)"), sessions / "s3" / "bench" / "four"],
            stdin=subprocess.PIPE)
        upload.stdin.write(block)
        upload.stdin.close()
        readers = [subprocess.Popen(["sh", "-c", (
            f"while dd if='{sessions}/s3/bench/read' of=/dev/null bs=1M count=32 skip={number * 7 % 100} status=none; do :; done")])
            for number in range(32)]
        failed = upload.wait() or queue.wait()
        for reader in readers:
            reader.terminate()
        done.set()
        watcher.join()
        if failed:
            sys.exit("bench: the upload or the queue failed")
        self.busy = most

    def run(self):
        options = self.options
        self.start_seaweed()
        if options.services:
            self.near, self.slow = self.start_proxy(0), self.start_proxy(self.options.delay)
            self.line, self.long = self.start_proxy(0, GIGABIT), self.start_proxy(self.options.delay, GIGABIT)
        else:
            self.near = self.slow = self.line = self.long = self.s3
        self.start_fxmount()
        if not options.memory:
            self.start_rclone_mount()
        with open(self.base / "big", "wb") as big:
            for _ in range(options.mebibytes):
                big.write(os.urandom(1 << 20))
        (self.base / "small").mkdir()
        for number in range(options.files):
            (self.base / "small" / f"file-{number}").write_bytes(os.urandom(16 << 10))
        if options.memory:
            return self.memory()
        self.idle = self.resident()
        for number in range(options.rounds):
            print(f"bench: round {number + 1} of {options.rounds}", file=sys.stderr)
            big = self.base / "big"
            self.large(number, f"{options.mebibytes} MiB", self.s3, "s3", "fast", big, ("rclone copyto", "rclone mount"))
            self.small(number)
            if options.services:
                self.large(number, f"{options.mebibytes} MiB, proxy", self.near, "near", "near", big)
                self.large(number, f"{options.mebibytes} MiB, delayed", self.slow, "slow", "slow", big)
                self.large(number, f"{options.mebibytes} MiB, 1 Gbit/s", self.line, "line", "line", big)
                self.large(number, f"{options.mebibytes} MiB, 1 Gbit/s delayed", self.long, "long", "long", big)
        self.most = self.in_flight() if options.services else None
        self.busy = self.resident()
        self.listing()

    # Showing

    def median(self, measure, who):
        values = self.results.get(measure, {}).get(who)
        return statistics.median(values) if values else None

    def page(self):
        size, delay = f"{self.options.mebibytes} MiB", self.options.delay
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        lines = [f"{datetime.date.today()}, commit {commit.stdout.strip()}, Linux {os.uname().release}, {os.cpu_count()} cores, "
                 f"`scripts/bench remote`, median of {self.options.rounds} interleaved rounds, seconds.", "",
                 "| measure | who | seconds | all rounds |", "|---|---|---|---|"]
        for measure, places in self.results.items():
            for who, values in places.items():
                rounds = " ".join(f"{value:.2f}" for value in values)
                lines.append(f"| {measure} | {who} | {statistics.median(values):.2f} | {rounds} |")
        lines += ["", "| bar | ratio | wanted |", "|---|---|---|"]

        def bar(text, measure, who, other_measure, other, wanted):
            mine, theirs = self.median(measure, who), self.median(other_measure, other)
            if mine and theirs:
                lines.append(f"| {text} | {mine / theirs:.2f} | {wanted} |")
        bar(f"`cp` of {size} into S3, to remote commit / `curl -T`", f"{size} up", "fxmount", f"{size} up", "curl", "≤ 1.15")
        bar("the same of `rclone mount`", f"{size} up", "rclone mount", f"{size} up", "curl", "")
        bar(f"`cp` of {size} out of S3, cold / `curl` GET", f"{size} down", "fxmount", f"{size} down", "curl", "≤ 1.25")
        bar("the same of `rclone mount`", f"{size} down", "rclone mount", f"{size} down", "curl", "")
        small = "1,000 x 16 KiB"
        bar(f"{small}, `cp -r` and `wait`, journal / `rclone copy --transfers 8`", small, "fxmount journal", small, "rclone copy", "≤ 1.3")
        bar(f"{small}, `cp -r`, remote / `rclone copy --transfers 8`", small, "fxmount remote", small, "rclone copy", "")
        for line, near, slow, wanted in (
                ("1 Gbit/s", f"{size}, 1 Gbit/s", f"{size}, 1 Gbit/s delayed", "≤ 1.11"),
                ("loopback", f"{size}, proxy", f"{size}, delayed", "")):
            for way in ("up", "down"):
                bar(f"{size} {way} on a line of {line}, {delay} ms added / none", f"{slow} {way}", "fxmount", f"{near} {way}",
                    "fxmount", wanted)
                bar("the same of `curl`", f"{slow} {way}", "curl", f"{near} {way}", "curl", "")
                bar("the same of `rclone copyto`", f"{slow} {way}", "rclone copyto", f"{near} {way}", "rclone copyto", "")
        long = f"ls -l of {self.options.entries:,} files"
        bar(f"`{long}` of a session, warm / of a type", long, "fxmount, session", long, "fxmount, type", "≤ 1.5")
        if self.most is not None:
            lines.append(f"| files in flight, journal, {delay} ms added | {self.most} | ≥ 8 |")
        lines.append(f"| resident memory idle / after all but the listing | {self.idle} / {self.busy} MiB | ≤ {IDLE_BAR} / ≤ {MOST_BAR} |")
        return "\n".join(lines) + "\n"


def write(page):
    path = ROOT / "docs" / "BENCHMARKS.md"
    begin, end = "<!-- bench:remote:begin -->", "<!-- bench:remote:end -->"
    text = path.read_text()
    head, rest = text.split(begin)
    path.write_text(head + begin + "\n" + page + end + rest.split(end)[1])


def missed_memory_bars(idle, most):
    """A sentence for each bar that was missed."""
    measures = (("idle", idle, IDLE_BAR), ("at most", most, MOST_BAR))
    return [f"bench: fxmount has {value} MiB of resident memory {when}, more than the {bar} MiB it may have."
            for when, value, bar in measures if value > bar]


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench remote")
    parser.add_argument("--fxmount", required=True, help="the program to measure")
    parser.add_argument("--services", help="test-services, for the delaying proxy; without it nothing is delayed")
    parser.add_argument("--quick", action="store_true", help="one short round, for looking")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/BENCHMARKS.md")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (3)")
    parser.add_argument("--up", dest="down", action="store_false", help="uploads only")
    parser.add_argument("--memory", action="store_true", help="only the memory of a 4 GiB upload, 10,000 queued files and 32 readers")
    parser.add_argument("--delay", type=int, default=50, help="added round trip in milliseconds")
    parser.add_argument("--keep", action="store_true", help="leave logs and data behind")
    options = parser.parse_args()
    options.mebibytes, options.files = (128, 200) if options.quick or options.memory else (512, 1000)
    options.entries = 10_000 if options.quick else 100_000
    rounds = 1 if options.quick else 3
    options.rounds = options.rounds or rounds
    bench = Bench(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        bench.run()
        if options.memory:
            print(f"resident memory, MiB: idle {bench.idle} (≤ {IDLE_BAR}), most {bench.busy} (≤ {MOST_BAR})", flush=True)
            missed = missed_memory_bars(bench.idle, bench.busy)
            if missed:
                sys.exit("\n".join(missed))
            return
        page = bench.page()
        print(page, end="")
        if options.write:
            write(page)
    finally:
        bench.leave()


main()
