"""Calibration: what a learner tells apart holds on other parcels, or is left."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.build.learned_model import Effect, kept_effect
from optimizer.learn.calibration import flattened, slope_of
from optimizer.learn.learners import LEARNERS, predict
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


def test_a_difference_that_is_there_is_kept() -> None:
    """Premium removes 0.9 of one category and hurts the other: the slope is near 1."""
    share = np.where(np.arange(NUM) % 2 == 0, 0.9, -0.5)
    trial = fair_trial(NUM, 3, share)
    effects = [LEARNERS["share"].fit(trial.where(k != FOLD)) for k in range(3)]
    assert slope_of(trial, FOLD, effects) > 0.8


def test_a_difference_that_is_chance_is_flattened() -> None:
    """All parcels are alike: a difference of 0.6 is left to a fifth at most."""
    trial = fair_trial(NUM, 4)
    assert slope_of(trial, FOLD, [_told_apart(0.6)] * 3) < 0.2


def test_few_parcels_say_half() -> None:
    """Of twelve parcels nothing is known: the slope is the mean of what was tried."""
    trial = fair_trial(12, 5)
    slope = slope_of(trial, FOLD[:12], [_told_apart(0.05)] * 3)
    assert slope == pytest.approx(0.5, abs=0.05)


def test_one_share_for_all_has_no_slope() -> None:
    """A learner that tells nothing apart is left as it is, to the last bit."""
    trial = fair_trial(NUM, 6)
    effect = LEARNERS["stated-risk"].fit(trial)
    assert slope_of(trial, FOLD, [effect] * 3) == 1.0
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
