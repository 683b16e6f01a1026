"""Which day's slots an order takes, and the day as a code."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import ConfigError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import CapacityRules


@dataclass(frozen=True, slots=True)
class ServiceDay:
    """
    Which day's slot an order takes.

    Attributes
    ----------
    column
        Of the orders table; ``None``: the default for all.
    default
        For orders without a date of their own.
    """

    column: str | None
    default: dt.date


def service_day(
    rules: CapacityRules, capacity: pl.DataFrame, day: dt.date | None
) -> ServiceDay | None:
    """
    Find which day's slots tonight's parcels take.

    Returns
    -------
    ServiceDay or None
        ``None`` where capacity is not counted by day: the rules count it on the day of
        the order, and no row has a date.

    Raises
    ------
    ConfigError
        When it is counted by day, and the business date was not given.
    """
    is_by_order = rules.counted_on == "order"
    if is_by_order and capacity["service_date"].null_count() == len(capacity):
        return None
    if day is None:
        raise ConfigError("capacity is counted by day: give the date=")
    column = None if is_by_order else f"{rules.counted_on}_date"
    return ServiceDay(column, day + dt.timedelta(days=rules.lead_days))


def encode_days(
    frame: pl.DataFrame, rule: ServiceDay | None, known: dict[dt.date, int]
) -> NDArray[np.int32]:
    """
    Code the day whose slot each order takes; new days get the next code, from 1.

    Parameters
    ----------
    frame
        Checked orders.
    rule
        ``None``: capacity is not counted by day, and all codes are 0.
    known
        Codes so far; added to.
    """
    if rule is None:
        return np.zeros(len(frame), np.int32)
    return code_days(order_days(frame, rule), known)


def order_days(frame: pl.DataFrame, rule: ServiceDay) -> pl.Series:
    """
    Find the day whose slot each order takes.

    Parameters
    ----------
    frame
        Checked orders.
    rule
        Where it says so.
    """
    import polars as pl

    if rule.column is not None:
        return frame[rule.column].fill_null(rule.default)
    return pl.Series([rule.default]).new_from_index(0, len(frame))


def code_days(days: pl.Series, known: dict[dt.date, int]) -> NDArray[np.int32]:
    """
    Code days; new ones get the next code, from 1.

    Parameters
    ----------
    days
        Of orders, or of their options.
    known
        Codes so far; added to.
    """
    import polars as pl

    seen = days.unique(maintain_order=True)
    codes = {day: known.setdefault(day, len(known) + 1) for day in seen}
    if not codes:
        return np.zeros(0, np.int32)
    return days.replace_strict(codes, return_dtype=pl.Int32).to_numpy()
