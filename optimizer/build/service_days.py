"""Capacity by day: which rows hold on a day, and how many slots are left of them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from optimizer.build.capacity import by_name
from optimizer.build.lanes import Place
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Sequence

    from optimizer.build.capacity import CapacityRow
    from optimizer.build.carryover import EarlierNights
    from optimizer.config import CapacityRules


def rows_tonight(
    rows: Sequence[CapacityRow],
    rules: CapacityRules,
    days: Collection[dt.date],
    history: EarlierNights,
) -> tuple[tuple[CapacityRow, ...], dict[Place, int]]:
    """
    Capacity rows with the slots left for tonight, and those already taken.

    A row with a date holds on that day, and replaces a row without one there; a row
    without a date holds on every day. Peaks multiply, rounded down. Then the slots of
    other nights' parcels that match the row are subtracted, down to 0; they count
    towards a floor as well. Further attributes of other nights' parcels are not known,
    so a row that names an attribute loses no slots to them.

    Parameters
    ----------
    rows
        Of the checked table, by :func:`~optimizer.build.capacity.by_name`.
    rules
        With the peaks.
    days
        Days on which tonight's parcels take slots; empty where days are not counted.
    history
        With the parcels in flight.

    Returns
    -------
    rows, taken
        Rows in an order that depends on names alone; slots that are taken from those
        that may be lanes, by place; none where no parcels are in flight.

    Raises
    ------
    ConfigError
        When there are peaks, and the business date was not given.
    """
    if rules.peaks and not days and history.day is None:
        raise ConfigError("capacity.peaks are by date: give the date=")
    flights = _in_flight(history)
    if not (flights or rules.peaks or days):
        return tuple(rows), {}
    left: list[CapacityRow] = []
    by_place: dict[Place, int] = {}
    for row in _expand(rows, days):
        flown = flights if row.resource is None else ()
        taken = sum(count for place, count in flown if _holds(row, place))
        slots = max(0, at_peak(row, rules, history.day) - taken)
        floor = max(0, row.min_parcels - taken)
        left.append(row._replace(slots=slots, min_parcels=floor))
        if row.place is not None:
            by_place[row.place] = taken
    return tuple(sorted(left, key=by_name)), by_place


def at_peak(row: CapacityRow, rules: CapacityRules, day: dt.date | None) -> int:
    """Multiply slots by the factors of the peaks that hold on a day, rounded down."""
    wanted = dict(row.wanted)
    day = wanted.get("service_date", day)
    exact = Fraction(row.slots)
    for peak in rules.peaks:
        is_carrier = not peak.carriers or wanted.get("carrier_id") in peak.carriers
        if day is not None and is_carrier and peak.first <= day <= peak.last:
            exact *= Fraction(peak.factor)
    return exact.numerator // exact.denominator


def _holds(row: CapacityRow, place: Place) -> bool:
    """Whether a row takes all parcels of a place, as far as these are known."""
    known = place._asdict()
    return all(column in known and known[column] == v for column, v in row.wanted)


def _expand(
    rows: Sequence[CapacityRow], days: Collection[dt.date]
) -> Iterable[CapacityRow]:
    """Rows by day; a row of the day goes before one of any day."""
    if not days:
        return rows
    found: dict[tuple[Any, str | None], CapacityRow] = {}
    for row in rows:
        if "service_date" not in dict(row.wanted):
            dated = [_on_day(row, day) for day in days]
            found |= {(one.wanted, one.resource): one for one in dated}
    given = [row for row in rows if dict(row.wanted).get("service_date") in days]
    return (found | {(row.wanted, row.resource): row for row in given}).values()


def _on_day(row: CapacityRow, day: dt.date) -> CapacityRow:
    wanted = dict(row.wanted) | {"service_date": day}
    place = [
        (column, wanted.pop(column)) for column in Place._fields if column in wanted
    ]
    return row._replace(wanted=(*place, *wanted.items()))


def _in_flight(history: EarlierNights) -> list[tuple[Place, int]]:
    if history.in_flight is None:
        return []
    columns = history.in_flight.select(*Place._fields, "num_slots")
    return [(Place(*place), count) for *place, count in columns.iter_rows()]
