"""
Two forced runs of one date at once, and a verification beside them.

``python -m tests.campaigns.races --count 200 --seed 7``: the runs have different rules.
Each ends with 0 or 75, and one of them at least with 0; the verification, which begins
at any moment, holds; and afterwards one whole night is published that verifies, the
state has that night, and the chain holds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns.forks import (
    apart,
    ended,
    load_everything,
    run_command,
    start,
)
from tests.campaigns.tally import Tally
from tests.support.small_night import DAY, make_night

NIGHT = f"runs/{DAY}"


def prepare(folder: Path) -> None:
    """A published night, and two configurations that make others of it."""
    night = make_night(folder, num_orders=400)
    os.chdir(folder)
    night.run()
    for name in ("one", "other"):
        (folder / f"{name}.yaml").write_text(json.dumps(night.settings()))


def set_rate(folder: Path, name: str, rate: float) -> None:
    """Give a configuration another cap, so that its night is another one."""
    path = folder / f"{name}.yaml"
    settings = json.loads(path.read_text())
    settings["policy"][0]["cap"]["rate"] = rate
    path.write_text(json.dumps(settings))


def race(folder: Path, number: int, rng: random.Random) -> tuple[str, list[str]]:
    """Start two runs and a verification, each at its moment; what was wrong."""
    jobs = {}
    for name in ("one", "other"):
        set_rate(folder, name, rng.randint(1, 900) / 1_000)
        words = ["run", "--config", f"{name}.yaml", "--date", str(DAY), "--force"]
        jobs[name] = (rng.uniform(0, 0.3), words)
    jobs["verify"] = (rng.uniform(0, 1.0), ["verify", NIGHT])
    begun, found = time.perf_counter(), {}
    pids = {}
    for name, (delay, words) in sorted(jobs.items(), key=lambda job: job[1][0]):
        time.sleep(max(0.0, begun + delay - time.perf_counter()))
        pids[name] = start(words, folder, folder / f"{name}.log")
    for name, pid in pids.items():
        found[name] = ended(pid, folder / f"{name}.log", begun)
    faults = [
        f"{name} ended with {found[name].code}: {found[name].text[-300:]}"
        for name in ("one", "other")
        if found[name].code not in (0, 75)
    ]
    if found["verify"].code != 0:
        faults.append(f"verify beside: {found['verify'].out[-300:]}")
    codes = sorted((found["one"].code, found["other"].code))
    if 0 not in codes:
        faults.append("no run published")
    for words in (["verify", NIGHT], ["audit", "--config", "one.yaml"]):
        after = run_command(words, folder)
        if after.code != 0:
            faults.append(f"{words[0]} after: {after.out[-300:]}{after.text[-300:]}")
    with sqlite3.connect(folder / "runs" / ".state.sqlite") as connection:
        (version,) = connection.execute("select version from nights").fetchone()
    if version != (folder / NIGHT).resolve().name:
        faults.append("the state has another version than is published")
    return f"runs ended with {codes}", [f"race {number}: {x}" for x in faults]


def campaign(
    folder: Path, count: int, seed: int, minutes: float = float("inf")
) -> Tally:
    """Let so many races be run, or as many as the minutes last for."""
    ends, tally, rng = time.monotonic() + 60 * minutes, Tally(), random.Random(seed)
    apart(lambda: prepare(folder))
    for number in range(count):
        if time.monotonic() > ends:
            break
        tally.add("two runs and a verification", *race(folder, number, rng))
    return tally


def main() -> int:
    """Run as many races as asked, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    asked = parser.parse_args()
    load_everything()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "night"
        return campaign(folder, asked.count, asked.seed, asked.minutes).report()


if __name__ == "__main__":
    sys.exit(main())
