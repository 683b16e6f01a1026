"""Where a row of a table is: its file, and in a CSV file its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from optimizer.io.csv import csv_lines
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.mapping import as_written

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from optimizer.io.read import Source


class RowPlace(NamedTuple):
    """
    Where a row is.

    Attributes
    ----------
    file
        ``None`` for a table in memory, and for one of several sheets.
    line
        Of the file, from 1; ``None`` where it has no lines.
    row
        Of the file, from 1; of the whole table where it is not known of which file.
    """

    file: Path | None
    line: int | None
    row: int

    def __str__(self) -> str:
        """Say it as ``file:line``, or as a row."""
        if self.file is None:
            return f"row {self.row:,}"
        if self.line is not None:
            return f"{self.file}:{self.line}"
        return f"{self.file}, row {self.row:,}"


def find_rows(source: Source, rows: Iterable[int]) -> dict[int, RowPlace]:
    """
    Find the files and lines of some rows of a table.

    Parameters
    ----------
    source
        The table; its files are looked at again.
    rows
        Rows of the whole table, from 1.
    """
    wanted, found, first = sorted({*rows}), dict[int, RowPlace](), 0
    for path in source.files:
        here = [row - first for row in wanted if row > first]
        if not here:
            break
        if path.name.lower().endswith((".csv", ".csv.gz", ".csv.zst")):
            known = as_written(source.table, source.mapping).column_names
            encoding = "utf-8" if source.mapping is None else source.mapping.encoding
            lines, num_rows = csv_lines(path, known, here, encoding)
        else:
            lines, counted = {}, _num_rows(path, source)
            if counted is None:
                break
            num_rows = counted
        for row in here:
            if row <= num_rows:
                found[row + first] = RowPlace(path, lines.get(row), row)
        first += num_rows
    return {row: found.get(row, RowPlace(None, None, row)) for row in wanted}


def _num_rows(path: Path, source: Source) -> int | None:
    """Rows of a file that has no lines; ``None`` where they are not known alone."""
    import pyarrow.ipc
    import pyarrow.parquet

    name = path.name.lower()
    with damaged_is_data_error(str(path)):
        if name.endswith((".parquet", ".pq")):
            return int(pyarrow.parquet.read_metadata(path).num_rows)
        if name.endswith((".arrow", ".feather", ".ipc")):
            with pyarrow.ipc.open_file(path) as reader:
                batches = map(reader.get_batch, range(reader.num_record_batches))
                return sum(batch.num_rows for batch in batches)
    if len(source.files) == 1 and source.memory is not None:
        return int(source.memory.num_rows)
    return None
