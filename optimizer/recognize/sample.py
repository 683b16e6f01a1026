"""The first rows of a user's table, as text, and the form of its file."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.errors import DataError
from optimizer.io.csv_form import SEPARATORS
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.excel import EXCEL, excel_table
from optimizer.io.given import may_be_path

if TYPE_CHECKING:
    import polars as pl

#: What is looked at, whatever the size of a table.
SAMPLE_ROWS, SAMPLE_BYTES = 100_000, 16 << 20
#: Encodings, in the order in which they are tried.
ENCODINGS = ("utf-8", "gb18030", "windows-1252")
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """
    The beginning of a table.

    Attributes
    ----------
    path
        As it was named.
    rows
        Its first rows, all cells as text, under its own names of columns.
    is_whole
        Whether these are all rows.
    encoding
        Of a CSV file.
    sheet
        Of an Excel file.
    """

    path: str
    rows: pl.DataFrame
    is_whole: bool
    encoding: str = "utf-8"
    sheet: str | None = None


def take_sample(path: str) -> Sample:
    """
    Read the first rows of a file.

    Raises
    ------
    DataError
        When there is no such file, it is of a kind that is not read, or has no header.
    """
    if "://" in path:
        raise DataError(
            f"{path}: is an address, of which init looks at nothing; give an export of "
            "it, and put the address into the configuration afterwards"
        )
    file = Path(path)
    if not may_be_path(path) or not file.is_file():
        raise DataError(f"{path}: no such file; name the tables that you have")
    name = file.name.lower()
    with damaged_is_data_error(path):
        if name.endswith((".csv", ".csv.gz", ".csv.zst", ".txt", ".tsv")):
            return _text(path)
        if name.endswith(EXCEL):
            return _sheet(path)
        return _arrow(path)


def _sheet(path: str) -> Sample:
    import polars as pl

    rows = pl.DataFrame(excel_table(Path(path), None, ()))
    return Sample(path, rows.head(SAMPLE_ROWS), len(rows) <= SAMPLE_ROWS)


def _arrow(path: str) -> Sample:
    import polars as pl
    import pyarrow as pa
    import pyarrow.ipc
    import pyarrow.parquet

    name = path.lower()
    if name.endswith((".parquet", ".pq")):
        with pyarrow.parquet.ParquetFile(path) as file:
            schema, num_rows = file.schema_arrow, file.metadata.num_rows
            batches = [*islice(file.iter_batches(SAMPLE_ROWS), 1)]
    elif name.endswith((".arrow", ".feather", ".ipc")):
        with pyarrow.ipc.open_file(path) as reader:
            whole = reader.read_all()
        schema, num_rows, batches = whole.schema, len(whole), whole.to_batches()
    else:
        raise DataError(
            f"{path}: is not a kind of file that is read here; use .csv, .xlsx, "
            ".parquet or .arrow"
        )
    rows = pl.DataFrame(pa.Table.from_batches(batches, schema)).head(SAMPLE_ROWS)
    text = rows.cast(pl.String, strict=False)
    return Sample(path, text, num_rows <= SAMPLE_ROWS)


def _text(path: str) -> Sample:
    import polars as pl
    import pyarrow as pa

    with pa.input_stream(path) as stream:
        start = stream.read(SAMPLE_BYTES + 1)
    is_whole = len(start) <= SAMPLE_BYTES
    encoding, text = _decoded(start[:SAMPLE_BYTES], path, is_whole=is_whole)
    lines = text.splitlines()
    if lines and lines[0].lower().startswith("sep="):
        lines = lines[1:]
    if not lines:
        raise DataError(f"{path}: is empty, without even a header; export it again")
    separator = max(SEPARATORS, key=lines[0].count)
    cells = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=separator))
    if not is_whole:
        cells = cells[:-1]
    header = [cell.strip() or f"column {n + 1}" for n, cell in enumerate(cells[0])]
    if len(set(header)) < len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise DataError(f"{path}: has the column {twice[0]!r} twice; rename one")
    body = [row for row in cells[1 : SAMPLE_ROWS + 1] if len(row) == len(header)]
    columns = zip(*body, strict=True) if body else ([] for _ in header)
    rows = pl.DataFrame(
        {
            name: pl.Series([cell or None for cell in column], dtype=pl.String)
            for name, column in zip(header, columns, strict=True)
        }
    )
    return Sample(path, rows, is_whole and len(cells) <= SAMPLE_ROWS + 1, encoding)


def _decoded(start: bytes, path: str, *, is_whole: bool) -> tuple[str, str]:
    """The encoding of a text, and the text; a character cut off at the end is left."""
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding, start.decode(encoding, "ignore")
    for encoding in ENCODINGS:
        for cut in range(1 if is_whole else 4):
            try:
                text = start[: len(start) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
            return encoding, text.removeprefix("\ufeff")
    raise DataError(f"{path}: is text of no encoding that is known; export it as UTF-8")
