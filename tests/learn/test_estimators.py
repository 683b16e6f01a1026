"""Estimates and their intervals, against sums written out and a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.learn.estimators import (
    METHODS,
    Sample,
    difference,
    doubly_robust,
    estimate_all,
    ipw,
    nights_to_see,
)
from optimizer.learn.uplift import areas, judge, uplift_curve, weights_of
from tests.support.examples import examples

REPEATS = 1_000


def trial(rng: np.random.Generator, size: int, effect: float, chance: float) -> Sample:
    """A small trial: risks differ, and premium removes one share of each."""
    risk = rng.beta(2, 6, size)
    is_premium = rng.random(size) < chance
    happened = rng.random(size) < risk * np.where(is_premium, 1 - effect, 1.0)
    # Predictions as a model has them: scattered around the truth.
    guess = np.clip(risk * rng.uniform(0.7, 1.3, size), 0.01, 0.99)
    return Sample(
        happened.astype(float),
        is_premium,
        np.full(size, chance),
        guess,
        guess * (1 - 0.8 * effect),
    )


def covers(effect: float, chance: float, size: int, repeats: int) -> dict[str, float]:
    """Share of repetitions whose interval holds the true mean effect."""
    rng = np.random.default_rng(7)
    truth, hits = 0.25 * effect, dict.fromkeys(METHODS, 0)
    for _ in range(repeats):
        for name, found in estimate_all(trial(rng, size, effect, chance)).items():
            hits[name] += found.low <= truth <= found.high
    return {name: count / repeats for name, count in hits.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("effect", "chance", "size"), [(0.5, 0.5, 300), (0.4, 0.8, 600), (0.0, 0.5, 300)]
)
def test_intervals_cover_the_truth_as_often_as_they_say(effect, chance, size):
    """Of 1,000 small trials 93 to 97 % of the intervals hold the truth, each method."""
    found = covers(effect, chance, size, REPEATS)
    assert all(0.93 <= share <= 0.97 for share in found.values()), found


def test_a_null_effect_is_reported_as_null():
    """Where premium does nothing, 5 % of the intervals leave 0 out, chance allowed."""
    found = covers(0.0, 0.5, 200, 400)
    # Three standard deviations of a share of 400 trials above 5 %.
    assert all(1 - share <= 0.05 + 0.033 for share in found.values()), found


def test_the_three_methods_by_hand():
    """Four premium and six standard parcels, every number worked out on paper."""
    happened = np.array([1, 0, 0, 0, 1, 1, 1, 0, 0, 0], float)
    is_premium = np.array([True] * 4 + [False] * 6)
    flat = np.full(10, 0.4)
    sample = Sample(happened, is_premium, flat, np.full(10, 0.5), np.full(10, 0.25))
    # 3/6 of standard, 1/4 of premium; the predictions are exactly these means.
    for method in (difference, ipw, doubly_robust):
        assert method(sample).estimate == pytest.approx(0.25)
    found = difference(sample)
    # Wilson: 1/4 -> [0.0456, 0.6994], 3/6 -> [0.1876, 0.8124]; Newcombe joins them.
    low = 0.25 - ((0.5 - 0.187616) ** 2 + (0.699358 - 0.25) ** 2) ** 0.5
    high = 0.25 + ((0.812384 - 0.5) ** 2 + (0.25 - 0.045587) ** 2) ** 0.5
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    assert (found.num_treated, found.num_control) == (4, 6)


def test_different_propensities_do_not_confound():
    """
    Two groups, one risky and mostly premium: the raw difference has the wrong sign,
    every method here the right one.
    """
    rng = np.random.default_rng(3)
    risky = rng.random(40_000) < 0.5
    chance = np.where(risky, 0.9, 0.1)
    is_premium = rng.random(40_000) < chance
    risk = np.where(risky, 0.4, 0.1)
    happened = rng.random(40_000) < risk * np.where(is_premium, 0.5, 1)
    flat = np.full(40_000, 0.2)
    sample = Sample(happened.astype(float), is_premium, chance, flat, flat)
    raw = happened[~is_premium].mean() - happened[is_premium].mean()

    assert raw < 0
    for found in estimate_all(sample).values():
        assert found.estimate == pytest.approx(0.125, abs=0.02)
        assert found.low > 0


def test_doubly_robust_survives_either_mistake():
    """Wrong predictions with right propensities, or the reverse: still the truth."""
    rng = np.random.default_rng(5)
    risk = rng.beta(2, 6, 60_000)
    chance = np.clip(risk * 2, 0.1, 0.9)
    is_premium = rng.random(60_000) < chance
    happened = (rng.random(60_000) < risk * np.where(is_premium, 0.5, 1)).astype(float)
    wrong, flat = np.full(60_000, 0.5), np.full(60_000, 0.5)
    truth = 0.5 * risk.mean()
    for sample in (
        Sample(happened, is_premium, chance, wrong, wrong),
        Sample(happened, is_premium, flat, risk, risk / 2),
    ):
        assert doubly_robust(sample).estimate == pytest.approx(truth, abs=0.01)
    confounded = Sample(happened, is_premium, flat, risk, risk / 2)
    assert abs(ipw(confounded).estimate - truth) > 0.03


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), min_size=1))
@examples(200)
def test_the_uplift_curve_is_the_sum_of_its_scores(rows):
    """At each end of a tie the curve is the plain sum over the better parcels."""
    rank = np.array([row[0] for row in rows], float)
    harm = np.array([row[1] for row in rows], float)
    is_premium = np.array([row[2] for row in rows])
    weight = weights_of(is_premium, np.full(len(rows), 0.5))
    curve = uplift_curve(rank, harm, weight)
    for cut in (3, 2, 1, 0):
        better = rank >= cut
        plain = sum((-2 if premium else 2) * y for (r, y, premium) in rows if r >= cut)
        assert curve[better.sum()] == pytest.approx(plain / len(rows))
    auuc, qini = areas(curve)
    assert auuc - qini == pytest.approx(curve[-1] / 2)


def test_a_good_ranking_beats_a_random_one_with_certainty():
    """Premium helps half of the parcels: who knows which has a Qini above 0."""
    rng = np.random.default_rng(1)
    helped = rng.random(4_000) < 0.5
    is_premium = rng.random(4_000) < 0.5
    harm = (rng.random(4_000) < np.where(helped & is_premium, 0.1, 0.5)).astype(float)
    chance = np.full(4_000, 0.5)
    good = judge(helped.astype(float), harm, is_premium, chance, 0.2)
    lot = judge(rng.random(4_000), harm, is_premium, chance, 0.2)

    assert good.qini.low > 0.03
    assert lot.qini.low < 0 < lot.qini.high
    assert good.top.value == pytest.approx(0.4, abs=0.06)
    assert lot.top.value == pytest.approx(0.2, abs=0.1)


def test_the_waiting_time_is_that_of_a_simulated_trial():
    """After the nights that the formula gives, 8 of 10 trials see the effect."""
    nights = nights_to_see(0.05, 0.2, treated=20, control=20)
    size = round(20 * nights)
    rng, seen = np.random.default_rng(2), 0
    for _ in range(400):
        counts = rng.binomial(size, (0.2, 0.15)) / size
        error = np.sqrt((counts * (1 - counts)).sum() / size)
        seen += counts[0] - counts[1] > 1.96 * error
    assert seen / 400 == pytest.approx(0.8, abs=0.06)
