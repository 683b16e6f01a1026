"""A large night: real orders where they are at hand, else simulated ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from optimizer.simulate import simulate

#: Real orders, where they are at hand: beside the checkout, never inside it.
OLIST = Path(__file__).parents[3] / "shared" / "data" / "olist"


@dataclass(frozen=True)
class LargeNight:
    """A large night on disk, and what is known about its answer."""

    source: str
    orders: Path
    capacity: Path
    config: dict[str, Any]
    num_chosen: int | None


def make_large_night(folder: Path) -> LargeNight:
    """Find the real orders, or simulate into a folder."""
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.80},
        "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
    }
    config = {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
    }
    if OLIST.is_dir():
        capacity = OLIST / "capacity.csv"
        carriers = pl.read_csv(capacity)["carrier_id"].unique().sort()
        policy["carriers"] = carriers.to_list()
        return LargeNight("olist", OLIST / "orders.parquet", capacity, config, 1_927)
    made = simulate(folder, num_orders=100_000, num_merchants=3_000, num_days=1, seed=7)
    orders, capacity = (made.folders[0] / n for n in ("orders.parquet", "capacity.csv"))
    return LargeNight("simulator", orders, capacity, config, None)
