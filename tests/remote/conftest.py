"""Servers, and places that hold the same tables in every way that is read here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from nightly.small_night import DAY, SmallNight, make_night
from servers import SENTINEL, postgres_server, s3_server

BUCKET = "nights"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL of our own: ``HOST:PORT``, user night, database shop."""
    with postgres_server() as address:
        yield address


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 endpoint of our own, with a bucket."""
    import urllib.request

    with s3_server() as endpoint:
        made = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(made, timeout=10).close()
        yield endpoint


@pytest.fixture
def environment(
    postgres: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Credentials and endpoint, where alone they may stand: in the environment."""
    monkeypatch.setenv("PGPASSWORD", SENTINEL)
    monkeypatch.setenv("PG_SERVER", postgres)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "night")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SENTINEL)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)


@dataclass(frozen=True)
class Place:
    """One kind of place: how tables get there, and its address for a name."""

    put: Callable[[str, pl.DataFrame], None]
    address: Callable[[str], str]
    get: Callable[[str], pl.DataFrame]


def sql(text: str) -> list[tuple[Any, ...]]:
    """Run a statement in PostgreSQL, past the code under test."""
    from adbc_driver_postgresql import dbapi

    uri = f"postgresql://night:{SENTINEL}@{os.environ['PG_SERVER']}/shop"
    with dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        rows = cursor.fetchall() if cursor.description else []
        connection.commit()
    return rows


def _postgres() -> Place:
    from adbc_driver_postgresql import dbapi

    def uri() -> str:
        return f"postgresql://night:{SENTINEL}@{os.environ['PG_SERVER']}/shop"

    def put(name: str, frame: pl.DataFrame) -> None:
        with dbapi.connect(uri()) as connection, connection.cursor() as cursor:
            cursor.adbc_ingest(name, frame.to_arrow(), mode="replace")
            connection.commit()

    def get(name: str) -> pl.DataFrame:
        with dbapi.connect(uri()) as connection, connection.cursor() as cursor:
            cursor.execute(f"select * from {name}")
            return pl.DataFrame(pl.from_arrow(cursor.fetch_arrow_table()))

    return Place(
        put, lambda name: f"postgresql://night@${{PG_SERVER}}/shop?table={name}", get
    )


def _duckdb(folder: Path) -> Place:
    import duckdb

    path = folder / "shop.duckdb"

    def put(name: str, frame: pl.DataFrame) -> None:
        with duckdb.connect(str(path)) as connection:
            connection.register("given", frame.to_arrow())
            connection.execute(f"create or replace table {name} as from given")

    def get(name: str) -> pl.DataFrame:
        with duckdb.connect(str(path)) as connection:
            return connection.sql(f"from {name}").pl()

    return Place(put, lambda name: f"duckdb://{path}?table={name}", get)


def _delta(root: str, address: str) -> Place:
    import deltalake

    options = {"allow_http": "true"}

    def put(name: str, frame: pl.DataFrame) -> None:
        deltalake.write_deltalake(
            f"{root}/{name}",
            frame,
            mode="overwrite",
            schema_mode="overwrite",
            storage_options=options,
        )

    def get(name: str) -> pl.DataFrame:
        table = deltalake.DeltaTable(f"{root}/{name}", storage_options=options)
        return pl.DataFrame(table.scan())

    return Place(put, lambda name: f"{address}/{name}", get)


def _s3(folder: Path) -> Place:
    import obstore
    from obstore.store import S3Store

    def store() -> Any:
        return S3Store(BUCKET, client_options={"allow_http": True})

    def put(name: str, frame: pl.DataFrame) -> None:
        frame.write_parquet(folder / "object.parquet")
        obstore.put(store(), f"{DAY}/{name}.parquet", folder / "object.parquet")

    def get(name: str) -> pl.DataFrame:
        found = obstore.get(store(), f"{DAY}/{name}.parquet").bytes()
        return pl.read_parquet(bytes(found))

    return Place(put, lambda name: f"s3://{BUCKET}/{{date}}/{name}.parquet", get)


PLACES = ("postgresql", "duckdb", "delta", "delta+s3", "s3")


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, environment: None, tmp_path: Path) -> Place:
    """Each kind of place in turn."""
    if request.param == "postgresql":
        return _postgres()
    if request.param == "duckdb":
        return _duckdb(tmp_path)
    if request.param == "delta":
        return _delta(str(tmp_path / "lake"), f"delta://{tmp_path}/lake")
    if request.param == "delta+s3":
        root = f"{BUCKET}/{tmp_path.name}"
        return _delta(f"s3://{root}", f"delta+s3://{root}")
    return _s3(tmp_path)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A night's inputs as files; nothing published; no test may change it."""
    return make_night(tmp_path_factory.mktemp("simulated") / "night", num_orders=2_000)


@pytest.fixture
def night(
    simulated: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """A copy of it to work in."""
    from nightly.small_night import copy_night

    return copy_night(simulated, tmp_path / "night", monkeypatch)
