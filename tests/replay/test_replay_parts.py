"""Verification reads the decisions in parts, and misses nothing at any seam."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet
import pytest

from optimizer.contracts.run_folder import read_record, record_text
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.io import merchant_order, write
from optimizer.io.write import read_back, read_row_groups, write_parquet
from optimizer.replay.run import verify_run
from tests.support.small_night import SmallNight, sha256

DECISIONS = "decisions.parquet"


@pytest.fixture
def night(inputs_only: SmallNight, monkeypatch: pytest.MonkeyPatch) -> SmallNight:
    """A night of 2,000 orders in row groups of 300, sorted in blocks of 450."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 300)
    monkeypatch.setattr(merchant_order, "BLOCK_ROWS", 450)
    monkeypatch.setattr(merchant_order, "MOST_IN_MEMORY", 0)
    inputs_only.run()
    return inputs_only


def rewrite(night: SmallNight, frame: pl.DataFrame) -> None:
    """Put other decisions in place, with their checksum in the record."""
    path = night.run_dir / DECISIONS
    is_agreed = frame.schema == read_back(path).schema
    path.unlink()
    if is_agreed:
        write_parquet(frame, path, EVERY_NIGHT[DECISIONS])
    else:
        pyarrow.parquet.write_table(frame.to_arrow(), path)
    record = read_record(night.run_dir)
    record["outputs"][DECISIONS]["sha256"] = sha256(path)
    (night.run_dir / "run.json").write_text(record_text(record))


@pytest.mark.slow
def test_a_night_in_many_parts_holds_however_it_is_cut(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    Row groups and blocks of other sizes than the published ones are no finding, and
    nothing is left of what was sorted on the disk.
    """
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    frame = read_back(night.run_dir / DECISIONS)
    parts = [len(group) for group in read_row_groups(night.run_dir / DECISIONS)]
    assert parts == [300] * 6 + [200]
    assert verify_run(night.run_dir).findings == ()
    monkeypatch.setattr(merchant_order, "BLOCK_ROWS", 700)
    for rows in (70, 2_000):
        monkeypatch.setattr(write, "ROW_GROUP_ROWS", rows)
        rewrite(night, frame)
        monkeypatch.setattr(write, "ROW_GROUP_ROWS", 300)
        assert verify_run(night.run_dir).findings == ()
    assert [*scratch.iterdir()] == []


ROOM = pl.col("has_room").is_not_null()


@pytest.mark.parametrize("row", [0, 299, 300, 1_000, 1_999])
@pytest.mark.slow
def test_one_changed_number_is_found_in_any_part(night: SmallNight, row: int) -> None:
    """First, last, and at the seams."""
    frame = read_back(night.run_dir / DECISIONS)
    here = pl.int_range(pl.len()) == row
    room = pl.when(here).then(~pl.col("has_room")).otherwise("has_room")
    room = room.fill_null(here)
    rewrite(
        night, frame.with_columns(pl.when(ROOM | here).then(room).alias("has_room"))
    )
    first, *hashes = verify_run(night.run_dir).findings
    assert first == (
        f"{DECISIONS}: column has_room differs from what plan and inputs imply"
    )
    # The evidence is of the true decisions.
    assert all("evidence" in text for text in hashes)
    assert len(hashes) == 3


@pytest.mark.parametrize("change", ["one less", "one more", "other types"])
def test_decisions_with_other_columns_are_none(night: SmallNight, change: str) -> None:
    """A column too few or too many, or of another type, is a finding and no crash."""
    frame = read_back(night.run_dir / DECISIONS)
    changed = {
        "one less": frame.drop("margin_cny"),
        "one more": frame.with_columns(phone=pl.lit("1")),
        "other types": frame.with_columns(pl.col("is_premium").cast(pl.Int8)),
    }[change]
    rewrite(night, changed)
    found = verify_run(night.run_dir).findings
    assert found == (f"{DECISIONS} has other columns than a night's",)
