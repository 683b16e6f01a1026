"""What a night's record says, and what makes two runs the same."""

from __future__ import annotations

import datetime as dt
import platform
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from optimizer.build.carryover import night_warnings
from optimizer.build.learned_probabilities import model_identity
from optimizer.config import config_hash, config_json, policy_on
from optimizer.contracts.run_folder import SCHEMA_VERSION, read_record
from optimizer.contracts.tables import FIGURES, NIGHTS
from optimizer.explain.makers import night_tables, sorted_decisions
from optimizer.explain.week import nights_table
from optimizer.night.claims import certificate_record
from optimizer.night.publish import Contents
from optimizer.report import report_figures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from optimizer.config import Config
    from optimizer.io.read import FileRecord
    from optimizer.night.api import Solved
    from optimizer.night.resolve import ResolvedNight

_LIBRARIES = ("numba", "numpy", "ortools", "polars", "pyarrow", "pydantic")


def identity_of(
    config: Config,
    day: dt.date,
    files: Mapping[str, tuple[FileRecord, ...]],
    previous: Path | None,
    history: str | None,
) -> dict[str, Any]:
    """
    Say what makes two runs the same: rules, inputs, program, date, nights before.

    An earlier run only counts where it may decide between equal optima, and nights
    before only where they can decide anything.
    """
    kept: dict[str, Any] = {} if history is None else {"history": history}
    if previous is not None and config.solver.keep_previous:
        kept |= {"previous": read_record(previous)["identity"]}
    return kept | {
        "date": day.isoformat(),
        **model_identity(config, day),
        "version": version("premium-delivery-optimizer"),
        "config_sha256": config_hash(config),
        "inputs": {name: [f.sha256 for f in found] for name, found in files.items()},
    }


def already_words(
    output: Path, day: dt.date, before: Mapping[str, Any], identity: Mapping[str, Any]
) -> str:
    """Say why a night that is published from other inputs is not replaced."""
    old = before["identity"]
    changed = [
        what
        for what, key in (
            ("the configuration", "config_sha256"),
            ("the program", "version"),
            ("the model", "model_sha256"),
        )
        if old.get(key) != identity.get(key)
    ]
    names = {*old["inputs"], *identity["inputs"]}
    if old.get("history") != identity.get("history"):
        changed.append("what earlier nights left")
    changed += sorted(
        name
        for name in names
        if old["inputs"].get(name) != identity["inputs"].get(name)
    )
    return (
        f"{output / day.isoformat()}: is already published, and {', '.join(changed)} "
        "changed since; pass --force to replace it (the old night is kept aside)"
    )


def contents_of(
    solved: Solved, record: Mapping[str, Any], earlier: list[Mapping[str, Any]]
) -> Contents:
    """
    Put a solved night into what is published.

    Parameters
    ----------
    solved, record
        The night, and its record.
    earlier
        Records of the nights of the week before.
    """
    night = solved.night
    tables = night_tables(night)
    tables[NIGHTS.file] = nights_table(earlier, record)
    tables[FIGURES.file] = report_figures(record, tables)
    return Contents(partial(sorted_decisions, night), tables)


def record_of(
    config: Config,
    day: dt.date,
    solved: Solved,
    found: ResolvedNight,
    replaces: Path | None,
) -> dict[str, Any]:
    """
    Put a night into the words of ``run.json``.

    Parameters
    ----------
    config, day, solved, found
        The night.
    replaces
        The version that was published for the date before, if any.
    """
    night = solved.night
    num_rows = {used.name: used.num_rows for used in night.inputs}
    num_rows |= found.num_delivery_rows
    return {
        "schema_version": SCHEMA_VERSION,
        "date": day.isoformat(),
        "identity": found.identity,
        "versions": {name: version(name) for name in _LIBRARIES}
        | {"python": platform.python_version()},
        "config": config_json(config),
        "policy": policy_on(config, day).model_dump(mode="json"),
        "inputs": {
            name: {
                "num_rows": count,
                "files": [asdict(file) for file in found.files[name]],
            }
            for name, count in num_rows.items()
        },
        "origins": dict(found.fetched.origins),
        "substitutes": dict(found.inputs.substitutes),
        "is_late": found.before.is_late,
        "problem_class": night.problem.problem_class,
        "termination": asdict(night.solution.termination),
        "certificate": certificate_record(night),
        "summary": dict(solved.summary),
        "warnings": [
            warning.to_json()
            for warning in (
                *night.warnings,
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
