"""Columns of tables, held against the contract before a row is read."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from optimizer.errors import DataError
from optimizer.io.arrow_types import check_type, is_text, is_uuid
from optimizer.io.cells import CellRules
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.file_kinds import PARQUET, refuse_other_kind
from optimizer.io.mapping import takes_text
from optimizer.io.privacy import refuse_personal_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from optimizer.contracts.columns import Column, Table
    from optimizer.io.reading_notes import ReadingNotes


def columns_of_all(schemas: Mapping[str, pa.Schema], table: Table) -> tuple[str, ...]:
    """
    The contract's columns that a table has; all of its parts must have the same.

    Parameters
    ----------
    schemas
        Columns of each part, by its name.
    table
        The contract.

    Raises
    ------
    DataError
        Naming part and columns.
    """
    (first, schema), *others = schemas.items()
    columns = [name for name in table.column_names if name in schema.names]
    for label, other in others:
        there = [name for name in table.column_names if name in other.names]
        for one, has, lacks in ((label, columns, there), (first, there, columns)):
            missing = [name for name in has if name not in lacks]
            if missing:
                where = first if one == label else label
                raise DataError(
                    f"{label}: has other columns than {first}: {', '.join(missing)} "
                    f"stands in {where} and not in {one}; export all parts alike"
                )
    return tuple(columns)


def refuse_mixed_types(schemas: Mapping[str, pa.Schema], table: Table) -> None:
    """
    Refuse parts whose types do not become one column without a change of meaning.

    Parameters
    ----------
    schemas
        Columns of each part, by its name.
    table
        The contract.

    Raises
    ------
    DataError
        Naming part, column and both types.
    """
    for column in table.columns:
        seen: dict[str, str] = {}
        for label, schema in schemas.items():
            if column.name not in schema.names:
                continue
            kind = _class_of(schema.field(column.name).type, column)
            other = next((k for k in seen if {k, kind} in _APART), None)
            if other is not None:
                raise DataError(
                    f"{label}: column {column.name} has {kind}, and {other} in "
                    f"{seen[other]}; export all parts alike"
                )
            seen.setdefault(kind, label)


def _class_of(kind: pa.DataType, column: Column) -> str:
    import pyarrow.types as t

    if t.is_timestamp(kind):
        return "times" if kind.tz is None else "times with a zone"
    if is_uuid(kind) or t.is_null(kind):
        return "UUIDs" if is_uuid(kind) else "nothing"
    if t.is_date(kind):
        return "dates"
    # A code that became a number has lost its zeros: 007 and 7 are two regions.
    is_code = column.kind == "id" and t.is_integer(kind)
    return "whole numbers" if is_code else "other values"


#: Values that an engine reads otherwise once they are put together.
_APART = (
    {"times", "times with a zone"},
    {"dates", "times with a zone"},
    {"UUIDs", "other values"},
    {"UUIDs", "whole numbers"},
    {"whole numbers", "other values"},
)


def check_schema(
    schema: pa.Schema,
    table: Table,
    required: set[str],
    label: str,
    rules: CellRules | None = None,
    *,
    has_types: bool = True,
) -> None:
    """
    Check columns against the contract.

    Parameters
    ----------
    schema
        Columns and types of the input.
    table
        The contract.
    required
        Columns that must be there.
    label
        The input's name in messages.
    rules
        Rules for reading cells, and limits; left out: the defaults.
    has_types
        Whether types mean something; cells of a CSV file or a sheet are all text.

    Raises
    ------
    DataError
        Naming all missing columns, or the first of a wrong type.
    """
    rules = rules or CellRules()
    if len(schema.names) > rules.limits.num_columns:
        raise DataError(
            f"{label}: has {len(schema.names):,} columns; limits.num_columns allows "
            f"{rules.limits.num_columns:,}; export those of the {table.name} table"
        )
    mapping = rules.mappings.get(table.name)
    told = [name for name in schema.names if name not in rules.not_personal]
    refuse_personal_columns(told, label)
    repeated = {name for name, number in Counter(schema.names).items() if number > 1}
    if repeated:
        raise DataError(
            f"{label}: has the column {sorted(repeated)[0]!r} twice; export it once"
        )
    missing = [c for c in table.column_names if c in required - set(schema.names)]
    if missing:
        raise DataError(
            f"{label}: has no column {', '.join(missing)}; the {table.name} table "
            f"needs {', '.join(c for c in table.column_names if c in required)}"
            f"{_instead(schema.names, missing, table)}"
        )
    _refuse_other_spelling(schema.names, table, label)
    for column in table.columns:
        if column.is_nullable and column.name not in schema.names:
            _refuse_other_name(schema.names, column, label)
    if has_types:
        for column in table.columns:
            if column.name not in schema.names:
                continue
            kind = schema.field(column.name).type
            if not takes_text(mapping, column.name, column.kind) or not is_text(kind):
                check_type(kind, column, label)


def _instead(names: Sequence[str], missing: Sequence[str], table: Table) -> str:
    """What there is instead of missing columns, and what to do; to follow a message."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    for column in missing:
        wanted = column.replace("_", "")
        for written, name in plain.items():
            if written.endswith(wanted):
                return f"; rename {name!r} to {column}"
    if {*missing} <= {*_OF_HISTORY}:
        return "; add it to the export, or " + ", and ".join(
            _OF_HISTORY[name] for name in missing
        )
    if {*names} & {*table.column_names}:
        return "; add it to the export"
    return "; none of its columns is one of the table's: is its first line the header?"


#: What may stand for columns of a history.
_OF_HISTORY = {
    "is_premium": "join what published nights decided (--runs FOLDER), or where no "
    "parcel was premium, so that nothing can be measured, state what premium is "
    "believed to do (learning: {prior: {effect: 0.3}}, the share of the harm that it "
    "removes)",
    "complaint": "where no complaints are known, say learning.history: constants: "
    "{complaint: 'false'}, and state their share (learning: {prior: {effect: 0.3, "
    "complaint_prob: 0.01, return_prob: 0.02}})",
    "logistics_return": "where no returns are known, state their share (learning: "
    "{prior: {effect: 0.3, complaint_prob: 0.01, return_prob: 0.02}}) or that they "
    "cost nothing (objective: {return_cost_cny: 0})",
}


def refuse_lost_name(
    notes: ReadingNotes, table: Table, names: Sequence[str], label: str
) -> None:
    """
    Refuse a column without a name where one is missing that would mean "all".

    Parameters
    ----------
    notes
        What was found of the form of its files.
    table
        The contract.
    names, label
        The columns that have one, and the table's name in messages.

    Raises
    ------
    DataError
        Saying what to name.
    """
    first = table.columns[0]
    has_unnamed = notes.form is not None and notes.form.num_unnamed > 0
    if first.is_nullable and first.name not in names and has_unnamed:
        raise DataError(
            f"{label}: has no column {first.name}, and one without a name; name it, or "
            "leave it out where rows hold for all"
        )


def _refuse_other_spelling(names: Sequence[str], table: Table, label: str) -> None:
    """Refuse a column whose name differs in case, width or signs: it would be off."""
    written = {_letters_of(name): name for name in names}
    for column in table.column_names:
        name = written.get(_letters_of(column), column)
        if column not in names and name != column:
            raise DataError(
                f"{label}: has no column {column}, and one named {name!r}, which would "
                f"not be read; rename it to {column}, or to something else if it means "
                "something else"
            )


@lru_cache
def _letters_of(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(sign for sign in plain if sign.isalnum())


def _refuse_other_name(names: Sequence[str], column: Column, label: str) -> None:
    """Refuse a column under another name: if it were ignored, it would mean "all"."""
    stem = column.name.removesuffix("_id")
    for name in names:
        if stem in name.lower():
            raise DataError(
                f"{label}: has no column {column.name}, and one named {name!r}; rename "
                f"it to {column.name}, or leave both out where rows hold for all "
                f"{stem}s together"
            )


def file_schema(path: Path, table: Table) -> pa.Schema:
    """
    Columns of a Parquet or Arrow file.

    Raises
    ------
    DataError
        When it is damaged, or of another kind, or has times whose zone is not known.
    """
    import pyarrow.ipc
    import pyarrow.parquet

    name = path.name.lower()
    with damaged_is_data_error(str(path)):
        refuse_other_bytes(path)
        if name.endswith(PARQUET):
            with pyarrow.parquet.ParquetFile(path) as file:
                _refuse_int96(file.schema, table, str(path))
                return file.schema_arrow
        with pyarrow.ipc.open_file(path) as reader:
            return reader.schema


def _refuse_int96(schema: Any, table: Table, label: str) -> None:
    """Refuse times of a type that some tools write in UTC, and others as they are."""
    dates = {column.name for column in table.columns if column.kind == "date"}
    for number in range(len(schema)):
        leaf = schema.column(number)
        if leaf.path in dates and leaf.physical_type == "INT96":
            raise DataError(
                f"{label}: column {leaf.path} is INT96, a time whose zone depends on "
                f"who wrote it; export a day, such as cast({leaf.path} as date)"
            )


def refuse_other_bytes(path: Path) -> None:
    """
    Refuse a file that is empty, or of another kind than its name says.

    Raises
    ------
    DataError
        Saying which.
    """
    if path.stat().st_size == 0:
        raise DataError(f"{path}: is empty, without even a header; export it again")
    refuse_other_kind(path)
