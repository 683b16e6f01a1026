"""The bounds of packing nights hold for every plan at any prices."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify import knapsack, packing
from optimizer.certify.certificate import certify
from optimizer.certify.knapsack import lane_worths
from optimizer.errors import CertificateError
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import HARD, NO_CEILING, NO_FLOOR, NO_PIN
from optimizer.model.solution import Solution, Termination
from tests.support.examples import examples
from tests.support.packing_oracle import (
    all_plans,
    best_no_worse_than,
    broken,
    keeps_limits,
    random_packing,
    uses,
    value_of,
)

SEEDS = st.integers(0, 2**32)


def random_prices(
    problem: Problem,
    chosen: tuple[int, ...],
    draw: np.random.Generator,
    *,
    is_by_lane: bool,
) -> Solution:
    """Any prices that a certificate accepts."""
    side = problem.side
    row = draw.integers(-6, 7, side.num_rows)
    row = np.where(side.high >= NO_CEILING, np.minimum(row, 0), row)
    row = np.where(side.low <= NO_FLOOR, np.maximum(row, 0), row)
    row = np.where(side.penalty != HARD, np.maximum(row, -side.penalty), row)
    worth = draw.integers(0, 5, problem.num_orders)
    for option in chosen:
        order = np.searchsorted(problem.option_start, option, side="right") - 1
        if side.pin_rank[order] != NO_PIN:
            worth[order] = draw.integers(-5, 5)
    return Solution(
        np.array(chosen, np.int64),
        draw.integers(0, 6, problem.num_lanes),
        draw.integers(0, 6, problem.num_merchants),
        Termination("OPTIMAL"),
        row,
        worth if is_by_lane else None,
    )


@pytest.mark.parametrize("is_by_lane", [False, True])
@examples(250)
@given(seed=SEEDS)
def test_no_plan_is_above_either_bound(is_by_lane: bool, seed: int) -> None:
    """
    At any prices, the best of all plans that break no floor and no pin more than the
    certified one is at most the bound, by merchants and by whole lanes.
    """
    draw = np.random.default_rng(seed)
    problem = random_packing(draw)
    plans = list(all_plans(problem))
    chosen = plans[draw.integers(len(plans))]
    proof = certify(
        problem, random_prices(problem, chosen, draw, is_by_lane=is_by_lane)
    )
    assert proof.is_feasible
    assert proof.primal_bound == value_of(problem, chosen)
    assert proof.gap == proof.dual_bound - proof.primal_bound
    assert best_no_worse_than(problem, chosen) <= proof.dual_bound


@examples(150)
@given(seed=SEEDS)
def test_limits_and_conflicts_are_those_counted_by_hand(seed: int) -> None:
    """Any set of options is feasible, and has conflicts, as plain counting says."""
    draw = np.random.default_rng(seed)
    problem = random_packing(draw)
    some = np.flatnonzero(draw.random(problem.num_options) < draw.random())
    chosen = tuple(some.tolist())
    proof = certify(problem, random_prices(problem, (), draw, is_by_lane=False))
    assert proof.is_feasible
    prices = random_prices(problem, (), draw, is_by_lane=False)
    proof = certify(problem, dataclasses.replace(prices, chosen=some))
    assert proof.is_feasible == keeps_limits(problem, chosen)
    found = {(c.kind, c.number): c.asked - c.reached for c in proof.conflicts}
    assert found == broken(problem, chosen)
    assert [c.rank for c in proof.conflicts] == sorted(c.rank for c in proof.conflicts)
    above = sum(
        used > high
        for used, high in zip(
            uses(problem.side, chosen), problem.side.high, strict=True
        )
    )
    many = f"{above} side rows are above their ceiling"
    words = "1 side row is above its ceiling" if above == 1 else many
    assert (words in proof.violations) == (above > 0)


@examples(100)
@given(seed=SEEDS)
def test_whole_lanes_never_bound_worse_than_their_prices(seed: int) -> None:
    """
    With every order's best surplus as its price, the lane bound is at most the
    merchant bound at the same prices: a lane's knapsack is within its slots' price.
    """
    draw = np.random.default_rng(seed)
    problem = random_packing(draw)
    prices = random_prices(problem, (), draw, is_by_lane=False)
    by_merchant = certify(problem, prices)
    surplus = packing.net_savings(
        problem,
        packing.effective_price(prices.lane_price, problem.lane_parent),
        prices.row_price,
        0,
        problem.num_orders,
    )
    best = packing.best_of(problem.option_start, surplus, packing.NO_OPTION)
    merchant = (
        np.searchsorted(
            problem.merchant_start, np.arange(problem.num_orders), side="right"
        )
        - 1
    )
    worth = np.maximum(best - prices.merchant_price[merchant], 0)
    by_lane = certify(problem, dataclasses.replace(prices, order_price=worth))
    assert by_lane.dual_bound <= by_merchant.dual_bound


def test_a_lane_of_odd_slots_is_proved_by_lanes_and_not_by_merchants() -> None:
    """
    Two parcels of load 2 in three slots: only one fits. No price of a slot shows
    that; the lane by itself does.
    """
    problem = random_packing(np.random.default_rng(0), num_orders=2, num_lanes=1)
    empty = np.zeros(0, np.int64)
    side = dataclasses.replace(
        problem.side,
        option_load=np.array([2, 2]),
        entry_start=np.zeros(3, np.int64),
        entry_row=empty.astype(np.int32),
        entry_weight=empty,
        low=empty,
        high=empty,
        penalty=empty,
        rank=empty.astype(np.int32),
        pin_rank=np.full(2, NO_PIN, np.int32),
    )
    problem = dataclasses.replace(
        problem,
        merchant_start=np.array([0, 2]),
        cap=np.array([2]),
        option_start=np.array([0, 1, 2]),
        option_lane=np.zeros(2, np.int32),
        option_saving=np.array([10, 9]),
        slots=np.array([3]),
        lane_parent=np.array([-1], np.int32),
        side=side,
    )
    plan = Solution(
        np.array([0]), np.array([5]), np.array([0]), Termination("OPTIMAL"), empty
    )
    assert certify(problem, plan).dual_bound == 15
    whole = dataclasses.replace(plan, order_price=np.zeros(2, np.int64))
    assert certify(problem, whole).dual_bound == 10
    assert certify(problem, whole).is_optimal


def best_items(items: list[tuple[int, int]], slots: int) -> int:
    """The best of all subsets of (load, value) that fit."""
    best = 0
    for mask in range(1 << len(items)):
        some = [item for bit, item in enumerate(items) if mask >> bit & 1]
        if sum(load for load, _ in some) <= slots:
            best = max(best, sum(value for _, value in some))
    return best


LANES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(1, 5), st.integers(-2, 20)), max_size=7),
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("cells", [1, 2**22])
@examples(100)
@given(lanes=LANES)
def test_each_lane_holds_what_the_best_subset_is_worth(
    cells: int, lanes: list[tuple[list[tuple[int, int]], int]]
) -> None:
    """Many lanes at once, or in batches, give what trying every subset gives."""
    lane = np.repeat(np.arange(len(lanes)), [len(items) for items, _ in lanes])
    load, value = np.array([i for items, _ in lanes for i in items]).reshape(-1, 2).T
    slots = np.array([slots for _, slots in lanes])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knapsack, "MAX_CELLS", cells)
        found = lane_worths(lane, load.astype(int), value.astype(int), slots)
    assert found.tolist() == [best_items(*given) for given in lanes]


@examples(100)
@given(lanes=LANES)
def test_large_lanes_are_bounded_within_one_item(
    lanes: list[tuple[list[tuple[int, int]], int]],
) -> None:
    """Without tables a lane's bound is above the best by less than one item."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knapsack, "MAX_SLOTS", -1)
        for items, slots in lanes:
            load, value = np.array(items, np.int64).reshape(-1, 2).T
            (found,) = lane_worths(
                np.zeros(len(items), int), load, value, np.array([slots])
            )
            most = max((v for _, v in items), default=0)
            best = best_items(items, slots)
            assert best <= found <= best + max(most, 0) + slots


def one_row() -> tuple[Problem, Solution]:
    """A night with a row that has neither floor nor ceiling, and prices of 0."""
    draw = np.random.default_rng(5)
    problem = random_packing(draw)
    while problem.side.num_rows == 0 or problem.num_options < 2:
        problem = random_packing(draw)
    rows = problem.side.num_rows
    side = dataclasses.replace(
        problem.side,
        low=np.full(rows, NO_FLOOR),
        high=np.full(rows, NO_CEILING),
        penalty=np.full(rows, HARD),
    )
    problem = dataclasses.replace(problem, side=side)
    nothing = Solution(
        np.zeros(0, np.int64),
        np.zeros(problem.num_lanes, np.int64),
        np.zeros(problem.num_merchants, np.int64),
        Termination("OPTIMAL"),
        np.zeros(rows, np.int64),
    )
    return problem, nothing


@pytest.mark.parametrize(
    ("field", "change", "words"),
    [
        ("row_price", lambda p: p[:-1], "not one price for each side row"),
        ("row_price", lambda p: p + 1, "no limit"),
        ("row_price", lambda p: p - 1, "no limit"),
        ("order_price", lambda p: p[:-1], "not one price for each order"),
        ("order_price", lambda p: p - 1, "price of an order is negative"),
        ("order_price", lambda p: p + 2**61, "could overflow"),
        ("lane_price", lambda p: p + 2**58, "could overflow"),
    ],
)
def test_prices_that_bound_nothing_are_refused(
    field: str, change: object, words: str
) -> None:
    """Wrong shapes and signs, and sizes that could overflow, prove nothing."""
    problem, plan = one_row()
    load = np.full(problem.num_options, 9)
    side = dataclasses.replace(problem.side, option_load=load)
    problem = dataclasses.replace(problem, side=side)
    zero = getattr(plan, field)
    zero = np.zeros(problem.num_orders, np.int64) if zero is None else zero
    with pytest.raises(CertificateError, match=words):
        certify(problem, dataclasses.replace(plan, **{field: change(zero)}))


def two_lanes(prices: list[int]) -> tuple[Problem, Solution]:
    """Two lanes, of which one takes a load of 10¹², and prices of their slots."""
    problem = Problem(
        row=np.arange(2),
        key=np.arange(2, dtype=np.uint64),
        merchant_start=np.array([0, 2]),
        option_start=np.arange(3),
        option_lane=np.arange(2, dtype=np.int32),
        option_saving=np.full(2, 10**8),
        lane_parent=np.full(2, -1, np.int32),
        slots=np.array([10**12, 1]),
        cap=np.array([2]),
        side=dataclasses.replace(
            one_row()[0].side,
            option_load=np.array([10**12, 1]),
            entry_start=np.zeros(3, np.int64),
            entry_row=np.zeros(0, np.int32),
            entry_weight=np.zeros(0, np.int64),
            pin_rank=np.full(2, NO_PIN, np.int32),
        ),
    )
    _, nothing = one_row()
    plan = dataclasses.replace(
        nothing, lane_price=np.array(prices), merchant_price=np.zeros(1, np.int64)
    )
    return problem, plan


def test_a_load_is_charged_its_own_lane_alone() -> None:
    """A load of 10¹² where slots cost nothing says nothing about prices elsewhere."""
    assert certify(*two_lanes([0, 3 * 10**8])).dual_bound == 4 * 10**8
    with pytest.raises(CertificateError, match="could overflow"):
        certify(*two_lanes([3 * 10**8, 0]))


def test_a_floor_has_no_price_above_its_penalty() -> None:
    """At a higher price it would pay to break it, so the bound would not hold."""
    problem, plan = one_row()
    rows = problem.side.num_rows
    side = dataclasses.replace(
        problem.side, low=np.full(rows, 2), penalty=np.full(rows, 3)
    )
    problem = dataclasses.replace(problem, side=side)
    at = dataclasses.replace(plan, row_price=np.full(rows, -3))
    assert certify(problem, at).primal_bound == -6 * rows
    with pytest.raises(CertificateError, match="above its penalty"):
        certify(problem, dataclasses.replace(plan, row_price=np.full(rows, -4)))


def test_blocks_of_orders_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither bound depends on how many orders are priced at a time."""
    draw = np.random.default_rng(3)
    problem = random_packing(draw, num_orders=40, most_options=3)
    for is_by_lane in (False, True):
        plan = random_prices(problem, (), draw, is_by_lane=is_by_lane)
        whole = certify(problem, plan)
        with monkeypatch.context() as patch:
            patch.setattr(packing, "BLOCK_ORDERS", 7)
            assert certify(problem, plan) == whole
