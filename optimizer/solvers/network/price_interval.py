r"""
Prices for a plan: the lowest that prove it.

The prices :math:`p` that prove an optimal plan are the solutions of difference
constraints on its residual graph, and there is a least one: the value of one more
slot on each lane. It is found by raising prices from 0 until no constraint
is broken (the Bellman–Ford relaxation, upward). With :math:`k_j` the chosen
option of order :math:`j`:

.. math::

   p_{\ell(a)} &\ge s_a - (s_{k_j} - p_{\ell(k_j)})
       && a \in A(j),\; j \text{ chosen} \\
   p_{\ell(a)} &\ge s_a - \min_{j \in m \text{ chosen}} (s_{k_j} - p_{\ell(k_j)})
       && a \in A(i),\; i \in m \text{ unchosen, cap full} \\
   p_{\ell(a)} &\ge s_a && \text{likewise, cap not full} \\
   p_r &\ge p_{\mathrm{parent}(r)}, \quad
   p_{\mathrm{parent}(r)} \ge p_r \text{ where } r \text{ has slack.}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import lane_use, own_price

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem


def least_prices(
    problem: Problem,
    chosen: NDArray[np.int64],
    is_late: Callable[[], bool] = lambda: False,
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """
    The lowest prices that prove an optimal plan.

    Parameters
    ----------
    problem
        The night.
    chosen
        ``(num_chosen,) int64`` options of a feasible plan.
    is_late
        Ends the search early.

    Returns
    -------
    lane_price, merchant_price
        ``(num_lanes,)`` and ``(num_merchants,) int64`` micro-CNY, at least 0. For
        a plan that is not optimal they bound it, but do not prove it. ``None`` where
        the time was up.
    """
    start = np.zeros(problem.num_lanes, np.int64)
    price = least_effective(problem, chosen, start, is_late)
    if is_late():
        return None
    return own_price(price, problem.lane_parent), cap_prices(problem, price)


def cap_prices(problem: Problem, price: NDArray[np.int64]) -> NDArray[np.int64]:
    """The lowest best price of each cap at effective lane prices (micro-CNY)."""
    from optimizer.solvers.kernels.accept import merchant_prices

    prices: NDArray[np.int64] = merchant_prices(
        problem.merchant_start,
        problem.cap,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
        price,
    )
    return prices


def least_effective(
    problem: Problem,
    chosen: NDArray[np.int64],
    start: NDArray[np.int64],
    is_late: Callable[[], bool] = lambda: False,
) -> NDArray[np.int64]:
    """
    Raise effective prices until they support the plan, or clearly never will.

    Parameters
    ----------
    problem, chosen
        The night and a feasible plan.
    start
        ``(num_lanes,) int64`` effective prices to raise; zeros for the least.
    is_late
        Ends the search early.
    """
    from optimizer.solvers.kernels.accept import raise_along_tree, raise_prices

    is_chosen, slack = _plan_view(problem, chosen)
    price = start.copy()
    limit = max(int(problem.option_saving.max(initial=0)), int(start.max(initial=0)))
    has_changed = True
    while has_changed and price.max(initial=0) <= limit and not is_late():
        has_changed = raise_prices(
            merchant_start=problem.merchant_start,
            cap=problem.cap,
            option_start=problem.option_start,
            option_lane=problem.option_lane,
            option_saving=problem.option_saving,
            is_chosen=is_chosen,
            price=price,
        )
        has_changed |= raise_along_tree(problem.lane_parent, slack, price)
    return np.minimum(price, limit)


def _plan_view(
    problem: Problem, chosen: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    is_chosen = np.zeros(problem.num_options, np.bool_)
    is_chosen[chosen] = True
    used = lane_use(problem.option_lane[chosen], problem.lane_parent)
    return is_chosen, problem.slots - used
