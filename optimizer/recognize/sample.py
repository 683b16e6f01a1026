"""The first rows of a user's table, as text, and the form of its file."""

from __future__ import annotations

import glob
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.config.address import fill_address, is_address, parse_address
from optimizer.config.limits import Limits
from optimizer.errors import ConfigError, DataError
from optimizer.io.arrow_files import arrow_batches
from optimizer.io.csv import csv_batches, csv_form
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.excel import EXCEL, excel_head, refuse_large_book
from optimizer.io.given import may_be_path
from optimizer.io.parquet import parquet_batches
from optimizer.io.read import find_files
from optimizer.io.reading_notes import ReadingNotes
from optimizer.io.sources import adapter_of, read_faults
from optimizer.io.sources.faults import secrets_of
from optimizer.recognize.copies import CopyNeededError, copy_steps, refuse_personal
from optimizer.recognize.text import Head, decoded_head

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import polars as pl
    import pyarrow as pa

    from optimizer.config.address import Address

#: What is looked at, whatever the size of a table.
SAMPLE_ROWS, SAMPLE_BYTES = 100_000, 16 << 20
PARQUET, ARROW = (".parquet", ".pq"), (".arrow", ".feather", ".ipc")
_TABLES = (*PARQUET, ".csv", ".csv.gz", ".csv.zst", *ARROW, *EXCEL)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """
    The beginning of a table.

    Attributes
    ----------
    path
        Path, glob or address, as the configuration will have it.
    label
        Its name in messages: no user and no password.
    rows
        Its first rows, all cells as text, under its own names of columns.
    is_whole
        Whether these are all rows.
    is_remote
        Whether it stands behind an address.
    encoding, separator
        Of a CSV file.
    """

    path: str
    label: str
    rows: pl.DataFrame
    is_whole: bool
    is_remote: bool = False
    encoding: str = "utf-8"
    separator: str = ","


def take_sample(place: str, ids: Collection[str] = ()) -> Sample:
    """
    Read the first rows of a table, wherever inputs may be; never the whole of it.

    Parameters
    ----------
    place
        A file, a glob, a folder of files, or an address.
    ids
        Columns that a person has named as ids, whatever their names are like.

    Raises
    ------
    ConfigError
        When an address is none that inputs take, or holds a password.
    DataError
        When there is no such table, it is of a kind that is not read, or is empty.
    """
    if "{date}" in place:
        raise DataError(
            "init looks at a day's table: write a date in the place of {date}; in the "
            "configuration it becomes {date} again"
        )
    is_remote = is_address(place)
    found = _of_address(place, ids) if is_remote else _of_files(place, ids)
    if len(found.rows) == 0:
        raise DataError(
            f"{found.label}: has a header and no rows; export a day that has some"
        )
    return replace(found, is_remote=is_remote)


def _of_files(place: str, ids: Collection[str]) -> Sample:
    path = _with_files(place)
    files = find_files(path, "table")
    for file in files:
        if file.stat().st_size == 0:
            continue
        with damaged_is_data_error(str(file)):
            found = _of_file(file, path, ids)
        is_last = file == files[-1]
        if len(found.rows) or is_last:
            whole = found.is_whole and len(files) == 1
            return replace(found, path=path, label=path, is_whole=whole)
    raise DataError(f"{place}: is empty, without even a header; export it again")


def _with_files(place: str) -> str:
    """The path or glob that inputs take: for a folder, that of its files."""
    if not may_be_path(place):
        raise DataError("a table is named by text that is no path; name a file")
    folder = Path(place)
    if not (folder.exists() or glob.has_magic(place)):
        raise DataError(f"{place}: no such file; name the tables that you have")
    if not folder.is_dir():
        return place
    kinds = sorted(
        {
            kind
            for file in folder.iterdir()
            for kind in _TABLES
            if file.is_file() and file.name.lower().endswith(kind)
        }
    )
    if len(kinds) == 1:
        return str(folder / f"*{kinds[0]}")
    if kinds:
        raise DataError(
            f"{place}: is a folder of {', '.join(kinds)} files; name those of one "
            f"table, such as '{folder / ('*' + kinds[0])}'"
        )
    inner = sorted(part.name for part in folder.iterdir() if part.is_dir())
    also = f"; it has the folders {', '.join(inner[:5])}: name one" if inner else ""
    raise DataError(f"{place}: is a folder without tables{also}")


def _of_file(file: Path, place: str, ids: Collection[str]) -> Sample:
    name, limits = file.name.lower(), Limits()
    if name.endswith(EXCEL):
        refuse_large_book(file, limits)
        try:
            table = excel_head(file, SAMPLE_ROWS + 1)
        except DataError as error:
            if "merged cell" not in str(error):
                raise
            reason = str(error).removeprefix(f"{place}: ")
            reason += "; or, if names stand in the second line, write a copy from there"
            steps = copy_steps(place, "", num_titles=1)
            raise CopyNeededError([(place, reason, steps)]) from None
        return _sample(place, place, table.schema, table.to_batches())
    if name.endswith(PARQUET):
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(file) as opened:
            schema = opened.schema_arrow
        refuse_personal(schema.names, place, ids=ids)
        rows = parquet_batches(file, schema.names, SAMPLE_ROWS + 1, limits)
        return _sample(place, place, schema, rows)
    if name.endswith(ARROW):
        import pyarrow.ipc

        with pyarrow.ipc.open_file(file) as reader:
            schema = reader.schema
        refuse_personal(schema.names, place, ids=ids)
        parts = arrow_batches(file, schema.names)
        return _sample(place, place, schema, (b for t in parts for b in t.to_batches()))
    with file.open("rb") as stream:
        start = stream.read(SAMPLE_BYTES)
    is_whole = len(start) == file.stat().st_size
    head = decoded_head(file.name, start, place, is_whole=is_whole)
    return _of_text(head, place, place, ids)


def _of_text(head: Head, place: str, label: str, ids: Collection[str]) -> Sample:
    """Read the beginning of a CSV file as inputs are, from a copy of it."""
    refuse_personal(head.header, label, head, ids)
    _refuse_twice(head, label)
    with tempfile.TemporaryDirectory(prefix="sample-") as folder:
        copy = Path(folder) / "head.csv"
        copy.write_bytes(head.text.encode())
        try:
            form = csv_form(copy, head.header)
            names = [name for name in form.names if name is not None]
            rows = csv_batches(copy, names, names, ReadingNotes(), Limits())
            found = _sample(place, label, None, rows, names=names)
        except DataError as error:
            raise DataError(str(error).replace(str(copy), label)) from None
    whole = found.is_whole and head.is_whole
    return replace(
        found, is_whole=whole, encoding=head.encoding, separator=head.separator
    )


def _of_address(place: str, ids: Collection[str]) -> Sample:
    """The first rows behind an address."""
    try:
        address = parse_address(place)
    except ValueError as error:
        raise ConfigError(f"an address among the tables {error}") from None
    filled = fill_address(address)
    adapter = adapter_of(address)
    with read_faults(address, secrets_of(filled)):
        if address.scheme == "s3":
            return _of_object(filled, place, adapter, ids)
        with adapter.open_head(filled, SAMPLE_ROWS + 1) as rows:
            return _sample(place, address.label, rows.schema, rows)


def _of_object(
    address: Address, place: str, adapter: Any, ids: Collection[str]
) -> Sample:
    """The first rows of the first object of a key or glob; parts of it are read."""
    name = address.path.lower()
    if name.endswith(PARQUET + ARROW):
        import pyarrow as pa
        import pyarrow.ipc
        import pyarrow.parquet

        source = pa.PythonFile(adapter.open_object(address), mode="r")
        if name.endswith(ARROW):
            reader = pyarrow.ipc.open_file(source)
            schema = reader.schema
            rows = map(reader.get_batch, range(reader.num_record_batches))
        else:
            file = pyarrow.parquet.ParquetFile(source, pre_buffer=False)
            schema, rows = file.schema_arrow, file.iter_batches(SAMPLE_ROWS + 1)
        refuse_personal(schema.names, address.label, ids=ids)
        return _sample(place, address.label, schema, rows)
    key, start = adapter.fetch_head(address, SAMPLE_BYTES)
    head = decoded_head(key, start, address.label, is_whole=len(start) < SAMPLE_BYTES)
    return _of_text(head, place, address.label, ids)


def _sample(
    place: str,
    label: str,
    schema: pa.Schema | None,
    batches: Iterable[pa.RecordBatch],
    *,
    names: Sequence[str] = (),
) -> Sample:
    """As many rows as are looked at, all cells as text."""
    import polars as pl
    import pyarrow as pa

    parts, num_rows = [], 0
    for batch in batches:
        part = batch.slice(0, SAMPLE_ROWS + 1 - num_rows)
        parts.append(pl.DataFrame(pl.from_arrow(pa.Table.from_batches([part]))))
        num_rows += part.num_rows
        if num_rows > SAMPLE_ROWS:
            break
    if parts:
        rows = pl.concat(parts)
    elif schema is None:
        rows = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    else:
        rows = pl.DataFrame(pl.from_arrow(schema.empty_table()))
    text = rows.select(as_text(rows[name]) for name in rows.columns)
    return Sample(place, label, text.head(SAMPLE_ROWS), num_rows <= SAMPLE_ROWS)


def as_text(cells: pl.Series) -> pl.Series:
    """Cells as a person reads them; lists and structures are empty."""
    import polars as pl

    if isinstance(cells.dtype, pl.Datetime):
        return cells.dt.to_string("iso:strict")
    if cells.dtype.is_nested() or cells.dtype in (pl.Binary, pl.Object):
        return pl.Series(cells.name, [None] * len(cells), pl.String)
    return cells.cast(pl.String, strict=False)


def _refuse_twice(head: Head, label: str) -> None:
    """Refuse names that stand twice, with the command that tells them apart."""
    names = [name.strip() for name in head.header if name.strip()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice and not is_address(label):
        steps = copy_steps(label, "", encoding=head.encoding, separator=head.separator)
        reason = (
            f"has the column {twice[0]!r} twice; export it once, or write a copy in "
            "which the second has another name"
        )
        raise CopyNeededError([(label, reason, steps)])
