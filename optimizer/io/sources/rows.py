"""Common to all databases: types, checks, the text of a query."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.errors import BusyError, DataError
from optimizer.io.mapping import as_written, named_by_contract
from optimizer.io.privacy import refuse_personal_columns
from optimizer.io.schemas import check_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from optimizer.config.address import Address
    from optimizer.contracts.columns import Column, Table
    from optimizer.io.cells import CellRules

_TEXT_KINDS = ("id", "text", "pin")
#: Published columns in a database, by the type's name in Arrow.
SQL_TYPES = {
    "string": "text",
    "large_string": "text",
    "string_view": "text",
    "double": "double precision",
    "int64": "bigint",
    "bool": "boolean",
    "date32[day]": "date",
}


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """
    A table that is being read.

    Attributes
    ----------
    batches
        Its rows, in no order; the contract's columns alone.
    unread
        Its other columns: no rule asks for them.
    version
        Which state of the table it is, where it has versions.
    """

    batches: pa.RecordBatchReader
    unread: tuple[str, ...] = ()
    version: str = ""


def quoted(name: str) -> str:
    """
    Quote a name, or a schema and a name, for SQL.

    Examples
    --------
    >>> quoted("sales.orders")
    '"sales"."orders"'
    """
    return ".".join(quoted_column(part) for part in name.split("."))


def relation_of(address: Address) -> str:
    """The relation that a query selects from: the table, or the configured query."""
    if "query" in address.params:
        return f"({address.params['query'].strip().rstrip(';')}\n) as source"
    return quoted(address.params["table"])


def checked_columns(
    schema: pa.Schema, table: Table, label: str, rules: CellRules
) -> list[Column]:
    """
    The contract's columns that a table has, under their names there.

    Parameters
    ----------
    schema, label, rules
        As of :func:`~optimizer.io.schemas.check_schema`.
    table
        The contract.

    Raises
    ------
    DataError
        When a column is missing, of a wrong type, or looks like personal data.
    """
    import pyarrow as pa

    mapping = rules.mappings.get(table.name)
    written = as_written(table, mapping)
    found = pa.schema([_plain_field(field, written) for field in schema])
    required = {column.name for column in table.columns if column.is_required}
    named = named_by_contract(found, mapping, label)
    check_schema(named, table, required, label, rules)
    return [column for column in written.columns if column.name in schema.names]


def unread_of(schema: pa.Schema, columns: Iterable[Column]) -> tuple[str, ...]:
    """Columns of a source besides those that are read."""
    read = {column.name for column in columns}
    return tuple(name for name in schema.names if name not in read)


def select_text(
    schema: pa.Schema,
    columns: Iterable[Column],
    relation: str,
    *,
    pads_text: bool = False,
    written: Mapping[str, str] | None = None,
) -> str:
    """
    Write the query; values without an Arrow type become text or a number.

    Parameters
    ----------
    schema
        Columns and types of the source.
    columns
        Columns to read; their kinds decide what opaque types are cast to.
    relation
        Table or subquery to read from, quoted.
    pads_text
        Whether the server gives text of a fixed length with spaces at its end; a cast
        takes them off.
    written
        Columns whose values the query has to write otherwise: an expression for each.
    """
    import pyarrow.types as t

    chosen, given = [], written or {}
    for column in columns:
        kind, name = schema.field(column.name).type, quoted_column(column.name)
        if column.name in given:
            chosen.append(f"{given[column.name]} as {name}")
            continue
        is_cast = _is_opaque(kind) or (pads_text and t.is_string(kind))
        cast = "varchar" if t.is_string(kind) else _cast_type(column)
        chosen.append(f"cast({name} as {cast}) as {name}" if is_cast else name)
    return f"select {', '.join(chosen)} from {relation}"


def _cast_type(column: Column) -> str:
    return "varchar" if column.kind in _TEXT_KINDS else "double precision"


def head_text(
    schema: pa.Schema,
    relation: str,
    num_rows: int,
    *,
    pads_text: bool = False,
    written: Mapping[str, str] | None = None,
) -> str:
    """
    Write the query of a table's first rows: all columns, opaque ones as text.

    Parameters
    ----------
    schema
        Columns and types of the source.
    relation
        Table or subquery to read from, quoted.
    num_rows
        Rows at most.
    pads_text, written
        As of :func:`select_text`.
    """
    import pyarrow.types as t

    chosen, given = [], written or {}
    for field in schema:
        is_cast = _is_opaque(field.type) or (pads_text and t.is_string(field.type))
        column = quoted_column(field.name)
        if field.name in given:
            chosen.append(f"{given[field.name]} as {column}")
            continue
        chosen.append(f"cast({column} as varchar) as {column}" if is_cast else column)
    return f"select {', '.join(chosen)} from {relation} limit {num_rows}"


def check_head(schema: pa.Schema, label: str) -> None:
    """
    Refuse columns of personal data before a row is read.

    Raises
    ------
    DataError
        Naming the columns.
    """
    refuse_personal_columns(schema.names, label)


def refuse_other_value(address: Address, field: pa.Field, value: str) -> None:
    """
    Refuse a partition that its column cannot hold, such as a day of numbers.

    A day of times, too: it would be its first moment alone, and not its rows.

    Raises
    ------
    DataError
        Naming the column, its type and the value.
    """
    import pyarrow as pa

    with suppress(pa.ArrowException):
        pa.scalar(value).cast(field.type)
        if not pa.types.is_timestamp(field.type):
            return
    raise DataError(
        f"{address.label}: its column {field.name} holds {field.type}, which "
        f"partition={field.name}={value} does not choose; name a column of text or "
        "days, such as partition=ds={date}"
    )


def refuse_other_table(
    address: Address, names: Iterable[str], written: Iterable[str]
) -> None:
    """
    Refuse to write into a table of something else.

    A table of an older version lacks columns, its owner may have added some: of a
    table where both is true nobody can tell.

    Parameters
    ----------
    address
        The table.
    names, written
        Columns that it has, and those of the copy.

    Raises
    ------
    DataError
        Naming the columns.
    """
    there, ours = list(names), list(written)
    lacking = [name for name in ours if name not in there]
    others = [name for name in there if name not in ours]
    if (lacking and others) or {"run_date", "run_id"} & {*lacking}:
        raise DataError(
            f"{address.label}: is not a table of this copy, which has "
            f"{', '.join(lacking)} besides, and not {', '.join(others) or 'less'}; add "
            "these columns, or name a table of its own, which is made if needed"
        )


def other_was_first(address: Address) -> BusyError:
    """
    What is raised where another commit came between a copy and its own.

    Parameters
    ----------
    address
        The table.
    """
    return BusyError(
        f"{address.label}: was written by another run meanwhile, and has its rows; "
        "this copy did not arrive"
    )


def quoted_column(name: str) -> str:
    """
    Quote the name of a column, which may hold any sign.

    Examples
    --------
    >>> quoted_column("Order No.")
    '"Order No."'
    """
    return '"' + name.replace('"', '""') + '"'


def _plain_field(field: pa.Field, table: Table) -> pa.Field:
    import pyarrow as pa

    if field.name not in table.column_names or not _is_opaque(field.type):
        return field
    is_text = table.column(field.name).kind in _TEXT_KINDS
    return field.with_type(pa.string() if is_text else pa.float64())


def _is_opaque(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return isinstance(kind, pa.BaseExtensionType)
