"""Nights between addresses: what others left, evidence and report as on one machine."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from optimizer.config import as_config
from optimizer.contracts.run_folder import (
    AUDIT,
    LEAVES,
    RECORD,
    REPORT,
    read_record,
)
from optimizer.contracts.tables import (
    DECISIONS,
    NIGHTS,
    ORDERS,
    PUBLISHED,
    RECOMMENDATIONS,
    ROW_RESULTS,
)
from optimizer.errors import (
    BusyError,
    ConfigError,
    DataError,
    DeliveryError,
    PublishError,
)
from optimizer.explain.churn import PREVIOUS_TABLES
from optimizer.job import run_date
from optimizer.night.deliver import deliver_night
from optimizer.night.state.chain import broken_links
from optimizer.night.state.database import open_state
from optimizer.night.state.links import read_chain
from optimizer.spark import driver_tables, run, write
from optimizer.spark.driver_inputs import brought_inputs
from optimizer.spark.files import open_files
from optimizer.spark.lease import CLAIMS, date_lease
from optimizer.spark.write import name_night
from optimizer.testing import random_tables
from optimizer.verify.audit import not_in_sql
from tests.support.driver_nights import drawn, loads_in_the_data, packed
from tests.support.engine_nights import after_others
from tests.support.engine_nights_more import keeping_ties, slots_taken_before, written
from tests.support.small_night import call
from tests.support.spark_cluster import spark_alone
from tests.support.system_tools import needs

DAY = dt.date(2026, 11, 22)
TABLES = "orders", "capacity", "options", "deliveries"
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
    """
    A night that counts on others, with all that stands around it: the second night's
    capacity is late, its deliveries are more than usual, and a copy's folder is a file.
    """
    config = after_others(folder)
    del config["files"]
    orders = pl.read_parquet(folder / "around.parquet").with_columns(wave="region_id")
    orders.write_parquet(folder / "around.parquet", row_group_size=90)
    rule = {"columns": ["wave"], "below_cny": 50, "group_size": 2}
    config["operations"]["alerts"]["splitting"] = rule
    inputs = config["inputs"] | {
        "capacity": f"{folder}/around-{{date}}.csv",
        "deliveries": f"{folder}/deliveries-{{date}}.csv",
        "wait_minutes": 0.001,
    }
    shutil.copy(folder / "around.csv", folder / f"around-{EVE}.csv")
    told = (folder / "deliveries.csv").read_text()
    (folder / f"deliveries-{EVE}.csv").write_text(told)
    more = "".join(f"nobody{n},2026-11-20,lost\n" for n in range(3))
    (folder / f"deliveries-{DAY}.csv").write_text(told + more)
    (folder / "shut-spark").touch()
    copies = [
        {"table": table, "to": f"{folder}/{where}/{table}-{{date}}.csv"}
        for table, where in (
            ("decisions", "ENGINE"),
            ("recommendations", "ENGINE"),
            ("lanes", "shut-ENGINE"),
        )
    ]
    box = {"platform": "douyin", "format": "csv", "to": f"{folder}/ENGINE/{{date}}.csv"}
    return config | {"inputs": inputs, "outputs": copies, "outbox": [box]}


def as_address(path):
    """A configured path, perhaps with how its file is read, as an address."""
    if isinstance(path, dict):
        return path | {"path": as_address(path["path"])}
    return f"file://{path}"


def configured(config, engine):
    """A night's configuration: of a cluster, with addresses alone."""
    own = json.loads(json.dumps(config).replace("ENGINE", engine))
    output = f"{own['output']}-{engine}"
    if engine == "spark":
        paths = {name: own["inputs"][name] for name in TABLES if name in own["inputs"]}
        own["inputs"] |= {name: as_address(path) for name, path in paths.items()}
        output = f"file://{output}"
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


def stated_again(script):
    """What does not hold of a night, as DuckDB finds it from addresses alone."""
    *statements, question = duckdb.extract_statements(script)
    with duckdb.connect() as engine:
        for statement in statements:
            engine.execute(statement)
        return sorted(engine.execute(question).fetchall(), key=str)


def assert_as_near(near, far):
    """Tables, evidence and report of a far night, and what SQL finds, are as near."""
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
    made_by = {"config", "identity", "run_id", "run_measurements", "versions"}
    made_by |= {"origins", "inputs", "outputs"}
    text = far_text(folder.parent, RECORD)
    assert text == far_text(folder, RECORD)
    assert json.loads(text) == json.loads(json.dumps(far.record))
    told = json.loads(text.replace("file://", ""))
    for key in {*record} - made_by:
        assert record[key] == told[key], key
    for name, table in told["outputs"].items():
        rows = record["outputs"][name].get("num_rows")
        assert table.get("num_rows") == rows, name
    page = far_text(folder, REPORT)
    assert said(page) == said((near.run_dir / REPORT).read_text())
    ours = (near.run_dir / AUDIT).read_text()
    ours = ours.replace(
        "SET VARIABLE run = '.';", f"SET VARIABLE run = '{near.run_dir}';"
    )
    found = stated_again(far_text(folder, AUDIT))
    assert found == stated_again(ours)
    assert not found or not_in_sql(record)


@pytest.mark.parametrize("make", [banked, slots_taken_before])
def test_far_nights_that_count_on_others_are_those_of_one_machine(
    spark, tmp_path, make
):
    """
    Also where the run of the first died before the state had it: rows, leaves, record
    and report of the second are equal, SQL finds nothing, and the chain has both.
    """
    config = make(tmp_path)
    near, far = configured(config, "local"), configured(config, "spark")
    for day in (EVE, DAY):
        alone, there = run_date(near, day), first_run(far, day, tmp_path)
        assert there.outcome == "published"
        assert_as_near(alone, there)
        if day == EVE:
            Path(far.state.url.removeprefix("sqlite:///")).unlink()
    assert_same_copies(far, tmp_path)
    assert run_date(far, DAY).outcome == "unchanged"
    assert_chained(far, tmp_path / "own", there.record)
    if make is banked:
        kinds = {alert["kind"] for alert in there.record["alerts"]}
        assert kinds == {"dead_lanes", "input_change", "splitting"}
        assert [*there.record["substitutes"]] == ["capacity"]
        assert_altered_is_found(there)


@pytest.mark.parametrize("make", [packed, drawn, loads_in_the_data])
def test_far_nights_that_the_driver_decides_are_those_of_one_machine(
    spark, tmp_path, make
):
    """
    Rows, leaves, record and report, and what SQL finds of both; by what the
    configuration or the data ask for. No copy of an input is left, nor of a table.
    """
    config = make(tmp_path)
    near, far = configured(config, "local"), configured(config, "spark")
    alone = run_date(near, DAY)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(scratch))
        there = run_date(far, DAY)
        assert run_date(far, DAY).outcome == "unchanged"
    assert there.outcome == "published"
    assert_as_near(alone, there)
    assert "num_passes" not in there.record["run_measurements"]
    assert not [*scratch.iterdir()]


def bring(config, far, look):
    """Bring the inputs of a night, and look at the file of its orders."""
    with brought_inputs(config, DAY, far) as brought:
        (file,) = map(Path, brought["orders"])
        around = {folder.stat().st_mode & 0o777 for folder in file.parents[1:3]}
        assert 0o700 in around
        look(file)
    return file


def refuse(file):
    """Say something of a file."""
    raise DataError(f"{file}: is bad")


def test_what_executors_do_not_solve_is_brought_to_the_driver(spark, tmp_path):
    """
    Of a lakehouse's table the columns that are read, in a private file, and not longer
    than for the night; of a store the file that was looked at, which a message names.
    """
    tables = random_tables(5, num_orders=60)
    config = as_config(tables.config)
    there, seen = tmp_path / "orders.parquet", []
    tables.orders.write_parquet(there)
    rows = tables.orders.with_columns(remark=pl.lit("not read"))
    rows = {"orders": spark.createDataFrame(rows.to_arrow())}
    gone = bring(config, rows, lambda file: seen.append(pl.read_parquet(file)))
    assert tables.orders.select(seen[0].columns).equals(seen[0])
    files = {"orders": open_files(spark, f"file://{tmp_path}/*.parquet", ORDERS)}
    bring(config, files, lambda file: seen.append(file.read_bytes()))
    assert seen[1] == there.read_bytes()
    assert not gone.exists()
    with pytest.raises(DataError, match=rf"^file:{there}: is bad"):
        bring(config, files, refuse)
    tables.orders.reverse().write_parquet(there)
    with pytest.raises(BusyError, match=re.escape(str(there))):
        bring(config, files, refuse)


def test_orders_of_the_driver_go_to_the_cluster_some_at_a_time(
    spark, tmp_path, monkeypatch
):
    """Each once, in as many files; another table at once, in its order."""
    monkeypatch.setattr(driver_tables, "PIECE_ROWS", 2)
    place = write.Place(f"file://{tmp_path}/runs", "run", "parquet")
    whole = pl.DataFrame({"order_id": ["e", "b", "c", "a", "d"]})
    whole.write_parquet(tmp_path / "five.parquet")
    for table, num_files in ((RECOMMENDATIONS, 3), (ROW_RESULTS, 2)):
        for _ in range(2):  # the second replaces the first
            driver_tables.send(spark, tmp_path / "five.parquet", table, place)
        files = sorted((tmp_path / f"runs/run/{table.file}").glob("*.parquet"))
        rows = pl.read_parquet(files)
        assert len(files) == num_files
        assert rows.sort("order_id").equals(whole.sort("order_id"))
    assert rows.equals(whole)


def first_run(far, day, folder):
    """A run; what of its copies did not arrive is sent by the next, and no other."""
    (shut,) = folder.glob("shut-spark") if far.outputs else [None]
    if shut is None or shut.is_dir():
        return run_date(far, day)
    with pytest.raises(DeliveryError) as told:
        run_date(far, day)
    assert f"{far.output}/{day}: is published, but not all copies" in str(told.value)
    assert f"optimizer run --date {day} --config FILE" in str(told.value)
    shut.unlink()
    (folder / f"spark/decisions-{day}.csv").unlink()
    again = run_date(far, day)
    assert again.outcome == "unchanged"
    assert (shut / f"lanes-{day}.csv").exists()
    assert not (folder / f"spark/decisions-{day}.csv").exists()
    shutil.copy(folder / f"local/decisions-{day}.csv", folder / "spark")
    return replace(again, outcome="published")


def assert_same_copies(far, folder):
    """Tables and platforms' files that were sent, byte for byte."""
    ours, theirs = (
        {
            path.relative_to(folder).as_posix().replace(engine, ""): path.read_bytes()
            for path in folder.glob(f"*{engine}/*.csv")
        }
        for engine in ("local", "spark")
    )
    assert ours == theirs
    assert len(ours) == (10 if far.outputs else 0)


def assert_altered_is_found(night):
    """SQL says which decision is not what was published."""
    folder = Path(night.run_dir.removeprefix("file://")) / night.record["run_id"]
    script = far_text(folder, AUDIT)
    (file, *_) = (folder / "decisions.parquet").glob("*.parquet")
    rows = pl.read_parquet(file)
    other = rows.with_columns(saving_cny=pl.col("saving_cny") + 1e-6)
    other.write_parquet(file)
    checks = {check for check, *_ in stated_again(script)}
    assert "evidence" in checks
    rows.write_parquet(file)


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


def test_a_late_input_is_named_by_its_address(spark, tmp_path):
    """After the wait; no claim is written, so that another driver may try."""
    config = banked(tmp_path)
    (tmp_path / "around.parquet").unlink()
    far = configured(config, "spark")
    with pytest.raises(BusyError) as told:
        run_date(far, DAY)
    assert told.value.exit_code == 75
    late = f"orders (file://{tmp_path}/around.parquet); capacity (file://"
    assert f"inputs of {DAY} are late: {late}" in str(told.value)
    assert not Path(far.output.removeprefix("file://")).exists()


def as_clusters(run, output):
    """The address of a night as a cluster publishes it, made of one machine's."""
    record = read_record(run) | {"run_id": "before"}
    for name in PREVIOUS_TABLES:
        (output / "before" / name).mkdir(parents=True)
        shutil.copy(run / name, output / "before" / name / "part.parquet")
    (output / RECORD).mkdir()
    (output / RECORD / "part.txt").write_text(json.dumps(record))
    return f"file://{output}"


def test_ties_are_decided_for_an_earlier_far_night(spark, tmp_path):
    """By its address, as one machine does by its folder; an address of none is told."""
    config = keeping_ties(tmp_path)
    near, far = configured(config, "local"), configured(config, "spark")
    fewer = pl.read_csv(tmp_path / "ties.csv").with_columns(pl.col("slots") // 2)
    fewer.write_csv(tmp_path / "fewer.csv")
    inputs = config["inputs"] | {"capacity": f"{tmp_path}/fewer.csv"}
    other = configured(config | {"inputs": inputs, "output": f"{tmp_path}/b"}, "local")
    before = run_date(other, EVE).run_dir
    alone = run_date(near, DAY, previous=before)
    address = as_clusters(before, tmp_path / "far")
    there = run_date(far, DAY, previous=address)
    assert_as_near(alone, there)
    assert there.record["identity"]["previous"] == read_record(before)["identity"]
    free = run_date(configured(config | {"output": f"{tmp_path}/f"}, "local"), DAY)
    plans = [
        pl.read_parquet(run / RECOMMENDATIONS.file)
        for run in (alone.run_dir, free.run_dir)
    ]
    assert not plans[0].equals(plans[1])
    nowhere = f"file://{tmp_path}/nowhere"
    with pytest.raises(DataError, match="no night of a cluster is published there"):
        run_date(far, DAY, previous=nowhere)
    with pytest.raises(ConfigError, match=r"--previous file://.*give the folder"):
        run_date(near, DAY, previous=nowhere)


def test_copies_of_far_nights_are_sent_by_a_run(tmp_path):
    """`deliver` says so, and makes no folder that is named like an address."""
    far = configured(banked(tmp_path), "spark")
    with pytest.raises(ConfigError, match=rf"optimizer run --date {DAY} --config FILE"):
        deliver_night(far, DAY)
    assert not Path("file:").exists()


def gone(*_, **__):
    """A cluster that does not answer."""
    raise PySparkException("executors are gone")


def lose_cluster(monkeypatch, kind):
    """From the moment that a night has its name, one kind of call is not answered."""
    name_night = run.name_night
    session, frame = SparkSession, type(SparkSession.getActiveSession().range(1))
    calls = {
        "read": [(session, "read", property(gone)), (frame, "unpersist", gone)],
        "write": [(session, "createDataFrame", gone)],
    }

    def named(*given):
        name_night(*given)
        for owner, name, broken in calls[kind]:
            monkeypatch.setattr(owner, name, broken)

    monkeypatch.setattr(run, "name_night", named)


@pytest.mark.parametrize("kind", ["read", "write"])
def test_a_cluster_that_fails_after_the_night_does_not_unsay_it(
    spark, tmp_path, monkeypatch, caplog, kind
):
    """
    Whatever it no longer does once the night has its name: the message says that it is
    published, what is left, and the run that does it; that run finds all it needs.
    """
    far, folder = configured(banked(tmp_path), "spark"), tmp_path / "spark"
    (tmp_path / "shut-spark").unlink()
    with monkeypatch.context() as patched:
        lose_cluster(patched, kind)
        with pytest.raises(DeliveryError) as told:
            run_date(far, EVE)
    assert told.value.exit_code == 75
    text = str(told.value)
    assert text.startswith(f"{far.output}/{EVE}: is published, but ")
    assert "executors are gone" in text
    assert text.endswith(f"optimizer run --date {EVE} --config FILE")
    assert "nothing was published" not in text + caplog.text
    assert (folder / f"decisions-{EVE}.csv").exists() == (kind != "read")
    late = "is published, but the state database does not have it yet"
    assert (late in caplog.text) == (kind == "read")
    shutil.rmtree(Path(far.output.removeprefix("file://")) / f"{EVE}/{CLAIMS}")
    again = run_date(far, EVE)
    assert again.outcome == "unchanged"
    assert (folder / f"decisions-{EVE}.csv").exists()
    with open_state(far.model_copy(update={"output": str(tmp_path / "own")})) as state:
        (link,) = read_chain(state)
    assert link.body["decisions"] == again.record["evidence"]


STOPS = {
    "before it is solved": (
        "optimizer.spark.far_decide.allocate",
        "nothing was published",
    ),
    "as it is named": (
        "optimizer.spark.write.write_text",
        "{0} may name the new night, the night before or none; to find out, and do the "
        "rest: {1}",
    ),
    "after it is named": (
        "optimizer.spark.run.tell_state",
        "a new night was published already: {0}, perhaps not all around it; to do the "
        "rest: {1}",
    ),
}


@pytest.mark.parametrize(("place", "said"), STOPS.values(), ids=[*STOPS])
def test_a_signal_to_a_far_run_is_answered_by_what_is_published(
    spark, tmp_path, monkeypatch, capsys, place, said
):
    """
    SIGTERM at a moment that no link of this machine tells of: the last line says what
    the address has, and the command that it names does the rest.
    """
    tables = random_tables(5, num_orders=200)
    config = tables.config | {
        "inputs": written(tmp_path, "night", tables, tables.orders),
        "engine": "spark",
        "output": f"file://{tmp_path}/runs",
    }
    (tmp_path / "night.yaml").write_text(json.dumps(config))
    command = f"run --date {DAY} --config"
    words = [*command.split(), tmp_path / "night.yaml"]
    folder = f"{config['output']}/{DAY}"
    write_text = write.write_text

    def stop(*given, **_):
        if place.endswith("write_text") and given[1] != f"{folder}/{RECORD}":
            write_text(*given)
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(place, stop)
        stopped = call(patched, capsys, *words)
    assert stopped.code == 128 + signal.SIGTERM
    told = f"stopped; {said.format(folder, f'optimizer {command} FILE')}"
    assert stopped.err.splitlines()[-1] == told
    is_named = (tmp_path / f"runs/{DAY}" / RECORD).exists()
    assert is_named == ("published already" in told)
    if is_named:
        assert "nothing to do" in call(monkeypatch, capsys, *words).out


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("this", None),
        ("before", "nothing was published, and the last night is untouched"),
        (None, "may name it, the night before or none. Run it again"),
    ],
)
def test_a_failure_as_a_night_gets_its_name_says_what_is_known(monkeypatch, now, said):
    """A cluster may have written the record and not told; the date is asked then."""
    monkeypatch.setattr(write, "write_text", gone)
    record = None if now is None else {"run_id": now}
    monkeypatch.setattr(write, "published_record", lambda *_: record)
    if said is None:
        name_night(None, "s3a://runs", {"run_id": "this"})
        return
    with pytest.raises(PublishError, match=r"executors are gone") as told:
        name_night(None, "s3a://runs", {"run_id": "this"})
    assert said in str(told.value)


def test_what_far_nights_need_a_state_for_is_refused_without_one(tmp_path):
    """The message names both keys, and the one to set."""
    config = banked(tmp_path)
    del config["state"]
    with pytest.raises(ConfigError, match=r"deliveries.*state\.url") as told:
        run_date(configured(config, "spark"), DAY)
    assert "policy.cap.rounding: carryover counts on other nights" in str(told.value)
