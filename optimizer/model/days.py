"""Capacity by day: which day's slots a parcel takes, and how many are left of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from optimizer.errors import ConfigError
from optimizer.model.lanes import Place, rows_over

if TYPE_CHECKING:
    from collections.abc import Collection

    import polars as pl

    from optimizer.config import CapacityRules
    from optimizer.model.history import History

_PLACE = ("carrier_id", "region_id", "outlet_id", "service_date")


@dataclass(frozen=True, slots=True)
class ServiceDay:
    """
    Which day's slot an order takes.

    Attributes
    ----------
    column
        Of the orders table; ``None``: the default for all.
    default
        For orders without a date of their own.
    """

    column: str | None
    default: dt.date


def service_day(
    rules: CapacityRules, capacity: pl.DataFrame, day: dt.date | None
) -> ServiceDay | None:
    """
    Find which day's slots tonight's parcels take.

    Returns
    -------
    ServiceDay or None
        ``None`` where capacity is not counted by day: it is counted on the day of the
        order, and no row has a date.

    Raises
    ------
    ConfigError
        When it is counted by day, and the business date was not given.
    """
    is_by_order = rules.counted_on == "order"
    if is_by_order and capacity["service_date"].is_null().all():
        return None
    if day is None:
        raise ConfigError("capacity is counted by day: give the date=")
    column = None if is_by_order else f"{rules.counted_on}_date"
    return ServiceDay(column, day + dt.timedelta(days=rules.lead_days))


def slots_by_place(
    capacity: pl.DataFrame,
    rules: CapacityRules,
    days: Collection[dt.date],
    history: History,
) -> tuple[dict[Place, int], dict[Place, int]]:
    """
    Slots of each place and day that are left to tonight, and those already taken.

    A row with a date holds on that day, and there instead of a row without one; a row
    without holds on every day. Peaks multiply, rounded down; then parcels of other
    nights that are inside of the row are taken off, down to 0.

    Parameters
    ----------
    capacity
        The checked table.
    rules
        With the peaks.
    days
        On which tonight's parcels take slots; empty where it is not counted by day.
    history
        With the parcels in flight.

    Returns
    -------
    slots, taken
        By place.

    Raises
    ------
    ConfigError
        When there are peaks, and the business date was not given.
    """
    if rules.peaks and not days and history.day is None:
        raise ConfigError("capacity.peaks are by date: give the date=")
    rows = _expand(capacity, days)
    taken = dict.fromkeys(rows, 0)
    for place, count in _in_flight(history):
        for row in rows_over(place, rows):
            taken[row] += count
    slots = {
        place: max(0, at_peak(count, place, rules, place.service_date or history.day))
        for place, count in rows.items()
    }
    return {p: max(0, n - taken[p]) for p, n in slots.items()}, taken


def at_peak(slots: int, place: Place, rules: CapacityRules, day: dt.date | None) -> int:
    """Multiply slots by the factors of the peaks that hold on a day, rounded down."""
    exact = Fraction(slots)
    for peak in rules.peaks:
        is_carrier = not peak.carriers or place.carrier_id in peak.carriers
        if day is not None and is_carrier and peak.first <= day <= peak.last:
            exact *= Fraction(peak.factor)
    return exact.numerator // exact.denominator


def _expand(capacity: pl.DataFrame, days: Collection[dt.date]) -> dict[Place, int]:
    """Slots by place and day; a row of the day goes before one of any day."""
    given = {
        Place(*place): slots
        for *place, slots in capacity.select(*_PLACE, "slots").iter_rows()
    }
    if not days:
        return given
    any_day = {place: n for place, n in given.items() if place.service_date is None}
    rows = {p._replace(service_date=day): n for p, n in any_day.items() for day in days}
    return rows | {p: n for p, n in given.items() if p.service_date in days}


def _in_flight(history: History) -> list[tuple[Place, int]]:
    if history.in_flight is None:
        return []
    columns = history.in_flight.select(*_PLACE, "num_parcels")
    return [(Place(*place), count) for *place, count in columns.iter_rows()]
