r"""
The effects on both harms are partly one.

A kept promise removes complaints and returns for the same reasons, and each harm alone
is measured coarsely: of two effects that are alike one comes out large and the other
small, and a plan goes by the harm whose effect was lucky. So the mean effects
:math:`m_1, m_2` of the two harms, with their variances, are drawn together by as much
as is likely,

.. math:: m_1 - m_2 \sim N(0, 2 \tau^2), \qquad
          \hat g_h \mathrel{\mp}= \frac{\Sigma_h a_h (m_1 - m_2)}{S}, \qquad
          \Sigma_h \mathrel{-}= \frac{\Sigma_h a_h a_h^\top \Sigma_h}{S}, \qquad
          S = \sigma_1^2 + \sigma_2^2 + 2 \tau^2,

where :math:`a_h` is the row of the mean parcel and :math:`\sigma_h^2 = a_h^\top
\Sigma_h a_h`. How far harms differ is averaged over a grid, like the spread of levels
(:mod:`optimizer.learn.posterior`): :math:`1/S` by the likelihood of the difference and
a half-normal prior of :math:`\tau`. Two effects that are surely different stay so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.learned_model import FOREST
from optimizer.build.model_prediction import coefficients, values_of
from optimizer.learn.effect import LEVEL_SCALE
from optimizer.learn.posterior import GRID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from optimizer.build.learned_model import Effect
    from optimizer.learn.learners import Trial

#: Harms that are drawn together.
_BOTH = 2


def drawn_together(
    trials: Mapping[str, Trial], effects: Mapping[str, Effect]
) -> dict[str, Effect]:
    """
    Effects on two harms, each with what the other says of it.

    Parameters
    ----------
    trials
        Randomised parcels, by harm.
    effects
        By harm, fitted alone by one learner.
    """
    if len(effects) != _BOTH:
        return dict(effects)
    rows = {harm: mean_row(trials[harm], effect) for harm, effect in effects.items()}
    means = [float(rows[h] @ values_of(effect)) for h, effect in effects.items()]
    moves = {h: np.array(e.covariance) @ rows[h] for h, e in effects.items()}
    variance = sum(float(rows[h] @ moves[h]) for h in effects)
    difference = means[0] - means[1]
    # On the scale of odds harms differ by as much more as levels do.
    left = min(1 - min(trial.belief.mean, 0.95) for trial in trials.values())
    is_odds = all(effect.link == "logit" for effect in effects.values())
    inverse = _inverse(difference, variance, LEVEL_SCALE / (left if is_odds else 1.0))
    found = {}
    for sign, (harm, effect) in zip((-1, 1), effects.items(), strict=True):
        covariance = np.array(effect.covariance)
        covariance -= np.outer(moves[harm], moves[harm]) * inverse
        value = values_of(effect) + sign * moves[harm] * difference * inverse
        found[harm] = with_values(effect, value, covariance)
    return found


def _inverse(difference: float, variance: float, scale: float) -> float:
    """The mean of :math:`1/S` over how far harms may differ."""
    if variance <= 0:
        return 0.0
    whole = variance + 2 * GRID**2
    likely = -(difference**2) / whole / 2 - np.log(whole) / 2 - (GRID / scale) ** 2 / 2
    weight = np.exp(likely - likely.max())
    return float((weight / whole).sum() / weight.sum())


def mean_row(trial: Trial, effect: Effect) -> NDArray[np.float64]:
    """What the mean parcel's effect is made of, by the harm that could be avoided."""
    weight = trial.risk * trial.reach
    return np.asarray(weight @ coefficients(trial.frame, effect) / weight.sum())


def with_values(
    effect: Effect, values: NDArray[np.float64], covariance: NDArray[np.float64]
) -> Effect:
    """
    An effect of other coefficients.

    Parameters
    ----------
    effect
        Whose names they have.
    values, covariance
        ``(k,)`` and ``(k, k) float64``.
    """
    value = dict(zip(effect.names, values.tolist(), strict=True))
    changed = {
        "intercept": value["", ""],
        "levels": {
            column: {level: value[column, level] for level in offsets}
            for column, offsets in effect.levels.items()
        },
        "slopes": {name: value["", name] for name in effect.slopes},
        "covariance": ((covariance + covariance.T) / 2).tolist(),
    }
    if effect.forest is not None:
        changed["forest_slope"] = value["", FOREST]
    return effect.model_copy(update=changed)
