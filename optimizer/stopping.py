"""
That the program was told to end, kept where the exception that says so is lost.

Python raises the exception of a signal in whatever line the first thread is at. If code
in C called that line, it may drop it and go on (pyarrow looks for pandas so, and numba
is told so of what it compiled), or call the file that it reads a damaged one. So the
signal is noted, and asked for where a stage begins and before a night is published.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_code: int | None = None


def note_stop(code: int | None) -> None:
    """
    Note with which code the program has to end.

    Parameters
    ----------
    code
        As shells have it: 128 and the signal's number. ``None``: it has not to.
    """
    global _code
    _code = code


def stop_code() -> int | None:
    """The code that the program has to end with; ``None``: it goes on."""
    return _code


def end_if_stopped() -> None:
    """
    End the program if it was told to, and did not.

    Raises
    ------
    SystemExit
        With the code, in the first thread.

    Examples
    --------
    >>> end_if_stopped()
    """
    if _code is not None and threading.current_thread() is threading.main_thread():
        raise SystemExit(_code)


@contextmanager
def interrupts_are_kept() -> Iterator[None]:
    """
    Keep who answers Control-C, beside who begins to in the block.

    pyspark's session takes the signal for itself, to cancel its jobs; what noted it
    before has to hear of it, too.

    Examples
    --------
    >>> heard = []
    >>> def hears(name):
    ...     return lambda number, frame: heard.append(name)
    >>> before = signal.signal(signal.SIGINT, hears("first"))
    >>> with interrupts_are_kept():
    ...     _ = signal.signal(signal.SIGINT, hears("second"))
    >>> signal.raise_signal(signal.SIGINT)
    >>> _ = signal.signal(signal.SIGINT, before)
    >>> heard
    ['first', 'second']
    """
    first = signal.getsignal(signal.SIGINT)
    yield
    second = signal.getsignal(signal.SIGINT)
    if second is first or threading.current_thread() is not threading.main_thread():
        return
    if not (callable(first) and callable(second)):
        return

    def both(number: int, frame: FrameType | None) -> None:
        try:
            first(number, frame)
        finally:
            second(number, frame)

    signal.signal(signal.SIGINT, both)
