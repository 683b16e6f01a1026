"""
Executors write a night; the record that names it is written last.

``OUTPUT/2026-11-22/RUN/decisions.parquet`` and its neighbours are folders of files, as
Spark writes them. ``OUTPUT/2026-11-22/run.json`` names the ``RUN`` that is the night.
Until it is written there is no night, or the previous one. Runs that it no longer names
are kept.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.contracts.platforms import ORDER_TAG, SERVICE_CODE
from optimizer.contracts.run_folder import RECORD, record_text
from optimizer.contracts.tables import (
    COMMITMENTS,
    DECISIONS,
    LANE_RESULTS,
    MERCHANT_RESULTS,
    QUARANTINE,
    RECOMMENDATIONS,
)
from optimizer.errors import CertificateError, ConfigError, PublishError
from optimizer.spark.faults import first_line
from optimizer.spark.written import false_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl
    from pyspark.sql import DataFrame, SparkSession

    from optimizer.contracts.columns import Table
    from optimizer.spark.api import SparkNight


def publish(
    night: SparkNight,
    folder: str,
    run_id: str,
    record: dict[str, Any],
    *,
    table_format: str = "parquet",
    confirm: Callable[[], None] | None = None,
) -> None:
    """
    Write a night to any file system that Spark knows.

    Parameters
    ----------
    night
        From :func:`allocate`.
    folder
        Of the date, such as ``s3a://bucket/runs/2026-11-22``.
    run_id
        Name of this run in it; files of an earlier attempt are overwritten.
    record
        Content of ``run.json``; ``run_id`` and rows of the tables are added.
    table_format
        ``parquet``, ``delta``, or any other that the cluster writes.
    confirm
        Called before the record names the night; raises if it must not.

    Raises
    ------
    PublishError
        When the cluster cannot write.
    CertificateError
        When what it wrote does not hold by itself.
    """
    session = night.decisions.sparkSession
    with cluster_errors(folder):
        for table, make in OF_CLUSTER.items():
            path = f"{folder}/{run_id}/{table.name}.{table_format}"
            make(night).write.format(table_format).mode("overwrite").save(path)
        _refuse_false(session, f"{folder}/{run_id}", table_format, record["summary"])
        text = record_text(record | {"run_id": run_id})
        if confirm is not None:
            confirm()
        write_text(session, f"{folder}/{RECORD}", text)


def _refuse_false(
    session: SparkSession, place: str, table_format: str, summary: Mapping[str, Any]
) -> None:
    """Name no night in the record that does not hold as it was written."""

    def read(table: Table) -> DataFrame:
        path = f"{place}/{table.name}.{table_format}"
        return read_table(session, path, table_format)

    if found := false_writing(read, summary):
        raise CertificateError(
            f"the night that was written does not hold ({'; '.join(found[:3])}); it is "
            "not published, and the last published night is untouched"
        )


def _recommendations(night: SparkNight) -> DataFrame:
    from pyspark.sql import functions as F

    tags = {"order_tag": F.lit(ORDER_TAG), "service_code": F.lit(SERVICE_CODE)}
    chosen = night.decisions.filter("is_premium").withColumns(tags)
    return chosen.select(*RECOMMENDATIONS.column_names)


def _commitments(night: SparkNight) -> DataFrame:
    from pyspark.sql import functions as F

    chosen = night.decisions.filter("is_premium").select("order_id", "lane", "load")
    named = night.places.with_columns(lane=np.arange(len(night.places), dtype=np.int32))
    taken = chosen.join(F.broadcast(_on_cluster(night, named)), "lane")
    return taken.select(*COMMITMENTS.column_names)


def _on_cluster(night: SparkNight, table: pl.DataFrame) -> DataFrame:
    """A table of the driver, as the cluster has it."""
    return night.decisions.sparkSession.createDataFrame(table.to_arrow())


#: Who makes each table that a cluster publishes.
OF_CLUSTER: Mapping[Table, Callable[[SparkNight], DataFrame]] = {
    DECISIONS: lambda night: night.decisions.select(*DECISIONS.column_names),
    RECOMMENDATIONS: _recommendations,
    COMMITMENTS: _commitments,
    QUARANTINE: lambda night: night.quarantine,
    MERCHANT_RESULTS: lambda night: _on_cluster(night, night.merchants),
    LANE_RESULTS: lambda night: _on_cluster(
        night, night.lanes.select(LANE_RESULTS.column_names)
    ),
}


@contextmanager
def cluster_errors(folder: str) -> Iterator[None]:
    """
    Turn Spark's errors into one clear message.

    Raises
    ------
    PublishError
        With the first line of Spark's message.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        raise PublishError(
            f"{folder}: the cluster gave up ({first_line(error)}); nothing was "
            "published, and the last night is untouched. Spark's log says more"
        ) from error


def write_text(session: SparkSession, path: str, text: str) -> None:
    """Write a text as the one row of a folder, replacing its content."""
    import pyarrow as pa

    # One line: a text file's rows are its lines.
    row = pa.table({"value": [" ".join(text.split("\n"))]})
    session.createDataFrame(row).coalesce(1).write.mode("overwrite").text(path)


def published_record(
    session: SparkSession, folder: str, beside: str | None = None
) -> dict[str, Any] | None:
    """
    The record of the night that is published in a folder, if there is one.

    Parameters
    ----------
    session
        Of the cluster.
    folder
        Of the date.
    beside
        A folder of other lines of JSON that is there, if the driver does not see the
        date's: engines log a stack of what is missing, and not of one of two.

    Raises
    ------
    ConfigError
        When something else is in its place.
    """
    path, is_visible = f"{folder}/{RECORD}", is_seen(folder)
    if is_visible and not Path(path).exists():
        return None
    if beside is not None and not is_visible:
        path = f"{folder}/{{{RECORD},{beside}}}"
    try:
        found = [json.loads(line) for line in read_lines(session, path) if line.strip()]
    except ValueError:
        raise _in_the_way(folder) from None
    lines = [one for one in found if isinstance(one, dict)]
    records = [one for one in lines if "run_id" in one]
    if not records and any("claim" not in one for one in lines):
        raise _in_the_way(folder)
    return records[0] if records else None


def _in_the_way(folder: str) -> ConfigError:
    return ConfigError(
        f"{folder}/{RECORD}: is in the way, and not of this tool; move it away"
    )


def is_seen(path: str) -> bool:
    """Whether this process sees the place of a path, be there something or nothing."""
    if "://" in path:
        return False
    place = Path(path).absolute()
    there = next(at for at in (place, *place.parents) if at.exists())
    return there != Path(place.anchor)


def read_lines(session: SparkSession, path: str) -> list[str]:
    """
    Lines of a text folder and those in it; none where there is no such folder.

    Raises
    ------
    ConfigError
        When the cluster cannot read it.
    """
    from pyspark.errors import AnalysisException

    reader = session.read.option("recursiveFileLookup", "true")
    try:
        lines = reader.text(path).toArrow()
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            return []
        raise ConfigError(f"{path}: {first_line(error)}") from error
    return list(lines["value"].to_pylist())


def read_table(session: SparkSession, path: str, table_format: str) -> DataFrame:
    """
    Open a table that executors read.

    Raises
    ------
    ConfigError
        When there is none, or the cluster does not know the format.
    """
    from pyspark.errors import PySparkException

    try:
        table = session.read.format(table_format).load(path)
        _ = table.schema
    except PySparkException as error:
        raise ConfigError(
            f"{path}: cannot be read as {table_format}: {first_line(error)}"
        ) from error
    return table
