"""What lanes can hold is exact: on small tables, by states, and for verification."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify import knapsack
from optimizer.certify.certificate import certify, price_gap, proved_termination
from optimizer.certify.knapsack import lane_worths
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import SideRows
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers import solve
from optimizer.verify.whole_lanes import most_worth
from tests.support.examples import examples

Items = tuple[np.ndarray, np.ndarray, int]


def best_by_slots(load: np.ndarray, value: np.ndarray, room: int) -> int:
    """The most that a lane holds, slot by slot, as in any textbook."""
    best = np.zeros(room + 1, np.int64)
    for each, brings in zip(load.tolist(), value.tolist(), strict=True):
        if brings > 0 and each <= room:
            best[each:] = np.maximum(best[each:], best[: room + 1 - each] + brings)
    return int(best[room])


def draw_items(draw: np.random.Generator, most: int = 60) -> Items:
    """Items of the five kinds of Pisinger's instances, and half of their room."""
    count, top = int(draw.integers(1, most)), int(draw.choice([4, 60, 900]))
    load = draw.integers(1, top + 1, count)
    near = np.maximum(load + draw.integers(-top // 8 - 1, top // 8 + 2, count), 1)
    kinds = (draw.integers(-1, 2 * top, count), load + top // 8, load.copy(), near)
    value = kinds[draw.integers(len(kinds))] * int(draw.choice([1, 1000]))
    return load, value, int(load.sum() * draw.uniform(0, 1.1))


@examples(300)
@given(seed=st.integers(0, 2**32))
def test_large_lanes_are_solved_by_their_states(seed: int) -> None:
    """Several lanes at once hold exactly what a table of all slots says."""
    draw = np.random.default_rng(seed)
    lanes = [draw_items(draw) for _ in range(int(draw.integers(1, 4)))]
    number = np.repeat(np.arange(len(lanes)), [len(load) for load, _, _ in lanes])
    load, value = (np.concatenate([lane[k] for lane in lanes]) for k in (0, 1))
    room = np.array([lane[2] for lane in lanes])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knapsack, "MAX_SLOTS", 0)
        found = lane_worths(number, load, value, room)
    assert found.tolist() == [best_by_slots(*lane) for lane in lanes]


@examples(100)
@given(seed=st.integers(0, 2**32), most=st.integers(1, 400))
def test_few_states_still_bound(seed: int, most: int) -> None:
    """A lane that may have few states only is never bounded below its best."""
    load, value, room = draw_items(np.random.default_rng(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knapsack, "MAX_SLOTS", 0)
        patch.setattr(knapsack, "MAX_STATES", most)
        (found,) = lane_worths(np.zeros(len(load), int), load, value, np.array([room]))
    assert found >= best_by_slots(load, value, room)
    assert found <= value[value > 0].sum()


@examples(100)
@given(seed=st.integers(0, 2**32))
def test_without_states_lanes_are_bounded_by_a_price(seed: int) -> None:
    """Several lanes at once have the bound that verification finds one by one."""
    draw = np.random.default_rng(seed)
    lanes = [draw_items(draw) for _ in range(int(draw.integers(1, 4)))]
    number = np.repeat(np.arange(len(lanes)), [len(load) for load, _, _ in lanes])
    load, value = (np.concatenate([lane[k] for lane in lanes]) for k in (0, 1))
    prices = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knapsack, "MAX_SLOTS", 0)
        patch.setattr("optimizer.verify.whole_lanes.MAX_SLOTS", 0)
        found = lane_worths(number, load, value, np.array([x[2] for x in lanes]), 0)
        for loads, values, room in lanes:
            loads, values = loads[values > 0], values[values > 0]
            turn = np.lexsort((-values, loads))
            prices.append(most_worth(loads[turn], values[turn], room)[1])
    assert found.tolist() == prices


@examples(200)
@given(seed=st.integers(0, 2**32))
def test_verification_finds_the_same_by_other_means(seed: int) -> None:
    """Its own tables give the best too, and its price of a slot bounds that."""
    load, value, room = draw_items(np.random.default_rng(seed))
    load, value = load[value > 0], value[value > 0]
    turn = np.lexsort((-value, load))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("optimizer.verify.whole_lanes.MAX_SLOTS", 0)
        worth, by_price = most_worth(load[turn], value[turn], room)
    assert worth == best_by_slots(load, value, room)
    assert worth <= by_price


def lane_night(load: np.ndarray, value: np.ndarray, room: int) -> Problem:
    """One lane and one merchant without a cap that binds."""
    count, none = len(load), np.zeros(0, np.int64)
    return Problem(
        merchant_start=np.array([0, count]),
        cap=np.array([count]),
        option_start=np.arange(count + 1),
        option_lane=np.zeros(count, np.int32),
        option_saving=value,
        slots=np.array([room]),
        lane_parent=np.array([-1], np.int32),
        key=np.arange(count).astype(np.uint64),
        row=np.arange(count),
        side=SideRows(
            load,
            np.zeros(count + 1, np.int64),
            np.zeros(0, np.int32),
            *(none.copy() for _ in range(4)),
            np.zeros(0, np.int32),
            np.full(count, -1, np.int32),
        ),
    )


@examples(60)
@given(seed=st.integers(0, 2**32))
def test_small_nights_of_one_lane_are_solved_and_proved(seed: int) -> None:
    """The plan is the optimum of the table of slots, with gap 0, whatever the kind."""
    load, value, room = draw_items(np.random.default_rng(seed), 40)
    night = lane_night(load, value, room)
    solution = solve(night, "auto", SolveParams())
    proof = certify(night, solution)
    assert proof.is_feasible
    assert proof.primal_bound == proof.dual_bound == best_by_slots(load, value, room)
    assert proved_termination(solution.termination, proof).reason == "OPTIMAL"


@examples(200)
@given(seed=st.integers(0, 2**32))
def test_a_bound_of_prices_is_rounded_down_to_the_unit(seed: int) -> None:
    """
    At any price of a slot the bound is the largest multiple of what divides all savings
    that is not above the plain sum; no plan is above it.
    """
    draw = np.random.default_rng(seed)
    load, value, room = draw_items(draw, 12)
    night = lane_night(load, value, room)
    price = int(draw.integers(0, 3 * int(np.abs(value).max()) + 1))
    plan = Solution(
        np.zeros(0, np.int64),
        np.array([price]),
        np.zeros(1, np.int64),
        Termination("OPTIMAL"),
    )
    proof = certify(night, plan)
    plain = room * price + int(np.maximum(value - load * price, 0).sum())
    unit = math.gcd(*value.tolist()) or 1
    assert proof.dual_bound == (plain // unit * unit if plain else 0)
    assert proof.dual_bound >= best_by_slots(load, value, room)
    assert proof.unit == (unit if plain else 1)
    assert price_gap(night, plan, proof) == plain
