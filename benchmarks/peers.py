"""
Every method on the same night, each in a fresh process of its own.

A night is written once, in the form that each method reads: as the problem, as a
linear program or as a network. A method's process reads that and nothing else, so
its peak memory is its own; it solves a small night first, so that loading and
compiling are not timed. Whoever returns whole parcels has them checked against
the limits and added up in integers, whatever objective it reports.

    python -m benchmarks.peers highs /tmp/night --rounds 3 --limit-seconds 300
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.instances import make_instance, make_problem
from optimizer.model.problem import Problem
from optimizer.model.solution import SolveParams
from optimizer.model.tree import lane_use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Arrays = Mapping[str, np.ndarray]

#: Orders of the night that every process solves first, untimed, by what it reads:
#: ours must be large enough to compile and load everything that a large one needs.
WARM_UP_ORDERS = {"problem": 250_000, "lp": 5_000, "network": 5_000}
#: Relative accuracy that the first-order method is asked for.
PDLP_ACCURACY = 1e-6


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
    largest_excess
        Parcels above a limit, at most; only fractions may be above.
    """

    objective: float
    chosen: np.ndarray | None
    is_finished: bool = True
    proved_gap: Callable[[], int] | None = None
    largest_excess: float = 0.0


@dataclass(frozen=True, slots=True)
class Peer:
    """
    One method.

    Attributes
    ----------
    form
        What it reads: ``problem``, ``lp`` or ``network``.
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


def problem_arrays(problem: Problem) -> dict[str, np.ndarray]:
    """Lay the problem out by field."""
    return {field.name: getattr(problem, field.name) for field in fields(problem)}


def lp_arrays(problem: Problem) -> dict[str, np.ndarray]:
    """
    Lay the night out as a linear program, by column; one column for each option.

    Rows are merchants, lanes and the orders that have several options left. What
    can never be chosen is left out, as in the network, so the two are alike.
    """
    from optimizer.solvers.flow import build_network
    from optimizer.solvers.greedy import merchant_of_order, order_of_option

    option = build_network(problem).option
    order = order_of_option(problem)[option]
    _, place, ways = np.unique(order, return_inverse=True, return_counts=True)
    is_row = ways > 1
    order_row = np.full(len(ways), -1)
    first_order = problem.num_merchants + problem.num_lanes
    order_row[is_row] = first_order + np.arange(is_row.sum())
    rows = [merchant_of_order(problem)[order], order_row[place]]
    lane = problem.option_lane[option]
    while np.any(lane >= 0):
        rows.append(np.where(lane >= 0, problem.num_merchants + lane, -1))
        lane = np.where(lane >= 0, problem.lane_parent[lane], -1)
    entries = np.sort(np.stack(rows, axis=1), axis=1)
    is_entry = entries >= 0
    start = np.concatenate(([0], np.cumsum(is_entry.sum(axis=1))))
    limit = np.concatenate((problem.cap, problem.slots, np.ones(is_row.sum())))
    return {
        "start": start.astype(np.int32),
        "row": entries[is_entry].astype(np.int32),
        "limit": limit.astype(np.float64),
        "saving": problem.option_saving[option],
        "option": option,
    }


def network_arrays(problem: Problem) -> dict[str, np.ndarray]:
    """
    Lay the night out as a network, arcs by tail and head; ``option`` or -1.

    LEMON wants no negative cost: the largest saving is added to every option and
    to the arc past them, and each unit of flow takes exactly one of these.
    """
    from optimizer.solvers.flow import build_network

    network = build_network(problem)
    option = np.full(len(network.tail), -1)
    option[: len(network.option)] = network.option
    is_past = (network.tail == 0) & (network.head == 1)
    largest = -int(network.cost.min(initial=0))
    cost = network.cost + np.where((option >= 0) | is_past, largest, 0)
    order = np.lexsort((network.head, network.tail))
    supply = np.zeros(network.num_nodes, np.int64)
    supply[:2] = network.supply, -network.supply
    return {
        "tail": network.tail[order],
        "head": network.head[order],
        "capacity": network.capacity[order],
        "cost": cost[order],
        "option": option[order],
        "supply": supply,
        "largest": np.array(largest),
    }


FORMS = {"problem": problem_arrays, "lp": lp_arrays, "network": network_arrays}


def write_forms(problem: Problem, folder: Path, forms: set[str]) -> dict[str, float]:
    """
    Write a night in some forms; the problem always, to check answers with.

    Returns
    -------
    dict
        Seconds that it took to lay out each form, writing left out.
    """
    seconds = {}
    for form in sorted(forms | {"problem"}):
        began = time.perf_counter()
        arrays = FORMS[form](problem)
        seconds[form] = time.perf_counter() - began
        for name, values in arrays.items():
            np.save(folder / f"{form}.{name}.npy", values)
    return seconds


def read_form(folder: Path, form: str) -> dict[str, np.ndarray]:
    """Read a form back."""
    return {
        path.name.split(".")[1]: np.load(path) for path in folder.glob(f"{form}.*.npy")
    }


def _prepare_own(
    method: str, arrays: Arrays, limit_seconds: float
) -> Callable[[], Answer]:
    """Our methods: from the problem to a plan with all its prices."""
    from optimizer.proof.certificate import certify
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
        )

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
        return Answer(float(saving @ amount), None, is_optimal, None, excess)

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
    "pricing": Peer(
        "problem", partial(_prepare_own, "pricing"), True, "this project, any size"
    ),
    "flow": Peer(
        "problem", partial(_prepare_own, "flow"), True, "OR-Tools minimum cost flow"
    ),
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


def run_peer(
    name: str, folder: Path, rounds: int = 1, limit_seconds: float = 300.0
) -> dict[str, Any]:
    """
    Run one method in a fresh process on a night that was written before.

    Returns
    -------
    dict
        ``seconds`` of the best round, ``prepare_seconds``,
        ``objective_micro_cny``, ``peak_memory_bytes``, ``num_broken_limits``,
        ``is_whole``; or only ``failure``, in words.
    """
    command = [sys.executable, "-m", "benchmarks.peers", name, str(folder)]
    command += ["--rounds", str(rounds), "--limit-seconds", str(limit_seconds)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    if done.returncode == -signal.SIGALRM:
        return {"failure": f"over {limit_seconds:g} s"}
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"failure": f"stopped with {done.returncode}: {last[:200]}"}
    return json.loads(done.stdout.splitlines()[-1])


def solve_with(name: str, problem: Problem, limit_seconds: float) -> dict[str, Any]:
    """Run one method once in a fresh process on a problem at hand."""
    with TemporaryDirectory() as folder:
        write_forms(problem, Path(folder), {PEERS[name].form})
        return run_peer(name, Path(folder), 1, limit_seconds)


def peak_memory_bytes() -> int:
    """Peak resident memory of this process since it was last forgotten."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024


def forget_peak_memory() -> None:
    """Let the peak start again from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def _measure(
    name: str, folder: Path, rounds: int, limit_seconds: float
) -> dict[str, Any]:
    """Warm up, solve some rounds, keep the best, and check the plan."""
    peer = PEERS[name]
    small = make_problem(make_instance("choice", WARM_UP_ORDERS[peer.form]))
    peer.prepare(FORMS[peer.form](small), limit_seconds)()
    del small
    seconds: list[float] = []
    arrays = read_form(folder, peer.form)
    forget_peak_memory()
    for _ in range(rounds):
        began = time.perf_counter()
        solve = peer.prepare(arrays, limit_seconds)
        prepare_seconds = time.perf_counter() - began
        # The kernel ends the process, even inside a library that never looks up.
        signal.setitimer(signal.ITIMER_REAL, limit_seconds)
        began = time.perf_counter()
        answer = solve()
        seconds.append(time.perf_counter() - began)
        signal.setitimer(signal.ITIMER_REAL, 0)
        del solve
        if not answer.is_finished:
            is_late = seconds[-1] > 0.95 * limit_seconds
            word = "over" if is_late else "gave up within"
            return {"failure": f"{word} {limit_seconds:g} s"}
    found = {
        "seconds": min(seconds),
        "all_seconds": seconds,
        "prepare_seconds": prepare_seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "objective_micro_cny": answer.objective,
        "is_whole": answer.chosen is not None,
    }
    if answer.chosen is None:
        return found | {"largest_excess": answer.largest_excess}
    if answer.proved_gap is not None:
        found["proved_gap_micro_cny"] = answer.proved_gap()
    problem = read_form(folder, "problem")
    total = int(problem["option_saving"][answer.chosen].sum())
    return found | {
        "objective_micro_cny": total,
        "reports_its_own_sum": total == answer.objective,
        "num_broken_limits": broken_limits(problem, answer.chosen),
    }


def main() -> None:
    """Run one method in this process and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limit-seconds", type=float, default=300.0)
    given = parser.parse_args()
    found = _measure(given.peer, given.folder, given.rounds, given.limit_seconds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
