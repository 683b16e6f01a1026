"""Rough prices, and the orders that could matter at prices somewhat like them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.tree import effective_price, own_price
from optimizer.solvers.greedy import clearing_price
from optimizer.solvers.market import Market, split
from optimizer.solvers.newton import Lanes, newton_prices

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import Pool

#: A sample has at least so many orders, and so many slots on each lane; a lane of
#: one slot in the sample has no price.
SAMPLE_ORDERS, SAMPLE_SLOTS = 100_000, 8
#: Windows of the rough prices, as shares of the mean price.
ROUGH_WINDOWS = (0.3, 0.065)
#: Screening keeps of each merchant DEPTH times its cap and SPARE orders more, and
#: none that is further below its price than REACH times the mean price.
DEPTH, SPARE, REACH = 2, 4, 0.5


def rough_prices(
    problem: Problem, full: Market, pool: Pool, is_late: Callable[[], bool]
) -> tuple[NDArray[np.int64], float]:
    """
    Own prices from a sample of the orders, and the mean price as a scale.

    Of merchants in order of size every ``k``-th is taken whole; of those with a
    cap of at least ``4 k``, every ``k``-th order. Slots are divided by ``k``.
    """
    every = _sampling(problem)
    sample = full if every == 1 else _sample(problem, full, every, pool)
    lanes = Lanes(problem.slots / every, problem.lane_parent)
    effective = _first_guess(sample, lanes, pool)
    priced = effective[effective > 0]
    scale = float(priced.mean()) if len(priced) else 1e6
    price = newton_prices(
        sample,
        lanes,
        own_price(effective, problem.lane_parent),
        pool,
        scale=scale,
        windows=ROUGH_WINDOWS,
        is_late=is_late,
    )
    return price, scale


def screened(
    problem: Problem,
    full: Market,
    price: NDArray[np.int64],
    scale: float,
    pool: Pool,
) -> Market:
    """The orders that could matter at own prices somewhat like these."""
    from optimizer.solvers.kernels.market import screen

    keep = np.zeros(problem.num_orders, np.bool_)
    effective = effective_price(price, problem.lane_parent)
    limits = (DEPTH, SPARE, int(REACH * scale))

    def work(_: int, first: int, last: int) -> None:
        screen(first, last, *full.arrays, effective, *limits, keep)

    pool.over_parts(full, work)
    return _submarket(full, keep, problem.cap, pool)


def _sampling(problem: Problem) -> int:
    """One order in how many the sample takes."""
    num_lanes = max(1, int(np.sum(problem.slots > 0)))
    room = min(int(problem.cap.sum()), int(problem.slots.sum()))
    by_orders = problem.num_orders // SAMPLE_ORDERS
    return max(1, min(by_orders, room // (SAMPLE_SLOTS * num_lanes)))


def _sample(problem: Problem, full: Market, every: int, pool: Pool) -> Market:
    sizes = np.diff(problem.merchant_start)
    is_large = problem.cap >= 4 * every
    turn = np.empty(len(sizes), np.int64)
    turn[np.lexsort((sizes, is_large))] = np.arange(len(sizes))
    cap = np.where(turn % every == every // 2, problem.cap, 0)
    cap[is_large] = (problem.cap[is_large] + turn[is_large] % every) // every
    keep = np.repeat(cap > 0, sizes)
    keep &= np.repeat(~is_large, sizes) | (problem.key % np.uint64(every) == 0)
    return _submarket(full, keep, cap, pool)


def _first_guess(market: Market, lanes: Lanes, pool: Pool) -> NDArray[np.int64]:
    """Prices at which each lane would be sold out to the orders that like it best."""
    from optimizer.solvers.kernels.market import best_savings

    lane = np.full(market.num_orders, -1, np.int32)
    saving = np.zeros(market.num_orders, np.int64)

    def work(_: int, first: int, last: int) -> None:
        best_savings(first, last, *market.arrays, lane, saving)

    pool.over_parts(market, work)
    return clearing_price(lane, saving, lanes.slots, lanes.parent)


def _submarket(
    market: Market, keep: NDArray[np.bool_], cap: NDArray[np.int64], pool: Pool
) -> Market:
    """Copy the kept orders of a whole market together."""
    from optimizer.solvers.kernels.market import gather

    orders = np.concatenate(([0], np.cumsum(keep)))
    sizes = np.where(keep, np.diff(market.option_start), 0)
    options = np.concatenate(([0], np.cumsum(sizes)))
    at = market.merchant_start
    sub = Market(
        merchant_start=orders[at],
        cap=cap,
        option_start=np.full(orders[-1] + 1, options[-1], np.int64),
        option_lane=np.empty(options[-1], np.int32),
        option_saving=np.empty(options[-1], np.int64),
        parts=split(options[at]),
        order=np.flatnonzero(keep),
    )
    sources = (at, market.option_start, market.option_lane, market.option_saving, keep)
    copies = (sub.option_start, sub.option_lane, sub.option_saving)

    def work(_: int, first: int, last: int) -> None:
        gather(first, last, *sources, orders[at[first]], options[at[first]], *copies)

    pool.over_parts(market, work)
    return sub
