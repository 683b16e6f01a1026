"""Leaves of a tree, bounded beside each other: against all subsets, one by one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from optimizer.verify import leaves, whole_lanes
from optimizer.verify.leaves import Leaf, Ways, WrongTreeError, most_of_leaves


def drawn_ways(draw: np.random.Generator) -> Ways:
    """Eight options of five orders on two lanes in an outer one, with a row around."""
    num_ways, num_orders = 8, 5
    order = np.sort(draw.integers(0, num_orders, num_ways))
    lane, load = draw.integers(0, 2, num_ways), draw.integers(1, 5, num_ways) * 2
    lane_use = np.zeros((num_ways, 3), np.int64)
    lane_use[np.arange(num_ways), lane] = load
    lane_use[:, 2] = load
    return Ways(
        number={},
        order=order,
        merchant=draw.integers(0, 2, num_ways),
        lane=lane,
        load=load,
        saving=draw.integers(-5, 60, num_ways),
        lane_use=lane_use,
        row_use=draw.integers(0, 3, (num_ways, 2)),
        cap=draw.integers(1, 4, 2),
        room=np.append(draw.integers(4, 14, 2), 24),
        high=np.array([int(draw.integers(3, 9)), -1]),
        low=np.array([-1, int(draw.integers(1, 4))]),
        lowest=np.array([0, 30]),
        has_child=np.array([False, False, True]),
        must=np.isin(np.arange(num_orders), order) & (draw.random(num_orders) < 0.1),
        rows={},
        scale={
            "lanes": np.ones(3, np.int64),
            "merchants": np.ones(2, np.int64),
            "rows": np.ones(2, np.int64),
            "orders": np.ones(num_orders, np.int64),
        },
    )


def drawn_leaf(draw: np.random.Generator, ways: Ways, node: int) -> Leaf:
    """Some ways fixed, and prices of most that is limited."""
    fixed = draw.choice(len(ways.order), draw.integers(0, 4), replace=False)
    prices = {
        ("rows", 0): int(draw.integers(0, 8)),
        ("rows", 1): -int(draw.integers(9)),
    }
    prices |= {("merchants", at): int(draw.integers(0, 9)) for at in range(2)}
    prices |= {("orders", at): int(draw.integers(0, 9)) for at in range(5)}
    prices |= {("lanes", at): int(draw.integers(0, 4)) for at in range(3)}
    return Leaf(
        node=node,
        fixed=[(way, bool(draw.random() < 0.5)) for way in fixed.tolist()],
        prices=prices,
    )


def by_subsets(ways: Ways, leaf: Leaf) -> int | None:
    """The bound of the module's docstring, with each lane's best subset looked for."""
    taken = [way for way, is_in in leaf.fixed if is_in]
    left_out = [way for way, is_in in leaf.fixed if not is_in]
    orders = [int(ways.order[way]) for way in taken]
    free = [
        way
        for way in range(len(ways.order))
        if way not in left_out and ways.order[way] not in orders
    ]
    can_be = {*orders, *(int(ways.order[way]) for way in free)}
    limits = [
        *(
            (sum(ways.merchant[way] == at for way in taken), cap)
            for at, cap in enumerate(ways.cap)
        ),
        *((ways.lane_use[taken, at].sum(), room) for at, room in enumerate(ways.room)),
        *(
            (ways.row_use[taken, at].sum(), high)
            for at, high in enumerate(ways.high)
            if high >= 0
        ),
    ]
    if len({*orders}) < len(orders) or any(used > limit for used, limit in limits):
        return None
    if not {*np.flatnonzero(ways.must).tolist()} <= can_be:
        return None
    price = leaf.prices

    def value(way: int) -> int:
        used = price["lanes", 2] * ways.lane_use[way, 2]
        used += sum(price["rows", at] * ways.row_use[way, at] for at in range(2))
        used += price["merchants", int(ways.merchant[way])]
        return int(ways.saving[way] - used - price["orders", int(ways.order[way])])

    total = sum(map(value, taken)) + sum(price["orders", at] for at in range(5))
    total += sum(price["merchants", at] * int(ways.cap[at]) for at in range(2))
    total += price["lanes", 2] * int(ways.room[2])
    total += price["rows", 0] * int(ways.high[0]) + price["rows", 1] * int(ways.low[1])
    for lane in range(2):
        room = ways.room[lane] - sum(
            int(ways.load[way]) for way in taken if ways.lane[way] == lane
        )
        here = [way for way in free if ways.lane[way] == lane]
        total += max(
            sum(map(value, some))
            for num in range(len(here) + 1)
            for some in itertools.combinations(here, num)
            if sum(int(ways.load[way]) for way in some) <= room
        )
    return total


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("numbers", [1, 50, 10**6])
def test_leaves_beside_each_other_are_worth_what_their_best_subsets_are(
    seed: int, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces of any size, and with leaves among them that have no plans."""
    monkeypatch.setattr(leaves, "MAX_NUMBERS", numbers)
    draw = np.random.default_rng(seed)
    ways = drawn_ways(draw)
    some = [drawn_leaf(draw, ways, node) for node in range(20)]
    expected = [by_subsets(ways, leaf) for leaf in some]
    found = most_of_leaves(ways, some, is_filled=False)
    assert found == [None if one is None else (one, one) for one in expected]
    assert any(one is not None for one in expected)


@pytest.mark.parametrize("seed", range(10))
def test_large_lanes_are_between_their_best_subset_and_its_price(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filled, the lower side is exact; only priced, no side is below it."""
    monkeypatch.setattr(leaves, "MAX_SLOTS", 2)
    monkeypatch.setattr(whole_lanes, "MAX_SLOTS", 2)
    draw = np.random.default_rng(seed)
    ways = drawn_ways(draw)
    some = [drawn_leaf(draw, ways, node) for node in range(20)]
    filled = most_of_leaves(ways, some, is_filled=True)
    priced = most_of_leaves(ways, some, is_filled=False)
    for leaf, exact, bound in zip(some, filled, priced, strict=True):
        expected = by_subsets(ways, leaf)
        if expected is None:
            assert exact is bound is None
            continue
        assert exact is not None
        assert bound is not None
        assert exact[0] == expected <= exact[1]
        assert bound[0] == bound[1] >= expected


@pytest.mark.parametrize(
    "prices",
    [
        {("lanes", 0): -1},
        {("merchants", 1): -1},
        {("rows", 1): 1},  # without a ceiling
        {("rows", 0): -1},  # without a floor
        {("rows", 1): -31},  # below the floor's penalty
        {("orders", 4): -1},  # not a pin
    ],
)
def test_prices_that_bound_nothing_are_named_by_their_node(
    prices: dict[tuple[str, int], int],
) -> None:
    """One wrong price among many leaves is found, and its node is told."""
    ways = drawn_ways(np.random.default_rng(1))
    ways = replace(ways, must=np.zeros_like(ways.must))
    some = [Leaf(node=7, fixed=[], prices={}), Leaf(node=9, fixed=[], prices=prices)]
    with pytest.raises(WrongTreeError, match="node 9"):
        most_of_leaves(ways, some, is_filled=False)


def test_a_load_says_nothing_about_prices_of_other_limits() -> None:
    """Beside a load of 10¹² a limit that it does not count in may have its price."""
    ways = drawn_ways(np.random.default_rng(1))
    use = ways.lane_use.copy()
    use[0, ways.lane[0]] = 10**12
    leaf = Leaf(node=3, fixed=[], prices={("rows", 0): 10**7})
    light = most_of_leaves(ways, [leaf], is_filled=False)
    heavy = most_of_leaves(replace(ways, lane_use=use), [leaf], is_filled=False)
    assert heavy == light != [None]


def test_prices_beyond_64_bits_are_refused() -> None:
    """No sum wraps around to a bound that looks good."""
    ways = drawn_ways(np.random.default_rng(1))
    leaf = Leaf(node=3, fixed=[], prices={("lanes", 2): 2**58})
    with pytest.raises(WrongTreeError, match="beyond any saving"):
        most_of_leaves(ways, [leaf], is_filled=False)
    ways = replace(ways, saving=np.full(8, 2**58))
    with pytest.raises(WrongTreeError, match="beyond any saving"):
        most_of_leaves(ways, [replace(leaf, prices={})], is_filled=False)
