"""
The residual graph of a plan: which exchanges are possible, and at what loss.

Nodes are lanes, merchants, and the ground: free slots, and free places in caps. At
prices that prove the plan no arc costs less than 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.errors import SolveError
from optimizer.model.lane_tree import lane_use
from optimizer.model.margins import NO_END
from optimizer.solvers.market import running

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.kernels.measure import Ways

#: Rounds over the arcs before rivals are listed: bounds alone need not be the shortest.
NUM_ROUNDS = 8
#: Rivals that there is room for at first.
NUM_RIVALS = 2**14


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """
    A plan at prices.

    Attributes
    ----------
    chosen, order, merchant
        ``(num_chosen,) int64``: chosen options, their orders and merchants.
    price
        ``(num_lanes,) int64``: effective lane prices.
    cut
        ``(num_merchants,) int64``: the greatest cap prices that go with them.
    pick
        ``(num_orders,) int64``: the chosen option of each order; -1 for none.
    used, flow
        ``(num_merchants,)`` and ``(num_lanes,) int64``: what is used.
    """

    chosen: NDArray[np.int64]
    order: NDArray[np.int64]
    merchant: NDArray[np.int64]
    price: NDArray[np.int64]
    cut: NDArray[np.int64]
    pick: NDArray[np.int64]
    used: NDArray[np.int64]
    flow: NDArray[np.int64]


def view_of(
    problem: Problem, chosen: NDArray[np.int64], price: NDArray[np.int64]
) -> View:
    """
    Make the view of a plan at prices.

    Parameters
    ----------
    problem, chosen
        The night, and the chosen options, ascending.
    price
        ``(num_lanes,) int64`` effective lane prices, micro-CNY.
    """
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    used = np.bincount(merchant, minlength=problem.num_merchants)
    lane = problem.option_lane[chosen]
    cut = np.full(problem.num_merchants, NO_END)
    np.minimum.at(cut, merchant, problem.option_saving[chosen] - price[lane])
    cut[(used < problem.cap) | (problem.cap == 0)] = 0
    pick = np.full(problem.num_orders, -1, np.int64)
    pick[order] = chosen
    flow = lane_use(lane, problem.lane_parent)
    return View(
        chosen=chosen,
        order=order,
        merchant=merchant,
        price=price,
        cut=cut,
        pick=pick,
        used=used,
        flow=flow,
    )


def is_least(problem: Problem, view: View) -> bool:
    """
    Whether no prices lower than these prove the plan.

    They are the least if the ground reaches every node in use at no cost.

    Raises
    ------
    SolveError
        When these prices do not prove it.
    """
    from optimizer.solvers.kernels.measure import reach_for_nothing

    limit = (problem.cap > 0).astype(np.int64)
    ways = _with_rivals(problem, view, _bare_ways(problem, view), limit)
    num_nodes = problem.num_lanes + problem.num_merchants + 1
    is_root = problem.lane_parent < 0
    is_free = np.zeros(num_nodes, np.bool_)
    is_free[: problem.num_lanes] = is_root & (view.flow > 0) & (view.price == 0)
    is_free[problem.num_lanes : -1] = view.used < problem.cap
    marked = np.flatnonzero(is_free)
    stack = np.zeros(num_nodes, np.int64)
    stack[: len(marked)] = marked
    reach_for_nothing(ways, is_free, stack, len(marked))
    has_lanes = is_free[: problem.num_lanes] | (view.flow == 0)
    has_caps = is_free[problem.num_lanes : -1] | (problem.cap == 0)
    return bool(np.all(has_lanes) and np.all(has_caps))


def ways_of(problem: Problem, view: View) -> Ways:
    """All arcs that can be on a path shorter than the one to the ground."""
    from optimizer.solvers.kernels.measure import shorten, shorten_by_orders

    ways = _bare_ways(problem, view)
    shorten(ways, NUM_ROUNDS)
    shorten_by_orders(
        merchant_start=problem.merchant_start,
        option_start=problem.option_start,
        option_lane=problem.option_lane,
        option_saving=problem.option_saving,
        pick=view.pick,
        price=view.price,
        cut=view.cut,
        lane_ground=ways.lane_ground,
        merchant_ground=ways.merchant_ground,
    )
    limit = np.where(view.used > 0, ways.merchant_ground, 0)
    ways = _with_rivals(problem, view, ways, limit)
    while not shorten(ways, NUM_ROUNDS):
        pass
    return ways


def _bare_ways(problem: Problem, view: View) -> Ways:
    """Arcs that leave lanes, and no others yet."""
    from optimizer.solvers.kernels.measure import Ways

    none = np.zeros(0, np.int64)
    merchant_ground = np.where(view.used > 0, view.cut, NO_END)
    arcs = _by_source(_lane_arcs(problem, view), problem.num_lanes)
    return Ways(
        lane_start=arcs.start,
        lane_target=arcs.target,
        lane_cost=arcs.cost,
        merchant_start=np.zeros(problem.num_merchants + 1, np.int64),
        merchant_target=none.astype(np.int32),
        merchant_cost=none,
        lane_ground=np.full(problem.num_lanes, NO_END),
        merchant_ground=merchant_ground,
    )


class _Listed(NamedTuple):
    """Arcs, not yet sorted."""

    source: NDArray[np.integer]
    target: NDArray[np.integer]
    cost: NDArray[np.int64]


def _lane_arcs(problem: Problem, view: View) -> _Listed:
    """Arcs that leave lanes: source, target and cost of each."""
    price, parent = view.price, problem.lane_parent
    lane = problem.option_lane[view.chosen].astype(np.int64)
    worth = problem.option_saving[view.chosen] - price[lane]
    own, other = _other_options(problem, view)
    moved = problem.option_lane[other]
    slack = np.flatnonzero(view.flow < problem.slots)
    ground = problem.num_lanes + problem.num_merchants
    above = np.where(parent >= 0, price[parent], 0)
    inner = np.flatnonzero((parent >= 0) & (view.flow > 0))
    around = np.where(parent >= 0, parent, ground)
    # Take a chosen order back; move it to another of its lanes; use a free slot around;
    # make one free within.
    source: NDArray[np.int64] = np.concatenate(
        (lane, lane[own], slack, parent[inner]), dtype=np.int64
    )
    merchant = problem.num_lanes + view.merchant
    target: NDArray[np.int64] = np.concatenate(
        (merchant, moved, around[slack], inner), dtype=np.int64
    )
    cost: NDArray[np.int64] = np.concatenate(
        (
            worth - view.cut[view.merchant],
            worth[own] - problem.option_saving[other] + price[moved],
            (above - price)[slack],
            (price - above)[inner],
        )
    )
    if cost.min(initial=0) < 0:
        raise SolveError("margins need prices that prove the plan, and these do not")
    return _Listed(source, target, cost)


def _other_options(
    problem: Problem, view: View
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The other options of chosen orders: position in the plan, and option."""
    count = np.diff(problem.option_start)[view.order]
    own = np.repeat(np.arange(len(view.chosen)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    option = problem.option_start[view.order][own] + step
    is_other = option != view.chosen[own]
    return own[is_other], option[is_other]


class _Sorted(NamedTuple):
    """Arcs by source: those of ``i`` are ``start[i] : start[i + 1]``."""

    start: NDArray[np.int64]
    target: NDArray[np.int32]
    cost: NDArray[np.int64]


def _by_source(listed: _Listed, num_sources: int) -> _Sorted:
    """Arcs by source, the cheapest first; of several to one target the cheapest."""
    source, target, cost = listed
    by = np.lexsort((cost, target, source))
    source, target, cost = source[by], target[by], cost[by]
    is_first = np.ones(len(by), np.bool_)
    is_first[1:] = (source[1:] != source[:-1]) | (target[1:] != target[:-1])
    source, target, cost = source[is_first], target[is_first], cost[is_first]
    by = np.lexsort((target, cost, source))
    start = running(np.bincount(source, minlength=num_sources))
    return _Sorted(start, target[by].astype(np.int32), cost[by])


def _with_rivals(
    problem: Problem, view: View, ways: Ways, limit: NDArray[np.int64]
) -> Ways:
    """Add arcs from merchants to the lanes of orders that cost less than a limit."""
    from optimizer.solvers.kernels.measure import list_rivals

    start = np.zeros(problem.num_merchants + 1, np.int64)
    size = NUM_RIVALS
    while True:
        lane, cost = np.empty(size, np.int32), np.empty(size, np.int64)
        count = list_rivals(
            merchant_start=problem.merchant_start,
            option_start=problem.option_start,
            option_lane=problem.option_lane,
            option_saving=problem.option_saving,
            pick=view.pick,
            price=view.price,
            cut=view.cut,
            limit=limit,
            rival_start=start,
            rival_lane=lane,
            rival_cost=cost,
        )
        if count <= size:
            break
        size = count
    if cost[:count].min(initial=0) < 0:
        raise SolveError("margins need prices that prove the plan, and these do not")
    merchant = np.repeat(np.arange(problem.num_merchants), np.diff(start))
    listed = _Listed(merchant, lane[:count], cost[:count])
    arcs = _by_source(listed, problem.num_merchants)
    return ways._replace(
        merchant_start=arcs.start, merchant_target=arcs.target, merchant_cost=arcs.cost
    )
