"""What is written is read back bit for bit, or the damage is found."""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from optimizer.config.address import parse_address
from optimizer.contracts.columns import Column, Table, polars_type
from optimizer.contracts.tables import DECISIONS, PUBLISHED
from optimizer.errors import DataError, MachineError
from optimizer.io import write
from optimizer.io.arrow_files import arrow_batches
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.read import open_source, read_batches
from optimizer.io.sources import read_faults
from optimizer.io.write import read_back, write_parquet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optimizer.config.address import Address

SMALL = Table(
    "small",
    "one column with nulls",
    (Column("load", "count", "slots"),),
)


def make_decisions(num_rows: int = 300) -> pl.DataFrame:
    """Decisions with nulls, few and many distinct values."""
    rng = random.Random(1)
    rows = range(num_rows)
    return pl.DataFrame(
        {
            "order_id": [f"o{row:05d}" for row in rows],
            "merchant_id": [f"商家{row % 7}" for row in rows],
            "is_premium": [rng.random() < 0.1 for _ in rows],
            "carrier_id": [rng.choice(["yunda", "sf", None]) for _ in rows],
            "saving_cny": [rng.gauss(0, 1) for _ in rows],
            "reason": [rng.choice(["CHOSEN", "CAP_FULL"]) for _ in rows],
            "margin_cny": [rng.choice([None, rng.random()]) for _ in rows],
            "margin_low_cny": [None for _ in rows],
            "margin_high_cny": [rng.choice([None, rng.random()]) for _ in rows],
            "surplus_cny": [rng.random() for _ in rows],
            "has_room": [rng.choice([None, True, False]) for _ in rows],
            "ineligible_reason": [rng.choice([None, None, "gift"]) for _ in rows],
            "arm": [rng.choice([None, "policy", "explore"]) for _ in rows],
            "propensity": [rng.choice([0.0, 0.98]) for _ in rows],
        }
    )


def read_as_input(table: Table) -> Callable[[Path], pl.DataFrame]:
    """Read as the tables of a night are read."""

    def read(path: Path) -> pl.DataFrame:
        batches = list(read_batches(open_source(path, table)))
        return pl.concat(batches).drop("row") if batches else pl.DataFrame()

    return read


def data_size(content: bytes) -> int:
    """Bytes before the footer: the pages with their headers."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def wrong_readings(
    path: Path, bits: list[int], read: Callable[[Path], pl.DataFrame]
) -> list[int]:
    """Bits that, flipped, make another table out of the file without an error."""
    content, expected, wrong = path.read_bytes(), read(path), []
    for bit in bits:
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            if not read(path).equals(expected):
                wrong.append(bit)
        except DataError as error:
            if str(path) not in str(error):
                wrong.append(bit)
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["back", "input"])
def test_a_flipped_bit_never_makes_another_table(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred places in the pages: each is refused or changes nothing."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 100)
    path = tmp_path / "decisions.parquet"
    write_parquet(make_decisions(), path, DECISIONS)
    size = data_size(path.read_bytes())
    bits = random.Random(2).sample(range(32, 8 * size), 200)
    read = read_back if reader == "back" else read_as_input(DECISIONS)

    assert wrong_readings(path, bits, read) == []


@pytest.mark.slow
@pytest.mark.parametrize("rows_in_group", [12, 36])
def test_no_single_bit_of_a_small_file_is_trusted_blindly(
    rows_in_group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Every bit of pages and page headers: refused, or nothing changes.

    Headers carry no checksum; the number of rows must tell.
    """
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", rows_in_group)
    path = tmp_path / "small.parquet"
    loads = [None if row % 3 == 0 else row % 5 for row in range(36)]
    write_parquet(pl.DataFrame({"load": loads}), path, SMALL)
    bits = list(range(8 * data_size(path.read_bytes())))

    assert wrong_readings(path, bits, read_as_input(SMALL)) == []


@pytest.mark.parametrize("table", PUBLISHED.values(), ids=lambda table: table.name)
def test_what_is_written_is_read_back(table: Table, tmp_path: Path) -> None:
    """Every table of a night keeps columns, order, types, nulls and no rows too."""
    schema = {column.name: polars_type(column.kind) for column in table.columns}
    rows = {name: [None, None] for name in schema}
    for frame in (pl.DataFrame(schema=schema), pl.DataFrame(rows, schema=schema)):
        path = tmp_path / f"{len(frame)}.parquet"
        shuffled = frame.select(reversed(frame.columns), extra=pl.lit(1))
        write_parquet(shuffled, path, table)
        found = read_back(path)

        assert found.schema == frame.schema
        assert found.equals(frame)


def test_the_same_table_is_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the table lies in memory, its file is the same, and has checksums."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 64)
    whole = make_decisions()
    parts = pl.concat([whole.head(13), whole.slice(13, 200), whole.tail(87)])
    sliced = pl.concat([whole.head(5), whole]).tail(len(whole))
    typed = whole.with_columns(pl.col("reason").cast(pl.Categorical), z=pl.lit(1))
    forms = [whole, parts.rechunk(), parts, sliced, typed]
    for place, form in enumerate(forms):
        write_parquet(form, tmp_path / f"{place}.parquet", DECISIONS)
    contents = [path.read_bytes() for path in sorted(tmp_path.iterdir())]

    assert len(contents) == len(forms)
    assert len(set(contents)) == 1
    assert pq.ParquetFile(tmp_path / "0.parquet").num_row_groups == 5


def test_a_file_that_exists_is_never_written_over(tmp_path: Path) -> None:
    """Writing to a path that exists fails and leaves the file as it was."""
    path = tmp_path / "decisions.parquet"
    path.write_text("mine")

    with pytest.raises(FileExistsError):
        write_parquet(make_decisions(), path, DECISIONS)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("size", [0, 4, 100, -1])
def test_reading_back_a_cut_file_is_an_error(size: int, tmp_path: Path) -> None:
    """A file that lost its end is named as damaged."""
    path = tmp_path / "decisions.parquet"
    write_parquet(make_decisions(), path, DECISIONS)
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(DataError, match=f"^{path}: is damaged or truncated"):
        read_back(path)


def test_bits_beside_the_text_of_a_view_change_nothing(tmp_path: Path) -> None:
    """
    The unused bytes of the view of a null: polars ended the process over one of them.
    Texts are copied out of their views, so that every such byte is as good as another.
    """
    table = Table("small", "a text", (Column("note", "text", "a note"),))
    texts = [None if row % 2 else f"a text that is longer {row}" for row in range(300)]
    path = tmp_path / "small.arrow"
    pl.DataFrame({"note": texts}).write_ipc(path, compression="uncompressed")
    data = path.read_bytes()
    (expected,) = read_batches(open_source(path, table))
    first = data.index(texts[0].encode()[:4] + bytes(4)) - 4 + 16
    assert data[first : first + 16] == bytes(16)  # the view of the second row
    path.write_bytes(data[: first + 9] + b"\x10" + data[first + 10 :])
    (frame,) = read_batches(open_source(path, table))
    assert frame.equals(expected)
    with pyarrow.ipc.open_file(path) as reader:
        kinds = {field.type for field in reader.schema}
    assert kinds == {pa.string_view()}
    (batch,) = arrow_batches(path, ["note"])
    assert batch.schema.field("note").type == pa.large_string()


class PanicException(BaseException):
    """What a library in Rust raises when it gives up."""


def _give_up(address: Address) -> None:
    with read_faults(address, ()):
        raise PanicException("gave up")


def test_a_library_that_gives_up_over_an_address_is_named_by_it() -> None:
    """No panic passes where a database is read; the end of a program does."""
    address = parse_address("delta:///lake/orders")
    with pytest.raises(DataError, match=r"^delta:///lake/orders: .*gave up"):
        _give_up(address)
    with pytest.raises(KeyboardInterrupt), read_faults(address, ()):
        raise KeyboardInterrupt


class OutOfMemoryException(Exception):
    """What DuckDB calls its own."""


@pytest.mark.parametrize(
    "raised",
    [
        *(MemoryError(), pa.ArrowMemoryError("malloc of size 64 failed")),
        *(OSError(errno.ENOMEM, "Cannot allocate memory"), OutOfMemoryException()),
    ],
)
def test_a_lack_of_memory_is_no_damage(raised: Exception) -> None:
    """Of files, tables and addresses: told as what it is, with what to do."""

    class Lazy:
        def collect_schema(self) -> None: ...

        def collect(self) -> None:
            raise raised

    address = parse_address("delta:///lake/orders")
    words = "not enough memory for it; set solver.memory_gb"
    guards = {
        "a.csv": damaged_is_data_error("a.csv"),
        "delta:///lake/orders": read_faults(address, ()),
    }
    for name, guard in guards.items():
        with pytest.raises(MachineError, match=f"^{name}: .*{words}") as found, guard:
            raise raised
        assert found.value.exit_code == 1
    with pytest.raises(MachineError, match=f"^the decisions table: .*{words}"):
        open_source(Lazy(), DECISIONS)


def test_a_table_that_gives_up_is_named() -> None:
    """A table in memory whose library panics is refused by its name."""

    class Lazy:
        def collect_schema(self) -> None: ...

        def collect(self) -> None:
            raise PanicException("gave up")

    with pytest.raises(DataError, match="the decisions table cannot be read"):
        open_source(Lazy(), DECISIONS)
