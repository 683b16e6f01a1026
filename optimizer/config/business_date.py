"""
The business date: a day of the configured zone; a night is for the day before.

Runs that are started by the clock or by hand use this. The Airflow example cannot
import it; a test checks that both agree.
"""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

from optimizer.errors import ConfigError


def day_before(moment: dt.datetime, zone: str) -> dt.date:
    """
    Business date of a night that starts at a moment: the day before, in the zone.

    Days are counted on the calendar, so hours that a zone skips or repeats do not
    matter.

    Parameters
    ----------
    moment
        With a zone of its own; which one does not matter.
    zone
        The configured one.

    Raises
    ------
    ValueError
        When the moment has no zone.

    Examples
    --------
    >>> half_past_two = dt.datetime(2026, 11, 22, 18, 30, tzinfo=dt.timezone.utc)
    >>> day_before(half_past_two, "Asia/Shanghai")
    datetime.date(2026, 11, 22)
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a zone is on no day in particular")
    return moment.astimezone(ZoneInfo(zone)).date() - dt.timedelta(days=1)


def as_business_date(date: dt.date | str, zone: str | None = None) -> dt.date:
    """
    Make a business date from a date or its text, such as ``yesterday`` in a zone.

    Raises
    ------
    ConfigError
        When it is neither; a time is refused too.

    Examples
    --------
    >>> as_business_date("2026-11-22")
    datetime.date(2026, 11, 22)
    """
    if isinstance(date, str):
        return read_date(date, zone)
    if isinstance(date, dt.datetime) or not isinstance(date, dt.date):
        raise ConfigError(f"date must be a date without a time, got {date!r}")
    return date


def read_date(text: str, zone: str | None = None) -> dt.date:
    """
    Read a date of the command line: ``2026-11-22``, or ``yesterday`` in a zone.

    Parameters
    ----------
    text
        The date.
    zone
        Time zone of the day; left out: ``yesterday`` is refused.

    Raises
    ------
    ConfigError
        When it is not a date.
    """
    if text == "yesterday" and zone is not None:
        return day_before(dt.datetime.now(dt.UTC), zone)
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError
        return dt.date.fromisoformat(text)
    except ValueError:
        also = "" if zone is None else ", or yesterday"
        raise ConfigError(
            f"a date is written like 2026-11-22{also}, got {text!r}"
        ) from None
