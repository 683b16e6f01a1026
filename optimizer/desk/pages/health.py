"""Health: the last runs, inputs that have not come, and the disk."""

from __future__ import annotations

import datetime as dt
import glob
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from optimizer.config.address import is_address
from optimizer.desk.render import page_text
from optimizer.errors import OptimizerError
from optimizer.night.folders import root_of
from optimizer.night.inputs import configured_paths
from optimizer.night.past_nights import status
from optimizer.telemetry.failures import last_failures

if TYPE_CHECKING:
    from starlette.requests import Request

    from optimizer.desk.desk import Desk

#: Runs that are listed, and files of a pattern whose age is looked at.
NUM_RUNS, MAX_FILES = 10, 1_000
#: Share of the disk below which it is called short.
LEAST_FREE = 0.1


@dataclass(frozen=True, slots=True)
class InputState:
    """
    A table that a date's run reads.

    Attributes
    ----------
    name, path
        The table, and where it is configured to be.
    is_there
        Whether a file is there; ``None``: at an address, which is not asked.
    changed
        When the newest of its files was written, in UTC.
    """

    name: str
    path: str
    is_there: bool | None
    changed: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of the disk that nights are published on."""

    total: int
    free: int

    @property
    def is_short(self) -> bool:
        """Whether little is left."""
        return self.free < LEAST_FREE * self.total


def health_page(desk: Desk, request: Request) -> str:
    """Show whether runs go as they should; nothing of it is kept."""
    now = dt.datetime.now(dt.UTC)
    lines = desk.nights.lines()
    today = now.astimezone(ZoneInfo(desk.config.timezone)).date()
    # A day's orders are there when it is over: yesterday is the date that is due.
    due = today - dt.timedelta(days=1)
    return page_text(
        request,
        "health.html.j2",
        runs=lines[: -NUM_RUNS - 1 : -1],
        failures=last_failures(str(desk.config.output), NUM_RUNS),
        now=now,
        due=due.isoformat(),
        is_published=any(line.day == due for line in lines),
        is_running=_is_running(desk, due),
        inputs=inputs_of(desk, due),
        disk=_disk(desk),
        ahead=[line for line in lines if line.started and line.started > now],
    )


def inputs_of(desk: Desk, day: dt.date) -> list[InputState]:
    """The inputs that a date's run reads, and whether they have come."""
    if desk.config.inputs is None:
        return []
    return [_input(*item) for item in configured_paths(desk.config, day).items()]


def _input(name: str, path: str) -> InputState:
    if is_address(path):
        return InputState(name, path, None, None)
    files = [path] if Path(path).exists() else sorted(glob.glob(path))[:MAX_FILES]
    times = []
    for file in files:
        try:
            times.append(Path(file).stat().st_mtime)
        except OSError:
            continue
    changed = dt.datetime.fromtimestamp(max(times), dt.UTC) if times else None
    return InputState(name, path, bool(times), changed)


def _is_running(desk: Desk, day: dt.date) -> bool | None:
    """Whether a run holds a date; ``None``: that cannot be seen."""
    try:
        found: bool | None = status(desk.config, day)["is_running"]
    except OptimizerError:
        return None
    return found


def _disk(desk: Desk) -> Disk | None:
    folder = root_of(str(desk.config.output)).absolute()
    there = next((one for one in (folder, *folder.parents) if one.is_dir()), None)
    try:
        used = shutil.disk_usage(there or "/")
    except OSError:
        return None
    return Disk(used.total, used.free)
