r"""
The bound of a tree: every plan is in one of its leaves, and each leaf is bounded.

A node that is divided has two children, plans with an option and plans without it, so
that the leaves hold all plans. Let :math:`I` be the options that the branchings on the
way to a leaf put in, and :math:`O` those that cannot be chosen beside them: the ones
put out, and the others of the same orders. With the leaf's prices and :math:`r_a` as in
:mod:`optimizer.certify.packing`, the lane bound becomes

.. math::

   S + \sum_{\ell \text{ with children}} \mathrm{slots}_\ell \lambda_\ell
   + \sum_i \omega_i + \sum_{a \in I} \bigl(r_a - \omega_{i(a)}\bigr)
   + \sum_\ell K_\ell ,

where :math:`K_\ell` is the most that options outside :math:`I \cup O` are worth within
the slots that those of :math:`I` leave on the lane. A leaf holds no plan if :math:`I`
alone is above a cap, a lane or a ceiling, or has an order twice or an option that is
put out, or if a pin that is kept has no option left.

The dual bound is the greatest bound of a leaf, and never above that of the prices
without branchings.
"""

from __future__ import annotations

import heapq
from operator import add
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certify.exact import exact_sums
from optimizer.certify.knapsack import MAX_SLOTS, MAX_VALUE, lane_worths
from optimizer.certify.leaves import leaves_of, make_leaf_night
from optimizer.certify.packing import (
    MAX_CHARGE,
    is_kept,
    most_charged,
    packing_bound,
)
from optimizer.errors import CertificateError
from optimizer.model.lane_tree import ancestors
from optimizer.model.side_constraints import HARD, NO_CEILING, NO_FLOOR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from optimizer.certify.leaves import LeafNight, Leaves
    from optimizer.model.branch_tree import BranchTree
    from optimizer.model.problem import Problem
    from optimizer.model.side_constraints import SideRows
    from optimizer.model.solution import Solution

#: So many numbers of each kind are held for leaves that are priced together.
BATCH_NUMBERS = 2**18
#: On so many leaves, those with the greatest bounds, large lanes are filled by so many
#: states; on all others, a price of their slots bounds them.
MOST_REFINED, LEAF_STATES = 2**6, 2**15


def check_tree(problem: Problem, side: SideRows, solution: Solution) -> None:
    """
    Refuse a tree that leaves plans out, or has prices with which no bound holds.

    Raises
    ------
    CertificateError
        Naming what does not fit.
    """
    tree = solution.tree
    if tree is None:
        return
    _check_nodes(problem, tree)
    num_leaves = len(tree.leaf)
    prices = (tree.lane_price, tree.merchant_price, tree.row_price, tree.order_price)
    counts = (
        *(problem.num_lanes, problem.num_merchants),
        *(side.num_rows, problem.num_orders),
    )
    if [p.shape for p in prices] != [(num_leaves, count) for count in counts]:
        raise CertificateError("the tree has not one price for each limit and leaf")
    if np.any(tree.lane_price < 0) or np.any(tree.merchant_price < 0):
        raise CertificateError("a price of the tree is negative, so it bounds nothing")
    _check_signs(problem, side, solution, tree)
    size = _batch(problem, side)
    for first in range(0, num_leaves, size):
        _check_charges(problem, side, tree, slice(first, first + size))


def _check_signs(
    problem: Problem, side: SideRows, solution: Solution, tree: BranchTree
) -> None:
    """Refuse prices on sides where there is no limit."""
    kept = is_kept(problem, side, solution.chosen)
    row, order = tree.row_price, tree.order_price
    if np.any(order.min(axis=0, initial=0)[~kept] < 0):
        raise CertificateError(
            "the price of an order is negative, so it bounds nothing"
        )
    highest, lowest = row.max(axis=0, initial=0), row.min(axis=0, initial=0)
    above = (highest > 0) & (side.high >= NO_CEILING)
    below = (lowest < 0) & (side.low <= NO_FLOOR)
    if np.any(above | below):
        raise CertificateError(
            "a side row has a price on the side where it has no limit"
        )
    if np.any((side.penalty != HARD) & (-lowest > side.penalty)):
        raise CertificateError("the price of a floor is above its penalty")


def _check_charges(
    problem: Problem, side: SideRows, tree: BranchTree, leaves: slice
) -> None:
    """Refuse prices whose sums could leave 64 bits."""
    own = tree.lane_price[leaves]
    price = own.copy()
    for lanes, above in ancestors(problem.lane_parent):
        price[:, lanes] += own[:, above]
    if price.min(initial=0) < 0 or own.max(initial=0) > MAX_CHARGE:
        raise CertificateError("a price is beyond any saving, and could overflow")
    charged = sum(most_charged(problem, side, price, tree.row_price[leaves]))
    charged += _largest(tree.order_price[leaves]) + _largest(
        tree.merchant_price[leaves]
    )
    if charged.max(initial=0) > MAX_CHARGE:
        raise CertificateError("a price is beyond any saving, and could overflow")


def _largest(price: NDArray[np.int64]) -> NDArray[np.float64]:
    """Greatest distance of a price from 0, for each leaf."""
    return np.abs(price.astype(np.float64)).max(axis=1, initial=0)


def _check_nodes(problem: Problem, tree: BranchTree) -> None:
    """Refuse branchings that do not divide all plans."""
    parent, option, count = tree.parent, tree.option, tree.num_nodes
    if not count or len(option) != count or len(tree.is_in) != count:
        raise CertificateError("the tree has no root, or nodes without a branching")
    below = np.arange(1, count)
    if parent[0] != -1 or np.any((parent[1:] < 0) | (parent[1:] >= below)):
        raise CertificateError("a node of the tree does not hang on one before it")
    if np.any((option[1:] < 0) | (option[1:] >= problem.num_options)):
        raise CertificateError("the tree branches on an option that does not exist")
    children = np.bincount(parent[1:], minlength=count)
    turn = np.lexsort((tree.is_in[1:], parent[1:])) + 1
    first, second = turn[: len(turn) // 2 * 2].reshape(-1, 2).T
    is_pair = (
        (parent[first] == parent[second])
        & (option[first] == option[second])
        & (tree.is_in[first] < tree.is_in[second])
    )
    if np.any((children != 0) & (children != 2)) or not np.all(is_pair):
        raise CertificateError("a node of the tree lacks one of its two branches")


def tree_bound(problem: Problem, side: SideRows, solution: Solution) -> int:
    """
    Bound every plan by the tree's leaves, and by the prices without branchings.

    Parameters
    ----------
    problem, side
        The night.
    solution
        A tree that :func:`check_tree` accepted, and the plan, for its conflicts.

    Returns
    -------
    int
        Micro-CNY, exact.

    Raises
    ------
    CertificateError
        When no leaf leaves any plan.
    """
    root = packing_bound(problem, side, solution)
    if solution.tree is None:
        return root
    bounds, night = dict[int, int](), make_leaf_night(problem, side, solution)
    size, count = _batch(problem, side), len(solution.tree.leaf)
    for first in range(0, count, size):
        last = min(first + size, count)
        leaves = leaves_of(night, solution.tree, first, last)
        bounds |= zip(leaves.number.tolist(), _bounds(night, leaves), strict=True)
    if not bounds:
        raise CertificateError("the branchings of the tree leave no plan at all")
    has_large = int(problem.slots.max(initial=0)) > MAX_SLOTS
    bound = max(bounds.values())
    return min(root, _refined(night, solution.tree, bounds) if has_large else bound)


def _refined(night: LeafNight, tree: BranchTree, bounds: dict[int, int]) -> int:
    """The greatest bound, once those of the leaves with the greatest are improved."""
    heap = [(-bound, number) for number, bound in bounds.items()]
    heapq.heapify(heap)
    refined: int | None = None
    for _ in range(MOST_REFINED):
        if not heap or (refined is not None and -heap[0][0] <= refined):
            break
        _, number = heapq.heappop(heap)
        leaf = leaves_of(night, tree, number, number + 1)
        (bound,) = _bounds(night, leaf, LEAF_STATES)
        refined = bound if refined is None else max(refined, bound)
    left = [] if not heap else [-heap[0][0]]
    return max(left if refined is None else [refined, *left])


def _batch(problem: Problem, side: SideRows) -> int:
    """Number of leaves that are priced together."""
    largest = max(problem.num_options, problem.num_orders, len(side.entry_row), 1)
    return max(BATCH_NUMBERS // largest, 1)


def _bounds(night: LeafNight, leaves: Leaves, states: int = 0) -> Iterator[int]:
    """Bounds of some leaves; each has lanes of its own."""
    problem, side = night.problem, night.side
    together = max(len(leaves.fixed), 1)
    most = int(leaves.value.max(initial=0))
    if most * leaves.value.size > MAX_VALUE:
        together = 1
    for begin in range(0, len(leaves.fixed), together):
        part = slice(begin, begin + together)
        value, slots = leaves.value[part], leaves.slots[part]
        first = np.arange(len(value))[:, None] * problem.num_lanes
        held = lane_worths(
            (first + problem.option_lane).ravel(),
            np.tile(side.option_load, len(value)),
            value.ravel(),
            slots.ravel(),
            states,
        )
        worths = exact_sums(held.reshape(len(value), -1))
        yield from map(add, leaves.fixed[part], worths)
