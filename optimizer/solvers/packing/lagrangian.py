r"""
A stronger bound: lanes choose as knapsacks; merchants and orders have prices.

With :math:`\mu` for merchants, :math:`\omega` for orders, and prices for all limits
but the slots of lanes themselves, every lane by itself is a knapsack, filled exactly.
What whole parcels leave empty there is in the bound, which linear prices miss; it
counts where lanes take about a dozen. The prices start from those of the linear bound,
which is then never exceeded, and are improved by subgradient steps.

References
----------
Polyak, B. T. (1969). Minimization of unsmooth functionals. USSR Computational
Mathematics and Mathematical Physics 9(3), 14-29.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certify.exact import exact_dot, exact_sum
from optimizer.model.lane_tree import ancestors, effective_price, own_price
from optimizer.solvers.deadline import OutOfTime
from optimizer.solvers.market import running
from optimizer.solvers.packing.market import (
    PackingPrices,
    price_limits,
    side_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import NearMarket, Threads

#: Subgradient steps; the progress that a step hopes for, at first as a share of the
#: way to the plan, halved after so many steps in vain, until it is such a share of it.
MOST_STEPS, FIRST_HOPE, PATIENCE, LAST_HOPE = 600, 0.1, 12, 1e-7
#: Parts of the lanes, between which the clock is looked at; threads share them where
#: there are more options than so many.
PARTS, FEW_OPTIONS = 128, 3_000
#: How much of the last direction stays in the next.
MEMORY = 0.6
#: A step of a price is divided by how strongly excess answers it, to this power.
DAMPING = 0.75


@dataclass(frozen=True, slots=True, eq=False)
class LanePrices:
    """
    Prices of everything.

    Attributes
    ----------
    own
        ``(num_lanes,) int64``: own prices; those of lanes without lanes within only
        guide the filling.
    row
        ``(num_rows,) int64``.
    merchant
        ``(num_merchants,) int64``.
    order
        ``(num_orders,) int64``, of the market.
    """

    own: NDArray[np.int64]
    row: NDArray[np.int64]
    merchant: NDArray[np.int64]
    order: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """
    The choices of lanes at prices.

    Attributes
    ----------
    bound
        Micro-CNY.
    taken
        ``(num_options,) bool``.
    reach
        Options further below their prices than this cannot matter, micro-CNY.
    """

    bound: int
    taken: NDArray[np.bool_]
    reach: int


@dataclass(frozen=True, slots=True, eq=False)
class LaneView:
    """
    A market by lane.

    Attributes
    ----------
    problem, market, low
        The night, some of its orders, its floors.
    has_inner
        ``(num_lanes,) bool``: whether the lane has children.
    list_start, listed
        Options by lane.
    """

    problem: Problem
    market: NearMarket
    low: NDArray[np.int64]
    has_inner: NDArray[np.bool_]
    list_start: NDArray[np.int64]
    listed: NDArray[np.int64]


def lane_view(problem: Problem, market: NearMarket, low: NDArray[np.int64]) -> LaneView:
    """Sort a market's options by lane."""
    has_inner = np.zeros(problem.num_lanes, np.bool_)
    has_inner[problem.lane_parent[problem.lane_parent >= 0]] = True
    lane = market.option_lane
    count = np.bincount(lane, minlength=problem.num_lanes).astype(np.int64)
    listed = np.argsort(lane, kind="stable")
    return LaneView(problem, market, low, has_inner, running(count), listed)


def start_prices(
    view: LaneView, prices: PackingPrices, merchant_price: NDArray[np.int64]
) -> LanePrices:
    """
    Prices whose bound is at most the linear one.

    An order's price is the value of its second-best option, so that only the best lane
    wants it; an order with one option has price 0.
    """
    from optimizer.solvers.packing.local_search import margins

    market = view.market
    worth = margins(market, prices, merchant_price)
    order = np.zeros(len(market.order), np.int64)
    turn = np.lexsort((-worth, market.option_order))
    second = market.option_start[:-1] + 1
    has_two = np.diff(market.option_start) >= 2
    order[has_two] = np.maximum(worth[turn[second[has_two]]], 0)
    own = own_price(prices.lane, view.problem.lane_parent)
    return LanePrices(own, prices.row, merchant_price, order)


def fill_all_lanes(
    view: LaneView, prices: LanePrices, pool: Threads, is_late: Callable[[], bool]
) -> Filled:
    """
    Fill every lane at prices, and bound every plan by that.

    Parameters
    ----------
    view
        The orders by lane.
    prices
        Prices of everything.
    pool
        Threads that share the lanes.
    is_late
        Whether the time is up; asked before each part of the lanes.

    Raises
    ------
    OutOfTime
        When it is.
    """
    from optimizer.solvers.kernels.fill import fill_lanes, profits

    problem, market = view.problem, view.market
    kept = np.where(view.has_inner, prices.own, 0)
    outside = effective_price(kept, problem.lane_parent)
    profit, taken = (
        np.empty(market.num_options, np.int64),
        np.zeros(market.num_options, np.bool_),
    )
    orders, uses = market.arrays
    profits(
        orders=orders,
        uses=uses,
        prices=outside,
        row_price=prices.row,
        merchant_price=prices.merchant,
        order_price=prices.order,
        option_order=market.option_order,
        profit=profit,
    )
    parts = min(PARTS, problem.num_lanes)
    cuts = np.linspace(0, problem.num_lanes, parts + 1).astype(np.int64)
    most = np.zeros((parts, 1), np.int64)
    shadow = np.where(view.has_inner, 0, prices.own)
    load = market.uses.option_load

    def work(part: int) -> int:
        if is_late():
            raise OutOfTime
        saved = fill_lanes(
            cuts[part],
            cuts[part + 1],
            slots=problem.slots,
            price=shadow,
            list_start=view.list_start,
            listed=view.listed,
            load=load,
            profit=profit,
            taken=taken,
            most=most[part],
        )
        return int(saved)

    is_shared = market.num_options > FEW_OPTIONS
    saved = pool.each(work, parts) if is_shared else map(work, range(parts))
    total = sum(saved) + _sold(view, prices)
    return Filled(total, taken, int(most.max(initial=0)))


def _sold(view: LaneView, prices: LanePrices) -> int:
    problem, side = view.problem, side_of(view.problem)
    inner = np.where(view.has_inner, prices.own, 0)
    total = exact_dot(problem.slots, inner) + exact_dot(problem.cap, prices.merchant)
    total += exact_dot(side.high, np.maximum(prices.row, 0)) + exact_sum(prices.order)
    below = np.flatnonzero(prices.row < 0)
    return total + sum(int(view.low[r]) * int(prices.row[r]) for r in below)


def improve_prices(
    view: LaneView,
    prices: LanePrices,
    target: int,
    pool: Threads,
    is_late: Callable[[], bool],
) -> tuple[LanePrices, Filled]:
    """
    Lower the bound by subgradient steps towards the value of a plan.

    Parameters
    ----------
    view
        The orders by lane.
    prices
        Where to start.
    target
        Value of a known plan, micro-CNY.
    pool
        Threads that share the merchants.
    is_late
        Whether the time is up.

    Returns
    -------
    prices, filled
        The best prices found, with the choices of lanes at them.

    Raises
    ------
    OutOfTime
        When the time is up before the first choices are known.
    """
    best, filled = prices, fill_all_lanes(view, prices, pool, is_late)
    x, here = _joined(prices), filled
    lowest, highest = _limits(view)
    weight = _weights(view, filled.taken)
    direction, num_idle = np.zeros(len(x)), 0
    hoped = FIRST_HOPE * (filled.bound - target)
    last_hope = max(LAST_HOPE * abs(target), 1.0)
    for _ in range(MOST_STEPS):
        if is_late() or filled.bound <= target or hoped < last_hope:
            break
        excess = _excess(view, x, here.taken)
        direction = MEMORY * direction + (1 - MEMORY) * excess
        move = direction / weight
        power = float((direction * move).sum())
        if power == 0:
            break
        length = max(here.bound - filled.bound + hoped, 0.0) / power
        x = np.clip(x + length * move, lowest, highest)
        prices = _split(view, np.rint(x).astype(np.int64), prices.own)
        try:
            here = fill_all_lanes(view, prices, pool, is_late)
        except OutOfTime:
            break
        num_idle += 1
        if here.bound < filled.bound:
            best, filled, num_idle = prices, here, 0
        elif num_idle == PATIENCE:
            hoped, num_idle, x = hoped / 2, 0, _joined(best)
            here, direction = filled, np.zeros(len(x))
    return best, filled


def _weights(view: LaneView, taken: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How strongly excess answers each price: sums of squares of what is taken."""
    problem, market, uses = view.problem, view.market, view.market.uses
    option = np.flatnonzero(taken)
    order = market.option_order[option]
    merchant = market.order_merchant[order]
    square = uses.option_load[option] ** 2
    direct = np.bincount(market.option_lane[option], square, problem.num_lanes)
    lane = direct.copy()
    for below, above in ancestors(problem.lane_parent):
        np.add.at(lane, above, direct[below])
    is_used = np.repeat(taken, np.diff(uses.entry_start))
    row = np.bincount(
        uses.entry_row[is_used],
        uses.entry_weight[is_used] ** 2,
        side_of(problem).num_rows,
    )
    parts = (
        np.bincount(merchant, minlength=problem.num_merchants),
        np.ones(len(market.order)),
        lane,
        row,
    )
    return np.maximum(np.concatenate(parts), 1.0) ** DAMPING


def _joined(prices: LanePrices) -> NDArray[np.float64]:
    return np.concatenate(
        (prices.merchant, prices.order, prices.own, prices.row)
    ).astype(np.float64)


def _split(view: LaneView, x: NDArray[np.int64], own: NDArray[np.int64]) -> LanePrices:
    """Split the vector of prices; those of lanes without children stay unchanged."""
    counts = (view.problem.num_merchants, len(view.market.order), len(own))
    merchant, order, lane, row = np.split(x, np.cumsum(counts))
    return LanePrices(np.where(view.has_inner, lane, own), row, merchant, order)


def _limits(view: LaneView) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    lane, least, most = price_limits(view.problem, view.low)
    others = view.problem.num_merchants + len(view.market.order)
    free_rows = np.zeros(others + view.problem.num_lanes)
    lowest = np.concatenate((free_rows, least)).astype(np.float64)
    free = np.full(others + view.problem.num_lanes, float(lane))
    return lowest, np.concatenate((free, most)).astype(np.float64)


def _excess(
    view: LaneView, x: NDArray[np.float64], taken: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Excess of merchants, orders, lanes and rows; 0 where it costs nothing."""
    problem, side, market = view.problem, side_of(view.problem), view.market
    uses, option = market.uses, np.flatnonzero(taken)
    order = market.option_order[option]
    by_order = np.bincount(order, minlength=len(market.order)) - 1
    has_choice = np.diff(market.option_start) > 1
    merchant = np.bincount(
        market.order_merchant[order], minlength=problem.num_merchants
    )
    direct = np.bincount(
        market.option_lane[option], uses.option_load[option], problem.num_lanes
    )
    use = direct.copy()
    for below, above in ancestors(problem.lane_parent):
        np.add.at(use, above, direct[below])
    is_used = np.repeat(taken, np.diff(uses.entry_start))
    weight = np.bincount(
        uses.entry_row[is_used], uses.entry_weight[is_used], side.num_rows
    )
    price = x[len(x) - side.num_rows :]
    is_floor = (price < 0) | ((price == 0) & (weight < view.low))
    row = weight - np.where(is_floor, view.low, side.high)
    row[(price == 0) & (weight >= view.low) & (weight <= side.high)] = 0
    excess = np.concatenate(
        (
            merchant - problem.cap,
            np.where(has_choice, by_order, 0),
            np.where(view.has_inner, use - problem.slots, 0),
            row,
        )
    ).astype(np.float64)
    return np.where(
        (x <= 0) & (excess < 0) & (np.arange(len(x)) < len(x) - side.num_rows),
        0,
        excess,
    )
