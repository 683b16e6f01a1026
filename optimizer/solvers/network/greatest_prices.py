r"""
The other end of the prices: the greatest that prove a plan.

Optimal prices form a lattice. The least are what one more slot is worth
(:mod:`optimizer.solvers.network.price_interval`); the greatest are what one slot fewer
costs. They are found by lowering prices from above until each chosen order can pay,
with :math:`k_j` the chosen option of order :math:`j` of merchant :math:`m`:

.. math::

   p_{\ell(k_j)} &\le s_{k_j} - \max\Bigl(0, \max_{i \in m \text{ unchosen}, a}
      (s_a - p_{\ell(a)})\Bigr) \\
   p_{\ell(k_j)} &\le p_{\ell(a)} + s_{k_j} - s_a && a \in A(j) \\
   p_{\mathrm{parent}(r)} &\le p_r, \quad
   p_r \le p_{\mathrm{parent}(r)} \text{ where } r \text{ has slack.}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import effective_price, lane_use, least_slots
from optimizer.solvers.network.price_interval import cap_prices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution

#: Stands for a price without an upper end: a place that has no slot to lose.
NO_END = 2**60


@dataclass(frozen=True, slots=True, eq=False)
class PriceRange:
    """
    Between which prices the optimum is proved; integer micro-CNY.

    Attributes
    ----------
    lane_more, lane_fewer
        ``(num_lanes,) int64``: what one more slot in a lane and in all lanes around
        it brings, and what one fewer in all of them costs; ``NO_END`` where one of
        them has none to lose.
    cap_more, cap_fewer
        ``(num_merchants,) int64``: the same for each cap.
    """

    lane_more: NDArray[np.int64]
    lane_fewer: NDArray[np.int64]
    cap_more: NDArray[np.int64]
    cap_fewer: NDArray[np.int64]


def price_range(problem: Problem, solution: Solution) -> PriceRange:
    """
    Find what one more and one fewer of every limit is worth, all at once.

    Parameters
    ----------
    problem
        A night of the network class.
    solution
        Its optimum, with the least lane prices that prove it.
    """
    least = effective_price(solution.lane_price, problem.lane_parent)
    view = _view(problem, solution.chosen, least)
    greatest = _greatest(problem, view)
    worth = problem.option_saving - least[problem.option_lane]
    cap_fewer = np.full(problem.num_merchants, NO_END)
    np.minimum.at(cap_fewer, view.merchant, worth[view.chosen])
    cap_fewer[view.used < problem.cap] = 0
    has_slot = least_slots(problem.slots, problem.lane_parent) > 0
    return PriceRange(
        least,
        np.where(has_slot, greatest, NO_END),
        cap_prices(problem, greatest),
        cap_fewer,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """Chosen options and what competes with them."""

    chosen: NDArray[np.int64]
    merchant: NDArray[np.int64]
    used: NDArray[np.int64]
    rival: NDArray[np.int64]
    rival_merchant: NDArray[np.int64]
    own: NDArray[np.int64]
    other: NDArray[np.int64]


def _view(
    problem: Problem, chosen: NDArray[np.int64], least: NDArray[np.int64]
) -> _View:
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    used = np.bincount(merchant, minlength=problem.num_merchants)
    # At no optimal price do others want in than those who would at the least.
    is_rival = problem.option_saving > least[problem.option_lane]
    is_chosen = np.zeros(problem.num_orders, np.bool_)
    is_chosen[order] = True
    wanting = np.flatnonzero(is_rival)
    by = np.searchsorted(problem.option_start, wanting, side="right") - 1
    rival, by = wanting[~is_chosen[by]], by[~is_chosen[by]]
    count = np.diff(problem.option_start)[order]
    first = np.repeat(problem.option_start[order], count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return _View(
        chosen,
        merchant,
        used,
        rival,
        np.searchsorted(problem.merchant_start, by, side="right") - 1,
        np.repeat(chosen, count),
        first + step,
    )


def _greatest(problem: Problem, view: _View) -> NDArray[np.int64]:
    """Lower effective prices until every constraint holds."""
    lane, saving, parent = (
        problem.option_lane,
        problem.option_saving,
        problem.lane_parent,
    )
    slack = problem.slots - lane_use(lane[view.chosen], parent)
    price = np.full(problem.num_lanes, NO_END)
    price[(slack > 0) & (parent < 0)] = 0
    while True:
        before = price.copy()
        outside = np.zeros(problem.num_merchants, np.int64)
        wants = saving[view.rival] - price[lane[view.rival]]
        np.maximum.at(outside, view.rival_merchant, wants)
        pays = saving[view.chosen] - outside[view.merchant]
        np.minimum.at(price, lane[view.chosen], pays)
        moves = price[lane[view.other]] + saving[view.own] - saving[view.other]
        np.minimum.at(price, lane[view.own], moves)
        _lower_along_tree(parent, slack, price)
        if np.array_equal(price, before):
            return price


def _lower_along_tree(
    parent: NDArray[np.int32], slack: NDArray[np.int64], price: NDArray[np.int64]
) -> None:
    """A lane costs at least what the lane around it does, and no more with slack."""
    for lane in range(len(parent) - 1, -1, -1):
        if parent[lane] >= 0:
            price[parent[lane]] = min(price[parent[lane]], price[lane])
    for lane in range(len(parent)):
        if parent[lane] >= 0 and slack[lane] > 0:
            price[lane] = min(price[lane], price[parent[lane]])
