"""Capacity rows as a forest: nested, in any order; those that cross are not lanes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations, permutations

import numpy as np
import pytest

from optimizer.build.lanes import Forest, Place, build_forest, crossing_rows


def places(*names: str) -> list[Place]:
    """Places from words such as ``yunda/north/o1``; a dash stands for all."""
    split = [[*name.split("/"), "-", "-"][:3] for name in names]
    return [
        Place(*(None if part == "-" else part for part in parts)) for parts in split
    ]


def forest_of(
    rows: Iterable[str], leaves: Iterable[str], *, is_open: bool = False
) -> Forest:
    """A forest whose rows have 1, 2, 3 ... slots in the order given."""
    slots = {place: number for number, place in enumerate(places(*rows), 1)}
    went = places(*leaves)
    return build_forest(slots, went, [7] * len(went), is_open=is_open)


def shown(forest: Forest) -> dict[Place, tuple[int, Place | None]]:
    """Slots and parent of each lane, by name."""
    above = [None if p < 0 else forest.places[p] for p in forest.parent]
    return dict(
        zip(forest.places, zip(forest.slots.tolist(), above, strict=True), strict=True)
    )


def path(forest: Forest, leaf: int) -> list[Place]:
    """The lanes of a leaf, from the deepest up."""
    lane, found = int(forest.lane_of_leaf[leaf]), []
    while lane >= 0:
        found.append(forest.places[lane])
        lane = int(forest.parent[lane])
    return found


def matches(row: Place, leaf: Place) -> bool:
    """Whether a leaf's parcels count against a row."""
    return row.carrier_id == leaf.carrier_id and all(
        wanted is None or wanted == given
        for wanted, given in zip(row[1:], leaf[1:], strict=True)
    )


def cross(rows: Iterable[Place], leaves: Iterable[Place]) -> bool:
    """Whether two rows share parcels and neither holds all of the other's."""
    held = [{leaf for leaf in leaves if matches(row, leaf)} for row in rows]
    return any(a & b and a - b and b - a for a, b in combinations(held, 2))


ROWS = ["yunda", "yunda/north", "yunda/north/o1", "yunda/south", "zhongtong/north"]
LEAVES = ["yunda/north/o1", "yunda/north/o2", "yunda/east/o9", "zhongtong/north/-"]


def test_outlet_lies_in_region_and_region_in_carrier():
    """Each row's parent is the next wider row; each place's lane the narrowest."""
    forest = forest_of(ROWS, LEAVES)
    carrier, north, outlet, south, other = places(*ROWS)
    assert shown(forest) == {
        carrier: (1, None),
        north: (2, carrier),
        outlet: (3, north),
        south: (4, carrier),
        other: (5, None),
    }
    deepest = [forest.places[lane] for lane in forest.lane_of_leaf]
    assert deepest == [outlet, north, carrier, other]
    assert forest.uncovered == ()


def test_a_row_without_parcels_lies_in_the_rows_around_it():
    """In its region's row, else in its outlet's, else in its carrier's, if any."""
    rows = [
        "a",
        "a/n",
        "a/-/o1",
        "a/n/o1",
        "a/m/o1",
        "a/m/o2",
        "b/n",
        "b/n/o1",
        "c/n/o1",
    ]
    forest = forest_of(rows, ["a/s/o9", "a/n/o2", "c/n/-"])
    _, region, outlet, *_ = named = places(*rows)
    carrier = named[0]
    found = {place: above for place, (_, above) in shown(forest).items()}
    expected = [None, carrier, carrier, region, outlet, carrier, None, named[6], None]
    assert found == dict(zip(named, expected, strict=True)) | {places("c/n")[0]: None}


def test_the_order_of_rows_and_places_does_not_matter():
    """All permutations of rows give the same lanes with the same numbers."""
    expected = forest_of(ROWS, LEAVES)
    slots = {place: number for number, place in enumerate(places(*ROWS), 1)}
    leaves = places(*LEAVES)
    for order in permutations(slots):
        turned = {place: slots[place] for place in order}
        found = build_forest(turned, leaves[::-1], [7] * 4, is_open=False)
        assert found.places == expected.places
        assert np.array_equal(found.slots, expected.slots)
        assert np.array_equal(found.parent, expected.parent)
        assert np.array_equal(found.lane_of_leaf[::-1], expected.lane_of_leaf)


@pytest.mark.parametrize(("is_open", "room"), [(False, 0), (True, 7)])
def test_a_place_without_a_row_has_no_room_unless_configured(is_open: bool, room: int):
    """It becomes a lane of its own: with 0 slots, or with room for all its orders."""
    forest = forest_of(["zhongtong"], ["yunda/north/o1"], is_open=is_open)
    (lane,) = places("yunda/north/o1")
    assert forest.uncovered == (lane,)
    assert shown(forest)[lane] == (room, None)
    assert path(forest, 0) == [lane]


def test_an_outlet_of_one_region_may_leave_its_region_out():
    """It holds the parcels of one region only, so it nests in that region."""
    rows = ["yunda/north", "yunda/-/o1", "yunda/south"]
    forest = forest_of(rows, ["yunda/north/o1", "yunda/north/o2", "yunda/south/o3"])
    north, outlet, _ = places(*rows)
    assert path(forest, 0) == [outlet, north]
    assert path(forest, 1) == [north]


def test_of_rows_that_cross_the_outlets_is_no_lane():
    """An outlet of two regions has parcels inside and outside of a region's row."""
    rows = places("yunda/north", "yunda/-/o1")
    leaves = places("yunda/north/o1", "yunda/north/o2", "yunda/south/o1")
    assert crossing_rows(rows, leaves) == {rows[1]}
    assert crossing_rows(rows, leaves[:2]) == set()
    assert crossing_rows(rows[1:], leaves) == set()


def draw_forest(seed: int) -> tuple[dict[Place, int], list[Place]]:
    """Draw rows and places with few names, so that they meet."""
    draw = np.random.default_rng(seed)
    regions, outlets = ["north", "south", None], ["o1", "o2", None]

    def pick() -> Place:
        region, outlet = (names[draw.integers(3)] for names in (regions, outlets))
        return Place("yunda" if draw.random() < 0.8 else "zhongtong", region, outlet)

    rows = {pick(): int(draw.integers(9)) for _ in range(draw.integers(2, 7))}
    leaves = [pick() for _ in range(draw.integers(4, 12))]
    return rows, list(
        dict.fromkeys(p._replace(region_id=p[1] or "east") for p in leaves)
    )


def test_every_random_forest_holds_exactly_the_rows_that_match():
    """
    In 500 random nights each place's path up the forest is the set of rows that
    match it, narrow before wide; rows are left out exactly where some cross.
    """
    num_crossing = 0
    for seed in range(500):
        rows, leaves = draw_forest(seed)
        left_out = crossing_rows(rows, leaves)
        assert bool(left_out) == cross(rows, leaves), seed
        num_crossing += bool(left_out)
        rows = {row: slots for row, slots in rows.items() if row not in left_out}
        assert not cross(rows, leaves), seed
        forest = build_forest(rows, leaves, [1] * len(leaves), is_open=False)
        check_paths(forest, rows, leaves, seed)
    assert num_crossing > 30


def check_paths(
    forest: Forest, rows: Mapping[Place, int], leaves: list[Place], seed: int
) -> None:
    """Hold each leaf's path against the rows that match it."""
    assert all(forest.parent < np.arange(len(forest.parent))), seed
    for number, leaf in enumerate(leaves):
        own = [row for row in rows if matches(row, leaf)]
        found = path(forest, number)
        assert set(found) == set(own or [leaf]), (seed, leaf)
        widths = [sum(matches(row, other) for other in leaves) for row in found]
        assert widths == sorted(widths), (seed, leaf)
        assert (leaf in forest.uncovered) == (not own), (seed, leaf)


def test_the_same_names_come_with_other_slots() -> None:
    """Rows that nest as those before have their own slots, and share no array."""
    leaves = [Place("yunda", "north", None), Place("yunda", "south", None)]
    rows = {Place("yunda", None, None): 5, Place("yunda", "north", None): 2}
    first = build_forest(rows, leaves, [3, 4], is_open=False)
    other = {place: slots + 1 for place, slots in rows.items()}
    second = build_forest(other, leaves, [3, 4], is_open=False)
    assert first.places == second.places
    assert (first.slots + 1).tolist() == second.slots.tolist() == [6, 3]
    with pytest.raises(ValueError, match="read-only"):
        first.parent[0] = 7
