"""From outcomes to a versioned model folder: estimates and their uncertainty."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.costs import costs_of
from optimizer.build.learned_model import (
    BEFORE_ANY_NIGHT,
    FORMAT,
    HARMS,
    LearnedModel,
    Risk,
)
from optimizer.build.learned_probabilities import doubts
from optimizer.build.model_file import CARD_FILE, load_model, model_text, named
from optimizer.config import expand_date, policy_on
from optimizer.contracts.warnings import warn
from optimizer.errors import ConfigError, DataError, counted
from optimizer.extras import import_extra
from optimizer.io.kept_inputs import MODEL_FILE
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
from optimizer.learn.history import History, Window, read_history, require_ripe
from optimizer.learn.learners import FIRST, LEARNERS, POOLED, Trial
from optimizer.learn.ledger import kept_accounts, ledger
from optimizer.learn.one_thread import on_one_thread
from optimizer.learn.overlap import Comparable, comparable, drawn_together
from optimizer.learn.promise import promise_alerts, promises, stated_kept_share
from optimizer.learn.risk import (
    LEARNING,
    OUTCOME_OF,
    CrossFit,
    at_rows,
    cross_fit,
    fit_risk,
    plain_fit,
)
from optimizer.views import Shown, View, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import Candidate, Promise, Realised
    from optimizer.config import Config
    from optimizer.config.learning import Prior
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.features import Features
    from optimizer.report.page import Page


LATEST = "latest"
#: Standard parcels beside the randomised ones that a risk is learned from, at most.
MOST_BESIDE = 60_000
#: Harms of randomised parcels of either service without which no plan can be told from
#: another.
MIN_HARMS = 20
#: Parcels on standard service without which no rate is learned: of none of fewer, less
#: than 3 % cannot be told from 0 (at 95 %), and most rates are less.
MIN_PARCELS = 100
#: Harms of them below which the model says on how few the rate rests.
FEW_HARMS = 20


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Learned(Shown):
    """
    A model, its card and its warnings.

    Attributes
    ----------
    model
        The numbers.
    card
        The model card, Markdown.
    warnings
        What a person should look at, carriers below their contract included.
    confidence
        How sure it had to be that another learner's plan is worth more.
    """

    model: LearnedModel
    card: str
    warnings: tuple[CodedWarning, ...]
    confidence: float

    def _view(self) -> View:
        model = self.model
        kept = [p for p in model.promises if p.region_id is None and p.carrier_id]
        rows = [
            ("effect", model.kind),
            ("nights", f"{model.first_date} to {model.last_date}"),
            ("kept", listed(f"{p.carrier_id} {p.mean:.0%}" for p in kept) or "unknown"),
            ("look at", f"{counted(len(self.warnings), 'warning')}; .card has it all"),
        ]
        return View(f"Model {model.version}", tuple(rows))

    def to_json(self) -> dict[str, Any]:
        """Give what a person asks for, ready for JSON: no coefficient is in it."""
        shown = {"version", "first_date", "last_date", "kind", "learner", "realised"}
        told = self.model.model_dump(mode="json", include=shown)
        return told | {
            "is_stated": self.model.last_date == BEFORE_ANY_NIGHT,
            "candidates": [one.model_dump() for one in self.model.candidates],
            "confidence": self.confidence,
            "pooled": {
                h: one.model_dump() for h, one in (self.model.pooled or {}).items()
            },
            "promises": [one.model_dump() for one in self.model.promises],
            "warnings": [warning.to_json() for warning in self.warnings],
        }

    def report(self, language: str = "en") -> Page:
        """
        Make a page for people: a notebook shows it, and ``.save(path)`` writes it.

        Parameters
        ----------
        language
            In view when it is opened: ``"en"`` or ``"zh"``; the other is a click away.

        Raises
        ------
        ConfigError
            When it is another language.
        """
        from optimizer.report.language import by_name
        from optimizer.report.learned import learned_html
        from optimizer.report.page import Page

        return Page(learned_html(self.to_json(), by_name(language)))

    def save(self, models: Path | str) -> Path:
        """
        Write the model into a folder of models; see :func:`save_model`.

        Returns
        -------
        Path
            The model's own folder.
        """
        return save_model(self, Path(models))


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
    frame = past.frame
    if frame["is_premium"].all():
        comparable(frame)
    if not frame["is_premium"].any() and config.learning.prior is None:
        raise DataError(
            f"outcomes: all {counted(len(frame), 'parcel')} got standard service, so "
            "what premium does cannot be learned of them; state what you believe "
            "(learning: {prior: {effect: 0.3}}, the share of the harm that a "
            "premium parcel removes), and let some explore (holdout.explore_share), so "
            "that it will be measured"
        )
    kept = promises(frame, stated_kept_share(config))
    features = features_of(frame, config)
    standard = frame.filter(~frame["is_premium"])
    stated = _stated_harms(standard, past.absent, config)
    for harm in HARMS:
        _refuse_always(standard, harm, config)
        if harm not in stated:
            _refuse_few(standard, harm, config)
    risk = {
        harm: stated[harm] if harm in stated else _risk(standard, harm, features)
        for harm in HARMS
    }
    champion, found = in_force(config, window)
    told = [
        *found,
        *(_of_stated(standard, harm, past.absent, config) for harm in stated),
        *(_never(standard, harm) for harm in HARMS if _is_rare(standard, harm, stated)),
        *(w for harm in HARMS if harm not in stated for w in _rests_on(standard, harm)),
    ]
    fits: dict[str, CrossFit] = {}
    candidates = only(champion)
    contest = None
    if not frame["is_premium"].any() and config.learning.prior is not None:
        data = None
    else:
        data = comparable(frame)
        learned = [harm for harm in HARMS if harm not in stated]
        by_station = config.holdout.unit == "station-day"
        fits = {
            harm: _cross_fit(frame, harm, features, by_station=by_station)
            for harm in learned
        }
        contest = _contest(past, data, fits, kept, features, config)
        told += _hidden_selection(frame, data, contest, kept)
        if data.kind == "randomised" and contest.num_harms >= MIN_HARMS:
            candidates = compare(contest, champion, float(config.learning.confidence))
    in_charge = next(one for one in candidates if one.is_champion)
    content = {
        "kind": "prior" if data is None else data.kind,
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


def in_force(config: Config, window: Window) -> tuple[str, list[CodedWarning]]:
    """
    The learner in force: that of the newest model that was learned of any premium.

    Parameters
    ----------
    config
        With the folder of models.
    window
        With the day of learning.
    """
    folder = models_folder(config, window) / LATEST
    if not (folder / MODEL_FILE).is_file():
        return FIRST, []
    try:
        newest = load_model(folder).model
    except (ConfigError, DataError):
        return FIRST, [warn("LEARNER_NOT_KNOWN", learner=FIRST)]
    known = newest.format == FORMAT and newest.kind != "prior"
    known &= newest.learner in LEARNERS
    return (newest.learner if known else FIRST), []


def _risk(standard: pl.DataFrame, harm: str, features: Features) -> Risk:
    """Risk by what is known of an order; the same for all where it never happened."""
    if len(standard) and not standard[OUTCOME_OF[harm]].any():
        return constant_risk(0.5 / (len(standard) + 1))
    return fit_risk(standard, harm, features)


def _refuse_always(standard: pl.DataFrame, harm: str, config: Config) -> None:
    """Refuse outcomes of which all have a harm: a list of complaints is no history."""
    outcome = OUTCOME_OF[harm]
    if not len(standard) or not standard[outcome].all():
        return
    prior = _stated_example(config)
    instead = f"learn from stated risks {prior} without outcomes: no --history, no "
    instead += "learning.history"
    if harm == "return":
        instead = "leave the column out, since a return costs nothing"
        if config.counts_returns:
            instead = f"leave the column out and state their share {prior}"
    raise DataError(
        f"outcomes: {outcome} is true for all of {counted(len(standard), 'parcel')} on "
        "standard service, so nothing tells how often it happens; give a row for every "
        f"parcel of these days, with {outcome} false where it did not; or {instead}"
    )


def _stated_example(config: Config) -> str:
    """What to write so that every rate is stated."""
    probs = "complaint_prob: 0.01"
    if config.counts_returns:
        probs += ", return_prob: 0.02"
    return f"(learning: {{prior: {{effect: 0.3, {probs}}}}})"


def _refuse_few(standard: pl.DataFrame, harm: str, config: Config) -> None:
    """Refuse to learn a rate of hardly any parcels."""
    if 0 < len(standard) < MIN_PARCELS:
        raise DataError(
            f"outcomes: only {counted(len(standard), 'parcel')} on standard service; "
            f"{MIN_PARCELS} at least tell how often {OUTCOME_OF[harm]} happens; "
            "give more days, or state the rates, which are in force "
            f"until then {_stated_example(config)}"
        )


def _rests_on(standard: pl.DataFrame, harm: str) -> list[CodedWarning]:
    """Say on how few harms a learned rate rests, and what it may be."""
    num, num_harms = len(standard), int(standard[OUTCOME_OF[harm]].sum())
    if not 0 < num_harms < FEW_HARMS:
        return []
    stats = import_extra("scipy.stats", needed_by=LEARNING)
    between = stats.binomtest(num_harms, num).proportion_ci(method="exact")
    return [
        warn(
            "HARM_IS_RARE",
            num_harms=num_harms,
            num_parcels=num,
            outcome=OUTCOME_OF[harm],
            low=f"{between.low:.4%}",
            high=f"{between.high:.4%}",
        )
    ]


def _is_rare(standard: pl.DataFrame, harm: str, stated: Mapping[str, Risk]) -> bool:
    return harm not in stated and not standard[OUTCOME_OF[harm]].any()


def _never(standard: pl.DataFrame, harm: str) -> CodedWarning:
    """A harm that never happened has a rate all the same, and an upper bound."""
    num = len(standard)
    return warn(
        "HARM_NEVER_HAPPENED",
        num_parcels=num,
        outcome=OUTCOME_OF[harm],
        rate=f"{0.5 / (num + 1):.4%}",
        high=f"{_upper_bound(num):.4%}",
    )


def _upper_bound(num: int) -> float:
    """Rate that is refuted, at 95 %, by none among so many (Clopper-Pearson)."""
    return float(1 - 0.05 ** (1 / max(num, 1)))


def _of_stated(
    standard: pl.DataFrame, harm: str, absent: frozenset[str], config: Config
) -> CodedWarning:
    """Say what the risk is of a harm that the history does not have, and why."""
    outcome, known = OUTCOME_OF[harm], stated_risks(config)[harm]
    if known == NO_RISK:
        return warn("HARM_IS_FREE", outcome=outcome)
    if outcome in absent:
        return warn("HARM_IS_ABSENT", outcome=outcome)
    stated, high = _share_of(known), _upper_bound(len(standard))
    if num_harms := int(standard[outcome].sum()):
        return warn(
            "TOO_FEW_FOR_A_RATE",
            num_parcels=len(standard),
            num_harms=num_harms,
            outcome=outcome,
            stated=f"{stated:.4%}",
            least=MIN_PARCELS,
        )
    return warn(
        "HARM_BELOW_STATED" if high < stated else "HARM_NOT_YET_SEEN",
        num_parcels=len(standard),
        outcome=outcome,
        stated=f"{stated:.4%}",
        high=f"{high:.4%}",
    )


def _share_of(risk: Risk) -> float:
    """The share that a constant risk is."""
    return 1 / (1 + math.exp(-risk.intercept))


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
        score = frame[f"{harm}_prob_standard"]
        # A night keeps a score that its orders have, so its share is of that.
        has_score = score.null_count() == 0
        risks[harm] = score.to_numpy() if has_score else fit.standard
        drawn = scores(data, at_rows(fit, data.row), harm)
        saved = (risks[harm] * reach)[data.row]
        wider = widening(drawn, saved, is_premium, cluster)
        trials[harm] = Trial(
            frame=data.frame,
            happened=data.frame[OUTCOME_OF[harm]].to_numpy().astype(np.float64),
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
        by_station=config.holdout.unit == "station-day",
    )


def _weights(frame: pl.DataFrame, times: int) -> NDArray[np.float64]:
    """For how many parcels each stands, ``(n,) float64``."""
    chance = frame["propensity"].fill_null(0.0)
    beside = ~frame["is_premium"] & ((chance <= 0) | (chance >= 1))
    return np.where(beside.to_numpy(), float(times), 1.0)


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


def _stated_harms(
    standard: pl.DataFrame, absent: frozenset[str], config: Config
) -> dict[str, Risk]:
    """
    Risks of harms that the history does not have.

    Where it does not record them they are as stated. Where it does, and none happened,
    no more than the rate that this refutes. Where it has fewer than ``MIN_PARCELS``,
    they are as stated too.
    """
    is_few = len(standard) < MIN_PARCELS
    found = {
        harm: risk
        for harm, risk in stated_risks(config).items()
        if is_few or not standard[OUTCOME_OF[harm]].any()
    }
    high = _upper_bound(len(standard))
    return {
        harm: constant_risk(high)
        if OUTCOME_OF[harm] not in absent
        and risk != NO_RISK
        and not standard[OUTCOME_OF[harm]].any()
        and high < _share_of(risk)
        else risk
        for harm, risk in found.items()
    }


def stated_risks(config: Config) -> dict[str, Risk]:
    """Risks that need no history: stated ones, and of returns that cost nothing."""
    prior = config.learning.prior
    probs = (None, None) if prior is None else prior.harm_probs()
    found = {
        harm: constant_risk(float(share))
        for harm, share in zip(HARMS, probs, strict=True)
        if share is not None
    }
    return found if config.counts_returns else {"return": NO_RISK, **found}


#: Of a harm that is not known and costs nothing.
NO_RISK = Risk(intercept=-100.0, slopes={}, levels={})


def constant_risk(share: float) -> Risk:
    """The same risk for every order."""
    return Risk(intercept=math.log(share / (1 - share)), slopes={}, levels={})


def _model(past: History, config: Config, content: dict[str, Any]) -> LearnedModel:
    of_history = {
        "format": FORMAT,
        "version": "",
        "first_date": past.first.isoformat(),
        "last_date": past.last.isoformat(),
        "regime_breaks": [d.isoformat() for d in config.learning.regime_breaks],
        "num_waiting": len(past.rows) - len(past.frame),
    }
    unnamed = LearnedModel.model_validate(of_history | content)
    return named(unnamed, str(past.last))


def _warnings(
    past: History, data: Comparable | None, kept: list[Promise], config: Config
) -> tuple[CodedWarning, ...]:
    """Warnings to look at before a night uses the model."""
    import polars as pl

    found = [*past.warnings, *(data.warnings if data is not None else ())]
    if data is None:
        found.append(warn("EFFECT_IS_PRIOR"))
    roster = {carrier for row in config.policy for carrier in row.carriers}
    bought = past.frame.filter(
        pl.col("is_premium") & pl.col("is_bought").fill_null(value=True)
    )
    premium = bought["carrier_id"].value_counts()
    num_premium = dict(premium.iter_rows())
    if unknown := sorted(roster - num_premium.keys()):
        found.append(warn("CARRIERS_NOT_MEASURED", carriers=tuple(unknown)))
    measured = {promise.carrier_id for promise in kept}
    if unseen := sorted(roster & num_premium.keys() - measured):
        num = sum(num_premium[carrier] for carrier in unseen)
        found.append(
            warn("CARRIERS_NOT_SCANNED", num_parcels=num, carriers=tuple(unseen))
        )
    return (*found, *promise_alerts(kept, config.learning.contract_kept_share))


def save_model(learned: Learned, models: Path) -> Path:
    """
    Write a model folder, and point ``latest`` at it in one step.

    Returns
    -------
    Path
        The folder, named by its last date and checksum; the same model is not
        written twice.

    Raises
    ------
    ConfigError
        When the folder cannot be written.
    """
    folder = models / learned.model.version
    try:
        models.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            partial = models / f".{folder.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            (partial / MODEL_FILE).write_text(model_text(learned.model), "utf-8")
            (partial / CARD_FILE).write_text(learned.card, "utf-8")
            partial.rename(folder)
        link = models / f".{LATEST}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.name)
        link.replace(models / LATEST)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(f"{models}: cannot be written ({reason})") from None
    return folder


def models_folder(config: Config, window: Window) -> Path:
    """Where learned models go."""
    return Path(expand_date(config.learning.models, window.as_of))


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
