"""Options and arguments that several commands take, and what is read from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.errors import ConfigError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from optimizer.config import Config
    from optimizer.whatif.base import Base

ConfigOption = Annotated[
    Path, typer.Option("--config", help="YAML configuration of the nightly job.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
LogJsonOption = Annotated[
    bool, typer.Option("--log-json", help="Log one JSON object a line, all steps.")
]
DateOption = Annotated[
    str, typer.Option("--date", help="Business date: 2026-11-22, or yesterday.")
]
RunDir = Annotated[
    Path, typer.Argument(help="A published night, such as runs/2026-11-22.")
]
DateArgument = Annotated[str, typer.Argument(help="Business date.")]
OptionalRun = Annotated[
    Path | None, typer.Argument(help="A published night, such as runs/2026-11-22.")
]
OptionalConfig = Annotated[
    Path | None, typer.Option("--config", help="YAML configuration, with --date.")
]
OptionalDate = Annotated[
    str | None, typer.Option("--date", help="Business date, with --config.")
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


def base_of(
    run_dir: Path | None,
    config: Path | None,
    date: str | None,
    tell: Callable[[str], None],
) -> Base:
    """
    The night that a study starts from: a published one, or a date to be solved.

    Parameters
    ----------
    run_dir
        Folder of a published night.
    config, date
        Configuration and business date of a night to be solved.
    tell
        Called with the name of each stage.

    Raises
    ------
    ConfigError
        When neither a folder alone, nor configuration and date, are given.
    """
    from optimizer.whatif.base import base_of_config, base_of_run

    if run_dir is not None and config is None and date is None:
        return base_of_run(run_dir, tell)
    if run_dir is None and config is not None and date is not None:
        settings = load_settings(config)
        return base_of_config(settings, parse_date(date, settings), tell)
    raise ConfigError("give the folder of a run, or --config and --date")
