"""
What a night takes for true: where its probabilities come from, and what they rest on.

A proof is about estimates. This lists what the estimates assume; what the plan would
save if premium did less is in :mod:`optimizer.build.lower_bound`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from optimizer.build.learned_model import BEFORE_ANY_NIGHT, HARMS
from optimizer.build.lower_bound import NUM_ERRORS
from optimizer.build.unseen_names import CARRIER, known_names
from optimizer.config import objective_on
from optimizer.contracts.warnings import rate_text, share_text, some, warn

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from optimizer.build.learned_model import LearnedModel, Promise
    from optimizer.build.learned_probabilities import Gaps
    from optimizer.config import Config, PolicyRow
    from optimizer.contracts.warnings import CodedWarning

#: Words for columns whose names a model may not know; others are called as they are.
_NAMED = {
    **{"carrier_id": "carrier", "region_id": "region", "merchant_id": "merchant"},
    **{"category_id": "category", "outlet_id": "outlet"},
}


@dataclass(frozen=True, slots=True, eq=False)
class Grounds:
    """
    What a night's estimates rest on.

    Attributes
    ----------
    model
        The learned model; ``None`` where the tables have all probabilities.
    gaps
        What the night's tables leave to the model.
    config, policy, day
        The rules of the night.
    unseen
        Names in the night's orders and options that the model does not know, by column,
        with the rows that have them.
    num_orders
        The night's orders, by merchant.
    """

    model: LearnedModel | None
    gaps: Gaps
    config: Config
    policy: PolicyRow
    day: dt.date | None
    unseen: Mapping[str, Mapping[str, int]]
    num_orders: Mapping[str, int]


def assumptions(grounds: Grounds) -> tuple[CodedWarning, ...]:
    """
    List what a night takes for true, as codes with values.

    Parameters
    ----------
    grounds
        What its estimates rest on.
    """
    model = grounds.model if grounds.gaps.premium else None
    used = grounds.model if any(grounds.gaps) else None
    found: list[CodedWarning] = []
    if model is None:
        found.append(warn("PROBABILITIES_GIVEN"))
    else:
        found += _of_effect(model, grounds.config)
        found += _of_others(model, grounds.num_orders)
    if used is not None:
        found += _of_risks(used, grounds)
        found += _new_names(used, grounds)
    found += _of_promises(model, grounds)
    if used is not None:
        found += _of_history(used, grounds.day)
        found += _of_alarms(used, grounds.config)
    return (*found, _left_to_chance(grounds.config))


def _of_effect(model: LearnedModel, config: Config) -> list[CodedWarning]:
    """How sure the model is of what premium does, and why."""
    harms = [harm for harm in HARMS if _counts(harm, config)]
    found = [_of_harm(model, harm) for harm in harms]
    # A draw is of what was measured.
    is_drawn = config.objective.explore == "thompson"
    doubts = ((h, model.effect[h].doubt) for h in harms if not is_drawn)
    found += [
        warn(
            "EFFECT_RAISED",
            harm=harm,
            measured=share_text(doubt.measured),
            taken=share_text(doubt.taken),
        )
        for harm, doubt in doubts
        if doubt is not None
    ]
    if (past := model.realised) is not None:
        found.append(
            warn(
                "PROMISED_BEFORE",
                num_parcels=past.num_parcels,
                promised_cny=f"{past.promised_cny:,.2f}",
                realised_cny=f"{past.realised_cny:,.2f}",
                low=f"{past.low:,.2f}",
                high=f"{past.high:,.2f}",
            )
        )
    if model.learner != "stated-risk" and model.kind != "prior" and model.pooled:
        is_tried = len(model.candidates) > 1
        code = "EFFECT_BY_ORDER" if is_tried else "EFFECT_UNTRIED"
        found.append(warn(code, learner=model.learner))
    return found


def _of_others(
    model: LearnedModel, num_orders: Mapping[str, int]
) -> list[CodedWarning]:
    """Orders of merchants whose own parcels say nothing of the effect."""
    num_rows = sum(num_orders.get(merchant, 0) for merchant in model.undrawn)
    if not num_rows:
        return []
    told = {"num_rows": num_rows, "num_orders": sum(num_orders.values())}
    return [warn("EFFECT_OF_OTHERS", **told)]


def _of_harm(model: LearnedModel, harm: str) -> CodedWarning:
    """What is known of the effect on a harm, on the whole."""
    if model.pooled is None:
        return warn("EFFECT_ON_CARD", harm=harm, kind=model.kind)
    known = model.pooled[harm]
    if not known.num_premium and known.prior_weight is None:
        return warn("EFFECT_UNKNOWN", harm=harm)
    half = NUM_ERRORS * known.error
    told = {
        "harm": harm,
        "share": share_text(known.share),
        "low": share_text(known.share - half),
        # Nothing removes more than all.
        "high": share_text(min(1.0, known.share + half)),
    }
    if not known.num_premium:
        return warn("EFFECT_STATED", **told)
    parcels = {"num_parcels": known.num_premium}
    if model.kind != "randomised":
        return warn("EFFECT_NOT_RANDOMISED", **parcels, **told)
    if known.prior_weight is None:
        return warn("EFFECT_MEASURED", **parcels, **told)
    weight = share_text(known.prior_weight)
    return warn("EFFECT_WEIGHED", **parcels, **told, weight=weight)


def _counts(harm: str, config: Config) -> bool:
    return harm == "complaint" or config.counts_returns


def _of_risks(model: LearnedModel, grounds: Grounds) -> list[CodedWarning]:
    """Harms of which the model gives every order the same risk."""
    found = []
    for harm in HARMS:
        risk = model.risk[harm]
        is_asked = harm in grounds.gaps.risks and _counts(harm, grounds.config)
        if is_asked and not risk.slopes and not any(risk.levels.values()):
            share = 1 / (1 + math.exp(-risk.intercept))
            found.append(warn("RISK_TAKEN", harm=harm, share=rate_text(share)))
    return found


def _new_names(model: LearnedModel, grounds: Grounds) -> list[CodedWarning]:
    """Names of the night that the model has no number for, by column."""
    found = []
    others = {name: name for name in sorted(known_names(model)) if name not in _NAMED}
    for column, word in (_NAMED | others).items():
        counts = grounds.unseen.get(column, {})
        new = sorted(counts)
        if column == CARRIER:
            new = [name for name in new if name in grounds.policy.carriers]
        if new:
            found.append(
                warn(
                    "NEW_NAMES",
                    num_names=len(new),
                    num_rows=sum(counts[name] for name in new),
                    column=word,
                    names=some(new),
                )
            )
    return found


def _of_promises(model: LearnedModel | None, grounds: Grounds) -> list[CodedWarning]:
    """Which share of promises is kept, and who says so."""
    roster = sorted({*grounds.policy.carriers})
    rows = objective_on(grounds.config, grounds.policy).fulfilment
    stated = [name for name in roster if name in {row.carrier_id for row in rows}]
    others = [name for name in roster if name not in stated]
    found = []
    if stated:
        found.append(warn("KEPT_STATED", carriers=tuple(stated)))
    if model is None:
        if others:
            found.append(warn("KEPT_ALL", carriers=tuple(others)))
        return found
    whole = {p.carrier_id: p for p in model.promises if p.region_id is None}
    if measured := [whole[name] for name in others if name in whole]:
        told = tuple(f"{p.carrier_id} {p.mean:.1%}" for p in measured)
        found.append(warn("KEPT_MEASURED", carriers=told))
    if unknown := [name for name in others if name not in whole]:
        found.append(_pooled(whole[None], unknown))
    return found


def _pooled(pool: Promise, carriers: list[str]) -> CodedWarning:
    """What counts for carriers of which no promise was ever scanned."""
    if pool.num_premium:
        share = share_text(pool.mean)
        return warn("KEPT_AS_POOL", share=share, carriers=tuple(carriers))
    if pool.mean == 1:
        return warn("KEPT_AS_DELIVERED")
    return warn("KEPT_TAKEN", share=share_text(pool.mean))


def _of_history(model: LearnedModel, day: dt.date | None) -> list[CodedWarning]:
    """How old the model is, and what it did not wait for."""
    found = []
    if day is not None and model.last_date != BEFORE_ANY_NIGHT:
        num_days = (day - model.last_day).days
        last = model.last_date
        found.append(warn("MODEL_AGE", num_days=num_days, last_night=last))
    if model.num_waiting:
        found.append(warn("ROWS_WAITED", num_rows=model.num_waiting))
    return found


def _of_alarms(model: LearnedModel, config: Config) -> list[CodedWarning]:
    """What was found in the history that makes its risks doubtful."""
    young = [
        warn(
            "YOUNG_COUNTED",
            harm=one.harm,
            num_rows=one.num_rows,
            num_parcels=one.num_parcels,
            num_days=one.num_days,
        )
        for one in model.young
        if _counts(one.harm, config)
    ]
    leaks = [
        warn(
            "LEAK_LEFT_OUT" if one.is_left_out else "HISTORY_LEAKS",
            harm=one.harm,
            column=one.column,
            share=share_text(one.share),
        )
        for one in model.leaks
        # What is left out is so for every harm.
        if one.is_left_out or _counts(one.harm, config)
    ]
    return [*young, *leaks]


def _left_to_chance(config: Config) -> CodedWarning:
    """What is randomised, so that the effect is measured."""
    holdout, explore = config.holdout, config.objective.explore
    explored = holdout.explore_share if explore in ("blind", "margin") else Decimal(0)
    shares = {"explored": f"{explored:f}"} if explored else {}
    if held := holdout.share:
        shares["held"] = f"{held:f}"
    if explore == "thompson":
        return warn("DRAW_AT_RANDOM" if held else "DRAW_ALONE", **shares)
    if not shares:
        return warn("NONE_AT_RANDOM")
    if not explored:
        return warn("HELD_AT_RANDOM", **shares)
    if explore == "margin":
        return warn("COINS_AT_RANDOM" if held else "COINS_ALONE", **shares)
    return warn("SOME_AT_RANDOM" if held else "EXPLORED_AT_RANDOM", **shares)
