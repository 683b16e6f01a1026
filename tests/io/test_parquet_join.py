"""Row groups that are encoded apart are the file that one writer writes."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optimizer.contracts.tables import DECISIONS
from optimizer.io import ahead, write
from optimizer.io.parquet_join import JoinedGroups
from optimizer.io.write import read_back, write_batches, write_frames

KINDS = {
    "order_id": pl.String,
    "merchant_id": pl.String,
    "saving_cny": pl.Float64,
    "is_premium": pl.Boolean,
    "rank": pl.Int16,
    "nothing": pl.Float64,
}


def rows(num_rows: int) -> pl.DataFrame:
    """Texts, numbers and flags, some null."""
    number = np.arange(num_rows)
    return pl.DataFrame(
        {
            "order_id": [f"o{i:05d}" for i in number.tolist()],
            "merchant_id": [f"m{i // 17}" if i % 5 else None for i in number.tolist()],
            "saving_cny": number / 7,
            "is_premium": number % 3 == 0,
            "rank": number % 100,
            "nothing": pl.Series([None] * num_rows, dtype=pl.Float64),
        },
        schema=KINDS,
    )


def written_at_once(frame: pl.DataFrame, size: int, notes: dict[str, str]) -> bytes:
    """What one writer makes of the rows."""
    file, table = io.BytesIO(), frame.to_arrow()
    with pq.ParquetWriter(
        file,
        table.schema,
        compression="zstd",
        use_dictionary=["merchant_id"],
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        for at in range(0, max(1, len(frame)), size):
            writer.write_table(frame[at : at + size].to_arrow(), row_group_size=size)
        if notes:
            writer.add_key_value_metadata(notes)
    return file.getvalue()


@pytest.mark.parametrize("num_rows", [0, 1, 64, 65, 1_300])
@pytest.mark.parametrize("left_out", [(), ("a", "b")], ids=["plain", "with notes"])
def test_the_file_is_that_of_one_writer(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    num_rows: int,
    left_out: tuple[str, ...],
) -> None:
    """To the last byte: with no row, one row group, and more than a short list."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 64)
    frame = rows(num_rows)
    written = write_frames([frame], tmp_path / "found.parquet", KINDS, left_out)
    notes = {write.LEFT_OUT: "\n".join(left_out)} if left_out else {}
    found = (tmp_path / "found.parquet").read_bytes()
    assert found == written_at_once(frame, 64, notes)
    assert written.num_rows == num_rows
    assert read_back(tmp_path / "found.parquet").equals(frame)


def test_any_number_of_threads_writes_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row groups are encoded in other threads, and stand in their order."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 64)
    frame, names, files = rows(900), set(), []
    encode = write._encoded

    def seen(*given, **named):
        names.add(threading.current_thread().name)
        return encode(*given, **named)

    monkeypatch.setattr(write, "_encoded", seen)
    for number in (1, 2, 5):
        monkeypatch.setattr(ahead, "NUM_AHEAD", number)
        path = tmp_path / f"{number}.parquet"
        write_frames([frame], path, KINDS)
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]
    assert threading.main_thread().name not in names


def test_a_thread_that_fails_leaves_no_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error reaches the caller, and what is there cannot be read as a table."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 64)
    encode = write._encoded

    def fails(group, kinds, **how):
        if group["rank"][0] == 64 * 3 % 100:
            raise MemoryError("no room for this row group")
        return encode(group, kinds, **how)

    monkeypatch.setattr(write, "_encoded", fails)
    path = tmp_path / "cut.parquet"
    with pytest.raises(MemoryError, match="no room"):
        write_frames([rows(900)], path, KINDS)
    with pytest.raises(pa.ArrowInvalid):
        pq.read_metadata(path)


def test_joined_groups_keep_their_places(tmp_path: Path) -> None:
    """The footer finds every column of every row group, and its pages are whole."""
    parts = [rows(40), rows(3), rows(77)]
    path = tmp_path / "joined.parquet"
    with path.open("xb") as file:
        joined = JoinedGroups(file)
        for part in parts:
            joined.add(memoryview(written_at_once(part, 1_000, {})))
        joined.close()
    with pq.ParquetFile(path, page_checksum_verification=True) as found:
        assert found.metadata.num_rows == 120
        for number in reversed(range(3)):
            group = pl.DataFrame(pl.from_arrow(found.read_row_group(number)))
            assert group.equals(parts[number])


def test_an_empty_decisions_table_has_its_columns(tmp_path: Path) -> None:
    """A night without orders is a table without rows."""
    write_batches([], tmp_path / "none.parquet", DECISIONS)
    found = read_back(tmp_path / "none.parquet")
    assert tuple(found.columns) == DECISIONS.column_names


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(["b", "a", None, "b"], dtype=pl.Categorical),
        pl.Series(["b", "a", None, "b"], dtype=pl.Enum(["a", "b"])),
        pl.Series([["b"], ["a text that is no view's own"], None, []]),
        pl.Series(["b", "a text that is no view's own", None, ""]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_texts_of_every_kind_are_written_as_they_are(
    tmp_path: Path, column: pl.Series
) -> None:
    """Categories, lists and plain texts, short and long, come back as texts."""
    frame = pl.DataFrame({"id": column})
    path = tmp_path / "texts.parquet"
    write_frames([frame, frame[1:]], path, dict(frame.schema))
    plain = column.cast(pl.String) if column.dtype != pl.List else column
    found = read_back(path)["id"].cast(plain.dtype)
    assert found.to_list() == [*plain.to_list(), *plain.to_list()[1:]]
