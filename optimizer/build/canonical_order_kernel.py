"""Compiled loops that group orders by merchant and options by order."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import inner_kernel, kernel

#: Orders that are sorted by insertion before runs are merged.
RUN = 16


@kernel
def group_orders(status, is_open, merchant, start, grouped):
    """
    List the open orders by merchant; ``start`` is where each merchant's begin.

    Parameters
    ----------
    status
        ``(n,) uint8``: status of each order, in source order.
    is_open
        The status of open orders.
    merchant
        ``(n,) int32``: rank of each order's merchant.
    start
        ``(num_merchants + 1,) int64``: where each merchant's orders begin in
        ``grouped``.
    grouped
        ``(num_open,) int64``: filled with source positions of open orders.
    """
    place = start.copy()
    for order in range(len(status)):
        if status[order] == is_open:
            group = merchant[order]
            grouped[place[group]] = order
            place[group] += 1


@inner_kernel
def merge(source_key, source, target_key, target, left, width, size):
    """
    Merge two adjacent sorted runs into one, by key.

    Parameters
    ----------
    source_key, source
        ``(m,) uint64`` and ``(m,) int64``: keys and orders in two sorted runs.
    target_key, target
        ``(m,) uint64`` and ``(m,) int64``: where they go.
    left
        Where the first run begins.
    width
        Length of a run; the last may be shorter.
    size
        Number of orders in all.
    """
    middle, end = min(left + width, size), min(left + 2 * width, size)
    low, high = left, middle
    for at in range(left, end):
        takes_low = high == end or (
            low < middle and source_key[low] <= source_key[high]
        )
        taken = low if takes_low else high
        target_key[at], target[at] = source_key[taken], source[taken]
        low, high = low + takes_low, high + (not takes_low)


@kernel
def sort_groups(first_merchant, last_merchant, start, key, grouped, place):
    """
    Sort each merchant's orders by key, and note where each order went.

    Runs are sorted by insertion, then merged; a library's sort takes ten times as long
    to compile. Keys are gathered first: they lie all over the memory, and one that is
    looked for again and again would be waited for again and again.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    start
        ``(num_merchants + 1,) int64``: where each merchant's orders begin in
        ``grouped``.
    key
        ``(n,) uint64``: key of each order, in source order.
    grouped
        ``(num_open,) int64``: source positions of open orders; sorted in place.
    place
        ``(n,) int64``: filled with the position of each open order.
    """
    orders, others = np.empty(0, np.int64), np.empty(0, np.int64)
    keys, other_keys = np.empty(0, np.uint64), np.empty(0, np.uint64)
    for merchant in range(first_merchant, last_merchant):
        first, size = start[merchant], start[merchant + 1] - start[merchant]
        if len(orders) < size:
            orders, others = np.empty(2 * size, np.int64), np.empty(2 * size, np.int64)
            keys = np.empty(2 * size, np.uint64)
            other_keys = np.empty(2 * size, np.uint64)
        for at in range(size):
            keys[at] = key[grouped[first + at]]
        for at in range(size):
            order, mine, hole = grouped[first + at], keys[at], at
            while hole % RUN > 0 and keys[hole - 1] > mine:
                keys[hole], orders[hole] = keys[hole - 1], orders[hole - 1]
                hole -= 1
            keys[hole], orders[hole] = mine, order
        width = np.int64(RUN)
        while width < size:
            for left in range(0, size, 2 * width):
                merge(
                    source_key=keys,
                    source=orders,
                    target_key=other_keys,
                    target=others,
                    left=left,
                    width=width,
                    size=size,
                )
            orders, others = others, orders
            keys, other_keys = other_keys, keys
            width *= 2
        for at in range(size):
            grouped[first + at] = orders[at]
            place[orders[at]] = first + at


@kernel
def count_options(order, place, counts):
    """Count the options of each order, at the order's place."""
    for option in range(len(order)):
        counts[place[order[option]]] += 1


@kernel
def place_options(order, lane, saving, place, next_option, placed_lane, placed_saving):
    """
    Group options by order, in canonical order.

    Parameters
    ----------
    order
        ``(k,) int64``: source position of each option's order.
    lane, saving
        ``(k,) int32`` and ``(k,) int64`` micro-CNY: of each option.
    place
        ``(n,) int64``: position of each order in canonical order, by source position.
    next_option
        ``(num_open,) int64``: first option of each order; advanced in place.
    placed_lane, placed_saving
        ``(k,) int32`` and ``(k,) int64``: filled in canonical order.
    """
    for option in range(len(order)):
        target = place[order[option]]
        at = next_option[target]
        next_option[target] = at + 1
        placed_lane[at] = lane[option]
        placed_saving[at] = saving[option]


@kernel
def sort_options(option_start, placed_lane, placed_saving):
    """Sort each order's few options by lane."""
    for order in range(len(option_start) - 1):
        first = option_start[order]
        for at in range(first + 1, option_start[order + 1]):
            lane, saving = placed_lane[at], placed_saving[at]
            hole = at
            while hole > first and placed_lane[hole - 1] > lane:
                placed_lane[hole] = placed_lane[hole - 1]
                placed_saving[hole] = placed_saving[hole - 1]
                hole -= 1
            placed_lane[hole] = lane
            placed_saving[hole] = saving
