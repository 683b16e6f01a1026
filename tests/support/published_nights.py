"""Nights of all kinds, published for the statement to look at."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl

from optimizer.config import as_config
from optimizer.job import run_date

DAY = dt.date(2026, 11, 22)


def publish(
    folder: Path,
    tables: dict[str, pl.DataFrame | None],
    config: dict[str, Any],
    day: dt.date = DAY,
    suffix: str = "parquet",
    more: dict[str, str] | None = None,
) -> Path:
    """Write the inputs, run the night, and give its folder; ``more`` inputs stand."""
    inputs = dict(more or {})
    for name, table in tables.items():
        if table is not None:
            path = folder / f"{name}-{day}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            (table.write_parquet if suffix == "parquet" else table.write_csv)(path)
            inputs[name] = str(folder / f"{name}-{{date}}.{suffix}")
    settings = config | {"inputs": inputs, "output": str(folder / "runs")}
    report = run_date(as_config(settings), day, is_forced=True)
    assert report is not None
    return folder / "runs" / day.isoformat()


def record_of(run: Path) -> dict[str, Any]:
    """The record of a published night."""
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found
