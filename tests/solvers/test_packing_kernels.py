"""Every compiled kernel of the packing class does what its plain twin does."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from optimizer.model.lane_tree import effective_price
from optimizer.model.problem import Problem
from optimizer.solvers.kernels import choose as market_kernels
from optimizer.solvers.kernels import fill as knapsack_kernels
from optimizer.solvers.kernels import packing_improve as plan_kernels
from optimizer.solvers.kernels import packing_newton as newton_kernels
from optimizer.solvers.kernels import screen as screen_kernels
from optimizer.solvers.market import Market, Threads, sub_market, whole_market
from optimizer.solvers.packing.local_search import (
    built,
    empty_state,
    make_packing_night,
    state_of,
    worth_key,
)
from optimizer.solvers.packing.market import (
    PackingPrices,
    first_targets,
)
from optimizer.testing import random_packing
from tests.support.packing_twin import (
    is_packed,
    merchant_of,
    path_of,
    plan_key,
    row_use,
)

Case = tuple[Problem, PackingPrices]


@pytest.fixture(params=range(30))
def case(request: pytest.FixtureRequest) -> Case:
    """A random packing problem with random prices."""
    draw = np.random.default_rng(request.param)
    problem = random_packing(draw, num_orders=25, num_merchants=4, num_lanes=6)
    own = draw.integers(0, 4, problem.num_lanes)
    row = draw.integers(-2, 3, problem.side.num_rows)
    return problem, PackingPrices(effective_price(own, problem.lane_parent), row)


def market_of(problem: Problem) -> Market:
    """All orders with what they use, and the pins that caps admit."""
    return whole_market(problem, first_targets(problem).is_pinned)


def reduced(case: Case, option: int) -> int:
    """What an option saves above prices of lanes and rows, term by term."""
    problem, prices = case
    side = problem.side
    worth = int(problem.option_saving[option])
    worth -= int(side.option_load[option]) * int(
        prices.lane[problem.option_lane[option]]
    )
    for entry in range(
        int(side.entry_start[option]), int(side.entry_start[option + 1])
    ):
        worth -= int(side.entry_weight[entry]) * int(prices.row[side.entry_row[entry]])
    return worth


def best_of(case: Case, order: int) -> int | None:
    starts = case[0].option_start.tolist()
    options = range(starts[order], starts[order + 1])
    return max((reduced(case, option) for option in options), default=None)


def merchants(case: Case) -> list[tuple[int, list[int], list[int]]]:
    """Room beside pins, best worths of pinned orders and of the others, by merchant."""
    problem, _ = case
    is_pinned = first_targets(problem).is_pinned
    result = []
    for merchant in range(problem.num_merchants):
        first, last = problem.merchant_start[merchant : merchant + 2].tolist()
        pinned = [best_of(case, i) for i in range(first, last) if is_pinned[i]]
        others = [best_of(case, i) for i in range(first, last) if not is_pinned[i]]
        worths = sorted((w for w in others if w is not None), reverse=True)
        result.append((int(problem.cap[merchant]) - len(pinned), pinned, worths))
    return result


def test_surplus_is_the_pins_and_the_best_of_the_others(case: Case) -> None:
    """Each merchant takes its pins, then its best as far as they save something."""
    problem, prices = case
    whole = market_of(problem)
    price = np.full(problem.num_merchants, -1)
    total = market_kernels.surplus(
        0, problem.num_merchants, *whole.arrays, prices.lane, prices.row, price
    )
    expected, cuts = 0, []
    for room, pinned, others in merchants(case):
        expected += sum(pinned) + sum(w for w in others[:room] if w > 0)
        cuts.append(max(others[room], 0) if len(others) > room else 0)
    assert total == expected
    assert price.tolist() == cuts


def test_the_response_adds_up(case: Case) -> None:
    """
    What merchants choose is worth the surplus, and demand and usage are its loads and
    weights: at prices moved by one they are the slope of the surplus.
    """
    problem, prices = case
    orders, uses = market_of(problem).arrays
    demand = np.zeros(problem.num_lanes, np.int64)
    usage = np.zeros(problem.side.num_rows, np.int64)
    pairs = np.empty((4_000, 2), np.int64)
    total, count = market_kernels.choose(
        first_merchant=0,
        last_merchant=problem.num_merchants,
        orders=orders,
        uses=uses,
        price=prices.lane,
        row_price=prices.row,
        window=np.int64(0),
        demand=demand,
        usage=usage,
        pairs=pairs,
    )

    def surplus_at(lane: np.ndarray, row: np.ndarray) -> int:
        spare = np.zeros(problem.num_merchants, np.int64)
        return market_kernels.surplus(
            first_merchant=0,
            last_merchant=problem.num_merchants,
            orders=orders,
            uses=uses,
            price=lane,
            row_price=row,
            merchant_price=spare,
        )

    assert total == surplus_at(prices.lane, prices.row)
    draw = np.random.default_rng(1)
    for _ in range(20):
        lane = draw.integers(-3, 4, problem.num_lanes)
        row = draw.integers(-3, 4, problem.side.num_rows)
        moved = surplus_at(prices.lane + lane, prices.row + row)
        # the surplus is convex, and the response is a subgradient of it
        assert moved >= total - int(demand @ lane) - int(usage @ row)
    for first, second in pairs[:count].tolist():
        worth = reduced(case, first) if first >= 0 else 0
        assert abs(worth - reduced(case, second) if second >= 0 else worth) == 0


def test_a_screen_keeps_pins_and_the_best(case: Case) -> None:
    """Every pin, and of the others the best by worth within reach."""
    problem, prices = case
    market = market_of(problem)
    is_pinned = market.uses.is_pinned
    sizes = np.diff(problem.merchant_start)
    room = np.minimum(problem.cap + 2, sizes)
    start = np.concatenate(([0], np.cumsum(room)))
    kept, count = np.full(start[-1], -1), np.zeros(len(room), np.int64)
    screen_kernels.screen(
        0,
        len(room),
        *market.arrays,
        price=prices.lane,
        row_price=prices.row,
        every=np.ones_like(room),
        room=room,
        room_start=start,
        reach=np.int64(1),
        kept=kept,
        num_kept=count,
    )
    for merchant, (_, pinned, others) in enumerate(merchants(case)):
        orders = kept[start[merchant] : start[merchant] + count[merchant]].tolist()
        assert orders == sorted({*orders})
        assert all(merchant_of(problem, order) == merchant for order in orders)
        worths = [best_of(case, i) for i in orders if not is_pinned[i]]
        most = max(int(room[merchant]) - len(pinned), 0)
        assert sorted(worths, reverse=True) == [w for w in others if w >= -1][:most]
        assert sum(is_pinned[orders]) == len(pinned)


def uses_of(problem: Problem, option: int) -> np.ndarray:
    """What an option uses of each lane and row."""
    use = np.zeros(problem.num_lanes + problem.side.num_rows)
    if option >= 0:
        for lane in path_of(problem, int(problem.option_lane[option])):
            use[lane] += problem.side.option_load[option]
        use[problem.num_lanes :] += row_use(problem, [option])
    return use


def test_a_step_solves_the_system_of_its_pairs(case: Case) -> None:
    """Many rounds of conjugate gradients give what dense linear algebra gives."""
    problem, _ = case
    orders, uses = market_of(problem).arrays
    draw = np.random.default_rng(3)
    pairs = draw.integers(-1, problem.num_options, (30, 2))
    size = problem.num_lanes + problem.side.num_rows
    slope = np.zeros((size, size))
    for first, second in pairs.tolist():
        change = uses_of(problem, first) - uses_of(problem, second)
        slope += np.outer(change, change)
    vector = draw.normal(size=size)
    image = newton_kernels.slope_times(
        orders, uses, pairs, problem.lane_parent, vector, problem.num_lanes
    )
    assert np.allclose(image, slope @ vector)
    is_free, excess = draw.random(size) < 0.7, draw.normal(size=size)
    damping = np.full(size, 0.5)
    step = newton_kernels.price_step(
        orders=orders,
        uses=uses,
        pairs=pairs,
        scale=0.1,
        lane_parent=problem.lane_parent,
        is_free=is_free,
        excess=excess,
        damping=damping,
        rounds=500,
    )
    system = (0.1 * slope + 0.5 * np.eye(size))[np.ix_(is_free, is_free)]
    assert np.allclose(
        step[is_free], np.linalg.solve(system, excess[is_free]), atol=1e-2
    )
    assert not step[~is_free].any()


@pytest.mark.parametrize("seed", range(60))
def test_a_lane_is_filled_as_well_as_can_be(seed: int) -> None:
    """No subset that fits brings more, at any guiding price; the marked one does."""
    draw = np.random.default_rng(seed)
    count, room = int(draw.integers(0, 9)), int(draw.integers(0, 12))
    load, profit = draw.integers(1, 6, count), draw.integers(-3, 20, count)
    taken = np.ones(count, np.bool_)
    price = int(draw.integers(0, 8))
    value, reach = knapsack_kernels.fill_lane(load, profit, room, price, taken)
    subsets = [c for k in range(count + 1) for c in combinations(range(count), k)]
    worths = [
        int(profit[list(c)].sum()) for c in subsets if load[list(c)].sum() <= room
    ]
    assert value == max(worths)
    assert profit[taken].sum() == value
    assert load[taken].sum() <= room
    assert reach >= 0


@pytest.mark.parametrize("cells", [0, 20_000_000])
def test_a_lane_too_large_is_only_bounded(
    monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    """Where the table would be too large, the value is a bound that is not below it."""
    monkeypatch.setattr(knapsack_kernels, "MOST_CELLS", cells)
    load, profit = np.array([2, 2, 2]), np.array([10, 9, 8])
    taken = np.zeros(3, np.bool_)
    # plain Python here: compiled code has the constant frozen in
    plain = knapsack_kernels.fill_lane.py_func
    value, _ = plain(load, profit, 3, 4, taken)
    assert value >= 10
    assert (value == 10) == (cells > 0)


def test_a_plan_in_the_making_keeps_its_books(case: Case) -> None:
    """
    Through all exchanges no limit is broken, the state is what its plan says, and the
    worth only grows.
    """
    problem, _ = case
    every = np.arange(problem.num_orders)
    with Threads(1) as pool:
        market = sub_market(market_of(problem), every, problem.cap, pool)
    draw = np.random.default_rng(7)
    margin = draw.integers(-5, 6, problem.num_options)
    night = make_packing_night(problem, market, margin, 100)
    state = built(night)
    before = worth_key(night, state)
    assert before >= worth_key(night, empty_state(night))
    moved = np.zeros(len(night.high) + 1, np.int64)
    tried = np.zeros(problem.num_options, np.int64)
    for _ in range(4):
        turn = draw.permutation(problem.num_options)
        num_kept = plan_kernels.improve(night, state, turn, moved, tried)
        chosen = np.sort(state.pick[state.pick >= 0])
        assert is_packed(problem, chosen.tolist())
        fresh = state_of(night, chosen)
        assert fresh.used.tolist() == state.used.tolist()
        after = worth_key(night, state)
        missing, money = plan_key(problem, chosen.tolist())
        assert after == (*missing, money)
        assert after > before if num_kept else after == before
        before = after


def test_exchanges_start_a_plan_where_one_can_be_started(case: Case) -> None:
    """From nothing chosen, something is inserted just where anything fits and gains."""
    problem, _ = case
    every, saving = np.arange(problem.num_orders), problem.option_saving.copy()
    with Threads(1) as pool:
        market = sub_market(market_of(problem), every, problem.cap, pool)
    night = make_packing_night(problem, market, saving, 100)
    state, turn = empty_state(night), np.arange(problem.num_options)
    moved = np.zeros(len(night.high) + 1, np.int64)
    tried = np.zeros(problem.num_options, np.int64)
    num_kept = plan_kernels.improve(night, state, turn, moved, tried)
    nothing = worth_key(night, empty_state(night))
    assert (num_kept > 0) == (worth_key(night, built(night)) > nothing)
    assert moved[-1] == num_kept
