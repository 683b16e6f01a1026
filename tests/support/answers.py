"""A published night that the tests of answers share."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimizer.config import as_config
from optimizer.job import run_date
from optimizer.simulate import simulate

DAY = dt.date(2026, 11, 22)


def make_config(folder: Path, **keys: Any) -> dict[str, Any]:
    """Configure the simulated night in a folder; ``keys`` replace others."""
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
    }
    nights = folder / "nights" / "{date}"
    return {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "inputs": {
            "orders": str(nights / "orders.parquet"),
            "capacity": str(nights / "capacity.csv"),
            "merchants": str(nights / "merchants.parquet"),
        },
        "output": str(folder / "runs"),
        **keys,
    }


@pytest.fixture(scope="session")
def night_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a simulated night, published in ``runs``."""
    return publish_once(tmp_path_factory.getbasetemp() / "answers")


@functools.cache
def publish_once(folder: Path) -> Path:
    """Simulate a night and publish it; once, however many folders of tests ask."""
    folder.mkdir()
    simulate(folder, num_orders=5_000, num_merchants=40, num_days=1, seed=7)
    run_date(as_config(make_config(folder)), DAY)
    return folder


@pytest.fixture(scope="session")
def published(night_folder: Path) -> Path:
    """The published night."""
    return night_folder / "runs" / DAY.isoformat()


@pytest.fixture(scope="session")
def night_config() -> Callable[..., dict[str, Any]]:
    """Make the night's configuration anew, to be changed."""
    return make_config
