"""
A whole night from simulated to published files, as the nightly job runs it.

``optimizer simulate``, ``run`` and ``verify`` from the command line. The time is the
command's, start and writing included, beside polars reading the same columns of the
same files and adding up each, files cached both times. A run has to read, check, hash,
solve, prove, explain, write and read back; the scan only says what reading costs.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optimizer.config import as_config

if TYPE_CHECKING:
    from optimizer.config import Config

DAY = dt.date(2026, 11, 22)
TABLES = ("orders", "options", "merchants", "capacity")
#: Orders of the night that is run first, untimed: it fills the cache of kernels.
WARM_UP_ORDERS = 250_000


def input_paths(folder: Path) -> dict[str, str]:
    """Paths of the tables that are there."""
    found = {path.stem: str(path) for path in folder.iterdir()}
    return {name: found[name] for name in TABLES if name in found}


def night_rules(folder: Path, output: Path) -> dict[str, Any]:
    """The rules that the simulator's nights are made for."""
    return {
        "version": 1,
        "policy": [
            {
                "valid_from": "2022-01-12",
                "cap": {"rate": 0.03},
                "fee": {"amount_cny": 0.80},
                "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
            }
        ],
        "objective": {"complaint_cost_cny": 30.00, "return_cost_cny": 18.00},
        "inputs": input_paths(folder),
        "output": str(output),
    }


def night_config(folder: Path, output: Path) -> Config:
    """Read the rules as a run reads them."""
    return as_config(night_rules(folder, output))


def scan(folder: Path) -> int:
    """
    Read every column that a run reads from a night's files, and force each value.

    Numbers and flags are added up, texts' bytes counted, so that every value is
    decoded and none need be kept.

    Returns
    -------
    int
        Rows in all tables.
    """
    import polars as pl

    from optimizer.contracts.tables import TABLES_IN

    num_rows = 0
    columns = {table.name: table.column_names for table in TABLES_IN}
    for name, path in input_paths(folder).items():
        is_csv = path.endswith(".csv")
        frame = pl.scan_csv(path) if is_csv else pl.scan_parquet(path)
        schema = frame.collect_schema()
        forced = [
            pl.col(column).str.len_bytes().sum()
            if schema[column] == pl.String
            else pl.col(column).sum()
            for column in columns[name]
            if column in schema
        ]
        found = frame.select(pl.len().alias("rows"), *forced).collect(
            engine="streaming"
        )
        num_rows += found["rows"].item()
    return num_rows


def measure_night(
    num_orders: int, carriers: int, rounds: int, scratch: Path | None
) -> dict[str, Any]:
    """
    Simulate a night's files, run it, verify it and scan it, each by a fresh process.

    A plain script decides the same files in turn with us (:mod:`benchmarks.plain`).

    Parameters
    ----------
    num_orders, carriers
        Size of the night, and how many carriers each order may take.
    rounds
        Times that it is run; the median counts, the faster of two middle ones.
    scratch
        Where its files may stand meanwhile; ``None``: the temporary folder.

    Returns
    -------
    dict
        ``seconds`` of the whole command, ``all_seconds``, ``stage_seconds``,
        ``peak_memory_bytes`` of the whole process, publishing included,
        ``verify_seconds``, ``input_bytes``, the proof, and ``plain_seconds`` and
        ``plain_peak_memory_bytes`` of the script; or ``failure``, in words.
    """
    with TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        _run(folder / "small", simulated(folder / "small", WARM_UP_ORDERS, carriers))
        inputs = simulated(folder / "night", num_orders, carriers)
        runs, plain = [], []
        for i in range(rounds):
            runs.append(_run(folder / f"round-{i}", inputs))
            plain.append(_plain(inputs, folder / f"plain-{i}.parquet"))
        failed = next((run for run in runs + plain if "failure" in run), None)
        if failed is not None:
            return failed
        found = {run["objective_micro_cny"] for run in runs + plain}
        if len(found) > 1:
            return {"failure": f"the plain script's night is another: {sorted(found)}"}
        usual = sorted(runs, key=lambda run: run["seconds"])[(rounds - 1) // 2]
        began = time.perf_counter()
        checked = _optimizer("verify", usual.pop("run_dir"))
        verify_seconds = time.perf_counter() - began
        if checked.returncode != 0:
            return {"failure": f"verify refused it: {_last_line(checked)}"}
        sizes = [Path(path).stat().st_size for path in input_paths(inputs).values()]
        return usual | {
            "all_seconds": [run["seconds"] for run in runs],
            "peak_memory_bytes": max(run["peak_memory_bytes"] for run in runs),
            "verify_seconds": verify_seconds,
            "input_bytes": sum(sizes),
            "plain_seconds": median(run["seconds"] for run in plain),
            "plain_peak_memory_bytes": max(run["peak_memory_bytes"] for run in plain),
            **_scanned(inputs),
        }


def simulated(out: Path, num_orders: int, carriers: int) -> Path:
    """Simulate a night into a folder; the folder of its files."""
    merchants = max(1, num_orders // 200)
    sizes = ["--orders", str(num_orders), "--merchants", str(merchants)]
    ways = ["--carriers-per-order", str(carriers)]
    made = _optimizer("simulate", "--out", str(out), *sizes, *ways)
    if made.returncode != 0:
        raise SystemExit(f"cannot simulate a night: {_last_line(made)}")
    return Path(made.stdout.strip())


def _run(output: Path, inputs: Path) -> dict[str, Any]:
    """Run the night once, from the command line."""
    output.mkdir(parents=True, exist_ok=True)
    config = output / "nightly.yaml"
    config.write_text(json.dumps(night_rules(inputs, output / "runs")))
    words = ["--config", str(config), "--date", DAY.isoformat(), "--json"]
    began = time.perf_counter()
    done, peak_bytes = _optimizer_and_peak("run", *words)
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        return {"failure": f"left with {done.returncode}: {_last_line(done)}"}
    record = json.loads(done.stdout)
    measured, proof = record["run_measurements"], record["certificate"]
    return {
        "run_dir": record["run_dir"],
        "seconds": seconds,
        "stage_seconds": measured["seconds"],
        "peak_memory_bytes": peak_bytes,
        "objective_micro_cny": proof["primal_bound"],
        "proved_gap_micro_cny": proof["gap"],
        "num_chosen": record["summary"]["num_chosen"],
    }


def _plain(inputs: Path, out: Path) -> dict[str, Any]:
    """Decide the night once by the plain script."""
    program = "from benchmarks.plain import main; main()"
    began = time.perf_counter()
    done = _python(program, str(inputs), str(out))
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        return {"failure": f"the plain script: {_last_line(done)}"}
    return {"seconds": seconds, **json.loads(done.stdout)}


def _scanned(inputs: Path) -> dict[str, Any]:
    from benchmarks.worker import run_step

    return run_step("scan", inputs, 3600.0, 16.0)


def _optimizer_and_peak(*words: str) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run a command; the most memory that its process held from start to end."""
    with TemporaryDirectory() as name:
        measured = Path(name) / "peak"
        done = _python(_PEAK, str(measured), *words)
        kilobytes = int(measured.read_text()) if measured.exists() else 0
    return done, 1024 * kilobytes


#: Runs the command line, and notes its peak memory at the very end of the process.
_PEAK = """
import atexit, pathlib, resource, sys
from optimizer.cli.main import main
place = pathlib.Path(sys.argv.pop(1))
note = lambda: str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
atexit.register(lambda: place.write_text(note()))
main()
"""


def _optimizer(*words: str) -> subprocess.CompletedProcess[str]:
    return _python("from optimizer.cli.main import main; main()", *words)


def _python(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or ["no message"])[-1][:200]
