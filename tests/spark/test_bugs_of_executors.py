"""A mistake of our own that executors make is told as one, with its stack."""

from __future__ import annotations

from unittest.mock import MagicMock

import polars as pl
import pytest
from pyspark.errors import PySparkException

from optimizer.config import as_config
from optimizer.errors import DataError, PublishError
from optimizer.spark import split_groups
from optimizer.spark.write import cluster_errors
from optimizer.testing import random_tables

STACK = """An exception was thrown from the Python worker:
Traceback (most recent call last):
  File "/lib/python3.11/site-packages/pyspark/worker.py", line 9, in main
  File "/lib/python3.11/site-packages/{file}", line 1, in check
{raised}
"""


@pytest.mark.parametrize(
    ("file", "raised", "kind"),
    [
        (
            "optimizer/spark/rows.py",
            "NameError: name 'x' is not defined",
            PySparkException,
        ),
        ("optimizer/io/read.py", "AttributeError: no attribute 'y'", PySparkException),
        ("optimizer/spark/rows.py", "MemoryError", PublishError),
        ("polars/frame.py", "TypeError: not a column", PublishError),
    ],
)
def test_a_bug_is_not_told_as_a_cluster_that_gave_up(file, raised, kind):
    """By who raised it; whatever else ends a task is the cluster's, as before."""
    with (
        pytest.raises(kind, match=raised.split(":")[0]) as told,
        cluster_errors("runs"),
    ):
        raise PySparkException(STACK.format(file=file, raised=raised))
    assert ("gave up" in str(told.value)) == (kind is PublishError)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [("NameError: x", PySparkException), ("optimizer.errors.DataError: x", DataError)],
)
def test_a_bug_in_a_count_of_groups_is_no_refused_table(monkeypatch, raised, kind):
    """Where what executors refuse of the orders is."""
    counted = MagicMock()
    error = PySparkException(STACK.format(file="optimizer/io/read.py", raised=raised))
    counted.groupBy().agg().filter().toArrow.side_effect = error
    monkeypatch.setattr(split_groups, "map_frames", lambda *_: counted)
    column = MagicMock()  # no session is needed
    column.return_value.__ge__.return_value = True
    for name in ("col", "sum"):
        monkeypatch.setattr(f"pyspark.sql.functions.{name}", column)
    tables = random_tables(1, num_orders=9)
    orders = tables.orders.with_columns(order_value_cny=pl.lit(9.0)).clear().to_arrow()
    monkeypatch.setattr(split_groups, "columns_of", lambda _: orders)
    rule = {"columns": ["region_id"], "below_cny": 50, "group_size": 2}
    alerts = {"operations": {"alerts": {"splitting": rule}}}
    config = as_config(tables.config | alerts)
    with pytest.raises(kind):
        split_groups.find_groups(None, config, config.operations.alerts.splitting)
