"""Delta Lake tables, on disk or on S3."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from optimizer.errors import DataError
from optimizer.io.sources.pages import check_files
from optimizer.io.sources.rows import (
    Rows,
    check_head,
    checked_columns,
    other_was_first,
    quoted_column,
    refuse_other_table,
    refuse_other_value,
    unread_of,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    import pyarrow as pa
    from deltalake import DeltaTable

    from optimizer.config.address import Address
    from optimizer.contracts.columns import Table
    from optimizer.io.cells import CellRules

#: How a commit says that another one came between.
_OTHER_WAS_FIRST = re.compile("concurrent|since last commit|already exists")
#: What is wrong with a log, by how the driver says it.
_BROKEN_LOG = {
    "contiguous commit": "lacks a commit",
    "metadata or protocol found": "lacks its first commits",
    "Json error": "has a commit that is cut off, or is none",
}


@contextmanager
def open_rows(address: Address, table: Table, rules: CellRules) -> Iterator[Rows]:
    """Read one version, the newest if none is configured, batch by batch."""
    import pyarrow as pa

    found = _table(address)
    schema = pa.schema(found.schema().to_arrow())
    columns = checked_columns(schema, table, address.label, rules)
    wanted, unread = _of_partition(address, schema), unread_of(schema, columns)
    check_files(_files(found, address), unread, address.label)
    batches = pa.RecordBatchReader.from_stream(
        found.scan([column.name for column in columns], wanted)
    )
    yield Rows(batches, unread, _version(found, address))


def _version(found: DeltaTable, address: Address) -> str:
    """Which state of a table is read, and which rows of it."""
    asked = address.params.get("partition")
    return f"version {found.version()}" + (f" where {asked}" if asked else "")


def _files(
    found: DeltaTable, address: Address
) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    """Data files that rows can come from, by the partition that is asked for."""
    import pyarrow as pa
    import pyarrow.fs
    from deltalake.fs import DeltaStorageHandler

    column, _, value = address.params.get("partition", "").partition("=")
    handler = DeltaStorageHandler.from_table(found._table, _options(), {})
    store = pa.fs.PyFileSystem(handler)
    added = pa.table(found.get_add_actions(flatten=True))
    paths = added["path"].to_pylist()
    name = f"partition.{column}"
    values = added[name].cast(pa.string()) if name in added.column_names else None
    for number, path in enumerate(paths):
        is_within = "://" not in path and not path.startswith("/")  # no clone's
        if is_within and (values is None or values[number].as_py() == value):
            place = unquote(path)
            yield place, partial(store.open_input_file, place)


@contextmanager
def open_head(address: Address, num_rows: int) -> Iterator[pa.RecordBatchReader]:
    """
    Read the first files of one version, all columns.

    Parameters
    ----------
    address
        The table.
    num_rows
        Rows that are enough; the reader stops by itself.
    """
    import pyarrow as pa

    del num_rows
    found = _table(address)
    schema = pa.schema(found.schema().to_arrow())
    check_head(schema, address.label)
    chosen = found.scan(predicate=_of_partition(address, schema))
    yield pa.RecordBatchReader.from_stream(chosen)


def _of_partition(address: Address, schema: pa.Schema) -> str | None:
    """The rows that are asked for, as a predicate."""
    import pyarrow.types

    asked = address.params.get("partition")
    if asked is None:
        return None
    column, _, value = asked.partition("=")
    if column not in schema.names:
        raise DataError(
            f"{address.label}: has no column {column} to choose a partition by; it has "
            f"{', '.join(schema.names)}"
        )
    refuse_other_value(address, schema.field(column), value)
    text = "'" + value.replace("'", "''") + "'"
    is_date = pyarrow.types.is_date(schema.field(column).type)
    return f"{quoted_column(column)} = " + (f"date {text}" if is_date else text)


def _table(address: Address) -> DeltaTable:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        found = DeltaTable(_location(address), storage_options=_options())
    except DeltaError as error:
        wrong = [ours for theirs, ours in _BROKEN_LOG.items() if theirs in str(error)]
        if not wrong:
            raise
        raise DataError(
            f"{address.label}: its log (_delta_log) {wrong[0]}; bring its files back, "
            "or write the table anew"
        ) from None
    wanted = address.params.get("version")
    if wanted is None:
        return found
    newest = found.version()
    try:
        found.load_as_version(int(wanted))
    except DeltaError:
        raise DataError(
            f"{address.label}: has no version {wanted} any more, or not yet; name one "
            f"that it keeps (the newest is {newest}), or leave it out for that"
        ) from None
    return found


def write_rows(address: Address, rows: pa.RecordBatchReader, day: dt.date) -> None:
    """
    Replace the partition of a date, in one commit; the table is made if needed.

    It is made without rows first: of two that make it at once, each would add its own.
    Columns that the table has besides stay; those that it lacks are added.
    """
    from deltalake.exceptions import DeltaError

    try:
        _replace(address, rows, day)
    except DeltaError as error:
        if _OTHER_WAS_FIRST.search(str(error)) is None:
            raise
        raise other_was_first(address) from None


def _replace(address: Address, rows: pa.RecordBatchReader, day: dt.date) -> None:
    from deltalake import DeltaTable, write_deltalake

    place, options = _location(address), _options()
    if DeltaTable.is_deltatable(place, options):
        there = DeltaTable(place, storage_options=options).schema().fields
        refuse_other_table(address, [field.name for field in there], rows.schema.names)
    else:
        DeltaTable.create(
            *(place, rows.schema),
            mode="ignore",
            partition_by=["run_date"],
            storage_options=options,
        )
    write_deltalake(
        place,
        rows,
        mode="overwrite",
        schema_mode="merge",
        predicate=f"run_date = '{day}'",
        storage_options=options,
    )


def unread_files(place: str) -> list[Path]:
    """
    Files of a table on the disk that no version within its retention reads.

    Parameters
    ----------
    place
        Its folder; one that is no table yet has none.
    """
    from deltalake import DeltaTable

    if not DeltaTable.is_deltatable(place):
        return []
    return [Path(place) / name for name in DeltaTable(place).vacuum(dry_run=True)]


def remove_unread(place: str) -> None:
    """
    Remove these files; the table's own log says so.

    Parameters
    ----------
    place
        As for :func:`unread_files`.
    """
    from deltalake import DeltaTable

    if DeltaTable.is_deltatable(place):
        DeltaTable(place).vacuum(dry_run=False)


def is_passing(error: Exception) -> bool:
    """Whether another try may help: the store does not answer, or a commit raced."""
    text = str(error)
    return (
        type(error).__name__ == "CommitFailedError"
        or "error sending request" in text.lower()
        or "retries" in text
    )


def _location(address: Address) -> str:
    is_local = address.scheme == "delta"
    return address.path if is_local else f"s3://{address.host}{address.path}"


def _options() -> dict[str, str]:
    """Settings that the environment does not give by itself."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    return {"allow_http": "true"} if endpoint.startswith("http://") else {}
