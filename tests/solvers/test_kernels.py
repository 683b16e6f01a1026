"""Every compiled kernel does what its plain twin does."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import merchant_of, order_of, path_of

from optimizer.model.problem import Problem
from optimizer.model.tree import effective_price
from optimizer.solvers.greedy import merchant_of_order, order_of_option
from optimizer.solvers.kernels import market as market_kernels
from optimizer.solvers.kernels import newton as newton_kernels
from optimizer.solvers.kernels import plan as plan_kernels
from optimizer.testing import random_problem

SEEDS = range(40)


@pytest.fixture(params=SEEDS)
def night(request: pytest.FixtureRequest) -> tuple[Problem, np.ndarray]:
    """A random problem with random effective prices."""
    draw = np.random.default_rng(request.param)
    problem = random_problem(draw, num_orders=30, num_merchants=4, num_lanes=6)
    own = draw.integers(0, 4, problem.num_lanes)
    return problem, effective_price(own, problem.lane_parent)


def arrays(problem: Problem) -> tuple[np.ndarray, ...]:
    return (
        problem.merchant_start,
        problem.cap,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
    )


def options_of(problem: Problem, order: int) -> range:
    return range(int(problem.option_start[order]), int(problem.option_start[order + 1]))


def orders_of(problem: Problem, merchant: int) -> range:
    starts = problem.merchant_start
    return range(int(starts[merchant]), int(starts[merchant + 1]))


def reduced(problem: Problem, price: np.ndarray, option: int) -> int:
    return int(problem.option_saving[option] - price[problem.option_lane[option]])


def best(problem: Problem, price: np.ndarray, order: int) -> int | None:
    values = [reduced(problem, price, o) for o in options_of(problem, order)]
    return max(values, default=None)


def test_kth_largest_is_that_of_sorting() -> None:
    """Quickselect gives the k-th of the sorted values, and the larger ones before."""
    draw = np.random.default_rng(1)
    for _ in range(300):
        count = int(draw.integers(1, 40))
        values = draw.integers(-5, 20, count)
        k = int(draw.integers(0, count))
        mine = values.copy()
        assert market_kernels.kth_largest(mine, count, k) == np.sort(values)[::-1][k]
        assert min(mine[:k], default=99) >= mine[k]
        assert sorted(mine) == sorted(values)


def test_accept_in_turn_is_the_greedy_rule(night: tuple[Problem, np.ndarray]) -> None:
    """Options are taken in turn while order, cap and all lanes have room."""
    problem, _ = night
    turn = np.random.default_rng(2).permutation(problem.num_options)
    accepted = plan_kernels.accept_in_turn(
        turn,
        order_of_option(problem),
        merchant_of_order(problem),
        problem.option_lane,
        problem.lane_parent,
        problem.cap.copy(),
        problem.slots.copy(),
    )
    cap, slots, taken, expected = problem.cap.copy(), problem.slots.copy(), set(), set()
    for option in turn.tolist():
        order = order_of(problem, option)
        path = path_of(problem, int(problem.option_lane[option]))
        merchant = merchant_of(problem, order)
        if order not in taken and cap[merchant] and all(slots[r] for r in path):
            taken.add(order)
            expected.add(option)
            cap[merchant] -= 1
            slots[path] -= 1
    assert set(np.flatnonzero(accepted).tolist()) == expected


def test_merchant_prices_are_the_first_saving_outside_the_cap(
    night: tuple[Problem, np.ndarray],
) -> None:
    """A cap's lowest price is its (cap + 1)-th positive reduced saving, or 0."""
    problem, price = night
    found = plan_kernels.merchant_prices(*arrays(problem), price)
    for merchant in range(problem.num_merchants):
        tops = [best(problem, price, i) for i in orders_of(problem, merchant)]
        ranked = sorted((t for t in tops if t is not None and t > 0), reverse=True)
        cap = int(problem.cap[merchant])
        assert found[merchant] == (ranked[cap] if len(ranked) > cap else 0)


def test_choose_takes_each_merchants_best(night: tuple[Problem, np.ndarray]) -> None:
    """Its surplus is the sum of the cap's best reduced savings; demand is feasible."""
    problem, price = night
    demand = np.zeros(problem.num_lanes, np.int64)
    pairs = np.empty((10_000, 2), np.int32)
    surplus, num_pairs = market_kernels.choose(
        0, problem.num_merchants, *arrays(problem), price, np.int64(2), demand, pairs
    )
    expected, most, least = 0, 0, 0
    for merchant in range(problem.num_merchants):
        tops = [best(problem, price, i) for i in orders_of(problem, merchant)]
        ranked = sorted((t for t in tops if t is not None and t > 0), reverse=True)
        expected += sum(ranked[: problem.cap[merchant]])
        least += len(ranked[: problem.cap[merchant]])
        most += int(problem.cap[merchant])
    assert surplus == expected
    assert least == demand.sum() <= most
    assert 0 <= num_pairs <= len(pairs)
    assert np.all(pairs[:num_pairs] < problem.num_lanes)
    assert np.all(pairs[:num_pairs] >= -1)


def test_screen_keeps_every_order_that_could_matter(
    night: tuple[Problem, np.ndarray],
) -> None:
    """Of each merchant, the best orders by reduced saving, none below the reach."""
    problem, price = night
    keep = np.zeros(problem.num_orders, np.bool_)
    depth, spare, reach = 1, 2, 3
    market_kernels.screen(
        0, problem.num_merchants, *arrays(problem), price, depth, spare, reach, keep
    )
    for merchant in range(problem.num_merchants):
        cap = int(problem.cap[merchant])
        tops = {}
        for order in orders_of(problem, merchant):
            worths = [
                reduced(problem, price, o)
                for o in options_of(problem, order)
                if problem.option_saving[o] > 0
            ]
            if worths and max(worths) >= -reach:
                tops[order] = max(worths)
        ranked = sorted(tops.values(), reverse=True)
        most = depth * cap + spare
        floor = ranked[most] if len(ranked) > most else -reach
        expected = {i for i, t in tops.items() if t >= floor} if cap else set()
        assert {i for i in orders_of(problem, merchant) if keep[i]} == expected


def test_classify_fixes_only_what_is_far_from_its_cut(
    night: tuple[Problem, np.ndarray],
) -> None:
    """Fixed in: above the first one out by more than the distance, on its best lane."""
    problem, price = night
    distance = 1
    state = np.zeros(problem.num_orders, np.int8)
    pick = np.zeros(problem.num_orders, np.int64)
    margin = np.zeros(problem.num_orders, np.int64)
    market_kernels.classify(
        *(0, problem.num_merchants, *arrays(problem), price),
        *(np.int64(distance), state, pick, margin),
    )
    for order in range(problem.num_orders):
        merchant = merchant_of(problem, order)
        cap = int(problem.cap[merchant])
        tops = [best(problem, price, i) for i in orders_of(problem, merchant)]
        ranked = sorted((t for t in tops if t is not None and t > 0), reverse=True)
        is_binding = len(ranked) > cap
        inside = ranked[cap - 1] if is_binding and cap else 0
        outside = ranked[cap] if is_binding else 0
        worths = sorted(
            (reduced(problem, price, o) for o in options_of(problem, order)),
            reverse=True,
        )
        if not worths or cap == 0:
            assert state[order] == 0
            continue
        if worths[0] > outside:
            room = min(worths[0] - max([0, *worths[1:2]]), worths[0] - outside)
            assert state[order] == (1 if room > distance else 2)
        else:
            assert state[order] == (0 if inside - worths[0] > distance else 2)


def test_contradictions_are_what_a_merchant_would_change(
    night: tuple[Problem, np.ndarray],
) -> None:
    """An order is found exactly when the merchant, at the prices, would rather not."""
    problem, price = night
    found = np.empty(1_000, np.int64)
    chosen = np.flatnonzero(
        plan_kernels.accept_in_turn(
            np.random.default_rng(4).permutation(problem.num_options),
            order_of_option(problem),
            merchant_of_order(problem),
            *(problem.option_lane, problem.lane_parent),
            *(problem.cap.copy(), problem.slots.copy()),
        )
    )
    picked = {order_of(problem, option): option for option in chosen.tolist()}
    order = np.array(sorted(picked), np.int64)
    start = np.searchsorted(order, problem.merchant_start).astype(np.int64)
    _, count = market_kernels.contradictions(
        *(0, problem.num_merchants, *arrays(problem), price, chosen, start, found)
    )
    expected = set()
    for merchant in range(problem.num_merchants):
        if problem.cap[merchant] == 0:
            continue
        orders = orders_of(problem, merchant)
        inside = {i: reduced(problem, price, picked[i]) for i in orders if i in picked}
        tops = {i: best(problem, price, i) for i in orders}
        is_full = len(inside) == problem.cap[merchant]
        weakest = min(inside.values()) if is_full and inside else 10**9
        weakest = weakest if is_full else min([0, *inside.values()])
        outs = [t for i, t in tops.items() if i not in inside and t is not None]
        strongest = max([0, *outs])
        for i, top in tops.items():
            if i in inside:
                if inside[i] < top or inside[i] < strongest:
                    expected.add(i)
            elif top is not None and top > weakest:
                expected.add(i)
    assert set(found[:count].tolist()) == expected


def test_slopes_are_those_of_the_written_out_matrix() -> None:
    """Matrix-free products and diagonal equal the Laplacian written out on paths."""
    draw = np.random.default_rng(6)
    for _ in range(40):
        parent = np.array([draw.integers(-1, lane) for lane in range(7)], np.int32)
        first = draw.integers(-1, 7, 15).astype(np.int32)
        second = draw.integers(-1, 7, 15).astype(np.int32)
        weight = draw.random(15)
        matrix = np.zeros((7, 7))
        for a, b, w in zip(first, second, weight, strict=True):
            row = np.zeros(7)
            for end, sign in ((a, 1), (b, -1)):
                lane = end
                while lane >= 0:
                    row[lane] += sign
                    lane = parent[lane]
            matrix += w * np.outer(row, row)
        diagonal = newton_kernels.slope_diagonal(first, second, weight, parent)
        assert np.allclose(diagonal, np.diag(matrix))
        vector = draw.random(7)
        product = newton_kernels.slope_times(first, second, weight, parent, vector)
        assert np.allclose(product, matrix @ vector)
        step = newton_kernels.price_step(
            *(first, second, weight, parent, np.ones(7, np.bool_)),
            *(matrix @ vector + 0.1 * vector, 0.1, 200),
        )
        assert np.allclose(step, vector, atol=0.03)  # it stops at 1e-3
