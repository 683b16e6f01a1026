"""A changed night is repaired to the plan and prices that a solve of it gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.certificate import certify
from optimizer.model.lane_tree import effective_price
from optimizer.model.problem import Problem
from optimizer.model.solution import SolveParams
from optimizer.solvers import solve
from optimizer.solvers.network import repair as module
from optimizer.solvers.network.repair import NearOrders, near_orders, repair
from optimizer.testing import random_problem
from tests.support.examples import examples

NIGHTS = {
    "seed": st.integers(0, 2**32),
    "num_orders": st.integers(1, 150),
    "num_merchants": st.integers(1, 10),
    "num_lanes": st.integers(1, 10),
    "most_saving": st.sampled_from([2, 6, 10**6]),
}


def solved(seed: int, **sizes: int) -> tuple[Problem, NearOrders, SolveParams]:
    """A night in canonical order, its near orders, and its prices to start from."""
    night = random_problem(np.random.default_rng(seed), **sizes)
    night = replace(night, key=np.sort(night.key))
    found = solve(night, "auto", SolveParams())
    price = effective_price(found.lane_price, night.lane_parent)
    return night, near_orders(night, found), SolveParams(start_price=price)


def changed(night: Problem, seed: int) -> Problem:
    """Other slots on some lanes, lifted or closed ones among them, and other caps."""
    draw = np.random.default_rng(seed + 1)
    slots, cap = night.slots.copy(), night.cap
    lanes = draw.choice(
        night.num_lanes, draw.integers(1, night.num_lanes + 1), replace=False
    )
    slots[lanes] = draw.choice([0, 1, 3, 20, 10**9], len(lanes))
    if draw.random() < 0.5:
        cap = np.maximum(0, cap + draw.integers(-2, 3, night.num_merchants))
    return replace(night, slots=slots, cap=cap)


@examples(60)
@given(**NIGHTS)
def test_a_repair_is_what_a_solve_gives(seed: int, **sizes: int) -> None:
    """Plan, lane prices and cap prices are those of a cold solve, and proved."""
    night, near, params = solved(seed, **sizes)
    later = changed(night, seed)
    found = repair(later, near, params)
    assert found is not None
    cold = solve(later, "auto", SolveParams())
    assert certify(later, found.solution).is_optimal
    for name in ("chosen", "lane_price", "merchant_price"):
        assert np.array_equal(getattr(found.solution, name), getattr(cold, name)), name


def far_night() -> tuple[Problem, NearOrders, SolveParams]:
    """
    Merchants of one place each; the best order goes by a dear lane, the second by
    another, and the third is far below its price.
    """
    count = 12
    saving = np.tile([1_000, 900, 300], count)
    night = Problem(
        merchant_start=np.arange(0, 3 * count + 1, 3),
        cap=np.ones(count, np.int64),
        option_start=np.arange(3 * count + 1),
        option_lane=np.tile([0, 0, 1], count).astype(np.int32),
        option_saving=saving + np.repeat(np.arange(count), 3),
        slots=np.array([count, 0]),
        lane_parent=np.full(2, -1, np.int32),
        key=np.arange(3 * count, dtype=np.uint64),
        row=np.arange(3 * count),
    )
    found = solve(night, "auto", SolveParams())
    price = effective_price(found.lane_price, night.lane_parent)
    none = near_orders(night, found)
    # As on a large night, where a screen keeps few: only the two best of each.
    order = np.flatnonzero(np.arange(3 * count) % 3 < 2)
    left = (night.option_saving - price[night.option_lane])[2::3]
    return night, NearOrders(order, none.price, left), SolveParams(start_price=price)


def test_orders_far_from_their_price_are_looked_at_where_it_falls() -> None:
    """A closed lane opens and the other closes: what was left out is chosen."""
    night, near, params = far_night()
    later = replace(night, slots=night.slots[::-1].copy())
    found = repair(later, near, params)
    assert found is not None
    assert found.num_merchants == 12
    assert found.solution.chosen.tolist() == list(range(2, 36, 3))
    assert certify(later, found.solution).is_optimal


def test_a_change_that_reaches_nobody_looks_at_nobody() -> None:
    """One slot more than anybody takes: no merchant's other orders are read."""
    night, near, params = far_night()
    found = repair(replace(night, slots=np.array([13, 0])), near, params)
    assert found is not None
    assert found.num_merchants == 0


def test_a_screen_that_promises_too_much_is_caught_by_the_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Planted: falls of prices are forgotten; the gap of the proof shows it."""
    night, near, params = far_night()
    later = replace(night, slots=night.slots[::-1].copy())

    def blind(near: NearOrders, price: np.ndarray, cap: np.ndarray) -> np.ndarray:
        return np.flatnonzero(near.left > cap)

    monkeypatch.setattr(module, "_doubted", blind)
    hopeful = replace(near, left=np.full_like(near.left, -1))
    found = repair(later, hopeful, params)
    assert found is not None
    proof = certify(later, found.solution)
    assert proof.is_feasible
    assert proof.gap > 0
