"""Opens pages in Chromium, headless, over the DevTools protocol, and looks for what is wrong with them.

    look.py CHROMIUM AXE.JS SCREENSHOTS PAGE...

Each page, at 360 and 1440 pixels, light and dark, folded and unfolded: nothing scrolls sideways; no script error and no
message of the browser; nothing is requested; no element that runs; no violation that axe-core finds; and it prints."""

import base64
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import websocket

WIDTHS = (360, 1440)
LATEST = 60


class Page:
    """A tab."""

    def __init__(self, url):
        self.socket = websocket.create_connection(url, timeout=LATEST, suppress_origin=True)
        self.number, self.events = 0, []

    def call(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") != self.number:
                self.events.append(message)
                continue
            if "error" in message:
                raise RuntimeError(f"{method}: {message['error']}")
            return message["result"]

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script[:60]}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, method):
        until = time.monotonic() + LATEST
        while not any(event.get("method") == method for event in self.events):
            if time.monotonic() > until:
                raise RuntimeError(f"no {method}")
            self.events.append(json.loads(self.socket.recv()))


def browser(program, home):
    """Starts Chromium; its process, and the URL of its first tab."""
    process = subprocess.Popen(
        [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--remote-debugging-port=0", f"--user-data-dir={home}", "about:blank"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port_file, until = Path(home) / "DevToolsActivePort", time.monotonic() + LATEST
    while not port_file.exists() or not port_file.read_text(encoding="utf-8").strip():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise RuntimeError("Chromium does not start")
        time.sleep(0.1)
    port = port_file.read_text(encoding="utf-8").split()[0]
    import urllib.request
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=LATEST) as answer:
        tabs = json.load(answer)
    return process, next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")


def set_view(page, width, scheme):
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def axe(page, script):
    page.run(script)
    found = page.run("axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(one => "
                     "[one.id, one.help, one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))]))")
    return [f"axe-core: {one}" for one in found]


def look(page, path, script, screenshots):
    wrong, url = [], path.resolve().as_uri()
    page.events.clear()
    for domain in ("Page", "Runtime", "Log", "Network"):
        page.call(f"{domain}.enable")
    set_view(page, WIDTHS[1], "light")
    page.call("Page.navigate", url=url)
    page.wait_for("Page.loadEventFired")
    title = page.run("document.title")
    for event in page.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent" and params["request"]["url"] != url:
            wrong.append(f"requests {params['request']['url'][:100]}")
        if method in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening"):
            wrong.append(f"{method}: {json.dumps(params)[:300]}")
    elements = page.run("[...document.querySelectorAll('script,iframe,object,embed,img,link,form,base,a')].map(one => one.outerHTML.slice(0, 200))")
    wrong += [f"an element that a report does not have: {one}" for one in elements]
    handlers = page.run("[...document.querySelectorAll('*')].filter(one => [...one.attributes].some("
                        "attribute => /^on/i.test(attribute.name) || attribute.name === 'style')).map(one => one.outerHTML.slice(0, 200))")
    wrong += [f"an attribute that a report does not have: {one}" for one in handlers]
    for unfolded in (False, True):
        if unfolded:
            page.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        for width in WIDTHS:
            for scheme in ("light", "dark"):
                set_view(page, width, scheme)
                wide = page.run("document.documentElement.scrollWidth")
                if wide > width:
                    widest = page.run("[...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > "
                                      f"{width}).slice(0, 3).map(one => one.outerHTML.slice(0, 120))")
                    wrong.append(f"{width} pixels, {scheme}: scrolls sideways, {wide} wide: {widest}")
                if not unfolded:
                    shot = page.call("Page.captureScreenshot", format="png")
                    (screenshots / f"{path.stem}-{width}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))
                if unfolded or width == WIDTHS[0]:
                    wrong += [f"{width} pixels, {scheme}: {one}" for one in axe(page, script)]
    if page.run("document.title") != title:
        wrong.append("something ran and changed the title")
    printed = base64.b64decode(page.call("Page.printToPDF")["data"])
    if not printed.startswith(b"%PDF") or len(printed) < 2000:
        wrong.append(f"it does not print: {len(printed)} bytes")
    return wrong


def main():
    program, script, screenshots, *paths = sys.argv[1:]
    script, screenshots = Path(script).read_text(encoding="utf-8"), Path(screenshots)
    screenshots.mkdir(parents=True, exist_ok=True)
    failed = False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process, url = browser(program, home)
        try:
            page = Page(url)
            for path in map(Path, paths):
                wrong = look(page, path, script, screenshots)
                failed = failed or bool(wrong)
                print(f"{path.name}: {len(wrong)} problems")
                for one in wrong:
                    print(f"  {one}")
        finally:
            process.kill()
            process.wait()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
