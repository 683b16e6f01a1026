"""Packing nights whose network relaxation already keeps the side rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.side_constraints import NO_PIN
from optimizer.solvers.choose_method import solve_network
from optimizer.solvers.packing.market import row_use, side_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution, SolveParams


def network_plan(
    problem: Problem, params: SolveParams, seconds: float
) -> Solution | None:
    """
    Solve a night of unit loads without its side rows; ``None`` if they matter.

    A plan that is best without them, and keeps all of them, is best with them.
    """
    side = side_of(problem)
    if np.any(side.option_load != 1) or seconds <= 0:
        return None
    params = replace(params, time_limit_seconds=seconds)
    found = solve_network(replace(problem, side=None), params)
    if found.termination.limit == "TIME" or not keeps_side(problem, found.chosen):
        return None
    return replace(found, row_price=np.zeros(side.num_rows, np.int64))


def keeps_side(problem: Problem, chosen: NDArray[np.int64]) -> bool:
    """Whether a plan keeps every ceiling, floor and pin."""
    side, used = side_of(problem), row_use(problem, chosen)
    is_chosen = np.zeros(problem.num_orders, np.bool_)
    is_chosen[np.searchsorted(problem.option_start, chosen, side="right") - 1] = True
    is_kept = (side.pin_rank == NO_PIN) | is_chosen
    return bool(
        np.all(used <= side.high) and np.all(used >= side.low) and np.all(is_kept)
    )
