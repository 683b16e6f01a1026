"""Rows stand in one order, beyond memory too; pieces do not show in a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optimizer.contracts.tables import RECOMMENDATIONS
from optimizer.io import external_sort, write
from optimizer.io.external_sort import sorted_rows
from optimizer.io.write import read_back, row_group_digests, write_batches


def shuffled(num_rows: int, seed: int) -> list[pl.DataFrame]:
    ids = [f"ö{n}" if n % 7 else f"a{n}" for n in range(num_rows)]
    order = np.random.default_rng(seed).permutation(num_rows)
    frame = pl.DataFrame({"order_id": [ids[i] for i in order], "row": order})
    return [frame[first : first + 301] for first in range(0, num_rows, 301)]


def in_order(
    frames: list[pl.DataFrame], ids: list[str], scratch: Path
) -> list[pl.DataFrame]:
    return list(sorted_rows(iter(frames), ids, scratch))


@pytest.mark.parametrize("held", [1, 9_000, 40_000, 10**9])
@pytest.mark.parametrize("num_rows", [0, 1, 999, 5_000])
def test_the_order_is_that_of_the_rows_however_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_rows: int, held: int
) -> None:
    """In memory or in runs on the disk, shuffled or not: every row, in one order."""
    monkeypatch.setattr(external_sort, "PIECE_ROWS", 700)
    none = [pl.DataFrame(schema={"order_id": pl.String, "row": pl.Int64})]
    other = none + shuffled(num_rows, seed=1)
    expected = pl.concat(none + in_order(other, ["order_id"], tmp_path / "a"))
    monkeypatch.setattr(external_sort, "HELD_BYTES", held)
    scratch = tmp_path / "scratch"
    pieces = in_order(none + shuffled(num_rows, seed=2), ["order_id"], scratch)
    found = pl.concat(none + pieces)
    assert found["order_id"].equals(expected["order_id"])
    everything = pl.concat(none + shuffled(num_rows, seed=2))
    assert found.sort("row").equals(everything.sort("row"))
    assert max(map(len, pieces), default=0) <= 700
    assert not scratch.exists()


@pytest.mark.parametrize("held", [1, 10**9])
@pytest.mark.parametrize("ids", [["a"], ["a", "b"]])
def test_rows_that_their_ids_do_not_tell_apart_stand_by_their_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ids: list[str], held: int
) -> None:
    """Equal and missing ids, a missing one beside an empty one: still one order."""
    monkeypatch.setattr(external_sort, "HELD_BYTES", held)
    rows = [
        {"a": a, "b": b, "c": c}
        for a in ("x", "y", "", None)
        for b in ("1", "2", None)
        for c in (None, -1.5, 0.0, 7.25)
    ]
    first = pl.DataFrame(rows)
    mixed = first[np.random.default_rng(0).permutation(len(first))]
    left = pl.concat(in_order([first[:20], first[20:]], ids, tmp_path / "x"))
    right = pl.concat(in_order([mixed[:7], mixed[7:]], ids, tmp_path / "y"))
    assert left.equals(right)
    assert left.sort("a", "b", "c").equals(first.sort("a", "b", "c"))


def test_a_reader_that_stops_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the writing fails in the middle, the scratch folder is gone."""
    monkeypatch.setattr(external_sort, "HELD_BYTES", 5_000)
    frames = shuffled(1_000, seed=1)
    rows = sorted_rows(iter(frames), ["order_id"], tmp_path / "scratch")
    next(rows)
    assert list(tmp_path.iterdir())
    rows.close()
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
