r"""
The effect of a kept promise on each harm: doubly robust, shrunk, with uncertainty.

For a parcel with risk :math:`\mu_0` on standard and :math:`\mu_1` on premium service
(both predicted from other folds), service :math:`T` given with propensity
:math:`e`, and outcome :math:`Y`, the doubly robust score of the harm avoided is

.. math:: \psi = \mu_0 - \mu_1 + \frac{1 - T}{1 - e} (Y - \mu_0)
                 - \frac{T}{e} (Y - \mu_1).

Its mean is the true effect if either the propensities or the predictions are right;
under a holdout the propensities are known. With take-up :math:`u` and promise
:math:`\theta`, the harm avoided is :math:`\mu_0 u \theta h(x)`, and the share
:math:`h(x) = x^\top g` that a kept promise removes is the posterior of a Gaussian
regression of :math:`\psi` on :math:`z = \mu_0 u \theta x`:

.. math:: g \sim N(m, \Lambda^{-1}), \qquad
          \Sigma = \bigl(\Lambda + \textstyle\sum z z^\top / v\bigr)^{-1}, \qquad
          \hat g = m + \Sigma \textstyle\sum z (\psi - z^\top m) / v,

with :math:`v = \mu_1(1 - \mu_1)/e + \mu_0(1 - \mu_0)/(1 - e)` the variance of the
score. The prior shrinks each carrier, region and category to the pool; the shares may
be negative.

Under a small holdout few parcels are held out, and many others stay on standard service
because they were not chosen. The choice depends on known columns alone, so a risk model
fitted on these parcels predicts the outcomes of the chosen ones without premium. The
share that premium seems to have removed, observed against expected, is the pool's
prior. It extrapolates that model to the chosen parcels, so its standard error is at
least ``STRETCH``, and the randomised scores correct it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.learned_model import LEVELS, Effect, risk_of
from optimizer.learn.risk import OUTCOME_OF, fit_risk

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import Promise
    from optimizer.config.learning import Prior
    from optimizer.learn.overlap import Comparable
    from optimizer.learn.risk import CrossFit

#: Prior standard deviation of a level's deviation from the pooled share.
LEVEL_SPREAD = {"carrier_id": 0.15, "region_id": 0.10, "category_id": 0.15}


#: Predictions above count as no surer when scores are weighed.
SUREST = 0.8
#: Standard deviation of the pooled share for what a stretched risk model may miss.
STRETCH = 0.15
#: Standard parcels beside the randomised ones, for each of these, that make a prior.
_MANY = 10


@dataclass(frozen=True, slots=True)
class Belief:
    """A prior for the pooled share of harm removed, before randomised parcels count."""

    mean: float
    spread: float


#: Without a configured prior: no effect is believed in, and hardly any is excluded.
NO_BELIEF = Belief(0.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """
    Doubly robust scores of one harm.

    Attributes
    ----------
    score, variance
        ``(n,) float64``: harm avoided, as a probability, and its variance.
    """

    score: NDArray[np.float64]
    variance: NDArray[np.float64]


def scores(data: Comparable, fit: CrossFit, harm: str) -> Scores:
    """
    Score the harm that premium service avoids, row by row.

    Examples
    --------
    >>> import polars as pl
    >>> from optimizer.learn.overlap import Comparable
    >>> from optimizer.learn.risk import CrossFit
    >>> rows = pl.DataFrame({"is_premium": [True, False], "complaint": [False, True]})
    >>> half = np.array([0.5, 0.5])
    >>> data = Comparable(rows, np.arange(2), half, "randomised", ())
    >>> found = scores(data, CrossFit(np.array([0.2, 0.2]), np.array([0.1, 0.1])),
    ...                "complaint")
    >>> [round(float(value), 6) for value in found.score]
    [0.3, 1.7]
    """
    happened = data.frame[OUTCOME_OF[harm]].to_numpy().astype(np.float64)
    return dr_scores(
        happened,
        data.frame["is_premium"].to_numpy(),
        data.propensity,
        fit.standard,
        fit.premium,
    )


def dr_scores(
    happened: NDArray[np.float64],
    is_premium: NDArray[np.bool_],
    propensity: NDArray[np.float64],
    standard: NDArray[np.float64],
    premium: NDArray[np.float64],
) -> Scores:
    """
    Doubly robust scores from plain arrays, all ``(n,)``; see the module.

    Parameters
    ----------
    happened
        0 or 1: whether the harm happened.
    is_premium
        Whether the parcel got premium service.
    propensity
        Probability of premium, strictly between 0 and 1.
    standard, premium
        Predicted probability of the harm on either service, from other rows.
    """
    score = standard - premium
    score = score + ~is_premium / (1 - propensity) * (happened - standard)
    score = score - is_premium / propensity * (happened - premium)
    # A prediction near 1 would claim to know its parcel, and drown all others.
    left, risk = np.minimum(premium, SUREST), np.minimum(standard, SUREST)
    variance = left * (1 - left) / propensity + risk * (1 - risk) / (1 - propensity)
    return Scores(score, variance)


def fit_effect(
    data: Comparable,
    found: Scores,
    risk: NDArray[np.float64],
    promises: list[Promise],
    belief: Belief,
) -> Effect:
    """
    Fit the share of the harm that a kept promise removes.

    Parameters
    ----------
    data
        Rows that could have got either service.
    found
        Their scores.
    risk
        ``(n,) float64``: risk on standard service, from other folds.
    promises
        Promise-keeping, by carrier and region.
    belief
        About the pooled share.
    """
    frame = data.frame
    names, rows = _design(frame)
    reach = risk * frame["take_up"].to_numpy() * kept_share(frame, promises)
    z = rows * reach[:, None]
    start = np.zeros(len(names))
    start[0] = belief.mean
    spreads = [belief.spread, *(LEVEL_SPREAD[column] for column, _ in names[1:])]
    precision = np.diag(1 / np.array(spreads) ** 2)
    weighted = z / found.variance[:, None]
    covariance = np.linalg.inv(precision + weighted.T @ z)
    share = start + covariance @ (weighted.T @ (found.score - z @ start))
    return _effect(names, share, covariance)


def configured_belief(prior: Prior | None) -> Belief:
    """The configured prior; without one hardly any share is excluded."""
    if prior is None:
        return NO_BELIEF
    return Belief(float(prior.effect), max(float(prior.spread), 1e-3))


def regression_belief(
    frame: pl.DataFrame, harm: str, promises: list[Promise], start: Belief
) -> Belief:
    """
    Observed against expected harm of premium parcels, discounted, with a prior.

    Parameters
    ----------
    frame
        All outcomes.
    harm
        ``complaint`` or ``return``.
    promises
        Promise-keeping, by carrier and region.
    start
        Prior to combine it with; returned unchanged where too few standard parcels
        were not randomised.
    """
    chance, is_premium = frame["propensity"].fill_null(0.0), frame["is_premium"]
    is_drawn = (chance > 0) & (chance < 1)
    beside = frame.filter(~is_premium & ~is_drawn)
    if len(beside) < _MANY * max(1, len(frame.filter(~is_premium & is_drawn))):
        return start
    premium = frame.filter(is_premium)
    risk = risk_of(premium, fit_risk(beside, harm))
    happened = premium[OUTCOME_OF[harm]].to_numpy().astype(np.float64)
    kept = kept_share(premium, promises)
    reach = float((risk * premium["take_up"].to_numpy() * kept).sum())
    mean = (float(risk.sum()) - float(happened.sum())) / reach
    variance = max(1.0, float(happened.sum())) / reach**2 + STRETCH**2
    precision = 1 / start.spread**2 + 1 / variance
    joined = (start.mean / start.spread**2 + mean / variance) / precision
    return Belief(joined, precision**-0.5)


def prior_effect(prior: Prior | None) -> Effect:
    """The effect where nothing was measured: the configured prior, or none at all."""
    mean, spread = (0.0, 0.0) if prior is None else (prior.effect, prior.spread)
    return _effect(
        [("", "")], np.array([float(mean)]), np.array([[float(spread) ** 2]])
    )


def kept_share(frame: pl.DataFrame, promises: list[Promise]) -> NDArray[np.float64]:
    """Promise-keeping of each row's carrier and region, the pool's where unknown."""
    exact = {(p.carrier_id, p.region_id): p.mean for p in promises}
    pairs = zip(frame["carrier_id"], frame["region_id"], strict=True)
    pool = exact[None, None]
    return np.array(
        [exact.get(pair, exact.get((pair[0], None), pool)) for pair in pairs]
    )


def _design(
    frame: pl.DataFrame,
) -> tuple[list[tuple[str, str]], NDArray[np.float64]]:
    """A column of ones and one for each level."""
    names: list[tuple[str, str]] = [("", "")]
    columns = [np.ones(len(frame))]
    for column in LEVELS:
        for level in sorted(frame[column].drop_nulls().unique().to_list()):
            is_level = (frame[column] == level).fill_null(value=False)
            names.append((column, level))
            columns.append(is_level.to_numpy().astype(np.float64))
    return names, np.column_stack(columns)


def _effect(
    names: list[tuple[str, str]],
    share: NDArray[np.float64],
    covariance: NDArray[np.float64],
) -> Effect:
    levels: dict[str, dict[str, float]] = {column: {} for column in LEVELS}
    for (column, level), value in zip(names[1:], share[1:].tolist(), strict=True):
        levels[column][level] = value
    return Effect(
        intercept=float(share[0]),
        levels=levels,
        names=names,
        covariance=covariance.tolist(),
    )
