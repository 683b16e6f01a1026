"""One simulated night in many variants: every option that decides anything, once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from optimizer.simulate import simulate

Tables = dict[str, pl.DataFrame | None]
Change = Callable[[Tables], Tables]
DAY = dt.date(2026, 11, 22)


@dataclass(frozen=True)
class Variant:
    """What is changed in tables, policy and configuration."""

    change: Change = lambda tables: tables
    policy: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    suffix: str = "parquet"


def simulated(folder: Path, num_orders: int = 1_500, **more: Any) -> Tables:
    """Tables of a simulated day."""
    simulate(
        folder, num_orders=num_orders, num_merchants=15, num_days=1, seed=3, **more
    )
    there = folder / "nights" / DAY.isoformat()
    options = there / "options.parquet"
    return {
        "orders": pl.read_parquet(there / "orders.parquet"),
        "capacity": pl.read_csv(
            there / "capacity.csv", schema_overrides={"outlet_id": pl.String}
        ),
        "merchants": pl.read_parquet(there / "merchants.parquet"),
        "options": pl.read_parquet(options) if options.exists() else None,
    }


def settings(variant: Variant) -> dict[str, Any]:
    """The configuration of a variant."""
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["zhongtong", "yuantong", "yunda"],
        **variant.policy,
    }
    config = {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "quarantine": {"max_share": 0.02},
    }
    return config | variant.config


def _orders(**columns: pl.Expr) -> Change:
    def change(tables: Tables) -> Tables:
        orders = tables["orders"]
        assert orders is not None
        return tables | {"orders": orders.with_columns(**columns)}

    return change


def _merchants(**columns: pl.Expr) -> Change:
    def change(tables: Tables) -> Tables:
        merchants = tables["merchants"]
        assert merchants is not None
        return tables | {"merchants": merchants.with_columns(**columns)}

    return change


def _capacity(**columns: pl.Expr) -> Change:
    def change(tables: Tables) -> Tables:
        capacity = tables["capacity"]
        assert capacity is not None
        return tables | {"capacity": capacity.with_columns(**columns)}

    return change


def _both(*changes: Change) -> Change:
    def change(tables: Tables) -> Tables:
        for each in changes:
            tables = each(tables)
        return tables

    return change


def _break_rows(tables: Tables) -> Tables:
    orders = tables["orders"]
    assert orders is not None
    row = pl.int_range(pl.len())
    return tables | {
        "orders": orders.with_columns(
            complaint_prob_standard=pl.when(row == 3)
            .then(1.5)
            .when(row == 7)
            .then(float("nan"))
            .otherwise("complaint_prob_standard"),
            merchant_id=pl.when(row == 11)
            .then(pl.lit("m1 "))
            .when(row == 12)
            .then(None)
            .otherwise("merchant_id"),
        )
    }


def _without_small_rows(tables: Tables) -> Tables:
    capacity = tables["capacity"]
    assert capacity is not None
    return tables | {
        "capacity": capacity.filter(pl.col("region_id").is_not_null())[::2]
    }


def _city_limits(tables: Tables) -> Tables:
    capacity = tables["capacity"]
    assert capacity is not None
    city = (
        capacity.filter(
            pl.col("region_id").is_not_null() & pl.col("outlet_id").is_null()
        )
        .group_by("region_id")
        .agg(pl.col("slots").sum() // 2)
        .select(
            carrier_id=pl.lit(None, pl.String),
            region_id="region_id",
            outlet_id=pl.lit(None, pl.String),
            slots="slots",
        )
    )
    return tables | {"capacity": pl.concat([capacity, city])}


_ROW = pl.int_range(pl.len())
_MORE_ROOM = _capacity(slots=pl.col("slots") * 3 + 1)

VARIANTS = {
    "plain": Variant(),
    "as text": Variant(suffix="csv"),
    "broken rows": Variant(_break_rows),
    "pooled caps": Variant(_MORE_ROOM, {"cap": {"rate": 0.03, "rounding": "pooled"}}),
    "carryover caps": Variant(
        _MORE_ROOM, {"cap": {"rate": 0.03, "rounding": "carryover"}}
    ),
    "caps of eligible orders": Variant(
        _MORE_ROOM, {"cap": {"rate": 0.07, "base": "eligible_orders"}}
    ),
    "overrides, whole days and budgets": Variant(
        _both(
            _MORE_ROOM,
            _merchants(
                cap_override=pl.when(_ROW == 2).then(4).when(_ROW == 3).then(0),
                num_orders=pl.when(_ROW == 4).then(5_000),
                daily_budget_cny=pl.when(_ROW % 5 == 1).then(0.3 + _ROW),
            ),
        ),
        {"fee": {"amount_cny": 0.8, "payer": {"merchant": 0.75, "platform": 0.25}}},
    ),
    "enrolment, pins and eligibility": Variant(
        _both(
            _merchants(is_enrolled=_ROW % 7 != 1),
            _orders(
                pin=pl.when(_ROW % 50 == 0).then(pl.lit("never")),
                status=pl.when(_ROW % 9 == 0).then(pl.lit("refund_pending")),
                weight_kg=(_ROW % 40).cast(pl.Float64),
            ),
        ),
        {
            "eligibility": [
                {"column": "status", "is": "refund_pending", "reason": "refund"},
                {"column": "region_id", "in": ["CN-54", "CN-31"], "reason": "far"},
                {"column": "weight_kg", "above": 37.5, "reason": "it's heavy"},
                {"column": "status", "is_missing": False, "reason": "odd"},
            ]
        },
    ),
    "worth": Variant(
        _merchants(take_up=(_ROW % 4 + 1) / 5),
        config={
            "objective": {
                "complaint_cost_cny": 31.77,
                "return_cost_cny": 9.5,
                "fee_share": 0.123456789,
                "relative_error": 0.2,
                "confidence": 0.9,
                "fulfilment": [
                    {"carrier_id": "yunda", "probability": 0.91},
                    {"carrier_id": "yunda", "region_id": "CN-11", "probability": 0.5},
                ],
            }
        },
    ),
    "a policy's own objective": Variant(
        policy={
            "objective": {
                "complaint_cost_cny": 55.5,
                "fulfilment": [{"carrier_id": "zhongtong", "probability": 0.7}],
            }
        }
    ),
    "kept back": Variant(
        _MORE_ROOM, config={"holdout": {"share": 0.3, "explore_share": 0, "seed": 5}}
    ),
    "explored": Variant(
        _both(_MORE_ROOM, _capacity(slots=pl.col("slots") * 2)),
        {"cap": {"rate": 0.2}},
        {"holdout": {"share": 0.1, "explore_share": 0.2, "seed": 5}},
    ),
    "lanes without rows": Variant(_without_small_rows),
    "lanes without rows, open": Variant(
        _without_small_rows, config={"capacity": {"uncovered_lanes": "open"}}
    ),
    "by day": Variant(
        _orders(
            delivery_date=pl.when(_ROW % 3 > 0).then(DAY + pl.duration(days=_ROW % 3))
        ),
        config={
            "capacity": {
                "counted_on": "delivery",
                "lead_days": 2,
                "peaks": [
                    {"from": "2026-11-23", "to": "2026-11-23", "factor": 1.5},
                    {
                        "from": "2026-11-22",
                        "to": "2026-11-30",
                        "factor": 0.7,
                        "carriers": ["yunda"],
                    },
                ],
            }
        },
    ),
    "loads": Variant(_both(_MORE_ROOM, _orders(load=1 + (_ROW % 3 == 0)))),
    "city limits": Variant(_city_limits),
    "purchases": Variant(
        _merchants(take_up=(_ROW % 4 + 1) / 5),
        config={"capacity": {"count": "expected"}},
    ),
    "floors, owners and a subsidy": Variant(
        _both(
            _MORE_ROOM,
            _merchants(
                owner_id=pl.format("owner-{}", _ROW % 4),
                tier=pl.when(_ROW % 2 == 0)
                .then(pl.lit("small"))
                .otherwise(pl.lit("top")),
                cap_override=pl.when(_ROW % 4 == 0).then(9),
            ),
        ),
        {
            "cap": {"rate": 0.03, "group": "owner"},
            "fee": {"amount_cny": 0.8, "payer": {"merchant": 0.5, "platform": 0.5}},
            "subsidy_budget_cny": 14,
        },
        {
            "fairness": [
                {"column": "tier", "value": "small", "min_share": 0.2},
                {"column": "tier", "value": "top", "max_share": 0.5},
                {"column": "region_id", "value": "CN-31", "max_parcels": 2},
            ],
            "publish": {"max_relative_gap": 0.5},
        },
    ),
}
