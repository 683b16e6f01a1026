"""Rights of files, addresses that were mistyped, secrets in queries, links out."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from optimizer.config import as_config
from optimizer.errors import ConfigError, DataError, DeliveryError
from optimizer.explain.sentences import explain_run
from optimizer.io.read import find_files
from optimizer.night.prune import find_leftovers, prune
from optimizer.verify.night import verify_night
from tests.support.small_night import DAY, SmallNight, snapshot
from tests.test_hostile import SETTINGS


def modes(folder: Path) -> set[int]:
    """Modes of all files of a folder."""
    return {path.stat().st_mode & 0o7777 for path in folder.iterdir()}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(("given", "bits"), [({}, 0o640), ({"mode": "0600"}, 0o600)])
def test_published_files_have_their_mode_whatever_the_umask(
    inputs_only: SmallNight, umask: int, given: dict[str, str], bits: int
) -> None:
    """Every file of the night and of an outbox; 0640 where nothing is said."""
    box = {"platform": "douyin", "format": "csv", "to": "out/douyin.csv"}
    inputs_only.configure(files=given, outbox=[box])
    before = os.umask(umask)
    try:
        inputs_only.run()
    finally:
        os.umask(before)
    assert modes(inputs_only.run_dir) == {bits}
    assert modes(inputs_only.folder / "out") == {bits}


@pytest.mark.parametrize(
    ("umask", "mode", "wanted"),
    [(0o077, "0640", 0o750), (0o077, "0600", 0o700), (0o022, "0600", 0o755)],
)
def test_folders_let_in_whoever_may_read_the_files_in_them(
    inputs_only: SmallNight, umask: int, mode: str, wanted: int
) -> None:
    """Above a night, its inputs and an outbox; state, locks and chain as the umask."""
    box = {"platform": "douyin", "format": "csv", "to": "out/{date}/douyin.csv"}
    inputs_only.configure(files={"mode": mode}, outbox=[box])
    before = os.umask(umask)
    try:
        inputs_only.run()
    finally:
        os.umask(before)
    runs, out = inputs_only.runs, inputs_only.folder / "out"
    version = inputs_only.run_dir.resolve()
    kept = runs / ".inputs" / str(DAY)
    above = [runs, version, version.parent, version.parent.parent, kept, kept.parent]
    rights = {each.stat().st_mode & 0o7777 for each in (*above, out, out / str(DAY))}
    assert rights == {wanted}
    assert modes(kept) == {int(mode, 8) & 0o440}
    own = (runs / ".locks").stat().st_mode & 0o7777
    assert own == 0o777 & ~umask


@pytest.mark.parametrize(
    "mode", ["640", "0400", "0777", "abc", "0o640", "6400", "0680"]
)
def test_only_modes_that_can_be_read_and_written_are_taken(mode: str) -> None:
    """Octal digits in which the owner may read and write and nobody execute."""
    if mode == "640":
        assert as_config(SETTINGS | {"files": {"mode": mode}}).files.mode_bits == 0o640
        return
    with pytest.raises(ConfigError, match=r"files\.mode: must"):
        as_config(SETTINGS | {"files": {"mode": mode}})


MISTYPED = {
    "s3:/bucket/orders.parquet": "s3://BUCKET/KEY",
    "s3:bucket/orders.parquet": "s3://BUCKET/KEY",
    "s3//bucket/orders.parquet": "s3://BUCKET/KEY",
    "S3A:/bucket/orders.parquet": "s3://BUCKET/KEY",
    "postgres:host/db?password=hush": "postgresql://HOST/DATABASE?table=NAME",
    "postgresql:/night:hush@db/shop": "postgresql://HOST/DATABASE?table=NAME",
    "duckdb:/var/shop.duckdb": "duckdb:///PATH?table=NAME",
    "delta:/var/orders": "delta:///PATH",
    "https:/example.org/orders.csv": "SCHEME://PLACE",
}


@pytest.mark.parametrize("text", MISTYPED)
def test_an_address_without_its_slashes_is_caught(text: str) -> None:
    """Told with what to write, without a word of what was written."""
    inputs = {"orders": text, "capacity": "capacity.csv"}
    with pytest.raises(ConfigError, match=re.escape(MISTYPED[text])) as caught:
        as_config(SETTINGS | {"inputs": inputs})
    assert "inputs.orders: looks like an address without ://" in str(caught.value)
    assert "hush" not in str(caught.value)
    with pytest.raises(DataError, match=re.escape(MISTYPED[text])):
        find_files(text, "orders")


@pytest.mark.parametrize(
    "path", ["./s3:/x.csv", "s3/x.csv", "a:b.csv", "{date}/s3:x.csv"]
)
def test_a_path_is_no_mistyped_address(path: str) -> None:
    """A folder named like a scheme, a colon in a name."""
    inputs = {"orders": path, "capacity": "capacity.csv"}
    assert as_config(SETTINGS | {"inputs": inputs}).inputs is not None


QUERIES = (
    "select * from dblink('host=x user=y password=hush', 'select 1')",
    "select * from t where api_key = 'hush'",
    "select fetch('https://night:hush@example.org/')",
    "select * from t where k = 'AKIA1234567890ABCDEF'",
    "select * from t where k = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x'",
    "select * from t where k = 'aGVsbG8gd29ybGQxMjM0NTY3ODkwYWJjZGVm'",
)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_with_a_secret_is_refused_and_not_repeated(query: str) -> None:
    """Every night would record it: a view in the database holds what it needs."""
    address = f"postgresql://db/shop?query={query}"
    inputs = {"orders": address, "capacity": "capacity.csv"}
    with pytest.raises(ConfigError, match="make a view in the database") as caught:
        as_config(SETTINGS | {"inputs": inputs})
    literal = re.findall(r"hush|AKIA\w+|eyJ\w+|aGVs\w+", query)[0]
    assert literal not in str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "select token_count, is_secret from orders where day = '{date}'",
        "select * from orders where id <> '550e8400-e29b-41d4-a716-446655440000'",
        "select * from orders where note like '%password%'",
    ],
)
def test_a_query_without_a_secret_is_taken(query: str) -> None:
    """Names of columns, an id and a pattern are none."""
    address = f"postgresql://db/shop?query={query}"
    inputs = {"orders": address, "capacity": "capacity.csv"}
    assert as_config(SETTINGS | {"inputs": inputs}).inputs is not None


@pytest.mark.parametrize("place", [".versions", ".inputs"])
def test_a_link_out_of_the_nights_is_never_followed_to_remove(
    published: SmallNight, place: str
) -> None:
    """
    A date's folder that is a link to somebody's: neither prune nor the next run removes
    anything there, not even what looks like leftovers.
    """
    published.configure(keep={"versions": 1})
    precious = published.folder / "precious"
    for name in (".staging-0123", "0123456789abcdef"):
        (precious / name).mkdir(parents=True)
        (precious / name / "file").write_text("mine")
    (precious / "orders-0123.parquet").write_text("mine")
    link = published.runs / place / "2026-11-21"
    link.symlink_to(precious)
    before = snapshot(precious)
    config = as_config(published.config)
    assert not [x for x in find_leftovers(config) if "2026-11-21" in str(x.path)]
    prune(config)
    assert snapshot(precious) == before
    inner = published.runs / place / str(DAY) / "0123456789abcdee"
    inner.symlink_to(precious)
    prune(config)
    assert not inner.is_symlink()
    assert snapshot(precious) == before


def test_a_run_removes_no_leftovers_behind_a_link(published: SmallNight) -> None:
    """The date's own versions elsewhere, by a link: what lies there stays."""
    versions = published.runs / ".versions" / str(DAY)
    elsewhere = published.folder / "elsewhere"
    versions.rename(elsewhere)
    versions.symlink_to(elsewhere)
    (elsewhere / ".staging-0123").mkdir()
    (elsewhere / ".staging-0123" / "file").write_text("mine")
    published.configure(solver={"time_limit_seconds": 60})
    published.run(is_forced=True)
    assert (elsewhere / ".staging-0123" / "file").read_text() == "mine"


@pytest.mark.parametrize("place", [f".locks/{DAY}", ".locks/last-step", ".inputs"])
def test_something_else_in_a_place_of_ours_is_named(
    published: SmallNight, place: str
) -> None:
    """A folder for a file, a file for a folder: refused, with its path, and no bug."""
    path = published.runs / place
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("mine")
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    before = published.run_dir.resolve()
    published.configure(solver={"time_limit_seconds": 60})
    with pytest.raises(DataError, match=re.escape(place)) as caught:
        published.run(is_forced=True)
    assert "something else is in its place" in str(caught.value)
    assert published.run_dir.resolve() == before


def test_receipts_that_cannot_be_written_do_not_deny_the_night(
    published: SmallNight,
) -> None:
    """The copies went out, and the message says what will be sent again."""
    (published.runs / ".delivered").write_text("mine")
    box = {"platform": "douyin", "format": "csv", "to": "out/douyin.csv"}
    published.configure(outbox=[box], solver={"time_limit_seconds": 60})
    with pytest.raises(DeliveryError, match="what arrived is sent again"):
        published.run(is_forced=True)
    assert (published.folder / "out" / "douyin.csv").is_file()


def test_a_link_that_leads_to_itself_is_told(published: SmallNight) -> None:
    """A date whose folder of versions is a circle: a refusal, not a bug."""
    versions = published.runs / ".versions" / str(DAY)
    shutil.rmtree(versions)
    versions.symlink_to(versions.name)
    with pytest.raises(DataError, match="is a link that leads to itself"):
        verify_night(published.run_dir)


@pytest.mark.parametrize("other", [b"merchant_xx", b"merchantOid"])
def test_explaining_from_a_table_that_was_changed_is_refused(
    published: SmallNight, other: bytes
) -> None:
    """A column under another name, or without the order's merchant: not a bug."""
    path = published.run_dir / "merchants.parquet"
    order_id = published.read("orders")["order_id"][0]
    frame = pl.read_parquet(path)
    path.unlink()
    frame.clear().write_parquet(path)
    with pytest.raises(DataError, match=r"merchants\.parquet: has no row of"):
        explain_run(published.run_dir, order_id)
    frame.rename({"merchant_id": other.decode()}).write_parquet(path)
    with pytest.raises(DataError, match=r"merchants\.parquet: is damaged"):
        explain_run(published.run_dir, order_id)
