"""The night on a real cluster: a master and two workers, each its own process."""

from __future__ import annotations

import datetime as dt
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from threading import Timer

import polars as pl
import pytest
from pyspark.sql import functions as F

from optimizer import explain_run
from optimizer.config import as_config
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import DECISIONS, MERCHANT_RESULTS, RECOMMENDATIONS
from optimizer.errors import CertificateError, ConfigError, DataError, PublishError
from optimizer.explain.sentences import explain_order
from optimizer.job import run_date
from optimizer.spark import explain_published, far_decide, passes, shuffle, write
from optimizer.spark.api import SparkNight
from optimizer.spark.kept import Asker
from optimizer.spark.shuffle import tasks_at_once
from optimizer.testing import random_tables
from tests.support.kept_memory import holders
from tests.support.processes import wait_for
from tests.support.spark_nights import (
    FAMILIES,
    Family,
    allocate_on,
    an_order,
    assert_same,
    decisions_of,
    known,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support"),
]
DAY = dt.date(2026, 11, 22)


@pytest.mark.parametrize("name", ["giant", "odd", "ruled", "explored", "coins"])
def test_a_cluster_gives_the_integers_of_one_machine(spark, name):
    """Proof, prices, reasons and sums are those of ``optimizer.allocate``."""
    family = FAMILIES[name]()
    night = allocate_on(spark, family, rows_per_block=80)
    alone = family.alone()
    assert_same(night, alone, family.is_plain)
    order_id = an_order(alone)
    assert night.explain(order_id, "zh") == explain_order(
        order_id, alone.decisions, alone.merchants, "zh"
    )
    night.release()


def counts_by_partition(frame):
    """Rows and merchants of each partition, empty ones too."""

    def count(batches):
        import pyarrow

        merchants = [name for b in batches for name in b["merchant_id"].to_pylist()]
        counts = {"rows": [len(merchants)], "merchants": [len({*merchants})]}
        yield pyarrow.RecordBatch.from_pydict(counts)

    found = frame.mapInArrow(count, "rows bigint, merchants bigint").toArrow()
    return found.to_pylist()


def test_the_layout_of_the_input_changes_nothing(spark):
    """
    An empty partition, a partition of one merchant, other blocks, other row order: the
    same decisions to the byte, ties included.
    """
    family = FAMILIES["ties"]()
    layouts = [
        lambda frame: frame.repartition(3, F.lit(0)),
        lambda frame: frame.repartitionByRange(7, "merchant_id"),
    ]
    orders = spark.createDataFrame(family.tables.orders.to_arrow())
    gathered, ranged = [counts_by_partition(layout(orders)) for layout in layouts]
    assert sorted(part["rows"] for part in gathered) == [0, 0, 150]
    assert 1 in [part["merchants"] for part in ranged]
    nights = [
        allocate_on(spark, family, layout, rows_per_block=rows)
        for layout, rows in zip(layouts, (1_000, 50), strict=True)
    ]
    assert_same(nights[0], family.alone(), family.is_plain)
    first, second = map(decisions_of, nights)
    assert first.equals(second)


def test_a_night_has_a_block_for_each_core_and_the_same_bytes(spark, monkeypatch):
    """Also a small one; a merchant that fills most of a block is spread over both."""
    family, nights = FAMILIES["giant"](), []
    assert tasks_at_once(spark) == 2
    for least in (10_000, 100, 10):
        monkeypatch.setattr(shuffle, "LEAST_ROWS", least)
        nights.append(allocate_on(spark, family))
    assert [night.prepared.blocks.count() for night in nights] == [1, 2, 2]
    sizes = [len(merchants) for merchants in nights[1].decided.rank_of.values()]
    assert sum(sizes) == len(nights[1].merchants) + 1
    first, *others = map(decisions_of, nights)
    assert all(other.equals(first) for other in others)
    assert_same(nights[1], family.alone())


def test_a_core_has_its_blocks_in_one_partition_and_the_same_bytes(spark, monkeypatch):
    """A pass has a task for each core, up to some blocks; as with a task for each."""
    family, nights = FAMILIES["single"](), []
    for together in (5, 1):
        monkeypatch.setattr(shuffle, "BLOCKS_TOGETHER", together)
        nights.append(allocate_on(spark, family, rows_per_block=40))
    for night, num_parts in zip(nights, (2, 8), strict=True):
        part = F.spark_partition_id().alias("part")
        found = night.prepared.blocks.select("block", part).toArrow().to_pydict()
        assert sorted(found["block"]) == list(range(8))
        assert len({*found["part"]}) == num_parts
    first, second = map(decisions_of, nights)
    assert first.equals(second)
    assert_same(nights[0], family.alone())


def test_a_killed_executor_changes_nothing(spark, cluster):
    """Spark builds the lost blocks again, and the answer is the same."""
    family = FAMILIES["single"]()
    killed = []

    def kill_once(line):
        if line.startswith("sampled") and not killed:
            killed.append(cluster.executors()[0])
            os.kill(killed[0], signal.SIGKILL)

    night = allocate_on(spark, family, rows_per_block=80, progress=kill_once)
    assert killed, "the executor was not killed in the middle of the solve"
    assert_same(night, family.alone())
    assert killed[0] not in cluster.executors()


@pytest.fixture
def tokens(monkeypatch):
    """Those by which passes ask workers for the blocks that they keep."""
    found = []

    def known_asker(token, seconds):
        found.append(token)
        return Asker(token, seconds)

    monkeypatch.setattr(passes, "Asker", known_asker)
    return found


def test_workers_that_forget_their_blocks_change_nothing(spark, tokens):
    """
    All that keep a block are killed between passes, again and again: blocks are brought
    anew, and the answer is the same. A second night in the session asks for its own.
    """
    family, killed = FAMILIES["single"](), []

    def kill_all(_):
        for process in holders(tokens):
            os.kill(process, signal.SIGKILL)
            killed.append(process)

    night = allocate_on(spark, family, rows_per_block=80, progress=kill_all)
    assert len({*killed}) > 2, "no worker was killed in the middle of the solve"
    assert_same(night, family.alone())
    other = Family(random_tables(6, num_orders=300))
    again = allocate_on(spark, other, rows_per_block=80)
    assert_same(again, other.alone())
    assert night.certificate.primal_bound != again.certificate.primal_bound
    assert len({*tokens}) == len(tokens) == 2, "a night's blocks are kept once"


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_kept_of_a_night_that_is_over(spark, tokens, monkeypatch, fails):
    """Workers let go by themselves: nobody tells them, and a failed night could not."""
    monkeypatch.setattr(passes, "KEPT_SECONDS", 3.0)
    family, seen = FAMILIES["single"](), []

    def tell(line):
        seen.extend(holders(tokens))
        if fails and line.startswith("sampled"):
            raise KeyError(line)

    with pytest.raises(KeyError) if fails else nullcontext():
        allocate_on(spark, family, rows_per_block=80, progress=tell)
    assert seen
    wait_for(lambda: not holders(tokens), "the workers")


@pytest.mark.parametrize(
    "moments",
    [{"build": 0, "solve": 0, "publish": 0.5}, {"build": 2, "certify": 0}],
    ids=["read, prices, publish", "shuffle, proof"],
)
def test_executors_that_are_lost_at_any_stage_change_nothing(
    spark, cluster, tmp_path, moments
):
    """
    A far night is published all the same, with the decisions of one machine, though it
    loses one executor after another.
    """
    config, family = configured(tmp_path)
    killed, timers = [], {}

    def kill():
        oldest = min(cluster.executors())  # not one that is only starting
        os.kill(oldest, signal.SIGKILL)
        killed.append(oldest)

    def tell(line):
        if line in moments and line not in timers:
            timers[line] = Timer(moments[line], kill)
            timers[line].start()

    report = run_date(config, DAY, progress=tell)
    for timer in timers.values():
        timer.join()
    assert report.outcome == "published"
    assert len({*killed}) == len(moments), "an executor was not killed"
    folder = Path(report.run_dir.removeprefix("file://")) / report.record["run_id"]
    written = pl.read_parquet(folder / "decisions.parquet" / "*.parquet")
    expected = family.alone().decisions.select(written.columns)
    assert known(written).sort("order_id").equals(known(expected))


def configured(folder, **keys):
    """A small night on disk, and the configuration that runs it."""
    tables = random_tables(5, num_orders=300)
    tables.orders.write_parquet(folder / "orders.parquet")
    tables.capacity.write_csv(folder / "capacity.csv")
    inputs = {
        "orders": str(folder / "orders.parquet"),
        "capacity": str(folder / "capacity.csv"),
    }
    config = tables.config | {"engine": "spark", "inputs": inputs} | keys
    # As an address: then executors write the night, and not this process.
    return as_config(config | {"output": f"file://{folder}/runs"}), Family(tables)


def test_a_configured_night_is_published_once(spark, tmp_path):
    """
    ``engine: spark`` publishes the tables of one machine; again it does nothing, and
    from other inputs it wants ``--force``, which keeps the old run.
    """
    config, family = configured(tmp_path)
    report = run_date(config, DAY)
    assert report.outcome == "published"
    folder = Path(report.run_dir.removeprefix("file://"))
    run = folder / report.record["run_id"]
    alone = family.alone()
    slots_taken = alone.recommendations.select("order_id", "carrier_id", "region_id")
    for name, expected in {
        "decisions": alone.decisions.select(DECISIONS.column_names),
        "merchants": alone.merchants,
        "lanes": alone.lanes,
        "recommendations": alone.recommendations,
    }.items():
        written = pl.read_parquet(run / f"{name}.parquet" / "*.parquet")
        key = [c for c in expected.columns if c.endswith("_id")]
        # A file has the order of columns of its contract.
        expected = expected.select(written.columns)
        assert known(written).sort(key).equals(known(expected).sort(key)), name
    written = pl.read_parquet(run / "commitments.parquet" / "*.parquet")
    assert written["load"].unique().to_list() == [1]
    taken = written.join(slots_taken, on="order_id", how="full", coalesce=True)
    assert len(taken) == len(slots_taken)
    assert taken["carrier_id"].equals(taken["carrier_id_right"])
    order_id = an_order(alone)
    why = explain_published(spark, report.run_dir, order_id)
    assert f"{order_id}: {why['sentence']}" == alone.explain(order_id)
    # As a person asks, who knows nothing of sessions.
    assert explain_run(report.run_dir, order_id=order_id).values == why
    with pytest.raises(DataError, match="'nobody' is not in this night"):
        explain_published(spark, report.run_dir, "nobody")
    with pytest.raises(DataError, match="a cluster published"):
        read_record(folder)
    again = run_date(config, DAY)
    assert again.outcome == "unchanged"
    assert again.record["certificate"]["gap"] == 0
    fewer = family.tables.orders.head(250)
    fewer.write_parquet(tmp_path / "orders.parquet")
    with pytest.raises(ConfigError, match="--force"):
        run_date(config, DAY)
    forced = run_date(config, DAY, is_forced=True)
    assert forced.record["summary"]["num_orders"] == 250
    assert (run / "decisions.parquet" / "_SUCCESS").is_file()


def test_a_night_that_a_cluster_wrote_false_is_not_published(
    spark, tmp_path, monkeypatch
):
    """
    A table that lacks a row, or counts another use, is read back and found: no record
    names the night, which is published as it is in the test above. It is decided once.
    """
    config, _ = configured(tmp_path)
    nights, allocate, release = [], far_decide.allocate, SparkNight.release

    def decided(*tables, **keys):
        if not nights:
            nights.append(allocate(*tables, **keys))
        return nights[0]

    monkeypatch.setattr(far_decide, "allocate", decided)
    monkeypatch.setattr(SparkNight, "release", lambda _: None)
    whole = dict(write.OF_CLUSTER)
    more = F.col("used") + 1
    for table, harm, words in (
        (RECOMMENDATIONS, lambda rows: rows.offset(1), "not the chosen orders"),
        (MERCHANT_RESULTS, lambda rows: rows.withColumn("used", more), "merchants: "),
        (DECISIONS, lambda rows: rows.offset(1), "summary.num_orders is"),
    ):
        false = {**whole, table: lambda night, t=table, h=harm: h(whole[t](night))}
        monkeypatch.setattr(write, "OF_CLUSTER", false)
        with pytest.raises(CertificateError, match=words):
            run_date(config, DAY)
        assert not [*tmp_path.glob("runs/**/run.json")]
    release(nights[0])


def test_what_a_cluster_lacks_is_said_in_a_sentence(spark, tmp_path):
    """A format that the cluster does not have, and orders that are not there."""
    config, _ = configured(tmp_path, spark={"table_format": "delta"})
    with pytest.raises((ConfigError, PublishError), match="delta"):
        run_date(config, DAY)
    config, _ = configured(tmp_path)
    (tmp_path / "orders.parquet").unlink()
    with pytest.raises(ConfigError, match=r"orders\.parquet"):
        run_date(config, DAY)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ({"load": pl.lit(2)}, "load above 1.*engine: local"),
        ({"pin": pl.lit("must")}, "pinned to .must.*engine: local"),
        ({"order_id": pl.lit("same")}, "more than once.*'same'"),
        ({"order_value_cny": pl.lit(-1.0)}, "break a rule.*order_value_cny"),
    ],
    ids=["load", "pin", "twice", "broken"],
)
def test_a_table_that_is_refused_says_why(spark, orders, message):
    """Executors raise nothing: what a person did wrong comes back as one message."""
    tables = random_tables(5, num_orders=30)
    changed = Family(
        type(tables)(
            tables.orders.with_columns(**orders), tables.capacity, tables.config
        )
    )
    with pytest.raises(DataError, match=message):
        allocate_on(spark, changed)
