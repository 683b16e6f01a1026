"""Of several optimal plans every method and every start gives the same one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.certificate import certify
from optimizer.model.problem import Problem
from optimizer.model.solution import SolveParams
from optimizer.solvers import choose_method, solve
from optimizer.solvers.baselines.flow import solve_flow
from optimizer.solvers.market import Threads
from optimizer.solvers.network.canonical_plan import with_canonical_plan
from optimizer.solvers.network.solve import solve_pricing
from optimizer.solvers.network.tie_break import keep_most
from optimizer.testing import random_problem
from tests.support.examples import examples
from tests.support.oracles import worth

NIGHTS = {
    "seed": st.integers(0, 2**32),
    "num_orders": st.integers(1, 80),
    "num_merchants": st.integers(1, 6),
    "num_lanes": st.integers(1, 8),
    "most_saving": st.sampled_from([1, 2, 3, 6]),
}


def tied_night(seed: int, **sizes: int) -> Problem:
    """A night of few levels of savings, its orders in canonical order."""
    problem = random_problem(np.random.default_rng(seed), **sizes)
    return dataclasses.replace(problem, key=np.sort(problem.key))


def by_classes(problem: Problem) -> np.ndarray:
    """The plan of classes of alike orders, made canonical."""
    found = choose_method._by_classes(problem, np.inf)
    return with_canonical_plan(problem, found).chosen


@pytest.mark.slow
@examples(150)
@given(**NIGHTS)
def test_every_method_chooses_the_same_parcels(seed: int, **sizes: int) -> None:
    """
    On heavily tied nights prices, flow and classes, from any start prices and on any
    number of threads, give one plan, and its certificate has no gap.
    """
    problem = tied_night(seed, **sizes)
    draw = np.random.default_rng(seed)
    first = solve(problem, "auto", SolveParams(num_threads=1))
    assert certify(problem, first).is_optimal
    plans = [by_classes(problem)]
    for method in ("pricing", "flow", "packing"):
        start = draw.integers(0, 7, problem.num_lanes)
        for params in (SolveParams(num_threads=3), SolveParams(start_price=start)):
            plans.append(solve(problem, method, params).chosen)
    for plan in plans:
        assert plan.tolist() == first.chosen.tolist()


@pytest.mark.slow
@examples(100)
@given(**NIGHTS)
def test_the_plan_that_was_found_does_not_matter(seed: int, **sizes: int) -> None:
    """
    From optimal plans that keep as much as can be of anything at random, the same plan
    is made; and it is made of itself.
    """
    problem = tied_night(seed, **sizes)
    draw = np.random.default_rng(seed)
    plain = solve_flow(problem, SolveParams())
    expected = with_canonical_plan(problem, plain)
    assert worth(problem, expected.chosen) == worth(problem, plain.chosen)
    assert expected.lane_price is plain.lane_price
    for _ in range(4):
        earlier = np.flatnonzero(draw.random(problem.num_options) < 0.5)
        other = keep_most(problem, plain, earlier)
        with Threads(2) as pool:
            found = with_canonical_plan(problem, other, pool)
        assert found.chosen.tolist() == expected.chosen.tolist()
    again = with_canonical_plan(problem, expected)
    assert again.chosen.tolist() == expected.chosen.tolist()


def test_large_tied_nights_are_the_same_by_prices_and_by_flow() -> None:
    """Thousands of tied orders, more than a list begins with, and the same parcels."""
    problem = tied_night(
        5, num_orders=9_000, num_merchants=12, num_lanes=6, most_saving=1
    )
    plans = [
        with_canonical_plan(problem, solver(problem, SolveParams())).chosen.tolist()
        for solver in (solve_pricing, solve_flow)
    ]
    assert plans[0] == plans[1]


def test_alike_orders_are_chosen_from_the_first() -> None:
    """Of orders that differ in nothing the first ones by key are chosen."""
    problem = Problem(
        merchant_start=np.array([0, 4]),
        cap=np.array([2]),
        option_start=np.arange(5),
        option_lane=np.zeros(4, np.int32),
        option_saving=np.full(4, 7),
        slots=np.array([9]),
        lane_parent=np.array([-1], np.int32),
        key=np.arange(4, dtype=np.uint64),
        row=np.arange(4),
    )
    last = dataclasses.replace(
        solve_flow(problem, SolveParams()), chosen=np.array([1, 3])
    )
    assert certify(problem, last).is_optimal
    assert with_canonical_plan(problem, last).chosen.tolist() == [0, 1]


def test_a_plan_without_proof_is_left_alone() -> None:
    """Which plans are as good is known at prices that prove one, and not else."""
    problem = tied_night(1, num_orders=50)
    greedy = solve(problem, "greedy", SolveParams())
    assert with_canonical_plan(problem, greedy) is greedy


def test_no_time_leaves_the_plan_as_it_is() -> None:
    """Past its end the optimum is handed on as it was found."""
    problem = tied_night(3, num_orders=300, most_saving=1)
    found = solve_flow(problem, SolveParams())
    assert with_canonical_plan(problem, found, ends=0.0).chosen is found.chosen
