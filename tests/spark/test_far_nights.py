"""Nights between addresses: what others left, evidence and report as on one machine."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import polars as pl
import pytest

from optimizer.config import as_config
from optimizer.contracts.run_folder import LEAVES, REPORT, read_record
from optimizer.contracts.tables import DECISIONS, NIGHTS, PUBLISHED
from optimizer.errors import BusyError, ConfigError
from optimizer.job import run_date
from optimizer.night.state.chain import broken_links
from optimizer.night.state.database import open_state
from optimizer.night.state.links import read_chain
from optimizer.spark.lease import CLAIMS, date_lease
from tests.support.engine_nights import after_others
from tests.support.engine_nights_more import slots_taken_before
from tests.support.spark_cluster import spark_alone
from tests.support.system_tools import needs

DAY = dt.date(2026, 11, 22)
EVE = DAY - dt.timedelta(days=1)
pytestmark = [
    needs("java"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support"),
]


@pytest.fixture(scope="module")
def spark():
    """A session in one process."""
    with spark_alone("far nights") as session:
        yield session


def banked(folder):
    """A night that counts on others, by what far nights honour."""
    config = after_others(folder)
    for name in ("wait_minutes", "when_capacity_is_late"):
        del config["inputs"][name]
    for name in ("splitting", "input_change", "dead_lane_nights"):
        del config["operations"]["alerts"][name]
    del config["files"], config["outputs"]
    return config


def configured(config, engine):
    """A night's configuration: of a cluster, with addresses alone."""
    own = json.loads(json.dumps(config).replace("ENGINE", engine))
    output = f"{own['output']}-{engine}"
    if engine == "spark":
        paths = {name: f"file://{path}" for name, path in own["inputs"].items()}
        own["inputs"], output = paths, f"file://{output}"
    return as_config(own | {"engine": engine, "output": output})


def far_text(folder, name):
    """A text that executors wrote, as the one file in its folder."""
    (file,) = (folder / name).glob("*.txt")
    return file.read_text()


def far_table(folder, table):
    """A table that executors wrote; empty where there is none."""
    place = folder / f"{table.name}.parquet"
    if not place.exists():
        return pl.DataFrame(schema=table.schema)
    found = pl.read_parquet(place / "*.parquet")
    return found.select(pl.col(n).cast(t) for n, t in table.schema.items())


def said(page):
    """A report without what names who made it."""
    made_by = r"[0-9a-f]{12,64}|file://|-(?:local|spark)\b"
    return re.sub(
        rf"{made_by}|(?:, |、)<bdi>pyspark</bdi> <bdi>[0-9.]+</bdi>", "", page
    )


def assert_as_near(near, far):
    """Tables, evidence and report of a far night are those of one machine."""
    folder = Path(far.run_dir.removeprefix("file://")) / far.record["run_id"]
    record = read_record(near.run_dir)
    for file, table in PUBLISHED.items():
        if file.startswith(("merchant_index", "order_index")):
            continue  # of one file of decisions
        path = near.run_dir / file
        ours = pl.read_parquet(path) if path.exists() else far_table(path, table)
        theirs = far_table(folder, table)
        keys = [c for c in ours.columns if c != "run_id"]
        if table in (DECISIONS, NIGHTS):
            assert ours.select(keys).equals(theirs.select(keys)), file
        same = [frame.select(keys).sort(pl.all()) for frame in (ours, theirs)]
        assert same[0].equals(same[1]), file
    assert far_text(folder, LEAVES) == (near.run_dir / LEAVES).read_text()
    made_by = {"config", "identity", "outputs", "run_measurements", "versions"}
    made_by |= {"origins", "inputs"}
    told = json.loads(far_text(folder.parent, "run.json"))
    assert told == json.loads(json.dumps(far.record))
    for key in {*record} - made_by:
        assert record[key] == told[key], key
    for name, table in told["outputs"].items():
        rows = record["outputs"][name].get("num_rows")
        assert table.get("num_rows") == rows, name
    page = far_text(folder, REPORT)
    assert said(page) == said((near.run_dir / REPORT).read_text())


@pytest.mark.parametrize("make", [banked, slots_taken_before])
def test_far_nights_that_count_on_others_are_those_of_one_machine(
    spark, tmp_path, make
):
    """
    Also where the run of the first died before the state had it: rows, leaves, record
    and report of the second are equal, and the chain has a link of each.
    """
    config = make(tmp_path)
    near, far = configured(config, "local"), configured(config, "spark")
    for day in (EVE, DAY):
        alone, there = run_date(near, day), run_date(far, day)
        assert there.outcome == "published"
        assert_as_near(alone, there)
        if day == EVE:
            Path(far.state.url.removeprefix("sqlite:///")).unlink()
    assert run_date(far, DAY).outcome == "unchanged"
    assert_chained(far, tmp_path / "own", there.record)


def assert_chained(config, folder, record):
    """The chain has both nights in order, with the decisions that they published."""
    with open_state(config.model_copy(update={"output": str(folder)})) as state:
        links = read_chain(state)
    assert [link.body["date"] for link in links] == [EVE.isoformat(), DAY.isoformat()]
    assert not broken_links(links)
    assert links[-1].body["decisions"] == record["evidence"]
    assert record["run_measurements"]["evidence_head"]["number"] == 1


def test_a_far_date_is_held_by_one_driver(spark, tmp_path):
    """The second is told who holds it, exits with 75, and writes no night."""
    far = configured(banked(tmp_path), "spark")
    folder = f"{far.output}/{DAY}"
    with date_lease(spark, folder, DAY), pytest.raises(BusyError) as told:
        run_date(far, DAY)
    assert told.value.exit_code == 75
    assert f"another run holds {folder} (process " in str(told.value)
    names = [path.name for path in Path(folder.removeprefix("file://")).iterdir()]
    assert names == [CLAIMS]


def test_what_far_nights_need_a_state_for_is_refused_without_one(tmp_path):
    """The message names both keys, and the one to set."""
    config = banked(tmp_path)
    del config["state"]
    with pytest.raises(ConfigError, match=r"deliveries.*state\.url") as told:
        run_date(configured(config, "spark"), DAY)
    assert "policy.cap.rounding: carryover counts on other nights" in str(told.value)
