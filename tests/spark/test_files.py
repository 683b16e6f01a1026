"""Files that executors read: the same contract, refusals and rows as one machine."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException

from optimizer.config import as_config
from optimizer.contracts.tables import CAPACITY, ORDERS
from optimizer.errors import BusyError, DataError, PublishError
from optimizer.io.read import FarFiles, open_source, read_batches
from optimizer.io.schemas import file_schema
from optimizer.job import run_date
from optimizer.spark import published
from optimizer.spark import run as far_run
from optimizer.spark.files import _frames, _Piece, copied_table, open_files
from optimizer.testing import random_tables

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support"),
]
DAY = dt.date(2026, 11, 22)


def written(folder, has_choice=False):
    """A night in files: orders in two, of several row groups; capacity as CSV."""
    tables = random_tables(5, num_orders=300, has_choice=has_choice)
    orders = tables.orders.with_columns(
        region_id=pl.col("region_id").str.replace("r", "00"),
        complaint_prob_standard=pl.when(pl.int_range(pl.len()) % 90 == 7)
        .then(7.0)
        .otherwise("complaint_prob_standard"),
    )
    parts = folder / "orders"
    parts.mkdir()
    orders.head(120).write_parquet(parts / "a.parquet", row_group_size=50)
    orders.tail(180).write_parquet(parts / "b.parquet", row_group_size=70)
    region = pl.col("region_id").str.replace("r", "00")
    tables.capacity.with_columns(region).write_csv(folder / "capacity.csv")
    inputs = {
        "orders": str(parts / "*.parquet"),
        "capacity": str(folder / "capacity.csv"),
    }
    if has_choice:
        half = len(tables.options) // 2
        tables.options.head(half).write_parquet(folder / "options-a.parquet")
        tables.options.tail(-half).write_parquet(folder / "options-b.parquet")
        inputs["options"] = str(folder / "options-*.parquet")
    return tables.config | {"inputs": inputs, "quarantine": {"max_share": 0.1}}


def run(config, folder, engine):
    """The night by an engine."""
    output = {"engine": engine, "output": str(folder / f"runs-{engine}")}
    return run_date(as_config(config | output), DAY)


def table_of(report, name):
    """A published table, its rows in one order."""
    run_id = report.record.get("run_id")
    folder = Path(report.run_dir) / run_id if run_id else Path(report.run_dir)
    path = folder / f"{name}.parquet"
    found = pl.read_parquet(path / "*.parquet" if path.is_dir() else path)
    keys = [c for c in found.columns if c.endswith("_id") or c in ("source", "row")]
    return found.sort(keys)


@pytest.mark.parametrize("has_choice", [False, True])
def test_executors_read_what_one_machine_reads(spark, tmp_path, has_choice):
    """
    The same rows are refused, under the same numbers; codes such as ``000`` stay
    texts; so it is where Spark brings the bytes of files from an address.
    """
    config = written(tmp_path, has_choice)
    alone = run(config, tmp_path, "local")
    inputs = config["inputs"]
    far = {name: f"file://{path}" for name, path in inputs.items()}
    for number, places in enumerate((inputs, far)):
        (tmp_path / f"{number}").mkdir()
        night = run(config | {"inputs": places}, tmp_path / f"{number}", "spark")
        for name in ("quarantine", "lanes", "merchants", "decisions"):
            mine, theirs = table_of(night, name), table_of(alone, name)
            columns = [
                c
                for c in ("source", "row", "column", "rule", "slots", "used")
                if c in theirs.columns
            ] or ["order_id", "reason"]
            assert mine.select(columns).equals(theirs.select(columns)), name
        assert len(table_of(night, "quarantine")) == 4
        assert len(night.record["inputs"]["orders"]["files"]) == 2
        assert night.record["identity"]["inputs"] == alone.record["identity"]["inputs"]


def flip_bit(path):
    """Change one bit in a file's first page, which has a checksum."""
    pq.write_table(pq.read_table(path), path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[60] ^= 4
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "harm",
    [
        lambda frame: frame.with_columns(load=pl.lit(2)),
        lambda frame: frame.drop("region_id"),
        lambda frame: frame.with_columns(order_value_cny=pl.lit("much")),
        None,
    ],
    ids=["further", "lacking", "type", "bit"],
)
def test_a_part_that_differs_is_refused_alike(spark, tmp_path, harm):
    """Both engines name the file and the column; nothing is published."""
    config = written(tmp_path)
    part = tmp_path / "orders" / "b.parquet"
    if harm is None:
        flip_bit(part)
    else:
        harm(pl.read_parquet(part)).write_parquet(part)
    said = []
    for engine in ("local", "spark"):
        with pytest.raises(DataError) as found:
            run(config, tmp_path, engine)
        said.append(str(found.value).removeprefix("the orders table: "))
        assert not [*tmp_path.glob("runs*/**/run.json")]
    assert said[0].split(" table needs ")[0] == said[1].split(" table needs ")[0]
    assert "b.parquet" in said[0]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    """A task that finds another size than was written down reads nothing."""
    written(tmp_path)
    part = tmp_path / "orders" / "a.parquet"
    schema = file_schema(part, ORDERS)
    source = open_source(FarFiles("orders", {str(part): schema}), ORDERS)
    piece = _Piece(str(part), part.stat().st_size, group=1, first=50, num_rows=50)
    (frame,) = _frames([(part, piece)], source)
    assert frame["row"].to_list() == list(range(50, 100))
    part.write_bytes(part.read_bytes() + b"more")
    with pytest.raises(BusyError, match=r"a\.parquet: changed while the night"):
        next(_frames([(part, piece)], source))
    part.unlink()
    with pytest.raises(DataError, match=r"a\.parquet: a worker cannot read it"):
        next(_frames([(part, piece)], source))


def names_of(spark, place):
    """Names of the files of a table of orders."""
    table = open_files(spark, place, ORDERS)
    return [Path(head.record.path).name for head in table.heads]


@pytest.mark.parametrize("scheme", ["", "file://"], ids=["near", "far"])
def test_no_part_of_a_folder_is_passed_over(spark, tmp_path, scheme):
    """Each is read, whatever its ending, or refused by name: one of no bytes, too."""
    written(tmp_path)
    folder = tmp_path / "orders"
    place = f"{scheme}{folder}"
    (folder / "_SUCCESS").touch()
    (folder / "b.parquet").rename(folder / "b.PARQUET")
    assert sorted(names_of(spark, place)) == ["a.parquet", "b.PARQUET"]
    (folder / "b.PARQUET").rename(folder / "b.csv")
    with pytest.raises(DataError, match=r"b\.csv"):
        names_of(spark, place)
    (folder / "b.csv").unlink()
    (folder / "c d.parquet").touch()
    with pytest.raises(DataError, match=r"c( |%20)d"):
        names_of(spark, place)


def test_a_cluster_that_gives_up_on_a_near_night_says_so(spark, tmp_path, monkeypatch):
    """In one sentence, with what it said, and nothing is published."""
    config = written(tmp_path)

    def broken(*_, **__):
        raise PySparkException(
            "o1.x.\n: Exception in awaitResult:\nCaused by: no space"
        )

    monkeypatch.setattr(published, "allocate", broken)
    with pytest.raises(PublishError, match=r"the cluster gave up \(no space\)"):
        run(config, tmp_path, "spark")
    assert not [*tmp_path.glob("runs*/**/run.json")]


def test_small_far_tables_of_one_name_are_all_read(spark, tmp_path):
    """Rows of each file, in the order of one machine, told by its own address."""
    capacity = random_tables(5, num_orders=300).capacity
    names = ("north", "south", "south/a b", "east")
    for number, name in enumerate(names):
        (tmp_path / name).mkdir(parents=True)
        capacity.slice(2 * number, 2).write_csv(tmp_path / name / "slots.csv")
    for pattern, num in (("*/slots.csv", 6), ("", 8)):
        near = sorted(map(str, tmp_path.glob(pattern or "**/slots.csv")))
        with copied_table(spark, f"file://{tmp_path}/{pattern}") as copies:
            rows = [*read_batches(open_source([*copies], CAPACITY))]
            theirs = [*read_batches(open_source(near, CAPACITY))]
        told = [address.removeprefix("file:") for address in copies.values()]
        assert [Path(f"/{place.lstrip('/')}") for place in told] == [*map(Path, near)]
        assert pl.concat(rows).equals(pl.concat(theirs))
        assert len(pl.concat(rows)) == num


def alter(path):
    """Another file of the same size at a path."""
    content = bytearray(path.read_bytes())
    content[60] ^= 4
    path.write_bytes(bytes(content))


def vanish(path):
    """Take a file away."""
    path.unlink()


def hide(path):
    """Take a file away, and give what puts it back as it was."""
    path.rename(path.with_name("_hidden"))
    return lambda: path.with_name("_hidden").rename(path)


def join(path):
    """Put one more file beside it."""
    path.with_name(f"z-{path.name}").write_bytes(path.read_bytes())


@pytest.mark.parametrize(
    ("stage", "is_after", "name", "change"),
    [
        ("decide_far", False, "orders/b.parquet", alter),
        ("decide_far", False, "orders/b.parquet", vanish),
        ("decide_far", False, "orders/b.parquet", hide),
        ("decide_far", False, "options-b.parquet", hide),
        ("decide_far", True, "orders/b.parquet", vanish),
        ("decide_far", True, "orders/b.parquet", join),
        ("open_tables", True, "capacity.csv", alter),
    ],
)
def test_a_far_file_that_changes_while_the_night_is_made_is_refused(
    spark, tmp_path, monkeypatch, stage, is_after, name, change
):
    """
    Another of its size, one fewer, one more, or one that is away only while it is read:
    the sentence of one machine, and 75.
    """
    config = written(tmp_path, has_choice=name.startswith("options"))
    far = {table: f"file://{path}" for table, path in config["inputs"].items()}
    really = getattr(far_run, stage)

    def changed(*given, **named):
        found = really(*given, **named) if is_after else None
        back = change(tmp_path / name)
        try:
            return found or really(*given, **named)
        finally:
            if back is not None:
                back()

    monkeypatch.setattr(far_run, stage, changed)
    with pytest.raises(BusyError) as told:
        run(config | {"inputs": far}, tmp_path, "spark")
    assert told.value.exit_code == 75
    said = "changed while the night was made from it; nothing was published"
    assert said in str(told.value)
    assert not [*tmp_path.glob("runs*/*/run.json")]


@pytest.mark.parametrize("change", [alter, vanish])
def test_executors_read_the_far_files_that_were_looked_at(spark, tmp_path, change):
    """By their checksums, and all rows of them, even if they are as before later."""
    written(tmp_path)
    table = open_files(spark, f"file://{tmp_path}/orders", ORDERS)
    source = open_source(table.far_files, ORDERS)
    change(tmp_path / "orders" / "b.parquet")
    counted = table.map_frames(source, _count, "num bigint")
    if change is vanish:
        num_rows = sum(counted.toArrow()["num"].to_pylist())
        assert num_rows == 120
        with pytest.raises(BusyError, match="changed while the night was made"):
            table.refuse_other_number(num_rows)
        table.refuse_other_number(300)
    else:
        with pytest.raises(PySparkException, match=r"b\.parquet: changed while"):
            counted.toArrow()


def _count(frames):
    for frame in frames:
        counted = pl.DataFrame({"num": [len(frame)]}).to_arrow()
        yield from counted.to_batches()
