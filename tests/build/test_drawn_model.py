"""A model drawn from its posterior: the right law, and the same bytes everywhere."""

import hashlib

import numpy as np

from optimizer.build.learned_model import HARMS, Effect, LearnedModel, Risk
from optimizer.build.model_draws import drawn_model
from optimizer.build.model_file import model_text

NAMES = [("", ""), ("carrier_id", "yunda"), ("region_id", "north")]
COVARIANCE = [[0.04, -0.03, 0.0], [-0.03, 0.0625, 0.01], [0.0, 0.01, 0.01]]
DIGEST = "bf386d97746d7c19"


def a_model(covariance=COVARIANCE):
    """A model with three coefficients of each harm."""
    effect = Effect(
        intercept=0.3,
        levels={"carrier_id": {"yunda": -0.1}, "region_id": {"north": 0.0}},
        names=NAMES,
        covariance=covariance,
    )
    return LearnedModel(
        version="made",
        first_date="2026-11-01",
        last_date="2026-11-20",
        regime_breaks=[],
        kind="randomised",
        risk=dict.fromkeys(HARMS, Risk(intercept=-3.0, slopes={}, levels={})),
        effect=dict.fromkeys(HARMS, effect),
        promises=[],
    )


def coefficients(model, harm):
    """The coefficients of one harm, in the order of their names."""
    effect = model.effect[harm]
    levels = effect.levels
    return [
        effect.intercept,
        levels["carrier_id"]["yunda"],
        levels["region_id"]["north"],
    ]


def test_draws_have_the_mean_and_the_covariance_of_the_posterior():
    """Of 4,000 seeds mean and covariance are those stated, within four errors."""
    model = a_model()
    found = np.array(
        [coefficients(drawn_model(model, seed=s), "complaint") for s in range(4000)]
    )
    covariance = np.array(COVARIANCE)
    errors = np.sqrt(np.diag(covariance) / 4000)
    assert np.all(abs(found.mean(axis=0) - [0.3, -0.1, 0.0]) < 4 * errors)
    sizes = np.sqrt(np.diag(covariance))
    bound = 4 * np.outer(sizes, sizes) * np.sqrt(2 / 4000)
    assert np.all(abs(np.cov(found.T) - covariance) < bound)


def test_a_seed_always_draws_the_same_bytes_and_another_seed_others():
    """The bytes are pinned: a machine or a library that draws others is noticed."""
    model = a_model()
    before = model_text(model)
    digest = hashlib.sha256(model_text(drawn_model(model, seed=7)).encode()).hexdigest()
    assert digest[:16] == DIGEST
    assert drawn_model(model, seed=7) != drawn_model(model, seed=8)
    assert model_text(model) == before


def test_harms_are_drawn_apart_and_all_else_stays():
    """Noise of complaints is not that of returns; risk and promises are as learned."""
    drawn = drawn_model(a_model(), seed=7)
    assert coefficients(drawn, "complaint") != coefficients(drawn, "return")
    assert drawn.risk == a_model().risk


def test_what_is_certain_is_not_moved():
    """Without variance the draw is the mean; a singular covariance draws together."""
    certain = a_model(np.zeros((3, 3)).tolist())
    assert drawn_model(certain, seed=1) == certain
    alike = a_model(np.full((3, 3), 0.01).tolist())
    moved = coefficients(drawn_model(alike, seed=1), "complaint")
    by = [value - mean for value, mean in zip(moved, [0.3, -0.1, 0.0], strict=True)]
    assert max(by) - min(by) < 1e-8


def test_numbers_in_small_units_are_drawn_as_in_large_ones():
    """A slope for each micrometre is drawn as a millionth of that for each metre."""
    name, spread = "value(distance)", {}
    for unit in (1.0, 1e-6, 1e-12):
        covariance = [[0.04, 0.01 * unit], [0.01 * unit, 0.01 * unit**2]]
        effect = (
            a_model()
            .effect["complaint"]
            .model_copy(
                update={
                    "levels": {},
                    "names": [("", ""), ("", name)],
                    "covariance": covariance,
                    "slopes": {name: 0.5 * unit},
                    "ranges": {name: (0.0, 1.0 / unit)},
                }
            )
        )
        model = a_model().model_copy(update={"effect": {"complaint": effect}})
        drawn = [
            drawn_model(model, seed=s).effect["complaint"].slopes[name] / unit
            for s in range(50)
        ]
        spread[unit] = drawn
    assert np.allclose(spread[1.0], spread[1e-6], rtol=1e-7)
    assert np.allclose(spread[1.0], spread[1e-12], rtol=1e-7)
    assert 0.05 < np.std(spread[1.0]) < 0.15
