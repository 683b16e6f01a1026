"""PostgreSQL through ADBC: rows in Arrow batches, a date's rows in one transaction."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from optimizer.io.sources.rows import (
    SQL_TYPES,
    Rows,
    check_head,
    checked_columns,
    head_text,
    quoted,
    quoted_column,
    relation_of,
    select_text,
    unread_of,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterator

    import pyarrow as pa

    from optimizer.config.address import Address
    from optimizer.contracts.columns import Table
    from optimizer.io.cells import CellRules

_SETTINGS = ("sslmode", "sslrootcert", "connect_timeout")
#: Classes of SQLSTATE that pass: connection, resources, operator, deadlock.
_PASSING = ("08", "53", "57", "40", "55")
_NOT_YET = re.compile(r"starting up|shutting down|recovery|too many|not accepting")


@contextmanager
def open_rows(address: Address, table: Table, rules: CellRules) -> Iterator[Rows]:
    """Read a table or a query in one read-only transaction, batch by batch."""
    with _connected(address) as connection, connection.cursor() as cursor:
        cursor.execute("set transaction isolation level repeatable read, read only")
        relation = relation_of(address)
        schema = cursor.adbc_execute_schema(f"select * from {relation}")
        amounts = _amounts(cursor, schema, relation)
        schema = _as_doubles(schema, amounts)
        columns = checked_columns(schema, table, address.label, rules)
        query = select_text(schema, columns, relation, pads_text=True, written=amounts)
        cursor.execute(query)
        yield Rows(cursor.fetch_record_batch(), unread_of(schema, columns))


def _amounts(cursor: Any, schema: pa.Schema, relation: str) -> dict[str, str]:
    """
    Columns of the server's type money, and how their values are asked for.

    The driver gives them as whole hundredths, and calls them whole numbers.
    """
    import pyarrow.types as t

    whole = [f.name for f in schema if t.is_int64(f.type)]
    whole = [name for name in whole if schema.names.count(name) == 1]
    if not whole:
        return {}
    kinds = ", ".join(
        f"pg_typeof(source.{quoted_column(name)})::text" for name in whole
    )
    told = relation if relation.endswith(" as source") else f"{relation} as source"
    cursor.execute(f"select {kinds} from (select 1) as one left join {told} on false")
    found = dict(zip(whole, cursor.fetchone(), strict=True))
    return {
        name: f"cast(cast({quoted_column(name)} as numeric) as double precision)"
        for name, kind in found.items()
        if kind == "money"
    }


def _as_doubles(schema: pa.Schema, names: Collection[str]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [f.with_type(pa.float64()) if f.name in names else f for f in schema]
    )


@contextmanager
def open_head(address: Address, num_rows: int) -> Iterator[pa.RecordBatchReader]:
    """Read the first rows of a table or a query, all columns, in one transaction."""
    with _connected(address) as connection, connection.cursor() as cursor:
        cursor.execute("set transaction read only")
        relation = relation_of(address)
        schema = cursor.adbc_execute_schema(f"select * from {relation}")
        check_head(schema, address.label)
        amounts = _amounts(cursor, schema, relation)
        query = head_text(schema, relation, num_rows, pads_text=True, written=amounts)
        cursor.execute(query)
        yield cursor.fetch_record_batch()


def write_rows(address: Address, rows: pa.RecordBatchReader, day: dt.date) -> None:
    """
    Replace the rows of a date, in one transaction.

    Parameters
    ----------
    address
        With ``table``; it is made where there is none.
    rows
        With a column ``run_date``.
    day
        The date.
    """
    name = address.params["table"]
    schema, _, plain = name.rpartition(".")
    with _connected(address) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext($1))", (name,))
        cursor.fetchall()
        cursor.execute("select to_regclass($1) is null", (quoted(name),))
        (is_new,) = cursor.fetchone()
        if is_new:
            columns = (
                f"{quoted(f.name)} {SQL_TYPES[str(f.type)]}" for f in rows.schema
            )
            cursor.execute(f"create table {quoted(name)} ({', '.join(columns)})")
            cursor.execute(f"create index on {quoted(name)} (run_date)")
        cursor.execute(f"delete from {quoted(name)} where run_date = '{day}'")
        cursor.adbc_ingest(plain, rows, mode="append", db_schema_name=schema or None)
        connection.commit()


def is_passing(error: Exception) -> bool:
    """Whether another try may help; a server that answers with a refusal will not."""
    state = getattr(error, "sqlstate", None) or ""
    if state:
        return state.startswith(_PASSING)
    text = str(error)
    return "FATAL" not in text or _NOT_YET.search(text) is not None


@contextmanager
def _connected(address: Address) -> Iterator[Any]:
    """Connect; what is not committed at the end is rolled back."""
    from adbc_driver_postgresql import dbapi

    user = quote(address.user, safe="")
    secret = f":{quote(address.password, safe='')}" if address.password else ""
    login = f"{user}{secret}@" if user or secret else ""
    settings = {"connect_timeout": "10"} | {
        key: value for key, value in address.params.items() if key in _SETTINGS
    }
    uri = f"postgresql://{login}{address.host}{quote(address.path)}"
    with dbapi.connect(f"{uri}?{urlencode(settings)}") as connection:
        yield connection
