"""
Kernels for shortest paths in the residual graph of a plan.

Nodes are lanes, merchants, and the ground (free slots, and free places in caps). The
cost of an arc is the plan's loss by it at prices that prove the plan: never below 0. At
the least such prices the ground reaches every node in use at no cost, so that a search
may end where it meets the ground.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.kernel_cache import bare_kernel, kernel

#: Longer than any way; two of them do not overflow.
FAR = np.int64(2**60)


class Ways(NamedTuple):
    """
    Arcs that leave lanes (to any node) and merchants (to lanes), the cheapest first.

    ``lane_ground`` and ``merchant_ground`` are lengths of some path to the ground.
    """

    lane_start: NDArray[np.int64]
    lane_target: NDArray[np.int32]
    lane_cost: NDArray[np.int64]
    merchant_start: NDArray[np.int64]
    merchant_target: NDArray[np.int32]
    merchant_cost: NDArray[np.int64]
    lane_ground: NDArray[np.int64]
    merchant_ground: NDArray[np.int64]


@bare_kernel
def shorten(ways, num_rounds):
    """
    Shorten all paths to the ground, for some rounds or until none becomes shorter.

    Returns
    -------
    bool
        Whether they are the shortest.
    """
    num_lanes = len(ways.lane_ground)
    ground = num_lanes + len(ways.merchant_ground)
    for _ in range(num_rounds):
        has_changed = False
        for lane in range(num_lanes):
            best = ways.lane_ground[lane]
            for arc in range(ways.lane_start[lane], ways.lane_start[lane + 1]):
                node = ways.lane_target[arc]
                way = ways.lane_cost[arc]
                if way >= best:
                    break
                if node < num_lanes:
                    way += ways.lane_ground[node]
                elif node < ground:
                    way += ways.merchant_ground[node - num_lanes]
                best = min(best, way)
            has_changed |= best < ways.lane_ground[lane]
            ways.lane_ground[lane] = best
        for merchant in range(len(ways.merchant_ground)):
            best = ways.merchant_ground[merchant]
            first, last = (
                ways.merchant_start[merchant],
                ways.merchant_start[merchant + 1],
            )
            for arc in range(first, last):
                way = ways.merchant_cost[arc]
                if way >= best:
                    break
                best = min(best, way + ways.lane_ground[ways.merchant_target[arc]])
            has_changed |= best < ways.merchant_ground[merchant]
            ways.merchant_ground[merchant] = best
        if not has_changed:
            return True
    return False


@bare_kernel
def shorten_by_orders(
    merchant_start,
    option_start,
    option_lane,
    option_saving,
    pick,
    price,
    cut,
    lane_ground,
    merchant_ground,
):
    """
    Shorten merchants' paths to the ground by way of orders that are not chosen.

    Parameters
    ----------
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    pick
        ``(num_orders,) int64``: chosen option of each order; -1 for none.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    cut
        ``(num_merchants,) int64``: price of each full cap, micro-CNY; 0 with room.
    lane_ground
        ``(num_lanes,) int64``: distance of each lane to the ground, micro-CNY.
    merchant_ground
        ``(num_merchants,) int64``: the same for merchants; lowered in place.
    """
    for merchant in range(len(cut)):
        bound = merchant_ground[merchant]
        if bound == 0 or bound == FAR:
            continue
        for order in range(merchant_start[merchant], merchant_start[merchant + 1]):
            if pick[order] >= 0:
                continue
            for option in range(option_start[order], option_start[order + 1]):
                lane = option_lane[option]
                cost = cut[merchant] + price[lane] - option_saving[option]
                bound = min(bound, cost + lane_ground[lane])
        merchant_ground[merchant] = bound


@kernel
def list_rivals(
    merchant_start,
    option_start,
    option_lane,
    option_saving,
    pick,
    price,
    cut,
    limit,
    rival_start,
    rival_lane,
    rival_cost,
):
    """
    List rivals: for each merchant and lane, the unchosen order that costs least.

    Parameters
    ----------
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    pick
        ``(num_orders,) int64``: chosen option of each order; -1 for none.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    cut
        ``(num_merchants,) int64``: price of each full cap, micro-CNY; 0 with room.
    limit
        ``(num_merchants,) int64``: rivals cost less than this, micro-CNY.
    rival_start
        ``(num_merchants + 1,) int64``: filled with the first rival of each merchant.
    rival_lane, rival_cost
        ``(k,) int32`` and ``(k,) int64``: filled with lane, and cost in micro-CNY, of
        rivals; may be too short.

    Returns
    -------
    int
        How many there are.
    """
    best = np.full(len(price), FAR, np.int64)
    seen = np.empty(len(price), np.int32)
    at = 0
    for merchant in range(len(cut)):
        rival_start[merchant] = at
        num_seen = 0
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if limit[merchant] <= 0:
            last = first
        for order in range(first, last):
            if pick[order] >= 0:
                continue
            for option in range(option_start[order], option_start[order + 1]):
                lane = option_lane[option]
                cost = cut[merchant] + price[lane] - option_saving[option]
                if cost < limit[merchant]:
                    if best[lane] == FAR:
                        seen[num_seen] = lane
                        num_seen += 1
                    best[lane] = min(best[lane], cost)
        for place in range(num_seen):
            if at < len(rival_lane):
                rival_lane[at] = seen[place]
                rival_cost[at] = best[seen[place]]
            at += 1
            best[seen[place]] = FAR
    rival_start[len(cut)] = at
    return at


@bare_kernel
def reach_for_nothing(ways, is_reached, stack, num_reached):
    """
    Mark the nodes that arcs at no cost reach from marked nodes.

    Parameters
    ----------
    ways
        Arcs; those that cost nothing are followed.
    is_reached
        ``(num_nodes,) bool``: marked in place.
    stack, num_reached
        ``(num_nodes,) int64`` with the marked nodes first, and how many these are.
    """
    num_lanes = len(ways.lane_ground)
    while num_reached > 0:
        num_reached -= 1
        node = stack[num_reached]
        if node < num_lanes:
            first, last = ways.lane_start[node], ways.lane_start[node + 1]
            cost, target = ways.lane_cost, ways.lane_target
        elif node < num_lanes + len(ways.merchant_ground):
            merchant = node - num_lanes
            first, last = (
                ways.merchant_start[merchant],
                ways.merchant_start[merchant + 1],
            )
            cost, target = ways.merchant_cost, ways.merchant_target
        else:
            continue
        for arc in range(first, last):
            if cost[arc] > 0:
                break
            if not is_reached[target[arc]]:
                is_reached[target[arc]] = True
                stack[num_reached] = target[arc]
                num_reached += 1


@kernel
def find_exits(
    first_merchant,
    last_merchant,
    ways,
    front,
    hop_start,
    hop_lane,
    hop_distance,
    exit_start,
    exit_lane,
    exit_distance,
    beyond_front,
    beyond_ground,
):
    """
    Find the shortest ways from some merchants to the lanes that they use.

    Parameters
    ----------
    first_merchant, last_merchant
        Which merchants: from the first to before the last.
    ways
        Arcs, and the length of the shortest path from each node to the ground.
    front
        ``(num_lanes,) int64``: distance to assume for nodes that are not listed for a
        lane, micro-CNY.
    hop_start
        ``(num_lanes + 1,) int64``: first entry of each lane in the next two.
    hop_lane, hop_distance
        ``(m,) int32`` and ``(m,) int64`` micro-CNY: lanes that are listed for a lane,
        and the distance to them.
    exit_start
        ``(num_merchants + 1,) int64``: first entry of each merchant in the next two.
    exit_lane
        ``(e,) int32``: lanes that a merchant uses.
    exit_distance
        ``(e,) int64``: filled with the distance to them over listed lanes, micro-CNY;
        ``FAR`` where none leads there.
    beyond_front, beyond_ground
        ``(num_merchants,) int64``: filled with the distance to nodes that are not
        listed, if they are as far as ``front`` says, and if they are the ground.
    """
    swap = np.full(len(front), FAR, np.int64)
    for merchant in range(first_merchant, last_merchant):
        if exit_start[merchant] == exit_start[merchant + 1]:
            continue
        near = ground = ways.merchant_ground[merchant]
        begin, end = ways.merchant_start[merchant], ways.merchant_start[merchant + 1]
        for arc in range(begin, end):
            cost, lane = ways.merchant_cost[arc], ways.merchant_target[arc]
            near = min(near, cost + front[lane])
            ground = min(ground, cost + ways.lane_ground[lane])
            for at in range(hop_start[lane], hop_start[lane + 1]):
                way = cost + hop_distance[at]
                swap[hop_lane[at]] = min(swap[hop_lane[at]], way)
        beyond_front[merchant], beyond_ground[merchant] = near, ground
        for at in range(exit_start[merchant], exit_start[merchant + 1]):
            exit_distance[at] = swap[exit_lane[at]]
        for arc in range(begin, end):
            lane = ways.merchant_target[arc]
            for at in range(hop_start[lane], hop_start[lane + 1]):
                swap[hop_lane[at]] = FAR


@kernel
def measure(
    first_merchant,
    last_merchant,
    merchant_start,
    option_start,
    option_lane,
    option_saving,
    pick,
    cap,
    price,
    cut,
    front,
    near_start,
    near_lane,
    near_distance,
    exit_start,
    exit_lane,
    exit_distance,
    beyond,
    margin,
):
    """
    Compute the margins of some merchants' orders from distances.

    Parameters
    ----------
    first_merchant, last_merchant
        Which merchants: from the first to before the last.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    pick
        ``(num_orders,) int64``: chosen option of each order; -1 for none.
    cap
        ``(num_merchants,) int64``: places in each merchant's cap.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    cut
        ``(num_merchants,) int64``: price of each full cap, micro-CNY; 0 with room.
    front
        ``(num_lanes,) int64``: distance to assume for nodes that are not listed for a
        lane, micro-CNY.
    near_start
        ``(num_merchants + 1,) int64``: first entry of each merchant in the next two.
    near_lane, near_distance
        ``(k,) int32`` and ``(k,) int64`` micro-CNY: lanes that a merchant is listed
        for, and the distance from them.
    exit_start
        ``(num_merchants + 1,) int64``: first entry of each merchant in the next two.
    exit_lane, exit_distance
        ``(k,) int32`` and ``(k,) int64`` micro-CNY: lanes that each merchant uses, and
        the way there, as of :func:`find_exits`.
    beyond
        ``(num_merchants,) int64``: distance to nodes that are not listed, micro-CNY.
    margin
        ``(num_orders,) int64``: filled with the margins, micro-CNY; ``FAR`` where no
        plan has the order.
    """
    reach = front.copy()
    swap = np.full(len(price), FAR, np.int64)
    for merchant in range(first_merchant, last_merchant):
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if cap[merchant] == 0:
            margin[first:last] = FAR
            continue
        if first == last:
            continue
        for at in range(near_start[merchant], near_start[merchant + 1]):
            reach[near_lane[at]] = near_distance[at]
        for at in range(exit_start[merchant], exit_start[merchant + 1]):
            swap[exit_lane[at]] = min(exit_distance[at], beyond[merchant])
        for order in range(first, last):
            if pick[order] >= 0:
                lane = option_lane[pick[order]]
                above = option_saving[pick[order]] - price[lane] - cut[merchant]
                margin[order] = above + swap[lane]
                continue
            need = FAR
            for option in range(option_start[order], option_start[order + 1]):
                lane = option_lane[option]
                if reach[lane] < FAR:
                    cost = cut[merchant] + price[lane] - option_saving[option]
                    need = min(need, cost + reach[lane])
            margin[order] = FAR if need == FAR else -need
        for at in range(near_start[merchant], near_start[merchant + 1]):
            reach[near_lane[at]] = front[near_lane[at]]


@bare_kernel
def best_without_cap(
    merchant_start,
    option_start,
    option_lane,
    option_saving,
    cap,
    price,
    lane_ground,
    more,
):
    """
    Raise ``more`` to the value of a first place for each merchant whose cap is 0.

    Parameters
    ----------
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    cap
        ``(num_merchants,) int64``: places in each merchant's cap.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    lane_ground
        ``(num_lanes,) int64``: distance of each lane to the ground, micro-CNY.
    more
        ``(num_merchants,) int64``: raised to the value of a first place, micro-CNY.
    """
    for merchant in range(len(cap)):
        if cap[merchant] > 0:
            continue
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        for option in range(option_start[first], option_start[last]):
            lane = option_lane[option]
            worth = option_saving[option] - price[lane] - lane_ground[lane]
            more[merchant] = max(more[merchant], worth)
