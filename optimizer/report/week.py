"""The night beside those before: a week compared, four weeks as lines."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.report.lines import Line, line

if TYPE_CHECKING:
    import polars as pl

#: Days before a night that it is compared with.
NUM_DAYS = 7
#: Figures that are compared.
COMPARED = ("saving", "num_chosen", "each", "cap_use")


@dataclass(frozen=True, slots=True)
class NightRow:
    """
    A night of the week, in a few numbers.

    Attributes
    ----------
    day
        Such as 2026-11-22.
    num_orders, num_chosen
        Parcels, and those that were recommended.
    saving
        Expected harm avoided, CNY.
    each
        The same for each recommended parcel.
    cap_use, relative_gap
        Recommended parcels as a share of all caps; gap over the plan's own value.
    """

    day: str
    num_orders: int
    num_chosen: int
    saving: float
    each: float
    cap_use: float
    relative_gap: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    A figure of the night and the same figure of earlier nights.

    Attributes
    ----------
    kind
        Field of :class:`NightRow`.
    day, before
        The last night, and its figure.
    mean, num_nights
        Of the earlier nights of the week; parcels to the nearest whole one.
    change
        Against the last night, as a share of it; ``None`` where that was 0.
    """

    kind: str
    day: str
    before: float
    mean: float
    num_nights: int
    change: float | None


def read_nights(table: pl.DataFrame) -> list[NightRow]:
    """Read ``nights.parquet``, by date, with the figures that each night has."""
    return [
        NightRow(
            day=row["date"].isoformat(),
            num_orders=row["num_orders"],
            num_chosen=row["num_chosen"],
            saving=row["saving_cny"],
            each=round(row["saving_cny"] / max(1, row["num_chosen"]), 6),
            cap_use=round(row["num_chosen"] / max(1, row["sum_of_caps"]), 6),
            relative_gap=row["relative_gap"],
        )
        for row in table.sort("date").iter_rows(named=True)
    ]


@dataclass(frozen=True, slots=True)
class Trend:
    """
    A figure over some nights.

    Attributes
    ----------
    kind
        Field of :class:`NightRow`.
    line, tonight
        Its line, and its last value.
    """

    kind: str
    line: Line
    tonight: float


def week_of(nights: list[NightRow]) -> list[NightRow]:
    """The last of some nights, and those of the seven days before it."""
    if not nights:
        return []
    first = dt.date.fromisoformat(nights[-1].day) - dt.timedelta(days=NUM_DAYS)
    return [row for row in nights if row.day >= first.isoformat()]


def trends_of(nights: list[NightRow]) -> list[Trend]:
    """Draw the figures that are compared; none where there is one night."""
    days = [dt.date.fromisoformat(row.day) for row in nights]
    found = []
    for kind in COMPARED if len(nights) > 1 else ():
        values = [float(getattr(row, kind)) for row in nights]
        made = line(days, values)
        if made is not None:
            found.append(Trend(kind, made, values[-1]))
    return found


def compare(nights: list[NightRow], kind: str) -> Comparison:
    """
    Compare a figure of the last of some nights with that of the others.

    Parameters
    ----------
    nights
        Two or more, by date.
    kind
        Field of :class:`NightRow`.
    """
    *earlier, now = (float(getattr(row, kind)) for row in nights)
    mean, before = sum(earlier) / len(earlier), getattr(nights[-2], kind)
    return Comparison(
        kind,
        nights[-2].day,
        before,
        round(mean) if kind == "num_chosen" else round(mean, 6),
        len(earlier),
        relative_change(now, before) if before else None,
    )


def relative_change(now: float, before: float) -> float:
    """
    Change as a share of what was before.

    Examples
    --------
    >>> relative_change(3.0, 4.0)
    -0.25
    """
    return round((now - before) / abs(before), 9)
