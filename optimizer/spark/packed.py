"""
Rows packed: a hundred thousand or two in a binary cell, which Spark moves unread.

Executors check, value and part rows as Polars frames. Were each row a row of Spark,
Java would make it three times, of Arrow, for its cache and for its shuffle, and take
two thirds of the CPU of all of it; so between two tasks a row of Spark holds many.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

#: Packed rows, and how many they are.
PACKED = "rows binary, num_rows bigint"
#: Packed rows of one part of all.
PARTED = f"part int, kind int, {PACKED}"
#: Rows in a cell at most, about.
CELL_ROWS = 250_000
#: Rows that are parted at once: of many parts each gets fewer in a cell.
PARTED_ROWS = 1_000_000


def shaped(frame: pl.DataFrame, schema: str) -> pl.DataFrame:
    """
    Give a frame the columns of a Spark schema, with nulls for missing ones.

    Parameters
    ----------
    frame
        With other columns, too, which are left out.
    schema
        ``name kind, name kind``, with the kinds of Spark.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"key": [7], "more": [1]}, {"key": pl.Int32, "more": None})
    >>> shaped(frame, "key bigint, name string").row(0, named=True)
    {'key': 7, 'name': None}
    """
    import polars as pl

    kinds = {
        "string": pl.String,
        "bigint": pl.Int64,
        "int": pl.Int32,
        "double": pl.Float64,
        "boolean": pl.Boolean,
        "binary": pl.Binary,
    }
    fields = [part.split() for part in schema.split(", ")]
    return pl.DataFrame(
        [
            frame[name].cast(kinds[kind])
            if name in frame.columns
            else pl.repeat(None, len(frame), dtype=kinds[kind], eager=True).alias(name)
            for name, kind in fields
        ]
    )


def in_schema(frame: pl.DataFrame, schema: str) -> Iterator[pa.RecordBatch]:
    """
    Give a frame to Spark, with the columns of a schema and nulls for missing ones.

    Parameters
    ----------
    frame, schema
        As of :func:`shaped`.
    """
    import pyarrow as pa

    table = shaped(frame, schema).to_arrow()
    # Java has neither views nor large kinds.
    plain = {
        **dict.fromkeys((pa.string_view(), pa.large_string()), pa.string()),
        **dict.fromkeys((pa.binary_view(), pa.large_binary()), pa.binary()),
    }
    fields = [(each.name, plain.get(each.type, each.type)) for each in table.schema]
    yield from table.cast(pa.schema(fields)).to_batches()


def pack_rows(frame: pl.DataFrame) -> bytes:
    """
    Pack rows into a cell.

    Examples
    --------
    >>> import polars as pl
    >>> unpack_rows(pack_rows(pl.DataFrame({"key": [3, 5]})))["key"].to_list()
    [3, 5]
    """
    cell = io.BytesIO()
    frame.write_ipc(cell, compression="lz4")
    return cell.getvalue()


def unpack_rows(cell: Any, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """
    Unpack the rows of a cell.

    Parameters
    ----------
    cell
        From :func:`pack_rows`; anything with bytes.
    columns
        Those that are wanted; ``None``: all.
    """
    import polars as pl

    wanted = None if columns is None else [*columns]
    return pl.read_ipc(memoryview(cell).tobytes(), columns=wanted)


def packed_rows(
    frame: pl.DataFrame, schema: str, told: str, beside: Mapping[str, str] | None = None
) -> Iterator[pa.RecordBatch]:
    """
    Pack checked or valued rows for Spark.

    Parameters
    ----------
    frame
        With the columns of ``schema``, and others.
    schema
        Of the rows in the cells.
    told
        Of the rows of Spark, with the columns of :data:`PACKED`; others are left null.
    beside
        Of further cells of ``told``, the column of numbers whose bytes they hold.
    """
    import polars as pl

    for first in range(0, len(frame), CELL_ROWS):
        some = frame.slice(first, CELL_ROWS)
        cells: dict[str, Any] = {"rows": pack_rows(shaped(some, schema))}
        cells |= {"num_rows": len(some)}
        for cell, column in (beside or {}).items():
            cells[cell] = some[column].to_numpy().tobytes()
        yield from in_schema(pl.DataFrame([cells]), told)


def each_cell(
    batches: Iterable[pa.RecordBatch], columns: Sequence[str] | None = None
) -> Iterator[pl.DataFrame]:
    """
    Unpack the rows of each cell that comes.

    Parameters
    ----------
    batches
        With the columns of :data:`PACKED`; rows without a cell are passed over.
    columns
        Those that are wanted; ``None``: all.
    """
    for batch in batches:
        for cell in batch["rows"]:
            if cell.is_valid:
                yield unpack_rows(cell.as_buffer(), columns)


def part_rows(
    batches: Iterable[pa.RecordBatch],
    part_of: Callable[[pl.DataFrame], NDArray[np.int64]],
    kind: int = 0,
) -> Iterator[pa.RecordBatch]:
    """
    Turn packed rows into those of each part, :data:`PARTED`.

    Parameters
    ----------
    batches
        As of :func:`each_cell`.
    part_of
        The part of each row.
    kind
        Told of all of them.
    """
    waiting: list[pl.DataFrame] = []
    for frame in each_cell(batches):
        waiting.append(frame)
        if sum(map(len, waiting)) >= PARTED_ROWS:
            yield from _parted(waiting, part_of, kind)
            waiting.clear()
    if waiting:
        yield from _parted(waiting, part_of, kind)


def _parted(
    frames: Sequence[pl.DataFrame],
    part_of: Callable[[pl.DataFrame], NDArray[np.int64]],
    kind: int,
) -> Iterator[pa.RecordBatch]:
    """The rows of some frames, those of each part in a cell."""
    import polars as pl

    rows = pl.concat(frames)
    named = rows.with_columns(pl.Series("part", part_of(rows)))
    by_part = named.partition_by("part", as_dict=True, include_key=False)
    for (number,), some in sorted(by_part.items()):
        yield from parted_row(some, number, kind)


def parted_row(frame: pl.DataFrame, part: int, kind: int) -> Iterator[pa.RecordBatch]:
    """Give a part's rows to Spark, as one of :data:`PARTED`."""
    import polars as pl

    cells: dict[str, Any] = {"part": part, "kind": kind, "rows": pack_rows(frame)}
    cells |= {"num_rows": len(frame)}
    yield from in_schema(pl.DataFrame([cells]), PARTED)
