"""Orders and options come into canonical order, as a plain sort would bring them."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.build import canonical_order
from optimizer.build.canonical_order import arrange
from optimizer.build.encode import OPEN, OptionArrays, OrderArrays
from optimizer.build.lanes import Forest, Place


@pytest.mark.parametrize("seed", range(30))
def test_arranging_is_sorting_by_merchant_key_and_lane(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Counting and small sorts give what one sort gives, with threads or without.

    Options come order by order, as of orders with their own carrier, or in any order.
    """
    monkeypatch.setattr(canonical_order, "FEW_ORDERS", 1_000 * (seed % 2))
    draw = np.random.default_rng(seed)
    num_orders, num_merchants, num_lanes = 60, 7, 5
    merchant = draw.integers(0, num_merchants, num_orders).astype(np.int32)
    status = np.where(draw.random(num_orders) < 0.8, OPEN, 1).astype(np.uint8)
    key = draw.permutation(10**6)[:num_orders].astype(np.uint64)
    orders = OrderArrays(
        row=np.arange(num_orders) * 3,
        key=key,
        folded_key=key,
        merchant=merchant,
        status=status,
    )
    ways = [
        (order, lane)
        for order in np.flatnonzero(status == OPEN).tolist()
        for lane in draw.permutation(num_lanes)[: draw.integers(0, 4)].tolist()
    ]
    if seed % 3:
        ways = [ways[i] for i in draw.permutation(len(ways))]
    saving = draw.integers(-5, 100, len(ways))
    options = OptionArrays(
        order=np.array([order for order, _ in ways], np.int64),
        leaf=np.zeros(len(ways), np.int32),
        saving=saving,
    )
    forest = Forest(
        tuple(Place("c", str(lane), None) for lane in range(num_lanes)),
        np.full(num_lanes, 3),
        np.full(num_lanes, -1, np.int32),
        np.zeros(0, np.int32),
        (),
    )
    lane = np.array([lane for _, lane in ways], np.int32)
    problem = arrange(
        orders, options, merchant, np.ones(num_merchants, np.int64), forest, lane
    )
    expected = sorted(
        np.flatnonzero(status == OPEN).tolist(), key=lambda i: (merchant[i], key[i])
    )
    assert problem.row.tolist() == [3 * i for i in expected]
    assert problem.key.tolist() == [key[i] for i in expected]
    worth = dict(zip(ways, saving.tolist(), strict=True))
    for place, order in enumerate(expected):
        mine = slice(problem.option_start[place], problem.option_start[place + 1])
        lanes = sorted(lane for i, lane in ways if i == order)
        assert problem.option_lane[mine].tolist() == lanes
        assert problem.option_saving[mine].tolist() == [worth[order, n] for n in lanes]
        start = problem.merchant_start[merchant[order]]
        assert start <= place < problem.merchant_start[merchant[order] + 1]


@pytest.mark.parametrize("num_orders", [1, 3, 40])
def test_parts_hold_each_option_once_and_no_order_twice(
    num_orders: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads never place options of one order at once; unsorted, one places all."""
    monkeypatch.setattr(canonical_order, "FEW_ORDERS", 0)
    draw = np.random.default_rng(num_orders)
    order = np.sort(draw.integers(0, num_orders, 200))
    parts = canonical_order._parts_by_order(order)
    held = [order[part].tolist() for part in parts]
    assert [one for some in held for one in some] == order.tolist()
    assert sum(len({*some}) for some in held) == len({*order.tolist()})
    assert num_orders < 40 or len(parts) > 8
    if num_orders > 1:
        assert len(canonical_order._parts_by_order(order[::-1])) == 1
