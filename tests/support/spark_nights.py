"""Nights for the tests of Spark, and how they are held against one machine."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field, replace

import polars as pl
import polars.selectors as cs

import optimizer
from optimizer.testing import Tables, make_tables, random_tables


@dataclass(frozen=True)
class Family:
    """A night; ``is_plain`` where only one plan is the best."""

    tables: Tables
    merchants: pl.DataFrame | None = None
    is_plain: bool = True
    keys: dict = field(default_factory=dict)
    date: str | None = None

    @property
    def config(self):
        """The configuration, with further keys."""
        return self.tables.config | self.keys

    def alone(self):
        """The night on one machine, by prices as on a cluster: optima may be tied."""
        return optimizer.allocate(
            self.tables.orders,
            self.tables.capacity,
            config=self.config | {"solver": {"method": "pricing"}},
            options=self.tables.options,
            merchants=self.merchants,
            date=self.date,
        )


def ties():
    """Every order saves the same, so that prices decide nothing."""
    orders = [(f"o{n}", f"m{n % 7}", f"r{n % 3}", 2.0) for n in range(150)]
    return make_tables(orders, {"yunda": 40, "yunda/r0": 9, "yunda/r1": 30})


def giant():
    """One merchant has nine of ten orders."""
    tables = random_tables(9, num_orders=400, num_merchants=40)
    is_giant = pl.int_range(pl.len()) % 10 != 0
    merchant = pl.when(is_giant).then(pl.lit("giant")).otherwise("merchant_id")
    orders = tables.orders.with_columns(merchant_id=merchant)
    return replace(tables, orders=orders)


def odd():
    """Orders that never get to the solver, merchants with facts, open lanes."""
    tables = random_tables(11, num_orders=300, num_merchants=8)
    n = pl.int_range(pl.len())
    orders = tables.orders.with_columns(
        is_eligible=n % 7 != 0,
        pin=pl.when(n % 11 == 0).then(pl.lit("never")),
        carrier_id=pl.when(n % 13 == 0).then(pl.lit("nobody")).otherwise("carrier_id"),
        complaint_prob_premium=pl.when(n % 97 == 5)
        .then(7.0)
        .otherwise("complaint_prob_premium"),
    )
    merchants = pl.DataFrame(
        {
            "merchant_id": ["m0", "m1", "m2", "m3", "m4"],
            "num_orders": [500, None, None, None, None],
            "take_up": [None, 0.5, None, None, None],
            "is_enrolled": [True, True, False, True, True],
            "cap_override": [None, None, None, 2, None],
            "daily_budget_cny": [None, None, None, None, 2.0],
        }
    )
    policy = [tables.config["policy"][0] | {"fee": {"amount_cny": 0.8}}]
    keys = {
        "policy": policy,
        "quarantine": {"max_share": 0.05},
        "capacity": {"uncovered_lanes": "open"},
    }
    capacity = tables.capacity.filter(pl.col("region_id") != "r2")
    return Family(
        replace(tables, orders=orders, capacity=capacity), merchants, keys=keys
    )


def ruled():
    """Eligibility by the policy and by the table, pooled caps, a peak day."""
    tables = random_tables(13, num_orders=300, num_merchants=40)
    n = pl.int_range(pl.len())
    orders = tables.orders.with_columns(
        status=pl.when(n % 9 == 0).then(pl.lit("refunded")),
        is_eligible=n % 10 != 3,
        ineligible_reason=pl.when(n % 20 == 3).then(pl.lit("sold out")),
    )
    rule = {"column": "status", "is": "refunded", "reason": "refunded"}
    policy = tables.config["policy"][0]
    cap = policy["cap"] | {"rounding": "pooled"}
    peak = {"from": "2026-11-20", "to": "2026-11-23", "factor": 0.5}
    keys = {
        "policy": [policy | {"cap": cap, "eligibility": [rule]}],
        "capacity": {"peaks": [peak]},
    }
    return Family(replace(tables, orders=orders), keys=keys, date="2026-11-22")


def explored():
    """Stations are held out and explored by lot; slots count on days to come."""
    tables = random_tables(17, num_orders=300, num_merchants=20)
    n = pl.int_range(pl.len())
    days = [dt.date(2026, 11, 22) + dt.timedelta(ahead) for ahead in (0, 1)]
    orders = tables.orders.with_columns(
        ship_date=pl.when(n % 3 == 0).then(pl.lit(days[0])).otherwise(pl.lit(days[1]))
    )
    by_day = [tables.capacity.with_columns(service_date=pl.lit(day)) for day in days]
    holdout = {"share": 0.2, "explore_share": 0.4, "seed": 5, "unit": "station-day"}
    return Family(
        replace(tables, orders=orders, capacity=pl.concat(by_day)),
        keys={"holdout": holdout, "capacity": {"counted_on": "ship"}},
        date="2026-11-22",
    )


def coins():
    """Pairs at the cut-off of every merchant, decided by coins."""
    tables = random_tables(19, num_orders=300, has_choice=True)
    return Family(
        tables,
        keys={
            "holdout": {"share": 0.2, "explore_share": 0.4, "seed": 5},
            "objective": tables.config["objective"] | {"explore": "margin"},
        },
        date="2026-11-22",
    )


FAMILIES = {
    "single": lambda: Family(random_tables(5, num_orders=300)),
    "choice": lambda: Family(random_tables(6, num_orders=250, has_choice=True)),
    "ties": lambda: Family(ties(), is_plain=False),
    "giant": lambda: Family(giant()),
    "odd": odd,
    "ruled": ruled,
    "explored": explored,
    "coins": coins,
}


def allocate_on(spark, family, layout=lambda frame: frame, **keys):
    """The same night on a cluster, its input laid out in some way."""
    from optimizer import spark as distributed

    def there(table):
        return (
            None if table is None else layout(spark.createDataFrame(table.to_arrow()))
        )

    return distributed.allocate(
        there(family.tables.orders),
        family.tables.capacity,
        family.config,
        options=there(family.tables.options),
        merchants=family.merchants,
        date=family.date,
        **keys,
    )


def decisions_of(night):
    return pl.from_arrow(night.decisions.toArrow()).sort("order_id")


def known(table):
    """What a cluster knows exactly: all but margins and what slots bring."""
    return table.drop(cs.starts_with("margin", "one_more", "one_fewer"))


def an_order(alone):
    """An order whose sentence has no margin in it."""
    return alone.decisions.filter(pl.col("reason") == "NO_SAVING")["order_id"][0]


def assert_same(night, alone, is_plain=True):
    """Hold a Spark night against the same one on one machine."""
    assert night.certificate == alone.certificate
    assert dict(night.summary) == dict(alone.summary)
    assert night.warnings == alone.warnings
    used = [] if is_plain else ["used", "slack"]
    assert known(night.lanes).drop(used).equals(known(alone.lanes).drop(used))
    assert known(night.merchants).drop(used).equals(known(alone.merchants).drop(used))
    rules = ["source", "column", "rule"]
    refused = pl.from_arrow(night.quarantine.toArrow()).select(rules)
    assert Counter(refused.iter_rows()) == Counter(
        alone.quarantine.select(rules).iter_rows()
    )
    found = decisions_of(night).select(alone.decisions.columns)
    if is_plain:
        assert known(found).equals(known(alone.decisions))
    else:
        chosen = found.filter("is_premium")["saving_cny"]
        assert len(found) == len(alone.decisions)
        assert round(chosen.sum() * 1e6) == alone.certificate.primal_bound
