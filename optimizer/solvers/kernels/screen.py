"""Kernels that select the orders that could matter, and copy them."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, inner_kernel, kernel
from optimizer.solvers.kernels.rank import HIGH, best_worth, kth_largest


@inner_kernel
def worth_a_look(orders, uses, order, price, row_price):
    """
    Reduced saving of an order's best option that could be chosen; ``-HIGH``: none.

    Only where a floor pays for it, an option that saves nothing could be.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`; ``None`` where each option takes one
        slot.
    order
        The order.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY for a unit of load.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight, may be negative; or
        ``None``.
    """
    if uses is not None:
        return best_worth(orders, uses, order, price, row_price)
    top = -HIGH
    for option in range(orders.option_start[order], orders.option_start[order + 1]):
        saving = orders.option_saving[option]
        if saving > 0:
            top = max(top, saving - price[orders.option_lane[option]])
    return top


@kernel
def screen(
    first_merchant,
    last_merchant,
    orders,
    uses,
    price,
    row_price,
    every,
    room,
    room_start,
    reach,
    kept,
    num_kept,
):
    """
    List the orders that could be chosen at prices near these.

    Of each merchant its kept pins, and the ``room`` best by reduced saving, pins
    counted, that are at most ``reach`` below their price; of equal ones the first.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    orders, uses, price, row_price
        An :class:`~optimizer.solvers.market.Orders`.
    every
        ``(num_merchants,) int64``: one order in how many is looked at.
    room
        ``(num_merchants,) int64``: most orders to keep.
    room_start
        ``(num_merchants,) int64``: where a merchant's orders go in ``kept``.
    reach
        ``int64``, micro-CNY.
    kept
        ``(k,) int64``: filled with orders, ascending within a merchant.
    num_kept
        ``(num_merchants,) int64``: takes how many.
    """
    best = np.empty(0, np.int64)
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        most = room[merchant]
        first = orders.merchant_start[merchant]
        last = orders.merchant_start[merchant + 1]
        if most == 0 or first == last:
            continue
        if len(best) < last - first:
            best = np.empty(2 * (last - first), np.int64)
            ranked = np.empty(2 * (last - first), np.int64)
        stride = every[merchant]
        count = np.int64(0)
        for order in range(first, last, stride):
            top = worth_a_look(orders, uses, order, price, row_price)
            if uses is not None and uses.is_pinned[order]:
                most -= 1
                top = HIGH
            elif top >= -reach:
                ranked[count] = top
                count += 1
            best[order - first] = top
        floor, ties = -reach, count
        if count > most:
            floor, ties = HIGH - 1, np.int64(0)
            if most > 0:
                floor = kth_largest(ranked, count, most - 1)
                ties = most
                for place in range(most):
                    ties -= ranked[place] > floor
        place = room_start[merchant]
        for order in range(first, last, stride):
            top = best[order - first]
            if top < floor:
                continue
            if top == floor:
                if ties == 0:
                    continue
                ties -= 1
            kept[place] = order
            place += 1
        num_kept[merchant] = place - room_start[merchant]


@bare_kernel
def gather(
    first_merchant,
    last_merchant,
    orders,
    order,
    merchant_start,
    order_merchant,
    option_start,
    option_order,
    option_lane,
    option_saving,
):
    """
    Copy the options of some orders together.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    orders
        The :class:`~optimizer.solvers.market.Orders` that they are copied from.
    order
        ``(num_kept,) int64``: the orders.
    merchant_start
        ``(num_merchants + 1,) int64``: where each merchant's begin.
    order_merchant
        ``(num_kept,) int32``: filled.
    option_start
        ``(num_kept + 1,) int64``: where each order's options go.
    option_order, option_lane
        ``(m,) int32``: filled with the order of each copied option, and with its lane.
    option_saving
        ``(m,) int64``: filled.
    """
    for merchant in range(first_merchant, last_merchant):
        for here in range(merchant_start[merchant], merchant_start[merchant + 1]):
            order_merchant[here] = merchant
            source = orders.option_start[order[here]]
            for target in range(option_start[here], option_start[here + 1]):
                option_order[target] = here
                option_lane[target] = orders.option_lane[source]
                option_saving[target] = orders.option_saving[source]
                source += 1


@bare_kernel
def best_savings(first_order, last_order, option_start, option_saving, best):
    """
    Write the option with the largest saving of each order; -1 where none is positive.

    Parameters
    ----------
    first_order, last_order
        The orders ``first_order : last_order``.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    best
        ``(num_orders,) int64``: filled for these orders.
    """
    for order in range(first_order, last_order):
        top = np.int64(0)
        best[order] = -1
        for option in range(option_start[order], option_start[order + 1]):
            if option_saving[option] > top:
                top = option_saving[option]
                best[order] = option


@bare_kernel
def close_below(lane_parent, is_closed):
    """Mark the lanes in closed ones as closed; parents stand before them."""
    for lane in range(len(lane_parent)):
        parent = lane_parent[lane]
        if parent >= 0 and is_closed[parent]:
            is_closed[lane] = True


@bare_kernel
def list_live(
    orders,
    is_closed,
    order,
    order_merchant,
    merchant_start,
    option_start,
    option,
    option_order,
    option_lane,
    option_saving,
    best_lane,
    best_saving,
):
    """
    Copy together the orders and options that a plan could choose.

    These save something, on a lane that takes something, for a merchant with a cap.

    Parameters
    ----------
    orders
        The :class:`~optimizer.solvers.market.Orders` that they are copied from.
    is_closed
        ``(num_lanes,) bool``: whether a lane, or one around it, has no slot.
    order, order_merchant
        ``(num_orders,)`` integers: filled with the orders, ascending, and their
        merchants.
    merchant_start
        ``(num_merchants + 1,) int64``: filled with where each merchant's begin.
    option_start
        ``(num_orders + 1,) int64``: filled with where each order's options begin.
    option, option_order, option_lane, option_saving
        ``(num_options,)`` integers: filled with the options, their orders' places among
        those copied, lanes and savings.
    best_lane, best_saving
        ``(num_orders,)`` integers: filled with each order's best option; the first of
        equal ones.

    Returns
    -------
    num_orders, num_options
        How many there are.
    """
    num_orders, num_options = np.int64(0), np.int64(0)
    option_start[0] = 0
    for merchant in range(len(orders.cap)):
        merchant_start[merchant] = num_orders
        if orders.cap[merchant] == 0:
            continue
        for source in range(
            orders.merchant_start[merchant], orders.merchant_start[merchant + 1]
        ):
            top = np.int64(0)
            for at in range(
                orders.option_start[source], orders.option_start[source + 1]
            ):
                saving, lane = orders.option_saving[at], orders.option_lane[at]
                if saving <= 0 or is_closed[lane]:
                    continue
                option[num_options] = at
                option_order[num_options] = num_orders
                option_lane[num_options] = lane
                option_saving[num_options] = saving
                num_options += 1
                if saving > top:
                    top = saving
                    best_lane[num_orders], best_saving[num_orders] = lane, saving
            if top > 0:
                order[num_orders], order_merchant[num_orders] = source, merchant
                num_orders += 1
                option_start[num_orders] = num_options
    merchant_start[len(orders.cap)] = num_orders
    return num_orders, num_options


@kernel
def best_without_slot(option_lane, option_saving, slots):
    """
    The ``slots + 1``-th largest saving on each lane; 0 where there are no more.

    Parameters
    ----------
    option_lane
        ``(num_options,) int32``: the lane of each option; negative ones are left out.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    slots
        ``(num_lanes,) int64``.
    """
    num_lanes = len(slots)
    end = np.zeros(num_lanes + 1, np.int64)
    for lane in option_lane:
        if lane >= 0:
            end[lane] += 1
    total = np.int64(0)
    for lane in range(num_lanes + 1):
        total, end[lane] = total + end[lane], total
    listed = np.empty(total, np.int64)
    for option in range(len(option_lane)):
        lane = option_lane[option]
        if lane >= 0:
            listed[end[lane]] = option_saving[option]
            end[lane] += 1
    price, first = np.zeros(num_lanes, np.int64), np.int64(0)
    for lane in range(num_lanes):
        count = end[lane] - first
        if count > slots[lane]:
            last = kth_largest(listed[first : end[lane]], count, slots[lane])
            price[lane] = max(last, np.int64(0))
        first = end[lane]
    return price


@kernel
def sold_out_prices(option_lane, option_saving, slots, lane_parent):
    """
    Effective prices at which each lane by itself would be sold out to these options.

    Parameters
    ----------
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    slots
        ``(num_lanes,) int64``.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    """
    around, is_within = option_lane.copy(), True
    price = np.zeros(len(slots), np.int64)
    while is_within:
        is_within = False
        seen = best_without_slot(around, option_saving, slots)
        for lane in range(len(slots)):
            price[lane] = max(price[lane], seen[lane])
        for option in range(len(around)):
            if around[option] >= 0:
                around[option] = lane_parent[around[option]]
                is_within |= around[option] >= 0
    for lane in range(len(slots)):
        parent = lane_parent[lane]
        if parent >= 0:
            price[lane] = max(price[lane], price[parent])
    return price


@kernel
def list_by_lane(option_lane, lane_start, listed):
    """List the options of each lane, ascending: a counting sort."""
    place = lane_start.copy()
    for option in range(len(option_lane)):
        lane = option_lane[option]
        listed[place[lane]] = option
        place[lane] += 1
