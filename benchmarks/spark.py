"""
What a night costs on Spark, pass by pass: ``python -m benchmarks.spark FOLDER ...``.

Each folder is a simulated night (orders.parquet, capacity.csv). Printed are the seconds
of each stage, the orders that the driver gathered, and for every pass over all orders
its wall seconds, the bytes of its task and of its results, and the seconds that its
kernels alone take in one process on the same blocks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path

CONFIG = {
    "version": 1,
    "policy": [
        {
            "valid_from": "2022-01-12",
            "cap": {"rate": 0.03},
            "fee": {"amount_cny": 0.80},
            "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
        }
    ],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
    "solver": {"time_limit_seconds": 7200},
}


def main():
    """Run the nights that the command line names, one JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--memory", default="4g")
    parser.add_argument("--rows-per-block", type=int, default=1_000_000)
    parser.add_argument("--kernels", action="store_true", help="time kernels alone")
    given = parser.parse_args()
    spark = session(given.master, given.memory)
    for folder in given.folders:
        print(json.dumps(measure(spark, folder, given)), flush=True)


def session(master, memory):
    """Start Spark quietly."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.maxResultSize": "4g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "250000",
    }
    builder = SparkSession.builder.master(master)
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def measure(spark, folder, given):
    """Run a night on Spark; what each stage and each pass cost."""
    from optimizer import distributed
    from optimizer.distributed import near, passes
    from optimizer.distributed import spark as stages

    seen = []
    watched = partial(watched_pass, run=passes.run_pass, seen=seen, given=given)
    near.run_pass = stages.run_pass = watched
    started = time.perf_counter()
    night = distributed.allocate(
        spark.read.parquet(str(folder / "orders.parquet")),
        str(folder / "capacity.csv"),
        CONFIG,
        rows_per_block=given.rows_per_block,
        progress=lambda line: print(line, file=sys.stderr),
    )
    solved = time.perf_counter() - started
    night.decisions.write.format("noop").mode("overwrite").save()
    written = time.perf_counter() - started - solved
    near.run_pass = stages.run_pass = passes.run_pass
    numbers = night.summary
    found = {
        "folder": folder.name,
        "orders": numbers["num_orders"],
        "merchants": numbers["num_merchants"],
        "chosen": numbers["num_chosen"],
        "gap": night.certificate.gap,
        "primal_bound": night.certificate.primal_bound,
        "near": night.num_near,
        "passes": night.num_passes,
        "seconds": {k: round(v, 2) for k, v in night.seconds.items()},
        "decisions_seconds": round(written, 2),
        "each_pass": seen,
    }
    night.release()
    return found


def watched_pass(blocks, task, terms, run, seen, given):
    """Run a pass, and note what it cost."""
    import cloudpickle

    from optimizer.distributed.passes import PASS_CELLS, open_block

    started = time.perf_counter()
    found = run(blocks, task, terms)
    seconds = time.perf_counter() - started
    back = sum(array.nbytes for part in found.values() for array in part.values())
    noted = {
        "task": task.func.__name__,
        "seconds": round(seconds, 3),
        "bytes_out": len(cloudpickle.dumps((task, terms))),
        "bytes_back": back,
    }
    if given.kernels:
        noted["kernel_seconds"] = 0.0
        for row in blocks.select(*PASS_CELLS).toLocalIterator():
            problem = open_block(row["block"], bytes(row["numbers"]), terms)
            task(row["block"], problem)  # compiled
            started = time.perf_counter()
            task(row["block"], problem)
            noted["kernel_seconds"] += round(time.perf_counter() - started, 4)
    seen.append(noted)
    return found


if __name__ == "__main__":
    main()
