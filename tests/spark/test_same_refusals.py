"""What the values of all rows decide: both engines refuse the same nights."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import polars as pl
import pytest

from optimizer.config import as_config
from optimizer.errors import OptimizerError
from optimizer.job import run_date
from optimizer.testing import random_tables
from tests.support.engine_nights_more import written
from tests.support.spark_cluster import spark_alone
from tests.support.system_tools import needs

DAY = dt.date(2026, 11, 22)
N = pl.int_range(pl.len())
ELIGIBLE = {"column": "status", "reason": "refunded"}


@pytest.fixture(scope="module")
def spark():
    """A session in one process."""
    with spark_alone("refusals") as session:
        yield session


def paid(tables):
    """With a column of one's own."""
    status = pl.when(N % 9 == 0).then(pl.lit("refunded")).otherwise(pl.lit("paid"))
    return replace(tables, orders=tables.orders.with_columns(status=status))


def broken(tables, is_broken):
    """With orders that break a rule."""
    wrong = pl.when(is_broken).then(7.0).otherwise("complaint_prob_standard")
    orders = tables.orders.with_columns(complaint_prob_standard=wrong)
    return replace(tables, orders=orders)


def strays(tables):
    """Options that break a rule, and as many of no order; either share is allowed."""
    wrong = pl.when(N % 20 == 3).then(7.0).otherwise("complaint_prob_premium")
    ways = tables.options.with_columns(
        complaint_prob_premium=wrong,
        order_id=pl.when(N % 20 == 9)
        .then(pl.format("nobody-{}", N))
        .otherwise("order_id"),
    )
    return replace(tables, options=ways)


def elsewhere(tables):
    """Capacity of places that no order has."""
    capacity = tables.capacity.with_columns(pl.format("x-{}", "region_id"))
    return replace(tables, capacity=capacity)


#: Changes of the tables, keys, a key of the policy, and words of the refusal.
REFUSED = {
    "a value in other letters": (paid, {}, {"is": "Refunded"}, "'refunded' is"),
    "one of several values": (paid, {}, {"in": ["gone", "re funded"]}, "'refunded'"),
    "a word for no value": (paid, {}, {"not_in": ["paid", "NULL"]}, "no value"),
    "broken rows in a row": (
        lambda tables: broken(tables, (N > 80) & (N < 100)),
        {"quarantine": {"max_share": 0.5}, "limits": {"broken_rows_in_a_row": 15}},
        None,
        "19 rows in a row, from row 82 on",
    ),
    "nothing but broken rows": (
        lambda tables: broken(tables, N >= 0),
        {"quarantine": {"max_share": 1}},
        None,
        "nothing is left",
    ),
    "a broken share of options": (
        strays,
        {"quarantine": {"max_share": 0.06}},
        None,
        "quarantine.max_share allows",
    ),
    "rows of several files": (
        lambda tables: tables,
        {"limits": {"num_rows": 200}},
        None,
        "has more than 200 rows",
    ),
    "names of no order": (
        elsewhere,
        {"lookups": {"refuse_below": 0.5}},
        None,
        "refuse_below",
    ),
}


def refused(config, engine):
    """How an engine refuses a night."""
    made = as_config(
        config | {"engine": engine, "output": f"{config['output']}-{engine}"}
    )
    with pytest.raises(OptimizerError) as found:
        run_date(made, DAY, is_dry=True)
    return found.value


@needs("java")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PySpark does not yet fully support")
@pytest.mark.parametrize("name", REFUSED)
def test_both_engines_refuse_what_all_rows_together_tell(spark, tmp_path, name):
    """With the same class of error, hence exit code, and the same reason in it."""
    change, keys, rule, words = REFUSED[name]
    tables = change(random_tables(5, num_orders=300, has_choice=True))
    policy = tables.config["policy"][0]
    if rule is not None:
        policy |= {"eligibility": [ELIGIBLE | rule]}
    inputs = written(tmp_path, "night", tables, tables.orders)
    for part, rows in enumerate((tables.orders.head(150), tables.orders.tail(150))):
        rows.write_parquet(tmp_path / f"orders-{part}.parquet", row_group_size=10)
    inputs |= {"orders": str(tmp_path / "orders-*.parquet")}
    config = tables.config | {"policy": [policy], "inputs": inputs} | keys
    config |= {"output": str(tmp_path / "runs"), "spark": {"rows_per_block": 120}}
    alone, there = refused(config, "local"), refused(config, "spark")
    assert type(alone) is type(there)
    assert words in str(alone)
    assert words in str(there)
