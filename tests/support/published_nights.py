"""Nights of all kinds, published for the statement to look at."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from optimizer.config import as_config
from optimizer.contracts.run_folder import record_text
from optimizer.job import run_date
from optimizer.verify.premises import hash_of, sha256_of
from optimizer.verify.standing import run_name

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


def edit_record(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a record, and make all hashes and names anew."""
    record = record_of(run)
    change(record)
    for name, claim in record["outputs"].items():
        if (run / name).is_file():
            claim["sha256"] = sha256_of(run / name)
    record["identity"]["config_sha256"] = hash_of(record["config"])
    (run / "run.json").write_text(record_text(record))
    real = run.resolve()
    renamed = real.with_name(run_name(record["identity"]))
    if renamed != real:
        real.rename(renamed)
        run.unlink()
        run.symlink_to(renamed.relative_to(run.parent))
