"""
Of several optimal plans, the one that keeps most of an earlier one.

At optimal prices an order whose best reduced saving is above its cap's price is
chosen in every optimal plan, one below it in none. Only the rest can differ: orders
that are worth exactly their price, and options that are worth the same. Among them
savings are multiplied so far apart that a unit of money outweighs all keeping, one
unit is added for each choice that was made before, and a minimum cost flow decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import SolveError
from optimizer.model.problem import MAX_TOTAL_SAVING, Problem, starts
from optimizer.model.tree import effective_price, lane_use
from optimizer.solvers.flow import flow_plan
from optimizer.solvers.greedy import merchant_of_order, order_of_option

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
    Change an optimal plan, at the same worth, to keep most of the earlier choices.

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
    option, is_sure = _open_options(problem, solution)
    sure = option[is_sure]
    open_option = option[~is_sure]
    core, weight = _core(problem, sure, open_option, earlier)
    if core is None:
        return solution
    try:
        kept = flow_plan(core, ends)
    except SolveError:
        return solution
    if kept is None:
        return solution
    chosen = np.sort(np.concatenate((sure, open_option[kept])))
    worth = int(problem.option_saving[chosen].sum())
    if worth != int(problem.option_saving[solution.chosen].sum()) or weight == 1:
        return solution
    return replace(solution, chosen=chosen)


def _open_options(
    problem: Problem, solution: Solution
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Options that some optimal plan may choose, and whether every one does."""
    price = effective_price(solution.lane_price, problem.lane_parent)
    order = order_of_option(problem)
    surplus = problem.option_saving - price[problem.option_lane]
    surplus -= solution.merchant_price[merchant_of_order(problem)[order]]
    has_cap = problem.cap[merchant_of_order(problem)[order]] > 0
    option = np.flatnonzero((surplus >= 0) & (problem.option_saving > 0) & has_cap)
    best = np.zeros(problem.num_orders, np.int64)
    np.maximum.at(best, order[option], surplus[option])
    option = option[surplus[option] == best[order[option]]]
    ways = np.bincount(order[option], minlength=problem.num_orders)
    is_sure = (surplus[option] > 0) & (ways[order[option]] == 1)
    return option, is_sure


def _core(
    problem: Problem,
    sure: NDArray[np.int64],
    option: NDArray[np.int64],
    earlier: NDArray[np.int64],
) -> tuple[Problem | None, int]:
    """The open options as a problem that prefers earlier ones, and its multiplier."""
    all_order = order_of_option(problem)
    merchant = merchant_of_order(problem)
    used = np.bincount(merchant[all_order[sure]], minlength=problem.num_merchants)
    taken = lane_use(problem.option_lane[sure], problem.lane_parent)
    orders, order = np.unique(all_order[option], return_inverse=True)
    was_chosen = np.isin(option, earlier)
    weight = int(was_chosen.sum()) + 1
    saving = problem.option_saving[option]
    if (
        int(saving.max(initial=0)) * weight * max(len(orders), 1)
        >= MAX_TOTAL_SAVING // 2
    ):
        return None, weight
    core = Problem(
        merchant_start=starts(merchant[orders], problem.num_merchants),
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
