"""Kernels of Dijkstra's search: a heap of nodes with the position of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.kernel_cache import bare_kernel


class PathSearch(NamedTuple):
    """Scratch of a search: distances, predecessors, and a heap with positions."""

    distance: NDArray[np.int64]
    from_node: NDArray[np.int32]
    from_option: NDArray[np.int64]
    heap: NDArray[np.int32]
    place: NDArray[np.int32]
    touched: NDArray[np.int32]
    counts: NDArray[np.int64]


@bare_kernel
def relax(search, node, distance, from_node, from_option):
    """
    Offer a node a shorter path; ``place`` is -1 unseen, -2 done, else in the heap.

    Parameters
    ----------
    search
        The search; changed in place.
    node
        The node that is offered a path.
    distance
        Length of the path, micro-CNY.
    from_node, from_option
        The path's last node before this one, and the option of its last arc; -1 for
        none.
    """
    heap, place = search.heap, search.place
    at = place[node]
    if at == -2 or (at >= 0 and search.distance[node] <= distance):
        return
    if at < 0:
        at = search.counts[0]
        search.counts[0] += 1
        search.touched[search.counts[1]] = node
        search.counts[1] += 1
    search.distance[node] = distance
    search.from_node[node] = from_node
    search.from_option[node] = from_option
    while at > 0:
        above = (at - 1) >> 1
        other = heap[above]
        if search.distance[other] <= distance:
            break
        heap[at] = other
        place[other] = at
        at = above
    heap[at] = node
    place[node] = at


@bare_kernel
def nearest(search):
    """Remove the nearest node from the heap; -1 where it is empty."""
    heap, place = search.heap, search.place
    if search.counts[0] == 0:
        return np.int64(-1)
    top = np.int64(heap[0])
    place[top] = -2
    search.counts[0] -= 1
    count = search.counts[0]
    if count == 0:
        return top
    node = heap[count]
    distance = search.distance[node]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= count:
            break
        if (
            below + 1 < count
            and search.distance[heap[below + 1]] < search.distance[heap[below]]
        ):
            below += 1
        if search.distance[heap[below]] >= distance:
            break
        heap[at] = heap[below]
        place[heap[at]] = at
        at = below
    heap[at] = node
    place[node] = at
    return top


@bare_kernel
def forget(search):
    """Make the scratch ready for another search."""
    for at in range(search.counts[1]):
        search.place[search.touched[at]] = -1
    search.counts[0] = 0
    search.counts[1] = 0


def new_search(num_nodes: int) -> PathSearch:
    """Scratch for searches over so many nodes."""
    return PathSearch(
        distance=np.empty(num_nodes, np.int64),
        from_node=np.empty(num_nodes, np.int32),
        from_option=np.empty(num_nodes, np.int64),
        heap=np.empty(num_nodes, np.int32),
        place=np.full(num_nodes, -1, np.int32),
        touched=np.empty(num_nodes, np.int32),
        counts=np.zeros(2, np.int64),
    )
