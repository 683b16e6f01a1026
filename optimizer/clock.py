"""Wall time and peak memory of each stage."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from optimizer.stopping import end_if_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Item = TypeVar("_Item")

#: A table with fewer rows is read before anybody wonders.
_MANY_ROWS = 1_000_000
#: In less than this no stage takes memory that anybody asks for; to ask takes longer.
_INSTANT_SECONDS = 0.001


class StageClock:
    """
    Measures stages by name; a stage that is entered again adds up.

    Attributes
    ----------
    seconds
        Wall seconds by stage, in order of first entry.
    peak_memory_bytes
        Peak resident memory of the process until the stage last ended; what a stage
        that took less than a millisecond came to is found at the next one's end.

    Examples
    --------
    >>> clock = StageClock()
    >>> with clock.stage("solve"):
    ...     pass
    >>> list(clock.seconds)
    ['solve']
    """

    def __init__(self, progress: Callable[[str], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.peak_memory_bytes: dict[str, int] = {}
        self._progress = progress
        self._peak = 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure what happens inside as the stage of that name."""
        end_if_stopped()
        if name not in self.seconds and self._progress is not None:
            self._progress(name)
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            if spent >= _INSTANT_SECONDS or not self._peak:
                self._peak = peak_memory_bytes()
            self.peak_memory_bytes[name] = self._peak

    def tell(self, words: str) -> None:
        """Report the progress of a long stage."""
        end_if_stopped()
        if self._progress is not None:
            self._progress(words)

    def tell_rows(self, table: str, num_rows: int) -> None:
        """Report the progress of a long read; short ones are not reported."""
        if self._progress is not None and num_rows >= _MANY_ROWS:
            self._progress(f"read {num_rows:,} rows of {table}")

    def measured(self, name: str, items: Iterable[_Item]) -> Iterator[_Item]:
        """Measure the making of each item as the stage of that name."""
        iterator = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item


def peak_memory_bytes() -> int:
    """Peak resident memory of this process, in bytes."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
