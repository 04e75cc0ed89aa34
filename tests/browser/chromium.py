"""A page in Debian's Chromium without a screen, by the DevTools protocol: what it says, how it is laid out, how it looks."""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import websocket

from tests.cluster import wait

PROGRAM = "chromium"
START_LIMIT_SECONDS = 60.0
ANSWER_LIMIT_SECONDS = 30.0
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


@dataclass
class Page:
    """The one page of a browser. `complaints` are errors, warnings and requests since it was opened."""

    socket: websocket.WebSocket
    complaints: list[str] = field(default_factory=list)
    _loaded: set[str] = field(default_factory=set)  # documents, by the ids that the browser gives them
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def open(self, file: Path, width: int, height: int = 900, media: str = "screen") -> None:
        """Returns when it is laid out."""
        self.complaints.clear()
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.ask("Emulation.setEmulatedMedia", media=media)
        document = self.ask("Page.navigate", url=file.as_uri())["loaderId"]
        # It may be loaded before the answer comes, and the one before it may be loaded only now.
        while document not in self._loaded:
            self._receive()
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are waited for. Raises AssertionError for what it throws."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def screenshot(self, file: Path) -> None:
        """The whole page, not only what fits into the window."""
        found = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))

    def pdf(self) -> bytes:
        return base64.b64decode(self.ask("Page.printToPDF")["data"])

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := self._receive()).get("id") != number:
            pass
        assert "error" not in message, f"{method}: {message['error']}"
        return dict(message["result"])

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv())
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, told: dict[str, Any]) -> None:
        if event in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(json.dumps(told)[:500])
        if event == "Page.lifecycleEvent" and told["name"] == "load":
            self._loaded.add(told["loaderId"])
        if event == "Network.requestWillBeSent" and not told["request"]["url"].startswith("file:"):
            self.complaints.append(f"asks for {told['request']['url'][:200]}")


@contextmanager
def running(directory: Path) -> Iterator[Page]:
    """A browser of its own, with an empty profile in `directory`, until the end of the block."""
    profile = directory / "profile"
    profile.mkdir()
    # Whatever it keeps outside of its profile belongs to the test, too.
    home = {name: str(directory) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    command = [PROGRAM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    with (directory / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **home}, start_new_session=True)
    try:
        socket = websocket.create_connection(_address(profile, process), timeout=ANSWER_LIMIT_SECONDS)
        page = Page(socket)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{domain}.enable")
        page.ask("Page.setLifecycleEventsEnabled", enabled=True)
        yield page
        socket.close()
    finally:
        # Its child processes are of the same process group; the program itself is a script that starts the browser.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Of the page that is open, once the browser has written where it listens, and has opened it."""
    file, found = profile / "DevToolsActivePort", list[str]()

    def missing() -> str | None:
        assert process.poll() is None, f"{PROGRAM} ended with {process.returncode}"
        if not (file.exists() and file.read_text().count("\n")):
            return f"{PROGRAM} to start"
        found[:] = _pages(file.read_text().splitlines()[0])
        return None if found else f"{PROGRAM} to open a page"

    wait.until(missing, START_LIMIT_SECONDS)
    return found[0]


def _pages(port: str) -> list[str]:
    with urlopen(f"http://127.0.0.1:{port}/json", timeout=ANSWER_LIMIT_SECONDS) as answer:
        targets = json.load(answer)
    return [str(target["webSocketDebuggerUrl"]) for target in targets if target["type"] == "page"]
