"""Kernels that build a plan order by order, and price a given plan."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, kernel
from optimizer.solvers.kernels.rank import kth_largest


@kernel
def accept_in_turn(
    turn, option_order, order_merchant, option_lane, lane_parent, cap_left, slots_left
):
    """
    Accept options in turn where order, merchant and all lanes still have room.


    Parameters
    ----------
    turn
        ``(k,) int64``: options in the order in which they are tried.
    option_order
        ``(num_options,)`` integers: order of each option.
    order_merchant
        ``(num_orders,)`` integers: merchant of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    cap_left, slots_left
        ``(num_merchants,)`` and ``(num_lanes,) int64``: places left; reduced in place.

    Returns
    -------
    ``(k,) bool``: whether each option was accepted.
    """
    accepted = np.zeros(len(option_order), np.bool_)
    is_taken = np.zeros(len(order_merchant), np.bool_)
    for option in turn:
        order = option_order[option]
        merchant = order_merchant[order]
        if is_taken[order] or cap_left[merchant] == 0:
            continue
        lane = option_lane[option]
        while lane >= 0 and slots_left[lane] > 0:
            lane = lane_parent[lane]
        if lane >= 0:
            continue
        lane = option_lane[option]
        while lane >= 0:
            slots_left[lane] -= 1
            lane = lane_parent[lane]
        cap_left[merchant] -= 1
        is_taken[order] = True
        accepted[option] = True
    return accepted


@kernel
def list_open(
    first_merchant,
    last_merchant,
    merchant_start,
    option_start,
    option_lane,
    option_saving,
    key,
    cap_left,
    is_open,
    is_taken,
    last_saving,
    last_key,
):
    """
    List options that save something, could still be taken, and rank up to a place.

    Options rank by saving, the largest first, and equal ones by their order's key.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    key
        ``(num_orders,) uint64``: key of each order, which breaks ties.
    cap_left
        ``(num_merchants,) int64``: places left in each cap.
    is_open
        ``(num_lanes,) bool``: whether a lane and all its ancestors have room.
    is_taken
        ``(num_orders,) bool``: orders that have an option.
    last_saving, last_key
        Rank after which options are left out: saving in micro-CNY, and key.

    Returns
    -------
    option, order
        Both ``(k,) int64``, ascending.
    """
    options = np.empty(1024, np.int64)
    orders = np.empty(1024, np.int64)
    count = 0
    for merchant in range(first_merchant, last_merchant):
        if cap_left[merchant] == 0:
            continue
        for order in range(merchant_start[merchant], merchant_start[merchant + 1]):
            if is_taken[order]:
                continue
            for option in range(option_start[order], option_start[order + 1]):
                saving = option_saving[option]
                if saving <= 0 or saving < last_saving:
                    continue
                if saving == last_saving and key[order] > last_key:
                    continue
                if not is_open[option_lane[option]]:
                    continue
                if count == len(options):
                    options = np.append(options, np.empty(count, np.int64))
                    orders = np.append(orders, np.empty(count, np.int64))
                options[count] = option
                orders[count] = order
                count += 1
    return options[:count], orders[:count]


@kernel
def merchant_prices(
    merchant_start, cap, option_start, option_lane, option_saving, price
):
    """
    The lowest best price of each cap, at given effective lane prices.

    It is the (cap + 1)-th largest of the merchant's best reduced savings, or 0
    where fewer are positive: the value of one more place at these prices.

    Parameters
    ----------
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

    Returns
    -------
    ``(num_merchants,) int64`` micro-CNY.
    """
    num_merchants = len(cap)
    result = np.zeros(num_merchants, np.int64)
    buffer = np.empty(0, np.int64)
    for merchant in range(num_merchants):
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if last - first <= cap[merchant]:
            continue
        if len(buffer) < last - first:
            buffer = np.empty(2 * (last - first), np.int64)
        count = np.int64(0)  # a literal would be another type to whom it calls
        for order in range(first, last):
            best = 0
            for option in range(option_start[order], option_start[order + 1]):
                best = max(best, option_saving[option] - price[option_lane[option]])
            if best > 0:
                buffer[count] = best
                count += 1
        if count > cap[merchant]:
            result[merchant] = kth_largest(buffer, count, cap[merchant])
    return result


@bare_kernel
def raise_prices(
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    is_chosen,
    price,
):
    """
    One sweep that raises lane prices to what the unchosen would offer.

    For each merchant, an unchosen order may not beat the worst chosen one (nor 0
    where the cap is not full), and a chosen order may not prefer another lane.
    ``price`` is raised in place; sweeping until nothing changes gives the least
    prices that support the plan, whatever the order of the sweep.

    Parameters
    ----------
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
    is_chosen
        ``(num_options,) bool``: the plan.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY; raised in place.

    Returns
    -------
    bool
        Whether any price was raised.
    """
    has_changed = False
    for merchant in range(len(cap)):
        if cap[merchant] == 0:
            continue
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        used = 0
        cut = np.int64(2**62)
        for order in range(first, last):
            for option in range(option_start[order], option_start[order + 1]):
                if not is_chosen[option]:
                    continue
                used += 1
                worth = option_saving[option] - price[option_lane[option]]
                cut = min(cut, worth)
                for other in range(option_start[order], option_start[order + 1]):
                    floor = option_saving[other] - worth
                    if price[option_lane[other]] < floor:
                        price[option_lane[other]] = floor
                        has_changed = True
        if used < cap[merchant]:
            cut = np.int64(0)
        for order in range(first, last):
            chosen = False
            for option in range(option_start[order], option_start[order + 1]):
                chosen |= is_chosen[option]
            if chosen:
                continue
            for option in range(option_start[order], option_start[order + 1]):
                floor = option_saving[option] - cut
                if price[option_lane[option]] < floor:
                    price[option_lane[option]] = floor
                    has_changed = True
    return has_changed


@bare_kernel
def raise_along_tree(lane_parent, slack, price):
    """
    One sweep over the lanes: a child costs at least its parent, and no more
    where it has slack.

    Returns
    -------
    bool
        Whether any price was raised.
    """
    has_changed = False
    for lane in range(len(lane_parent) - 1, -1, -1):
        parent = lane_parent[lane]
        if parent >= 0 and slack[lane] > 0 and price[parent] < price[lane]:
            price[parent] = price[lane]
            has_changed = True
    for lane in range(len(lane_parent)):
        parent = lane_parent[lane]
        if parent >= 0 and price[lane] < price[parent]:
            price[lane] = price[parent]
            has_changed = True
    return has_changed
