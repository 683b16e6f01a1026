"""Lanes within lanes: each sum is what walking from a lane to its root gives."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.model.lane_tree import (
    ancestors,
    effective_price,
    lane_use,
    least_slots,
    own_price,
)

Forest = tuple[np.random.Generator, np.ndarray]


@pytest.fixture(params=range(30))
def forest(request: pytest.FixtureRequest) -> Forest:
    """Up to twelve lanes in a random order, each within another or a root."""
    draw = np.random.default_rng(request.param)
    count = int(draw.integers(1, 13))
    name = draw.permutation(count)
    parent = np.full(count, -1, np.int32)
    for place in range(1, count):
        if draw.random() < 0.7:
            parent[name[place]] = name[draw.integers(0, place)]
    return draw, parent


def path(parent: np.ndarray, lane: int) -> list[int]:
    """A lane, and those around it."""
    return [lane, *path(parent, int(parent[lane]))] if lane >= 0 else []


def test_ancestors_are_those_met_on_the_way_up(forest: Forest) -> None:
    """At each height every lane that has one is listed with it, and no other."""
    _, parent = forest
    found = [
        (height, lane, above)
        for height, pair in enumerate(ancestors(parent), start=1)
        for lane, above in zip(*map(np.ndarray.tolist, pair), strict=True)
    ]
    expected = [
        (height, lane, above)
        for lane in range(len(parent))
        for height, above in enumerate(path(parent, lane)[1:], start=1)
    ]
    assert sorted(found) == sorted(expected)


def test_a_parcel_pays_all_lanes_around_it(forest: Forest) -> None:
    """The effective price is the sum along the way; own prices come back from it."""
    draw, parent = forest
    own = draw.integers(-5, 20, len(parent))
    total = effective_price(own, parent)
    assert total.tolist() == [int(own[path(parent, i)].sum()) for i in range(len(own))]
    assert own_price(total, parent).tolist() == own.tolist()


def test_a_lane_can_take_no_more_than_those_around_it(forest: Forest) -> None:
    """The least slots along the way."""
    draw, parent = forest
    slots = draw.integers(0, 9, len(parent))
    least = [int(slots[path(parent, lane)].min()) for lane in range(len(parent))]
    assert least_slots(slots, parent).tolist() == least


@pytest.mark.parametrize("is_loaded", [False, True])
def test_a_parcel_uses_every_lane_around_it(forest: Forest, is_loaded: bool) -> None:
    """One slot of each, or as many as it takes; counted one by one."""
    draw, parent = forest
    chosen = draw.integers(0, len(parent), 20).astype(np.int32)
    load = draw.integers(1, 5, 20) if is_loaded else np.ones(20, np.int64)
    used = [0] * len(parent)
    for lane, slots in zip(chosen.tolist(), load.tolist(), strict=True):
        for around in path(parent, lane):
            used[around] += slots
    assert lane_use(chosen, parent, load if is_loaded else None).tolist() == used
