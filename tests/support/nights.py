"""A night that is easily seen through: two merchants, a carrier, room for all."""

from __future__ import annotations

import copy
from typing import Any

import polars as pl

DATE = "2026-11-22"
#: Caps of 3 %: of 100 orders, 3.
CONFIG: dict[str, Any] = {
    "version": 1,
    "policy": [
        {
            "valid_from": "2022-01-12",
            "cap": {"rate": 0.03},
            "fee": {"amount_cny": 0.80},
            "carriers": ["yunda", "zhongtong"],
        }
    ],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
}


def config_of(policy: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """The configuration with other keys, of the policy row too."""
    found = copy.deepcopy(CONFIG) | keys
    found["policy"][0] |= policy or {}
    return found


def orders_of(
    merchants: tuple[str, ...] = ("m1", "m2"), num_each: int = 100, **columns: Any
) -> pl.DataFrame:
    """Orders by merchant, each a little riskier than the one before it."""
    num = len(merchants) * num_each
    return pl.DataFrame(
        {
            "order_id": [f"{m}-{n:04d}" for m in merchants for n in range(num_each)],
            "merchant_id": [m for m in merchants for _ in range(num_each)],
            "carrier_id": ["yunda"] * num,
            "region_id": ["north"] * num,
            "complaint_prob_standard": [0.1 + n / 1_000 for n in range(num_each)]
            * len(merchants),
            "complaint_prob_premium": [0.05] * num,
            "return_prob_standard": [0.1] * num,
            "return_prob_premium": [0.05] * num,
        }
        | {k: v if isinstance(v, list) else [v] * num for k, v in columns.items()}
    )


def capacity_of(slots: int = 50, **columns: Any) -> pl.DataFrame:
    """One row, with room for all."""
    row = {"carrier_id": "yunda", "region_id": "north", "slots": slots} | columns
    return pl.DataFrame([row])
