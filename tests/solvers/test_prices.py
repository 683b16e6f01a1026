"""Prices mean what they say, and limits of size are checked before the solve."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from optimizer.certify.certificate import certify
from optimizer.errors import ConfigError, SolveError
from optimizer.model.problem import Problem
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers import solve
from optimizer.solvers.flow.plan import build_network, check_size
from optimizer.solvers.network.price_interval import (
    cap_prices,
    least_effective,
    own_price,
)
from optimizer.testing import random_problem


def small(seed: int, **shape: int) -> Problem:
    return random_problem(np.random.default_rng(seed), **{"num_orders": 20} | shape)


def best(problem: Problem) -> int:
    return certify(problem, solve(problem, "flow", SolveParams())).primal_bound


def with_one_more(values: np.ndarray, place: int) -> np.ndarray:
    more = values.copy()
    more[place] += 1
    return more


@pytest.mark.parametrize("seed", range(25))
def test_a_price_is_what_one_more_slot_brings(seed: int) -> None:
    """
    Each lane's and each cap's price bounds what its next slot saves, and where it
    stands alone, without a lane around it, it is exactly that.
    """
    problem = small(seed)
    found = solve(problem, "pricing", SolveParams())
    saved = best(problem)
    for lane in range(problem.num_lanes):
        more = dataclasses.replace(problem, slots=with_one_more(problem.slots, lane))
        gained = best(more) - saved
        assert gained <= found.lane_price[lane]
        if not np.any(problem.lane_parent >= 0):
            assert gained == found.lane_price[lane]
    for merchant in range(problem.num_merchants):
        more = dataclasses.replace(problem, cap=with_one_more(problem.cap, merchant))
        assert best(more) - saved <= found.merchant_price[merchant]


@pytest.mark.parametrize("seed", range(25))
def test_flat_lanes_have_exact_prices(seed: int) -> None:
    """Where no lane lies in another, the price is exactly the next slot's worth."""
    problem = small(seed)
    flat = dataclasses.replace(
        problem, lane_parent=np.full(problem.num_lanes, -1, np.int32)
    )
    found, saved = solve(flat, "pricing", SolveParams()), best(flat)
    for lane in range(flat.num_lanes):
        more = dataclasses.replace(flat, slots=with_one_more(flat.slots, lane))
        assert best(more) - saved == found.lane_price[lane]


def test_a_plan_that_is_not_optimal_gets_no_proof() -> None:
    """Dropping a chosen parcel leaves a gap, whatever prices are tried."""
    for seed in range(40):
        problem = small(seed)
        chosen = solve(problem, "flow", SolveParams()).chosen
        if len(chosen) == 0:
            continue
        worse = chosen[1:]
        start = np.zeros(problem.num_lanes, np.int64)
        price = least_effective(problem, worse, start)
        prices = own_price(price, problem.lane_parent), cap_prices(problem, price)
        if np.all(prices[0] >= 0):
            proof = certify(problem, Solution(worse, *prices, Termination("OPTIMAL")))
            assert proof.gap > 0


def test_savings_beyond_the_integers_of_flow_are_refused_before_it_is_called() -> None:
    """OR-Tools would overflow in silence; the check names the saving and a way out."""
    problem = small(1, num_orders=12, most_saving=2**57)
    with pytest.raises(SolveError, match="use method auto"):
        check_size(build_network(problem))
    with pytest.raises(SolveError, match="beyond the integers of method flow"):
        solve(problem, "flow", SolveParams())


def test_savings_that_cannot_be_added_up_are_refused() -> None:
    """A problem whose sums could leave 64 bits is never built."""
    with pytest.raises(SolveError, match="too large to add up in 64 bits"):
        small(1, most_saving=2**60)


def test_an_unknown_method_is_a_configuration_error() -> None:
    """The message lists the methods that there are."""
    with pytest.raises(ConfigError, match=r"no method 'magic'.*auto.*greedy"):
        solve(small(1), "magic", SolveParams())


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cap", np.array([-1, 0, 0]), "negative"),
        ("slots", np.array([-1, 0, 0, 0, 0]), "negative"),
        ("lane_parent", np.array([1, -1, -1, -1, -1], np.int32), "before its parent"),
        ("option_lane", None, "lane that does not exist"),
        ("merchant_start", np.array([0, 5, 4, 20]), "does not cover the orders"),
        ("option_start", np.zeros(21, np.int64), "does not cover the options"),
        ("option_saving", np.zeros(1, np.int64), "differs in length"),
    ],
)
def test_arrays_that_contradict_each_other_are_no_problem(
    field: str, value: np.ndarray | None, words: str
) -> None:
    """Each broken array is named, and nothing is solved."""
    problem = small(1)
    if value is None:
        value = np.full(problem.num_options, 99, np.int32)
    with pytest.raises(SolveError, match=words):
        dataclasses.replace(problem, **{field: value})


def test_a_problem_is_frozen() -> None:
    """Its arrays cannot be written to."""
    with pytest.raises(ValueError, match="read-only"):
        small(1).cap[0] = 5
