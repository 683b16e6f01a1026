"""Effects of a learned model, drawn from their posterior: the same on every machine."""

from __future__ import annotations

import hashlib
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.learned_model import FOREST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from optimizer.build.learned_model import Effect, Forest, LearnedModel

#: Digits of drawn coefficients: far below their noise, above a machine's last bits.
_DRAWN_DIGITS = 9


def drawn_model(model: LearnedModel, *, seed: int) -> LearnedModel:
    """
    Draw the effects of a model from their posterior; the same seed draws the same.

    Each harm's coefficients are one draw of a normal law with their means and their
    covariance; risks and promises stay. The result is a model like any other whose
    means are the drawn numbers.

    Every machine draws the same bytes: the noise of a coefficient is a hash of the
    seed and of its own name, the factor of the covariance is made of elementwise
    sums that no library reorders, and coefficients are rounded to nine significant
    digits.

    Parameters
    ----------
    model
        Left as it is.
    seed
        Any whole number.
    """
    drawn = {
        harm: _drawn_effect(effect, f"{seed}|{harm}")
        for harm, effect in model.effect.items()
    }
    return model.model_copy(update={"effect": drawn})


def _drawn_effect(effect: Effect, key: str) -> Effect:
    """One draw of an effect's coefficients."""
    noise = [_normal(f"{key}|{column}|{level}") for column, level in effect.names]
    moved = np.zeros(len(noise))
    factor = _lower_factor(np.array(effect.covariance, np.float64))
    for column, value in zip(factor.T, noise, strict=True):
        moved += column * value
    moves = dict(zip(effect.names, moved.tolist(), strict=True))
    drawn = moved_effect(effect, moves)
    if effect.forest is None:
        return drawn
    return drawn.model_copy(update={"forest": _drawn_member(effect.forest, key)})


def moved_effect(effect: Effect, moves: Mapping[tuple[str, str], float]) -> Effect:
    """
    An effect whose coefficients are moved from those measured, to nine digits.

    Parameters
    ----------
    effect
        Left as it is.
    moves
        By name, what is added to each.
    """
    levels = {
        column: {
            level: _rounded(share + moves[column, level])
            for level, share in offsets.items()
        }
        for column, offsets in effect.levels.items()
    }
    slopes = {
        name: _rounded(slope + moves["", name]) for name, slope in effect.slopes.items()
    }
    moved = {
        # What was measured is moved: what was added for doubt is taken off.
        "intercept": _rounded(effect.intercept - effect.raised + moves["", ""]),
        "raised": 0.0,
        "doubt": None,
        "levels": levels,
        "slopes": slopes,
    }
    if effect.forest is not None:
        slope = effect.forest_slope + moves["", FOREST]
        moved["forest_slope"] = _rounded(slope)
    return effect.model_copy(update=moved)


def _drawn_member(forest: Forest, key: str) -> Forest:
    """One of the resampled members alone."""
    digest = hashlib.sha256(f"{key}|{FOREST}".encode()).digest()
    member = forest.members[int.from_bytes(digest[:8]) % len(forest.members)]
    return forest.model_copy(update={"members": [member]})


def _rounded(value: float) -> float:
    return float(f"{value:.{_DRAWN_DIGITS}g}")


def _lower_factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """
    The lower Cholesky factor; columns without variance left to explain are 0.

    Elementwise: LAPACK sums in an order that differs from machine to machine.
    """
    left = (covariance + covariance.T) / 2
    factor = np.zeros_like(left)
    # Of its own variance: coefficients of numbers in small units are small as well.
    least = 1e-12 * np.diag(left)
    for at in range(len(left)):
        if left[at, at] > least[at]:
            column = left[at:, at] / np.sqrt(left[at, at])
            factor[at:, at] = column
            left[at:, at:] -= column[:, None] * column[None, :]
    return factor


def _normal(key: str) -> float:
    """A standard normal number from the hash of a text."""
    whole = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
    return NormalDist().inv_cdf(((whole >> 12) + 0.5) / 2**52)
