"""Prices for a plan that is not proved optimal: they bound the saving of any plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.certify.exact import exact_dot
from optimizer.model.lane_tree import effective_price, own_price
from optimizer.solvers.market import Threads, surplus_at, whole_market
from optimizer.solvers.network.initial_prices import clearing_price
from optimizer.solvers.network.refine_prices import PriceSearch, priced_market
from optimizer.solvers.network.screen import rough_prices

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import SolveParams
    from optimizer.solvers.market import Market


def bound_at(
    problem: Problem, full: Market, price: NDArray[np.int64], pool: Threads
) -> tuple[NDArray[np.int64], int]:
    """
    Bound every plan at effective lane prices.

    Parameters
    ----------
    problem
        The night.
    full
        The market of all orders.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    pool
        Threads that share the merchants.

    Returns
    -------
    merchant_price, bound
        The lowest best price of each cap, and the dual bound, exactly, in micro-CNY.
    """
    merchant_price, surplus = surplus_at(full, price, None, pool)
    sold = exact_dot(problem.slots, own_price(price, problem.lane_parent))
    return merchant_price, sold + surplus


def bounding_prices(
    problem: Problem, params: SolveParams, is_late: Callable[[], bool]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Price a night quickly, by lanes alone and by Newton steps, and take the better.

    Returns
    -------
    lane_price, merchant_price
        Own prices of lanes, and prices of caps, micro-CNY, at least 0.
    """
    parent = problem.lane_parent
    with Threads(params.num_threads) as pool:
        full = whole_market(problem)
        rough, scale = rough_prices(problem, full, pool, is_late)
        prices = [effective_price(rough, parent)]
        if not is_late():
            search = PriceSearch(problem, full, scale, pool, is_late)
            prices.append(priced_market(search, rough)[1])
        if not is_late():
            cleared = clearing_price(
                option_lane=problem.option_lane,
                option_saving=problem.option_saving,
                slots=problem.slots,
                lane_parent=parent,
                is_late=is_late,
            )
            prices.append(cleared)
        bounds = [bound_at(problem, full, price, pool) for price in prices]
    best = min(range(len(prices)), key=lambda place: bounds[place][1])
    return own_price(prices[best], parent), bounds[best][0]
