"""Cores: what prices leave open is enough, and who answers first does not matter."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.certificate import saving_unit
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import NO_FLOOR
from optimizer.model.solution import SolveParams
from optimizer.solvers import deadline
from optimizer.solvers.market import Threads
from optimizer.solvers.packing import core_mip
from optimizer.solvers.packing.core_mip import (
    Beside,
    make_core,
    solve_core,
    undecided,
)
from optimizer.solvers.packing.local_search import (
    PackingNight,
    PackingPlan,
    built,
    closest,
    empty_state,
    make_packing_night,
    margins,
    worth_key,
)
from optimizer.solvers.packing.market import first_targets
from optimizer.solvers.packing.programs import Effort, Program
from optimizer.solvers.packing.refine_prices import PackingSearch, priced_market
from optimizer.testing import random_packing
from tests.support.examples import examples

EFFORT = Effort(seconds=60.0, nodes=1_000, relative_gap=0.0, work=1.0)


def begun(problem: Problem) -> tuple[PackingNight, PackingPlan, int]:
    """A night at its prices, a plan by them, and the plan's gap."""
    with Threads(1) as pool:
        unit = saving_unit(problem)
        search = PackingSearch(problem, SolveParams(), pool, math.inf, unit)
        priced = priced_market(search, first_targets(problem), None)
    worth = margins(priced.market, priced.prices, priced.merchant_price)
    night = make_packing_night(problem, priced.market, worth, closest(worth, 100))
    state = built(night)
    return night, state, priced.bound - worth_key(night, state)[-1]


def small_night(seed: int, num_orders: int = 7) -> Problem:
    """A few parcels with loads and ceilings, and no floors."""
    night = random_packing(
        np.random.default_rng(seed),
        num_orders=num_orders,
        num_rows=2,
        most_load=3,
        pin_share=0.0,
        most_saving=1_000_000,
        num_lanes=3,
        most_options=2,
    )
    return replace(night, side=replace(night.side, low=np.full(2, NO_FLOOR)))


@examples(100)
@given(seed=st.integers(0, 2**32))
def test_the_best_plan_is_within_what_prices_leave_open(seed: int) -> None:
    """At the gap that even the best plan has, all its choices are open."""
    night, state, gap = begun(small_night(seed, 12))
    every = make_core(night, state, np.arange(len(night.option_order)))
    best = solve_core(every, state, EFFORT) or state
    money = worth_key(night, best)[-1]
    least = gap + worth_key(night, state)[-1] - money
    is_open = undecided(night, empty_state(night), least, 10**9)
    assert np.isin(best.pick[best.pick >= 0], is_open).all()
    core = make_core(night, state, undecided(night, state, gap, 10**9))
    assert worth_key(night, solve_core(core, state, EFFORT) or state)[-1] == money


def test_what_loses_more_than_the_gap_is_decided() -> None:
    """No gap leaves nothing open; a narrow core has those that lose least."""
    night, state, gap = begun(small_night(3, 40))
    everything = undecided(night, state, 2**60, 10**9)
    assert len(undecided(night, state, gap, 10**9)) < len(everything)
    assert len(undecided(night, state, 2**60, 3)) < len(everything)


def same(state: PackingPlan, _: object) -> PackingPlan:
    """A dive that finds nothing."""
    return state


def no_part(_: object) -> None:
    """No narrow part."""


@pytest.mark.parametrize("is_proved", [True, False])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_only_what_is_not_proved_is_compared(
    monkeypatch: pytest.MonkeyPatch, is_proved: bool, num_threads: int
) -> None:
    """
    CP-SAT's better plan counts where HiGHS proved nothing; where it did, its own plan
    is taken alone, whoever is faster.
    """
    night, _, _ = begun(small_night(3, 40))
    state, every = empty_state(night), np.arange(len(night.option_order))
    core = make_core(night, state, every)
    best = solve_core(core, state, EFFORT)
    assert best is not None
    one = int(best.pick[best.pick >= 0][0])

    def highs(program: Program, *_: object) -> tuple[np.ndarray, bool]:
        return (np.arange(len(program.cost)) == one).astype(float), is_proved

    def cp_sat(program: Program, *_: object) -> np.ndarray:
        return np.isin(np.arange(len(program.cost)), best.pick).astype(float)

    monkeypatch.setattr(core_mip, "HEAD_START", 0.0)
    monkeypatch.setattr(core_mip, "solve_by_highs", highs)
    monkeypatch.setattr(core_mip, "solve_by_cp_sat", cp_sat)
    with Threads(num_threads) as pool:
        found = solve_core(core, state, EFFORT, Beside(pool, same, no_part))
    assert found is not None
    taken = found.pick[found.pick >= 0].tolist()
    assert taken == ([one] if is_proved else best.pick[best.pick >= 0].tolist())


@pytest.mark.parametrize("is_proved", [True, False])
def test_a_dive_counts_where_nothing_is_proved(
    monkeypatch: pytest.MonkeyPatch, is_proved: bool
) -> None:
    """
    What a dive finds is where the narrow part and CP-SAT start, and is taken unless
    HiGHS proves its own plan; the narrow part is made around it.
    """
    night, _, _ = begun(small_night(3, 40))
    state, every = empty_state(night), np.arange(len(night.option_order))
    core = make_core(night, state, every)
    best = solve_core(core, state, EFFORT)
    assert best is not None
    one, starts = int(best.pick[best.pick >= 0][0]), list[Any]()

    def highs(program: Program, *_: object) -> tuple[np.ndarray, bool]:
        return (np.arange(len(program.cost)) == one).astype(float), is_proved

    def narrow(now: PackingPlan) -> None:
        starts.append(now)

    monkeypatch.setattr(core_mip, "HEAD_START", 0.0 if not is_proved else 5.0)
    monkeypatch.setattr(core_mip, "solve_by_highs", highs)
    monkeypatch.setattr(core_mip, "solve_by_cp_sat", lambda *_: None)
    with Threads(2) as pool:
        beside = Beside(pool, lambda *_: best, narrow)
        found = solve_core(core, state, EFFORT, beside)
    assert found is not None
    taken = found.pick[found.pick >= 0].tolist()
    assert taken == ([one] if is_proved else best.pick[best.pick >= 0].tolist())
    assert starts == ([] if is_proved else [best])


def test_the_programs_of_all_ranks_share_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Programs that each take 20 seconds of 50 are three, each with its share of what is
    left, where each of four ranks and the money would be solved had they the time.
    """
    night = random_packing(np.random.default_rng(3), num_orders=12, num_rows=0)
    side = replace(night.side, pin_rank=np.arange(12, dtype=np.int32) % 4)
    packed = replace(night, side=side, cap=night.cap * 0 + 1)
    clock, given = SimpleNamespace(now=0.0), list[tuple[int, float]]()
    clock.monotonic = lambda: clock.now

    def slow(core: Any, state: Any, stage: int, effort: Effort) -> None:
        given.append((stage, effort.seconds))
        clock.now += 20.0

    full, state, _ = begun(packed)
    core = make_core(full, state, np.arange(len(full.option_order)))
    missing = core_mip.missing_of(core, state)
    assert np.all(missing[:3] > 0)
    monkeypatch.setattr(core_mip, "solve_stage", slow)
    assert solve_core(core, state, EFFORT) is None
    assert len(given) == 5
    given.clear()
    monkeypatch.setattr(core_mip, "time", clock)
    monkeypatch.setattr(deadline, "time", clock)
    assert solve_core(core, state, replace(EFFORT, seconds=50.0)) is None
    assert given == [(0, 50.0 / 5), (1, 30.0 / 4), (2, 10.0 / 3)]


def test_both_solvers_start_from_the_known_plan_and_agree() -> None:
    """HiGHS, CP-SAT and the narrow core, unmocked: the best plan, twice the same."""
    night, state, _ = begun(small_night(11, 40))
    every = np.arange(len(night.option_order))
    core, narrow = make_core(night, state, every), make_core(night, state, every[:4])
    with Threads(2) as pool:
        plans = [
            solve_core(core, state, EFFORT, Beside(pool, same, lambda _: narrow))
            or state
            for _ in range(2)
        ]
    alone = solve_core(core, state, EFFORT) or state
    assert worth_key(night, plans[0]) == worth_key(night, alone)
    assert plans[0].pick.tolist() == plans[1].pick.tolist()
