r"""
Margins computed independently of the solver: rounds of relaxation, in plain numpy.

The solver searches from each lane; here the distances of all pairs (lane, node) are
found at once (:mod:`optimizer.certify.exchanges`). Margins and slot values are then
sums of prices and distances: forcing an order in costs the path from its lane back to
its merchant, leaving one out costs the path from its merchant to its lane.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.certify.exchanges import (
    Pairs,
    all_pairs,
    exchanges_of,
    follow,
    is_least,
    least,
    look_up,
    sorted_arcs,
    to_ground,
)
from optimizer.model.lane_tree import least_slots
from optimizer.model.margins import (
    NO_END,
    AskedOrders,
    Interval,
    Margins,
    most_near,
)
from optimizer.model.reduced_savings import BLOCK_ORDERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.certify.exchanges import Exchanges
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution


def margins_again(
    problem: Problem, solution: Solution, beside: AskedOrders | None = None
) -> Margins | None:
    """
    Margins and slot values of an optimal plan, from plan and prices alone.

    Parameters
    ----------
    problem
        A night of the network class.
    solution
        A plan and prices that prove each other.
    beside
        Orders that are not in the problem and whose margins are wanted too.

    Returns
    -------
    Margins
        ``None`` where the prices are not the least that prove the plan.
    """
    night = exchanges_of(problem, solution)
    if not is_least(night):
        return None
    ground = to_ground(night)
    pairs, front = _ended(all_pairs(night, ground), ground, night)
    asked = AskedOrders(
        problem.merchant_start,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
        night.pick,
    )
    ends = _Ends(front, ground)
    row_more, row_fewer = _alone(night, pairs, ends)
    lanes, has_slot = (
        ground[: night.num_lanes],
        least_slots(problem.slots, problem.lane_parent),
    )
    return Margins(
        order=_interval(night, asked, pairs, ends),
        beside=None if beside is None else _interval(night, beside, pairs, ends),
        row_more=row_more,
        row_fewer=row_fewer,
        around_more=night.price,
        around_fewer=np.where(has_slot > 0, night.price + lanes, NO_END),
        cap_more=_one_more_cap(night, ground),
        cap_fewer=np.where(problem.cap == 0, NO_END, night.cut),
    )


class _Ends(NamedTuple):
    """How far each lane's search went, and how far each node is from the ground."""

    front: NDArray[np.int64]
    ground: NDArray[np.int64]


def _ended(
    pairs: Pairs, ground: NDArray[np.int64], night: Exchanges
) -> tuple[Pairs, NDArray[np.int64]]:
    """Drop pairs beyond each lane's limit, and return how far each search went."""
    front = ground[: night.num_lanes].copy()
    source = pairs.key // night.num_nodes
    by = np.lexsort((pairs.distance, source))
    start = np.searchsorted(source[by], np.arange(night.num_lanes + 1))
    count = np.diff(start)
    lanes, most = np.arange(night.num_lanes), 0
    while len(lanes) and most_near(len(lanes)) > most:
        most = most_near(len(lanes))
        lanes = lanes[count[lanes] > most]
    front[lanes] = pairs.distance[by][start[lanes] + most]
    is_in = pairs.distance < front[source]
    return Pairs(pairs.key[is_in], pairs.distance[is_in]), front


def _interval(
    night: Exchanges,
    asked: AskedOrders,
    pairs: Pairs,
    ends: _Ends,
) -> Interval:
    """Margins of some orders; exact where no search was cut short."""
    front, ground = ends
    near = _margins(night, asked, pairs, ends)
    if np.array_equal(front, ground[: night.num_lanes]):
        return Interval(near, near)
    far = _margins(night, asked, pairs, _Ends(ground[: night.num_lanes], ground))
    return Interval(np.minimum(near, far), np.maximum(near, far))


def _margins(
    night: Exchanges,
    asked: AskedOrders,
    pairs: Pairs,
    ends: _Ends,
) -> NDArray[np.int64]:
    """Margins if every unknown distance were ``front``."""
    front, ground = ends
    problem, margin = night.problem, np.full(len(asked.pick), NO_END)
    swaps, elsewhere = _swaps(night, pairs), _left(night, front, ground)
    for first in range(0, len(asked.pick), BLOCK_ORDERS):
        last = min(first + BLOCK_ORDERS, len(asked.pick))
        start = asked.option_start[first : last + 1]
        option = np.arange(start[0], start[-1])
        order = np.repeat(np.arange(last - first), np.diff(start))
        block = np.arange(first, last)
        owner = np.searchsorted(asked.merchant_start, block, side="right") - 1
        merchant, lane = owner[order], asked.option_lane[option].astype(np.int64)
        cost = night.cut[merchant] + night.price[lane] - asked.option_saving[option]
        key = lane * night.num_nodes + night.num_lanes + merchant
        reach = look_up(pairs, key, front[lane])
        can = np.flatnonzero((reach < NO_END) & (problem.cap[merchant] > 0))
        need = np.full(last - first, NO_END)
        np.minimum.at(need, order[can], (cost + reach)[can])
        margin[first:last] = np.where(need == NO_END, NO_END, -need)
        pick = asked.pick[first:last]
        held = np.flatnonzero(pick >= 0)
        mine, at = owner[held], pick[held] - start[0]
        pair = mine * night.num_lanes + lane[at]
        left = elsewhere[mine]
        margin[first + held] = np.minimum(look_up(swaps, pair, left), left) - cost[at]
    return margin


def _left(
    night: Exchanges, front: NDArray[np.int64], ground: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Distance of each merchant to the nodes with unknown distances."""
    left = ground[night.num_lanes : -1].copy()
    merchant = np.repeat(np.arange(len(left)), np.diff(night.rivals.start))
    np.minimum.at(left, merchant, night.rivals.cost + front[night.rivals.target])
    return left


def _swaps(night: Exchanges, pairs: Pairs) -> Pairs:
    """Paths from merchants to lanes by way of one rival order, by merchant and lane."""
    source, node = np.divmod(pairs.key, night.num_nodes)
    is_hop = node < night.num_lanes
    hops = sorted_arcs(
        source[is_hop], node[is_hop], pairs.distance[is_hop], night.num_lanes
    )
    rivals = night.rivals
    merchant = np.repeat(np.arange(len(night.cut)), np.diff(rivals.start))
    far = np.full(len(merchant), NO_END)
    whose, hop = follow(hops, rivals.target, far)
    key = merchant[whose] * night.num_lanes + hops.target[hop]
    way = rivals.cost[whose] + hops.cost[hop]
    return least(Pairs(key, way))


def _alone(
    night: Exchanges,
    pairs: Pairs,
    ends: _Ends,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Value of one more and of one fewer slot in each lane alone."""
    front, ground = ends
    problem, lane = night.problem, np.arange(night.num_lanes)
    parent = problem.lane_parent.astype(np.int64)
    above = np.where(parent >= 0, night.price[parent], 0)
    own, is_full = night.price - above, night.flow == problem.slots
    down, up = (
        look_up(pairs, one * night.num_nodes + other, np.full(len(lane), NO_END))
        for one, other in ((np.maximum(parent, 0), lane), (lane, np.maximum(parent, 0)))
    )
    is_inner = parent >= 0
    is_whole = front == ground[: night.num_lanes]
    is_down = ~is_inner | (down < NO_END) | is_whole[parent]
    is_up = ~is_inner | (up < NO_END) | is_whole
    down = np.where(is_inner, np.minimum(down, ground[parent]), 0)
    up = np.where(is_inner & (up < NO_END), up, ground[: night.num_lanes])
    more = np.where(is_full, np.maximum(own - down, 0), 0)
    more[is_full & (own > 0) & ~is_down] = NO_END
    fewer = np.where(is_full, own + up, 0)
    fewer[(problem.slots == 0) | (is_full & ~is_up)] = NO_END
    return more, fewer


def _one_more_cap(night: Exchanges, ground: NDArray[np.int64]) -> NDArray[np.int64]:
    """Value of one more place in each cap."""
    problem = night.problem
    more = np.where(
        night.used == problem.cap, night.cut - ground[night.num_lanes : -1], 0
    )
    for merchant in np.flatnonzero(problem.cap == 0).tolist():
        order = slice(*problem.merchant_start[merchant : merchant + 2].tolist())
        first, last = problem.option_start[[order.start, order.stop]].tolist()
        lane = problem.option_lane[first:last]
        worth = problem.option_saving[first:last] - night.price[lane]
        more[merchant] = (worth - ground[lane]).max(initial=0)
    return more
