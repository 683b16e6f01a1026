"""From outcomes to a versioned model folder: estimates and their uncertainty."""

from __future__ import annotations

import hashlib
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.build.learned_model import (
    CARD_FILE,
    FORMAT,
    HARMS,
    Effect,
    LearnedModel,
    Risk,
    model_text,
)
from optimizer.config import expand_date
from optimizer.contracts.warnings import warn
from optimizer.errors import ConfigError, DataError, counted
from optimizer.extras import import_extra
from optimizer.io.kept_inputs import MODEL_FILE
from optimizer.learn.card import calibration, card_text
from optimizer.learn.effect import (
    configured_belief,
    fit_effect,
    prior_effect,
    regression_belief,
    scores,
)
from optimizer.learn.history import History, Window, read_history, require_ripe
from optimizer.learn.overlap import Comparable, comparable
from optimizer.learn.promise import promise_alerts, promises, stated_kept_share
from optimizer.learn.risk import LEARNING, OUTCOME_OF, at_rows, cross_fit, fit_risk
from optimizer.views import View, listed

if TYPE_CHECKING:
    import polars as pl

    from optimizer.build.learned_model import Promise
    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.risk import CrossFit


LATEST = "latest"


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
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
    """

    model: LearnedModel
    card: str
    warnings: tuple[CodedWarning, ...]

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

    def __repr__(self) -> str:
        return self._view().text()

    def _repr_html_(self) -> str:
        return self._view().html()

    def save(self, models: Path | str) -> Path:
        """
        Write the model into a folder of models; see :func:`save_model`.

        Returns
        -------
        Path
            The model's own folder.
        """
        return save_model(self, Path(models))


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
    import_extra("sklearn.linear_model", needed_by=LEARNING)
    past = read_history(history, config, window)
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
    standard = frame.filter(~frame["is_premium"])
    stated = _stated_harms(standard, config)
    risk = {
        harm: stated[harm] if harm in stated else fit_risk(standard, harm)
        for harm in HARMS
    }
    fits: dict[str, CrossFit] = {}
    if not frame["is_premium"].any() and config.learning.prior is not None:
        data, effect = None, {h: prior_effect(config.learning.prior) for h in HARMS}
    else:
        data = comparable(frame)
        fits = {harm: cross_fit(frame, harm) for harm in HARMS if harm not in stated}
        effect = {harm: prior_effect(config.learning.prior) for harm in stated}
        effect |= _effects(frame, data, fits, kept, config)
    model = _model(past, config, data, risk=risk, effect=effect, kept=kept)
    told = (
        *_warnings(past, data, kept, config),
        *(
            warn(
                "HARM_IS_FREE" if risk == NO_RISK else "HARM_IS_STATED",
                outcome=OUTCOME_OF[harm],
            )
            for harm, risk in stated.items()
        ),
    )
    curves = {harm: calibration(frame, fit, harm) for harm, fit in fits.items()}
    return Learned(model, card_text(model, past, curves, told), told)


def _stated_harms(standard: pl.DataFrame, config: Config) -> dict[str, Risk]:
    """Risks of harms that the history does not have: it may not record them."""
    return {
        harm: risk
        for harm, risk in stated_risks(config).items()
        if not standard[OUTCOME_OF[harm]].any()
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


def _effects(
    frame: pl.DataFrame,
    data: Comparable,
    fits: dict[str, CrossFit],
    kept: list[Promise],
    config: Config,
) -> dict[str, Effect]:
    """Fit the effect on each harm on the rows that could have got either service."""
    found = {}
    for harm, fit in fits.items():
        own = at_rows(fit, data.row)
        drawn = scores(data, own, harm)
        belief = configured_belief(config.learning.prior)
        if data.kind == "randomised":
            belief = regression_belief(frame, harm, kept, belief)
        found[harm] = fit_effect(data, drawn, own.standard, kept, belief)
    return found


def _model(
    past: History,
    config: Config,
    data: Comparable | None,
    *,
    risk: dict[str, Any],
    effect: dict[str, Effect],
    kept: list[Promise],
) -> LearnedModel:
    content = {
        "format": FORMAT,
        "version": "",
        "first_date": past.first.isoformat(),
        "last_date": past.last.isoformat(),
        "regime_breaks": [d.isoformat() for d in config.learning.regime_breaks],
        "kind": "prior" if data is None else data.kind,
        "risk": risk,
        "effect": effect,
        "promises": kept,
        "num_waiting": len(past.rows) - len(past.frame),
    }
    unnamed = LearnedModel.model_validate(content)
    digest = hashlib.sha256(model_text(unnamed).encode()).hexdigest()[:8]
    return unnamed.model_copy(update={"version": f"{past.last}-{digest}"})


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
