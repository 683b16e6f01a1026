"""Explanation of an order's decision in a cluster's night, from its tables alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.errors import DataError
from optimizer.explain.sentences import sentence, unknown_order
from optimizer.spark.write import cluster_errors, published_record, read_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def explain_published(
    session: SparkSession, folder: str, order_id: str, language: str = "en"
) -> dict[str, Any]:
    """
    Explain an order of a published night; executors look for it.

    Parameters
    ----------
    session
        On a cluster that reads the folder.
    folder
        Of the date, such as ``s3a://bucket/runs/2026-11-22``.
    order_id
        The order.
    language
        ``"en"`` or ``"zh"``.

    Returns
    -------
    dict
        As :func:`optimizer.explain.sentences.explain_run` gives it.

    Raises
    ------
    DataError
        When the folder is not a night of a cluster, or has no such order.
    """
    with cluster_errors(folder):
        record = published_record(session, folder)
        if record is None:
            raise DataError(f"{folder}: no night of a cluster is published there")
        table_format = record["config"]["spark"]["table_format"]

        def table(name: str) -> DataFrame:
            path = f"{folder}/{record['run_id']}/{name}.{table_format}"
            return read_table(session, path, table_format)

        order = _one(table("decisions"), "order_id", order_id)
        if order is None:
            raise unknown_order(order_id)
        merchant = _one(table("merchants"), "merchant_id", order["merchant_id"])
    assert merchant is not None
    words = sentence(order, merchant, language)
    return order | {"sentence": words, "merchant": merchant}


def _one(table: DataFrame, column: str, value: str) -> dict[str, Any] | None:
    """The row that has a name; ``None`` where there is none."""
    from pyspark.sql import functions as F

    rows = table.filter(F.col(column) == value).limit(1).toArrow().to_pylist()
    return dict(rows[0]) if rows else None
