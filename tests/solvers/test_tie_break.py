"""Among equal optima the earlier choices are kept, as many as any optimum can keep."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.certificate import certify
from optimizer.model.problem import MAX_TOTAL_SAVING, Problem
from optimizer.model.solution import SolveParams, Termination
from optimizer.solvers import solve
from optimizer.solvers.network.tie_break import keep_most
from optimizer.testing import random_problem
from tests.support.examples import examples
from tests.support.oracles import is_feasible, merchant_of, order_of, path_of, worth


def best_kept(problem: Problem, earlier: set[int]) -> tuple[int, int]:
    """The best value, and the most earlier options that a plan of it has."""
    cap, slots = problem.cap.tolist(), problem.slots.tolist()
    options: dict[int, list[int]] = {i: [] for i in range(problem.num_orders)}
    for option in range(problem.num_options):
        options[order_of(problem, option)].append(option)

    def best(order: int) -> tuple[int, int]:
        if order == problem.num_orders:
            return 0, 0
        found = best(order + 1)
        merchant = merchant_of(problem, order)
        for option in options[order] if cap[merchant] else []:
            path = path_of(problem, int(problem.option_lane[option]))
            if not all(slots[lane] for lane in path):
                continue
            cap[merchant] -= 1
            for lane in path:
                slots[lane] -= 1
            value, kept = best(order + 1)
            saving = int(problem.option_saving[option])
            found = max(found, (value + saving, kept + (option in earlier)))
            cap[merchant] += 1
            for lane in path:
                slots[lane] += 1
        return found

    return best(0)


@pytest.mark.slow
@examples(150)
@given(
    seed=st.integers(0, 2**32),
    num_orders=st.integers(1, 8),
    num_lanes=st.integers(1, 4),
    most_saving=st.sampled_from([1, 2, 4]),
)
def test_as_much_is_kept_as_any_optimum_can_keep(
    seed: int, num_orders: int, num_lanes: int, most_saving: int
) -> None:
    """
    On tiny nights full of ties, enumeration finds no plan of the same value that
    keeps more; value and prices are unchanged, and the gap is 0.
    """
    draw = np.random.default_rng(seed)
    problem = random_problem(
        draw, num_orders=num_orders, num_lanes=num_lanes, most_saving=most_saving
    )
    # an order that saves nothing is never chosen, so it cannot be kept
    is_earlier = (draw.random(problem.num_options) < 0.5) & (problem.option_saving > 0)
    earlier = np.flatnonzero(is_earlier)
    first = solve(problem, "pricing", SolveParams())
    found = keep_most(problem, first, earlier)
    kept = len(np.intersect1d(found.chosen, earlier))
    assert is_feasible(problem, found.chosen)
    assert (worth(problem, found.chosen), kept) == best_kept(problem, {*earlier})
    assert certify(problem, found).gap == 0
    assert found.lane_price is first.lane_price


def tied(factor: int = 1) -> Problem:
    """Four orders of one merchant, alike in all; two may be chosen."""
    return Problem(
        merchant_start=np.array([0, 4]),
        cap=np.array([2]),
        option_start=np.arange(5),
        option_lane=np.zeros(4, np.int32),
        option_saving=np.full(4, factor),
        slots=np.array([9]),
        lane_parent=np.array([-1], np.int32),
        key=np.arange(4, dtype=np.uint64),
        row=np.arange(4),
    )


def test_earlier_choices_that_are_as_good_come_back() -> None:
    """Of four equal orders the two that were chosen before are chosen again."""
    problem = tied()
    first = solve(problem, "pricing", SolveParams())
    assert keep_most(problem, first, np.array([1, 3])).chosen.tolist() == [1, 3]
    assert keep_most(problem, first, np.array([2, 3])).chosen.tolist() == [2, 3]


def test_an_earlier_choice_that_is_worse_by_one_is_dropped() -> None:
    """One micro-CNY outweighs everything that could be kept."""
    problem = tied(1_000)
    saving = np.array([1_000, 1_000, 999, 999])
    problem = dataclasses.replace(problem, option_saving=saving)
    first = solve(problem, "pricing", SolveParams())
    assert keep_most(problem, first, np.array([2, 3])).chosen.tolist() == [0, 1]


@pytest.mark.parametrize("earlier", [4, 5])
def test_two_kept_choices_never_cost_one_micro_cny(earlier: int) -> None:
    """
    Where giving up 1 micro-CNY would keep two choices, they are let go, and what can
    be kept for nothing is kept all the same.

    Lanes 0, 1 and 3 have a slot, lane 2 has none. Order a saves 2 on lane 0 or 2; b
    saves 5 on lane 0 or 1; c saves 1 on lane 1; d and e save 1 on lane 3. The best
    is a on 0, b on 1, and d or e: 8. With b on 0 and c on 1, as before, it is 7.
    """
    problem = Problem(
        merchant_start=np.arange(6),
        cap=np.ones(5, np.int64),
        option_start=np.array([0, 2, 4, 5, 6, 7]),
        option_lane=np.array([0, 2, 0, 1, 1, 3, 3], np.int32),
        option_saving=np.array([2, 2, 5, 5, 1, 1, 1]),
        slots=np.array([1, 1, 0, 1]),
        lane_parent=np.full(4, -1, np.int32),
        key=np.arange(5, dtype=np.uint64),
        row=np.arange(5),
    )
    before = np.array([2, 4, 1 + earlier])
    first = solve(problem, "pricing", SolveParams())
    found = keep_most(problem, first, before)
    assert found.chosen.tolist() == [0, 3, 1 + earlier]
    assert certify(problem, found).is_optimal


@pytest.mark.parametrize(
    ("factor", "num_lanes"), [(MAX_TOTAL_SAVING // 4, 1), (2**54, 100)]
)
def test_ties_beyond_the_integers_leave_the_plan_as_it_is(
    factor: int, num_lanes: int
) -> None:
    """
    Where keeping cannot be told from saving in 64 bits, or in what flow makes of
    them on many lanes, the optimum stands; a solved night does not fail.
    """
    problem = dataclasses.replace(
        tied(factor),
        slots=np.full(num_lanes, 9),
        lane_parent=np.full(num_lanes, -1, np.int32),
    )
    first = solve(problem, "pricing", SolveParams())
    assert keep_most(problem, first, np.array([2, 3])) is first


def test_no_time_leaves_the_plan_as_it_is() -> None:
    """Keeping obeys the clock: past its end the optimum is returned untouched."""
    first = solve(tied(), "pricing", SolveParams())
    assert keep_most(tied(), first, np.array([2, 3]), ends=0.0) is first


def test_a_plan_that_is_not_optimal_is_left_alone() -> None:
    """Without proof there is no telling which plans are as good."""
    first = solve(tied(), "greedy", SolveParams())
    assert first.termination == Termination("FEASIBLE", "METHOD")
    assert keep_most(tied(), first, np.array([2, 3])) is first


@pytest.mark.parametrize("seed", range(3))
def test_the_plan_itself_is_kept_whole(seed: int) -> None:
    """On a large night of ties, a plan that is optimal today is today's plan."""
    problem = random_problem(
        np.random.default_rng(seed), num_orders=2_000, num_merchants=40, most_saving=3
    )
    flow = solve(problem, "flow", SolveParams())
    pricing = solve(problem, "pricing", SolveParams())
    found = keep_most(problem, pricing, flow.chosen)
    positive = flow.chosen[problem.option_saving[flow.chosen] > 0]
    assert np.isin(positive, found.chosen).all()
    assert certify(problem, found).is_optimal
