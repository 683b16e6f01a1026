r"""
How well a ranking finds the parcels that premium helps: uplift curve, AUUC, Qini.

Parcels are ranked by a score, the best first. With the inverse-propensity score
:math:`\psi_i` of the harm avoided, the curve at share :math:`k/n` is
:math:`G(k) = \frac1n \sum_{i \le k} \psi_i`: harm avoided per parcel, over all parcels,
if the first :math:`k` got premium. AUUC is the area under it, Qini the area above the
straight line to :math:`G(n)`, which a random ranking follows.
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
    rank: NDArray[np.float64], harm: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    Harm avoided per parcel if the best k got premium, for k from 0 to n.

    Parcels of equal score are averaged: the curve is straight there.

    Parameters
    ----------
    rank
        ``(n,) float64``; larger is better.
    harm
        ``(n,) float64``: what happened, as a probability or as money.
    weight
        ``(n,) float64`` from :func:`weights_of`.

    Returns
    -------
    ``(n + 1,) float64``.

    Examples
    --------
    >>> harm, chance = np.array([1.0, 0.0, 0.0, 0.0]), np.full(4, 0.5)
    >>> weight = weights_of(np.array([False, True, False, True]), chance)
    >>> uplift_curve(np.array([4.0, 3.0, 2.0, 1.0]), harm, weight).tolist()
    [0.0, 0.5, 0.5, 0.5, 0.5]
    """
    order = np.argsort(-rank, kind="stable")
    gain = np.concatenate(([0.0], np.cumsum((harm * weight)[order]))) / len(rank)
    ranked = rank[order]
    ends = np.flatnonzero(np.concatenate((ranked[1:] != ranked[:-1], [True]))) + 1
    knots = np.concatenate(([0], ends))
    return np.interp(np.arange(len(rank) + 1), knots, gain[knots])


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
) -> Ranking:
    """
    Judge a ranking, with bootstrap intervals over parcels.

    Parameters
    ----------
    rank, harm, is_premium, propensity
        ``(n,)`` each, in an order that does not depend on the order of input rows.
    top_share
        Share of parcels that would get premium.
    """
    weight = weights_of(is_premium, propensity)
    values = [_one(rank, harm, weight, top_share)]
    rng = np.random.default_rng(_SEED)
    for _ in range(NUM_RESAMPLES):
        pick = rng.integers(0, len(rank), len(rank))
        values.append(_one(rank[pick], harm[pick], weight[pick], top_share))
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
    top_share: float,
) -> tuple[float, float, float]:
    curve = uplift_curve(rank, harm, weight)
    auuc, qini = areas(curve)
    at = max(1, round(top_share * len(rank)))
    return auuc, qini, float(curve[at]) * len(rank) / at
