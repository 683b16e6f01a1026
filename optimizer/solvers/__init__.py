"""
The solvers: a registry of name → function(Problem, SolveParams) → Solution.

No solver is trusted: the certificate checks whatever it returns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from optimizer.errors import ConfigError, SolveError

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution, SolveParams

    Solver = Callable[[Problem, SolveParams], Solution]

#: Methods that ``solve`` knows, and what each promises.
METHODS = {
    "auto": "the fastest exact method for the night at hand",
    "pricing": "exact at any size: price, fix, solve, unfix",
    "packing": "loads, budgets, crossing rows, floors and pins: a plan and its gap",
    "flow": "exact: minimum cost flow on the whole night (OR-Tools)",
    "greedy": "largest saving first; feasible, not optimal, with a bound",
}
#: Methods that take loads, pins and rows beyond the nested lanes.
PACKING_METHODS = ("auto", "packing")


def solve(problem: Problem, method: str, params: SolveParams) -> Solution:
    """
    Solve a night with the method of that name.

    Raises
    ------
    ConfigError
        When there is no such method.
    SolveError
        When the method cannot take the problem's size or numbers.
    """
    solver = get_solver(method)
    refuse_kind(problem, method)
    return solver(problem, params)


def refuse_kind(problem: Problem, method: str) -> None:
    """
    Refuse a night of a kind that a method cannot take; imports no solver.

    Raises
    ------
    SolveError
        When it has loads, pins or further rows, and the method takes none.
    """
    if problem.side is not None and method not in PACKING_METHODS:
        raise SolveError(
            f"method {method!r} takes one slot for each parcel on nested lanes only; "
            "use method auto or packing for loads, pins and further rows"
        )


def get_solver(method: str) -> Solver:
    """
    Look up a solver by name, and import it.

    Parameters
    ----------
    method
        Such as ``auto``, ``greedy`` or ``flow``.

    Raises
    ------
    ConfigError
        When there is no such method.
    """
    from optimizer.solvers.baselines.flow import solve_flow
    from optimizer.solvers.baselines.greedy import solve_greedy
    from optimizer.solvers.network.canonical_plan import solve_canonically
    from optimizer.solvers.network.solve import solve_pricing
    from optimizer.solvers.packing.solve import solve_packing

    solvers: dict[str, Solver] = {
        "auto": solve_packing,
        "pricing": partial(solve_canonically, solve_pricing),
        "packing": solve_packing,
        "flow": partial(solve_canonically, solve_flow),
        "greedy": solve_greedy,
    }
    if method not in solvers:
        raise ConfigError(f"there is no method {method!r}; choose one of {[*solvers]}")
    return solvers[method]
