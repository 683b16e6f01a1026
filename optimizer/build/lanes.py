"""
Capacity rows as a forest of lanes.

A row names a carrier and perhaps a region and an outlet; it takes every parcel
that matches. Rows nest when, of any two that share a parcel, one holds all
parcels of the other. Then each parcel's rows form a path, and lanes a forest. Rows
that do not nest become side constraints (:mod:`optimizer.build.capacity`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optimizer.contracts.columns import polars_type

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.contracts.columns import Kind
    from optimizer.contracts.warnings import Named


class Place(NamedTuple):
    """
    Where parcels go; in a lane's name ``None`` means all.

    ``service_date`` is set only where capacity is counted by day.
    """

    carrier_id: str
    region_id: str | None
    outlet_id: str | None
    service_date: dt.date | None = None

    def __str__(self) -> str:
        """Name the place for a message."""
        return ", ".join(f"{what} {who}" for what, who in self.named)

    @property
    def named(self) -> Named:
        """The parts that it names, each with its kind."""
        parts = zip(("carrier", "region", "outlet", "day"), self, strict=True)
        return tuple((what, str(who)) for what, who in parts if who)


#: Columns that name a place.
PLACE: dict[str, Kind] = {
    "carrier_id": "id",
    "region_id": "id",
    "outlet_id": "id",
    "service_date": "date",
}


def places_frame(places: Sequence[Place]) -> pl.DataFrame:
    """Columns ``carrier_id``, ``region_id``, ``outlet_id``, ``service_date``."""
    import polars as pl

    schema = {name: polars_type(kind) for name, kind in PLACE.items()}
    return pl.DataFrame([tuple(place) for place in places], schema, orient="row")


#: Of more names nothing is kept for the next night.
FEW_NAMES = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """
    The lanes of a night.

    Attributes
    ----------
    places
        The lanes' names, parents before children.
    slots
        ``(num_lanes,) int64``.
    parent
        ``(num_lanes,) int32``; -1 for a root. A row that no parcel falls in has a
        parent too: one more slot around it is one more in that.
    lane_of_leaf
        ``(num_leaves,) int32``: the deepest lane of each place that parcels go to.
    uncovered
        Places that parcels go to and no capacity row covers.
    """

    places: tuple[Place, ...]
    slots: NDArray[np.int64]
    parent: NDArray[np.int32]
    lane_of_leaf: NDArray[np.int32]
    uncovered: tuple[Place, ...]


def build_forest(
    rows: Mapping[Place, int],
    leaves: Sequence[Place],
    demand: Sequence[int],
    *,
    is_open: bool,
    covered: Collection[Place] = (),
) -> Forest:
    """
    Nest the capacity rows over the places that tonight's parcels go to.

    Parameters
    ----------
    rows
        Slots of each capacity row; they nest (see :func:`crossing_rows`).
    leaves
        Distinct places that options go to.
    demand
        Options at each leaf.
    is_open
        Whether a leaf without any row has room for all its demand; else for none.
    covered
        Leaves that side constraints limit: without a row here they have room.

    Returns
    -------
    Forest
        Lanes in an order that depends on names alone.
    """
    is_small = len(rows) + len(leaves) <= FEW_NAMES
    nested = (_nested if is_small else _nested.__wrapped__)(tuple(rows), tuple(leaves))
    slots = dict(rows)
    if nested.loose:
        room = dict(zip(leaves, demand, strict=True))
        slots |= {
            leaf: room[leaf] * (is_open or leaf in covered) for leaf in nested.loose
        }
    return Forest(
        places=nested.places,
        slots=np.array([slots[place] for place in nested.places], np.int64),
        parent=nested.parent,
        lane_of_leaf=nested.lane_of_leaf,
        uncovered=tuple(leaf for leaf in nested.loose if leaf not in covered),
    )


class _Nested(NamedTuple):
    """A forest by its names alone; ``loose`` are leaves without any row, sorted."""

    places: tuple[Place, ...]
    parent: NDArray[np.int32]
    lane_of_leaf: NDArray[np.int32]
    loose: tuple[Place, ...]


@lru_cache(maxsize=4)
def _nested(rows: tuple[Place, ...], leaves: tuple[Place, ...]) -> _Nested:
    """Nest rows by their names, which mostly come again with other slots."""
    names = {row: row for row in rows}
    paths = {leaf: rows_over(leaf, names) for leaf in leaves}
    loose = sorted((leaf for leaf in leaves if not paths[leaf]), key=_sortable)
    paths |= {leaf: [leaf] for leaf in loose}
    parents = _nest(paths)
    parents |= {row: _around(row, names) for row in rows if row not in parents}
    everything = dict.fromkeys((*rows, *loose))
    order = {place: (_depth(place, parents), _sortable(place)) for place in everything}
    places = sorted(everything, key=order.__getitem__)
    number = {place: i for i, place in enumerate(places)}
    parent_of = [parents.get(place) for place in places]
    parent = np.array([-1 if p is None else number[p] for p in parent_of], np.int32)
    lane = np.array([number[paths[leaf][-1]] for leaf in leaves], np.int32)
    for array in (parent, lane):
        array.flags.writeable = False
    return _Nested(tuple(places), parent, lane, tuple(loose))


def crossing_rows(rows: Iterable[Place], leaves: Sequence[Place]) -> set[Place]:
    """
    Rows to leave out of the lanes, so that the others nest.

    Only rows for an outlet in all regions can cross others: rows for a region that has
    some but not all of the outlet's parcels, and other parcels too. Of two rows that
    cross, the outlet's is left out. Rows of different days share no parcel.
    """
    wide = [row for row in rows if row.outlet_id and not row.region_id]
    if not wide:
        return set()
    regions = {
        (row.carrier_id, row.region_id, row.service_date)
        for row in rows
        if row.region_id and not row.outlet_id
    }
    by_outlet: dict[tuple[object, ...], set[str | None]] = {}
    by_region: dict[tuple[object, ...], set[str | None]] = {}
    for carrier, region, outlet, day in leaves:
        by_outlet.setdefault((carrier, outlet, day), set()).add(region)
        by_region.setdefault((carrier, region, day), set()).add(outlet)
    found = set()
    for row in wide:
        carrier, _, outlet, day = row
        there = by_outlet.get((carrier, outlet, day), set())
        for region in there:
            has_row = (carrier, region, day) in regions
            if has_row and len(there) > 1 and len(by_region[carrier, region, day]) > 1:
                found.add(row)
    return found


def rows_over(leaf: Place, names: Mapping[Any, Place]) -> list[Place]:
    """
    All rows that a leaf's parcels count against, the least specific first.

    Parameters
    ----------
    leaf
        Where they go.
    names
        Each row by itself: a plain tuple finds it, and is made in no time.
    """
    carrier, region, outlet, day = leaf
    ways: list[tuple[object, ...]] = [(carrier, None, None, day)]
    if region is not None:
        ways.append((carrier, region, None, day))
    if outlet is not None:
        ways.append((carrier, None, outlet, day))
        if region is not None:
            ways.append(leaf)
    return [names[place] for place in ways if place in names]


def _nest(paths: dict[Place, list[Place]]) -> dict[Place, Place | None]:
    """Sort each path from wide to narrow, and find each row's one parent."""
    width = Counter(chain.from_iterable(paths.values()))
    parents: dict[Place, Place | None] = {}
    for path in paths.values():
        if len(path) > 1:
            path.sort(key=width.__getitem__, reverse=True)
        above: Place | None = None
        for row in path:
            parents[row] = above
            above = row
    return parents


def _around(row: Place, rows: Mapping[Place, Any]) -> Place | None:
    """The row around one that no parcel falls in: its region's, else its outlet's."""
    carrier, region, outlet, day = row
    ways: list[tuple[str | None, str | None]]
    ways = [(region, None), (None, outlet), (None, None)]
    wider = [(carrier, *way, day) for way in ways]
    found = (place for place in wider if place in rows and place != row)
    return next(map(Place._make, found), None)


def _depth(place: Place, parents: Mapping[Place, Place | None]) -> int:
    depth, above = 0, parents.get(place)
    while above is not None:
        depth, above = depth + 1, parents.get(above)
    return depth


def _sortable(place: Place) -> tuple[str, ...]:
    carrier, region, outlet, day = place
    return carrier or "", region or "", outlet or "", str(day or "")
