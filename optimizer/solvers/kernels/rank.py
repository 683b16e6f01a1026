"""Kernels that rank: the k-th largest, the best option, the cut-off of a cap."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, inner_kernel, kernel

#: Above every reduced saving, far from overflow.
HIGH = np.int64(2**61)


@bare_kernel
def kth_largest(values, count, k):
    """
    The ``k``-th largest (from 0) of the first ``count`` values, in place.

    Quickselect; afterwards ``values[:k]`` are at least the result.
    """
    low, high = 0, count - 1
    while low < high:
        middle = values[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while values[i] > middle:
                i += 1
            while values[j] < middle:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]


@inner_kernel
def reduced_saving(orders, uses, option, price, row_price):
    """
    What an option saves above all prices but its merchant's, micro-CNY.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`; ``None`` where each option takes one
        slot.
    option
        The option.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY for a unit of load.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight, may be negative; or
        ``None``.
    """
    worth = orders.option_saving[option]
    lane_price = price[orders.option_lane[option]]
    if uses is None:
        return worth - lane_price
    worth -= uses.option_load[option] * lane_price
    for entry in range(uses.entry_start[option], uses.entry_start[option + 1]):
        worth -= uses.entry_weight[entry] * row_price[uses.entry_row[entry]]
    return worth


@inner_kernel
def best_worth(orders, uses, order, price, row_price):
    """
    Reduced saving of an order's best option; ``-HIGH`` where it has none.

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
    top = -HIGH
    for option in range(orders.option_start[order], orders.option_start[order + 1]):
        top = max(top, reduced_saving(orders, uses, option, price, row_price))
    return top


@inner_kernel
def best_option(orders, uses, order, price, row_price):
    """
    Best option of an order, its reduced saving, and the second best one's.

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
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight, may be negative; or
        ``None``.

    Returns
    -------
    option, reduced, second
        ``option`` is -1 and both values ``-HIGH`` where there is none.
    """
    top, second, best = -HIGH, -HIGH, np.int64(-1)
    for option in range(orders.option_start[order], orders.option_start[order + 1]):
        reduced = reduced_saving(orders, uses, option, price, row_price)
        if reduced > top:
            second = top
            top = reduced
            best = option
        elif reduced > second:
            second = reduced
    return best, top, second


@inner_kernel
def cuts(ranked, count, room):
    """
    The cut-off of a cap: the last reduced saving inside, the first outside, the ties.

    Parameters
    ----------
    ranked
        ``(n,) int64``: positive reduced savings, micro-CNY; reordered.
    count
        How many of ``ranked`` count.
    room
        The cap, at least 1.

    Returns
    -------
    inside, outside, ties
        0, 0, 0 where the cap does not bind; ``ties`` of those that equal
        ``outside`` are inside.
    """
    if count <= room:
        return np.int64(0), np.int64(0), 0
    outside = kth_largest(ranked, count, room)
    inside, ties = HIGH, room
    for place in range(room):
        inside = min(inside, ranked[place])
        if ranked[place] > outside:
            ties -= 1
    return inside, outside, ties


@inner_kernel
def mark_of(order, option_start, option_lane, option_saving):
    """
    Hash an order's options, in 64 bits.

    Parameters
    ----------
    order
        The order.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    """
    mark = np.uint64(option_start[order + 1] - option_start[order])
    for option in range(option_start[order], option_start[order + 1]):
        mixed = np.uint64(option_saving[option]) * np.uint64(0x9E3779B97F4A7C15)
        mixed += np.uint64(option_lane[option]) * np.uint64(0xC2B2AE3D27D4EB4F)
        mixed ^= mixed >> np.uint64(31)
        mark += mixed * np.uint64(0xBF58476D1CE4E5B9)
    return mark


@kernel
def count_classes(
    merchants, most, merchant_start, option_start, option_lane, option_saving
):
    """
    Count kinds of orders of some merchants: same merchant, same options and savings.

    Compared by hashes: at worst, different orders count as one kind.

    Parameters
    ----------
    merchants
        ``(k,) int64``: the merchants to look at.
    most
        Most orders of each that are looked at.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.

    Returns
    -------
    num_orders, num_kinds
        Orders that were looked at, and kinds among them.
    """
    marks = np.empty(most, np.uint64)
    num_orders, num_kinds = 0, 0
    for merchant in merchants:
        first = merchant_start[merchant]
        count = min(merchant_start[merchant + 1] - first, most)
        for place in range(count):
            marks[place] = mark_of(
                first + place, option_start, option_lane, option_saving
            )
        ranked = np.sort(marks[:count])
        num_orders += count
        for place in range(count):
            num_kinds += place == 0 or ranked[place] != ranked[place - 1]
    return num_orders, num_kinds
