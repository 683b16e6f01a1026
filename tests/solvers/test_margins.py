"""Margins and slot values are amounts: solving the night again gives each of them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.margins import margins_again
from optimizer.errors import SolveError
from optimizer.model import margins as limits
from optimizer.model.margins import NO_END, Margins
from optimizer.model.problem import Problem
from optimizer.model.solution import SolveParams
from optimizer.solvers import market, solve
from optimizer.solvers.network import margins, near_nodes
from optimizer.solvers.network.margins import find_margins
from optimizer.testing import random_problem
from optimizer.whatif.perturb import path_to_root
from tests.support.examples import examples, num_of
from tests.support.oracles import best_by_enumeration

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.model.solution import Solution

#: More than all savings of a small night together.
MUCH = 10**6


def by_flow(problem: Problem) -> int:
    """The optimum, by another method than the one that is asked for prices."""
    chosen = solve(problem, "flow", SolveParams()).chosen
    return int(problem.option_saving[chosen].sum())


def with_savings(problem: Problem, order: int, more: int | None) -> Problem:
    """The night with an order's savings raised alike, or (``None``) without it."""
    saving = problem.option_saving.copy()
    own = slice(*problem.option_start[order : order + 2].tolist())
    saving[own] = -1 if more is None else saving[own] + more
    return replace(problem, option_saving=saving)


def changed(problem: Problem, name: str, places: list[int], by: int) -> Problem:
    """The night with one more or one fewer in some places."""
    numbers = getattr(problem, name).copy()
    numbers[places] += by
    return replace(problem, **{name: numbers})


def true_margin(problem: Problem, order: int, best: Callable[[Problem], int]) -> int:
    """The best with the order less the best without it."""
    inside = best(with_savings(problem, order, MUCH)) - MUCH
    if inside < -MUCH // 2:
        return NO_END
    return inside - best(with_savings(problem, order, None))


def hold_slots(
    problem: Problem, found: Margins, best: Callable[[Problem], int]
) -> None:
    """Solve again with one more and one fewer everywhere."""
    value = best(problem)

    def check(name: str, places: list[int], more: int, fewer: int) -> None:
        assert more == best(changed(problem, name, places, 1)) - value
        if getattr(problem, name)[places].min() == 0:
            assert fewer == NO_END
        else:
            assert fewer == value - best(changed(problem, name, places, -1))

    for lane in range(problem.num_lanes):
        around = path_to_root(lane, problem.lane_parent)
        check("slots", [lane], found.row_more[lane], found.row_fewer[lane])
        check("slots", around, found.around_more[lane], found.around_fewer[lane])
    for at in range(problem.num_merchants):
        check("cap", [at], found.cap_more[at], found.cap_fewer[at])


def night(seed: int, num_orders: int | None = None) -> Problem:
    """A small random night: nested lanes, choice, ties, slack, caps and slots of 0."""
    draw = np.random.default_rng(seed)
    return random_problem(
        draw,
        num_orders=int(draw.integers(4, 16)) if num_orders is None else num_orders,
        num_merchants=int(draw.integers(1, 5)),
        num_lanes=int(draw.integers(1, 8)),
        most_saving=int(draw.choice([3, 20, 1_000])),
    )


def find(problem: Problem, method: str = "auto") -> tuple[Margins, Solution]:
    """Exact margins of a night, and the plan that they were found from."""
    solution = solve(problem, method, SolveParams())
    found = find_margins(problem, solution)
    assert found is not None
    assert found.order.low is found.order.high
    return found, solution


@pytest.mark.slow
@examples(150)
@given(st.integers(0, 2**32 - 1))
def test_a_margin_is_the_best_with_the_order_less_the_best_without(seed: int) -> None:
    """
    On random nights small enough to try every plan: the margin of each order, with no
    end where no plan has it; and what one more and one fewer brings and costs, in each
    row alone, in each row with all around it, in each cap.
    """
    problem = night(seed, 7)
    found, _ = find(problem)
    for order in range(problem.num_orders):
        expected = true_margin(problem, order, best_by_enumeration)
        assert found.order.low[order] == expected, order
    hold_slots(problem, found, best_by_enumeration)


@pytest.mark.slow
def test_many_nights_solved_again_give_every_margin() -> None:
    """
    On hundreds of nights of up to 15 orders, every margin and every slot value comes
    out of solving again by minimum cost flow; a third of the margins is neither 0 nor
    endless.
    """
    num_margins = num_amounts = 0
    num_nights = num_of(1_000)
    for seed in range(num_nights):
        problem = night(seed)
        found, _ = find(problem)
        for order in range(problem.num_orders):
            expected = true_margin(problem, order, by_flow)
            assert found.order.low[order] == expected, (seed, order)
            num_amounts += expected not in (0, NO_END)
        num_margins += problem.num_orders
        if seed % 4 == 0:
            hold_slots(problem, found, by_flow)
    assert num_margins > 7.5 * num_nights
    assert num_amounts > num_margins / 4


@pytest.mark.parametrize("seed", range(60))
def test_raised_by_its_margin_an_order_ties_and_by_one_more_it_is_chosen(
    seed: int,
) -> None:
    """
    An order that lacks so much is in no optimum with one micro-CNY less, and in each
    with one more; a chosen one stays with one less than it could lose, and not with
    one more.
    """
    problem = night(seed)
    found, solution = find(problem)
    held = np.searchsorted(problem.option_start, solution.chosen, side="right") - 1

    def is_chosen(order: int, change: int) -> bool:
        again = solve(with_savings(problem, order, change), "auto", SolveParams())
        start = problem.option_start
        return order in np.searchsorted(start, again.chosen, side="right") - 1

    for order in range(problem.num_orders):
        margin = int(found.order.low[order])
        if margin == NO_END:
            assert not is_chosen(order, MUCH)
            continue
        assert is_chosen(order, 1 - margin)
        assert not is_chosen(order, -1 - margin)
        assert margin >= 0 if order in held else margin <= 0


def same(one: Margins, other: Margins) -> bool:
    """Whether two are the same in every number."""

    def arrays(found: Margins) -> list[np.ndarray]:
        ends = [found.order.low, found.order.high]
        return ends + [getattr(found, field.name) for field in fields(found)[2:]]

    pairs = zip(arrays(one), arrays(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("seed", range(80))
def test_every_method_and_every_optimal_plan_gives_the_same(seed: int) -> None:
    """
    Plans of equal worth differ by method on nights with ties; margins do not, nor do
    what the proof finds in rounds and what the solver finds by searches. Every other
    night is large enough for ways over several lanes and merchants.
    """
    problem = night(seed, 40)
    if seed % 2:
        draw = np.random.default_rng(seed)
        problem = random_problem(
            draw, num_orders=300, num_merchants=15, num_lanes=25, most_saving=10**6
        )
    found, solution = find(problem)
    assert same(found, find(problem, "flow")[0])
    again = margins_again(problem, solution, None)
    assert again is not None
    assert same(found, again)


@pytest.mark.slow
def test_what_is_too_far_to_search_is_an_interval_that_holds_the_margin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    With room for a few nodes only, ends differ where the search was cut short, and the
    margin lies between; the proof comes to the same ends; slot values are the exact
    ones or have no end. With a little more room for some lanes, those are exact again.
    """
    num_open = 0
    for seed in range(150):
        problem = night(seed, 24)
        exact, solution = find(problem)
        monkeypatch.setattr(limits, "MOST_NEAR", seed % 20)
        monkeypatch.setattr(limits, "LEAST_NEAR", 1 + seed % 3)
        found = find_margins(problem, solution)
        again = margins_again(problem, solution, None)
        monkeypatch.undo()
        assert found is not None
        assert again is not None
        assert same(found, again), seed
        assert np.all(found.order.low <= exact.order.low), seed
        assert np.all(found.order.high >= exact.order.high), seed
        for name in ("row_more", "row_fewer"):
            row, true = getattr(found, name), getattr(exact, name)
            assert np.all((row == true) | (row == NO_END)), (seed, name)
        num_open += int(np.sum(found.order.low != found.order.high))
    assert num_open > 200


def test_threads_and_the_room_of_lists_never_change_a_margin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Searched by three threads, three lanes at a time, with lists that begin with room
    for two nodes, and with a second round for some lanes, every margin is the same.
    """
    for seed in range(6):
        monkeypatch.setattr(limits, "MOST_NEAR", 40)
        monkeypatch.setattr(limits, "LEAST_NEAR", 2)
        problem = night(seed, 60)
        found, solution = find(problem)
        monkeypatch.setattr(near_nodes, "LANES_AT_ONCE", 3)
        monkeypatch.setattr(near_nodes, "NEAR_AT_FIRST", 2)
        monkeypatch.setattr(margins, "FEW_ORDERS", 0)
        monkeypatch.setattr(market, "SERIAL_OPTIONS", 0)
        for num_threads in (1, 3):
            again = find_margins(problem, solution, num_threads=num_threads)
            assert again is not None
            assert same(found, again), seed
        monkeypatch.undo()


def test_prices_that_are_not_the_least_give_no_margins() -> None:
    """
    At the greatest prices that prove the plan the ground is not where a search may end:
    both roads say so, and give nothing. Prices that do not prove the plan are refused.
    """
    num_higher = num_refused = 0
    for seed in range(60):
        problem = replace(
            night(seed, 20),
            lane_parent=np.full(night(seed, 20).num_lanes, -1, np.int32),
        )
        found, solution = find(problem)
        has_end = found.around_fewer < NO_END
        greatest = np.where(has_end, found.around_fewer, MUCH)
        if np.any((greatest > found.around_more) & has_end):
            dearer = replace(solution, lane_price=greatest)
            assert find_margins(problem, dearer) is None
            assert margins_again(problem, dearer, None) is None
            num_higher += 1
        if found.around_more.any():
            free = replace(solution, lane_price=np.zeros_like(solution.lane_price))
            with pytest.raises(SolveError, match="prove the plan"):
                find_margins(problem, free)
            num_refused += 1
    assert num_higher > 20
    assert num_refused > 10
