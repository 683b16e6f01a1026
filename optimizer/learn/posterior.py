r"""
A Gaussian posterior in which the spread of each group of coefficients is learned too.

With information :math:`A = \sum z z^\top / v` and :math:`b = \sum z y / v` of the rows,
prior :math:`N(m, \Lambda^{-1})` and :math:`r = b - A m`,

.. math:: \Sigma = (A + \Lambda)^{-1}, \qquad \hat g = m + \Sigma r, \qquad
          2 \log p(y \mid \Lambda) = r^\top \Sigma r + \log\det\Lambda
          - \log\det(A + \Lambda) + \text{const}.

The prior standard deviation of a group (all carriers, say, around the pool) is not
known: it is averaged over a grid, weighted by that likelihood and a half-normal prior,
group by group (empirical Bayes). Averaged and not maximised: the maximum is often at 0,
and would claim to know that all are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Standard deviations that a group may have.
GRID = np.array([0.01, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0])
_PASSES = 2


@dataclass(frozen=True, slots=True)
class Group:
    """
    Coefficients that scatter around 0 alike.

    Attributes
    ----------
    places
        Which coefficients.
    scale
        Standard deviation of the half-normal prior of their spread.
    """

    places: tuple[int, ...]
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """
    Coefficients with their covariance.

    Attributes
    ----------
    mean
        ``(k,) float64``.
    covariance
        ``(k, k) float64``.
    spread
        ``(k,) float64``: prior standard deviation that each came out with.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    spread: NDArray[np.float64]


def posterior(
    information: NDArray[np.float64],
    moment: NDArray[np.float64],
    start: NDArray[np.float64],
    spread: NDArray[np.float64],
    groups: Sequence[Group],
) -> Posterior:
    """
    Combine prior and rows.

    Parameters
    ----------
    information, moment
        ``(k, k)`` and ``(k,) float64``: :math:`A` and :math:`b`.
    start, spread
        ``(k,) float64``: prior means; prior standard deviations, of coefficients in no
        group for good, of the others to begin with.
    groups
        Whose spread is learned.

    Examples
    --------
    >>> far, near = np.diag([400.0, 400.0]), np.array([200.0, -200.0])
    >>> found = posterior(far, near, np.zeros(2), np.ones(2), [Group((0, 1), 0.3)])
    >>> [round(float(value), 2) for value in found.mean]
    [0.49, -0.49]
    """
    spread = spread.copy()
    rest = moment - information @ start
    for _ in range(_PASSES if len(groups) > 1 else 1):
        for group in groups:
            places = list(group.places)
            weight = _evidence(information, rest, spread, places)
            weight -= (GRID / group.scale) ** 2 / 2
            weight = np.exp(weight - weight.max())
            spread[places] = float((weight @ GRID**2) / weight.sum()) ** 0.5
    covariance = np.linalg.inv(information + np.diag(spread**-2))
    covariance = (covariance + covariance.T) / 2
    return Posterior(start + covariance @ rest, covariance, spread)


def _evidence(
    information: NDArray[np.float64],
    rest: NDArray[np.float64],
    spread: NDArray[np.float64],
    places: list[int],
) -> NDArray[np.float64]:
    """
    Log-likelihood of each spread that a group may have, up to a constant.

    From the posterior with the spreads so far, whose precision changes in the group's
    own places alone: one inverse instead of one for each spread.
    """
    covariance = np.linalg.inv(information + np.diag(spread**-2))
    mean = (covariance @ rest)[places]
    variance, axes = np.linalg.eigh(covariance[np.ix_(places, places)])
    more = GRID[:, None] ** -2 - spread[places[0]] ** -2
    ratio = np.maximum(1 + more * variance, 1e-12)
    lost = more * (axes.T @ mean) ** 2 / ratio
    return np.asarray(
        -lost.sum(axis=1) / 2
        - np.log(ratio).sum(axis=1) / 2
        - len(places) * np.log(GRID)
    )
