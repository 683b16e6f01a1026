"""Kernels that find orders that prices leave undecided, and whether plans differ."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, inner_kernel, kernel
from optimizer.solvers.kernels.rank import HIGH


@inner_kernel
def best_ways(order, option_start, option_lane, option_saving, price):
    """
    Best reduced saving of options with a positive saving, and how many have it.

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
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY; above every saving on lanes
        without slots.
    """
    top, ways = -HIGH, 0
    for option in range(option_start[order], option_start[order + 1]):
        if option_saving[option] <= 0:
            continue
        reduced = option_saving[option] - price[option_lane[option]]
        if reduced > top:
            top, ways = reduced, 1
        elif reduced == top:
            ways += 1
    return top, ways


@bare_kernel
def list_tied(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    price,
    merchant_price,
    found,
):
    """
    List orders that save exactly their prices, or equally much on several lanes.

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
        ``(num_lanes,) int64`` effective prices, micro-CNY; above every saving on lanes
        without slots.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY: price of a place in each cap.
    found
        ``(k,) int64``: filled with orders, ascending; may be too short.

    Returns
    -------
    int
        How many there are; beyond the length of ``found`` they are counted only.
    """
    count = 0
    for merchant in range(first_merchant, last_merchant):
        if cap[merchant] == 0:
            continue
        cut = merchant_price[merchant]
        for order in range(merchant_start[merchant], merchant_start[merchant + 1]):
            is_near = False
            for option in range(option_start[order], option_start[order + 1]):
                is_near |= option_saving[option] - price[option_lane[option]] >= cut
            if not is_near:
                continue
            top, ways = best_ways(
                order, option_start, option_lane, option_saving, price
            )
            if top == cut or (top > cut and ways > 1):
                if count < len(found):
                    found[count] = order
                count += 1
    return count


@inner_kernel
def root_of(above, node):
    """The representative of all nodes that are joined with this one."""
    while above[node] != node:
        above[node] = above[above[node]]
        node = above[node]
    return node


@inner_kernel
def join(above, node, other):
    """Join two nodes; return whether they were joined before."""
    node, other = root_of(above, node), root_of(above, other)
    above[node] = other
    return node == other


@kernel
def leave_choice(
    orders,
    order_merchant,
    option_start,
    option_lane,
    option_saving,
    price,
    merchant_price,
    lane_parent,
    own_price,
):
    """
    Whether tied orders can be decided in more than one way.

    They cannot if this network has no cycle: merchants, lanes and the outside, joined
    by tied orders, by lanes without a price of their own, and by caps without a price.

    Parameters
    ----------
    orders, order_merchant
        ``(k,) int64``: the tied orders and their merchants.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY; above every saving on lanes
        without slots.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY: price of a place in each cap.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    own_price
        ``(num_lanes,) int64`` own prices, micro-CNY.
    """
    num_lanes, num_merchants = len(lane_parent), len(merchant_price)
    outside = num_lanes + num_merchants
    above = np.arange(outside + 1)
    for lane in range(num_lanes):
        if own_price[lane] == 0:
            parent = lane_parent[lane]
            join(above, lane, parent if parent >= 0 else outside)
    for merchant in range(num_merchants):
        if merchant_price[merchant] == 0:
            join(above, num_lanes + merchant, outside)
    for place in range(len(orders)):
        order, merchant = orders[place], order_merchant[place]
        top, _ = best_ways(order, option_start, option_lane, option_saving, price)
        node = num_lanes + merchant if top == merchant_price[merchant] else -1
        for option in range(option_start[order], option_start[order + 1]):
            lane = np.int64(option_lane[option])
            if option_saving[option] <= 0 or option_saving[option] - price[lane] != top:
                continue
            if node >= 0 and join(above, node, lane):
                return True
            node = lane
    return False


@kernel
def between_cycles(tail, head, num_nodes):
    """
    Which arcs are on a cycle, directions ignored, or on a path between two cycles.

    Leaves are removed until none is left: the flow on their arcs is determined.
    """
    degree, arcs_of = np.zeros(num_nodes, np.int64), np.zeros(num_nodes, np.int64)
    for arc in range(len(tail)):
        for node in (tail[arc], head[arc]):
            degree[node] += 1
            arcs_of[node] ^= arc
    is_kept = np.ones(len(tail), np.bool_)
    for start in range(num_nodes):
        node = start
        while degree[node] == 1:
            arc = arcs_of[node]
            is_kept[arc] = False
            other = tail[arc] + head[arc] - node
            degree[node] = 0
            degree[other] -= 1
            arcs_of[other] ^= arc
            node = other
    return is_kept
