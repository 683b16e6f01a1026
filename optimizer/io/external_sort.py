"""Sort more rows than memory holds, by a text key: buckets on disk, then one by one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import polars as pl

#: Rows in a bucket, about; what is sorted in memory at a time.
BUCKET_ROWS = 500_000


def sorted_batches(
    frames: Iterable[pl.DataFrame],
    key: str,
    *,
    sample: Sequence[str],
    num_rows: int,
    scratch: Path,
    ties: Sequence[str] = (),
) -> Iterator[pl.DataFrame]:
    """
    Give the rows of all frames in ascending order of a text column.

    Parameters
    ----------
    frames
        In any order; they are read once.
    key
        The column; nulls come first.
    sample
        Some of its values, from all parts. They only serve to make buckets even.
    num_rows
        Rows in all, about: decides whether a disk is needed.
    scratch
        A folder that does not exist; made where it is needed, and removed.
    ties
        Columns that decide between equal keys; without them keys must differ.

    Yields
    ------
    pl.DataFrame
        One bucket after the other.
    """
    import polars as pl

    num_buckets = -(-num_rows // BUCKET_ROWS)
    if num_buckets <= 1:
        yield pl.concat(list(frames)).sort(key, *ties)
        return
    ordered = np.sort(np.array(sample, np.object_))
    cuts = ordered[np.arange(1, num_buckets) * len(ordered) // num_buckets]
    scratch.mkdir()
    try:
        paths = _spilled(frames, key, list(dict.fromkeys(cuts.tolist())), scratch)
        for path in paths:
            yield pl.read_ipc_stream(path).sort(key, *ties)
            path.unlink()
    finally:
        for path in scratch.iterdir():
            path.unlink()
        scratch.rmdir()


def _spilled(
    frames: Iterable[pl.DataFrame], key: str, cuts: list[str], scratch: Path
) -> list[Path]:
    """Write each row to the file of its bucket; only buckets that have rows."""
    import polars as pl
    import pyarrow.ipc

    bounds = pl.Series(cuts, dtype=pl.String)
    writers: dict[int, pyarrow.ipc.RecordBatchStreamWriter] = {}
    for frame in frames:
        bucket = bounds.search_sorted(frame[key].fill_null(""), side="right")
        numbered = frame.with_columns(bucket=bucket)
        for (number,), part in numbered.partition_by(
            "bucket", as_dict=True, include_key=False
        ).items():
            arrow = part.to_arrow()
            if number not in writers:
                path = scratch / f"{number:06}.arrows"
                writers[number] = pyarrow.ipc.new_stream(str(path), arrow.schema)
            writers[number].write_table(arrow)
    for writer in writers.values():
        writer.close()
    return [scratch / f"{number:06}.arrows" for number in sorted(writers)]
