"""A night that chooses few for want of knowledge says so; one that knows does not."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

import optimizer
from optimizer.build.learned_model import HARMS, Effect, LearnedModel, Risk
from optimizer.build.model_file import model_text, named

DAY = dt.date(2026, 11, 22)
CONFIG = {
    "version": 1,
    "policy": [
        {
            "valid_from": "2022-01-12",
            "cap": {"rate": 0.5},
            "fee": {"amount_cny": 0.8},
            "carriers": ["yunda", "zhongtong"],
        }
    ],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 0},
}


def solve(folder: Path, *, effect: float, spread: float, has_options: bool):
    """Ten orders with a risk of 0.1: what is avoided is 3 CNY times the effect."""
    model = LearnedModel(
        format=2,
        version="made",
        first_date="2026-11-01",
        last_date="2026-11-20",
        regime_breaks=[],
        kind="randomised",
        risk=dict.fromkeys(HARMS, Risk(intercept=-3.0, slopes={}, levels={})),
        effect=dict.fromkeys(
            HARMS,
            Effect(
                intercept=effect,
                levels={},
                names=[("", "")],
                covariance=[[spread**2]],
            ),
        ),
        promises=[
            {
                "carrier_id": None,
                "region_id": None,
                "num_premium": 9,
                "num_kept": 9,
                "mean": 1.0,
                "low": 0.9,
                "high": 1.0,
            }
        ],
    )
    (folder / "model.json").write_text(model_text(named(model, "made")))
    ids = [f"o{at}" for at in range(10)]
    orders = pl.DataFrame(
        {
            "order_id": ids,
            "merchant_id": "m",
            "carrier_id": "yunda",
            "region_id": "north",
            "complaint_prob_standard": 0.1,
            "return_prob_standard": 0.0,
        }
    )
    options = None
    if has_options:
        carriers = ["yunda", "zhongtong"]
        pairs = [(name, carrier) for name in ids for carrier in carriers]
        options = pl.DataFrame(pairs, ["order_id", "carrier_id"], orient="row")
    capacity = pl.DataFrame({"carrier_id": ["yunda", "zhongtong"], "slots": [9, 9]})
    config = CONFIG | {"model": str(folder)}
    return optimizer.allocate(
        orders, capacity, options=options, config=config, date=DAY
    )


@pytest.mark.parametrize("has_options", [False, True])
@pytest.mark.parametrize(
    ("effect", "spread", "is_told"),
    [
        # 3 * 0.1 - 0.8 is below 0, and 3 * (0.1 + 1.645 * 0.2) - 0.8 above it.
        (0.1, 0.2, True),
        # At its upper end premium avoids 3 * (0.1 + 1.645 * 0.05), which is 0.55.
        (0.1, 0.05, False),
        # It pays at the mean, and all five slots are used.
        (0.5, 0.2, False),
    ],
)
def test_few_for_want_of_knowledge_are_told(
    effect: float, spread: float, is_told: bool, has_options: bool, tmp_path: Path
) -> None:
    """Ten more would pay at the upper end of the effect: this is told with a number."""
    night = solve(tmp_path, effect=effect, spread=spread, has_options=has_options)
    told = [w for w in night.warnings if w.code == "TOO_LITTLE_KNOWN"]
    assert bool(told) == is_told
    assert night.summary["num_chosen"] == (5 if effect == 0.5 else 0)
    if told:
        assert told[0].values == {"num_parcels": 10, "num_worth": 0}
        assert "10 more are if it removes as much harm as it may" in str(told[0])
