"""
Commands that write, killed at any moment: nights stay whole, and the next call heals.

``python -m tests.campaigns.kills --count 1000 --seed 7``: run, backfill, rollback,
deliver, learn and prune in turn, each from one start. Runs and backfills are killed in
the publish phase in two of three tries, from the moment that its folder is there.
After each: every published night is whole, the date is the old night or the new one and
no mixture, a command that said 0 did it; the same command again ends with 0 and leaves
what an undisturbed one leaves, and the chain holds.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.forks import Ended, apart, ended, load_everything, start
from tests.campaigns.tally import Tally
from tests.support.days import make_days

DAYS = ["2026-11-22", "2026-11-23", "2026-11-24"]
LAST = DAYS[-1]
#: What differs between undisturbed runs: locks, copies that SQLite keeps, and failures.
_OF_NO_MATTER = (".locks", "-journal", ".failures")
#: Tables of a night that say when or from which run it was made.
_OF_TIME = ("nights.parquet", "run.json", "report.html", "audit.sql")


@dataclass(frozen=True)
class Operation:
    """
    A command that writes.

    ``start`` is the folder that it begins from; ``publishes`` whether it has a publish
    phase.
    """

    words: tuple[str, ...]
    start: str
    publishes: bool = False


OPERATIONS = {
    "run": Operation(
        ("run", "--config", "changed.yaml", "--date", LAST, "--force"), "three", True
    ),
    "backfill": Operation(
        ("backfill", "--config", "config.yaml", "--from", DAYS[1], "--to", LAST),
        "one",
        True,
    ),
    "rollback": Operation(("rollback", LAST, "--config", "changed.yaml"), "replaced"),
    "deliver": Operation(("deliver", LAST, "--config", "out.yaml"), "three"),
    "learn": Operation(
        ("learn", "--config", "learn.yaml", "--as-of", "2027-01-31"), "three"
    ),
    "prune": Operation(("prune", "--config", "keep.yaml", "--yes"), "replaced"),
}
#: Of a hundred kills, how many go to each.
SHARES = {"run": 34, "backfill": 26, "rollback": 10, "deliver": 10, "learn": 10}
SHARES["prune"] = 100 - sum(SHARES.values())


def prepare(folder: Path, starts: Path) -> None:
    """Make three days with their settings; keep the folder after one and more runs."""
    from optimizer.config import load_config
    from optimizer.job import run_date
    from tests.support.trial import outcomes

    make_days(folder, 3, num_orders=200)
    settings = json.loads((folder / "config.yaml").read_text())
    outcomes(2_000, seed=1).write_parquet(folder / "outcomes.parquet")
    models = {"history": f"{folder}/outcomes.parquet", "models": f"{folder}/models"}
    boxes = [
        {"platform": name, "format": "csv", "to": f"{folder}/out/{name}.csv"}
        for name in ("douyin", "taobao")
    ]
    database = f"duckdb://{folder}/out/copies.duckdb?table=lanes"
    policy = json.loads(json.dumps(settings["policy"]))
    policy[0]["cap"]["rate"] = 0.06
    for name, more in {
        "changed": {"policy": policy},
        "keep": {"keep": {"versions": 1}},
        "learn": {"learning": models},
        "out": {"outbox": boxes, "outputs": [{"table": "lanes", "to": database}]},
    }.items():
        (folder / f"{name}.yaml").write_text(json.dumps(settings | more))
    (folder / "out").mkdir()
    config = load_config(folder / "config.yaml")
    for name, days in (("one", DAYS[:1]), ("three", DAYS[1:])):
        for day in days:
            run_date(config, dt.date.fromisoformat(day))
        shutil.copytree(folder, starts / name, symlinks=True)
    changed = load_config(folder / "changed.yaml")
    run_date(changed, dt.date.fromisoformat(LAST), is_forced=True)
    shutil.copytree(folder, starts / "replaced", symlinks=True)


def digest(path: Path) -> str:
    """SHA-256 of a file, or where a link points."""
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> dict[str, str]:
    """Every file and link of a folder that matters, with its content."""
    paths = [p for p in sorted(folder.rglob("*")) if p.is_symlink() or p.is_file()]
    named = {str(path.relative_to(folder)): path for path in paths}
    return {
        name: digest(path)
        for name, path in named.items()
        if not any(word in name for word in _OF_NO_MATTER)
    }


def night_of(folder: Path, day: str) -> dict[str, str]:
    """A published night as what decides: its tables; empty where there is none."""
    run = folder / "runs" / day
    if not run.exists():
        return {}
    record = json.loads((run / "run.json").read_text())
    for name, claim in record["outputs"].items():
        assert digest(run / name) == claim["sha256"], f"{day}: {name} is not whole"
    assert (run / "_SUCCESS").is_file(), f"{day} has no mark"
    return {p.name: digest(p) for p in run.iterdir() if p.name not in _OF_TIME}


def state_of(folder: Path) -> str:
    """What the state holds: bank, ledger, and the published version of each date."""
    import sqlite3

    with sqlite3.connect(folder / "runs" / ".state.sqlite") as connection:
        rows = {
            table: sorted(map(str, connection.execute(f"select * from {table}")))
            for table in ("bank", "commitments")
        }
        nights = dict(connection.execute("select date, version from nights"))
    links = {p.name: p.resolve().name for p in (folder / "runs").glob("????-??-??")}
    assert nights == links, "the state has other nights than are published"
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def outside(folder: Path) -> dict[str, str]:
    """Files beside the nights: outboxes and models."""
    return {
        str(path.relative_to(folder)): digest(path)
        for place in ("out", "models")
        for path in sorted((folder / place).rglob("*"))
        if (path.is_file() or path.is_symlink()) and "duckdb" not in path.name
    }


def goal(folder: Path) -> dict[str, object]:
    """All that an undisturbed command leaves."""
    nights = {day: night_of(folder, day) for day in DAYS}
    versions = sorted(
        str(p.relative_to(folder)) for p in (folder / "runs" / ".versions").glob("*/*")
    )
    return {
        "nights": nights,
        "versions": versions,
        "state": state_of(folder),
        "outside": outside(folder),
    }


class Ground:
    """A folder in which commands are called again and again from their starts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.starts = folder / "work", folder / "starts"
        self.log = folder / "log"
        apart(lambda: prepare(self.folder, self.starts))
        self.old: dict[str, dict[str, object]] = {}
        self.new: dict[str, dict[str, object]] = {}
        self.times: dict[str, tuple[float, float]] = {}
        for name, operation in OPERATIONS.items():
            self.reset(operation)
            self.old[name] = goal(self.folder)
            before = time.perf_counter()
            pid = start(list(operation.words), self.folder, self.log)
            reached = self.staging_seen(pid, operation)
            found = ended(pid, self.log, before)
            assert found.code == 0, found.text
            self.times[name] = (found.seconds, found.seconds - (reached - before))
            self.new[name] = goal(self.folder)
            assert self.old[name] != self.new[name], name

    def reset(self, operation: Operation) -> None:
        """Go back to a command's start."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.starts / operation.start, self.folder, symlinks=True)

    def staging_seen(self, pid: int, operation: Operation) -> float:
        """Wait until a command publishes, or has ended; when that was."""
        versions = self.folder / "runs" / ".versions"
        while operation.publishes:
            if any(versions.glob("*/.staging-*")):
                break
            done = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if done is not None:
                break
            time.sleep(0.0005)
        return time.perf_counter()

    def killed(self, name: str, *, in_publish: bool, rng: random.Random) -> Ended:
        """Start a command and kill it, unless it ends before."""
        operation, begun = OPERATIONS[name], time.perf_counter()
        whole, publish = self.times[name]
        pid = start(list(operation.words), self.folder, self.log)
        if in_publish:
            self.staging_seen(pid, operation)
            time.sleep(rng.uniform(0, publish))
        else:
            time.sleep(rng.uniform(0, whole))
        os.kill(pid, signal.SIGKILL)
        return ended(pid, self.log, begun)

    def judge(self, name: str, found: Ended) -> tuple[str, list[str]]:
        """How it ended and what is wrong about it; mends where anything changed."""
        try:
            now = {day: night_of(self.folder, day) for day in DAYS}
        except (AssertionError, OSError, ValueError) as error:
            return "broken", [f"{name}: {error}"]
        old, new = self.old[name]["nights"], self.new[name]["nights"]
        faults = [
            f"{name}: {day} is a mixture"
            for day in DAYS
            if now[day] not in (old[day], new[day])  # type: ignore[index]
        ]
        if found.code not in (0, -signal.SIGKILL):
            faults.append(f"{name}: ended with {found.code}: {found.text[-300:]}")
        is_new = now == new and old != new
        if found.code == 0 and now != new:
            faults.append(f"{name}: said 0 and did it not")
        how = "ended, " if found.code == 0 else "killed, "
        end = how + ("new" if is_new else "old" if now == old else "in between")
        begun = self.starts / OPERATIONS[name].start
        if found.code != 0 and tree(self.folder) == tree(begun):
            return end, faults
        return end, faults + self.mended(name)

    def mended(self, name: str) -> list[str]:
        """Call it again, undisturbed: what it leaves, and what the chain says."""
        faults = []
        words = list(OPERATIONS[name].words)
        if name == "rollback" and self.is_back():
            words = ["state", "repair", "--config", "changed.yaml"]
        for again in (words, ["audit", "--config", "config.yaml"]):
            begun = time.perf_counter()
            found = ended(start(again, self.folder, self.log), self.log, begun)
            if found.code != 0:
                said = found.text[-300:] + found.out[-300:]
                faults.append(
                    f"{name}: {again[0]} after it ends with {found.code}: {said}"
                )
        if faults:
            return faults
        try:
            now = goal(self.folder)
        except (AssertionError, OSError, ValueError) as error:
            return [f"{name}: after mending: {error}"]
        for key, value in self.new[name].items():
            if key != "versions" and now[key] != value:
                faults.append(f"{name}: after mending, {key} differs")
        left = [p for p in (self.folder / "runs").rglob("*") if ".staging-" in p.name]
        faults += [f"{name}: left behind: {path.name}" for path in left]
        return faults

    def is_back(self) -> bool:
        """Whether the rollback is done: a second one would go forward again."""
        return night_of(self.folder, LAST) == self.new["rollback"]["nights"][LAST]  # type: ignore[index]


def campaign(
    folder: Path, count: int, seed: int, minutes: float = float("inf")
) -> Tally:
    """Kill so many commands, or as many as the minutes last for."""
    ends = time.monotonic() + 60 * minutes
    ground, tally, rng = Ground(folder), Tally(), random.Random(seed)
    names = [name for name, share in SHARES.items() for _ in range(share)]
    rng.shuffle(names)
    for number in range(count):
        if time.monotonic() > ends:
            break
        name = names[number % len(names)]
        operation = OPERATIONS[name]
        in_publish = operation.publishes and rng.random() < 2 / 3
        ground.reset(operation)
        found = ground.killed(name, in_publish=in_publish, rng=rng)
        end, faults = ground.judge(name, found)
        kind = f"{name}, publish phase" if in_publish else f"{name}, any moment"
        tally.add(kind, end, [f"kill {number}: {fault}" for fault in faults])
    return tally


def main() -> int:
    """Kill as many as asked, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    asked = parser.parse_args()
    load_everything()
    with tempfile.TemporaryDirectory() as name:
        tally = campaign(Path(name), asked.count, asked.seed, asked.minutes)
        return tally.report()


if __name__ == "__main__":
    sys.exit(main())
