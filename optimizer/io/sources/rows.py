"""Common to all databases: types, checks, the text of a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.contracts.tables import TABLES_IN
from optimizer.io.mapping import named_by_contract
from optimizer.io.privacy import refuse_personal_columns
from optimizer.io.read import check_schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from optimizer.config.address import Address
    from optimizer.contracts.columns import Table
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
    version
        Which state of the table it is, where it has versions.
    """

    batches: Iterable[pa.RecordBatch]
    version: str = ""


def quoted(name: str) -> str:
    """
    Quote a name, or a schema and a name, for SQL.

    Examples
    --------
    >>> quoted("sales.orders")
    '"sales"."orders"'
    """
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def relation_of(address: Address) -> str:
    """The relation that a query selects from: the table, or the configured query."""
    if "query" in address.params:
        return f"({address.params['query'].strip().rstrip(';')}\n) as source"
    return quoted(address.params["table"])


def checked_columns(
    schema: pa.Schema, table: Table, label: str, rules: CellRules
) -> list[str]:
    """
    The contract's columns that a table has, after a check against the contract.

    Parameters
    ----------
    schema, label, rules
        As of :func:`~optimizer.io.read.check_schema`.
    table
        The contract, under the names that its columns have in the source.

    Raises
    ------
    DataError
        When a column is missing, of a wrong type, or looks like personal data.
    """
    import pyarrow as pa

    contract = next(t for t in TABLES_IN if t.name == table.name)
    fields = [_plain_field(field, table) for field in schema]
    mapping = rules.mappings.get(table.name)
    named = named_by_contract(pa.schema(fields), mapping, label)
    required = {column.name for column in contract.columns if column.is_required}
    check_schema(named, contract, required, label, rules)
    return [name for name in table.column_names if name in schema.names]


def select_text(
    schema: pa.Schema,
    columns: Iterable[str],
    table: Table,
    relation: str,
    *,
    pads_text: bool = False,
) -> str:
    """
    Write the query; values without an Arrow type become text or a number.

    Parameters
    ----------
    schema
        Columns and types of the source.
    columns
        Columns to read.
    table
        The contract, which decides what opaque types are cast to.
    relation
        Table or subquery to read from, quoted.
    pads_text
        Whether the server gives text of a fixed length with spaces at its end; a cast
        takes them off.
    """
    import pyarrow.types as t

    chosen = []
    for name in columns:
        kind, column = schema.field(name).type, quoted_column(name)
        is_cast = _is_opaque(kind) or (pads_text and t.is_string(kind))
        cast = "varchar" if t.is_string(kind) else _cast_type(table, name)
        chosen.append(f"cast({column} as {cast}) as {column}" if is_cast else column)
    return f"select {', '.join(chosen)} from {relation}"


def head_text(
    schema: pa.Schema, relation: str, num_rows: int, *, pads_text: bool = False
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
    pads_text
        As of :func:`select_text`.
    """
    import pyarrow.types as t

    chosen = []
    for field in schema:
        is_cast = _is_opaque(field.type) or (pads_text and t.is_string(field.type))
        column = quoted_column(field.name)
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


def quoted_column(name: str) -> str:
    """
    Quote the name of a column, which may hold any sign.

    Examples
    --------
    >>> quoted_column("Order No.")
    '"Order No."'
    """
    return '"' + name.replace('"', '""') + '"'


def _cast_type(table: Table, name: str) -> str:
    is_text = table.column(name).kind in _TEXT_KINDS
    return "varchar" if is_text else "double precision"


def _plain_field(field: pa.Field, table: Table) -> pa.Field:
    import pyarrow as pa

    if field.name not in table.column_names or not _is_opaque(field.type):
        return field
    is_text = table.column(field.name).kind in _TEXT_KINDS
    return field.with_type(pa.string() if is_text else pa.float64())


def _is_opaque(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return isinstance(kind, pa.BaseExtensionType)
