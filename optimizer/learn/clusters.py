r"""
Parcels that were drawn together know less than as many that were drawn each on its own.

With ``holdout.unit: station-day`` one draw decides for all chosen parcels of a station
and a day, and whatever else happened there that day, happened to all of them. With
:math:`z` what a parcel would avoid if a kept promise removed everything, scores
:math:`\psi` with variances :math:`v`, and :math:`\hat g` the share that fits them all,

.. math:: w = \frac{C}{C - 1}\,\frac{\sum_c \bigl(\sum_{i \in c}
          z_i (\psi_i - z_i \hat g) / v_i\bigr)^2}{\sum_i z_i^2 / v_i}
          \Bigl(\frac{t_{C' - 1}}{\Phi^{-1}(0.975)}\Bigr)^2

is the variance of :math:`\hat g` that the :math:`C` draws show (the sandwich of Liang
and Zeger), over the one that independent parcels would have; :math:`t` is Student's, by
the draws :math:`C'` of the service that has fewer. Every row then counts as
:math:`1/w` of itself, and :math:`w` is never below 1.

One number for all coefficients: a matrix of their own would need more draws than
coefficients, of which there are dozens. It is exact for the mean effect; of columns
that differ within a draw it makes too little rather than too much.

References
----------
Liang, K.-Y., Zeger, S. L. (1986). Longitudinal data analysis using generalized linear
models. Biometrika 73, 13-22. Pauli, F., Racugno, W., Ventura, L. (2011). Bayesian
composite marginal likelihoods. Statistica Sinica 21, 149-164.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.extras import import_extra
from optimizer.learn.risk import LEARNING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.learn.effect import Scores

_TAIL = 0.975


def widening(
    found: Scores,
    reach: NDArray[np.float64],
    is_premium: NDArray[np.bool_],
    cluster: NDArray[np.int64] | None,
) -> float:
    """
    By how much parcels that were drawn together widen the variance of the mean effect.

    Parameters
    ----------
    found
        Scores of ``n`` parcels, as if each had been drawn on its own.
    reach
        ``(n,) float64``: harm avoided if a kept promise removed all of it.
    is_premium
        ``(n,) bool``.
    cluster
        ``(n,) int64``: parcels that were drawn together; ``None``: each on its own.

    Returns
    -------
    float
        1 or more.

    Examples
    --------
    >>> from optimizer.learn.effect import Scores
    >>> scores = Scores(np.repeat([0.0, 1.0] * 20, 5), np.ones(200))
    >>> reach, is_premium = np.ones(200), np.repeat([True, False] * 20, 5)
    >>> widening(scores, reach, is_premium, None)
    1.0
    >>> round(widening(scores, reach, is_premium, np.repeat(np.arange(40), 5)), 2)
    1.46
    """
    if cluster is None or len(cluster) == 0:
        return 1.0
    z, v = reach, found.variance
    information = float((z / v) @ z)
    share = float((z / v) @ found.score) / information if information else 0.0
    sums = cluster_sums(z * (found.score - z * share) / v, cluster)
    if information == 0 or len(sums) == 1:
        return 1.0
    seen = float(sums @ sums) * len(sums) / (len(sums) - 1) / information
    fewer = min(len(np.unique(cluster[side])) for side in (is_premium, ~is_premium))
    return max(1.0, seen * student(fewer) ** 2)


def cluster_sums(
    parts: NDArray[np.float64], cluster: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """
    Sum what belongs together; each part alone where nothing does.

    Examples
    --------
    >>> cluster_sums(np.array([1.0, 2.0, 4.0]), np.array([7, 9, 7])).tolist()
    [5.0, 2.0]
    """
    if cluster is None:
        return parts
    _, place = np.unique(cluster, return_inverse=True)
    return np.bincount(place, weights=parts).astype(np.float64)


def student(num_draws: int) -> float:
    """
    How much wider an interval is for so few draws.

    Examples
    --------
    >>> [round(student(number), 2) for number in (2, 7, 60)]
    [6.48, 1.25, 1.02]
    """
    stats = import_extra("scipy.stats", needed_by=LEARNING)
    wide = stats.t.ppf(_TAIL, max(num_draws - 1, 1))
    return float(wide / stats.norm.ppf(_TAIL))
