"""The risk of a harm that hardly any parcel had, or none, or that is only stated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from optimizer.build.learned_model import HARMS, NO_RISK, Risk
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError, counted
from optimizer.extras import import_extra
from optimizer.learn.risk import LEARNING, OUTCOME_OF, fit_risk
from optimizer.learn.waiting import what_waits

if TYPE_CHECKING:
    import polars as pl

    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.features import Features
    from optimizer.learn.waiting import Waiting

#: Parcels on standard service without which no rate is learned: of none of fewer, less
#: than 3 % cannot be told from 0 (at 95 %), and most rates are less.
MIN_PARCELS = 100
#: Harms of them below which the model says on how few the rate rests.
FEW_HARMS = 20


def known_risks(
    standard: pl.DataFrame,
    absent: frozenset[str],
    features: Features,
    config: Config,
    young: Waiting,
) -> tuple[dict[str, Risk], dict[str, Risk], list[CodedWarning]]:
    """
    Find the risk of each harm, as far as the history or somebody tells it.

    Parameters
    ----------
    standard
        Outcomes of parcels on standard service.
    absent
        Outcomes that the history does not record.
    features
        What a risk may depend on.
    config
        With what is stated.
    young
        Outcomes that are not ripe.

    Returns
    -------
    risk, stated, warnings
        By harm; those of them that nothing was learned of; and what they rest on.

    Raises
    ------
    DataError
        When a harm happened to all parcels, or they are too few to tell.
    """
    stated = _stated_harms(standard, absent, config)
    for harm in HARMS:
        _refuse_always(standard, harm, config)
        if harm not in stated:
            _refuse_few(standard, harm, config, young)
    learned = [harm for harm in HARMS if harm not in stated]
    risk = {
        harm: stated[harm] if harm in stated else _risk(standard, harm, features)
        for harm in HARMS
    }
    told = [
        *(_of_stated(standard, harm, absent, config) for harm in stated),
        *(_never(standard, harm) for harm in learned if _is_rare(standard, harm)),
        *(warning for harm in learned for warning in _rests_on(standard, harm)),
    ]
    if any(one.code == "TOO_FEW_FOR_A_RATE" for one in told):
        told += what_waits(young.standard)
    return risk, stated, told


def constant_risk(share: float) -> Risk:
    """The same risk for every order."""
    return Risk(intercept=math.log(share / (1 - share)), slopes={}, levels={})


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
    high = upper_bound(len(standard))
    return {
        harm: constant_risk(high)
        if OUTCOME_OF[harm] not in absent
        and risk != NO_RISK
        and not standard[OUTCOME_OF[harm]].any()
        and high < _share_of(risk)
        else risk
        for harm, risk in found.items()
    }


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


def _refuse_few(
    standard: pl.DataFrame, harm: str, config: Config, young: Waiting
) -> None:
    """Refuse to learn a rate of hardly any parcels."""
    if not 0 < len(standard) < MIN_PARCELS:
        return
    what, more = "parcel", "give more days"
    if len(young.standard):
        what, more = "ripe parcel", young.told()
    raise DataError(
        f"outcomes: only {counted(len(standard), what)} on standard service; "
        f"{MIN_PARCELS} at least tell how often {OUTCOME_OF[harm]} happens; "
        f"{more}, or state the rates, which are in force "
        f"until then {_stated_example(config)}"
    )


def _stated_example(config: Config) -> str:
    """What to write so that every rate is stated."""
    probs = "complaint_prob: 0.01"
    if config.counts_returns:
        probs += ", return_prob: 0.02"
    return f"(learning: {{prior: {{effect: 0.3, {probs}}}}})"


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


def _is_rare(standard: pl.DataFrame, harm: str) -> bool:
    return not standard[OUTCOME_OF[harm]].any()


def _never(standard: pl.DataFrame, harm: str) -> CodedWarning:
    """A harm that never happened has a rate all the same, and an upper bound."""
    num = len(standard)
    return warn(
        "HARM_NEVER_HAPPENED",
        num_parcels=num,
        outcome=OUTCOME_OF[harm],
        rate=f"{0.5 / (num + 1):.4%}",
        high=f"{upper_bound(num):.4%}",
    )


def _of_stated(
    standard: pl.DataFrame, harm: str, absent: frozenset[str], config: Config
) -> CodedWarning:
    """Say what the risk is of a harm that the history does not have, and why."""
    outcome, known = OUTCOME_OF[harm], stated_risks(config)[harm]
    if known == NO_RISK:
        return warn("HARM_IS_FREE", outcome=outcome)
    if outcome in absent:
        return warn("HARM_IS_ABSENT", outcome=outcome)
    stated, high = _share_of(known), upper_bound(len(standard))
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


def upper_bound(num: int) -> float:
    """
    Rate that is refuted, at 95 %, by none among so many (Clopper-Pearson).

    Examples
    --------
    >>> round(upper_bound(300), 4)
    0.0099
    """
    return float(1 - 0.05 ** (1 / max(num, 1)))


def _share_of(risk: Risk) -> float:
    """The share that a constant risk is."""
    return 1 / (1 + math.exp(-risk.intercept))
