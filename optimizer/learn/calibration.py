r"""
Calibration of differences: how much of what a learner tells apart holds elsewhere.

A learner that tells parcels apart believes in differences that were chance in part, and
a plan that picks the largest ones collects just these; or it shrinks more than it must,
and promises too little of them. So the differences of its effects are multiplied by a
slope :math:`s`, around the mean of all,

.. math:: h_s(x) = \bar h + s\,(h(x) - \bar h),

which is what other folds say of it, of both harms together. With what happened
:math:`Y`, service :math:`T`, reach :math:`r`, and risk :math:`p` and effect fitted
without the fold of each parcel,

.. math:: \log P(s) = \sum_i Y_i \log \pi_i(s) + (1 - Y_i) \log (1 - \pi_i(s)), \qquad
          \pi_i(s) = p_i - T_i r_i (p_i - q_i(s)),

where :math:`q` is the risk that is left. The slope is averaged over a grid from 0 to 2
by this weight and a prior that falls off with it,

.. math:: \hat s = \frac{\sum_s s\, P(s)\, e^{-\lambda s}}
                        {\sum_s P(s)\, e^{-\lambda s}}, \qquad \lambda = 2,

so that few parcels leave it at two fifths, and so does a history without enough harm to
hold learners against it: differences have to be earned, since first nights that
followed them alone lost up to a third of what the highest risk avoids.
What the learner believes whole, a slope of 1, costs two units of log-likelihood, which
differences that are there have paid after some nights.
Doubly robust scores in place of :math:`Y` were tried: where a fifth is held out their
variance is six times as large, and the slope of nearly every history was one half.
With two slopes, one for each harm, differences that only one harm had by chance stayed.

References
----------
Cox, D. R. (1958). Two further applications of a model for binary regression. Biometrika
45, 562-565.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.model_prediction import kept_effect, premium_risk, values_of
from optimizer.learn.risk import RANGE
from optimizer.learn.together import mean_row, with_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from optimizer.build.learned_model import Effect
    from optimizer.learn.learners import Trial

#: Slopes that are tried.
GRID = np.linspace(0.0, 2.0, 21)
#: How fast the prior of a slope falls off: :math:`e^{-\lambda s}`.
EARNED = 2.0
_PRIOR = np.exp(-EARNED * GRID)
#: Slope of a learner that was held against no parcels: the mean of the prior.
UNTRIED = float(_PRIOR @ GRID / _PRIOR.sum())


def slope_of(
    trials: Mapping[str, Trial],
    standard: Mapping[str, NDArray[np.float64]],
    fold: NDArray[np.int64],
    effects: Sequence[Mapping[str, Effect]],
) -> float:
    """
    Part of a learner's differences that holds on parcels that it has not seen.

    Parameters
    ----------
    trials
        By harm, the same randomised parcels.
    standard
        By harm, ``(n,) float64``: risk on standard service, from other folds.
    fold
        ``(n,) int64``: the fold of each.
    effects
        By harm, fitted without each fold.

    Returns
    -------
    float
        From 0 to 2; 1 where it tells no parcels apart.
    """
    weight = -EARNED * GRID
    differs = False
    for k, fitted in enumerate(effects):
        inside = fold == k
        for harm, effect in fitted.items() if inside.any() else ():
            trial = trials[harm]
            part, risk = trial.where(inside), standard[harm][inside]
            removed, middle = kept_effect(part.frame, effect), _mean(trial, effect)
            differs |= bool(np.ptp(removed) > 0)
            reach = np.where(part.is_premium, part.reach, 0.0)
            for at, slope in enumerate(GRID.tolist()):
                tried = middle + slope * (removed - middle)
                left = premium_risk(risk, tried, effect.link)
                chance = np.clip(risk - reach * (risk - left), *RANGE)
                seen = np.where(part.happened > 0, chance, 1 - chance)
                weight[at] += float(np.log(seen).sum()) / trial.widening
    if not differs:
        return 1.0
    likely = np.exp(weight - weight.max())
    return float(likely @ GRID / likely.sum())


def flattened(effect: Effect, trial: Trial, slope: float) -> Effect:
    """
    An effect whose differences are multiplied by a slope, with its covariance.

    Parameters
    ----------
    effect
        As fitted.
    trial
        Over whose parcels the mean stays what it is.
    slope
        From 0 on.
    """
    if slope == 1 or len(effect.names) == 1:
        return effect
    size = len(effect.names)
    move = slope * np.eye(size)
    move[0] += (1 - slope) * mean_row(trial, effect)
    covariance = move @ np.array(effect.covariance) @ move.T
    return with_values(effect, move @ values_of(effect), covariance)


def _mean(trial: Trial, effect: Effect) -> float:
    """The effect of the mean parcel, by the harm that could be avoided."""
    return float(mean_row(trial, effect) @ values_of(effect))
