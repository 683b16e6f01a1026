"""The record of a night, and the tables that are published with it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from optimizer.build.carryover import night_warnings
from optimizer.contracts.run_folder import SCHEMA_VERSION
from optimizer.contracts.tables import FIGURES, NIGHTS
from optimizer.explain.makers import night_tables, sorted_decisions
from optimizer.explain.week import nights_table
from optimizer.night.decided import decided
from optimizer.night.folders import published_version
from optimizer.night.publish import Contents
from optimizer.night.state.reconcile import output_of
from optimizer.report import report_figures

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from optimizer.config import Config
    from optimizer.contracts.columns import Table
    from optimizer.night.api import Solved
    from optimizer.night.resolve import ResolvedNight

_Record = Mapping[str, Any]
#: Tables that are made of the night's record, those of the week before, and the tables
#: that were made so far; in this order.
OF_RECORD: Mapping[
    Table, Callable[[_Record, list[_Record], Mapping[str, pl.DataFrame]], pl.DataFrame]
] = {
    NIGHTS: lambda record, earlier, _: nights_table(earlier, record),
    FIGURES: lambda record, _, tables: report_figures(record, tables),
}


def contents_of(
    solved: Solved,
    record: Mapping[str, Any],
    earlier: list[Mapping[str, Any]],
    audit_text: Callable[[Mapping[str, Any]], str],
    told: Callable[[Path], Mapping[str, Any]],
    room: int | None = None,
) -> Contents:
    """
    Turn a solved night into the contents of a publication.

    Parameters
    ----------
    solved, record
        The night, and its record.
    earlier
        Records of the nights of the week before.
    audit_text
        Gives the night's second statement (``audit.sql``) from its record.
    told
        Gives entries of the record that need the written tables.
    room
        Of :func:`~optimizer.explain.makers.sorted_decisions`.
    """
    night = solved.night
    decisions = partial(sorted_decisions, night, room=room)
    tables = tables_with_record(night_tables(night), record, earlier)
    return Contents(decisions, tables, audit_text, told)


def tables_with_record(
    of_night: Mapping[str, pl.DataFrame],
    record: Mapping[str, Any],
    earlier: list[Mapping[str, Any]],
) -> dict[str, pl.DataFrame]:
    """
    Add to a night's tables those that are made of its record.

    Parameters
    ----------
    of_night
        From :func:`~optimizer.explain.makers.night_tables`.
    record, earlier
        As for :func:`contents_of`.
    """
    tables = dict(of_night)
    for table, make in OF_RECORD.items():
        tables[table.file] = make(record, earlier, tables)
    return tables


def record_of(
    config: Config,
    day: dt.date,
    solved: Solved,
    found: ResolvedNight,
) -> dict[str, Any]:
    """
    Make the record of a night, ``run.json``.

    Parameters
    ----------
    config, day, solved, found
        The night.
    """
    assert config.output is not None
    night = solved.night
    replaces = published_version(output_of(config.output, day), day)
    num_rows = {used.name: used.num_rows for used in night.inputs}
    num_rows |= found.num_delivery_rows
    read_as = {**found.read_as, **{used.name: used.read_as for used in night.inputs}}
    unread = {used.name: used.unread for used in night.inputs if used.unread}
    return decided(config, day, night, solved.summary) | {
        "schema_version": SCHEMA_VERSION,
        "date": day.isoformat(),
        "identity": found.identity,
        "inputs": {
            name: {
                "num_rows": count,
                "files": [asdict(file) for file in found.files[name]],
            }
            | ({"read_as": read_as[name]} if read_as.get(name) else {})
            | ({"unread": list(unread[name])} if name in unread else {})
            for name, count in num_rows.items()
        },
        "origins": dict(found.fetched.origins),
        "substitutes": dict(found.inputs.substitutes),
        "is_late": found.before.is_late,
        "warnings": [
            warning.to_json()
            for warning in (
                *night.warnings,
                *found.warnings,
                *night_warnings(found.inputs.substitutes, is_late=found.before.is_late),
            )
        ],
        "run_measurements": {
            "replaces": None if replaces is None else replaces.name,
            "started_at_utc": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "seconds": {k: round(v, 4) for k, v in solved.clock.seconds.items()},
            "peak_memory_bytes": solved.clock.peak_memory_bytes,
        },
    }
