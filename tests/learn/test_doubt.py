"""The benefit of doubt: a plan goes on until premium is known not to be worth it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from optimizer.build.learned_model import Doubt, Effect
from optimizer.build.learned_probabilities import Gaps, model_warnings
from optimizer.build.model_draws import drawn_model
from optimizer.build.model_file import load_model, named
from optimizer.build.model_prediction import coefficients, values_of
from optimizer.build.want_of_knowledge import hopeful_model
from optimizer.learn.doubt import SURE, doubt_of, raised, steps_of
from optimizer.learn.fit import learn
from optimizer.learn.learned import save_model
from optimizer.learn.window import Window
from tests.support.trial import DAY, outcomes, settings

AFTER = Window(DAY + dt.timedelta(30))
#: What a kept promise must remove of a parcel's harm to be worth its fee.
BREAK_EVEN = np.linspace(0.1, 0.4, 31)
#: A parcel.
ONE = pl.DataFrame({"x": [0]})


def _effect(mean: float, error: float, **more: Any) -> Effect:
    return Effect(
        intercept=mean,
        levels={},
        names=[("", "")],
        covariance=[[error**2]],
        **more,
    )


def _num_chosen(share: float) -> int:
    return int((share > BREAK_EVEN).sum())


def _by(mean: float, error: float) -> Effect:
    effects = {"complaint": _effect(mean, error)}
    found = raised(
        effects,
        {"complaint": error},
        lambda more: _num_chosen(mean + more["complaint"]),
        lambda _, of, more: doubt_of(ONE, np.array([0.2]), of, more),
    )
    return found["complaint"]


def test_what_may_be_worth_it_goes_on_by_the_least_raise() -> None:
    """As many go on as at the upper end, and with less of a raise there would not."""
    upper = 0.0 + 1.645 * 0.23
    found = _by(0.0, 0.23)
    hoped = _num_chosen(upper)
    assert _num_chosen(found.intercept) == hoped > 0
    assert _num_chosen(found.intercept - 0.001) < hoped
    assert found.raised == pytest.approx(found.intercept)
    assert found.intercept <= upper
    assert found.covariance == [[0.23**2]]


@pytest.mark.parametrize(("mean", "error"), [(0.5, 0.3), (0.0, 0.05), (-0.6, 0.2)])
def test_what_is_known_is_left_alone(mean: float, error: float) -> None:
    """Worth it at the mean, or not worth it at the upper end: nothing is raised."""
    assert _by(mean, error) == _effect(mean, error)


def test_two_harms_are_raised_so_that_their_worth_rises_by_its_error() -> None:
    """One step of both raises the sum by one standard error of the sum, not by two."""
    frame = pl.DataFrame({"x": [0, 1]})
    effects = {"complaint": _effect(0.1, 0.3), "return": _effect(0.1, 0.1)}
    worth = {"complaint": np.array([4.0, 6.0]), "return": np.array([20.0, 20.0])}
    steps = steps_of(frame, effects, worth)
    assert steps["complaint"] * 10 + steps["return"] * 40 == pytest.approx(
        np.hypot(0.3 * 10, 0.1 * 40)
    )
    free = steps_of(frame, effects, worth | {"return": np.zeros(2)})
    assert free == {"complaint": pytest.approx(0.3)}


def _useless(num: int) -> pl.DataFrame:
    """A trial in which one parcel in five has both harms, whatever the service."""
    happened = pl.Series(np.arange(num) % 5 == 0)
    return outcomes(num, 21, complaint=happened, logistics_return=happened)


@pytest.mark.slow
def test_a_short_useless_history_does_not_stop_the_plan(tmp_path: Path) -> None:
    """
    The model says what was measured, what is taken and why, and nights say it, too.

    With many more parcels the same rates are a finding, and nothing is raised.
    """
    config = settings(
        # By odds, whose coefficients are no shares.
        learning={
            "models": str(tmp_path),
            "prior": {"effect": 0.3},
            "confidence": 0.99,
        },
        policy=[
            {
                "valid_from": "2022-01-12",
                "cap": {"rate": 0.03},
                "fee": {"amount_cny": 4},
                "carriers": ["zhongtong"],
            }
        ],
    )
    found = learn(_useless(300), config, AFTER)
    effect = found.model.effect["complaint"]
    assert (effect.raised > 0, effect.link) == (True, "logit")
    told = next(w for w in found.warnings if w.code == "BENEFIT_OF_DOUBT")
    shares = {"measured": 0.0, "error": 0.0, "taken": effect.raised}
    risk = _useless(300)["complaint_prob_standard"].to_numpy()
    odds = risk / (1 - risk)
    rows = coefficients(_useless(300), effect)
    removed = rows @ values_of(effect) - effect.raised
    for name in ("measured", "taken"):
        left = odds * np.exp(-(removed + shares[name]))
        shares[name] = 1 - (left / (1 + left)).sum() / risk.sum()
    rng, covariance = np.random.default_rng(0), np.array(effect.covariance)
    move = rng.multivariate_normal(np.zeros(len(covariance)), 1e-4 * covariance, 2_000)
    left = odds[:, None] * np.exp(-(removed[:, None] + rows @ move.T))
    shares["error"] = 100 * (1 - (left / (1 + left)).sum(axis=0) / risk.sum()).std()
    for name, share in shares.items():
        off = 0.05 * share if name == "error" else 0.0006
        assert float(told.values[name]) == pytest.approx(share, abs=off), name
    assert f"{float(told.values['taken']):.1%}" in str(told)
    of_all = effect.doubt
    assert (
        f"| complaint | {effect.raised:+.3f} | {of_all.measured:.1%} "
        f"| {of_all.error:.1%} | {of_all.taken:.1%} |"
    ) in found.card
    later, gaps = DAY + dt.timedelta(40), Gaps(premium=True, risks=frozenset())
    codes = {w.code for w in model_warnings(found.model, later, gaps)}
    assert "BENEFIT_OF_DOUBT" in codes
    hopeful = hopeful_model(found.model)
    assert hopeful is not None
    upper = effect.intercept - effect.raised + 1.645 * effect.covariance[0][0] ** 0.5
    assert hopeful.effect["complaint"].intercept == pytest.approx(
        max(upper, effect.intercept), abs=1e-3
    )
    folder = save_model(found, tmp_path)
    assert load_model(folder).model == found.model
    many = learn(_useless(8_000), config, AFTER).model
    assert many.effect["complaint"].raised == 0
    assert "raised" not in many.model_dump()["effect"]["complaint"]


def test_a_draw_is_of_what_was_measured() -> None:
    """Draws of a raised effect scatter around its mean and are raised by nothing."""
    base = learn(outcomes(300, 3), settings(), AFTER).model
    doubt = Doubt(measured=0.1, error=0.1, taken=0.4)
    effect = _effect(0.4, 0.1, raised=0.3, doubt=doubt)
    model = named(base.model_copy(update={"effect": {"complaint": effect}}))
    drawn = [drawn_model(model, seed=k).effect["complaint"] for k in range(200)]
    assert np.mean([one.intercept for one in drawn]) == pytest.approx(0.1, abs=0.03)
    assert {(one.raised, one.doubt) for one in drawn} == {(0.0, None)}


def test_a_raise_is_told_as_a_share_of_the_harm() -> None:
    """
    By hand: of odds 1/4 a raise from ln 2 to ln 3 leaves 1/9 and 1/13 of 1/5.

    A share of the risk is that share, wherever the risk is; and no model has a raise
    without its shares.
    """
    even = np.array([0.2, 0.2])
    two = pl.DataFrame({"x": [0, 1]})
    odds = _effect(np.log(2), 0.1, link="logit")
    found = doubt_of(two, even, odds, np.log(1.5))
    assert found.measured == pytest.approx(1 - 5 / 9)
    assert found.taken == pytest.approx(1 - 5 / 13)
    assert found.error == pytest.approx(0.1 * (1 / 9) * (8 / 9) / 0.2)
    plain = doubt_of(two, np.array([0.1, 0.7]), _effect(0.15, 0.2), 0.05)
    assert (plain.measured, plain.error, plain.taken) == pytest.approx((0.15, 0.2, 0.2))
    with pytest.raises(ValueError, match="has its doubt"):
        _effect(0.4, 0.1, raised=0.3)


def test_the_end_of_doubt_is_where_intervals_end() -> None:
    """Nobody is chosen where the plan is not worth its fee with 95 % of confidence."""
    assert pytest.approx(0.95) == SURE
    assert _num_chosen(_by(-0.3, 0.3).intercept) > 0
    assert _num_chosen(_by(-0.4, 0.3).intercept) == 0
