"""
Choose the fastest method for a network night; all of them are exact.

- Few orders: balanced at once, unless that is slow.
- Orders mostly alike: flow on their classes, which are few.
- Otherwise prices. If balancing has tried far more arcs than it ever does on orders
that
  differ, the night is solved by flow on its classes. Arcs are counted and not seconds,
  so that the same night always takes the same method.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from optimizer.errors import SolveError
from optimizer.model.solution import Solution, Termination
from optimizer.solvers.deadline import ends_after
from optimizer.solvers.network.alike_orders import find_classes, is_tied, solve_merged
from optimizer.solvers.network.augmenting_paths import Patience, Stalled
from optimizer.solvers.network.canonical_plan import solve_canonically
from optimizer.solvers.network.direct import solve_directly
from optimizer.solvers.network.solve import solve_pricing

if TYPE_CHECKING:
    from optimizer.model.problem import Problem
    from optimizer.model.solution import SolveParams

#: Looks at the clock that balancing may take, each after ten million arcs: so many,
#: and one more for so many options.
PATIENCE, PATIENT_OPTIONS = 40, 1_000_000


def solve_network(problem: Problem, params: SolveParams) -> Solution:
    """
    Find the optimum of a network night, and the lowest prices that prove it.

    Returns
    -------
    Solution
        ``OPTIMAL``, with the canonical plan; or ``FEASIBLE`` with limit ``TIME`` or
        ``GAP``.
    """
    return solve_canonically(_solve, problem, params)


def _solve(problem: Problem, params: SolveParams) -> Solution:
    """Solve by the way that is the fastest."""
    ends = ends_after(params.time_limit_seconds)
    found = solve_directly(problem) if time.monotonic() < ends() else None
    if found is not None:
        return found
    try:
        if is_tied(problem):
            found = _by_classes(problem, ends())
            if found is not None:
                return found
        patience = Patience(PATIENCE + problem.num_options // PATIENT_OPTIONS)
        return solve_pricing(problem, _until(params, ends()), patience)
    except (Stalled, SolveError):
        pass
    try:
        found = _by_classes(problem, ends())
    except SolveError:
        found = None
    return found or solve_pricing(problem, _until(params, ends()))


def _until(params: SolveParams, ends: float) -> SolveParams:
    return replace(params, time_limit_seconds=max(ends - time.monotonic(), 1e-9))


def _by_classes(problem: Problem, ends: float) -> Solution | None:
    """Solve by classes of alike orders; ``None`` where the time does not suffice."""

    def is_late() -> bool:
        return time.monotonic() > ends

    found = solve_merged(problem, find_classes(problem), ends, is_late)
    if found is None:
        return None
    chosen, prices = found
    if prices is None:
        return None
    lane_price, merchant_price = prices
    return Solution(chosen, lane_price, merchant_price, Termination("OPTIMAL"))
