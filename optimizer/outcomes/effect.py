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
score. The prior on carriers, regions and categories shrinks each to the pool; the
shares may be negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.outcomes.model import LEVELS, Effect
from optimizer.outcomes.risk import OUTCOME_OF

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config.models import Prior
    from optimizer.outcomes.model import Promise
    from optimizer.outcomes.overlap import Comparable
    from optimizer.outcomes.risk import CrossFit

#: Prior standard deviation of a level's deviation from the pooled share.
LEVEL_SPREAD = {"carrier_id": 0.15, "region_id": 0.10, "category_id": 0.15}
#: Without a configured prior: no effect is believed in, and hardly any is excluded.
NO_PRIOR = (0.0, 1.0)


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
    >>> from optimizer.outcomes.overlap import Comparable
    >>> from optimizer.outcomes.risk import CrossFit
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
    """Doubly robust scores from plain arrays, all ``(n,)``; see the module."""
    score = standard - premium
    score = score + ~is_premium / (1 - propensity) * (happened - standard)
    score = score - is_premium / propensity * (happened - premium)
    variance = premium * (1 - premium) / propensity
    variance = variance + standard * (1 - standard) / (1 - propensity)
    return Scores(score, variance)


def fit_effect(
    data: Comparable,
    found: Scores,
    risk: NDArray[np.float64],
    promises: list[Promise],
    prior: Prior | None,
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
    prior
        Belief about the pooled share.
    """
    frame = data.frame
    mean, spread = NO_PRIOR
    if prior is not None:
        mean, spread = float(prior.effect), max(float(prior.spread), 1e-3)
    names, rows = _design(frame)
    reach = risk * frame["take_up"].to_numpy() * kept_share(frame, promises)
    z = rows * reach[:, None]
    start = np.zeros(len(names))
    start[0] = mean
    spreads = [spread, *(LEVEL_SPREAD[column] for column, _ in names[1:])]
    precision = np.diag(1 / np.array(spreads) ** 2)
    weighted = z / found.variance[:, None]
    covariance = np.linalg.inv(precision + weighted.T @ z)
    share = start + covariance @ (weighted.T @ (found.score - z @ start))
    return _effect(names, share, covariance)


def prior_effect(prior: Prior) -> Effect:
    """The effect where nothing was measured: the belief that was configured."""
    spread = float(prior.spread)
    return _effect([("", "")], np.array([float(prior.effect)]), np.array([[spread**2]]))


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
