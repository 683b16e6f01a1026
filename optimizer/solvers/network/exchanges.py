"""
The residual graph of a plan: which exchanges are possible, and at what loss.

Nodes are lanes, merchants, and the ground: free slots, and free places in caps. At
prices that prove the plan no arc costs less than 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

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


class Listed(NamedTuple):
    """Arcs, not yet sorted."""

    source: NDArray[np.integer]
    target: NDArray[np.integer]
    cost: NDArray[np.int64]


class Others(Protocol):
    """Whoever has the orders of a night that its plan leaves out."""

    def rivals(self, view: View, limit: NDArray[np.int64], /) -> Listed:
        """For merchants and lanes, the cheapest such order that costs less."""

    def to_ground(
        self, view: View, lane_ground: NDArray[np.int64], ground: NDArray[np.int64], /
    ) -> NDArray[np.int64]:
        """Merchants' distances to the ground, shortened by way of such orders."""

    def first_places(
        self, view: View, lane_ground: NDArray[np.int64], /
    ) -> NDArray[np.int64]:
        """What a first place is worth to merchants whose cap is 0, at least 0."""


@dataclass(frozen=True, slots=True, eq=False)
class OwnOrders:
    """
    All orders of a problem, or of a part of one: see :class:`Others`.

    Attributes
    ----------
    problem
        Whose orders are asked; its merchants are those of the view.
    pick
        ``(num_orders,) int64``: the chosen option of each; -1 for none.
    """

    problem: Problem
    pick: NDArray[np.int64]

    def rivals(self, view: View, limit: NDArray[np.int64]) -> Listed:
        """For merchants and lanes, the cheapest order left out that costs less."""
        return self.listed(view.price, view.cut, limit)

    def listed(
        self,
        price: NDArray[np.int64],
        cut: NDArray[np.int64],
        limit: NDArray[np.int64],
    ) -> Listed:
        """
        Those of :meth:`rivals`, at prices of lanes and caps.

        Parameters
        ----------
        price, cut
            ``(num_lanes,)`` and ``(num_merchants,) int64`` micro-CNY.
        limit
            ``(num_merchants,) int64``: rivals cost less than this, micro-CNY.
        """
        from optimizer.solvers.kernels.measure import list_rivals

        problem = self.problem
        start = np.zeros(problem.num_merchants + 1, np.int64)
        size = NUM_RIVALS
        while True:
            lane, cost = np.empty(size, np.int32), np.empty(size, np.int64)
            count = list_rivals(
                merchant_start=problem.merchant_start,
                option_start=problem.option_start,
                option_lane=problem.option_lane,
                option_saving=problem.option_saving,
                pick=self.pick,
                price=price,
                cut=cut,
                limit=limit,
                rival_start=start,
                rival_lane=lane,
                rival_cost=cost,
            )
            if count <= size:
                break
            size = count
        merchant = np.repeat(np.arange(problem.num_merchants), np.diff(start))
        return Listed(merchant, lane[:count], cost[:count])

    def to_ground(
        self, view: View, lane_ground: NDArray[np.int64], ground: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Merchants' distances to the ground, shortened by way of orders left out."""
        return self.shortened(view.price, view.cut, lane_ground, ground)

    def shortened(
        self,
        price: NDArray[np.int64],
        cut: NDArray[np.int64],
        lane_ground: NDArray[np.int64],
        ground: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """
        Those of :meth:`to_ground`, at prices of lanes and caps.

        Parameters
        ----------
        price, cut
            As for :meth:`listed`.
        lane_ground, ground
            ``(num_lanes,)`` and ``(num_merchants,) int64``: distances so far.
        """
        from optimizer.solvers.kernels.measure import shorten_by_orders

        problem, found = self.problem, ground.copy()
        shorten_by_orders(
            merchant_start=problem.merchant_start,
            option_start=problem.option_start,
            option_lane=problem.option_lane,
            option_saving=problem.option_saving,
            pick=self.pick,
            price=price,
            cut=cut,
            lane_ground=lane_ground,
            merchant_ground=found,
        )
        return found

    def first_places(
        self, view: View, lane_ground: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """What a first place is worth to merchants whose cap is 0, at least 0."""
        return self.worth_of_first(view.price, lane_ground)

    def worth_of_first(
        self, price: NDArray[np.int64], lane_ground: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """
        Those of :meth:`first_places`, at prices of lanes.

        Parameters
        ----------
        price, lane_ground
            ``(num_lanes,) int64`` micro-CNY.
        """
        from optimizer.solvers.kernels.measure import best_without_cap

        problem = self.problem
        more = np.zeros(problem.num_merchants, np.int64)
        best_without_cap(
            merchant_start=problem.merchant_start,
            option_start=problem.option_start,
            option_lane=problem.option_lane,
            option_saving=problem.option_saving,
            cap=problem.cap,
            price=price,
            lane_ground=lane_ground,
            more=more,
        )
        return more


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


def is_least(problem: Problem, view: View, others: Others) -> bool:
    """
    Whether no prices lower than these prove the plan.

    They are the least if the ground reaches every node in use at no cost.

    Parameters
    ----------
    problem, view
        The night, or that part of it which its plan chooses, and the plan.
    others
        Who has the orders that are not chosen.

    Raises
    ------
    SolveError
        When these prices do not prove it.
    """
    from optimizer.solvers.kernels.measure import reach_for_nothing

    limit = (problem.cap > 0).astype(np.int64)
    ways = _with_rivals(view, _bare_ways(problem, view), others, limit)
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


def ways_of(problem: Problem, view: View, others: Others) -> Ways:
    """
    All arcs that can be on a path shorter than the one to the ground.

    Parameters
    ----------
    problem, view, others
        As for :func:`is_least`.
    """
    from optimizer.solvers.kernels.measure import shorten

    ways = _bare_ways(problem, view)
    shorten(ways, NUM_ROUNDS)
    ground = others.to_ground(view, ways.lane_ground, ways.merchant_ground)
    ways = ways._replace(merchant_ground=ground)
    limit = np.where(view.used > 0, ways.merchant_ground, 0)
    ways = _with_rivals(view, ways, others, limit)
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


def _lane_arcs(problem: Problem, view: View) -> Listed:
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
    return Listed(source, target, cost)


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


def _by_source(listed: Listed, num_sources: int) -> _Sorted:
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
    view: View, ways: Ways, others: Others, limit: NDArray[np.int64]
) -> Ways:
    """Add arcs from merchants to the lanes of orders that cost less than a limit."""
    listed = others.rivals(view, limit)
    if listed.cost.min(initial=0) < 0:
        raise SolveError("margins need prices that prove the plan, and these do not")
    arcs = _by_source(listed, len(view.cut))
    return ways._replace(
        merchant_start=arcs.start, merchant_target=arcs.target, merchant_cost=arcs.cost
    )
