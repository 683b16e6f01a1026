"""
What a night that went out should make somebody look at, and what to do about it.

Alerts compare with nights that are published; nothing of a night depends on them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from optimizer.config import policy_on
from optimizer.config.cap import caps_of
from optimizer.data.columns import Column
from optimizer.data.read import open_source, read_batches
from optimizer.data.run_files import read_record
from optimizer.data.tables import ORDERS
from optimizer.errors import OptimizerError, counted
from optimizer.nightly.folders import published_nights
from optimizer.nightly.ledger import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal
    from pathlib import Path

    import polars as pl

    from optimizer.config import Config

#: Nights whose median stands in for the same weekday of the week before.
MEDIAN_NIGHTS = 7
_WEEK = dt.timedelta(days=7)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Alert:
    """
    Something to look at.

    Attributes
    ----------
    kind
        For programs: ``quarantine``, ``input_change``, ``dead_lanes``, ``lost_slots``,
        ``splitting``.
    text
        For people: what is there, and what to do.
    """

    kind: str
    text: str


def find_alerts(config: Config, day: dt.date, record: Mapping[str, Any]) -> list[Alert]:
    """
    Look at a night beside those before it.

    Parameters
    ----------
    config
        With ``output`` and thresholds.
    day, record
        The night; what compares tables needs it to be published.
    """
    assert config.output is not None
    nights = published_nights(config.output)
    before = {date: folder for date, folder in nights.items() if date < day}
    found = [*_quarantine(config, record), *_input_changes(config, day, record, before)]
    if day in nights:
        found += [
            *_dead_lanes(config, nights[day], before),
            *_lost_slots(nights[day], before),
        ]
    return found + list(_splitting(config, day, record))


def _quarantine(config: Config, record: Mapping[str, Any]) -> Iterator[Alert]:
    numbers = record["summary"]
    broken, whole = numbers["num_quarantined"], numbers["num_orders"]
    allowed = config.operations.alerts.quarantine_share
    if broken > allowed * (broken + whole):
        yield Alert(
            "quarantine",
            f"{counted(broken, 'row')} of {broken + whole:,} in quarantine, above "
            f"{allowed:%}: see rules and rows in quarantine.parquet, and tell whoever "
            "makes the table",
        )


def _input_changes(
    config: Config,
    day: dt.date,
    record: Mapping[str, Any],
    before: Mapping[dt.date, Path],
) -> Iterator[Alert]:
    """Inputs whose rows are far from those of a comparable night."""
    week, recent = day - _WEEK, list(before.values())[-MEDIAN_NIGHTS:]
    compared = [before[week]] if week in before else recent
    words = f"on {week}" if week in before else f"median of {len(recent)} nights"
    records = [read_record(folder)["inputs"] for folder in compared]
    allowed = config.operations.alerts.input_change
    for name, used in record["inputs"].items():
        usual = [inputs[name]["num_rows"] for inputs in records if name in inputs]
        if usual and _is_far(used["num_rows"], median(usual), allowed):
            yield Alert(
                "input_change",
                f"{name} has {counted(used['num_rows'], 'row')}, {words}: "
                f"{median(usual):,.0f}. See whether the table is complete; if it is "
                "not, run the date again with --force when it is",
            )


def _is_far(number: int, usual: float, allowed: Decimal) -> bool:
    """Whether a count is off by more than a share; a median may be a half."""
    twice = int(2 * usual)
    return abs(2 * number - twice) > allowed * twice


def _dead_lanes(
    config: Config, folder: Path, before: Mapping[dt.date, Path]
) -> Iterator[Alert]:
    """Lanes that had slots in each of the last nights, and no parcel in any."""
    import polars as pl

    needed = config.operations.alerts.dead_lane_nights
    folders = [*before.values(), folder][-needed:]
    if len(folders) < needed:
        return
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
            f"{counted(len(dead), 'lane')} had slots and no parcel for "
            f"{counted(needed, 'night')} ({_some(names)}): see whether the names agree "
            "with the orders', or offer the slots elsewhere",
        )


def _lost_slots(folder: Path, before: Mapping[dt.date, Path]) -> Iterator[Alert]:
    """Merchants that had slots the night before, and have none."""
    import polars as pl

    if not before:
        return
    last = max(before)
    had = read_table(before[last], "merchants.parquet").filter(pl.col("cap") > 0)
    has = read_table(folder, "merchants.parquet").filter(pl.col("cap") > 0)
    lost = had.join(has, on="merchant_id", how="anti").sort("merchant_id")
    if len(lost):
        yield Alert(
            "lost_slots",
            f"{counted(len(lost), 'merchant')} had slots on {last} and have none "
            f"({_some(lost['merchant_id'].to_list())}): they have too few orders, or "
            "none came; see whether their orders are all there",
        )


def _splitting(
    config: Config, day: dt.date, record: Mapping[str, Any]
) -> Iterator[Alert]:
    """Merchants whose cap would be lower if orders that look split counted once."""
    rule = config.operations.alerts.splitting
    if not rule.columns:
        return
    try:
        orders = _read_orders(record, rule.columns)
    except OptimizerError as error:
        yield Alert("splitting", f"not looked for, since {error}")
        return
    lower = merchants_that_split(orders, config, day)
    if len(lower):
        yield Alert(
            "splitting",
            f"{counted(len(lower), 'merchant')} would have fewer slots if groups of "
            f"{rule.group_size} or more orders below {rule.below_cny:f} CNY that agree "
            f"in {', '.join(rule.columns)} counted once "
            f"({_some(lower['merchant_id'].to_list())}): look at these orders, and set "
            "cap_override where the base is not real",
        )


def _read_orders(record: Mapping[str, Any], columns: tuple[str, ...]) -> pl.DataFrame:
    """What tells split orders: merchant, value, and the configured columns."""
    import polars as pl

    paths = [file["path"] for file in record["inputs"]["orders"]["files"]]
    wanted = ("merchant_id", "order_value_cny", *columns)
    more = [
        Column(name, "id", "named by alerts.splitting")
        for name in columns
        if name not in ORDERS.column_names
    ]
    table = replace(ORDERS, columns=(*ORDERS.columns, *more))
    source = open_source(paths, table, require=wanted)
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


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
