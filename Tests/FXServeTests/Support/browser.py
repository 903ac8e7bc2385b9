"""Steers a headless Chromium over its debugging pipe: browser.py look|keyboard|locked ADDRESS KEY PICTURE.

Prints one line of JSON with what the page showed.
"""
import base64, json, os, select, subprocess, sys, tempfile, time, zlib


class Browser:
    def __init__(self):
        to_read, self.write_end = os.pipe()
        self.read_end, to_write = os.pipe()
        profile = tempfile.mkdtemp(dir=os.environ.get("HOME"))

        def wire():
            # Copies first: the numbers 3 and 4 may be taken by the ends themselves.
            a, b = os.dup(to_read), os.dup(to_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-extensions",
             "--window-size=1280,1100", "--remote-debugging-pipe", "--user-data-dir=" + profile, "about:blank"],
            preexec_fn=wire, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(profile, "chromium.log"), "wb"))
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.number, self.session, self.console = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def message(self, deadline):
        while b"\0" not in self.buffer:
            if not select.select([self.read_end], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.read_end, 1 << 20)
            if not piece:
                raise EOFError("the browser has ended")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.write_end, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + 60
        while True:
            message = self.message(deadline)
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] != "verbose":
                self.console.append(message["params"]["entry"]["text"])
            if message.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                self.console.append(json.dumps(message["params"])[:300])
            if message.get("id") == self.number:
                if "error" in message:
                    raise RuntimeError(method + ": " + json.dumps(message["error"]))
                return message["result"]

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait(self, expression, seconds=20):
        deadline = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > deadline:
                raise TimeoutError(expression + " did not come true; page: " + str(self.value("document.body.innerText")))
            time.sleep(0.05)

    def key(self, name, text="", code=0, modifiers=0):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, text=text if kind == "keyDown" else "",
                      windowsVirtualKeyCode=code, modifiers=modifiers)

    def tab(self):
        self.key("Tab", code=9)

    def type(self, text):
        for letter in text:
            self.call("Input.dispatchKeyEvent", type="char", text=letter)

    def focused(self):
        return self.value("(() => { const e = document.activeElement; return e.id || e.getAttribute('aria-label') || e.className"
                          " || e.getAttribute('aria-labelledby') || e.tagName; })()")

    def open(self, address):
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && !!document.getElementById('consents')")

    def picture(self, path):
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        with open(path, "wb") as file:
            file.write(data)
        return len(set(rows(data)))

    def end(self):
        self.process.kill()
        self.process.wait()


def rows(png):
    """The rows of the picture's raw data: a page with nothing on it has few that differ."""
    data, position = b"", 8
    while position < len(png):
        length = int.from_bytes(png[position:position + 4], "big")
        if png[position + 4:position + 8] == b"IDAT":
            data += png[position + 8:position + 8 + length]
        position += length + 12
    raw = zlib.decompress(data)
    width = 1 + len(raw) // int.from_bytes(png[20:24], "big")
    return [raw[at:at + width - 1] for at in range(0, len(raw), width - 1)]


def look(browser, address, key, picture):
    browser.open(address + "#key=" + key)
    browser.wait("!document.getElementById('content').hidden && document.querySelector('#transfers tbody tr') !== null")
    return {"text": browser.value("document.body.innerText"), "bold": browser.value("document.querySelectorAll('b').length"),
            "address": browser.value("location.href"), "colours": browser.picture(picture), "console": browser.console}


def keyboard(browser, address, key, picture):
    browser.open(address + "#key=" + key)
    browser.wait("!document.getElementById('content').hidden && document.querySelector('#consents tbody button') !== null")
    order = []
    for _ in range(30):
        browser.tab()
        order.append(browser.focused())
        if order[-1] in ("BODY", "HTML"):
            break
    # Once more from the top: type an origin, press Enter; then revoke the first consent with the space bar.
    browser.value("document.activeElement.blur()")
    while browser.focused() != "origin":
        browser.tab()
    browser.type("https://typed.example.org")
    browser.key("Enter", "\r", 13)
    browser.wait("document.getElementById('message').textContent.includes('has consent until')")
    granted = browser.value("document.getElementById('message').textContent")
    presses = 0
    while not browser.focused().startswith("Revoke consent of https://app.example.org"):
        browser.tab()
        presses += 1
        if presses > 60:
            raise RuntimeError("the button is not reached: " + browser.focused())
    browser.key(" ", " ", 32)
    browser.wait("document.getElementById('message').textContent.includes('is revoked')")
    browser.picture(picture)
    return {"order": order, "granted": granted, "revoked": browser.value("document.getElementById('message').textContent"),
            "console": browser.console}


def locked(browser, address, key, picture):
    browser.open(address)
    browser.wait("!document.getElementById('locked').hidden")
    shown = {"locked": browser.value("document.getElementById('content').hidden"),
             "text": browser.value("document.body.innerText")}
    while browser.focused() != "key":
        browser.tab()
    browser.type(key)
    browser.key("Enter", "\r", 13)
    browser.wait("!document.getElementById('content').hidden && document.querySelector('#consents tbody tr') !== null")
    browser.picture(picture)
    return shown | {"unlocked": browser.value("document.body.innerText")}


steps, address, key, picture = sys.argv[1:5]
browser = Browser()
try:
    print(json.dumps({"look": look, "keyboard": keyboard, "locked": locked}[steps](browser, address, key, picture)))
finally:
    browser.end()
