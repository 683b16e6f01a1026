"""Nights that executors do not solve: the driver decides them by itself."""

from __future__ import annotations

import polars as pl

from optimizer.testing import random_tables
from tests.support.engine_nights import N, common, with_a_model
from tests.support.engine_nights_more import written

#: An order that finds a slot.
AT = 5


def packed(folder):
    """Each limit that makes a packing night, with a penalty in other units."""
    tables = random_tables(51, num_orders=30, rate="0.5")
    orders = tables.orders.with_columns(
        pin=pl.when(N == AT).then(pl.lit("must")),
        vehicle=pl.when(N % 3 == 0).then(pl.lit("van")).otherwise(pl.lit("bike")),
        load_kg=N % 4,
    )
    capacity = tables.capacity.with_columns(
        vehicle=pl.lit(None, pl.String),
        resource=pl.lit(None, pl.String),
        min_parcels=pl.when(N == 0).then(2),
        penalty_cny=pl.when(N == 0).then(pl.lit("5,0")),
    )
    more = capacity.filter(pl.col("carrier_id") == "yunda").head(2)
    more = more.with_columns(
        region_id=pl.lit(None, pl.String),
        outlet_id=pl.lit(None, pl.String),
        vehicle=pl.Series(["van", None]),
        resource=pl.Series([None, "kg"]),
        min_parcels=pl.lit(None, pl.Int32),
        penalty_cny=pl.lit(None, pl.String),
        slots=pl.Series([4, 20]),
    )
    pl.concat([capacity, more.cast(dict(capacity.schema))]).write_csv(
        folder / "packed.csv"
    )
    orders.write_parquet(folder / "packed.parquet", row_group_size=25)
    ids = sorted(orders["merchant_id"].unique())
    pl.DataFrame(
        {"merchant_id": ids, "owner_id": ["w", "w", *[None] * (len(ids) - 2)]}
    ).write_csv(folder / "owners.csv")
    made = common(folder, "packed")
    made["solver"] |= {"method": "auto", "relative_gap": 0.0001}
    policy = tables.config["policy"][0]
    payer = {"merchant": 0.5, "platform": 0.5}
    return made | {
        "policy": [
            policy
            | {
                "cap": {"rate": 0.5, "group": "owner"},
                "fee": {"amount_cny": 0.2, "payer": payer},
                "subsidy_budget_cny": 1,
            }
        ],
        "objective": tables.config["objective"],
        "inputs": {
            "orders": str(folder / "packed.parquet"),
            "merchants": str(folder / "owners.csv"),
            "capacity": {
                "path": str(folder / "packed.csv"),
                "units": {"penalty_cny": "fen"},
                "decimal": ",",
            },
        },
        "capacity": {"attributes": ["vehicle"], "resources": ["kg"]},
        "fairness": [
            {
                "column": "region_id",
                "value": "r1",
                "min_parcels": 1,
                "penalty_cny": 0.5,
                "priority": 4,
            },
            {"column": "region_id", "values": ["r0", "r2"], "min_share": 0.01},
            {"column": "region_id", "value": "r0", "max_share": 0.9},
            {"column": "region_id", "value": "r2", "max_parcels": 20},
        ],
        "pin_priority": 3,
        "on_conflict": "refuse",
        "publish": {"max_relative_gap": 0.01},
    }


def counted_by_purchases(folder):
    """Slots that hold what is bought, of merchants whose take-ups differ."""
    tables = random_tables(53, num_orders=18, rate="0.5")
    ids = sorted(tables.orders["merchant_id"].unique())
    take_up = [0.5, 0.8, *[1.0] * (len(ids) - 2)]
    pl.DataFrame({"merchant_id": ids, "take_up": take_up}).write_csv(
        folder / "take-up.csv"
    )
    made = common(folder, "counted")
    made["solver"] |= {"method": "auto"}
    inputs = written(folder, "counted", tables, tables.orders)
    return made | {
        "policy": [tables.config["policy"][0]],
        "objective": tables.config["objective"],
        "inputs": inputs | {"merchants": str(folder / "take-up.csv")},
        "capacity": {"count": "quantile", "quantile": 0.75},
    }


def drawn(folder):
    """Savings that are drawn from a learned model, by a method of one machine."""
    config = with_a_model(folder)
    config["objective"] |= {"explore": "thompson", "num_draws": 10}
    config["solver"] |= {"method": "flow"}
    return config | {"holdout": {"share": 0.2}}


def loads_in_the_data(folder):
    """Orders that take two slots: no key of the configuration tells it."""
    tables = random_tables(55, num_orders=40, rate="0.5")
    orders = tables.orders.with_columns(load=pl.when(N % 11 == 0).then(2).otherwise(1))
    made = common(folder, "loads")
    made["solver"] |= {"method": "auto"}
    return made | {
        "policy": [tables.config["policy"][0]],
        "objective": tables.config["objective"],
        "inputs": written(folder, "loads", tables, orders),
    }


#: Makers of the nights whose configuration tells that the driver decides them.
DRIVER_NIGHTS = {
    "packed": packed,
    "counted by purchases": counted_by_purchases,
    "drawn": drawn,
}
