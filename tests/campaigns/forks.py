"""
Commands in forks of a warmed process: how they ended, what they said, what it took.

The parent imports and never computes: thread pools of libraries do not outlive a fork.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: What a run, a reader and a repair import; kernels are loaded by the first night.
MODULES = (
    *("alembic.command", "duckdb", "pandas", "polars", "pyarrow.parquet"),
    *("pyarrow.csv", "pyarrow.ipc", "scipy.linalg", "sqlalchemy.dialects.sqlite"),
    *("optimizer.cli.main", "optimizer.job", "optimizer.verify.night"),
    *("optimizer.explain.outcomes", "optimizer.explain.churn", "optimizer.replay.run"),
    *("optimizer.solvers.network.solve", "optimizer.solvers.network.tie_break"),
    *("optimizer.build.canonical_order_kernel", "optimizer.certify.certificate"),
)
#: A child that is still there after so long is stopped: nothing may hang.
MAX_SECONDS = 120.0


@dataclass(frozen=True)
class Ended:
    """
    How a command ended.

    ``code`` is its exit code, below 0 the signal; ``text`` what it wrote to standard
    error; ``peak_mb`` its largest memory, with what it shares with its parent.
    """

    code: int
    text: str
    out: str
    seconds: float
    peak_mb: float


def load_everything() -> None:
    """Import what commands need, so that a fork is a command that has started."""
    for name in MODULES:
        importlib.import_module(name)


def start(words: list[str], folder: Path, log: Path) -> int:
    """Fork a command line in a folder; its standard error goes to a file."""
    return begin(lambda: _command(words, folder), log)


def begin(work: Callable[[], int], log: Path) -> int:
    """Fork, in a session of its own, and work; returns the child's pid."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 99
    try:
        os.setsid()
        for name, number in ((f"{log}.out", 1), (str(log), 2)):
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, number)
        code = work()
        sys.stdout.flush()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:  # noqa: BLE001 - a child must never come back
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def apart(work: Callable[[], object]) -> None:
    """
    Work in a fork, so that no thread pool begins in this process.

    Raises
    ------
    AssertionError
        With what the fork wrote, when it failed.
    """
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        pid = begin(lambda: int(work() is NotImplemented), log)
        found = ended(pid, log, time.perf_counter())
    assert found.code == 0, found.text


def _command(words: list[str], folder: Path) -> int:
    from optimizer.cli import main as cli

    os.chdir(folder)
    sys.argv = ["optimizer", *words]
    cli.main()
    return 0


def ended(pid: int, log: Path, begun: float, most: float = MAX_SECONDS) -> Ended:
    """Wait for a child; one that takes longer than that is killed, and so told."""
    deadline = time.monotonic() + most
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            break
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.001)
    seconds = time.perf_counter() - begun
    text = log.read_text(errors="replace")
    out = Path(f"{log}.out").read_text(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, text, out, seconds, usage.ru_maxrss / 1024)


def run_command(words: list[str], folder: Path, log: Path | None = None) -> Ended:
    """Run a command line to its end."""
    with tempfile.TemporaryDirectory() as name:
        path = log or Path(name) / "log"
        begun = time.perf_counter()
        return ended(start(words, folder, path), path, begun)


def own_peak_mb() -> float:
    """Largest memory of this process so far: what every fork begins with."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
