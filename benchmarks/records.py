"""What was measured, on disk: one result a line, merged as soon as it is there."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers import PEERS
from benchmarks.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    Record = dict[str, Any]

ROOT = Path(__file__).parents[1]
LIBRARIES = ("numpy", "numba", "ortools", "polars", "highspy", "pylmcf")
#: A result is marked when others kept more than so many cores busy meanwhile.
BUSY_CORES = 0.2


def read_records(path: Path) -> list[Record]:
    """All results of a file; none where there is no file."""
    return json.loads(path.read_text()) if path.exists() else []


def add_record(path: Path, record: Record) -> None:
    """Put a result into the file in place of an older one, in one step."""
    old = [r for r in read_records(path) if key_of(r) != key_of(record)]
    records = sorted([*old, record], key=key_of)
    mark_optimum([r for r in records if r["name"] == record["name"]])
    write_records(path, records)


def write_records(path: Path, records: list[Record]) -> None:
    """Write all results of a file, in one step."""
    partial = path.with_suffix(".partial")
    lines = ",\n".join(json.dumps(r) for r in records)
    partial.write_text(f"[\n{lines}\n]\n")
    partial.replace(path)


def key_of(record: Record) -> tuple[int, str, str]:
    """Size, night and method; one result is kept for each."""
    return record["num_orders"], record["name"], record["peer"]


def mark_optimum(records: Iterable[Record]) -> None:
    """
    Note the optimum of a night beside each of its results by a method.

    The optimum is what a plan saves whose certificate has a gap of 0. A method that
    promises the optimum, and breaks a limit or saves anything else, is wrong; so is
    a dual bound below it.
    """
    methods = [r for r in records if r["peer"] in PEERS]
    proved = {
        r["objective_micro_cny"]
        for r in methods
        if r.get("proved_gap_micro_cny") == 0 and r["num_broken_limits"] == 0
    }
    if len(proved) > 1:
        raise SystemExit(f"two optima were proved for one night: {sorted(proved)}")
    best = next(iter(proved), None)
    for record in methods:
        record["optimum_micro_cny"] = best
        if PEERS[record["peer"]].is_exact and "seconds" in record and best is not None:
            record["is_wrong"] = bool(
                record["objective_micro_cny"] != best
                or record.get("num_broken_limits", 1)
                or not record["reports_its_own_sum"]
                or record.get("bound_pass_micro_cny", best) < best
            )


def is_kept(
    record: Record, source: str, limit_seconds: float, memory_gb: float, again: str
) -> bool:
    """Whether a result need not be measured again."""
    if again == "all" or record["source"] != source:
        return False
    if again == "noisy" and record["cores_of_others"] > BUSY_CORES:
        return False
    if "failure" not in record:
        return True
    had = record["limit_seconds"], record["memory_gb"]
    return had[0] >= limit_seconds and had[1] >= memory_gb


def is_stale(record: Record) -> bool:
    """Whether a result was measured with other code than is here now."""
    return bool(record["source"] != source_of(record["peer"]))


def describe_machine() -> Record:
    """Cores, memory, versions and commit: what the seconds depend on."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.+)", info)
    return {
        "processor": model.group(1) if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(machine_bytes() / 1e9),
        "python": platform.python_version(),
        "commit": commit(),
        "versions": {name: version(name) for name in LIBRARIES},
    }


def machine_bytes() -> int:
    """Memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def busy_seconds() -> tuple[float, float]:
    """Wall time, and processor time of everything on the machine but us."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _, _, irq, soft_irq, steal = (int(f) for f in fields)
    busy = (user + nice + system + irq + soft_irq + steal) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    return own.elapsed, busy - sum(own[:4])


def commit() -> str:
    """What was measured; with a ``+`` where ``optimizer`` was changed since."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    is_changed = git("status", "--porcelain", "--", "optimizer")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + "+" * bool(is_changed)
