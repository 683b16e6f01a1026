"""
A night that executors wrote, brought to this machine as one machine publishes it.

Only the tables that are asked for, each as one file, a partition at a time: no table
has to fit into memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.build.lanes import PLACE
from optimizer.contracts.run_folder import RECORD, SUCCESS, record_text
from optimizer.contracts.tables import (
    DECISIONS,
    LANE_RESULTS,
    MERCHANT_RESULTS,
    PUBLISHED,
    QUARANTINE,
    RECOMMENDATIONS,
)
from optimizer.io.write import write_batches
from optimizer.spark.write import Place, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import polars as pl
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from optimizer.contracts.columns import Table

#: Columns by whose values the rows of each table stand; a missing value comes first.
SORTED_BY: Mapping[Table, tuple[str, ...]] = {
    DECISIONS: ("merchant_id", "order_id"),
    RECOMMENDATIONS: ("merchant_id", "order_id"),
    MERCHANT_RESULTS: ("merchant_id",),
    LANE_RESULTS: tuple(PLACE),
    QUARANTINE: QUARANTINE.column_names,
}
_CELLS = "rows binary"


def bring_night(
    session: SparkSession,
    date_folder: str,
    record: Mapping[str, Any],
    files: Sequence[str],
    folder: Path,
) -> None:
    """
    Bring some tables of a night into a folder, with a record that names them.

    Parameters
    ----------
    session
        Of the cluster.
    date_folder, record
        Where the date's nights are, and which it is.
    files
        Tables of :data:`SORTED_BY`, by their files; one that it has not is left out.
    folder
        Where they are put, as one machine does; made here.
    """
    table_format = record["config"]["spark"]["table_format"]
    place = Place(date_folder, record["run_id"], table_format)
    folder.mkdir(parents=True)
    outputs = {}
    for file in (name for name in files if name in record["outputs"]):
        rows = _rows(session, place, PUBLISHED[file])
        written = write_batches(rows, folder / file, PUBLISHED[file])
        outputs[file] = {"num_rows": written.num_rows, "sha256": written.sha256}
    here = record_text({**record, "outputs": outputs})
    (folder / RECORD).write_text(here, encoding="utf-8")
    (folder / SUCCESS).touch()


def _rows(session: SparkSession, place: Place, table: Table) -> Iterator[pl.DataFrame]:
    """The rows of a written table in their order, some at a time."""
    import polars as pl

    written = read_table(session, place.of_table(table.name), place.table_format)
    yield pl.DataFrame(schema=table.schema)
    for rows in rows_here(written.orderBy(*SORTED_BY[table])):
        found = pl.DataFrame(pl.from_arrow(rows))
        yield found.select(pl.col(n).cast(t) for n, t in table.schema.items())


def rows_here(frame: DataFrame) -> Iterator[pa.Table]:
    """
    Bring rows to this machine, a batch of an executor at a time, in their order.

    Parameters
    ----------
    frame
        Of a cluster; no partition has to fit into the driver's Java.
    """
    import pyarrow as pa

    for row in frame.mapInArrow(_packed, _CELLS).toLocalIterator():
        with pa.ipc.open_stream(bytes(row["rows"])) as batches:
            yield batches.read_all()


def _packed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows as cells of bytes, a batch in each."""
    import pyarrow as pa

    options = pa.ipc.IpcWriteOptions(compression="lz4")
    for batch in batches:
        cell = pa.BufferOutputStream()
        with pa.ipc.new_stream(cell, batch.schema, options=options) as rows:
            rows.write_batch(batch)
        yield pa.RecordBatch.from_pydict(
            {"rows": pa.array([cell.getvalue().to_pybytes()], pa.binary())}
        )
