"""Places that hold the same tables in every way that is read here."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.small_night import DAY
from tests.support.system_tools import needs

#: In every secret of the places: no output may hold it.
SENTINEL = "hunter2-sentinel"
BUCKET = "nights"
#: For tests of each kind of place in turn.
POSTGRESQL = pytest.param("postgresql", marks=needs("postgresql"))


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


def in_postgres() -> Place:
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


def in_duckdb(folder: Path) -> Place:
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


def in_delta(root: str, address: str) -> Place:
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


def in_iceberg(folder: Path) -> Place:
    """A catalogue called lake, in SQLite; the environment says where it is."""
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import NoSuchTableError

    settings = {"uri": f"sqlite:///{folder}/lake.db", "warehouse": f"file://{folder}"}
    for name, value in settings.items():
        os.environ[f"PYICEBERG_CATALOG__LAKE__{name.upper()}"] = value
    catalog = load_catalog("lake", **settings)
    catalog.create_namespace_if_not_exists("shop")

    def put(name: str, frame: pl.DataFrame) -> None:
        rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        with suppress(NoSuchTableError):
            catalog.drop_table(f"shop.{name}")
        catalog.create_table(f"shop.{name}", schema=rows.schema).append(rows)

    def get(name: str) -> pl.DataFrame:
        rows = catalog.load_table(f"shop.{name}").scan().to_arrow()
        return pl.DataFrame(pl.from_arrow(rows))

    return Place(put, lambda name: f"iceberg://lake?table=shop.{name}", get)


def in_s3(folder: Path) -> Place:
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
