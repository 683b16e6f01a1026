"""
Parquet files in batches of bounded size, every page against its checksum.

A footer is a claim: of rows, and of bytes. What it claims beyond all measure is refused
before a page is read, and what the pages give is counted against it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from optimizer.errors import DataError
from optimizer.io.parquet_pages import chunk_pages, identity_of, known_footer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from optimizer.config.limits import Limits

#: What a file may unpack to, whatever its size.
UNPACKED_BYTES = 64 << 20
#: Rows that a file may have whatever its size, and rows for each of its bytes: ids
#: alone take more than a tenth of that.
_FREE_ROWS, _ROWS_A_BYTE = 4_000_000, 20
#: Bytes of text in a batch; longer cells make shorter batches.
_BATCH_BYTES = 64 << 20
#: Rows that are counted at a time.
_PROBE_ROWS = 1 << 16


def parquet_batches(
    path: Path,
    columns: Sequence[str],
    batch_rows: int,
    limits: Limits,
    groups: Sequence[int] | None = None,
    coded: Collection[str] = (),
) -> Iterator[pa.RecordBatch]:
    """
    Read some columns, a row group after the other.

    Parameters
    ----------
    path, columns
        The file, and what to read of it.
    batch_rows
        Rows in a batch at most.
    limits
        Beyond which the file is refused.
    groups
        Numbers of the row groups to read; all by default.
    coded
        Columns that stay dictionaries of texts, if the whole file has them so.

    Raises
    ------
    DataError
        When footer or pages go beyond the limits.
    OSError
        When a group has not the rows that the footer claims.
    """
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(
        path,
        read_dictionary=_dictionaries(path, coded) if coded else None,
        page_checksum_verification=True,
        pre_buffer=False,
    ) as file:
        _refuse_footer(path, file.metadata, columns, limits)
        for group in range(file.num_row_groups) if groups is None else groups:
            num_rows = 0
            longest = _checked_entries(path, group, columns, limits)
            rows = min(batch_rows, max(1, _BATCH_BYTES // max(1, longest)))
            for batch in file.iter_batches(rows, [group], [*columns]):
                num_rows += batch.num_rows
                yield batch
            if num_rows != file.metadata.row_group(group).num_rows:
                raise OSError("rows are missing")


def _dictionaries(path: Path, columns: Collection[str]) -> list[str]:
    """Which of some columns are dictionaries of texts in all row groups."""
    _, groups = known_footer(path)
    others = {
        chunk.name
        for group in groups
        for chunk in group.chunks
        if not (chunk.is_text and chunk.has_dictionary)
    }
    return [name for name in columns if name not in others]


def most_unpacked(path: Path, limits: Limits) -> int:
    """Bytes of text that a file may unpack to."""
    return max(UNPACKED_BYTES, limits.unpacked_times * path.stat().st_size)


def refuse_unpacked(path: Path, num_bytes: int, most: int, limits: Limits) -> None:
    """
    Refuse a file that unpacks to more than any table does.

    Parameters
    ----------
    path
        The file.
    num_bytes, most
        Bytes that it unpacks to, and of :func:`most_unpacked`.
    limits
        Names the limit in the message.

    Raises
    ------
    DataError
        With the limit, and what to do.
    """
    if num_bytes > most:
        raise DataError(
            f"{path}: unpacks to more than {most:,} bytes, {limits.unpacked_times} "
            "times its size, as no table does; export it again, or raise "
            "limits.unpacked_times if it is right"
        )


def refuse_cell(path: Path, num_bytes: int, limits: Limits) -> None:
    """
    Refuse a file with a cell that is longer than any line.

    Raises
    ------
    DataError
        With its length.
    """
    if num_bytes > limits.line_bytes:
        raise DataError(
            f"{path}: has a cell of {num_bytes:,} bytes; limits.line_bytes allows "
            f"{limits.line_bytes:,}; export the columns of the table alone"
        )


def _refuse_footer(
    path: Path, footer: Any, columns: Sequence[str], limits: Limits
) -> None:
    """Refuse what a footer claims, before anything is made room for."""
    if footer.num_rows > limits.num_rows:
        raise DataError(
            f"{path}: has {footer.num_rows:,} rows; limits.num_rows allows "
            f"{limits.num_rows:,}; is it the export of one day?"
        )
    num_bytes = path.stat().st_size
    if footer.num_rows > max(_FREE_ROWS, _ROWS_A_BYTE * num_bytes):
        raise DataError(
            f"{path}: claims {footer.num_rows:,} rows in {num_bytes:,} bytes, as no "
            "table has; export it again"
        )
    most, claimed = most_unpacked(path, limits), 0
    for name in columns:
        claimed += _bytes_of_pages(path, identity_of(path), name)
        refuse_unpacked(path, claimed, most, limits)


@lru_cache(maxsize=1_024)
def _bytes_of_pages(path: Path, identity: tuple[int, ...], name: str) -> int:
    """
    Bytes of a column's pages when they are unpacked, by their headers.

    A night reads a file several times; its headers are read once.

    Raises
    ------
    OSError
        When the pages have not as many values as the footer, which only repeats it,
        claims rows.
    """
    claimed, groups = known_footer(path)
    num_bytes = 0
    with path.open("rb", buffering=0) as file:
        for group in groups:
            for chunk in group.chunks:
                if chunk.name != name:
                    continue
                pages = chunk_pages(file, chunk)
                if not pages.num_values == chunk.num_values == group.num_rows:
                    raise OSError(
                        f"{name} has {pages.num_values:,} values in its pages, and the "
                        f"footer claims {group.num_rows:,} rows"
                    )
                num_bytes += pages.num_bytes
    if sum(group.num_rows for group in groups) != claimed:
        raise OSError("its row groups have not the rows that its footer claims")
    return num_bytes


def _checked_entries(
    path: Path, group: int, columns: Sequence[str], limits: Limits
) -> int:
    """
    Bytes of the longest text of the dictionaries of a row group.

    A dictionary of one long text and a million references to it are a small page: where
    they could be beyond the limit, they are counted before they are written out.
    """
    _, groups = known_footer(path)
    texts = tuple(
        chunk.name
        for chunk in groups[group].chunks
        if chunk.is_text and chunk.has_dictionary and chunk.name in columns
    )
    if not texts or not groups[group].num_rows:
        return 0
    longest = _longest_entry(path, identity_of(path), group, texts)
    refuse_cell(path, longest, limits)
    most, num_bytes = most_unpacked(path, limits), 0
    if longest * groups[group].num_rows * len(texts) > most:
        with _as_dictionaries(path, texts) as probe:
            for batch in probe.iter_batches(_PROBE_ROWS, [group], [*texts]):
                num_bytes += sum(map(_written_out, batch.columns))
                refuse_unpacked(path, num_bytes, most, limits)
    return longest


def _as_dictionaries(path: Path, texts: Sequence[str]) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(
        path,
        read_dictionary=[*texts],
        page_checksum_verification=True,
        pre_buffer=False,
    )


@lru_cache(maxsize=4_096)
def _longest_entry(
    path: Path, identity: tuple[int, ...], group: int, texts: tuple[str, ...]
) -> int:
    """Bytes of the longest entry; the first row brings the whole dictionaries."""
    with _as_dictionaries(path, texts) as probe:
        first = next(probe.iter_batches(1, [group], [*texts]))
    return max(map(_longest, first.columns), default=0)


def _longest(column: pa.Array) -> int:
    """Bytes of the longest entry of a dictionary of texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type) or not len(column.dictionary):
        return 0
    return pc.max(pc.binary_length(column.dictionary)).as_py() or 0


def _written_out(column: pa.Array) -> int:
    """Bytes of a dictionary's texts where they are written out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
    return pc.sum(lengths).as_py() or 0
