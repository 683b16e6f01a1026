"""Small packing nights at random, and their answers by trying every plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import product

import numpy as np

from optimizer.certify.certificate import certify
from optimizer.errors import CertificateError
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import (
    HARD,
    NO_CEILING,
    NO_FLOOR,
    NO_PIN,
    SideRows,
)
from optimizer.model.solution import Solution, Termination
from optimizer.testing import random_problem
from tests.support.oracles import merchant_of, order_of, path_of


def random_packing(draw: np.random.Generator, **size: int) -> Problem:
    """A night with loads, pins, and rows with floors, ceilings and penalties."""
    problem = random_problem(draw, **({"num_orders": 6, "most_options": 2} | size))
    num_rows, num_options = int(draw.integers(0, 4)), problem.num_options
    counts = draw.random((num_options, num_rows)) < 0.5
    option, row = np.nonzero(counts)
    floor = draw.integers(0, 6, num_rows)
    has_floor = draw.random(num_rows) < 0.6
    has_ceiling = (draw.random(num_rows) < 0.6) | ~has_floor
    pinned = draw.random(problem.num_orders) < 0.2
    side = SideRows(
        option_load=draw.integers(1, 4, num_options),
        entry_start=np.append(0, np.cumsum(counts.sum(axis=1))).astype(np.int64),
        entry_row=row.astype(np.int32),
        entry_weight=draw.integers(1, 4, len(option)),
        low=np.where(has_floor, floor, NO_FLOOR),
        high=np.where(has_ceiling, floor + draw.integers(0, 6, num_rows), NO_CEILING),
        penalty=np.where(
            has_floor & (draw.random(num_rows) < 0.5),
            draw.integers(0, 8, num_rows),
            HARD,
        ),
        rank=draw.integers(0, 3, num_rows).astype(np.int32),
        pin_rank=np.where(
            pinned, draw.integers(0, 3, problem.num_orders), NO_PIN
        ).astype(np.int32),
    )
    slots = draw.integers(0, 7, problem.num_lanes)
    return dataclasses.replace(problem, slots=slots, side=side)


def all_plans(problem: Problem) -> Iterator[tuple[int, ...]]:
    """Every choice of at most one option an order that keeps all hard limits."""
    ways = [
        [-1, *range(int(first), int(last))]
        for first, last in zip(
            problem.option_start[:-1], problem.option_start[1:], strict=True
        )
    ]
    for picks in product(*ways):
        chosen = tuple(option for option in picks if option >= 0)
        if keeps_limits(problem, chosen):
            yield chosen


def keeps_limits(problem: Problem, chosen: tuple[int, ...]) -> bool:
    """Count caps, lanes and ceilings one by one; floors and pins are not limits."""
    side, cap = problem.side, problem.cap.tolist()
    slots, high = problem.slots.tolist(), side.high.tolist()
    for option in chosen:
        cap[merchant_of(problem, order_of(problem, option))] -= 1
        for lane in path_of(problem, int(problem.option_lane[option])):
            slots[lane] -= int(side.option_load[option])
        for row, weight in weights_of(side, option).items():
            high[row] -= weight
    orders = [order_of(problem, option) for option in chosen]
    return min([0, *cap, *slots, *high]) == 0 and len(set(orders)) == len(orders)


def weights_of(side: SideRows, option: int) -> dict[int, int]:
    """Weight of an option by side row."""
    entries = range(int(side.entry_start[option]), int(side.entry_start[option + 1]))
    return {int(side.entry_row[e]): int(side.entry_weight[e]) for e in entries}


def uses(side: SideRows, chosen: tuple[int, ...]) -> list[int]:
    """Weight of a plan on each side row."""
    used = [0] * len(side.high)
    for option in chosen:
        for row, weight in weights_of(side, option).items():
            used[row] += weight
    return used


def value_of(problem: Problem, chosen: tuple[int, ...]) -> int:
    """What a plan is worth: savings less penalties."""
    side = problem.side
    worth = sum(int(problem.option_saving[option]) for option in chosen)
    for row, used in enumerate(uses(side, chosen)):
        if side.penalty[row] != HARD:
            worth -= int(side.penalty[row]) * max(0, int(side.low[row]) - used)
    return worth


def broken(problem: Problem, chosen: tuple[int, ...]) -> dict[tuple[str, int], int]:
    """How much each hard floor and each pin is missed by."""
    side = problem.side
    orders = {order_of(problem, option) for option in chosen}
    floors = {
        ("row", row): max(0, int(side.low[row]) - used)
        for row, used in enumerate(uses(side, chosen))
        if side.penalty[row] == HARD
    }
    pins = {
        ("pin", order): int(order not in orders)
        for order in range(problem.num_orders)
        if side.pin_rank[order] != NO_PIN
    }
    return {what: missed for what, missed in (floors | pins).items() if missed}


def best_no_worse_than(problem: Problem, chosen: tuple[int, ...]) -> int:
    """The best value of all plans that break no floor and no pin more than this."""
    allowed = broken(problem, chosen)
    return max(
        value_of(problem, plan)
        for plan in all_plans(problem)
        if all(
            missed <= allowed.get(what, 0)
            for what, missed in broken(problem, plan).items()
        )
    )


def best_by_rank(problem: Problem) -> Solution:
    """
    The answer: of all plans those that keep most in order of rank, then the best.

    Its prices are 0 where they may be: a bound that holds, and not a tight one.
    """
    side = problem.side

    def rating(plan: tuple[int, ...]) -> tuple[object, ...]:
        missed: dict[int, int] = {}
        for (kind, number), amount in broken(problem, plan).items():
            rank = side.rank[number] if kind == "row" else side.pin_rank[number]
            missed[int(rank)] = missed.get(int(rank), 0) + amount
        ranks = sorted({*side.rank.tolist(), *side.pin_rank.tolist()})
        by_rank = tuple(-missed.get(rank, 0) for rank in ranks)
        return (*by_rank, value_of(problem, plan), plan)

    chosen = max(all_plans(problem), key=rating)
    return Solution(
        np.array(chosen, np.int64),
        np.zeros(problem.num_lanes, np.int64),
        np.zeros(problem.num_merchants, np.int64),
        Termination("FEASIBLE", "METHOD"),
        np.zeros(side.num_rows, np.int64),
    )


def with_prices(problem: Problem, plan: Solution) -> Solution:
    """The plan with prices of lanes and rows that bound it well, one after another."""
    worths = {int(s) for s in problem.option_saving if s > 0} | {0}
    loads = {int(load) for load in problem.side.option_load}
    steps = sorted({-(-worth // load) for worth in worths for load in loads})
    for _ in range(3):
        for field in ("lane_price", "row_price"):
            for number in range(len(getattr(plan, field))):
                plan = min(
                    _repriced(problem, plan, field, number, steps),
                    key=lambda found: certify(problem, found).dual_bound,
                )
    return plan


def _repriced(
    problem: Problem, plan: Solution, field: str, number: int, steps: list[int]
) -> Iterator[Solution]:
    """The plan with other prices of one lane or row, as far as they are accepted."""
    yield plan
    for price in [*steps, *(-step for step in steps)]:
        prices = getattr(plan, field).copy()
        prices[number] = price
        changed = dataclasses.replace(plan, **{field: prices})
        try:
            certify(problem, changed)
        except CertificateError:
            continue
        yield changed
