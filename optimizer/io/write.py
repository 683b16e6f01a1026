"""
Tables to disk: the same table gives the same bytes, and each page has a checksum.

Row groups are encoded on all cores and joined in their order, so that the number of
threads does not show in the file.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from optimizer.contracts.columns import polars_type
from optimizer.io.ahead import made_ahead
from optimizer.io.damage import damaged_is_data_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from optimizer.contracts.columns import Table

#: Rows in a row group: small enough that one order is found without reading all.
ROW_GROUP_ROWS = 131_072
#: Under which a copy of a table names the columns that were not copied.
LEFT_OUT = "columns left out"


def write_parquet(frame: pl.DataFrame, path: Path, table: Table) -> None:
    """Write a table that is in memory; see :func:`write_batches`."""
    write_batches([frame], path, table)


class Written(NamedTuple):
    """
    What was written, to be held against what the disk gives back.

    Attributes
    ----------
    num_rows
        Rows.
    sha256
        Of the bytes as they were handed to the system, in hexadecimal.
    digests
        Of the rows of each row group (:func:`row_group_digests`), where asked for.
    """

    num_rows: int
    sha256: str
    digests: tuple[str, ...] = ()


def write_batches(
    frames: Iterable[pl.DataFrame],
    path: Path,
    table: Table,
    *,
    has_digests: bool = False,
) -> Written:
    """
    Write a table as Parquet, with page checksums, and flush it to the disk.

    Parameters
    ----------
    frames
        The table's rows in order, in pieces of any size; the pieces do not show in
        the file. They have at least the contract's columns; only these are written.
    path
        Must not exist.
    table
        The contract.
    has_digests
        Whether rows are hashed as well as bytes.
    """
    kinds = {c.name: polars_type(c.kind) for c in table.columns}
    return write_frames(frames, path, kinds, has_digests=has_digests)


def write_frames(
    frames: Iterable[pl.DataFrame],
    path: Path,
    kinds: Mapping[str, Any],
    left_out: Sequence[str] = (),
    *,
    has_digests: bool = False,
    compression: str = "zstd",
) -> Written:
    """
    Write columns of these names and polars types; see :func:`write_batches`.

    Parameters
    ----------
    frames, path, kinds
        The rows, the file, and each column with its type.
    left_out
        Names of columns that the rows had besides, for the file to say.
    has_digests
        Whether rows are hashed as well as bytes.
    compression
        How pages are packed: zstd, or lz4 in half the time and a third more space.
    """
    from optimizer.io.parquet_join import JoinedGroups

    digests: list[str] = []
    num_rows = 0
    groups = row_groups(frames, kinds)
    first = list(islice(groups, 2))
    encode = partial(
        _encoded, kinds=kinds, compression=compression, has_digest=has_digests
    )
    with path.open("xb") as opened:
        file = _HashedFile(opened)
        joined = JoinedGroups(file)
        for group in made_ahead(encode, chain(first, groups), len(first)):
            joined.add(group.data)
            digests += group.digests
            num_rows += group.num_rows
        joined.close({LEFT_OUT: "\n".join(left_out)} if left_out else None)
        file.flush()
        os.fsync(opened.fileno())
    return Written(num_rows, file.sha256(), tuple(digests))


class _Encoded(NamedTuple):
    """A row group as a Parquet file of its own; the digest of its rows, if asked."""

    data: memoryview
    num_rows: int
    digests: list[str]


def _encoded(
    group: pl.DataFrame, kinds: Mapping[str, Any], compression: str, *, has_digest: bool
) -> _Encoded:
    """Encode a row group, its texts where they lie; several threads do so at a time."""
    import pyarrow.parquet

    table = group.to_arrow(compat_level=_level(group))
    buffer = pyarrow.BufferOutputStream()
    with pyarrow.parquet.ParquetWriter(
        buffer,
        table.schema,
        compression=compression,
        use_dictionary=_repeated(kinds),
        write_page_checksum=True,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
    digests = [_digest(group)] if has_digest else []
    return _Encoded(memoryview(buffer.getvalue()), len(group), digests)


def _level(group: pl.DataFrame) -> pl.CompatLevel:
    """Views of texts, to the same bytes; pyarrow writes no categories of them."""
    import polars as pl

    has_others = any(
        kind.is_nested() or kind in (pl.Categorical, pl.Enum) for kind in group.dtypes
    )
    return pl.CompatLevel.oldest() if has_others else pl.CompatLevel.newest()


def _repeated(kinds: Mapping[str, Any]) -> bool | list[str]:
    """Columns that get a page of distinct values: of a row for each order, few do."""
    import polars as pl

    if not {"order_id", "order_key"} & {*kinds}:
        return True
    return [k for k, kind in kinds.items() if kind == pl.String and k != "order_id"]


class _HashedFile:
    """A file that is written from its first byte to its last, and hashed meanwhile."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def sha256(self) -> str:
        return self._hash.hexdigest()


def row_groups(
    frames: Iterable[pl.DataFrame], kinds: Mapping[str, Any]
) -> Iterator[pl.DataFrame]:
    """
    Cut pieces of any size into row groups of one size; an empty table has one.

    Parameters
    ----------
    frames
        Rows in order, with at least these columns.
    kinds
        Names and polars types of what comes out.

    Yields
    ------
    pl.DataFrame
        ``ROW_GROUP_ROWS`` rows each, the last one perhaps fewer.
    """
    import polars as pl

    typed = [pl.col(name).cast(kind) for name, kind in kinds.items()]
    left = pl.DataFrame(schema=kinds)
    num_written = 0
    for frame in frames:
        left = pl.concat([left, frame.select(typed)])
        while len(left) >= ROW_GROUP_ROWS:
            yield left[:ROW_GROUP_ROWS].rechunk()
            num_written += 1
            left = left[ROW_GROUP_ROWS:]
    if len(left) or num_written == 0:
        yield left.rechunk()


def _digest(frame: pl.DataFrame) -> str:
    return hashlib.sha256(frame.hash_rows().to_numpy().tobytes()).hexdigest()


def row_group_digests(path: Path) -> list[str]:
    """
    Read a written table again, every page against its checksum.

    Returns
    -------
    list of str
        Those of :func:`write_batches`, if the disk holds what was written.

    Raises
    ------
    DataError
        When the file is damaged.
    """
    return [_digest(group) for group in read_row_groups(path)]


def read_row_groups(path: Path) -> Iterator[pl.DataFrame]:
    """
    Read a written table a row group at a time, every page against its checksum.

    Yields
    ------
    pl.DataFrame
        One row group after the other; a table without any gives none of its rows.

    Raises
    ------
    DataError
        When the file on the disk differs from what was written.
    """
    import polars as pl
    import pyarrow.parquet

    with damaged_is_data_error(str(path)):
        file = pyarrow.parquet.ParquetFile(
            path, page_checksum_verification=True, pre_buffer=False
        )
    with file:
        for number in range(file.num_row_groups):
            with damaged_is_data_error(str(path)):
                group = file.read_row_group(number)
            yield pl.DataFrame(pl.from_arrow(group))


def read_back(path: Path) -> pl.DataFrame:
    """
    Read a written table whole, every page against its checksum.

    Raises
    ------
    DataError
        When the file on the disk differs from what was written.
    """
    import polars as pl
    import pyarrow.parquet

    with damaged_is_data_error(str(path)):
        file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
        with file:
            table = file.read()
    return pl.DataFrame(pl.from_arrow(table))
