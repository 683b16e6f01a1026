"""
How commands name a night: by a run's folder, or by --config with --date.

With --config a date may also stand where the folder would. Questions that solve take
both ways as :mod:`optimizer.questions` does; all others mean the published night.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.options import load_settings, parse_date
from optimizer.errors import ConfigError

if TYPE_CHECKING:
    import datetime as dt

    from optimizer.config import Config

#: What is said where no night is named, or two.
NOT_NAMED = "give the folder of a run, or --config and --date"

NightWord = Annotated[
    str | None,
    typer.Argument(
        metavar="FOLDER", help="A published night, such as runs/2026-11-22."
    ),
]
NightConfig = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Or the YAML configuration, with --date."
    ),
]
NightDate = Annotated[
    str | None,
    typer.Option(
        "--date", metavar="DATE", help="Date of the night: 2026-11-22, or yesterday."
    ),
]


def is_date(word: str) -> bool:
    """
    Whether a word is meant as a date, not as a folder.

    Examples
    --------
    >>> is_date("2026-11-22"), is_date("yesterday"), is_date("runs/2026-11-22")
    (True, True, False)
    """
    return word == "yesterday" or re.fullmatch(r"\d{4}-\d{2}-\d{2}", word) is not None


def as_date(
    word: str | None, config: Path | None, date: str | None
) -> tuple[str | None, str | None]:
    """
    Take a date that stands where a folder would, beside --config, as the date.

    Returns
    -------
    folder, date
        Each as it was given, or ``None``.
    """
    if word is not None and config is not None and date is None and is_date(word):
        return None, word
    return word, date


def published_folder(word: str | None, config: Path | None, date: str | None) -> str:
    """
    Find the folder of the published night that is named.

    Parameters
    ----------
    word, config, date
        As they were given: a folder (or address), or a configuration and a date.

    Raises
    ------
    ConfigError
        When they name no night, or two.
    """
    folder, day = as_date(word, config, date)
    if folder is not None and day is None:
        return folder
    if folder is None and config is not None and day is not None:
        settings = load_settings(config)
        return folder_of(settings, parse_date(day, settings))
    raise ConfigError(NOT_NAMED)


def folder_of(settings: Config, day: dt.date) -> str:
    """
    Name the folder, or address, of a date's published night.

    Raises
    ------
    ConfigError
        When the configuration has no output.
    """
    from optimizer.config import expand_date

    if settings.output is None:
        raise ConfigError("published nights need output in the configuration")
    return f"{expand_date(settings.output, day).rstrip('/')}/{day}"


def night_settings(
    word: str | None, config: Path | None, date: str | None
) -> tuple[Config, dt.date | None]:
    """
    Find configuration and date of a night whose state is asked for, or changed.

    Parameters
    ----------
    word, config, date
        As they were given. Without a configuration it is the one that the folder
        records, with its output where the folder is.

    Returns
    -------
    settings, day
        The date is ``None`` where only a configuration was given.

    Raises
    ------
    ConfigError
        When no night is named, or two; or the folder is not of the configuration's
        output.
    """
    folder, day = as_date(word, config, date)
    if folder is not None and day is not None:
        raise ConfigError(NOT_NAMED)
    if config is None:
        if folder is None:
            raise ConfigError(NOT_NAMED)
        from optimizer.night.past_nights import recorded_settings

        return recorded_settings(folder)
    settings = load_settings(config)
    if folder is None:
        return settings, None if day is None else parse_date(day, settings)
    from optimizer.night.past_nights import date_in_output

    return settings, date_in_output(settings, folder)
