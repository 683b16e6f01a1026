"""The model card: what a model rests on, and how far it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.model_prediction import values_of
from optimizer.learn.learners import POOLED
from optimizer.learn.risk import OUTCOME_OF

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.build.learned_model import (
        Account,
        Candidate,
        Effect,
        LearnedModel,
        Realised,
    )
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.history import History
    from optimizer.learn.risk import CrossFit


NUM_BINS = 10

#: Levels of a harm's effect that are printed, of those that are on the card.
NUM_PRINTED = 8
_EFFECTS = "## What a kept promise removes"

#: A row of a calibration curve: parcels, predicted and observed probability.
Curve = list[tuple[int, float, float]]


def calibration(frame: pl.DataFrame, fit: CrossFit, harm: str) -> Curve:
    """
    Predicted against observed risk of standard parcels, in tenths by prediction.

    The predictions are cross-fitted: no parcel took part in its own.
    """
    is_standard = ~frame["is_premium"].to_numpy()
    predicted = fit.standard[is_standard]
    happened = frame[OUTCOME_OF[harm]].to_numpy()[is_standard]
    order = np.argsort(predicted, kind="stable")
    return [
        (len(part), float(predicted[part].mean()), float(happened[part].mean()))
        for part in np.array_split(order, NUM_BINS)
        if len(part)
    ]


def calibration_error(curve: Curve) -> float:
    """Mean distance between predicted and observed risk over all parcels."""
    total = sum(count for count, *_ in curve)
    return sum(n * abs(p - o) for n, p, o in curve) / max(total, 1)


def card_text(
    model: LearnedModel,
    past: History,
    curves: Mapping[str, Curve],
    warnings: tuple[CodedWarning, ...],
) -> str:
    """
    Write the card, Markdown.

    Parameters
    ----------
    model
        The learned numbers.
    past
        The outcomes that they were learned from.
    curves
        By harm, the calibration curve: predicted and observed risk in tenths.
    warnings
        What a person should look at.
    """
    frame = past.frame
    premium = frame.filter("is_premium")
    breaks = ", ".join(model.regime_breaks) or "none"
    lines = [
        f"# Model {model.version}",
        "",
        f"- nights {model.first_date} to {model.last_date}; rules changed on {breaks}",
        f"- {len(frame):,} parcels, {len(premium):,} of them premium"
        f"; {len(past.rows) - len(frame):,} more wait until their outcomes are known",
        f"- effect: {model.kind}",
        *(f"- WARNING: {text}" for text in warnings),
        "",
        "## Learners: their plans for this history, by parcels that they had not seen",
        "",
        *_candidates(model),
        "",
        f"{_EFFECTS} of the "
        + ("odds (logarithm)" if _is_odds(model) else "harm (share)"),
        "",
        f"| harm | level | {'odds' if _is_odds(model) else 'share'} "
        "| standard deviation |",
        "|---|---|---:|---:|",
        *(
            row
            for harm, effect in model.effect.items()
            if model.is_known(harm)
            for row in _effect(harm, effect, is_odds=_is_odds(model))
        ),
        *_doubts(model),
        "",
        "## Promises kept",
        "",
        "| carrier | premium | proved kept | share | 95 % interval |",
        "|---|---:|---:|---:|---|",
        *(
            f"| {p.carrier_id or 'all'} | {p.num_premium:,} | {p.num_kept:,} "
            f"| {p.mean:.3f} | {p.low:.3f} to {p.high:.3f} |"
            for p in model.promises
            if p.region_id is None
        ),
        *([] if model.realised is None else _realised(model.realised)),
        *(line for harm, curve in curves.items() for line in _curve(harm, curve)),
    ]
    return "\n".join(lines) + "\n"


def printed(card: str) -> str:
    """
    Give the card as it is printed: of many levels those that differ most.

    Parameters
    ----------
    card
        As :func:`card_text` wrote it; the file keeps every level.
    """
    before, mark, rest = card.partition(_EFFECTS)
    title, *lines = rest.split("\n")
    end = next((n for n, line in enumerate(lines) if line.startswith("## ")), None)
    section, after = (lines, []) if end is None else (lines[:end], lines[end:])
    # After the heads of the table, rows of a harm stand together: the pool, and levels.
    head, rows = section[:3], section[3:]
    kept = [line for line in rows if not line.startswith("| ")]
    shown: list[str] = []
    for harm in dict.fromkeys(
        line.split(" | ")[0] for line in rows if line not in kept
    ):
        own = [line for line in rows if line.startswith(f"{harm} | ")]
        most = sorted(own[1:], key=_distance, reverse=True)[:NUM_PRINTED]
        shown += [own[0], *(line for line in own[1:] if line in most)]
        if len(own) > 1 + NUM_PRINTED:
            shown.append(
                f"{harm} | {len(own) - 1 - NUM_PRINTED} more on the card | | |"
            )
    return before + mark + "\n".join([title, *head, *shown, *kept, *after])


def _distance(row: str) -> float:
    """How far a level is from the pool; a name may hold anything."""
    try:
        return abs(float(row.split(" | ")[-2]))
    except (ValueError, IndexError):
        return 0.0


def _effect(harm: str, effect: Effect, *, is_odds: bool) -> list[str]:
    """Rows of the effect table: the pool, and each carrier's deviation from it."""
    spread = np.sqrt(np.diag(np.array(effect.covariance))).tolist()
    rows = zip(effect.names, values_of(effect).tolist(), spread, strict=True)
    # A share that was stated stands among odds that were learned.
    pool = "pool, as a share" if is_odds and effect.link != "logit" else "pool"
    return [
        f"| {harm} | {name or pool} | {value:+.3f} | {sd:.3f} |"
        for (_, name), value, sd in rows
    ]


def _doubts(model: LearnedModel) -> list[str]:
    """The benefit of doubt: what it adds to the pool, and the shares it comes to."""
    rows = [
        f"| {harm} | {effect.raised:+.3f} | {doubt.measured:.1%} | {doubt.error:.1%} "
        f"| {doubt.taken:.1%} |"
        for harm, effect in model.effect.items()
        if (doubt := effect.doubt) is not None
    ]
    if not rows:
        return []
    return [
        "",
        "## The benefit of doubt, as shares of the harm of the parcels compared",
        "",
        "| harm | of the pool | measured | standard error | taken |",
        "|---|---:|---:|---:|---:|",
        *rows,
    ]


def _realised(past: Realised) -> list[str]:
    """What plans promised and what came of it, by carrier and by night."""
    return [
        "",
        "## Promised and realised, CNY of harm avoided by parcels left to chance",
        "",
        "`optimizer evaluate` may differ a little: it predicts without the columns of "
        "learning.features and learning.categories, which a mistake may have filled in "
        "later.",
        "",
        "| night or carrier | parcels | promised | realised | 95 % interval | likely |",
        "|---|---:|---:|---:|---|---:|",
        f"| all | {_sums(past)} | |",
        *(
            f"| {one.name} | {_sums(one)} | {one.likely_cny:,.2f} |"
            for one in (*past.by_carrier, *past.by_night)
        ),
    ]


def _sums(one: Account | Realised) -> str:
    return (
        f"{one.num_parcels:,} | {one.promised_cny:,.2f} | {one.realised_cny:,.2f} "
        f"| {one.low:,.2f} to {one.high:,.2f}"
    )


def _is_odds(model: LearnedModel) -> bool:
    return any(effect.link == "logit" for effect in model.effect.values())


def _candidates(model: LearnedModel) -> list[str]:
    """What each learner's plan was worth."""
    if len(model.candidates) < 2:
        return [f"No contest: {model.learner} is in force."]
    return [
        "| learner | worth, CNY | more than the one in force | standard error "
        "| surely more | part of its differences that holds | |",
        "|---|---:|---:|---:|---:|---|---|",
        *(
            f"| {one.learner} | {one.value_cny:,.0f} | {one.more_cny:+,.0f} "
            f"| {one.error_cny:,.0f} | {one.confidence:.1%} | {_slopes(one)} "
            f"| {'in force' if one.is_champion else ''} |"
            for one in model.candidates
        ),
    ]


def _slopes(one: Candidate) -> str:
    """Slopes of a learner that tells parcels apart."""
    if one.learner == POOLED:
        return ""
    return ", ".join(sorted({f"{slope:.2f}" for slope in one.slopes.values()}))


def _curve(harm: str, curve: Curve) -> list[str]:
    error = calibration_error(curve)
    return [
        "",
        f"## Calibration of {harm} on standard service (mean error {error:.4f})",
        "",
        "| parcels | predicted | observed |",
        "|---:|---:|---:|",
        *(f"| {n:,} | {p:.4f} | {o:.4f} |" for n, p, o in curve),
    ]
