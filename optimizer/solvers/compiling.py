"""Seconds in which kernels were compiled, once on a machine; deadlines skip them."""

from __future__ import annotations

import threading
import time
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class _Compiling:
    """Time between the start of the first compilation and the end of the last."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.depth, self.since, self.total = 0, 0.0, 0.0

    def on_start(self, _event: Any) -> None:
        with self.lock:
            if self.depth == 0:
                self.since = time.monotonic()
            self.depth += 1

    def on_end(self, _event: Any) -> None:
        with self.lock:
            if self.depth == 0:
                return  # it had begun before anybody listened
            self.depth -= 1
            if self.depth == 0:
                self.total += time.monotonic() - self.since

    def seconds(self) -> float:
        with self.lock:
            here = time.monotonic() - self.since if self.depth else 0.0
            return self.total + here


@cache
def _listening() -> _Compiling:
    from numba.core import event

    class Listener(event.Listener):
        """Hands on what numba tells."""

        def on_start(self, event: Any) -> None:
            found.on_start(event)

        def on_end(self, event: Any) -> None:
            found.on_end(event)

    found = _Compiling()
    event.register("numba:compile", Listener())
    return found


def compiling_seconds() -> float:
    """
    Wall time in which this process compiled, since this was first asked.

    Examples
    --------
    >>> before = compiling_seconds()
    >>> compiling_seconds() >= before
    True
    """
    return _listening().seconds()
