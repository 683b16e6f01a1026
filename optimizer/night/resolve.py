"""Before a night is solved: its inputs, carry-over and identity."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.config import expand_date, policy_on
from optimizer.contracts.run_folder import RECORD
from optimizer.errors import ConfigError
from optimizer.explain.churn import PREVIOUS_TABLES
from optimizer.io.cells import cell_rules
from optimizer.io.fetch import fetched_inputs
from optimizer.io.kept_inputs import MODEL_FILE
from optimizer.io.read import fingerprint, open_source
from optimizer.io.snapshot import Snapshot, one_state, take_snapshot
from optimizer.night.delivery_lookups import count_deliveries, delivery_warnings
from optimizer.night.folders import published_nights
from optimizer.night.identity import identity_of
from optimizer.night.inputs import (
    InputPaths,
    await_inputs,
    closed_parcels,
    copied_tables,
    tables_of,
)
from optimizer.night.state.database import memory_state
from optimizer.night.state.ledger import (
    KEPT_DAYS,
    Carryover,
    history_days,
    load_before,
    needs_history,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl

    from optimizer.build.lookups import LookupCount
    from optimizer.config import Config, PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.fetch import Fetched
    from optimizer.io.read import FileRecord
    from optimizer.night.repair import RepairedInputs
    from optimizer.night.state.database import StateDatabase


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedNight:
    """
    A night before it is solved.

    Attributes
    ----------
    policy
        The row in force.
    inputs, fetched, files
        Where inputs are, which were copied here, and each file with its checksum.
    model
        The learned model's file, where there is one.
    snapshot
        All files that it is made from, as they were before the first was read.
    before, closed
        Carry-over from other nights, and parcels that no longer take a slot.
    num_delivery_rows
        Rows of the deliveries table by its name; empty where there is none.
    lookup
        How many deliveries name a parcel in flight; ``None``: nobody asks.
    read_as
        What was guessed of the form of each table, by its name.
    warnings
        What a person should look at of the deliveries.
    identity
        Identity of the run.
    """

    policy: PolicyRow
    inputs: InputPaths
    fetched: Fetched
    files: Mapping[str, tuple[FileRecord, ...]]
    model: Path | None
    snapshot: Snapshot
    before: Carryover
    closed: pl.DataFrame | None
    num_delivery_rows: Mapping[str, int]
    lookup: LookupCount | None
    read_as: Mapping[str, Mapping[str, Any]]
    warnings: tuple[CodedWarning, ...]
    identity: dict[str, Any]


def require_places(config: Config) -> None:
    """
    Refuse a configuration that does not say what is read and where it is published.

    Raises
    ------
    ConfigError
        When there are no inputs or no output.
    """
    if config.inputs is None or config.output is None:
        raise ConfigError("a nightly run needs inputs and output in the configuration")


@contextmanager
def find_night(  # noqa: PLR0913 - what decides a night, by name
    ledger: StateDatabase,
    config: Config,
    day: dt.date,
    previous: Path | None,
    progress: Callable[[str], None] | None,
    copies: Path | None,
    *,
    is_waiting: bool = True,
    repaired: RepairedInputs | None = None,
) -> Iterator[ResolvedNight]:
    """
    Find everything that decides a night.

    Parameters
    ----------
    ledger
        From :func:`open_ledger`.
    config, day, previous, progress
        As for :func:`~optimizer.night.run.run_night`.
    copies
        Folder that keeps fetched inputs as files, for verification; ``None``: they are
        removed at the end.
    is_waiting
        Whether late inputs are waited for, as configured.
    repaired
        Inputs of a published night with changes; ``None``: the configured ones.
    """
    policy = policy_on(config, day)
    cells, tables = cell_rules(config), tables_of(config, policy)
    copied = copied_tables(config, policy)
    with ExitStack() as held:
        if repaired is not None:
            inputs, fetched = repaired.inputs, repaired.fetched
        else:
            inputs = await_inputs(config, day, progress, is_waiting=is_waiting)
            fetched = held.enter_context(
                fetched_inputs(inputs.paths, copies, cells, copied)
            )
        snapshot = take_snapshot(fetched.paths, _read_beside(config, day, previous))
        with one_state(snapshot):
            sources = {
                name: open_source(path, tables[name], rules=cells)
                for name, path in fetched.paths.items()
            }
            read_as = {name: source.notes.to_json() for name, source in sources.items()}
            files = {name: fingerprint(source) for name, source in sources.items()}
            closed, looked, num_rows = None, None, {}
            warnings: tuple[CodedWarning, ...] = ()
            if "deliveries" in fetched.paths:
                path = fetched.paths["deliveries"]
                told = closed_parcels(path, day, cells)
                closed, warnings = told.rows, told.warnings
                num_rows["deliveries"] = told.num_rows
                looked = count_deliveries(ledger, config, day, told.rows)
                warnings += delivery_warnings(looked, config)
            before = load_before(ledger, config, policy, day, closed)
            identity = identity_of(config, day, files, previous, before.identity)
            if any(read_as.values()):
                identity["read_as"] = {n: form for n, form in read_as.items() if form}
            yield ResolvedNight(
                policy=policy,
                inputs=inputs,
                fetched=fetched,
                files=files,
                model=_model_file(config, day),
                snapshot=snapshot,
                before=before,
                closed=closed,
                num_delivery_rows=num_rows,
                lookup=looked,
                read_as=read_as,
                warnings=warnings,
                identity=identity,
            )


def _model_file(config: Config, day: dt.date) -> Path | None:
    if config.model is None:
        return None
    return Path(expand_date(config.model, day)) / MODEL_FILE


def _read_beside(config: Config, day: dt.date, previous: Path | None) -> list[Path]:
    """Files other than tables that decide a night; reading reports missing ones."""
    model = _model_file(config, day)
    found = [] if model is None else [model]
    if previous is not None:
        found += [previous / name for name in (RECORD, *PREVIOUS_TABLES)]
    return [path for path in found if path.exists()]


@contextmanager
def open_ledger(
    config: Config, day: dt.date, state: StateDatabase | None
) -> Iterator[StateDatabase]:
    """
    Open the ledger for a date.

    This is the database, or one in memory that is made from the published folders: for
    a run that may not write, or a date so old that its rows are not kept.

    Parameters
    ----------
    config, day
        The night.
    state
        The database, in line with the folders; ``None`` where nothing may be written.
    """
    policy = policy_on(config, day)
    if state is not None and not _is_forgotten(state, config, policy, day):
        yield state
        return
    assert config.output is not None
    with memory_state() as memory:
        if needs_history(config, policy):
            for date, folder in published_nights(config.output).items():
                if abs((date - day).days) <= KEPT_DAYS:
                    settle(memory, date, folder, is_pruned=False)
        yield memory


def _is_forgotten(
    state: StateDatabase, config: Config, policy: PolicyRow, day: dt.date
) -> bool:
    """Whether rows that a date may need are no longer in the database."""
    from sqlalchemy import func, select

    from optimizer.night.state.schema import NIGHTS

    with state.transaction() as connection:
        newest = connection.scalar(select(func.max(NIGHTS.c.date)))
    if newest is None or not needs_history(config, policy):
        return False
    back = history_days(config, policy)
    return day - dt.timedelta(days=back) < newest - dt.timedelta(days=KEPT_DAYS)
