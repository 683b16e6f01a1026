"""Packing nights whose lanes, filled one by one, already keep everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import is_nested
from optimizer.model.solution import Solution, Termination
from optimizer.solvers.owners import merchant_at, order_at
from optimizer.solvers.packing.market import side_of
from optimizer.solvers.packing.network_relaxation import keeps_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem

#: Most cells of the tables of all lanes together: some tenths of a second.
MOST_CELLS = 2**26


def lanes_plan(problem: Problem, price: NDArray[np.int64]) -> Solution | None:
    """
    Fill each lane as a knapsack; ``None`` if caps, orders or side rows then matter.

    A plan that is best without them, and keeps all of them, is best with them.

    Parameters
    ----------
    problem
        A night with side rows.
    price
        ``(num_lanes,) int64``: a price of each lane's slots, micro-CNY. It proves
        nothing here, and says what a slot is worth about.

    Returns
    -------
    Solution or None
        ``None`` also where lanes nest, or their tables would be too large.
    """
    from optimizer.solvers.kernels.fill import best_subset

    side = side_of(problem)
    load, saving = side.option_load, problem.option_saving
    room = problem.slots[problem.option_lane]
    worth = np.flatnonzero((saving > 0) & (load <= room))
    by_lane = worth[np.argsort(problem.option_lane[worth], kind="stable")]
    lanes, first = np.unique(problem.option_lane[by_lane], return_index=True)
    parts = np.split(by_lane, first[1:])
    num_cells = sum(
        len(part) * (int(problem.slots[lane]) + 1)
        for lane, part in zip(lanes, parts, strict=False)
        if load[part].sum() > problem.slots[lane]
    )
    if is_nested(problem.lane_parent) or num_cells > MOST_CELLS:
        return None
    chosen = [np.zeros(0, np.int64)]
    for lane, part in zip(lanes, parts, strict=False):
        taken = np.ones(len(part), np.bool_)
        if load[part].sum() > problem.slots[lane]:
            _, taken = best_subset(load[part], saving[part], problem.slots[lane])
        chosen.append(part[taken])
    plan = np.sort(np.concatenate(chosen))
    if not keeps_side(problem, plan) or not _keeps_orders(problem, plan):
        return None
    return Solution(
        chosen=plan,
        lane_price=price,
        merchant_price=np.zeros(problem.num_merchants, np.int64),
        termination=Termination("OPTIMAL"),
        row_price=np.zeros(side.num_rows, np.int64),
        order_price=np.zeros(problem.num_orders, np.int64),
    )


def _keeps_orders(problem: Problem, chosen: NDArray[np.int64]) -> bool:
    """Whether each order is chosen once at most, and each cap is kept."""
    order = order_at(problem, chosen)
    used = np.bincount(merchant_at(problem, order), minlength=problem.num_merchants)
    return len(np.unique(order)) == len(order) and bool(np.all(used <= problem.cap))
