r"""
The certificate: is the plan feasible, and how far can it be from the best?

For any prices :math:`\lambda \ge 0` of lanes and :math:`\mu \ge 0` of caps, no
plan saves more than

.. math::

   \text{dual bound} = \sum_r \mathrm{slots}_r \lambda_r
   + \sum_m \mathrm{cap}_m \mu_m
   + \sum_i \max\Bigl(0, \max_{a \in A(i)}
     \bigl(s_a - \sum_{r \ni a} \lambda_r\bigr) - \mu_{m(i)}\Bigr)

by weak duality of linear programming. Everything here is integer arithmetic on
the problem, the plan and the prices; nothing that a solver reports is trusted.
:mod:`optimizer.certify.packing` has the bounds for nights with loads and side rows,
:mod:`optimizer.certify.branches` those of branchings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certify.branches import check_tree, tree_bound
from optimizer.certify.exact import common_unit, exact_dot, exact_sum
from optimizer.certify.packing import (
    Conflict,
    check_prices,
    find_conflicts,
    packing_bound,
    penalties,
)
from optimizer.errors import CertificateError
from optimizer.model.lane_tree import effective_price, lane_use
from optimizer.model.reduced_savings import BLOCK_ORDERS, best_reduced
from optimizer.model.side_constraints import row_use
from optimizer.model.solution import Termination

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution

#: Largest price that is read, in micro-CNY: sums along a lane's path stay in 64 bits.
MAX_PRICE = 2**58


@dataclass(frozen=True, slots=True)
class Certificate:
    """
    What is proved about a plan. All money is integer micro-CNY.

    Attributes
    ----------
    is_feasible
        Whether the plan keeps every limit.
    primal_bound
        What the plan saves, less the penalties of floors that it does not reach; the
        optimum is at least this if it is feasible.
    dual_bound
        What no plan can exceed.
    gap
        ``dual_bound - primal_bound``: 0 proves that the plan is optimal.
    violations
        Descriptions of the limits that are broken; empty when feasible.
    conflicts
        Floors without a penalty, and pins, that the plan does not keep: the bounds
        then hold for the plans that break none of them more than this one.
    unit
        Micro-CNY; a common divisor of what plans can save: ``dual_bound`` is rounded
        down to a multiple of it. 1 where no rounding is needed, and on network nights.
    """

    is_feasible: bool
    primal_bound: int
    dual_bound: int
    gap: int
    violations: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    unit: int = 1

    @property
    def relative_gap(self) -> float:
        """``gap / max(1 micro-CNY, |primal_bound|)``, for people."""
        return self.gap / max(1, abs(self.primal_bound))

    @property
    def is_optimal(self) -> bool:
        """Whether the plan is proved optimal (conflicts aside)."""
        return self.is_feasible and self.gap == 0


def certify(problem: Problem, solution: Solution) -> Certificate:
    """
    Prove how good a plan is, from the problem alone.

    Parameters
    ----------
    problem
        The night.
    solution
        Plan and prices, from any solver or from files.

    Returns
    -------
    Certificate
        Feasibility, both bounds and the gap, recomputed.

    Raises
    ------
    CertificateError
        When the plan or the prices are not of the problem's shape, or a price is
        negative: then nothing is proved at all.
    """
    check_shapes(problem, solution)
    violations = tuple(broken_limits(problem, solution.chosen))
    primal = exact_sum(problem.option_saving[solution.chosen])
    conflicts: tuple[Conflict, ...] = ()
    if problem.side is None:
        if solution.tree is not None:
            raise CertificateError("a night whose lanes nest needs no branchings")
        dual = dual_bound(problem, solution.lane_price, solution.merchant_price)
    else:
        check_prices(problem, problem.side, solution)
        check_tree(problem, problem.side, solution)
        conflicts = find_conflicts(problem, problem.side, solution.chosen)
        primal -= penalties(problem.side, solution.chosen)
        dual = tree_bound(problem, problem.side, solution)
    # Where prices prove the bound of a network, they prove it to the last micro-CNY.
    needs_unit = problem.side is not None and dual > primal
    unit = saving_unit(problem) if needs_unit else 1
    dual -= dual % unit
    return Certificate(
        is_feasible=not violations,
        primal_bound=primal,
        dual_bound=dual,
        gap=dual - primal,
        violations=violations,
        conflicts=conflicts,
        unit=unit,
    )


def saving_unit(problem: Problem) -> int:
    """A common divisor, in micro-CNY, of every plan's saving less its penalties."""
    if problem.side is None:
        return common_unit(problem.option_saving)
    paid = np.maximum(problem.side.penalty, 0)
    return common_unit(problem.option_saving, paid)


def proved_termination(stop: Termination, certificate: Certificate) -> Termination:
    """
    Why a solve stopped, corrected by what is proved about its plan.

    A plan that is proved optimal is ``OPTIMAL`` whatever ended the solve; any other is
    ``FEASIBLE``, and if its solver believed it optimal, the limit is ``METHOD``.

    Examples
    --------
    >>> gap = Certificate(True, 5, 6, 1)
    >>> proved_termination(Termination("OPTIMAL"), gap)
    Termination(reason='FEASIBLE', limit='METHOD')
    """
    if certificate.is_optimal:
        return Termination("OPTIMAL")
    return Termination("FEASIBLE", stop.limit or "METHOD")


def price_gap(problem: Problem, solution: Solution, certificate: Certificate) -> int:
    """
    How far the bound of prices alone is above the plan, micro-CNY.

    It equals the certificate's gap, except where a bound by lanes or branchings is
    better, or the bound was rounded down. Statements about an order by its prices hold
    up to this.
    """
    is_plain = solution.order_price is None and solution.tree is None
    is_plain &= certificate.unit == 1
    if problem.side is None or is_plain:
        return certificate.gap
    by_prices = replace(solution, order_price=None, tree=None)
    bound = packing_bound(problem, problem.side, by_prices)
    return bound - certificate.primal_bound


def check_shapes(problem: Problem, solution: Solution) -> None:
    """
    Refuse a solution whose shapes or signs do not fit the problem.

    Raises
    ------
    CertificateError
        Naming what does not fit.
    """
    chosen = solution.chosen
    if len(solution.lane_price) != problem.num_lanes:
        raise CertificateError("there is not one price for each lane")
    if len(solution.merchant_price) != problem.num_merchants:
        raise CertificateError("there is not one price for each merchant")
    if np.any(solution.lane_price < 0) or np.any(solution.merchant_price < 0):
        raise CertificateError("a price is negative, so it bounds nothing")
    if (
        max(_largest(solution.lane_price), _largest(solution.merchant_price))
        > MAX_PRICE
    ):
        raise CertificateError("a price is beyond any saving, and could overflow")
    if np.any(np.diff(chosen) <= 0):
        raise CertificateError("the chosen options are not in ascending order")
    if len(chosen) and not 0 <= chosen[0] <= chosen[-1] < problem.num_options:
        raise CertificateError("a chosen option does not exist")


def _largest(values: NDArray[np.int64]) -> int:
    return int(values.max()) if len(values) else 0


def broken_limits(problem: Problem, chosen: NDArray[np.int64]) -> list[str]:
    """Name the kinds of limits that a plan breaks, with how many of each."""
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    used = np.bincount(merchant, minlength=problem.num_merchants)
    side = problem.side
    load = None if side is None else side.option_load[chosen]
    taken = lane_use(problem.option_lane[chosen], problem.lane_parent, load)
    counts = {
        ("order is chosen twice", "orders are chosen twice"): np.diff(order) == 0,
        ("merchant is above its cap", "merchants are above their cap"): (
            used > problem.cap
        ),
        ("lane is above its slots", "lanes are above their slots"): (
            taken > problem.slots
        ),
    }
    if side is not None:
        above = ("side row is above its ceiling", "side rows are above their ceiling")
        counts[above] = row_use(side, chosen) > side.high
    numbers = {what: int(np.sum(is_broken)) for what, is_broken in counts.items()}
    return [f"{n:,} {what[n > 1]}" for what, n in numbers.items() if n]


def dual_bound(
    problem: Problem,
    lane_price: NDArray[np.int64],
    merchant_price: NDArray[np.int64],
) -> int:
    """
    Bound every plan's saving by prices (the formula at the top of this module).

    Parameters
    ----------
    problem
        The night.
    lane_price
        ``(num_lanes,) int64`` micro-CNY, at least 0: each lane's own price.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY, at least 0.

    Returns
    -------
    int
        Micro-CNY, exact.
    """
    limits = exact_dot(problem.slots, lane_price)
    limits += exact_dot(problem.cap, merchant_price)
    price = effective_price(lane_price, problem.lane_parent)
    blocks = range(0, problem.num_orders, BLOCK_ORDERS)
    return limits + sum(
        _block_surplus(problem, price, merchant_price, first) for first in blocks
    )


def _block_surplus(
    problem: Problem,
    price: NDArray[np.int64],
    merchant_price: NDArray[np.int64],
    first: int,
) -> int:
    """Add up what each order of a block saves beyond all its prices."""
    last = min(first + BLOCK_ORDERS, problem.num_orders)
    order = np.arange(first, last)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    surplus = best_reduced(problem, price, first, last) - merchant_price[merchant]
    return exact_sum(np.maximum(surplus, 0))
