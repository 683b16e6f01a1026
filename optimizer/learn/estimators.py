r"""
Four estimators of the effect of premium on a probability, with 95 % intervals.

Positive is good: the probability of the harm on standard service less that on
premium. All estimate the mean over the parcels that are compared, and none moves when
a constant is added to the harm.

- ``difference``: difference in means within groups of one propensity, weighted by
  their size.
- ``ipw``: means weighted by the inverse propensity and normalised (Hájek; SNIPW).
- ``adjusted``: the same, adjusted by a regression of the outcome on the predicted risk
  within either service (Lin), which needs no prediction to be right.
- ``doubly_robust``: predictions from other rows, corrected by normalised weighted
  residuals; right if either the propensities or the predictions are.

With :math:`w` the weights of a service normalised to 1, :math:`r` its residuals, and
:math:`\mu` predictions (0 for ``ipw``, those of the regression for ``adjusted``), the
last three are

.. math:: \frac1n \sum (\mu_0 - \mu_1) + \sum w_0 r_0 - \sum w_1 r_1 .

Each mean has Wilson's interval, on the effective number of parcels of its weights, and
scaled by what the predictions explain; the two are joined by Newcombe's square-and-add
(MOVER), which keeps its level where events are rare. So every method is shown for every
group of ``MIN_PARCELS`` on either service, whatever happened to them: to show an
estimate only where enough happened would make it wrong.

Whoever looks every night finds something some night. ``low_always`` and ``high_always``
hold the truth on all nights together with 95 % (asymptotic confidence sequences).

References
----------
Donner, A., Zou, G. Y. (2012). Closed-form confidence intervals for functions of the
normal mean and standard deviation. Statistical Methods in Medical Research 21, 347-359.
Lin, W. (2013). Agnostic notes on regression adjustments to experimental data. Annals of
Applied Statistics 7, 295-318. Newcombe, R. G. (1998). Interval estimation for the
difference between independent proportions. Statistics in Medicine 17, 873-890.
Waudby-Smith, I., Arbour, D., Sinha, R., Kennedy, E. H., Ramdas, A. (2024). Time-uniform
central limit theory and asymptotic confidence sequences. Annals of Statistics 52,
2613-2640.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from optimizer.extras import import_extra
from optimizer.learn.clusters import cluster_sums

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LEVEL = 0.95
_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
#: Parcels that either service needs for the weighted estimates.
MIN_PARCELS = 30
METHODS = ("difference", "adjusted", "ipw", "doubly_robust")
#: Parcels at which intervals for all looks together are narrowest.
BEST_LOOK = 2_000
#: Beyond so many different propensities the difference compares tenths of them.
MAX_GROUPS, _NUM_TENTHS = 50, 10


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
    low_always, high_always
        Interval that holds the truth at all looks together.
    """

    estimate: float
    low: float
    high: float
    num_treated: int
    num_control: int
    low_always: float
    high_always: float


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
    cluster
        ``int64``: parcels that were drawn together; ``None``: each on its own.
    """

    happened: NDArray[np.float64]
    is_premium: NDArray[np.bool_]
    propensity: NDArray[np.float64]
    standard: NDArray[np.float64]
    premium: NDArray[np.float64]
    cluster: NDArray[np.int64] | None = None

    def where(self, keep: NDArray[np.bool_] | slice) -> Sample:
        """Some of the parcels."""
        return Sample(
            self.happened[keep],
            self.is_premium[keep],
            self.propensity[keep],
            self.standard[keep],
            self.premium[keep],
            None if self.cluster is None else self.cluster[keep],
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """Parcels on premium and on standard service."""
        premium = int(self.is_premium.sum())
        return premium, len(self.is_premium) - premium


def estimate_all(sample: Sample, level: float = LEVEL) -> dict[str, Estimate]:
    """
    Estimate by every method that the sizes of the two groups allow.

    The difference needs two parcels on either service, the others ``MIN_PARCELS``:
    sizes are known before anything happens.

    Parameters
    ----------
    sample
        Parcels to compare.
    level
        Share of such intervals that hold the truth; above ``LEVEL`` where several are
        to hold it together.

    Examples
    --------
    >>> happened = np.array([0.0, 0, 0, 1] * 50 + [0.0, 1, 0, 1] * 50)
    >>> is_premium = np.repeat([True, False], 200)
    >>> half = np.full(400, 0.5)
    >>> sample = Sample(happened, is_premium, half, half, half)
    >>> {name: round(e.estimate, 9) for name, e in estimate_all(sample).items()}
    {'difference': 0.25, 'adjusted': 0.25, 'ipw': 0.25, 'doubly_robust': 0.25}
    """
    if min(sample.sizes) < 2:
        return {}
    found = {"difference": difference(sample, level)}
    if min(sample.sizes) >= MIN_PARCELS:
        found |= {
            "adjusted": adjusted(sample, level),
            "ipw": ipw(sample, level),
            "doubly_robust": doubly_robust(sample, level),
        }
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def difference(sample: Sample, level: float = LEVEL) -> Estimate | None:
    """
    Difference in means within groups of one propensity.

    Groups in which everybody got the same service carry no information and are left
    out; ``None`` where no group is left.
    """
    groups = []
    label = _propensity_groups(sample.propensity)
    for one in range(int(label.max(initial=-1)) + 1):
        group = sample.where(label == one)
        if min(group.sizes):
            groups.append(group)
    if not groups:
        return None
    size = np.array([sum(group.sizes) for group in groups], float)
    means = np.array([_means(group) for group in groups])
    counts = np.array([group.sizes for group in groups], float)
    center = float(size @ (means[:, 1] - means[:, 0]) / size.sum())

    nothing = np.zeros(len(sample.happened))
    wider = _error(sample, nothing, nothing).wider

    def interval(z: float) -> tuple[float, float]:
        below, above = (wider * reach for reach in _wilson(means, counts, z))
        low = size**2 @ (below[:, 1] ** 2 + above[:, 0] ** 2)
        high = size**2 @ (above[:, 1] ** 2 + below[:, 0] ** 2)
        return float(low**0.5 / size.sum()), float(high**0.5 / size.sum())

    treated, control = (int(num) for num in counts.sum(axis=0))
    found = _estimate(center, interval, (treated, control), level)
    return found if sample.cluster is None else _few_clusters(found, sample, level)


def _propensity_groups(propensity: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number the groups of one propensity, or of one tenth where most differ."""
    values, label = np.unique(propensity, return_inverse=True)
    if len(values) <= MAX_GROUPS:
        return label
    edges = np.quantile(propensity, np.arange(1, _NUM_TENTHS) / _NUM_TENTHS)
    return np.searchsorted(edges, propensity, side="right")


def _means(group: Sample) -> tuple[float, float]:
    """Shares of premium and of standard parcels to which it happened."""
    side = group.is_premium
    return float(group.happened[side].mean()), float(group.happened[~side].mean())


def _wilson(
    mean: NDArray[np.float64], size: NDArray[np.float64], z: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far Wilson's interval of a share reaches below and above it."""
    shrink = 1 + z**2 / size
    center = (mean + z**2 / (2 * size)) / shrink
    half = z / shrink * np.sqrt(mean * (1 - mean) / size + z**2 / (4 * size**2))
    return mean - center + half, center + half - mean


def ipw(sample: Sample, level: float = LEVEL) -> Estimate:
    """Difference of normalised inverse-propensity means."""
    nothing = np.zeros(len(sample.happened))
    return _weighted(sample, nothing, nothing, level)


def adjusted(sample: Sample, level: float = LEVEL) -> Estimate:
    """Normalised means, adjusted by a line in the predicted risk for either service."""
    risk = sample.standard - sample.standard.mean()
    lines = []
    for side, weight in zip(_sides(sample), _weights(sample), strict=True):
        own, w = risk[side], weight[side]
        spread = own - w @ own
        square = w @ spread**2
        y = sample.happened[side]
        # Where all predictions are alike there is nothing to adjust by.
        slope = (w * spread) @ y / square if square > 1e-12 else 0.0
        lines.append(w @ y + slope * (risk - w @ own))
    return _weighted(sample, lines[1], lines[0], level)


def doubly_robust(sample: Sample, level: float = LEVEL) -> Estimate:
    """Predictions, corrected by normalised weighted residuals."""
    return _weighted(sample, sample.standard, sample.premium, level)


def _sides(sample: Sample) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Parcels on premium, and on standard service."""
    return sample.is_premium, ~sample.is_premium


def _weights(sample: Sample) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inverse propensities of either service, which add up to 1."""
    premium, standard = _sides(sample)
    found = premium / sample.propensity, standard / (1 - sample.propensity)
    return found[0] / found[0].sum(), found[1] / found[1].sum()


def _weighted(
    sample: Sample,
    standard: NDArray[np.float64],
    premium: NDArray[np.float64],
    level: float,
) -> Estimate:
    """Predictions and weighted residuals of them, and the interval of the sum."""
    error = _error(sample, standard, premium)

    def interval(z: float) -> tuple[float, float]:
        below, above = (error.scale * reach for reach in _wilson(*error.share, z))
        return float(np.hypot(below[1], above[0])), float(np.hypot(above[1], below[0]))

    found = _estimate(error.center, interval, sample.sizes, level)
    return found if sample.cluster is None else _few_clusters(found, sample, level)


@dataclass(frozen=True, slots=True, eq=False)
class _Error:
    """
    A weighted sum, and how sure it is; arrays are of premium and standard service.

    Attributes
    ----------
    center
        The sum.
    share
        Weighted mean of what happened and effective number of parcels, ``(2,)`` each.
    scale
        ``(2,)``: its standard error against that of such a share.
    wider
        ``(2,)``: by how much clusters widen it.
    """

    center: float
    share: tuple[NDArray[np.float64], NDArray[np.float64]]
    scale: NDArray[np.float64]
    wider: NDArray[np.float64]


def _error(
    sample: Sample, standard: NDArray[np.float64], premium: NDArray[np.float64]
) -> _Error:
    weights = _weights(sample)
    residual = sample.happened - premium, sample.happened - standard
    correction = [float(w @ r) for w, r in zip(weights, residual, strict=True)]
    gain = standard - premium
    # Each parcel's part in the error of the sum.
    share = (gain - gain.mean()) / len(gain)
    share = share + weights[1] * (residual[1] - correction[1])
    share = share - weights[0] * (residual[0] - correction[0])
    mean = np.array([float(w @ sample.happened) for w in weights])
    size = np.array([1 / float(w @ w) for w in weights])
    alone = np.array([_square(share[side]) for side in _sides(sample)])
    found = alone
    if sample.cluster is not None:
        together = [(share[side], sample.cluster[side]) for side in _sides(sample)]
        sums = [cluster_sums(own, cluster) for own, cluster in together]
        found = np.array([_square(one) for one in sums])
    # The variance of one event more keeps a group without any from looking certain.
    event = 1 / size**2
    scale = np.sqrt((found + event) / (mean * (1 - mean) / size + event))
    wider = np.sqrt((found + event) / (alone + event))
    center = float(gain.mean()) + correction[1] - correction[0]
    return _Error(center, (mean, size), scale, wider)


def _square(parts: NDArray[np.float64]) -> float:
    return float(parts @ parts) * len(parts) / max(len(parts) - 1, 1)


def _few_clusters(found: Estimate, sample: Sample, level: float) -> Estimate:
    """Widen an interval as Student's t does, by the clusters of the smaller group."""
    cluster = sample.cluster
    if cluster is None:
        return found
    number = min(len(np.unique(cluster[side])) for side in _sides(sample))
    stats = import_extra("scipy.stats", needed_by="learning and measuring")
    tail = 0.5 + level / 2
    ratio = float(stats.t.ppf(tail, max(number - 1, 1)) / stats.norm.ppf(tail))
    center = found.estimate
    ends = ("low", "high", "low_always", "high_always")
    moved = {n: center + ratio * (getattr(found, n) - center) for n in ends}
    return replace(found, **moved)


def _estimate(
    center: float,
    interval: Callable[[float], tuple[float, float]],
    sizes: tuple[int, int],
    level: float,
) -> Estimate:
    below, above = interval(NormalDist().inv_cdf(0.5 + level / 2))
    below_always, above_always = interval(z_always(sum(sizes), level))
    return Estimate(
        estimate=center,
        low=center - below,
        high=center + above,
        num_treated=sizes[0],
        num_control=sizes[1],
        low_always=center - below_always,
        high_always=center + above_always,
    )


def z_always(num_parcels: int, level: float = LEVEL) -> float:
    """
    Standard errors within which an estimate stays at all looks together.

    Examples
    --------
    >>> [round(z_always(number), 2) for number in (100, 2_000, 200_000)]
    [4.72, 3.04, 3.56]
    """
    alpha = 1 - level
    reach = -2 * np.log(alpha)
    rate = num_parcels * (reach + np.log(reach + 1)) / BEST_LOOK
    return float(np.sqrt(2 * (rate + 1) / rate * np.log(np.sqrt(rate + 1) / alpha)))


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
