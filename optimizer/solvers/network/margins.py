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
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import effective_price, least_slots
from optimizer.model.margins import (
    NO_END,
    AskedOrders,
    Interval,
    Margins,
)
from optimizer.solvers.market import Threads, split
from optimizer.solvers.network.exchanges import (
    OwnOrders,
    is_least,
    view_of,
    ways_of,
)
from optimizer.solvers.network.near_nodes import find_near

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution
    from optimizer.solvers.kernels.measure import Ways
    from optimizer.solvers.network.exchanges import Others, View
    from optimizer.solvers.network.near_nodes import Near

#: With fewer orders than this, threads cost more than they save.
FEW_ORDERS = 100_000
#: A distance that no list has.
_UNKNOWN = -1


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
    others = OwnOrders(problem, view.pick)
    if not is_least(problem, view, others):
        return None
    ways = ways_of(problem, view, others)
    asked = AskedOrders(
        problem.merchant_start,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
        view.pick,
    )
    with Threads(1 if problem.num_orders < FEW_ORDERS else num_threads) as pool:
        near = find_near(problem, ways, pool)
        reach = reach_of(problem, view, ways, near, pool)
        margins = measure_orders(problem.cap, asked, reach, pool)
        besides = None
        if beside is not None:
            besides = measure_orders(problem.cap, beside, reach, pool)
    return with_values(problem, view, reach, others, margins, besides)


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """
    How far lanes and merchants are from each other, at prices.

    Attributes
    ----------
    price, cut
        ``(num_lanes,)`` and ``(num_merchants,) int64``: effective lane prices, and the
        greatest cap prices that go with them, micro-CNY.
    ways, near
        Arcs and distances.
    exits
        From each merchant to the lanes that it uses.
    """

    price: NDArray[np.int64]
    cut: NDArray[np.int64]
    ways: Ways
    near: Near
    exits: Exits


@dataclass(frozen=True, slots=True, eq=False)
class Exits:
    """
    Where the freed places of merchants may go.

    Attributes
    ----------
    start, lane, distance
        Lanes that a merchant uses, and the shortest ways there over lanes that are
        listed: those of merchant ``m`` are ``start[m] : start[m + 1]``.
    beyond_front, beyond_ground
        ``(num_merchants,) int64``: shortest ways to nodes that are not listed, if they
        are as far as the searches went, and if they are the ground.
    """

    start: NDArray[np.int64]
    lane: NDArray[np.int32]
    distance: NDArray[np.int64]
    beyond_front: NDArray[np.int64]
    beyond_ground: NDArray[np.int64]


def reach_of(
    problem: Problem, view: View, ways: Ways, near: Near, pool: Threads
) -> Reach:
    """
    Put distances together, with the ways of each merchant to the lanes that it uses.

    Parameters
    ----------
    problem, view
        The night, or that part of it which its plan chooses, and the plan.
    ways, near
        Arcs and distances.
    pool
        Threads that share the merchants.
    """
    from optimizer.solvers.kernels.measure import find_exits

    order = np.flatnonzero(view.pick >= 0)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    used = np.unique(
        merchant * problem.num_lanes + problem.option_lane[view.pick[order]]
    )
    start = np.searchsorted(
        used, np.arange(problem.num_merchants + 1) * problem.num_lanes
    )
    exits = Exits(
        start=start.astype(np.int64),
        lane=(used % max(1, problem.num_lanes)).astype(np.int32),
        distance=np.zeros(len(used), np.int64),
        beyond_front=np.zeros(problem.num_merchants, np.int64),
        beyond_ground=np.zeros(problem.num_merchants, np.int64),
    )
    ends = split(exits.start)

    def work(part: int) -> None:
        find_exits(
            first_merchant=ends[part],
            last_merchant=ends[part + 1],
            ways=ways,
            front=near.front,
            hop_start=near.hop_start,
            hop_lane=near.hop_lane,
            hop_distance=near.hop_distance,
            exit_start=exits.start,
            exit_lane=exits.lane,
            exit_distance=exits.distance,
            beyond_front=exits.beyond_front,
            beyond_ground=exits.beyond_ground,
        )

    pool.each(work, len(ends) - 1)
    return Reach(view.price, view.cut, ways, near, exits)


def with_values(
    problem: Problem,
    view: View,
    reach: Reach,
    others: Others,
    order: Interval,
    beside: Interval | None = None,
) -> Margins:
    """
    Margins of orders, with what slots and places in caps are worth.

    Parameters
    ----------
    problem, view
        The night, or that part of it which its plan chooses, and the plan.
    reach
        Distances.
    others
        Who has the orders that are not chosen.
    order, beside
        Margins, as of :class:`~optimizer.model.margins.Margins`.
    """
    ways = reach.ways
    row_more, row_fewer = _row_values(problem, view, ways, reach.near)
    has_slot = least_slots(problem.slots, problem.lane_parent) > 0
    return Margins(
        order=order,
        beside=beside,
        row_more=row_more,
        row_fewer=row_fewer,
        around_more=view.price,
        around_fewer=np.where(has_slot, view.price + ways.lane_ground, NO_END),
        cap_more=_cap_more(problem, view, ways, others),
        cap_fewer=np.where(problem.cap == 0, NO_END, view.cut),
    )


def measure_orders(
    cap: NDArray[np.int64], asked: AskedOrders, reach: Reach, pool: Threads
) -> Interval:
    """
    Margins of some orders: exact where the searches reached far enough.

    Parameters
    ----------
    cap
        ``(num_merchants,) int64``: places in each merchant's cap.
    asked
        The orders.
    reach
        Distances, of these merchants and of all lanes.
    pool
        Threads that share the merchants.
    """
    measured = partial(_measured, cap, asked, reach)
    exits, ground = reach.exits, reach.ways.lane_ground
    high = measured(front=reach.near.front, beyond=exits.beyond_front, pool=pool)
    if np.array_equal(reach.near.front, ground):
        return Interval(high, high)
    low = measured(front=ground, beyond=exits.beyond_ground, pool=pool)
    # A nearer rest makes it easier to come in, and easier to be replaced.
    return Interval(np.minimum(low, high), np.maximum(low, high))


def _measured(
    cap: NDArray[np.int64],
    asked: AskedOrders,
    reach: Reach,
    *,
    front: NDArray[np.int64],
    beyond: NDArray[np.int64],
    pool: Threads,
) -> NDArray[np.int64]:
    """Margins if every node not listed for a lane, or a merchant, were this far."""
    from optimizer.solvers.kernels.measure import measure

    near, exits = reach.near, reach.exits
    margin = np.zeros(len(asked.pick), np.int64)
    ends = split(asked.option_start[asked.merchant_start])

    def work(part: int) -> None:
        measure(
            first_merchant=ends[part],
            last_merchant=ends[part + 1],
            merchant_start=asked.merchant_start,
            option_start=asked.option_start,
            option_lane=asked.option_lane,
            option_saving=asked.option_saving,
            pick=asked.pick,
            cap=cap,
            price=reach.price,
            cut=reach.cut,
            front=front,
            near_start=near.near_start,
            near_lane=near.near_lane,
            near_distance=near.near_distance,
            exit_start=exits.start,
            exit_lane=exits.lane,
            exit_distance=exits.distance,
            beyond=beyond,
            margin=margin,
        )

    pool.each(work, len(ends) - 1)
    return margin


def _row_values(
    problem: Problem, view: View, ways: Ways, near: Near
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Value of one more slot in each lane alone, and cost of one fewer."""
    from optimizer.solvers.kernels.near import between_rows

    parent, ground = problem.lane_parent, ways.lane_ground
    is_whole = near.front == ground
    is_root = parent < 0
    # From the ground a lane in use is reached at no cost.
    down, up = np.full((2, problem.num_lanes), _UNKNOWN)
    between_rows(
        hop_start=near.hop_start,
        hop_lane=near.hop_lane,
        hop_distance=near.hop_distance,
        parent=parent,
        down=down,
        up=up,
    )
    is_down_known = is_root | is_whole[parent] | (down != _UNKNOWN)
    is_up_known = is_root | is_whole | (up != _UNKNOWN)
    down = np.where(is_root, 0, np.where(down == _UNKNOWN, ground[parent], down))
    up = np.where(up == _UNKNOWN, ground, up)
    own = view.price - np.where(is_root, 0, view.price[parent])
    is_full = view.flow == problem.slots
    more = np.where(is_full, np.maximum(own - down, 0), 0)
    more[is_full & (own > 0) & ~is_down_known] = NO_END
    fewer = np.where(is_full, own + up, 0)
    fewer[(problem.slots == 0) | (is_full & ~is_up_known)] = NO_END
    return more, fewer


def _cap_more(
    problem: Problem, view: View, ways: Ways, others: Others
) -> NDArray[np.int64]:
    """Value of one more place in each cap."""
    is_full = (view.used == problem.cap) & (problem.cap > 0)
    more = np.where(is_full, view.cut - ways.merchant_ground, 0)
    if np.all(problem.cap > 0):
        return more
    return np.maximum(more, others.first_places(view, ways.lane_ground))
