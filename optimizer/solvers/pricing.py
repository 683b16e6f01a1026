"""
Exact at any size: price, fix, solve, unfix.

1. **Price.** Newton prices, first on a sample or on everything, roughly, then on
   the orders that could matter, finely.
2. **Fix** the orders that are plainly in or out at these prices.
3. **Solve** the rest, the core, exactly by minimum cost flow; of the prices that
   prove it, take some near to those of step 1.
4. **Unfix.** Evaluate the dual bound of all orders at these prices. If it equals
   the plan, that is the proof. Else free what the prices contradict, and go to 3.
   What is freed stays free, so this ends; mostly it takes one or two rounds.

Last, the prices are lowered to the least that prove the plan. Integers decide
every comparison; the Newton steps are floating point, but only propose prices.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import SolveError
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.model.tree import effective_price, own_price
from optimizer.solvers.core import Fixing, core_problem, disagreement, fix, unfix
from optimizer.solvers.flow import flow_plan
from optimizer.solvers.greedy import greedy_plan
from optimizer.solvers.market import Pool, whole_market
from optimizer.solvers.newton import Lanes, newton_prices
from optimizer.solvers.prices import (
    cap_prices,
    least_effective,
    nearest_effective,
)
from optimizer.solvers.screening import rough_prices, screened

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import Market

#: Windows of the fine prices, as shares of the mean price.
FINE_WINDOWS = (0.3, 0.002)
#: An order is close, and goes to the core, within this share of the mean price.
CLOSE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """
    What all steps of one solve share.

    Attributes
    ----------
    problem
        The night.
    full, near
        All orders, and those that could matter.
    wanted
        ``(num_lanes,) int64`` effective prices of step 1, micro-CNY.
    scale
        A typical price, micro-CNY.
    pool
        Threads.
    is_late
        Whether the time is up.
    relative_gap
        Gap to stop at.
    """

    problem: Problem
    full: Market
    near: Market
    wanted: NDArray[np.int64]
    scale: float
    pool: Pool
    is_late: Callable[[], bool]
    relative_gap: float


def solve_pricing(problem: Problem, params: SolveParams) -> Solution:
    """
    Find the optimum, and the lowest prices that prove it.

    Returns
    -------
    Solution
        ``OPTIMAL``; ``FEASIBLE`` with limit ``GAP`` once the asked gap is proved, or
        with limit ``TIME``: then with the best plan and prices there were.
    """
    ends = time.monotonic() + params.time_limit_seconds

    def is_late() -> bool:
        return time.monotonic() > ends

    with Pool(params.num_threads) as pool:
        full = whole_market(problem)
        lanes = Lanes(problem.slots, problem.lane_parent)
        rough, scale = rough_prices(problem, full, pool, is_late)
        near = screened(problem, full, rough, scale, pool)
        price = newton_prices(
            near, lanes, rough, pool, scale=scale, windows=FINE_WINDOWS, is_late=is_late
        )
        wanted = effective_price(price, problem.lane_parent)
        search = Search(
            problem, full, near, wanted, scale, pool, is_late, params.relative_gap
        )
        return _prove(search, fix(problem, near, wanted, int(CLOSE * scale), pool))


def _prove(search: Search, fixing: Fixing) -> Solution:
    """Solve the core and free what its prices contradict, until nothing is left."""
    problem, market = search.problem, search.near
    reach = max(1, int(4 * CLOSE * search.scale))
    while not search.is_late():
        core, options = core_problem(problem, fixing)
        plan = flow_plan(core)
        price = nearest_effective(core, plan, search.wanted)
        chosen = np.sort(np.concatenate((fixing.fixed, options[plan])))
        wrong, market, reach = _first_wrong(
            search, market, fixing, chosen, price, reach
        )
        if len(wrong) == 0:
            return _finish(search, chosen, price)
        if _is_close_enough(search, chosen, price):
            return _solution(search, chosen, price, Termination("FEASIBLE", "GAP"))
        fixing = unfix(problem, fixing, wrong)
    chosen = greedy_plan(problem)
    return _solution(search, chosen, search.wanted, Termination("FEASIBLE", "TIME"))


def _first_wrong(
    search: Search,
    market: Market,
    fixing: Fixing,
    chosen: NDArray[np.int64],
    price: NDArray[np.int64],
    reach: int,
) -> tuple[NDArray[np.int64], Market, int]:
    """
    Orders outside the core that the core's prices contradict.

    Prices far from the wanted ones come of a core that is still too small, and
    would free half the night: they are believed only within a reach, which widens
    as soon as nothing within it is left to free. Cheap orders are asked first.
    """
    while True:
        low, high = search.wanted - reach, search.wanted + reach
        believed = np.clip(price, low, high)
        _, wrong = disagreement(search.problem, market, chosen, believed, search.pool)
        wrong = np.setdiff1d(wrong, fixing.core, assume_unique=True)
        is_whole = np.array_equal(believed, price)
        if len(wrong) or (is_whole and market is search.full):
            return wrong, market, reach
        if is_whole:
            market = search.full
        reach *= 4


def _finish(
    search: Search, chosen: NDArray[np.int64], price: NDArray[np.int64]
) -> Solution:
    """Lower the prices to the least that prove the plan, if there is time."""
    if _gap(search, chosen, price) != 0:
        raise SolveError("the prices of an optimal core do not prove the whole plan")
    nothing_fixed = Fixing(np.zeros(0, np.int64), search.near.full_orders)
    optimal = Termination("OPTIMAL")
    while not search.is_late():
        order = np.searchsorted(search.problem.option_start, chosen, side="right") - 1
        kept = np.union1d(nothing_fixed.core, order)
        near, options = core_problem(search.problem, Fixing(nothing_fixed.fixed, kept))
        start = np.zeros(len(price), np.int64)
        least = least_effective(near, np.searchsorted(options, chosen), start)
        _, wrong = disagreement(search.problem, search.full, chosen, least, search.pool)
        if len(wrong) == 0:
            return _solution(search, chosen, least, optimal)
        nothing_fixed = Fixing(nothing_fixed.fixed, np.union1d(kept, wrong))
    return _solution(search, chosen, price, optimal)


def _gap(search: Search, chosen: NDArray[np.int64], price: NDArray[np.int64]) -> int:
    """Dual bound at effective prices less what the plan saves."""
    problem = search.problem
    surplus, _ = disagreement(problem, search.full, chosen, price, search.pool)
    own = own_price(price, problem.lane_parent)
    if np.any(own < 0):
        return problem.num_orders
    limits = sum(int(s) * int(p) for s, p in zip(problem.slots, own, strict=True) if p)
    return limits + surplus - int(problem.option_saving[chosen].sum())


def _is_close_enough(
    search: Search, chosen: NDArray[np.int64], price: NDArray[np.int64]
) -> bool:
    """Whether the asked gap is proved already; never asked for the optimum."""
    if search.relative_gap == 0:
        return False
    worth = int(search.problem.option_saving[chosen].sum())
    return _gap(search, chosen, price) <= search.relative_gap * max(1, worth)


def _solution(
    search: Search,
    chosen: NDArray[np.int64],
    price: NDArray[np.int64],
    termination: Termination,
) -> Solution:
    problem = search.problem
    return Solution(
        chosen,
        own_price(price, problem.lane_parent),
        cap_prices(problem, price),
        termination,
    )
