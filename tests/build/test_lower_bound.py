"""What a plan saves with the effect at its lower bound, for every learner."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import optimizer
from optimizer.build.learned_model import (
    BEFORE_ANY_NIGHT,
    FORMAT,
    HARMS,
    Doubt,
    Effect,
    LearnedModel,
    Pooled,
    Promise,
    Risk,
)
from optimizer.build.lower_bound import lowered_effect
from optimizer.build.model_draws import moved_effect
from optimizer.build.model_file import model_text, named
from optimizer.build.model_prediction import kept_effect, premium_risk
from optimizer.learn.learners import LEARNERS
from optimizer.testing import make_config, make_tables
from tests.support.trial import fair_trial

DAY = dt.date(2026, 11, 22)
NUM = 3_000


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.slow
def test_no_effect_within_the_interval_avoids_less(name: str) -> None:
    """Of 200 effects at the edge of what is likely none leaves the plan with less."""
    share = np.where(np.arange(NUM) % 2 == 0, 0.7, 0.2)
    trial = fair_trial(NUM, 3, share)
    effect = LEARNERS[name].fit(trial)
    plan = trial.risk > np.quantile(trial.risk, 0.9)
    frame, risk = trial.frame.filter(plan), trial.risk[plan]

    def avoided(of: Effect) -> float:
        left = premium_risk(risk, kept_effect(frame, of), of.link)
        return float((risk - left).sum())

    def moved(by: np.ndarray) -> Effect:
        return moved_effect(effect, dict(zip(effect.names, by.tolist(), strict=True)))

    # What a unit of each coefficient avoids, by a small step.
    step = 1e-4 * np.eye(len(effect.names))
    reach = [(avoided(moved(by)) - avoided(effect)) * 1e10 for by in step]
    low = avoided(lowered_effect(effect, [round(value) for value in reach]))

    covariance = np.array(effect.covariance)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(200, len(values)))
    draws /= np.linalg.norm(draws, axis=1)[:, None]
    others = [avoided(moved(1.96 * root @ draw)) for draw in draws]
    assert low < avoided(effect)
    # A share is a straight line; odds bend a little on the way.
    assert low <= min(others) + (0.01 if effect.link == "logit" else 1e-6) * abs(low)


def _model(spread: float, raised: float = 0.0) -> LearnedModel:
    effect = Effect(
        intercept=0.5 + raised,
        levels={},
        names=[("", "")],
        covariance=[[spread**2]],
        raised=raised,
        doubt=Doubt(measured=0.5, error=spread, taken=0.5 + raised),
    )
    pool = Promise(
        carrier_id=None,
        region_id=None,
        num_premium=0,
        num_kept=0,
        mean=1.0,
        low=1.0,
        high=1.0,
    )
    known = Pooled(share=0.5, error=spread, prior_weight=1.0, num_premium=0)
    made = LearnedModel(
        format=FORMAT,
        version="",
        first_date=BEFORE_ANY_NIGHT,
        last_date=BEFORE_ANY_NIGHT,
        regime_breaks=[],
        kind="prior",
        risk=dict.fromkeys(HARMS, Risk(intercept=-3.0, slopes={}, levels={})),
        effect=dict.fromkeys(HARMS, effect),
        promises=[pool],
        learner="stated-risk",
        pooled=dict.fromkeys(HARMS, known),
    )
    return named(made, "made")


def _night(folder: Path, model: LearnedModel, **keys: object) -> optimizer.Night:
    """Ten orders with a risk of 0.1 and a cap of 5: premium avoids 1.50 CNY of each."""
    (folder / "model.json").write_text(model_text(model))
    orders = pl.DataFrame(
        {
            "order_id": [f"o{at}" for at in range(10)],
            "merchant_id": "m",
            "carrier_id": "yunda",
            "region_id": "north",
            "complaint_prob_standard": 0.1,
            "return_prob_standard": 0.0,
        }
    )
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.5},
        "fee": {"amount_cny": 0.8},
        "carriers": ["yunda"],
    }
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 0} | keys
    config = make_config(policy=[policy], objective=objective, model=str(folder))
    capacity = pl.DataFrame({"carrier_id": ["yunda"], "slots": [9]})
    return optimizer.allocate(orders, capacity, config=config, date=DAY)


@pytest.mark.parametrize(
    ("spread", "keys", "low"),
    [
        # 5 * (30 * 0.1 * (0.5 - 1.96 * spread) - 0.8)
        (0.05, {}, "2.03"),
        (0.25, {}, "-3.85"),
        # Half of the promises are kept, and half of the fee counts.
        (
            0.05,
            {
                "fulfilment": [{"carrier_id": "yunda", "probability": 0.5}],
                "fee_share": 0.5,
            },
            "1.02",
        ),
        # Who is sure loses nothing.
        (0.0, {}, "3.50"),
    ],
)
def test_the_saving_that_would_be_left_is_that_of_hand(
    spread: float, keys: dict[str, object], low: str, tmp_path: Path
) -> None:
    """Five parcels: their saving at the mean, at the lower bound, and what goes."""
    night = _night(tmp_path, _model(spread), **keys)
    (said,) = [one for one in night.assumptions if one.code == "SAVING_IF_LOW"]
    saving = night.summary["saving_cny"]
    assert said.values["saving_cny"] == f"{saving:.2f}"
    assert said.values["low_cny"] == low
    lost = float(said.values["saving_cny"]) - float(low)
    assert float(said.values["lost_cny"]) == pytest.approx(lost, abs=0.011)


def test_the_lower_end_is_of_what_was_measured(tmp_path: Path) -> None:
    """What a model adds for doubt is told, and is no part of the lower end."""
    night = _night(tmp_path, _model(0.05, raised=0.2))
    told = {one.code: one.values for one in night.assumptions}
    assert told["EFFECT_RAISED"] == {
        "harm": "complaint",
        "measured": "0.500",
        "taken": "0.700",
    }
    # 5 * (30 * 0.1 * 0.7 - 0.8), and 5 * (30 * 0.1 * (0.5 - 1.96 * 0.05) - 0.8)
    low = {"saving_cny": "6.50", "low_cny": "2.03", "lost_cny": "4.47"}
    assert told["SAVING_IF_LOW"] == low


def test_a_night_whose_tables_have_it_all_says_so() -> None:
    """Given probabilities rest on nothing that is known here: no bound is invented."""
    tables = make_tables([("a", "m", "north", 3.0)], {"yunda": 5})
    night = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
    codes = [one.code for one in night.assumptions]
    assert codes == ["PROBABILITIES_GIVEN", "KEPT_ALL", "NONE_AT_RANDOM"]
