"""Small randomised trials with a known truth, and outcomes tables made by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from optimizer.config import Config, as_config
from optimizer.learn.effect import Belief, Scores
from optimizer.learn.features import features_of
from optimizer.learn.history import read_history
from optimizer.learn.learners import Trial
from optimizer.learn.window import Window

DAY = dt.date(2026, 11, 1)
CARRIERS = ("zhongtong", "yuantong", "yunda")


def settings(**more: Any) -> Config:
    """A configuration whose learning may be set."""
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "compensation": {"amount_cny": 5},
        "carriers": list(CARRIERS),
    }
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 18}
    base: dict[str, Any] = {"version": 1, "policy": [policy], "objective": objective}
    return as_config(base | more)


def outcomes(num_rows: int, seed: int = 0, **columns: Any) -> pl.DataFrame:
    """
    Make an outcomes table of a fair trial in which premium halves both risks.

    Columns that are given replace those that were drawn.
    """
    rng = np.random.default_rng(seed)
    risk = rng.beta(2, 8, num_rows)
    is_premium = rng.random(num_rows) < 0.5
    left = np.where(is_premium, 0.5, 1.0)
    rows = range(num_rows)
    drawn = {
        "order_id": [f"o{row:06d}" for row in rows],
        "date": [DAY + dt.timedelta(row % 10) for row in rows],
        "merchant_id": [f"m{row % 7}" for row in rows],
        "carrier_id": [CARRIERS[row % 3] for row in rows],
        "region_id": [("north", "south")[row % 2] for row in rows],
        "order_value_cny": rng.uniform(10, 200, num_rows),
        "complaint_prob_standard": risk,
        "return_prob_standard": risk,
        "is_premium": is_premium,
        "propensity": np.full(num_rows, 0.5),
        "arm": ["explore"] * num_rows,
        "delivered_to_door": np.where(is_premium, rng.random(num_rows) < 0.9, None),
        "complaint": rng.random(num_rows) < risk * left,
        "complaint_reason": [None] * num_rows,
        "logistics_return": rng.random(num_rows) < risk * left,
        "claim_cny": np.zeros(num_rows),
    }
    drawn["delivered_to_door"] = pl.Series(
        [None if x is None else bool(x) for x in drawn["delivered_to_door"]],
        dtype=pl.Boolean,
    )
    drawn["complaint_reason"] = pl.Series([None] * num_rows, dtype=pl.String)
    return pl.DataFrame(drawn | columns)


def fair_trial(num: int, seed: int, share: np.ndarray | None = None) -> Trial:
    """A fair trial of known risk in which a kept promise removes this share of it."""
    rng = np.random.default_rng(seed)
    table = outcomes(num, seed).with_columns(
        category_id=pl.Series(np.tile(["a", "b"], num // 2)),
    )
    risk = table["complaint_prob_standard"].to_numpy()
    share = np.full(num, 0.5) if share is None else share
    is_premium = table["is_premium"].to_numpy()
    happened = (rng.random(num) < risk * np.where(is_premium, 1 - share, 1)) * 1.0
    left = risk / 2
    score = risk - left + ~is_premium / 0.5 * (happened - risk)
    score = score - is_premium / 0.5 * (happened - left)
    variance = 2 * (left * (1 - left) + risk * (1 - risk))
    config = settings(learning={"models": "none"})
    after = Window(DAY + dt.timedelta(30))
    return Trial(
        frame=table,
        happened=happened,
        is_premium=is_premium,
        propensity=np.full(num, 0.5),
        risk=risk,
        reach=np.ones(num),
        scores=Scores(score, variance),
        features=features_of(read_history(table, config, after).frame, config),
        belief=Belief(0.3, 0.5),
    )
