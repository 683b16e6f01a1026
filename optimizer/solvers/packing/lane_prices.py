"""Prices for the bound by lanes, made for some orders and checked against all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import effective_price
from optimizer.solvers.deadline import OutOfTime
from optimizer.solvers.market import sub_market
from optimizer.solvers.packing.lagrangian import (
    fill_all_lanes,
    improve_prices,
    lane_view,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.solvers.market import Market, Threads
    from optimizer.solvers.packing.lagrangian import LanePrices, LaneView
    from optimizer.solvers.packing.refine_prices import PackingSearch

#: Rounds that take in orders which were missed, until what these add to the bound is
#: such a share of the gap.
MOST_VIEWS, CLOSE = 6, 0.02
#: Time that is kept for that, as a multiple of what it took at first.
RESERVE = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """
    Prices that were made for some orders and checked against all.

    Attributes
    ----------
    prices
        With a price for every order of the problem.
    bound
        Of all orders, micro-CNY.
    missed
        Positions of other orders that lanes would take at these prices.
    """

    prices: LanePrices
    bound: int
    missed: NDArray[np.int64]


def lane_bound(
    whole: Market,
    view: LaneView,
    prices: LanePrices,
    reach: int,
    pool: Threads,
    is_late: Callable[[], bool],
) -> Held:
    """
    Bound all orders at prices that were made for some.

    Parameters
    ----------
    whole
        The market of all orders.
    view
        Some of its orders, by lane.
    prices
        Prices for the orders of ``view``.
    reach
        Distance below its prices, micro-CNY, up to which an order can matter.
    pool
        Threads that share the merchants.
    is_late
        Whether the time is up.

    Raises
    ------
    OutOfTime
        When it is.
    """
    from optimizer.solvers.kernels.fill import near_orders

    problem = view.problem
    effective = effective_price(prices.own, problem.lane_parent)
    order_price = np.zeros(problem.num_orders, np.int64)
    order_price[view.market.order] = prices.order
    is_known = np.zeros(problem.num_orders, np.bool_)
    is_known[view.market.order] = True
    is_near = is_known.copy()
    orders, uses = whole.arrays
    near_orders(
        orders=orders,
        uses=uses,
        price=effective,
        row_price=prices.row,
        merchant_price=prices.merchant,
        reach=np.int64(reach),
        is_near=is_near,
    )
    near = np.flatnonzero(is_near)
    wide = lane_view(problem, sub_market(whole, near, problem.cap, pool), view.low)
    filled = fill_all_lanes(
        wide, replace(prices, order=order_price[near]), pool, is_late
    )
    taken = wide.market.order[wide.market.option_order[filled.taken]]
    missed = np.unique(taken[~is_known[taken]])
    return Held(replace(prices, order=order_price), filled.bound, missed)


def best_lane_prices(
    whole: Market,
    view: LaneView,
    prices: LanePrices,
    target: int,
    pool: Threads,
    search: PackingSearch,
) -> Held | None:
    """
    Improve prices; if other orders matter at them, add these and repeat.

    Stops while there is still time to check the last prices against all orders;
    ``None`` where there was no time for any.

    Parameters
    ----------
    whole
        The market of all orders.
    view
        Some of its orders, by lane.
    prices
        Prices for the orders of ``view``.
    target
        Value of a known plan, micro-CNY: no bound is below it.
    pool
        Threads that share the merchants.
    search
        Whose time it takes.
    """
    is_over, began = search.is_late, search.seconds_left()
    try:
        reach = fill_all_lanes(view, prices, pool, is_over).reach
        best = lane_bound(whole, view, prices, reach, pool, is_over)
    except OutOfTime:
        return None
    is_late = partial(search.is_late, RESERVE * (began - search.seconds_left()))
    for _ in range(MOST_VIEWS):
        if is_late():
            break
        try:
            prices, filled = improve_prices(view, prices, target, pool, is_late)
            held = lane_bound(whole, view, prices, filled.reach, pool, is_over)
        except OutOfTime:
            break
        best = held if held.bound < best.bound else best
        if held.bound - filled.bound <= CLOSE * (held.bound - target):
            break
        orders = np.union1d(view.market.order, held.missed)
        view = lane_view(
            view.problem, sub_market(whole, orders, view.problem.cap, pool), view.low
        )
        prices = replace(prices, order=held.prices.order[orders])
    return best
