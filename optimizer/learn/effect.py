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
score. Each carrier, region and category, and the slope of each number, is shrunk to the
pool by as much as the rows say (:mod:`optimizer.learn.posterior`); the shares may be
negative.

Only parcels that could have got either service teach the effect. The others say what
they seem to say beside it: many stay on standard service because they were not chosen,
and a risk model fitted on these predicts the outcomes of the chosen ones without
premium. The share that premium then seems to have removed is right only if the choice
depended on known columns alone. So it is a diagnostic: where it contradicts the
randomised parcels beyond chance, the choice was by something that the table lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from optimizer.build.learned_model import LEVELS, Effect, Pooled
from optimizer.build.model_prediction import risk_of
from optimizer.learn.posterior import Group, posterior
from optimizer.learn.risk import OUTCOME_OF, fit_risk

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import Promise
    from optimizer.config.learning import Prior
    from optimizer.learn.features import Features
    from optimizer.learn.overlap import Comparable
    from optimizer.learn.risk import CrossFit

#: Half-normal prior of how far levels, and slopes in standard deviations of their
#: number, scatter: the shares of two carriers are rarely 0.5 apart.
LEVEL_SCALE, SLOPE_SCALE = 0.25, 0.2

#: Levels of a column beyond the contract's that an effect may have.
MOST_LEVELS = 60
#: Predictions above count as no surer when scores are weighed.
SUREST = 0.8
#: Standard deviation of the pooled share for what a stretched risk model may miss.
STRETCH = 0.15
#: Standard parcels beside the randomised ones, for each of these, that are enough.
_MANY = 10
#: Standard errors from which on a contradiction is more than chance: one in a thousand.
CONTRADICTION = 3.3


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


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """
    Coefficients of an effect, and what each is multiplied by.

    Attributes
    ----------
    names
        As in :class:`~optimizer.build.learned_model.Effect`.
    rows
        ``(n, k) float64``: 1, the levels, and the numbers in standard deviations.
    center, scale
        By number, what was subtracted and divided by.
    groups
        Coefficients that scatter alike.
    features
        What the numbers are of; ``None``: there is none.
    """

    names: list[tuple[str, str]]
    rows: NDArray[np.float64]
    center: dict[str, float]
    scale: dict[str, float]
    groups: list[Group]
    features: Features | None = None


def fit_effect(
    data: Comparable,
    found: Scores,
    risk: NDArray[np.float64],
    promises: list[Promise],
    belief: Belief,
) -> Effect:
    """
    Fit the share of the harm that a kept promise removes, by carrier, region, category.

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
    reach = risk * frame["take_up"].to_numpy() * kept_share(frame, promises)
    return fit_shares(design_of(frame, None), found, reach, belief)


def design_of(
    frame: pl.DataFrame, features: Features | None, *, is_pooled: bool = False
) -> Design:
    """
    List the coefficients of an effect.

    Parameters
    ----------
    frame
        Outcomes.
    features
        Numbers and further levels that it may depend on; left out: none.
    is_pooled
        One share for all.
    """
    names: list[tuple[str, str]] = [("", "")]
    columns, groups = [np.ones(len(frame))], []
    levels = LEVELS if features is None else features.levels
    for column in () if is_pooled else levels:
        known = sorted(frame[column].drop_nulls().unique().to_list())
        if column not in LEVELS and len(known) > MOST_LEVELS:
            continue
        first = len(names)
        for level in known:
            is_level = (frame[column] == level).fill_null(value=False)
            names.append((column, level))
            columns.append(is_level.to_numpy().astype(np.float64))
        if len(known) > 1:
            groups.append(Group(tuple(range(first, len(names))), LEVEL_SCALE))
        elif known:
            # Alone it is the pool.
            names.pop()
            columns.pop()
    center, scale = {}, {}
    if features is not None and not is_pooled and features.numbers:
        value = features.values(frame)
        for name, column in zip(features.numbers, value.T, strict=True):
            center[name] = float(column.mean())
            scale[name] = float(column.std()) + 1e-12
            groups.append(Group((len(names),), SLOPE_SCALE))
            names.append(("", name))
            columns.append((column - center[name]) / scale[name])
    rows = np.column_stack(columns)
    return Design(names, rows, center, scale, groups, features if scale else None)


def fit_shares(
    design: Design, found: Scores, reach: NDArray[np.float64], belief: Belief
) -> Effect:
    """
    Fit the share removed to scores.

    Parameters
    ----------
    design
        Its coefficients.
    found
        Scores of the rows.
    reach
        ``(n,) float64``: harm avoided if a kept promise removed all of it.
    belief
        About the pooled share.
    """
    z = design.rows * reach[:, None]
    weighted = z / found.variance[:, None]
    learned = posterior(
        weighted.T @ z,
        weighted.T @ found.score,
        *start_of(design, belief),
        design.groups,
    )
    return effect_of(design, learned.mean, learned.covariance)


def start_of(
    design: Design, belief: Belief
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prior means and standard deviations of an effect's coefficients."""
    mean = np.zeros(len(design.names))
    spread = np.full(len(design.names), LEVEL_SCALE)
    mean[0], spread[0] = belief.mean, belief.spread
    return mean, spread


def effect_of(
    design: Design,
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    link: Literal["share", "logit"] = "share",
) -> Effect:
    """
    Write coefficients as an effect, of numbers as they are and not of scaled ones.

    Parameters
    ----------
    design
        What they belong to.
    mean, covariance
        ``(k,)`` and ``(k, k) float64``.
    link
        What they remove.
    """
    to_plain = np.eye(len(design.names))
    for place, (column, name) in enumerate(design.names):
        if not column and name in design.scale:
            to_plain[place, place] = 1 / design.scale[name]
            to_plain[0, place] = -design.center[name] / design.scale[name]
    share = to_plain @ mean
    spread = to_plain @ covariance @ to_plain.T
    levels: dict[str, dict[str, float]] = {column: {} for column in LEVELS}
    slopes = {}
    for (column, name), value in zip(design.names[1:], share[1:].tolist(), strict=True):
        if column:
            levels.setdefault(column, {})[name] = value
        else:
            slopes[name] = value
    return Effect(
        intercept=float(share[0]),
        levels=levels,
        names=design.names,
        covariance=((spread + spread.T) / 2).tolist(),
        link=link,
        slopes=slopes,
        ranges={} if design.features is None else dict(design.features.ranges),
        fills={} if design.features is None else dict(design.features.fills),
    )


def configured_belief(prior: Prior | None) -> Belief:
    """The configured prior; without one hardly any share is excluded."""
    if prior is None:
        return NO_BELIEF
    return Belief(float(prior.effect), max(float(prior.spread), 1e-3))


def regression_belief(
    frame: pl.DataFrame, harm: str, promises: list[Promise]
) -> Belief | None:
    """
    Observed against expected harm of premium parcels, by those that were not chosen.

    Parameters
    ----------
    frame
        All outcomes.
    harm
        ``complaint`` or ``return``.
    promises
        Promise-keeping, by carrier and region.

    Returns
    -------
    Belief or None
        ``None`` where too few standard parcels were not randomised.
    """
    chance, is_premium = frame["propensity"].fill_null(0.0), frame["is_premium"]
    is_drawn = (chance > 0) & (chance < 1)
    beside = frame.filter(~is_premium & ~is_drawn)
    happened = beside[OUTCOME_OF[harm]]
    if len(beside) < _MANY * max(1, len(frame.filter(~is_premium & is_drawn))):
        return None
    if not happened.any() or happened.all():
        return None
    premium = frame.filter(is_premium)
    risk = risk_of(premium, fit_risk(beside, harm))
    expected, seen = float(risk.sum()), float(premium[OUTCOME_OF[harm]].sum())
    kept = kept_share(premium, promises)
    reach = float((risk * premium["take_up"].to_numpy() * kept).sum())
    variance = max(1.0, seen) / reach**2 + STRETCH**2
    return Belief((expected - seen) / reach, variance**0.5)


def contradicts(belief: Belief, measured: Belief) -> bool:
    """
    Whether two beliefs of the same share differ by more than chance.

    Examples
    --------
    >>> contradicts(Belief(-0.6, 0.16), Belief(0.5, 0.1))
    True
    >>> contradicts(Belief(0.3, 0.16), Belief(0.5, 0.1))
    False
    """
    error = (belief.spread**2 + measured.spread**2) ** 0.5
    return abs(belief.mean - measured.mean) > CONTRADICTION * error


def prior_effect(prior: Prior | None) -> Effect:
    """The effect where nothing was measured: the configured prior, or none at all."""
    mean, spread = (0.0, 0.0) if prior is None else (prior.effect, prior.spread)
    return Effect(
        intercept=float(mean),
        levels={column: {} for column in LEVELS},
        names=[("", "")],
        covariance=[[float(spread) ** 2]],
    )


def pooled_prior(prior: Prior | None) -> Pooled:
    """What is known on the whole where nothing was measured: what was stated."""
    if prior is None:
        return Pooled(share=0.0, error=0.0, prior_weight=None, num_premium=0)
    share, spread = float(prior.effect), float(prior.spread)
    return Pooled(share=share, error=spread, prior_weight=1.0, num_premium=0)


def pooled_effect(effect: Effect, prior: Prior | None, num_premium: int) -> Pooled:
    """
    What is known on the whole, and how much of it the stated prior has said.

    Parameters
    ----------
    effect
        One share for all, fitted from the belief of this prior.
    prior
        As configured.
    num_premium
        Premium parcels that it was fitted to.
    """
    variance = max(effect.covariance[0][0], 0.0)
    weight = None
    if prior is not None:
        weight = min(1.0, variance / configured_belief(prior).spread ** 2)
    return Pooled(
        share=effect.intercept,
        error=variance**0.5,
        prior_weight=weight,
        num_premium=num_premium,
    )


def kept_share(frame: pl.DataFrame, promises: list[Promise]) -> NDArray[np.float64]:
    """Promise-keeping of each row's carrier and region, the pool's where unknown."""
    exact = {(p.carrier_id, p.region_id): p.mean for p in promises}
    pairs = zip(frame["carrier_id"], frame["region_id"], strict=True)
    pool = exact[None, None]
    return np.array(
        [exact.get(pair, exact.get((pair[0], None), pool)) for pair in pairs]
    )
