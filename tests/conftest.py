"""Nights that several tests share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

#: Real orders, where they are at hand: beside the checkout, never inside it.
OLIST = Path(__file__).parents[2] / "shared" / "data" / "olist"


@dataclass(frozen=True)
class LargeNight:
    """A large night on disk, and what is known about its answer."""

    source: str
    orders: Path
    capacity: Path
    config: dict[str, Any]
    num_chosen: int | None


@pytest.fixture(scope="session")
def large_night(tmp_path_factory: pytest.TempPathFactory) -> LargeNight:
    """Real orders where they are at hand, else simulated ones; it says which."""
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
        import polars as pl

        carriers = pl.read_csv(OLIST / "capacity.csv")["carrier_id"].unique().sort()
        policy["carriers"] = carriers.to_list()
        night = LargeNight(
            "olist", OLIST / "orders.parquet", OLIST / "capacity.csv", config, 1_927
        )
    else:
        from optimizer.simulate import simulate

        out = tmp_path_factory.mktemp("simulated")
        made = simulate(
            out, num_orders=100_000, num_merchants=3_000, num_days=1, seed=7
        )
        folder = made.folders[0]
        night = LargeNight(
            "simulator",
            folder / "orders.parquet",
            folder / "capacity.csv",
            config,
            None,
        )
    return night


def pytest_report_header() -> str:
    """Say which large night the tests use."""
    which = "real orders (olist)" if OLIST.is_dir() else "the simulator; no real orders"
    return f"large night: {which}"
