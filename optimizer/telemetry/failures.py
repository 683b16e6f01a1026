"""
Runs that failed, a line each beside the published nights.

Who looks in the morning finds there what a night failed of: a log may be on another
machine, and what is published tells nothing of a run that published nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.errors import is_failure
from optimizer.night.folders import root_of
from optimizer.night.publish import disk_errors

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = ".failures.jsonl"
#: A file that has grown beyond is cut to its newest half.
MAX_BYTES = 1 << 20
#: Characters of a message that are kept.
MAX_MESSAGE = 1_000


@dataclass(frozen=True, slots=True)
class Failure:
    """
    A run that failed.

    Attributes
    ----------
    day
        The date that was to be decided.
    at
        When it failed, in UTC.
    exit_code
        As the program left with.
    message
        What it said, perhaps cut.
    """

    day: dt.date
    at: dt.datetime
    exit_code: int
    message: str


def record_failure(
    output: str, day: dt.date, exit_code: int, error: BaseException
) -> None:
    """
    Add a run that failed, where the folder of nights is there.

    Parameters
    ----------
    output
        As configured, perhaps with ``{date}``.
    day, exit_code, error
        The date, and what ended its run.

    Raises
    ------
    PublishError
        When it cannot be written.
    """
    folder = root_of(output)
    if not folder.is_dir():
        return
    path = folder / FILE_NAME
    line = {
        "date": day.isoformat(),
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "exit_code": exit_code,
        "message": _message(error)[:MAX_MESSAGE],
    }
    with disk_errors(path, "what the run failed of"):
        _cut(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def last_failures(
    output: str, number: int, day: dt.date | None = None
) -> list[Failure]:
    """
    The newest failures, newest first; a line that cannot be read is left out.

    Parameters
    ----------
    output
        As configured, perhaps with ``{date}``.
    number
        How many, at most.
    day
        Of this date alone; ``None``: of all.
    """
    try:
        newest = _newest(root_of(output) / FILE_NAME)
    except OSError:
        return []
    found = [_failure(line) for line in newest.decode("utf-8", "replace").splitlines()]
    asked = [one for one in reversed(found) if one and day in (None, one.day)]
    return asked[:number]


def _message(error: BaseException) -> str:
    if not is_failure(error):
        return "it was stopped"
    return str(error) or type(error).__name__


def _newest(path: Path) -> bytes:
    """The lines of the newest half of a full file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MAX_BYTES // 2))
        data = file.read()
    return data if len(data) == size else data.partition(b"\n")[2]


def _cut(path: Path) -> None:
    if path.exists() and path.stat().st_size > MAX_BYTES:
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_bytes(_newest(path))
        beside.replace(path)


def _failure(line: str) -> Failure | None:
    try:
        told = json.loads(line)
        return Failure(
            day=dt.date.fromisoformat(told["date"]),
            at=dt.datetime.fromisoformat(told["at"]),
            exit_code=int(told["exit_code"]),
            message=str(told["message"]),
        )
    except (ValueError, TypeError, KeyError):
        return None
