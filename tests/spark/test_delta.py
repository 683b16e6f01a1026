"""Delta Lake in and out, on an engine of Spark Connect that has it without jars."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake

import optimizer
from optimizer.testing import random_tables
from tests.support.spark_cluster import REPOSITORY
from tests.support.spark_nights import an_order, known
from tests.support.system_tools import needs

pytestmark = [pytest.mark.slow, needs("sail")]
SAIL = REPOSITORY / ".sail"

PROGRAM = """
import datetime as dt, json, os, sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer(ip="127.0.0.1", port=0)
server.start(background=True)
os.environ["SPARK_REMOTE"] = "sc://127.0.0.1:%d" % server.listening_address[1]
from optimizer.config import as_config
from optimizer.spark import explain_published
from optimizer.spark.run import start_session
from optimizer.job import run_date
given = json.loads(sys.argv[1])
config, day = as_config(given["config"]), dt.date(2026, 11, 22)
runs = [run_date(config, day) for _ in range(2)]
why = explain_published(start_session(), str(runs[0].run_dir), given["order_id"])
found = {"outcomes": [run.outcome for run in runs], "why": why["sentence"]}
found |= {name: runs[0].record[name] for name in ("run_id", "versions")}
print(json.dumps(found))
"""


@pytest.mark.parametrize("load", [1, 2], ids=["executors", "the driver alone"])
def test_a_night_goes_from_delta_tables_to_delta_tables(tmp_path, load):
    """
    Orders as a Delta table in, all tables of the night out, as on one machine; also
    where some orders take two slots, which executors find and do not solve.
    """
    tables = random_tables(5, num_orders=300)
    heavy = pl.when(pl.int_range(pl.len()) % 11 == 0).then(load).otherwise(1)
    tables = replace(tables, orders=tables.orders.with_columns(load=heavy))
    alone = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
    write_deltalake(tmp_path / "orders", tables.orders.to_arrow())
    tables.capacity.write_csv(tmp_path / "capacity.csv")
    config = tables.config | {
        "engine": "spark",
        "spark": {"table_format": "delta", "rows_per_block": 80},
        "inputs": {
            "orders": str(tmp_path / "orders"),
            "capacity": str(tmp_path / "capacity.csv"),
        },
        "output": str(tmp_path / "runs"),
    }
    order_id = an_order(alone)
    given = json.dumps({"config": config, "order_id": order_id})
    path = os.pathsep.join((str(SAIL), str(REPOSITORY)))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), given],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["outcomes"] == ["published", "unchanged"]
    pins = (REPOSITORY / "requirements/sail.txt").read_text()
    (engine,) = re.findall(r"pysail==(.+)", pins)
    assert found["versions"]["delta"] == f"sail-delta-lake:{engine}"
    assert f"{order_id}: {found['why']}" == alone.explain(order_id)
    run = tmp_path / "runs" / "2026-11-22" / found["run_id"]
    for name, expected in {
        "decisions": alone.decisions,
        "merchants": alone.merchants,
        "lanes": alone.lanes,
        "recommendations": alone.recommendations,
    }.items():
        table = DeltaTable(run / f"{name}.delta").to_pyarrow_dataset().to_table()
        written = pl.DataFrame(pl.from_arrow(table))
        key = [c for c in expected.columns if c.endswith("_id")]
        same = known(expected.select(written.columns)).sort(key)
        assert known(written).sort(key).equals(same), name
