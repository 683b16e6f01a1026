"""Small nights are balanced at once: the same plans and prices as by every method."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.certify.certificate import certify
from optimizer.model.lane_tree import least_slots
from optimizer.model.problem import Problem
from optimizer.model.solution import SolveParams
from optimizer.solvers import choose_method, solve
from optimizer.solvers.baselines.flow import solve_flow
from optimizer.solvers.market import whole_market
from optimizer.solvers.network import direct
from optimizer.solvers.network.direct import live_orders, solve_directly
from optimizer.testing import random_problem


def night(seed: int, **sizes: int) -> Problem:
    """A night of any shape: nested or not, tied or not, scarce or not."""
    draw = np.random.default_rng(seed)
    shape = {
        "num_orders": int(draw.integers(0, 60)),
        "num_merchants": int(draw.integers(1, 8)),
        "num_lanes": int(draw.integers(1, 9)),
        "most_saving": int(draw.choice([3, 40, 10_000])),
    }
    return random_problem(draw, **(shape | sizes))


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_it_is_the_optimum_with_the_least_prices(seed: int) -> None:
    """Worth as much as a minimum cost flow, with the very prices that prove that."""
    problem = night(seed)
    found, plain = solve_directly(problem), solve_flow(problem, SolveParams())
    assert found is not None
    assert certify(problem, found).is_optimal
    assert found.lane_price.tolist() == plain.lane_price.tolist()
    assert found.merchant_price.tolist() == plain.merchant_price.tolist()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
@pytest.mark.slow
def test_the_plan_is_the_one_of_all_methods(seed: int) -> None:
    """``auto``, ``pricing`` and ``flow`` choose the same parcels, ties and all."""
    problem = night(seed)
    assert solve_directly(problem) is not None
    chosen = [
        solve(problem, method, SolveParams()).chosen.tolist()
        for method in ("auto", "pricing", "flow")
    ]
    assert chosen[0] == chosen[1] == chosen[2]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_is_left_out_that_a_plan_could_choose(seed: int) -> None:
    """Options that save something, with a slot and a cap, are live; no others."""
    problem = night(seed)
    live = live_orders(problem, whole_market(problem))
    slots = least_slots(problem.slots, problem.lane_parent)
    expected, orders, merchants, best = [], [], [], []
    for merchant in range(problem.num_merchants):
        first, last = problem.merchant_start[merchant : merchant + 2]
        for order in range(int(first), int(last)):
            options = [
                option
                for option in range(*problem.option_start[order : order + 2].tolist())
                if problem.option_saving[option] > 0
                and slots[problem.option_lane[option]] > 0
                and problem.cap[merchant] > 0
            ]
            expected += options
            if options:
                orders.append(order)
                merchants.append(merchant)
                best.append(int(problem.option_saving[options].max()))
    assert live.option.tolist() == expected
    assert live.market.order.tolist() == orders
    assert live.market.order_merchant.tolist() == merchants
    assert live.best_saving.tolist() == best
    lanes = problem.option_lane[expected].tolist()
    assert live.market.option_lane.tolist() == lanes
    owner = np.repeat(np.arange(len(orders)), np.diff(live.market.option_start))
    assert live.market.option_order.tolist() == owner.tolist()


@pytest.mark.parametrize("close", [0, 1, 5])
def test_of_single_options_the_closest_come_first(
    monkeypatch: pytest.MonkeyPatch, close: int
) -> None:
    """
    Where each order has one option, most may be fixed at first: what is fixed wrongly
    is freed, even where nothing is left free at first.
    """
    monkeypatch.setattr(direct, "SMALL_OPTIONS", -1)
    monkeypatch.setattr(direct, "CLOSE_ORDERS", close)
    for seed in range(100):
        problem = night(seed, num_orders=60, most_options=1)
        found, plain = solve_directly(problem), solve_flow(problem, SolveParams())
        assert found is not None
        assert certify(problem, found).is_optimal, seed
        assert found.lane_price.tolist() == plain.lane_price.tolist(), seed
        assert found.merchant_price.tolist() == plain.merchant_price.tolist(), seed


def test_a_large_night_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above its size nothing is tried; at it, all is."""
    problem = night(1, num_orders=50)
    monkeypatch.setattr(direct, "SMALL_OPTIONS", problem.num_options)
    assert solve_directly(problem) is not None
    monkeypatch.setattr(direct, "SMALL_OPTIONS", problem.num_options - 1)
    assert solve_directly(problem) is None


def test_where_balancing_is_slow_another_way_takes_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With no arcs to try it gives up, and ``auto`` still finds the same plan."""
    problem = night(3, num_orders=60, num_merchants=6, num_lanes=5)
    whole = solve(problem, "auto", SolveParams())
    handed: list[int] = []
    pricing = choose_method.solve_pricing

    def counted(*given: object) -> object:
        handed.append(1)
        return pricing(*given)

    monkeypatch.setattr(choose_method, "solve_pricing", counted)
    monkeypatch.setattr(direct, "MOST_ARCS", -1)
    monkeypatch.setattr(direct, "OPTION_ARCS", 0)
    assert solve_directly(problem) is None
    found = solve(problem, "auto", SolveParams())
    assert handed
    assert found.chosen.tolist() == whole.chosen.tolist()
    assert found.lane_price.tolist() == whole.lane_price.tolist()
