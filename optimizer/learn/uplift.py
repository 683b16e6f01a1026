r"""
How well a ranking finds the parcels that premium helps: uplift curve, AUUC, Qini.

Parcels are ranked by a score, the best first. The curve at share :math:`k/n` is
:math:`G(k) = \frac{k}{n} \hat\tau(k)`: harm avoided per parcel, over all parcels, if
the first :math:`k` got premium, where :math:`\hat\tau(k)` is the effect on these
:math:`k` by normalised inverse propensities, of the residuals where predictions are
given (doubly robust). A constant added to the harm moves none of it. AUUC is the area
under it, Qini the area above the straight line to :math:`G(n)`, which a random ranking
follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_RESAMPLES = 400
_SEED = 20_220_112


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95 % percentile interval over resamples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """
    The value of a ranking.

    Attributes
    ----------
    auuc, qini
        Areas; in the unit of the outcome, per parcel.
    top
        Harm avoided per premium parcel if the best ``top_share`` got it.
    top_share
        As asked for.
    """

    auuc: Interval
    qini: Interval
    top: Interval
    top_share: float


def weights_of(
    is_premium: NDArray[np.bool_], propensity: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``(n,) float64``: the weight of each parcel's harm; below 0 on premium."""
    return np.asarray(~is_premium / (1 - propensity) - is_premium / propensity)


def uplift_curve(
    rank: NDArray[np.float64],
    harm: NDArray[np.float64],
    weight: NDArray[np.float64],
    gain: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """
    Harm avoided per parcel if the best k got premium, for k from 0 to n.

    Parcels of equal score are averaged: the curve is straight there, and where the
    best k all had the same service.

    Parameters
    ----------
    rank
        ``(n,) float64``; larger is better.
    harm
        ``(n,) float64``: what happened, as a probability or as money, less what was
        predicted for the service that the parcel got, if anything was.
    weight
        ``(n,) float64`` from :func:`weights_of`.
    gain
        ``(n,) float64``: predicted harm on standard less that on premium service.

    Returns
    -------
    ``(n + 1,) float64``.

    Examples
    --------
    >>> harm, chance = np.array([1.0, 0.0, 0.0, 0.0]), np.full(4, 0.5)
    >>> weight = weights_of(np.array([False, True, False, True]), chance)
    >>> uplift_curve(np.array([4.0, 3.0, 2.0, 1.0]), harm, weight).tolist()
    [0.0, 0.25, 0.5, 0.375, 0.5]
    """
    order = np.argsort(-rank, kind="stable")
    own, w = harm[order], weight[order]
    ranked = rank[order]
    ends = np.flatnonzero(np.concatenate((ranked[1:] != ranked[:-1], [True])))
    sums = np.array(
        [np.cumsum(part)[ends] for s in (w > 0, w < 0) for part in (w * s, w * s * own)]
    )
    both = (sums[0] > 0) & (sums[2] < 0)
    ends, sums = ends[both], sums[:, both]
    predicted = np.cumsum(np.broadcast_to(gain, rank.shape)[order])[ends]
    found = predicted + (ends + 1) * (sums[1] / sums[0] - sums[3] / sums[2])
    knots, curve = np.append(0, ends + 1), np.append(0.0, found / len(rank))
    return np.interp(np.arange(len(rank) + 1), knots, curve)


def areas(curve: NDArray[np.float64]) -> tuple[float, float]:
    """AUUC and Qini of a curve."""
    share = np.linspace(0, 1, len(curve))
    auuc = float(np.trapezoid(curve, share))
    return auuc, auuc - float(curve[-1]) / 2


def judge(
    rank: NDArray[np.float64],
    harm: NDArray[np.float64],
    is_premium: NDArray[np.bool_],
    propensity: NDArray[np.float64],
    top_share: float,
    *,
    predicted: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> Ranking:
    """
    Judge a ranking, with bootstrap intervals over parcels.

    Parameters
    ----------
    rank, harm, is_premium, propensity
        ``(n,)`` each, in an order that does not depend on the order of input rows.
    top_share
        Share of parcels that would get premium.
    predicted
        Harm on standard and on premium service, from other rows: with it the values
        are doubly robust.
    """
    weight, gain = weights_of(is_premium, propensity), np.zeros(len(rank))
    if predicted is not None:
        harm = harm - np.where(is_premium, predicted[1], predicted[0])
        gain = predicted[0] - predicted[1]
    values = [_one(rank, harm, weight, gain, top_share)]
    rng = np.random.default_rng(_SEED)
    for _ in range(NUM_RESAMPLES):
        pick = rng.integers(0, len(rank), len(rank))
        values.append(_one(rank[pick], harm[pick], weight[pick], gain[pick], top_share))
    table = np.array(values)
    low, high = np.quantile(table[1:], (0.025, 0.975), axis=0)
    found = [
        Interval(*map(float, row)) for row in zip(table[0], low, high, strict=True)
    ]
    return Ranking(found[0], found[1], found[2], top_share)


def _one(
    rank: NDArray[np.float64],
    harm: NDArray[np.float64],
    weight: NDArray[np.float64],
    gain: NDArray[np.float64],
    top_share: float,
) -> tuple[float, float, float]:
    curve = uplift_curve(rank, harm, weight, gain)
    auuc, qini = areas(curve)
    at = max(1, round(top_share * len(rank)))
    return auuc, qini, float(curve[at]) * len(rank) / at
