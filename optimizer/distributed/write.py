"""Executors write a night; ``_SUCCESS`` of the record comes last."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from optimizer.errors import PublishError
from optimizer.insight.tables import ORDER_TAG, SERVICE_CODE

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from optimizer.distributed.spark import SparkNight


def publish(night: SparkNight, folder: str, *, file_format: str = "parquet") -> None:
    """
    Write a night to any file system that Spark knows.

    The tables are folders: ``decisions``, ``recommendations``, ``merchants``,
    ``lanes``, ``quarantine``. ``certificate`` is written last and names the proof; a
    folder without it is not a night, and is written over.


    Parameters
    ----------
    night
        From :func:`allocate`.
    folder
        Such as ``s3a://bucket/runs/2026-11-22``.
    file_format
        ``parquet``, ``delta``, or any other that the cluster writes.

    Raises
    ------
    PublishError
        When a night is there already.
    """
    import pyarrow as pa
    from pyspark.sql import functions as F

    session = night.decisions.sparkSession
    _refuse_published(session, folder, file_format)
    chosen = night.decisions.filter("is_premium").select(
        "order_id",
        "merchant_id",
        "carrier_id",
        "region_id",
        "saving_cny",
        F.lit(ORDER_TAG).alias("order_tag"),
        F.lit(SERVICE_CODE).alias("service_code"),
    )
    tables = {
        "decisions": night.decisions.drop("region_id"),
        "recommendations": chosen,
        "quarantine": night.quarantine,
        "merchants": _frame(session, night.merchants),
        "lanes": _frame(session, night.lanes),
    }
    for name, table in tables.items():
        _write(table, folder, name, file_format)
    record = {
        "certificate": [json.dumps(asdict(night.certificate))],
        "reasons": [json.dumps(dict(night.reasons))],
    }
    _write(
        session.createDataFrame(pa.table(record)), folder, "certificate", file_format
    )


def _refuse_published(session: SparkSession, folder: str, file_format: str) -> None:
    from pyspark.errors import AnalysisException

    try:
        session.read.format(file_format).load(f"{folder}/certificate").count()
    except AnalysisException:
        return
    raise PublishError(
        f"{folder}: a night is published there, and stays; choose another folder"
    )


def _frame(session: SparkSession, table: Any) -> DataFrame:
    return session.createDataFrame(table.to_arrow())


def _write(table: DataFrame, folder: str, name: str, file_format: str) -> None:
    table.write.format(file_format).mode("overwrite").save(f"{folder}/{name}")
