r"""
Bounds for nights with loads, side rows and pins.

With prices :math:`\lambda` of lanes, :math:`\mu` of caps and :math:`\pi` of side rows
(above 0 for the ceiling, below 0 for the floor), :math:`\Lambda` what an option pays
for a slot on its lane and all lanes around it, and

.. math::

   r_a = s_a - l_a \Lambda_{\ell(a)} - \sum_r w_{ra} \pi_r - \mu_{m(a)}, \qquad
   S = \sum_m \mathrm{cap}_m \mu_m
   + \sum_r \bigl(\mathrm{high}_r \pi_r^+ - \mathrm{low}'_r \pi_r^-\bigr),

no plan is worth more than either of

.. math::

   \text{merchant bound} &= S + \sum_\ell \mathrm{slots}_\ell \lambda_\ell
   + \sum_i \max\bigl(0, \max_{a \in A(i)} r_a\bigr), \\
   \text{lane bound} &= S + \sum_{\ell \text{ with children}}
   \mathrm{slots}_\ell \lambda_\ell + \sum_i \omega_i
   + \sum_\ell K_\ell\bigl(r_a - \omega_{i(a)}\bigr) .

In the lane bound, lanes without children have no price of their own; :math:`K_\ell` is
the most that the options directly on a lane are worth within its slots, and
:math:`\omega \ge 0` prices that an order is chosen once. Orders that are pinned are
chosen for certain: their inner ``max(0, ...)`` falls away, and their :math:`\omega` may
be negative. A floor with a penalty may have no higher price than that.

Floors without a penalty, and pins, that the plan does not keep are *conflicts*:
:math:`\mathrm{low}'` is then what the plan reaches, and such a pin is ignored. The
bound holds for all plans that break no floor and no pin more than this one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from optimizer.certify.exact import exact_dot, exact_sum
from optimizer.certify.knapsack import lane_worths
from optimizer.errors import CertificateError
from optimizer.model.lane_tree import effective_price
from optimizer.model.reduced_savings import (
    BLOCK_ORDERS,
    NO_OPTION,
    best_of,
    net_savings,
)
from optimizer.model.side_constraints import HARD, NO_CEILING, NO_FLOOR, NO_PIN, row_use

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.side_constraints import SideRows
    from optimizer.model.solution import Solution

#: Largest charge on an option, in micro-CNY: savings less charges stay in 64 bits.
MAX_CHARGE = 2**60


@dataclass(frozen=True, slots=True)
class Conflict:
    """
    A floor without a penalty, or a pin, that a plan does not keep.

    Attributes
    ----------
    kind
        ``row``: the floor of a side row; ``pin``: an order that must be chosen.
    number
        Of the side row, or of the order, in the problem.
    rank
        Those of lower rank are kept first.
    asked, reached
        Weight that the floor asks for and has; 1 and 0 for a pin.
    """

    kind: Literal["row", "pin"]
    number: int
    rank: int
    asked: int
    reached: int


def find_conflicts(
    problem: Problem, side: SideRows, chosen: NDArray[np.int64]
) -> tuple[Conflict, ...]:
    """Floors without a penalty, and pins, that a plan does not keep, by rank."""
    used = row_use(side, chosen)
    rows = np.flatnonzero((side.penalty == HARD) & (used < side.low))
    lost = np.flatnonzero((side.pin_rank != NO_PIN) & ~is_kept(problem, side, chosen))
    floors = [
        Conflict("row", r, int(side.rank[r]), int(side.low[r]), int(used[r]))
        for r in rows.tolist()
    ]
    pins = [Conflict("pin", i, int(side.pin_rank[i]), 1, 0) for i in lost.tolist()]
    return tuple(sorted(floors + pins, key=lambda c: (c.rank, c.kind, c.number)))


def is_kept(
    problem: Problem, side: SideRows, chosen: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """``(num_orders,) bool``: orders that are pinned, and chosen."""
    is_chosen = np.zeros(problem.num_orders, np.bool_)
    is_chosen[np.searchsorted(problem.option_start, chosen, side="right") - 1] = True
    return is_chosen & (side.pin_rank != NO_PIN)


def penalties(side: SideRows, chosen: NDArray[np.int64]) -> int:
    """What a plan pays for floors that it does not reach, micro-CNY, exact."""
    short = side.low - row_use(side, chosen)
    paid = np.flatnonzero((side.penalty > 0) & (short > 0))
    return exact_dot(short[paid], side.penalty[paid])


def check_prices(problem: Problem, side: SideRows, solution: Solution) -> None:
    """
    Refuse prices of side rows and orders with which no bound holds.

    Raises
    ------
    CertificateError
        Naming what does not fit.
    """
    price, worth = row_prices(side, solution), solution.order_price
    if len(price) != side.num_rows:
        raise CertificateError("there is not one price for each side row")
    if worth is not None and len(worth) != problem.num_orders:
        raise CertificateError("there is not one price for each order")
    if worth is not None and np.any(
        (worth < 0) & ~is_kept(problem, side, solution.chosen)
    ):
        raise CertificateError(
            "the price of an order is negative, so it bounds nothing"
        )
    above = (price > 0) & (side.high >= NO_CEILING)
    below = (price < 0) & (side.low <= NO_FLOOR)
    if np.any(above | below):
        raise CertificateError(
            "a side row has a price on the side where it has no limit"
        )
    if np.any((side.penalty != HARD) & (-price > side.penalty)):
        raise CertificateError("the price of a floor is above its penalty")
    _check_charges(problem, side, solution)


def _check_charges(problem: Problem, side: SideRows, solution: Solution) -> None:
    """Refuse prices whose sums could leave 64 bits."""
    lanes = effective_price(solution.lane_price, problem.lane_parent)
    of_lane, of_row = most_charged(
        problem, side, lanes[None], row_prices(side, solution)[None]
    )
    charge = float(of_lane[0] + of_row[0])
    if solution.order_price is not None:
        charge += float(np.abs(solution.order_price.astype(np.float64)).max(initial=0))
    if charge > MAX_CHARGE or int(lanes.min(initial=0)) < 0:
        raise CertificateError("a price is beyond any saving, and could overflow")


def most_charged(
    problem: Problem,
    side: SideRows,
    lane_price: NDArray[np.int64],
    row_price: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    The most that any option could pay for lanes, and for side rows, of each pricing.

    In floats, which do not wrap around: they are compared with ``MAX_CHARGE``, far
    below the end of 64 bits.

    Parameters
    ----------
    problem, side
        The night.
    lane_price
        ``(n, num_lanes) int64``: effective prices of n pricings.
    row_price
        ``(n, num_rows) int64``.
    """
    load, weight = np.ones(problem.num_lanes), np.ones(side.num_rows)
    np.maximum.at(load, problem.option_lane, side.option_load)
    np.maximum.at(weight, side.entry_row, side.entry_weight)
    most_rows = int(np.diff(side.entry_start).max(initial=0))
    of_lane = (np.abs(lane_price.astype(np.float64)) * load).max(axis=1, initial=0)
    of_row = (np.abs(row_price.astype(np.float64)) * weight).max(axis=1, initial=0)
    return of_lane, most_rows * of_row


def row_prices(side: SideRows, solution: Solution) -> NDArray[np.int64]:
    """Prices of the side rows; all 0 where none are given."""
    if solution.row_price is None:
        return np.zeros(side.num_rows, np.int64)
    return solution.row_price


def packing_bound(problem: Problem, side: SideRows, solution: Solution) -> int:
    """
    Bound every plan: by lanes where orders have prices, else by merchants.

    Parameters
    ----------
    problem, side
        The night.
    solution
        Prices that :func:`check_prices` accepted, and the plan, for its conflicts.

    Returns
    -------
    int
        Micro-CNY, exact.
    """
    bound = exact_dot(problem.cap, solution.merchant_price)
    bound += row_limits(side, solution)
    if solution.order_price is None:
        return bound + _merchant_part(problem, side, solution)
    return bound + _lane_part(problem, side, solution, solution.order_price)


def row_limits(side: SideRows, solution: Solution) -> int:
    """Add up the limits of side rows at their prices."""
    price, used = row_prices(side, solution), row_use(side, solution.chosen)
    low = np.where(side.penalty == HARD, np.minimum(side.low, used), side.low)
    priced = np.flatnonzero(price)
    limit = np.where(price > 0, side.high, low)[priced]
    return sum(
        int(at) * int(each) for at, each in zip(limit, price[priced], strict=True)
    )


def _merchant_part(problem: Problem, side: SideRows, solution: Solution) -> int:
    """Slots at their prices, plus what each order saves beyond all prices."""
    total = exact_dot(problem.slots, solution.lane_price)
    price = effective_price(solution.lane_price, problem.lane_parent)
    kept = is_kept(problem, side, solution.chosen)
    rows = row_prices(side, solution)
    for first in range(0, problem.num_orders, BLOCK_ORDERS):
        last = min(first + BLOCK_ORDERS, problem.num_orders)
        start = problem.option_start[first : last + 1]
        net = net_savings(problem, price, rows, first, last)
        best = best_of(start, net, NO_OPTION) - cap_price(
            problem, solution, first, last
        )
        total += exact_sum(np.where(kept[first:last], best, np.maximum(best, 0)))
    return total


def _lane_part(
    problem: Problem,
    side: SideRows,
    solution: Solution,
    order_price: NDArray[np.int64],
) -> int:
    """Slots of lanes with children, orders at their prices, and what lanes hold."""
    has_child = np.zeros(problem.num_lanes, np.bool_)
    has_child[problem.lane_parent[problem.lane_parent >= 0]] = True
    own = np.where(has_child, solution.lane_price, 0)
    price = effective_price(own, problem.lane_parent)
    rows, net = row_prices(side, solution), np.empty(problem.num_options, np.int64)
    for first in range(0, problem.num_orders, BLOCK_ORDERS):
        last = min(first + BLOCK_ORDERS, problem.num_orders)
        start = problem.option_start[first : last + 1]
        paid = cap_price(problem, solution, first, last) + order_price[first:last]
        net[start[0] : start[-1]] = net_savings(
            problem, price, rows, first, last
        ) - np.repeat(paid, np.diff(start))
    held = lane_worths(problem.option_lane, side.option_load, net, problem.slots)
    return exact_dot(problem.slots, own) + exact_sum(order_price) + exact_sum(held)


def cap_price(
    problem: Problem, solution: Solution, first: int, last: int
) -> NDArray[np.int64]:
    """
    Price of the cap that each order of a block counts against.

    Parameters
    ----------
    problem, solution
        The night, and its prices.
    first, last
        The orders ``first : last``.
    """
    order = np.arange(first, last)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    return solution.merchant_price[merchant]
