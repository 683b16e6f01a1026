"""DuckDB databases on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.io.sources.rows import (
    SQL_TYPES,
    Rows,
    check_head,
    checked_columns,
    head_text,
    quoted,
    relation_of,
    select_text,
    unread_of,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    import pyarrow as pa

    from optimizer.config.address import Address
    from optimizer.contracts.columns import Table
    from optimizer.io.cells import CellRules

#: A database on disk is all that is opened: no other file, no extension, no network.
_CLOSED: dict[str, Any] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


@contextmanager
def open_rows(address: Address, table: Table, rules: CellRules) -> Iterator[Rows]:
    """
    Read a table or a query, batch by batch; the database is opened to read alone.

    Raises
    ------
    FileNotFoundError
        When there is no such file: DuckDB would make one.
    """
    import duckdb
    import pyarrow as pa

    if not Path(address.path).is_file():
        raise FileNotFoundError("no such file")
    connection: Any
    with duckdb.connect(address.path, read_only=True, config=_CLOSED) as connection:
        relation = relation_of(address)
        none = connection.sql(f"select * from {relation} limit 0")
        schema = pa.RecordBatchReader.from_stream(none).schema
        columns = checked_columns(schema, table, address.label, rules)
        found = connection.sql(select_text(schema, columns, relation))
        batches = pa.RecordBatchReader.from_stream(found)
        yield Rows(batches, unread_of(schema, columns))


@contextmanager
def open_head(address: Address, num_rows: int) -> Iterator[pa.RecordBatchReader]:
    """
    Read the first rows of a table or a query, all columns.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    """
    import duckdb
    import pyarrow as pa

    if not Path(address.path).is_file():
        raise FileNotFoundError("no such file")
    connection: Any
    with duckdb.connect(address.path, read_only=True, config=_CLOSED) as connection:
        relation = relation_of(address)
        none = connection.sql(f"select * from {relation} limit 0")
        schema = pa.RecordBatchReader.from_stream(none).schema
        check_head(schema, address.label)
        found = connection.sql(head_text(schema, relation, num_rows))
        yield pa.RecordBatchReader.from_stream(found)


def write_rows(address: Address, rows: pa.RecordBatchReader, day: dt.date) -> None:
    """Replace the rows of a date, in one transaction; the table is made if needed."""
    import duckdb

    name = quoted(address.params["table"])
    columns = (f"{quoted(f.name)} {SQL_TYPES[str(f.type)]}" for f in rows.schema)
    with duckdb.connect(address.path, config=_CLOSED) as connection:
        connection.begin()
        connection.execute(f"create table if not exists {name} ({', '.join(columns)})")
        connection.execute(f"delete from {name} where run_date = '{day}'")
        connection.register("night", rows)
        connection.execute(f"insert into {name} by name select * from night")
        connection.commit()


def is_passing(error: Exception) -> bool:
    """Whether another process only holds the file."""
    return "lock on file" in str(error)
