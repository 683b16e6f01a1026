"""
Every method that is compared, each behind the same few words.

A method reads a night in one form and gives an :class:`Answer`. Whoever returns whole
parcels has them checked against the limits and added up in integers, whatever
objective it reports; a first-order method returns fractions of parcels, whose worth may
be slightly above the limits. ``auto`` uses every core, ``pdlp`` two, HiGHS as many as
it likes, the others one. Set-up is what lays the arrays of the problem out as the
solver reads them, and hands them over; no prices are worked out from another's answer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import effective_price, lane_use
from optimizer.model.problem import Problem
from optimizer.model.solution import SolveParams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from optimizer.model.solution import Solution

    Arrays = Mapping[str, np.ndarray]

#: Relative accuracy that the first-order method is asked for.
PDLP_ACCURACY = 1e-6
#: Times that the bound is evaluated; the best counts.
NUM_PASSES = 5
#: The method that the others are measured against.
OURS = "auto"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What a method found.

    Attributes
    ----------
    objective
        Micro-CNY; a whole number unless the method returns fractions of parcels.
    chosen
        Options; ``None`` where they are fractions.
    is_finished
        Whether the method says that it reached what it was asked for.
    proved_gap
        Asks the certificate what the method's prices prove, micro-CNY; ``None``
        where the method gives no prices.
    bound_pass
        Times one evaluation of the dual bound at the method's prices on all threads:
        seconds, and the bound in micro-CNY. ``None`` where there are no prices.
    largest_excess
        Parcels above a limit, at most; only fractions may be above.
    """

    objective: float
    chosen: np.ndarray | None
    is_finished: bool = True
    proved_gap: Callable[[], int] | None = None
    bound_pass: Callable[[], tuple[float, int]] | None = None
    largest_excess: float = 0.0


@dataclass(frozen=True, slots=True)
class Peer:
    """
    One method.

    Attributes
    ----------
    form
        What it reads: a key of :data:`benchmarks.forms.FORMS`.
    prepare
        From the arrays of that form to what is timed.
    is_exact
        Whether it promises the optimum.
    what
        One line for the table.
    """

    form: str
    prepare: Callable[[Arrays, float], Callable[[], Answer]]
    is_exact: bool
    what: str


def _prepare_own(
    method: str, arrays: Arrays, limit_seconds: float
) -> Callable[[], Answer]:
    """Our methods: from the problem to a plan with all its prices."""
    from optimizer.certify.certificate import certify
    from optimizer.solvers import get_solver

    problem = Problem(**arrays)
    solver, params = get_solver(method), SolveParams(limit_seconds)

    def solve() -> Answer:
        solution = solver(problem, params)
        saving = int(problem.option_saving[solution.chosen].sum())
        is_finished = solution.termination.limit != "TIME"
        return Answer(
            saving,
            solution.chosen,
            is_finished,
            lambda: certify(problem, solution).gap,
            partial(_bound_pass, problem, solution),
        )

    return solve


def _bound_pass(problem: Problem, solution: Solution) -> tuple[float, int]:
    """
    Time the dual bound at a solution's lane prices; the best of some passes.

    It is the leanest pass there is over all options: the kernel reads every saving
    and lane once and ranks each merchant's orders, nothing else.
    """
    from optimizer.solvers.market import Threads, whole_market
    from optimizer.solvers.network.dual_bound import bound_at

    price = effective_price(solution.lane_price, problem.lane_parent)
    full = whole_market(problem)
    seconds = []
    with Threads() as pool:
        for _ in range(NUM_PASSES):
            began = time.perf_counter()
            _, bound = bound_at(problem, full, price, pool)
            seconds.append(time.perf_counter() - began)
    return min(seconds), bound


def _prepare_ortools(arrays: Arrays, limit_seconds: float) -> Callable[[], Answer]:
    """Minimum cost flow by itself; no limit of its own, the process is stopped."""
    from ortools.graph.python import min_cost_flow

    del limit_seconds
    solver = min_cost_flow.SimpleMinCostFlow()
    names = ("tail", "head", "capacity", "cost")
    arcs = solver.add_arcs_with_capacity_and_unit_cost(*(arrays[n] for n in names))
    ends = np.arange(2, dtype=np.int32)
    solver.set_nodes_supplies(ends, arrays["supply"][:2])

    def solve() -> Answer:
        is_optimal = solver.solve() == solver.OPTIMAL
        is_taken = (solver.flows(arcs) > 0) & (arrays["option"] >= 0)
        return Answer(-solver.optimal_cost(), arrays["option"][is_taken], is_optimal)

    return solve


def _prepare_highs(
    solver: str, arrays: Arrays, limit_seconds: float
) -> Callable[[], Answer]:
    """Set up the linear program in CNY, so that its numbers are of a good size."""
    import highspy

    saving, limit = arrays["saving"], arrays["limit"]
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(saving), len(limit)
    lp.col_cost_ = saving / 1e6
    lp.col_lower_, lp.col_upper_ = np.zeros(len(saving)), np.ones(len(saving))
    lp.row_lower_, lp.row_upper_ = np.full(len(limit), -np.inf), limit
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = arrays["start"]
    lp.a_matrix_.index_ = arrays["row"]
    lp.a_matrix_.value_ = np.ones(len(arrays["row"]))

    def solve() -> Answer:
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("solver", solver)
        highs.setOptionValue("time_limit", float(limit_seconds))
        highs.passModel(lp)
        highs.run()
        is_optimal = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
        amount = np.array(highs.getSolution().col_value)
        return _from_amounts(arrays, amount, is_optimal)

    return solve


def _prepare_lemon(arrays: Arrays, limit_seconds: float) -> Callable[[], Answer]:
    """Network simplex; it has no limit of its own, the process is stopped."""
    from pylmcf import Graph

    del limit_seconds
    graph = Graph(len(arrays["supply"]), arrays["tail"], arrays["head"])
    graph.set_edge_capacities(arrays["capacity"])
    graph.set_edge_costs(arrays["cost"])

    def solve() -> Answer:
        graph.set_node_supply(arrays["supply"])
        graph.solve()
        is_taken = (graph.result() > 0) & (arrays["option"] >= 0)
        chosen = np.sort(arrays["option"][is_taken])
        free = int(arrays["largest"]) * int(arrays["supply"][0])
        return Answer(free - graph.total_cost(), chosen)

    return solve


def _prepare_pdlp(arrays: Arrays, limit_seconds: float) -> Callable[[], Answer]:
    """First-order method on the linear program; its parcels come in fractions."""
    from ortools.pdlp import solve_log_pb2, solvers_pb2
    from ortools.pdlp.python import pdlp
    from scipy.sparse import csc_matrix

    saving, limit = arrays["saving"], arrays["limit"]
    ones = np.ones(len(arrays["row"]))
    qp = pdlp.QuadraticProgram()
    qp.objective_vector = -saving / 1e6
    matrix = csc_matrix(
        (ones, arrays["row"], arrays["start"]), shape=(len(limit), len(saving))
    )
    qp.constraint_matrix = matrix
    qp.constraint_lower_bounds = np.full(len(limit), -np.inf)
    qp.constraint_upper_bounds = limit
    qp.variable_lower_bounds = np.zeros(len(saving))
    qp.variable_upper_bounds = np.ones(len(saving))
    params = solvers_pb2.PrimalDualHybridGradientParams(num_threads=2)
    criteria = params.termination_criteria
    criteria.simple_optimality_criteria.eps_optimal_relative = PDLP_ACCURACY
    criteria.simple_optimality_criteria.eps_optimal_absolute = PDLP_ACCURACY
    criteria.time_sec_limit = limit_seconds
    optimal = solve_log_pb2.TERMINATION_REASON_OPTIMAL

    def solve() -> Answer:
        found = pdlp.primal_dual_hybrid_gradient(qp, params)
        amount = found.primal_solution
        is_optimal = found.solve_log.termination_reason == optimal
        excess = float(np.max(matrix @ amount - limit))
        return Answer(float(saving @ amount), None, is_optimal, largest_excess=excess)

    return solve


def _from_amounts(arrays: Arrays, amount: np.ndarray, is_finished: bool) -> Answer:
    """Whole parcels where all amounts are whole, else what the fractions add up to."""
    is_taken = amount > 0.5
    if np.any(np.abs(amount - is_taken) > 1e-6):
        return Answer(float(arrays["saving"] @ amount), None, is_finished)
    chosen = arrays["option"][is_taken]
    return Answer(int(arrays["saving"][is_taken].sum()), chosen, is_finished)


#: Every method that can be compared.
PEERS = {
    OURS: Peer("problem", partial(_prepare_own, OURS), True, "this project"),
    "pricing": Peer(
        "problem", partial(_prepare_own, "pricing"), True, "this project, by prices"
    ),
    "flow": Peer(
        "problem", partial(_prepare_own, "flow"), True, "this project, by OR-Tools"
    ),
    "ortools": Peer("arcs", _prepare_ortools, True, "OR-Tools minimum cost flow"),
    "lemon": Peer("network", _prepare_lemon, True, "LEMON network simplex"),
    "highs": Peer(
        "lp", partial(_prepare_highs, "choose"), True, "HiGHS, its own choice of method"
    ),
    "highs-ipm": Peer(
        "lp", partial(_prepare_highs, "ipm"), True, "HiGHS interior point"
    ),
    "pdlp": Peer("lp", _prepare_pdlp, False, "OR-Tools PDLP, to one in a million"),
    "greedy": Peer(
        "problem", partial(_prepare_own, "greedy"), False, "largest saving first"
    ),
}


def broken_limits(problem: Arrays, chosen: np.ndarray) -> int:
    """How many limits a plan breaks, counted from the problem alone."""
    order = np.searchsorted(problem["option_start"], chosen, side="right") - 1
    merchant = np.searchsorted(problem["merchant_start"], order, side="right") - 1
    used = np.bincount(merchant, minlength=len(problem["cap"]))
    taken = lane_use(problem["option_lane"][chosen], problem["lane_parent"])
    repeats = len(order) - len(np.unique(order))
    over = np.sum(used > problem["cap"]) + np.sum(taken > problem["slots"])
    return int(repeats + over)
