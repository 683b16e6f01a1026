"""
Small tables, checked whole: one broken row refuses the night.

Who decides again and again mostly gives the same slots and merchants again. A small
table in memory that was checked not long ago is not checked once more: equal bytes
under equal rules are as good as they were.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from optimizer.contracts.columns import Column
from optimizer.contracts.tables import CAPACITY
from optimizer.errors import DataError
from optimizer.io.kept import Kept
from optimizer.io.privacy import hidden
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import read_batches
from optimizer.io.validate import check_batch, require_rows

if TYPE_CHECKING:
    import polars as pl

    from optimizer.io.read import Source

#: Of larger tables none is kept.
MOST_KEPT_BYTES = 1_000_000
_NUM_KEPT = 8
_NUM_EXAMPLES = 5
#: Of fewer rows repeated ones are found sooner without threads.
_FEW_ROWS = 50_000


class _Checked(NamedTuple):
    """A table without a broken row, and what was noted of its dates."""

    table: pl.DataFrame
    log: QuarantineLog


_KEPT: Kept[_Checked] = Kept(_NUM_KEPT)


def checked_table(source: Source, log: QuarantineLog) -> pl.DataFrame:
    """
    Read a small table whole; one broken row refuses it.

    Parameters
    ----------
    source
        The table. The same table is given again where it was checked not long ago.
    log
        Takes what is to be warned of.

    Raises
    ------
    DataError
        Naming every broken row (up to 20), or the duplicate rows.
    """
    made_from = _made_from(source)
    if made_from is None:
        found = _check(source)
    else:
        found = _KEPT.get(made_from, lambda: _check(source))
    log.take(found.log)
    return found.table


def _made_from(source: Source) -> tuple[Any, ...] | None:
    """All that a table in memory is checked by, its bytes of now among it."""
    import pyarrow as pa

    memory = source.memory
    if memory is None or memory.nbytes > MOST_KEPT_BYTES:
        return None
    sink = pa.BufferOutputStream()
    try:
        with pa.ipc.new_stream(sink, memory.schema) as writer:
            writer.write_table(memory)
    except pa.ArrowException:
        return None  # reading it says what is wrong
    rules = source.table, source.label, source.required, source.rules
    return sink.getvalue().to_pybytes(), *rules


def _check(source: Source) -> _Checked:
    import polars as pl

    log = QuarantineLog()
    parts = [check_batch(raw, source, log) for raw in read_batches(source)]
    if log.has_any(source.table.name):
        broken = log.frame().filter(pl.col("source") == source.table.name)
        _refuse_unfilled(broken, sum(map(len, parts)), source)
        listed = [f"row {r}: {c} {rule}" for _, r, c, rule in broken.head(20).rows()]
        more = f"; and {len(broken) - 20:,} more" if len(broken) > 20 else ""
        hints = log.hints(source.table.name)
        raise DataError(f"{source.label}: {'; '.join(listed)}{more}{hints}")
    require_rows(source, sum(map(len, parts)))
    table = pl.concat(parts) if len(parts) > 1 else parts[0]
    _refuse_repeated_rows(table, source)
    return _Checked(table, log)


def _refuse_unfilled(broken: pl.DataFrame, num_taken: int, source: Source) -> None:
    """Say it once where a column that must be filled in is empty in every row."""
    empty = broken.filter(broken["rule"] == "is missing")["column"].unique().sort()
    rows = broken["row"].n_unique()
    if num_taken == 0 and len(empty) == 1 and len(broken) == rows and rows > 1:
        raise DataError(
            f"{source.label}: the column {empty[0]} is empty in all of its {rows:,} "
            "rows: it is not filled in yet. Write a number in each row, and take out "
            "rows that have none"
            + (
                "; or begin with the same for all: optimizer init --slots 20 --replace"
                if source.table.name == CAPACITY.name
                else ""
            )
        )


def _refuse_repeated_rows(table: pl.DataFrame, source: Source) -> None:
    key = source.table.key
    if len(table) <= _FEW_ROWS:  # told sooner without threads
        rows_by_key = set(zip(*(table[name].to_list() for name in key), strict=True))
        if len(rows_by_key) == len(table):
            return
    is_repeated = table.select(key).is_duplicated()
    if is_repeated.any():
        repeated = table.filter(is_repeated)
        refuse_unlisted_resources(source)
        values = [str(v) for v in repeated.select(key).row(0) if v is not None]
        first = hidden(", ".join(values))
        rows = ", ".join(str(r + 1) for r in repeated["row"].head(_NUM_EXAMPLES))
        raise DataError(
            f"{source.label}: {len(repeated):,} rows share their {', '.join(key)}, "
            f"first ({first}), rows {rows}; keep one row for each"
            f"{_told_apart_by(source)}"
        )


def _told_apart_by(source: Source) -> str:
    """Columns that nothing reads, which may tell rows of capacity apart."""
    if source.table.name != CAPACITY.name or not source.unread:
        return ""
    names = ", ".join(map(hidden, source.unread[:_NUM_EXAMPLES]))
    return (
        f", or if a column that nothing reads ({names}) tells them apart, list it "
        "under capacity.attributes"
    )


def refuse_unlisted_resources(capacity: Source) -> None:
    """
    Refuse rows that name a resource where the configuration lists none.

    Raises
    ------
    DataError
        With the resources that the rows name.
    """
    column = "resource"
    if column not in capacity.unread or capacity.table.name != CAPACITY.name:
        return
    contract = replace(
        capacity.table,
        columns=(*capacity.table.columns, Column(column, "id", "what a row counts")),
    )
    columns = (*capacity.columns, column)
    whole = replace(capacity, table=contract, columns=columns)
    named: set[str] = set()
    for batch in read_batches(whole, [column]):
        named |= {name.strip() for name in batch[column].drop_nulls().to_list()}
    listed = ", ".join(map(hidden, sorted(named - {""}))) or "kg"
    raise DataError(
        f"{capacity.label}: has a column resource, and capacity.resources names none: "
        "its rows would all count parcels; write resources: "
        f"[{listed}] under capacity, or take the column out"
    )
