"""A batch in which every row is broken is a batch, whatever the night has."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import optimizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DAY = dt.date(2026, 11, 22)
NUM_SOUND = 80


def orders(prefix: str, num: int = NUM_SOUND) -> pl.DataFrame:
    """Orders with every optional column."""
    number = pl.int_range(num, eager=True)
    return pl.DataFrame(
        {
            "order_id": [f"{prefix}{n:03}" for n in number],
            "merchant_id": ["m1", "m2"] * (num // 2),
            "carrier_id": "yunda",
            "region_id": "north",
            "outlet_id": ["o1", None] * (num // 2),
            "order_value_cny": 10.0,
            "complaint_prob_standard": 0.1 + number * 0.002,
            "complaint_prob_premium": 0.05,
            "return_prob_standard": 0.1,
            "return_prob_premium": 0.05,
            "is_eligible": True,
            "ineligible_reason": pl.Series([None] * num, dtype=pl.String),
            "load": 1,
            "pin": pl.Series([None] * num, dtype=pl.String),
            "ship_date": DAY,
            "vehicle": "van",
            "tier": "gold",
            "status": "paid",
        }
    )


BROKEN = {
    "no id": {"order_id": pl.lit(None, pl.String)},
    "dates that are none": {"ship_date": pl.lit("soon")},
    "flags that are none": {"is_eligible": pl.lit("maybe")},
    "columns of nulls": {
        name: pl.lit(None)
        for name in orders("x").columns
        if name not in ("outlet_id", "vehicle")
    },
    "words for no value": {
        name: pl.lit("NULL") for name in ("order_id", "merchant_id", "region_id")
    },
    "no rows": {},
}
FEATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "packing": {
        "capacity": {
            "counted_on": "ship",
            "attributes": ["vehicle"],
            "count": "expected",
        },
        "fairness": [{"column": "tier", "value": "gold", "min_share": 0.1}],
    },
    "network": {"holdout": {"share": 0.1, "explore_share": 0.1, "seed": 3}},
    "by day": {"capacity": {"counted_on": "ship"}},
}
RULES = [{"column": "status", "is": "refunded", "reason": "refunded"}]


def allocate(pattern: str, more: Mapping[str, Any], **tables: Any) -> pl.DataFrame:
    """Decisions of a night of these parts of orders."""
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.05, "group": "merchant"},
        "fee": {"amount_cny": 0.8},
        "carriers": ["yunda"],
        "eligibility": RULES if more else [],
    }
    config = {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "quarantine": {"max_share": 1},
    }
    row = {"carrier_id": "yunda", "region_id": "north", "slots": 50, "vehicle": "van"}
    capacity = pl.DataFrame({name: [value] for name, value in row.items()})
    night = optimizer.allocate(
        pattern, capacity, config=config | more, date=DAY, **tables
    )
    return night.orders


@pytest.mark.parametrize("features", FEATURES.values(), ids=list(FEATURES))
@pytest.mark.parametrize("name", BROKEN)
def test_a_part_that_is_wholly_broken_changes_nothing_else(
    name: str, features: dict[str, Any], tmp_path: Path
) -> None:
    """First, between and last; the sound parts are decided as without them."""
    orders("a").write_parquet(tmp_path / "2.parquet")
    orders("b").write_parquet(tmp_path / "4.parquet")
    sound = allocate(f"{tmp_path}/*.parquet", features)

    broken = orders("x").with_columns(**BROKEN[name])
    broken = broken.head(0) if name == "no rows" else broken
    for part in (1, 3, 5):
        broken.write_parquet(tmp_path / f"{part}.parquet")
    assert allocate(f"{tmp_path}/*.parquet", features).equals(sound)


@pytest.mark.parametrize("name", BROKEN)
def test_options_that_are_wholly_broken_change_nothing_else(
    name: str, tmp_path: Path
) -> None:
    """Of orders and of options, both in parts."""
    columns = [
        "order_id",
        "carrier_id",
        "complaint_prob_premium",
        "return_prob_premium",
    ]
    premium = columns[2:]
    for table in ("orders", "options"):
        (tmp_path / table).mkdir()

    def write(part: int, frame: pl.DataFrame) -> None:
        frame.drop(premium).write_parquet(tmp_path / f"orders/{part}.parquet")
        frame.select(columns).write_parquet(tmp_path / f"options/{part}.parquet")

    write(2, orders("a"))
    paths = f"{tmp_path}/orders/*.parquet", f"{tmp_path}/options/*.parquet"
    sound = allocate(paths[0], {}, options=paths[1])
    broken = orders("x").with_columns(**BROKEN[name])
    for part in (1, 3):
        write(part, broken.head(0) if name == "no rows" else broken)
    assert allocate(paths[0], {}, options=paths[1]).equals(sound)
