"""
Check a date as a run would, up to the solve, and say what a person would look at.

Whatever a run refuses before it solves is refused here in the same words, since the
same functions refuse it; what only writing shows (a lock, a full disk, a right that is
lacking) a run alone can know. Nothing is written.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.build.carryover import night_warnings
from optimizer.build.model_file import CARD_FILE
from optimizer.build.survey import Survey, calibration, count_merchants
from optimizer.config import expand_date, policy_on
from optimizer.errors import ConfigError
from optimizer.io.cells import cell_rules
from optimizer.io.read import open_source
from optimizer.io.row_places import find_rows
from optimizer.io.snapshot import refuse_change
from optimizer.night.api import build_night
from optimizer.night.identity import already_words, is_same_night
from optimizer.night.inputs import tables_of
from optimizer.night.publish import published_record
from optimizer.night.resolve import find_night, open_ledger, require_places
from optimizer.night.state.database import read_state
from optimizer.night.state.ledger import history_days, refuse_if_relied_on
from optimizer.night.state.reconcile import look_at, output_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from optimizer.build.night import Intake
    from optimizer.build.survey import BaseRate
    from optimizer.config import Config
    from optimizer.night.resolve import ResolvedNight
    from optimizer.night.state.database import StateDatabase

#: Refused rows that are shown with their place, and of each broken rule.
NUM_SHOWN, NUM_OF_RULE = 10, 2


def check_inputs(
    config: Config,
    day: dt.date,
    progress: Callable[[str], None] | None = None,
    *,
    is_forced: bool = False,
    find_rates: Callable[[], Sequence[BaseRate]] = tuple,
) -> dict[str, Any]:
    """
    Read and check the inputs of a date, and build the night, without solving it.

    Parameters
    ----------
    config
        With ``inputs`` and ``output``.
    day
        The business date.
    progress
        Called with the name of each stage.
    is_forced
        Check as for a run with ``--force``: also a date that is published from other
        inputs.
    find_rates
        Gives the shares of harm that probabilities are held against.

    Returns
    -------
    dict
        JSON-ready: ``date``; ``num_rows`` and ``unread`` columns by table;
        ``num_quarantined``; ``lookups``; ``merchants``, see
        :func:`~optimizer.build.survey.count_merchants`; ``capacity``: ``lanes``, the
        largest shortage first, and the number of further rows; ``probabilities``, with
        their ``calibration``; ``quarantine``: rows by rule, and the first with file and
        line; ``missing``: codes of what is not there, with names; ``warnings``.

    Raises
    ------
    ConfigError, DataError, SolveError, BusyError
        As a run before it solves.
    """
    require_places(config)
    if config.engine == "spark":
        raise ConfigError(
            "checking a date reads it on this machine; with engine: spark use "
            "`optimizer run --dry-run`, which checks it on the cluster, and publishes "
            "nothing"
        )
    assert config.output is not None
    with read_state(config) as state:
        healed = look_at(state, config.output)
    healed.refuse_near(day, history_days(config, policy_on(config, day)))
    survey = Survey()
    with (
        open_ledger(config, day, None) as ledger,
        find_night(
            ledger, config, day, None, progress, None, is_waiting=False
        ) as found,
    ):
        _refuse_published(ledger, config, day, found, is_forced=is_forced)
        intake = build_night(
            found.fetched.paths,
            config,
            date=day,
            progress=progress,
            history=found.before.history,
            look=survey,
        ).intake
        refuse_change(found.snapshot)
        quarantine = _quarantine(intake.quarantine, found, config)
    return _told(
        config,
        day,
        found,
        intake,
        survey=survey,
        quarantine=quarantine,
        rates=find_rates(),
    )


def _refuse_published(
    ledger: StateDatabase,
    config: Config,
    day: dt.date,
    found: ResolvedNight,
    *,
    is_forced: bool,
) -> None:
    """Refuse a date that a run would not replace."""
    assert config.output is not None
    output = output_of(config.output, day)
    before = published_record(output, day)
    if before is None or is_same_night(before, found.identity, config):
        return
    if not is_forced:
        raise ConfigError(already_words(output, day, before, found.identity))
    refuse_if_relied_on(ledger, day, "replaced")


def _told(
    config: Config,
    day: dt.date,
    found: ResolvedNight,
    intake: Intake,
    *,
    survey: Survey,
    quarantine: Mapping[str, Any],
    rates: Sequence[BaseRate],
) -> dict[str, Any]:
    """Put together what is said of a date."""
    lookups = [*intake.lookups, *([] if found.lookup is None else [found.lookup])]
    substituted = night_warnings(found.inputs.substitutes, is_late=found.before.is_late)
    warnings = [*intake.warnings, *found.warnings, *substituted]
    chances = survey.probabilities()
    known = calibration(chances, rates)
    return {
        "date": day.isoformat(),
        "num_rows": {used.name: used.num_rows for used in intake.inputs}
        | dict(found.num_delivery_rows),
        "unread": {used.name: list(used.unread) for used in intake.inputs},
        "num_quarantined": intake.quarantine.select("source", "row").n_unique(),
        "lookups": [count.to_json() for count in lookups],
        "merchants": count_merchants(intake),
        "capacity": {
            "lanes": [lane.to_json() for lane in survey.lanes],
            "num_other_rows": survey.num_other_rows,
            "uncovered_lanes": config.capacity.uncovered_lanes,
        },
        "probabilities": {**chances, "calibration": known},
        "quarantine": dict(quarantine),
        "missing": _missing(config, day, found, survey, has_rates=bool(known)),
        "warnings": [warning.to_json() for warning in warnings],
    }


def _quarantine(
    table: pl.DataFrame, found: ResolvedNight, config: Config
) -> dict[str, Any]:
    """Refused rows by rule, most first, and the first few with file and line."""
    import polars as pl

    rule = ["source", "column", "rule"]
    counts = (
        table.group_by(rule)
        .agg(num_rows=pl.len())
        .sort("num_rows", *rule, descending=[True, False, False, False])
    )
    shown = table.sort("row").group_by(rule, maintain_order=True).head(NUM_OF_RULE)
    shown = shown.sort("source", "row", "column").head(NUM_SHOWN)
    cells, first = cell_rules(config), []
    tables = tables_of(config, found.policy)
    for name in shown["source"].unique().sort().to_list():
        part = shown.filter(pl.col("source") == name)
        source = open_source(found.fetched.paths[name], tables[name], rules=cells)
        places = find_rows(source, part["row"].to_list())
        origin = found.fetched.origins.get(name)
        first += [
            {
                "source": name,
                "row": row["row"],
                "place": origin or str(places[row["row"]]),
                "line": places[row["row"]].line,
                "column": row["column"],
                "rule": row["rule"],
            }
            for row in part.to_dicts()
        ]
    return {"by_rule": counts.to_dicts(), "first": first}


def _missing(
    config: Config,
    day: dt.date,
    found: ResolvedNight,
    survey: Survey,
    *,
    has_rates: bool,
) -> list[dict[str, Any]]:
    """Codes of what this night does without, with names where there are any."""
    assert config.inputs is not None
    policy, holdout = policy_on(config, day), config.holdout
    no_row = [*survey.active_without_row]
    wanted = {lane.carrier_id for lane in survey.lanes if lane.num_orders}
    idle = sorted({*policy.carriers} - wanted) if None not in wanted else []
    is_banked = policy.cap.rounding == "carryover"
    bank = found.before.history.bank
    lacking: dict[str, bool | Sequence[str]] = {
        "NO_CAPACITY": no_row,
        "NO_MERCHANTS": "merchants" not in found.fetched.paths,
        "NO_HISTORY": config.learning.history is None,
        "NO_CARD": config.model is not None and not _has_card(config, day),
        "NO_BASE_RATE": not has_rates,
        "NOTHING_AT_RANDOM": not (
            holdout.share
            or (holdout.explore_share and config.objective.explore != "none")
            or config.objective.explore == "thompson"
        ),
        "NO_DELIVERIES": config.capacity.counted_on != "order"
        and "deliveries" not in found.fetched.paths,
        "NO_EARLIER_NIGHTS": is_banked and (bank is None or bank.is_empty()),
        "NO_ORDERS": idle,
    }
    return [
        {"code": code, "names": [] if what is True else [*what]}
        for code, what in lacking.items()
        if what
    ]


def _has_card(config: Config, day: dt.date) -> bool:
    assert config.model is not None
    return (Path(expand_date(config.model, day)) / CARD_FILE).is_file()
