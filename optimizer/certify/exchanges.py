r"""
The residual graph of a plan and its shortest paths, by rounds of relaxation.

Each round follows the arcs of the pairs (lane, node) whose distance fell in the last
round, until no distance falls (Bellman-Ford). Pairs that are no nearer than the ground
are left out: at the least prices that prove the plan, the ground reaches each node in
use at no cost.

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

(The ground is the parent of all root lanes, at a price of 0.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.model.lane_tree import effective_price, lane_use
from optimizer.model.margins import NO_END
from optimizer.model.reduced_savings import BLOCK_ORDERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution

#: Pairs whose arcs are followed at a time; bounds the memory of a round.
PAIRS_AT_ONCE = 200_000


@dataclass(frozen=True, slots=True, eq=False)
class Arcs:
    """Arcs by source, cheapest first; ``start`` by node."""

    start: NDArray[np.int64]
    target: NDArray[np.int64]
    cost: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Exchanges:
    """The residual graph of a plan at its prices: lanes, merchants, the ground."""

    problem: Problem
    price: NDArray[np.int64]
    cut: NDArray[np.int64]
    pick: NDArray[np.int64]
    used: NDArray[np.int64]
    flow: NDArray[np.int64]
    from_lanes: Arcs
    rivals: Arcs
    free: Arcs

    @property
    def num_lanes(self) -> int:
        """Lanes; they are the first nodes."""
        return self.problem.num_lanes

    @property
    def num_nodes(self) -> int:
        """Lanes, merchants, and the ground as the last."""
        return self.problem.num_lanes + self.problem.num_merchants + 1


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Known distances, by ``source * num_nodes + node``, ascending."""

    key: NDArray[np.int64]
    distance: NDArray[np.int64]


def exchanges_of(problem: Problem, solution: Solution) -> Exchanges:
    """Build the residual graph."""
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
    rivals, free = _rivals(problem, price=price, cut=cut, pick=pick, limit=limit)
    plan = _Plan(
        chosen=chosen, order=order, merchant=merchant, price=price, cut=cut, flow=flow
    )
    lanes = _lane_arcs(problem, plan)
    arcs = sorted_arcs(lanes.source, lanes.target, lanes.cost, num_lanes)
    return Exchanges(
        problem=problem,
        price=price,
        cut=cut,
        pick=pick,
        used=used,
        flow=flow,
        from_lanes=arcs,
        rivals=rivals,
        free=free,
    )


def _rivals(
    problem: Problem,
    *,
    price: NDArray[np.int64],
    cut: NDArray[np.int64],
    pick: NDArray[np.int64],
    limit: NDArray[np.int64],
) -> tuple[Arcs, Arcs]:
    """Arcs from merchants below a limit for each, and those at no cost."""
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
        sorted_arcs(merchant[below], lane[below], cost[below], count),
        sorted_arcs(merchant[nothing], lane[nothing], cost[nothing], count),
    )


class _Plan(NamedTuple):
    """The chosen options with their orders and merchants, prices, cuts and use."""

    chosen: NDArray[np.int64]
    order: NDArray[np.int64]
    merchant: NDArray[np.int64]
    price: NDArray[np.int64]
    cut: NDArray[np.int64]
    flow: NDArray[np.int64]


class _Listed(NamedTuple):
    """Arcs, not yet sorted."""

    source: NDArray[np.int64]
    target: NDArray[np.int64]
    cost: NDArray[np.int64]


def _lane_arcs(problem: Problem, plan: _Plan) -> _Listed:
    """All arcs that leave lanes."""
    chosen, order, merchant, price, cut, flow = plan
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
    source = np.concatenate((lane, lane[mine], slack, parent[inner]))
    return _Listed(
        source=source.astype(np.int64),
        target=np.concatenate((num_lanes + merchant, to, around[slack], inner)),
        cost=np.concatenate(
            (
                worth - cut[merchant],
                worth[mine] - (problem.option_saving[option] - price[to]),
                (above - price)[slack],
                (price - above)[inner],
            )
        ),
    )


def sorted_arcs(
    source: NDArray[np.integer],
    target: NDArray[np.integer],
    cost: NDArray[np.int64],
    num_sources: int,
) -> Arcs:
    """
    Arcs by source, and the cheapest of each first.

    Parameters
    ----------
    source, target
        ``(k,)`` integers: the nodes of each arc.
    cost
        ``(k,) int64`` micro-CNY.
    num_sources
        Number of nodes that arcs may start from.
    """
    by = np.lexsort((target, cost, source))
    start = np.searchsorted(source[by], np.arange(num_sources + 1))
    return Arcs(start, target[by].astype(np.int64), cost[by])


def is_least(night: Exchanges) -> bool:
    """Whether arcs at no cost lead from the ground to every node in use."""
    problem, num_lanes = night.problem, night.num_lanes
    reached = np.zeros(night.num_nodes, np.bool_)
    is_root = problem.lane_parent < 0
    reached[:num_lanes] = is_root & (night.flow > 0) & (night.price == 0)
    reached[num_lanes:-1] = night.used < problem.cap
    fresh = np.flatnonzero(reached)
    while len(fresh):
        lanes = fresh[fresh < num_lanes]
        merchants = fresh[(fresh >= num_lanes) & (fresh < night.num_nodes - 1)]
        _, one = follow(night.from_lanes, lanes, np.ones(len(lanes), np.int64))
        _, two = follow(
            night.free, merchants - num_lanes, np.ones(len(merchants), np.int64)
        )
        to = np.concatenate((night.from_lanes.target[one], night.free.target[two]))
        fresh = np.unique(to[~reached[to]])
        reached[fresh] = True
    in_use = np.concatenate((night.flow > 0, problem.cap > 0))
    return bool(np.all(reached[:-1] | ~in_use))


def follow(
    arcs: Arcs, source: NDArray[np.int64], limit: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Arcs of each source that cost less than its limit: the sources, and the arcs."""
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


def to_ground(night: Exchanges) -> NDArray[np.int64]:
    """``(num_nodes,) int64``: shortest distance of each node to the ground."""
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


def all_pairs(night: Exchanges, ground: NDArray[np.int64]) -> Pairs:
    """All nodes that are nearer to a lane than the ground is, with their distances."""
    num_nodes, num_lanes = night.num_nodes, night.num_lanes
    source = np.arange(num_lanes)[ground[:num_lanes] > 0]
    fresh = Pairs(source * num_nodes + source, np.zeros(len(source), np.int64))
    known = fresh
    while len(fresh.key):
        found = [
            _nearer(night, ground, Pairs(fresh.key[at], fresh.distance[at]))
            for at in _slices(len(fresh.key))
        ]
        offered = least(
            Pairs(
                np.concatenate([f.key for f in found]),
                np.concatenate([f.distance for f in found]),
            )
        )
        fresh = _improved(known, offered)
        known = least(
            Pairs(
                np.concatenate((known.key, fresh.key)),
                np.concatenate((known.distance, fresh.distance)),
            )
        )
    return known


def _slices(count: int) -> list[slice]:
    return [slice(at, at + PAIRS_AT_ONCE) for at in range(0, count, PAIRS_AT_ONCE)]


def _nearer(night: Exchanges, ground: NDArray[np.int64], pairs: Pairs) -> Pairs:
    """Follow the arcs of some pairs, as far as they stay nearer than the ground."""
    source, node = np.divmod(pairs.key, night.num_nodes)
    left = ground[source] - pairs.distance
    is_lane = node < night.num_lanes
    parts = []
    for arcs, mine, offset in (
        (night.from_lanes, np.flatnonzero(is_lane), 0),
        (night.rivals, np.flatnonzero(~is_lane), night.num_lanes),
    ):
        whose, arc = follow(arcs, node[mine] - offset, left[mine])
        by = mine[whose]
        key = source[by] * night.num_nodes + arcs.target[arc]
        parts.append(least(Pairs(key, pairs.distance[by] + arcs.cost[arc])))
    return Pairs(
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.distance for part in parts]),
    )


def least(pairs: Pairs) -> Pairs:
    """The least distance of each pair."""
    by = np.lexsort((pairs.distance, pairs.key))
    key = pairs.key[by]
    is_first = np.ones(len(key), np.bool_)
    is_first[1:] = key[1:] != key[:-1]
    return Pairs(key[is_first], pairs.distance[by][is_first])


def _improved(known: Pairs, offered: Pairs) -> Pairs:
    """Pairs with a distance below the one known so far."""
    before = look_up(known, offered.key, np.full(len(offered.key), NO_END))
    is_less = offered.distance < before
    return Pairs(offered.key[is_less], offered.distance[is_less])


def look_up(
    pairs: Pairs, key: NDArray[np.int64], otherwise: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Distances of pairs, with a default for those that are not known."""
    if len(pairs.key) == 0:
        return otherwise
    place = np.minimum(np.searchsorted(pairs.key, key), len(pairs.key) - 1)
    return np.where(pairs.key[place] == key, pairs.distance[place], otherwise)
