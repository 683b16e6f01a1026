"""
Capacity rows as a forest of lanes.

A row names a carrier and perhaps a region and an outlet; it takes every parcel
that matches. Rows nest when, of any two that share a parcel, one holds all
parcels of the other. Then each parcel's rows form a path, and lanes a forest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.errors import DataError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray


class Place(NamedTuple):
    """
    Where parcels go: as a lane's name, ``None`` stands for all.

    ``service_date`` is there only where capacity is counted by day.
    """

    carrier_id: str
    region_id: str | None
    outlet_id: str | None
    service_date: dt.date | None = None

    def __str__(self) -> str:
        """Name the place for a message."""
        named = zip(("carrier", "region", "outlet", "day"), self, strict=True)
        return ", ".join(f"{what} {who}" for what, who in named if who)


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
        ``(num_lanes,) int32``; -1 for a root.
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
) -> Forest:
    """
    Nest the capacity rows over the places that tonight's parcels go to.

    Parameters
    ----------
    rows
        Slots of each capacity row.
    leaves
        Distinct places that options go to.
    demand
        Options at each leaf.
    is_open
        Whether a leaf without any row has room for all its demand; else for none.

    Returns
    -------
    Forest
        Lanes in an order that depends on names alone.

    Raises
    ------
    DataError
        When two rows cross: they share parcels and neither holds the other's.
    """
    paths = {leaf: rows_over(leaf, rows) for leaf in leaves}
    uncovered = [leaf for leaf in leaves if not paths[leaf]]
    room = dict(zip(leaves, demand, strict=True))
    slots = dict(rows) | {leaf: room[leaf] * is_open for leaf in uncovered}
    paths |= {leaf: [leaf] for leaf in uncovered}
    parents = _nest(paths)
    places = sorted(slots, key=lambda p: (_depth(p, parents), _sortable(p)))
    number = {place: i for i, place in enumerate(places)}
    parent_of = [parents.get(place) for place in places]
    return Forest(
        places=tuple(places),
        slots=np.array([slots[p] for p in places], np.int64),
        parent=np.array([-1 if p is None else number[p] for p in parent_of], np.int32),
        lane_of_leaf=np.array([number[paths[leaf][-1]] for leaf in leaves], np.int32),
        uncovered=tuple(sorted(uncovered, key=_sortable)),
    )


def rows_over(leaf: Place, rows: Mapping[Place, int]) -> list[Place]:
    """All rows that a leaf's parcels count against, the least specific first."""
    carrier, region, outlet, day = leaf
    ways = [(None, None), (region, None), (None, outlet), (region, outlet)]
    candidates = dict.fromkeys(Place(carrier, *way, day) for way in ways)
    return [place for place in candidates if place in rows]


def _nest(paths: dict[Place, list[Place]]) -> dict[Place, Place | None]:
    """Sort each path from wide to narrow, and find each row's one parent."""
    width = Counter(row for path in paths.values() for row in path)
    parents: dict[Place, Place | None] = {}
    for path in paths.values():
        path.sort(key=lambda row: -width[row])
        for above, row in zip([None, *path], path, strict=False):
            if parents.setdefault(row, above) != above:
                raise DataError(_crossing(row, above, parents[row]))
    return parents


def _crossing(row: Place, one: Place | None, other: Place | None) -> str:
    around = " and ".join(str(place) for place in (one, other) if place)
    return (
        f"capacity rows cross: ({row}) lies only partly inside ({around}); rows must "
        "nest, outlet in region in carrier: give each outlet row its region_id"
    )


def _depth(place: Place, parents: Mapping[Place, Place | None]) -> int:
    depth, above = 0, parents.get(place)
    while above is not None:
        depth, above = depth + 1, parents.get(above)
    return depth


def _sortable(place: Place) -> tuple[str, ...]:
    return tuple(str(part or "") for part in place)


def name_some(places: Iterable[Place], limit: int = 5) -> str:
    """Name the first few places for a message."""
    listed = [f"({place})" for place in places]
    more = f" and {len(listed) - limit:,} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more
