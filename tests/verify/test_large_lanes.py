"""Large lanes of a tree's leaves: filled where that decides, and nowhere else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from optimizer.verify import whole_lanes
from optimizer.verify.branches import _bounded

if TYPE_CHECKING:
    from collections.abc import Sequence


def asked(
    priced: list[int], filled: list[int], enough: int | None
) -> tuple[list[tuple[int, int]], list[int]]:
    """Bounds of leaves, and which of them were filled, in turn."""
    turns = list[int]()

    def most(nodes: Sequence[int], is_filled: bool) -> list[tuple[int, int] | None]:
        if is_filled:
            turns.extend(nodes)
        side = filled if is_filled else priced
        return [(side[node], priced[node]) for node in nodes]

    return _bounded([*range(len(priced))], most, enough), turns


def test_only_leaves_above_what_is_published_are_filled() -> None:
    """Prices are enough for leaves below the published bound: they stay as they are."""
    bounds, turns = asked([90, 104, 99, 110], [80, 98, 97, 99], enough=100)
    assert turns == [3, 1]
    assert bounds == [(90, 90), (98, 104), (99, 99), (99, 110)]


def test_the_first_leaf_that_refutes_ends_the_filling() -> None:
    """A leaf that is filled and still above: whatever follows, it is no bound."""
    bounds, turns = asked([101, 105, 110], [100, 100, 103], enough=100)
    assert turns == [2]
    assert max(least for least, _ in bounds) >= 100


@pytest.mark.parametrize("seed", range(20))
def test_a_lane_that_is_only_priced_is_bounded_by_no_less(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its price bounds what filling finds, and is the upper side of both answers."""
    monkeypatch.setattr(whole_lanes, "MAX_SLOTS", 5)
    draw = np.random.default_rng(seed)
    loads, values = draw.integers(1, 8, 30), draw.integers(1, 100, 30)
    turn = np.lexsort((-values, loads))
    worth, by_price = whole_lanes.most_worth(loads[turn], values[turn], 40)
    priced = whole_lanes.most_worth(loads[turn], values[turn], 40, is_filled=False)
    assert worth <= by_price
    assert priced == (by_price, by_price)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("scale", [1, 10**9])
def test_a_lane_of_billions_is_filled_item_by_item(
    seed: int, scale: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The greatest value is that of every choice tried, with and without a divisor."""
    monkeypatch.setattr(whole_lanes, "MAX_TABLE", 5)
    monkeypatch.setattr(whole_lanes, "MAX_SLOTS", 5)
    draw = np.random.default_rng(seed)
    loads, values = draw.integers(1, 30, 9) * scale, draw.integers(1, 60, 9) * scale
    loads += draw.integers(0, 2) * draw.integers(0, 2, 9)
    turn = np.lexsort((-values, loads))
    loads, values, slots = loads[turn], values[turn], int(loads.sum()) // 2
    plans = np.array([*itertools.product([0, 1], repeat=9)])
    best = (plans @ values)[plans @ loads <= slots].max()
    worth, by_price = whole_lanes.most_worth(loads, values, slots)
    assert worth == best <= by_price
