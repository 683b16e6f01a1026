"""A deadline on the monotonic clock, checked between long steps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from optimizer.solvers.compiling import compiling_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds that prices may take when the time limit is up: a plan needs a bound.
EXTRA_SECONDS = 0.5


class OutOfTime(Exception):
    """The deadline has passed; raised and caught within the solvers."""


def ends_after(seconds: float) -> Callable[[], float]:
    """
    When so many seconds will have passed, on the monotonic clock.

    Those of compiling kernels, once on a machine, are given back: with them the first
    night after an installation could end with a gap that no later one has.

    Examples
    --------
    >>> ends = ends_after(60.0)
    >>> 59.0 < ends() - time.monotonic() <= 60.0
    True
    """
    ends, before = time.monotonic() + seconds, compiling_seconds()
    return lambda: ends + (compiling_seconds() - before)


def look(ends: float) -> None:
    """
    Look at the clock.

    Raises
    ------
    OutOfTime
        When ``ends`` has passed.
    """
    if time.monotonic() > ends:
        raise OutOfTime
