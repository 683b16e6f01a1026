"""
How well effects are measured where that is hard, in many simulated histories.

``python -m benchmarks.evaluation delays [HISTORIES]``: histories without an effect in
which complaints come later on premium; how many report one, on all rows as they stand
and on the ripe ones, with the maturity stated and learned.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from typing import Any

import numpy as np
import polars as pl

START = dt.date(2026, 11, 1)
NUM_NIGHTS, NUM_ROWS = 30, 6_000


def delays(histories: str = "500") -> dict[str, Any]:
    """Share of histories whose 95 % interval leaves the true effect, 0, out."""
    from optimizer.learn.history import Window, read_history

    as_of = START + dt.timedelta(NUM_NIGHTS)
    stated = {"maturity_days": {"complaint": 16}}
    ways = {"stated": _config(learning=stated), "learned": _config()}
    found = dict.fromkeys(("all rows", *ways), 0)
    for seed in range(int(histories)):
        table = _delayed(seed)
        found["all rows"] += _is_reported(table)
        for name, config in ways.items():
            past = read_history(table, config, Window(as_of))
            found[name] += _is_reported(past.ripe("complaint"))
    return {"histories": int(histories)} | {
        name: count / int(histories) for name, count in found.items()
    }


def _delayed(seed: int) -> pl.DataFrame:
    """Thirty nights without an effect; premium complaints come six days later."""
    rng = np.random.default_rng(seed)
    night = rng.integers(0, NUM_NIGHTS, NUM_ROWS)
    is_premium = rng.random(NUM_ROWS) < 0.5
    delay = np.minimum(rng.poisson(np.where(is_premium, 8.0, 2.0)), 16)
    happens = rng.random(NUM_ROWS) < 0.2
    seen = happens & (night + delay < NUM_NIGHTS)
    last = START + dt.timedelta(NUM_NIGHTS - 1)
    return _table(night, is_premium, seen).with_columns(
        complaint_date=pl.when("complaint").then(
            pl.col("date") + pl.duration(days=pl.Series(delay))
        ),
        observed_until=pl.lit(last),
    )


def _table(
    night: np.ndarray, is_premium: np.ndarray, complaint: np.ndarray
) -> pl.DataFrame:
    """An outcomes table of the columns that matter here."""
    size = len(night)
    return pl.DataFrame(
        {
            "order_id": [f"o{n}" for n in range(size)],
            "date": pl.Series(night.astype(np.int32) + _DAY_0).cast(pl.Date),
            "merchant_id": ["m"] * size,
            "carrier_id": ["zhongtong"] * size,
            "region_id": ["north"] * size,
            "is_premium": is_premium,
            "propensity": [0.5] * size,
            "arm": ["explore"] * size,
            "complaint": complaint,
            "logistics_return": [False] * size,
        }
    )


_DAY_0 = np.int32((START - dt.date(1970, 1, 1)).days)


def _is_reported(frame: pl.DataFrame) -> bool:
    from optimizer.learn.estimators import Sample, difference

    half = np.full(len(frame), 0.5)
    happened = frame["complaint"].to_numpy().astype(float)
    found = difference(
        Sample(happened, frame["is_premium"].to_numpy(), half, half, half)
    )
    return found is not None and not found.low <= 0 <= found.high


def _config(**more: Any) -> Any:
    from optimizer.config import as_config

    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["zhongtong"],
    }
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 18}
    base: dict[str, Any] = {"version": 1, "policy": [policy], "objective": objective}
    return as_config(base | more)


def main() -> None:
    """Run what the command line names, and print it with its seconds."""
    start = time.perf_counter()
    found = {"delays": delays}[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(found | {"seconds": round(time.perf_counter() - start)}, indent=2))


if __name__ == "__main__":
    main()
