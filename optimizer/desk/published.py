"""The nights that are published, as the desk lists and opens them."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import os
import shlex
import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.config import expand_date
from optimizer.contracts.headline import by_mean
from optimizer.contracts.run_folder import RECORD, read_record
from optimizer.desk.problems import PageProblem
from optimizer.errors import DataError
from optimizer.io.published_tables import read_table
from optimizer.night.folders import published_nights
from optimizer.report.realised import ledger_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

#: Seconds after which the folders are looked at again.
FRESH_SECONDS = 1.0
#: Records that are kept, of the nights that were opened last.
NUM_RECORDS = 64
#: What is said of a record that is JSON, and no record.
NOT_A_RECORD = "its record is not as one should be"
#: Numbers of a row of what earlier plans promised and realised.
_OF_LEDGER = ("num_parcels", "promised_cny", "realised_cny", "low", "high")
#: Numbers of a record are below: a night of all parcels of a country, in CNY.
MOST = 1e15
#: Nights that the page which is being made has opened so far.
_OPENED: ContextVar[list[OpenNight] | None] = ContextVar("_OPENED", default=None)
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
        Why nothing else is known of it, as its reader says; ``None``: it was read.
    changed
        Files by which no page can be made of it: they are not as they were published.
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
    changed: tuple[str, ...] = ()

    @property
    def is_readable(self) -> bool:
        """Whether it is more than its date."""
        return self.unreadable is None and not self.changed


@dataclass(frozen=True, slots=True)
class OpenNight:
    """A published night: its date, the folder of its version, and its record."""

    day: dt.date
    folder: Path
    record: Mapping[str, Any]


@contextmanager
def nights_opened() -> Iterator[list[OpenNight]]:
    """The nights that are opened within, in this thread, each once."""
    opened = list[OpenNight]()
    token = _OPENED.set(opened)
    try:
        yield opened
    finally:
        _OPENED.reset(token)


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
        self._changed: dict[Path, tuple[tuple[str, ...], str]] = {}

    def folders(self) -> Mapping[dt.date, Path]:
        """Folders of the published versions by date, ascending."""
        with self._lock:
            if time.monotonic() - self._seen_at >= FRESH_SECONDS:
                self._folders = published_nights(self._output)
                self._forget_mended()
                self._stamp = self._made_stamp()
                self._seen_at = time.monotonic()
            return self._folders

    def stamp(self) -> str:
        """A text that changes when another set of versions can be read."""
        self.folders()
        return self._stamp

    def give_up(self, night: OpenNight, files: Sequence[str]) -> None:
        """
        Open a night no more, until its folder changes: no page can be made of it.

        Parameters
        ----------
        night
            As it was opened.
        files
            Its files that are not as they should be.
        """
        with self._lock:
            self._changed[night.folder] = tuple(files), _files_as_they_are(night.folder)
            self._records.pop(night.folder, None)
            self._stamp = self._made_stamp()

    def lines(self) -> list[NightLine]:
        """All nights by date; one that cannot be read says why."""
        folders = self.folders()
        known = self._lines
        self._lines = {
            folder: self._line(day, folder, known.get(folder))
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
        if folder in self._changed:
            raise self.problem(day, files=", ".join(self._changed[folder][0]))
        try:
            night = OpenNight(day, folder, self._record(folder))
        except DataError as error:
            raise self.problem(day, why=str(error)) from None
        opened = _OPENED.get()
        if opened is not None and night not in opened:
            opened.append(night)
        return night

    def problem(self, day: dt.date, **values: str) -> PageProblem:
        """What a page answers that needs a night which cannot be read."""
        folder = Path(expand_date(self._output, day), day.isoformat())
        typed = shlex.quote(str(folder))
        return PageProblem(
            409, "NIGHT_UNREADABLE", day=day.isoformat(), folder=typed, **values
        )

    def newest(self) -> OpenNight:
        """
        Open the newest night that can be read.

        Raises
        ------
        PageProblem
            When there is none, or none can be read: why the newest cannot.
        """
        lines = self.lines()
        readable = [line for line in lines if line.is_readable]
        if lines:
            return self.open((readable or lines)[-1].day)
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

    def _line(self, day: dt.date, folder: Path, known: NightLine | None) -> NightLine:
        if folder in self._changed:
            return NightLine(day, folder.name, changed=self._changed[folder][0])
        if known is not None and known.is_readable:
            return known
        try:
            return line_of(day, folder.name, read_shaped(folder))
        except DataError as error:
            return NightLine(day, folder.name, unreadable=str(error))

    def _forget_mended(self) -> None:
        """Let nights be opened again whose files were put back."""
        for folder, (_, files) in [*self._changed.items()]:
            if _files_as_they_are(folder) != files:
                del self._changed[folder]

    def _made_stamp(self) -> str:
        names = [str(folder) for folder in self._folders.values()]
        names += sorted(map(str, self._changed))
        return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _files_as_they_are(folder: Path) -> str:
    """What changes with any file of a folder."""
    try:
        with os.scandir(folder) as entries:
            seen = [(entry.name, entry.stat()) for entry in entries]
    except OSError:
        return ""
    return repr(
        sorted((n, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for n, s in seen)
    )


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
    if not all(
        isinstance(record.get(name), kind) for kind, names in _PARTS for name in names
    ):
        return False
    try:
        line_of(dt.date.min, "", record)
        _check_ledger(record.get("realised"))
        return all(one["code"] for one in record.get("assumptions") or [])
    except MISSHAPEN:
        return False


def _check_ledger(past: Mapping[str, Any] | None) -> None:
    """See that what earlier plans promised and realised can be drawn."""
    if not past:
        return
    _number(past["num_nights"])
    for kind, row in ledger_rows(past):
        likely = () if kind == "all" else ("likely_cny",)
        for name in (*_OF_LEDGER, *likely):
            _number(row[name])
        if kind == "night":
            dt.date.fromisoformat(row["name"])


def line_of(day: dt.date, version: str, record: Mapping[str, Any]) -> NightLine:
    """Take a night's line out of its record."""
    summary, measured = record["summary"], record.get("run_measurements", {})
    started, seconds = measured.get("started_at_utc"), measured.get("seconds", {})
    return NightLine(
        day=day,
        version=version,
        num_orders=int(_number(summary["num_orders"])),
        num_chosen=int(_number(summary["num_chosen"])),
        sum_of_caps=int(_number(summary["sum_of_caps"])),
        saving=_number(by_mean(summary)["saving_cny"]),
        fees=_number(float(summary["fees_cny"]["total"])),
        relative_gap=_number(record["certificate"]["relative_gap"]),
        num_alerts=len(record.get("alerts", [])),
        num_warnings=len(record.get("warnings", [])),
        started=None if started is None else _instant(started),
        seconds=sum(map(_number, seconds.values())),
    )


def _number(found: Any) -> float:
    """A number of a record that can be one; others raise ``ValueError``."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError("is not a number")
    if not math.isfinite(found) or abs(found) >= MOST:
        raise ValueError("is not a number of a night")
    return float(found)


def _instant(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("is an hour of no place")
    return found
