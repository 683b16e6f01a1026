"""
Capacity rows: some become lanes, the others side constraints.

A row names any of a carrier, a region, an outlet, a service date and further
attributes, and takes every parcel that matches all of them. Rows of a carrier, and
perhaps a region and an outlet, that nest are lanes; all others are side constraints.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optimizer.build.encode import leaf_places
from optimizer.build.lanes import FEW_NAMES, Place, crossing_rows
from optimizer.config.money import micro_cny
from optimizer.errors import DataError
from optimizer.io.kept import Kept, Same
from optimizer.model.side_constraints import HARD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.encode import NightCodes, OptionArrays, OrderArrays
    from optimizer.contracts.warnings import Named

#: Of floors, where none is given.
DEFAULT_PRIORITY = 10
_NUMBERS = ("slots", "min_parcels", "penalty_cny", "priority")
#: Most that a parcel below a floor may cost, micro-CNY: as in the configuration.
MAX_PENALTY = 10**12
_PLACE = ("carrier_id", "region_id", "outlet_id", "service_date")
_PLACES = frozenset(_PLACE)


class CapacityRow(NamedTuple):
    """
    One row of the capacity table.

    Attributes
    ----------
    wanted
        Values that it matches, by column, dates as dates; without the columns that it
        leaves open.
    slots
        Parcels that it takes.
    min_parcels
        Parcels that it must have; 0: no floor.
    penalty
        Micro-CNY for each parcel below, or ``HARD``.
    priority
        Of the floor.
    resource
        What it counts; ``None``: the load, in slots.
    """

    wanted: tuple[tuple[str, Any], ...]
    slots: int
    min_parcels: int
    penalty: int
    priority: int
    resource: str | None = None

    @property
    def place(self) -> Place | None:
        """Its name as a lane; ``None`` where it cannot be one."""
        values = dict(self.wanted)
        is_lane = "carrier_id" in values and values.keys() <= _PLACES
        if not is_lane or self.resource is not None:
            return None
        return Place._make(map(values.get, _PLACE))

    @property
    def name(self) -> str:
        """Name it for a message or a table."""
        return ", ".join(f"{what} {who}" for what, who in self.named) or "all parcels"

    @property
    def named(self) -> Named:
        """The parts that it names, each with its kind."""
        counted = [] if self.resource is None else [("resource", self.resource)]
        places = [(c.removesuffix("_id"), str(v)) for c, v in self.wanted]
        return (*places, *counted)


def read_capacity(
    capacity: pl.DataFrame,
    attributes: Sequence[str],
    resources: Sequence[str] = (),
) -> tuple[CapacityRow, ...]:
    """
    Read the checked capacity table, in an order that depends on names alone.

    Parameters
    ----------
    capacity
        The table.
    attributes
        Further columns that rows match.
    resources
        What rows may count beside slots.

    Raises
    ------
    DataError
        When a penalty or a priority has no floor, a row counts a resource that is not
        known, or one that has a floor too, or no row counts a resource.
    """
    carrier, *others = (*_PLACE, *attributes)
    given = [c for c in others if capacity[c].null_count() < len(capacity)]
    columns = [carrier, *given]
    names = zip(*(capacity[column].to_list() for column in columns), strict=True)
    numbers = zip(*(capacity[column].to_list() for column in _NUMBERS), strict=True)
    counted = capacity["resource"].to_list() if resources else [None] * len(capacity)
    rows = []
    for values, (slots, floor, penalty, priority), resource in zip(
        names, numbers, counted, strict=True
    ):
        wanted = zip(columns, values, strict=True)
        row = CapacityRow(
            tuple([pair for pair in wanted if pair[1] is not None]),
            slots,
            floor or 0,
            HARD if penalty is None else _micro(penalty),
            DEFAULT_PRIORITY if priority is None else priority,
            resource,
        )
        rows.append(row)
        if resource is not None:
            _refuse_resource(row, len(rows), resources)
        if penalty is not None or priority is not None:
            _refuse_no_floor(row, len(rows), is_ranked=priority is not None)
    for name in resources:
        if name not in counted:
            raise DataError(
                f"the capacity table: no row counts {name}, and capacity.resources "
                f"lists it: add rows with {name} under resource, or take it out"
            )
    return tuple(sorted(rows, key=by_name))


_READ: Kept[tuple[CapacityRow, ...]] = Kept(4)


def rows_of_checked(
    capacity: pl.DataFrame, attributes: Sequence[str], resources: Sequence[str]
) -> tuple[CapacityRow, ...]:
    """
    Read a table that :func:`~optimizer.io.small_tables.checked_table` gave.

    As :func:`read_capacity` does, and once where it gives the same table again.
    """
    made_from = Same(capacity), (*attributes,), (*resources,)
    if len(capacity) > FEW_NAMES:
        return read_capacity(capacity, attributes, resources)
    return _READ.get(made_from, lambda: read_capacity(capacity, *made_from[1:]))


def by_name(row: CapacityRow) -> tuple[int, tuple[tuple[str, Any], ...], str]:
    """Key to sort rows by: the names that they give, few of them first."""
    return len(row.wanted), row.wanted, row.resource or ""


def _refuse_resource(row: CapacityRow, number: int, resources: Sequence[str]) -> None:
    where = f"the capacity table, row {number:,} ({row.name})"
    if row.resource not in resources:
        near = difflib.get_close_matches(str(row.resource), resources, 1)
        hint = f"did you mean {near[0]}?" if near else "add it there, or mend the row"
        raise DataError(
            f"{where}: capacity.resources lists {', '.join(resources)}, not "
            f"{row.resource} (a row without a resource counts slots); {hint}"
        )
    if row.min_parcels:
        raise DataError(
            f"{where}: min_parcels counts parcels, and the row counts {row.resource}: "
            "give the floor in a row of its own, without resource"
        )


def _micro(amount: float) -> int:
    from decimal import Decimal

    return micro_cny(round(Decimal(repr(amount)), 6))


def _refuse_no_floor(row: CapacityRow, number: int, *, is_ranked: bool) -> None:
    if row.penalty != HARD and not row.min_parcels:
        raise DataError(
            f"the capacity table, row {number:,} ({row.name}): penalty_cny belongs to "
            "a floor; give min_parcels, or leave it empty"
        )
    if row.penalty != HARD and row.penalty > MAX_PENALTY:
        raise DataError(
            f"the capacity table, row {number:,} ({row.name}): penalty_cny is at most "
            "1,000,000; leave it empty, and the floor is kept at any price"
        )
    if row.priority > 1_000 or (is_ranked and not row.min_parcels):
        raise DataError(
            f"the capacity table, row {number:,} ({row.name}): priority belongs to a "
            "floor (min_parcels), and is at most 1,000"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """
    Distinct places, dates and attributes that options go to.

    Attributes
    ----------
    columns
        Carrier, region, outlet, day, and the columns that rules ask for.
    values
        Of each cell, by column.
    cell
        ``(k,) int32``: cell of each option.
    """

    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    cell: NDArray[np.int32]


def find_cells(orders: OrderArrays, options: OptionArrays, coder: NightCodes) -> Cells:
    """Find the cells of a night's options."""
    places, groups = leaf_places(coder), coder.groups.values()
    group: NDArray[np.int64] = np.zeros(len(options.leaf), np.int64)
    if groups:
        group = orders.group[options.order].astype(np.int64)
    packed = (options.leaf.astype(np.int64) << 32) | group
    distinct, cell = np.unique(packed, return_inverse=True)
    values = [
        (*places[code >> 32], *(groups[code & 0xFFFFFFFF] if groups else ()))
        for code in distinct.tolist()
    ]
    columns = (*_PLACE, *coder.groups.columns)
    return Cells(columns, tuple(values), cell.astype(np.int32))


def match_rows(
    rows: Sequence[CapacityRow], cells: Cells
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Find the rows that each cell counts in.

    Returns
    -------
    cell, row
        ``(k,) int64`` each: all pairs that match, by cell and row.
    """
    patterns: dict[tuple[int, ...], dict[tuple[Any, ...], list[int]]] = {}
    for number, row in enumerate(rows):
        named = tuple(cells.columns.index(column) for column, _ in row.wanted)
        values = tuple(value for _, value in row.wanted)
        patterns.setdefault(named, {}).setdefault(values, []).append(number)
    pairs = [
        (cell, number)
        for cell, values in enumerate(cells.values)
        for named, known in patterns.items()
        for number in known.get(tuple(values[at] or "" for at in named), ())
    ]
    found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def split_rows(
    rows: Iterable[CapacityRow], leaves: Sequence[Place]
) -> tuple[Mapping[Place, CapacityRow], list[CapacityRow]]:
    """Split rows into lanes, by place, and side constraints."""
    rows = tuple(rows)
    lanes = (_placed if len(rows) <= FEW_NAMES else _placed.__wrapped__)(rows)
    crossing = crossing_rows(lanes, leaves)
    if not crossing and len(lanes) == len(rows):
        return lanes, []
    placed = [(row.place, row) for row in rows]
    beside = [row for place, row in placed if place is None or place in crossing]
    kept = {place: row for place, row in lanes.items() if place not in crossing}
    return kept, beside


@lru_cache(maxsize=8)
def _placed(rows: tuple[CapacityRow, ...]) -> Mapping[Place, CapacityRow]:
    """Rows that can be lanes, by place; the same rows mostly come again."""
    placed = [(row.place, row) for row in rows]
    return MappingProxyType({place: row for place, row in placed if place is not None})
