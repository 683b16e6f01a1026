"""A deadline on the monotonic clock, checked between long steps."""

from __future__ import annotations

import time

#: Seconds that prices may take when the time limit is up: a plan needs a bound.
EXTRA_SECONDS = 0.5


class OutOfTime(Exception):
    """The deadline has passed; raised and caught within the solvers."""


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
