"""A run with its monitoring: log lines, alerts, metrics, lineage."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.config import expand_date
from optimizer.contracts.headline import SAVINGS, by_mean
from optimizer.errors import OptimizerError
from optimizer.telemetry import logs
from optimizer.telemetry.alerts import Alert, find_alerts, read_alerts
from optimizer.telemetry.failures import record_failure
from optimizer.telemetry.lineage import write_event
from optimizer.telemetry.metrics import write_metrics

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from optimizer.config import Config
    from optimizer.night.run import RunReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """
    A run, and its alerts.

    Attributes
    ----------
    report
        What the run did.
    alerts
        What needs attention.
    """

    report: RunReport
    alerts: tuple[Alert, ...]


def watched(
    config: Config,
    day: dt.date,
    work: Callable[[Callable[[str], None]], RunReport],
    progress: Callable[[str], None] | None = None,
    *,
    is_dry: bool = False,
) -> WatchedRun:
    """
    Run a date and report how it went; a failed run is reported too, and still fails.

    A report that cannot be written is a warning: the published night stays.

    Parameters
    ----------
    config, day
        Where reports go, and the date.
    work
        The run; takes what is to be called with each stage.
    progress
        Called with each stage as well.
    is_dry
        Write neither metrics nor lineage.
    """
    rules, started = config.operations, time.perf_counter()
    if rules.logs == "json":
        logs.use_json_lines()
    where = (None, None) if is_dry else (rules.metrics, rules.lineage)
    metrics, lineage = (None if p is None else Path(expand_date(p, day)) for p in where)
    about = {"date": day.isoformat()}

    def tell(stage: str) -> None:
        logger.info("%s", stage, extra=about | {"stage": stage})
        if progress is not None:
            progress(stage)

    logger.info("run started", extra=about)
    if lineage is not None:
        _try(lambda: write_event(lineage, "START", day))
    try:
        report = work(tell)
    except BaseException as raised:
        error = raised
        code = _exit_code(error)
        spent, none = time.perf_counter() - started, Counter[str]()
        if metrics is not None:
            _try(lambda: write_metrics(metrics, day, code, spent, None, none))
        if lineage is not None:
            _try(lambda: write_event(lineage, "FAIL", day, error=error))
        if config.output is not None and not is_dry:
            with contextlib.suppress(OptimizerError):  # one error is told, not two
                record_failure(config.output, day, code, error)
        raise
    alerts = _alerts(config, day, report)
    for alert in alerts:
        logger.warning("%s", alert.text, extra=about | {"alert": alert.kind})
    spent, kinds = time.perf_counter() - started, Counter(a.kind for a in alerts)
    if metrics is not None:
        _try(lambda: write_metrics(metrics, day, 0, spent, report, kinds))
    if lineage is not None:
        _try(lambda: write_event(lineage, "COMPLETE", day, report))
    logger.info("run ended", extra=about | _told(report, spent))
    return WatchedRun(report, tuple(alerts))


def _exit_code(error: BaseException) -> int:
    """As the program leaves with it."""
    if isinstance(error, OptimizerError):
        return error.exit_code
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _told(report: RunReport, seconds: float) -> dict[str, object]:
    """The fields of the last log line of a night."""
    numbers = by_mean(report.record["summary"])
    return {
        "outcome": report.outcome,
        "run_dir": str(report.run_dir),
        "num_orders": numbers["num_orders"],
        "num_chosen": numbers["num_chosen"],
        **{name: numbers[name] for name in SAVINGS if name in numbers},
        "gap_micro_cny": report.record["certificate"]["gap"],
        "seconds": round(seconds, 3),
    }


def _alerts(config: Config, day: dt.date, report: RunReport) -> list[Alert]:
    """Those of the record; of one that has none to say, they are looked for now."""
    recorded = read_alerts(report.record)
    if recorded is not None:
        return recorded
    try:
        return find_alerts(config, day, report.record)
    except (OptimizerError, OSError) as error:
        logger.warning("alerts could not be looked for: %s", error)
        return []


def _try(write: Callable[[], None]) -> None:
    try:
        write()
    except OptimizerError as error:
        logger.warning("%s", error)
