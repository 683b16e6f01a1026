"""Small packing nights are divided until their plan is proved, or a limit is met."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core import event

from optimizer.certify.certificate import Certificate, certify, saving_unit
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import HARD, NO_FLOOR, NO_PIN, SideRows
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers import compiling, solve
from optimizer.solvers.kernels import branch as branch_kernels
from optimizer.solvers.kernels import branch_linear, fill
from optimizer.solvers.market import Threads
from optimizer.solvers.packing import branch, branch_night, refine_prices
from optimizer.solvers.packing import solve as packing
from optimizer.solvers.packing.local_search import (
    PackingNight,
    PackingPlan,
    state_of,
)
from optimizer.solvers.packing.programs import Effort, Program, solve_linear
from optimizer.testing import random_packing
from tests.support.examples import examples
from tests.support.packing_twin import best_key, plan_key, proved_bound
from tests.support.pairs import pairs_problem


def proved(problem: Problem, **params: float) -> tuple[Solution, Certificate]:
    """Solve and certify, and hold the certificate against the twin in plain Python."""
    found = solve(problem, "packing", SolveParams(**params))
    proof = certify(problem, found)
    bound, unit = proved_bound(problem, found), saving_unit(problem)
    assert proof.dual_bound == max(bound - bound % unit, proof.primal_bound)
    assert (found.termination.reason == "OPTIMAL") == (proof.gap == 0)
    return found, proof


@examples(120)
@given(
    seed=st.integers(0, 2**32),
    num_rows=st.integers(1, 5),
    most_load=st.integers(1, 4),
    pin_share=st.sampled_from([0.0, 0.3]),
)
@pytest.mark.slow
def test_small_nights_end_proved_at_what_enumeration_finds(
    seed: int, num_rows: int, most_load: int, pin_share: float
) -> None:
    """The gap is 0 and no plan at all is better, whatever the limits are."""
    problem = random_packing(
        np.random.default_rng(seed),
        num_orders=6,
        num_rows=num_rows,
        most_load=most_load,
        pin_share=pin_share,
        most_saving=1_000_000,
        num_lanes=3,
        most_options=2,
    )
    found, proof = proved(problem)
    assert plan_key(problem, found.chosen.tolist()) == best_key(problem)
    assert proof.gap == 0


def hard_night(seed: int = 5) -> Problem:
    """Some dozen orders whose prices leave a gap of several per cent."""
    return random_packing(
        np.random.default_rng(seed),
        num_orders=30,
        num_rows=4,
        pin_share=0.1,
        most_saving=1_000_000,
        num_lanes=3,
        most_options=2,
    )


def test_branches_close_a_gap_that_prices_leave() -> None:
    """Without its tree the same plan has a gap; with it, none."""
    problem = hard_night()
    found, proof = proved(problem)
    assert found.tree is not None
    assert proof.gap == 0 < certify(problem, replace(found, tree=None)).gap
    leaves = found.tree.leaf
    assert len(leaves) == (found.tree.num_nodes + 1) // 2


def test_a_tree_is_the_same_twice() -> None:
    """Nodes, prices and plan depend on the night alone."""
    one, other = (proved(hard_night())[0] for _ in range(2))
    assert one.tree is not None
    assert other.tree is not None
    for name in ("parent", "option", "is_in", "order_price", "row_price"):
        assert np.array_equal(getattr(one.tree, name), getattr(other.tree, name))
    assert np.array_equal(one.chosen, other.chosen)


@pytest.mark.parametrize("most_work", [1, 10**9])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_plans_are_looked_for_beside_a_tree_that_proves_nothing(
    num_threads: int, most_work: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Who looks is told that it is over once a tree has proved its plan; else what is
    found counts, with what the tree has proved by then.
    """
    problem = hard_night()
    best, _ = proved(problem)
    begun = best if most_work > 1 else replace(best, chosen=best.chosen[1:])
    begun = replace(begun, tree=None, termination=Termination("FEASIBLE", "METHOD"))
    told = list[bool]()

    def beside(_: Any, night: PackingNight, __: Any, is_over: Any) -> PackingPlan:
        told.append(is_over())
        return state_of(night, best.chosen)

    def unchanged(branching: branch.Branching, *_: Any) -> PackingPlan:
        return state_of(branching.night, branching.chosen)

    monkeypatch.setattr(branch, "HEAD_START", 60.0)
    monkeypatch.setattr(branch, "looked_closer", beside)
    monkeypatch.setattr(branch, "MOST_WORK", most_work)
    monkeypatch.setattr(branch, "_built", unchanged)
    with Threads(num_threads) as pool:
        search = refine_prices.PackingSearch(
            problem, SolveParams(), pool, math.inf, saving_unit(problem)
        )
        found = branch.with_branches(search, begun)
    assert told == [most_work > 1]
    assert found.chosen.tolist() == best.chosen.tolist()
    assert (certify(problem, found).gap == 0) is (most_work > 1)


@pytest.mark.parametrize("limit", ["TREE_BYTES", "MOST_WORK"])
def test_a_tree_that_meets_a_limit_says_how_far_it_got(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Memory and work are limited: the plan is then feasible, with a bound that
    holds and is not above that of the prices, and the reason is the method.
    """
    problem = hard_night()
    best, _ = proved(problem)
    assert best.tree is not None
    room = len(best.tree.parent) * branch.NODE_BYTES
    monkeypatch.setattr(branch, limit, room if limit == "TREE_BYTES" else 1)
    found, proof = proved(problem)
    assert found.termination.limit == "METHOD"
    root = certify(problem, replace(found, tree=None))
    optimum = int(problem.option_saving[best.chosen].sum())
    assert proof.primal_bound <= optimum <= proof.dual_bound <= root.dual_bound


def test_half_of_the_time_is_left_to_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that looks for a plan may not take all the time of its proof."""
    given = []

    def solve_core(_core: object, _state: object, effort: Effort, _: object) -> None:
        given.append(effort.seconds)

    monkeypatch.setattr(packing, "solve_core", solve_core)
    _, proof = proved(hard_night(), time_limit_seconds=60)
    assert 0 < max(given) <= 30
    assert proof.gap == 0


@pytest.mark.parametrize("seconds", [0.0, 1e-6])
def test_no_tree_is_begun_when_the_time_is_up(seconds: float) -> None:
    """A deadline that has passed leaves plan and prices as they are."""
    proved(hard_night())  # compiles, which no deadline counts
    found, proof = proved(hard_night(), time_limit_seconds=seconds)
    assert found.tree is None
    assert found.termination.limit == "TIME"
    assert proof.is_feasible


def test_a_gap_that_is_wanted_no_smaller_needs_no_tree() -> None:
    """Where prices prove the gap that is asked for, nothing is divided."""
    found, proof = proved(hard_night(), relative_gap=1.0)
    assert found.tree is None
    assert found.termination.limit == "GAP"
    assert proof.gap > 0


def test_the_night_of_the_documentation_has_three_nodes() -> None:
    """All plans, those with the best parcel and those without."""
    found, proof = proved(pairs_problem())
    assert found.chosen.tolist() == [0]
    assert found.tree is not None
    assert found.tree.option.tolist() == [-1, 0, 0]
    assert proof.dual_bound == 5_000_000


@pytest.mark.parametrize("seed", range(40))
def test_what_is_in_leaves_a_lane_less_room_for_the_rest(seed: int) -> None:
    """Whether all that gains fits, or only some: no subset beside it brings more."""
    draw = np.random.default_rng(seed)
    problem = hard_night(seed)
    nothing = Solution(
        chosen=np.zeros(0, np.int64),
        lane_price=np.zeros(problem.num_lanes, np.int64),
        merchant_price=np.zeros(problem.num_merchants, np.int64),
        termination=Termination("FEASIBLE", "METHOD"),
    )
    night = branch_night.kernel_night(problem, nothing)
    fixed = draw.choice(np.array([-1, -1, -1, 0], np.int8), problem.num_options)
    left = problem.slots.astype(np.int64)
    for option in draw.permutation(problem.num_options)[:8].tolist():
        lane, load = night.option_lane[option], night.load[option]
        if load <= left[lane]:
            fixed[option], left[lane] = 1, left[lane] - load
    prices = np.zeros(len(night.has_price), np.int64)
    profit = np.zeros(len(fixed), np.int64)
    taken = np.zeros(len(fixed), np.bool_)
    bound = branch_kernels._choose(night, fixed, prices, profit, taken)
    best = int(profit[fixed == 1].sum())
    for lane in range(problem.num_lanes):
        open_here = (fixed == 0) & (night.option_lane == lane) & (profit > 0)
        some = np.flatnonzero(open_here)
        best += fill.best_subset(night.load[some], profit[some], int(left[lane]))[0]
    assert bound == best == profit[taken].sum()


def test_compiling_is_no_time_of_a_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Seconds in which kernels were compiled are given back: what would be late by as
    many is not, and what numba tells of a compilation adds to them.
    """
    before = compiling.compiling_seconds()
    with event.trigger_event("numba:compile"), event.trigger_event("numba:compile"):
        during = compiling.compiling_seconds()
    after = compiling.compiling_seconds()
    assert before < during < after
    with Threads(1) as pool:
        params, ends = SolveParams(), -1.0  # before the machine was started
        search = refine_prices.PackingSearch(hard_night(), params, pool, ends, 1, after)
        assert search.is_late()
        monkeypatch.setattr(refine_prices, "compiling_seconds", lambda: math.inf)
        assert not search.is_late()


def test_a_search_that_the_clock_cut_anywhere_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step that ended for time kept back is time too, and so is a whole program's."""
    left = iter([10.0, 10.0, 3.0])
    monkeypatch.setattr(
        refine_prices.PackingSearch, "seconds_left", lambda _: next(left)
    )
    plan = Solution(*[np.zeros(0, np.int64)] * 3, Termination("FEASIBLE", "METHOD"))
    with Threads(1) as pool:
        search = refine_prices.PackingSearch(hard_night(), SolveParams(), pool, 0.0)
        assert not search.is_late(5.0)
        assert packing._said_cut(search, plan) is plan
        for name in ("undecided", "make_core", "solve_core"):
            monkeypatch.setattr(packing, name, lambda *_: np.zeros(0, np.int64))
        effort = Effort(7.0, 1, 0.0)
        state = SimpleNamespace(pick=np.zeros(1, np.int64))
        packing._solved_core(search, None, state, np.zeros(0, np.int64), effort, 0)  # type: ignore[arg-type]
        assert packing._said_cut(search, plan).termination.limit == "TIME"
        proved = replace(plan, termination=Termination("OPTIMAL"))
        assert packing._said_cut(search, proved) is proved


def knapsacks(seed: int, num_rows: int, num_goods: int) -> Problem:
    """Goods of which each weighs something in every row, as nights without lanes."""
    draw = np.random.default_rng(seed)
    weight = draw.integers(1, 100, (num_goods, num_rows))
    return Problem(
        merchant_start=np.array([0, num_goods]),
        cap=np.array([num_goods]),
        option_start=np.arange(num_goods + 1),
        option_lane=np.zeros(num_goods, np.int32),
        option_saving=(weight.sum(axis=1) + draw.integers(0, 50, num_goods)) * 10_000,
        slots=np.array([num_goods]),
        lane_parent=np.array([-1], np.int32),
        key=np.arange(1, num_goods + 1).astype(np.uint64),
        row=np.arange(num_goods),
        side=SideRows(
            option_load=np.ones(num_goods, np.int64),
            entry_start=np.arange(num_goods + 1) * num_rows,
            entry_row=np.tile(np.arange(num_rows), num_goods).astype(np.int32),
            entry_weight=weight.ravel(),
            low=np.full(num_rows, NO_FLOOR),
            high=weight.sum(axis=0) // 2,
            penalty=np.full(num_rows, HARD),
            rank=np.zeros(num_rows, np.int32),
            pin_rank=np.full(num_goods, NO_PIN, np.int32),
        ),
    )


@pytest.mark.parametrize("seed", range(6))
def test_knapsacks_of_several_rows_end_at_what_enumeration_finds(seed: int) -> None:
    """All subsets of 12 goods are counted: none that fits is worth more; gap 0."""
    problem = knapsacks(seed, 1 + seed, 12)
    found, proof = proved(problem)
    some = (np.arange(2**12)[:, None] >> np.arange(12)) & 1
    weight = problem.side.entry_weight.reshape(12, -1)
    fits = np.all(some @ weight <= problem.side.high, axis=1)
    best = (some @ problem.option_saving)[fits].max()
    assert proof.gap == 0
    assert problem.option_saving[found.chosen].sum() == best


def test_prices_of_a_node_are_those_of_its_linear_program() -> None:
    """
    Whatever was solved before on the same table, each node's answer is worth what GLOP
    finds for it, and its prices bound by as much.
    """
    problem = knapsacks(3, 5, 40)
    nothing = Solution(
        chosen=np.zeros(0, np.int64),
        lane_price=np.zeros(1, np.int64),
        merchant_price=np.zeros(1, np.int64),
        termination=Termination("FEASIBLE", "METHOD"),
    )
    night = branch_night.kernel_night(problem, nothing)
    linear = branch_night.make_linear(night)
    state = branch_night.first_state(linear)
    assert linear.place.tolist() == np.arange(42, 47).tolist()
    draw, weight = np.random.default_rng(1), problem.side.entry_weight.reshape(40, 5)
    for turn in range(25):
        fixed = draw.choice(np.array([0, 0, 0, 0, -1, 1], np.int8), 40)
        if np.any(weight[fixed == 1].sum(axis=0) > problem.side.high):
            fixed[fixed == 1] = 0
        if turn == 12:
            state.pivots[0] = branch_linear.FRESH
        branch_linear.solve_node(linear, state, fixed, 1_000)
        exact = solve_linear(
            Program(
                cost=problem.option_saving.astype(np.float64),
                upper=(fixed >= 0).astype(np.float64),
                row=np.repeat(np.arange(6), 40),
                column=np.tile(np.arange(40), 6),
                amount=np.vstack((weight.T, fixed == 1)).ravel().astype(np.float64),
                least=np.append(np.full(5, -np.inf), np.sum(fixed == 1)),
                most=np.append(problem.side.high, np.inf).astype(np.float64),
                num_whole=0,
            ),
            seconds=60,
        )
        assert exact is not None
        prices = np.zeros(47, np.int64)
        branch_linear.linear_prices(linear, state, night, prices)
        profit, taken = np.zeros(40, np.int64), np.zeros(40, np.bool_)
        bound = branch_kernels._choose(night, fixed, prices, profit, taken)
        worth = float(problem.option_saving @ state.x[:40])
        rounding = 1 + 5 * int(problem.side.high.max())
        assert worth - 1 <= bound <= worth + rounding
        glop = np.rint(exact[:5]).astype(np.int64)
        prices[42:] = np.maximum(glop, 0)
        other = branch_kernels._choose(night, fixed, prices, profit, taken)
        assert abs(bound - other) <= 2 * rounding


@pytest.mark.parametrize("seed", [3, 5, 13])
def test_floors_pins_and_lanes_are_in_the_linear_program(seed: int) -> None:
    """
    Whatever is in or out: the answer keeps every limit, what it misses of floors and of
    pins is paid for, and its prices bound all answers by what it is worth.
    """
    problem = hard_night(seed)
    found = solve(problem, "packing", SolveParams())
    night = branch_night.kernel_night(problem, found)
    linear = branch_night.make_linear(night)
    assert linear.is_filled
    state, merchants = branch_night.first_state(linear), problem.num_merchants
    pinned = night.lowest[merchants : merchants + problem.num_orders] < 0
    assert np.any(pinned)
    assert np.any(night.low > 0)
    # Lanes without knapsacks: then the bound is that of the linear program.
    night = night._replace(
        has_price=np.ones(len(night.has_price), np.bool_),
        is_large=np.ones(problem.num_lanes, np.bool_),
    )
    highest = branch_night.HARD_PRICE * int(night.saving.max())
    draw = np.random.default_rng(seed)
    for _ in range(30):
        fixed = draw.choice(np.array([0, 0, 0, 0, 0, -1], np.int8), len(night.saving))
        fixed[found.chosen[draw.random(len(found.chosen)) < 0.2]] = 1
        branch_linear.solve_node(linear, state, fixed, 10_000)
        taken = state.x[: len(fixed)]
        assert np.all(taken[fixed == 1] > 1 - 1e-9)
        assert np.all(taken[fixed == -1] < 1e-9)
        order, row = use_of(night, taken)
        penalty = np.minimum(-night.lowest[-len(row) :], highest)
        missed = penalty @ np.maximum(night.low - row, 0)
        missed += highest * np.sum(1 - order[pinned])
        worth = float(night.saving @ taken - missed)
        prices = np.zeros(len(night.has_price), np.int64)
        branch_linear.linear_prices(linear, state, night, prices)
        profit, chosen = np.zeros(len(fixed), np.int64), np.zeros(len(fixed), np.bool_)
        bound = branch_kernels._choose(night, fixed, prices, profit, chosen)
        assert bound == pytest.approx(worth, rel=1e-6, abs=1_000)


def use_of(
    night: branch_night.BranchNight, taken: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What is taken of each order, and of each side row; no limit is broken."""
    order = np.bincount(night.option_order, taken, len(night.order_merchant))
    cap = np.bincount(night.order_merchant, order, len(night.cap))
    lane = np.bincount(night.option_lane, night.load * taken, len(night.slots))
    for below in range(len(lane) - 1, -1, -1):
        if night.lane_parent[below] >= 0:
            lane[night.lane_parent[below]] += lane[below]
    each = np.repeat(taken, np.diff(night.entry_start)) * night.entry_weight
    row = np.bincount(night.entry_row, each, len(night.high))
    for used, most in ((order, 1), (cap, night.cap), (lane, night.slots)):
        assert np.all(used <= most + 1e-6)
    assert np.all(row <= night.high + 1e-6)
    return order, row


def test_a_night_of_filled_lanes_and_floors_takes_few_nodes() -> None:
    """
    Five crossing rows, three of them with floors, over filled lanes: 27,000 nodes by
    steps alone, some hundred from the prices of each node's linear program.
    """
    problem = random_packing(
        np.random.default_rng(249),
        pin_share=0.0,
        num_orders=43,
        num_merchants=7,
        num_lanes=8,
        most_options=3,
        most_saving=1_000_000,
        num_rows=5,
        most_load=4,
    )
    found, proof = proved(problem)
    assert proof.gap == 0
    assert found.tree is not None
    assert found.tree.num_nodes < 3_000
