"""Nights before a night: what is published of them with it, or compared with it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.config import expand_date
from optimizer.contracts.run_folder import read_record
from optimizer.errors import DataError
from optimizer.explain.week import NUM_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from optimizer.config import Config


@dataclass(frozen=True, slots=True)
class NightsBefore:
    """
    Published nights before one, wherever they are.

    Attributes
    ----------
    dates
        Ascending.
    record
        Gives the record of one of them.
    table
        Gives a table of one of them, by its file.
    """

    dates: tuple[dt.date, ...]
    record: Callable[[dt.date], Mapping[str, Any]]
    table: Callable[[dt.date, str], pl.DataFrame]


def earlier_records(config: Config, day: dt.date) -> list[Mapping[str, Any]]:
    """
    Records of the nights of the four weeks before that are published.

    Parameters
    ----------
    config
        With ``output``.
    day
        The night that they are before.

    Raises
    ------
    DataError
        When the disk does not give a record that is there: a night published without
        it would not hold. One that is damaged is left out.
    """
    assert config.output is not None
    found: list[Mapping[str, Any]] = []
    for back in range(NUM_DAYS, 0, -1):
        earlier = day - dt.timedelta(days=back)
        folder = Path(expand_date(config.output, earlier)) / earlier.isoformat()
        try:
            record = read_record(folder)
        except DataError as error:
            is_lost = isinstance(error.__cause__, FileNotFoundError)
            if isinstance(error.__cause__, OSError) and not is_lost:
                raise
            continue
        if record.get("date") == earlier.isoformat():
            found.append(record)
    return found
