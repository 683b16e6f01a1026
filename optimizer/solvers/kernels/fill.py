"""Kernels that solve each lane by itself as a knapsack, exactly."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import kernel
from optimizer.solvers.kernels.rank import reduced_saving

#: A lane's table has so many cells at most; else the lane is only bounded.
MOST_CELLS = 20_000_000


@kernel
def profits(
    orders,
    uses,
    prices,
    row_price,
    merchant_price,
    order_price,
    option_order,
    profit,
):
    """
    Write what each option saves beyond the prices that its lane does not decide itself.

    ``prices`` are those of the lane's ancestors, and of its own slots where it has
    children.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`.
    prices
        ``(num_lanes,) int64``: prices of slots that a lane does not decide itself,
        micro-CNY.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight; may be negative.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY: price of a place in each cap.
    order_price
        ``(num_orders,) int64`` micro-CNY: price of choosing each order once.
    option_order
        ``(num_options,) int32``: order of each option.
    profit
        ``(num_options,) int64``: filled, micro-CNY.
    """
    merchant = 0
    for option in range(len(profit)):
        order = option_order[option]
        while orders.merchant_start[merchant + 1] <= order:
            merchant += 1
        worth = reduced_saving(orders, uses, option, prices, row_price)
        profit[option] = worth - merchant_price[merchant] - order_price[order]


@kernel
def best_subset(load, profit, room):
    """
    The most valuable subset of some options that fits into the slots.

    Returns
    -------
    value, taken
        Micro-CNY; whether each option is in.
    """
    count = len(load)
    value = np.zeros(room + 1, np.int64)
    is_better = np.zeros((count, room + 1), np.bool_)
    for item in range(count):
        need, brings = load[item], profit[item]
        for space in range(room, need - 1, -1):
            with_it = value[space - need] + brings
            if with_it > value[space]:
                value[space] = with_it
                is_better[item, space] = True
    taken = np.zeros(count, np.bool_)
    space = room
    for item in range(count - 1, -1, -1):
        if is_better[item, space]:
            taken[item] = True
            space -= load[item]
    return value[room], taken


@kernel
def fill_lane(load, profit, room, price, taken):
    """
    The greatest value of options within a lane's slots; ``taken`` is filled in.

    At a price for a slot there is a simple bound and a simple plan. Options whose
    margin exceeds the distance between the two are in or out for certain; the others
    are decided by dynamic programming.

    Parameters
    ----------
    load
        ``(k,) int64``: slots that each option takes.
    profit
        ``(k,) int64``: value of each option, micro-CNY.
    room
        Slots of the lane.
    price
        Price of a slot, micro-CNY: any at least 0 is correct, a good one is fast.
    taken
        ``(k,) bool``: filled with the options of the best subset.

    Returns
    -------
    value, distance
        Micro-CNY; no option further below its price could matter.
    """
    count = len(load)
    taken[:] = False
    margin = profit - load * price
    turn = np.argsort(-margin, kind="mergesort")
    left, value, bound = room, np.int64(0), room * price
    for item in turn:
        bound += max(margin[item], 0)
        if profit[item] > 0 and load[item] <= left:
            left -= load[item]
            value += profit[item]
            taken[item] = True
    distance = bound - value
    if distance == 0:
        return value, distance
    is_sure = (margin > distance) & (profit > 0) & (load <= room)
    is_open = ~is_sure & (margin >= -distance) & (profit > 0) & (load <= room)
    left = room - load[is_sure].sum()
    places = np.flatnonzero(is_open)
    left = min(left, load[places].sum())
    if (left + 1) * len(places) > MOST_CELLS:
        return bound, distance
    best, is_in = best_subset(load[places], profit[places], left)
    for item in range(count):
        taken[item] = is_sure[item]
    for item in range(len(places)):
        taken[places[item]] = is_in[item]
    return best + profit[is_sure].sum(), distance


@kernel
def fill_lanes(
    first_lane, last_lane, slots, price, list_start, listed, load, profit, taken, most
):
    """
    Fill lanes one by one; ``taken`` options are marked, ``most[0]`` is raised.

    Parameters
    ----------
    first_lane, last_lane
        The lanes ``first_lane : last_lane``.
    slots
        ``(num_lanes,) int64``.
    price
        ``(num_lanes,) int64``: a price of each lane's own slots, micro-CNY.
    list_start, listed
        ``(num_lanes + 1,)`` and ``(k,) int64``: options of each lane.
    load, profit
        ``(num_options,) int64``: slots, and value in micro-CNY, of each option.
    taken
        ``(num_options,) bool``: filled for the options of these lanes.
    most
        ``(1,) int64``: raised to the greatest distance of a lane, micro-CNY.

    Returns
    -------
    int
        Total value, micro-CNY.
    """
    total = np.int64(0)
    for lane in range(first_lane, last_lane):
        options = listed[list_start[lane] : list_start[lane + 1]]
        is_in = np.zeros(len(options), np.bool_)
        value, distance = fill_lane(
            load[options], profit[options], slots[lane], price[lane], is_in
        )
        for place in range(len(options)):
            taken[options[place]] = is_in[place]
        total += value
        most[0] = max(most[0], distance)
    return total


@kernel
def near_orders(orders, uses, price, row_price, merchant_price, reach, is_near):
    """
    Mark the orders with an option at most ``reach`` below all its prices.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight; may be negative.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY: price of a place in each cap.
    reach
        Distance below the prices, micro-CNY, up to which an order is near.
    is_near
        ``(num_orders,) bool``: set where an order is near.
    """
    for merchant in range(len(orders.cap)):
        for order in range(
            orders.merchant_start[merchant], orders.merchant_start[merchant + 1]
        ):
            for option in range(
                orders.option_start[order], orders.option_start[order + 1]
            ):
                worth = reduced_saving(orders, uses, option, price, row_price)
                worth -= merchant_price[merchant]
                if worth >= -reach:
                    is_near[order] = True
