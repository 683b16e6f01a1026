"""A feasible plan made quickly from prices, and a bound on its gap."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certify.exact import exact_sum
from optimizer.model.lane_tree import above_parents, own_price
from optimizer.model.solution import Solution, Termination
from optimizer.solvers.network.dual_bound import bound_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Limit
    from optimizer.solvers.market import Market, NearMarket, Threads


def quick_plan(
    problem: Problem,
    full: Market,
    near: NearMarket,
    price: NDArray[np.int64],
    pool: Threads,
    limit: Limit,
) -> tuple[Solution, int]:
    """
    Make a feasible plan, the best at effective prices first, and bound it.

    Parameters
    ----------
    problem
        The night.
    full
        The market of all orders, for the bound.
    near
        The orders that the plan is made of.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    pool
        Threads that share the merchants.
    limit
        What ended the solve, for the plan's termination.

    Returns
    -------
    plan, bound
        A feasible plan with prices, and the dual bound at them, micro-CNY.
    """
    from optimizer.solvers.kernels.accept import accept_in_turn

    reduced = near.option_saving - price[near.option_lane]
    worth = np.flatnonzero(near.option_saving > 0)
    accepted = accept_in_turn(
        turn=worth[np.argsort(-reduced[worth], kind="stable")],
        option_order=near.option_order,
        order_merchant=near.order_merchant,
        option_lane=near.option_lane,
        lane_parent=problem.lane_parent,
        cap_left=problem.cap.copy(),
        slots_left=problem.slots.copy(),
    )
    pick = np.full(near.num_orders, -1, np.int64)
    option = np.flatnonzero(accepted)
    pick[near.option_order[option]] = option
    chosen = chosen_options(full.option_start, near, pick)
    price = above_parents(price, problem.lane_parent)
    merchant_price, bound = bound_at(problem, full, price, pool)
    own = own_price(price, problem.lane_parent)
    stop = Termination("FEASIBLE", limit)
    return Solution(chosen, own, merchant_price, stop), bound


def is_close_enough(
    problem: Problem, plan: Solution, bound: int, relative_gap: float
) -> bool:
    """
    Whether the gap to a bound is at most a share of the plan's saving, exactly.

    Parameters
    ----------
    problem
        The night.
    plan
        A feasible plan.
    bound
        A dual bound, micro-CNY.
    relative_gap
        Largest accepted distance, as a share of the plan's saving.
    """
    worth = exact_sum(problem.option_saving[plan.chosen])
    share = Fraction(repr(float(relative_gap)))
    return bound - worth <= share * max(1, abs(worth))


def chosen_options(
    option_start: NDArray[np.int64], near: NearMarket, pick: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Options of the whole market that are picked in a near one, ascending."""
    order = np.flatnonzero(pick >= 0)
    offset = pick[order] - near.option_start[order]
    return option_start[near.order[order]] + offset
