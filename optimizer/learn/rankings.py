"""Rankings that people would use, and the measured one, judged by what came of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.model_prediction import kept_effect
from optimizer.config import policy_on
from optimizer.contracts.warnings import warn
from optimizer.io.order_keys import order_keys
from optimizer.learn.effect import configured_belief, fit_effect, kept_share, scores
from optimizer.learn.overlap import Comparable
from optimizer.learn.risk import NUM_FOLDS, OUTCOME_OF, at_rows, folds, harm_costs_cny
from optimizer.learn.units import drawn_whole
from optimizer.learn.uplift import judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from optimizer.build.learned_model import Promise
    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.risk import CrossFit

#: A rule is judged on at least so many parcels of either service.
MIN_RANKED = 50


def judged_rules(
    data: Comparable,
    fits: Mapping[str, CrossFit],
    kept: list[Promise],
    config: Config,
) -> tuple[list[dict[str, Any]], list[CodedWarning]]:
    """
    Judge rankings where any parcel could get premium: in the explore arm.

    The measured ranking is by predicted harm avoided, from other folds.

    Parameters
    ----------
    data
        Rows on which every recorded harm is known.
    fits
        Predictions for these rows, by harm.
    kept
        Which promises are kept.
    config
        Costs, and the cap's rate.
    """
    frame = data.frame
    inside = np.ones(len(frame), np.bool_)
    if data.kind == "randomised":
        inside = (frame["arm"] == "explore").fill_null(value=False).to_numpy()
    is_premium = frame["is_premium"].to_numpy()
    if min((inside & is_premium).sum(), (inside & ~is_premium).sum()) < MIN_RANKED:
        return no_rules()
    cost = harm_costs_cny(config)
    happened = {h: frame[OUTCOME_OF[h]].to_numpy().astype(float) for h in fits}
    harm_cny = sum(cost[h] * happened[h] for h in fits)
    risk_cny = np.asarray(sum(cost[h] * fit.standard for h, fit in fits.items()))
    left_cny = np.asarray(sum(cost[h] * fit.premium for h, fit in fits.items()))
    gain_cny = sum(
        cost[h] * _predicted_gain(data, fit, h, kept, config) for h, fit in fits.items()
    )
    lot = order_keys(frame["order_id"], salt=3)[0].astype(np.float64)
    value = frame["order_value_cny"].fill_null(0.0).to_numpy()
    rate = float(policy_on(config, frame["date"][-1]).cap.rate)
    ranks = {"random": lot, "risk": risk_cny, "value": value, "measured": gain_cny}
    return [
        {"rule": name}
        | asdict(
            judge(
                np.asarray(rank)[inside],
                np.asarray(harm_cny)[inside],
                is_premium[inside],
                data.propensity[inside],
                rate,
                standard=risk_cny[inside],
                premium=left_cny[inside],
            )
        )
        for name, rank in ranks.items()
    ], []


def _predicted_gain(
    data: Comparable,
    fit: CrossFit,
    harm: str,
    kept: list[Promise],
    config: Config,
) -> NDArray[np.float64]:
    """Harm avoided by premium, predicted by a model that has not seen the parcel."""
    frame = data.frame
    fold = folds(frame, by_station=bool(drawn_whole(frame, config).any()))
    gain = np.zeros(len(frame))
    reach = fit.standard * frame["take_up"].to_numpy() * kept_share(frame, kept)
    for k in range(NUM_FOLDS):
        inside, others = fold == k, np.flatnonzero(fold != k)
        part = Comparable(frame[others], others, data.propensity[others], data.kind, ())
        own = at_rows(fit, others)
        drawn = scores(part, own, harm)
        belief = configured_belief(config.learning.prior)
        effect = fit_effect(part, drawn, own.standard, kept, belief)
        share = kept_effect(frame.filter(inside), effect)
        gain[inside] = reach[inside] * share
    return gain


def no_rules() -> tuple[list[dict[str, Any]], list[CodedWarning]]:
    """No rule is judged, and why."""
    return [], [warn("RULES_NOT_COMPARED", num_needed=MIN_RANKED)]
