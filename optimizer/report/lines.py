"""Lines over nights: where points stand; the look is in the style sheet."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The picture of a line, in its own units, and the room around it.
WIDTH, HEIGHT, MARGIN = 600, 120, 6


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
