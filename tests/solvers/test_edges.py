"""Nights at the edge: largest savings, garbage to start from, nothing to choose."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.certificate import certify
from optimizer.errors import SolveError
from optimizer.model.problem import MAX_TOTAL_SAVING, Problem
from optimizer.model.solution import SolveParams
from optimizer.solvers import METHODS, solve
from optimizer.solvers.baselines import greedy
from optimizer.solvers.baselines.greedy import by_saving
from optimizer.solvers.kernels import newton
from optimizer.solvers.network import initial_prices
from optimizer.solvers.owners import order_of_option
from optimizer.testing import random_problem
from tests.support.examples import examples
from tests.support.oracles import (
    best_by_enumeration,
    bound_by_hand,
    is_feasible,
    merchant_of,
    path_of,
    worth,
)


def scaled(problem: Problem, factor: int) -> Problem:
    """Multiply all savings."""
    return dataclasses.replace(problem, option_saving=problem.option_saving * factor)


def most_factor(problem: Problem) -> int:
    """The largest factor by which savings still add up in 64 bits."""
    largest = int(np.abs(problem.option_saving).max(initial=1))
    return MAX_TOTAL_SAVING // (max(largest, 1) * max(problem.num_orders, 1))


@examples(150)
@given(
    seed=st.integers(0, 2**32),
    num_orders=st.integers(1, 9),
    num_lanes=st.integers(1, 6),
    most_saving=st.sampled_from([1, 3, 1_000]),
)
def test_the_largest_savings_are_decided_exactly(
    seed: int, num_orders: int, num_lanes: int, most_saving: int
) -> None:
    """
    At the largest savings that a problem admits, the plan is the best by enumeration,
    and its prices prove it in unlimited integers.
    """
    problem = random_problem(
        np.random.default_rng(seed),
        num_orders=num_orders,
        num_lanes=num_lanes,
        most_saving=most_saving,
    )
    large = scaled(problem, most_factor(problem))
    found = solve(large, "pricing", SolveParams())
    best = best_by_enumeration(large)
    assert is_feasible(large, found.chosen)
    assert worth(large, found.chosen) == best
    assert bound_by_hand(large, found.lane_price, found.merchant_price) == best


@pytest.mark.parametrize("seed", range(12))
def test_prices_scale_with_the_savings(seed: int) -> None:
    """
    A few hundred orders with savings at the limit of 64 bits have the same plan value
    and the same lowest prices as small ones, times the factor.
    """
    problem = random_problem(
        draw=np.random.default_rng(seed),
        num_orders=300,
        num_merchants=12,
        num_lanes=15,
        most_saving=1_000,
    )
    factor = most_factor(problem)
    small = solve(problem, "pricing", SolveParams())
    large = solve(scaled(problem, factor), "pricing", SolveParams())
    assert worth(problem, large.chosen) == worth(problem, small.chosen)
    assert large.lane_price.tolist() == (small.lane_price * factor).tolist()
    assert large.merchant_price.tolist() == (small.merchant_price * factor).tolist()


def test_one_micro_decides_between_the_largest_savings() -> None:
    """Savings near 2**60 that differ by one are told apart: nothing is rounded."""
    most = MAX_TOTAL_SAVING // 4
    problem = Problem(
        merchant_start=np.array([0, 2, 4]),
        cap=np.array([2, 2]),
        option_start=np.arange(5),
        option_lane=np.zeros(4, np.int32),
        option_saving=np.array([most - 3, most - 1, most - 2, most]),
        slots=np.array([2]),
        lane_parent=np.array([-1], np.int32),
        key=np.arange(4, dtype=np.uint64),
        row=np.arange(4),
    )
    found = solve(problem, "pricing", SolveParams())
    assert found.chosen.tolist() == [1, 3]
    assert found.lane_price.tolist() == [most - 2]


def garbage(kind: str, num_lanes: int, draw: np.random.Generator) -> np.ndarray:
    """Prices that no solver would have left behind."""
    return {
        "zeros": np.zeros(num_lanes, np.int64),
        "negative": np.full(num_lanes, -(2**63), np.int64),
        "huge": np.full(num_lanes, 2**63 - 1, np.int64),
        "unsigned": np.full(num_lanes, 2**64 - 1, np.uint64),
        "nan": np.full(num_lanes, np.nan),
        "infinite": draw.choice([np.inf, -np.inf, np.nan, 1e300, 2.5], num_lanes),
        "random": draw.integers(-20, 2_000_000, num_lanes),
        "small": draw.integers(0, 5, num_lanes).astype(np.int32),
    }[kind]


GARBAGE = (
    *("zeros", "negative", "huge", "unsigned"),
    *("nan", "infinite", "random", "small"),
)


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("most_saving", [3, 1_000_000])
def test_no_start_changes_the_optimum_or_its_prices(
    kind: str, most_saving: int
) -> None:
    """Whatever prices a solve starts from, value and lowest prices stay the same."""
    for seed in range(12):
        draw = np.random.default_rng(seed)
        shape = {"num_orders": 400, "num_merchants": 15, "num_lanes": 12}
        problem = random_problem(draw, **shape, most_saving=most_saving)
        cold = solve(problem, "pricing", SolveParams())
        start = garbage(kind, problem.num_lanes, draw)
        before = start.copy()
        warm = solve(problem, "pricing", SolveParams(start_price=start))
        assert certify(problem, warm).is_optimal
        assert worth(problem, warm.chosen) == worth(problem, cold.chosen)
        assert warm.lane_price.tolist() == cold.lane_price.tolist()
        assert warm.merchant_price.tolist() == cold.merchant_price.tolist()
        assert start.tobytes() == before.tobytes()


@pytest.mark.parametrize("num_prices", [0, 4, 6])
def test_a_start_of_the_wrong_length_is_refused(num_prices: int) -> None:
    """The message says how many prices there are, and how many lanes."""
    problem = random_problem(np.random.default_rng(1), num_lanes=5)
    params = SolveParams(start_price=np.zeros(num_prices, np.int64))
    with pytest.raises(SolveError, match=rf"\({num_prices},\), not one for each of 5"):
        solve(problem, "pricing", params)


@pytest.mark.parametrize("highest", [10, 2**53 + 1, 2**61])
def test_steps_of_any_size_leave_prices_between_nothing_and_the_best_saving(
    highest: int,
) -> None:
    """On six nested lanes no sum of prices leaves that range, or 64 bits."""
    parent = np.arange(-1, 5).astype(np.int32)
    for step in (-1e300, -7.0, 0.0, 7.0, 1e18, 1e19, 1e300):
        moved, scratch = np.full(6, highest // 6), np.empty(6)
        steps = newton.Steps(moved, scratch, scratch, scratch)
        newton.move_prices(steps, np.full(6, step), parent, highest, np.empty(6))
        total = np.cumsum(moved.astype(object))
        assert min(moved) >= 0
        assert total[-1] <= highest


def plain(**changes: np.ndarray) -> Problem:
    """Six orders of two merchants on two lanes; arrays may be replaced."""
    arrays = {
        "merchant_start": np.array([0, 3, 6]),
        "cap": np.array([2, 2]),
        "option_start": np.arange(7),
        "option_lane": np.array([0, 1, 0, 1, 0, 1], np.int32),
        "option_saving": np.array([5, 4, 3, 6, 2, 1]),
        "slots": np.array([1, 2]),
        "lane_parent": np.full(2, -1, np.int32),
        "key": np.arange(6, dtype=np.uint64),
        "row": np.arange(6),
    }
    return Problem(**(arrays | changes))


def no_lanes() -> Problem:
    return plain(
        option_start=np.zeros(7, np.int64),
        option_lane=np.zeros(0, np.int32),
        option_saving=np.zeros(0, np.int64),
        slots=np.zeros(0, np.int64),
        lane_parent=np.zeros(0, np.int32),
    )


def no_merchants() -> Problem:
    none = np.zeros(0, np.int64)
    return plain(
        merchant_start=np.zeros(1, np.int64),
        cap=none.copy(),
        option_start=np.zeros(1, np.int64),
        option_lane=np.zeros(0, np.int32),
        option_saving=none.copy(),
        key=np.zeros(0, np.uint64),
        row=none.copy(),
    )


CASES = {
    "no lanes": (no_lanes(), 0),
    "no merchants": (no_merchants(), 0),
    "caps of 0": (plain(cap=np.zeros(2, np.int64)), 0),
    "one cap of 0": (plain(cap=np.array([0, 2])), 8),
    "slots of 0": (plain(slots=np.zeros(2, np.int64)), 0),
    "one lane of 0": (plain(slots=np.array([0, 2])), 10),
    "closed around": (
        plain(slots=np.array([0, 9]), lane_parent=np.array([-1, 0], np.int32)),
        0,
    ),
    "one lane": (plain(option_lane=np.zeros(6, np.int32), slots=np.array([3, 0])), 15),
    "one merchant": (
        plain(merchant_start=np.array([0, 6]), cap=np.array([3])),
        15,
    ),
    "all ties": (plain(option_saving=np.full(6, 7)), 21),
    "nothing saves": (plain(option_saving=np.full(6, -7)), 0),
    "all zero": (plain(option_saving=np.zeros(6, np.int64)), 0),
    "room for all": (plain(cap=np.full(2, 10**9), slots=np.full(2, 10**9)), 21),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", [*METHODS])
@pytest.mark.parametrize("name", [*CASES])
def test_nights_at_the_edge_have_the_plan_that_is_plain_to_see(
    method: str, name: str
) -> None:
    """Each small night has its known value, proved; greedy may only bound it."""
    problem, best = CASES[name]
    for params in (
        SolveParams(),
        SolveParams(relative_gap=0.5, num_threads=1),
        SolveParams(start_price=np.full(problem.num_lanes, 3)),
    ):
        found = solve(problem, method, params)
        proof = certify(problem, found)
        assert proof.is_feasible
        assert proof.primal_bound <= best <= proof.dual_bound
        if found.termination.reason == "OPTIMAL":
            assert proof.primal_bound == best == proof.dual_bound


@pytest.mark.parametrize("method", ["flow", "pricing"])
@pytest.mark.parametrize(
    "shape",
    [
        {"num_merchants": 1},
        {"num_lanes": 1},
        {"num_merchants": 1, "num_lanes": 1, "most_options": 1},
        {"most_saving": 1},
        {"most_options": 1, "most_saving": 1},
    ],
    ids=["one merchant", "one lane", "one of both", "all ties", "all ties, no choice"],
)
def test_lopsided_nights_are_solved_exactly(method: str, shape: dict[str, int]) -> None:
    """One merchant, one lane, or nothing but ties: proved all the same."""
    for seed in range(8):
        problem = random_problem(
            np.random.default_rng(seed), **({"num_orders": 500} | shape)
        )
        found = solve(problem, method, SolveParams())
        assert certify(problem, found).is_optimal


@pytest.mark.parametrize("most_saving", [1, 4, 10**6])
def test_greedy_takes_the_largest_saving_first_and_equal_ones_by_key(
    most_saving: int,
) -> None:
    """The turn is that of sorting option by option: saving, then key, then place."""
    for seed in range(20):
        problem = random_problem(
            np.random.default_rng(seed), num_orders=seed * 5, most_saving=most_saving
        )
        order = order_of_option(problem)
        saving, key = problem.option_saving.tolist(), problem.key[order].tolist()
        worth = [o for o in range(problem.num_options) if saving[o] > 0]
        expected = sorted(worth, key=lambda o: (-saving[o], key[o], o))
        turn = by_saving(problem, np.array(worth, np.int64), order[worth])
        assert [worth[place] for place in turn] == expected


def greedy_by_hand(problem: Problem) -> list[int]:
    """Options that the rule takes, in the order in which it takes them."""
    cap, slots = problem.cap.tolist(), problem.slots.tolist()
    order = order_of_option(problem).tolist()
    saving, key = problem.option_saving.tolist(), problem.key.tolist()
    taken: dict[int, int] = {}
    for option in sorted(
        range(problem.num_options), key=lambda o: (-saving[o], key[order[o]], o)
    ):
        merchant = merchant_of(problem, order[option])
        path = path_of(problem, int(problem.option_lane[option]))
        is_free = order[option] not in taken and cap[merchant] > 0
        if saving[option] > 0 and is_free and all(slots[lane] for lane in path):
            taken[order[option]] = option
            cap[merchant] -= 1
            for lane in path:
                slots[lane] -= 1
    return [*taken.values()]


@pytest.mark.parametrize("most_saving", [1, 4, 10**6])
@pytest.mark.parametrize(
    ("piece", "sample"), [(1, 1), (1, 1_000), (7, 20), (50, 10), (10**6, 10**5)]
)
def test_greedy_in_pieces_is_greedy(
    monkeypatch: pytest.MonkeyPatch, piece: int, sample: int, most_saving: int
) -> None:
    """
    However the ranking is cut into pieces, the plan is that of going through it
    option by option; cut short after any piece, it is the first part of that.
    """
    is_cut = False
    monkeypatch.setattr(greedy, "PIECE_OPTIONS", piece)
    monkeypatch.setattr(greedy, "SAMPLE_OPTIONS", sample)
    for seed in range(12):
        problem = random_problem(
            np.random.default_rng(seed),
            num_orders=1 + seed * 11,
            num_merchants=1 + seed % 4,
            num_lanes=1 + seed % 5,
            most_saving=most_saving,
        )
        expected = greedy_by_hand(problem)
        assert greedy.greedy_plan(problem).tolist() == sorted(expected)
        for looks in range(4):
            clock = iter([False] * looks)
            part = greedy.greedy_plan(problem, lambda c=clock: next(c, True)).tolist()
            assert part == sorted(expected[: len(part)])
            assert len(part) >= min(looks + 1, len(expected))
            is_cut |= len(part) < len(expected)
    assert is_cut == (sample > 1 and piece < 10**6)


@pytest.mark.parametrize("block", [1, 3, 50, 10**6])
def test_lanes_sell_out_alike_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """
    A lane's price is its best saving without a slot, at any level, or its parent's;
    cut short it is no higher.
    """
    is_lower = False
    monkeypatch.setattr(initial_prices, "BLOCK_OPTIONS", block)
    for seed in range(40):
        draw = np.random.default_rng(seed)
        problem = random_problem(draw, num_orders=40, num_lanes=6, most_saving=30)
        own = (problem.option_lane, problem.option_saving)
        limits = (problem.slots, problem.lane_parent)
        levels: dict[tuple[int, int], list[int]] = {}
        for lane, saving in zip(*own, strict=True):
            for level, around in enumerate(path_of(problem, int(lane))):
                levels.setdefault((level, around), []).append(max(0, int(saving)))
        expected = [0] * problem.num_lanes
        for (_, lane), savings in levels.items():
            without = sorted(savings, reverse=True)[int(problem.slots[lane]) :]
            expected[lane] = max(expected[lane], *without[:1], 0)
        for lane, parent in enumerate(problem.lane_parent):
            if parent >= 0:
                expected[lane] = max(expected[lane], expected[parent])
        assert initial_prices.clearing_price(*own, *limits).tolist() == expected
        late = initial_prices.clearing_price(*own, *limits, lambda: True)
        assert np.all(late <= expected)
        is_lower |= bool(np.any(late < expected))
    assert is_lower == (block < 10**6)
