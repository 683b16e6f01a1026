"""
Tables from files or from memory, in batches of bounded size.

Parquet pages are checked against their checksums: a flipped bit is refused, not
read as another number. CSV is read as text; the validation decides what a cell
means. Only the contract's columns are read.
"""

from __future__ import annotations

import glob
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from optimizer.config.address import refuse_mistyped
from optimizer.errors import DataError, is_failure, is_of_memory, lack_of_memory
from optimizer.io.arrow_files import arrow_batches
from optimizer.io.cells import CellRules
from optimizer.io.csv import csv_batches, csv_form, csv_schema
from optimizer.io.csv_form import one_form
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.excel import EXCEL, excel_table, refuse_large_book
from optimizer.io.file_kinds import CSV, PARQUET
from optimizer.io.given import TAKEN, refuse_no_table
from optimizer.io.kept import Kept
from optimizer.io.mapping import (
    as_written,
    named_by_contract,
    with_meanings,
)
from optimizer.io.parquet import parquet_batches
from optimizer.io.plain_frame import plain_frame
from optimizer.io.privacy import holds_personal
from optimizer.io.reading_notes import ReadingNotes, marks_of_deleted
from optimizer.io.schemas import (
    check_schema,
    columns_of_all,
    file_schema,
    refuse_lost_name,
    refuse_mixed_types,
    refuse_other_bytes,
)
from optimizer.io.words import is_of_texts, words_of, written_out
from optimizer.io.write import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import polars as pl
    import pyarrow as pa

    from optimizer.config.mapping import InputTable
    from optimizer.contracts.columns import Table
    from optimizer.io.words import Words

#: Rows in a batch; bounds the memory of reading.
BATCH_ROWS = 1_000_000

_ARROW = (".arrow", ".feather", ".ipc")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as it was read: path, size and SHA-256."""

    path: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """
    A table that can be read, more than once.

    Attributes
    ----------
    table
        Its contract.
    label
        Its name in messages.
    files
        Sorted paths; empty for a table in memory.
    columns
        The contract's columns that it has, and those that must be there.
    required
        Columns that must be there without nulls, in this use of the table.
    unread
        Its other columns: no rule asks for them.
    rules
        How its cells are read.
    memory
        The table, where it is in memory.
    notes
        Notes on the form of its files.
    is_text
        Whether all cells are text, as in CSV files and sheets.
    """

    table: Table
    label: str
    files: tuple[Path, ...]
    columns: tuple[str, ...]
    required: frozenset[str]
    unread: tuple[str, ...] = ()
    rules: CellRules = field(default_factory=CellRules)
    memory: pa.Table | None = None
    notes: ReadingNotes = field(default_factory=ReadingNotes)
    is_text: bool = False

    @property
    def mapping(self) -> InputTable | None:
        """How it is read, if it has other names, words or units."""
        return self.rules.mappings.get(self.table.name)


@dataclass(frozen=True, slots=True)
class FarFiles:
    """
    Files that other processes read: what is known of them here.

    Attributes
    ----------
    label
        The table's name in messages.
    schemas
        Columns of each file, by its name; from :func:`file_schema`.
    """

    label: str
    schemas: Mapping[str, pa.Schema]


@dataclass(frozen=True, slots=True, eq=False)
class TextTable:
    """
    A table in memory whose cells are text, and are read as those of a CSV file.

    Attributes
    ----------
    table
        The texts.
    """

    table: pa.Table


def open_source(
    data: Any,
    table: Table,
    *,
    require: Sequence[str] = (),
    rules: CellRules | None = None,
) -> Source:
    """
    Find a table and check its columns against the contract; reads no rows yet.

    Parameters
    ----------
    data
        A path, a glob, a list of paths, anything that exports an Arrow stream, a
        :class:`TextTable`, or :class:`FarFiles`, whose rows :func:`read_group` reads.
    table
        The contract.
    require
        Columns that are required here although they are optional in general.
    rules
        Rules for reading cells; left out: the defaults.

    Raises
    ------
    DataError
        When there is no such file, it is damaged, a column is missing or has the
        wrong type, or a column looks like personal data.
    """
    refuse_no_table(data, table.name)
    required = {c.name for c in table.columns if c.is_required} | set(require)
    notes = ReadingNotes()
    files: tuple[Path, ...]
    if isinstance(data, FarFiles):
        files, memory = (), None
        label = data.label
    elif isinstance(data, list | tuple):
        if not data:
            raise DataError(f"the {table.name} table is an empty list; name a file")
        found = tuple(p for path in data for p in find_files(str(path), table.name))
        files, memory = _with_bytes(found, notes), None
        label = ", ".join(map(str, data))
    elif isinstance(data, str | Path) or hasattr(data, "__fspath__"):
        files = _with_bytes(find_files(str(data), table.name), notes)
        label, memory = str(data), None
    else:
        is_kept = isinstance(data, TextTable)
        memory = data.table if is_kept else _arrow_table(data, table.name)
        label, files = f"the {table.name} table", ()
    rules = rules or CellRules()
    mapping = rules.mappings.get(table.name)
    of_text = bool(files) and files[0].name.lower().endswith(CSV + EXCEL)
    is_text = isinstance(data, TextTable) or of_text
    if files and files[0].name.lower().endswith(EXCEL):
        memory = _excel(files, as_written(table, mapping), mapping, rules)
    if isinstance(data, FarFiles):
        schemas = dict(data.schemas)
    elif memory is None:
        schemas = _file_schemas(files, as_written(table, mapping), mapping, notes)
    else:
        schemas = {label: memory.schema}
    left_out = _left_out(next(iter(schemas.values())))

    def check() -> _Columns:
        found = _checked_columns(schemas, table, required, rules, is_text=is_text)
        refuse_lost_name(notes, table, found.names, label)
        return found

    # Whoever decides again and again gives tables of the same columns.
    made_from = label, schemas, table, required, rules, is_text
    checked = check() if memory is None else _CHECKED.get(made_from, check)
    unread = [name for name in checked.names if name not in table.column_names]
    unread += left_out
    notes.deleted_marks = marks_of_deleted(unread)
    return Source(
        table=table,
        label=label,
        files=tuple(files),
        columns=checked.columns,
        required=frozenset(required),
        unread=tuple(unread),
        rules=rules,
        memory=memory,
        notes=notes,
        is_text=is_text,
    )


class _Columns(NamedTuple):
    """Columns of a table: those of the contract that it has, and all of its first."""

    columns: tuple[str, ...]
    names: list[str]


_CHECKED: Kept[_Columns] = Kept(8)


def _checked_columns(
    schemas: Mapping[str, pa.Schema],
    table: Table,
    required: set[str],
    rules: CellRules,
    *,
    is_text: bool,
) -> _Columns:
    """Check the columns of a table's parts, by their names in the contract."""
    mapping = rules.mappings.get(table.name)
    named = {n: named_by_contract(s, mapping, n) for n, s in schemas.items()}
    for name, schema in named.items():
        check_schema(schema, table, required, name, rules, has_types=not is_text)
    refuse_mixed_types(named, table)
    names = next(iter(named.values())).names
    return _Columns(columns_of_all(named, table), names)


def _left_out(schema: pa.Schema) -> list[str]:
    """Columns that a copy of a database's table does not have, by its own word."""
    said = (schema.metadata or {}).get(LEFT_OUT.encode(), b"")
    return said.decode("utf-8", "replace").splitlines()


def _excel(
    files: Sequence[Path],
    table: Table,
    mapping: InputTable | None,
    rules: CellRules,
) -> pa.Table:
    """A sheet of each file, one below the other."""
    import pyarrow as pa

    sheet = None if mapping is None else mapping.sheet
    ids = [column.name for column in table.columns if column.kind == "id"]
    parts = []
    for path in files:
        with damaged_is_data_error(str(path)):
            refuse_large_book(path, rules.limits)
            parts.append(excel_table(path, sheet, ids))
    for path, part in zip(files, parts, strict=True):
        if part.column_names != parts[0].column_names:
            raise DataError(f"{path}: has other columns than {files[0]}")
    return pa.concat_tables(parts)


def _with_bytes(files: Sequence[Path], notes: ReadingNotes) -> tuple[Path, ...]:
    """Leave out the empty text files that Spark writes for partitions without rows."""
    kept = [
        path
        for path in files
        if path.stat().st_size
        or not path.name.lower().endswith(CSV)
        or not (path.parent / "_SUCCESS").exists()
    ]
    if not kept:
        return tuple(files)
    notes.num_empty_files = len(files) - len(kept)
    return tuple(kept)


def _file_schemas(
    files: Sequence[Path],
    table: Table,
    mapping: InputTable | None,
    notes: ReadingNotes,
) -> dict[str, pa.Schema]:
    """Columns of each file; CSV files must all be of one form."""
    forms = {}
    encoding = "utf-8" if mapping is None else mapping.encoding
    for path in files:
        if path.name.lower().endswith(CSV):
            with damaged_is_data_error(str(path)):
                refuse_other_bytes(path)
                forms[str(path)] = csv_form(path, table.column_names, encoding)
    notes.form = one_form(forms)
    return {
        str(path): csv_schema(forms[str(path)])
        if str(path) in forms
        else file_schema(path, table)
        for path in files
    }


def _refuse_several_kinds(files: Sequence[Path]) -> None:
    """Refuse parts of which some are CSV and some Parquet."""
    kinds = (CSV, PARQUET, _ARROW, EXCEL)
    for path in files[1:]:
        same = next(k for k in kinds if files[0].name.lower().endswith(k))
        if not path.name.lower().endswith(same):
            raise DataError(
                f"{path}: is of another kind of file than {files[0]}; export all parts "
                "alike"
            )


def find_files(pattern: str, table_name: str) -> tuple[Path, ...]:
    """
    Files of a path or a glob, sorted.

    Raises
    ------
    DataError
        When there is none, or one is a folder or of an unknown kind.
    """
    if "://" in pattern:
        raise DataError(
            f"the {table_name} table is an address; `optimizer run` reads addresses in "
            "inputs, and allocate takes paths and tables"
        )
    try:
        refuse_mistyped("" if Path(pattern).exists() else pattern)
    except ValueError as error:
        raise DataError(f"the {table_name} table {error}") from None
    is_glob = glob.has_magic(pattern) and not Path(pattern).exists()
    found = sorted(glob.glob(pattern)) if is_glob else [pattern]
    if not found:
        raise DataError(
            f"{pattern}: no file matches; is the {table_name} export there?"
        )
    for name in found:
        path = Path(name)
        if not path.exists():
            raise DataError(f"{name}: no such file; is the {table_name} export there?")
        if path.is_dir():
            raise DataError(
                f"{name}: is a folder; name a file or a glob such as *.parquet"
            )
        if not name.lower().endswith(CSV + PARQUET + _ARROW + EXCEL):
            raise DataError(
                f"{name}: is not a kind of file that is read here; use .parquet, .csv "
                "(plain, .gz, .zst), .arrow or .xlsx"
            )
    files = tuple(Path(name) for name in found)
    _refuse_several_kinds(files)
    return files


def read_batches(
    source: Source,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[pl.DataFrame]:
    """
    Read a table batch by batch, in file order.

    Parameters
    ----------
    source
        From :func:`open_source`.
    columns
        Which of its columns; all by default.
    batch_rows
        Rows in a batch at most; never changes what is read.

    Yields
    ------
    pl.DataFrame
        The columns, ids as text (all columns of a CSV file as text), and ``row``
        (Int64): the row in the whole table, from 0.

    Raises
    ------
    DataError
        When a file is damaged, or larger than ``limits`` allows.
    """
    for frame, _ in worded_batches(source, columns, batch_rows):
        yield frame


def worded_batches(
    source: Source,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
    coded: Collection[str] = (),
) -> Iterator[tuple[pl.DataFrame, dict[str, Words]]]:
    """
    Read a table batch by batch, with the texts of columns that become codes.

    Parameters
    ----------
    source, columns, batch_rows
        As for :func:`read_batches`.
    coded
        Columns of ids whose texts are wanted. They are given where the file has them
        as dictionaries, which is faster than to find them again.

    Yields
    ------
    frame, words
        The batch as of :func:`read_batches`, and the texts of some of those columns.

    Raises
    ------
    DataError
        As :func:`read_batches`.
    """
    wanted = [c for c in source.columns if columns is None or c in columns]
    there = _columns_there(source, wanted)
    if source.mapping is not None or source.rules.null_words:
        coded = ()  # cells change their texts on the way
    batches = _arrow_batches(source, there, batch_rows, coded)
    yield from _frames(source, batches, there, wanted, first=0, coded=coded)


def read_group(
    source: Source, path: Path, group: int, first: int
) -> Iterator[pl.DataFrame]:
    """
    Read one row group of a Parquet table, as :func:`read_batches` reads all of it.

    Parameters
    ----------
    source
        The whole table.
    path, group
        One of its files, or a copy of it, and which of its row groups.
    first
        The group's first row in the whole table.

    Yields
    ------
    pl.DataFrame
        As :func:`read_batches`.

    Raises
    ------
    DataError
        When the file is damaged, or larger than ``limits`` allows.
    """
    there = _columns_there(source, source.columns)
    written = _written_names(source, there)
    limits = source.rules.limits

    def batches() -> Iterator[pa.RecordBatch]:
        with damaged_is_data_error(str(path)):
            for batch in parquet_batches(path, [*written], BATCH_ROWS, limits, [group]):
                names = batch.schema.names
                yield batch.rename_columns([written[name] for name in names])

    for frame, _ in _frames(source, batches(), there, source.columns, first=first):
        yield frame


def _columns_there(source: Source, wanted: Sequence[str]) -> list[str]:
    """Those of the columns that files have."""
    constant = () if source.mapping is None else source.mapping.constants
    there = [c for c in wanted if c not in constant]
    # Where there are none, their rows have to be counted.
    return there or [c for c in source.columns if c not in constant][:1]


def _frames(
    source: Source,
    batches: Iterable[pa.Table | pa.RecordBatch],
    there: list[str],
    wanted: Sequence[str],
    *,
    first: int,
    coded: Collection[str] = (),
) -> Iterator[tuple[pl.DataFrame, dict[str, Words]]]:
    """Batches under the contract's names as frames, their rows numbered; with texts."""
    import numpy as np
    import polars as pl

    for batch in batches:
        with damaged_is_data_error(source.label):
            words = _words_in(batch, coded)
            rest = batch.select([n for n in batch.schema.names if n not in words])
            frame = plain_frame(rest, source.table, source.rules.null_words)
        frame = frame.hstack([written_out(found) for found in words.values()])
        frame = _selected(frame, there)
        frame = with_meanings(frame, source.table, source.mapping, source.label)
        frame = _selected(frame, [*wanted])
        rows = np.arange(first, first + len(frame), dtype=np.int64)
        yield frame.hstack([pl.Series("row", rows)]), words
        first += len(frame)
        if first > source.rules.limits.num_rows:
            raise DataError(
                f"{source.label}: has more than {source.rules.limits.num_rows:,} rows, "
                "which limits.num_rows allows; is it the export of one day?"
            )


def _words_in(
    batch: pa.Table | pa.RecordBatch, coded: Collection[str]
) -> dict[str, Words]:
    """Texts of the columns of a batch that were read as dictionaries."""
    import pyarrow as pa

    if not coded or isinstance(batch, pa.Table):
        return {}
    there = [name for name in batch.schema.names if name in coded]
    columns = {name: batch.column(name) for name in there}
    return {
        name: words_of(column, name)
        for name, column in columns.items()
        if is_of_texts(column)
    }


def as_it_stands(source: Source) -> pl.DataFrame:
    """
    A whole table under the names and with the values that it has.

    Columns that nothing asks for are left out; a CSV file and a sheet are text. A table
    in memory may have no rows: that of a night whose orders were all dropped.

    Raises
    ------
    DataError
        When a file is damaged, or has no rows.
    """
    import polars as pl

    mapping = source.mapping
    constant = () if mapping is None else mapping.constants
    columns = [name for name in source.columns if name not in constant]
    if mapping is not None:
        columns = [mapping.written(name) for name in columns]
    parts = []
    for batch in _written_batches(source, columns, BATCH_ROWS):
        with damaged_is_data_error(source.label):
            parts.append(pl.DataFrame(pl.from_arrow(batch)).select(columns))
    if parts:
        return pl.concat(parts)
    if source.memory is None:
        raise DataError(
            f"{source.label}: has no rows; check the {source.table.name} export"
        )
    return pl.DataFrame(pl.from_arrow(source.memory.select(columns)))


def _selected(frame: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """Some columns of a frame; the frame, where these are all."""
    return frame if frame.columns == columns else frame.select(columns)


def fingerprint(source: Source) -> tuple[FileRecord, ...]:
    """Size and SHA-256 of each file; nothing for a table in memory."""
    return tuple(
        FileRecord(str(path.absolute()), path.stat().st_size, sha256_of_input(path))
        for path in source.files
    )


def sha256_of_input(path: Path) -> str:
    """
    SHA-256 of an input file, in hexadecimal.

    Raises
    ------
    DataError
        When it cannot be read.
    """
    with damaged_is_data_error(str(path)), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _arrow_table(data: Any, name: str) -> pa.Table:
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return data
    is_lazy = hasattr(data, "collect") and hasattr(data, "collect_schema")
    is_value = not isinstance(data, type)
    if not is_value or not (is_lazy or hasattr(data, "__arrow_c_stream__")):
        kind = type(data).__name__ if is_value else "class"
        raise DataError(f"the {name} table is a {kind}, and no table; {TAKEN}")
    try:
        return pa.table(data.collect() if is_lazy else data)
    except BaseException as error:
        if not is_failure(error):
            raise
        if is_of_memory(error):
            raise lack_of_memory(f"the {name} table") from None
        raise DataError(
            f"the {name} table cannot be read ({_why(error)}); {TAKEN}"
        ) from None


def _why(error: BaseException) -> str:
    """
    Say what is wrong with a table, without a value of it: messages of others have some.

    Examples
    --------
    >>> import pyarrow as pa
    >>> lines = ("Expected bytes, got 'int'", "failed for column a with type object")
    >>> _why(pa.ArrowTypeError(*lines))
    'column a has values of several types: write them in one'
    >>> _why(pa.ArrowInvalid("Could not convert '13800138000'"))
    'ArrowInvalid, when its rows were asked for'
    """
    column = re.search(r"for column (.+?) with type", str(error))
    if column is not None and not holds_personal(column[1]):
        return f"column {column[1]} has values of several types: write them in one"
    if "non-struct type" in str(error):
        return "it is one column, and no table"
    return f"{type(error).__name__}, when its rows were asked for"


def _arrow_batches(
    source: Source, columns: list[str], batch_rows: int, coded: Collection[str] = ()
) -> Iterator[pa.Table | pa.RecordBatch]:
    """Batches under the contract's names."""
    written = _written_names(source, columns)
    for batch in _written_batches(source, list(written), batch_rows, coded):
        names = batch.schema.names
        yield batch.rename_columns([written[name] for name in names])


def _written_names(source: Source, columns: Sequence[str]) -> dict[str, str]:
    """The contract's names of columns, by the names that the files have."""
    mapping = source.mapping
    written = (lambda name: name) if mapping is None else mapping.written
    return {written(name): name for name in columns}


def _written_batches(
    source: Source, columns: list[str], batch_rows: int, coded: Collection[str] = ()
) -> Iterator[pa.Table | pa.RecordBatch]:
    """Batches under the names that the table has."""
    if source.memory is not None:
        for first in range(0, source.memory.num_rows, batch_rows):
            yield source.memory.select(columns).slice(first, batch_rows)
        return
    for path in source.files:
        with damaged_is_data_error(str(path)):
            for batch in _file_batches(path, source, columns, batch_rows, coded):
                for first in range(0, batch.num_rows, batch_rows):
                    yield batch.slice(first, batch_rows)


def _file_batches(
    path: Path,
    source: Source,
    columns: list[str],
    batch_rows: int,
    coded: Collection[str],
) -> Iterator[pa.Table | pa.RecordBatch]:
    name, limits = path.name.lower(), source.rules.limits
    if name.endswith(PARQUET):
        asked = [column for column in columns if column in coded]
        yield from parquet_batches(path, columns, batch_rows, limits, coded=asked)
    elif name.endswith(CSV):
        known = as_written(source.table, source.mapping).column_names
        encoding = "utf-8" if source.mapping is None else source.mapping.encoding
        yield from csv_batches(path, columns, known, source.notes, limits, encoding)
    else:
        yield from arrow_batches(path, columns)
