"""Every compiled kernel does what its plain twin does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.model.lane_tree import effective_price
from optimizer.model.problem import Problem
from optimizer.solvers.kernels import accept as plan_kernels
from optimizer.solvers.kernels import choose as market_kernels
from optimizer.solvers.kernels import dijkstra as search_kernels
from optimizer.solvers.kernels import newton as newton_kernels
from optimizer.solvers.kernels import rank as select_kernels
from optimizer.solvers.kernels import screen as screen_kernels
from optimizer.solvers.market import (
    Market,
    Threads,
    Uses,
    sub_market,
    surplus_at,
    whole_market,
)
from optimizer.solvers.network.augmenting_paths import choose_at
from optimizer.solvers.owners import merchant_of_order, order_of_option
from optimizer.solvers.screen import ScreenParams, screen
from optimizer.testing import random_problem
from tests.support.oracles import merchant_of, order_of, path_of

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
        assert select_kernels.kth_largest(mine, count, k) == np.sort(values)[::-1][k]
        assert min(mine[:k], default=99) >= mine[k]
        assert sorted(mine) == sorted(values)


def test_accept_in_turn_is_the_greedy_rule(night: tuple[Problem, np.ndarray]) -> None:
    """Options are taken in turn while order, cap and all lanes have room."""
    problem, _ = night
    turn = np.random.default_rng(2).permutation(problem.num_options)
    accepted = plan_kernels.accept_in_turn(
        turn=turn,
        option_order=order_of_option(problem),
        order_merchant=merchant_of_order(problem),
        option_lane=problem.option_lane,
        lane_parent=problem.lane_parent,
        cap_left=problem.cap.copy(),
        slots_left=problem.slots.copy(),
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


def test_list_open_lists_what_could_still_be_taken(
    night: tuple[Problem, np.ndarray],
) -> None:
    """Up to a place of the ranking: some saving, a cap, a lane, and not yet taken."""
    problem, _ = night
    draw = np.random.default_rng(7)
    cap_left = draw.integers(0, 3, problem.num_merchants)
    is_open = draw.random(problem.num_lanes) < 0.7
    is_taken = draw.random(problem.num_orders) < 0.3
    middle = int(draw.integers(0, problem.num_options))
    saving, key = problem.option_saving, problem.key
    last = int(saving[middle]), int(key[order_of(problem, middle)])
    option, order = plan_kernels.list_open(
        first_merchant=0,
        last_merchant=problem.num_merchants,
        merchant_start=problem.merchant_start,
        option_start=problem.option_start,
        option_lane=problem.option_lane,
        option_saving=problem.option_saving,
        key=problem.key,
        cap_left=cap_left,
        is_open=is_open,
        is_taken=is_taken,
        last_saving=np.int64(last[0]),
        last_key=np.uint64(last[1]),
    )
    expected = [
        (o, order_of(problem, o))
        for o in range(problem.num_options)
        if saving[o] > 0
        and (-saving[o], int(key[order_of(problem, o)])) <= (-last[0], last[1])
        and cap_left[merchant_of(problem, order_of(problem, o))] > 0
        and is_open[problem.option_lane[o]]
        and not is_taken[order_of(problem, o)]
    ]
    assert [*zip(option.tolist(), order.tolist(), strict=True)] == expected


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
        0,
        problem.num_merchants,
        *whole_market(problem).arrays,
        price=price,
        row_price=None,
        window=np.int64(2),
        demand=demand,
        usage=None,
        pairs=pairs,
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


def test_one_slot_each_and_no_row_is_the_same_compiled_either_way(
    night: tuple[Problem, np.ndarray],
) -> None:
    """
    What kernels are compiled to for a network, and for loads and rows, agrees where
    each load is 1, no row counts and nothing is pinned.
    """
    problem, price = night
    # Only where a floor pays for it could an option be taken that saves nothing.
    problem = replace(problem, option_saving=np.maximum(problem.option_saving, 1))
    network = whole_market(problem)
    ones, nothing = np.ones(problem.num_options, np.int64), np.zeros(0, np.int64)
    uses = Uses(
        option_load=ones,
        entry_start=np.zeros(problem.num_options + 1, np.int64),
        entry_row=nothing.astype(np.int32),
        entry_weight=nothing,
        is_pinned=np.zeros(problem.num_orders, np.bool_),
    )
    found = [
        all_kernels(problem, replace(network, side=side), price, row)
        for side, row in ((None, None), (uses, nothing))
    ]
    assert found[0] == found[1]


def all_kernels(
    problem: Problem, market: Market, price: np.ndarray, row: np.ndarray | None
) -> list[object]:
    """What merchants choose, what is screened and bounded; pairs as pairs of lanes."""
    given = (0, problem.num_merchants, *market.arrays, price, row)
    demand, pairs = np.zeros(problem.num_lanes, np.int64), np.empty((9_999, 2), int)
    usage = None if row is None else np.zeros(0, np.int64)
    surplus, count = market_kernels.choose(*given, np.int64(2), demand, usage, pairs)
    lanes = pairs[:count]
    if row is not None:
        lanes = np.where(lanes >= 0, problem.option_lane[lanes], -1)
    moves = [pair for pair in lanes.tolist() if pair[0] != pair[1]]
    with Threads(2) as pool:
        caps, bound = surplus_at(market, price, row, pool)
        sieve = ScreenParams(np.ones_like(problem.cap), problem.cap, 1, 2)
        kept = screen(market, price, row, sieve, pool)
    return [surplus, demand.tolist(), moves, caps.tolist(), bound, kept.tolist()]


def test_screen_keeps_the_best_orders(night: tuple[Problem, np.ndarray]) -> None:
    """Of each merchant, the best orders by reduced saving, none below the reach."""
    problem, price = night
    reach = 3
    sizes = np.diff(problem.merchant_start)
    room = np.minimum(problem.cap + 2, sizes) * (problem.cap > 0)
    start = np.concatenate(([0], np.cumsum(room)))
    kept = np.full(start[-1], -1, np.int64)
    num_kept = np.zeros(len(room), np.int64)
    screen_kernels.screen(
        0,
        problem.num_merchants,
        *whole_market(problem).arrays,
        price=price,
        row_price=None,
        every=np.ones_like(room),
        room=room,
        room_start=start,
        reach=reach,
        kept=kept,
        num_kept=num_kept,
    )
    for merchant in range(problem.num_merchants):
        tops = {}
        for order in orders_of(problem, merchant):
            worths = [
                reduced(problem, price, o)
                for o in options_of(problem, order)
                if problem.option_saving[o] > 0
            ]
            if worths and max(worths) >= -reach:
                tops[order] = max(worths)
        expected = sorted(tops, key=lambda i: (-tops[i], i))[: room[merchant]]
        first = start[merchant]
        listed = kept[first : first + num_kept[merchant]].tolist()
        assert listed == sorted(expected)


def test_gather_copies_orders_with_their_options(
    night: tuple[Problem, np.ndarray],
) -> None:
    """A market of some orders holds their options, lanes and savings, in order."""
    problem, _ = night
    full = whole_market(problem)
    orders = np.flatnonzero(np.random.default_rng(3).random(problem.num_orders) < 0.4)
    with Threads(2) as pool:
        near = sub_market(full, orders, problem.cap, pool)
    assert near.order.tolist() == orders.tolist()
    for here, order in enumerate(orders.tolist()):
        assert near.order_merchant[here] == merchant_of(problem, order)
        mine = slice(near.option_start[here], near.option_start[here + 1])
        theirs = slice(problem.option_start[order], problem.option_start[order + 1])
        assert near.option_lane[mine].tolist() == problem.option_lane[theirs].tolist()
        assert (
            near.option_saving[mine].tolist() == problem.option_saving[theirs].tolist()
        )
        assert set(near.option_order[mine].tolist()) <= {here}
    listed = np.empty(len(near.option_lane), np.int32)
    start = np.searchsorted(np.sort(near.option_lane), np.arange(problem.num_lanes + 1))
    screen_kernels.list_by_lane(near.option_lane, start[:-1], listed)
    assert listed.tolist() == np.argsort(near.option_lane, kind="stable").tolist()


def test_best_savings_are_the_largest_positive_ones(
    night: tuple[Problem, np.ndarray],
) -> None:
    """Each order's best option at no price, or none where nothing is saved."""
    problem, _ = night
    best_of = np.empty(problem.num_orders, np.int64)
    screen_kernels.best_savings(
        first_order=0,
        last_order=problem.num_orders,
        option_start=problem.option_start,
        option_saving=problem.option_saving,
        best=best_of,
    )
    for order in range(problem.num_orders):
        worths = {o: int(problem.option_saving[o]) for o in options_of(problem, order)}
        top = max([0, *worths.values()])
        if top == 0:
            assert best_of[order] == -1
        else:
            assert worths[int(best_of[order])] == top


def test_settle_is_what_each_merchant_would_choose(
    night: tuple[Problem, np.ndarray],
) -> None:
    """
    The cap's best orders are picked, on their best lanes, the first of equals; the
    margin is how far the order is from another choice.
    """
    problem, price = night
    with Threads(2) as pool:
        choice = choose_at(whole_market(problem), price, pool)
    for merchant in range(problem.num_merchants):
        cap = int(problem.cap[merchant])
        tops = {i: best(problem, price, i) for i in orders_of(problem, merchant)}
        ranked = sorted(
            (i for i, top in tops.items() if top is not None and top > 0),
            key=lambda i: (-tops[i], i),
        )
        assert choice.used[merchant] == min(cap, len(ranked))
        if cap == 0:
            continue
        is_binding = len(ranked) > cap
        outside = tops[ranked[cap]] if is_binding else 0
        inside = tops[ranked[cap - 1]] if is_binding else 0
        assert choice.merchant_price[merchant] == outside
        for order, top in tops.items():
            option = int(choice.pick[order])
            assert (option >= 0) == (order in ranked[:cap])
            if option >= 0:
                assert reduced(problem, price, option) == top
            if top is None:
                continue
            worths = sorted(
                (reduced(problem, price, o) for o in options_of(problem, order)),
                reverse=True,
            )
            if top > outside:
                second = max([0, *worths[1:2]])
                assert choice.margin[order] == min(top - second, top - outside)
            else:
                assert choice.margin[order] == inside - top


def test_check_finds_what_a_merchant_would_change(
    night: tuple[Problem, np.ndarray],
) -> None:
    """
    An order is found exactly when its merchant would rather not, at the prices; each
    lane's need is the price at which no unchosen order wants it.
    """
    problem, price = night
    chosen = np.flatnonzero(
        plan_kernels.accept_in_turn(
            turn=np.random.default_rng(4).permutation(problem.num_options),
            option_order=order_of_option(problem),
            order_merchant=merchant_of_order(problem),
            option_lane=problem.option_lane,
            lane_parent=problem.lane_parent,
            cap_left=problem.cap.copy(),
            slots_left=problem.slots.copy(),
        )
    )
    picked = {order_of(problem, option): option for option in chosen.tolist()}
    order = np.array(sorted(picked), np.int64)
    start = np.searchsorted(order, problem.merchant_start).astype(np.int64)
    cap_price = np.zeros(problem.num_merchants, np.int64)
    found = np.empty(1_000, np.int64)
    needed, wanting = np.full((2, problem.num_lanes), -1, np.int64)
    yielding = np.full(problem.num_merchants, -1, np.int64)
    count = market_kernels.check(
        0,
        problem.num_merchants,
        orders=whole_market(problem).orders,
        price=price,
        chosen=chosen,
        chosen_start=start,
        merchant_price=cap_price,
        found=found,
        needed=needed,
        wanting=wanting,
        yielding=yielding,
    )
    expected, needs = set(), dict.fromkeys(range(problem.num_lanes), -1)
    for merchant in range(problem.num_merchants):
        if problem.cap[merchant] == 0:
            continue
        orders = orders_of(problem, merchant)
        inside = {i: reduced(problem, price, picked[i]) for i in orders if i in picked}
        tops = {i: best(problem, price, i) for i in orders}
        is_full = len(inside) == problem.cap[merchant]
        weakest = min(inside.values()) if is_full else min([0, *inside.values()])
        outs = {i: t for i, t in tops.items() if i not in inside and t is not None}
        strongest = max([0, *outs.values()])
        for i, worth in inside.items():
            if worth < tops[i] or worth < strongest:
                expected.add(i)
        for i, top in outs.items():
            if top > weakest:
                expected.add(i)
                for option in options_of(problem, i):
                    lane = int(problem.option_lane[option])
                    least = int(problem.option_saving[option]) - weakest
                    if least > price[lane]:
                        needs[lane] = max(needs[lane], least)
        wrong = [i for i, w in inside.items() if w < tops[i] or w < strongest]
        assert (yielding[merchant] >= 0) == bool(wrong)
        if strongest > weakest and is_full:
            assert inside[int(yielding[merchant])] == weakest
    assert set(found[:count].tolist()) == expected
    assert needed.tolist() == [needs[lane] for lane in range(problem.num_lanes)]
    expected_prices = plan_kernels.merchant_prices(*arrays(problem), price)
    assert cap_price.tolist() == expected_prices.tolist()


def test_the_heap_gives_nodes_by_distance() -> None:
    """Offered in any order, with better offers later, nodes come out nearest first."""
    draw = np.random.default_rng(8)
    for _ in range(50):
        num_nodes = int(draw.integers(1, 40))
        search = search_kernels.PathSearch(
            distance=np.empty(num_nodes, np.int64),
            from_node=np.empty(num_nodes, np.int32),
            from_option=np.empty(num_nodes, np.int64),
            heap=np.empty(num_nodes, np.int32),
            place=np.full(num_nodes, -1, np.int32),
            touched=np.empty(num_nodes, np.int32),
            counts=np.zeros(2, np.int64),
        )
        least: dict[int, int] = {}
        for node, distance in draw.integers(0, (num_nodes, 30), (80, 2)).tolist():
            search_kernels.relax(search, node, distance, -1, np.int64(-1))
            least[node] = min(distance, least.get(node, distance))
        taken = []
        while (node := search_kernels.nearest(search)) >= 0:
            taken.append((int(search.distance[node]), int(node)))
        assert [d for d, _ in taken] == sorted(least.values())
        assert {n: d for d, n in taken} == least
        search_kernels.forget(search)
        assert np.all(search.place == -1)


@pytest.mark.slow
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
            first=first,
            second=second,
            weight=weight,
            lane_parent=parent,
            is_free=np.ones(7, np.bool_),
            excess=matrix @ vector + 0.1 * vector,
            damping=0.1,
            rounds=200,
        )
        assert np.allclose(step, vector, atol=0.03)  # it stops at 1e-3


@pytest.mark.slow
def test_lanes_without_excess_or_pair_change_no_bit_of_a_step() -> None:
    """Among the lanes that can move the step is that of all lanes, bit for bit."""
    draw = np.random.default_rng(9)
    moved = 0
    for _ in range(60):
        num_lanes = int(draw.integers(1, 40))
        parent = np.full(num_lanes, -1, np.int32)
        ends = draw.integers(-1, num_lanes, (2, draw.integers(0, 12))).astype(np.int32)
        excess = draw.integers(-3, 4, num_lanes) * (draw.random(num_lanes) < 0.3)
        system = {
            "first": ends[0],
            "second": ends[1],
            "weight": draw.random(ends.shape[1]),
            "is_free": draw.random(num_lanes) < 0.8,
            "excess": excess.astype(np.float64),
            "damping": 0.01,
            "rounds": 40,
        }
        step = newton_kernels.price_step(**system, lane_parent=parent)
        among_all = newton_kernels.conjugate_step(**system, lane_parent=parent)
        assert step.tobytes() == among_all.tobytes()
        assert not step[~system["is_free"]].any()
        moved += np.count_nonzero(step)
    assert moved > 200
