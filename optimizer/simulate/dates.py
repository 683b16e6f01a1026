"""Dates of simulated nights."""

from __future__ import annotations

from datetime import date, timedelta

from optimizer.errors import ConfigError

START = date(2026, 11, 22)
"""First date of a simulation that names none; worlds that change count from it."""


def dates(start: date, num_days: int) -> tuple[date, ...]:
    """
    Consecutive dates from ``start``.

    Raises
    ------
    ConfigError
        When there are none, or more than the calendar has.

    Examples
    --------
    >>> [str(day) for day in dates(START, 2)]
    ['2026-11-22', '2026-11-23']
    """
    most = (date.max - start).days + 1
    if not 1 <= num_days <= most:
        raise ConfigError(f"days: must be 1 to {most}, got {num_days}")
    return tuple(start + timedelta(days=day) for day in range(num_days))
