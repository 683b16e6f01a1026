"""Further nights in files for both engines, one for each group of keys."""

from __future__ import annotations

from dataclasses import replace

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
    tables = replace(tables, orders=orders, capacity=capacity, options=ways)
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


def dated(tables):
    """
    A night with dates: orders of some days, one of which only parcels have that may
    not be chosen, and capacity rows of some of the days.
    """
    tomorrow = pl.lit("2026-11-23").str.to_date()
    is_shut = N % 40 == 0
    orders = tables.orders.with_columns(
        is_eligible=~is_shut,
        **{
            f"{when}_date": pl.when(is_shut)
            .then(tomorrow + pl.duration(days=3))
            .when(N % step < 2)
            .then(tomorrow + pl.duration(days=N % step))
            for when, step in (("ship", 5), ("delivery", 7))
        },
    )
    capacity = tables.capacity.with_columns(service_date=pl.lit(None, pl.Date))
    some = capacity.filter(N % 3 == 0).with_columns(
        service_date=pl.when(N % 2 == 0)
        .then(tomorrow)
        .otherwise(pl.lit("2026-11-22").str.to_date()),
        slots=pl.col("slots") // 2,
    )
    return replace(tables, orders=orders, capacity=pl.concat([capacity, some]))


def by_day(folder):
    """Slots of the days on which parcels are shipped, some of them given by date."""
    tables = dated(random_tables(33, num_orders=300, has_choice=True, rate="0.6"))
    peak = {"from": "2026-11-23", "to": "2026-11-23", "factor": 0.5}
    return common(folder, "by-day") | {
        "policy": [tables.config["policy"][0]],
        "objective": tables.config["objective"],
        "inputs": written(folder, "by-day", tables, tables.orders),
        "capacity": {"counted_on": "ship", "lead_days": 1, "peaks": [peak]},
    }


def slots_taken_before(folder):
    """Parcels that are delivered days later take slots of those days, on each night."""
    tables = dated(random_tables(35, num_orders=260))
    return common(folder, "days") | {
        "policy": [tables.config["policy"][0]],
        "objective": tables.config["objective"],
        "inputs": written(folder, "days", tables, tables.orders),
        "capacity": {"counted_on": "delivery", "lead_days": 1, "in_flight_days": 3},
        "state": {"url": f"sqlite:///{folder}/days-ENGINE.db"},
    }


def exploring(folder):
    """An explore arm that is drawn blind, and a share of the plan kept back."""
    tables = random_tables(37, num_orders=300, num_merchants=20, has_choice=True)
    return common(folder, "exploring") | {
        "policy": [tables.config["policy"][0]],
        "objective": tables.config["objective"] | {"explore": "blind"},
        "inputs": written(folder, "exploring", tables, tables.orders),
        "holdout": {"share": 0.2, "explore_share": 0.6, "seed": 8},
    }


def with_coins(folder):
    """Coins between parcels just inside and just outside the plan."""
    tables = random_tables(39, num_orders=300, num_merchants=9)
    return common(folder, "coins") | {
        "policy": [tables.config["policy"][0]],
        "objective": tables.config["objective"] | {"explore": "margin"},
        "inputs": written(folder, "coins", tables, tables.orders),
        "holdout": {"explore_share": 0.5, "seed": 9},
    }


def many_ties(tables):
    """A night whose orders save one of three amounts, so that prices decide little."""
    ways = tables.orders if tables.options is None else tables.options
    risk = pl.col("complaint_prob_premium")
    few = ways.with_columns(complaint_prob_premium=(risk * 50).round() / 50)
    orders = few if tables.options is None else tables.orders
    standard = (pl.col("complaint_prob_standard") * 50).round() / 50
    orders = orders.with_columns(complaint_prob_standard=standard)
    options = None if tables.options is None else few
    return replace(tables, orders=orders, options=options)


def keeping_ties(folder):
    """Ties, which an earlier night is to decide."""
    tables = many_ties(random_tables(41, num_orders=300, has_choice=True))
    made = common(folder, "ties")
    made["solver"] |= {"keep_previous": True}
    return made | {
        "policy": [tables.config["policy"][0]],
        "objective": tables.config["objective"],
        "inputs": written(folder, "ties", tables, tables.orders),
    }


def much_to_tell(folder):
    """
    Names that a spreadsheet changed, or that find nothing; times for dates; rules on
    values of columns of one's own; shares of what is broken and found near their
    bounds; an outlet that every option replaces.
    """
    tables = random_tables(43, num_orders=2_600, num_merchants=20, has_choice=True)
    assert tables.options is not None
    renamed = pl.col("region_id").replace({"r1": "2-Jan"})
    orders = tables.orders.with_columns(
        renamed,
        order_id=pl.when(N % 13 == 0)
        .then(pl.format("{},000", N // 13 + 1))
        .otherwise("order_id"),
        merchant_id=pl.col("merchant_id").replace({"m1": "0017", "m2": "17"}),
        delivery_date=pl.when(N % 3 == 0).then(pl.lit("2026-11-24T00:00:00Z")),
        status=pl.when(N % 29 == 0).then(pl.lit("refunded")).otherwise(pl.lit("paid")),
        outlet_id=pl.when(N % 50 == 6).then(pl.lit("replaced")),
        complaint_prob_standard=pl.when(N % 40 == 5)
        .then(7.0)
        .otherwise("complaint_prob_standard"),
    )
    new = dict(zip(tables.orders["order_id"], orders["order_id"], strict=True))
    ways = tables.options.with_columns(
        pl.col("order_id").replace(new), outlet_id=pl.lit("own")
    )
    stray = ways.head(5).with_columns(order_id=pl.format("nobody-{}", N))
    capacity = tables.capacity.with_columns(renamed.replace({"r0": "nowhere"}))
    outlet = capacity.head(1).with_columns(outlet_id=pl.lit("replaced"))
    tables = replace(
        tables,
        capacity=pl.concat([capacity, outlet]),
        options=pl.concat([ways, stray]),
    )
    rules = [{"column": "status", "in": ["refunded", "torn"], "reason": "not sent"}]
    return common(folder, "telling") | {
        "policy": [tables.config["policy"][0] | {"eligibility": rules}],
        "objective": tables.config["objective"],
        "inputs": written(folder, "telling", tables, orders),
        "quarantine": {"max_share": 0.026},
        "limits": {"broken_rows_in_a_row": 1, "num_rows": 10_000},
        "lookups": {"warn_below": 0.9, "refuse_below": 0.4},
    }


#: Makers of the nights, by name.
MORE_NIGHTS = {
    "much to tell": much_to_tell,
    "for platforms": for_platforms,
    "by day": by_day,
    "exploring": exploring,
    "with coins": with_coins,
}
