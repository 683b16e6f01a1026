"""Sorting more rows than memory holds gives what sorting in memory gives."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optimizer.contracts.tables import RECOMMENDATIONS
from optimizer.io import external_sort, write
from optimizer.io.external_sort import sorted_batches
from optimizer.io.write import read_back, row_group_digests, write_batches


def shuffled(num_rows: int, seed: int) -> list[pl.DataFrame]:
    ids = [f"ö{n}" if n % 7 else f"a{n}" for n in range(num_rows)]
    order = np.random.default_rng(seed).permutation(num_rows)
    frame = pl.DataFrame({"order_id": [ids[i] for i in order], "row": order})
    return [frame[first : first + 301] for first in range(0, num_rows, 301)]


@pytest.mark.parametrize("sample_every", [3, 100, 10_000])
@pytest.mark.parametrize("num_rows", [1, 999, 5_000])
def test_buckets_on_disk_are_one_sorted_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_rows: int, sample_every: int
) -> None:
    """Whatever the sample and the number of buckets: all rows, ascending, once."""
    monkeypatch.setattr(external_sort, "BUCKET_ROWS", 700)
    frames = shuffled(num_rows, seed=num_rows)
    everything = pl.concat(frames)
    scratch = tmp_path / "scratch"
    batches = list(
        sorted_batches(
            iter(frames),
            "order_id",
            sample=everything["order_id"].gather_every(sample_every).to_list(),
            num_rows=num_rows,
            scratch=scratch,
        )
    )
    assert pl.concat(batches).equals(everything.sort("order_id"))
    assert not scratch.exists()
    if num_rows == 5_000 and sample_every < 10_000:
        assert len(batches) > 3


def test_a_reader_that_stops_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the writing fails in the middle, the scratch folder is gone."""
    monkeypatch.setattr(external_sort, "BUCKET_ROWS", 100)
    frames = shuffled(1_000, seed=1)
    batches = sorted_batches(
        iter(frames),
        "order_id",
        sample=frames[0]["order_id"].to_list(),
        num_rows=1_000,
        scratch=tmp_path / "scratch",
    )
    next(batches)
    batches.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("piece", [1, 10, 64, 1_000])
def test_pieces_do_not_show_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    """The same rows in pieces of any size are the same bytes, and read back equal."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 64)
    names = RECOMMENDATIONS.column_names
    frame = pl.DataFrame(
        {n: [f"{n}{i}" for i in range(200)] for n in names if n != "saving_cny"}
    ).with_columns(saving_cny=pl.int_range(200) / 7)
    whole, pieces = tmp_path / "whole.parquet", tmp_path / "pieces.parquet"
    write_batches([frame], whole, RECOMMENDATIONS)
    cut = [frame[i : i + piece] for i in range(0, 200, piece)]
    written = write_batches(cut, pieces, RECOMMENDATIONS, has_digests=True)
    assert (written.num_rows, len(written.digests)) == (200, 4)
    assert pieces.read_bytes() == whole.read_bytes()
    assert written.sha256 == hashlib.sha256(whole.read_bytes()).hexdigest()
    assert row_group_digests(pieces) == [*written.digests]
    assert read_back(pieces).equals(frame.select(names))


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    """Nothing chosen is a table without rows, not a missing file."""
    path = tmp_path / "none.parquet"
    written = write_batches([], path, RECOMMENDATIONS, has_digests=True)
    assert written.num_rows == 0
    assert row_group_digests(path) == [*written.digests]
    assert tuple(read_back(path).columns) == RECOMMENDATIONS.column_names
