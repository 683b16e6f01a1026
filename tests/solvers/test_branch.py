"""Small packing nights are divided until their plan is proved, or a limit is met."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.certificate import Certificate, certify, saving_unit
from optimizer.model.problem import Problem
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers import solve
from optimizer.solvers.kernels import branch as branch_kernels
from optimizer.solvers.kernels import fill
from optimizer.solvers.packing import branch
from optimizer.solvers.packing import solve as packing
from optimizer.solvers.packing.programs import Effort
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


def test_no_tree_is_begun_when_the_time_is_up() -> None:
    """A deadline that has passed leaves plan and prices as they are."""
    found, proof = proved(hard_night(), time_limit_seconds=1e-6)
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
    night = branch._kernel_night(problem, nothing)
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
