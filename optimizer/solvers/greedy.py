"""The greedy rule: the largest saving first, as long as every limit has room."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.solution import Solution, SolveParams, Termination

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem

#: Time for prices that bound the plan, when the limit has passed.
EXTRA_SECONDS = 0.5


def solve_greedy(problem: Problem, params: SolveParams) -> Solution:
    """
    Take the largest savings that fit: the baseline, and the plan of last resort.

    Equal savings are taken by key. The prices give a valid bound, so that the
    certificate says how far the plan may be from the best.

    Returns
    -------
    Solution
        ``FEASIBLE`` with limit ``METHOD``: this rule proves no optimum.
    """
    from optimizer.solvers.bounding import bounding_prices

    ends = time.monotonic() + params.time_limit_seconds
    chosen = greedy_plan(problem)
    ends = max(ends, time.monotonic() + EXTRA_SECONDS)
    prices = bounding_prices(problem, params, lambda: time.monotonic() > ends)
    return Solution(chosen, *prices, Termination("FEASIBLE", "METHOD"))


def greedy_plan(problem: Problem) -> NDArray[np.int64]:
    """Options of the greedy plan, ascending, ``(num_chosen,) int64``."""
    from optimizer.solvers.kernels.plan import accept_in_turn

    order = order_of_option(problem)
    accepted = accept_in_turn(
        by_saving(problem, order),
        order,
        merchant_of_order(problem),
        problem.option_lane,
        problem.lane_parent,
        problem.cap.copy(),
        problem.slots.copy(),
    )
    return np.flatnonzero(accepted)


def by_saving(problem: Problem, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Options that save something: the largest saving first, equal ones by key."""
    worth = np.flatnonzero(problem.option_saving > 0)
    return worth[np.lexsort((problem.key[order[worth]], -problem.option_saving[worth]))]


def order_of_option(problem: Problem) -> NDArray[np.int64]:
    """``(num_options,) int64``: the order of each option."""
    return np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))


def merchant_of_order(problem: Problem) -> NDArray[np.int64]:
    """``(num_orders,) int64``: the merchant of each order."""
    return np.repeat(np.arange(problem.num_merchants), np.diff(problem.merchant_start))
