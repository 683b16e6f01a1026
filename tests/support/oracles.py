"""Oracles too simple to be wrong: enumeration, plain sums, and HiGHS elsewhere."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from optimizer.model.problem import Problem


def path_of(problem: Problem, lane: int) -> list[int]:
    """The lane and all lanes around it."""
    path = []
    while lane >= 0:
        path.append(lane)
        lane = int(problem.lane_parent[lane])
    return path


def order_of(problem: Problem, option: int) -> int:
    """The order of an option, by search."""
    starts = problem.option_start
    return next(i for i in range(len(starts)) if starts[i + 1] > option)


def merchant_of(problem: Problem, order: int) -> int:
    """The merchant of an order, by search."""
    starts = problem.merchant_start
    return next(m for m in range(len(starts)) if starts[m + 1] > order)


def is_feasible(problem: Problem, chosen: Iterable[int]) -> bool:
    """Count every limit one by one."""
    cap, slots = problem.cap.tolist(), problem.slots.tolist()
    taken = set()
    for option in chosen:
        order = order_of(problem, option)
        cap[merchant_of(problem, order)] -= 1
        for lane in path_of(problem, int(problem.option_lane[option])):
            slots[lane] -= 1
        if order in taken:
            return False
        taken.add(order)
    return min([0, *cap, *slots]) == 0


def worth(problem: Problem, chosen: Iterable[int]) -> int:
    """What a plan saves, micro-CNY."""
    return sum(int(problem.option_saving[option]) for option in chosen)


def best_by_enumeration(problem: Problem) -> int:
    """Try every plan, order by order."""
    cap, slots = problem.cap.tolist(), problem.slots.tolist()
    saving, lanes = problem.option_saving.tolist(), problem.option_lane.tolist()
    merchants = [merchant_of(problem, i) for i in range(problem.num_orders)]
    paths = [path_of(problem, lane) for lane in range(problem.num_lanes)]

    def best(order: int) -> int:
        if order == problem.num_orders:
            return 0
        found = best(order + 1)
        merchant = merchants[order]
        if cap[merchant] == 0:
            return found
        cap[merchant] -= 1
        for option in range(
            int(problem.option_start[order]), int(problem.option_start[order + 1])
        ):
            path = paths[lanes[option]]
            if all(slots[lane] for lane in path):
                for lane in path:
                    slots[lane] -= 1
                found = max(found, saving[option] + best(order + 1))
                for lane in path:
                    slots[lane] += 1
        cap[merchant] += 1
        return found

    return best(0)


def bound_by_hand(
    problem: Problem, lane_price: Sequence[int], merchant_price: Sequence[int]
) -> int:
    """The dual bound, term by term, in Python's integers."""
    total = sum(int(s) * int(p) for s, p in zip(problem.slots, lane_price, strict=True))
    total += sum(
        int(c) * int(p) for c, p in zip(problem.cap, merchant_price, strict=True)
    )
    for order in range(problem.num_orders):
        worths = [0]
        for option in range(
            int(problem.option_start[order]), int(problem.option_start[order + 1])
        ):
            path = path_of(problem, int(problem.option_lane[option]))
            pays = sum(int(lane_price[lane]) for lane in path)
            pays += int(merchant_price[merchant_of(problem, order)])
            worths.append(int(problem.option_saving[option]) - pays)
        total += max(worths)
    return total


def best_by_highs(problems: Sequence[Problem]) -> list[float]:
    """Linear optima by HiGHS, in a process that never imports OR-Tools."""
    data = [
        {
            name: getattr(problem, name)
            for name in (
                *("merchant_start", "cap", "option_start", "option_lane"),
                *("option_saving", "slots", "lane_parent"),
            )
        }
        for problem in problems
    ]
    script = Path(__file__).with_name("highs_oracle.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        input=pickle.dumps(data),
        capture_output=True,
        timeout=300,
        check=True,
    )
    return pickle.loads(done.stdout)
