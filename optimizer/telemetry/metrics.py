"""A run, successful or failed, as a Prometheus text file written in one atomic step."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

from optimizer.contracts.headline import by_mean
from optimizer.night.publish import disk_errors

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from optimizer.night.run import RunReport

PREFIX = "premium_delivery_"
_LAST_SUCCESS = "last_success_timestamp_seconds"
#: Metric, what it says, and where it stands in the record's summary.
_NUMBERS = (
    ("orders", "Orders of the night.", "num_orders"),
    ("chosen_orders", "Orders that are recommended.", "num_chosen"),
    ("caps", "Slots that all caps allow.", "sum_of_caps"),
    ("quarantined_rows", "Rows that were refused.", "num_quarantined"),
    ("saving_cny", "Expected harm avoided less fees, CNY.", "saving_cny"),
    ("drawn_saving_cny", "The same by the draw that decided.", "drawn_saving_cny"),
    ("binding_caps", "Caps with a price.", "num_caps_binding"),
    ("binding_lanes", "Lanes with a price.", "num_lanes_binding"),
)


def write_metrics(
    path: Path,
    day: dt.date,
    exit_code: int,
    seconds: float,
    report: RunReport | None,
    alerts: Counter[str],
) -> None:
    """
    Replace the file in one atomic step.

    Parameters
    ----------
    path
        The file; its folder is made.
    day, exit_code, seconds
        Business date, how the run ended, and how long it took.
    report
        What it did; ``None`` where it failed: then the time of the last success stays.
    alerts
        How many by kind.

    Raises
    ------
    PublishError
        When it cannot be written.
    """
    from prometheus_client import CollectorRegistry, write_to_textfile

    registry, now = CollectorRegistry(), time.time()
    last = now if exit_code == 0 else _last_success(path)
    _gauge(registry, "exit_code", "How the last run ended; 0: published.", exit_code)
    _gauge(registry, "last_run_timestamp_seconds", "When the last run ended.", now)
    _gauge(registry, "run_seconds", "Wall seconds of the last run.", seconds)
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()
    _gauge(registry, "date_timestamp_seconds", "Its date, as midnight UTC.", midnight)
    if last is not None:
        _gauge(registry, _LAST_SUCCESS, "When a run last ended with 0.", last)
    if report is not None:
        _add_night(registry, report, alerts)
    with disk_errors(path, "the metrics"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), registry)


def _add_night(
    registry: CollectorRegistry, report: RunReport, alerts: Counter[str]
) -> None:
    """Numbers of the night that is published."""
    record = report.record
    numbers = by_mean(record["summary"])
    for name, words, key in _NUMBERS:
        if key in numbers:
            _gauge(registry, name, words, numbers[key])
    gap = record["certificate"]["relative_gap"]
    _gauge(registry, "relative_gap", "Proved distance to the optimum.", gap)
    measured = record["run_measurements"]
    rows = {name: used["num_rows"] for name, used in record["inputs"].items()}
    kinds = {kind: alerts[kind] for kind in ALERT_KINDS}
    peaks = measured["peak_memory_bytes"]
    _labeled(registry, "input_rows", "Rows of each input.", "input", rows)
    taken = {box["platform"]: box["num_taken"] for box in record.get("outboxes", [])}
    if taken:
        words = "Recommended orders that each outbox takes."
        _labeled(registry, "outbox_orders", words, "platform", taken)
    _labeled(registry, "alerts", "Alerts by kind.", "kind", kinds)
    _labeled(registry, "stage_seconds", "Seconds.", "stage", measured["seconds"])
    _labeled(registry, "stage_peak_memory_bytes", "Peak memory.", "stage", peaks)


ALERT_KINDS = (
    *("quarantine", "input_change", "outbox", "dead_lanes", "lost_slots", "splitting"),
)


def _gauge(registry: CollectorRegistry, name: str, words: str, value: float) -> None:
    from prometheus_client import Gauge

    Gauge(PREFIX + name, words, registry=registry).set(value)


def _labeled(
    registry: CollectorRegistry,
    name: str,
    words: str,
    label: str,
    values: Mapping[str, float],
) -> None:
    from prometheus_client import Gauge

    gauge = Gauge(PREFIX + name, words, [label], registry=registry)
    for key, value in values.items():
        gauge.labels(key).set(value)


def _last_success(path: Path) -> float | None:
    """Time of the last success in the previous file; nothing if it cannot be read."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        families = list(text_string_to_metric_families(path.read_text("utf-8")))
    except (OSError, ValueError):
        return None
    found = [f.samples[0].value for f in families if f.name == PREFIX + _LAST_SUCCESS]
    return found[0] if found else None
