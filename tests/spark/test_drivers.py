"""Other drivers: Spark Connect, and spark-submit that dies and starts again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys

import polars as pl
import pytest
import yaml

from optimizer.spark.lease import CLAIMS
from optimizer.testing import random_tables
from tests.support.processes import free_port, is_open, stop, wait_for
from tests.support.spark_cluster import REPOSITORY
from tests.support.spark_nights import Family, known

pytestmark = pytest.mark.slow

#: What Java says of a fault, be it told or not.
STACK = r".*(?:Exception|Traceback|PATH_NOT_FOUND|\n\tat ).*"
CLIENT = """
import datetime as dt, json, os, sys
from pyspark.sql import SparkSession
from optimizer.config import as_config
from optimizer.job import run_date
from optimizer.spark.shuffle import tasks_at_once
from tests.support.spark_nights import FAMILIES, allocate_on, assert_same
spark = SparkSession.builder.remote("sc://127.0.0.1:{port}").getOrCreate()
for name in ("explored", "coins"):
    family = FAMILIES[name]()
    assert_same(allocate_on(spark, family, rows_per_block=100), family.alone())
assert tasks_at_once(spark) == 2
os.environ["SPARK_REMOTE"] = "sc://127.0.0.1:{port}"
config = as_config(json.loads(sys.argv[1]))
outcomes = [run_date(config, dt.date(2026, 11, 22)).outcome for _ in range(2)]
print("the same night through", type(spark).__module__, *outcomes)
"""


def far_night(folder):
    """A night whose orders, as a glob, and output are addresses."""
    tables = random_tables(5, num_orders=300)
    tables.orders.write_parquet(folder / "orders.parquet")
    tables.capacity.write_csv(folder / "capacity.csv")
    inputs = {
        "orders": f"file://{folder}/ord*.parquet",
        "capacity": f"file://{folder}/capacity.csv",
    }
    config = tables.config | {"engine": "spark", "inputs": inputs}
    return tables, config | {"output": f"file://{folder}/runs"}


def submitted(cluster, *arguments):
    """A spark-submit command on the cluster; each executor is a JVM."""
    settings = cluster.settings(1) | {"spark.master": cluster.url}
    pairs = [("--conf", f"{key}={value}") for key, value in settings.items()]
    flat = [word for pair in pairs for word in pair]
    return [cluster.spark("spark-submit"), *flat, *arguments]


def finished(cluster, name, command):
    """What a process says that ends well."""
    process = cluster.start(name, command)
    try:
        process.wait(300)
    finally:
        stop([process])
    assert process.returncode == 0, cluster.log(name)
    return cluster.log(name)


def test_spark_connect_gives_the_integers_of_one_machine(cluster, tmp_path):
    """
    Only the DataFrame API is used, so a client without a JVM runs it all; choices and
    arms that are left to chance, too; and a night between addresses. Nothing in either
    log looks like a fault.
    """
    port = free_port()
    server = cluster.start(
        "connect",
        submitted(
            cluster,
            "--class",
            "org.apache.spark.sql.connect.service.SparkConnectServer",
            "--conf",
            "spark.connect.grpc.binding.address=127.0.0.1",
            "--conf",
            f"spark.connect.grpc.binding.port={port}",
            "spark-internal",
        ),
        SPARK_DAEMON_MEMORY="768m",  # Spark counts it among its daemons
    )
    try:
        wait_for(lambda: is_open(port), "Spark Connect")
        program = CLIENT.format(port=port)
        far = json.dumps(far_night(tmp_path)[1])
        command = [sys.executable, "-W", "ignore", "-c", program, far]
        client = cluster.start("client", command)
        client.wait(300)
        said = cluster.log("client")
        assert client.returncode == 0, said
        assert "the same night through pyspark.sql.connect" in said
        assert "published unchanged" in said
        assert not re.findall(STACK, said + cluster.log("connect"))
    finally:
        stop([server])


def test_a_driver_that_dies_publishes_nothing_and_starts_again(cluster, tmp_path):
    """
    ``spark-submit`` killed in the middle leaves no night, and a claim that the
    next run is told to remove; then its night is whole, and its log tells of no fault.
    """
    tables, config = far_night(tmp_path)
    path = tmp_path / "night.yaml"
    path.write_text(yaml.safe_dump(config))
    program = str(REPOSITORY / "optimizer" / "__main__.py")
    run = ["run", "--config", str(path), "--date", "2026-11-22", "--json"]
    record = tmp_path / "runs" / "2026-11-22" / "run.json"

    first = cluster.start("first", submitted(cluster, program, *run))
    try:
        begun = tmp_path.glob
        wait_for(lambda: list(begun("runs/*/*/decisions.parquet")), "decisions")
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(30)
    assert not list(record.glob("*.txt")), "the first driver was done before it died"

    shutil.rmtree(record.parent / CLAIMS)
    said = finished(cluster, "second", submitted(cluster, program, *run))
    assert not re.findall(STACK, said)
    found = json.loads(next(record.glob("*.txt")).read_text())
    alone = Family(tables).alone()
    assert found["certificate"]["primal_bound"] == alone.certificate.primal_bound
    written = pl.read_parquet(
        record.parent / found["run_id"] / "decisions.parquet" / "*.parquet"
    )
    expected = alone.decisions.select(written.columns)
    assert known(written).sort("order_id").equals(known(expected))
