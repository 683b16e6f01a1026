"""
Put rows into one order that depends on nothing but the rows, also beyond memory.

The order is that of a hash of their ids: a number is compared at a fraction of what a
text costs. Rows whose ids are equal stand by their other columns.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from optimizer.io.order_keys import order_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

#: Bytes of rows that are held at once; beyond them sorted runs go to the disk.
HELD_BYTES = 1_250_000_000
#: Rows that come out at a time.
PIECE_ROWS = 131_072
#: Parts of all hashes: those of one part are read together from all runs.
NUM_PARTS = 256
#: Of Knuth: an odd number, so that every hash of a further id gives another one.
_MIX = np.uint64(0x9E3779B97F4A7C15)


def sorted_rows(
    frames: Iterable[pl.DataFrame], ids: Sequence[str], scratch: Path
) -> Iterator[pl.DataFrame]:
    """
    Give the rows of all frames in an order that depends on the rows alone.

    Parameters
    ----------
    frames
        One or more, of the same columns, in any order; they are read once.
    ids
        Columns that tell rows apart; where they do not, all columns decide.
    scratch
        A folder that does not exist; made where rows do not fit into ``HELD_BYTES``,
        and removed.

    Yields
    ------
    pl.DataFrame
        About ``PIECE_ROWS`` rows at a time.
    """
    held: list[pl.DataFrame] = []
    runs: list[Path] = []
    num_bytes = 0
    try:
        for frame in frames:
            held.append(frame)
            num_bytes += int(frame.estimated_size())
            if num_bytes > HELD_BYTES:
                runs.append(_spilled(_whole(held), ids, scratch, len(runs)))
                num_bytes = 0
        if not runs:
            yield from _in_order(_whole(held), ids)
            return
        if held:
            runs.append(_spilled(_whole(held), ids, scratch, len(runs)))
        yield from _merged(runs, ids)
    finally:
        if scratch.exists():
            for run in scratch.iterdir():
                run.unlink()
            scratch.rmdir()


def _whole(held: list[pl.DataFrame]) -> pl.DataFrame:
    """One frame of all, in one piece: rows of many are picked slowly; takes them."""
    import polars as pl

    whole = pl.concat(held)
    held.clear()
    return whole.rechunk()


def _in_order(frame: pl.DataFrame, ids: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Rows that are in memory, a piece at a time."""
    order, _ = _order(frame, ids)
    for first in range(0, len(order), PIECE_ROWS):
        yield frame[order[first : first + PIECE_ROWS]]


def _spilled(
    frame: pl.DataFrame, ids: Sequence[str], scratch: Path, number: int
) -> Path:
    """Write a run: its rows in order, a record batch for each part of the hashes."""
    import polars as pl
    import pyarrow as pa
    import pyarrow.ipc

    order, hashes = _order(frame, ids)
    starts = np.arange(NUM_PARTS, dtype=np.uint64) * np.uint64(2**64 // NUM_PARTS)
    bounds = [*np.searchsorted(hashes, starts).tolist(), len(hashes)]
    scratch.mkdir(exist_ok=True)
    path = scratch / f"{number:06}.arrow"
    schema = frame[:0].to_arrow(compat_level=pl.CompatLevel.newest()).schema
    with pyarrow.ipc.new_file(str(path), schema) as writer:
        for first, last in pairwise(bounds):
            part = frame[order[first:last]].rechunk()
            rows = part.to_arrow(compat_level=pl.CompatLevel.newest())
            batches = rows.combine_chunks().to_batches()
            none = pa.RecordBatch.from_pylist([], schema=schema)
            writer.write_batch(batches[0] if batches else none)
    return path


def _merged(runs: Sequence[Path], ids: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Rows of all runs in order, a part of the hashes at a time."""
    import polars as pl
    import pyarrow as pa
    import pyarrow.ipc

    for number in range(NUM_PARTS):
        found = []
        for run in runs:
            with pyarrow.ipc.open_file(str(run)) as reader:
                found.append(reader.get_batch(number))
        part = pl.from_arrow(pa.Table.from_batches(found).combine_chunks())
        assert isinstance(part, pl.DataFrame)
        yield from _in_order(part, ids)


def _order(
    frame: pl.DataFrame, ids: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Places of rows in their order, and their hashes in that order."""
    import polars as pl

    hashes = np.zeros(len(frame), np.uint64)
    for name in ids:
        column = frame[name].cast(pl.String).fill_null("")
        hashes = hashes * _MIX + order_keys(column)[0]
    order = pl.Series(hashes).arg_sort().to_numpy().astype(np.int64)
    hashes = hashes[order]
    is_tied = np.zeros(len(order) + 1, np.bool_)
    is_tied[1:-1] = hashes[1:] == hashes[:-1]
    is_tied = is_tied[1:] | is_tied[:-1]
    if is_tied.any():
        order[is_tied] = _by_columns(frame, order[is_tied], hashes[is_tied])
    return order, hashes


def _by_columns(
    frame: pl.DataFrame, places: NDArray[np.int64], hashes: NDArray[np.uint64]
) -> NDArray[np.int64]:
    """Places of rows of equal hashes, by all their columns."""
    import polars as pl

    tied = frame[places]
    columns = [pl.Series(hashes), *tied.get_columns(), pl.Series(places)]
    named = [column.alias(str(number)) for number, column in enumerate(columns)]
    ordered = pl.DataFrame(named).sort([column.name for column in named[:-1]])
    return ordered.to_series(-1).to_numpy()
