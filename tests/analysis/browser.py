"""A headless Chromium, driven by its DevTools protocol over a pair of pipes. No network: no name resolves."""
import base64
import json
import os
import shutil
import subprocess
import zlib


class Browser:
    """One page of one browser. `problems` are its console's errors, exceptions and requests to anything but files."""

    def __init__(self, folder):
        to_browser, ours = os.pipe()
        theirs, from_browser = os.pipe()[::-1]
        command = [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                   "--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--no-first-run",
                   "--force-device-scale-factor=1", f"--user-data-dir={folder}", "about:blank"]
        # Chromium reads its file 3 and writes its file 4
        shell = ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{theirs}', "bash", *command]
        self.process = subprocess.Popen(shell, pass_fds=(to_browser, theirs), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(theirs)
        self.ours, self.answers = ours, os.fdopen(from_browser, "rb")
        self.number, self.session, self.rest, self.problems = 0, None, b"", []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self.session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in "Page", "Runtime", "Log", "Network":
            self(domain + ".enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)
        self.answers.close()

    def __call__(self, method, **params):
        """The result of a command; what happens meanwhile is looked at."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.ours, json.dumps(message).encode() + b"\0")
        return self._until(lambda m: m.get("id") == self.number)

    def _until(self, wanted):
        while True:
            while b"\0" not in self.rest:
                got = os.read(self.answers.fileno(), 1 << 20)
                assert got, "the browser has gone"
                self.rest += got
            line, self.rest = self.rest.split(b"\0", 1)
            message = json.loads(line)
            self._look(message)
            if wanted(message):
                assert "error" not in message, message
                return message.get("result")

    def _look(self, message):
        params = message.get("params", {})
        if message.get("method") == "Runtime.exceptionThrown":
            self.problems.append(params["exceptionDetails"]["text"])
        elif message.get("method") == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(str(params["args"]))
        elif message.get("method") == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(params["entry"]["text"])
        elif message.get("method") == "Network.requestWillBeSent":
            url = params["request"]["url"]
            if not url.startswith(("file:", "data:")):
                self.problems.append("asked for " + url)

    def open(self, path):
        self("Page.navigate", url=f"file://{path}")
        self._until(lambda m: m.get("method") == "Page.loadEventFired")

    def js(self, expression):
        got = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def look_as(self, width, dark=False):
        self("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        # pictures are chosen anew
        self.js("Promise.all([...document.images].map(i => i.decode())).then(() => new Promise(requestAnimationFrame))")

    def click(self, selector):
        x, y = self.js(f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
                       f" return [r.x + r.width / 2, r.y + r.height / 2]; }})(document.querySelector({json.dumps(selector)}))")
        for what in "mousePressed", "mouseReleased":
            self("Input.dispatchMouseEvent", type=what, x=x, y=y, button="left", clickCount=1)

    def brightness_at(self, selector, dx, dy):
        """0 to 1, of the pixel so far right of and below the element's corner."""
        x, y = self.js(f"(r => [r.x + scrollX, r.y + scrollY])(document.querySelector({json.dumps(selector)})"
                       ".getBoundingClientRect())")
        shot = self("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                    clip={"x": round(x + dx), "y": round(y + dy), "width": 1, "height": 1, "scale": 1})
        png = base64.b64decode(shot["data"])
        place = png.index(b"IDAT")
        length = int.from_bytes(png[place - 4:place], "big")
        # of the first row whatever filter: its first pixel is stored as it is
        return sum(zlib.decompressobj().decompress(png[place + 4:place + 4 + length])[1:4]) / 765
