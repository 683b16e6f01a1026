"""
The tables of a far night that the driver decided, given to the cluster to be written.

They are made in a private folder of the driver as one machine makes them, and go to
their places orders some at a time: none of their tables has to fit into memory twice.
"""

from __future__ import annotations

import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import (
    COMMITMENTS,
    DECISIONS,
    MERCHANT_INDEX,
    ORDER_INDEX,
    PUBLISHED,
    RECOMMENDATIONS,
)
from optimizer.io.published_tables import scan_table
from optimizer.night.merkle import commitment, leaves_text
from optimizer.night.publish import CheckedFiles, disk_errors, write_tables
from optimizer.report.margins import margins_of
from optimizer.spark.write import (
    OF_CLUSTER,
    WrittenTables,
    cluster_errors,
    write_around,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyspark.sql import DataFrame, SparkSession

    from optimizer.contracts.columns import Table
    from optimizer.night.run import DecidedNight
    from optimizer.spark.write import AroundFar, Place

#: Orders that go to the cluster at once: one task takes them, of 128 MB at most.
PIECE_ROWS = 200_000
#: Tables with a row for each order, or each chosen one; they name it.
_OF_ORDERS = (DECISIONS, RECOMMENDATIONS, COMMITMENTS)
#: Tables that tell where rows are in a file of one machine.
_OF_ONE_FILE = (MERCHANT_INDEX.file, ORDER_INDEX.file)
#: Files that nobody but this user reads.
_PRIVATE = stat.S_IRUSR | stat.S_IWUSR


def write_decided(
    session: SparkSession,
    night: DecidedNight,
    place: Place,
    record: dict[str, Any],
    earlier: Sequence[Mapping[str, Any]],
    around: AroundFar,
) -> dict[str, Any]:
    """
    Write a night that the driver decided where executors write theirs.

    Parameters
    ----------
    session
        Of the cluster.
    night
        The night, of which nothing is written.
    place, record, earlier, around
        As of :func:`~optimizer.spark.write.write_night`.

    Returns
    -------
    dict
        As of :func:`~optimizer.spark.write.write_night`.

    Raises
    ------
    PublishError
        When the driver's disk or the cluster cannot write.
    CertificateError
        When what the cluster wrote does not hold by itself.
    """
    with TemporaryDirectory() as folder, cluster_errors(place.folder):
        written = _written(session, night, place, earlier, Path(folder))
        return write_around(session, place, record, written, around)


def _written(
    session: SparkSession,
    night: DecidedNight,
    place: Place,
    earlier: Sequence[Mapping[str, Any]],
    folder: Path,
) -> WrittenTables:
    """The tables, made in a folder and then written by the cluster."""
    # What is told, and the statement, are those of a far night.
    contents = night.contents([*earlier], lambda _: "", lambda _: {})
    with disk_errors(folder):
        files = CheckedFiles(_PRIVATE)
        made, leaves, orders = write_tables(folder, contents, files)
        done = leaves.close()
        margins = margins_of(scan_table(folder, DECISIONS.file))
    outputs = {}
    for file in (name for name in made if name not in _OF_ONE_FILE):
        table, num_rows = PUBLISHED[file], made[file]["num_rows"]
        if num_rows or table in OF_CLUSTER:
            send(session, folder / file, table, place)
            outputs[file] = {"num_rows": num_rows}
    return WrittenTables(
        outputs=outputs,
        tables=contents.tables,
        orders=orders,
        margins=margins,
        evidence=commitment(leaves.num_rows, done),
        leaves=leaves_text(done),
    )


def send(session: SparkSession, file: Path, table: Table, place: Place) -> None:
    """
    Let the cluster write a file's rows: in their order, but for those of orders.

    Parameters
    ----------
    session
        Of the cluster.
    file
        A table of the driver.
    table, place
        What it is, and where it is written.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as rows:
        mode = "overwrite"
        for piece in _pieces(session, rows, table):
            kept = piece.write.format(place.table_format).mode(mode)
            kept.save(place.of_table(table.name))
            mode = "append"


def _pieces(session: SparkSession, rows: Any, table: Table) -> Iterator[DataFrame]:
    """A table as it goes to the cluster: of orders some at a time, else whole."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import from_arrow_schema

    if not rows.metadata.num_rows:  # not every engine takes such a table as it is
        yield session.createDataFrame([], from_arrow_schema(rows.schema_arrow))
    elif table in _OF_ORDERS:
        for batch in rows.iter_batches(PIECE_ROWS):
            yield session.createDataFrame(pa.Table.from_batches([batch])).coalesce(1)
    else:
        yield session.createDataFrame(rows.read())
