"""
Alerts: what in a published night needs somebody's attention, and what to do about it.

Alerts compare a night with published ones; no part of a night depends on them.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from optimizer.config import policy_on
from optimizer.config.cap import caps_of
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.warnings import read_warning, some, warn
from optimizer.errors import OptimizerError
from optimizer.io.cells import cell_rules
from optimizer.io.published_tables import read_table
from optimizer.io.read import open_source, read_batches
from optimizer.night.earlier_nights import NightsBefore
from optimizer.night.folders import published_nights
from optimizer.night.split_orders import asked_orders, count_groups, sizes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from decimal import Decimal
    from pathlib import Path

    import polars as pl

    from optimizer.config import Config
    from optimizer.config.operations import Splitting
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
    config: Config,
    day: dt.date,
    record: Mapping[str, Any],
    folder: Path | None,
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
    return _recorded(lambda: find_alerts(config, day, record, folder))


def recorded_alerts_after(
    config: Config,
    day: dt.date,
    record: Mapping[str, Any],
    own: Callable[[str], pl.DataFrame] | None,
    before: NightsBefore,
    find_groups: Callable[[Splitting], pl.DataFrame],
) -> list[dict[str, Any]]:
    """
    Alerts as of :func:`recorded_alerts`, where the nights before are given.

    Parameters
    ----------
    config, day, record, own, before, find_groups
        As of :func:`alerts_after`.
    """
    return _recorded(
        lambda: alerts_after(config, day, record, own, before, find_groups)
    )


def _recorded(find: Callable[[], list[Alert]]) -> list[dict[str, Any]]:
    try:
        return [alert.to_json() for alert in find()]
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
    folder = folder or nights.get(day)
    before = NightsBefore(
        tuple(date for date in nights if date < day),
        lambda date: read_record(nights[date]),
        lambda date, file: read_table(nights[date], file),
    )
    own = None if folder is None else partial(read_table, folder)
    groups = partial(_read_groups, record, cell_rules(config))
    return alerts_after(config, day, record, own, before, groups)


def alerts_after(
    config: Config,
    day: dt.date,
    record: Mapping[str, Any],
    own: Callable[[str], pl.DataFrame] | None,
    before: NightsBefore,
    find_groups: Callable[[Splitting], pl.DataFrame],
) -> list[Alert]:
    """
    Compare a night with those before it, wherever they are.

    Parameters
    ----------
    config
        With thresholds.
    day, record
        The night.
    own
        Gives a table of it, by its file; ``None``: it has none yet.
    before
        The nights before it.
    find_groups
        Counts its orders by groups that look split, as of
        :func:`~optimizer.night.split_orders.count_groups`.
    """
    found = [*_quarantine(config, record, own)]
    found += _input_changes(config, day, record, before)
    found += _undelivered(record)
    if own is not None:
        found += [*_dead_lanes(config, own, before), *_lost_slots(own, before)]
    return found + list(_splitting(config, day, find_groups))


def _quarantine(
    config: Config,
    record: Mapping[str, Any],
    own: Callable[[str], pl.DataFrame] | None,
) -> Iterator[Alert]:
    """Tables of which too many rows are broken; without tables, orders alone."""
    numbers = record["summary"]
    broken, whole = numbers["num_quarantined"], numbers["num_orders"]
    counts = {"orders": (broken, broken + whole)} | _broken_elsewhere(record, own)
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
    record: Mapping[str, Any], own: Callable[[str], pl.DataFrame] | None
) -> dict[str, tuple[int, int]]:
    """Broken rows and all rows of the tables beside the orders."""
    if own is None:
        return {}
    import polars as pl

    rows = own("quarantine.parquet").select("source", "row").unique()
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
    before: NightsBefore,
) -> Iterator[Alert]:
    """Inputs whose rows are far from those of a comparable night."""
    week, recent = day - _WEEK, before.dates[-MEDIAN_NIGHTS:]
    compared = (week,) if week in before.dates else recent
    records = [before.record(date).get("inputs", {}) for date in compared]
    allowed = config.operations.alerts.input_change
    for name, used in record["inputs"].items():
        usual = [inputs[name]["num_rows"] for inputs in records if name in inputs]
        if usual and _is_far(used["num_rows"], median(usual), allowed):
            numbers = {"num_rows": used["num_rows"], "num_usual": round(median(usual))}
            told = (
                warn("INPUT_UNLIKE_LAST_WEEK", table=name, day=str(week), **numbers)
                if week in before.dates
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
    config: Config, own: Callable[[str], pl.DataFrame], before: NightsBefore
) -> Iterator[Alert]:
    """Lanes that had slots in each of the last nights, and no parcels in any."""
    needed = config.operations.alerts.dead_lane_nights
    if len(before.dates) < needed - 1:
        return
    import polars as pl

    place = ["carrier_id", "region_id", "outlet_id"]
    earlier = before.dates[len(before.dates) - needed + 1 :]
    nights = [before.table(date, "lanes.parquet") for date in earlier]
    idle = pl.concat(
        lanes.group_by(place)
        .agg(pl.sum("slots", "used"))
        .filter((pl.col("slots") > 0) & (pl.col("used") == 0))
        for lanes in (*nights, own("lanes.parquet"))
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


def _lost_slots(
    own: Callable[[str], pl.DataFrame], before: NightsBefore
) -> Iterator[Alert]:
    """Merchants that had slots the night before, and have none."""
    if not before.dates:
        return
    import polars as pl

    last = before.dates[-1]
    had = before.table(last, "merchants.parquet").filter(pl.col("cap") > 0)
    has = own("merchants.parquet").filter(pl.col("cap") > 0)
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
    config: Config,
    day: dt.date,
    find_groups: Callable[[Splitting], pl.DataFrame],
) -> Iterator[Alert]:
    """Merchants whose cap would be lower if orders that look split counted once."""
    rule = config.operations.alerts.splitting
    if not rule.columns:
        return
    try:
        groups = find_groups(rule)
    except OptimizerError as error:
        yield Alert("splitting", warn("SPLITTING_NOT_SOUGHT", error=str(error)))
        return
    lower = _lower(groups, config, day)
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


def _read_groups(
    record: Mapping[str, Any], rules: CellRules, rule: Splitting
) -> pl.DataFrame:
    """Groups of the orders in the files that the record names."""
    import polars as pl

    paths = [file["path"] for file in record["inputs"]["orders"]["files"]]
    table = asked_orders(rule.columns)
    wanted = table.column_names
    source = open_source(paths, table, require=wanted, rules=rules)
    batches = [frame.select(wanted) for frame in read_batches(source, wanted)]
    return count_groups(pl.concat(batches), rule)


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
    groups = count_groups(orders, config.operations.alerts.splitting)
    return _lower(groups, config, day)


def _lower(groups: pl.DataFrame, config: Config, day: dt.date) -> pl.DataFrame:
    seen = sizes_of(groups, config.operations.alerts.splitting)
    rate = policy_on(config, day).cap.rate
    caps = [caps_of(seen[name].to_numpy(), rate) for name in _SIZES]
    return seen.filter(caps[1] < caps[0]).sort("merchant_id")


_SIZES = ("num_orders", "num_counted_once")
