"""Integer and linear programs, solved by HiGHS or GLOP in OR-Tools."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.solvers.left_running import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

#: Objectives are scaled by a power of two so that none is larger.
LARGEST_COST = 2.0**20


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """
    Maximise ``cost @ x`` subject to ``least <= A x <= most``, ``0 <= x <= upper``.

    Attributes
    ----------
    cost, upper
        ``(num_columns,) float64``.
    row, column, amount
        ``(num_entries,)``: the matrix, by row and then by column.
    least, most
        ``(num_rows,) float64``; infinite where there is no limit.
    num_whole
        Number of columns, from the first, that are integer in an integer program.
    """

    cost: NDArray[np.float64]
    upper: NDArray[np.float64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    amount: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    num_whole: int


@dataclass(frozen=True, slots=True, eq=False)
class RowBlock:
    """
    Some rows of a program, numbered from 0.

    Attributes
    ----------
    row, column, amount
        ``(num_entries,)``: their part of the matrix.
    least, most
        ``(num_rows,)``; infinite where there is no limit.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    amount: NDArray[np.int64]
    least: NDArray[Any]
    most: NDArray[Any]


def joined_program(
    blocks: list[RowBlock],
    cost: NDArray[np.float64],
    upper: NDArray[np.float64],
    num_whole: int,
) -> Program:
    """
    Stack blocks of rows; each block numbers its rows from 0.

    Parameters
    ----------
    blocks
        The rows, from the first to the last.
    cost, upper, num_whole
        As in :class:`Program`.
    """
    sizes = np.array([len(block.least) for block in blocks])
    firsts = (np.cumsum(sizes) - sizes).tolist()
    numbered = zip(blocks, firsts, strict=True)
    row = np.concatenate([block.row + first for block, first in numbered])
    column = np.concatenate([block.column for block in blocks])
    amount = np.concatenate([block.amount for block in blocks])
    turn = np.lexsort((column, row))
    return Program(
        cost=cost,
        upper=upper,
        row=row[turn],
        column=column[turn],
        amount=amount[turn].astype(np.float64),
        least=np.concatenate([block.least for block in blocks]).astype(np.float64),
        most=np.concatenate([block.most for block in blocks]).astype(np.float64),
        num_whole=num_whole,
    )


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Effort:
    """
    How long an integer program may take.

    Attributes
    ----------
    seconds
        Wall time.
    nodes
        Nodes of the search tree: the same amount of work on any machine.
    relative_gap
        Gap at which to stop, as a share.
    work
        What CP-SAT may do, in its own count of work, of about a second each on an idle
        machine.
    is_stopped
        Whether nobody waits for the answer any more.
    """

    seconds: float
    nodes: int
    relative_gap: float
    work: float = 0.0
    is_stopped: Callable[[], bool] = _never


def solve_by_highs(
    program: Program, effort: Effort, known: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64] | None, bool]:
    """
    Solve an integer program with HiGHS on one thread.

    Parameters
    ----------
    program
        Objective, bounds and rows.
    effort
        Limits of time, nodes and gap.
    known
        ``(num_columns,) float64``: an answer to improve on.

    Returns
    -------
    answer, is_proved
        ``None`` where there was none in time; whether HiGHS says that none is better.
    """
    from ortools.math_opt.python import mathopt
    from ortools.math_opt.solvers import highs_pb2

    params = mathopt.SolveParameters(
        time_limit=_seconds(effort.seconds),
        highs=highs_pb2.HighsOptionsProto(string_options={"parallel": "off"}),
        node_limit=effort.nodes,
        relative_gap_tolerance=effort.relative_gap,
        absolute_gap_tolerance=0.0,
        random_seed=0,
    )
    kind, is_stopped = mathopt.SolverType.HIGHS, effort.is_stopped
    result = _solve(program, True, kind, params, known=known, is_stopped=is_stopped)
    if result is None or not result.has_primal_feasible_solution():
        return None, False
    is_proved = result.termination.reason == mathopt.TerminationReason.OPTIMAL
    return _values(result.variable_values(), len(program.cost)), is_proved


def solve_by_cp_sat(
    program: Program, effort: Effort, known: NDArray[np.float64], stop: Any
) -> NDArray[np.float64] | None:
    """
    Solve an integer program with CP-SAT on one thread, its work counted.

    Parameters
    ----------
    program
        Objective, bounds and rows.
    effort
        Limits of time and work.
    known
        ``(num_columns,) float64``: an answer to improve on.
    stop
        A ``SolveInterrupter`` that ends it.

    Returns
    -------
    ``(num_columns,) float64``, or ``None`` where no answer was found in time.
    """
    from ortools.math_opt.python import mathopt
    from ortools.sat import sat_parameters_pb2

    params = mathopt.SolveParameters(
        time_limit=_seconds(effort.seconds),
        cp_sat=sat_parameters_pb2.SatParameters(
            num_workers=1, random_seed=0, max_deterministic_time=effort.work
        ),
    )
    kind = mathopt.SolverType.CP_SAT
    is_stopped = effort.is_stopped
    result = _solve(
        program, True, kind, params, known=known, stop=stop, is_stopped=is_stopped
    )
    if result is None or not result.has_primal_feasible_solution():
        return None
    return _values(result.variable_values(), len(program.cost))


def solve_linear(program: Program, *, seconds: float) -> NDArray[np.float64] | None:
    """
    Dual values of a linear program, by GLOP; ``None`` where the time was up.

    Returns
    -------
    ``(num_rows,) float64``: value of one more unit of ``most`` (above 0), or of
    ``least`` (below 0).
    """
    from ortools.math_opt.python import mathopt

    params = mathopt.SolveParameters(time_limit=_seconds(seconds), threads=1)
    result = _solve(program, False, mathopt.SolverType.GLOP, params)
    if result is None or not result.has_dual_feasible_solution():
        return None
    return _values(result.dual_values(), len(program.least)) / _scale(program)


def _seconds(seconds: float) -> Any:
    import datetime as dt

    return dt.timedelta(seconds=max(seconds, 0.01))


class _Diverted:
    """Number of running solvers, and the saved standard output."""

    lock = threading.Lock()
    count = 0
    saved = -1


@contextmanager
def _without_remarks() -> Iterator[None]:
    """
    Send what C code writes to standard output to standard error.

    HiGHS prints remarks that no option turns off; standard output is for results.
    """
    with _Diverted.lock, suppress(OSError):  # a daemon may have closed it
        if _Diverted.count == 0:
            _flush()
            _Diverted.saved = os.dup(1)
            os.dup2(2, 1)
        _Diverted.count += 1
    try:
        yield
    finally:
        with _Diverted.lock:
            if _Diverted.count == 1:
                _flush()
                os.dup2(_Diverted.saved, 1)
                os.close(_Diverted.saved)
            _Diverted.count = max(_Diverted.count - 1, 0)


def _flush() -> None:
    """Flush the output buffers of C code."""
    import ctypes

    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fflush(None)


def _solve(
    program: Program,
    is_whole: bool,
    solver: Any,
    params: Any,
    *,
    known: NDArray[np.float64] | None = None,
    stop: Any = None,
    is_stopped: Callable[[], bool] = _never,
) -> Any:
    """Run a solver, from a known answer; ``None`` where it refuses the numbers."""
    from ortools.math_opt.python import mathopt

    model = mathopt.Model.from_model_proto(_proto(program, is_whole))
    start = mathopt.ModelSolveParameters()
    if known is not None:
        values = dict(zip(model.variables(), known.tolist(), strict=True))
        start.solution_hints.append(mathopt.SolutionHint(variable_values=values))

    def solve() -> Any:
        with _without_remarks():
            return mathopt.solve(
                model, solver, params=params, model_params=start, interrupter=stop
            )

    try:
        return answer_of(solve, is_stopped)
    except (RuntimeError, ValueError, AttributeError):
        return None  # OR-Tools 9.15 trips over its own error, hence AttributeError


def _values(by_item: Any, count: int) -> NDArray[np.float64]:
    values = np.zeros(count)
    for item, value in by_item.items():
        values[item.id] = value
    return values


def _scale(program: Program) -> float:
    largest = float(np.abs(program.cost).max(initial=0))
    return (
        1.0
        if largest <= LARGEST_COST
        else float(2.0 ** -np.ceil(np.log2(largest / LARGEST_COST)))
    )


def _proto(program: Program, is_whole: bool) -> Any:
    from ortools.math_opt import model_pb2

    proto, count = model_pb2.ModelProto(), len(program.cost)
    whole = np.arange(count) < (program.num_whole if is_whole else 0)
    proto.variables.ids.extend(range(count))
    proto.variables.lower_bounds.extend([0.0] * count)
    proto.variables.upper_bounds.extend(program.upper.tolist())
    proto.variables.integers.extend(whole.tolist())
    proto.objective.maximize = True
    costs = program.cost * _scale(program)
    used = np.flatnonzero(costs)
    proto.objective.linear_coefficients.ids.extend(used.tolist())
    proto.objective.linear_coefficients.values.extend(costs[used].tolist())
    proto.linear_constraints.ids.extend(range(len(program.least)))
    proto.linear_constraints.lower_bounds.extend(program.least.tolist())
    proto.linear_constraints.upper_bounds.extend(program.most.tolist())
    matrix = proto.linear_constraint_matrix
    matrix.row_ids.extend(program.row.tolist())
    matrix.column_ids.extend(program.column.tolist())
    matrix.coefficients.extend(program.amount.tolist())
    return proto
