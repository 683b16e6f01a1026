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
    ranked = _ranked(rank, harm, weight, gain)
    knots, curve = _at_knots(ranked, np.ones(len(rank)))
    return np.interp(np.arange(len(rank) + 1), knots, curve)


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """
    Parcels from the best to the worst.

    Attributes
    ----------
    order
        ``(n,) int64``.
    ends
        ``(t,) int64``: last parcel of each tie.
    parts
        ``(5, n) float64``: weight and weighted harm on standard and on premium service,
        and predicted gain.
    """

    order: NDArray[np.int64]
    ends: NDArray[np.int64]
    parts: NDArray[np.float64]


def _ranked(
    rank: NDArray[np.float64],
    harm: NDArray[np.float64],
    weight: NDArray[np.float64],
    gain: NDArray[np.float64] | float,
) -> _Ranked:
    order = np.argsort(-rank, kind="stable")
    ranked = rank[order]
    ends = np.flatnonzero(np.concatenate((ranked[1:] != ranked[:-1], [True])))
    standard, premium = np.maximum(weight, 0), np.maximum(-weight, 0)
    gains = np.broadcast_to(gain, rank.shape)
    parts = (standard, standard * harm, premium, premium * harm, gains)
    return _Ranked(order, ends, np.stack(parts)[:, order])


def _at_knots(
    ranked: _Ranked, times: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The curve at the ends of ties, where each parcel is there so many times."""
    sums = np.cumsum(ranked.parts * times, axis=1)[:, ranked.ends]
    place = np.cumsum(times)[ranked.ends]
    both = (sums[0] > 0) & (sums[2] > 0)
    control, harm, treated, left, gain = sums[:, both]
    found = gain + place[both] * (harm / control - left / treated)
    return np.append(0.0, place[both]), np.append(0.0, found / place[-1])


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
    standard: NDArray[np.float64] | None = None,
    premium: NDArray[np.float64] | None = None,
) -> Ranking:
    """
    Judge a ranking, with bootstrap intervals over parcels.

    Parameters
    ----------
    rank, harm, is_premium, propensity
        ``(n,)`` each, in an order that does not depend on the order of input rows.
    top_share
        Share of parcels that would get premium.
    standard, premium
        Predicted harm on either service, from other rows: with both the values are
        doubly robust.
    """
    weight, gain = weights_of(is_premium, propensity), np.zeros(len(rank))
    if standard is not None and premium is not None:
        harm = harm - np.where(is_premium, premium, standard)
        gain = standard - premium
    ranked, size = _ranked(rank, harm, weight, gain), len(rank)
    values = [_one(ranked, np.ones(size), top_share)]
    rng = np.random.default_rng(_SEED)
    for _ in range(NUM_RESAMPLES):
        times = np.bincount(rng.integers(0, size, size), minlength=size)
        values.append(_one(ranked, times[ranked.order].astype(float), top_share))
    table = np.array(values)
    low, high = np.quantile(table[1:], (0.025, 0.975), axis=0)
    found = [
        Interval(*map(float, row)) for row in zip(table[0], low, high, strict=True)
    ]
    return Ranking(found[0], found[1], found[2], top_share)


def _one(
    ranked: _Ranked, times: NDArray[np.float64], top_share: float
) -> tuple[float, float, float]:
    knots, curve = _at_knots(ranked, times)
    size = len(times)
    # Beyond the last knot nothing more is known.
    share, value = np.append(knots / size, 1.0), np.append(curve, curve[-1])
    auuc = float(np.trapezoid(value, share))
    at = max(1, round(top_share * size))
    top = float(np.interp(at / size, share, value))
    return auuc, auuc - float(curve[-1]) / 2, top * size / at
