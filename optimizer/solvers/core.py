"""The core: orders too close to call, solved with everything else fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.problem import Problem, starts
from optimizer.model.tree import is_inside, lane_use

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.solvers.market import Market, Pool

#: Contradictions that are collected in each part of a market at a time.
MAX_FOUND = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Fixing:
    """
    Which orders are decided and which are in the core; all others are out.

    Attributes
    ----------
    fixed
        ``(f,) int64``: options fixed in, ascending.
    core
        ``(c,) int64``: orders that the core decides, ascending.
    """

    fixed: NDArray[np.int64]
    core: NDArray[np.int64]


def fix(
    problem: Problem,
    near: Market,
    price: NDArray[np.int64],
    distance: int,
    pool: Pool,
) -> Fixing:
    """
    Tell plain orders from close ones, and keep what is fixed within the slots.

    Parameters
    ----------
    problem, near
        The night, and its orders that could matter.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    distance
        Orders within it of their cut-off are close, micro-CNY.
    pool
        Threads.
    """
    from optimizer.solvers.kernels.market import classify

    state = np.zeros(near.num_orders, np.int8)
    pick = np.zeros(near.num_orders, np.int64)
    margin = np.zeros(near.num_orders, np.int64)
    results = (np.int64(distance), state, pick, margin)

    def work(_: int, first: int, last: int) -> None:
        classify(first, last, *near.arrays, price, *results)

    pool.over_parts(near, work)
    _free_overfull(problem, near, state, pick, margin)
    fixed_in = np.flatnonzero(state == 1)
    full = near.full_orders
    offset = pick[fixed_in] - near.option_start[fixed_in]
    return Fixing(problem.option_start[full[fixed_in]] + offset, full[state == 2])


def unfix(problem: Problem, fixing: Fixing, wrong: NDArray[np.int64]) -> Fixing:
    """Move some orders to the core."""
    order = order_at(problem, fixing.fixed)
    kept = fixing.fixed[~np.isin(order, wrong)]
    return Fixing(kept, np.union1d(fixing.core, wrong))


def core_problem(problem: Problem, fixing: Fixing) -> tuple[Problem, NDArray[np.int64]]:
    """
    The core as a problem of its own, with the caps and slots that are left.

    Returns
    -------
    core, options
        Merchants without an order in the core are left out; ``options`` are the
        core's options in the numbers of the problem.
    """
    order, fixed = fixing.core, fixing.fixed
    cap = problem.cap - _used_caps(problem, fixed)
    slots = problem.slots - lane_use(problem.option_lane[fixed], problem.lane_parent)
    merchant = merchant_at(problem, order)
    present, place = np.unique(merchant, return_inverse=True)
    first = problem.option_start[order]
    size = problem.option_start[order + 1] - first
    start = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
    options = np.repeat(first - start[:-1], size) + np.arange(start[-1])
    core = Problem(
        merchant_start=starts(place, len(present)),
        cap=cap[present],
        option_start=start,
        option_lane=problem.option_lane[options],
        option_saving=problem.option_saving[options],
        slots=slots,
        lane_parent=problem.lane_parent.copy(),
        key=problem.key[order],
        row=problem.row[order],
    )
    return core, options


def disagreement(
    problem: Problem,
    market: Market,
    chosen: NDArray[np.int64],
    price: NDArray[np.int64],
    pool: Pool,
) -> tuple[int, NDArray[np.int64]]:
    """
    Compare a plan with what merchants would choose at effective prices.

    Returns
    -------
    surplus, wrong
        What the market's merchants would save above lane prices, micro-CNY;
        orders of the problem that they would decide otherwise, ascending.
    """
    from optimizer.solvers.kernels.market import contradictions

    order = order_at(problem, chosen)
    if market.order is not None:
        place = np.searchsorted(market.order, order)
        inside = place < market.num_orders
        inside[inside] = market.order[place[inside]] == order[inside]
        offset = (chosen - problem.option_start[order])[inside]
        order = place[inside]
        chosen = market.option_start[order] + offset
    chosen_start = np.searchsorted(order, market.merchant_start).astype(np.int64)

    def work(_: int, first: int, last: int) -> tuple[int, NDArray[np.int64]]:
        found = np.empty(MAX_FOUND, np.int64)
        surplus, count = contradictions(
            first, last, *market.arrays, price, chosen, chosen_start, found
        )
        return int(surplus), found[: min(count, MAX_FOUND)]

    surplus, wrong = zip(*pool.over_parts(market, work), strict=True)
    return sum(surplus), market.full_orders[np.concatenate(wrong)]


def order_at(problem: Problem, options: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of each of some options."""
    return np.searchsorted(problem.option_start, options, side="right") - 1


def merchant_at(problem: Problem, orders: NDArray[np.int64]) -> NDArray[np.int64]:
    """The merchant of each of some orders."""
    return np.searchsorted(problem.merchant_start, orders, side="right") - 1


def _used_caps(problem: Problem, fixed: NDArray[np.int64]) -> NDArray[np.int64]:
    merchant = merchant_at(problem, order_at(problem, fixed))
    return np.bincount(merchant, minlength=problem.num_merchants)


def _free_overfull(
    problem: Problem,
    near: Market,
    state: NDArray[np.int8],
    pick: NDArray[np.int64],
    margin: NDArray[np.int64],
) -> None:
    """Free the weakest fixed orders of lanes that they overfill."""
    while True:
        fixed = np.flatnonzero(state == 1)
        lane = near.option_lane[pick[fixed]]
        excess = lane_use(lane, problem.lane_parent) - problem.slots
        if np.all(excess <= 0):
            return
        worst = int(np.flatnonzero(excess > 0)[-1])
        on_lane = fixed[is_inside(worst, problem.lane_parent)[lane]]
        weakest = on_lane[np.lexsort((on_lane, margin[on_lane]))]
        state[weakest[: excess[worst]]] = 2
