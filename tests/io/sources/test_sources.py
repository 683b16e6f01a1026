"""Inputs outside of files: the same night, kept, provable, refused in plain words."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import socket
import sqlite3
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pytest

from optimizer.config import load_config
from optimizer.errors import BusyError, DataError
from optimizer.night.check import check_inputs
from optimizer.replay.run import verify_run
from tests.support.places import Place, in_delta, in_iceberg, sql
from tests.support.small_night import DAY, SmallNight, call, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = ("orders", "capacity", "merchants")


def published(night: SmallNight) -> dict[str, bytes | str]:
    """The published tables, by name."""
    return {n: b for n, b in snapshot(night.run_dir).items() if n.endswith(".parquet")}


def put_all(night: SmallNight, place: Place, *, seed: int = 0) -> dict[str, str]:
    """Put the inputs into a place, shuffled; give their addresses."""
    for name in TABLES:
        table = night.read(name).sample(fraction=1, shuffle=True, seed=seed)
        place.put(name, table)
    return {name: place.address(name) for name in TABLES}


@pytest.mark.slow
def test_every_place_gives_the_night_that_files_give(
    night: SmallNight, place: Place
) -> None:
    """The same rows from any place make the same tables to the byte, proved again."""
    night.run()
    from_files = published(night)
    night.configure(output="elsewhere", inputs=put_all(night, place))
    report = night.run()
    elsewhere = SmallNight(night.folder / "elsewhere").folder / DAY.isoformat()

    assert {n: (elsewhere / n).read_bytes() for n in from_files} == from_files
    assert verify_run(elsewhere).is_valid
    record = json.loads((elsewhere / "run.json").read_text())
    assert {n: i["num_rows"] for n, i in record["inputs"].items()} == {
        name: len(night.read(name)) for name in TABLES
    }
    assert set(record["origins"]) == set(TABLES)
    assert report.outcome == "published"


@pytest.mark.slow
def test_rows_in_another_order_are_the_same_inputs(
    night: SmallNight, place: Place, request: pytest.FixtureRequest
) -> None:
    """A database gives rows in any order: the checksums, and so the run, are equal."""
    night.configure(inputs=put_all(night, place))
    first = night.run().record["inputs"]
    if "s3]" not in request.node.name or "delta" in request.node.name:
        put_all(night, place, seed=1)  # an object is its bytes; a table is its rows
    again = night.run()

    assert again.outcome == "unchanged"
    assert again.record["inputs"] == first


@pytest.mark.slow
def test_what_changed_in_the_place_is_another_night(
    night: SmallNight, place: Place
) -> None:
    """The first night stays provable from its copy after the source has changed."""
    night.configure(inputs=put_all(night, place))
    night.run()
    place.put("orders", night.read("orders").head(1_900))

    assert verify_run(night.run_dir).is_valid
    assert night.run(is_forced=True).outcome == "published"
    assert verify_run(night.run_dir).is_valid
    assert pl.read_parquet(night.run_dir / "decisions.parquet").height == 1_900


def test_a_dry_run_and_a_check_leave_nothing(night: SmallNight, place: Place) -> None:
    """Neither writes into the output folder, nor leaves copies elsewhere."""
    night.configure(inputs=put_all(night, place))
    found = check_inputs(load_config(night.config), DAY)
    report = night.run(is_dry=True)

    assert found["num_rows"]["orders"] == report.record["inputs"]["orders"]["num_rows"]
    assert not night.runs.exists()
    files = report.record["inputs"]["orders"]["files"]
    assert not any(Path(file["path"]).exists() for file in files)


def test_a_table_with_personal_data_never_reaches_the_disk(
    night: SmallNight, place: Place
) -> None:
    """A column that names a person refuses the table before its rows are kept."""
    inputs = put_all(night, place)
    orders = night.read("orders").with_columns(receiver_phone=pl.lit("13800138000"))
    place.put("orders", orders)
    night.configure(inputs=inputs)

    with pytest.raises(DataError, match="personal data in column receiver_phone"):
        night.run()
    assert b"13800138000" not in b"".join(
        path.read_bytes() for path in night.folder.rglob("*") if path.is_file()
    )


@pytest.mark.slow
def test_a_column_declared_no_persons_is_let_in(
    night: SmallNight, place: Place
) -> None:
    """Under ``privacy.allow`` the table is read; another such column refuses it."""
    inputs = put_all(night, place)
    orders = night.read("orders").with_columns(receiver_name=pl.lit("locker 7"))
    place.put("orders", orders)
    allowed = {"columns": ["receiver_name"], "reason": "lockers"}
    night.configure(inputs=inputs, privacy={"allow": allowed})

    assert night.run().outcome == "published"
    assert verify_run(night.run_dir).is_valid
    place.put("orders", orders.with_columns(phone=pl.lit("x")))
    with pytest.raises(DataError, match="personal data in column phone;"):
        check_inputs(load_config(night.config), DAY)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (pl.all().exclude("region_id"), "has no column region_id"),
        (
            pl.all().exclude("complaint_prob_standard"),
            "has no column complaint_prob_standard",
        ),
    ],
)
def test_a_table_without_a_column_is_refused(
    night: SmallNight, place: Place, columns: pl.Expr, says: str
) -> None:
    """The message names address and column, and nothing is published."""
    inputs = put_all(night, place)
    place.put("orders", night.read("orders").select(columns))
    night.configure(inputs=inputs)

    with pytest.raises(DataError, match=says) as refused:
        night.run()
    assert str(refused.value).startswith(inputs["orders"].split(":")[0] + "://")
    assert not night.run_dir.exists()


def test_a_table_that_is_not_there_is_refused(night: SmallNight, place: Place) -> None:
    """An input that does not exist leaves with 3, as a missing file does."""
    inputs = put_all(night, place)
    night.configure(inputs=inputs | {"merchants": place.address("nowhere")})

    with pytest.raises(DataError, match=r"nowhere.*is the export there"):
        night.run()


def test_a_query_is_read_as_it_stands(environment: None, night: SmallNight) -> None:
    """A query with the date, a percent sign and exact decimals gives the same night."""
    night.run()
    expected = published(night)
    from tests.support.places import in_postgres

    place = in_postgres()
    orders = night.read("orders").with_columns(day=pl.lit(DAY.isoformat()))
    other = orders.with_columns(
        day=pl.lit("2026-11-21"), order_id="x" + pl.col("order_id")
    )
    place.put("all_orders", pl.concat([orders, other]))
    sql("alter table all_orders alter column complaint_prob_standard type numeric")
    query = "select * from all_orders where day = '{date}' and order_id not like 'x%?'"
    inputs = night.settings()["inputs"]
    address = (
        f"postgresql://night@${{PG_SERVER}}/shop?query={query} and order_id <> 'a&b=c'"
    )
    night.configure(output="elsewhere", inputs=inputs | {"orders": address})
    night.run()

    made = night.folder / "elsewhere" / DAY.isoformat()
    assert {n: (made / n).read_bytes() for n in expected} == expected


def test_a_query_cannot_change_the_database(
    environment: None, night: SmallNight
) -> None:
    """Inputs are read in a read-only transaction, and DuckDB files opened to read."""
    sql("drop table if exists precious")
    sql("create table precious as select 1 as n")
    query = "with gone as (delete from precious returning n) select * from gone"
    address = f"postgresql://night@${{PG_SERVER}}/shop?query={query}"
    night.configure(inputs=night.settings()["inputs"] | {"merchants": address})

    with pytest.raises(DataError, match="cannot be read"):
        night.run()
    assert sql("select count(*) from precious") == [(1,)]


def test_a_glob_takes_its_objects_and_no_others(
    environment: None, night: SmallNight, tmp_path: Path
) -> None:
    """Parts are read in the order of their keys; other keys are left alone."""
    from tests.support.places import in_s3

    place, orders = in_s3(tmp_path), night.read("orders")
    for number, start in enumerate(range(0, 2_000, 500)):
        place.put(f"parts/part-{number}", orders.slice(start, 500))
    place.put("parts/deeper/part-9", orders.head(3))
    place.put("parts/other", orders.head(3))
    inputs = night.settings()["inputs"]
    night.configure(inputs=inputs | {"orders": place.address("parts/part-*")})

    assert night.run().record["inputs"]["orders"]["num_rows"] == 2_000


def test_empty_parts_beside_success_are_left_out_of_a_glob_and_told(
    environment: None, night: SmallNight
) -> None:
    """As on a disk; without the mark, or alone, such a part is refused."""
    import obstore
    from obstore.store import S3Store

    from tests.support.places import BUCKET

    store = S3Store(BUCKET, client_options={"allow_http": True})
    text = night.read("orders").write_csv().encode()
    for key, data in (("0.csv", text), ("1.csv", b""), ("2.csv", b"")):
        obstore.put(store, f"spark/{key}", data)
    inputs = night.settings()["inputs"]
    night.configure(inputs=inputs | {"orders": f"s3://{BUCKET}/spark/*.csv"})
    with pytest.raises(DataError, match="without even a header"):
        night.run()
    obstore.put(store, "spark/_SUCCESS", b"")
    record = night.run().record
    assert record["inputs"]["orders"]["num_rows"] == 2_000
    assert record["origins"]["orders"].endswith("/*.csv (2 empty parts left out)")
    night.configure(inputs=inputs | {"orders": f"s3://{BUCKET}/spark/[12].csv"})
    with pytest.raises(DataError, match="without even a header"):
        night.run()


def test_a_pinned_version_stays_what_it_was(
    environment: None, night: SmallNight, tmp_path: Path
) -> None:
    """``version=`` reads an old state of a Delta table; the record says which."""
    from tests.support.places import in_delta

    place = in_delta(str(tmp_path / "lake"), f"delta://{tmp_path}/lake")
    inputs = put_all(night, place)
    place.put("orders", night.read("orders").head(10))
    night.configure(inputs=inputs | {"orders": f"{inputs['orders']}?version=0"})
    record = night.run().record

    assert record["inputs"]["orders"]["num_rows"] == 2_000
    assert record["origins"]["orders"].endswith("/orders version 0")
    assert record["origins"]["merchants"].endswith("/merchants version 0")


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_partition_is_chosen_in_the_address(
    night: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """
    ``partition=day={date}`` reads the rows of the date, whether the column holds dates
    or text; a column that is not there is named; Iceberg's ``snapshot=`` pins a state.
    """
    from tests.support.places import in_delta, in_iceberg

    for name in ("URI", "WAREHOUSE"):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{name}", "")
    iceberg = in_iceberg(tmp_path) if kind == "iceberg" else None
    place = iceberg or in_delta(str(tmp_path / "lake"), f"delta://{tmp_path}/lake")
    mark = "&" if iceberg else "?"
    inputs = put_all(night, place)
    orders = night.read("orders").with_row_index("number")
    is_ours = pl.col("number") % 4 > 0
    for values in ((DAY, DAY.replace(day=1)), (str(DAY), "2026-11-01")):
        day = pl.when(is_ours).then(pl.lit(values[0])).otherwise(pl.lit(values[1]))
        place.put("orders", orders.with_columns(day=day).drop("number"))
        chosen = f"{inputs['orders']}{mark}partition=day={{date}}"
        night.configure(inputs=inputs | {"orders": chosen})
        record = night.run(is_forced=True).record
        assert record["inputs"]["orders"]["num_rows"] == 1_500
    night.configure(inputs=inputs | {"orders": chosen.replace("day=", "dt=")})
    with pytest.raises(DataError, match="no column dt to choose a partition by"):
        night.run(is_forced=True)


def test_a_pinned_snapshot_stays_what_it_was(
    night: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Iceberg's ``snapshot=`` reads an old state; one that is gone is named."""
    from tests.support.places import in_iceberg

    for name in ("URI", "WAREHOUSE"):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{name}", "")
    inputs = put_all(night, in_iceberg(tmp_path))
    night.configure(inputs=inputs)
    record = night.run().record
    said = record["origins"]["orders"].rpartition("snapshot ")[2]
    night.configure(inputs=inputs | {"orders": f"{inputs['orders']}&snapshot={said}"})
    assert night.run(is_forced=True).record["inputs"] == record["inputs"]
    night.configure(inputs=inputs | {"orders": f"{inputs['orders']}&snapshot=9"})
    with pytest.raises(DataError, match="no snapshot 9 any more"):
        night.run(is_forced=True)


@pytest.mark.slow
def test_a_copy_into_iceberg_goes_by_parts_in_one_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It never holds the whole table; what fails on the way leaves the rows of before; and
    the catalogue's table goes from one state to the next in one step.
    """
    from optimizer.config.address import parse_address
    from optimizer.io.sources import iceberg
    from tests.support.places import in_iceberg

    for name in ("URI", "WAREHOUSE"):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{name}", "")
    place = in_iceberg(tmp_path)
    address = parse_address(place.address("copied"))
    monkeypatch.setattr(iceberg, "PART_ROWS", 40_000)
    schema = pa.schema([("run_date", pa.date32()), ("order_id", pa.string())])
    held, states = [], set()

    def batches(num, is_whole=True):
        for number in range(num):
            ids = pa.array([f"{number:02}-{n:060}" for n in range(20_000)])
            day = pa.repeat(pa.scalar(DAY, pa.date32()), 20_000)
            held.append(pa.total_allocated_bytes() - before)
            states.add(iceberg._table(address).metadata_location)
            yield pa.RecordBatch.from_arrays([day, ids], schema=schema)
        if not is_whole:
            raise OSError("no more")

    def send(*given):
        rows = pa.RecordBatchReader.from_batches(schema, batches(*given))
        iceberg.write_rows(address, rows, DAY)

    before = pa.total_allocated_bytes()
    send(1)
    held.clear()
    states.clear()
    with pytest.raises(OSError, match="no more"):
        send(3, False)
    assert len(place.get("copied")) == 20_000
    send(20)
    assert len(states) == 1
    assert place.get("copied")["order_id"].n_unique() == 400_000
    assert max(held) < 12e6  # of 28 MB
    send(0)
    assert len(place.get("copied")) == 0


def test_a_delta_version_that_is_not_there_is_named(
    night: SmallNight, tmp_path: Path
) -> None:
    """With the newest one: a version to come, and one whose log is gone."""
    from deltalake import DeltaTable, write_deltalake

    place = tmp_path / "lake"
    for _ in range(3):
        write_deltalake(place, night.read("merchants").to_arrow(), mode="overwrite")
    DeltaTable(place).create_checkpoint()
    (place / "_delta_log" / f"{0:020}.json").unlink()
    inputs = night.settings()["inputs"]
    for version in (0, 17):
        address = f"delta://{place}?version={version}"
        night.configure(inputs=inputs | {"merchants": address})
        with pytest.raises(DataError, match=rf"no version {version} .*newest is 2"):
            night.run()


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("postgresql://night@127.0.0.1:1/shop?table=t", BusyError, "does not answer"),
        ("postgresql://nobody@${PG_SERVER}/shop?table=t", DataError, "authentication"),
        ("postgresql://night@${PG_SERVER}/none?table=t", DataError, "does not exist"),
        ("postgresql://night@${PG_SERVER}/shop?query=selec 1", DataError, "syntax"),
        ("s3://nobucket/x.parquet", DataError, "not found"),
        ("duckdb:///nowhere/x.duckdb?table=t", DataError, "no such file"),
        ("delta:///nowhere/lake", DataError, "does not exist"),
        ("delta+s3://nights/nowhere", DataError, "cannot be read"),
        ("iceberg://nobody?table=shop.orders", DataError, "PYICEBERG_CATALOG__NOBODY"),
    ],
)
def test_what_cannot_be_read_says_why(
    environment: None, night: SmallNight, address: str, error: type, says: str
) -> None:
    """A server that is away is 75, try again; a wrong name or login is 3."""
    night.configure(inputs=night.settings()["inputs"] | {"merchants": address})
    with pytest.raises(error, match=says):
        night.run()
    assert not night.run_dir.exists()


@pytest.mark.parametrize("address", ["s3://nights/x.parquet", "delta+s3://nights/x"])
def test_a_store_that_is_away_is_worth_another_try(
    environment: None,
    night: SmallNight,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody listens: exit code 75, one line."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    night.configure(inputs=night.settings()["inputs"] | {"merchants": address})
    left = call(monkeypatch, capsys, "run", "--config", night.config, "--date", DAY)

    assert left.code == 75
    assert re.fullmatch(r"error: .*does not answer .*try again later\n", left.err)


def test_a_delta_version_whose_files_are_gone_is_refused(
    night: SmallNight, tmp_path: Path
) -> None:
    """What `vacuum` removed is named; the version that is left makes the night."""
    from deltalake import DeltaTable, write_deltalake

    place = tmp_path / "lake"
    for _ in range(2):
        write_deltalake(place, night.read("merchants").to_arrow(), mode="overwrite")
    DeltaTable(place).vacuum(0, dry_run=False, enforce_retention_duration=False)
    inputs = night.settings()["inputs"]
    address = f"delta://{place}?version="
    night.configure(inputs=inputs | {"merchants": f"{address}0"})
    with pytest.raises(
        DataError, match=r"part-00000.* is not there any more; .*version"
    ):
        night.run()
    assert not night.run_dir.exists()
    night.configure(inputs=inputs | {"merchants": f"{address}1"})
    assert night.run().outcome == "published"


def in_lake(kind: str, folder: Path) -> Place:
    """A lakehouse of one kind or the other on the disk."""
    is_iceberg = kind == "iceberg"
    return (
        in_iceberg(folder) if is_iceberg else in_delta(str(folder), f"delta://{folder}")
    )


def as_spark_writes(file: Path, name: str) -> None:
    """Give the pages of a file checksums, and turn a bit in a column afterwards."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        rows = opened.read()
    pq.write_table(
        *(rows, file),
        compression="none",
        use_dictionary=False,
        write_page_checksum=True,
    )
    with pq.ParquetFile(file) as opened:
        place = opened.schema_arrow.get_field_index(name)
        chunk = opened.metadata.row_group(0).column(place)
    raw = bytearray(file.read_bytes())
    raw[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 64
    file.write_bytes(raw)


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
@pytest.mark.parametrize("column", ["complaint_prob_standard", "note"])
def test_a_flipped_bit_in_a_page_is_refused(
    night: SmallNight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    column: str,
) -> None:
    """The drivers read it as another number; where nobody reads it, nobody minds."""
    for name in ("URI", "WAREHOUSE"):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{name}", "")
    folder = tmp_path / "lake"
    folder.mkdir()
    place = in_lake(kind, folder)
    place.put("orders", night.read("orders").with_columns(note=pl.lit(0.5)))
    (file,) = folder.rglob("*.parquet")
    size = file.stat().st_size
    as_spark_writes(file, column)
    if kind == "delta":  # whose log has the size
        (log,) = folder.rglob("*0.json")
        text = log.read_text().replace(
            f'"size":{size}', f'"size":{file.stat().st_size}'
        )
        log.write_text(text)
    inputs = night.settings()["inputs"]
    night.configure(inputs=inputs | {"orders": place.address("orders")})
    if column == "note":
        assert night.run().outcome == "published"
        return
    with pytest.raises(DataError, match=rf"{file.name} is damaged .*{column}.*restore"):
        night.run()
    assert not night.run_dir.exists()


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
@pytest.mark.parametrize("other", [20261122, dt.datetime(2026, 11, 22)])
def test_a_partition_that_a_column_cannot_hold_is_refused(
    night: SmallNight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    other: object,
) -> None:
    """A day of numbers is none, and one of times would be its first moment alone."""
    for name in ("URI", "WAREHOUSE"):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{name}", "")
    place = in_lake(kind, tmp_path)
    place.put("orders", night.read("orders").with_columns(ds=pl.lit(other)))
    address = place.address("orders")
    chosen = f"{address}{'&' if '?' in address else '?'}partition=ds={{date}}"
    night.configure(inputs=night.settings()["inputs"] | {"orders": chosen})
    with pytest.raises(DataError, match=r"column ds holds .*column of text or days"):
        night.run()
    assert not night.run_dir.exists()


def test_a_day_of_times_chooses_the_rows_of_a_table_that_is_partitioned_by_days(
    night: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its first moment to before the next day's, by UTC as Iceberg has days."""
    from pyiceberg.catalog import load_catalog
    from pyiceberg.transforms import DayTransform

    for name in ("URI", "WAREHOUSE"):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{name}", "")
    place = in_lake("iceberg", tmp_path)
    first, end = (dt.datetime.combine(DAY, at) for at in (dt.time(0), dt.time.max))
    moment = dt.timedelta(microseconds=1)
    times = [first - moment, first, end, end, end + moment]
    at = pl.Series(times).gather(pl.int_range(2_000, eager=True) % 5)
    for zone in (None, "UTC"):
        of_zone = at.dt.replace_time_zone(zone)
        place.put("orders", night.read("orders").with_columns(ts=of_zone))
        settings = {
            n: os.environ[f"PYICEBERG_CATALOG__LAKE__{n.upper()}"]
            for n in ("uri", "warehouse")
        }
        with (
            load_catalog("lake", **settings)
            .load_table("shop.orders")
            .update_spec() as spec
        ):
            spec.add_field("ts", DayTransform(), "ts_day")
        chosen = f"{place.address('orders')}&partition=ts={{date}}"
        night.configure(inputs=night.settings()["inputs"] | {"orders": chosen})
        record = night.run(is_forced=True).record
        assert record["inputs"]["orders"]["num_rows"] == 1_200
    night.configure(
        inputs=night.settings()["inputs"] | {"orders": chosen.replace("{date}", "now")}
    )
    with pytest.raises(DataError, match=r"column ts holds .*column of text or days"):
        night.run(is_forced=True)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda log: (log / f"{1:020}.json").unlink(), "lacks a commit"),
        (lambda log: (log / f"{0:020}.json").unlink(), "lacks its first commits"),
        (lambda log: (log / f"{2:020}.json").write_text("{"), "that is cut off"),
    ],
    ids=["gap", "head", "garbage"],
)
def test_a_broken_log_of_a_delta_table_is_told_as_that(
    night: SmallNight, tmp_path: Path, harm: Callable[[Path], object], words: str
) -> None:
    """Which of its files are wrong, and what to do; not what the driver says of it."""
    place = in_lake("delta", tmp_path)
    for _ in range(3):
        place.put("orders", night.read("orders"))
    (log,) = tmp_path.rglob("_delta_log")
    harm(log)
    inputs = night.settings()["inputs"] | {"orders": place.address("orders")}
    night.configure(inputs=inputs)
    said = rf"its log \(_delta_log\) .*{words}.*; bring its files back"
    with pytest.raises(DataError, match=said):
        night.run()


def test_a_mistake_of_our_own_is_no_fault_of_a_table(
    night: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays what it is, so that the log has its stack; a driver's is told."""
    from optimizer.io.sources import delta

    place = in_lake("delta", tmp_path)
    place.put("orders", night.read("orders"))
    inputs = night.settings()["inputs"] | {"orders": place.address("orders")}
    night.configure(inputs=inputs)
    with monkeypatch.context() as patched:
        patched.delattr(delta, "check_files")
        with pytest.raises(NameError, match="check_files"):
            night.run()
    monkeypatch.setattr(delta, "check_files", lambda *_: {}["driver"])
    with pytest.raises(DataError, match=r"cannot be read \('driver'\)"):
        night.run()


class _OneAnswer(BaseHTTPRequestHandler):
    """A REST catalogue that is gone after its first answer."""

    def do_GET(self) -> None:
        """Say what is configured, and stop."""
        body = b'{"defaults": {}, "overrides": {}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        Thread(target=self.server.shutdown).start()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_catalogue_that_goes_away_is_worth_another_try(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers once, and not when it is asked for the table; nothing is published."""
    server = HTTPServer(("127.0.0.1", 0), _OneAnswer)

    def serve() -> None:
        server.serve_forever(0.05)
        server.server_close()

    serving = Thread(target=serve)
    serving.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("PYICEBERG_CATALOG__GOING__URI", address)
    inputs = night.settings()["inputs"]
    night.configure(inputs=inputs | {"merchants": "iceberg://going?table=shop.m"})
    with pytest.raises(BusyError, match=r"does not answer .*(shop|Connection)"):
        night.run()
    serving.join()
    assert not night.run_dir.exists()


@pytest.mark.parametrize("kind", ["silent", "locked"])
def test_a_catalogue_that_does_not_answer_is_worth_another_try(
    night: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """One that takes the call and never answers, and one that another program locks."""
    from optimizer.io.sources import iceberg

    monkeypatch.setattr(iceberg, "PATIENCE_SECONDS", (5.0, 0.2))
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        if kind == "locked":
            path = tmp_path / "lake.db"
            held = sqlite3.connect(path, isolation_level=None)
            held.execute("CREATE TABLE t (a)")
            held.execute("BEGIN EXCLUSIVE")
            address = f"sqlite:///{path}?timeout=0.1"
        monkeypatch.setenv("PYICEBERG_CATALOG__MUTE__URI", address)
        inputs = night.settings()["inputs"]
        night.configure(inputs=inputs | {"merchants": "iceberg://mute?table=shop.m"})
        with pytest.raises(BusyError, match="does not answer"):
            night.run()
    assert not night.run_dir.exists()


def test_a_missing_variable_is_named(night: SmallNight) -> None:
    """An address with an unset variable is a configuration error that names it."""
    from optimizer.errors import ConfigError

    inputs = night.settings()["inputs"]
    night.configure(inputs=inputs | {"merchants": "s3://${NO_SUCH}/m.parquet"})
    with pytest.raises(ConfigError, match="no NO_SUCH; set it"):
        night.run()
