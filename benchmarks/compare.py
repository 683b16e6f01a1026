"""
Measure every method on the same nights, and whole nights from files to files.

    python -m benchmarks.compare --sizes 100k,1m --families all --nights 1m

Each result is added to the file as soon as it is there. A run that was interrupted
goes on where it was: what was measured with the same code is kept, unless asked for
``--again``. A method that needed more than its time or memory is not tried on a
larger night of the family. ``--again noisy`` measures what was disturbed once more,
``--again all`` everything; how many cores others kept busy meanwhile stands beside each
night (``python -m benchmarks.details``). A hundred million orders with three carriers
take 7 GB of ``--scratch`` and 16 GB of memory. It needs Linux, and the dependency
groups ``tests`` and ``benchmarks``. At the end the report is written, as by
``python -m benchmarks.report``.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.instances import (
    FAMILIES,
    Instance,
    make_instance,
    parse_size,
    size_name,
)
from benchmarks.loop import measure_loop
from benchmarks.nightly import measure_night
from benchmarks.peers import PEERS
from benchmarks.records import (
    add_record,
    busy_seconds,
    describe_machine,
    is_kept,
    machine_bytes,
    read_records,
)
from benchmarks.report import RESULTS, write_report
from benchmarks.sources import source_of
from benchmarks.worker import run_step

if TYPE_CHECKING:
    from collections.abc import Callable

    Record = dict[str, Any]

#: Share of the machine's memory that a process may ask for.
MEMORY_SHARE = 0.8
#: Seconds for laying a night out, which is not the method's time.
FORM_SECONDS = 3_600.0
#: No further round of a method begins once its rounds took so long together, or twice
#: as long as one may take.
ROUNDS_SECONDS = 60.0
#: Whole nights are run as often as methods up to this size, above once.
ONCE_ORDERS = 1_000_000


def main(words: list[str] | None = None) -> None:
    """Measure what is missing, and write the report."""
    given = arguments(words)
    measure(given)
    if given.out == RESULTS:
        write_report(read_records(RESULTS))


def measure(given: argparse.Namespace) -> None:
    """Measure what is missing of what the words of the command line ask for."""
    for size in filter(None, given.sizes.split(",")):
        for family in given.families:
            instance = replace(make_instance(family, parse_size(size)), seed=given.seed)
            compare(instance, given.peers, given)
    for sizes, run in ((given.nights, run_whole_night), (given.loops, run_loop)):
        for size in filter(None, sizes.split(",")):
            for carriers in map(int, given.carriers.split(",")):
                run(parse_size(size), carriers, given)


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Read the words of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="100k", help="such as 100k,1m; may be empty")
    parser.add_argument("--families", default="single,choice", help="or: all")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--nights", default="", help="sizes from files, such as 1m")
    parser.add_argument("--loops", default="", help="sizes in memory, such as 2k")
    parser.add_argument("--carriers", default="1,3", help="of each order in those")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3, help="at most")
    parser.add_argument("--limit-seconds", type=float, default=300.0)
    memory_gb = round(MEMORY_SHARE * machine_bytes() / 1e9)
    parser.add_argument("--memory-gb", type=float, default=memory_gb)
    parser.add_argument("--scratch", type=Path, help="folder for nights meanwhile")
    parser.add_argument("--again", choices=("none", "noisy", "all"), default="none")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    everything = given.families == "all"
    given.families = [*FAMILIES] if everything else given.families.split(",")
    given.peers = given.peers.split(",")
    unknown = {*given.peers} - {*PEERS} | {*given.families} - {*FAMILIES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return given


def compare(instance: Instance, names: list[str], given: argparse.Namespace) -> None:
    """Run some methods on one night, one after the other, alone on the machine."""
    names = [name for name in names if not _is_there(instance.name, name, given)]
    if not names:
        return
    with TemporaryDirectory(dir=given.scratch) as name:
        folder = Path(name)
        fields = json.dumps(asdict(instance))
        night = run_step(
            "night", folder, FORM_SECONDS, given.memory_gb, instance=fields
        )
        if "failure" in night:
            raise SystemExit(f"{instance.name}: cannot draw it: {night['failure']}")
        forms: dict[str, Record] = {"problem": {"form_seconds": 0.0}}
        about = {"name": instance.name, **asdict(instance), **night}
        for name in names:

            def solved(name: str = name) -> Record:
                found = foreseen(read_records(given.out), instance, name, given)
                return found or _solve(name, folder, forms, given)

            _measured(about | {"peer": name}, solved, given)


def _solve(
    name: str, folder: Path, forms: dict[str, Record], given: argparse.Namespace
) -> Record:
    """Lay the night out as the method reads it, unless it is, and solve it."""
    form = PEERS[name].form
    if form not in forms:
        forms[form] = run_step("form", folder, FORM_SECONDS, given.memory_gb, form=form)
    if "failure" in forms[form]:
        return forms[form]
    found = run_step(
        "solve",
        folder,
        given.limit_seconds,
        given.memory_gb,
        peer=name,
        rounds=given.rounds,
        rounds_seconds=min(ROUNDS_SECONDS, 2 * given.limit_seconds),
    )
    return found | forms[form]


def foreseen(
    records: list[Record], instance: Instance, name: str, given: argparse.Namespace
) -> Record | None:
    """What is known to happen, where a smaller night was too large for a method."""
    smaller = [
        r
        for r in records
        if r["peer"] == name
        and r["family"] == instance.family
        and r["num_orders"] < instance.num_orders
        and r.get("is_too_large")
        and not r.get("is_foreseen")
        and r["limit_seconds"] >= given.limit_seconds
        and r["memory_gb"] >= given.memory_gb
    ]
    if not smaller:
        return None
    least = min(smaller, key=lambda r: r["num_orders"])
    failure = f"{least['failure']} at {size_name(least['num_orders'])}"
    return {"failure": failure, "is_too_large": True, "is_foreseen": True}


def run_whole_night(num_orders: int, carriers: int, given: argparse.Namespace) -> None:
    """Run one night from files to files, unless that is there."""
    ways = "one carrier" if carriers == 1 else f"{carriers} carriers"
    name = f"{ways}-{size_name(num_orders)}"
    if _is_there(name, "run", given):
        return
    about = {"name": name, "family": "files", "peer": "run"}
    about |= {"num_orders": num_orders, "carriers": carriers}
    rounds = given.rounds if num_orders <= ONCE_ORDERS else 1

    def run() -> Record:
        return measure_night(num_orders, carriers, rounds, given.scratch)

    _measured(about, run, given)


def run_loop(num_orders: int, carriers: int, given: argparse.Namespace) -> None:
    """Decide one small night in memory many times, unless that is there."""
    ways = "one carrier" if carriers == 1 else f"{carriers} carriers"
    name = f"{ways}-{size_name(num_orders)}"
    if _is_there(name, "allocate", given):
        return
    about = {"name": name, "family": "memory", "peer": "allocate"}
    about |= {"num_orders": num_orders, "carriers": carriers}
    limits = given.limit_seconds, given.memory_gb

    def run() -> Record:
        return measure_loop(num_orders, carriers, limits, given.scratch)

    _measured(about, run, given)


def _is_there(night: str, peer: str, given: argparse.Namespace) -> bool:
    """Whether a result need not be measured again; says so."""
    limits = given.limit_seconds, given.memory_gb
    for record in read_records(given.out):
        if (record["name"], record["peer"]) == (night, peer) and is_kept(
            record, source_of(peer), *limits, given.again
        ):
            print(f"{night} {peer}: kept, of {record['date']}", flush=True)
            return True
    return False


def _measured(
    about: Record, measure: Callable[[], Record], given: argparse.Namespace
) -> None:
    """Measure one thing, with all that its seconds depend on; keep it at once."""
    day, before = dt.date.today().isoformat(), busy_seconds()
    found = measure()
    wall, others = np.subtract(busy_seconds(), before)
    record = (
        about
        | found
        | {
            "limit_seconds": given.limit_seconds,
            "memory_gb": given.memory_gb,
            "cores_of_others": round(max(0.0, others / wall), 2),
            "date": day,
            "source": source_of(about["peer"]),
            "machine": describe_machine(),
        }
    )
    add_record(given.out, record)
    words = found.get("failure") or f"{found['seconds']:.3f} s"
    print(f"{about['name']} {about['peer']}: {words}", flush=True)


if __name__ == "__main__":
    main()
