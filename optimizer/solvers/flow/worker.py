"""
OR-Tools' minimum cost flow in a process of its own, where a deadline can end it.

Run as ``python -m optimizer.solvers.flow.worker FOLDER``: reads ``tail.npy``,
``head.npy``, ``capacity.npy``, ``cost.npy`` and ``supply.npy`` there, and writes
``flow.npy``, the flow on each arc.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import SolveError
from optimizer.solvers.deadline import OutOfTime, look

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.solvers.flow.arcs import Network

_ARRAYS = ("tail", "head", "capacity", "cost")


def cheapest_flow(
    tail: NDArray[np.int32],
    head: NDArray[np.int32],
    capacity: NDArray[np.int64],
    cost: NDArray[np.int64],
    supply: int,
) -> NDArray[np.int64]:
    """
    Find the cheapest flow with OR-Tools. Nodes 0 and 1 are source and sink.

    Parameters
    ----------
    tail, head
        ``(num_arcs,) int32``: the nodes of each arc.
    capacity
        ``(num_arcs,) int64``: most units on each arc.
    cost
        ``(num_arcs,) int64``: cost of a unit, micro-CNY.
    supply
        Units to send from the source to the sink.

    Returns
    -------
    ``(num_arcs,) int64``
        Units on each arc.

    Raises
    ------
    SolveError
        When OR-Tools fails.
    """
    from ortools.graph.python import min_cost_flow

    solver = min_cost_flow.SimpleMinCostFlow()
    arcs = solver.add_arcs_with_capacity_and_unit_cost(tail, head, capacity, cost)
    solver.set_nodes_supplies(
        np.array([0, 1], np.int32), np.array([supply, -supply], np.int64)
    )
    status = solver.solve()
    if status != solver.OPTIMAL:
        raise SolveError(f"OR-Tools' minimum cost flow stopped with status {status}")
    flow: NDArray[np.int64] = solver.flows(arcs)
    return flow


def flow_elsewhere(network: Network, python: str, ends: float) -> NDArray[np.int64]:
    """
    Find the cheapest flow in a child process, which is ended when the time is up.

    Parameters
    ----------
    network
        What to send along which arcs.
    python
        Path of the Python that runs the child.
    ends
        When the time is up, on the monotonic clock.

    Returns
    -------
    ``(num_arcs,) int64``.

    Raises
    ------
    OutOfTime
        When the time is up.
    SolveError
        When the child ends without an answer.
    """
    with TemporaryDirectory(prefix="optimizer-flow-") as name:
        folder = Path(name)
        for array in _ARRAYS:
            look(ends)
            np.save(folder / array, getattr(network, array))
        look(ends)
        np.save(folder / "supply", np.int64(network.supply))
        try:
            done = subprocess.run(
                [python, "-P", "-m", "optimizer.solvers.flow.worker", name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=os.environ | {"PYTHONPATH": _search_path()},
                timeout=max(ends - time.monotonic(), 0.0),
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise OutOfTime from None
        if done.returncode != 0 or not (folder / "flow.npy").is_file():
            raise SolveError(_what_went_wrong(done))
        flow: NDArray[np.int64] = np.load(folder / "flow.npy")
        return flow


def find_python() -> str | None:
    """Path of this Python; ``None`` inside an embedding program that has none."""
    names = [sys.executable, os.path.join(sys.exec_prefix, "bin", "python3")]  # noqa: PTH118
    for name in names:
        if name and Path(name).name.lower().startswith("python"):
            found = shutil.which(name)
            if found:
                return found
    return None


def _search_path() -> str:
    """The child's module search path: that of this process."""
    return os.pathsep.join(path for path in sys.path if path)


def _what_went_wrong(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else f"exit code {done.returncode}"
    return (
        f"minimum cost flow failed in its own process ({last}); "
        "it may be out of memory: use method auto"
    )


def main(folder: Path) -> None:
    """Read a network from a folder, and write its cheapest flow there."""
    tail, head, capacity, cost = (np.load(folder / f"{name}.npy") for name in _ARRAYS)
    supply = int(np.load(folder / "supply.npy"))
    flow = cheapest_flow(tail, head, capacity, cost, supply)
    np.save(folder / "flow", flow)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
