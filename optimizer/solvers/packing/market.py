"""Targets of a packing night, prices of its lanes and rows, and their bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certify.exact import exact_dot
from optimizer.model.lane_tree import effective_price, own_price
from optimizer.model.side_constraints import NO_CEILING, NO_PIN
from optimizer.solvers.market import ranges, surplus_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.side_constraints import SideRows
    from optimizer.solvers.market import Market, Threads


@dataclass(frozen=True, slots=True, eq=False)
class PackingPrices:
    """
    Prices of lanes and side rows.

    Attributes
    ----------
    lane
        ``(num_lanes,) int64`` effective prices, micro-CNY for a unit of load.
    row
        ``(num_rows,) int64`` micro-CNY for a unit of weight: above 0 for a ceiling,
        below 0 for a floor.
    """

    lane: NDArray[np.int64]
    row: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """
    Floors and pins to keep where not all of them can be.

    Attributes
    ----------
    low
        ``(num_rows,) int64``: floors; of hard ones no more than can be reached.
    is_pinned
        ``(num_orders,) bool``: pins that are kept.
    """

    low: NDArray[np.int64]
    is_pinned: NDArray[np.bool_]


def side_of(problem: Problem) -> SideRows:
    """
    The side rows of a packing problem.

    Raises
    ------
    ValueError
        When the problem is a network: a bug of the caller.
    """
    if problem.side is None:
        raise ValueError("a network problem has no side rows")
    return problem.side


def first_targets(problem: Problem) -> Targets:
    """
    Aim to keep all floors, and of each merchant's pins as many as its cap allows.

    Pins of lower rank come first, then those that save more.
    """
    side = side_of(problem)
    is_pinned = np.zeros(problem.num_orders, np.bool_)
    pinned = np.flatnonzero(
        (side.pin_rank != NO_PIN) & (np.diff(problem.option_start) > 0)
    )
    if len(pinned):
        option, begin = ranges(problem.option_start, pinned)
        best = np.maximum.reduceat(problem.option_saving[option], begin[:-1])
        merchant = np.searchsorted(problem.merchant_start, pinned, side="right") - 1
        turn = np.lexsort((pinned, -best, side.pin_rank[pinned], merchant))
        pinned, merchant = pinned[turn], merchant[turn]
        place = np.arange(len(pinned)) - np.searchsorted(merchant, merchant)
        is_pinned[pinned[place < problem.cap[merchant]]] = True
    return Targets(side.low.copy(), is_pinned)


def sold(problem: Problem, prices: PackingPrices, low: NDArray[np.int64]) -> int:
    """Value of all slots, ceilings and floors at prices, exactly, micro-CNY."""
    side = side_of(problem)
    above, below = np.maximum(prices.row, 0), np.maximum(-prices.row, 0)
    total = exact_dot(problem.slots, own_price(prices.lane, problem.lane_parent))
    total += exact_dot(side.high, above)
    used = np.flatnonzero(below)
    return total - sum(int(low[r]) * int(below[r]) for r in used)


def bound_at(
    problem: Problem,
    market: Market,
    prices: PackingPrices,
    low: NDArray[np.int64],
    pool: Threads,
) -> tuple[NDArray[np.int64], int]:
    """
    Bound every plan of a market's orders at prices.

    Parameters
    ----------
    problem
        The night.
    market
        The orders to bound.
    prices
        Effective prices of lanes, and prices of side rows.
    low
        ``(num_rows,) int64``: floors that are counted on.
    pool
        Threads that share the merchants.

    Returns
    -------
    merchant_price, bound
        The lowest best price of each cap, and the dual bound, exactly, in micro-CNY.
    """
    merchant_price, surplus = surplus_at(market, prices.lane, prices.row, pool)
    return merchant_price, sold(problem, prices, low) + surplus


def price_limits(
    problem: Problem, low: NDArray[np.int64]
) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """
    How far prices may go so that all sums stay in 64 bits.

    Returns
    -------
    lane, least_row, most_row
        Highest effective price of any lane; for each row its lowest and highest: no
        floor costs more than its penalty, and limits that cannot bind cost nothing.
    """
    side = side_of(problem)
    room = 2**60 // max(problem.num_orders, 1)
    entries = int(np.diff(side.entry_start).max(initial=0))
    heaviest = int(side.option_load.max(initial=1))
    weight = np.ones(side.num_rows, np.int64)
    np.maximum.at(weight, side.entry_row, side.entry_weight)
    most = np.maximum(room // (entries + 1) // weight, 0)
    most = np.minimum(most, 2**56)
    penalty = np.where(side.penalty < 0, most, side.penalty)
    least = np.where(low > 0, -np.minimum(penalty, most), 0)
    most = np.where(side.high < NO_CEILING, most, 0)
    return min(room // heaviest, 2**56), least, most


def with_lane(
    own: NDArray[np.int64], row: NDArray[np.int64], problem: Problem
) -> PackingPrices:
    """Prices from own prices of lanes."""
    return PackingPrices(effective_price(own, problem.lane_parent), row)


def row_use(problem: Problem, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(num_rows,) int64``: weight of a plan in each side row."""
    side = side_of(problem)
    entry, _ = ranges(side.entry_start, chosen)
    used = np.zeros(side.num_rows, np.int64)
    np.add.at(used, side.entry_row[entry], side.entry_weight[entry])
    return used
