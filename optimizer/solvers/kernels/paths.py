"""
Kernels that balance a plan by shortest augmenting paths, in integers.

Nodes are lanes, merchants, and outside (where unused slots and unsold parcels are).
Potentials are prices; arcs cost what a change of the plan loses at these prices,
which is never negative: an arc

- lane → lane moves a chosen order to another of its lanes,
- lane → merchant takes a chosen order back; merchant → lane chooses another one,
- lane → its parent, or outside, sells one of its free slots,
- lane → a child, or outside → root, takes one such slot back,
- merchant → outside leaves a slot of its cap empty; outside → merchant fills one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.kernel_cache import bare_kernel, inner_kernel
from optimizer.solvers.kernels.dijkstra import forget, nearest, relax

#: No option: the arc runs along the tree of lanes, or to or from outside.
NONE = np.int64(-1)


class PathNetwork(NamedTuple):
    """The fixed part: orders by merchant, options by order and lane, lanes."""

    merchant_start: NDArray[np.int64]
    cap: NDArray[np.int64]
    order_merchant: NDArray[np.int32]
    option_start: NDArray[np.int64]
    option_order: NDArray[np.int32]
    option_lane: NDArray[np.int32]
    option_saving: NDArray[np.int64]
    lane_option_start: NDArray[np.int64]
    lane_option: NDArray[np.int32]
    slots: NDArray[np.int64]
    lane_parent: NDArray[np.int32]
    child_start: NDArray[np.int64]
    child: NDArray[np.int32]


class Plan(NamedTuple):
    """
    The part that changes: picks, flows along the tree of lanes, and prices.

    ``imbalance`` is the flow into a lane minus the flow out of it: above 0, parcels
    without a slot; below 0, empty slots that have a price. The chosen orders of a
    lane are a doubly linked list.
    """

    pick: NDArray[np.int64]
    used: NDArray[np.int64]
    lane_head: NDArray[np.int32]
    order_next: NDArray[np.int32]
    order_previous: NDArray[np.int32]
    flow: NDArray[np.int64]
    imbalance: NDArray[np.int64]
    price: NDArray[np.int64]
    merchant_price: NDArray[np.int64]


@inner_kernel
def leave_lane(night, plan, search, lane, base):
    """
    Relax all arcs that leave a lane; return their number.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`.
    search
        The search; changed in place.
    lane
        The lane.
    base
        Distance of the node from the start of the search, micro-CNY.
    """
    num_lanes = len(night.slots)
    outside = num_lanes + len(night.cap)
    price, mine = plan.price, plan.price[lane]
    parent = night.lane_parent[lane]
    if plan.flow[lane] < night.slots[lane]:
        if parent >= 0:
            relax(search, np.int64(parent), base + price[parent] - mine, lane, NONE)
        else:
            relax(search, outside, base - mine, lane, NONE)
    for at in range(night.child_start[lane], night.child_start[lane + 1]):
        child = night.child[at]
        if plan.flow[child] > 0:
            relax(search, np.int64(child), base + price[child] - mine, lane, NONE)
    work = 1 + night.child_start[lane + 1] - night.child_start[lane]
    order = plan.lane_head[lane]
    while order >= 0:
        work += 1 + night.option_start[order + 1] - night.option_start[order]
        pick = plan.pick[order]
        merchant = night.order_merchant[order]
        worth = night.option_saving[pick] - mine
        cost = base + worth - plan.merchant_price[merchant]
        relax(search, num_lanes + merchant, cost, lane, pick)
        for option in range(night.option_start[order], night.option_start[order + 1]):
            if option != pick:
                other = night.option_lane[option]
                cost = base + worth - night.option_saving[option] + price[other]
                relax(search, np.int64(other), cost, lane, option)
        order = plan.order_next[order]
    return work


@inner_kernel
def leave_merchant(night, plan, search, merchant, base):
    """
    Relax all arcs that leave a merchant; return their number.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`.
    search
        The search; changed in place.
    merchant
        The merchant.
    base
        Distance of the node from the start of the search, micro-CNY.
    """
    num_lanes = len(night.slots)
    node = num_lanes + merchant
    cut = plan.merchant_price[merchant]
    if plan.used[merchant] > 0:
        relax(search, num_lanes + len(night.cap), base + cut, node, NONE)
    first, last = night.merchant_start[merchant], night.merchant_start[merchant + 1]
    for order in range(first, last):
        if plan.pick[order] >= 0:
            continue
        for option in range(night.option_start[order], night.option_start[order + 1]):
            lane = np.int64(night.option_lane[option])
            worth = night.option_saving[option] - plan.price[lane]
            relax(search, lane, base + cut - worth, node, option)
    return 1 + night.option_start[last] - night.option_start[first]


@inner_kernel
def leave_outside(night, plan, search):
    """Relax all arcs that leave the outside."""
    num_lanes = len(night.slots)
    outside = num_lanes + len(night.cap)
    for lane in range(num_lanes):
        if night.lane_parent[lane] < 0 and plan.flow[lane] > 0:
            relax(search, lane, plan.price[lane], outside, NONE)
    for merchant in range(len(night.cap)):
        if plan.used[merchant] < night.cap[merchant]:
            relax(search, num_lanes + merchant, np.int64(0), outside, NONE)


@inner_kernel
def reach_lane(night, plan, search, lane, base):
    """
    Relax all arcs that lead to a lane, backwards; return their number.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`.
    search
        The search; changed in place.
    lane
        The lane.
    base
        Distance from the node to the start of the search, backwards, micro-CNY.
    """
    num_lanes = len(night.slots)
    outside = num_lanes + len(night.cap)
    price, mine = plan.price, plan.price[lane]
    parent = night.lane_parent[lane]
    if plan.flow[lane] > 0:
        if parent >= 0:
            relax(search, np.int64(parent), base + mine - price[parent], lane, NONE)
        else:
            relax(search, outside, base + mine, lane, NONE)
    for at in range(night.child_start[lane], night.child_start[lane + 1]):
        child = night.child[at]
        if plan.flow[child] < night.slots[child]:
            relax(search, np.int64(child), base + mine - price[child], lane, NONE)
    first, last = night.lane_option_start[lane], night.lane_option_start[lane + 1]
    for at in range(first, last):
        option = np.int64(night.lane_option[at])
        order = night.option_order[option]
        pick = plan.pick[order]
        if pick == option:
            continue
        worth = night.option_saving[option] - mine
        if pick >= 0:
            other = night.option_lane[pick]
            cost = base + night.option_saving[pick] - price[other] - worth
            relax(search, np.int64(other), cost, lane, option)
        else:
            merchant = night.order_merchant[order]
            cost = base + plan.merchant_price[merchant] - worth
            relax(search, num_lanes + merchant, cost, lane, option)
    return 1 + last - first + night.child_start[lane + 1] - night.child_start[lane]


@inner_kernel
def reach_merchant(night, plan, search, merchant, base):
    """
    Relax all arcs that lead to a merchant, backwards; return their number.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`.
    search
        The search; changed in place.
    merchant
        The merchant.
    base
        Distance from the node to the start of the search, backwards, micro-CNY.
    """
    num_lanes = len(night.slots)
    node = num_lanes + merchant
    cut = plan.merchant_price[merchant]
    if plan.used[merchant] < night.cap[merchant]:
        relax(search, num_lanes + len(night.cap), base, node, NONE)
    first, last = night.merchant_start[merchant], night.merchant_start[merchant + 1]
    for order in range(first, last):
        pick = plan.pick[order]
        if pick >= 0:
            lane = np.int64(night.option_lane[pick])
            worth = night.option_saving[pick] - plan.price[lane]
            relax(search, lane, base + worth - cut, node, pick)
    return 1 + last - first


@inner_kernel
def enlist(night, plan, order, option):
    """
    Choose an option of an order.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`, changed in place.
    order, option
        An order without an option, and the option that it gets.
    """
    lane = night.option_lane[option]
    plan.pick[order] = option
    head = plan.lane_head[lane]
    plan.order_next[order] = head
    plan.order_previous[order] = -1
    if head >= 0:
        plan.order_previous[head] = order
    plan.lane_head[lane] = order


@inner_kernel
def strike(night, plan, order):
    """Take an order's choice back."""
    lane = night.option_lane[plan.pick[order]]
    before, after = plan.order_previous[order], plan.order_next[order]
    if before >= 0:
        plan.order_next[before] = after
    else:
        plan.lane_head[lane] = after
    if after >= 0:
        plan.order_previous[after] = before
    plan.pick[order] = -1


@inner_kernel
def follow(night, plan, source, target, option):
    """
    Send one parcel along an arc.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`, changed in place.
    source, target
        The nodes of the arc.
    option
        The option that it chooses or takes back; ``NONE`` on the tree of lanes.
    """
    num_lanes = len(night.slots)
    outside = num_lanes + len(night.cap)
    if option >= 0:
        order = np.int64(night.option_order[option])
        if target >= num_lanes:
            strike(night, plan, order)
            plan.used[target - num_lanes] -= 1
        else:
            if plan.pick[order] >= 0:
                strike(night, plan, order)
            else:
                plan.used[source - num_lanes] += 1
            enlist(night, plan, order, option)
    elif source < num_lanes and (
        target == outside or target == night.lane_parent[source]
    ):
        plan.flow[source] += 1
    elif target < num_lanes:
        plan.flow[target] -= 1


@inner_kernel
def move_prices(night, plan, search, distance, sign):
    """
    Move the potentials of all nodes nearer than the end of the search.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`, changed in place.
    search
        The search that has ended.
    distance
        Distance at which it ended, micro-CNY.
    sign
        1 for a search forwards, -1 for one backwards.
    """
    num_lanes = len(night.slots)
    for at in range(search.counts[1]):
        node = search.touched[at]
        if search.place[node] != -2 or search.distance[node] >= distance:
            continue
        change = distance - search.distance[node]
        if node < num_lanes:
            plan.price[node] += sign * change
        elif node < num_lanes + len(night.cap):
            plan.merchant_price[node - num_lanes] -= sign * change


@inner_kernel
def relieve(night, plan, search, lane):
    """
    Find the best place for an excess parcel of a lane, and move it there.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`, changed in place.
    search
        The search; changed in place.
    lane
        A lane with a positive imbalance.
    """
    num_lanes = len(night.slots)
    outside = num_lanes + len(night.cap)
    forget(search)
    relax(search, lane, np.int64(0), NONE, NONE)
    work = 0
    while True:
        node = nearest(search)
        if node < 0:
            return -1
        base = search.distance[node]
        if node == outside or (node < num_lanes and plan.imbalance[node] < 0):
            break
        if node < num_lanes:
            work += leave_lane(night, plan, search, node, base)
        else:
            work += leave_merchant(night, plan, search, node - num_lanes, base)
    move_prices(night, plan, search, base, np.int64(1))
    if node < num_lanes:
        plan.imbalance[node] += 1
    plan.imbalance[lane] -= 1
    while node != lane:
        source = np.int64(search.from_node[node])
        follow(night, plan, source, node, search.from_option[node])
        node = source
    return work


@inner_kernel
def fill_slot(night, plan, search, lane):
    """
    Find the best parcel for an empty slot that has a price, and move it there.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`, changed in place.
    search
        The search; changed in place.
    lane
        A lane with a negative imbalance.
    """
    num_lanes = len(night.slots)
    outside = num_lanes + len(night.cap)
    forget(search)
    relax(search, lane, np.int64(0), NONE, NONE)
    work = 0
    while True:
        node = nearest(search)
        if node < 0:
            return -1
        base = search.distance[node]
        if node == outside or (node < num_lanes and plan.imbalance[node] > 0):
            break
        if node < num_lanes:
            work += reach_lane(night, plan, search, node, base)
        else:
            work += reach_merchant(night, plan, search, node - num_lanes, base)
    move_prices(night, plan, search, base, np.int64(-1))
    if node < num_lanes:
        plan.imbalance[node] -= 1
    plan.imbalance[lane] += 1
    while node != lane:
        target = np.int64(search.from_node[node])
        follow(night, plan, node, target, search.from_option[node])
        node = target
    return work


@bare_kernel
def lay_out(night, plan, asked):
    """
    Enlist all picks, route flows as the prices imply, and count imbalances.

    ``asked`` are the parcels that ask for each lane, fixed ones included.
    """
    for lane in range(len(night.slots)):
        plan.lane_head[lane] = -1
        plan.imbalance[lane] = asked[lane]
    for order in range(len(plan.pick) - 1, -1, -1):
        if plan.pick[order] >= 0:
            enlist(night, plan, np.int64(order), plan.pick[order])
    for lane in range(len(night.slots) - 1, -1, -1):
        parent = night.lane_parent[lane]
        own = plan.price[lane] - (plan.price[parent] if parent >= 0 else 0)
        inflow = plan.imbalance[lane]
        flow = night.slots[lane] if own > 0 else min(inflow, night.slots[lane])
        plan.flow[lane] = flow
        plan.imbalance[lane] = inflow - flow
        if parent >= 0:
            plan.imbalance[parent] += flow


@bare_kernel
def augment(night, plan, search, first_lane, work_limit):
    """
    Remove imbalances, lane by lane, until all are gone or the work is done.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        The :class:`Plan`, changed in place.
    search
        The search; changed in place.
    first_lane
        The lane to begin with; those before it are balanced.
    work_limit
        Arcs after which to stop; a path that has begun is finished.

    Returns
    -------
    lane, num_paths
        The lane to continue with, ``num_lanes`` once all is balanced, ``-1 - lane``
        where a lane cannot be balanced because everything on it is fixed; and paths
        followed.
    """
    num_lanes = len(night.slots)
    work, num_paths = 0, 0
    for lane in range(first_lane, num_lanes):
        while plan.imbalance[lane] != 0:
            if work > work_limit:
                return lane, num_paths
            if plan.imbalance[lane] > 0:
                spent = relieve(night, plan, search, lane)
            else:
                spent = fill_slot(night, plan, search, lane)
            if spent < 0:
                return -1 - lane, num_paths
            num_paths += 1
            work += spent
    return num_lanes, num_paths


@bare_kernel
def least_prices(night, plan, search, least):
    """
    Lower the prices of a whole plan to the least that prove it: one search.

    Nodes further away than the highest price get a price of 0; no sum can overflow.

    Parameters
    ----------
    night
        The :class:`PathNetwork`.
    plan
        A balanced :class:`Plan`; it is not changed.
    search
        The search; changed in place.
    least
        ``(num_lanes,) int64``: filled with effective prices, micro-CNY; zeros at first.
    """
    num_lanes = len(night.slots)
    outside = num_lanes + len(night.cap)
    highest = np.int64(0)
    for lane in range(num_lanes):
        highest = max(highest, plan.price[lane])
    forget(search)
    relax(search, outside, np.int64(0), NONE, NONE)
    num_left = num_lanes
    while num_left > 0:
        node = nearest(search)
        if node < 0 or search.distance[node] >= highest:
            break
        base = search.distance[node]
        if node == outside:
            leave_outside(night, plan, search)
        elif node < num_lanes:
            num_left -= 1
            leave_lane(night, plan, search, node, base)
        else:
            leave_merchant(night, plan, search, node - num_lanes, base)
    for lane in range(num_lanes):
        if search.place[lane] == -2:
            least[lane] = max(plan.price[lane] - search.distance[lane], np.int64(0))
        parent = night.lane_parent[lane]
        if parent >= 0:
            least[lane] = max(least[lane], least[parent])
