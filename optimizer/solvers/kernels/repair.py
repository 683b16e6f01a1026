"""Kernels of a repair: what orders outside the near ones could save."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel
from optimizer.solvers.kernels.rank import HIGH, best_worth


@bare_kernel
def best_left_out(first_merchant, last_merchant, orders, price, kept, kept_start, left):
    """
    Write the best reduced saving of each merchant's orders that were not kept.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    kept
        ``(k,) int64``: orders that were kept, ascending.
    kept_start
        ``(num_merchants + 1,) int64``: where each merchant's begin in ``kept``.
    left
        ``(num_merchants,) int64``: filled, micro-CNY; ``-HIGH`` where all were kept.
    """
    for merchant in range(first_merchant, last_merchant):
        place, end = kept_start[merchant], kept_start[merchant + 1]
        best = -HIGH
        for order in range(
            orders.merchant_start[merchant], orders.merchant_start[merchant + 1]
        ):
            if place < end and kept[place] == order:
                place += 1
                continue
            best = max(best, best_worth(orders, None, order, price, None))
        left[merchant] = best


@bare_kernel
def look_again(merchants, orders, price, merchant_price, kept, kept_start, found):
    """
    List the orders outside the kept ones that are worth more than all their prices.

    A merchant without a place has none; its price is raised instead, to the most that
    one of its orders is worth.

    Parameters
    ----------
    merchants
        ``(k,) int64``: the merchants to look at.
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY: price of a place in each cap.
    kept
        ``(k,) int64``: orders that were kept, ascending.
    kept_start
        ``(num_merchants + 1,) int64``: where each merchant's begin in ``kept``.
    found
        ``(n,) int64``: filled with orders, ascending; may be too short.

    Returns
    -------
    int
        Orders found; those that do not fit into ``found`` are only counted.
    """
    num_found = np.int64(0)
    for merchant in merchants:
        place, end = kept_start[merchant], kept_start[merchant + 1]
        for order in range(
            orders.merchant_start[merchant], orders.merchant_start[merchant + 1]
        ):
            if place < end and kept[place] == order:
                place += 1
                continue
            top = best_worth(orders, None, order, price, None)
            if top <= merchant_price[merchant]:
                continue
            if orders.cap[merchant] == 0:
                merchant_price[merchant] = top
                continue
            if num_found < len(found):
                found[num_found] = order
            num_found += 1
    return num_found
