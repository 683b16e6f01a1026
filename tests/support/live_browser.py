"""A browser that is driven: it opens pages, presses keys, and tells what it sees."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.browser import FLAGS, Browser

#: Seconds that anything may take.
PATIENCE = 30.0
#: Keys that are no letters: what the browser has to be told of each.
KEYS: dict[str, dict[str, Any]] = {
    "Tab": {"windowsVirtualKeyCode": 9},
    "Enter": {"windowsVirtualKeyCode": 13, "text": "\r"},
    "ArrowRight": {"windowsVirtualKeyCode": 39},
    "ArrowDown": {"windowsVirtualKeyCode": 40},
}
AXE = Path(__file__).parent / "axe" / "axe.min.js"


class LiveBrowser:
    """
    One window, asked over a pipe in the protocol of Chromium's developer tools.

    Attributes
    ----------
    requests
        Addresses that were asked for.
    complaints
        What stands in its console: refused by a policy, not found, thrown.
    """

    def __init__(self, pid: int, to: int, said: int) -> None:
        self._pid, self._to, self._said = pid, to, said
        self._left, self._number, self._session = b"", 0, ""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._events: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        tab = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = tab["sessionId"]
        for room in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{room}.enable")

    def send(self, method: str, **given: Any) -> dict[str, Any]:
        """Ask the browser for one thing, and wait until it is done."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": given}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, (method, message)
                return dict(message["result"])

    def open(self, address: str) -> None:
        """Open a page and wait until all of it is there."""
        self._events.clear()
        failed = self.send("Page.navigate", url=address).get("errorText")
        assert failed is None, (address, failed)
        while "Page.loadEventFired" not in self._events:
            self._message()

    def ask(self, question: str) -> Any:
        """Evaluate JavaScript in the page; a promise is waited for."""
        found = self.send(
            "Runtime.evaluate",
            expression=question,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, question: str) -> Any:
        """Wait until JavaScript in the page finds something, and give that back."""
        end = time.monotonic() + PATIENCE
        while not (found := self.ask(question)):
            assert time.monotonic() < end, question
            time.sleep(0.02)
        return found

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            told = KEYS[key] if kind == "keyDown" else {**KEYS[key], "text": ""}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, **told)

    def write(self, text: str) -> None:
        """Write letters where the focus is."""
        self.send("Input.insertText", text=text)

    def window(self, width: int, *, is_dark: bool) -> None:
        """Take a width, and light or dark colours."""
        height = 844 if width < 600 else 800
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {
            "name": "prefers-color-scheme",
            "value": "dark" if is_dark else "light",
        }
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def scripts(self, *, are_run: bool) -> None:
        """Whether pages that are opened from now on may run scripts."""
        self.send("Emulation.setScriptExecutionDisabled", value=not are_run)

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page, each with where it is."""
        if not self.ask("typeof axe === 'object'"):
            self.ask(AXE.read_text("utf-8"))
        found = self.ask(
            "axe.run(document, {resultTypes: ['violations']}).then((f) => f.violations)"
        )
        return [
            f"{one['id']}: {node['html'][:120]}"
            for one in found
            for node in one["nodes"]
        ]

    def close(self) -> None:
        """End it."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        for end in (self._to, self._said):
            os.close(end)

    def _message(self) -> dict[str, Any]:
        """The next thing that the browser says."""
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._said], [], [], PATIENCE)
            assert ready, "the browser says nothing"
            part = os.read(self._said, 1 << 20)
            assert part, "the browser ended"
            self._left += part
        first, _, self._left = self._left.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        if "method" in message:
            self._hear(message["method"], message["params"])
        return message

    def _hear(self, method: str, told: dict[str, Any]) -> None:
        self._events.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Log.entryAdded" and told["entry"]["level"] != "verbose":
            self.complaints.append(
                f"{told['entry']['text']} {told['entry'].get('url')}"
            )
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in (
            "error",
            "warning",
        ):
            self.complaints.append(str(told["args"]))


@contextmanager
def live(browser: Browser) -> Iterator[LiveBrowser]:
    """Start the browser, drive it, and end it."""
    theirs, ours = _pipe()
    said, says = _pipe()
    words = [browser.path, *FLAGS, "--remote-debugging-pipe"]
    words.append(f"--user-data-dir={browser.folder / 'live-profile'}")
    pid = os.posix_spawn(
        browser.path,
        words,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, theirs, 3),
            (os.POSIX_SPAWN_DUP2, says, 4),
        ],
        setpgroup=0,
    )
    os.close(theirs)
    os.close(says)
    driven = LiveBrowser(pid, ours, said)
    try:
        yield driven
    finally:
        driven.close()


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are not 3 and 4, which the browser takes."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
