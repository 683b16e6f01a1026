"""
System calls that fail, or end the process, at every n-th write call of a run.

``python -m tests.campaigns.faults --orders 400 --count 0``: KILL, ENOSPC and EIO at
each call of a run that replaces a night; with a count, at so many of them, drawn by the
seed. After each: both nights whole, "published" only if it is, never a bug; the next
run publishes, leaves nothing over and counts nothing twice. Needs strace.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.campaigns.tally import Tally
from tests.support import crash


def campaign(
    folder: Path,
    num_orders: int,
    count: int,
    seed: int,
    minutes: float = float("inf"),
) -> Tally:
    """Let so many calls fail, or all of them where the count is 0."""
    ground = crash.Ground(folder, num_orders)
    todo = drawn(ground, folder / "log", seed)
    print(f"{num_orders:,} orders: {len(todo):,} faults")
    return let_fail(ground, todo[: count or len(todo)], minutes)


def drawn(ground: crash.Ground, log: Path, seed: int) -> list[tuple[str, int, str]]:
    """Every call with each kind of fault, in an order that is drawn."""
    points = crash.points(ground, log)
    todo = [(call, n, fault) for call, n in points for fault in crash.FAULTS]
    random.Random(seed).shuffle(todo)
    return todo


def let_fail(
    ground: crash.Ground,
    todo: list[tuple[str, int, str]],
    minutes: float = float("inf"),
) -> Tally:
    """Let the n-th call fail in a way, one after the other; judge and mend each."""
    ends, tally = time.monotonic() + 60 * minutes, Tally()
    for call, number, fault in todo:
        if time.monotonic() > ends:
            break
        ground.reset()
        option = f"inject={call}:{fault}:when={number}"
        code = crash.traced(ground, "-o", "/dev/null", "-e", option)
        counts, faults = Counter[str](), []
        try:
            ground.judge(code, counts, option)
        except AssertionError as error:
            faults = [f"{option}: ended with {code}: {error}"]
        end = next(iter(counts), f"ended with {code}")
        tally.add(f"{fault} at {call}", end, faults)
    return tally


def main() -> int:
    """Let as many fail as asked, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=400)
    parser.add_argument("--count", type=int, default=0, help="0: all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    asked = parser.parse_args()
    crash.load_everything()
    with tempfile.TemporaryDirectory() as name:
        tally = campaign(
            Path(name), asked.orders, asked.count, asked.seed, asked.minutes
        )
        return tally.report()


if __name__ == "__main__":
    sys.exit(main())
