"""From outcomes to a versioned model folder: estimates and their uncertainty."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.costs import costs_of
from optimizer.build.learned_model import (
    FORMAT,
    HARMS,
    NO_RISK,
    Leak,
    LearnedModel,
    Risk,
    Young,
)
from optimizer.build.learned_probabilities import doubts
from optimizer.build.model_file import named
from optimizer.config import expand_date, policy_on
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError, counted
from optimizer.learn.card import calibration, card_text
from optimizer.learn.champion import (
    Contest,
    calibrated,
    compare,
    harm_costs,
    only,
    with_doubt,
)
from optimizer.learn.clusters import widening
from optimizer.learn.effect import (
    NO_BELIEF,
    Belief,
    Scores,
    configured_belief,
    contradicts,
    kept_share,
    pooled_effect,
    pooled_prior,
    prior_effect,
    regression_belief,
    scores,
)
from optimizer.learn.features import features_of
from optimizer.learn.history import History, asked, read_history, require_ripe
from optimizer.learn.learned import Learned
from optimizer.learn.learners import LEARNERS, POOLED, Trial
from optimizer.learn.ledger import kept_accounts, ledger
from optimizer.learn.models_folder import in_force
from optimizer.learn.one_thread import on_one_thread
from optimizer.learn.overlap import (
    comparable,
    drawn_together,
    undrawn_merchants,
)
from optimizer.learn.promise import promise_alerts, promises, stated_kept_share
from optimizer.learn.rates import known_risks, upper_bound
from optimizer.learn.risk import (
    OUTCOME_OF,
    CrossFit,
    at_rows,
    cross_fit,
    plain_fit,
)
from optimizer.learn.undrawn import compared, prior_decides
from optimizer.learn.units import drawn_whole
from optimizer.learn.waiting import what_waits
from optimizer.learn.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import Candidate, Promise, Realised
    from optimizer.config import Config
    from optimizer.config.learning import Prior
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.features import Features
    from optimizer.learn.overlap import Comparable


#: Standard parcels beside the randomised ones that a risk is learned from, at most.
MOST_BESIDE = 60_000
#: Harms of randomised parcels of either service without which no plan can be told from
#: another.
MIN_HARMS = 20


@on_one_thread
def learn(history: Any, config: Config, window: Window) -> Learned:
    """
    Learn risk, effect and promise-keeping from outcomes.

    Parameters
    ----------
    history
        A path, a glob, or a table, by the outcomes contract.
    config
        With ``learning``.
    window
        Which nights.

    Raises
    ------
    DataError
        When the history cannot teach; see :mod:`optimizer.learn.history`.
    ConfigError
        When scikit-learn is not installed.
    """
    past = read_history(history, config, window, MOST_BESIDE)
    require_ripe(past, config)
    _refuse_leaks(past, config)
    frame, young = past.frame, past.young(*asked(config, past.absent))
    if frame["is_premium"].all():
        comparable(frame, young)
    if not frame["is_premium"].any() and config.learning.prior is None:
        if len(young.premium):
            comparable(frame, young)
        raise DataError(
            f"outcomes: all {counted(len(frame), 'parcel')} got standard service, so "
            "what premium does cannot be learned of them; state what you believe "
            "(learning: {prior: {effect: 0.3}}, the share of the harm that a "
            "premium parcel removes), and let some explore (holdout.explore_share), so "
            "that it will be measured"
        )
    kept = promises(frame, stated_kept_share(config))
    features = features_of(frame, config, past.left_out)
    standard = frame.filter(~frame["is_premium"])
    risk, stated, rates = known_risks(standard, past.absent, features, config, young)
    champion, found = in_force(config, window)
    told = [*found, *rates]
    fits: dict[str, CrossFit] = {}
    candidates = only(champion)
    contest, prior, data = None, config.learning.prior, None
    if frame["is_premium"].any() or prior is None:
        data = compared(frame, young, prior)
        fits = {
            harm: _cross_fit(
                frame,
                harm,
                features,
                by_station=bool(drawn_whole(frame, config).any()),
            )
            for harm in HARMS
            if harm not in stated
        }
    if data is not None:
        contest = _contest(past, data, fits, kept, features, config)
        told += _without_event(data, fits, prior)
        told += _hidden_selection(frame, data, contest, kept)
    is_drawn = data is not None and data.kind == "randomised"
    if prior is not None and frame["is_premium"].any() and not is_drawn:
        trials = {} if contest is None else contest.trials
        told = [*prior_decides(frame, trials, prior), *told]
        contest = None
    if contest is not None and contest.num_harms >= MIN_HARMS:
        candidates = compare(contest, champion, float(config.learning.confidence))
    in_charge = next(one for one in candidates if one.is_champion)
    content = {
        "kind": "randomised" if is_drawn else "prior",
        "risk": risk,
        "promises": kept,
        "learner": in_charge.learner,
        "candidates": candidates,
        "realised": None if data is None else _realised(data, fits, stated, config),
    } | _effects(contest, in_charge, config.learning.prior)
    model = _model(past, config, content)
    told = [*_warnings(past, data, kept, config), *told, *doubts(model)]
    curves = {harm: calibration(frame, fit, harm) for harm, fit in fits.items()}
    card = card_text(model, past, curves, tuple(told))
    return Learned(model, card, tuple(told), float(config.learning.confidence))


def _refuse_leaks(past: History, config: Config) -> None:
    """
    Refuse to learn from a column that was named and that tells the outcome.

    A night has no such column before its outcomes, or another one under its name.
    """
    named = {*config.learning.features, *config.learning.categories}
    for told in past.warnings:
        if told.code == "SCORE_LEAKS" and told.values["score"] in named:
            raise DataError(
                f"outcomes: {told}; take it out of learning.features and "
                "learning.categories, or give it as it was known on its night"
            )


def _effects(
    contest: Contest | None, champion: Candidate, prior: Prior | None
) -> dict[str, Any]:
    """The effect on each harm, and what is known of it on the whole."""
    learner = LEARNERS[champion.learner]
    effect = dict.fromkeys(HARMS, prior_effect(prior))
    pooled = dict.fromkeys(HARMS, pooled_prior(prior))
    if contest is not None and contest.trials:
        fitted = {h: learner.fit(trial) for h, trial in contest.trials.items()}
        fitted = calibrated(contest.trials, fitted, champion.slopes)
        effect |= with_doubt(contest, fitted)
        for harm, trial in contest.trials.items():
            whole = LEARNERS[POOLED].fit(trial)
            pooled[harm] = pooled_effect(whole, prior, int(trial.is_premium.sum()))
    return {"effect": effect, "pooled": pooled}


def _realised(
    data: Comparable,
    fits: Mapping[str, CrossFit],
    stated: Mapping[str, Risk],
    config: Config,
) -> Realised | None:
    """What earlier plans promised, and what came of it; ``None`` if nobody can say."""
    nothing = np.zeros(len(data.frame))
    known = {harm: at_rows(fit, data.row) for harm, fit in fits.items()}
    if stated.get("return") == NO_RISK:
        known["return"] = CrossFit(nothing, nothing)
    if known.keys() != {*HARMS}:
        return None
    return kept_accounts(ledger(data, known, config))


def _cross_fit(
    frame: pl.DataFrame, harm: str, features: Features, *, by_station: bool
) -> CrossFit:
    """Predictions from other folds; means of the groups where hardly any happened."""
    try:
        return cross_fit(frame, harm, features, by_station=by_station)
    except DataError:
        return plain_fit(frame, harm)


def _contest(
    past: History,
    data: Comparable,
    fits: Mapping[str, CrossFit],
    kept: list[Promise],
    features: Features,
    config: Config,
) -> Contest:
    """The parcels that could have got either service, in the history they are of."""
    frame = past.frame
    policy = policy_on(config, frame["date"][-1])
    costs = costs_of(config, policy)
    reach = frame["take_up"].to_numpy() * kept_share(frame, kept)
    risks, trials = {}, {}
    is_premium = data.frame["is_premium"].to_numpy()
    cluster = drawn_together(data.frame, config)
    for harm, fit in fits.items():
        happened = data.frame[OUTCOME_OF[harm]].to_numpy().astype(np.float64)
        score = frame[f"{harm}_prob_standard"]
        # A night keeps a score that its orders have, so its share is of that.
        has_score = score.null_count() == 0
        risks[harm] = score.to_numpy() if has_score else fit.standard
        # Where nothing happened, nothing was measured: the effect is what was stated.
        if not happened.any():
            continue
        drawn = scores(data, at_rows(fit, data.row), harm)
        saved = (risks[harm] * reach)[data.row]
        wider = widening(drawn, saved, is_premium, cluster)
        trials[harm] = Trial(
            frame=data.frame,
            happened=happened,
            is_premium=is_premium,
            propensity=data.propensity,
            risk=risks[harm][data.row],
            reach=reach[data.row],
            scores=Scores(drawn.score, drawn.variance * wider),
            features=features,
            belief=configured_belief(config.learning.prior),
            widening=wider,
        )
    return Contest(
        frame=frame,
        row=data.row,
        trials=trials,
        risk=risks,
        reach=reach,
        weight=_weights(frame, past.times),
        cost_cny=harm_costs(costs.complaint / 1e6, costs.logistics_return / 1e6),
        fee_cny=costs.fee / 1e6,
        rate=float(policy.cap.rate),
        cluster=cluster,
        by_station=bool(drawn_whole(frame, config).any()),
    )


def _weights(frame: pl.DataFrame, times: int) -> NDArray[np.float64]:
    """For how many parcels each stands, ``(n,) float64``."""
    chance = frame["propensity"].fill_null(0.0)
    beside = ~frame["is_premium"] & ((chance <= 0) | (chance >= 1))
    return np.where(beside.to_numpy(), float(times), 1.0)


def _without_event(
    data: Comparable, fits: Mapping[str, CrossFit], prior: Prior | None
) -> list[CodedWarning]:
    """Say of which harms there was no event among the parcels that are compared."""
    code = "EFFECT_WITHOUT_EVENT" if prior else "EFFECT_UNKNOWN_WITHOUT_EVENT"
    num = len(data.frame)
    num_premium = int(data.frame["is_premium"].sum())
    return [
        warn(
            code,
            outcome=OUTCOME_OF[harm],
            num_parcels=num,
            num_premium=num_premium,
            high=f"{upper_bound(num):.4%}",
            high_premium=f"{upper_bound(num_premium):.4%}",
        )
        for harm in fits
        if not data.frame[OUTCOME_OF[harm]].any()
    ]


def _hidden_selection(
    frame: pl.DataFrame, data: Comparable, contest: Contest, kept: list[Promise]
) -> list[CodedWarning]:
    """Say where parcels that were not randomised contradict those that were."""
    if data.kind != "randomised":
        return []
    found = []
    for harm, trial in contest.trials.items():
        believed = regression_belief(frame, harm, kept)
        alone = replace(trial, belief=NO_BELIEF)
        pooled = LEARNERS[POOLED].fit(alone)
        measured = Belief(pooled.intercept, pooled.covariance[0][0] ** 0.5)
        if believed is not None and contradicts(believed, measured):
            found.append(
                warn(
                    "HIDDEN_SELECTION",
                    outcome=OUTCOME_OF[harm],
                    believed=f"{believed.mean:+.2f}",
                    measured=f"{measured.mean:+.2f}",
                    error=f"{measured.spread:.2f}",
                )
            )
    return found


def _model(past: History, config: Config, content: dict[str, Any]) -> LearnedModel:
    of_history = {
        "format": FORMAT,
        "version": "",
        "first_date": past.first.isoformat(),
        "last_date": past.last.isoformat(),
        "regime_breaks": [d.isoformat() for d in config.learning.regime_breaks],
        "num_waiting": len(past.rows) - len(past.frame),
    } | _alarms(past)
    if content["kind"] == "prior":
        of_history["num_premium"] = int(past.frame["is_premium"].sum()) or None
    else:
        of_history["undrawn"] = undrawn_merchants(past.frame)
    unnamed = LearnedModel.model_validate(of_history | content)
    return named(unnamed, str(past.last))


def _alarms(past: History) -> dict[str, Any]:
    """What was found in the history that every night should tell that rests on it."""
    harm_of = {outcome: harm for harm, outcome in OUTCOME_OF.items()}
    leaks, young = [], []
    for code, values in ((one.code, one.values) for one in past.warnings):
        if code == "SCORE_LEAKS":
            leaks.append(
                Leak(
                    harm=harm_of[str(values["outcome"])],
                    column=str(values["score"]),
                    share=float(str(values["share"])),
                    is_left_out=True,
                )
            )
        elif code == "MATURITY_NOT_KNOWN":
            counts = ("num_rows", "num_parcels", "num_days")
            young.append(
                Young(
                    harm=harm_of[str(values["outcome"])],
                    **{name: int(str(values[name])) for name in counts},
                )
            )
    return {"leaks": leaks, "young": young}


def _warnings(
    past: History, data: Comparable | None, kept: list[Promise], config: Config
) -> tuple[CodedWarning, ...]:
    """Warnings to look at before a night uses the model."""
    import polars as pl

    young = past.young(*asked(config, past.absent))
    has_premium = bool(past.frame["is_premium"].any())
    found = [*past.warnings]
    if data is not None:
        # With a stated effect what is not randomised decides nothing.
        found += [one for one in data.warnings if one.code != "NOT_RANDOMISED"]
    elif has_premium:
        found += what_waits(young.at_random)
    if not has_premium:
        found += [warn("EFFECT_IS_PRIOR"), *what_waits(young.premium)]
    roster = {carrier for row in config.policy for carrier in row.carriers}
    bought = past.frame.filter(
        pl.col("is_premium") & pl.col("is_bought").fill_null(value=True)
    )
    premium = bought["carrier_id"].value_counts()
    num_premium = dict(premium.iter_rows())
    if unknown := sorted(roster - num_premium.keys()):
        found.append(warn("CARRIERS_NOT_MEASURED", carriers=tuple(unknown)))
        if has_premium:
            is_theirs = pl.col("carrier_id").is_in(unknown)
            found += what_waits(young.premium.filter(is_theirs))
    measured = {promise.carrier_id for promise in kept}
    if unseen := sorted(roster & num_premium.keys() - measured):
        num = sum(num_premium[carrier] for carrier in unseen)
        found.append(
            warn("CARRIERS_NOT_SCANNED", num_parcels=num, carriers=tuple(unseen))
        )
    return (*found, *promise_alerts(kept, config.learning.contract_kept_share))


def history_of(config: Config, given: Any, window: Window) -> Any:
    """
    The outcomes to read: those that are named, else the configured ones.

    Raises
    ------
    DataError
        When neither is there.
    """
    if given is not None:
        return given
    if config.learning.history is None:
        raise DataError(
            "no outcomes are named: give --history, or learning.history in the "
            "configuration; where there are none, let learning.prior state effect, "
            "complaint_prob and return_prob (learning: {prior: {effect: 0.3, "
            "complaint_prob: 0.01, return_prob: 0.02}}; no return_prob where "
            "objective.return_cost_cny is 0)"
        )
    return expand_date(config.learning.history.path, window.as_of)
