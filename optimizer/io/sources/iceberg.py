"""
Apache Iceberg tables, by the name that they have in a catalogue.

``iceberg://CATALOGUE?table=NAMESPACE.NAME``. What the catalogue is, pyiceberg
finds in the environment (``PYICEBERG_CATALOG__NAME__URI``, ...) or its own file
``.pyiceberg.yaml``: secrets stand nowhere else.
"""

from __future__ import annotations

import datetime as dt
import warnings
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from optimizer.errors import DataError
from optimizer.io.sources.pages import check_files
from optimizer.io.sources.rows import (
    Rows,
    check_head,
    checked_columns,
    other_was_first,
    refuse_other_table,
    refuse_other_value,
    unread_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    import pyarrow as pa

    from optimizer.config.address import Address
    from optimizer.contracts.columns import Table
    from optimizer.io.cells import CellRules

#: Seconds to connect, and between two bytes of an answer: pyiceberg waits for ever.
PATIENCE_SECONDS = (10.0, 60.0)
#: Rows that are held at once to be written: a partitioned table takes no stream.
PART_ROWS = 1_000_000
#: Its errors that another try may mend.
_PASSING = (
    "CommitFailedException",
    "CommitStateUnknownException",
    "ServerError",
    "ServiceUnavailableError",
    "WaitingForLockException",
    "ConnectionError",
    "ConnectTimeout",
    "ReadTimeout",
)


@contextmanager
def open_rows(address: Address, table: Table, rules: CellRules) -> Iterator[Rows]:
    """Read one snapshot, the newest if none is configured, batch by batch."""
    found = _table(address)
    snapshot = _snapshot(found, address)
    schema = found.scan(snapshot_id=snapshot).projection().as_arrow()
    columns = checked_columns(schema, table, address.label, rules)
    names = tuple(column.name for column in columns)
    chosen = _of_partition(found, address, schema)
    scan = found.scan(selected_fields=names, snapshot_id=snapshot, **chosen)
    unread = unread_of(schema, columns)
    check_files(_files(found, scan), unread, address.label)
    version = "no snapshot" if snapshot is None else f"snapshot {snapshot}"
    asked = address.params.get("partition")
    version += f" where {asked}" if asked else ""
    yield Rows(scan.to_arrow_batch_reader(), unread, version)


def _files(found: Any, scan: Any) -> Iterator[tuple[str, Callable[[], BinaryIO]]]:
    """Parquet files of a scan, those of deleted rows too; each once."""
    planned = [(task.file, *task.delete_files) for task in scan.plan_files()]
    files = {str(f.file_path): f for task in planned for f in task}
    for path, file in files.items():
        if str(file.file_format.value).upper() == "PARQUET":
            yield path, found.io.new_input(path).open


@contextmanager
def open_head(address: Address, num_rows: int) -> Iterator[pa.RecordBatchReader]:
    """
    Read the first rows of one snapshot, all columns.

    Parameters
    ----------
    address
        The table.
    num_rows
        Rows that are enough.
    """
    found = _table(address)
    snapshot = _snapshot(found, address)
    schema = found.scan(snapshot_id=snapshot).projection().as_arrow()
    check_head(schema, address.label)
    given = _of_partition(found, address, schema)
    scan = found.scan(snapshot_id=snapshot, limit=num_rows, **given)
    yield scan.to_arrow_batch_reader()


def write_rows(address: Address, rows: pa.RecordBatchReader, day: dt.date) -> None:
    """
    Replace the rows of a date, in one commit.

    Its rows come a part at a time: each is a snapshot of that commit, and nobody who
    asks the catalogue sees one without the others. The table is made if needed, its
    namespace not: whoever keeps the catalogue decides what that is called. Columns that
    it has besides stay; those that it lacks are added.
    """
    from pyiceberg.exceptions import (
        CommitFailedException,
        TableAlreadyExistsError,
        ValidationException,
    )

    try:
        _replace(address, rows, day)
    except (CommitFailedException, TableAlreadyExistsError, ValidationException):
        raise other_was_first(address) from None


def _replace(address: Address, rows: pa.RecordBatchReader, day: dt.date) -> None:
    from pyiceberg.exceptions import NoSuchTableError
    from pyiceberg.expressions import EqualTo

    catalog, name = _catalog(address), address.params["table"]
    try:
        table = catalog.load_table(name)
        refuse_other_table(address, table.schema().column_names, rows.schema.names)
    except NoSuchTableError:
        table = catalog.create_table(name, schema=_for_iceberg(rows.schema))
        with table.update_spec() as spec:
            spec.add_identity("run_date")
    parts = _parts(rows)
    with warnings.catch_warnings(), table.transaction() as change:
        # Of a date's first copy: that it replaces nothing.
        warnings.filterwarnings("ignore", "Delete operation did not match")
        with change.update_schema() as schema:
            schema.union_by_name(_for_iceberg(rows.schema))
        of_day = EqualTo(term="run_date", value=day)
        change.overwrite(next(parts), overwrite_filter=of_day)
        for part in parts:
            change.append(part)


def _parts(rows: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Tables of about ``PART_ROWS`` rows; one without rows where there are none."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    is_first, schema = True, _for_iceberg(rows.schema)
    for batch in rows:
        held.append(batch)
        if sum(part.num_rows for part in held) >= PART_ROWS:
            yield pa.Table.from_batches(held, rows.schema).cast(schema)
            held, is_first = [], False
    if held or is_first:
        yield pa.Table.from_batches(held, rows.schema).cast(schema)


def _for_iceberg(schema: pa.Schema) -> pa.Schema:
    """Types that Iceberg has: no dictionaries, no views."""
    import pyarrow as pa

    fields = []
    for field in schema:
        kind = field.type
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        is_text = kind in (pa.string(), pa.large_string(), pa.string_view())
        fields.append(pa.field(field.name, pa.large_string() if is_text else kind))
    return pa.schema(fields)


def is_passing(error: Exception) -> bool:
    """Whether another try may help: no answer, or another commit was first."""
    name = type(error).__name__
    # SQLAlchemy's for a catalogue that is locked or away, and for one without tables.
    is_away = name == "OperationalError" and "no such table" not in str(error)
    return name in _PASSING or is_away


def _catalog(address: Address) -> Any:
    from pyiceberg.catalog import load_catalog
    from pyiceberg.utils.config import Config

    # The environment as it is now: pyiceberg reads it once, when it is imported.
    found = Config().get_catalog_config(address.host) or {}
    known = {name: str(value) for name, value in found.items()}
    return (_rest if _is_rest(known) else load_catalog)(address.host, **known)


def _rest(name: str, **known: str) -> Any:
    """A catalogue of REST that is given up where it takes a call and never answers."""
    from pyiceberg.catalog.rest import RestCatalog

    class GivenUp(RestCatalog):
        """With a limit on every call."""

        def _create_session(self) -> Any:
            session = super()._create_session()
            limited = partial(session.request, timeout=PATIENCE_SECONDS)
            vars(session)["request"] = limited
            return session

    return GivenUp(name, **known)


def _is_rest(known: Mapping[str, str]) -> bool:
    """Whether pyiceberg would take a catalogue for one of REST, which is its usual."""
    if known.get("py-catalog-impl") or not known.get("uri"):
        return False
    is_web = known["uri"].startswith(("http://", "https://"))
    return known.get("type", "rest" if is_web else "") == "rest"


def _table(address: Address) -> Any:
    return _catalog(address).load_table(address.params["table"])


def _snapshot(table: Any, address: Address) -> int | None:
    """The snapshot that is read; ``None`` of a table that has none yet."""
    wanted = address.params.get("snapshot")
    if wanted is None:
        newest = table.current_snapshot()
        return None if newest is None else int(newest.snapshot_id)
    if table.snapshot_by_id(int(wanted)) is None:
        raise DataError(
            f"{address.label}: has no snapshot {wanted} any more; name one that it "
            "keeps, or leave it out for the newest"
        )
    return int(wanted)


def _of_partition(table: Any, address: Address, schema: pa.Schema) -> dict[str, Any]:
    """The rows that are asked for, for a scan."""
    from pyiceberg.expressions import EqualTo

    asked = address.params.get("partition")
    if asked is None:
        return {}
    column, _, value = asked.partition("=")
    if column not in schema.names:
        raise DataError(
            f"{address.label}: has no column {column} to choose a partition by; it has "
            f"{', '.join(schema.names)}"
        )
    if _is_by_day(table, column) and (of_day := _of_day(schema.field(column), value)):
        return {"row_filter": of_day}
    refuse_other_value(address, schema.field(column), value)
    return {"row_filter": EqualTo(term=column, value=value)}


def _is_by_day(table: Any, column: str) -> bool:
    """Whether a table is partitioned by the days of a time."""
    from pyiceberg.transforms import DayTransform

    source = table.schema().find_field(column).field_id
    parts = (part for spec in table.specs().values() for part in spec.fields)
    return any(
        part.source_id == source and isinstance(part.transform, DayTransform)
        for part in parts
    )


def _of_day(field: pa.Field, value: str) -> Any:
    """The times of a day, as Iceberg takes them: by UTC; ``None``: it is no such."""
    import pyarrow as pa
    from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan

    try:
        day = dt.date.fromisoformat(value)
    except ValueError:
        return None
    if not pa.types.is_timestamp(field.type):
        return None
    zone = "" if field.type.tz is None else "+00:00"
    first, end = (f"{at}T00:00:00{zone}" for at in (day, day + dt.timedelta(days=1)))
    return And(
        GreaterThanOrEqual(term=field.name, value=first),
        LessThan(term=field.name, value=end),
    )
