"""
Nodes that are nearer to each lane than the ground, by lane and by merchant.

Searches are lane by lane, on all cores. Each keeps what it found, so that neither lists
nor their lanes are copied before they are dealt out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.model.margins import most_near
from optimizer.solvers.market import running

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.kernels.measure import Ways
    from optimizer.solvers.market import Threads

#: Lanes that a thread searches at a time, and nodes that its list holds at first.
LANES_AT_ONCE, NEAR_AT_FIRST = 256, 2**14


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """
    Nodes that are nearer to each lane than the ground.

    Attributes
    ----------
    front
        ``(num_lanes,) int64``: how far a lane's search went; what is not listed for a
        lane is at least as far away.
    hop_start, hop_lane, hop_distance
        Lanes near a lane and the shortest ways to them: those of lane ``i`` are
        ``hop_start[i] : hop_start[i + 1]``.
    near_start, near_lane, near_distance
        Lanes that a merchant is near to, likewise, and the shortest ways from them.
    """

    front: NDArray[np.int64]
    hop_start: NDArray[np.int64]
    hop_lane: NDArray[np.int32]
    hop_distance: NDArray[np.int64]
    near_start: NDArray[np.int64]
    near_lane: NDArray[np.int32]
    near_distance: NDArray[np.int64]


class Piece(NamedTuple):
    """
    Near nodes of some lanes.

    Attributes
    ----------
    lanes, num_listed
        ``(m,) int32`` and ``(m,) int64``: lanes, and the nodes listed for each.
    node, distance
        ``(n,) int32`` and ``(n,) int64`` micro-CNY: nodes, lane after lane.
    number
        The round that listed them.
    """

    lanes: NDArray[np.int32]
    num_listed: NDArray[np.int64]
    node: NDArray[np.int32]
    distance: NDArray[np.int64]
    number: int


def find_near(problem: Problem, ways: Ways, pool: Threads) -> Near:
    """
    Search from all lanes; those with many near nodes use room left by others.

    Parameters
    ----------
    problem, ways
        The night, and the arcs that can be on short paths.
    pool
        Threads that share the lanes; they never change what is found.
    """
    front = np.empty(problem.num_lanes, np.int64)
    round_of = np.zeros(problem.num_lanes, np.int64)
    lanes, most, number = np.arange(problem.num_lanes, dtype=np.int32), 0, 0
    found: list[Piece] = []
    while len(lanes) and most_near(len(lanes)) > most:
        most, number = most_near(len(lanes)), number + 1
        round_of[lanes] = number
        found += _search_all(ways, lanes, most, front, number, pool)
        lanes = lanes[front[lanes] < ways.lane_ground[lanes]]
    return _dealt(problem, front, round_of, found, pool)


def _dealt(
    problem: Problem,
    front: NDArray[np.int64],
    round_of: NDArray[np.int64],
    found: list[Piece],
    pool: Threads,
) -> Near:
    """Lists by lane and by merchant, of each lane the last round's."""
    from optimizer.solvers.kernels.near import count_near, place_hops, place_near

    num_lanes = problem.num_lanes
    num_hops = np.zeros(num_lanes, np.int64)
    num_near = np.zeros(problem.num_merchants, np.int64)
    for piece in found:
        count_near(
            lanes=piece.lanes,
            count=piece.num_listed,
            node=piece.node,
            round_of=round_of,
            number=piece.number,
            num_lanes=num_lanes,
            num_hops=num_hops,
            num_near=num_near,
        )
    hop_start, near_start = running(num_hops), running(num_near)
    hop_lane, near_lane = (
        np.empty(int(start[-1]), np.int32) for start in (hop_start, near_start)
    )
    hop_distance, near_distance = (
        np.empty(int(start[-1]), np.int64) for start in (hop_start, near_start)
    )
    next_hop, next_near = hop_start[:-1].copy(), near_start[:-1].copy()
    # Merchants are dealt by two threads, each looking for its own in all lists.
    half = int(np.searchsorted(near_start, near_start[-1] // 2))
    shares = ((0, half), (half, problem.num_merchants))

    def deal(part: int) -> None:
        for piece in found:
            given = {
                "lanes": piece.lanes,
                "count": piece.num_listed,
                "node": piece.node,
                "distance": piece.distance,
                "round_of": round_of,
                "number": piece.number,
            }
            if part == len(shares):
                place_hops(
                    **given,
                    next_hop=next_hop,
                    hop_lane=hop_lane,
                    hop_distance=hop_distance,
                )
            else:
                first_merchant, last_merchant = shares[part]
                place_near(
                    **given,
                    num_lanes=num_lanes,
                    first_merchant=first_merchant,
                    last_merchant=last_merchant,
                    next_near=next_near,
                    near_lane=near_lane,
                    near_distance=near_distance,
                )

    pool.each(deal, len(shares) + 1)
    return Near(
        front=front,
        hop_start=hop_start,
        hop_lane=hop_lane,
        hop_distance=hop_distance,
        near_start=near_start,
        near_lane=near_lane,
        near_distance=near_distance,
    )


def _search_all(
    ways: Ways,
    lanes: NDArray[np.int32],
    most: int,
    front: NDArray[np.int64],
    number: int,
    pool: Threads,
) -> list[Piece]:
    """Search from some lanes, in pieces."""

    def work(part: int) -> list[Piece]:
        first = part * LANES_AT_ONCE
        some = lanes[first : first + LANES_AT_ONCE]
        return _search_some(ways, some, most, front, number)

    found = pool.each(work, -(-len(lanes) // LANES_AT_ONCE))
    return [piece for each in found for piece in each]


def _search_some(
    ways: Ways,
    lanes: NDArray[np.int32],
    most: int,
    front: NDArray[np.int64],
    number: int,
) -> list[Piece]:
    """Search from lanes one after the other; ``front`` takes how far each went."""
    from optimizer.solvers.kernels.dijkstra import new_search
    from optimizer.solvers.kernels.near import search_lanes

    search = new_search(len(front) + len(ways.merchant_ground) + 1)
    size = NEAR_AT_FIRST
    node, distance = np.empty(size, np.int32), np.empty(size, np.int64)
    pieces = []
    while len(lanes):
        count = np.zeros(len(lanes), np.int64)
        num_done = search_lanes(
            ways=ways,
            search=search,
            lanes=lanes,
            most=most,
            front=front,
            count=count,
            near_node=node,
            near_distance=distance,
        )
        done = count[:num_done]
        used = int(done.sum())
        listed = (node[:used].copy(), distance[:used].copy())
        pieces.append(Piece(lanes[:num_done], done, *listed, number))
        if num_done == 0:
            size *= 2
            node, distance = np.empty(size, np.int32), np.empty(size, np.int64)
        lanes = lanes[num_done:]
    return pieces
