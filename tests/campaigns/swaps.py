"""
Every input replaced, written over or removed at every stage of a run.

``python -m tests.campaigns.swaps``: orders, capacity, merchants, deliveries, model,
previous night and configuration, in each way, when each stage begins. A run ends with
75 and publishes nothing, or publishes a night that verifies and is the one of the
inputs as they were at its start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.campaigns.forks import apart, begin, ended, load_everything
from tests.campaigns.mutations import MODEL
from tests.campaigns.tally import Tally
from tests.support.small_night import DAY, SmallNight, make_night

STAGES = (
    *("read", "validate", "value", "build", "solve", "certify", "explain"),
    *("publish",),
)
INPUTS = {
    "orders": f"nights/{DAY}/orders.parquet",
    "capacity": f"nights/{DAY}/capacity.csv",
    "merchants": f"nights/{DAY}/merchants.parquet",
    "deliveries": "deliveries.csv",
    "model": "models/model.json",
    "previous night": "before/recommendations.parquet",
    "configuration": "config.yaml",
}


def replaced(path: Path, other: Path) -> None:
    """Another file moved to its place."""
    copy = path.with_name(f"{path.name}.new")
    shutil.copyfile(other, copy)
    copy.replace(path)


def written_over(path: Path, other: Path) -> None:
    """Another content in the same file, with the time stamp of before."""
    before = path.stat()
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def removed(path: Path, _other: Path) -> None:
    """No file any more."""
    path.unlink()


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "replaced": replaced,
    "written over": written_over,
    "removed": removed,
}


def prepare(folder: Path) -> None:
    """A night with all inputs; and another content for each of them."""
    import polars as pl

    night = make_night(folder, num_orders=400)
    os.chdir(folder)
    night.run()
    shutil.copytree(night.run_dir.resolve(), folder / "before")
    shutil.rmtree(night.runs)
    (folder / "models").mkdir()
    (folder / "models" / "model.json").write_text(json.dumps(MODEL))
    orders = night.read("orders")
    night.write("orders", orders.drop(pl.col("^.*_prob_.*$")))
    (folder / "deliveries.csv").write_text(
        "order_id,status,date\n" + f"x1,delivered,{DAY}\nx2,delivered,{DAY}\n"
    )
    inputs = night.settings()["inputs"] | {"deliveries": "deliveries.csv"}
    night.configure(inputs=inputs, model="models", capacity={"counted_on": "delivery"})
    (folder / "others").mkdir()
    for name, place in INPUTS.items():
        make_other(folder / place, folder / "others" / name)


def make_other(path: Path, other: Path) -> None:
    """Different content of the same kind and size, as far as there is one."""
    import polars as pl

    if path.suffix == ".parquet":
        table = pl.read_parquet(path)
        table.sample(fraction=1.0, shuffle=True, seed=1).write_parquet(other)
    elif path.suffix == ".csv":
        head, *rows = path.read_text().splitlines()
        other.write_text("\n".join([head, *reversed(rows)]) + "\n")
    elif path.suffix == ".json":
        other.write_text(json.dumps(MODEL, indent=2))
    else:
        other.write_text(path.read_text().replace("0.03", "0.02"))


def run(folder: Path, name: str, way: str, stage: str) -> int:
    """Run the date; change an input once, when a stage begins."""
    from optimizer.config import load_config
    from optimizer.errors import OptimizerError
    from optimizer.job import run_date

    os.chdir(folder)
    done: list[str] = []

    def tell(text: str) -> None:
        if text == stage and not done:
            done.append(text)
            WAYS[way](folder / INPUTS[name], folder / "others" / name)

    config = load_config(folder / "config.yaml")
    try:
        run_date(config, DAY, previous=folder / "before", progress=tell)
    except OptimizerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0 if done or not stage else 98


def verified(folder: Path) -> int:
    """0 where the night holds."""
    from optimizer.verify.night import verify_night

    os.chdir(folder)
    found = verify_night(Path("runs") / str(DAY))
    print(found.findings, file=sys.stderr)
    return 0 if found.is_valid else 4


def campaign(folder: Path, only: str = "") -> Tally:
    """Change every input in every way at every stage."""
    tally, start, work = Tally(), folder / "start", folder / "work"
    apart(lambda: prepare(start))
    log = folder / "log"

    def called(work_of: Callable[[], int]) -> tuple[int, str]:
        found = ended(begin(work_of, log), log, time.perf_counter())
        return found.code, found.text

    shutil.copytree(start, work)
    assert called(lambda: run(work, "orders", "replaced", ""))[0] == 0
    truth = SmallNight(work).run_dir.joinpath("decisions.parquet").read_bytes()
    for name in INPUTS:
        for way in WAYS:
            for stage in STAGES:
                if only not in f"{name} {way} {stage}":
                    continue
                shutil.rmtree(work)
                shutil.copytree(start, work)
                job = (work, name, way, stage)
                code, said = called(lambda job=job: run(*job))  # type: ignore[misc]
                faults = []
                run_dir = SmallNight(work).run_dir
                if code == 0:
                    if run_dir.joinpath("decisions.parquet").read_bytes() != truth:
                        faults.append("published another night")
                    if called(lambda: verified(work))[0] != 0:
                        faults.append("published a night that does not hold")
                elif code != 75:
                    faults.append(f"ended with {code}: {said[-300:]}")
                elif run_dir.exists():
                    faults.append("ended with 75 and published")
                told = [f"{name} {way} at {stage}: {fault}" for fault in faults]
                tally.add(f"{name} {way}", f"{code}", told)
    return tally


def main() -> int:
    """Change all of them, and print what became of the runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="words of input, way or stage")
    asked = parser.parse_args()
    load_everything()
    with tempfile.TemporaryDirectory() as name:
        return campaign(Path(name), asked.only).report()


if __name__ == "__main__":
    sys.exit(main())
