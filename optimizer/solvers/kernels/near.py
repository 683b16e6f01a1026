"""
Kernels that list the nodes near each lane, and turn the lists about.

A search from each lane lists what is nearer to it than the ground. Margins ask the
reverse: which lanes are near a merchant; and slot values ask for a lane and its parent.
"""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel
from optimizer.solvers.kernels.dijkstra import forget, nearest, relax

#: No way that a search remembers.
NONE = np.int64(-1)


@bare_kernel
def search_lanes(ways, search, lanes, most, front, count, near_node, near_distance):
    """
    Search from each lane as far as the ground, and list the nodes that are nearer.

    Parameters
    ----------
    ways
        Arcs, and the length of the shortest path from each node to the ground.
    search
        Scratch of the search.
    lanes
        ``(m,) int32``: the lanes to search from.
    most
        Most nodes listed for a lane. The search ends there; of equally near nodes all
        or none are listed.
    front
        ``(num_lanes,) int64``: filled with how far each search went: to the ground, or
        to where it was cut short, micro-CNY.
    count
        ``(m,) int64``: filled with the nodes listed for each lane.
    near_node, near_distance
        ``(n,) int32`` and ``(n,) int64``: filled with nodes and distances, lane after
        lane.

    Returns
    -------
    int
        How many of ``lanes`` are done: all, unless the list is full.
    """
    num_lanes = len(ways.lane_ground)
    at = 0
    for place in range(len(lanes)):
        source = np.int64(lanes[place])
        begin = at
        limit = ways.lane_ground[source]
        front[source] = limit
        forget(search)
        relax(search, source, np.int64(0), NONE, NONE)
        while True:
            node = nearest(search)
            if node < 0 or search.distance[node] >= limit:
                break
            base = search.distance[node]
            if at - begin == most:
                front[source] = base
                while at > begin and near_distance[at - 1] == base:
                    at -= 1
                break
            if at == len(near_node):
                return place
            near_node[at] = node
            near_distance[at] = base
            at += 1
            if node < num_lanes:
                first, last = ways.lane_start[node], ways.lane_start[node + 1]
                for arc in range(first, last):
                    way = base + ways.lane_cost[arc]
                    if way >= limit:
                        break
                    node = np.int64(ways.lane_target[arc])
                    relax(search, node, way, NONE, NONE)
            else:
                merchant = node - num_lanes
                first = ways.merchant_start[merchant]
                for arc in range(first, ways.merchant_start[merchant + 1]):
                    way = base + ways.merchant_cost[arc]
                    if way >= limit:
                        break
                    node = np.int64(ways.merchant_target[arc])
                    relax(search, node, way, NONE, NONE)
        count[place] = at - begin
    return len(lanes)


@bare_kernel
def count_near(lanes, count, node, round_of, number, num_lanes, num_hops, num_near):
    """
    Count the lanes near each lane, and the lanes that each merchant is near to.

    Parameters
    ----------
    lanes, count
        ``(m,) int32`` and ``(m,) int64``: lanes, and the nodes listed for each.
    node
        ``(n,) int32``: these nodes, lane after lane.
    round_of, number
        ``(num_lanes,) int64``: the round in which each lane was searched last, and the
        round of these lists; others' lists stand for nothing.
    num_lanes
        Nodes below this are lanes, the others merchants.
    num_hops, num_near
        ``(num_lanes,)`` and ``(num_merchants,) int64``: raised by what is counted.
    """
    at = 0
    for place in range(len(lanes)):
        lane, end = lanes[place], at + count[place]
        if round_of[lane] == number:
            for entry in range(at, end):
                if node[entry] < num_lanes:
                    num_hops[lane] += 1
                else:
                    num_near[node[entry] - num_lanes] += 1
        at = end


@bare_kernel
def place_hops(
    lanes,
    count,
    node,
    distance,
    round_of,
    number,
    next_hop,
    hop_lane,
    hop_distance,
):
    """
    Put the lanes near each lane one after the other.

    Parameters
    ----------
    lanes, count
        ``(m,) int32`` and ``(m,) int64``: lanes, and the nodes listed for each.
    node
        ``(n,) int32``: these nodes, lane after lane.
    round_of, number
        ``(num_lanes,) int64``: the round in which each lane was searched last, and the
        round of these lists; others' lists stand for nothing.
    distance
        ``(n,) int64`` micro-CNY: from the lane to each node.
    next_hop
        ``(num_lanes,) int64``: place of each lane's next one; raised.
    hop_lane, hop_distance
        ``(k,) int32`` and ``(k,) int64`` micro-CNY: filled.
    """
    num_lanes = len(next_hop)
    at = 0
    for place in range(len(lanes)):
        lane, end = lanes[place], at + count[place]
        if round_of[lane] == number:
            to = next_hop[lane]
            for entry in range(at, end):
                if node[entry] < num_lanes:
                    hop_lane[to] = node[entry]
                    hop_distance[to] = distance[entry]
                    to += 1
            next_hop[lane] = to
        at = end


@bare_kernel
def place_near(
    lanes,
    count,
    node,
    distance,
    round_of,
    number,
    num_lanes,
    first_merchant,
    last_merchant,
    next_near,
    near_lane,
    near_distance,
):
    """
    Put the lanes that each of some merchants is near to one after the other.

    Parameters
    ----------
    lanes, count
        ``(m,) int32`` and ``(m,) int64``: lanes, and the nodes listed for each.
    node
        ``(n,) int32``: these nodes, lane after lane.
    round_of, number
        ``(num_lanes,) int64``: the round in which each lane was searched last, and the
        round of these lists; others' lists stand for nothing.
    num_lanes
        Nodes below this are lanes, the others merchants.
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``; others are left to others.
    distance
        ``(n,) int64`` micro-CNY: from the lane to each node.
    next_near
        ``(num_merchants,) int64``: place of each merchant's next one; raised.
    near_lane, near_distance
        ``(k,) int32`` and ``(k,) int64`` micro-CNY: filled.
    """
    at = 0
    first, last = num_lanes + first_merchant, num_lanes + last_merchant
    for place in range(len(lanes)):
        lane, end = lanes[place], at + count[place]
        if round_of[lane] == number:
            for entry in range(at, end):
                if first <= node[entry] < last:
                    merchant = node[entry] - num_lanes
                    to = next_near[merchant]
                    near_lane[to] = lane
                    near_distance[to] = distance[entry]
                    next_near[merchant] = to + 1
        at = end


@bare_kernel
def between_rows(hop_start, hop_lane, hop_distance, parent, down, up):
    """
    Find the distances between lanes and their parents among the lanes near lanes.

    Parameters
    ----------
    hop_start
        ``(num_lanes + 1,) int64``: first entry of each lane in the next two.
    hop_lane, hop_distance
        ``(k,) int32`` and ``(k,) int64`` micro-CNY: lanes near a lane.
    parent
        ``(num_lanes,) int32``: parent of each lane; -1 for none.
    down, up
        ``(num_lanes,) int64`` micro-CNY: filled where the parent lists the lane, and
        where the lane lists its parent.
    """
    for lane in range(len(parent)):
        for at in range(hop_start[lane], hop_start[lane + 1]):
            other = hop_lane[at]
            if parent[other] == lane:
                down[other] = hop_distance[at]
            if parent[lane] == other:
                up[lane] = hop_distance[at]
