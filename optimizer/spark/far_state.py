"""
The state of nights that the driver does not see: in a database that it reaches.

What a far night leaves to others (its record, bank and commitments) is put into a
folder of the driver for as long as a run lasts. There ledger and chain read it as they
read a night of one machine; the chain's lines are in the database alone.
"""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optimizer.build.carryover import EarlierNights
from optimizer.contracts.run_folder import RECORD, SUCCESS
from optimizer.contracts.tables import BANK, COMMITMENTS
from optimizer.errors import BusyError, OptimizerError
from optimizer.night.state.database import (
    BUSY_SECONDS,
    memory_state,
    open_state,
    read_state,
    shared_lock,
)
from optimizer.night.state.ledger import Carryover, load_before, settle
from optimizer.night.state.links import head_of
from optimizer.night.state.reconcile import known_versions
from optimizer.spark.faults import first_line
from optimizer.spark.write import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl

    from optimizer.config import Config, PolicyRow
    from optimizer.contracts.columns import Table
    from optimizer.night.state.database import StateDatabase

logger = logging.getLogger(__name__)

#: Tables by which a night counts in others.
LEFT_BY_NIGHT = (BANK, COMMITMENTS)


@dataclass(frozen=True, slots=True, eq=False)
class FarState:
    """
    An open state of far nights.

    Attributes
    ----------
    database
        The configured one; in memory, and empty, where none is.
    is_kept
        Whether anything is written into it.
    books
        A folder of the driver, for as long as a run lasts.
    confirm
        Checks that the date is still held.
    """

    database: StateDatabase
    is_kept: bool
    books: Path
    confirm: Callable[[], None]

    def before(
        self,
        config: Config,
        policy: PolicyRow,
        day: dt.date,
        closed: pl.DataFrame | None,
    ) -> Carryover:
        """
        What other nights left to one.

        Parameters
        ----------
        config, policy, day, closed
            As of :func:`~optimizer.night.state.ledger.load_before`.
        """
        if config.state.url is None:  # such nights count on no other
            return Carryover(EarlierNights(day), is_late=False, identity=None)
        return load_before(self.database, config, policy, day, closed)

    def head(self) -> dict[str, Any] | None:
        """The last link of the chain of evidence."""
        return head_of(self.database)

    def head_after(self) -> dict[str, Any] | None:
        """The same, if the database gives it; the night is published in any case."""
        try:
            return self.head()
        except OptimizerError:
            return None

    def catch_up(
        self,
        published: Mapping[dt.date, Mapping[str, Any]],
        read: Callable[[Mapping[str, Any], Table], pl.DataFrame],
    ) -> None:
        """
        Add published nights that the database does not have: their runs died too early.

        Parameters
        ----------
        published
            Records of far nights, by date.
        read
            Reads a table of one of them.
        """
        if not self.is_kept:
            return
        known = known_versions(self.database)
        for day, record in sorted(published.items()):
            if known.get(day) != record["run_id"] and "evidence" in record:
                self.settle(day, record, {t: read(record, t) for t in LEFT_BY_NIGHT})
                logger.info("brought in line with the published night of %s", day)

    def settle(
        self,
        day: dt.date,
        record: Mapping[str, Any],
        tables: Mapping[Table, pl.DataFrame],
    ) -> None:
        """
        Enter a published night, and a link of evidence.

        Parameters
        ----------
        day, record
            The night.
        tables
            Of :data:`LEFT_BY_NIGHT`, those that it has.
        """
        folder = self.books / day.isoformat() / record["run_id"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).write_text(one_line(record) + "\n", encoding="utf-8")
        (folder / SUCCESS).touch()
        for table, frame in tables.items():
            if len(frame):
                frame.write_parquet(folder / table.file)
        settle(self.database, day, folder)

    @contextmanager
    def turn(self, is_as_before: Callable[[], bool]) -> Iterator[None]:
        """
        Hold the last step, in which a night gets its name and is entered.

        Parameters
        ----------
        is_as_before
            Whether other nights still leave to this one what it was decided with.

        Raises
        ------
        BusyError
            When they do not, or another run holds the date.
        """
        with shared_lock(self.database, "last-step", BUSY_SECONDS):
            self.confirm()
            if not is_as_before():
                raise BusyError(
                    "a night that this one counts on was published meanwhile; try again"
                )
            yield


@contextmanager
def open_far_state(config: Config, day: dt.date, *, is_dry: bool) -> Iterator[FarState]:
    """
    Open the state of far nights, and hold a date in it.

    Parameters
    ----------
    config, day
        The night.
    is_dry
        Whether nothing may be written.

    Raises
    ------
    BusyError
        When another host holds the date, or the database does not answer.
    """
    with ExitStack() as held:
        books = held.enter_context(TemporaryDirectory())
        near = config.model_copy(update={"output": books})
        if config.state.url is None:
            opened, is_kept = memory_state(), False
        elif is_dry:
            opened, is_kept = read_state(near), False
        else:
            opened, is_kept = open_state(near), True
        database = held.enter_context(opened)
        confirm = _nothing
        if is_kept:
            confirm = held.enter_context(shared_lock(database, day.isoformat()))
        yield FarState(database, is_kept, Path(books), confirm)


def tell_state(
    state: FarState,
    day: dt.date,
    record: Mapping[str, Any],
    read: Callable[[Table], pl.DataFrame],
) -> None:
    """
    Enter a night; if database or cluster do not answer, the next run will.

    Parameters
    ----------
    state
        The database, or nothing where there is none.
    day, record
        The published night: its date, and ``run.json``.
    read
        Reads one of its tables.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    if not state.is_kept:
        return
    try:
        state.settle(day, record, {table: read(table) for table in LEFT_BY_NIGHT})
    except (OptimizerError, OSError, PySparkException, Py4JError) as error:
        logger.warning(
            "%s is published, but the state database does not have it yet (%s); the "
            "next run adds it",
            day,
            first_line(error),
        )


def _nothing() -> None:
    """Confirm a date that nobody else can hold."""
