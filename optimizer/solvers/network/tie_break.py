"""
Of all optimal plans, find the one that keeps most of an earlier plan.

At optimal prices an order whose best reduced saving is above its cap's price is
chosen in every optimal plan, one below it in none. Only the rest can differ: orders
that save exactly their price, and options with equal reduced savings. Their savings are
multiplied by a factor so large that a unit of money outweighs all earlier choices. Then
one unit is added for each earlier choice, and a minimum cost flow decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import SolveError
from optimizer.model.lane_tree import effective_price, lane_use
from optimizer.model.problem import MAX_TOTAL_SAVING, Problem, starts
from optimizer.model.reduced_savings import BLOCK_ORDERS
from optimizer.solvers.deadline import OutOfTime, look
from optimizer.solvers.flow.plan import flow_plan
from optimizer.solvers.owners import merchant_at, order_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.solution import Solution


def keep_most(
    problem: Problem,
    solution: Solution,
    earlier: NDArray[np.int64],
    ends: float = np.inf,
) -> Solution:
    """
    Change an optimal plan, at the same saving, to keep most of the earlier choices.

    Parameters
    ----------
    problem, solution
        The night, and an optimal plan with prices that prove it.
    earlier
        ``(k,) int64``: options that were chosen before.
    ends
        When to give up, on the monotonic clock.

    Returns
    -------
    Solution
        With the same prices. The plan is returned as it is where it is not optimal,
        where ties are too many to be told apart in 64 bits, or the time was up.
    """
    if solution.termination.reason != "OPTIMAL":
        return solution
    try:
        option, is_sure = _open_options(problem, solution, ends)
        sure = option[is_sure]
        open_option = option[~is_sure]
        core, weight = _core(problem, sure, open_option, earlier)
        kept = None if core is None else flow_plan(core, ends)
    except (OutOfTime, SolveError):
        return solution
    if kept is None:
        return solution
    chosen = np.sort(np.concatenate((sure, open_option[kept])))
    worth = int(problem.option_saving[chosen].sum())
    if worth != int(problem.option_saving[solution.chosen].sum()) or weight == 1:
        return solution
    return replace(solution, chosen=chosen)


def _open_options(
    problem: Problem, solution: Solution, ends: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Options that some optimal plan may choose, and whether every one does."""
    price = effective_price(solution.lane_price, problem.lane_parent)
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for first in range(0, problem.num_orders, BLOCK_ORDERS):
        look(ends)
        found.append(_not_below(problem, solution.merchant_price, price, first))
    option, surplus = (np.concatenate(part) for part in zip(*found, strict=True))
    look(ends)
    _, order = np.unique(order_at(problem, option), return_inverse=True)
    best = np.zeros(len(option), np.int64)
    np.maximum.at(best, order, surplus)
    is_best = surplus == best[order]
    ways = np.bincount(order[is_best], minlength=len(option))
    is_sure = (surplus > 0) & (ways[order] == 1)
    return option[is_best], is_sure[is_best]


def orders_not_below(
    problem: Problem, merchant_price: NDArray[np.int64], price: NDArray[np.int64]
) -> NDArray[np.int64]:
    """
    Orders that some optimal plan may choose, ascending.

    Parameters
    ----------
    problem
        Some orders of a night.
    merchant_price, price
        Prices that prove its plan: of caps, and effective ones of lanes, micro-CNY.
    """
    found = [np.zeros(0, np.int64)]
    for first in range(0, problem.num_orders, BLOCK_ORDERS):
        found.append(_not_below(problem, merchant_price, price, first)[0])
    return np.unique(order_at(problem, np.concatenate(found)))


def _not_below(
    problem: Problem,
    merchant_price: NDArray[np.int64],
    price: NDArray[np.int64],
    first: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Options of a block of orders that save at least their prices, and by how much."""
    last = min(first + BLOCK_ORDERS, problem.num_orders)
    start = problem.option_start[first : last + 1]
    options = slice(int(start[0]), int(start[-1]))
    merchant = merchant_at(problem, np.arange(first, last))
    saving = problem.option_saving[options]
    surplus = saving - price[problem.option_lane[options]]
    surplus -= np.repeat(merchant_price[merchant], np.diff(start))
    has_cap = np.repeat(problem.cap[merchant] > 0, np.diff(start))
    option = np.flatnonzero((surplus >= 0) & (saving > 0) & has_cap)
    return options.start + option, surplus[option]


def _core(
    problem: Problem,
    sure: NDArray[np.int64],
    option: NDArray[np.int64],
    earlier: NDArray[np.int64],
) -> tuple[Problem | None, int]:
    """The open options as a problem that prefers earlier ones, and its multiplier."""
    merchant = merchant_at(problem, order_at(problem, sure))
    used = np.bincount(merchant, minlength=problem.num_merchants)
    taken = lane_use(problem.option_lane[sure], problem.lane_parent)
    orders, order = np.unique(order_at(problem, option), return_inverse=True)
    was_chosen = np.isin(option, earlier)
    weight = int(was_chosen.sum()) + 1
    saving = problem.option_saving[option]
    if (
        int(saving.max(initial=0)) * weight * max(len(orders), 1)
        >= MAX_TOTAL_SAVING // 2
    ):
        return None, weight
    core = Problem(
        merchant_start=starts(merchant_at(problem, orders), problem.num_merchants),
        cap=problem.cap - used,
        option_start=starts(order, len(orders)),
        option_lane=problem.option_lane[option],
        option_saving=saving * weight + was_chosen,
        slots=problem.slots - taken,
        lane_parent=problem.lane_parent.copy(),
        key=problem.key[orders],
        row=problem.row[orders],
    )
    return core, weight
