"""The night compared with those of the week before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

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
