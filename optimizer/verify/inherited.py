"""The carry-over of a night, computed again from the nights published with it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from optimizer.io.damage import damaged_is_data_error
from optimizer.verify.cells import is_of_today
from optimizer.verify.deliveries import known_parcels
from optimizer.verify.engine import why_no_engine
from optimizer.verify.older import read_of_its_time
from optimizer.verify.standing import run_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from optimizer.verify.standing import Standing

_NANO = 10**9
_PLACE = ["carrier_id", "region_id", "outlet_id", "service_date"]
#: Statuses that free a slot, by the day that it is counted on.
_CANCELLED = ("cancelled", "canceled")
_FREED = {"ship": _CANCELLED, "delivery": ("delivered", *_CANCELLED)}
#: What frees one also, since dates of inputs are days of the zone.
_CANCELLED_TODAY = ("cancel", "已取消", "取消")
_FREED_TODAY = {
    "ship": _CANCELLED_TODAY,
    "delivery": ("signed", "已签收", "签收", "已送达", "妥投", *_CANCELLED_TODAY),
}
#: Days before a night that it is put beside, and the format since which they are more.
_WEEK, _FOUR_WEEKS, _FOUR_WEEKS_SINCE = 7, 28, 3


@dataclass(slots=True)
class Report:
    """
    Findings, and parts that could not be checked.

    Attributes
    ----------
    findings, unchecked
        Descriptions.
    """

    findings: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def check_beside(folder: Path, record: Mapping[str, Any], standing: Standing) -> Report:
    """
    Compute the carry-over of a night again, from the other nights in its folder.

    Parameters
    ----------
    folder, record, standing
        The night, and the other nights in its folder.
    """
    report = Report()
    records = _records(standing, report)
    missing = _missing(folder, standing, records)
    _check_week(folder, record, standing, records, report)
    _check_bank(folder, record, standing, records, missing, report)
    _check_flight(folder, record, standing, records, missing, report)
    return report


def _records(standing: Standing, report: Report) -> dict[dt.date, dict[str, Any]]:
    found = {}
    for date, path in standing.nights.items():
        try:
            found[date] = json.loads((path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            report.unchecked.append(f"the night of {date} cannot be read")
    return found


def _missing(
    folder: Path, standing: Standing, records: Mapping[dt.date, dict[str, Any]]
) -> list[dt.date]:
    """Earlier nights that were published once, by the chain or by other nights."""
    if standing.is_sure:
        return list(standing.gone)
    beside = (standing.nights[date] for date in records if date < standing.day)
    named = {
        date
        for path in (folder, *beside)
        if (path / "nights.parquet").is_file()
        for date in _read(path, "nights.parquet")["date"]
    }
    return sorted(d for d in named - {*records} if d < standing.day)


def _read(folder: Path, name: str) -> pl.DataFrame:
    with damaged_is_data_error(str(folder / name)):
        return read_of_its_time(folder, name)


def _check_week(
    folder: Path,
    record: Mapping[str, Any],
    standing: Standing,
    records: Mapping[dt.date, dict[str, Any]],
    report: Report,
) -> None:
    """
    Check that rows of the four weeks before match the nights that they name.

    Nights of older formats stand beside those of one week, and are held to that: the
    format is the one that the tables have, as :mod:`optimizer.verify.premises` checks.
    """
    if "nights.parquet" not in record["outputs"]:
        return
    rows = {row[0]: row for row in _read(folder, "nights.parquet").iter_rows()}
    is_older = record["schema_version"] < _FOUR_WEEKS_SINCE
    num_days = _WEEK if is_older else _FOUR_WEEKS
    first = standing.day - dt.timedelta(days=num_days)
    for date, row in rows.items():
        if date == standing.day:
            continue
        if not first <= date < standing.day:
            report.findings.append(
                f"nights.parquet: {date} is not of the {num_days} days before"
            )
        elif date not in records:
            report.unchecked.append(
                f"nights.parquet: the night of {date} is not in the output folder, so "
                "its row was taken on trust"
            )
        elif row != _night_row(records[date]):
            report.findings.append(
                f"nights.parquet: the row of {date} is not what that night says"
            )
    for date in sorted(standing.before_it - {*rows}):
        if first <= date < standing.day:
            report.findings.append(f"nights.parquet: the night of {date} is left out")


def _night_row(record: Mapping[str, Any]) -> tuple[Any, ...] | None:
    try:
        summary = record["summary"]
        drawn = summary.get("draw")
        expected = summary["saving_cny"] if drawn is None else drawn["mean_saving_cny"]
        return (
            dt.date.fromisoformat(record["date"]),
            *(summary[name] for name in ("num_orders", "num_chosen", "sum_of_caps")),
            float(expected),
            float(summary["fees_cny"]["total"]),
            float(record["certificate"]["relative_gap"]),
            summary["num_quarantined"],
            len(record["warnings"]),
            run_name(record["identity"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _check_bank(
    folder: Path,
    record: Mapping[str, Any],
    standing: Standing,
    records: Mapping[dt.date, dict[str, Any]],
    missing: list[dt.date],
    report: Report,
) -> None:
    """Check that the cap bank carried in what earlier nights carried out."""
    import polars as pl

    cap, bank = record["policy"]["cap"], _read(folder, "bank.parquet")
    if cap["rounding"] != "carryover":
        if record["is_late"]:
            report.findings.append("is_late: this night has no cap bank to be late for")
        if len(bank):
            report.findings.append("bank.parquet: this night has no cap bank")
        return
    _check_ranges(bank, cap["window_days"], record["is_late"], report)
    banked = {
        date: _read(standing.nights[date], "bank.parquet")
        for date, other in records.items()
        if other.get("is_late") is not True
    }
    later = [date for date, rows in banked.items() if date > standing.day and len(rows)]
    if record["is_late"] and not later:
        report.findings.append(
            "is_late: no later night in the output folder has used the cap bank"
        )
    if not record["is_late"] and later and standing.is_sure:
        report.findings.append(
            f"is_late: the night of {max(later)} had used the cap bank before"
        )
    first = standing.day - dt.timedelta(days=cap["window_days"] - 1)
    window = {d: rows for d, rows in banked.items() if first <= d < standing.day}
    missing = [d for d in missing if first <= d < standing.day]
    if missing or (not window and not standing.is_sure):
        named = ", ".join(map(str, missing[:3])) or f"before {standing.day}"
        report.unchecked.append(
            f"bank.parquet: nights {named} are not in the output folder, so what the "
            "cap bank carried in from them was taken on trust"
        )
        return
    expected = _carried(window, is_late=record["is_late"])
    joined = bank.join(expected, on="merchant_id", how="left").with_columns(
        pl.col("carried", "room").fill_null(0)
    )
    wrong = joined.filter(
        (pl.col("carried_in_nano") != pl.col("carried"))
        | (pl.col("room_nano") != pl.col("room"))
    )
    if len(wrong):
        row = wrong.row(0, named=True)
        is_room = row["carried_in_nano"] == row["carried"]
        said, true = (
            ("room_nano", "room") if is_room else ("carried_in_nano", "carried")
        )
        report.findings.append(
            f"bank.parquet: {len(wrong):,} merchants carry in other than what "
            f"{len(window)} earlier nights left, first {row['merchant_id']!r} "
            f"({said} {_figure(row[said])} and not {_figure(row[true])})"
        )


def _figure(value: int | None) -> str:
    return "null" if value is None else f"{value:,}"


def _check_ranges(
    bank: pl.DataFrame, window_days: int, is_late: bool, report: Report
) -> None:
    """Check that fractions are below one parcel, and rooms within a window."""
    import polars as pl

    carried = pl.col("carried_in_nano")
    wrong = bank.filter(
        carried.is_null()
        | (carried < 0)
        | (carried >= _NANO)
        | (pl.lit(is_late) & (carried != 0))
        | pl.col("room_nano").is_null()
        | (pl.col("room_nano").abs() > 10**12 * window_days)
    )
    if len(wrong):
        report.findings.append(
            f"bank.parquet: {len(wrong):,} merchants carry in what is no fraction of a "
            f"parcel, first {wrong['merchant_id'][0]!r}"
        )


def _carried(window: Mapping[dt.date, pl.DataFrame], *, is_late: bool) -> pl.DataFrame:
    """Fraction and room of each merchant, from the nights of the window."""
    import polars as pl

    kinds = {"merchant_id": pl.String, "date": pl.Date, "carried_out_nano": pl.Int64}
    parts = [pl.DataFrame(schema={**kinds, "left": pl.Int64})]
    for date, rows in window.items():
        parts.append(
            rows.select(
                "merchant_id",
                pl.lit(date).alias("date"),
                "carried_out_nano",
                left=pl.col("earned_nano") - pl.col("granted") * _NANO,
            )
        )
    last = pl.col("carried_out_nano").sort_by("date").last()
    return (
        pl.concat(parts)
        .group_by("merchant_id")
        .agg(carried=pl.lit(0) if is_late else last, room=pl.col("left").sum())
    )


def _check_flight(
    folder: Path,
    record: Mapping[str, Any],
    standing: Standing,
    records: Mapping[dt.date, dict[str, Any]],
    missing: list[dt.date],
    report: Report,
) -> None:
    """Check that slots of parcels in flight match other nights' commitments."""
    import polars as pl

    rules, given = record["config"]["capacity"], _read(folder, "in_flight.parquet")
    if rules["counted_on"] == "order":
        if len(given):
            report.findings.append(
                "in_flight.parquet: capacity is counted on the day of the order, so no "
                "parcel of another night takes a slot"
            )
        _compare_found(record, [], report)
        return
    if len(given.filter(pl.col("num_slots").is_null() | (pl.col("num_slots") < 0))):
        report.findings.append("in_flight.parquet: slots below 0")
    if missing or (not records and not standing.is_sure):
        named = ", ".join(map(str, missing[:3])) or f"beside {standing.day}"
        report.unchecked.append(
            f"in_flight.parquet: nights {named} are missing, so the parcels that "
            "they have in flight were taken on trust"
        )
        return
    if "deliveries" in record["inputs"] and (reason := why_no_engine()) is not None:
        report.unchecked.append(f"in_flight.parquet: {reason}")
        return
    closed, day = known_parcels(record, standing.day), standing.day
    is_told = closed is not None and rules["counted_on"] == "delivery"
    first = day - dt.timedelta(days=rules["in_flight_days"] * is_told)
    kinds = {"order_id": pl.String, "load": pl.Int64}
    places = dict.fromkeys(_PLACE[:3], pl.String) | {"service_date": pl.Date}
    parts = [pl.DataFrame(schema={**kinds, **places, "night": pl.Date})]
    for date in records:
        taken = _read(standing.nights[date], "commitments.parquet")
        taken = taken.select(*kinds, *_PLACE).drop_nulls("service_date")
        parts.append(taken.with_columns(night=pl.lit(date)))
    committed = pl.concat(parts)
    if closed is not None and "lookups" in record["config"]:
        _check_found(record, closed["order_id"], committed, day, report)
    rows = committed.filter(pl.col("service_date") >= first)
    if closed is not None:
        words = _FREED[rules["counted_on"]]
        if is_of_today(record["config"]):
            words += _FREED_TODAY[rules["counted_on"]]
        freed = closed.filter(pl.col("status").is_in(words))
        rows = rows.join(freed, on="order_id", how="anti")
    true = (
        rows.with_columns(pl.col("service_date").clip(lower_bound=day))
        .group_by(_PLACE)
        .agg(num_slots=pl.col("load").sum())
        .sort(_PLACE, nulls_last=False)
    )
    said = given.select(*_PLACE, "num_slots").sort(_PLACE, nulls_last=False)
    if not true.equals(said):
        report.findings.append(
            f"in_flight.parquet: parcels of other nights take "
            f"{int(said['num_slots'].sum() or 0):,} slots, and place by place the "
            f"{len(records)} nights in the output folder have "
            f"{int(true['num_slots'].sum() or 0):,}"
        )


def _check_found(
    record: Mapping[str, Any],
    told: pl.Series,
    committed: pl.DataFrame,
    day: dt.date,
    report: Report,
) -> None:
    """Deliveries that name few parcels in flight are warned of, and no others."""
    import polars as pl

    config = record["config"]
    first = day - dt.timedelta(days=config["capacity"]["in_flight_days"])
    there = committed.filter(pl.col("night") < day, pl.col("service_date") >= first)
    known, names = {*there["order_id"]}, {*told.drop_nulls()}
    most = Fraction(config["lookups"]["warn_below"]) * min(len(known), len(names))
    is_few = len(names & known) < most
    _compare_found(record, sorted(names - known) if is_few else [], report, len(names))


def _compare_found(
    record: Mapping[str, Any], missing: list[str], report: Report, num_names: int = 0
) -> None:
    """The warning of deliveries in a record, against the names that are not found."""
    said = [
        warning["values"]
        for warning in record["warnings"]
        if isinstance(warning, dict) and warning.get("code") == "FEW_PARCELS_FOUND"
    ]
    true = {"num_parcels": len(missing), "num_all": num_names, "names": missing[:5]}
    if said != ([true] if missing else []):
        report.findings.append(
            f"run.json: of {num_names:,} order_id names in the deliveries table "
            f"{len(missing):,} are to be warned of as of no parcel in flight, and the "
            "warnings say otherwise"
        )
