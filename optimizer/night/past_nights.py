"""Nights of the past: rollback, status, runs."""

from __future__ import annotations

import datetime as dt
import fcntl
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.config import as_config
from optimizer.contracts.headline import SAVINGS, by_mean
from optimizer.contracts.run_folder import RECORD, pinned, read_record, resolved
from optimizer.errors import ConfigError, DataError
from optimizer.night.folders import published_nights, published_version
from optimizer.night.publish import (
    LOCKS,
    VERSIONS,
    date_lock,
    disk_errors,
    last_step,
    point,
)
from optimizer.night.resolve import open_ledger
from optimizer.night.state.database import (
    BUSY_SECONDS,
    open_state,
    read_state,
    shared_lock,
)
from optimizer.night.state.ledger import refuse_if_relied_on, settle
from optimizer.night.state.links import mend_chain, versions_in
from optimizer.night.state.reconcile import known_versions, output_of, reconcile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optimizer.config import Config
    from optimizer.night.state.database import StateDatabase


def rollback(config: Config, day: dt.date, *, is_withdrawn: bool = False) -> str | None:
    """
    Publish the version again that a date's night replaced; bank and ledger follow.

    Parameters
    ----------
    config
        With ``output``.
    day
        The date.
    is_withdrawn
        Publish nothing for the date instead; its versions are kept.

    Returns
    -------
    str or None
        The version that is published now.

    Raises
    ------
    ConfigError
        When the date is not published, its night replaced none, or later nights have
        used what it carried over.
    BusyError, PublishError
        As a run.
    """
    template = _output(config)
    output = output_of(template, day)
    with ExitStack() as held:
        held.enter_context(disk_errors(output))
        held.enter_context(date_lock(output, day))
        state = held.enter_context(open_state(config))
        confirm = held.enter_context(shared_lock(state, day.isoformat()))
        reconcile(state, template, held=day)
        lost = _lost_version(state, output, day) if is_withdrawn else None
        target = None if lost else _target(output, day, is_withdrawn=is_withdrawn)
        held.enter_context(last_step(output, BUSY_SECONDS))
        held.enter_context(shared_lock(state, "last-step", BUSY_SECONDS))
        ledger = held.enter_context(open_ledger(config, day, state))
        refuse_if_relied_on(ledger, day, "withdrawn" if is_withdrawn else "rolled back")
        confirm()
        point(output, day, target, lost)
        settle(state, day, published_version(output, day))
    return None if target is None else target.name


def status(config: Config, day: dt.date | None = None) -> dict[str, Any]:
    """
    Report the state of a date; writes nothing.

    Parameters
    ----------
    config
        With ``output``.
    day
        The date; left out: the newest that is published.

    Returns
    -------
    dict
        JSON-ready: whether it is published and since when, its versions and numbers,
        whether another run holds it (``None`` where this user may not see that), and
        whether the state knows it.

    Raises
    ------
    ConfigError
        When no date is given, and no night is published.
    """
    template = _output(config)
    if day is None:
        nights = published_nights(template)
        if not nights:
            raise ConfigError(f"{template}: no night is published; give a date")
        day = max(nights)
    output = output_of(template, day)
    folder = published_version(output, day)
    record = None if folder is None else read_record(folder)
    kept = output / VERSIONS / day.isoformat()
    names = [path.name for path in kept.iterdir()] if kept.is_dir() else []
    known = None
    if record is not None:
        with read_state(config) as state:
            known = known_versions(state).get(day)
    return {
        "date": day.isoformat(),
        "is_published": record is not None,
        "is_running": _is_held(output, day),
        "is_in_state": folder is not None and known == folder.name,
        "version": None if folder is None else folder.name,
        "versions_kept": sorted(n for n in names if not n.startswith(".")),
    } | ({} if folder is None or record is None else _numbers(folder, record))


def list_runs(config: Config) -> list[dict[str, Any]]:
    """
    List the numbers of all published nights, by date; JSON-ready.

    A night that cannot be read has ``unreadable``, why, instead.
    """
    nights = published_nights(_output(config))
    return [
        {"date": day.isoformat(), "version": folder.name} | _numbers_or_why(folder)
        for day, folder in nights.items()
    ]


def recorded_settings(run_dir: Path | str) -> tuple[Config, dt.date]:
    """
    Read the configuration that a night records, with its output where the night is.

    Parameters
    ----------
    run_dir
        The folder of a published night.

    Returns
    -------
    config, day
        The second is its date.

    Raises
    ------
    ConfigError
        When its output has a folder for each date, and it was moved.
    DataError
        When the folder is not a run.
    """
    folder = pinned(run_dir)
    record = read_record(folder)
    day, config = _date_of(folder, record), as_config(record["config"])
    place = _output_around(folder)
    known = config.output
    if known is not None and resolved(output_of(known, day)) == resolved(place):
        return config, day
    if known is not None and output_of(known, day) != Path(known):
        raise ConfigError(
            f"{run_dir}: is not in {known}, where it was published; give --config and "
            "--date"
        )
    return config.model_copy(update={"output": str(place)}), day


def date_in_output(config: Config, run_dir: Path | str) -> dt.date:
    """
    The date of a published night, which must be of a configuration's output.

    Raises
    ------
    ConfigError
        When it is of another folder.
    DataError
        When the folder is not a run.
    """
    folder = pinned(run_dir)
    day = _date_of(folder, read_record(folder))
    output = output_of(_output(config), day)
    if resolved(_output_around(folder)) != resolved(output):
        raise ConfigError(
            f"{run_dir}: is not in {output}, the output of the configuration; leave "
            "one of the two out"
        )
    return day


def _output_around(folder: Path) -> Path:
    """The output folder that a night, or a version of one, is in."""
    is_version = folder.parent.parent.name == VERSIONS
    return folder.parent.parent.parent if is_version else folder.parent


def _date_of(folder: Path, record: Mapping[str, Any]) -> dt.date:
    try:
        return dt.date.fromisoformat(record["date"])
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{folder / RECORD}: has no date; `optimizer verify` says what is wrong"
        ) from None


def _numbers_or_why(folder: Path) -> dict[str, Any]:
    try:
        return _numbers(folder, read_record(folder))
    except DataError as error:
        return {"unreadable": str(error)}


def _lost_version(state: StateDatabase, output: Path, day: dt.date) -> str | None:
    """The version that the chain says is published, where nothing is any more."""
    if published_version(output, day) is not None:
        return None
    return versions_in(mend_chain(state)[0]).get(day)


def _target(output: Path, day: dt.date, *, is_withdrawn: bool) -> Path | None:
    """The version to publish instead."""
    folder = published_version(output, day)
    if folder is None:
        raise ConfigError(f"{output / day.isoformat()}: is not published")
    if is_withdrawn:
        return None
    try:
        name = read_record(folder)["run_measurements"].get("replaces")
        target = folder.parent / (name or "")
    except (KeyError, AttributeError, TypeError):
        raise DataError(
            f"{folder / RECORD}: does not say which night it replaced; `optimizer "
            "verify` says what is wrong, and `optimizer backfill --force` makes the "
            "night anew"
        ) from None
    if name is None:
        raise ConfigError(
            f"{output / day.isoformat()}: replaced no night, so there is none to "
            "roll back to; --withdraw withdraws it"
        )
    read_record(target)
    return target


def _numbers(folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """
    Numbers of a night from its record.

    Raises
    ------
    DataError
        When the record lacks one.
    """
    try:
        return _numbers_of(record)
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{folder / RECORD}: is not as a record should be; `optimizer verify` "
            "says where, and a backup has it"
        ) from None


def _numbers_of(record: dict[str, Any]) -> dict[str, Any]:
    numbers, proof = by_mean(record["summary"]), record["certificate"]
    return {
        "published_at_utc": record["run_measurements"]["started_at_utc"],
        "num_orders": numbers["num_orders"],
        "num_chosen": numbers["num_chosen"],
        "sum_of_caps": numbers["sum_of_caps"],
        **{name: numbers[name] for name in SAVINGS if name in numbers},
        "relative_gap": proof["relative_gap"],
        "outboxes": list(record.get("outboxes", [])),
        "warnings": list(record["warnings"]),
        "alerts": list(record.get("alerts", [])),
    }


def _is_held(output: Path, day: dt.date) -> bool | None:
    """Whether a run holds a date, without writing; ``None``: nobody may see."""
    try:
        with (output / LOCKS / day.isoformat()).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _output(config: Config) -> str:
    if config.output is None:
        raise ConfigError("published nights need output in the configuration")
    return config.output
