r"""
Margins again, by another road than the solver's: rounds of relaxation, in plain numpy.

What the solver finds by a search from each lane is found here for all lanes at once, as
a table of pairs (lane, node) with a distance. Each round follows the arcs of the pairs
that came nearer in the last one and keeps what is nearer than before, until nothing is
(Bellman, Ford). Pairs that are no nearer than the ground are left out: at the least
prices that prove the plan, the ground reaches each node in use for nothing.

The arcs, with effective lane prices :math:`p`, and :math:`\mu_m` the least
:math:`s - p` of a full merchant's chosen orders, 0 with room in the cap:

==================  ==================  =========================  =====================
from                to                  at                         where
==================  ==================  =========================  =====================
lane of :math:`j`   its merchant        :math:`s_j - p - \mu`      :math:`j` is chosen
lane of :math:`j`   lane of another     :math:`(s_j - p) -         :math:`j` is chosen
                    of its options      (s' - p')`
merchant            lane                :math:`\mu + p - s`        not chosen
merchant            ground              :math:`\mu`                it has chosen ones
lane                the lane around it  :math:`p' - p`             the lane has slack
lane                a lane within it    :math:`p' - p`             that one is in use
==================  ==================  =========================  =====================

(The ground is around the outermost lanes, at a price of 0.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.margins import (
    NO_END,
    AskedOrders,
    Interval,
    Margins,
    explored_orders,
    most_near,
)
from optimizer.model.reduced import BLOCK_ORDERS
from optimizer.model.tree import effective_price, lane_use, least_slots

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.experiment import Pool
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution

#: Pairs whose arcs are followed at a time; bounds the memory of a round.
PAIRS_AT_ONCE = 200_000


def margins_again(
    problem: Problem, solution: Solution, explored: Pool | None
) -> Margins | None:
    """
    Margins and slot values of an optimal plan, from plan and prices alone.

    Parameters
    ----------
    problem
        A night of the network class.
    solution
        A plan and prices that prove each other.
    explored
        Orders of the explore arm, which are not in the problem.

    Returns
    -------
    Margins
        ``None`` where the prices are not the least that prove the plan.
    """
    night = _read(problem, solution)
    if not _is_least(night):
        return None
    ground = _to_ground(night)
    pairs, front = _ended(_all_pairs(night, ground), ground, night)
    asked = AskedOrders(
        problem.merchant_start,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
        night.pick,
    )
    arm, place = explored_orders(problem, explored)
    order, beside = (
        _interval(night, some, pairs, (front, ground)) for some in (asked, arm)
    )
    back = np.argsort(place)
    row_more, row_fewer = _alone(night, pairs, (front, ground))
    lanes, has_slot = (
        ground[: night.num_lanes],
        least_slots(problem.slots, problem.lane_parent),
    )
    return Margins(
        order,
        Interval(beside.low[back], beside.high[back]),
        row_more,
        row_fewer,
        night.price,
        np.where(has_slot > 0, night.price + lanes, NO_END),
        _one_more_cap(night, ground),
        np.where(problem.cap == 0, NO_END, night.cut),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Arcs:
    """Arcs by source, cheapest first; ``start`` by node."""

    start: NDArray[np.int64]
    target: NDArray[np.int64]
    cost: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Night:
    """A plan at its prices, and what can be exchanged: lanes, merchants, the ground."""

    problem: Problem
    price: NDArray[np.int64]
    cut: NDArray[np.int64]
    pick: NDArray[np.int64]
    used: NDArray[np.int64]
    flow: NDArray[np.int64]
    from_lanes: _Arcs
    rivals: _Arcs
    free: _Arcs

    @property
    def num_lanes(self) -> int:
        return self.problem.num_lanes

    @property
    def num_nodes(self) -> int:
        return self.problem.num_lanes + self.problem.num_merchants + 1


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Distances that are known, by ``source * num_nodes + node``, ascending."""

    key: NDArray[np.int64]
    distance: NDArray[np.int64]


def _read(problem: Problem, solution: Solution) -> _Night:
    """Lay the graph out."""
    price = effective_price(solution.lane_price, problem.lane_parent)
    chosen, num_lanes = solution.chosen, problem.num_lanes
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    worth = problem.option_saving[chosen] - price[problem.option_lane[chosen]]
    used = np.bincount(merchant, minlength=problem.num_merchants)
    cut = np.zeros(problem.num_merchants, np.int64)
    by = np.lexsort((-worth, merchant))
    cut[merchant[by]] = worth[by]
    cut[used < problem.cap] = 0
    pick = np.full(problem.num_orders, -1, np.int64)
    pick[order] = chosen
    flow = lane_use(problem.option_lane[chosen], problem.lane_parent)
    # A rival that costs as much as the ground is on no shorter way.
    limit = np.where(used > 0, cut, 0)
    rivals, free = _rivals(problem, (price, cut, pick), limit)
    lanes = _lane_arcs(problem, (chosen, order, merchant), (price, cut, flow))
    arcs = _sorted(*lanes, num_lanes)
    return _Night(problem, price, cut, pick, used, flow, arcs, rivals, free)


def _rivals(
    problem: Problem,
    plan: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    limit: NDArray[np.int64],
) -> tuple[_Arcs, _Arcs]:
    """Arcs from merchants below a limit each, and those that cost nothing."""
    price, cut, pick = plan
    found = []
    for first in range(0, problem.num_orders, BLOCK_ORDERS):
        last = min(first + BLOCK_ORDERS, problem.num_orders)
        start = problem.option_start[first : last + 1]
        option = np.arange(start[0], start[-1])
        order = np.repeat(np.arange(first, last), np.diff(start))
        merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
        lane = problem.option_lane[option]
        cost = cut[merchant] + price[lane] - problem.option_saving[option]
        is_out = (pick[order] < 0) & (problem.cap[merchant] > 0)
        near = np.flatnonzero(is_out & ((cost < limit[merchant]) | (cost == 0)))
        found.append((merchant[near], lane[near], cost[near]))
    none = [(np.zeros(0, np.int64),) * 3]
    parts = zip(*(found or none), strict=True)
    merchant, lane, cost = (np.concatenate(part) for part in parts)
    below, nothing = cost < limit[merchant], cost == 0
    count = problem.num_merchants
    return (
        _sorted(merchant[below], lane[below], cost[below], count),
        _sorted(merchant[nothing], lane[nothing], cost[nothing], count),
    )


def _lane_arcs(
    problem: Problem,
    plan: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    prices: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Sources, targets and costs of all arcs that leave lanes."""
    (chosen, order, merchant), (price, cut, flow) = plan, prices
    num_lanes, parent = problem.num_lanes, problem.lane_parent
    lane = problem.option_lane[chosen]
    worth = problem.option_saving[chosen] - price[lane]
    first, last = problem.option_start[order], problem.option_start[order + 1]
    own, other = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for step in range(int((last - first).max(initial=0))):
        option = first + step
        there = np.flatnonzero((option < last) & (option != chosen))
        own.append(there)
        other.append(option[there])
    mine, option = np.concatenate(own), np.concatenate(other)
    to = problem.option_lane[option]
    slack = np.flatnonzero(flow < problem.slots)
    above = np.where(parent >= 0, price[parent], 0)
    around = np.where(parent >= 0, parent, num_lanes + problem.num_merchants)
    inner = np.flatnonzero((parent >= 0) & (flow > 0))
    return (
        np.concatenate((lane, lane[mine], slack, parent[inner])).astype(np.int64),
        np.concatenate((num_lanes + merchant, to, around[slack], inner)),
        np.concatenate(
            (
                worth - cut[merchant],
                worth[mine] - (problem.option_saving[option] - price[to]),
                (above - price)[slack],
                (price - above)[inner],
            )
        ),
    )


def _sorted(
    source: NDArray[np.integer],
    target: NDArray[np.integer],
    cost: NDArray[np.int64],
    num_sources: int,
) -> _Arcs:
    """Arcs by source, and the cheapest of each first."""
    by = np.lexsort((target, cost, source))
    start = np.searchsorted(source[by], np.arange(num_sources + 1))
    return _Arcs(start, target[by].astype(np.int64), cost[by])


def _is_least(night: _Night) -> bool:
    """Whether arcs that cost nothing lead from the ground to all that is in use."""
    problem, num_lanes = night.problem, night.num_lanes
    reached = np.zeros(night.num_nodes, np.bool_)
    is_root = problem.lane_parent < 0
    reached[:num_lanes] = is_root & (night.flow > 0) & (night.price == 0)
    reached[num_lanes:-1] = night.used < problem.cap
    fresh = np.flatnonzero(reached)
    while len(fresh):
        lanes = fresh[fresh < num_lanes]
        merchants = fresh[(fresh >= num_lanes) & (fresh < night.num_nodes - 1)]
        _, one = _follow(night.from_lanes, lanes, np.ones(len(lanes), np.int64))
        _, two = _follow(
            night.free, merchants - num_lanes, np.ones(len(merchants), np.int64)
        )
        to = np.concatenate((night.from_lanes.target[one], night.free.target[two]))
        fresh = np.unique(to[~reached[to]])
        reached[fresh] = True
    in_use = np.concatenate((night.flow > 0, problem.cap > 0))
    return bool(np.all(reached[:-1] | ~in_use))


def _follow(
    arcs: _Arcs, source: NDArray[np.int64], limit: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Arcs of each source that cost less than its limit: whose they are, and which."""
    first, last = arcs.start[source], arcs.start[source + 1]
    low, high = first.copy(), last.copy()
    while np.any(low < high):
        middle = (low + high) // 2
        # Where a search has ended, any arc does to look at.
        cost = arcs.cost[np.minimum(middle, len(arcs.cost) - 1)]
        is_below = (low < high) & (cost < limit)
        high = np.where((low < high) & ~is_below, middle, high)
        low = np.where(is_below, middle + 1, low)
    count = low - first
    whose = np.repeat(np.arange(len(source)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return whose, np.repeat(first, count) + step


def _to_ground(night: _Night) -> NDArray[np.int64]:
    """``(num_nodes,) int64``: the shortest way of each node to the ground."""
    num_lanes, arcs, rivals = night.num_lanes, night.from_lanes, night.rivals
    ground = np.full(night.num_nodes, NO_END)
    ground[num_lanes:-1] = np.where(night.used > 0, night.cut, NO_END)
    ground[-1] = 0
    source = np.repeat(np.arange(num_lanes), np.diff(arcs.start))
    merchant = np.repeat(
        np.arange(num_lanes, night.num_nodes - 1), np.diff(rivals.start)
    )
    while True:
        before = ground.copy()
        np.minimum.at(ground, source, arcs.cost + ground[arcs.target])
        np.minimum.at(ground, merchant, rivals.cost + ground[rivals.target])
        if np.array_equal(ground, before):
            return ground


def _all_pairs(night: _Night, ground: NDArray[np.int64]) -> _Pairs:
    """All nodes that are nearer to a lane than the ground is, with their distances."""
    num_nodes, num_lanes = night.num_nodes, night.num_lanes
    source = np.arange(num_lanes)[ground[:num_lanes] > 0]
    fresh = _Pairs(source * num_nodes + source, np.zeros(len(source), np.int64))
    known = fresh
    while len(fresh.key):
        found = [
            _nearer(night, ground, _Pairs(fresh.key[at], fresh.distance[at]))
            for at in _slices(len(fresh.key))
        ]
        offered = _least(
            _Pairs(
                np.concatenate([f.key for f in found]),
                np.concatenate([f.distance for f in found]),
            )
        )
        fresh = _improved(known, offered)
        known = _least(
            _Pairs(
                np.concatenate((known.key, fresh.key)),
                np.concatenate((known.distance, fresh.distance)),
            )
        )
    return known


def _slices(count: int) -> list[slice]:
    return [slice(at, at + PAIRS_AT_ONCE) for at in range(0, count, PAIRS_AT_ONCE)]


def _nearer(night: _Night, ground: NDArray[np.int64], pairs: _Pairs) -> _Pairs:
    """Follow the arcs of some pairs, as far as they stay nearer than the ground."""
    source, node = np.divmod(pairs.key, night.num_nodes)
    left = ground[source] - pairs.distance
    is_lane = node < night.num_lanes
    parts = []
    for arcs, mine, offset in (
        (night.from_lanes, np.flatnonzero(is_lane), 0),
        (night.rivals, np.flatnonzero(~is_lane), night.num_lanes),
    ):
        whose, arc = _follow(arcs, node[mine] - offset, left[mine])
        by = mine[whose]
        key = source[by] * night.num_nodes + arcs.target[arc]
        parts.append(_least(_Pairs(key, pairs.distance[by] + arcs.cost[arc])))
    return _Pairs(
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.distance for part in parts]),
    )


def _least(pairs: _Pairs) -> _Pairs:
    """Of each pair the least distance."""
    by = np.lexsort((pairs.distance, pairs.key))
    key = pairs.key[by]
    is_first = np.ones(len(key), np.bool_)
    is_first[1:] = key[1:] != key[:-1]
    return _Pairs(key[is_first], pairs.distance[by][is_first])


def _improved(known: _Pairs, offered: _Pairs) -> _Pairs:
    """Pairs that are offered at less than is known."""
    before = _look_up(known, offered.key, np.full(len(offered.key), NO_END))
    is_less = offered.distance < before
    return _Pairs(offered.key[is_less], offered.distance[is_less])


def _look_up(
    pairs: _Pairs, key: NDArray[np.int64], otherwise: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Distances of pairs, or what stands in for those that are not known."""
    if len(pairs.key) == 0:
        return otherwise
    place = np.minimum(np.searchsorted(pairs.key, key), len(pairs.key) - 1)
    return np.where(pairs.key[place] == key, pairs.distance[place], otherwise)


def _ended(
    pairs: _Pairs, ground: NDArray[np.int64], night: _Night
) -> tuple[_Pairs, NDArray[np.int64]]:
    """Leave out what is beyond the room that each lane has; how far each then goes."""
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
    return _Pairs(pairs.key[is_in], pairs.distance[is_in]), front


def _interval(
    night: _Night,
    asked: AskedOrders,
    pairs: _Pairs,
    ends: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> Interval:
    """Margins of some orders, exact where no search was ended early."""
    front, ground = ends
    near = _margins(night, asked, pairs, (front, ground))
    if np.array_equal(front, ground[: night.num_lanes]):
        return Interval(near, near)
    far = _margins(night, asked, pairs, (ground[: night.num_lanes], ground))
    return Interval(np.minimum(near, far), np.maximum(near, far))


def _margins(
    night: _Night,
    asked: AskedOrders,
    pairs: _Pairs,
    ends: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> NDArray[np.int64]:
    """Margins if what is not known to be nearer were as far as ``front``."""
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
        reach = _look_up(pairs, key, front[lane])
        can = np.flatnonzero((reach < NO_END) & (problem.cap[merchant] > 0))
        need = np.full(last - first, NO_END)
        np.minimum.at(need, order[can], (cost + reach)[can])
        margin[first:last] = np.where(need == NO_END, NO_END, -need)
        pick = asked.pick[first:last]
        held = np.flatnonzero(pick >= 0)
        mine, at = owner[held], pick[held] - start[0]
        pair = mine * night.num_lanes + lane[at]
        left = elsewhere[mine]
        margin[first + held] = np.minimum(_look_up(swaps, pair, left), left) - cost[at]
    return margin


def _left(
    night: _Night, front: NDArray[np.int64], ground: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How far each merchant is from what is not known to be nearer."""
    left = ground[night.num_lanes : -1].copy()
    merchant = np.repeat(np.arange(len(left)), np.diff(night.rivals.start))
    np.minimum.at(left, merchant, night.rivals.cost + front[night.rivals.target])
    return left


def _swaps(night: _Night, pairs: _Pairs) -> _Pairs:
    """Ways from merchants to lanes over one rival, by merchant and lane."""
    source, node = np.divmod(pairs.key, night.num_nodes)
    is_hop = node < night.num_lanes
    hops = _sorted(
        source[is_hop], node[is_hop], pairs.distance[is_hop], night.num_lanes
    )
    rivals = night.rivals
    merchant = np.repeat(np.arange(len(night.cut)), np.diff(rivals.start))
    far = np.full(len(merchant), NO_END)
    whose, hop = _follow(hops, rivals.target, far)
    key = merchant[whose] * night.num_lanes + hops.target[hop]
    way = rivals.cost[whose] + hops.cost[hop]
    return _least(_Pairs(key, way))


def _alone(
    night: _Night,
    pairs: _Pairs,
    ends: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What one more and one fewer slot in each lane alone is worth."""
    front, ground = ends
    problem, lane = night.problem, np.arange(night.num_lanes)
    parent = problem.lane_parent.astype(np.int64)
    above = np.where(parent >= 0, night.price[parent], 0)
    own, is_full = night.price - above, night.flow == problem.slots
    down, up = (
        _look_up(pairs, one * night.num_nodes + other, np.full(len(lane), NO_END))
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


def _one_more_cap(night: _Night, ground: NDArray[np.int64]) -> NDArray[np.int64]:
    """What one more in each cap brings."""
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
