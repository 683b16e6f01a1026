"""The exact methods find the optimum, prove it, and agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.certificate import certify
from optimizer.model.problem import Problem
from optimizer.model.solution import SolveParams
from optimizer.solvers import METHODS, market, solve
from optimizer.solvers import screen as all_screens
from optimizer.solvers.network import refine_prices, screen
from optimizer.solvers.network import solve as pricing
from optimizer.testing import random_problem
from tests.support.examples import examples, num_of
from tests.support.oracles import best_by_enumeration, best_by_highs, is_feasible, worth

EXACT = ("auto", "flow", "pricing")


@examples(150)
@given(
    seed=st.integers(0, 2**32),
    num_orders=st.integers(0, 8),
    num_lanes=st.integers(1, 5),
    most_options=st.integers(1, 3),
    most_saving=st.sampled_from([2, 5, 1_000_000]),
)
def test_every_exact_method_finds_what_enumeration_finds(
    seed: int, num_orders: int, num_lanes: int, most_options: int, most_saving: int
) -> None:
    """On tiny nights no plan at all is better, and the certificate proves it."""
    problem = random_problem(
        np.random.default_rng(seed),
        num_orders=num_orders,
        num_lanes=num_lanes,
        most_options=most_options,
        most_saving=most_saving,
    )
    best = best_by_enumeration(problem)
    for method in ("flow", "pricing"):
        found = solve(problem, method, SolveParams())
        assert is_feasible(problem, found.chosen)
        assert worth(problem, found.chosen) == best
        assert certify(problem, found).is_optimal


@examples(60)
@given(seed=st.integers(0, 2**32), most_options=st.integers(1, 3))
def test_greedy_is_feasible_and_its_bound_holds(seed: int, most_options: int) -> None:
    """The greedy plan keeps every limit, and the optimum lies between its bounds."""
    problem = random_problem(
        np.random.default_rng(seed), num_orders=8, most_options=most_options
    )
    found = solve(problem, "greedy", SolveParams())
    proof = certify(problem, found)
    assert is_feasible(problem, found.chosen)
    assert proof.primal_bound <= best_by_enumeration(problem) <= proof.dual_bound


def shapes(seed: int) -> dict[str, int]:
    """Vary size and structure with the seed."""
    draw = np.random.default_rng(seed)
    return {
        "num_orders": int(draw.integers(1, 60)),
        "num_merchants": int(draw.integers(1, 9)),
        "num_lanes": int(draw.integers(1, 12)),
        "most_options": int(draw.integers(1, 4)),
        "most_saving": int(draw.choice([3, 30, 10**6])),
    }


@pytest.mark.slow
def test_many_nights_agree_with_highs() -> None:
    """Flow, pricing and HiGHS give one optimum on hundreds of random nights, proved."""
    problems = [
        random_problem(np.random.default_rng(seed), **shapes(seed))
        for seed in range(num_of(1_000))
    ]
    for problem, best in zip(problems, best_by_highs(problems), strict=True):
        flow = solve(problem, "flow", SolveParams())
        pricing = solve(problem, "pricing", SolveParams())
        assert certify(problem, flow).is_optimal
        assert certify(problem, pricing).is_optimal
        assert worth(problem, pricing.chosen) == worth(problem, flow.chosen)
        assert abs(best - worth(problem, flow.chosen)) <= 1e-6 * max(1, best)


@pytest.mark.slow
def test_flow_and_pricing_publish_the_same_prices() -> None:
    """The least optimal prices are one thing, whatever found the plan."""
    for seed in range(200):
        problem = random_problem(np.random.default_rng(seed), **shapes(seed))
        flow = solve(problem, "flow", SolveParams())
        pricing = solve(problem, "pricing", SolveParams())
        assert flow.lane_price.tolist() == pricing.lane_price.tolist()
        assert flow.merchant_price.tolist() == pricing.merchant_price.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("close", "max_found"), [(0.0, 10_000), (0.3, 10_000), (0.0, 0)]
)
def test_what_is_fixed_wrongly_is_freed(
    monkeypatch: pytest.MonkeyPatch, close: float, max_found: int
) -> None:
    """
    With hardly anything in the core, and prices from a coarse search, the optimum
    and its prices are still found: every wrong fixing comes to light.
    """
    monkeypatch.setattr(refine_prices, "FEW_ORDERS", 0)
    monkeypatch.setattr(refine_prices, "SMALL_MARKET", 0)
    monkeypatch.setattr(pricing, "MANY_ROUNDS", 10**9)
    monkeypatch.setattr(refine_prices, "CLOSE", close)
    monkeypatch.setattr(pricing, "MAX_FOUND", max_found)
    monkeypatch.setattr(refine_prices, "FINE_WINDOWS", (2.0, 1.0))
    monkeypatch.setattr(refine_prices, "FINEST_WINDOWS", (2.0, 1.0))
    monkeypatch.setattr(all_screens, "SPARE", 0)
    monkeypatch.setattr(screen, "DEPTH", 1)
    for seed in range(150):
        problem = random_problem(np.random.default_rng(seed), **shapes(seed))
        flow = solve(problem, "flow", SolveParams())
        found = solve(problem, "pricing", SolveParams())
        assert certify(problem, found).is_optimal, seed
        assert flow.lane_price.tolist() == found.lane_price.tolist(), seed
        assert flow.merchant_price.tolist() == found.merchant_price.tolist(), seed


@pytest.mark.parametrize("near", [0, 10**9])
def test_parts_of_near_orders_do_not_change_the_answer(
    near: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plans and prices are the same, in however many parts near orders are searched."""
    for seed in range(20):
        problem = random_problem(np.random.default_rng(seed), **shapes(seed))
        whole = solve(problem, "pricing", SolveParams())
        with monkeypatch.context() as patched:
            patched.setattr(market, "SERIAL_OPTIONS", 0)
            patched.setattr(market, "SERIAL_NEAR_OPTIONS", near)
            parted = solve(problem, "pricing", SolveParams(num_threads=2))
        assert parted.chosen.tolist() == whole.chosen.tolist()
        assert parted.lane_price.tolist() == whole.lane_price.tolist()


@pytest.mark.parametrize("num_threads", [1, 3])
def test_threads_do_not_change_the_answer(num_threads: int) -> None:
    """The same plan and prices, bit for bit, with any number of threads."""
    problem = random_problem(
        np.random.default_rng(5), num_orders=4_000, num_merchants=90, num_lanes=40
    )
    one = solve(problem, "pricing", SolveParams(num_threads=2))
    other = solve(problem, "pricing", SolveParams(num_threads=num_threads))
    assert one.chosen.tolist() == other.chosen.tolist()
    assert one.lane_price.tolist() == other.lane_price.tolist()


@pytest.mark.parametrize("method", [*METHODS])
@pytest.mark.parametrize(
    ("num_orders", "num_lanes"), [(0, 0), (0, 3), (5, 1)], ids=["void", "empty", "few"]
)
def test_empty_nights_are_solved_by_doing_nothing(
    method: str, num_orders: int, num_lanes: int
) -> None:
    """No orders, no lanes or no options: nothing is chosen, and that is proved."""
    problem = random_problem(
        np.random.default_rng(0),
        num_orders=num_orders,
        num_lanes=max(num_lanes, 1),
        most_options=0,
    )
    found = solve(problem, method, SolveParams())
    assert len(found.chosen) == 0
    assert certify(problem, found).gap == 0


@pytest.mark.parametrize("method", [*METHODS])
def test_a_night_of_nothing_is_solved(method: str) -> None:
    """Without orders, merchants or lanes there is nothing to choose, and no error."""
    none = np.zeros(0, np.int64)
    lanes = np.zeros(0, np.int32)
    problem = Problem(
        merchant_start=np.zeros(1, np.int64),
        cap=none.copy(),
        option_start=np.zeros(1, np.int64),
        option_lane=lanes.copy(),
        option_saving=none.copy(),
        slots=none.copy(),
        lane_parent=lanes.copy(),
        key=np.zeros(0, np.uint64),
        row=none.copy(),
    )
    found = solve(problem, method, SolveParams())
    assert certify(problem, found).is_optimal


@pytest.mark.parametrize("method", EXACT)
def test_all_ties_are_solved_exactly(method: str) -> None:
    """A night of one saving only: as many are chosen as fit, and gap 0."""
    problem = random_problem(
        np.random.default_rng(3), num_orders=300, num_merchants=20, most_saving=1
    )
    assert certify(problem, solve(problem, method, SolveParams())).is_optimal


@pytest.mark.slow
@pytest.mark.parametrize("most_options", [1, 3])
def test_large_nights_are_solved_alike(most_options: int) -> None:
    """At 60,000 orders the methods still agree to the last micro-CNY."""
    problem = random_problem(
        np.random.default_rng(11),
        num_orders=60_000,
        num_merchants=900,
        num_lanes=300,
        most_options=most_options,
        most_saving=10_000_000,
    )
    flow = solve(problem, "flow", SolveParams())
    pricing = solve(problem, "pricing", SolveParams())
    assert certify(problem, flow).is_optimal
    assert certify(problem, pricing).is_optimal
    assert worth(problem, flow.chosen) == worth(problem, pricing.chosen)
