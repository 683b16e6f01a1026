"""Exact by minimum cost flow on the whole night; its prices come from the plan."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers.baselines.greedy import greedy_plan
from optimizer.solvers.deadline import EXTRA_SECONDS
from optimizer.solvers.flow.plan import flow_plan
from optimizer.solvers.network.price_interval import least_prices

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem


def solve_flow(problem: Problem, params: SolveParams) -> Solution:
    """
    Find the optimum by minimum cost flow, and the lowest prices that prove it.

    Returns
    -------
    Solution
        ``OPTIMAL``, or ``FEASIBLE`` with limit ``TIME``: then the greedy plan, or the
        optimum with prices that do not prove it.

    Raises
    ------
    SolveError
        When the night is too large for OR-Tools' integers, or OR-Tools fails.
    """
    ends = time.monotonic() + params.time_limit_seconds

    def is_late() -> bool:
        return time.monotonic() > ends

    chosen = flow_plan(problem, ends)
    if chosen is not None:
        prices = least_prices(problem, chosen, is_late)
        if prices is not None:
            lane_price, merchant_price = prices
            stop = Termination("OPTIMAL")
            return Solution(chosen, lane_price, merchant_price, stop)
    return _out_of_time(problem, params, chosen)


def _out_of_time(
    problem: Problem, params: SolveParams, chosen: NDArray[np.int64] | None
) -> Solution:
    """Plan and prices that need little time after the limit."""
    from optimizer.solvers.network.dual_bound import bounding_prices

    ends = time.monotonic() + EXTRA_SECONDS

    def is_late() -> bool:
        return time.monotonic() > ends

    if chosen is None:
        chosen = greedy_plan(problem, is_late, params.num_threads)
        ends = time.monotonic() + EXTRA_SECONDS
    lane_price, merchant_price = bounding_prices(problem, params, is_late)
    stop = Termination("FEASIBLE", "TIME")
    return Solution(chosen, lane_price, merchant_price, stop)
