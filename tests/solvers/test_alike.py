"""Orders that are alike are solved once, shared out in order, and nothing is lost."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.certificate import certify
from optimizer.model.problem import Problem, starts
from optimizer.model.solution import SolveParams
from optimizer.solvers import choose_method, solve
from optimizer.solvers.baselines.flow import solve_flow
from optimizer.solvers.flow import plan as flow
from optimizer.solvers.network import alike_orders
from optimizer.solvers.network.alike_orders import find_classes, is_tied
from optimizer.testing import random_problem
from tests.support.examples import examples
from tests.support.oracles import best_by_enumeration, worth


def repeated(problem: Problem, times: np.ndarray) -> Problem:
    """Each order so many times, one after the other, with slots for more."""
    order = np.repeat(np.arange(problem.num_orders), times)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    ways = np.diff(problem.option_start)[order]
    option = np.concatenate(
        [
            np.arange(problem.option_start[i], problem.option_start[i + 1])
            for i in order.tolist()
        ]
        or [np.zeros(0, np.int64)]
    )
    much = int(times.max(initial=1))
    return dataclasses.replace(
        problem,
        merchant_start=starts(merchant, problem.num_merchants),
        cap=problem.cap * much // 2,
        option_start=np.append(0, np.cumsum(ways)),
        option_lane=problem.option_lane[option],
        option_saving=problem.option_saving[option],
        slots=problem.slots * much // 2,
        key=np.arange(len(order)).astype(np.uint64),
        row=np.arange(len(order)),
    )


def tied_problem(seed: int, most: int = 9, **shape: int) -> Problem:
    """A random night of which each order is there up to so many times."""
    draw = np.random.default_rng(seed)
    few = random_problem(draw, **shape)
    return repeated(few, draw.integers(1, most + 1, few.num_orders))


def options_by_hand(problem: Problem, order: int) -> tuple[object, ...]:
    """What makes an order what it is, its key aside."""
    here = slice(*problem.option_start[order : order + 2].tolist())
    merchant = int(np.searchsorted(problem.merchant_start, order, side="right"))
    lanes, savings = problem.option_lane[here], problem.option_saving[here]
    return merchant, *lanes.tolist(), None, *savings.tolist()


@examples(150)
@given(seed=st.integers(0, 2**32))
def test_classes_are_the_orders_that_are_alike(seed: int) -> None:
    """Each class is all orders of one merchant with the same options, and no other."""
    problem = tied_problem(seed, num_orders=8, most_saving=2)
    expected: dict[tuple[object, ...], list[int]] = {}
    for order in range(problem.num_orders):
        expected.setdefault(options_by_hand(problem, order), []).append(order)
    found = find_classes(problem)
    members = np.split(found.member, found.start[1:-1])
    assert [m.tolist() for m in members if len(m)] == [*expected.values()]
    assert found.first.tolist() == [orders[0] for orders in expected.values()]


@examples(100)
@given(seed=st.integers(0, 2**32))
def test_a_hash_that_meets_joins_nothing(seed: int) -> None:
    """Orders whose hash is one and whose options differ stay apart."""
    problem = tied_problem(seed, num_orders=8, most_saving=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            alike_orders, "_marks", lambda _, orders: np.zeros(len(orders), int)
        )
        found = find_classes(problem)
    for first, *others in np.split(found.member, found.start[1:-1]):
        for other in others:
            assert options_by_hand(problem, first) == options_by_hand(problem, other)
    assert sorted(found.member.tolist()) == [*range(problem.num_orders)]


@examples(200)
@given(
    seed=st.integers(0, 2**32),
    num_orders=st.integers(1, 20),
    num_lanes=st.integers(1, 8),
    most_options=st.integers(1, 4),
    most_saving=st.sampled_from([2, 6, 10**6]),
)
def test_a_merged_night_is_the_night(
    seed: int, num_orders: int, num_lanes: int, most_options: int, most_saving: int
) -> None:
    """Plan, proof and least prices are those of flow on every single order."""
    problem = tied_problem(
        seed,
        num_orders=num_orders,
        num_lanes=num_lanes,
        most_options=most_options,
        most_saving=most_saving,
    )
    found = choose_method._by_classes(problem, np.inf)
    plain = solve_flow(problem, SolveParams())
    assert found is not None
    assert certify(problem, found).is_optimal
    assert worth(problem, found.chosen) == worth(problem, plain.chosen)
    assert np.array_equal(found.lane_price, plain.lane_price)
    assert np.array_equal(found.merchant_price, plain.merchant_price)


@examples(100)
@given(seed=st.integers(0, 2**32))
def test_alike_orders_are_served_in_canonical_order(seed: int) -> None:
    """Of each class the first orders are chosen, the first on the first lane."""
    problem = tied_problem(seed, num_orders=12, most_saving=3)
    found = choose_method._by_classes(problem, np.inf)
    assert found is not None
    way = np.full(problem.num_orders, 10**6)
    order = np.searchsorted(problem.option_start, found.chosen, side="right") - 1
    way[order] = found.chosen - problem.option_start[order]
    classes = find_classes(problem)
    for members in np.split(classes.member, classes.start[1:-1]):
        assert np.all(np.diff(way[members]) >= 0)


@examples(50)
@given(seed=st.integers(0, 2**32))
def test_enumeration_agrees_on_tiny_tied_nights(seed: int) -> None:
    """No plan of a tiny tied night is better than the one that ``auto`` finds."""
    problem = tied_problem(seed, most=3, num_orders=3, num_merchants=2, num_lanes=3)
    found = solve(problem, "auto", SolveParams())
    assert worth(problem, found.chosen) == best_by_enumeration(problem)
    assert certify(problem, found).is_optimal


def hard_to_balance(times: int = 25) -> Problem:
    """Merchants whose orders are all alike, and may go with any of many carriers."""
    draw, merchants, carriers = np.random.default_rng(40), 12, 10
    saving = 310 - draw.integers(1, 101, (merchants, carriers))
    total = merchants * times
    return Problem(
        merchant_start=np.arange(merchants + 1) * times,
        cap=np.full(merchants, times),
        option_start=np.arange(total + 1) * carriers,
        option_lane=np.tile(np.arange(carriers, dtype=np.int32), total),
        option_saving=np.repeat(saving, times, axis=0).ravel(),
        slots=np.full(carriers, total // carriers + 1),
        lane_parent=np.full(carriers, -1, np.int32),
        key=np.arange(total).astype(np.uint64),
        row=np.arange(total),
    )


def test_tied_nights_go_by_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where most orders are alike, and not few, prices are not asked."""
    problem = hard_to_balance()
    assert is_tied(problem)
    monkeypatch.setattr(choose_method, "solve_directly", lambda _: None)
    best = worth(problem, solve_flow(problem, SolveParams()).chosen)
    monkeypatch.setattr(choose_method, "solve_pricing", None)
    found = solve(problem, "auto", SolveParams())
    assert worth(problem, found.chosen) == best


@pytest.mark.parametrize("looks", [0, 1_000])
def test_a_solve_that_stalls_is_handed_over(
    monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """
    With no patience left flow takes over, and finds the optimum with the same least
    prices; with patience prices find it by themselves.
    """
    handed: list[int] = []
    by_classes = choose_method._by_classes

    def counted(problem: Problem, ends: float) -> object:
        handed.append(1)
        return by_classes(problem, ends)

    problem = hard_to_balance()
    plain = solve_flow(problem, SolveParams())
    monkeypatch.setattr(choose_method, "is_tied", lambda _: False)
    monkeypatch.setattr(choose_method, "solve_directly", lambda _: None)
    monkeypatch.setattr(choose_method, "PATIENCE", looks)
    monkeypatch.setattr(choose_method, "_by_classes", counted)
    monkeypatch.setattr("optimizer.solvers.network.augmenting_paths.WORK_LIMIT", 1_000)
    found = solve(problem, "auto", SolveParams())
    assert len(handed) == (looks == 0)
    assert certify(problem, found).is_optimal
    assert worth(problem, found.chosen) == worth(problem, plain.chosen)
    assert np.array_equal(found.lane_price, plain.lane_price)


def test_where_flow_cannot_take_over_prices_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A night too large for the integers of flow is solved by prices to the end."""
    problem = hard_to_balance()
    monkeypatch.setattr(choose_method, "is_tied", lambda _: False)
    monkeypatch.setattr(choose_method, "solve_directly", lambda _: None)
    monkeypatch.setattr(choose_method, "PATIENCE", 0)
    monkeypatch.setattr("optimizer.solvers.network.augmenting_paths.WORK_LIMIT", 1_000)
    monkeypatch.setattr(flow, "MAX_ARCS", 1)
    assert certify(problem, solve(problem, "auto", SolveParams())).is_optimal
