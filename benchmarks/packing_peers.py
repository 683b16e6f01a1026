"""
Packing problems of the literature: this project beside CP-SAT and HiGHS.

    python -m benchmarks.packing_peers run --limit-seconds 10      # all families
    python -m benchmarks.packing_peers run --only gap-d,mkp        # those that begin so
    python -m benchmarks.packing_peers page                        # packing.md again

Every method has the same seconds on the same cores, one process after the other, after
a small night that is not timed. Results go to ``packing.jsonl`` as soon as they are
there; what is there is not measured again, unless ``--again`` says so.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.packing import PackingNight, make_packing, solve_cpsat, solve_highs
from benchmarks.packing_instances import make_instance
from benchmarks.sources import hash_of, imported_by
from benchmarks.worlds import read_records

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.packing_instances import Instance

HERE = Path(__file__).parent
PAGE, KEPT = HERE / "packing.md", HERE / "packing.jsonl"
BEGIN, END = "<!-- peers: begin -->\n", "<!-- peers: end -->\n"
SHAPES = ("05100", "10100", "20100")
INSTANCES = (
    *(f"gap-{kind}{shape}-1" for kind in "abcde" for shape in SHAPES),
    *("gap-c10200-1", "gap-d10200-1"),
    *("mkp-5x100-1", "mkp-5x100-2", "mkp-10x100-1"),
    *("night-2k-15-1", "night-5k-50-1", "night-20k-150-1"),
)
METHODS = ("ours", "cpsat", "highs")
#: Which code each result depends on, beside what draws the instances.
RUN = {"ours": "optimizer.solvers", "cpsat": "benchmarks.packing"}
#: Rooms that no peer runs, though the module that calls them all imports them.
NOT_OF_PEERS = {"solvers", "certify"}


def main() -> None:
    """Measure, or print the page again."""
    parser = argparse.ArgumentParser("python -m benchmarks.packing_peers")
    parser.add_argument("step", choices=("run", "page", "one"))
    parser.add_argument("--limit-seconds", type=float, default=10.0)
    parser.add_argument("--only", default="", help="beginnings of names, with commas")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--file", type=Path, default=KEPT)
    parser.add_argument("--again", action="store_true", help="measure all again")
    given = parser.parse_args()
    methods = given.methods.split(",")
    if given.step == "one":
        print(json.dumps(_measured(given.only, methods[0], given.limit_seconds)))
        return
    if given.step == "run":
        for name in INSTANCES:
            if name.startswith(tuple(given.only.split(","))):
                _compare(name, methods, given)
    if given.file != KEPT:
        return
    text = PAGE.read_text()
    first, last = text.index(BEGIN) + len(BEGIN), text.index(END)
    PAGE.write_text(text[:first] + table(read_records([KEPT])) + text[last:])


def _compare(name: str, methods: list[str], given: argparse.Namespace) -> None:
    """Measure those methods that have no result; an old one is replaced."""
    for method in methods:
        key = {"instance": name, "method": method, "limit_seconds": given.limit_seconds}
        records = read_records([given.file])
        others = [r for r in records if any(r[k] != v for k, v in key.items())]
        if len(others) < len(records) and not given.again:
            continue
        words = ["--only", name, "--methods", method]
        words += ["--limit-seconds", str(given.limit_seconds)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.packing_peers", "one", *words],
            capture_output=True,
            text=True,
            check=True,
        )
        found = key | json.loads(done.stdout.splitlines()[-1])
        print(json.dumps(found), flush=True)
        lines = [json.dumps(record) for record in [*others, found]]
        given.file.write_text("".join(f"{line}\n" for line in sorted(lines)))


def _measured(name: str, method: str, seconds: float) -> dict[str, Any]:
    """Solve one instance by one method, in this process."""
    instance = make_instance(name)
    if method == "ours":
        answer = _ours(instance, seconds)
    else:
        solver = {"cpsat": solve_cpsat, "highs": solve_highs}[method]
        found = solver(instance.problem, seconds)
        plan = found["primal_cny"] * 1e6
        answer = {
            "seconds": found["seconds"],
            "plan": plan,
            "bound": plan + found["relative_gap"] * max(1.0, abs(plan)),
        }
    values = {key: instance.told(answer[key]) for key in ("plan", "bound")}
    return {
        **answer,
        **values,
        "is_cost": bool(instance.forfeit),
        "source": source_of_method(method),
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
        "day": dt.datetime.now(dt.UTC).date().isoformat(),
    }


@cache
def source_of_method(method: str) -> str:
    """Hash of the code that a method's results depend on."""
    roots = ("benchmarks.packing_instances", RUN.get(method, RUN["cpsat"]))
    found = imported_by(*roots)
    if method != METHODS[0]:
        found = {path for path in found if not set(path.parts) & NOT_OF_PEERS}
    return hash_of(sorted(found))


def is_stale(record: dict[str, Any]) -> bool:
    """Whether a result was measured with other code than is here now."""
    return bool(record.get("source") != source_of_method(record["method"]))


def _ours(instance: Instance, seconds: float) -> dict[str, Any]:
    """Ours, with the bound that the certificate states, and how long stating takes."""
    from optimizer.certify.certificate import certify
    from optimizer.model.solution import SolveParams
    from optimizer.solvers import solve

    warm = make_packing(PackingNight(20_000, 50))
    certify(warm, solve(warm, "packing", SolveParams()))
    small = make_instance("gap-c05015-1").problem
    certify(small, solve(small, "packing", SolveParams(time_limit_seconds=5)))
    began = time.perf_counter()
    params = SolveParams(time_limit_seconds=seconds)
    found = solve(instance.problem, "packing", params)
    solved = time.perf_counter()
    proof = certify(instance.problem, found)
    stated = time.perf_counter()
    assert proof.is_feasible, proof.violations
    return {
        "seconds": solved - began,
        "plan": proof.primal_bound,
        "bound": proof.dual_bound,
        "nodes": found.tree.num_nodes if found.tree else 1,
        "certify_seconds": stated - solved,
    }


def table(records: list[dict[str, Any]]) -> str:
    """The page's table: one line for each instance."""
    by_name: dict[str, dict[str, Any]] = {}
    for record in records:
        by_name.setdefault(record["instance"], {})[record["method"]] = record
    heads = ("instance", "best known", "plan", "bound", "gap", "seconds")
    heads += ("nodes", "certify", "CP-SAT plan", "gap", "s", "HiGHS plan", "gap", "s")
    lines = [_line(heads), _line(["---", *["--:"] * (len(heads) - 1)])]
    known = [name for name in INSTANCES if METHODS[0] in by_name.get(name, {})]
    lines += [_line(_cells(name, by_name[name])) for name in known]
    days = sorted({record["day"] for record in records})
    cores = sorted({record["cores"] for record in records})
    losing = [name for name in known if _is_lost(by_name[name])]
    loads = [record["load"] for record in records]
    about = (
        f"Measured {' and '.join(days[:: max(len(days) - 1, 1)])}, "
        f"{'/'.join(map(str, cores))} cores shared with other work (load "
        f"{min(loads):.1f} to {max(loads):.1f}), "
        f"limit {records[0]['limit_seconds']:g} s. "
    )
    words = f"A peer has the better plan on: {', '.join(losing)}." if losing else ""
    stale = sum(map(is_stale, records))
    told = (
        f" ‡ Stale: measured with other code than is here now, {stale} of "
        f"{len(records)} results."
    )
    words = (words or "No peer has a better plan.") + told * (stale > 0)
    return "\n".join([about + words, "", *lines, ""])


def _is_lost(found: dict[str, Any]) -> bool:
    """Whether a peer has a better plan than ours."""
    mine = found["ours"]
    sign = -1 if mine["is_cost"] else 1
    return any(sign * (_plan(r) - _plan(mine)) > 0.5e-3 for r in found.values())


def _plan(record: dict[str, Any]) -> float:
    return float(record["plan"])


def _cells(name: str, found: dict[str, Any]) -> Iterator[str]:
    """One instance: the best that anybody knows, ours, then the peers."""
    mine = found["ours"]
    best = min if mine["is_cost"] else max
    worst = max if mine["is_cost"] else min
    known = best(_plan(record) for record in found.values())
    proved = worst(float(record["bound"]) for record in found.values())
    is_proved = abs(known - proved) <= 1e-6 * abs(known) or _is_whole(
        mine, known, proved
    )
    mark = " ‡" * any(map(is_stale, found.values()))
    yield from (f"`{name}`{mark}", f"{_told(known)}{'' if is_proved else ' ?'}")
    yield _told(mine["plan"])
    yield _told(mine["bound"])
    yield _gap(mine)
    yield from (f"{mine['seconds']:.1f}", f"{mine['nodes']:,}")
    yield f"{mine['certify_seconds']:.2f}"
    for method in METHODS[1:]:
        if method in found:
            record = found[method]
            yield from (_told(record["plan"]), _gap(record), f"{record['seconds']:.1f}")
        else:
            yield from ("", "", "")


def _is_whole(mine: dict[str, Any], known: float, proved: float) -> bool:
    """Whether a bound between whole costs proves the next one."""
    return bool(mine["is_cost"]) and abs(known - proved) < 1


def _told(value: float) -> str:
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-6 else f"{value:,.2f}"


def _gap(record: dict[str, Any]) -> str:
    plan, bound = float(record["plan"]), float(record["bound"])
    if abs(plan) < 1e-9 or abs(bound) == float("inf"):
        return "no plan"
    share = abs(bound - plan) / abs(plan)
    return "0" if share < 1e-9 else f"{share:.1e}"


def _line(cells: object) -> str:
    return f"| {' | '.join(cells)} |"  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
