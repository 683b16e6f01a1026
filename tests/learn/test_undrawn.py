"""Premium parcels that nobody left to chance decide neither sign nor size."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

import optimizer
from optimizer.build.assumed import assumptions
from optimizer.build.learned_model import HARMS
from optimizer.build.model_file import model_text
from optimizer.errors import DataError
from optimizer.learn.fit import learn
from optimizer.learn.learned import save_model
from optimizer.learn.window import Window
from tests.support.grounds import grounds_of
from tests.support.trial import DAY, outcomes, settings

AFTER = Window(DAY + dt.timedelta(30))
#: What is stated: the truth is 0.5.
STATED = {"prior": {"effect": 0.3, "spread": 0.1}}


def chosen(*, by_column: bool, num_drawn: int = 0) -> pl.DataFrame:
    """
    Parcels chosen for their risk, which a column tells, or for what none tells.

    The first ``num_drawn`` are left to chance.
    """
    rng = np.random.default_rng(6)
    table = outcomes(12_000, seed=5)
    risk = table["complaint_prob_standard"].to_numpy()
    hidden = np.where(rng.random(len(risk)) < 0.1, 3.0, 0.7)
    chance = np.clip(2 * risk, 0.05, 0.8)
    if not by_column:
        risk, chance = 0.1 * hidden, np.where(hidden > 1, 0.7, 0.03)
        table = table.drop("complaint_prob_standard", "return_prob_standard")
    is_drawn = np.arange(len(risk)) < num_drawn
    chance = np.where(is_drawn, 0.5, chance)
    is_premium = rng.random(len(risk)) < chance
    left = np.where(is_premium, 0.5, 1.0)
    return table.with_columns(
        is_premium=is_premium,
        propensity=pl.Series(chance).set(pl.Series(~is_drawn), None),
        complaint=rng.random(len(risk)) < risk * left,
        logistics_return=rng.random(len(risk)) < risk * left,
        delivered_to_door=pl.Series(is_premium),
    )


def test_a_stated_effect_keeps_sign_and_size_against_parcels_that_nobody_drew():
    """
    Chosen for what no column tells, they say that premium does harm, beyond chance.

    The share is the one that is stated, to the digit; card and warnings say what the
    parcels seem to say, why, and what would teach.
    """
    found = learn(chosen(by_column=False), settings(learning=STATED), AFTER)
    assert found.model.kind == "prior"
    for harm in HARMS:
        effect = found.model.effect[harm]
        assert (effect.intercept, effect.raised) == (0.3, 0.0)
        assert effect.covariance == [[pytest.approx(0.01)]]
        assert found.model.pooled[harm].num_premium == 0
    told = {one.code: str(one) for one in found.warnings}
    assert "NOT_RANDOMISED" not in told
    assert "hidden selection" in told["UNDRAWN_CONTRADICT"]
    assert "holdout.explore_share" in told["UNDRAWN_CONTRADICT"]
    assert "none of them left to chance" in told["PRIOR_DECIDES"]
    assert f"WARNING: {told['UNDRAWN_CONTRADICT']}" in found.card
    seen = [w.values["seen"] for w in found.warnings if w.code == "UNDRAWN_CONTRADICT"]
    assert all(float(str(value)) < 0 for value in seen)


def test_parcels_that_agree_with_what_is_stated_are_told_and_change_nothing():
    """Chosen for what a column tells, they find the truth: and change nothing."""
    table = chosen(by_column=True)
    stated = {"prior": {"effect": 0.5, "spread": 0.1}}
    found = learn(table, settings(learning=stated), AFTER)
    assert found.model.effect["complaint"].intercept == 0.5
    told = [one for one in found.warnings if one.code == "UNDRAWN_SEEM"]
    assert [one.values["outcome"] for one in told] == ["complaint", "logistics_return"]
    for one in told:
        assert float(str(one.values["seen"])) == pytest.approx(0.5, abs=0.15)
    assert "OVERLAP" in {one.code for one in found.warnings}
    assert "UNDRAWN_CONTRADICT" not in {one.code for one in found.warnings}


def test_without_a_stated_effect_it_is_asked_for():
    """Not even the sign is taken from them: the message says what to state."""
    words = (
        r"none of [\d,]+ premium parcels was left to chance .*prior: \{effect: 0\.3\}"
    )
    for by_column in (False, True):
        with pytest.raises(DataError, match=words):
            learn(chosen(by_column=by_column), settings(), AFTER)


def test_where_nobody_is_alike_what_is_stated_still_teaches_a_night(tmp_path):
    """A whole region got premium: nothing is compared, and a night is decided."""
    is_theirs = pl.col("region_id") == "north"
    told = outcomes(3_000, seed=7).drop(
        "complaint_prob_standard", "return_prob_standard"
    )
    table = told.with_columns(
        pl.when(is_theirs)
        .then(pl.lit("m"))
        .otherwise("merchant_id")
        .alias("merchant_id"),
        pl.when(is_theirs)
        .then(pl.lit("z"))
        .otherwise("carrier_id")
        .alias("carrier_id"),
        is_premium=is_theirs,
        delivered_to_door=is_theirs,
        propensity=pl.lit(None, pl.Float64),
    )
    config = settings(learning=STATED)
    found = learn(table, config, AFTER)
    codes = {one.code for one in found.warnings}
    assert "PRIOR_DECIDES" in codes
    assert not codes & {"UNDRAWN_SEEM", "UNDRAWN_CONTRADICT", "EFFECT_IS_PRIOR"}
    assert "## Calibration of complaint" in found.card
    orders = table.select("order_id", "merchant_id", "carrier_id", "region_id").head(
        200
    )
    night = optimizer.allocate(
        orders.with_columns(order_value_cny=pl.lit(50.0)),
        pl.DataFrame({"carrier_id": ["zhongtong", "yuantong", "yunda"], "slots": 20}),
        config=settings(learning=STATED, model=str(save_model(found, tmp_path))),
        date=DAY + dt.timedelta(40),
    )
    assert "MODEL_IS_PRIOR" in {one.code for one in night.warnings}


def test_some_parcels_left_to_chance_decide_alone():
    """Half were drawn: they decide, and the others teach the risk alone."""
    table = chosen(by_column=False, num_drawn=6_000)
    found = learn(table, settings(learning=STATED), AFTER)
    assert found.model.kind == "randomised"
    for harm in HARMS:
        # Kept or not, a premium parcel has half of the harm.
        assert found.model.pooled[harm].share == pytest.approx(0.5, abs=0.12)
    codes = {one.code for one in found.warnings}
    assert "PRIOR_DECIDES" not in codes


def test_merchants_of_whom_nothing_was_left_to_chance_are_told() -> None:
    """
    One of seven merchants had its parcels chosen; three of a night's orders are its.

    Where all merchants have randomised parcels the model has the bytes of before.
    """
    sound = outcomes(2_000, seed=1)
    is_chosen = pl.col("merchant_id") == "m3"
    chance = pl.when(is_chosen).then(pl.col("is_premium").cast(pl.Float64))
    mixed = sound.with_columns(propensity=chance.otherwise("propensity"))
    config = settings(learning={"prior": {"effect": 0.3}})
    window = Window(DAY + dt.timedelta(45))
    models = [learn(table, config, window).model for table in (sound, mixed)]
    assert [model.undrawn for model in models] == [[], ["m3"]]
    assert "undrawn" not in json.loads(model_text(models[0]))
    night = {"m3": 3, "m4": 5, "new": 2}
    for model, told in zip(models, ([], [(3, 10)]), strict=True):
        grounds = grounds_of(model, config, DAY, night)
        values = [
            (one.values["num_rows"], one.values["num_orders"])
            for one in assumptions(grounds)
            if one.code == "EFFECT_OF_OTHERS"
        ]
        assert values == told
