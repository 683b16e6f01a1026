"""Options and arguments that several commands take, and what is read from them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import datetime as dt

    from optimizer.config import Config

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config", metavar="FILE", help="YAML configuration of the nightly job."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LogJsonOption = Annotated[
    bool, typer.Option("--log-json", help="Log one JSON object a line, all steps.")
]
DateOption = Annotated[
    str,
    typer.Option(
        "--date", metavar="DATE", help="Business date: 2026-11-22, or yesterday."
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="Also write tables to this folder."),
]


class Tongue(StrEnum):
    """Languages of sentences."""

    ENGLISH = "en"
    CHINESE = "zh"


LanguageOption = Annotated[
    Tongue, typer.Option("--language", help="Language of the words.")
]


ReportOption = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Also write a page for people."),
]
PageLanguage = Annotated[
    Tongue, typer.Option("--language", help="Language that the page opens in.")
]


def load_settings(path: Path) -> Config:
    """Read the configuration."""
    from optimizer.config import load_config

    return load_config(path)


def parse_date(text: str, settings: Config | None = None) -> dt.date:
    """
    Read a date of the command line; with a configuration also ``yesterday``, its own.

    Raises
    ------
    ConfigError
        When it is not a date.
    """
    from optimizer.config.business_date import read_date

    return read_date(text, None if settings is None else settings.timezone)
