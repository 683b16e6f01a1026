r"""
Three estimators of the effect of premium on a probability, with 95 % intervals.

Positive is good: the probability of the harm on standard service less that on
premium. All three estimate the mean over the parcels that are compared.

- ``difference``: difference in means within groups of one propensity, weighted by
  their size; the interval is Newcombe's hybrid of Wilson intervals, carried over to
  strata (MOVER), which keeps its level where events are rare.
- ``ipw``: means weighted by the inverse propensity and normalised (Hájek).
- ``doubly_robust``: the mean of the scores of :mod:`optimizer.learn.effect`; right
  if either the propensities or the predictions are, and narrow if both are good.

The last two use Student's t with Satterthwaite's degrees of freedom, because the
smaller group may be small.

References
----------
Newcombe, R. G. (1998). Interval estimation for the difference between independent
proportions. Statistics in Medicine 17, 873-890. Donner, A., Zou, G. Y. (2012).
Closed-form confidence intervals for functions of the normal mean and standard
deviation. Statistical Methods in Medical Research 21, 347-359.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from optimizer.extras import import_extra
from optimizer.learn.effect import dr_scores
from optimizer.learn.risk import LEARNING

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95
_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
#: Events that either group needs for the weighted estimates.
MIN_EVENTS = 5
METHODS = ("difference", "ipw", "doubly_robust")


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    An effect with its interval.

    Attributes
    ----------
    estimate, low, high
        Harm avoided, as a probability; below 0 where premium adds harm.
    num_treated, num_control
        Parcels on premium and on standard service.
    """

    estimate: float
    low: float
    high: float
    num_treated: int
    num_control: int


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """
    Parcels to compare, all arrays ``(n,)``.

    Attributes
    ----------
    happened
        ``float64``, 0 or 1.
    is_premium
        ``bool``.
    propensity
        ``float64`` strictly between 0 and 1.
    standard, premium
        ``float64``: predictions from other rows.
    """

    happened: NDArray[np.float64]
    is_premium: NDArray[np.bool_]
    propensity: NDArray[np.float64]
    standard: NDArray[np.float64]
    premium: NDArray[np.float64]

    def where(self, keep: NDArray[np.bool_]) -> Sample:
        """Some of the parcels."""
        return Sample(
            self.happened[keep],
            self.is_premium[keep],
            self.propensity[keep],
            self.standard[keep],
            self.premium[keep],
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """Parcels on premium and on standard service."""
        premium = int(self.is_premium.sum())
        return premium, len(self.is_premium) - premium


def estimate_all(sample: Sample) -> dict[str, Estimate]:
    """
    Estimate by every method; empty where one of the two groups has under two parcels.

    With fewer than ``MIN_EVENTS`` events in a group the theory of the weighted
    estimates does not hold, and only the difference is given.

    Examples
    --------
    >>> happened = np.array([0.0, 0, 0, 1] * 50 + [0.0, 1, 0, 1] * 50)
    >>> is_premium = np.repeat([True, False], 200)
    >>> half = np.full(400, 0.5)
    >>> sample = Sample(happened, is_premium, half, half, half)
    >>> {name: round(e.estimate, 9) for name, e in estimate_all(sample).items()}
    {'difference': 0.25, 'ipw': 0.25, 'doubly_robust': 0.25}
    """
    if min(sample.sizes) < 2:
        return {}
    found = {"difference": difference(sample)}
    if _num_events(sample) >= MIN_EVENTS:
        found |= {"ipw": ipw(sample), "doubly_robust": doubly_robust(sample)}
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _num_events(sample: Sample) -> int:
    """Events, or parcels without one, whichever are rarest in either group."""
    counts = []
    for side in (sample.is_premium, ~sample.is_premium):
        events = int(sample.happened[side].sum())
        counts += [events, int(side.sum()) - events]
    return min(counts)


def difference(sample: Sample) -> Estimate | None:
    """
    Difference in means within groups of one propensity.

    Groups in which everybody got the same service carry no information and are left
    out; ``None`` where no group is left.
    """
    total, weight, below, above, sizes = 0.0, 0, 0.0, 0.0, np.zeros(2, int)
    for chance in np.unique(sample.propensity):
        group = sample.where(sample.propensity == chance)
        treated, control = group.sizes
        if not (treated and control):
            continue
        premium, standard = _shares(group)
        size = treated + control
        total += size * (standard.mean - premium.mean)
        below += size**2 * (
            (standard.mean - standard.low) ** 2 + (premium.high - premium.mean) ** 2
        )
        above += size**2 * (
            (standard.high - standard.mean) ** 2 + (premium.mean - premium.low) ** 2
        )
        weight += size
        sizes += (treated, control)
    if weight == 0:
        return None
    center = total / weight
    low, high = center - below**0.5 / weight, center + above**0.5 / weight
    return Estimate(center, low, high, int(sizes[0]), int(sizes[1]))


@dataclass(frozen=True, slots=True)
class _Share:
    mean: float
    low: float
    high: float


def _shares(group: Sample) -> tuple[_Share, _Share]:
    """Shares of premium and of standard parcels to which it happened."""
    sides = group.is_premium, ~group.is_premium
    return _wilson(group.happened[sides[0]]), _wilson(group.happened[sides[1]])


def _wilson(happened: NDArray[np.float64]) -> _Share:
    """Share with its Wilson interval."""
    stats = import_extra("scipy.stats", needed_by=LEARNING)
    test = stats.binomtest(int(happened.sum()), len(happened))
    interval = test.proportion_ci(LEVEL, method="wilson")
    return _Share(float(happened.mean()), float(interval.low), float(interval.high))


def ipw(sample: Sample) -> Estimate:
    """Difference of normalised inverse-propensity means."""
    premium, chance = sample.is_premium, sample.propensity
    weights = premium / chance, ~premium / (1 - chance)
    means = [float((w * sample.happened).sum() / w.sum()) for w in weights]
    influence = np.where(
        premium,
        -weights[0] / weights[0].mean() * (sample.happened - means[0]),
        weights[1] / weights[1].mean() * (sample.happened - means[1]),
    )
    # Sums of squares about 0: each side's deviations add up to 0 on their own.
    return _interval(means[1] - means[0], influence, sample)


def doubly_robust(sample: Sample) -> Estimate:
    """Mean of the doubly robust scores."""
    found = dr_scores(
        sample.happened,
        sample.is_premium,
        sample.propensity,
        sample.standard,
        sample.premium,
    ).score
    center = float(found.mean())
    return _interval(center, found - center, sample)


def _interval(
    center: float, influence: NDArray[np.float64], sample: Sample
) -> Estimate:
    """Student's interval around a mean of influences, by Satterthwaite."""
    treated, control = sample.sizes
    n = len(influence)
    parts = [
        float((influence[side] ** 2).sum()) / n**2 * size / (size - 1)
        for side, size in (
            (sample.is_premium, treated),
            (~sample.is_premium, control),
        )
    ]
    variance = sum(parts)
    scale = parts[0] ** 2 / (treated - 1) + parts[1] ** 2 / (control - 1)
    degrees = variance**2 / scale if scale > 0 else 1.0
    stats = import_extra("scipy.stats", needed_by=LEARNING)
    half = float(stats.t.ppf(0.5 + LEVEL / 2, degrees))
    half *= variance**0.5
    return Estimate(center, center - half, center + half, treated, control)


def nights_to_see(
    effect: float, base: float, treated: float, control: float, power: float = 0.8
) -> float:
    """
    Nights until an effect would be significant: 5 % two-sided, with a given power.

    Parameters
    ----------
    effect
        Harm avoided, as a probability.
    base
        Probability on standard service.
    treated, control
        Parcels a night in each group.
    power
        Probability of a significant result.

    Examples
    --------
    >>> round(nights_to_see(0.05, 0.15, treated=300, control=6), 1)
    67.7
    """
    if effect == 0 or min(treated, control) == 0:
        return float("inf")
    premium = min(max(base - effect, 0.0), 1.0)
    reach = _Z + NormalDist().inv_cdf(power)
    variance = premium * (1 - premium) / treated + base * (1 - base) / control
    return reach**2 * variance / effect**2
