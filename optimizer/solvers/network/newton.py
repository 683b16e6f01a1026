r"""
Lane prices by a Newton method on the dual.

At prices :math:`\lambda` every merchant takes its best orders; the excess of a
lane is this demand minus its slots. Orders that would change lanes if two
prices moved against each other by less than a window are edges of a graph; its
weighted Laplacian is the slope of demand (a generalized Hessian of the dual,
which is piecewise linear). Each pass solves

.. math:: (H + \varepsilon I)\,\delta = \text{excess}

over the lanes that are priced or overfull, moves the prices by :math:`\delta`,
at most by the window, keeps them at least 0, and narrows the window. A common
shift of many lanes is one step here; methods that move each price separately
need many.

References
----------
Bertsekas, D. P. (1982). Projected Newton methods for optimization problems with
simple constraints. SIAM J. Control Optim. 20(2), 221-246.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.model.lane_tree import ancestors, effective_price
from optimizer.solvers.market import read_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.solvers.market import Market, Threads

#: How the window narrows from pass to pass; gently where lanes nest.
NARROWING, NESTED_NARROWING = 0.5, 0.75
#: How the reach of a lane that moves on and on in one direction grows.
GROWTH = 4.0
#: Options that one thread looks at between looks at the clock.
WORK_OPTIONS = 5_000_000
#: What all steps take for each option and each lane, where a path takes one for each
#: order, about.
STEP_OPTION, STEP_LANE = 10, 100


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """
    The lanes of a market.

    Attributes
    ----------
    slots
        ``(num_lanes,)``; of a sample, its share of them.
    parent
        ``(num_lanes,) int32``.
    """

    slots: NDArray[np.int64] | NDArray[np.float64]
    parent: NDArray[np.int32]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The arrays that kernels take: read-only, and always of the same type."""
        return read_only(self.slots.astype(np.float64), self.parent)


def newton_prices(
    market: Market,
    lanes: Lanes,
    price: NDArray[np.int64],
    pool: Threads,
    *,
    scale: float,
    windows: tuple[float, float],
    is_late: Callable[[], bool],
) -> NDArray[np.int64]:
    """
    Improve the lanes' own prices until the window is narrow.

    Parameters
    ----------
    market, lanes
        The orders and the slots.
    price
        ``(num_lanes,) int64`` own prices to start from, micro-CNY.
    pool
        Threads.
    scale
        A typical price, micro-CNY: unit of the windows.
    windows
        First and last window, in that unit.
    is_late
        Ends the search early.

    Returns
    -------
    ``(num_lanes,) int64`` own prices, micro-CNY, at least 0.
    """
    from optimizer.solvers.kernels.newton import Pace, Steps, advance, advance_alone

    width, last = windows[0] * scale, windows[1] * scale
    is_nested = bool(np.any(lanes.parent >= 0))
    narrowing, growth = (NESTED_NARROWING, 1.0) if is_nested else (NARROWING, GROWTH)
    # What bars a closed lane may be more than any order of this market saves.
    start = effective_price(price, lanes.parent)
    highest = int(max(market.option_saving.max(initial=0), start.max(initial=0)))
    pace = Pace(last, narrowing, growth, highest)
    steps = Steps(
        price=price.copy(),
        reach=np.full(len(price), width),
        direction=np.zeros(len(price)),
        numbers=np.array([width, np.inf, 0.0]),
    )
    given, is_done = lanes.arrays, False
    num_passes = max(1, WORK_OPTIONS // max(market.num_options, 1))
    while not is_done and not is_late():
        if market.is_serial:
            is_done = advance_alone(
                market.orders,
                given,
                room=room_for_pairs(market),
                num_passes=num_passes,
                steps=steps,
                pace=pace,
            )
        else:
            window = max(int(steps.numbers[0]), 1)
            demand, pairs = survey(market, lanes, steps.price, window, pool)
            distinct, count = _count_pairs(pairs, len(price))
            is_done = advance(
                given, demand, pairs=distinct, count=count, steps=steps, pace=pace
            )
    return steps.price


def is_nearly_balanced(
    market: Market, lanes: Lanes, price: NDArray[np.int64], pool: Threads
) -> bool:
    """
    Whether balancing from these own prices is quicker than improving them first.

    Balancing takes a path for each excess parcel, whose time grows with the orders; the
    time of price steps grows with options and lanes.

    Parameters
    ----------
    market
        Orders and options by merchant.
    lanes
        Slots and parents of the lanes.
    price
        ``(num_lanes,) int64`` own prices, micro-CNY.
    pool
        Threads that share the merchants.
    """
    demand, _ = survey(market, lanes, price, 1, pool)
    use = demand.copy()
    for below, above in ancestors(lanes.parent):
        np.add.at(use, above, demand[below])
    excess = use - lanes.slots
    num_paths = int(np.abs(excess[(price > 0) | (excess > 0)]).sum())
    steps = STEP_OPTION * market.num_options + STEP_LANE * len(price)
    return num_paths * market.num_orders <= steps


def room_for_pairs(market: Market) -> int:
    """The most pairs of lanes that a part of a market may note."""
    return 1024 + market.num_orders // 4 // (len(market.parts) - 1)


def survey(
    market: Market,
    lanes: Lanes,
    price: NDArray[np.int64],
    window: int,
    pool: Threads,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """
    Let all merchants choose at own prices.

    Parameters
    ----------
    market
        Orders and options by merchant.
    lanes
        Slots and parents of the lanes.
    price
        ``(num_lanes,) int64`` own prices, micro-CNY.
    window
        Change of prices, micro-CNY, within which an order counts as near the margin.
    pool
        Threads that share the merchants.

    Returns
    -------
    demand, pairs
        ``(num_lanes,) int64`` orders on each lane itself; ``(k, 2) int32`` lanes
        that compete for an order.
    """
    from optimizer.solvers.kernels.choose import choose

    effective = effective_price(price, lanes.parent)
    orders, room = market.orders, room_for_pairs(market)

    def work(_: int, first: int, last: int) -> tuple[NDArray[Any], ...]:
        demand = np.zeros(len(effective), np.int64)
        pairs = np.empty((room, 2), np.int32)
        _, count = choose(
            first_merchant=first,
            last_merchant=last,
            orders=orders,
            uses=None,
            price=effective,
            row_price=None,
            window=np.int64(window),
            demand=demand,
            usage=None,
            pairs=pairs,
        )
        return demand, pairs[:count]

    demands, pairs = zip(*pool.over_parts(market, work), strict=True)
    return np.sum(demands, axis=0), np.concatenate(pairs)


def _count_pairs(
    pairs: NDArray[np.int32], num_lanes: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Distinct unordered pairs, and how often each occurs."""
    wide = pairs.astype(np.int64) + 1
    low, high = wide.min(axis=1, initial=num_lanes), wide.max(axis=1, initial=0)
    code, count = np.unique(low * (num_lanes + 1) + high, return_counts=True)
    distinct = np.stack(np.divmod(code, num_lanes + 1), axis=1) - 1
    return distinct.astype(np.int32), count.astype(np.float64)
