r"""
The benefit of doubt: a plan goes on until premium is known not to be worth its fee.

A few nights measure the share that a kept promise removes to a standard error as large
as the share itself. Nights that went by its mean alone would often choose nobody after
a week, and a night that chooses nobody learns next to nothing: the error would stay. So
"choose fewer" is a change of the plan like any other and must be known to be better:
at the upper end :math:`c` of one-sided confidence premium is not worth its fee. It asks
for more than a challenger does, since a plan that has stopped does not find out.

Let :math:`\sigma_h` be the standard deviation of the mean effect on harm :math:`h`, and
:math:`S_h` what one such step is worth in CNY over the parcels with the highest risk.
With :math:`t` standard errors of the doubt, the effect on harm :math:`h` is raised by

.. math:: t\, \sigma_h\, \frac{S_h}{\sqrt{\sum_k S_k^2}},

so that the worth of these parcels rises by :math:`t` of its own standard errors. The
least :math:`0 \le t \le \Phi^{-1}(c)` is taken by which the plan has as many parcels as
at the upper end; where the mean has them, nothing is raised. So the promise of a night
is the least that keeps the plan going, and where the upper end is not worth the fee
either, nobody is chosen.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.learned_model import Doubt
from optimizer.build.model_prediction import coefficients, kept_effect, premium_risk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import Effect

#: How sure it must be that premium is not worth its fee: as sure as intervals are.
SURE = 0.95
#: Halvings of the interval of the raise: to a thousandth of the whole.
_NUM_HALVINGS = 10
#: Decimals of a raise, far below its noise.
_DIGITS = 6


def raised(
    effects: Mapping[str, Effect],
    steps: Mapping[str, float],
    num_chosen: Callable[[Mapping[str, float]], float],
    told: Callable[[str, Effect, float], Doubt],
    confidence: float = SURE,
) -> dict[str, Effect]:
    """
    Raise effects for want of knowledge, as little as keeps the plan going.

    Parameters
    ----------
    effects
        As fitted, by harm.
    steps
        By harm, the raise of one standard error; see :func:`steps_of`.
    num_chosen
        Parcels that the plan has when effects are raised by so much; the more, the
        higher.
    told
        What a harm's effect and its raise come to; see :func:`doubt_of`.
    confidence
        How sure it must be that the plan is not worth its fee.
    """
    most = NormalDist().inv_cdf(confidence)

    def by(errors: float) -> dict[str, float]:
        return {harm: errors * steps.get(harm, 0.0) for harm in effects}

    wanted = num_chosen(by(most)) if any(steps.values()) else 0.0
    if num_chosen(by(0.0)) >= wanted:
        return dict(effects)
    low, high = 0.0, most
    for _ in range(_NUM_HALVINGS):
        middle = (low + high) / 2
        if num_chosen(by(middle)) >= wanted:
            high = middle
        else:
            low = middle
    more = by(high)
    rises = {harm: round(more[harm], _DIGITS) for harm in effects}
    return {
        harm: _by(effect, rises[harm], told(harm, effect, rises[harm]))
        if rises[harm]
        else effect
        for harm, effect in effects.items()
    }


def steps_of(
    frame: pl.DataFrame,
    effects: Mapping[str, Effect],
    worth: Mapping[str, NDArray[np.float64]],
) -> dict[str, float]:
    r"""
    Raise of each effect that is one standard error of the plan's worth.

    Parameters
    ----------
    frame
        The ``n`` parcels of highest risk.
    effects
        As fitted, by harm.
    worth
        By harm, ``(n,) float64``: what all of each parcel's harm is worth, in CNY.
    """
    spreads, sums = {}, {}
    for harm, effect in effects.items():
        weight = worth[harm]
        total = float(weight.sum())
        if total <= 0:
            continue
        mean = weight @ coefficients(frame, effect) / total
        variance = float(mean @ np.array(effect.covariance) @ mean)
        spreads[harm] = max(variance, 0.0) ** 0.5
        sums[harm] = spreads[harm] * total
    whole = float(np.hypot.reduce(np.array([0.0, *sums.values()])))
    return {harm: spreads[harm] * sums[harm] / whole if whole else 0.0 for harm in sums}


def doubt_of(
    frame: pl.DataFrame, risk: NDArray[np.float64], effect: Effect, more: float
) -> Doubt:
    r"""
    What an effect and its raise come to as shares of the harm of some parcels.

    With risks :math:`p_i` and, promises kept, :math:`q_i`, the share removed is
    :math:`1 - \sum_i q_i / \sum_i p_i`, and its standard error is that of the
    coefficients, to first order.

    Parameters
    ----------
    frame
        ``n`` parcels.
    risk
        ``(n,) float64``: on standard service.
    effect
        As fitted.
    more
        By how much its intercept is raised.
    """
    removed, total = kept_effect(frame, effect), float(risk.sum())

    def share(raise_: float) -> float:
        left = premium_risk(risk, removed + raise_, effect.link)
        return 1 - float(left.sum()) / total

    left = premium_risk(risk, removed, effect.link)
    slope = left * (1 - left) if effect.link == "logit" else risk
    along = slope @ coefficients(frame, effect) / total
    variance = float(along @ np.array(effect.covariance) @ along)
    return Doubt(
        measured=share(0.0), error=max(variance, 0.0) ** 0.5, taken=share(more)
    )


def _by(effect: Effect, more: float, doubt: Doubt) -> Effect:
    return effect.model_copy(
        update={
            "intercept": effect.intercept + more,
            "raised": effect.raised + more,
            "doubt": doubt,
        }
    )
