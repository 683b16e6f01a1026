"""Inputs that would take all memory or time are refused early, with their name."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from optimizer.contracts.tables import MERCHANTS, ORDERS
from optimizer.errors import DataError
from optimizer.io.read import MAX_COLUMNS, open_source, read_batches

HEADER = ",".join(ORDERS.column_names)


def test_more_columns_than_any_table_has_are_refused(tmp_path: Path) -> None:
    """20,000 columns in CSV and Parquet: one line, no work that grows with squares."""
    names = [*ORDERS.column_names, *(f"extra_{n}" for n in range(20_000))]
    file = tmp_path / "orders.csv"
    file.write_text(",".join(names) + "\n")
    parquet = tmp_path / "orders.parquet"
    pl.DataFrame({name: ["x"] for name in names}).write_parquet(parquet)
    with pytest.raises(DataError, match=r"orders.csv: the first line is longer than"):
        open_source(file, ORDERS)
    with pytest.raises(DataError, match=r"orders.parquet: has 20,0\d\d columns"):
        open_source(parquet, ORDERS)


def test_as_many_columns_as_are_allowed_are_read(tmp_path: Path) -> None:
    """The limit is no lower than it says."""
    num = MAX_COLUMNS - len(ORDERS.column_names)
    names = [*ORDERS.column_names, *(f"extra_{n}" for n in range(num))]
    file = tmp_path / "orders.csv"
    file.write_text(",".join(names) + "\n")
    assert len(open_source(file, ORDERS).unread) == num


def test_a_small_file_of_endless_rows_is_refused_early(tmp_path: Path) -> None:
    """A gzip of 90 million rows of nothing ends at the limit; one of rows is read."""
    file = tmp_path / "orders.csv.gz"
    with gzip.open(file, "wb", compresslevel=1) as packed:
        packed.write(f"{HEADER}\n".encode())
        for _ in range(90):
            packed.write(b"\n" * 1_000_000)
    with pytest.raises(DataError, match=r"orders.csv.gz: unpacks to more than"):
        list(read_batches(open_source(file, ORDERS)))


def test_a_broken_footer_is_no_bug(tmp_path: Path) -> None:
    """Column names that are no UTF-8 in a Parquet footer: refused, with the file."""
    file = tmp_path / "orders.parquet"
    pl.DataFrame({name: ["x"] for name in ORDERS.column_names}).write_parquet(file)
    damaged = file.read_bytes().replace(b"merchant_id", b"merchant\xff\xfed")
    file.write_bytes(damaged)
    with pytest.raises(DataError, match=r"orders.parquet: "):
        list(read_batches(open_source(file, ORDERS)))


def test_rows_behind_many_empty_ones_are_read(tmp_path: Path) -> None:
    """A hundred thousand blank lines after the header hide no row."""
    file = tmp_path / "merchants.csv"
    file.write_text("merchant_id,num_orders\n" + "\n" * 100_000 + "m1,3\n")
    (frame,) = read_batches(open_source(file, MERCHANTS))
    assert frame["merchant_id"].to_list() == ["m1"]
