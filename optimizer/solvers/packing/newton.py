r"""
Prices of lanes and side rows by a Newton method on the dual.

As in :mod:`optimizer.solvers.network.newton`, with loads and weights: at any prices
every merchant takes its best orders. The excess of a row (or shortfall of a floor) is
the slope of the dual bound. Pairs of options that compete for an order within a window,
with :math:`d` the use of one minus that of the other, give its curvature
:math:`\sum d d^T / 2w`. Each pass solves for a step, bounds it, and narrows
the window. The prices with the least bound are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.model.lane_tree import ancestors, effective_price, own_price
from optimizer.solvers.packing.market import (
    PackingPrices,
    price_limits,
    side_of,
    sold,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import NearMarket, Threads

#: How the window narrows from pass to pass.
NARROWING = 0.75
#: How the reach of a price that moves on and on in one direction grows.
GROWTH = 1.5
#: Passes at the last window, at most.
MAX_LAST = 10
#: Rounds of conjugate gradients in a pass.
ROUNDS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """
    The choices of merchants at some prices.

    Attributes
    ----------
    bound
        The dual bound of the market, micro-CNY.
    use
        ``(num_lanes + num_rows,) int64``: load on each lane, weight in each row.
    pairs
        ``(k, 2) int64``: options that compete.
    """

    bound: int
    use: NDArray[np.int64]
    pairs: NDArray[np.int64]


def respond(
    problem: Problem,
    market: NearMarket,
    prices: PackingPrices,
    low: NDArray[np.int64],
    window: int,
    pool: Threads,
) -> Response:
    """
    Let all merchants choose at prices.

    Parameters
    ----------
    problem
        The night.
    market
        Orders and options by merchant.
    prices
        Effective prices of lanes, and prices of side rows.
    low
        ``(num_rows,) int64``: floors that are counted on.
    window
        Change of value, micro-CNY, within which an order counts as near the margin.
    pool
        Threads that share the merchants.
    """
    from optimizer.solvers.kernels.choose import choose

    num_parts, num_options = len(market.parts) - 1, market.num_options
    demand = np.zeros((num_parts, problem.num_lanes), np.int64)
    usage = np.zeros((num_parts, side_of(problem).num_rows), np.int64)
    pairs = [
        np.empty((1024 + num_options // max(num_parts, 1), 2), np.int64)
        for _ in range(num_parts)
    ]

    orders, uses = market.arrays

    def work(part: int, first: int, last: int) -> Any:
        return choose(
            first_merchant=first,
            last_merchant=last,
            orders=orders,
            uses=uses,
            price=prices.lane,
            row_price=prices.row,
            window=np.int64(window),
            demand=demand[part],
            usage=usage[part],
            pairs=pairs[part],
        )

    found = pool.over_parts(market, work)
    direct = demand.sum(axis=0)
    use = direct.copy()
    for below, above in ancestors(problem.lane_parent):
        np.add.at(use, above, direct[below])
    bound = sold(problem, prices, low) + sum(int(worth) for worth, _ in found)
    listed = [pairs[part][:count] for part, (_, count) in enumerate(found)]
    return Response(
        bound, np.concatenate((use, usage.sum(axis=0))), np.concatenate(listed)
    )


@dataclass(frozen=True, slots=True, eq=False)
class PriceBounds:
    """
    Data that stays the same from pass to pass.

    Attributes
    ----------
    problem, market, low
        The night, its near orders, the floors.
    lowest, highest
        ``(num_lanes + num_rows,) float64``: how far own prices may go.
    unit
        ``(num_lanes + num_rows,) float64``: mean load or weight, at least 1: how much
        an option's worth moves with a price.
    """

    problem: Problem
    market: NearMarket
    low: NDArray[np.int64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    unit: NDArray[np.float64]


def make_bounds(
    problem: Problem, market: NearMarket, low: NDArray[np.int64]
) -> PriceBounds:
    """Compute mean uses of options, and limits of prices."""
    lane_limit, least, most = price_limits(problem, low)
    lanes = problem.num_lanes
    return PriceBounds(
        problem,
        market,
        low,
        np.concatenate((np.zeros(lanes), least)),
        np.concatenate((np.full(lanes, float(lane_limit)), most)),
        np.concatenate((_mean_load(problem, market), _mean_weight(problem, market))),
    )


def _mean_load(problem: Problem, market: NearMarket) -> NDArray[np.float64]:
    lanes = problem.num_lanes
    load = np.bincount(market.option_lane, market.uses.option_load, lanes)
    count = np.bincount(market.option_lane, minlength=lanes).astype(np.float64)
    total, number = load.copy(), count.copy()
    for below, above in ancestors(problem.lane_parent):
        np.add.at(total, above, load[below])
        np.add.at(number, above, count[below])
    return np.maximum(total / np.maximum(number, 1), 1)


def _mean_weight(problem: Problem, market: NearMarket) -> NDArray[np.float64]:
    uses, rows = market.uses, side_of(problem).num_rows
    weight = np.bincount(uses.entry_row, uses.entry_weight, rows)
    count = np.bincount(uses.entry_row, minlength=rows)
    return np.maximum(weight / np.maximum(count, 1), 1)


def newton_prices(
    ground: PriceBounds,
    prices: PackingPrices,
    pool: Threads,
    *,
    scale: float,
    windows: tuple[float, float],
    is_late: Callable[[], bool],
) -> tuple[PackingPrices, int | None]:
    """
    Improve prices until the window is narrow.

    Parameters
    ----------
    ground, prices, pool
        What to price, from where, threads.
    scale
        What an order typically saves, micro-CNY: unit of the windows.
    windows
        First and last window, in that unit.
    is_late
        Ends the search early.

    Returns
    -------
    prices, bound
        Those with the least bound of the market, and that; ``None`` when the time was
        up before any was known.
    """
    width, last = windows[0] * scale, windows[1] * scale
    x = _joined(ground, prices)
    reach = width / ground.unit
    direction = np.zeros(len(x))
    best, best_bound, num_last = prices, None, 0
    while not is_late() and num_last < MAX_LAST:
        here = _prices_of(ground, x)
        window = max(int(width), 1)
        found = respond(ground.problem, ground.market, here, ground.low, window, pool)
        if best_bound is None or found.bound < best_bound:
            best, best_bound = here, found.bound
        step = _step(ground, x, found, window)
        moved = np.clip(step, -reach, reach)
        goes_on = (np.sign(step) * direction > 0) & (moved != step)
        x = _moved(ground, x, moved)
        num_last += width <= last
        width = max(width * NARROWING, last)
        narrow = np.maximum(reach * NARROWING, width / ground.unit)
        reach = np.where(goes_on, reach * GROWTH, narrow)
        direction = np.sign(step)
    return best, best_bound


def _joined(ground: PriceBounds, prices: PackingPrices) -> NDArray[np.float64]:
    """Own prices of lanes, then those of rows."""
    own = own_price(prices.lane, ground.problem.lane_parent)
    return np.concatenate((own, prices.row)).astype(np.float64)


def _prices_of(ground: PriceBounds, x: NDArray[np.float64]) -> PackingPrices:
    """Integer prices, limited so that sums stay in 64 bits."""
    lanes = ground.problem.num_lanes
    own = np.rint(x[:lanes])
    effective = effective_price(own, ground.problem.lane_parent)
    limit = ground.highest[0] if lanes else 0.0
    lane = np.minimum(effective, limit).astype(np.int64)
    return PackingPrices(lane, np.rint(x[lanes:]).astype(np.int64))


def _moved(
    ground: PriceBounds, x: NDArray[np.float64], step: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move prices within their limits; none changes its sign in one step."""
    moved = np.clip(x + step, ground.lowest, ground.highest)
    return np.where(
        x > 0, np.maximum(moved, 0), np.where(x < 0, np.minimum(moved, 0), moved)
    )


def excess_of(
    ground: PriceBounds, x: NDArray[np.float64], use: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """
    Excess of rows over the limits that their prices belong to.

    Returns
    -------
    excess, is_free
        Above a ceiling > 0, below a floor < 0; whether the price may move.
    """
    side, lanes = side_of(ground.problem), ground.problem.num_lanes
    over = use - np.concatenate((ground.problem.slots, side.high))
    under = use - np.concatenate((np.full(lanes, -(2**60)), ground.low))
    is_ceiling = (x > 0) | ((x == 0) & (over > 0))
    is_floor = ~is_ceiling & ((x < 0) | (under < 0))
    excess = np.where(is_ceiling, over, np.where(is_floor, under, 0))
    is_stuck = (excess < 0) & (x <= ground.lowest) | (excess > 0) & (
        x >= ground.highest
    )
    return excess.astype(np.float64), (is_ceiling | is_floor) & ~is_stuck


def _step(
    ground: PriceBounds, x: NDArray[np.float64], found: Response, window: int
) -> NDArray[np.float64]:
    """One damped Newton step of own prices."""
    from optimizer.solvers.kernels.packing_newton import price_step

    excess, is_free = excess_of(ground, x, found.use)
    orders, uses = ground.market.arrays
    density = 1 / (2.0 * window)
    step: NDArray[np.float64] = price_step(
        orders=orders,
        uses=uses,
        pairs=found.pairs,
        scale=density,
        lane_parent=ground.problem.lane_parent,
        is_free=is_free,
        excess=excess,
        damping=density * ground.unit**2,
        rounds=ROUNDS,
    )
    return step
