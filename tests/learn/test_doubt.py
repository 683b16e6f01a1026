"""The benefit of doubt: a plan goes on until premium is known not to be worth it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optimizer.build.learned_model import Effect
from optimizer.build.learned_probabilities import model_warnings
from optimizer.build.model_draws import drawn_model
from optimizer.build.model_file import load_model, named
from optimizer.build.want_of_knowledge import hopeful_model
from optimizer.learn.doubt import SURE, raised, steps_of
from optimizer.learn.fit import learn, save_model
from optimizer.learn.history import Window
from tests.support.trial import DAY, outcomes, settings

AFTER = Window(DAY + dt.timedelta(30))
#: What a kept promise must remove of a parcel's harm to be worth its fee.
BREAK_EVEN = np.linspace(0.1, 0.4, 31)


def _effect(mean: float, error: float) -> Effect:
    return Effect(
        intercept=mean,
        levels={},
        names=[("", "")],
        covariance=[[error**2]],
    )


def _num_chosen(share: float) -> int:
    return int((share > BREAK_EVEN).sum())


def _by(mean: float, error: float) -> Effect:
    effects = {"complaint": _effect(mean, error)}
    found = raised(
        effects,
        {"complaint": error},
        lambda more: _num_chosen(mean + more["complaint"]),
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
        learning={"models": str(tmp_path), "prior": {"effect": 0.3}},
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
    assert effect.raised > 0
    told = next(w for w in found.warnings if w.code == "BENEFIT_OF_DOUBT")
    assert told.values["taken"] == f"{effect.intercept:+.3f}"
    assert "benefit of doubt" in found.card
    codes = {w.code for w in model_warnings(found.model, DAY + dt.timedelta(40))}
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
    base = learn(outcomes(60, 3), settings(), AFTER).model
    effect = _effect(0.4, 0.1).model_copy(update={"raised": 0.3, "intercept": 0.4})
    model = named(base.model_copy(update={"effect": {"complaint": effect}}))
    drawn = [drawn_model(model, seed=k).effect["complaint"] for k in range(200)]
    assert np.mean([one.intercept for one in drawn]) == pytest.approx(0.1, abs=0.03)
    assert {one.raised for one in drawn} == {0.0}


def test_the_end_of_doubt_is_where_intervals_end() -> None:
    """Nobody is chosen where the plan is not worth its fee with 95 % of confidence."""
    assert pytest.approx(0.95) == SURE
    assert _num_chosen(_by(-0.3, 0.3).intercept) > 0
    assert _num_chosen(_by(-0.4, 0.3).intercept) == 0
