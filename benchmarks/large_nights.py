"""
Nights of one, ten and a hundred million orders: stages, memory over time, a profile.

    python -m benchmarks.large_nights run 1m 10m       # files to published night
    python -m benchmarks.large_nights run 100m --memory-gb 4
    python -m benchmarks.large_nights run 1m 10m --before FOLDER
    python -m benchmarks.large_nights profile 10m      # the first thread's time
    python -m benchmarks.large_nights page              # large_nights.md and .svg again

Nights have one carrier for each order and 2,000 orders for each merchant, so that all
that is counted grows alike. While one is run the memory of its process is looked at
four times a second: what is its own, and what is mapped from files, which the system
may take back. ``--scratch`` keeps the simulated nights for the next time. With
``--before``, the folder of an earlier commit's files (``git worktree add``), each
night is run by that commit first and then by this one, and the page has both.
"""

from __future__ import annotations

import argparse
import cProfile
import datetime as dt
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.instances import parse_size, size_name
from benchmarks.nightly import DAY, night_rules
from benchmarks.records import (
    BUSY_CORES,
    busy_seconds,
    describe_machine,
    is_stale,
    read_records,
    write_records,
)
from benchmarks.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    Record = dict[str, Any]

HERE = Path(__file__).parent
RESULTS = HERE / "large_nights.json"
PAGE, PICTURE = HERE / "large_nights.md", HERE / "large_nights.svg"
BEGIN, END = "<!-- nights: begin -->", "<!-- nights: end -->"
BEGIN_BOTH, END_BOTH = "<!-- before: begin -->", "<!-- before: end -->"
#: Orders of the night on which both compile their kernels.
WARM_UP = "250k"
ORDERS_PER_MERCHANT, SEED = 2_000, 7
#: Seconds between two looks at the memory; at most so many of them are kept.
LOOK_SECONDS, MOST_LOOKS = 0.25, 120
#: Functions that a profile prints.
NUM_FUNCTIONS = 10
#: What no stage's clock counts.
REST = "start, publishing, reading back"


def main(words: list[str] | None = None) -> None:
    """Run, profile, or write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "profile", "page"])
    parser.add_argument("sizes", nargs="*", metavar="SIZE", help="such as 10m")
    parser.add_argument("--memory-gb", type=float, help="solver.memory_gb of the night")
    parser.add_argument("--scratch", type=Path, help="where nights are, or are put")
    parser.add_argument("--before", type=Path, help="files of an earlier commit")
    given = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as name:
        scratch = given.scratch or Path(name)
        if given.before is not None:
            small = simulated(scratch / WARM_UP, parse_size(WARM_UP))
            for code in (given.before, None):
                measure(small, parse_size(WARM_UP), None, scratch, code)
        for size in given.sizes:
            inputs = simulated(scratch / size, parse_size(size))
            if given.what == "profile":
                print(profile(inputs, scratch))
                continue
            for code in [given.before, None] if given.before is not None else [None]:
                night = (inputs, parse_size(size), given.memory_gb, scratch)
                record = measure(*night, code)
                keep(record)
                print(json.dumps({k: v for k, v in record.items() if k != "looks"}))
    if given.what != "profile":
        write_page(read_records(RESULTS))


def simulated(folder: Path, num_orders: int) -> Path:
    """Simulate a night, unless it is there already; the folder of its files."""
    inputs = folder / "nights" / DAY.isoformat()
    if not inputs.exists():
        merchants = str(max(1, num_orders // ORDERS_PER_MERCHANT))
        words = ["simulate", "--out", str(folder), "--orders", str(num_orders)]
        words += ["--merchants", merchants, "--seed", str(SEED)]
        _optimizer(words).wait()
    return inputs


def measure(
    inputs: Path,
    num_orders: int,
    memory_gb: float | None,
    scratch: Path,
    code: Path | None = None,
) -> Record:
    """
    Run a night once from the command line, and look at its memory meanwhile.

    Parameters
    ----------
    inputs, num_orders, memory_gb, scratch
        The night's files, its size and limit, and where it is published.
    code
        Files of an earlier commit that runs it; ``None``: these.

    Returns
    -------
    dict
        ``seconds`` and ``cpu_seconds`` of the command, ``stage_seconds``, ``looks``:
        ``[second, own bytes, mapped bytes]``, the peaks of both together and of its
        own, and the proof.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        began, others = busy_seconds()
        start = time.perf_counter()
        used = _processor_seconds()
        told = Path(name) / "told.json"
        rules = _rules(inputs, Path(name), memory_gb)
        words = ["--quiet", "run", "--config", str(rules), "--json"]
        words += ["--date", DAY.isoformat()]
        job = _optimizer(words, told=told, code=code)
        looks: list[tuple[float, int, int]] = []
        while job.poll() is None:
            looks.append((time.perf_counter() - start, *_memory_of(job.pid)))
            time.sleep(LOOK_SECONDS)
        seconds = time.perf_counter() - start
        used = _processor_seconds() - used
        if job.returncode != 0:
            raise SystemExit(f"the run left with {job.returncode}")
        record = json.loads(told.read_text())
    ended, others_now = busy_seconds()
    return {
        "num_orders": num_orders,
        "name": size_name(num_orders)
        + ("" if memory_gb is None else f"-{memory_gb:g}gb")
        + ("" if code is None else "-before"),
        "peer": "run",
        "memory_gb": memory_gb,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(used, 1),
        "stage_seconds": record["run_measurements"]["seconds"],
        "own_bytes": max(own for _, own, _ in looks),
        "all_bytes": max(own + mapped for _, own, mapped in looks),
        "looks": thinned(looks),
        "gap": record["certificate"]["gap"],
        "num_chosen": record["summary"]["num_chosen"],
        "cores_of_others": round((others_now - others) / (ended - began), 2),
        "measured": dt.date.today().isoformat(),
        "machine": describe_machine(),
        "source": source_of("run") if code is None else commit_of(code),
    }


def commit_of(code: Path) -> str:
    """Short name of the commit that a folder's files are of."""
    words = ["git", "-C", str(code), "rev-parse", "--short=8", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout[:8]


def thinned(looks: Sequence[tuple[float, int, int]]) -> list[list[float]]:
    """
    So few looks that a picture can hold them, each the highest of its part.

    Examples
    --------
    >>> thinned([(0.0, 5, 1), (0.25, 7, 0)])
    [[0.0, 5, 1], [0.2, 7, 0]]
    """
    step = -(-len(looks) // MOST_LOOKS)
    parts = [looks[at : at + step] for at in range(0, len(looks), step)]
    highest = (max(part, key=lambda look: look[1] + look[2]) for part in parts)
    return [[round(second, 1), own, mapped] for second, own, mapped in highest]


def profile(inputs: Path, scratch: Path) -> str:
    """The functions in which the first thread of a run is longest, waits included."""
    from optimizer.config import as_config
    from optimizer.job import run_date

    with tempfile.TemporaryDirectory(dir=scratch) as name:
        config = as_config(night_rules(inputs, Path(name) / "runs"))
        watch = cProfile.Profile()
        watch.runcall(run_date, config, DAY)
        stats = pstats.Stats(watch).stats  # type: ignore[attr-defined]
    own = sorted(stats.items(), key=lambda item: -item[1][2])[:NUM_FUNCTIONS]
    total = sum(item[2] for item in stats.values())
    lines = [f"{'seconds':>8}  of {total:.1f} of the first thread"]
    for (file, line, function), (_, num_calls, seconds, _, _) in own:
        place = "" if file == "~" else f"{'/'.join(Path(file).parts[-2:])}:{line} "
        lines.append(f"{seconds:8.2f}  {place}{function}, {num_calls:,} calls")
    return "\n".join(lines)


def keep(record: Record) -> None:
    """Put a result in place of an older one of the same night."""
    old = [r for r in read_records(RESULTS) if r["name"] != record["name"]]
    records = sorted([*old, record], key=lambda r: (r["num_orders"], r["name"]))
    write_records(RESULTS, records)


def write_page(records: Sequence[Record]) -> None:
    """Put the tables between their marks, and draw the picture."""
    earlier = [record for record in records if _is_before(record)]
    ours = [record for record in records if not _is_before(record)]
    page = _between(PAGE.read_text(), BEGIN, table(ours), END)
    PAGE.write_text(_between(page, BEGIN_BOTH, both_tables(earlier, ours), END_BOTH))
    draw(ours)


def both_tables(earlier: Sequence[Record], ours: Sequence[Record]) -> str:
    """Seconds by stage of an earlier commit beside those of this one, by night."""
    later = {record["name"]: record for record in ours}
    pairs = [
        (old, later[name])
        for old in earlier
        if (name := old["name"].removesuffix("-before")) in later
    ]
    if not pairs:
        return "Nothing was measured yet."
    head, stages = ["stage"], [*pairs[0][1]["stage_seconds"], "all", REST]
    for old, new in pairs:
        head += [f"{_name(new)}, `{old['source']}`", f"{_name(new)}, now", "part"]
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for stage in stages:
        cells = []
        for old, new in pairs:
            was, now = _seconds_of(old, stage), _seconds_of(new, stage)
            cells += [f"{was:,.2f} s", f"{now:,.2f} s", f"{now / was:.2f}"]
        lines.append(_line([stage, *cells]))
    for label, key, unit in (
        ("CPU", "cpu_seconds", "s"),
        ("own memory, at most", "own_bytes", "GB"),
    ):
        cells = []
        for old, new in pairs:
            was, now = (one[key] / (1e9 if unit == "GB" else 1) for one in (old, new))
            cells += [f"{was:,.2f} {unit}", f"{now:,.2f} {unit}", f"{now / was:.2f}"]
        lines.append(_line([label, *cells]))
    measured = [(old["measured"], new["measured"], "") for old, new in pairs]
    lines.append(_line(["measured", *(cell for cells in measured for cell in cells)]))
    busy = [
        (f"{old['cores_of_others']:g}", f"{new['cores_of_others']:g}", "")
        for old, new in pairs
    ]
    lines.append(
        _line(["cores of others", *(cell for cells in busy for cell in cells)])
    )
    return "\n".join(lines)


def _between(page: str, begin: str, text: str, end: str) -> str:
    """Put a text between two marks of a page."""
    before, rest = page.split(begin)
    return f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}"


def _is_before(record: Record) -> bool:
    return bool(record["name"].endswith("-before"))


def table(records: Sequence[Record]) -> str:
    """Seconds by stage, beside those of the smallest night grown with the orders."""
    least = records[0]
    stages = [*least["stage_seconds"], "all", REST]
    head = ["stage", *(_name(record) for record in records)]
    lines = [_line(head), _line(["---", *["---:"] * len(records)])]
    for stage in stages:
        base = _seconds_of(least, stage) / least["num_orders"]
        cells = []
        for record in records:
            seconds = _seconds_of(record, stage)
            times = seconds / record["num_orders"] / base if base else 0
            grown = "" if record is least else f" ({times:.2f} ×)"
            cells.append(f"{seconds:,.2f} s{grown}")
        lines.append(_line([stage, *cells]))
    for label, key in (
        ("own memory, at most", "own_bytes"),
        ("with files", "all_bytes"),
    ):
        cells = [f"{record[key] / 1e9:.2f} GB" for record in records]
        lines.append(_line([label, *cells]))
    lines.append(_line(["measured", *(record["measured"] for record in records)]))
    busy = [f"{record['cores_of_others']:g}" for record in records]
    lines.append(_line(["cores of others", *busy]))
    notes = []
    if any(record["cores_of_others"] > BUSY_CORES for record in records):
        notes.append("Where others kept cores busy, seconds are too long.")
    stale = [_name(record) for record in records if is_stale(record)]
    if stale:
        notes.append(f"**Stale**, of other code than this: {', '.join(stale)}.")
    return "\n".join(lines) + "".join(f"\n\n{note}" for note in notes)


def draw(records: Sequence[Record]) -> None:
    """Draw memory against seconds, a panel for each night."""
    import matplotlib as mpl

    from benchmarks.plot import _SETTINGS

    mpl.use("svg")
    import matplotlib.pyplot as plt

    with plt.rc_context(_SETTINGS):
        figure, panels = plt.subplots(
            1, len(records), figsize=(3 * len(records), 2.4), squeeze=False
        )
        for panel, record in zip(panels[0], records, strict=True):
            second, own, mapped = zip(*record["looks"], strict=True)
            panel.stackplot(
                second,
                [value / 1e9 for value in own],
                [value / 1e9 for value in mapped],
                colors=["#0072B2", "#9EC9E2"],
                labels=["its own", "mapped from files"],
            )
            panel.set_title(_name(record).replace("`", ""))
            panel.set_xlabel("seconds")
        panels[0][0].set_ylabel("GB")
        panels[0][0].legend(loc="upper left", frameon=False)
        figure.tight_layout()
        figure.savefig(PICTURE, metadata={"Date": None})
        plt.close(figure)


def _name(record: Record) -> str:
    limit = record["memory_gb"]
    more = "" if limit is None else f", `memory_gb: {limit:g}`"
    return f"{size_name(record['num_orders']).upper()}{more}"


def _seconds_of(record: Record, stage: str) -> float:
    stages = record["stage_seconds"]
    if stage in stages:
        return float(stages[stage])
    rest = record["seconds"] - sum(stages.values())
    return float(record["seconds"] if stage == "all" else rest)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rules(inputs: Path, folder: Path, memory_gb: float | None) -> Path:
    """Write a night's configuration."""
    rules = night_rules(inputs, folder / "runs")
    if memory_gb is not None:
        rules["solver"] = {"memory_gb": memory_gb}
    path = folder / "nightly.yaml"
    path.write_text(json.dumps(rules))
    return path


def _memory_of(process: int) -> tuple[int, int]:
    """Own and mapped bytes of a process; 0 where it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return 0, 0
    found = dict(line.split(":", 1) for line in status.splitlines())
    own, mapped = (found.get(key, "0 kB").split()[0] for key in ("RssAnon", "RssFile"))
    return 1024 * int(own), 1024 * int(mapped)


def _processor_seconds() -> float:
    """What commands have used that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _optimizer(
    words: list[str], told: Path | None = None, code: Path | None = None
) -> subprocess.Popen[str]:
    """Begin a command of these files or others; what it prints goes to a file."""
    home = HERE.parent if code is None else code
    with (told or Path(os.devnull)).open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "optimizer", *words],
            stdout=out,
            text=True,
            cwd=home,
            env={**os.environ, "PYTHONPATH": str(home.resolve())},
        )


if __name__ == "__main__":
    main()
