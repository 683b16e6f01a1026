"""
Alerts: what in a published night needs somebody's attention, and what to do about it.

Alerts compare a night with published ones; no part of a night depends on them.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from optimizer.config import policy_on
from optimizer.config.cap import caps_of
from optimizer.contracts.columns import Column
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import ORDERS
from optimizer.contracts.warnings import read_warning, some, warn
from optimizer.errors import OptimizerError
from optimizer.io.cells import cell_rules
from optimizer.io.published_tables import read_table
from optimizer.io.read import open_source, read_batches
from optimizer.night.folders import published_nights

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal
    from pathlib import Path

    import polars as pl

    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.cells import CellRules

logger = logging.getLogger(__name__)

#: Nights whose median stands in for the same weekday of the week before.
MEDIAN_NIGHTS = 7
_WEEK = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Alert:
    """
    Something that needs attention.

    Attributes
    ----------
    kind
        For programs: ``quarantine``, ``input_change``, ``outbox``, ``dead_lanes``,
        ``lost_slots``, ``splitting``.
    warning
        What was found, and what to do.
    """

    kind: str
    warning: CodedWarning

    @property
    def text(self) -> str:
        """Say it in English."""
        return self.warning.text

    def to_json(self) -> dict[str, Any]:
        """Give kind, code, values and English sentence."""
        return {"kind": self.kind} | self.warning.to_json()


def recorded_alerts(
    config: Config, day: dt.date, record: Mapping[str, Any], folder: Path | None
) -> list[dict[str, Any]]:
    """
    Alerts in the form of the record; if they cannot be found, the log says so.

    Parameters
    ----------
    config
        With ``output`` and thresholds.
    day, record
        The night.
    folder
        Where its tables are; ``None``: the published folder, if there is one.
    """
    try:
        return [alert.to_json() for alert in find_alerts(config, day, record, folder)]
    except (OptimizerError, OSError) as error:
        logger.warning("alerts could not be looked for: %s", error)
        return []


def read_alerts(record: Mapping[str, Any]) -> list[Alert] | None:
    """Alerts of a record; ``None`` in older formats."""
    if "alerts" not in record:
        return None
    told = [(alert["kind"], read_warning(alert)) for alert in record["alerts"]]
    return [Alert(kind, warning) for kind, warning in told if warning is not None]


def find_alerts(
    config: Config,
    day: dt.date,
    record: Mapping[str, Any],
    folder: Path | None = None,
) -> list[Alert]:
    """
    Compare a night with those before it.

    Parameters
    ----------
    config
        With ``output`` and thresholds.
    day, record
        The night; alerts that compare tables need its tables.
    folder
        Where its tables are; ``None``: the published folder, if there is one.
    """
    assert config.output is not None
    nights = published_nights(config.output)
    before = {date: folder for date, folder in nights.items() if date < day}
    folder = folder or nights.get(day)
    found = [*_quarantine(config, record, folder)]
    found += _input_changes(config, day, record, before)
    found += _undelivered(record)
    if folder is not None:
        found += [*_dead_lanes(config, folder, before), *_lost_slots(folder, before)]
    return found + list(_splitting(config, day, record))


def _quarantine(
    config: Config, record: Mapping[str, Any], folder: Path | None
) -> Iterator[Alert]:
    """Tables of which too many rows are broken; without a folder, orders alone."""
    numbers = record["summary"]
    broken, whole = numbers["num_quarantined"], numbers["num_orders"]
    counts = {"orders": (broken, broken + whole)} | _broken_elsewhere(record, folder)
    allowed = config.operations.alerts.quarantine_share
    for table, (num_broken, num_rows) in counts.items():
        if num_broken > allowed * num_rows:
            yield Alert(
                "quarantine",
                warn(
                    "QUARANTINE_SHARE",
                    num_broken=num_broken,
                    num_rows=num_rows,
                    table=table,
                    allowed=f"{allowed:f}",
                ),
            )


def _broken_elsewhere(
    record: Mapping[str, Any], folder: Path | None
) -> dict[str, tuple[int, int]]:
    """Broken rows and all rows of the tables beside the orders."""
    if folder is None:
        return {}
    import polars as pl

    rows = read_table(folder, "quarantine.parquet").select("source", "row").unique()
    beside = rows.filter(pl.col("source") != "orders")["source"].value_counts()
    return {
        name: (num_broken, record["inputs"][name]["num_rows"])
        for name, num_broken in sorted(beside.iter_rows())
    }


def _undelivered(record: Mapping[str, Any]) -> Iterator[Alert]:
    """Outboxes that do not take all recommendations, though another may."""
    for box in record.get("outboxes", []):
        num_left = box["num_recommended"] - box["num_taken"]
        if num_left:
            told = warn(
                "UNDELIVERED",
                num_left=num_left,
                num_recommended=box["num_recommended"],
                num_taken=box["num_taken"],
                platform=box["platform"],
                reasons=tuple(box["refused"]),
            )
            yield Alert("outbox", told)


def _input_changes(
    config: Config,
    day: dt.date,
    record: Mapping[str, Any],
    before: Mapping[dt.date, Path],
) -> Iterator[Alert]:
    """Inputs whose rows are far from those of a comparable night."""
    week, recent = day - _WEEK, list(before.values())[-MEDIAN_NIGHTS:]
    compared = [before[week]] if week in before else recent
    records = [read_record(folder).get("inputs", {}) for folder in compared]
    allowed = config.operations.alerts.input_change
    for name, used in record["inputs"].items():
        usual = [inputs[name]["num_rows"] for inputs in records if name in inputs]
        if usual and _is_far(used["num_rows"], median(usual), allowed):
            numbers = {"num_rows": used["num_rows"], "num_usual": round(median(usual))}
            told = (
                warn("INPUT_UNLIKE_LAST_WEEK", table=name, day=str(week), **numbers)
                if week in before
                else warn(
                    "INPUT_UNLIKE_MEDIAN",
                    table=name,
                    num_nights=len(recent),
                    **numbers,
                )
            )
            yield Alert("input_change", told)


def _is_far(number: int, usual: float, allowed: Decimal) -> bool:
    """Whether a count is off by more than a share; a median may be a half."""
    twice = int(2 * usual)
    return abs(2 * number - twice) > allowed * twice


def _dead_lanes(
    config: Config, folder: Path, before: Mapping[dt.date, Path]
) -> Iterator[Alert]:
    """Lanes that had slots in each of the last nights, and no parcels in any."""
    needed = config.operations.alerts.dead_lane_nights
    folders = [*before.values(), folder][-needed:]
    if len(folders) < needed:
        return
    import polars as pl

    place = ["carrier_id", "region_id", "outlet_id"]
    idle = pl.concat(
        read_table(night, "lanes.parquet")
        .group_by(place)
        .agg(pl.sum("slots", "used"))
        .filter((pl.col("slots") > 0) & (pl.col("used") == 0))
        for night in folders
    )
    dead = idle.group_by(place).len().filter(pl.col("len") == needed).sort(place)
    if len(dead):
        names = ["/".join(filter(None, row)) for row in dead.select(place).iter_rows()]
        yield Alert(
            "dead_lanes",
            warn(
                "DEAD_LANES",
                num_lanes=len(dead),
                num_nights=needed,
                lanes=some(names),
            ),
        )


def _lost_slots(folder: Path, before: Mapping[dt.date, Path]) -> Iterator[Alert]:
    """Merchants that had slots the night before, and have none."""
    if not before:
        return
    import polars as pl

    last = max(before)
    had = read_table(before[last], "merchants.parquet").filter(pl.col("cap") > 0)
    has = read_table(folder, "merchants.parquet").filter(pl.col("cap") > 0)
    lost = had.join(has, on="merchant_id", how="anti").sort("merchant_id")
    if len(lost):
        yield Alert(
            "lost_slots",
            warn(
                "LOST_SLOTS",
                num_merchants=len(lost),
                day=str(last),
                merchants=some(lost["merchant_id"].to_list()),
            ),
        )


def _splitting(
    config: Config, day: dt.date, record: Mapping[str, Any]
) -> Iterator[Alert]:
    """Merchants whose cap would be lower if orders that look split counted once."""
    rule = config.operations.alerts.splitting
    if not rule.columns:
        return
    try:
        orders = _read_orders(record, rule.columns, cell_rules(config))
    except OptimizerError as error:
        yield Alert("splitting", warn("SPLITTING_NOT_SOUGHT", error=str(error)))
        return
    lower = merchants_that_split(orders, config, day)
    if len(lower):
        yield Alert(
            "splitting",
            warn(
                "SPLIT_ORDERS",
                num_merchants=len(lower),
                group_size=rule.group_size,
                below_cny=f"{rule.below_cny:f}",
                columns=rule.columns,
                merchants=some(lower["merchant_id"].to_list()),
            ),
        )


def _read_orders(
    record: Mapping[str, Any], columns: tuple[str, ...], rules: CellRules
) -> pl.DataFrame:
    """The columns that identify split orders: merchant, value, configured ones."""
    import polars as pl

    paths = [file["path"] for file in record["inputs"]["orders"]["files"]]
    wanted = ("merchant_id", "order_value_cny", *columns)
    more = [
        Column(name, "id", "named by alerts.splitting")
        for name in columns
        if name not in ORDERS.column_names
    ]
    table = replace(ORDERS, columns=(*ORDERS.columns, *more))
    source = open_source(paths, table, require=wanted, rules=rules)
    batches = [frame.select(wanted) for frame in read_batches(source, wanted)]
    return pl.concat(batches)


def merchants_that_split(
    orders: pl.DataFrame, config: Config, day: dt.date
) -> pl.DataFrame:
    """
    Merchants whose floor cap falls when each group of small, equal orders counts once.

    Parameters
    ----------
    orders
        ``merchant_id``, ``order_value_cny`` and the configured columns; a missing value
        makes no group.
    config, day
        The rule, and the policy in force.

    Returns
    -------
    pl.DataFrame
        ``merchant_id``, ``num_orders``, ``num_counted_once``, by merchant.
    """
    import polars as pl

    rule, rate = config.operations.alerts.splitting, policy_on(config, day).cap.rate
    value = pl.col("order_value_cny").cast(pl.Float64, strict=False)
    small = orders.filter(value < float(rule.below_cny)).drop_nulls(list(rule.columns))
    groups = small.group_by("merchant_id", *rule.columns).len()
    many = groups.filter(pl.col("len") >= rule.group_size)
    extra = many.group_by("merchant_id").agg(extra=(pl.col("len") - 1).sum())
    sizes = orders.group_by("merchant_id").agg(num_orders=pl.len())
    seen = sizes.join(extra, on="merchant_id").with_columns(
        num_counted_once=pl.col("num_orders") - pl.col("extra")
    )
    caps = [caps_of(seen[name].to_numpy(), rate) for name in _SIZES]
    return (
        seen.filter(caps[1] < caps[0])
        .select("merchant_id", *_SIZES)
        .sort("merchant_id")
    )


_SIZES = ("num_orders", "num_counted_once")
