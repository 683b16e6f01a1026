"""Rough prices, and the orders that could matter at prices near them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import SolveError
from optimizer.model.lane_tree import (
    above_parents,
    effective_price,
    is_nested,
    own_price,
)
from optimizer.solvers.market import sub_market
from optimizer.solvers.network.initial_prices import clearing_price
from optimizer.solvers.network.newton import Lanes, is_nearly_balanced, newton_prices
from optimizer.solvers.screen import ScreenParams, screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import Market, NearMarket, Threads

#: A sample has at least so many orders, and so many slots on each lane; a lane of
#: one slot in the sample has no price.
SAMPLE_ORDERS, SAMPLE_SLOTS = 1_000_000, 6
#: Windows of the rough prices, as shares of the mean price.
ROUGH_WINDOWS = (0.3, 0.05)
#: Screening keeps of each merchant so many times its cap; deeper where no prices are
#: known yet.
DEPTH, FIRST_DEPTH = 2, 3
#: It keeps none that is further below its price than so many times the mean price.
REACH = 0.5


def rough_prices(
    problem: Problem, full: Market, pool: Threads, is_late: Callable[[], bool]
) -> tuple[NDArray[np.int64], float]:
    """
    Own prices from a sample of the orders, and the mean price as a scale.

    Of merchants in order of size every ``k``-th is taken whole; of those with a cap
    of at least ``4 k``, every ``k``-th order. Slots are divided by ``k``. Lanes
    without a slot cost more than any order saves.

    Parameters
    ----------
    problem
        The night.
    full
        The market of all orders.
    pool
        Threads that share the merchants.
    is_late
        Whether the time is up.

    Returns
    -------
    price, scale
        ``(num_lanes,) int64`` own prices, and the mean positive effective price, both
        in micro-CNY.
    """
    every = sampling(problem.num_orders, problem.cap.sum(), problem.slots)
    barred = barred_prices(problem, int(problem.option_saving.max(initial=0)))
    sample = screened(full, barred, _sample(problem, every), pool)
    return sampled_prices(problem, sample, every, barred, pool, is_late)


def barred_prices(problem: Problem, highest: int) -> NDArray[np.int64]:
    """Effective prices of 0, and of the highest saving on lanes without a slot."""
    return np.where(is_closed(problem), highest, 0)


def sampled_prices(
    problem: Problem,
    sample: NearMarket,
    every: int,
    barred: NDArray[np.int64],
    pool: Threads,
    is_late: Callable[[], bool],
) -> tuple[NDArray[np.int64], float]:
    """
    Own prices from a sample of one order in ``every``, and the mean price.

    Parameters
    ----------
    problem
        The night.
    sample
        The sampled orders.
    every
        One order in how many is in the sample.
    barred
        ``(num_lanes,) int64`` effective prices, micro-CNY, above every saving on lanes
        without a slot; else 0.
    pool
        Threads that share the merchants.
    is_late
        Whether the time is up.

    Returns
    -------
    price, scale
        ``(num_lanes,) int64`` own prices, and the mean positive effective price, both
        in micro-CNY.
    """
    lanes = Lanes(problem.slots / every, problem.lane_parent)
    effective = _first_guess(sample, lanes)
    priced = effective[(effective > 0) & (barred == 0)]
    scale = float(priced.mean()) if len(priced) else 1e6
    effective = np.maximum(effective, barred)
    price = own_price(effective, problem.lane_parent)
    if every == 1 and is_nearly_balanced(sample, lanes, price, pool):
        return price, scale
    windows = ROUGH_WINDOWS
    price = newton_prices(
        sample, lanes, price, pool, scale=scale, windows=windows, is_late=is_late
    )
    return price, scale


def given_prices(
    problem: Problem, price: NDArray[np.int64]
) -> tuple[NDArray[np.int64], float]:
    """
    Own prices from proposed effective ones, and their scale.

    Lanes without a slot cost more than any order saves, and no lane costs less than its
    parent. Values that are not numbers count as 0.

    Raises
    ------
    SolveError
        When there is not one price for each lane.
    """
    if np.shape(price) != (problem.num_lanes,):
        raise SolveError(
            f"start prices have the shape {np.shape(price)}, not one for each of "
            f"{problem.num_lanes:,} lanes"
        )
    highest = max(int(problem.option_saving.max(initial=0)), 0)
    if not np.issubdtype(price.dtype, np.integer):
        price = np.nan_to_num(price, nan=0.0, posinf=highest, neginf=0.0)
    effective = np.where(price >= highest, highest, np.maximum(price, 0))
    effective = effective.astype(np.int64)
    effective[is_closed(problem)] = highest
    effective = above_parents(effective, problem.lane_parent)
    priced = effective[(effective > 0) & (effective < highest)]
    scale = float(priced.mean()) if len(priced) else 1e6
    return own_price(effective, problem.lane_parent), scale


def near_market(
    problem: Problem,
    full: Market,
    price: NDArray[np.int64],
    scale: float,
    pool: Threads,
) -> NearMarket:
    """
    The orders that could matter at own prices near these.

    Parameters
    ----------
    problem
        The night.
    full
        The market of all orders.
    price
        ``(num_lanes,) int64`` own prices, micro-CNY.
    scale
        Mean lane price, micro-CNY: unit of how far below its price an order is kept.
    pool
        Threads that share the merchants.
    """
    ones = np.ones(problem.num_merchants, np.int64)
    sieve = ScreenParams(ones, problem.cap, DEPTH, int(REACH * scale))
    return screened(full, effective_price(price, problem.lane_parent), sieve, pool)


def screened(
    full: Market, effective: NDArray[np.int64], sieve: ScreenParams, pool: Threads
) -> NearMarket:
    """
    Copy together the best orders of each merchant at effective prices.

    Parameters
    ----------
    full
        The market of all orders.
    effective
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    sieve
        How many orders of each merchant to keep.
    pool
        Threads that share the merchants.
    """
    return sub_market(full, screen(full, effective, None, sieve, pool), sieve.cap, pool)


def sampling(num_orders: int, sum_of_caps: int, slots: NDArray[np.int64]) -> int:
    """One order in how many the sample takes."""
    num_lanes = max(1, int(np.sum(slots > 0)))
    room = min(int(sum_of_caps), int(slots.sum()))
    by_orders = num_orders // SAMPLE_ORDERS
    return max(1, min(by_orders, room // (SAMPLE_SLOTS * num_lanes)))


def _sample(problem: Problem, every: int) -> ScreenParams:
    cap = sample_caps(problem.cap, np.diff(problem.merchant_start), every)
    stride = np.where(problem.cap >= 4 * every, every, 1)
    return ScreenParams(stride, cap, FIRST_DEPTH, 0)


def sample_caps(
    cap: NDArray[np.int64], sizes: NDArray[np.int64], every: int
) -> NDArray[np.int64]:
    """Caps in a sample of one order in ``every``, ``(num_merchants,) int64``."""
    is_large = cap >= 4 * every
    turn = np.empty(len(cap), np.int64)
    turn[np.lexsort((sizes, is_large))] = np.arange(len(sizes))
    share = np.where(turn % every == every // 2, cap, 0)
    share[is_large] = (cap[is_large] + turn[is_large] % every) // every
    return share


def is_closed(problem: Problem) -> NDArray[np.bool_]:
    """Whether a lane or one of its ancestors has no slot."""
    from optimizer.solvers.kernels.screen import close_below

    closed = problem.slots == 0
    if is_nested(problem.lane_parent):
        close_below(problem.lane_parent, closed)
    return closed


def _first_guess(market: NearMarket, lanes: Lanes) -> NDArray[np.int64]:
    """Prices at which each lane would be sold out to the orders that like it best."""
    from optimizer.solvers.kernels.screen import best_savings

    best = np.empty(market.num_orders, np.int64)
    best_savings(0, len(best), market.option_start, market.option_saving, best)
    best = best[best >= 0]
    return clearing_price(
        market.option_lane[best], market.option_saving[best], lanes.slots, lanes.parent
    )
