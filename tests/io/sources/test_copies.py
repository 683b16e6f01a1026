"""Copies of a published night: once, whole, again where they did not arrive."""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, get_ident
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog.sql import SqlCatalog as Catalogue

from optimizer.config import load_config
from optimizer.config.address import parse_address
from optimizer.errors import BusyError, ConfigError, DataError, DeliveryError
from optimizer.io.sources import adapter_of
from optimizer.night.deliver import deliver_night
from optimizer.replay.run import verify_run
from tests.support.places import POSTGRESQL, Place, in_postgres, sql
from tests.support.processes import wait_for
from tests.support.small_night import DAY, SmallNight, call, snapshot

OTHER = dt.date(2026, 11, 21)


def table(night: SmallNight, name: str) -> pl.DataFrame:
    """A published table."""
    return pl.read_parquet(night.run_dir / f"{name}.parquet")


def arrived(place: Place, name: str) -> pl.DataFrame:
    """A copy of it without date and run, in order."""
    found = place.get(name)
    front = [c for c in ("run_date", "run_id") if c in found.columns]
    return found.drop(front).sort(pl.all())


def to(place: Place, name: str, table: str = "recommendations") -> dict[str, str]:
    """An entry of ``outputs``."""
    return {"table": table, "to": place.address(name)}


@pytest.mark.slow
def test_a_copy_is_the_published_table(night: SmallNight, place: Place) -> None:
    """Every kind of place gets the rows that were published, of any table."""
    names = ("recommendations", "decisions", "merchants", "lanes", "quarantine")
    night.configure(outputs=[to(place, f"c_{name}", name) for name in names])
    night.run()

    for name in names:
        expected = table(night, name)
        assert arrived(place, f"c_{name}").equals(expected.sort(pl.all())), name
    assert len(table(night, "recommendations")) > 10


def test_a_second_delivery_changes_nothing(night: SmallNight, place: Place) -> None:
    """Rows of the date are replaced, not added; those of other dates stay."""
    night.configure(outputs=[to(place, "idem")])
    night.run()
    first = place.get("idem").sort("order_id")
    config = load_config(night.config)
    assert deliver_night(config, DAY).num_before == 1
    assert len(deliver_night(config, DAY, is_again=True).sent) == 1

    assert place.get("idem").sort("order_id").equals(first)


@pytest.mark.slow
@pytest.mark.parametrize("place", [POSTGRESQL, "duckdb", "delta"], indirect=True)
def test_the_rows_of_another_date_stay(night: SmallNight, place: Place) -> None:
    """A night replaces its own date alone, also when it is solved again."""
    night.configure(outputs=[to(place, "dates")])
    night.run()
    night.input("orders").parent.rename(night.folder / "nights" / str(OTHER))
    orders = night.folder / "nights" / str(OTHER) / "orders.parquet"
    from optimizer.job import run_date

    run_date(load_config(night.config), OTHER)
    of_first = place.get("dates").filter(pl.col("run_date") == DAY).sort("order_id")
    pl.read_parquet(orders).head(1_000).write_parquet(orders)
    again = run_date(load_config(night.config), OTHER, is_forced=True)

    found = place.get("dates")
    assert found.filter(pl.col("run_date") == DAY).sort("order_id").equals(of_first)
    other = found.filter(pl.col("run_date") == OTHER)
    assert len(other) == again.record["summary"]["num_chosen"] > 0
    assert other["run_id"].unique().to_list() == [again.run_dir.resolve().name]


def test_what_does_not_arrive_leaves_the_night_published(
    environment: None,
    night: SmallNight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 75 and what failed; a run again, or ``deliver``, sends the rest."""
    place = in_postgres()
    gone = "postgresql://night@${GONE}/shop?table=late"
    outputs = [to(place, "early"), {"table": "decisions", "to": gone}]
    outputs.append({"table": "lanes", "to": f"duckdb://{tmp_path}/lanes.db?table=t"})
    night.configure(outputs=outputs)
    monkeypatch.setenv("GONE", "127.0.0.1:1")
    words = ("--config", night.config, "--date", DAY)
    left = call(monkeypatch, capsys, "run", *words)

    assert left.code == 75
    assert left.err.startswith("error: runs/2026-11-22: is published, but not all")
    assert "decisions to postgresql://${GONE}/shop?table=late" in left.err
    assert "optimizer deliver 2026-11-22" in left.err
    assert verify_run(night.run_dir).is_valid
    assert (tmp_path / "lanes.db").exists()
    before = snapshot(night.run_dir)

    sql("truncate early")  # what has arrived is not sent again
    left = call(monkeypatch, capsys, "run", *words)
    assert (left.code, sql("select count(*) from early")) == (75, [(0,)])
    monkeypatch.setenv("GONE", os.environ["PG_SERVER"])
    left = call(monkeypatch, capsys, "deliver", DAY, "--config", night.config)
    assert left.code == 0
    assert "decisions to postgresql" in left.out
    assert "arrived before: 2" in left.out
    assert sql("select count(*) from late") == [(2_000,)]
    assert call(monkeypatch, capsys, "run", *words).code == 0
    assert snapshot(night.run_dir) == before


def test_a_night_that_replaces_another_is_sent_again(
    environment: None, night: SmallNight, tmp_path: Path
) -> None:
    """What has arrived belongs to a run, not to a date."""
    address = f"duckdb://{tmp_path}/shop.db?table=t"
    night.configure(outputs=[{"table": "decisions", "to": address}])
    night.run()
    night.write("orders", night.read("orders").head(1_500))
    night.run(is_forced=True)
    import duckdb

    with duckdb.connect(str(tmp_path / "shop.db")) as connection:
        assert connection.sql("select count(*) from t").fetchall() == [(1_500,)]


def test_a_new_place_does_not_make_another_night(
    environment: None, night: SmallNight, tmp_path: Path
) -> None:
    """Copies decide nothing: configured later, they are sent without ``--force``."""
    night.run()
    address = f"duckdb://{tmp_path}/shop.db?table=t"
    night.configure(outputs=[{"table": "lanes", "to": address}])

    assert night.run().outcome == "unchanged"
    assert (tmp_path / "shop.db").exists()
    assert verify_run(night.run_dir).is_valid


def _deliver_slowly(folder: str, started: str) -> None:
    """Hold the connection between the rows and the commit."""
    from optimizer.io.sources import postgres

    rows = postgres.SQL_TYPES  # the module is loaded before it is slowed down
    assert rows
    os.chdir(folder)
    import adbc_driver_postgresql.dbapi as dbapi

    def wait(self: object) -> None:
        Path(started).touch()
        signal.pause()  # until it is killed

    dbapi.Connection.commit = wait  # type: ignore[method-assign]
    deliver_night(load_config("config.yaml"), DAY, is_again=True)


def test_a_killed_delivery_leaves_the_rows_of_before(
    environment: None, night: SmallNight, tmp_path: Path
) -> None:
    """Killed between the copied rows and the commit, PostgreSQL has the old night."""
    place = in_postgres()
    sql("drop table if exists killed")
    night.configure(outputs=[to(place, "killed")])
    night.run()
    first = place.get("killed").sort("order_id")
    started = tmp_path / "started"
    worker = multiprocessing.get_context("spawn").Process(
        target=_deliver_slowly, args=(str(night.folder), str(started))
    )
    worker.start()
    wait_for(started.exists, "the delivery")
    worker.kill()
    worker.join()
    assert place.get("killed").sort("order_id").equals(first)
    deliver_night(load_config(night.config), DAY, is_again=True)
    assert place.get("killed").sort("order_id").equals(first)


@pytest.mark.parametrize("place", [POSTGRESQL, "duckdb"], indirect=True)
@pytest.mark.slow
def test_a_table_of_other_columns_is_left_as_it_was(
    night: SmallNight, place: Place
) -> None:
    """Rows that do not fit are refused in one transaction: nothing was deleted."""
    mine = pl.DataFrame({"run_date": [DAY], "somebody": ["else"]})
    place.put("foreign_table", mine)
    night.configure(outputs=[to(place, "foreign_table")])
    with pytest.raises(DeliveryError, match="foreign_table"):
        night.run()

    assert place.get("foreign_table").equals(mine)
    assert verify_run(night.run_dir).is_valid


def test_a_changed_table_is_not_sent(night: SmallNight, tmp_path: Path) -> None:
    """What is no longer what was published goes nowhere."""
    night.run()
    address = f"duckdb://{tmp_path}/shop.db?table=t"
    night.configure(outputs=[{"table": "lanes", "to": address}])
    path = night.run_dir / "lanes.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(DeliveryError, match="was changed after it was published"):
        deliver_night(load_config(night.config), DAY)
    assert not (tmp_path / "shop.db").exists()


def test_delivering_needs_a_night_and_a_place(
    night: SmallNight, tmp_path: Path
) -> None:
    """Neither an unpublished date nor a configuration without copies is a bug."""
    with pytest.raises(ConfigError, match="outputs or outbox"):
        deliver_night(load_config(night.config), DAY)
    address = f"duckdb://{tmp_path}/shop.db?table=t"
    night.configure(outputs=[{"table": "lanes", "to": address}])
    with pytest.raises(DataError, match="is not a published run"):
        deliver_night(load_config(night.config), DAY)


def test_a_night_fills_its_outboxes(night: SmallNight) -> None:
    """All recommended orders are in the outbox: what is refused was not chosen."""
    boxes = [
        {"platform": "douyin", "format": kind, "to": f"out/{{date}}.{kind}"}
        for kind in ("jsonl", "csv")
    ]
    night.configure(outbox=boxes)
    night.run()
    chosen = table(night, "recommendations").sort("order_id")
    taken_by = ["zhongtong", "yuantong", "yunda"]
    assert chosen["carrier_id"].is_in(taken_by).all()
    box = pl.read_ndjson(night.folder / "out" / f"{DAY}.jsonl")
    assert (night.folder / "out" / f"{DAY}.refused.jsonl").read_bytes() == b""
    assert box.sort("order_id")["order_id"].equals(chosen["order_id"])
    left_out = table(night, "decisions").filter(pl.col("reason") == "NOT_DELIVERABLE")
    assert len(left_out) > 0
    as_csv = pl.read_csv(night.folder / "out" / f"{DAY}.csv", infer_schema=False)
    assert as_csv.equals(box.select(as_csv.columns).cast(pl.String))


def test_an_outbox_that_cannot_be_written_is_tried_again(night: SmallNight) -> None:
    """A folder in the way is a copy that did not arrive, not a bug."""
    box = {"platform": "douyin", "format": "jsonl", "to": "box.jsonl"}
    night.configure(outbox=[box])
    (night.folder / "box.jsonl").mkdir()
    with pytest.raises(DeliveryError, match=r"box\.jsonl cannot be written"):
        night.run()
    (night.folder / "box.jsonl").rmdir()
    assert night.run().outcome == "unchanged"
    assert (night.folder / "box.jsonl").is_file()


def test_a_dry_run_sends_nothing(night: SmallNight, tmp_path: Path) -> None:
    """Copies are made of published nights alone."""
    address = f"duckdb://{tmp_path}/shop.db?table=t"
    box = {"platform": "douyin", "format": "jsonl", "to": "outbox.jsonl"}
    night.configure(outputs=[{"table": "lanes", "to": address}], outbox=[box])
    night.run(is_dry=True)

    assert not (tmp_path / "shop.db").exists()
    assert not (night.folder / "outbox.jsonl").exists()


def test_the_json_of_deliver_says_what_was_sent(
    night: SmallNight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One JSON object on stdout."""
    night.run()
    address = f"duckdb://{tmp_path}/shop.db?table=t"
    night.configure(outputs=[{"table": "lanes", "to": address}])
    words = ("deliver", DAY, "--config", night.config, "--json")
    found = json.loads(call(monkeypatch, capsys, *words).out)
    assert found["sent"] == [f"lanes to {address}"]
    assert found["num_before"] == 0


LAKES = pytest.mark.parametrize("place", ["delta", "iceberg"], indirect=True)


@LAKES
@pytest.mark.parametrize("is_older", [True, False])
def test_a_table_may_have_fewer_columns_or_more(
    night: SmallNight, place: Place, *, is_older: bool
) -> None:
    """One of an older version gets what it lacks; a column of its owner stays."""
    night.configure(outputs=[to(place, "copied", "merchants")])
    night.run()
    found = place.get("copied")
    others = found.with_columns(run_date=pl.lit(OTHER))
    last = found.columns[-1]
    place.put(
        "copied",
        others.drop(last) if is_older else others.with_columns(mine=pl.lit("kept")),
    )
    deliver_night(load_config(night.config), DAY, is_again=True)

    now = place.get("copied")
    assert (
        now.filter(run_date=DAY)
        .select(found.columns)
        .sort("merchant_id")
        .equals(found.sort("merchant_id"))
    )
    before = now.filter(run_date=OTHER)
    assert len(before) == len(found)
    if is_older:
        assert before[last].null_count() == len(found)
    else:
        assert {*before["mine"]} == {"kept"}


@LAKES
@pytest.mark.parametrize("is_of_nights", [True, False])
def test_a_table_of_something_else_stays_what_it_is(
    night: SmallNight, place: Place, *, is_of_nights: bool
) -> None:
    """A copy of another table, and what is no copy at all, are not written into."""
    foreign = pl.DataFrame({"x": [1, 2]})
    if is_of_nights:
        foreign = foreign.with_columns(run_date=pl.lit(DAY), run_id=pl.lit("a"))
    place.put("foreign", foreign)
    night.configure(outputs=[to(place, "foreign")])
    with pytest.raises(DeliveryError, match=r"not a table of this copy.*name a table"):
        night.run()
    assert place.get("foreign").equals(foreign)


@pytest.mark.parametrize("is_there", [True, False])
@LAKES
def test_of_two_that_write_at_once_one_is_read(
    place: Place, monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    """Also where both make the table: a date has the rows of one; who lost is told."""
    address = parse_address(place.address("made"))
    adapter = adapter_of(address)

    def rows(run_id: str) -> pa.Table:
        columns = {"run_id": [run_id] * 3, "order_id": ["a", "b", "c"]}
        days = pa.array([DAY] * 3, pa.date32())
        return pa.table({"run_date": days, **columns})

    if is_there:
        adapter.write_rows(address, rows("before").to_reader(), DAY)
    both, asking = Barrier(2), set[int]()

    def together(original: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*given: Any, **named: Any) -> Any:
            try:
                return original(*given, **named)
            finally:
                if get_ident() not in asking:  # drivers ask again to commit
                    asking.add(get_ident())
                    both.wait(timeout=20)

        return asked

    def write(run_id: str) -> str:
        try:
            adapter.write_rows(address, rows(run_id).to_reader(), DAY)
        except BusyError as error:
            return str(error)
        return run_id

    if address.scheme == "delta":
        asks, name = DeltaTable, "is_deltatable"
        monkeypatch.setattr(asks, name, staticmethod(together(asks.is_deltatable)))
    else:
        monkeypatch.setattr(Catalogue, "load_table", together(Catalogue.load_table))
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(write, ["first", "second"]))
    monkeypatch.undo()
    found = place.get("made")
    (run_id,) = found["run_id"].unique()
    assert len(found) == 3
    (told,) = [text for text in ended if text != run_id]
    is_replaced = told in ("first", "second")  # by one that came just after it
    assert is_replaced or "written by another run meanwhile" in told
