"""Inputs that would take all memory or time are refused early, with their name."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optimizer.config import as_config
from optimizer.config.limits import Limits
from optimizer.contracts.tables import MERCHANTS, ORDERS
from optimizer.errors import DataError
from optimizer.io.cells import CellRules
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.parquet_pages import chunk_pages, read_footer
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source, read_batches
from optimizer.io.validate import check_batch
from tests.campaigns import bombs, forks

HEADER = ",".join(ORDERS.column_names)


@pytest.mark.slow
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
    num = Limits().num_columns - len(ORDERS.column_names)
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


def limited(**limits: int) -> CellRules:
    """Rules with other limits than the usual ones."""
    return CellRules(limits=Limits(**limits))


def merchants(path: Path, *lines: str) -> Path:
    """A table of merchants as CSV."""
    path.write_text("\n".join(["merchant_id,num_orders", *lines]) + "\n")
    return path


def test_every_limit_is_a_key_of_the_configuration() -> None:
    """What ``limits`` says is what reading holds; the rest keeps its default."""
    from optimizer.io.cells import cell_rules
    from tests.test_hostile import SETTINGS

    config = as_config(SETTINGS | {"limits": {"num_rows": 7}})
    assert cell_rules(config).limits == Limits(num_rows=7)
    assert CellRules().limits == Limits()


def test_more_rows_than_allowed_are_refused(tmp_path: Path) -> None:
    """Three rows where two are allowed, in each format; three where three are pass."""
    frame = pl.DataFrame({"merchant_id": ["a", "b", "c"], "num_orders": [1, 2, 3]})
    paths = [tmp_path / f"merchants.{end}" for end in ("csv", "parquet", "arrow")]
    for path, write in zip(
        paths, (frame.write_csv, frame.write_parquet, frame.write_ipc), strict=True
    ):
        write(path)
        source = open_source(path, MERCHANTS, rules=limited(num_rows=2))
        with pytest.raises(DataError, match=f"{path}.*limits.num_rows allows"):
            list(read_batches(source))
        three = open_source(path, MERCHANTS, rules=limited(num_rows=3))
        assert sum(map(len, read_batches(three))) == 3


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_any_line_that_is_too_long_is_refused(tmp_path: Path, ending: str) -> None:
    """A line of a byte more than allowed is found wherever it is; one less passes."""
    for place in range(3):
        lines = ["m1,1"] * 3
        lines[place] = "m" + "x" * 1_021 + ",1"
        path = tmp_path / "merchants.csv"
        path.write_bytes(ending.join(["merchant_id,num_orders", *lines, ""]).encode())
        assert len(lines[place]) == 1_024
        (frame,) = read_batches(
            open_source(path, MERCHANTS, rules=limited(line_bytes=1_024))
        )
        assert len(frame) == 3
        path.write_bytes(path.read_bytes().replace(b"xx", b"xxx", 1))
        source = open_source(path, MERCHANTS, rules=limited(line_bytes=1_024))
        with pytest.raises(DataError, match=r"merchants\.csv: has a line of more than"):
            list(read_batches(source))


def test_lines_are_measured_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in blocks of a few bytes, the same lines are too long and no others."""
    path = merchants(tmp_path / "merchants.csv", "a,1", "b" * 2_000 + ",2", "c,3")
    for block in (7, 64, 1_000, 1 << 20):
        monkeypatch.setattr("optimizer.io.csv._BLOCK_BYTES", block)
        monkeypatch.setattr("optimizer.io.csv._parsed", lambda *_, **__: iter(()))
        list(
            read_batches(open_source(path, MERCHANTS, rules=limited(line_bytes=2_002)))
        )
        source = open_source(path, MERCHANTS, rules=limited(line_bytes=2_001))
        with pytest.raises(DataError, match="has a line of more than 2,001 bytes"):
            list(read_batches(source))


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 100])
def test_broken_rows_in_a_row_stop_the_reading(tmp_path: Path, batch_rows: int) -> None:
    """
    Three that follow each other stop it, at whatever batch they are cut; three with a
    good row between them do not.
    """
    for lines, is_refused in (
        (["a,1", "b,x", "c,x", "d,x", "e,5"], True),
        (["a,x", "b,x", "c,3", "d,x", "e,5"], False),
    ):
        path, log = merchants(tmp_path / "merchants.csv", *lines), QuarantineLog()
        source = open_source(path, MERCHANTS, rules=limited(broken_rows_in_a_row=2))
        frames = read_batches(source, batch_rows=batch_rows)
        if is_refused:
            with pytest.raises(
                DataError, match="3 rows in a row, from row 2 on, break"
            ):
                [check_batch(frame, source, log) for frame in frames]
        else:
            kept = [check_batch(frame, source, log) for frame in frames]
            assert sum(map(len, kept)) == 2


#: Those that are made fast; ``python -m tests.campaigns.bombs`` tries them all.
BOMBS = (
    *("20,000 columns, Parquet", "a line of 2 GB", "a million references to 100 kB"),
    *("a footer with 2^40 rows", "lists 60 deep, Arrow"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_a_gigabyte(name: str, tmp_path: Path) -> None:
    """Each small file that unpacks, claims or nests without end: 3, with its name."""
    file, make = bombs.BOMBS[name]
    path = tmp_path / file

    def read() -> int:
        make(path)
        with pytest.raises(DataError, match=file):
            list(read_batches(open_source(path, ORDERS)))
        return 0

    log = tmp_path / "log"
    found = forks.ended(forks.begin(read, log), log, 0.0)
    assert found.code == 0, found.text
    assert found.peak_mb < bombs.MOST_MB + forks.own_peak_mb()


@pytest.mark.parametrize("claimed", [50, 99, 101, 8_000])
def test_a_footer_that_lies_of_rows_is_refused(tmp_path: Path, claimed: int) -> None:
    """Readers give as many rows as the footer claims; the pages say how many."""
    path = tmp_path / "orders.parquet"
    bombs.lying(claimed)(path)
    if claimed < 100:
        assert len(pq.read_table(path)) == claimed  # nobody else tells
    with pytest.raises(
        DataError, match=r"orders.parquet: is damaged .*values in its pages"
    ):
        list(read_batches(open_source(path, ORDERS)))


@pytest.mark.parametrize(
    "how",
    [
        {"data_page_version": "2.0"},
        {"compression": "gzip"},
        {"use_dictionary": False, "compression": "none"},
        {"version": "1.0"},
        {"data_page_size": 100},
        {"write_page_index": True},
        {"row_group_size": 1_000},
        {"write_page_checksum": True, "use_byte_stream_split": ["number"]},
    ],
    ids=lambda how: ", ".join(how),
)
def test_page_headers_of_every_writer_are_understood(
    tmp_path: Path, how: dict[str, object]
) -> None:
    """Values by the headers are those of the footer, nulls and long texts too."""
    number = [None if n % 3 else n / 7 for n in range(5_000)]
    text = ["x" * (n % 700) for n in range(5_000)]
    path = tmp_path / "some.parquet"
    if "use_byte_stream_split" in how:
        how = how | {"use_dictionary": ["text"]}
    pq.write_table(pa.table({"number": number, "text": text}), path, **how)
    footer = pq.ParquetFile(path).metadata
    claimed, groups = read_footer(path)
    assert (claimed, len(groups)) == (5_000, footer.num_row_groups)
    with path.open("rb") as file:
        for number, group in enumerate(groups):
            assert group.num_rows == footer.row_group(number).num_rows
            for place, chunk in enumerate(group.chunks):
                theirs = footer.row_group(number).column(place)
                assert chunk.name == theirs.path_in_schema
                assert chunk.is_text == (theirs.physical_type == "BYTE_ARRAY")
                assert chunk.has_dictionary == theirs.has_dictionary_page
                assert chunk_pages(file, chunk).num_values == theirs.num_values


@pytest.mark.slow
def test_a_footer_over_which_a_library_ends_the_process_is_refused(
    tmp_path: Path,
) -> None:
    """Whatever bit of a column in the footer turns: refused or read, and no abort."""
    path = tmp_path / "merchants.parquet"
    frame = pl.DataFrame({"merchant_id": ["a", "b"], "num_orders": [1, None]})
    pq.write_table(frame.to_arrow(), path)
    data = path.read_bytes()
    at = data.rindex(b"num_orders", 0, data.rindex(b"num_orders"))
    for place in range(at, len(data) - 8):
        path.write_bytes(data[:place] + bytes([data[place] ^ 2]) + data[place + 1 :])
        with suppress(DataError):
            list(read_batches(open_source(path, MERCHANTS)))


class Odd(Exception):
    """An error of a library's own class."""


def test_errors_of_readers_are_refusals_and_ours_are_not() -> None:
    """Whatever class a library raises names the file; a fault in our code stays one."""

    def fail(error: Exception) -> Callable[[], None]:
        def work() -> None:
            with damaged_is_data_error("orders.parquet"):
                raise error

        return work

    for error in (Odd("x"), EOFError(), RecursionError("deep"), OverflowError("y")):
        with pytest.raises(DataError, match=r"^orders\.parquet: is damaged"):
            fail(error)()
    with (
        pytest.raises(DataError, match=r"^orders\.parquet: is damaged"),
        damaged_is_data_error("orders.parquet"),
    ):
        pa.array([1]).cast(pa.list_(pa.int8()))
