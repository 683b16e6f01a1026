"""
Measure all that is published here, anew where code has changed since: ``make bench``.

    python -m benchmarks.suite                # about 35 minutes on two quiet cores
    python -m benchmarks.suite --minutes 15   # begins nothing new after that
    python -m benchmarks.suite --scale 0.01 --out tiny.json    # does it run?

What was measured with this code is kept, so an interrupted run goes on where it was.
At the end results of other code that the suite does not measure are dropped, with a
line that names them, and the report is written: ``--check`` of it then passes.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import compare
from benchmarks.instances import FAMILIES, parse_size, size_name
from benchmarks.peers import OURS, PEERS
from benchmarks.records import is_stale, read_records, write_records
from benchmarks.report import RESULTS, write_report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Record = dict[str, Any]

#: Smallest night of ``--scale``: each family still has merchants with a cap.
LEAST_ORDERS = 2_000


@dataclass(frozen=True, slots=True)
class Part:
    """
    Some nights, and what is measured on them.

    Attributes
    ----------
    sizes
        Orders of the nights, such as ``100k``.
    families
        Keys of :data:`benchmarks.instances.FAMILIES`; none: whole nights.
    peers
        Keys of :data:`benchmarks.peers.PEERS`.
    rounds
        Times that each is solved; the median counts.
    nights
        Whole nights are from files, ``nights``, or small ones in memory, ``loops``.
    limit_seconds
        Of each round. No other begins once they took twice as long together.
    """

    sizes: Sequence[str]
    families: Sequence[str]
    peers: Sequence[str] = (OURS, "ortools", "lemon")
    rounds: int = 5
    nights: str = "nights"
    limit_seconds: float = 20.0


#: Families of ten million orders that others solve once, each in minutes.
_OTHERS = tuple(name for name in FAMILIES if name not in ("single", "choice"))
#: What is published, what is read most first.
SUITE = (
    Part(("100k", "1m"), (), (), rounds=3),
    Part(("2k", "20k"), (), (), nights="loops", limit_seconds=120),
    Part(("2k", "10k", "100k"), tuple(FAMILIES)),
    Part(("1m",), tuple(FAMILIES), rounds=3),
    Part(("100k",), ("single", "choice"), tuple(PEERS), rounds=3),
    Part(("10m",), ("single", "choice"), (OURS,), rounds=3),
    Part(("10m",), ("single",), ("ortools", "lemon"), rounds=3),
    Part(("10m",), ("choice",), ("ortools",), rounds=1, limit_seconds=90),
    Part(("10m",), (), (), rounds=2),
    Part(("10m",), _OTHERS, (OURS, "ortools"), rounds=1, limit_seconds=90),
)


def main(words: list[str] | None = None) -> None:
    """Measure what is missing or stale, and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of every night")
    parser.add_argument("--minutes", type=float, default=inf, help="at most, about")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args(words)
    if given.scale != 1 and given.out == RESULTS:
        parser.error("nights of another size are not published: --scale needs --out")
    began = time.monotonic()
    for part in SUITE:
        for words_of_part in arguments(part, given.scale, given.out):
            if time.monotonic() - began < 60 * given.minutes:
                compare.measure(compare.arguments(words_of_part))
        print(f"== {(time.monotonic() - began) / 60:.1f} minutes", flush=True)
    drop_stale(given.out)
    if given.out == RESULTS:
        write_report(read_records(RESULTS))


def arguments(part: Part, scale: float, out: Path) -> Iterable[list[str]]:
    """Say a part in the words of :mod:`benchmarks.compare`, a night at a time."""
    sizes = [max(LEAST_ORDERS, int(scale * parse_size(s))) for s in part.sizes]
    limits = ["--rounds", str(part.rounds)]
    limits += ["--limit-seconds", f"{part.limit_seconds:g}", "--out", str(out)]
    for size in dict.fromkeys(map(size_name, sizes)):
        nights = [["--sizes", size, "--families", name] for name in part.families]
        peers = ["--peers", ",".join(part.peers)]
        for night in nights or [["--sizes", "", f"--{part.nights}", size]]:
            yield [*night, *peers * bool(part.families), *limits]


def drop_stale(path: Path) -> None:
    """Leave results of other code out of the file; they are in the history."""
    records = read_records(path)
    stale = [record for record in records if is_stale(record)]
    if stale:
        names = ", ".join(f"{record['name']} {record['peer']}" for record in stale)
        print(f"dropped {len(stale)} results of other code: {names}", flush=True)
        write_records(path, [record for record in records if not is_stale(record)])


if __name__ == "__main__":
    main()
