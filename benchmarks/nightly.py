"""A simulated night as the nightly job would be told of it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from optimizer.config import as_config

if TYPE_CHECKING:
    from pathlib import Path

    from optimizer.config import Config

DAY = dt.date(2026, 11, 22)
TABLES = ("orders", "options", "merchants", "capacity")


def input_paths(folder: Path) -> dict[str, str]:
    """Paths of the tables that are there."""
    found = {path.stem: str(path) for path in folder.iterdir()}
    return {name: found[name] for name in TABLES if name in found}


def night_config(folder: Path, output: Path) -> Config:
    """The rules that the simulator's nights are made for."""
    given: dict[str, Any] = {
        "version": 1,
        "policy": [
            {
                "valid_from": "2022-01-12",
                "cap": {"rate": 0.03},
                "fee": {"amount_cny": 0.80},
                "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
            }
        ],
        "objective": {"complaint_cost_cny": 30.00, "return_cost_cny": 18.00},
        "inputs": input_paths(folder),
        "output": str(output),
    }
    return as_config(given)
