"""What commands print: results, progress, log lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import typer

from optimizer.errors import PublishError

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from optimizer.report.page import Page

#: Whether ``--quiet`` was given.
IS_QUIET = ContextVar("is_quiet", default=False)


def print_result(
    found: Mapping[str, Any], text: str, as_json: bool, *, is_done: bool = False
) -> None:
    """
    Print a result for people or for programs.

    Parameters
    ----------
    found, text, as_json
        The result for programs, for people, and which of them is asked for.
    is_done
        Whether it tells of what was done: that is so, whether anybody reads it or not.

    Raises
    ------
    PublishError
        When a result that is all there is cannot be written.
    """
    print_text(json.dumps(found, ensure_ascii=False) if as_json else text, is_done)


def print_text(text: str, is_done: bool = False) -> None:
    """
    Print a text; a reader that closes the pipe early is not an error.

    Parameters
    ----------
    text
        The text.
    is_done
        Whether all work of the command is done.

    Raises
    ------
    PublishError
        When the text cannot be written, as on a full disk.
    """
    if sys.stdout is None:
        if is_done:
            say("standard output is closed; all of it is done")
        return
    try:
        typer.echo(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left is not tried again
        reason = (error.strerror or str(error)).lower()
        if is_done:
            say(f"the result could not be printed ({reason}); all of it is done")
        elif not isinstance(error, BrokenPipeError):
            raise PublishError(f"the result could not be printed ({reason})") from None


def say(text: str) -> None:
    """Print a line to stderr, if anybody reads it."""
    with suppress(OSError):
        typer.echo(text, err=True)


@contextmanager
def show_progress() -> Iterator[Callable[[str], None]]:
    """Show the stage on a terminal; print nothing elsewhere, or with --quiet."""
    if IS_QUIET.get() or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("start") as status:
        yield status.update


def use_logs(as_json: bool) -> None:
    """Write log lines as JSON from now on, where that is asked for."""
    if as_json:
        from optimizer.telemetry import logs

        logs.use_json_lines()


def write_tables(folder: Path | None, tables: Mapping[str, pl.DataFrame]) -> None:
    """Write tables as Parquet, each named for what it holds."""
    if folder is None:
        return
    from optimizer.night.publish import disk_errors

    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            table.write_parquet(folder / f"{name}.parquet")


def write_page(file: Path | None, report: Callable[[str], Page], language: str) -> None:
    """
    Write a result's page, where one is asked for.

    Parameters
    ----------
    file
        Where; ``None``: nowhere.
    report
        Makes the page in a language.
    language
        The one that it opens in.
    """
    if file is not None:
        report(language).save(file)


def outbox_words(box: Mapping[str, Any]) -> str:
    """Say how many orders of a night an outbox accepts."""
    taken = f"{box['num_taken']:,} of {box['num_recommended']:,}"
    reasons = ", ".join(f"{num:,} {name}" for name, num in box["refused"].items())
    return f"{box['platform']} takes {taken}" + (f" ({reasons})" if reasons else "")
