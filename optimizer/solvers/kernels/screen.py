"""Kernels that select the orders that could matter, and copy them."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, kernel
from optimizer.solvers.kernels.rank import HIGH, kth_largest


@kernel
def screen(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    price,
    every,
    room,
    room_start,
    reach,
    kept,
    num_kept,
    num_options,
):
    """
    List the orders that could be chosen at prices near these.

    Of each merchant the ``room`` best by reduced saving, as far as they save
    something and are at most ``reach`` below their price; of equal ones the first.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    cap
        ``(num_merchants,) int64``: places in each merchant's cap.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    every
        ``(num_merchants,) int64``: one order in how many is looked at.
    room
        ``(num_merchants,) int64``: most orders to keep.
    room_start
        ``(num_merchants + 1,) int64``: where each merchant's orders begin in ``kept``.
    reach
        Distance below the lane's price, micro-CNY, up to which an order is kept.
    kept
        ``(k,) int64``: filled with orders, ascending within a merchant.
    num_kept, num_options
        ``(num_merchants,) int64``: filled with the number of kept orders, and of their
        options.
    """
    best = np.empty(0, np.int64)
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        most = room[merchant]
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if most == 0 or first == last:
            continue
        if len(best) < last - first:
            best = np.empty(2 * (last - first), np.int64)
            ranked = np.empty(2 * (last - first), np.int64)
        stride = every[merchant]
        count = np.int64(0)
        for order in range(first, last, stride):
            top = -HIGH
            for option in range(option_start[order], option_start[order + 1]):
                saving = option_saving[option]
                if saving > 0:
                    top = max(top, saving - price[option_lane[option]])
            best[order - first] = top
            if top >= -reach:
                ranked[count] = top
                count += 1
        floor, ties = -reach, count
        if count > most:
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
            num_options[merchant] += option_start[order + 1] - option_start[order]
        num_kept[merchant] = place - room_start[merchant]


@bare_kernel
def gather(
    first_merchant,
    last_merchant,
    option_start,
    option_lane,
    option_saving,
    kept,
    room_start,
    merchant_start,
    options_before,
    order,
    order_merchant,
    sub_option_start,
    sub_option_order,
    sub_option_lane,
    sub_option_saving,
):
    """
    Copy the listed orders' options together.

    ``merchant_start`` and ``options_before`` say where each merchant's orders and
    options go; the last six arrays are filled.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    kept
        ``(k,) int64``: listed orders, with room between merchants.
    room_start
        ``(num_merchants + 1,) int64``: where each merchant's orders begin in ``kept``.
    merchant_start
        ``(num_merchants + 1,) int64``: where each merchant's orders go.
    options_before
        ``(num_merchants + 1,) int64``: where each merchant's options go.
    order, order_merchant
        ``(n,) int64`` and ``(n,) int32``: filled with the copied orders and their
        merchants.
    sub_option_start
        ``(n + 1,) int64``: filled with the first option of each copied order.
    sub_option_order, sub_option_lane, sub_option_saving
        ``(m,)``: filled with order, lane and saving of each copied option.
    """
    for merchant in range(first_merchant, last_merchant):
        target = options_before[merchant]
        place = room_start[merchant]
        for here in range(merchant_start[merchant], merchant_start[merchant + 1]):
            full = kept[place]
            place += 1
            order[here] = full
            order_merchant[here] = merchant
            sub_option_start[here] = target
            for source in range(option_start[full], option_start[full + 1]):
                sub_option_order[target] = here
                sub_option_lane[target] = option_lane[source]
                sub_option_saving[target] = option_saving[source]
                target += 1


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


@kernel
def list_by_lane(option_lane, lane_start, listed):
    """List the options of each lane, ascending: a counting sort."""
    place = lane_start.copy()
    for option in range(len(option_lane)):
        lane = option_lane[option]
        listed[place[lane]] = option
        place[lane] += 1
