"""Calendars: where days stand; the look is in style sheets."""

from __future__ import annotations

import calendar
import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Shades of the days of a calendar, as of the regions in the report.
NUM_SHADES = 4


@dataclass(frozen=True, slots=True)
class Month:
    """A month: its first day, and its weeks from Monday; ``None``: no day of it."""

    first: dt.date
    weeks: list[list[dt.date | None]]


def months(last: dt.date, number: int) -> list[Month]:
    """
    Some months up to the one of a day, in order.

    Examples
    --------
    >>> [month.first.isoformat() for month in months(dt.date(2026, 1, 9), 2)]
    ['2025-12-01', '2026-01-01']
    """
    found = []
    first = last.replace(day=1)
    for _ in range(number):
        weeks = calendar.Calendar().monthdatescalendar(first.year, first.month)
        own = [[d if d.month == first.month else None for d in week] for week in weeks]
        found.append(Month(first, own))
        first = (first - dt.timedelta(days=1)).replace(day=1)
    return found[::-1]


def shades(values: Mapping[dt.date, float]) -> dict[dt.date, int]:
    """
    Shades of days, from 0 to :data:`NUM_SHADES`, by their share of the greatest value.

    Examples
    --------
    >>> day = dt.date(2026, 11, 22)
    >>> [*shades({day: 4.0, day + dt.timedelta(1): 1.0}).values()]
    [4, 1]
    """
    most = max(values.values(), default=0.0)
    return {
        day: math.ceil(NUM_SHADES * value / most) if value > 0 else 0
        for day, value in values.items()
    }
