"""
What a tree's leaves leave to their lanes, for blocks of leaves at a time.

The prices of a block are a matrix, a row for each leaf; so are its options. All is done
in integers, and by code that no solver shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certify.exact import exact_dots, exact_sums
from optimizer.certify.packing import is_kept
from optimizer.model.lane_tree import ancestors
from optimizer.model.side_constraints import HARD, NO_CEILING, NO_FLOOR, row_use

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.branch_tree import BranchTree
    from optimizer.model.problem import Problem
    from optimizer.model.side_constraints import SideRows
    from optimizer.model.solution import Solution


@dataclass(frozen=True, slots=True, eq=False)
class LeafNight:
    """
    A night as leaves need it.

    Attributes
    ----------
    problem, side
        The night.
    option_order, option_merchant
        ``(num_options,) int64``.
    kept
        Orders that are pinned, and kept by the plan.
    high, low
        ``(num_rows,) int64``: limits of side rows as far as a price may count them;
        floors without a penalty no further than the plan reaches them.
    """

    problem: Problem
    side: SideRows
    option_order: NDArray[np.int64]
    option_merchant: NDArray[np.int64]
    kept: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Leaves:
    """
    Those leaves of a block that may have plans.

    Attributes
    ----------
    number
        ``(k,) int64``: which leaves of the tree these are.
    fixed
        Sum of all that is not decided by lanes, for each leaf, micro-CNY.
    value
        ``(k, num_options) int64`` micro-CNY: worth of each option on its lane; 0 for
        those that are in or out.
    slots
        ``(k, num_lanes) int64``: what options that are in leave.
    """

    number: NDArray[np.int64]
    fixed: list[int]
    value: NDArray[np.int64]
    slots: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Branchings:
    """
    What the branchings on the way to each leaf decide.

    Attributes
    ----------
    put_in, put_out
        ``(k, num_options) bool``.
    leaf, option
        All pairs of a leaf and an option that is in.
    """

    put_in: NDArray[np.bool_]
    put_out: NDArray[np.bool_]
    leaf: NDArray[np.int64]
    option: NDArray[np.int64]


def make_leaf_night(problem: Problem, side: SideRows, solution: Solution) -> LeafNight:
    """Lay a night out for its leaves; the plan says which floors and pins count."""
    order = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    used = row_use(side, solution.chosen)
    low = np.where(side.penalty == HARD, np.minimum(side.low, used), side.low)
    return LeafNight(
        problem=problem,
        side=side,
        option_order=order,
        option_merchant=np.searchsorted(problem.merchant_start, order, side="right")
        - 1,
        kept=np.flatnonzero(is_kept(problem, side, solution.chosen)),
        high=np.where(side.high >= NO_CEILING, 0, side.high),
        low=np.where(side.low <= NO_FLOOR, 0, low),
    )


def leaves_of(night: LeafNight, tree: BranchTree, first: int, last: int) -> Leaves:
    """
    Price the leaves ``first : last``; those without a plan are left out.

    Parameters
    ----------
    night
        The night.
    tree
        Branchings and prices that were accepted.
    first, last
        Leaves, by their number among leaves.
    """
    every = _branchings(night, tree, tree.leaf[first:last])
    order_in = _counts(night, every, night.option_order, night.problem.num_orders)
    is_open = ~every.put_out & (order_in[:, night.option_order] == 0)
    there = np.flatnonzero(_has_plans(night, every, order_in, is_open))
    is_there = np.zeros(last - first, np.bool_)
    is_there[there] = True
    of_leaf = is_there[every.leaf]
    some = Branchings(
        every.put_in[there],
        every.put_out[there],
        (np.cumsum(is_there) - 1)[every.leaf[of_leaf]],
        every.option[of_leaf],
    )
    return _priced(night, tree, first + there, some, is_open[there])


def _branchings(
    night: LeafNight, tree: BranchTree, node: NDArray[np.int64]
) -> Branchings:
    """Walk up from all leaves at once."""
    shape = (len(node), night.problem.num_options)
    put_in, put_out = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    leaf = np.arange(len(node))
    while True:
        leaf, node = leaf[node > 0], node[node > 0]
        if len(node) == 0:
            return Branchings(put_in, put_out, *np.nonzero(put_in))
        option, is_in = tree.option[node], tree.is_in[node]
        put_in[leaf[is_in], option[is_in]] = True
        put_out[leaf[~is_in], option[~is_in]] = True
        node = tree.parent[node]


def _counts(
    night: LeafNight, found: Branchings, group: NDArray[np.int64], num_groups: int
) -> NDArray[np.int64]:
    """``(k, num_groups) int64``: options that are in, by leaf and group."""
    count = len(found.put_in)
    at = found.leaf * num_groups + group[found.option]
    return np.bincount(at, minlength=count * num_groups).reshape(count, num_groups)


def _has_plans(
    night: LeafNight,
    found: Branchings,
    order_in: NDArray[np.int64],
    is_open: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Whether options that are in keep all limits, and pins that are kept can be."""
    problem, side = night.problem, night.side
    merchants = _counts(night, found, night.option_merchant, problem.num_merchants)
    direct = np.zeros((len(is_open), problem.num_lanes), np.int64)
    lane = problem.option_lane[found.option]
    np.add.at(direct, (found.leaf, lane), side.option_load[found.option])
    taken = direct.copy()
    for lanes, above in ancestors(problem.lane_parent):
        # Lanes stand in columns that may have a parent in common.
        np.add.at(taken.T, above, direct.T[lanes])
    fits = np.all(merchants <= problem.cap, axis=1)
    fits &= np.all(taken <= problem.slots, axis=1)
    fits &= np.all(_row_uses(side, found) <= side.high, axis=1)
    fits &= np.all(order_in <= 1, axis=1)
    fits &= ~np.any(found.put_in & found.put_out, axis=1)
    for order in night.kept.tolist():
        ways = slice(*problem.option_start[order : order + 2].tolist())
        fits &= (order_in[:, order] > 0) | np.any(is_open[:, ways], axis=1)
    return np.asarray(fits, np.bool_)


def _row_uses(side: SideRows, found: Branchings) -> NDArray[np.int64]:
    """``(k, num_rows) int64``: weight of what is in."""
    used = np.zeros((len(found.put_in), side.num_rows), np.int64)
    length = np.diff(side.entry_start)[found.option]
    first = np.repeat(side.entry_start[found.option], length)
    entry = first + np.arange(len(first))
    entry -= np.repeat(np.cumsum(length) - length, length)
    at = (np.repeat(found.leaf, length), side.entry_row[entry])
    np.add.at(used, at, side.entry_weight[entry])
    return used


def _priced(
    night: LeafNight,
    tree: BranchTree,
    leaf: NDArray[np.int64],
    found: Branchings,
    is_open: NDArray[np.bool_],
) -> Leaves:
    """What the prices of leaves leave to lanes."""
    problem, side = night.problem, night.side
    has_child = np.isin(np.arange(problem.num_lanes), problem.lane_parent)
    own = np.where(has_child, tree.lane_price[leaf], 0)
    merchant, order = tree.merchant_price[leaf], tree.order_price[leaf]
    row = tree.row_price[leaf]
    price = own.copy()
    for lanes, above in ancestors(problem.lane_parent):
        price[:, lanes] += own[:, above]
    net = problem.option_saving - side.option_load * price[:, problem.option_lane]
    net -= _row_charges(side, row)
    net -= merchant[:, night.option_merchant] + order[:, night.option_order]
    taken = np.where(found.put_in, net, 0)
    parts = (
        exact_dots(merchant, problem.cap),
        exact_dots(np.maximum(row, 0), night.high),
        exact_dots(np.minimum(row, 0), night.low),
        exact_dots(own, problem.slots),
        exact_sums(order),
        exact_sums(taken),
    )
    slots = np.tile(problem.slots, (len(leaf), 1))
    lane = problem.option_lane[found.option]
    np.subtract.at(slots, (found.leaf, lane), side.option_load[found.option])
    fixed = [sum(each) for each in zip(*parts, strict=True)]
    return Leaves(leaf, fixed, np.where(is_open, net, 0), slots)


def _row_charges(side: SideRows, price: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(k, num_options) int64``: what side rows charge each option."""
    charged = np.zeros((len(price), len(side.entry_start) - 1), np.int64)
    has_row = np.flatnonzero(np.diff(side.entry_start) > 0)
    if len(has_row):
        each = side.entry_weight * price[:, side.entry_row]
        charged[:, has_row] = np.add.reduceat(each, side.entry_start[has_row], axis=1)
    return charged
