"""The packing class: plans that break nothing, best where that is claimed, bounded."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify.certificate import certify, saving_unit
from optimizer.errors import SolveError
from optimizer.model.problem import Problem, starts
from optimizer.model.side_constraints import HARD, NO_FLOOR, NO_PIN, SideRows
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers import METHODS, PACKING_METHODS, solve
from optimizer.solvers.kernels import branch_grow, fill, packing_improve
from optimizer.solvers.packing import (
    bound_aside,
    branch,
    neighborhood_search,
    programs,
    refine_prices,
)
from optimizer.solvers.packing import solve as packing
from optimizer.testing import random_packing, random_problem
from tests.support.examples import examples
from tests.support.packing_twin import (
    best_key,
    best_money_by_highs,
    is_packed,
    lane_bound,
    merchant_bound,
    plan_key,
    proved_bound,
)

#: Nights that HiGHS solves again; thousands for a long look.
NUM_HIGHS = int(os.environ.get("NUM_HIGHS", "80"))
#: Options that a tree may price where larger trees would show nothing more.
SMALL_TREE = 10**7


@pytest.mark.slow
@examples(200)
@given(
    seed=st.integers(0, 2**32),
    num_orders=st.integers(0, 7),
    num_rows=st.integers(0, 4),
    most_load=st.integers(1, 4),
    pin_share=st.sampled_from([0.0, 0.2, 0.6]),
    most_saving=st.sampled_from([3, 20, 1_000_000]),
)
def test_tiny_nights_end_as_enumeration_says(
    seed: int,
    num_orders: int,
    num_rows: int,
    most_load: int,
    pin_share: float,
    most_saving: int,
) -> None:
    """
    The plan breaks nothing; no plan at all misses less of floors and pins, rank by
    rank, or then saves more; the bound is above it, and equal where OPTIMAL is said.
    """
    problem = random_packing(
        np.random.default_rng(seed),
        num_orders=num_orders,
        num_rows=num_rows,
        most_load=most_load,
        pin_share=pin_share,
        most_saving=most_saving,
        num_lanes=4,
        most_options=2,
    )
    found = solve(problem, "packing", SolveParams())
    chosen = found.chosen.tolist()
    assert is_packed(problem, chosen)
    assert plan_key(problem, chosen) == best_key(problem)
    bound, value = proved_bound(problem, found), plan_key(problem, chosen)[1]
    assert bound >= value
    # Every plan is worth a multiple of the unit, so a bound may be rounded down to one.
    unit = saving_unit(problem)
    is_proved = bound // unit * unit == value
    assert is_proved == (found.termination.reason == "OPTIMAL")


def shapes(seed: int) -> dict[str, int]:
    """Vary size and structure with the seed."""
    draw = np.random.default_rng(seed)
    return {
        "num_orders": int(draw.integers(5, 60)),
        "num_merchants": int(draw.integers(1, 8)),
        "num_lanes": int(draw.integers(1, 9)),
        "most_options": int(draw.integers(1, 4)),
        "most_saving": int(draw.choice([5, 100, 10**6])),
        "num_rows": int(draw.integers(0, 6)),
        "most_load": int(draw.integers(1, 6)),
    }


@pytest.mark.slow
def test_many_nights_agree_with_highs() -> None:
    """HiGHS, rank by rank in another process, misses and saves exactly the same."""
    problems = [
        random_packing(
            np.random.default_rng(seed),
            pin_share=(0, 0.1, 0.3)[seed % 3],
            **shapes(seed),
        )
        for seed in range(NUM_HIGHS)
    ]
    answers = best_money_by_highs(problems)
    for problem, (missing, money) in zip(problems, answers, strict=True):
        found = solve(problem, "packing", SolveParams())
        assert is_packed(problem, found.chosen.tolist())
        assert plan_key(problem, found.chosen.tolist()) == (tuple(missing), money)
        assert proved_bound(problem, found) >= money


def packed(
    saving: list[list[int]],
    load: list[list[int]],
    slots: list[int],
    weights: list[list[int]],
    high: list[int],
) -> Problem:
    """Orders of one merchant that may go by any lane, and rows that count them."""
    num_orders, num_lanes = len(saving[0]), len(saving)
    count, rows = num_orders * num_lanes, len(high)
    weight = np.repeat(
        np.array(weights, np.int64).reshape(rows, num_orders).T, num_lanes, 0
    )
    entry = np.argwhere(weight > 0)
    side = SideRows(
        option_load=np.array(load).T.ravel(),
        entry_start=starts(entry[:, 0], count),
        entry_row=entry[:, 1].astype(np.int32),
        entry_weight=weight[weight > 0],
        low=np.full(rows, NO_FLOOR),
        high=np.array(high, np.int64),
        penalty=np.full(rows, HARD),
        rank=np.zeros(rows, np.int32),
        pin_rank=np.full(num_orders, NO_PIN, np.int32),
    )
    return Problem(
        merchant_start=np.array([0, num_orders]),
        cap=np.array([num_orders]),
        option_start=np.arange(num_orders + 1) * num_lanes,
        option_lane=np.tile(np.arange(num_lanes, dtype=np.int32), num_orders),
        option_saving=np.array(saving).T.ravel(),
        slots=np.array(slots),
        lane_parent=np.full(num_lanes, -1, np.int32),
        key=np.arange(num_orders, dtype=np.uint64),
        row=np.arange(num_orders),
        side=side,
    )


#: Generalised assignment, OR-Library gap1, first problem (c515-1).
GAP_SAVING = """
17 21 22 18 24 15 20 18 19 18 16 22 24 24 16
23 16 21 16 17 16 19 25 18 21 17 15 25 17 24
16 20 16 25 24 16 17 19 19 18 20 16 17 21 24
19 19 22 22 20 16 19 17 21 19 25 23 25 25 25
18 19 15 15 21 25 16 16 23 15 22 17 19 22 24"""
GAP_LOAD = """
8 15 14 23 8 16 8 25 9 17 25 15 10 8 24
15 7 23 22 11 11 12 10 17 16 7 16 10 18 22
21 20 6 22 24 10 24 9 21 14 11 14 11 19 16
20 11 8 14 9 5 6 19 19 7 6 6 13 9 18
8 13 13 13 10 20 25 16 16 17 10 10 5 12 23"""
#: Multidimensional knapsack, OR-Library mknap1, first problem (Petersen 1967).
PETERSEN = """
8 12 13 64 22 41
8 12 13 75 22 41
3 6 4 18 6 4
5 10 8 32 6 12
5 13 8 42 6 20
5 13 8 48 6 20
0 0 0 0 8 0
3 0 4 0 8 0
3 2 4 0 8 4
3 2 4 8 8 4"""
#: Two knapsacks, OR-Library mknap2, WEING1 (Weingartner and Ness 1967).
WEING_SAVING = """
1898 440 22507 270 14148 3100 4650 30800 615 4975 1160 4225 510 11880
479 440 490 330 110 560 24355 2885 11748 4550 750 3720 1950 10500"""
WEING = """
45 0 85 150 65 95 30 0 170 0 40 25 20 0 0 25 0 0 25 0 165 0 85 0 0 0 0 100
30 20 125 5 80 25 35 73 12 15 15 40 5 10 10 12 10 9 0 20 60 40 50 36 49 40 19 150"""

#: The same projects with other budgets: WEING1 to WEING6, and their optima.
WEING_BUDGETS = {
    "weing1": ((600, 600), 141_278),
    "weing2": ((500, 500), 130_883),
    "weing3": ((300, 300), 95_677),
    "weing4": ((300, 600), 119_337),
    "weing5": ((600, 300), 98_796),
    "weing6": ((562, 497), 130_623),
}
#: Five knapsacks, OR-Library mknap2, WEISH01 to WEISH03 (Shih 1979), and their optima.
WEISH_SAVING = """
360 83 59 130 431 67 230 52 93 125 670 892 600 38 48
147 78 256 63 17 120 164 432 35 92 110 22 42 50 323"""
WEISH = """
7 0 30 22 80 94 11 81 70 64 59 18 0 36 3 8 15 42 9 0 42 47 52 32 26 48 55 6 29 84
8 66 98 50 0 30 0 88 15 37 26 72 61 57 17 27 83 3 9 66 97 42 2 44 71 11 25 74 90 20
3 74 88 50 55 19 0 6 30 62 17 81 25 46 67 28 36 8 1 52 19 37 27 62 39 84 16 14 21 5
21 40 0 6 82 91 43 30 62 91 10 41 12 4 80 77 98 50 78 35 7 1 96 67 85 4 23 38 2 57
94 86 80 92 31 17 65 51 46 66 44 3 26 0 39 20 11 6 55 70 11 75 82 35 47 99 5 14 23 38"""
WEISH_BUDGETS = {
    "weish01": ((400, 500, 500, 600, 600), 4_554),
    "weish02": ((370, 650, 460, 980, 870), 4_536),
    "weish03": ((480, 800, 500, 300, 620), 4_115),
}


def table(text: str) -> list[list[int]]:
    return [[int(word) for word in line.split()] for line in text.split("\n") if line]


def published() -> dict[str, tuple[Problem, int]]:
    """Published problems with their optima."""
    profits = [100, 600, 1200, 2400, 500, 2000]
    budgets = [80, 96, 20, 36, 44, 48, 10, 18, 22, 24]
    return {
        # the published optimum assigns every job, and savings are all above 0
        "gap1-1": (
            packed(table(GAP_SAVING), table(GAP_LOAD), [36, 34, 38, 27, 33], [], []),
            336,
        ),
        "mknap1-1": (
            packed([profits], [[1] * 6], [6], table(PETERSEN), budgets),
            3_800,
        ),
        **knapsacks(WEING_SAVING, WEING, WEING_BUDGETS),
        **knapsacks(WEISH_SAVING, WEISH, WEISH_BUDGETS),
    }


def knapsacks(
    saving: str, weights: str, budgets: dict[str, tuple[tuple[int, ...], int]]
) -> dict[str, tuple[Problem, int]]:
    """The same goods and several sets of budgets: problems by name, with optima."""
    savings = [int(word) for word in saving.split()]
    count, loads = len(savings), [[1] * len(savings)]
    return {
        name: (packed([savings], loads, [count], table(weights), list(high)), best)
        for name, (high, best) in budgets.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gap1-1", "mknap1-1", *WEING_BUDGETS, *WEISH_BUDGETS])
def test_published_problems_end_at_their_published_optimum(name: str) -> None:
    """
    What the literature found best is found and proved: no multiple of the savings'
    common unit is between it and the bound.
    """
    problem, best = published()[name]
    found = solve(problem, "packing", SolveParams())
    assert is_packed(problem, found.chosen.tolist())
    assert int(problem.option_saving[found.chosen].sum()) == best
    assert found.termination == Termination("OPTIMAL")
    unit = int(np.gcd.reduce(problem.option_saving))
    assert proved_bound(problem, found) // unit * unit == best


def test_whole_lanes_prove_what_linear_prices_cannot() -> None:
    """
    Two parcels of two slots want a lane of three: only one fits, and that is proved,
    though linear prices would sell one and a half.
    """
    problem = packed([[10, 9]], [[2, 2]], [3], [], [])
    found = solve(problem, "packing", SolveParams())
    assert found.chosen.tolist() == [0]
    assert found.termination == Termination("OPTIMAL")
    assert found.order_price is not None
    assert lane_bound(problem, found) == 10
    assert merchant_bound(problem, replace(found, order_price=None)) > 10


def unit_night(seed: int, high: int) -> Problem:
    """A network night with side rows that take so much each."""
    base = random_problem(
        np.random.default_rng(seed), num_orders=300, num_merchants=20, most_saving=10**6
    )
    night = random_packing(
        np.random.default_rng(seed),
        **{"num_orders": 300, "num_merchants": 20, "most_saving": 10**6},
    )
    entries = night.side.num_rows
    side = replace(
        night.side,
        option_load=np.ones(base.num_options, np.int64),
        high=np.full(entries, high),
        low=np.full(entries, NO_FLOOR),
        pin_rank=np.full(300, NO_PIN, np.int32),
    )
    return replace(base, side=side)


@pytest.mark.parametrize("seed", range(6))
def test_rows_that_do_not_bind_leave_the_optimum_proved(seed: int) -> None:
    """Unit loads and roomy rows: gap 0, and the network's own plan."""
    problem = unit_night(seed, 10_000)
    found = solve(problem, "auto", SolveParams())
    plain = solve(replace(problem, side=None), "pricing", SolveParams())
    assert found.termination == Termination("OPTIMAL")
    assert found.chosen.tolist() == plain.chosen.tolist()
    assert merchant_bound(problem, found) == problem.option_saving[found.chosen].sum()


def middling(seed: int, num_orders: int = 2_200) -> Problem:
    """A night beyond one integer program, with everything in it."""
    return random_packing(
        np.random.default_rng(seed),
        num_orders=num_orders,
        num_merchants=num_orders // 40,
        num_lanes=40,
        num_rows=12,
        most_load=5,
        pin_share=0.01,
        most_saving=10_000_000,
    )


@cache
def solved(seed: int, num_threads: int) -> Solution:
    """A middling night, by a small tree: solved once for all that look at it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(branch, "MOST_WORK", SMALL_TREE)
        return solve(middling(seed), "packing", SolveParams(num_threads=num_threads))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_larger_nights_are_feasible_and_nearly_proved(seed: int) -> None:
    """
    Thousands of orders with crossing rows, floors and pins: nothing is broken, and the
    bound is within a few per mille, by a small tree.
    """
    problem, found = middling(seed), solved(seed, 1)
    chosen = found.chosen.tolist()
    _, money = plan_key(problem, chosen)
    assert is_packed(problem, chosen)
    assert 0 <= proved_bound(problem, found) - money <= 5e-3 * abs(money)


@pytest.mark.slow
def test_threads_do_not_change_the_plan() -> None:
    """The same plan and prices, bit for bit, with any number of threads."""
    one, other = solved(0, 1), solved(0, 3)
    assert one.chosen.tolist() == other.chosen.tolist()
    for name in ("lane_price", "merchant_price", "row_price"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
    assert (one.order_price is None) == (other.order_price is None)


@pytest.mark.parametrize("gap", [0.5, 0.02])
def test_a_gap_that_is_asked_for_is_reached_and_ends_the_search(gap: float) -> None:
    """The proved gap is at most what was asked, and the termination says so."""
    problem = packed_only(3)
    found = solve(problem, "packing", SolveParams(relative_gap=gap))
    _, money = plan_key(problem, found.chosen.tolist())
    assert proved_bound(problem, found) - money <= Fraction(str(gap)) * money
    assert found.termination == Termination("FEASIBLE", "GAP")


def packed_only(seed: int) -> Problem:
    """A larger night with loads and ceilings, but neither floors nor pins."""
    night = middling(seed)
    rows = night.side.num_rows
    side = replace(
        night.side,
        low=np.full(rows, NO_FLOOR),
        pin_rank=np.full(night.num_orders, NO_PIN, np.int32),
    )
    return replace(night, side=side)


class Clock:
    """A clock that jumps far ahead after so many looks at it."""

    looks, seen = 0, 0

    @classmethod
    def monotonic(cls) -> float:
        """Seconds: none, and then very many."""
        cls.seen += 1
        return 0.0 if cls.seen <= cls.looks else 1e9


@pytest.mark.parametrize("looks", [1, 2, 4, 8, 16, 32, 48])
def test_it_may_be_cut_short_at_any_look_at_the_clock(
    monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """Wherever the clock runs out, the plan breaks nothing and is bounded."""
    problem = packed_only(5)
    monkeypatch.setattr(Clock, "looks", looks)
    monkeypatch.setattr(Clock, "seen", 0)
    monkeypatch.setattr(packing, "time", Clock)
    monkeypatch.setattr(refine_prices, "time", Clock)
    found = solve(problem, "packing", SolveParams())
    chosen = found.chosen.tolist()
    assert is_packed(problem, chosen)
    _, money = plan_key(problem, chosen)
    assert 0 < money <= proved_bound(problem, found)
    assert found.termination == Termination("FEASIBLE", "TIME")


class CountingClock:
    """A clock on which every look takes a second."""

    seen = 0

    @classmethod
    def monotonic(cls) -> float:
        """Seconds: as many as there were looks."""
        cls.seen += 1
        return float(cls.seen)


#: What takes long on large nights, and how often it may still be begun when the time is
#: up: lanes on each of two threads once.
SLICES = {
    (packing_improve, "improve"): 0,
    (fill, "fill_lanes"): 2,
    (branch_grow, "price_node"): 0,
    (branch_grow, "grow"): 0,
    (programs, "_solve"): 0,
}


@pytest.mark.parametrize("seconds", [12, 40, 90, 250, 600])
def test_nothing_long_begins_once_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """Exchanges, lanes, nodes and programs look at the clock before each slice."""
    problem = packed_only(5)
    # Compiled before names of kernels stand for functions that are none.
    solve(problem, "packing", SolveParams(time_limit_seconds=2, num_threads=2))
    late = dict.fromkeys(SLICES, 0)
    monkeypatch.setattr(CountingClock, "seen", 0)
    monkeypatch.setattr(packing, "time", CountingClock)
    monkeypatch.setattr(refine_prices, "time", CountingClock)
    for module in (packing, refine_prices):
        monkeypatch.setattr(module, "compiling_seconds", lambda: 0.0)
    for module, name in SLICES:
        kernel = getattr(module, name)

        def counted(
            *values: object,
            kernel: Callable[..., object] = kernel,
            key: tuple[object, str] = (module, name),
            **named: object,
        ) -> object:
            late[key] += CountingClock.seen > seconds + 2
            return kernel(*values, **named)

        monkeypatch.setattr(module, name, counted)
    params = SolveParams(time_limit_seconds=seconds, num_threads=2)
    found = solve(problem, "packing", params)
    assert found.termination.limit == "TIME"
    assert CountingClock.seen < seconds + 200
    assert {key: late[key] for key in SLICES if late[key] > SLICES[key]} == {}


def test_a_night_whose_time_is_up_is_planned_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Floors that cannot all be kept are planned for again with what was reached, but not
    once the time is up; nor are blocks of lanes laid out then. The bound holds.
    """
    problem = random_packing(
        np.random.default_rng(4), num_orders=60, num_lanes=4, pin_share=0.6
    )
    made = dict.fromkeys(("make_packing_night", "lane_ranks"), 0)

    def count(module: object, name: str) -> None:
        function = getattr(module, name)

        def counted(*values: object) -> object:
            made[name] += 1
            return function(*values)

        monkeypatch.setattr(module, name, counted)

    monkeypatch.setattr(packing, "FEW_OPTIONS", 0)
    count(packing, "make_packing_night")
    count(neighborhood_search, "lane_ranks")
    found = solve(problem, "packing", SolveParams(time_limit_seconds=1e-9))
    assert made == {"make_packing_night": 1, "lane_ranks": 0}
    assert is_packed(problem, found.chosen.tolist())
    missing, money = plan_key(problem, found.chosen.tolist())
    assert proved_bound(problem, found) >= money
    assert any(missing)
    solve(problem, "packing", SolveParams())
    assert made["make_packing_night"] > 2
    assert made["lane_ranks"] > 0


@pytest.mark.parametrize("method", [*METHODS])
def test_methods_that_know_one_slot_only_refuse_loads(method: str) -> None:
    """No method ignores what it cannot take: it refuses and says which ones can."""
    problem = packed([[10, 9]], [[2, 2]], [3], [], [])
    if method in PACKING_METHODS:
        assert solve(problem, method, SolveParams()).chosen.tolist() == [0]
    else:
        with pytest.raises(SolveError, match="use method auto or packing"):
            solve(problem, method, SolveParams())


def test_without_a_side_it_is_the_network_method() -> None:
    """A network night is solved exactly, by any name."""
    problem = random_problem(np.random.default_rng(2), num_orders=200)
    found = solve(problem, "packing", SolveParams())
    assert certify(problem, found).is_optimal


def test_standard_output_is_for_results(capfd: pytest.CaptureFixture[str]) -> None:
    """What C code prints within solvers goes to standard error; else as ever."""
    write = ctypes.CDLL(None).puts

    with programs._without_remarks(), programs._without_remarks():
        write(b"a remark")
    write(b"a result")
    ctypes.CDLL(None).fflush(None)
    out, err = capfd.readouterr()
    assert (out, err) == ("a result\n", "a remark\n")


@pytest.mark.slow
def test_one_large_block_takes_turns_with_small_ones_until_neither_gains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Large blocks hold all that is close to its price at once; a pair of rounds without
    a gain is the last, and one round without is not.
    """
    problem = random_packing(
        np.random.default_rng(7),
        num_orders=4_000,
        num_merchants=40,
        num_lanes=60,
        most_options=3,
        num_rows=0,
        most_saving=1_000_000,
        pin_share=0.0,
    )
    assert problem.num_options > packing.FEW_OPTIONS
    for name in ("FIRST", "SMALL"):
        small = replace(getattr(neighborhood_search, name), block_options=200)
        monkeypatch.setattr(neighborhood_search, name, small)
    counts, money, due = list[int](), [10**9], list[int]()
    gains, made = iter([0, 10**9, 0, 0]), neighborhood_search._blocks

    def laid_out(*given: object) -> list[np.ndarray]:
        blocks = [*made(*given)]
        counts.append(len(blocks))
        due.append(next(gains))
        return blocks

    def solved(_: object, state: object, *__: object) -> object:
        money[0] += due.pop() if due else 0
        return state

    monkeypatch.setattr(neighborhood_search, "_blocks", laid_out)
    monkeypatch.setattr(neighborhood_search, "_solved_together", solved)
    monkeypatch.setattr(neighborhood_search, "money_of", lambda *_: money[0])
    solve(problem, "packing", SolveParams())
    assert len(counts) == 4
    assert counts[1::2] == [1, 1]
    assert min(counts[::2]) > 1


def test_where_many_are_at_their_prices_others_are_freed_beside_them() -> None:
    """
    Of large nights each merchant's cut lies at its price: were only these freed, no
    order had another option to take.
    """
    few = np.array([0, 4, -7, 9])
    assert neighborhood_search._width(few, 2) == 4
    many = np.concatenate([np.zeros(10, np.int64), few])
    assert neighborhood_search._width(many, 2) == 7
    assert neighborhood_search._width(np.zeros(5, np.int64), 2) == 0


@pytest.mark.slow
def test_a_bound_made_beside_large_blocks_is_the_same_on_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    It begins before the first large block, steps towards the plan of that moment, and
    is made once; with one thread it is made after the plan, the same bit for bit.
    """
    problem = random_packing(
        np.random.default_rng(7),
        num_orders=4_000,
        num_merchants=40,
        num_lanes=500,
        most_options=3,
        most_load=5,
        num_rows=0,
        most_saving=1_000_000,
        pin_share=0.0,
    )
    targets, held, made = list[int](), list[Any](), bound_aside.lane_prices

    def counted(*given: Any) -> Any:
        targets.append(given[-1])
        held.append(made(*given))
        return held[-1]

    # As on a large night: no linear program, no core, no tree.
    for name in ("LINEAR_OPTIONS", "CORE_OPTIONS"):
        monkeypatch.setattr(packing, name, 0)
    monkeypatch.setattr(packing, "with_branches", lambda _, found: found)
    monkeypatch.setattr(bound_aside, "FEW_OPTIONS", 0)
    monkeypatch.setattr(bound_aside, "lane_prices", counted)
    monkeypatch.setattr(packing, "network_plan", lambda *_: None)
    monkeypatch.setattr(neighborhood_search, "MOST_ROUNDS", 3)
    one, two = (
        solve(problem, "packing", SolveParams(num_threads=count)) for count in (1, 2)
    )
    assert len(targets) == 2
    assert targets[0] == targets[1] < plan_key(problem, one.chosen.tolist())[1]
    assert one.chosen.tolist() == two.chosen.tolist()
    assert held[0].bound == held[1].bound
    for name in ("own", "row", "merchant", "order"):
        first, second = (getattr(each.prices, name) for each in held)
        assert first.tolist() == second.tolist()


@pytest.mark.slow
def test_whenever_the_time_is_up_no_plan_is_worse_than_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A large night is cut at one look at the clock after another: once the plan at the
    first prices is there, none that is returned is worth less.
    """
    problem = random_packing(
        np.random.default_rng(7),
        num_orders=4_000,
        num_merchants=40,
        num_lanes=60,
        most_options=3,
        num_rows=0,
        most_saving=1_000_000,
        pin_share=0.0,
    )
    assert problem.num_options > packing.FEW_OPTIONS
    looks, most, first = 0, 0, list[int]()

    def seconds_left(_: object) -> float:
        nonlocal looks
        looks += 1
        return 60.0 if looks <= most else 0.0

    def first_plan(*given: object) -> np.ndarray:
        chosen = made(*given)
        first.append(int(problem.option_saving[chosen].sum()))
        return chosen

    made = refine_prices.first_plan
    monkeypatch.setattr(refine_prices, "first_plan", first_plan)
    monkeypatch.setattr(refine_prices.PackingSearch, "seconds_left", seconds_left)
    monkeypatch.setattr(packing, "network_plan", lambda *_: None)
    monkeypatch.setattr(neighborhood_search, "MOST_ROUNDS", 0)
    worths = []
    for count in range(20, 260, 8):
        looks, most = 0, count
        first.clear()
        found = solve(problem, "packing", SolveParams())
        if first:
            worths.append(int(problem.option_saving[found.chosen].sum()) - first[0])
    assert len(worths) > 10
    assert min(worths) >= 0
