"""Nights that set every honoured key, published by both engines, equal to the byte."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

import optimizer
from optimizer.config import as_config
from optimizer.contracts.run_folder import AUDIT, RECORD, REPORT, read_record
from optimizer.contracts.tables import NIGHTS
from optimizer.desk.access import Access
from optimizer.desk.app import make_app
from optimizer.desk.rates import Rates
from optimizer.evidence.order_evidence import find_evidence
from optimizer.job import run_date
from optimizer.night.prune import prune
from optimizer.solvers.network.blocks import ByBlock
from optimizer.spark import own_parts, run
from optimizer.spark.engine_keys import (
    DRIVER_KEYS,
    HONOURED_KEYS,
    IRRELEVANT_KEYS,
    REFUSED_KEYS,
    config_keys,
)
from optimizer.spark.own_parts import ask_blocks
from optimizer.telemetry.watch import watched
from optimizer.verify.night import verify_night
from tests.support.driver_nights import DRIVER_NIGHTS, loads_in_the_data
from tests.support.engine_nights import ENGINE_NIGHTS as FIRST_NIGHTS
from tests.support.engine_nights import after_others
from tests.support.engine_nights_more import (
    MORE_NIGHTS,
    keeping_ties,
    slots_taken_before,
)
from tests.support.spark_cluster import spark_alone
from tests.support.system_tools import needs

DAY = dt.date(2026, 11, 22)
ENGINE_NIGHTS = FIRST_NIGHTS | MORE_NIGHTS
#: Nights whose blocks get their own parts as tables, as large nights' do.
AS_TABLES = {"exploring", "with coins"}
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


def further_keys():
    """Keys that the driver honours, or near nights."""
    entries = [one for one in (*REFUSED_KEYS, *IRRELEVANT_KEYS) if one.is_near]
    entries += DRIVER_KEYS
    around = tuple(f"{entry.name}." for entry in entries)
    return {key for key in config_keys() if f"{key}.".startswith(around)}


def test_every_honoured_key_is_set_in_a_night(tmp_path):
    """To another value than it has by default; so what it does is in the nights."""
    found: set[str] = set()
    others = after_others, slots_taken_before, keeping_ties
    for make in (*ENGINE_NIGHTS.values(), *DRIVER_NIGHTS.values(), *others):
        folder = tmp_path / make.__name__
        folder.mkdir()
        found |= set_keys(make(folder)).keys()
    asked = {*HONOURED_KEYS, *further_keys()}
    paths = {key.removesuffix(".path") for key in asked}
    assert {path for path in paths - {*found, "engine"} if not is_in(path, found)} == (
        ELSEWHERE
    )


def is_in(key, found):
    """Whether a night sets a section of keys as a whole."""
    parts = key.split(".")
    return any(".".join(parts[:num]) in found for num in range(1, len(parts)))


def published(config, engine, day=DAY, previous=None):
    """The folder of a night that an engine publishes, and its record."""
    output = f"{config['output']}-{engine}"
    own = json.loads(json.dumps(config).replace("ENGINE", engine))
    made = as_config(own | {"engine": engine, "output": output})
    report = watched(
        made, day, lambda tell: run_date(made, day, progress=tell, previous=previous)
    ).report
    assert report.outcome == "published"
    return Path(report.run_dir), read_record(report.run_dir)


def assert_equal_nights(alone, there):
    """
    Every table and every leaf of evidence, byte for byte; the record, but for what is
    measured, who made it (by whose identity earlier nights of the week are named), and
    digests of the files that tell these.
    """
    (ours, record), (theirs, other) = alone, there
    names = [path.name for path in ours.iterdir()]
    assert sorted(names) == sorted(path.name for path in theirs.iterdir())
    own = {RECORD, REPORT, AUDIT, NIGHTS.file}
    for name in {*names} - own:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    weeks = [pl.read_parquet(run / NIGHTS.file) for run in (ours, theirs)]
    assert weeks[0].drop("run_id").equals(weeks[1].drop("run_id"))
    made_by = {"config", "identity", "outputs", "run_measurements", "versions"}
    for key in {*record, *other} - made_by:
        assert record[key] == other[key], key
    for key in {*record["outputs"]} - own:
        assert record["outputs"][key] == other["outputs"][key]


def assert_equal_outboxes(config):
    """What platforms get of a night, byte for byte, with what they do not take."""
    for box in config.get("outbox", ()):
        sent = Path(box["to"].format(date=DAY))
        files = [sent, sent.with_name(f"{sent.stem}.refused{sent.suffix}")]
        for file in files:
            local, spark = (
                file.with_name(file.name.replace("ENGINE", engine)).read_bytes()
                for engine in ("local", "spark")
            )
            assert local == spark, file


@pytest.fixture(scope="module")
def spark():
    """A session in one process."""
    with spark_alone("golden nights") as session:
        yield session


@needs("java")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support")
@pytest.mark.parametrize("name", ENGINE_NIGHTS)
def test_both_engines_publish_the_same_bytes(spark, tmp_path, name, monkeypatch):
    """And the cluster's night is verified, explained and proved as one machine's."""
    if name in AS_TABLES:
        monkeypatch.setattr(own_parts, "LITERAL_BYTES", 0)
    config = ENGINE_NIGHTS[name](tmp_path)
    alone, there = published(config, "local"), published(config, "spark")
    assert_equal_nights(alone, there)
    assert_equal_outboxes(config)
    assert verify_night(there[0]).findings == ()
    chosen = pl.read_parquet(there[0] / "recommendations.parquet")["order_id"][0]
    own = as_config(config | {"output": f"{config['output']}-spark"})
    assert find_evidence(own, chosen)["findings"] == []
    metrics = Path(config["operations"]["metrics"])
    assert "premium_delivery_exit_code 0" in metrics.read_text()


@needs("java")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support")
def test_what_is_large_stands_in_no_text_of_a_plan(spark):
    """Each block gets its own part of two megabytes, or none, and the plan is short."""

    def summed(cells, given):
        of_block = given.get(cells["block"], np.zeros(1, np.int64))
        found = {"block": [cells["block"]], "total": [int(of_block.sum())]}
        yield pa.RecordBatch.from_pydict(found)

    rows = spark.createDataFrame([(0,), (1,), (2,)], "block int")
    numbers = np.random.default_rng(7).integers(1 << 40, size=(3, 250_000))
    given = ByBlock({n: numbers[n] for n in (0, 2)})  # that no packing makes smaller
    asked = ask_blocks(rows, ["block"], summed, given, "block bigint, total bigint")
    assert {row["block"]: row["total"] for row in asked.collect()} == {
        n: int(given[n].sum()) if n in given else 0 for n in range(3)
    }
    assert len(asked._jdf.queryExecution().toString()) < 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", DRIVER_NIGHTS)
def test_the_driver_decides_alone_what_executors_do_not(tmp_path, monkeypatch, name):
    """By the configuration that is known before any session is started."""
    monkeypatch.setattr(run, "start_session", None)
    config = DRIVER_NIGHTS[name](tmp_path)
    alone, there = published(config, "local"), published(config, "spark")
    assert_equal_nights(alone, there)
    assert "num_passes" not in there[1]["run_measurements"]
    assert verify_night(there[0]).findings == ()


@needs("java")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support")
def test_the_driver_decides_alone_what_executors_find(spark, tmp_path):
    """Loads in the data; what is found is told, and the night is one machine's."""
    config = loads_in_the_data(tmp_path)
    alone, there = published(config, "local"), published(config, "spark")
    assert_equal_nights(alone, there)
    assert there[1]["problem_class"] == "packing"
    assert verify_night(there[0]).findings == ()


@needs("java")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support")
def test_nights_that_count_on_others_are_the_same_on_both_engines(spark, tmp_path):
    """
    The second night spends what the first left in the cap bank, by the state. The desk,
    a comparison and ``prune`` take a cluster's nights as one machine's.
    """
    config = after_others(tmp_path)
    for day in (DAY - dt.timedelta(days=1), DAY):
        alone, there = published(config, "local", day), published(config, "spark", day)
        assert_equal_nights(alone, there)
    (told,) = (w for w in there[1]["warnings"] if w["code"] == "ALLOWED_IN_NO_TABLE")
    assert "remark" in told["text"]
    assert "status" not in told["text"]  # deliveries have it
    bank = pl.read_parquet(there[0] / "bank.parquet")
    assert bank["carried_in_nano"].sum() > 0
    assert verify_night(there[0]).findings == ()
    copies = [tmp_path / f"lanes-{engine}-{DAY}.csv" for engine in ("local", "spark")]
    assert copies[0].read_bytes() == copies[1].read_bytes()
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in there[0].iterdir())
    assert_read_as_one_machines(config)


def assert_read_as_one_machines(config):
    """Pages of the two nights, what differs between them, and what is kept no more."""
    answers = []
    night = f"/nights/{DAY}"
    addresses = "/nights", "/health", night, f"{night}/merchants", f"{night}/orders"
    for engine in ("local", "spark"):
        own = as_config(
            json.loads(json.dumps(config).replace("ENGINE", engine))
            | {"output": f"{config['output']}-{engine}"}
        )
        nights = [Path(own.output) / f"{DAY - dt.timedelta(ago)}" for ago in (1, 0)]
        client = TestClient(make_app(own, Access(), Rates(1e6)), "http://127.0.0.1")
        asked = [client.get(address) for address in addresses]
        assert {answer.status_code for answer in asked} == {200}
        orders = [re.sub(r"\s+", " ", answer.text) for answer in asked[-2:]]
        changes = optimizer.diff(*nights)
        pruned = sorted((left.path.name, left.why) for left in prune(own))
        assert pruned
        answers.append((orders, changes.orders.rows(), pruned))
    assert answers[0] == answers[1]


@needs("java")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support")
def test_slots_that_other_nights_took_are_gone_on_both_engines(spark, tmp_path):
    """
    By the days on which their parcels are delivered; told in a table. One machine took
    them; what a cluster took is gone in test_far_nights.py.
    """
    config = slots_taken_before(tmp_path)
    eve = DAY - dt.timedelta(days=1)
    for place in ("local", "spark"):
        own = json.loads(json.dumps(config).replace("ENGINE", place))
        output = f"{config['output']}-{place}"
        assert run_date(as_config(own | {"output": output}), eve).outcome == "published"
    alone, there = published(config, "local"), published(config, "spark")
    assert_equal_nights(alone, there)
    taken = pl.read_parquet(there[0] / "in_flight.parquet")
    assert taken["service_date"].n_unique() > 1
    assert there[1]["summary"]["num_in_flight"] > 0
    assert verify_night(there[0]).findings == ()


def assert_ties_are_decided(config, folder):
    """By the plan that keeps most of an earlier night, another than without it."""
    capacity = pl.read_csv(config["inputs"]["capacity"])
    halved = capacity.with_columns(slots=pl.col("slots") // 2)
    halved.write_csv(folder / "halved.csv")
    inputs = config["inputs"] | {"capacity": str(folder / "halved.csv")}
    other = config | {"inputs": inputs, "output": f"{folder}/before"}
    before, _ = published(other, "local", DAY - dt.timedelta(1))
    alone = published(config, "local", DAY, before)
    there = published(config, "spark", DAY, before)
    assert_equal_nights(alone, there)
    other, _ = published(config | {"output": f"{folder}/free"}, "local")
    plans = [
        pl.read_parquet(run / "recommendations.parquet") for run in (there[0], other)
    ]
    assert not plans[0].equals(plans[1])


@needs("java")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support")
def test_ties_are_decided_for_an_earlier_night_on_both_engines(spark, tmp_path):
    """Executors keep as much of it as one machine does."""
    assert_ties_are_decided(keeping_ties(tmp_path), tmp_path)


@pytest.mark.slow
def test_ties_are_decided_for_an_earlier_night_by_the_driver_alone(
    tmp_path, monkeypatch
):
    """By a method that executors do not have: the driver has the earlier night, too."""
    monkeypatch.setattr(run, "start_session", None)
    config = keeping_ties(tmp_path)
    config["solver"] |= {"method": "flow"}
    assert_ties_are_decided(config, tmp_path)
