r"""
Exact margins and slot values, from shortest paths in the residual graph.

Forcing an order in costs the shortest path from its lane back to its merchant; leaving
one out costs the shortest path from its merchant to its lane. At the least prices that
prove the plan, with the greatest cap prices that go with them, every arc costs at least
0, and the ground (free slots and places) reaches each node in use at no cost. So only
paths shorter than the one to the ground have to be found: a search from each lane that
ends there.

With effective lane prices :math:`p`, cap prices :math:`\mu`, distances :math:`d`:

.. math::

   \text{not chosen:}&\quad
      -\min_{a \in A(i)} \bigl(\mu_m + p_{\ell(a)} - s_a + d(\ell(a), m)\bigr) \\
   \text{chosen:}&\quad s_{k_j} - p_{\ell(k_j)} - \mu_m + d(m, \ell(k_j))

One more slot in a lane and all its ancestors is worth :math:`p`; one fewer costs
:math:`p + d(\ell, \text{ground})`. For the lane alone, the path between the lane and
its parent counts.

References
----------
Ahuja, R. K., Magnanti, T. L., Orlin, J. B. (1993). Network Flows, section 9.11
(sensitivity analysis). Prentice Hall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optimizer.model.lane_tree import effective_price, least_slots
from optimizer.model.margins import (
    NO_END,
    AskedOrders,
    Interval,
    Margins,
    most_near,
)
from optimizer.solvers.market import Threads, running
from optimizer.solvers.network.exchanges import is_least, view_of, ways_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution
    from optimizer.solvers.kernels.measure import Ways
    from optimizer.solvers.network.exchanges import View

#: Lanes that a thread searches at a time, and nodes that its list holds at first.
LANES_AT_ONCE, NEAR_AT_FIRST = 256, 2**14
#: With fewer orders than this, threads cost more than they save.
FEW_ORDERS = 100_000


def find_margins(
    problem: Problem,
    solution: Solution,
    beside: AskedOrders | None = None,
    num_threads: int | None = None,
) -> Margins | None:
    """
    Find the margin of every order, and the value of one slot more and fewer.

    Parameters
    ----------
    problem
        A night of the network class.
    solution
        Its optimum, with prices that prove it.
    beside
        Orders that are not in the problem, and whose margins are asked as well.
    num_threads
        ``None``: one for each core. Never changes a margin.

    Returns
    -------
    Margins
        ``None`` where the prices are not the least that prove the plan.

    Raises
    ------
    SolveError
        When they do not prove it at all.
    """
    price = effective_price(solution.lane_price, problem.lane_parent)
    view = view_of(problem, solution.chosen, price)
    if not is_least(problem, view):
        return None
    ways = ways_of(problem, view)
    near = _search(problem, ways, num_threads)
    asked = AskedOrders(
        problem.merchant_start,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
        view.pick,
    )
    row_more, row_fewer = _row_values(problem, view, ways, near)
    has_slot = least_slots(problem.slots, problem.lane_parent) > 0
    return Margins(
        order=_measure(problem, asked, view, ways, near),
        beside=None if beside is None else _measure(problem, beside, view, ways, near),
        row_more=row_more,
        row_fewer=row_fewer,
        around_more=view.price,
        around_fewer=np.where(has_slot, view.price + ways.lane_ground, NO_END),
        cap_more=_cap_more(problem, view, ways),
        cap_fewer=np.where(problem.cap == 0, NO_END, view.cut),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """
    Nodes that are nearer to each lane than the ground.

    Attributes
    ----------
    front
        ``(num_lanes,) int64``: how far a lane's search went; what is not listed for a
        lane is at least as far away.
    source, target, distance
        ``(n,)``: lanes, nodes, and the shortest way between them.
    """

    front: NDArray[np.int64]
    source: NDArray[np.int32]
    target: NDArray[np.int32]
    distance: NDArray[np.int64]


def _search(problem: Problem, ways: Ways, num_threads: int | None) -> Near:
    """Search from all lanes; those with many near nodes use room left by others."""
    front = np.empty(problem.num_lanes, np.int64)
    lanes, most = np.arange(problem.num_lanes, dtype=np.int32), 0
    found = [Piece(lanes[:0], lanes[:0], front[:0])]
    with Threads(1 if problem.num_orders < FEW_ORDERS else num_threads) as pool:
        while len(lanes) and most_near(len(lanes)) > most:
            most = most_near(len(lanes))
            is_again = np.zeros(problem.num_lanes, np.bool_)
            is_again[lanes] = True
            found = [_only(piece, ~is_again[piece.source]) for piece in found]
            found += _search_all(ways, lanes, most, front, pool)
            lanes = lanes[front[lanes] < ways.lane_ground[lanes]]
    source, target, distance = map(np.concatenate, zip(*found, strict=True))
    return Near(front, source, target, distance)


class Piece(NamedTuple):
    """Near nodes of some lanes: ``(n,)`` lanes, nodes, and distances."""

    source: NDArray[np.int32]
    target: NDArray[np.int32]
    distance: NDArray[np.int64]


def _only(piece: Piece, is_kept: NDArray[np.bool_]) -> Piece:
    source, target, distance = piece
    return Piece(source[is_kept], target[is_kept], distance[is_kept])


def _search_all(
    ways: Ways,
    lanes: NDArray[np.int32],
    most: int,
    front: NDArray[np.int64],
    pool: Threads,
) -> list[Piece]:
    """Search from some lanes; sources, targets and distances, in pieces."""

    def work(part: int) -> list[Piece]:
        first = part * LANES_AT_ONCE
        return _search_some(ways, lanes[first : first + LANES_AT_ONCE], most, front)

    found = pool.each(work, -(-len(lanes) // LANES_AT_ONCE))
    return [piece for each in found for piece in each]


def _search_some(
    ways: Ways, lanes: NDArray[np.int32], most: int, front: NDArray[np.int64]
) -> list[Piece]:
    """Search from lanes one after the other; ``front`` takes how far each went."""
    from optimizer.solvers.kernels.dijkstra import new_search
    from optimizer.solvers.kernels.measure import search_lanes

    search = new_search(len(front) + len(ways.merchant_ground) + 1)
    near = np.empty((2, NEAR_AT_FIRST), np.int64)
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
            near=near,
        )
        source = np.repeat(lanes[:num_done], count[:num_done])
        node, distance = near[:, : len(source)]
        pieces.append(Piece(source, node.astype(np.int32), distance.copy()))
        if num_done == 0:
            near = np.empty((2, 2 * near.shape[1]), np.int64)
        lanes = lanes[num_done:]
    return pieces


def _measure(
    problem: Problem, asked: AskedOrders, view: View, ways: Ways, near: Near
) -> Interval:
    """Margins of some orders: exact where the searches reached far enough."""
    high = _measured(problem, asked, view, ways, near, near.front)
    if np.array_equal(near.front, ways.lane_ground):
        return Interval(high, high)
    low = _measured(problem, asked, view, ways, near, ways.lane_ground)
    # A nearer rest makes it easier to come in, and easier to be replaced.
    return Interval(np.minimum(low, high), np.maximum(low, high))


def _measured(
    problem: Problem,
    asked: AskedOrders,
    view: View,
    ways: Ways,
    near: Near,
    front: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Margins if every node not listed for a lane were this far from it."""
    from optimizer.solvers.kernels.measure import measure

    margin = np.zeros(len(asked.pick), np.int64)
    is_lane = near.target < problem.num_lanes
    hop, by = np.flatnonzero(is_lane), np.flatnonzero(~is_lane)
    # Lanes that were searched again stand at the end.
    hop = hop[np.argsort(near.source[hop], kind="stable")]
    merchant = near.target[by] - problem.num_lanes
    by = by[np.argsort(merchant, kind="stable")]
    measure(
        ways=ways,
        merchant_start=asked.merchant_start,
        option_start=asked.option_start,
        option_lane=asked.option_lane,
        option_saving=asked.option_saving,
        pick=asked.pick,
        cap=problem.cap,
        price=view.price,
        cut=view.cut,
        front=front,
        near_start=running(np.bincount(merchant, minlength=problem.num_merchants)),
        near_lane=near.source[by],
        near_distance=near.distance[by],
        hop_start=running(np.bincount(near.source[hop], minlength=problem.num_lanes)),
        hop_lane=near.target[hop],
        hop_distance=near.distance[hop],
        margin=margin,
    )
    return margin


def _row_values(
    problem: Problem, view: View, ways: Ways, near: Near
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Value of one more slot in each lane alone, and cost of one fewer."""
    parent, lane = problem.lane_parent, np.arange(problem.num_lanes)
    above = np.where(parent >= 0, view.price[parent], 0)
    own = view.price - above
    is_full = view.flow == problem.slots
    down, is_down_known = _between(near, ways, parent, lane)
    up, is_up_known = _between(near, ways, lane, parent)
    more = np.where(is_full, np.maximum(own - down, 0), 0)
    more[is_full & (own > 0) & ~is_down_known] = NO_END
    fewer = np.where(is_full, own + up, 0)
    fewer[(problem.slots == 0) | (is_full & ~is_up_known)] = NO_END
    return more, fewer


def _between(
    near: Near, ways: Ways, source: NDArray[Any], target: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """
    Distances between lanes and their parents (-1: the ground), and which are known.

    From the ground a lane in use is reached at no cost.
    """
    num_lanes = len(near.front)
    is_whole = near.front == ways.lane_ground
    distance = np.where(source >= 0, ways.lane_ground[source], 0)
    is_known = (source < 0) | (target < 0) | is_whole[source]
    inner = np.flatnonzero((source >= 0) & (target >= 0))
    if len(inner) == 0:
        return distance, is_known
    hop = np.flatnonzero(near.target < num_lanes)
    found = near.source[hop].astype(np.int64) * num_lanes + near.target[hop]
    key = source[inner].astype(np.int64) * num_lanes + target[inner]
    by = np.argsort(key)
    place = np.minimum(np.searchsorted(key[by], found), len(key) - 1)
    is_hit = key[by][place] == found
    there = inner[by[place[is_hit]]]
    distance[there] = near.distance[hop[is_hit]]
    is_known[there] = True
    return distance, is_known


def _cap_more(problem: Problem, view: View, ways: Ways) -> NDArray[np.int64]:
    """Value of one more place in each cap."""
    from optimizer.solvers.kernels.measure import best_without_cap

    is_full = (view.used == problem.cap) & (problem.cap > 0)
    more = np.where(is_full, view.cut - ways.merchant_ground, 0)
    best_without_cap(
        merchant_start=problem.merchant_start,
        option_start=problem.option_start,
        option_lane=problem.option_lane,
        option_saving=problem.option_saving,
        cap=problem.cap,
        price=view.price,
        lane_ground=ways.lane_ground,
        more=more,
    )
    return more
