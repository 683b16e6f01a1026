"""Nights that set every honoured key, published by both engines, equal to the byte."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.config import as_config
from optimizer.job import run_date
from optimizer.spark.engine_keys import HONOURED_KEYS
from optimizer.telemetry.watch import watched
from tests.support.engine_nights import ENGINE_NIGHTS
from tests.support.spark_cluster import JVM
from tests.support.spark_nights import known
from tests.support.system_tools import needs

DAY = dt.date(2026, 11, 22)
ALONE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "768m",
    "spark.driver.extraJavaOptions": JVM,
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
}
#: Keys whose night is elsewhere: test_delta.py publishes as Delta tables.
ELSEWHERE = {"spark.table_format"}


def set_keys(values: Any, place: str = "") -> dict[str, Any]:
    """Keys of a configuration and their values; of lists, of each part."""
    if isinstance(values, list) and values and isinstance(values[0], dict):
        return {k: v for part in values for k, v in set_keys(part, place).items()}
    if not isinstance(values, dict) or place.rpartition(".")[2] in (
        *("columns", "values", "constants", "units"),
    ):
        return {place.removesuffix(".path"): values}
    found = {}
    for name, inner in values.items():
        found |= set_keys(inner, f"{place}.{name}".strip("."))
    return found


def test_every_honoured_key_is_set_in_a_night(tmp_path):
    """To another value than it has by default; so what it does is in the nights."""
    found: set[str] = set()
    for make in ENGINE_NIGHTS.values():
        folder = tmp_path / make.__name__
        folder.mkdir()
        found |= set_keys(make(folder)).keys()
    paths = {key.removesuffix(".path") for key in HONOURED_KEYS}
    assert paths - {*found, "engine"} == ELSEWHERE


def bytes_of(table):
    """
    A table's rows as bytes, but for margins, of which a cluster has the ends alone.

    As text, numbers with all their digits: what lies under a null is no part of it.
    """
    keys = [name for name in table.columns if name.endswith("_id")]
    rows = known(table).sort(keys, nulls_last=False)
    return rows.write_csv(null_value="\\N").encode()


def published(config, engine):
    """The record of a night that an engine publishes, and a reader of its tables."""
    output = f"{config['output']}-{engine}"
    made = as_config(config | {"engine": engine, "output": output})
    report = watched(made, DAY, lambda tell: run_date(made, DAY, progress=tell)).report
    folder = Path(report.run_dir)
    if engine == "spark":
        folder /= report.record["run_id"]

    def read(name):
        path = folder / f"{name}.parquet"
        return pl.read_parquet(path / "*.parquet" if path.is_dir() else path)

    return report.record, read


@pytest.fixture(scope="module")
def spark():
    """A session in one process: what is asked here needs no second machine."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("golden nights")
    for key, value in ALONE.items():
        builder = builder.config(key, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support")
        session = builder.getOrCreate()
    yield session
    session.stop()


@needs("java")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support")
@pytest.mark.parametrize("name", ENGINE_NIGHTS)
def test_both_engines_publish_the_same_bytes(spark, tmp_path, name):
    """Decisions, merchants, lanes, certificate, summary and refused rows."""
    config = ENGINE_NIGHTS[name](tmp_path)
    alone, read_alone = published(config, "local")
    there, read_there = published(config, "spark")
    assert there["certificate"] == alone["certificate"]
    assert there["summary"] == alone["summary"]
    for table in ("decisions", "recommendations", "merchants", "lanes"):
        ours, theirs = read_alone(table), read_there(table)
        assert theirs.columns == ours.columns
        assert bytes_of(theirs) == bytes_of(ours), table
    rows = ["source", "row", "column", "rule"]
    ours, theirs = read_alone("quarantine"), read_there("quarantine")
    assert theirs.select(rows).sort(rows).equals(ours.select(rows).sort(rows))
    metrics = Path(config["operations"]["metrics"])
    assert "premium_delivery_exit_code 0" in metrics.read_text()
