"""Estimates and their intervals, against sums written out and a known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.learn.estimators import (
    METHODS,
    Sample,
    adjusted,
    difference,
    doubly_robust,
    estimate_all,
    ipw,
    nights_to_see,
)
from optimizer.learn.overlap import comparable
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


def test_the_methods_by_hand():
    """Four premium and six standard parcels, every number worked out on paper."""
    happened = np.array([1, 0, 0, 0, 1, 1, 1, 0, 0, 0], float)
    is_premium = np.array([True] * 4 + [False] * 6)
    flat = np.full(10, 0.4)
    sample = Sample(happened, is_premium, flat, np.full(10, 0.5), np.full(10, 0.25))
    # 3/6 of standard, 1/4 of premium; the predictions are exactly these means.
    for method in (difference, adjusted, ipw, doubly_robust):
        assert method(sample).estimate == pytest.approx(0.25)
    found = difference(sample)
    # Wilson: 1/4 -> [0.0456, 0.6994], 3/6 -> [0.1876, 0.8124]; Newcombe joins them.
    low = 0.25 - ((0.5 - 0.187616) ** 2 + (0.699358 - 0.25) ** 2) ** 0.5
    high = 0.25 + ((0.812384 - 0.5) ** 2 + (0.25 - 0.045587) ** 2) ** 0.5
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
    assert (found.num_treated, found.num_control) == (4, 6)


def peers_sample() -> Sample:
    """The sample whose numbers other projects were asked for."""
    rng = np.random.default_rng(11)
    risk, chance = rng.beta(2, 6, 2_000), rng.choice([0.2, 0.5, 0.8], 2_000)
    is_premium = rng.random(2_000) < chance
    happened = (rng.random(2_000) < risk * np.where(is_premium, 0.6, 1)).astype(float)
    guess = np.clip(risk * rng.uniform(0.7, 1.3, 2_000), 0.01, 0.99)
    return Sample(happened, is_premium, chance, guess, guess * 0.7)


def test_the_numbers_are_those_of_other_projects():
    """
    SNIPW and SNDR of obp 0.5.7, IRM with normalize_ipw of DoubleML 0.11.4, as these
    gave them for this sample (``python -m benchmarks.evaluation peers``).
    """
    sample = peers_sample()
    assert (sample.happened.sum(), sample.is_premium.sum()) == (404, 1_025)
    assert ipw(sample).estimate == pytest.approx(0.1147806141370574, rel=1e-12)
    found = doubly_robust(sample)
    assert found.estimate == pytest.approx(0.10872124213821063, rel=1e-12)
    error = (found.high - found.low) / 2 / 1.959964
    assert error == pytest.approx(0.020572752, rel=0.002)


def test_the_adjusted_difference_is_lins_regression():
    """With one propensity it is the interacted regression, by plain least squares."""
    sample = trial(np.random.default_rng(1), 500, effect=0.5, chance=0.5)
    risk = sample.standard - sample.standard.mean()
    t = sample.is_premium.astype(float)
    design = np.column_stack([np.ones(500), t, risk, t * risk])
    plain = np.linalg.lstsq(design, sample.happened, rcond=None)[0]
    assert adjusted(sample).estimate == pytest.approx(-plain[1], rel=1e-9)


def test_a_constant_added_to_the_harm_moves_no_estimate():
    """Estimates of harm, and of harm plus a constant, are the same."""
    sample = peers_sample()
    for constant in (-0.3, 0.7):
        moved = replace(sample, happened=sample.happened + constant)
        for method in (difference, adjusted, ipw, doubly_robust):
            with np.errstate(invalid="ignore"):
                found = method(moved).estimate
            assert found == pytest.approx(method(sample).estimate, abs=1e-12)


def test_what_is_shown_depends_on_sizes_and_not_on_what_happened():
    """Without any event all four methods are there; their intervals hold 0 inside."""
    is_premium = np.arange(200) < 40
    flat = np.full(200, 0.2)
    for happened in (np.zeros(200), np.ones(200)):
        found = estimate_all(Sample(happened, is_premium, flat, flat, flat / 2))
        assert tuple(found) == METHODS
        assert all(e.low < -0.01 and e.high > 0.01 for e in found.values())
    few = np.arange(200) < 20
    assert tuple(estimate_all(Sample(happened, few, flat, flat, flat))) == METHODS[:1]


@pytest.mark.slow
def test_looking_every_night_finds_nothing_where_nothing_is():
    """
    Of 200 histories without an effect, looked at on 20 nights, at most 5 % show one
    by the interval for all looks, chance allowed, and many by that of a single look.
    """
    rng, single, always = np.random.default_rng(3), 0, 0
    for _ in range(200):
        happened = (rng.random(4_000) < 0.2).astype(float)
        is_premium, flat = rng.random(4_000) < 0.5, np.full(4_000, 0.5)
        whole = Sample(happened, is_premium, flat, flat, flat)
        looks = [ipw(whole.where(slice(0, size))) for size in range(200, 4_001, 200)]
        single += any(not e.low <= 0 <= e.high for e in looks)
        always += any(not e.low_always <= 0 <= e.high_always for e in looks)
    assert single > 30
    assert always <= 10


@pytest.mark.slow
def test_stations_that_were_drawn_whole_are_judged_whole():
    """
    Of 200 histories without an effect, whose 60 stations have luck of their own, few
    intervals by station leave 0 out, and many that take parcels as drawn one by one.
    """
    rng = np.random.default_rng(9)
    false, naive = dict.fromkeys(METHODS, 0), dict.fromkeys(METHODS, 0)
    station = np.repeat(np.arange(60), 40)
    flat, half = np.full(2_400, 0.2), np.full(2_400, 0.5)
    for _ in range(200):
        luck = rng.beta(2, 8, 60)[station]
        happened = (rng.random(2_400) < luck).astype(float)
        is_premium = (rng.random(60) < 0.5)[station]
        sample = Sample(happened, is_premium, half, flat, flat, station)
        alone = replace(sample, cluster=None)
        for count, one in ((false, sample), (naive, alone)):
            for name, found in estimate_all(one).items():
                count[name] += not found.low <= 0 <= found.high
    assert all(count <= 16 for count in false.values()), false
    assert all(count > 60 for count in naive.values()), naive


def test_hidden_selection_beside_randomised_parcels_moves_nothing():
    """
    Premium went to the riskiest by a score that no column has, and a few parcels were
    left to chance: of 200 intervals 186 and more hold the true effect.
    """
    rng, hits = np.random.default_rng(12), dict.fromkeys(METHODS, 0)
    for _ in range(200):
        risk = rng.beta(2, 6, 6_000)
        is_random = rng.random(6_000) < 0.1
        by_score = risk > 0.3
        is_premium = np.where(is_random, rng.random(6_000) < 0.5, by_score)
        happened = rng.random(6_000) < risk * np.where(is_premium, 0.6, 1)
        frame = pl.DataFrame(
            {
                "is_premium": is_premium,
                "propensity": np.where(is_random, 0.5, by_score.astype(float)),
                "happened": happened.astype(float),
            }
        )
        data = comparable(frame)
        flat = np.full(len(data.frame), 0.2)
        own = data.frame["happened"].to_numpy(), data.frame["is_premium"].to_numpy()
        sample = Sample(*own, data.propensity, flat, flat)
        for name, found in estimate_all(sample).items():
            hits[name] += found.low <= 0.4 * 0.25 <= found.high
    assert all(count >= 186 for count in hits.values()), hits


def test_rare_harms_are_covered_too():
    """Of 300 trials in which 8 in 400 complain, 93 % and more hold the truth."""
    rng, hits = np.random.default_rng(8), dict.fromkeys(METHODS, 0)
    for _ in range(300):
        is_premium, flat = rng.random(400) < 0.5, np.full(400, 0.02)
        happened = rng.random(400) < np.where(is_premium, 0.01, 0.03)
        sample = Sample(
            happened.astype(float), is_premium, np.full(400, 0.5), flat, flat
        )
        for name, found in estimate_all(sample).items():
            hits[name] += found.low <= 0.02 <= found.high
    assert all(count >= 279 for count in hits.values()), hits


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


ROWS = st.tuples(st.integers(0, 3), st.booleans(), st.booleans())


@given(st.lists(ROWS, min_size=1), st.floats(-5, 5))
@examples(200)
def test_the_uplift_curve_is_the_effect_on_the_better_parcels(rows, constant):
    """
    At each end of a tie with both services the curve is the difference of means of
    the better parcels times their share, and a constant added to the harm moves none.
    """
    rank = np.array([row[0] for row in rows], float)
    harm = np.array([row[1] for row in rows], float)
    is_premium = np.array([row[2] for row in rows])
    weight = weights_of(is_premium, np.full(len(rows), 0.5))
    curve = uplift_curve(rank, harm, weight)
    for cut in (3, 2, 1, 0):
        better = rank >= cut
        sides = [harm[better & side] for side in (~is_premium, is_premium)]
        if min(map(len, sides)):
            plain = (sides[0].mean() - sides[1].mean()) * better.mean()
            assert curve[better.sum()] == pytest.approx(plain, abs=1e-9)
    auuc, qini = areas(curve)
    assert auuc - qini == pytest.approx(curve[-1] / 2)
    moved = uplift_curve(rank, harm + constant, weight)
    assert moved == pytest.approx(curve, abs=1e-9)


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
