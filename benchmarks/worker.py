"""
One step of a measurement in a fresh process, so that time and memory are its own.

    python -m benchmarks.worker night FOLDER --instance '{"family": "single", ...}'
    python -m benchmarks.worker form FOLDER --form lp
    python -m benchmarks.worker solve FOLDER --peer highs --limit-seconds 300
    python -m benchmarks.worker scan FOLDER
    python -m benchmarks.worker loop FOLDER

A method solves a small night first, so that loading and compiling are not timed. Each
step prints one line of JSON. Peak memory is that of the process from the moment the
night is read: Python, the libraries (about 190 MB with numba) and the night in the form
that the method reads are in it. ``flow`` hands large nights to a second process and has
no figure; ``ortools`` is the same solver in one.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.forms import FORMS, PROBLEM_ARRAYS, read_form, write_form
from benchmarks.instances import Instance, make_instance, make_problem
from benchmarks.peers import NUM_PASSES, PEERS, broken_limits
from optimizer.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from benchmarks.peers import Answer

    Arrays = dict[str, np.ndarray]

#: Orders of the night that every process solves first, untimed, by what it reads:
#: ours must be large enough to compile and load everything that a large one needs.
WARM_UP_ORDERS = {"problem": 250_000, "lp": 5_000, "arcs": 5_000, "network": 5_000}
#: Orders of the night that is laid out first, untimed; and rounds, of which the median
#: counts, as of solving.
WARM_UP_FORM, FORM_ROUNDS = 2_000, 3
#: No further round begins once the rounds of laying out took so long together.
FORM_ROUNDS_SECONDS = 10.0
#: What libraries say when they are refused memory.
OUT_OF_MEMORY = re.compile(r"MemoryError|bad_alloc|Unable to allocate|out of memory")


def run_step(
    step: str, folder: Path, limit_seconds: float, memory_gb: float, **options: object
) -> dict[str, Any]:
    """
    Run a step in a process of its own.

    Returns
    -------
    dict
        What it printed; or ``failure``, in words, and ``is_too_large``: whether it
        ran out of time or memory.
    """
    limits = {"limit_seconds": limit_seconds, "memory_gb": memory_gb}
    command = [sys.executable, "-m", "benchmarks.worker", step, str(folder)]
    for name, value in (limits | options).items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    if done.returncode == -signal.SIGALRM:
        return _too_large(f"over {limit_seconds:g} s")
    if OUT_OF_MEMORY.search(done.stderr) or done.returncode == -signal.SIGKILL:
        return _too_large(f"needs more than {memory_gb:g} GB")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        failure = f"stopped with {done.returncode}: {last[:200]}"
        return {"failure": failure, "is_too_large": False}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _too_large(failure: str) -> dict[str, Any]:
    return {"failure": failure, "is_too_large": True}


def peak_memory_bytes() -> int:
    """
    Peak resident memory of this process since it was last forgotten.

    The kernel's ``ru_maxrss`` will not do: it starts from that of the parent and
    cannot be told to forget the night that warmed the process up.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) * 1024


def forget_peak_memory() -> None:
    """Let the peak start again from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def _night(given: argparse.Namespace) -> dict[str, Any]:
    """Draw a night and write it as the problem."""
    problem = make_problem(Instance(**json.loads(given.instance)))
    write_form(problem, given.folder, "problem")
    return {"num_options": problem.num_options, "cap_sum": int(problem.cap.sum())}


def _form(given: argparse.Namespace) -> dict[str, Any]:
    """Lay the night out in a form, after a small one; writing is not timed."""
    FORMS[given.form](make_problem(make_instance("choice", WARM_UP_FORM)))
    problem = _read_problem(given.folder)
    seconds: list[float] = []
    while len(seconds) < FORM_ROUNDS and sum(seconds) < FORM_ROUNDS_SECONDS:
        began = time.perf_counter()
        arrays = FORMS[given.form](problem)
        seconds.append(time.perf_counter() - began)
        del arrays
    write_form(problem, given.folder, given.form)
    return {"form_seconds": median(seconds)}


def _read_problem(folder: Path) -> Problem:
    arrays = read_form(folder, "problem")
    return Problem(**{name: arrays[name] for name in PROBLEM_ARRAYS})


def _solve(given: argparse.Namespace) -> dict[str, Any]:
    """
    Warm up, solve some rounds, keep the best, and check the plan.

    A method that works in further processes has no peak that could be read here.
    """
    peer, limit = PEERS[given.peer], given.limit_seconds
    small = make_problem(make_instance("choice", WARM_UP_ORDERS[peer.form]))
    for night in (small, make_problem(make_instance("choice", WARM_UP_FORM))):
        peer.prepare(FORMS[peer.form](night), limit)()
    del small, night
    arrays = read_form(given.folder, peer.form)
    forget_peak_memory()
    found, answer = _rounds(partial(peer.prepare, arrays, limit), given)
    if answer is None:
        return found
    if resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss == 0:
        found["peak_memory_bytes"] = peak_memory_bytes()
    if peer.form != "problem":
        del arrays
        arrays = read_form(given.folder, "problem")
    return found | _checked(answer, arrays)


def _rounds(
    prepare: Callable[[], Callable[[], Answer]], given: argparse.Namespace
) -> tuple[dict[str, Any], Answer | None]:
    """Prepare and solve up to the given number of times."""
    seconds: list[float] = []
    prepared: list[float] = []
    while len(seconds) < given.rounds and sum(seconds) < given.rounds_seconds:
        began = time.perf_counter()
        solve = prepare()
        prepared.append(time.perf_counter() - began)
        # The kernel ends the process, even inside a library that never looks up.
        signal.setitimer(signal.ITIMER_REAL, given.limit_seconds)
        began = time.perf_counter()
        answer = solve()
        seconds.append(time.perf_counter() - began)
        signal.setitimer(signal.ITIMER_REAL, 0)
        del solve
        if not answer.is_finished:
            if seconds[-1] > 0.95 * given.limit_seconds:
                return _too_large(f"over {given.limit_seconds:g} s"), None
            failure = f"gave up after {seconds[-1]:.0f} s"
            return {"failure": failure, "is_too_large": False}, None
    found = {
        "seconds": median(seconds),
        "all_seconds": seconds,
        "prepare_seconds": median(prepared),
    }
    return found, answer


def _checked(answer: Answer, problem: Arrays) -> dict[str, Any]:
    """Judge an answer by the problem alone."""
    if answer.chosen is None:
        return {
            "objective_micro_cny": answer.objective,
            "is_whole": False,
            "largest_excess": answer.largest_excess,
        }
    total = int(problem["option_saving"][answer.chosen].sum())
    found = {
        "objective_micro_cny": total,
        "is_whole": True,
        "reports_its_own_sum": total == answer.objective,
        "num_broken_limits": broken_limits(problem, answer.chosen),
    }
    if answer.proved_gap is not None:
        found["proved_gap_micro_cny"] = answer.proved_gap()
    if answer.bound_pass is not None:
        seconds, bound = answer.bound_pass()
        found |= {"bound_pass_seconds": seconds, "bound_pass_micro_cny": bound}
    return found


def _scan(given: argparse.Namespace) -> dict[str, Any]:
    """Time how long polars takes to read every value that a run reads, once."""
    from benchmarks.nightly import scan

    seconds = []
    for _ in range(NUM_PASSES):
        began = time.perf_counter()
        num_rows = scan(given.folder)
        seconds.append(time.perf_counter() - began)
    return {"scan_seconds": min(seconds), "num_rows": num_rows}


def _loop(given: argparse.Namespace) -> dict[str, Any]:
    """Decide a small night in memory many times."""
    from benchmarks.loop import call_again

    return call_again(given.folder) | {"peak_memory_bytes": peak_memory_bytes()}


STEPS = {"night": _night, "form": _form, "solve": _solve, "scan": _scan, "loop": _loop}


def main() -> None:
    """Run one step in this process and print one line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--instance", help="fields of the night, as JSON")
    parser.add_argument("--form", choices=FORMS)
    parser.add_argument("--peer", choices=PEERS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rounds-seconds", type=float, default=60.0)
    parser.add_argument("--limit-seconds", type=float, default=300.0)
    parser.add_argument("--memory-gb", type=float, default=16.0)
    given = parser.parse_args()
    most = int(given.memory_gb * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    print(json.dumps(STEPS[given.step](given)))


if __name__ == "__main__":
    main()
