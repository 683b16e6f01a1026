"""
Run every method on the same nights in the same run, and print who loses.

    python -m benchmarks.compare --sizes 100k,1m --families single,choice \
        --out benchmarks/results.json
    python -m benchmarks.compare --table benchmarks/results.json

Results are added to the file; a night that is run again replaces its old result.
The second command writes the table into README.md beside this file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.instances import FAMILIES, make_instance, make_problem, parse_size
from benchmarks.peers import PEERS, run_peer, write_forms

if TYPE_CHECKING:
    from benchmarks.instances import Instance

    Record = dict[str, Any]

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
LIBRARIES = ("numpy", "numba", "ortools", "highspy", "pylmcf")
#: Up to this size each method runs three times and its best time counts.
MANY_ROUNDS_ORDERS = 1_000_000
#: A night is marked when others kept more than so many cores busy meanwhile.
BUSY_CORES = 0.2
#: The method that the others are measured against.
OURS = "pricing"


def main() -> None:
    """Measure, or print the table of what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="100k", help="such as 100k,1m")
    parser.add_argument("--families", default="single,choice")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, help="3 up to 1m orders, 1 above")
    parser.add_argument("--limit-seconds", type=float, default=300.0)
    parser.add_argument("--out", type=Path, default=README.with_name("results.json"))
    parser.add_argument("--table", type=Path, help="print the table of these results")
    given = parser.parse_args()
    if given.table:
        _write_table(json.loads(given.table.read_text()))
        return
    names = given.peers.split(",")
    unknown = {*names} - {*PEERS} | {*given.families.split(",")} - {*FAMILIES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    for size in given.sizes.split(","):
        for family in given.families.split(","):
            instance = replace(make_instance(family, parse_size(size)), seed=given.seed)
            rounds = given.rounds or _rounds(instance)
            _add(given.out, measure(instance, names, rounds, given.limit_seconds))


def measure(
    instance: Instance, names: list[str], rounds: int, limit_seconds: float
) -> list[Record]:
    """Run some methods on one night, one after the other, alone on the machine."""
    day, before = dt.date.today().isoformat(), _busy_seconds()
    records = []
    with TemporaryDirectory() as folder:
        problem = make_problem(instance)
        size = {"num_options": problem.num_options, "cap_sum": int(problem.cap.sum())}
        forms = {PEERS[name].form for name in names}
        form_seconds = write_forms(problem, Path(folder), forms)
        del problem
        for name in names:
            found = run_peer(name, Path(folder), rounds, limit_seconds)
            records.append(
                {"name": instance.name, **asdict(instance), **size, "peer": name}
                | {"form_seconds": form_seconds[PEERS[name].form], "rounds": rounds}
                | found
                | {"date": day, "machine": describe_machine()}
            )
            print(instance.name, name, _seconds(found), flush=True)
    mark_optimum(records)
    wall, others = np.subtract(_busy_seconds(), before)
    return [r | {"cores_of_others": round(others / wall, 2)} for r in records]


def mark_optimum(records: list[Record]) -> None:
    """
    Note the optimum of a night beside each of its results.

    The optimum is what a plan saves whose certificate has a gap of 0. A method that
    promises the optimum, and breaks a limit or saves anything else, is wrong.
    """
    proved = {
        r["objective_micro_cny"]
        for r in records
        if r.get("proved_gap_micro_cny") == 0 and r["num_broken_limits"] == 0
    }
    if len(proved) > 1:
        raise SystemExit(f"two optima were proved for one night: {sorted(proved)}")
    for record in records:
        record["optimum_micro_cny"] = next(iter(proved), None)
        if PEERS[record["peer"]].is_exact and "seconds" in record and proved:
            record["is_wrong"] = bool(
                record["objective_micro_cny"] not in proved
                or record.get("num_broken_limits", 1)
                or not record["reports_its_own_sum"]
            )


def describe_machine() -> Record:
    """Cores, memory, versions and commit: what the seconds depend on."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.+)", info)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model.group(1) if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "python": platform.python_version(),
        "commit": commit(),
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _busy_seconds() -> tuple[float, float]:
    """Wall time, and processor time of everything on the machine but us."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _, _, irq, soft_irq, steal = (int(f) for f in fields)
    busy = (user + nice + system + irq + soft_irq + steal) / os.sysconf("SC_CLK_TCK")
    own = os.times()
    return own.elapsed, busy - sum(own[:4])


def commit() -> str:
    """What was measured; with a ``+`` where ``optimizer`` was changed since."""
    folder = Path(__file__).parents[1]

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    is_changed = git("status", "--porcelain", "--", "optimizer")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + "+" * bool(is_changed)


def _rounds(instance: Instance) -> int:
    return 3 if instance.num_orders <= MANY_ROUNDS_ORDERS else 1


def _add(path: Path, records: list[Record]) -> None:
    """Put results into the file, in place of older ones of the same night."""
    old = json.loads(path.read_text()) if path.exists() else []
    new = {(r["name"], r["peer"]) for r in records}
    kept = [r for r in old if (r["name"], r["peer"]) not in new]
    path.write_text(json.dumps(kept + records, indent=1) + "\n")


def _write_table(records: list[Record]) -> None:
    """Print the tables, and put them between the marks in the README."""
    text = tables(records)
    print(text)
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def tables(records: list[Record]) -> str:
    """Lay out a summary of all nights and a Markdown table for each."""
    machines = {_machine_line(r["machine"]) for r in records}
    dates = sorted({r["date"] for r in records})
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    names = sorted({(r["num_orders"], r["name"]) for r in records})
    nights = {name: [r for r in records if r["name"] == name] for _, name in names}
    lines = [f"Measured {span} on {line}" for line in sorted(machines)]
    lines += ["", *_summary_table(nights)]
    for name, night in nights.items():
        about = f"{night[0]['num_orders']:,} orders; {FAMILIES[night[0]['family']]}"
        others = _cores_of_others(night)
        lines += ["", f"**{name}** ({about}; others kept {others:.2f} cores busy)"]
        lines += ["", *_night_table(night), "", _verdict(night)]
    return "\n".join(lines)


def _summary_table(nights: dict[str, list[Record]]) -> list[str]:
    """Seconds of every method on every night, the fastest exact one in bold."""
    run = {r["peer"] for night in nights.values() for r in night}
    names = [name for name in PEERS if name in run]
    lines = [f"| night | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for night, records in nights.items():
        best = _fastest(records)
        found = {r["peer"]: _seconds(r) for r in records}
        if best is not None:
            found[best["peer"]] = f"**{found[best['peer']]}**"
        cells = [found.get(name, "") for name in names]
        mark = " †" if _cores_of_others(records) > BUSY_CORES else ""
        lines.append(f"| {night}{mark} | {' | '.join(cells)} |")
    note = f"† Others kept more than {BUSY_CORES} cores busy: seconds are too long."
    return [*lines, "", note] if any("†" in line for line in lines) else lines


def _cores_of_others(night: list[Record]) -> float:
    return max(r["cores_of_others"] for r in night)


def _machine_line(machine: Record) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    return (
        f"{machine['cores']} cores of {machine['processor']}, "
        f"{machine['memory_gb']} GB; Python {machine['python']}, {versions}, "
        f"this project at {machine['commit']}."
    )


def _night_table(night: list[Record]) -> list[str]:
    peer = _fastest([r for r in night if r["peer"] != OURS])
    night = sorted(night, key=lambda r: r.get("seconds", float("inf")))
    lines = [
        "| method | seconds | to fastest exact peer | set-up s | peak MB "
        "| gap to optimum | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for r in night:
        ratio = f"{r['seconds'] / peer['seconds']:.2f}" if _is_timed(r, peer) else ""
        memory = r.get("peak_memory_bytes")
        cells = [
            f"{r['peer']} ({PEERS[r['peer']].what})",
            _seconds(r),
            ratio,
            f"{_set_up(r):.2f}" if "seconds" in r else "",
            f"{memory / 1e6:,.0f}" if memory else "",
            _gap(r),
            _remark(r, night),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _fastest(night: list[Record]) -> Record | None:
    """The fastest right answer of a method that promises the optimum."""
    right = [
        r for r in night if PEERS[r["peer"]].is_exact and r.get("is_wrong") is False
    ]
    return min(right, key=lambda r: r["seconds"], default=None)


def _is_timed(record: Record, peer: Record | None) -> bool:
    return peer is not None and "seconds" in record


def _set_up(record: Record) -> float:
    """From the problem to what the method reads; nothing for our own methods."""
    is_own = PEERS[record["peer"]].form == "problem"
    return 0.0 if is_own else record["form_seconds"] + record["prepare_seconds"]


def _seconds(record: Record) -> str:
    if "seconds" not in record:
        return str(record["failure"])
    return f"{record['seconds']:.3f}"


def _gap(record: Record) -> str:
    """How far a plan is from the optimum, as a share of it."""
    best = record["optimum_micro_cny"]
    if "seconds" not in record or best is None:
        return ""
    gap = best - record["objective_micro_cny"]
    return "0" if gap == 0 else f"{gap / best:.1e}"


def _remark(record: Record, night: list[Record]) -> str:
    best = _fastest(night)
    if "seconds" not in record:
        return "loses" if best else ""
    if record.get("is_wrong"):
        return "**wrong**"
    if not record["is_whole"]:
        excess = max(0.0, record["largest_excess"])
        return f"in fractions, up to {excess:.0e} parcels above a limit"
    if not PEERS[record["peer"]].is_exact:
        return "not the optimum"
    if best is None:
        return "not checked: no optimum was proved"
    if record is best:
        return "**fastest exact**"
    return f"loses, {record['seconds'] / best['seconds']:.1f} times slower"


def _verdict(night: list[Record]) -> str:
    """Say in a sentence who loses, us included."""
    best = _fastest(night)
    if best is None:
        return "No exact method finished with a proof."
    losers = [r["peer"] for r in night if PEERS[r["peer"]].is_exact and r is not best]
    if not losers:
        return f"Only {best['peer']} was run."
    return f"Fastest exact: {best['peer']}. Losing: {', '.join(losers)}."


if __name__ == "__main__":
    sys.exit(main())
