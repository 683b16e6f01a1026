"""Lines and calendars: where points and days stand; the look is in style sheets."""

from __future__ import annotations

import calendar
import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The picture of a line, in its own units, and the room around it.
WIDTH, HEIGHT, MARGIN = 600, 120, 6
#: Shades of the days of a calendar, as of the regions in the report.
NUM_SHADES = 4


@dataclass(frozen=True, slots=True)
class Line:
    """
    A line over nights.

    Attributes
    ----------
    parts
        Points of each unbroken part; a night without a value breaks it.
    low, high
        Values at the lower and upper edge.
    """

    parts: list[list[tuple[float, float]]]
    low: float
    high: float


def line(
    days: Sequence[dt.date],
    values: Sequence[float | None],
    edges: tuple[float, float] | None = None,
) -> Line | None:
    """
    Place the points of a line; nights that lie apart stand apart.

    Parameters
    ----------
    days, values
        Nights by date, and what each has; ``None``: not known.
    edges
        Values at the lower and upper edge; ``None``: 0 or the least, and the greatest.

    Returns
    -------
    Line or None
        ``None`` where fewer than two nights have a value.

    Examples
    --------
    >>> first = dt.date(2026, 11, 1)
    >>> nights = [first + dt.timedelta(k) for k in range(3)]
    >>> line(nights, [0.0, None, 4.0]).parts
    [[(6.0, 114.0)], [(594.0, 6.0)]]
    """
    known = [value for value in values if value is not None]
    if len(known) < 2 or days[0] == days[-1]:
        return None
    low, high = edges or (min(0.0, *known), max(known))
    high = high if high > low else low + 1
    span = (days[-1] - days[0]).days
    parts: list[list[tuple[float, float]]] = [[]]
    for day, value in zip(days, values, strict=True):
        if value is None:
            parts.append([])
            continue
        across, up = (day - days[0]).days / span, (value - low) / (high - low)
        x = MARGIN + across * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)
        parts[-1].append((round(x, 1), round(y, 1)))
    return Line([part for part in parts if part], low, high)


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
