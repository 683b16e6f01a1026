"""Calibration: what a learner tells apart holds on other parcels, or is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.build.learned_model import Effect
from optimizer.build.model_prediction import kept_effect, premium_risk
from optimizer.learn.calibration import flattened, slope_of
from optimizer.learn.champion import calibrated
from optimizer.learn.learners import LEARNERS, Trial, predict
from optimizer.learn.together import drawn_together
from tests.support.trial import fair_trial

NUM = 3_000
FOLD = np.arange(NUM) // 2 % 3


def _told_apart(by: float) -> Effect:
    """An effect that tells two categories apart by so much, around one half."""
    return Effect(
        intercept=0.5,
        levels={"category_id": {"a": by, "b": -by}},
        names=[("", ""), ("category_id", "a"), ("category_id", "b")],
        covariance=np.diag([0.01, 0.02, 0.03]).tolist(),
    )


def _slope(trial: Trial, fold: np.ndarray, effects: list[Effect]) -> float:
    """The slope of one harm alone, its risk known."""
    by_harm = [{"complaint": effect} for effect in effects]
    return slope_of({"complaint": trial}, {"complaint": trial.risk}, fold, by_harm)


def test_a_difference_that_is_there_is_kept() -> None:
    """Premium removes 0.9 of one category and hurts the other: the slope is near 1."""
    share = np.where(np.arange(NUM) % 2 == 0, 0.9, -0.5)
    trial = fair_trial(NUM, 3, share)
    effects = [LEARNERS["share"].fit(trial.where(k != FOLD)) for k in range(3)]
    assert _slope(trial, FOLD, effects) > 0.8


def test_a_difference_that_is_chance_is_flattened() -> None:
    """All parcels are alike: a difference of 0.6 is left to a fifth at most."""
    trial = fair_trial(NUM, 4)
    assert _slope(trial, FOLD, [_told_apart(0.6)] * 3) < 0.2


def test_a_difference_that_was_shrunk_too_far_is_stretched() -> None:
    """Categories differ by more than a learner believes: the slope is above 1."""
    share = np.where(np.arange(NUM) % 2 == 0, 0.9, 0.1)
    trial = fair_trial(NUM, 9, share)
    assert 1.2 < _slope(trial, FOLD, [_told_apart(0.2)] * 3) <= 2


def test_differences_have_to_be_earned() -> None:
    """Of twelve parcels nothing is known: two fifths of the differences are taken."""
    trial = fair_trial(12, 5)
    slope = _slope(trial, FOLD[:12], [_told_apart(0.05)] * 3)
    assert slope == pytest.approx(0.4, abs=0.05)


def test_what_was_held_against_no_parcels_is_not_earned() -> None:
    """Where no contest gave a slope, two fifths of the differences are taken."""
    trial = fair_trial(NUM, 9, np.where(np.arange(NUM) % 2 == 0, 0.9, 0.1))
    effect = LEARNERS["share"].fit(trial)
    before = np.ptp(kept_effect(trial.frame, effect))
    assert before > 0.2
    for slopes, part in ({}, 0.4), ({"complaint": 1.0}, 1.0):
        found = calibrated({"complaint": trial}, {"complaint": effect}, slopes)
        after = np.ptp(kept_effect(trial.frame, found["complaint"]))
        assert after == pytest.approx(part * before, rel=0.08)


def test_one_share_for_all_has_no_slope() -> None:
    """A learner that tells nothing apart is left as it is, to the last bit."""
    trial = fair_trial(NUM, 6)
    effect = LEARNERS["stated-risk"].fit(trial)
    assert _slope(trial, FOLD, [effect] * 3) == 1.0
    assert flattened(effect, trial, 0.3) is effect


@pytest.mark.parametrize("name", ["share", "boosted"])
def test_an_effect_is_flattened_around_its_mean(name: str) -> None:
    """Each parcel keeps the slope's part of its distance from the mean, and errors."""
    trial = fair_trial(NUM, 7)
    effect = LEARNERS[name].fit(trial)
    flat = flattened(effect, trial, 0.25)
    before, after = kept_effect(trial.frame, effect), kept_effect(trial.frame, flat)
    weight = trial.risk * trial.reach
    mean = weight @ before / weight.sum()
    assert after == pytest.approx(mean + 0.25 * (before - mean), abs=1e-9)
    wide, narrow = predict(trial.frame, effect), predict(trial.frame, flat)
    assert narrow.mean == pytest.approx(after, abs=1e-9)
    assert narrow.spread.mean() < wide.spread.mean()
    assert flattened(effect, trial, 1.0) is effect


def test_the_error_of_what_is_left_is_that_of_the_mean() -> None:
    """With a slope of 0 every parcel has the mean and the mean's standard deviation."""
    trial = fair_trial(200, 8)
    flat = flattened(_told_apart(0.3), trial, 0.0)
    found = predict(trial.frame, flat)
    weight = trial.risk * trial.reach
    share = weight @ (trial.frame["category_id"] == "a").to_numpy() / weight.sum()
    variance = 0.01 + share**2 * 0.02 + (1 - share) ** 2 * 0.03
    assert found.spread == pytest.approx(np.full(200, variance**0.5))


def test_two_harms_are_drawn_together_as_far_as_they_may_be_alike() -> None:
    """Two coarse effects meet half-way; two that surely differ stay where they are."""

    def effect(mean: float, variance: float) -> Effect:
        return Effect(
            intercept=mean, levels={}, names=[("", "")], covariance=[[variance]]
        )

    trial = fair_trial(60, 10)
    trials = {"complaint": trial, "return": trial}
    coarse = drawn_together(
        trials, {"complaint": effect(0.7, 0.09), "return": effect(0.1, 0.09)}
    )
    means = [one.intercept for one in coarse.values()]
    assert 0.4 < means[0] < 0.65
    assert means[0] + means[1] == pytest.approx(0.8)
    assert all(0.045 <= one.covariance[0][0] < 0.09 for one in coarse.values())
    fine = {"complaint": effect(0.7, 1e-4), "return": effect(0.1, 1e-4)}
    for harm, one in drawn_together(trials, fine).items():
        assert one.intercept == pytest.approx(fine[harm].intercept, abs=0.01)
    alone = {"complaint": effect(0.7, 0.09)}
    assert drawn_together(trials, alone) == alone


def test_what_parcels_were_chosen_by_is_not_taken_for_the_effect() -> None:
    """Riskier parcels, for a reason no column tells, get premium more often."""
    num, rng = 20_000, np.random.default_rng(11)
    fair = fair_trial(num, 11)
    risky = rng.random(num) < 0.5
    propensity = np.where(risky, 0.8, 0.2)
    is_premium = rng.random(num) < propensity
    chance = np.where(risky, 0.4, 0.1) * np.where(is_premium, 0.5, 1.0)
    trial = replace(
        fair,
        risk=np.full(num, 0.25),
        is_premium=is_premium,
        propensity=propensity,
        happened=(rng.random(num) < chance) * 1.0,
    )
    effect = LEARNERS["logistic"].fit(trial)
    removed = premium_risk(trial.risk, kept_effect(trial.frame, effect), "logit")
    assert 1 - removed.mean() / 0.25 == pytest.approx(0.5, abs=0.06)
