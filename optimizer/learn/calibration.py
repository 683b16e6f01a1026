r"""
Calibration of differences: how much of what a learner tells apart holds elsewhere.

A learner that tells parcels apart believes in differences that were chance in part, and
a plan that picks the largest ones collects just these. So the differences of its effect
are multiplied by a slope :math:`s`, around the mean of all,

.. math:: h_s(x) = \bar h + s\,(h(x) - \bar h),

which is what other folds say of it: with risk :math:`p`, reach :math:`r` and doubly
robust scores :math:`\psi` of variance :math:`v`, and the effect fitted without the fold
of each parcel,

.. math:: \log P(s) = -\tfrac12 \sum_i \bigl(\psi_i - r_i (p_i - q_i(s))\bigr)^2 / v_i,

where :math:`q` is the risk that is left. The slope is averaged over a grid from 0 to 1
by this weight: nothing is believed beforehand, and few parcels leave it at one half.
For a share, the slope is that of Cox's calibration of a prognosis.

References
----------
Cox, D. R. (1958). Two further applications of a model for binary regression. Biometrika
45, 562-565.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.learned_model import (
    FOREST,
    coefficients,
    kept_effect,
    premium_risk,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from optimizer.build.learned_model import Effect
    from optimizer.learn.learners import Trial

#: Slopes that are tried.
GRID = np.linspace(0.0, 1.0, 21)


def slope_of(trial: Trial, fold: NDArray[np.int64], effects: Sequence[Effect]) -> float:
    """
    Part of a learner's differences that holds on parcels that it has not seen.

    Parameters
    ----------
    trial
        Randomised parcels and one harm.
    fold
        ``(n,) int64``: the fold of each.
    effects
        Fitted without each fold.

    Returns
    -------
    float
        From 0 to 1; 1 where it tells no parcels apart.
    """
    weight = np.zeros(len(GRID))
    differs = False
    for k, effect in enumerate(effects):
        inside = fold == k
        if not inside.any():
            continue
        part = trial.where(inside)
        removed, middle = kept_effect(part.frame, effect), _mean(trial, effect)
        differs |= bool(np.ptp(removed) > 0)
        for at, slope in enumerate(GRID.tolist()):
            tried = middle + slope * (removed - middle)
            drop = part.reach * (
                part.risk - premium_risk(part.risk, tried, effect.link)
            )
            error = part.scores.score - drop
            weight[at] -= float((error**2 / part.scores.variance).sum()) / 2
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
        From 0 to 1.
    """
    if slope == 1 or len(effect.names) == 1:
        return effect
    size = len(effect.names)
    move = slope * np.eye(size)
    move[0] += (1 - slope) * _mean_row(trial, effect)
    covariance = move @ np.array(effect.covariance) @ move.T
    value = dict(zip(effect.names, (move @ values_of(effect)).tolist(), strict=True))
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


def _mean(trial: Trial, effect: Effect) -> float:
    """The effect of the mean parcel, by the harm that could be avoided."""
    return float(_mean_row(trial, effect) @ values_of(effect))


def _mean_row(trial: Trial, effect: Effect) -> NDArray[np.float64]:
    weight = trial.risk * trial.reach
    return np.asarray(weight @ coefficients(trial.frame, effect) / weight.sum())
