"""
Update the state to match what is published.

A night is published when its link is replaced; the database is updated right after. If
a run died between the two, the next run completes the update here, at its start.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.config import expand_date
from optimizer.contracts.run_folder import SUCCESS, read_record
from optimizer.errors import BusyError, ConfigError, DataError
from optimizer.night.folders import published_nights, published_version
from optimizer.night.publish import (
    VERSIONS,
    WITHDRAWN,
    date_lock,
    withdrawn_version,
)
from optimizer.night.state.database import memory_state, shared_lock
from optimizer.night.state.ledger import settle
from optimizer.night.state.links import mend_chain, read_chain, versions_in

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence

    from optimizer.night.state.chain import Link
    from optimizer.night.state.database import StateDatabase

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Healed:
    """
    What was done to update a state.

    Attributes
    ----------
    dates
        Dates that were updated.
    unreadable
        Why a published night cannot be read, by date; the state does not have it.
    """

    dates: tuple[dt.date, ...]
    unreadable: Mapping[dt.date, str]

    def refuse_near(self, day: dt.date, num_days: int) -> None:
        """
        Refuse to decide a date that counts on a night that cannot be read.

        Parameters
        ----------
        day
            The date.
        num_days
            How far nights count on each other.

        Raises
        ------
        DataError
            Naming the night, and what to do.
        """
        for other, reason in self.unreadable.items():
            if other != day and abs((other - day).days) <= num_days:
                raise DataError(
                    f"{day} counts on the night of {other}, which cannot be read "
                    f"({reason}); restore its folder, or withdraw it with optimizer "
                    f"rollback {other} --withdraw"
                )


def reconcile(state: StateDatabase, output: str, held: dt.date | None = None) -> Healed:
    """
    Add published nights to the database that it does not have yet.

    A night that cannot be read (damaged, or of a format that nobody knows) stops no
    other: it is told, and left for :meth:`Healed.refuse_near`.

    Parameters
    ----------
    state
        The database.
    output
        As configured.
    held
        A date whose lock the caller holds. Others are locked here; a date that another
        run holds is left to that run.

    Raises
    ------
    ConfigError
        When the database knows nights and the folder has none of them (it is another
        output's), or when links of dates or the whole chain of evidence are lost.
    """
    published, known = published_nights(output), known_versions(state)
    _refuse_foreign(state, output, known)
    links = [] if state.mirror is None else mend_chain(state)[0]
    if not links:
        refuse_lost_chain(output, published, known)
    healed = []
    linked = _linked(links)
    for day, version_folder in published.items():
        _forget_note(state, output_of(output, day), day, version_folder.name, held)
    lost = _lost_nights(output, published, linked)
    unreadable = {day: _gone(version) for day, version in lost.items()}
    for day, why in unreadable.items():
        logger.warning("the night of %s is lost: %s", day, why)
    for day in sorted(published.keys() | known.keys() | linked.keys()):
        folder = published.get(day)
        version = folder.name if folder else None
        if day in lost or known.get(day) == version == linked.get(day):
            continue
        try:
            if _settle_locked(state, output, day, is_held=day == held):
                healed.append(day)
        except (DataError, KeyError, TypeError) as error:
            unreadable[day] = str(error) or type(error).__name__
            logger.warning(
                "the night of %s cannot be read, and the state knows nothing of it: %s",
                day,
                unreadable[day],
            )
    if healed:
        logger.info("brought in line with the published nights: %s", _list(healed))
    return Healed(tuple(healed), unreadable)


def look_at(state: StateDatabase, output: str) -> Healed:
    """
    Refuse what :func:`reconcile` refuses, and find nights that cannot be read.

    Nothing is written, neither here nor in the database.

    Parameters
    ----------
    state
        The database, open for reading.
    output
        As configured.

    Raises
    ------
    ConfigError
        As :func:`reconcile`.
    """
    published, known = published_nights(output), known_versions(state)
    _refuse_foreign(state, output, known)
    links = read_chain(state)
    if not links:
        refuse_lost_chain(output, published, known)
    linked = _linked(links)
    lost = _lost_nights(output, published, linked)
    unreadable = {day: _gone(version) for day, version in lost.items()}
    with memory_state() as memory:
        for day, folder in published.items():
            if known.get(day) == folder.name == linked.get(day):
                continue
            try:
                settle(memory, day, folder, is_pruned=False)
            except (DataError, KeyError, TypeError) as error:
                unreadable[day] = str(error) or type(error).__name__
    return Healed((), unreadable)


def _refuse_foreign(
    state: StateDatabase, output: str, known: Mapping[dt.date, str]
) -> None:
    """Refuse a database that knows nights, where the folder never had any of them."""
    if known and not any(_has_versions(output, day) for day in known):
        raise ConfigError(
            f"{output}: never had the {len(known):,} nights that {state.label} knows; "
            "is it the right folder? If so, give it a new, empty state database"
        )


def _linked(links: Sequence[Link]) -> dict[dt.date, str]:
    """Version of each date that the chain says is published."""
    return {day: name for day, name in versions_in(links).items() if name is not None}


def _gone(version: str) -> str:
    return f"its version {version} is gone, or not whole"


def _lost_nights(
    output: str, published: Mapping[dt.date, Path], linked: Mapping[dt.date, str]
) -> dict[dt.date, str]:
    """
    Find nights that no command withdrew and whose versions are gone.

    A withdrawal is noted before the link goes, so that one which died is finished; a
    night that went without a note was removed by somebody, or by a copy. Where only its
    link did, that is refused, as it can be put back.
    """
    lost = {
        day: version
        for day, version in linked.items()
        if day not in published
        and withdrawn_version(output_of(output, day), day) != version
    }
    links = [day for day, version in lost.items() if _is_kept(output, day, version)]
    if links:
        raise ConfigError(
            f"{output}: the links of {_list(links)} are lost, as after a copy without "
            "links, and no command withdrew these nights; `optimizer state repair` "
            "puts them back (`optimizer rollback --withdraw` then withdraws one)"
        )
    return lost


def _forget_note(
    state: StateDatabase, folder: Path, day: dt.date, version: str, held: dt.date | None
) -> None:
    """Take away the note of a withdrawal that died before the link went."""
    if withdrawn_version(folder, day) != version:
        return
    with ExitStack() as stack:
        if day != held:
            try:
                stack.enter_context(night_lock(state, folder, day))
            except BusyError:
                return
        if published_version(folder, day) is not None:
            (folder / VERSIONS / day.isoformat() / WITHDRAWN).unlink(missing_ok=True)


def _is_kept(output: str, day: dt.date, version: str) -> bool:
    folder = output_of(output, day) / VERSIONS / day.isoformat() / version
    return (folder / SUCCESS).is_file()


def refuse_lost_chain(
    output: str, published: Mapping[dt.date, Path], known: Mapping[dt.date, str]
) -> None:
    """
    Refuse to begin a chain where there was one, unless somebody says why.

    A first night that a run did not come to record names no link, and no state knows
    it: that one is only late.

    Parameters
    ----------
    output, published, known
        The folder as configured, its published nights, and versions in the state.

    Raises
    ------
    ConfigError
        When a published night was in a chain.
    """
    for day, folder in published.items():
        try:
            record = read_record(folder)
            head = record["run_measurements"].get("evidence_head")
        except (DataError, AttributeError, KeyError, TypeError):
            continue  # damaged: it is told below
        if head is not None or ("evidence" in record and day in known):
            raise ConfigError(
                f"{output}: the chain of evidence is lost, in the state database and "
                "in .evidence.jsonl, and nights that it had are published; restore one "
                "of the two from a backup, or begin it anew on record: `optimizer "
                'state repair --new-chain "REASON"`. Nothing was published'
            )


def known_versions(state: StateDatabase) -> dict[dt.date, str]:
    """Version of each night that the database knows."""
    from sqlalchemy import select

    from optimizer.night.state.schema import NIGHTS

    with state.transaction() as connection:
        rows = connection.execute(select(NIGHTS.c.date, NIGHTS.c.version))
        return {day: version for day, version in rows}


def _settle_locked(
    state: StateDatabase, output: str, day: dt.date, *, is_held: bool
) -> bool:
    """Settle a date under its lock; a date that another run holds is left to it."""
    folder = output_of(output, day)
    with ExitStack() as stack:
        if not is_held:
            try:
                stack.enter_context(night_lock(state, folder, day))
            except BusyError:
                return False
        settle(state, day, published_version(folder, day))
    return True


@contextmanager
def night_lock(state: StateDatabase, output: Path, day: dt.date) -> Iterator[None]:
    """Hold a date on this host and, where the state is shared, on all."""
    with date_lock(output, day), shared_lock(state, day.isoformat()):
        yield


def output_of(output: str, day: dt.date) -> Path:
    """The output folder of a date."""
    return Path(expand_date(output, day))


def _has_versions(output: str, day: dt.date) -> bool:
    """Whether a date was ever published here, withdrawn nights included."""
    return (output_of(output, day) / VERSIONS / day.isoformat()).is_dir()


def _list(days: list[dt.date]) -> str:
    shown = ", ".join(day.isoformat() for day in days[:5])
    return shown + (f" and {len(days) - 5:,} more" if len(days) > 5 else "")
