"""
Small nights in memory, decided again and again: ``allocate`` called in a loop.

200 calls with polars frames in one process, after 20 that are not timed: seconds of a
call, processor seconds, and seconds with every table of the night looked at, since some
are only made then.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import optimizer
from benchmarks.nightly import input_paths, night_rules, simulated

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

#: Calls before the first that is timed, and calls that are.
NUM_WARM_UP, NUM_CALLS = 20, 200
#: No further call begins once those took so many seconds together.
CALLS_SECONDS = 20.0


def measure_loop(
    num_orders: int, carriers: int, limits: tuple[float, float], scratch: Path | None
) -> dict[str, Any]:
    """
    Simulate a night, and decide it many times in one fresh process.

    Parameters
    ----------
    num_orders, carriers
        Size of the night, and how many carriers each order may take.
    limits
        Seconds and GB that the process may take.
    scratch
        Where its files may stand meanwhile; ``None``: the temporary folder.

    Returns
    -------
    dict
        As of :func:`call_again`; or ``failure``, in words.
    """
    from benchmarks.worker import run_step

    with TemporaryDirectory(dir=scratch) as name:
        folder = simulated(Path(name), num_orders, carriers)
        return run_step("loop", folder, *limits)


def call_again(folder: Path) -> dict[str, Any]:
    """
    Decide a night of a folder many times, its tables in memory as polars frames.

    Returns
    -------
    dict
        ``seconds`` and ``cpu_seconds`` of a call, medians; ``all_seconds``, its
        quartiles; ``told_seconds``, with every table of the night looked at; and the
        proof.
    """
    tables = {name: _read(path) for name, path in input_paths(folder).items()}
    config = {
        key: value
        for key, value in night_rules(folder, folder).items()
        if key not in ("inputs", "output")
    }

    def call() -> optimizer.Night:
        return optimizer.allocate(
            tables["orders"],
            tables["capacity"],
            config=config,
            options=tables.get("options"),
            merchants=tables.get("merchants"),
        )

    wall, cpu = _timed(call)
    told, _ = _timed(lambda: _look(call()))
    night = call()
    wall.sort()
    return {
        "seconds": median(wall),
        "all_seconds": [wall[len(wall) // 4], median(wall), wall[3 * len(wall) // 4]],
        "cpu_seconds": median(cpu),
        "told_seconds": median(told),
        "num_calls": len(wall),
        "objective_micro_cny": night.certificate.primal_bound,
        "proved_gap_micro_cny": night.certificate.gap,
        "num_chosen": night.summary["num_chosen"],
    }


def _timed(call: Callable[[], object]) -> tuple[list[float], list[float]]:
    """Wall and processor seconds of each call, after some that are not timed."""
    wall: list[float] = []
    cpu: list[float] = []
    for number in range(NUM_WARM_UP + NUM_CALLS):
        began = time.perf_counter(), time.process_time()
        call()
        if number >= NUM_WARM_UP:
            wall.append(time.perf_counter() - began[0])
            cpu.append(time.process_time() - began[1])
        if sum(wall) > CALLS_SECONDS:
            break
    return wall, cpu


def _look(night: optimizer.Night) -> int:
    """Look at every table of a night."""
    tables = (night.orders, night.merchants, night.lanes, night.recommendations)
    return sum(map(len, tables))


def _read(path: str) -> pl.DataFrame:
    import polars as pl

    return pl.read_csv(path) if path.endswith(".csv") else pl.read_parquet(path)
