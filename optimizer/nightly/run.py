"""Run one date: from configured files to a published, certified night."""

from __future__ import annotations

import datetime as dt
import logging
import platform
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.api import solve_night, sorted_decisions
from optimizer.clock import StageClock
from optimizer.config import config_hash, config_json, expand_date, policy_on
from optimizer.data.read import fingerprint, open_source
from optimizer.data.run_files import SCHEMA_VERSION, read_record
from optimizer.data.tables import CAPACITY, MERCHANTS, OPTIONS, ORDERS
from optimizer.errors import CertificateError, ConfigError, SolveError
from optimizer.insight.further import further_tables
from optimizer.insight.history import nights_table, run_id
from optimizer.insight.report import report_figures
from optimizer.insight.tables import lanes_table, merchants_table
from optimizer.intake import name_orders, take_in
from optimizer.nightly.history import earlier_records
from optimizer.nightly.publish import (
    Contents,
    date_lock,
    publish,
    published_record,
)
from optimizer.outcomes.apply import model_identity
from optimizer.proof.claims import certificate_record, is_beyond

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from optimizer.api import Solved
    from optimizer.config import Config
    from optimizer.data.read import FileRecord
    from optimizer.proof.certificate import Certificate

logger = logging.getLogger(__name__)

_TABLES = {
    "orders": ORDERS,
    "capacity": CAPACITY,
    "options": OPTIONS,
    "merchants": MERCHANTS,
}
_LIBRARIES = ("numba", "numpy", "ortools", "polars", "pyarrow", "pydantic")


@dataclass(frozen=True, slots=True)
class RunReport:
    """
    What a run did.

    Attributes
    ----------
    run_dir
        Where the night is, or would have been.
    outcome
        ``published``, ``unchanged`` (the same night was there already) or
        ``dry run``.
    record
        The night's record, as in ``run.json``.
    """

    run_dir: Path
    outcome: str
    record: Mapping[str, Any]


def run_night(
    config: Config,
    day: dt.date,
    *,
    is_dry: bool = False,
    is_forced: bool = False,
    previous: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> RunReport:
    """
    Run a date and publish it if it is proved good enough.

    Parameters
    ----------
    config
        With ``inputs`` and ``output``.
    day
        The business date.
    is_dry
        Do everything but write.
    is_forced
        Replace a night that was published from other inputs; it is kept aside.
    previous
        The folder of an earlier run to start from.
    progress
        Called with the name of each stage.

    Raises
    ------
    ConfigError
        When the configuration has no inputs or output, or the date is published
        from other inputs.
    DataError
        When an input is refused.
    SolveError
        When the plan is proved no better than ``publish.max_relative_gap`` allows.
    BusyError
        When another run holds the date.
    PublishError
        When the night cannot be written.
    """
    if config.inputs is None or config.output is None:
        raise ConfigError("a nightly run needs inputs and output in the configuration")
    output = Path(expand_date(config.output, day))
    with nullcontext() if is_dry else date_lock(output, day):
        paths = _input_paths(config, day)
        files = {
            name: fingerprint(open_source(path, _TABLES[name]))
            for name, path in paths.items()
        }
        identity = _identity(config, day, files, previous)
        before = published_record(output, day)
        if before is not None and not is_dry:
            if before["identity"] == identity:
                return RunReport(output / day.isoformat(), "unchanged", before)
            if not is_forced:
                raise ConfigError(_already(output, day, before, identity))
        solved = solve_night(
            paths, config, date=day, previous=previous, progress=progress
        )
        check_release(solved.certificate, config)
        record = _record(config, day, solved, files, identity)
        if is_dry:
            return RunReport(output / day.isoformat(), "dry run", record)
        if progress is not None:
            progress("publish")
        contents = _contents(solved, record, earlier_records(config, day))
        run_dir = publish(output, day, run_id(identity), contents, record)
    return RunReport(run_dir, "published", record)


def published_at(output: str, day: dt.date) -> Path:
    """Link to the published night of a date."""
    return Path(expand_date(output, day)) / day.isoformat()


def check_inputs(
    config: Config, day: dt.date, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """
    Read and check the inputs of a date, and build the night, without solving it.

    Returns
    -------
    dict
        JSON-ready: rows of each input, quarantined rows, warnings.

    Raises
    ------
    ConfigError, DataError
        As a run would.
    """
    if config.inputs is None:
        raise ConfigError("checking a date needs inputs in the configuration")
    policy = policy_on(config, day)
    clock = StageClock(progress)
    intake = take_in(_input_paths(config, day), config, policy, clock, day)
    return {
        "date": day.isoformat(),
        "num_rows": {used.name: used.num_rows for used in intake.inputs},
        "num_quarantined": intake.quarantine.select("source", "row").n_unique(),
        "warnings": list(intake.warnings),
    }


def check_release(proof: Certificate, config: Config) -> None:
    """
    Let a plan go only if its certificate says that it is good enough.

    Raises
    ------
    CertificateError
        When the plan breaks a limit, or its bound contradicts it.
    SolveError
        When the proved gap is above ``publish.max_relative_gap``.
    """
    if not proof.is_feasible or proof.gap < 0:
        broken = "; ".join(proof.violations) or "its bound is below its own value"
        raise CertificateError(f"the plan is not feasible ({broken}); not published")
    if is_beyond(proof, config.publish.max_relative_gap):
        raise SolveError(
            f"the plan is proved only to within {proof.relative_gap:.3%} of the best, "
            f"and publish.max_relative_gap allows {config.publish.max_relative_gap:%}; "
            "not published. Use method auto, or raise solver.time_limit_seconds"
        )


def _input_paths(config: Config, day: dt.date) -> dict[str, str]:
    assert config.inputs is not None
    given = config.inputs.model_dump(exclude_none=True)
    return {name: expand_date(template, day) for name, template in given.items()}


def _identity(
    config: Config,
    day: dt.date,
    files: Mapping[str, tuple[FileRecord, ...]],
    previous: Path | None,
) -> dict[str, Any]:
    """
    What makes two runs the same: rules, inputs, program, date.

    An earlier run only counts where it may decide between equal optima.
    """
    kept = {}
    if previous is not None and config.solver.keep_previous:
        kept = {"previous": read_record(previous)["identity"]}
    return kept | {
        "date": day.isoformat(),
        **model_identity(config, day),
        "version": version("premium-delivery-optimizer"),
        "config_sha256": config_hash(config),
        "inputs": {name: [f.sha256 for f in found] for name, found in files.items()},
    }


def _already(
    output: Path, day: dt.date, before: Mapping[str, Any], identity: Mapping[str, Any]
) -> str:
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
    changed += sorted(
        name
        for name in names
        if old["inputs"].get(name) != identity["inputs"].get(name)
    )
    return (
        f"{output / day.isoformat()}: is already published, and {', '.join(changed)} "
        "changed since; pass --force to replace it (the old night is kept aside)"
    )


def _contents(
    solved: Solved, record: Mapping[str, Any], earlier: list[Mapping[str, Any]]
) -> Contents:
    problem, index = solved.intake.problem, solved.intake.index
    tables = {
        "merchants.parquet": merchants_table(problem, solved.solution, index),
        "lanes.parquet": lanes_table(problem, solved.solution, index),
        "quarantine.parquet": solved.intake.quarantine,
        "nights.parquet": nights_table(earlier, record),
    } | further_tables(
        problem,
        solved.solution,
        solved.certificate,
        index,
        lambda: name_orders(solved.intake),
    )
    tables["figures.parquet"] = report_figures(record, tables)
    return Contents(lambda scratch: sorted_decisions(solved, scratch), tables)


def _record(
    config: Config,
    day: dt.date,
    solved: Solved,
    files: Mapping[str, tuple[FileRecord, ...]],
    identity: dict[str, Any],
) -> dict[str, Any]:
    proof, intake = solved.certificate, solved.intake
    return {
        "schema_version": SCHEMA_VERSION,
        "date": day.isoformat(),
        "identity": identity,
        "versions": {name: version(name) for name in _LIBRARIES}
        | {"python": platform.python_version()},
        "config": config_json(config),
        "policy": policy_on(config, day).model_dump(mode="json"),
        "inputs": {
            used.name: {
                "num_rows": used.num_rows,
                "files": [asdict(file) for file in files[used.name]],
            }
            for used in intake.inputs
        },
        "problem_class": intake.problem.problem_class,
        "termination": asdict(solved.solution.termination),
        "certificate": certificate_record(
            proof, solved.solution, intake.problem, intake.index
        ),
        "summary": dict(solved.summary),
        "warnings": list(intake.warnings),
        "run_measurements": {
            "started_at_utc": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "seconds": {k: round(v, 4) for k, v in solved.clock.seconds.items()},
            "peak_memory_bytes": solved.clock.peak_memory_bytes,
        },
    }
