"""Orders that look split, counted by executors where they are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from optimizer.errors import DataError
from optimizer.io.cells import cell_rules
from optimizer.io.read import open_source
from optimizer.night.split_orders import asked_orders, count_groups
from optimizer.spark.api import columns_of
from optimizer.spark.faults import first_line, is_bug
from optimizer.spark.packed import in_schema
from optimizer.spark.shuffle import map_frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import polars as pl
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from optimizer.config import Config
    from optimizer.config.operations import Splitting
    from optimizer.spark.files import FileTable

#: Orders of a merchant, and of a group of them.
GROUP_ROWS = "merchant_id string, group string, num_orders bigint"


def find_groups(
    orders: DataFrame | FileTable, config: Config, rule: Splitting
) -> pl.DataFrame:
    """
    Count orders by merchant, and by groups that are large enough to count once.

    Parameters
    ----------
    orders
        Of the night.
    config
        How cells are read.
    rule
        What makes a group.

    Returns
    -------
    pl.DataFrame
        As of :func:`~optimizer.night.split_orders.count_groups`.

    Raises
    ------
    DataError
        When the orders lack a column, or cannot be read.
    """
    import polars as pl
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    table = asked_orders(rule.columns)
    wanted, rules = table.column_names, cell_rules(config)
    source = open_source(columns_of(orders), table, require=wanted, rules=rules)
    task = partial(_counted, wanted=wanted, rule=rule)
    counted = map_frames(orders, source, task, GROUP_ROWS)
    summed = counted.groupBy("merchant_id", "group").agg(
        F.sum("num_orders").alias("num_orders")
    )
    is_large = F.col("num_orders") >= rule.group_size
    try:
        found = summed.filter(F.col("group").isNull() | is_large).toArrow()
    except PySparkException as error:
        if is_bug(error):
            raise
        raise DataError(f"{source.label}: {first_line(error)}") from error
    return pl.DataFrame(pl.from_arrow(found))


def _counted(
    frames: Iterable[pl.DataFrame], wanted: Sequence[str], rule: Splitting
) -> Iterator[pa.RecordBatch]:
    for frame in frames:
        yield from in_schema(count_groups(frame.select(wanted), rule), GROUP_ROWS)
