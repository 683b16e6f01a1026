"""Lanes filled one by one: an optimum where all else is kept, and nothing elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.certify.certificate import certify
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import NO_CEILING, NO_FLOOR, NO_PIN
from optimizer.model.solution import SolveParams
from optimizer.solvers import solve
from optimizer.solvers.packing import lane_relaxation
from optimizer.solvers.packing.lane_relaxation import lanes_plan
from optimizer.testing import random_packing
from tests.support.packing_twin import best_key, plan_key


def loads(seed: int, kind: int, *, num_lanes: int = 1) -> Problem:
    """Some dozens of parcels with one option each, caps that never bind, no rows."""
    draw = np.random.default_rng(seed)
    count, top = int(draw.integers(20, 80)), int(draw.choice([40, 500, 5_000]))
    load = draw.integers(1, top, count)
    saving = [
        draw.integers(1, 3 * top, count),
        load + top // 10,
        3 * load + draw.integers(0, 5, count),
    ][kind]
    night = random_packing(draw, num_orders=count, num_merchants=2, num_rows=0)
    lane = draw.integers(0, num_lanes, count).astype(np.int32)
    room = np.bincount(lane, load, num_lanes) * draw.choice([0.2, 0.5, 0.8])
    side = replace(
        night.side,
        option_load=load,
        entry_start=np.zeros(count + 1, np.int64),
        entry_row=np.zeros(0, np.int32),
        entry_weight=np.zeros(0, np.int64),
        pin_rank=np.full(count, NO_PIN, np.int32),
    )
    return replace(
        night,
        cap=np.full(2, count),
        option_start=np.arange(count + 1),
        option_lane=lane,
        option_saving=saving * 7,
        slots=room.astype(np.int64),
        lane_parent=np.full(num_lanes, -1, np.int32),
        side=side,
    )


def best_worth(problem: Problem) -> int:
    """The optimum, by the plainest table of each lane."""
    total = 0
    for lane, slots in enumerate(problem.slots.tolist()):
        best = np.zeros(slots + 1, np.int64)
        for option in np.flatnonzero(problem.option_lane == lane).tolist():
            load = int(problem.side.option_load[option])
            if load <= slots:
                added = best[: slots + 1 - load] + problem.option_saving[option]
                best[load:] = np.maximum(best[load:], added)
        total += int(best[-1])
    return total


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("num_lanes", [1, 3])
def test_nights_of_loads_alone_are_solved_and_proved(kind: int, num_lanes: int) -> None:
    """Worth what a plain table says, and the certificate's bound is the same."""
    for seed in range(8):
        problem = loads(seed, kind, num_lanes=num_lanes)
        found = solve(problem, "auto", SolveParams())
        proof = certify(problem, found)
        assert proof.is_feasible
        assert proof.primal_bound == best_worth(problem)
        assert proof.is_optimal


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), num_orders=st.integers(0, 6))
def test_a_plan_is_given_only_where_it_is_the_best(seed: int, num_orders: int) -> None:
    """With caps, choices, rows and pins at random, no plan is better than one given."""
    draw = np.random.default_rng(seed)
    problem = random_packing(draw, num_orders=num_orders, pin_share=0.05)
    problem = replace(problem, lane_parent=np.full(problem.num_lanes, -1, np.int32))
    found = lanes_plan(problem, np.zeros(problem.num_lanes, np.int64))
    if found is not None:
        assert plan_key(problem, found.chosen.tolist()) == best_key(problem)
        assert certify(problem, found).is_optimal


def test_what_does_not_hold_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cap, a ceiling, a floor, a pin, a table too large: each leaves it to others."""
    problem = loads(0, 0)
    price = np.zeros(1, np.int64)
    found = lanes_plan(problem, price)
    assert found is not None
    assert lanes_plan(replace(problem, cap=np.array([0, 10**6])), price) is None
    outside = np.setdiff1d(np.arange(problem.num_orders), found.chosen)
    rank = problem.side.pin_rank.copy()
    rank[outside[0]] = 0
    pinned = replace(problem.side, pin_rank=rank)
    assert lanes_plan(replace(problem, side=pinned), price) is None
    row = replace(
        problem.side,
        entry_start=np.arange(problem.num_options + 1),
        entry_row=np.zeros(problem.num_options, np.int32),
        entry_weight=np.ones(problem.num_options, np.int64),
        low=np.array([NO_FLOOR]),
        high=np.array([NO_CEILING]),
        penalty=np.zeros(1, np.int64),
        rank=np.zeros(1, np.int32),
    )
    assert lanes_plan(replace(problem, side=row), price) is not None
    few = replace(row, high=np.array([len(found.chosen) - 1]))
    assert lanes_plan(replace(problem, side=few), price) is None
    many = replace(row, low=np.array([len(found.chosen) + 1]))
    assert lanes_plan(replace(problem, side=many), price) is None
    monkeypatch.setattr(lane_relaxation, "MOST_CELLS", 10)
    assert lanes_plan(problem, price) is None
