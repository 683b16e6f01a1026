"""The measured effect of premium: estimates, rules, claims, and power."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.learned_model import HARMS
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError
from optimizer.learn.alarms import full_stations
from optimizer.learn.by_group import Part, effects_by_group, nights_needed
from optimizer.learn.evaluation import Evaluation
from optimizer.learn.history import read_history, require_ripe
from optimizer.learn.ledger import broken_promises, ledger
from optimizer.learn.one_thread import on_one_thread
from optimizer.learn.overlap import Comparable, comparable, drawn_together
from optimizer.learn.promise import promise_alerts, promises
from optimizer.learn.rankings import judged_rules, no_rules
from optimizer.learn.risk import (
    OUTCOME_OF,
    at_rows,
    cross_fit,
    harm_costs_cny,
    plain_features,
    plain_fit,
)
from optimizer.learn.units import drawn_whole
from optimizer.learn.waiting import what_waits
from optimizer.learn.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.learn.history import History
    from optimizer.learn.risk import CrossFit


#: Standard parcels beside the randomised ones that risks are learned from, at most.
#: More would not make them surer, and so a table need not fit into memory.
MOST_BESIDE = 1_000_000


@on_one_thread
def evaluate(history: Any, config: Config, window: Window) -> Evaluation:
    """
    Measure what premium did on past nights.

    Parameters
    ----------
    history
        A path, a glob, or a table, by the outcomes contract.
    config
        Costs, the cap's rate, and ``learning``.
    window
        Which nights.

    Raises
    ------
    DataError
        When nothing can be compared, or the history breaks a rule.
    ConfigError
        When scikit-learn is not installed.
    """
    past = read_history(history, config, window, MOST_BESIDE)
    parts, found = _parts(past, config)
    if not parts:
        _refuse_nothing_recorded(past)
        require_ripe(past, config)
    first = next(iter(parts.values()))
    known = past.ripe("complaint" if "complaint" in parts else "logistics_return")
    kept = promises(known)
    common, lacking = _common(past, parts, config)
    rules, more = judged_rules(*common, kept, config) if common else no_rules()
    more = lacking or [*more, *_explorers_wait(past, rules)]
    accounts = ledger(*common, config) if common else []
    nights = past.rows["date"].n_unique()
    return Evaluation(
        window={
            "first_date": str(past.first),
            "last_date": str(past.last),
            "num_nights": nights,
            "num_parcels": len(past.rows),
            "maturity": [one.to_json() for one in past.maturity.values()],
            "num_compared": max(len(part.data.frame) for part in parts.values()),
            "kind": first.data.kind,
        },
        effects=list(effects_by_group(parts)),
        rules=rules,
        power=list(nights_needed(parts)),
        claims=claims_ledger(past.rows, is_recorded="claim_cny" not in past.absent),
        promises=[p.model_dump() for p in kept],
        ledger=accounts,
        alerts=[
            *broken_promises(accounts),
            *promise_alerts(kept, config.learning.contract_kept_share),
        ],
        warnings=[
            *past.warnings,
            *_not_told(past),
            *first.data.warnings,
            *found,
            *full_stations(first.data.frame),
            *more,
        ],
    )


def _parts(past: History, config: Config) -> tuple[dict[str, Part], list[CodedWarning]]:
    """Each recorded harm with ripe rows; plain means where nothing predicts it."""
    parts, found = {}, []
    for harm in HARMS:
        if OUTCOME_OF[harm] in past.absent:
            continue
        frame = past.ripe(OUTCOME_OF[harm])
        if len(frame) == 0:
            continue
        data = comparable(frame, past.young(OUTCOME_OF[harm]))
        try:
            by_station = bool(drawn_whole(frame, config).any())
            features = plain_features(frame, past.left_out) if past.left_out else None
            fit = cross_fit(frame, harm, features, by_station=by_station)
        except DataError:
            fit = plain_fit(frame, harm)
            found.append(_no_predictions(frame, OUTCOME_OF[harm]))
        parts[harm] = Part(data, fit, drawn_together(data.frame, config))
    return parts, found


def _refuse_nothing_recorded(past: History) -> None:
    if past.absent >= {*OUTCOME_OF.values()}:
        raise DataError(
            "outcomes: record neither complaints nor returns, so no harm can be "
            "measured; name the columns that have them (learning.history: columns)"
        )


def _not_told(past: History) -> list[CodedWarning]:
    """What the outcomes do not record: nothing is said of it."""
    names = [*OUTCOME_OF.values(), "complaint_reason"]
    absent = [name for name in names if _is_absent(past, name)]
    return [warn("OUTCOMES_LACK", columns=tuple(absent))] if absent else []


def _is_absent(past: History, name: str) -> bool:
    return name in past.absent or past.rows[name].is_null().all()


def _common(
    past: History, parts: Mapping[str, Part], config: Config
) -> tuple[tuple[Comparable, dict[str, CrossFit]] | None, list[CodedWarning]]:
    """
    Compared rows on which every harm is known, and the predictions of each.

    A harm that is not recorded and costs nothing is in no saving. One that costs
    something is: what came of the plans cannot be known then.
    """
    costs = harm_costs_cny(config)
    absent = [harm for harm in HARMS if OUTCOME_OF[harm] in past.absent]
    lacking = [OUTCOME_OF[harm] for harm in absent if costs[harm]]
    if lacking:
        return None, [warn("SAVINGS_ARE_NOT_KNOWN", columns=tuple(lacking))]
    recorded = [harm for harm in HARMS if harm not in absent]
    masks = {harm: past.maturity[OUTCOME_OF[harm]].is_ripe for harm in recorded}
    both = np.logical_and.reduce([*masks.values()])
    frame = past.rows.filter(both)
    if len(parts) < len(recorded) or frame["is_premium"].n_unique() <= 1:
        return None, []
    data = comparable(frame, past.young(*map(OUTCOME_OF.__getitem__, recorded)))
    fits = {
        harm: at_rows(part.fit, np.flatnonzero(both[masks[harm]])[data.row])
        for harm, part in parts.items()
    }
    return (data, fits), []


def _explorers_wait(past: History, rules: list[dict[str, Any]]) -> list[CodedWarning]:
    """Where rules are not compared: parcels that would tell them apart, and wait."""
    recorded = [name for name in OUTCOME_OF.values() if name not in past.absent]
    explorers = past.young(*recorded).at_random.filter(arm="explore")
    return [] if rules else what_waits(explorers)


def _no_predictions(frame: pl.DataFrame, outcome: str) -> CodedWarning:
    if frame[outcome].all():
        return warn("ALWAYS_HAPPENED", outcome=outcome, num_parcels=len(frame))
    happened = frame.filter(~frame["is_premium"])[outcome]
    return warn(
        "NO_PREDICTIONS",
        outcome=outcome,
        num_happened=int(happened.sum()),
        num_parcels=len(happened),
    )


def claims_ledger(
    frame: pl.DataFrame, *, is_recorded: bool = True
) -> list[dict[str, Any]]:
    """
    Compensation by carrier: money between carrier and payee, not in any objective.

    A carrier that breaks more promises pays more, and its parcels save less: broken
    promises lower ``fulfilment``. The payments are counted nowhere else. Where the
    outcomes do not record them, ``num_claims`` and ``claims_cny`` are ``None``.
    """
    import polars as pl

    table = (
        frame.filter("is_premium")
        .group_by("carrier_id")
        .agg(
            num_premium=pl.len(),
            num_claims=(pl.col("claim_cny").fill_null(0) > 0).sum(),
            claims_cny=pl.col("claim_cny").fill_null(0).sum(),
        )
        .sort("carrier_id")
    )
    if not is_recorded:
        table = table.with_columns(num_claims=None, claims_cny=None)
    return table.to_dicts()
