"""
A night after a change of 1 %: repaired in memory, and as a run, against the cold run.

``python -m benchmarks.repair --orders 1m`` simulates a night, runs it, and changes the
slots of 1 % of its lanes, or 1 % of its orders. All in one process, kernels compiled
before; medians of the rounds, with the churn, and the gap of the certificate: 0 proves
the optimum of the changed night.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

import optimizer
from benchmarks.instances import parse_size
from optimizer.config import as_config
from optimizer.job import run_date
from optimizer.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = dt.date(2026, 11, 22)
#: One in so many lanes, or orders, changes.
SHARE = 100
CARRIERS = ["zhongtong", "yuantong", "yunda", "shentong", "jitu", "shunfeng"]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", default="1m", help="such as 100k or 1m")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="repair-") as scratch:
        measure(Path(scratch), parse_size(asked.orders), asked.rounds)


def measure(folder: Path, num_orders: int, rounds: int) -> None:
    """Simulate, run, change, and print each."""
    config = make_inputs(folder, num_orders)
    small = make_inputs(folder / "warm", 40_000)
    for each, place in ((small, folder / "warm"), (config, folder)):
        paths = inputs_of(place)
        if each is small:
            night = optimizer.allocate(**paths, config=each, date=DAY)
            night.change(**changes(paths, 0)["mixed"])
            run_date(as_config(each), DAY)
    paths = inputs_of(folder)
    cold_run = seconds_of(lambda: run_date(as_config(config), DAY))
    cold = statistics.median(
        seconds_of(lambda: optimizer.allocate(**paths, config=config, date=DAY))
        for _ in range(3)
    )
    night = optimizer.allocate(**paths, config=config, date=DAY)
    print(f"cold run {cold_run:.2f} s, cold allocate {cold:.2f} s (median of 3)")
    print("| change | seconds | fastest, slowest | of the cold run | changed | gap |")
    print("|---|---:|---:|---:|---:|---:|")
    for kind in changes(paths, 0):
        taken, later = [], night
        for number in range(rounds):
            given = changes(paths, number)[kind]
            start = time.perf_counter()
            later = night.change(**given)
            churn = later.churn
            taken.append(time.perf_counter() - start)
        middle = statistics.median(taken)
        gap = later.certificate.gap
        print(
            f"| {kind} | {middle:.3f} | {min(taken):.3f}, {max(taken):.3f} "
            f"| 1/{cold_run / middle:.0f} | {len(churn)} | {gap} |"
        )
    as_run(folder, config, paths)


def as_run(folder: Path, config: dict[str, Any], paths: dict[str, Any]) -> None:
    """Repair the published night by a run, and say where its time goes."""
    files = {}
    for name, table in changes(paths, 1)["mixed"].items():
        is_ids = name in ("drop", "cancel")
        frame = pl.DataFrame({"order_id": table}) if is_ids else table
        files[name] = folder / f"changed-{name}.parquet"
        frame.write_parquet(files[name])
    start = time.perf_counter()
    found = run_date(as_config(config), DAY, changes=files)
    whole = time.perf_counter() - start
    stages = found.record["run_measurements"]["seconds"]
    told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in stages.items())
    rest = whole - sum(stages.values())
    print(
        f"run --only-changes {whole:.2f} s: {told}; changed tables, writing {rest:.2f}"
    )


def make_inputs(folder: Path, num_orders: int) -> dict[str, Any]:
    """Simulate a night, and configure it."""
    folder.mkdir(exist_ok=True)
    simulate(
        folder,
        num_orders=num_orders,
        num_merchants=num_orders // 200,
        num_days=1,
        seed=7,
    )
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": CARRIERS,
    }
    return {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "inputs": {name: str(path) for name, path in inputs_of(folder).items()},
        "output": str(folder / "runs"),
    }


def inputs_of(folder: Path) -> dict[str, Path]:
    """Paths of a simulated night's tables."""
    there = folder / "nights" / DAY.isoformat()
    suffixes = {"orders": "parquet", "capacity": "csv", "merchants": "parquet"}
    return {name: there / f"{name}.{suffix}" for name, suffix in suffixes.items()}


def changes(paths: dict[str, Path], seed: int) -> dict[str, dict[str, Any]]:
    """Changes of 1 %, by kind."""
    draw = np.random.default_rng(seed)
    text = dict.fromkeys(("carrier_id", "region_id", "outlet_id"), pl.String)
    rows = pl.read_csv(paths["capacity"], schema_overrides=text)
    rows = rows.sample(max(1, len(rows) // SHARE), seed=seed)
    slots = draw.integers(0, 2 * rows["slots"].to_numpy() + 2)
    rows = rows.with_columns(slots=pl.Series(slots))
    orders = pl.read_parquet(paths["orders"])
    some = orders.sample(len(orders) // SHARE, seed=seed)
    third = len(some) // 3
    ids = some["order_id"]
    new = some.with_columns(order_id=pl.lit("new-") + pl.col("order_id"))
    return {
        "slots of 1 % of the lanes": {"capacity": rows},
        "1 % of the orders cancelled": {"cancel": ids},
        "1 % of the orders dropped": {"drop": ids},
        "1 % of the orders added": {"add": new},
        "mixed": {
            "capacity": rows,
            "cancel": ids[:third],
            "drop": ids[third : 2 * third],
            "add": new[2 * third :],
        },
    }


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall seconds of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
