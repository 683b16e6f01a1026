"""The nights that are published, as the desk lists and opens them."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.contracts.headline import by_mean
from optimizer.contracts.run_folder import RECORD, read_record
from optimizer.desk.problems import PageProblem
from optimizer.errors import DataError
from optimizer.io.published_tables import read_table
from optimizer.night.folders import published_nights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

#: Seconds after which the folders are looked at again.
FRESH_SECONDS = 1.0
#: Records that are kept, of the nights that were opened last.
NUM_RECORDS = 64
#: What is said of a record that is JSON, and no record.
NOT_A_RECORD = "its record is not as one should be"
#: What reading a value raises that is of another kind than it should be.
MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)
#: Parts of a record that pages take for mappings and for lists; ``None``: it lacks one.
_PARTS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (dict, ("summary", "certificate", "policy", "config")),
    (dict | None, ("termination", "identity", "outputs", "inputs", "realised")),
    (list | None, ("warnings", "alerts", "assumptions")),
)


@dataclass(frozen=True, slots=True)
class NightLine:
    """
    A night in the list of all.

    Attributes
    ----------
    day, version
        Its date, and the name of its version.
    num_orders, num_chosen, sum_of_caps
        Parcels, recommended ones, and places under all caps.
    saving, fees
        Expected harm avoided, and fees if all are bought, CNY.
    relative_gap
        Over the plan's own value; 0: the proved optimum.
    num_alerts, num_warnings
        What wants attention.
    started
        When its run began, in UTC; ``None`` where the record does not say.
    seconds
        What its stages took.
    unreadable
        Why nothing else is known of it; ``None``: it is known.
    """

    day: dt.date
    version: str
    num_orders: int = 0
    num_chosen: int = 0
    sum_of_caps: int = 0
    saving: float = 0.0
    fees: float = 0.0
    relative_gap: float = 0.0
    num_alerts: int = 0
    num_warnings: int = 0
    started: dt.datetime | None = None
    seconds: float = 0.0
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class OpenNight:
    """A published night: its date, the folder of its version, and its record."""

    day: dt.date
    folder: Path
    record: Mapping[str, Any]


def table_of(night: OpenNight, name: str) -> pl.DataFrame:
    """
    Read a whole table of a night; empty where the night never had it.

    Raises
    ------
    DataError
        When it is damaged, or is gone though the record names it.
    """
    if name in night.record.get("outputs", {}) and not (night.folder / name).is_file():
        raise DataError(f"{night.folder / name}: is missing, and the record names it")
    return read_table(night.folder, name)


class PublishedNights:
    """
    The published nights of a folder; versions never change, so each is read once.

    Parameters
    ----------
    output
        As configured, perhaps with ``{date}``.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._seen_at = -FRESH_SECONDS
        self._folders: Mapping[dt.date, Path] = {}
        self._stamp = ""
        self._lines: dict[Path, NightLine] = {}
        self._records: OrderedDict[Path, Mapping[str, Any]] = OrderedDict()

    def folders(self) -> Mapping[dt.date, Path]:
        """Folders of the published versions by date, ascending."""
        with self._lock:
            if time.monotonic() - self._seen_at >= FRESH_SECONDS:
                self._folders = published_nights(self._output)
                names = "\n".join(map(str, self._folders.values()))
                self._stamp = hashlib.sha256(names.encode()).hexdigest()[:16]
                self._seen_at = time.monotonic()
            return self._folders

    def stamp(self) -> str:
        """A text that changes when another set of versions is published."""
        self.folders()
        return self._stamp

    def lines(self) -> list[NightLine]:
        """All nights by date; one that cannot be read says why."""
        folders = self.folders()
        known = self._lines
        self._lines = {
            folder: known.get(folder) or self._line(day, folder)
            for day, folder in folders.items()
        }
        return [*self._lines.values()]

    def open(self, day: dt.date) -> OpenNight:
        """
        Open the night of a date.

        Raises
        ------
        PageProblem
            When it is not published, or cannot be read.
        """
        folder = self.folders().get(day)
        if folder is None:
            raise PageProblem(404, "NO_SUCH_NIGHT", day=day.isoformat())
        try:
            return OpenNight(day, folder, self._record(folder))
        except DataError as error:
            raise PageProblem(
                404, "NIGHT_UNREADABLE", day=day.isoformat(), why=str(error)
            ) from None

    def newest(self) -> OpenNight:
        """
        Open the newest night that can be read.

        Raises
        ------
        PageProblem
            When there is none.
        """
        for line in reversed(self.lines()):
            if line.unreadable is None:
                return self.open(line.day)
        raise PageProblem(404, "NO_NIGHT")

    def _record(self, folder: Path) -> Mapping[str, Any]:
        with self._lock:
            if folder in self._records:
                self._records.move_to_end(folder)
                return self._records[folder]
        record = read_shaped(folder)
        with self._lock:
            self._records[folder] = record
            while len(self._records) > NUM_RECORDS:
                self._records.popitem(last=False)
        return record

    def _line(self, day: dt.date, folder: Path) -> NightLine:
        try:
            return line_of(day, folder.name, read_shaped(folder))
        except DataError as error:
            return NightLine(day, folder.name, unreadable=str(error))


def read_shaped(folder: Path) -> Mapping[str, Any]:
    """
    Read a record that has the parts that pages go by.

    Raises
    ------
    DataError
        When there is none, or it was edited into something else.
    """
    record = read_record(folder)
    if not is_shaped(record):
        raise DataError(f"{folder / RECORD}: {NOT_A_RECORD}")
    return record


def is_shaped(record: Mapping[str, Any]) -> bool:
    """
    Whether a record has the parts that every night has, each of its kind.

    Examples
    --------
    >>> is_shaped({"summary": None})
    False
    """
    try:
        line_of(dt.date.min, "", record)
    except MISSHAPEN:
        return False
    return all(
        isinstance(record.get(name), kind) for kind, names in _PARTS for name in names
    )


def line_of(day: dt.date, version: str, record: Mapping[str, Any]) -> NightLine:
    """Take a night's line out of its record."""
    summary, measured = record["summary"], record.get("run_measurements", {})
    started = measured.get("started_at_utc")
    return NightLine(
        day=day,
        version=version,
        num_orders=int(summary["num_orders"]),
        num_chosen=int(summary["num_chosen"]),
        sum_of_caps=int(summary["sum_of_caps"]),
        saving=float(by_mean(summary)["saving_cny"]),
        fees=float(summary["fees_cny"]["total"]),
        relative_gap=float(record["certificate"]["relative_gap"]),
        num_alerts=len(record.get("alerts", [])),
        num_warnings=len(record.get("warnings", [])),
        started=None if started is None else dt.datetime.fromisoformat(started),
        seconds=sum(measured.get("seconds", {}).values()),
    )
