"""
What a night costs on Spark, pass by pass: ``python -m benchmarks.spark FOLDER ...``.

Each folder is a simulated night (orders.parquet, capacity.csv). Printed are the
seconds of each stage, the orders that the driver gathered, and for every pass over all
orders its seconds, wall and CPU, the bytes that a task gets and that all give back, and
the CPU seconds that its kernels alone take in one process on the same blocks.

Where it runs is said by ``--on``: ``local`` (Spark in one process), ``cluster`` (a
master and two workers of one core), ``connect`` (the same, by Spark Connect), ``sail``
(another engine of Spark Connect; ``make sail`` first, and .sail before all in
PYTHONPATH). A night is run as often as its folder is named; the first has all that a
session does once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from itertools import pairwise
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
    parser.add_argument("--on", choices=PLACES, default="local")
    parser.add_argument("--master", default="local[2]", help="of --on local")
    parser.add_argument("--memory", default="4g", help="of the driver")
    parser.add_argument("--executor-memory", default="4g")
    parser.add_argument("--rows-per-block", type=int, default=1_000_000)
    parser.add_argument("--kernels", action="store_true", help="time kernels alone")
    given = parser.parse_args()
    with ExitStack() as held:
        spark = held.enter_context(PLACES[given.on](given))
        for folder in given.folders:
            print(json.dumps(measure(spark, folder, given)), flush=True)


@contextmanager
def local(given):
    """Spark in this process and its JVM."""
    yield session(given, given.master)


@contextmanager
def cluster(given):
    """A master and two workers, each its own process."""
    with tempfile.TemporaryDirectory() as folder, workers(given, Path(folder)) as found:
        spark = session(given, found.url)
        yield spark
        spark.stop()


@contextmanager
def connect(given):
    """The same, by a server of Spark Connect."""
    from pyspark.sql import SparkSession

    from tests.support.processes import free_port, is_open, stop, wait_for

    port = free_port()
    with tempfile.TemporaryDirectory() as folder, workers(given, Path(folder)) as found:
        settings = settings_of(given) | {
            "spark.master": found.url,
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(port),
        }
        flat = [w for k, v in settings.items() for w in ("--conf", f"{k}={v}")]
        name = "org.apache.spark.sql.connect.service.SparkConnectServer"
        command = [found.spark("spark-submit"), *flat, "--class", name]
        # Spark counts the server among its daemons.
        memory = {"SPARK_DAEMON_MEMORY": given.memory}
        server = found.start("connect", [*command, "spark-internal"], **memory)
        try:
            wait_for(lambda: is_open(port), "Spark Connect")
            spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
            yield spark
            spark.stop()  # once the server is gone it is waited for
        finally:
            stop([server])


def workers(given, folder):
    """Two workers of one core."""
    from tests.support.spark_cluster import running_cluster

    return running_cluster(folder, memory=given.executor_memory, jvm="")


@contextmanager
def sail(_):
    """A server of Sail in this process."""
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    port = server.listening_address[1]
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()
        server.stop()


PLACES = {"local": local, "cluster": cluster, "connect": connect, "sail": sail}


def session(given, master):
    """Start Spark quietly."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master)
    for key, value in settings_of(given).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def settings_of(given):
    """What a session is started with."""
    return {
        "spark.driver.memory": given.memory,
        "spark.executor.memory": given.executor_memory,
        "spark.locality.wait": "0",
        "spark.network.timeout": "600s",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.maxResultSize": "4g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "8",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "250000",
    }


def measure(spark, folder, given):
    """Run a night on Spark; what each stage and each pass cost."""
    from optimizer import spark as distributed
    from optimizer.contracts.tables import ORDERS
    from optimizer.spark.files import open_files
    from optimizer.spark.passes import SparkBlocks

    seen, each = [], SparkBlocks.each
    SparkBlocks.each = lambda blocks, work: watched_pass(
        blocks, work, run=each, seen=seen, given=given
    )
    started, stages_cpu = time.perf_counter(), []

    def tell(line):
        stages_cpu.append((line, cpu_seconds()))
        print(line, file=sys.stderr)

    night = distributed.allocate(
        open_files(spark, str((folder / "orders.parquet").absolute()), ORDERS),
        str(folder / "capacity.csv"),
        CONFIG,
        rows_per_block=given.rows_per_block,
        progress=tell,
    )
    tell("decisions")
    solved = time.perf_counter() - started
    night.decisions.write.format("noop").mode("overwrite").save()
    written = time.perf_counter() - started - solved
    tell("end")
    named = [n for n in stages_cpu if n[0] in (*night.seconds, "decisions", "end")]
    cpu = {a[0]: round(b[1] - a[1], 1) for a, b in pairwise(named)}
    SparkBlocks.each = each
    peaks = spark.range(4, numPartitions=4).mapInArrow(peak_of_worker, "peak double")
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
        "cpu_seconds": cpu,
        "peak_mb_of_a_worker": round(max(peaks.toArrow()["peak"].to_pylist())),
        "decisions_seconds": round(written, 2),
        "each_pass": seen,
    }
    night.release()
    return found


def cpu_seconds():
    """CPU seconds of this process and of all that it started: load does not matter."""
    parent, spent = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parent[int(entry.name)] = int(fields[1])
            spent[int(entry.name)] = sum(map(int, fields[11:15]))
    mine = {os.getpid()}
    for _ in range(8):
        mine |= {pid for pid, above in parent.items() if above in mine}
    return sum(spent[pid] for pid in mine if pid in spent) / os.sysconf("SC_CLK_TCK")


def peak_of_worker(batches):
    """Peak resident memory of the Python process that runs this, MB."""
    import resource

    import pyarrow as pa

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    for batch in batches:
        yield pa.RecordBatch.from_pydict({"peak": [peak] * batch.num_rows})


def watched_pass(blocks, task, run, seen, given):
    """Run a pass, and note what it cost."""
    from optimizer.spark.own_parts import split
    from optimizer.spark.passes import PASS_CELLS, open_block

    started, before = time.perf_counter(), cpu_seconds()
    found = run(blocks, task)
    seconds, cpu = time.perf_counter() - started, cpu_seconds() - before
    shared, own = split((task, blocks.terms))
    back = sum(array.nbytes for part in found.values() for array in part.values())
    noted = {
        "task": getattr(task, "func", type(task)).__name__,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 2),
        "num_blocks": len(own),
        "bytes_to_a_task": len(shared) + max(map(len, own.values())),
        "bytes_to_all": len(own) * len(shared) + sum(map(len, own.values())),
        "bytes_back": back,
    }
    if given.kernels:
        noted["kernel_seconds"] = 0.0
        for row in blocks.rows.select(*PASS_CELLS).toLocalIterator():
            problem = open_block(row["block"], bytes(row["numbers"]), blocks.terms)
            task(row["block"], problem)  # compiled
            started = time.process_time()
            task(row["block"], problem)
            noted["kernel_seconds"] += time.process_time() - started
        noted["kernel_seconds"] = round(noted["kernel_seconds"], 4)
    seen.append(noted)
    return found


if __name__ == "__main__":
    main()
