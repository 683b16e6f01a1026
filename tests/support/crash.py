"""
Kill a run, or make its disk fail, anywhere; the night and the state stay whole.

``night/test_crash.py`` does both, ``python -m tests.campaigns.faults`` at every write
system call, and ``python -m tests.campaigns.kills`` at random moments of all commands.
Needs strace. Every run is a fork of this process, which has imported everything and
computed nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

CALLS = (
    *("openat", "mkdir", "write", "pwrite64", "ftruncate", "fsync", "fdatasync"),
    *("rename", "symlink", "unlink", "close"),
)
NAMING = ("rename", "symlink", "unlink")
FAULTS = ("signal=KILL", "error=ENOSPC", "error=EIO")
FIRST, SECOND = dt.date(2026, 11, 22), dt.date(2026, 11, 23)
#: A run that ends in another way than it should.
BUG = 99


def in_child(work: Callable[[], int]) -> int:
    """Fork, wait for leave to start, and work; returns the child's pid."""
    ready, go = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ready)
        GATES[pid] = go
        return pid
    os.close(go)
    os.read(ready, 1)
    code = BUG
    try:
        code = work()
    except BaseException:  # noqa: BLE001 - a child must never come back
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


GATES: dict[int, int] = {}


def let_go(pid: int) -> int:
    """Let a child start, and give what it ended with; below 0: the signal."""
    os.write(GATES[pid], b".")
    return ended(pid)


def ended(pid: int) -> int:
    """Wait for a child."""
    _, status = os.waitpid(pid, 0)
    os.close(GATES.pop(pid))
    return os.waitstatus_to_exitcode(status)


def run_second(folder: Path) -> int:
    """Run the second date; the exit code as the command line gives it."""
    from optimizer.config import load_config
    from optimizer.errors import OptimizerError
    from optimizer.job import run_date

    config = load_config(folder / "config.yaml")
    try:
        run_date(config, SECOND, is_forced=True)
    except OptimizerError as error:
        return error.exit_code
    return 0


def prepare(folder: Path, num_orders: int) -> int:
    """Publish both dates, then change the rules: the second can be run again."""
    from optimizer.config import load_config
    from optimizer.job import run_date
    from tests.support.days import make_days

    config = make_days(folder, 2, num_orders=num_orders)
    for day in (FIRST, SECOND):
        run_date(load_config(config), day)
    text = config.read_text()
    assert text.count("0.03,") == 1
    # The fee too: where lanes are full, another cap alone decides nothing else.
    config.write_text(
        text.replace("0.03,", "0.06,").replace('"amount_cny": 0.8', '"amount_cny": 0.9')
    )
    return 0


def digests(folder: Path) -> dict[str, str]:
    """Checksum of each table of the second night; one names runs, and so places."""
    run = folder / "runs" / SECOND.isoformat()
    tables = [p for p in sorted(run.glob("*.parquet")) if p.name != "nights.parquet"]
    return {path.name: checksum(path) for path in tables}


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def look(folder: Path, known: Path) -> str:
    """See that both nights are whole, and whether the second is "old" or "new"."""
    from optimizer.contracts.run_folder import read_record

    for day in (FIRST, SECOND):
        run = folder / "runs" / day.isoformat()
        for name, claim in read_record(run)["outputs"].items():
            assert checksum(run / name) == claim["sha256"], name
    names = json.loads(known.read_text())
    seen = digests(folder)
    assert seen in (names["old"], names["new"]), "a mix of two nights"
    return "new" if seen == names["new"] else "old"


def mend(folder: Path, known: Path) -> None:
    """Run again without a fault: the new night, a true state, and no leftovers."""
    assert let_go(in_child(lambda: run_second(folder))) == 0
    assert look(folder, known) == "new"
    left = [p for p in (folder / "runs").rglob("*") if ".staging" in p.name]
    left += list((folder / "runs").glob(".*.new"))
    assert left == [], left
    found, names = state_of(folder), json.loads(known.read_text())
    if "state" not in names:
        known.write_text(json.dumps(names | {"state": found}))
    else:
        assert found == names["state"], "bank or ledger differ"


def state_of(folder: Path) -> str:
    """Checksum of bank and ledger; the nights in the state are those published."""
    from sqlalchemy import select

    from optimizer.config import load_config
    from optimizer.evidence.audit import audit
    from optimizer.night.folders import published_nights
    from optimizer.night.state.database import open_state
    from optimizer.night.state.schema import BANK, COMMITMENTS, NIGHTS

    config = load_config(folder / "config.yaml")
    with open_state(config) as state, state.transaction() as connection:
        rows = connection.execute(select(NIGHTS.c.date, NIGHTS.c.version))
        versions = dict(map(tuple, rows))
        tables = [
            sorted(map(str, connection.execute(select(table))))
            for table in (BANK, COMMITMENTS)
        ]
    nights = published_nights(str(folder / "runs"))
    assert versions == {day: path.name for day, path in nights.items()}
    assert audit(config).findings == ()
    return hashlib.sha256(json.dumps(tables).encode()).hexdigest()


class Ground:
    """A folder in which the second date is run again and again from one start."""

    def __init__(self, folder: Path, num_orders: int = 300) -> None:
        self.folder, self.start = folder / "work", folder / "start"
        self.known = folder / "known.json"
        assert let_go(in_child(lambda: prepare(self.folder, num_orders))) == 0
        shutil.copytree(self.folder, self.start, symlinks=True)
        old = digests(self.folder)
        assert let_go(in_child(lambda: run_second(self.folder))) == 0
        self.known.write_text(json.dumps({"old": old, "new": digests(self.folder)}))
        assert self.known_are_two()
        mend(self.folder, self.known)
        self.paths = self.touched()
        self.reset()

    def known_are_two(self) -> bool:
        """Whether old and new differ in every way that matters."""
        known = json.loads(self.known.read_text())
        old, new = known["old"], known["new"]
        return all(old[n] != new[n] for n in ("decisions.parquet", "bank.parquet"))

    def touched(self) -> list[Path]:
        """All paths that a run writes to, by their names before and after renaming."""
        runs = self.folder / "runs"
        paths = [runs, *runs.rglob("*")]
        staged = [
            Path(
                re.sub(r"(/\.versions/[^/]+/)([0-9a-f]{16})", r"\1.staging-\2", str(p))
            )
            for p in paths
        ]
        more = [runs / f".{SECOND}.new", runs / ".state.sqlite-journal"]
        more += [runs / ".evidence.jsonl"]
        return sorted({*paths, *staged, *more})

    def reset(self) -> None:
        """Go back to the start."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.start, self.folder, symlinks=True)

    def judge(self, code: int, counts: Counter[str], what: str) -> None:
        """See what is there after a run that ended in some way, and mend it."""
        assert code != BUG, f"{what}: a bug"
        seen = look(self.folder, self.known)
        assert code != 0 or seen == "new", f"{what}: said it was published"
        how = {0: "ok"}.get(code, "killed" if code < 0 else f"failed {code}")
        counts[f"{how}, {seen}"] += 1
        mend(self.folder, self.known)


def traced(ground: Ground, *options: str) -> int:
    """Run the second date under strace."""
    pid = in_child(lambda: run_second(ground.folder))
    paths = [word for path in ground.paths for word in ("-P", str(path))]
    tracer = subprocess.Popen(
        ["strace", "-f", "-qqq", "-p", str(pid), *paths, *options],
        stderr=subprocess.DEVNULL,
    )
    status = Path(f"/proc/{pid}/status")
    while "TracerPid:\t0" in status.read_text():
        assert tracer.poll() is None, "strace does not attach"
        time.sleep(0.002)
    code = let_go(pid)
    tracer.wait()
    return code


def points(ground: Ground, log: Path) -> list[tuple[str, int]]:
    """Every write system call of a clean run: its name, and the how many-th it is."""
    ground.reset()
    assert traced(ground, "-o", str(log), "-e", f"trace={','.join(CALLS)}") == 0
    calls = Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.M))
    ground.reset()
    return [(name, n) for name in CALLS for n in range(1, calls[name] + 1)]


def write_order(ground: Ground, log: Path) -> int:
    """
    See that nothing is named before it is on the disk; the number of files that were.

    Every file of the night is flushed, then its folder; it gets its name, and the
    folder of versions is flushed; the link is replaced, and its folder is flushed.
    """
    ground.reset()
    calls = "openat,fsync,rename,close"
    assert traced(ground, "-y", "-o", str(log), "-e", f"trace={calls}") == 0
    lines = [line for line in log.read_text().splitlines() if " = -1 " not in line]
    renames = [n for n, line in enumerate(lines) if " rename(" in line]
    named, linked = (n for n in renames if f"{SECOND}" in lines[n])
    made = {
        (n, match[1])
        for n, line in enumerate(lines)
        if (match := re.search(r"O_CREAT.*<(.*/\.staging-[^>]*)>", line))
    }
    flushed = [
        (n, m[1])
        for n, x in enumerate(lines)
        if (m := re.search(r"fsync\(\d+<([^>]*)>", x))
    ]
    for start, path in made:
        assert any(start < n < named and path == p for n, p in flushed), path
    versions = ground.folder / "runs" / ".versions" / str(SECOND)
    after = [p for n, p in flushed if named < n < linked]
    assert str(versions) in after
    assert str(ground.folder / "runs") in [p for n, p in flushed if n > linked]
    staging = [p for n, p in flushed if n < named and ".staging-" in Path(p).name]
    assert staging, "the folder of the night is not flushed"
    ground.reset()
    return len(made)


def kill(ground: Ground, count: int, seed: int) -> Counter[str]:
    """Kill runs at random moments of their time."""
    rng, counts = random.Random(seed), Counter[str]()
    started = time.perf_counter()
    assert let_go(in_child(lambda: run_second(ground.folder))) == 0
    whole = time.perf_counter() - started
    for number in range(count):
        ground.reset()
        pid = in_child(lambda: run_second(ground.folder))
        moment = rng.uniform(0, whole * 1.1)
        os.write(GATES[pid], b".")
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
        ground.judge(ended(pid), counts, f"kill {number} after {moment:.3f} s")
    ground.reset()
    return counts


def load_everything() -> None:
    """Import what a run needs, so that a fork is a run that has started."""
    for name in (
        *("alembic.command", "pandas", "polars", "pyarrow.parquet", "scipy.linalg"),
        *("sqlalchemy.dialects.sqlite", "optimizer.job"),
        *("optimizer.explain.outcomes", "optimizer.explain.churn"),
        *("optimizer.solvers.network.solve", "optimizer.solvers.network.tie_break"),
        *("optimizer.build.canonical_order_kernel", "optimizer.certify.certificate"),
    ):
        importlib.import_module(name)
    import numpy as np

    from optimizer.io.order_keys_kernel import hash_texts

    keys = np.zeros(1, np.uint64)
    ends = np.array([0, 1])
    hash_texts(np.zeros(1, np.uint8), ends, np.uint64(0), keys, keys.copy())
