r"""
How sure a sum of harms in CNY is, where hardly any of them happened.

With propensities :math:`e_i`, harms :math:`C_i` in CNY and their predictions
:math:`m_i` on the service that a parcel got, what plans realised differs from what they
avoid by

.. math:: \sum_{T_i = 0} w_i (C_i - m_i) - \sum_{T_i = 1} (C_i - m_i), \qquad
          w_i = \frac{e_i}{1 - e_i} .

Each of the two sums is of few parcels that count for much, so its error is neither
normal nor told by what happened to happen: of five parcels without a complaint it would
be none. Each has therefore the interval of Fay and Feuer for a weighted sum :math:`y`
of rare events with :math:`v = \sum (w_i C_i)^2`,

.. math:: \frac{v}{2y} \chi^2_{2y^2/v}(\tfrac{\alpha}{2}) \quad\text{to}\quad
          \frac{v + k^2}{2(y + k)} \chi^2_{2(y+k)^2/(v+k^2)}(1 - \tfrac{\alpha}{2}),

in which :math:`k`, one event more, is that of the design: the mean weight of the group
by :math:`e_i`, with all harms at once. It is scaled by what the predictions explain,
and the two are joined by square-and-add (Newcombe). Where many happened, it is the
normal interval.

References
----------
Fay, M. P., Feuer, E. J. (1997). Confidence intervals for directly standardized rates: a
method based on the gamma distribution. Statistics in Medicine 16, 791-801. Newcombe,
R. G. (1998). Interval estimation for the difference between independent proportions.
Statistics in Medicine 17, 873-890.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.extras import import_extra
from optimizer.learn.risk import LEARNING

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TAIL = 0.025
#: Parcels of either service that the propensities let expect, without which no interval
#: is told. Both are known before anything happens.
LEAST_EXPECTED = 5


@dataclass(frozen=True, slots=True, eq=False)
class RareHarms:
    """
    Harms of parcels that were left to chance, all arrays ``(n,)``.

    Attributes
    ----------
    harm, predicted
        ``float64``: in CNY, on the service that each got.
    is_premium
        ``bool``.
    propensity
        ``float64`` strictly between 0 and 1.
    most
        Of one parcel to which everything happens, in CNY.
    """

    harm: NDArray[np.float64]
    predicted: NDArray[np.float64]
    is_premium: NDArray[np.bool_]
    propensity: NDArray[np.float64]
    most: float

    def where(self, keep: NDArray[np.bool_]) -> RareHarms:
        """Some of the parcels."""
        return RareHarms(
            self.harm[keep],
            self.predicted[keep],
            self.is_premium[keep],
            self.propensity[keep],
            self.most,
        )

    @property
    def weight(self) -> NDArray[np.float64]:
        """For how much of a plan's parcel each counts."""
        return np.where(self.is_premium, 1.0, self.propensity / (1 - self.propensity))

    @property
    def left(self) -> NDArray[np.float64]:
        """Each one's part in the error of what was realised, in CNY."""
        sign = np.where(self.is_premium, -1.0, 1.0)
        return sign * self.weight * (self.harm - self.predicted)

    @property
    def is_enough(self) -> bool:
        """Whether enough of either service were to be expected for an interval."""
        premium = float(self.propensity.sum())
        least = min(premium, len(self.propensity) - premium)
        return least > LEAST_EXPECTED - 1e-6


def reach(harms: RareHarms) -> tuple[float, float]:
    """
    How far the 95 % interval of what was realised goes below and above it.

    Examples
    --------
    Ten parcels on premium and ten on standard service, and one complaint of 30 CNY on
    standard: more than these 30 may have been avoided, or added.

    >>> complaint = np.repeat([0.0, 30.0], [19, 1])
    >>> half, is_premium = np.full(20, 0.5), np.repeat([True, False], 10)
    >>> one = RareHarms(complaint, np.full(20, 1.5), is_premium, half, most=30.0)
    >>> [round(end, 1) for end in reach(one)]
    [115.7, 134.6]
    """
    weight = harms.weight
    chance, other = harms.propensity, 1 - harms.propensity
    events = (
        harms.most * float((chance**2 / other).sum() / chance.sum()),
        harms.most,
    )
    ends = []
    for side, event in zip((~harms.is_premium, harms.is_premium), events, strict=True):
        seen = weight[side] * harms.harm[side]
        square, residual = float(seen @ seen), harms.left[side]
        # The square of one event more keeps few parcels from looking certain.
        explained = (float(residual @ residual) + event**2) / (square + event**2)
        below, above = _gamma_reach(float(seen.sum()), square, event)
        ends.append((explained**0.5 * below, explained**0.5 * above))
    standard, premium = ends
    low = float(np.hypot(standard[0], premium[1]))
    high = float(np.hypot(standard[1], premium[0]))
    return low, high


def _gamma_reach(total: float, square: float, event: float) -> tuple[float, float]:
    """How far Fay and Feuer's interval of a weighted sum goes below and above it."""
    stats = import_extra("scipy.stats", needed_by=LEARNING)
    low = 0.0
    if total > 0:
        freedom = 2 * total**2 / square
        low = square / (2 * total) * float(stats.chi2.ppf(_TAIL, freedom))
    most, wide = total + event, square + event**2
    high = wide / (2 * most) * float(stats.chi2.ppf(1 - _TAIL, 2 * most**2 / wide))
    return total - low, high - total
