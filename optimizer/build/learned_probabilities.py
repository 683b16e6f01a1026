"""A learned model on a night: it fills missing probabilities and changes no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.build.learned_model import HARMS
from optimizer.build.model_file import load_model
from optimizer.build.model_prediction import (
    kept_effect,
    level_sum,
    premium_risk,
    risk_of,
)
from optimizer.config import Fulfilment, expand_date
from optimizer.contracts.warnings import share_text, warn
from optimizer.errors import ConfigError
from optimizer.io.night_sources import lacking_risks, lacks_premium

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.learned_model import LearnedModel, Risk
    from optimizer.config import Config, Objective, PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.read import Source


def model_of(config: Config, day: dt.date | None) -> LearnedModel | None:
    """
    Read the configured model, if there is one.

    Raises
    ------
    ConfigError
        When there is no such model, the night has no date, or the model has seen it.
    """
    if config.model is None:
        return None
    if day is None:
        raise ConfigError("model: a night with a model needs its date (date=)")
    found = load_model(expand_date(config.model, day))
    if found.model.last_day >= day:
        raise ConfigError(
            f"model: {found.path} has seen outcomes until {found.model.last_date}, so "
            f"it knows the night of {day} already; use a model learned before it"
        )
    return found.model


def with_model(config: Config, folder: Path | None) -> Config:
    """A configuration whose model is read from another folder; ``None``: as it is."""
    if folder is None:
        return config
    return config.model_copy(update={"model": str(folder)})


def model_identity(config: Config, day: dt.date) -> dict[str, str]:
    """The model's part in a run's identity: its checksum."""
    if config.model is None:
        return {}
    return {"model_sha256": load_model(expand_date(config.model, day)).sha256}


class Gaps(NamedTuple):
    """
    Probabilities that a night's tables leave to a model.

    Attributes
    ----------
    premium
        Whether those on premium service.
    risks
        Harms whose probability on standard service is.
    """

    premium: bool
    risks: frozenset[str]


def gaps_of(sources: Mapping[str, Source], model: LearnedModel | None) -> Gaps:
    """What a night takes from its model; nothing where it has none."""
    if model is None:
        return Gaps(premium=False, risks=frozenset())
    return Gaps(lacks_premium(sources), lacking_risks(sources))


def model_warnings(
    model: LearnedModel | None, day: dt.date | None, gaps: Gaps
) -> list[CodedWarning]:
    """
    Warn when what a night takes from its model is stated, in doubt, or old.

    Of a model that gives the risk alone, or nothing, its effects are not told.
    """
    if model is None or day is None or not any(gaps):
        return []
    found: list[CodedWarning] = []
    if gaps.premium:
        found += [warn("MODEL_IS_PRIOR")] if model.kind == "prior" else []
        if gaps.risks >= {*HARMS} and not any(map(_has_risk, model.risk.values())):
            found.append(warn("RISK_IS_STATED"))
        found += doubts(model)
    return found + [
        warn("MODEL_BEFORE_RULES", rules_since=text, last_night=model.last_date)
        for text in model.regime_breaks
        if model.last_date < text <= day.isoformat()
    ]


def doubts(model: LearnedModel) -> list[CodedWarning]:
    """Say which effects have the benefit of doubt; see :mod:`optimizer.learn.doubt`."""
    return [
        warn(
            "BENEFIT_OF_DOUBT",
            outcome=harm,
            measured=share_text(effect.doubt.measured),
            error=share_text(effect.doubt.error),
            taken=share_text(effect.doubt.taken),
        )
        for harm, effect in model.effect.items()
        if effect.doubt is not None
    ]


def _has_risk(risk: Risk) -> bool:
    """Whether the risk differs between any two orders."""
    return bool(risk.slopes or any(risk.levels.values()))


def fulfilment_of(
    objective: Objective,
    policy: PolicyRow,
    sources: Mapping[str, Source],
    model: LearnedModel | None,
) -> Sequence[Fulfilment]:
    """
    Promise-keeping of the night: the model's, if it also gives the probabilities.

    Premium probabilities that come with the orders may already include the promise;
    then the model's promise-keeping is not used.

    Parameters
    ----------
    objective
        With the configured ``fulfilment``.
    policy
        With the carriers of the date.
    sources
        The input tables by name: they say whether premium probabilities are given.
    model
        What was learned; ``None`` without a model.
    """
    stated = objective.fulfilment
    if model is None or not lacks_premium(sources):
        return stated
    return fulfilment_rows(model, policy.carriers, stated)


def fill_orders(frame: pl.DataFrame, model: LearnedModel | None) -> pl.DataFrame:
    """
    Give orders the probabilities that their table lacks.

    Parameters
    ----------
    frame
        Checked orders; a probability column is complete, or null throughout.
    model
        The learned model.
    """
    import polars as pl

    for harm in HARMS if model is not None else ():
        assert model is not None
        standard, premium = f"{harm}_prob_standard", f"{harm}_prob_premium"
        if frame[standard].null_count():
            value = risk_of(frame, model.risk[harm])
            frame = frame.with_columns(pl.Series(standard, value))
        if frame[premium].null_count():
            effect = model.effect[harm]
            share = kept_effect(frame, effect)
            value = premium_risk(frame[standard].to_numpy(), share, effect.link)
            frame = frame.with_columns(pl.Series(premium, value))
    return frame


@dataclass(frozen=True, slots=True, eq=False)
class OrderShares:
    """
    The part of the effect that belongs to the order, not to the carrier.

    Attributes
    ----------
    complaint, logistics_return
        ``(n,) float64``: share of the harm that a kept promise removes.
    """

    complaint: NDArray[np.float64]
    logistics_return: NDArray[np.float64]


def order_shares(frame: pl.DataFrame, model: LearnedModel | None) -> OrderShares:
    """The effect of a batch of orders without that of their carriers."""
    if model is None:
        return OrderShares(np.zeros(0), np.zeros(0))
    plain = frame.drop("carrier_id", strict=False)
    return OrderShares(*(kept_effect(plain, model.effect[harm]) for harm in HARMS))


class StandardRisks(NamedTuple):
    """
    Risks of orders on standard service.

    Attributes
    ----------
    complaint, logistics_return
        ``(n,) float64``.
    """

    complaint: NDArray[np.float64]
    logistics_return: NDArray[np.float64]


def fill_options(
    frame: pl.DataFrame,
    order: NDArray[np.int64],
    standard: StandardRisks,
    shares: OrderShares,
    model: LearnedModel | None,
) -> pl.DataFrame:
    """
    Give options the premium probabilities that their table lacks.

    Parameters
    ----------
    frame
        Checked options.
    order
        ``(len(frame),) int64``: position of each option's order.
    standard
        Of all orders.
    shares
        Of all orders.
    model
        The learned model.
    """
    import polars as pl

    if model is None or not frame["complaint_prob_premium"].null_count():
        return frame
    both = zip(
        HARMS, standard, (shares.complaint, shares.logistics_return), strict=True
    )
    filled = []
    for harm, risk, share in both:
        effect = model.effect[harm]
        carrier = {"carrier_id": effect.levels.get("carrier_id", {})}
        kept = share[order] + level_sum(frame, carrier)
        value = premium_risk(risk[order], kept, effect.link)
        filled.append(pl.Series(f"{harm}_prob_premium", value))
    return frame.with_columns(filled)


def fulfilment_rows(
    model: LearnedModel, roster: Iterable[str], configured: Iterable[Fulfilment]
) -> list[Fulfilment]:
    """
    Promise-keeping in the form of ``objective.fulfilment``.

    Rows of the configuration are kept. A carrier that it does not name gets the model's
    share, and one without history the pooled share.
    """
    stated = list(configured)
    named = {row.carrier_id for row in stated}
    pooled = next(p.mean for p in model.promises if p.carrier_id is None)
    known = {p.carrier_id for p in model.promises}
    rows = [
        (p.carrier_id, p.region_id, p.mean)
        for p in model.promises
        if p.carrier_id is not None and p.carrier_id not in named
    ]
    rows += [(c, None, pooled) for c in roster if c not in known and c not in named]
    return stated + [
        Fulfilment.model_validate(
            {"carrier_id": c, "region_id": r, "probability": round(share, 9)}
        )
        for c, r, share in rows
    ]
