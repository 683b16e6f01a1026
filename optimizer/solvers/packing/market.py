"""Orders of a packing night, as kernels take them: all, or those that could matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.certify.exact import exact_dot
from optimizer.model.lane_tree import effective_price, own_price
from optimizer.model.side_constraints import NO_CEILING, NO_PIN
from optimizer.solvers.market import running, split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.side_constraints import SideRows
    from optimizer.solvers.market import Threads


class PackingOrders(NamedTuple):
    """
    Orders by merchant with the uses of their options: one argument for kernels.

    Attributes
    ----------
    merchant_start, cap, option_start, option_lane, option_load, option_saving
        As in :class:`~optimizer.model.problem.Problem` and its side.
    entry_start, entry_row, entry_weight
        As in :class:`~optimizer.model.side_constraints.SideRows`.
    is_pinned
        ``(num_orders,) bool``: orders that are chosen whatever they save.
    """

    merchant_start: NDArray[np.int64]
    cap: NDArray[np.int64]
    option_start: NDArray[np.int64]
    option_lane: NDArray[np.int32]
    option_load: NDArray[np.int64]
    option_saving: NDArray[np.int64]
    entry_start: NDArray[np.int64]
    entry_row: NDArray[np.int32]
    entry_weight: NDArray[np.int64]
    is_pinned: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PackingMarket:
    """
    Some orders of a packing problem; lanes and rows are the problem's own.

    Attributes
    ----------
    goods
        What kernels take.
    parts
        ``(num_parts + 1,) int64``: merchants where each part of the work starts.
    option
        ``(num_options,) int64``: the options' places in the problem, ascending.
    option_order
        ``(num_options,) int64``: the order of each option, here.
    order
        ``(num_orders,) int64``: the orders' places in the problem.
    order_merchant
        ``(num_orders,) int64``.
    """

    goods: PackingOrders
    parts: NDArray[np.int64]
    option: NDArray[np.int64]
    option_order: NDArray[np.int64]
    order: NDArray[np.int64]
    order_merchant: NDArray[np.int64]

    @property
    def num_options(self) -> int:
        """Options of all its orders."""
        return len(self.goods.option_lane)


@dataclass(frozen=True, slots=True, eq=False)
class WholeMarket:
    """All orders of a packing problem; shares its arrays."""

    goods: PackingOrders
    parts: NDArray[np.int64]

    @property
    def num_options(self) -> int:
        """Options of all its orders."""
        return len(self.goods.option_lane)


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
        option, begin = _ranges(problem.option_start, pinned)
        best = np.maximum.reduceat(problem.option_saving[option], begin[:-1])
        merchant = np.searchsorted(problem.merchant_start, pinned, side="right") - 1
        turn = np.lexsort((pinned, -best, side.pin_rank[pinned], merchant))
        pinned, merchant = pinned[turn], merchant[turn]
        place = np.arange(len(pinned)) - np.searchsorted(merchant, merchant)
        is_pinned[pinned[place < problem.cap[merchant]]] = True
    return Targets(side.low.copy(), is_pinned)


def whole_market(problem: Problem, targets: Targets) -> WholeMarket:
    """All orders of the problem as one market."""
    side = side_of(problem)
    goods = PackingOrders(
        merchant_start=problem.merchant_start,
        cap=problem.cap,
        option_start=problem.option_start,
        option_lane=problem.option_lane,
        option_load=side.option_load,
        option_saving=problem.option_saving,
        entry_start=side.entry_start,
        entry_row=side.entry_row,
        entry_weight=side.entry_weight,
        is_pinned=targets.is_pinned,
    )
    return WholeMarket(goods, split(problem.option_start[problem.merchant_start]))


def near_market(
    whole: WholeMarket,
    prices: PackingPrices,
    pool: Threads,
    *,
    depth: int,
    spare: int,
    reach: int,
) -> NDArray[np.int64]:
    """
    List the orders that could matter at prices near these, ascending.

    Parameters
    ----------
    whole, prices, pool
        All orders, the prices, threads.
    depth, spare
        Of each merchant so many times its cap, and a few more.
    reach
        How far below its prices an order may be, micro-CNY.
    """
    from optimizer.solvers.kernels.packing_choose import screen

    goods = whole.goods
    sizes = np.diff(goods.merchant_start)
    room = np.minimum(depth * goods.cap + spare, sizes) * (goods.cap > 0)
    room_start = running(room)
    kept = np.empty(room_start[-1], np.int64)
    num_kept = np.zeros(len(room), np.int64)

    def work(_: int, first: int, last: int) -> None:
        screen(
            first_merchant=first,
            last_merchant=last,
            goods=goods,
            price=prices.lane,
            row_price=prices.row,
            room=room,
            room_start=room_start,
            reach=np.int64(reach),
            kept=kept,
            num_kept=num_kept,
        )

    pool.over_parts(whole, work)
    is_kept = np.arange(len(kept)) - np.repeat(room_start[:-1], room)
    return kept[is_kept < np.repeat(num_kept, room)]


def sub_market(whole: WholeMarket, orders: NDArray[np.int64]) -> PackingMarket:
    """Copy some orders together, by ascending place."""
    goods = whole.goods
    start = np.searchsorted(orders, goods.merchant_start).astype(np.int64)
    option, option_start = _ranges(goods.option_start, orders)
    entry, entry_start = _ranges(goods.entry_start, option)
    num_orders = len(orders)
    sub = PackingOrders(
        merchant_start=start,
        cap=goods.cap,
        option_start=option_start,
        option_lane=goods.option_lane[option],
        option_load=goods.option_load[option],
        option_saving=goods.option_saving[option],
        entry_start=entry_start,
        entry_row=goods.entry_row[entry],
        entry_weight=goods.entry_weight[entry],
        is_pinned=goods.is_pinned[orders],
    )
    for array in sub[:-1]:  # as the problem's own are: kernels are compiled once
        array.setflags(write=False)
    return PackingMarket(
        goods=sub,
        parts=split(option_start[start]),
        option=option,
        option_order=np.repeat(np.arange(num_orders), np.diff(option_start)),
        order=orders,
        order_merchant=np.repeat(np.arange(len(goods.cap)), np.diff(start)),
    )


def _ranges(
    start: NDArray[np.int64], items: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The entries of some items, one after the other, and where each item's start."""
    length = start[items + 1] - start[items]
    begin = running(length)
    places = np.arange(begin[-1]) + np.repeat(start[items] - begin[:-1], length)
    return places, begin


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
    market: WholeMarket | PackingMarket,
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
    from optimizer.solvers.kernels.packing_choose import surplus

    merchant_price = np.zeros(problem.num_merchants, np.int64)

    def work(_: int, first: int, last: int) -> int:
        given = (market.goods, prices.lane, prices.row, merchant_price)
        return int(surplus(first, last, *given))

    return merchant_price, sold(problem, prices, low) + sum(
        pool.over_parts(market, work)
    )


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
    entry, _ = _ranges(side.entry_start, chosen)
    used = np.zeros(side.num_rows, np.int64)
    np.add.at(used, side.entry_row[entry], side.entry_weight[entry])
    return used
