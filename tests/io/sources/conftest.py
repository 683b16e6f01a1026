"""Servers, and places that hold the same tables in every way that is read here."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import (
    BUCKET,
    POSTGRESQL,
    SENTINEL,
    Place,
    in_delta,
    in_duckdb,
    in_iceberg,
    in_postgres,
    in_s3,
)
from tests.support.postgres import Server
from tests.support.s3 import s3_server
from tests.support.small_night import SmallNight, copy_night, make_night


@pytest.fixture(scope="session")
def postgres(server: Server) -> str:
    """A database of its own, shop, with a user of its own, night: ``HOST:PORT``."""
    server.psql(f"CREATE ROLE night SUPERUSER LOGIN PASSWORD '{SENTINEL}'")
    server.psql("CREATE DATABASE shop OWNER night")
    return f"127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 endpoint of our own, with a bucket."""
    with s3_server() as endpoint:
        made = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(made, timeout=10).close()
        yield endpoint


@pytest.fixture
def s3_environment(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and endpoint, where alone they may stand: in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "night")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SENTINEL)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)


@pytest.fixture
def environment(
    postgres: str, s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, and those of the database."""
    monkeypatch.setenv("PGPASSWORD", SENTINEL)
    monkeypatch.setenv("PG_SERVER", postgres)


PLACES = (
    POSTGRESQL,
    "duckdb",
    "delta",
    # What it adds to the two beside it takes a second of each test.
    pytest.param("delta+s3", marks=pytest.mark.slow),
    "iceberg",
    "s3",
)


@pytest.fixture(params=PLACES)
def place(
    request: pytest.FixtureRequest,
    s3_environment: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    """Each kind of place in turn."""
    if request.param == "postgresql":
        request.getfixturevalue("environment")
        return in_postgres()
    if request.param == "duckdb":
        return in_duckdb(tmp_path)
    if request.param == "delta":
        return in_delta(str(tmp_path / "lake"), f"delta://{tmp_path}/lake")
    if request.param == "delta+s3":
        root = f"{BUCKET}/{tmp_path.name}"
        return in_delta(f"s3://{root}", f"delta+s3://{root}")
    if request.param == "iceberg":
        for name in ("URI", "WAREHOUSE"):  # given back after the test
            monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{name}", "")
        return in_iceberg(tmp_path)
    return in_s3(tmp_path)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A night's inputs as files; nothing published; no test may change it."""
    return make_night(tmp_path_factory.mktemp("simulated") / "night", num_orders=2_000)


@pytest.fixture
def night(
    simulated: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """A copy of it to work in."""
    return copy_night(simulated, tmp_path / "night", monkeypatch)
