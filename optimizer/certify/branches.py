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

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certify.exact import exact_dot, exact_sum
from optimizer.certify.knapsack import MAX_SLOTS, MAX_VALUE, lane_worths
from optimizer.certify.packing import (
    cap_price,
    check_prices,
    is_kept,
    packing_bound,
    row_limits,
    row_prices,
)
from optimizer.errors import CertificateError
from optimizer.model.lane_tree import effective_price, lane_use
from optimizer.model.reduced_savings import net_savings
from optimizer.model.side_constraints import row_use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from optimizer.model.branch_tree import BranchTree
    from optimizer.model.problem import Problem
    from optimizer.model.side_constraints import SideRows
    from optimizer.model.solution import Solution

#: Options of so many leaves together are priced at a time.
BATCH_OPTIONS = 2**17


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """
    What is left of a night in a leaf.

    Attributes
    ----------
    fixed
        Sum of all that is not decided by lanes, micro-CNY.
    value
        ``(num_options,) int64`` micro-CNY: worth of each option on its lane; 0 for
        those that are in or out.
    slots
        ``(num_lanes,) int64``: what options that are in leave.
    """

    fixed: int
    value: NDArray[np.int64]
    slots: NDArray[np.int64]


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
    for leaf in range(num_leaves):
        check_prices(problem, side, _at_leaf(solution, tree, leaf))


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
    bounds, size = list[int](), _batch(problem)
    leaves = _leaves(problem, side, solution, solution.tree)
    while some := tuple(islice(leaves, size)):
        bounds += _bounds(problem, side, some)
    if not bounds:
        raise CertificateError("the branchings of the tree leave no plan at all")
    return min(root, max(bounds))


def _batch(problem: Problem) -> int:
    """Number of leaves whose lanes are filled together."""
    largest = int(problem.slots.max(initial=0))
    together = BATCH_OPTIONS // max(problem.num_options, 1)
    return max(together, 1) if largest <= MAX_SLOTS else 1


def _bounds(
    problem: Problem, side: SideRows, leaves: tuple[Leaf, ...]
) -> Iterator[int]:
    """Bounds of some leaves; each has lanes of its own."""
    most = max(int(leaf.value.max(initial=0)) for leaf in leaves)
    if len(leaves) > 1 and most * len(leaves) * problem.num_options > MAX_VALUE:
        for leaf in leaves:
            yield from _bounds(problem, side, (leaf,))
        return
    first = np.arange(len(leaves))[:, None] * problem.num_lanes
    held = lane_worths(
        (first + problem.option_lane).ravel(),
        np.tile(side.option_load, len(leaves)),
        np.concatenate([leaf.value for leaf in leaves]),
        np.concatenate([leaf.slots for leaf in leaves]),
    ).reshape(len(leaves), -1)
    for leaf, worths in zip(leaves, held, strict=True):
        yield leaf.fixed + exact_sum(worths)


def _leaves(
    problem: Problem, side: SideRows, solution: Solution, tree: BranchTree
) -> Iterator[Leaf]:
    """Price the leaves one by one; those without a plan are left out."""
    kept = is_kept(problem, side, solution.chosen)
    for number, node in enumerate(tree.leaf.tolist()):
        put_in, put_out = _branchings(tree, node)
        is_open = _open_options(problem, put_in, put_out)
        if _has_plans(problem, side, put_in, put_out, kept, is_open):
            at_leaf = _at_leaf(solution, tree, number)
            yield _priced(problem, side, at_leaf, put_in, is_open)


def _branchings(
    tree: BranchTree, node: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Options that are put in, and out, on the way to a node."""
    path = []
    while node > 0:
        path.append(node)
        node = int(tree.parent[node])
    option, is_in = tree.option[path], tree.is_in[path]
    return np.unique(option[is_in]), np.unique(option[~is_in])


def _open_options(
    problem: Problem, put_in: NDArray[np.int64], put_out: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """``(num_options,) bool``: options that are neither in nor out."""
    is_open = np.ones(problem.num_options, np.bool_)
    is_open[put_out] = False
    for order in _orders(problem, put_in).tolist():
        is_open[problem.option_start[order] : problem.option_start[order + 1]] = False
    return is_open


def _orders(problem: Problem, option: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.searchsorted(problem.option_start, option, side="right") - 1


def _has_plans(
    problem: Problem,
    side: SideRows,
    put_in: NDArray[np.int64],
    put_out: NDArray[np.int64],
    kept: NDArray[np.bool_],
    is_open: NDArray[np.bool_],
) -> bool:
    """Whether options that are in keep all limits, and pins that are kept can be."""
    order = _orders(problem, put_in)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    count = np.bincount(merchant, minlength=problem.num_merchants)
    load = side.option_load[put_in]
    taken = lane_use(problem.option_lane[put_in], problem.lane_parent, load)
    can_be = np.zeros(problem.num_orders, np.bool_)
    can_be[order] = True
    can_be[_orders(problem, np.flatnonzero(is_open))] = True
    return bool(
        len(np.unique(order)) == len(order)
        and not np.isin(put_in, put_out).any()
        and np.all(count <= problem.cap)
        and np.all(taken <= problem.slots)
        and np.all(row_use(side, put_in) <= side.high)
        and np.all(can_be[kept])
    )


def _at_leaf(solution: Solution, tree: BranchTree, leaf: int) -> Solution:
    """The plan, with the prices of a leaf."""
    return replace(
        solution,
        lane_price=tree.lane_price[leaf],
        merchant_price=tree.merchant_price[leaf],
        row_price=tree.row_price[leaf],
        order_price=tree.order_price[leaf],
        tree=None,
    )


def _priced(
    problem: Problem,
    side: SideRows,
    solution: Solution,
    put_in: NDArray[np.int64],
    is_open: NDArray[np.bool_],
) -> Leaf:
    """What a leaf's prices leave to its lanes."""
    has_child = np.zeros(problem.num_lanes, np.bool_)
    has_child[problem.lane_parent[problem.lane_parent >= 0]] = True
    own = np.where(has_child, solution.lane_price, 0)
    price = effective_price(own, problem.lane_parent)
    order_price = np.zeros(problem.num_orders, np.int64)
    if solution.order_price is not None:
        order_price = solution.order_price
    net = net_savings(problem, price, row_prices(side, solution), 0, problem.num_orders)
    paid = cap_price(problem, solution, 0, problem.num_orders) + order_price
    net = net - np.repeat(paid, np.diff(problem.option_start))
    fixed = exact_dot(problem.cap, solution.merchant_price)
    fixed += row_limits(side, solution) + exact_dot(problem.slots, own)
    fixed += exact_sum(order_price) + exact_sum(net[put_in])
    slots = problem.slots.copy()
    np.subtract.at(slots, problem.option_lane[put_in], side.option_load[put_in])
    return Leaf(fixed, np.where(is_open, net, 0), slots)
