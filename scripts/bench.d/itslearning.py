"""scripts/bench itslearning: one large file by curl and by cp through fxmount, to the same test service in one run.

curl posts a body prepared beforehand, frame and all. Of cp two times are told: of the whole command, which writes the file
first, and from the seal to the commit, which is what goes over the wire. Rounds are interleaved, and the median counts.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import datetime

SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"


def envelope(name):
    return f"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="http://tempuri.org/"><s:Header>
<w:Security s:mustUnderstand="1" xmlns:w="{SECURITY}"><w:UsernameToken><w:Username>partner</w:Username><w:Password>secret</w:Password>
</w:UsernameToken></w:Security><t:ExtensionId>5009</t:ExtensionId><t:Name>{name}</t:Name></s:Header><s:Body><t:StreamMessage>
<t:Content><x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:bytes@bench"/></t:Content></t:StreamMessage></s:Body>
</s:Envelope>"""


def prepare(path, source):
    """The body curl posts."""
    with open(path, "wb") as body, open(source, "rb") as bytes_:
        body.write(("--bench\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"text/xml\"\r\n"
                    f"Content-ID: <root@bench>\r\n\r\n{envelope('curl.bin')}\r\n"
                    "--bench\r\nContent-Type: application/octet-stream\r\nContent-ID: <bytes@bench>\r\n\r\n").encode())
        shutil.copyfileobj(bytes_, body, 1 << 20)
        body.write(b"\r\n--bench--\r\n")


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Bench:
    def __init__(self, options):
        self.options = options
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="fxmount-bench."))
        self.at = self.base / "mount"
        self.processes = []

    def start(self):
        services = subprocess.Popen([self.options.services, "itslearning"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.processes.append(services)
        self.service = services.pid
        self.url = f"http://127.0.0.1:{json.loads(services.stdout.readline())['port']}"
        self.control("settings", {"size_limit": 1 << 31})
        (self.base / "secret").write_text("secret")
        (self.base / "secret").chmod(0o600)
        (self.base / "state").mkdir(mode=0o700)
        config = self.base / "config.toml"
        config.write_text(f'[remotes.its]\nkind = "itslearning"\nurl = "{self.url}"\nusername = "partner"\n'
                          f'password_file = "{self.base}/secret"\nmax_file_size = "2GiB"\n')
        self.at.mkdir()
        environment = dict(os.environ, FXMOUNT_CONFIG=str(config), FXMOUNT_STATE_DIR=str(self.base / "state"))
        log = open(self.base / "fxmount.log", "wb")
        fxmount = subprocess.Popen([self.options.fxmount, "mount", self.at], stdout=log, stderr=log, env=environment)
        self.processes.append(fxmount)
        self.fxmount = fxmount.pid
        deadline = time.monotonic() + 30
        while not any(line.split()[4] == str(self.at) for line in open("/proc/self/mountinfo")):
            if time.monotonic() > deadline:
                sys.exit(f"bench: no mount; see {log.name}")
            time.sleep(0.05)
        os.mkdir(self.at / "sessions/its/bench")

    def control(self, what, body=None):
        data = None if body is None else json.dumps(body).encode()
        return json.load(urllib.request.urlopen(f"{self.url}/_control/{what}", data=data))

    def curl(self, body):
        fields = {"Content-Type": 'multipart/related; type="application/xop+xml"; start="<root@bench>"; '
                                  'start-info="text/xml"; boundary="bench"',
                  "SOAPAction": '"http://tempuri.org/IFileStreamService/UploadFile"'}
        command = ["curl", "-sS", "-f", "-o", self.base / "answer", "-X", "POST", "-T", body, f"{self.url}/FileStreamService.svc"]
        for name, value in fields.items():
            command += ["-H", f"{name}: {value}"]
        begin = time.monotonic()
        subprocess.run(command, check=True)
        return time.monotonic() - begin

    def copy(self, source, number):
        path = self.at / f"sessions/its/bench/{number}.bin"
        begin = time.monotonic()
        subprocess.run(["cp", source, path], check=True)
        whole = time.monotonic() - begin
        times = {}
        for line in open(self.at / ".fxmount/events.jsonl"):
            event = json.loads(line)
            if event.get("path", "").endswith(f"/{number}.bin"):
                times[event.get("event", event.get("kind"))] = moment(event["time"])
        return whole, times["committed"] - times["sealed"]

    @staticmethod
    def peak(pid):
        """The most memory a process had, in MiB."""
        for line in open(f"/proc/{pid}/status"):
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024

    def leave(self):
        subprocess.run(["fusermount3", "-uz", self.at], stderr=subprocess.DEVNULL)
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.base, ignore_errors=True)

    def run(self):
        size = self.options.size << 20
        source, body = self.base / "source", self.base / "body"
        with open(source, "wb") as out:
            for _ in range(size >> 20):
                out.write(os.urandom(1 << 20))
        prepare(body, source)
        self.start()
        curl, cp, wire = [], [], []
        for number in range(self.options.rounds):
            curl.append(self.curl(body))
            whole, sent = self.copy(source, number)
            cp.append(whole)
            wire.append(sent)
        digests = {file["sha256"] for file in self.control("files")}
        if len(digests) != 1:
            sys.exit("bench: the service holds other bytes than were sent")
        base = statistics.median(curl)
        print(f"{self.options.size} MiB, {self.options.rounds} rounds, medians")
        for name, times in (("curl, prepared body", curl), ("cp, whole command", cp), ("cp, from seal to commit", wire)):
            time_ = statistics.median(times)
            print(f"{name:26} {time_:7.2f} s   {time_ / base:5.2f} x   ({', '.join(f'{one:.2f}' for one in times)})")
        print(f"most memory: fxmount {self.peak(self.fxmount)} MiB, test service {self.peak(self.service)} MiB")


parser = argparse.ArgumentParser()
parser.add_argument("--fxmount", required=True)
parser.add_argument("--services", required=True)
parser.add_argument("--size", type=int, default=512, help="MiB")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--quick", action="store_true")
options = parser.parse_args()
if options.quick:
    options.rounds = 1
bench = Bench(options)
try:
    bench.run()
finally:
    bench.leave()
