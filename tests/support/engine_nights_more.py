"""Further nights in files for both engines, one for each group of keys."""

from __future__ import annotations

import polars as pl

from optimizer.testing import random_tables
from tests.support.engine_nights import CARRIERS, N, common


def written(folder, name, tables, orders):
    """The inputs of a night as files, by their names."""
    orders.write_parquet(folder / f"{name}.parquet", row_group_size=90)
    tables.capacity.write_csv(folder / f"{name}.csv")
    inputs = {
        "orders": str(folder / f"{name}.parquet"),
        "capacity": str(folder / f"{name}.csv"),
    }
    if tables.options is not None:
        tables.options.write_parquet(folder / f"{name}-ways.parquet")
        inputs["options"] = str(folder / f"{name}-ways.parquet")
    return inputs


def for_platforms(folder):
    """
    Outboxes: some carriers are of no platform, some ids are a formula to a
    spreadsheet, and an order may have another way.
    """
    tables = random_tables(31, num_orders=240, has_choice=True)
    ways = tables.options
    assert ways is not None
    carrier = pl.col("carrier_id")
    there = {"order_id": pl.format("{}{}", pl.lit("-"), "order_id")}
    is_formula = pl.col("order_id").str.ends_with("7")
    ways = ways.with_columns(
        carrier_id=pl.when(carrier == "yuantong")
        .then(pl.when(N % 2 == 0).then(pl.lit("jd")).otherwise(pl.lit("shentong")))
        .otherwise(carrier),
        order_id=pl.when(is_formula).then(there["order_id"]).otherwise("order_id"),
    )
    orders = tables.orders.with_columns(
        order_id=pl.when(is_formula).then(there["order_id"]).otherwise("order_id")
    )
    capacity = tables.capacity.with_columns(carrier.replace({"yuantong": "jd"}))
    tables = type(tables)(orders, capacity, tables.config, ways)
    policy = tables.config["policy"][0] | {"carriers": [*CARRIERS, "jd", "shentong"]}
    return common(folder, "platforms") | {
        "policy": [policy],
        "objective": tables.config["objective"],
        "inputs": written(folder, "platforms", tables, orders),
        "outbox": [
            {
                "platform": platform,
                "format": kind,
                "to": f"{folder}/{platform}-ENGINE-{{date}}.{kind}",
            }
            for platform, kind in (("douyin", "csv"), ("jd", "jsonl"))
        ],
    }


#: Makers of the nights, by name.
MORE_NIGHTS = {
    "for platforms": for_platforms,
}
