"""Which nights are learned from, and on which day."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.config.business_date import as_business_date
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    import datetime as dt

    from optimizer.config import Config


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """
    Which nights to use, and the day of learning.

    Attributes
    ----------
    as_of
        Day of learning: nothing from it or after it can have been observed.
    first, last
        Dates to take, both included; ``None``: all.
    runs
        Folder of published nights, whose decisions are joined to their orders;
        ``None``: the outcomes have them.
    """

    as_of: dt.date
    first: dt.date | None = None
    last: dt.date | None = None
    runs: Path | None = None


def learning_window(
    config: Config,
    first: dt.date | str | None,
    last: dt.date | str | None,
    as_of: dt.date | str | None,
    runs: Path | str | None = None,
    num_days: int | None = None,
) -> Window:
    """
    Say which nights to use.

    Parameters
    ----------
    config
        Its time zone says which day today is.
    first, last
        Dates to take, both included; ``None``: all.
    as_of
        Day of learning; ``None``: today.
    runs
        Folder of published nights, whose decisions are joined.
    num_days
        Last days before the day of learning, where no first is named; ``None``: all.

    Raises
    ------
    ConfigError
        When one is no date, or the last is before the first.
    """
    import datetime as dt
    from zoneinfo import ZoneInfo

    today = dt.datetime.now(ZoneInfo(config.timezone)).date()
    days = [None if day is None else as_business_date(day) for day in (first, last)]
    learning = today if as_of is None else as_business_date(as_of)
    if days[0] is None and num_days is not None:
        days[0] = learning - dt.timedelta(num_days)
    folder = None if runs is None else Path(runs)
    found = Window(learning, days[0], days[1], folder)
    if found.first and found.last and found.first > found.last:
        raise ConfigError(f"--from {found.first} is after --to {found.last}")
    return found
