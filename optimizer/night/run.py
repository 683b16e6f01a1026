"""Run one date: from configured files to a published, certified night."""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from optimizer.config import policy_on
from optimizer.contracts.run_folder import resolved
from optimizer.errors import (
    BusyError,
    ConfigError,
    OptimizerError,
)
from optimizer.explain.week import run_id
from optimizer.io.folders import make_folder
from optimizer.io.kept_inputs import INPUTS, keep_inputs, keep_model
from optimizer.io.mapped_arrays import room_of
from optimizer.io.snapshot import refuse_change
from optimizer.night.api import solve_night
from optimizer.night.deliver import count_outboxes, send_copies
from optimizer.night.earlier_nights import earlier_records
from optimizer.night.folders import published_version
from optimizer.night.identity import already_words, is_same_night
from optimizer.night.publish import (
    CheckedFiles,
    date_lock,
    disk_errors,
    last_step,
    publish,
    published_record,
)
from optimizer.night.record import contents_of, record_of
from optimizer.night.release import check_release
from optimizer.night.repair import refuse_base, repaired_inputs
from optimizer.night.resolve import find_night, open_ledger, require_places
from optimizer.night.state.database import BUSY_SECONDS, open_state, shared_lock
from optimizer.night.state.ledger import (
    history_days,
    load_before,
    refuse_if_relied_on,
    settle,
)
from optimizer.night.state.links import head_of
from optimizer.night.state.reconcile import output_of, reconcile
from optimizer.stopping import end_if_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from optimizer.config import Config
    from optimizer.night.publish import Contents
    from optimizer.night.repair import RepairedInputs
    from optimizer.night.resolve import ResolvedNight
    from optimizer.night.state.database import StateDatabase

if TYPE_CHECKING:
    FindAlerts = Callable[
        [Config, dt.date, Mapping[str, Any], Path | None], list[dict[str, Any]]
    ]
    #: Decides a night that was found: with the configuration, the date, the folder of
    #: an earlier run to start from, and what is called with the name of each stage.
    DecideNight = Callable[
        [
            "ResolvedNight",
            Config,
            dt.date,
            "Path | None",
            "Callable[[str], None] | None",
        ],
        "DecidedNight",
    ]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """
    Parts from outside this room that a run calls.

    Attributes
    ----------
    audit_text
        Gives the night's second statement (``audit.sql``) from its record.
    find_alerts
        Gives the alerts, from the configuration, the date, the record and the folder of
        tables, where there is one.
    false_writing
        Finds what a written night says that its own tables do not, from its folder.
    """

    audit_text: Callable[[Mapping[str, Any]], str]
    find_alerts: FindAlerts
    false_writing: Callable[[Path], list[str]]


@dataclass(frozen=True, slots=True, eq=False)
class DecidedNight:
    """
    A night that is decided and proved good enough, whoever decided it.

    Attributes
    ----------
    record
        Of the night; what is known later is added to it.
    contents
        Gives what is published, from the records of the week before, and what
        :func:`~optimizer.night.record.contents_of` takes beside them.
    """

    record: dict[str, Any]
    contents: Callable[
        [
            list[Mapping[str, Any]],
            Callable[[Mapping[str, Any]], str],
            Callable[[Path], Mapping[str, Any]],
        ],
        Contents,
    ]


@dataclass(frozen=True, slots=True)
class RunReport:
    """
    The result of a run.

    Attributes
    ----------
    run_dir
        Folder of the night, written or not; an address if a cluster wrote it.
    outcome
        ``published``, ``unchanged`` (the same night was there already) or
        ``dry run``.
    record
        The night's record, as in ``run.json``.
    head
        ``number`` and ``hash`` of the last link of evidence; ``None`` where there is
        none, or the database did not answer.
    """

    run_dir: Path | str
    outcome: str
    record: Mapping[str, Any]
    head: Mapping[str, Any] | None = None


def run_night(  # noqa: PLR0913 - what a run may be asked for, by name
    config: Config,
    day: dt.date,
    *,
    around: Around,
    is_dry: bool = False,
    is_forced: bool = False,
    is_of_any_version: bool = False,
    is_paranoid: bool = False,
    previous: Path | None = None,
    changes: Mapping[str, Path] | None = None,
    progress: Callable[[str], None] | None = None,
    decide: DecideNight | None = None,
) -> RunReport:
    """
    Run a date and publish it if it is proved good enough.

    Parts outside this room are passed in: :func:`optimizer.job.run_date` does that.

    Parameters
    ----------
    config
        With ``inputs`` and ``output``.
    day
        The business date.
    around
        Parts outside this room.
    is_dry
        Do everything but write.
    is_forced
        Replace a night that was published from other inputs; it is kept aside.
    is_of_any_version
        Leave a night as it is, too, that another version of the program published from
        the same inputs.
    is_paranoid
        Read each written file back from the disk, past the system's cache.
    previous
        The folder of an earlier run to start from.
    changes
        Files that say what changed of the published night, by name
        (:data:`~optimizer.night.repair.CHANGES`): its other inputs are taken as they
        were, and it is replaced and kept aside. ``None``: the configured inputs.
    progress
        Called with the name of each stage.
    decide
        Decides the night; left out: :func:`decide_here`.

    Raises
    ------
    ConfigError
        When the configuration has no inputs or output, or the date is published
        from other inputs, or later nights have used what it carried over.
    DataError
        When an input is refused.
    SolveError
        When the plan is proved no better than ``publish.max_relative_gap`` allows.
    BusyError
        When another run holds the date, an input is late or changed while it was read,
        the state database does not answer, or a night that this one counts on was
        published meanwhile.
    PublishError
        When the night cannot be written.
    DeliveryError
        When the night is published, and a copy of it did not arrive.
    """
    require_places(config)
    decide = decide or decide_here
    assert config.output is not None
    output = output_of(config.output, day)
    if changes is not None and previous is None:
        previous = published_version(output, day)
        if previous is None:
            raise ConfigError(
                f"{output / day.isoformat()}: is not published, so there is nothing to "
                "repair: run the date"
            )
    previous = None if previous is None else resolved(previous)
    files = CheckedFiles(config.files.mode_bits, is_paranoid=is_paranoid)
    if is_dry:
        return _tried(
            config,
            day,
            around=around,
            previous=previous,
            changes=changes,
            progress=progress,
            decide=decide,
        )
    with ExitStack() as held:
        held.enter_context(disk_errors(output))
        make_folder(output, config.files.mode_bits)
        held.enter_context(date_lock(output, day))
        state = held.enter_context(open_state(config))
        confirm = held.enter_context(shared_lock(state, day.isoformat()))
        healed = reconcile(state, config.output, held=day)
        healed.refuse_near(day, history_days(config, policy_on(config, day)))
        ledger = held.enter_context(open_ledger(config, day, state))
        copies = output / INPUTS / day.isoformat()
        repaired = held.enter_context(_repaired(config, day, previous, changes, copies))
        read = held.enter_context(ExitStack())
        found = read.enter_context(
            find_night(
                ledger, config, day, previous, progress, copies, repaired=repaired
            )
        )
        before = published_record(output, day)
        if before is not None:
            if _is_there(before, found, config, is_of_any_version and not is_forced):
                read.close()  # a change of an input no longer says that nothing is
                send_copies(config, output, day)
                return RunReport(
                    output / day.isoformat(), "unchanged", before, head_of(state)
                )
            if not is_forced and repaired is None:
                raise ConfigError(already_words(output, day, before, found.identity))
            refuse_if_relied_on(ledger, day, "replaced")
        night = decide(found, config, day, previous, progress)
        if repaired is not None:
            night.record["repaired"] = repaired.record
        night.record["run_measurements"]["evidence_head"] = head_of(state)
        if progress is not None:
            progress("publish")
        end_if_stopped()
        _keep(found, copies, files.mode)
        run_dir = publish(
            output,
            day,
            run_id=run_id(found.identity),
            contents=_contents(night, config, day, around),
            record=night.record,
            turn=_turn(state, config, day, found, confirm, read),
            files=files,
        )
        head = _head(state)
        send_copies(config, output, day)
    return RunReport(run_dir, "published", night.record, head)


def _tried(
    config: Config,
    day: dt.date,
    *,
    around: Around,
    previous: Path | None,
    changes: Mapping[str, Path] | None,
    progress: Callable[[str], None] | None,
    decide: DecideNight,
) -> RunReport:
    """Do everything but write."""
    assert config.output is not None
    with (
        _repaired(config, day, previous, changes, None) as repaired,
        open_ledger(config, day, None) as ledger,
        find_night(
            ledger, config, day, previous, progress, None, repaired=repaired
        ) as found,
    ):
        record = decide(found, config, day, previous, progress).record
        refuse_change(found.snapshot)
    if repaired is not None:
        record["repaired"] = repaired.record
    record["alerts"] = around.find_alerts(config, day, record, None)
    output = output_of(config.output, day)
    return RunReport(output / day.isoformat(), "dry run", record)


def _is_there(
    before: Mapping[str, Any],
    found: ResolvedNight,
    config: Config,
    is_of_any_version: bool,
) -> bool:
    """Whether what is published is this night."""
    identity = dict(found.identity)
    if is_of_any_version:
        identity["version"] = before["identity"]["version"]
    return is_same_night(before, identity, config)


def _contents(
    night: DecidedNight, config: Config, day: dt.date, around: Around
) -> Contents:
    """What is published of a decided night, with what is told of it around it."""
    told = partial(_told, config, day, night.record, around.find_alerts)
    earlier = earlier_records(config, day)
    contents = night.contents(earlier, around.audit_text, told)
    return replace(contents, false_writing=around.false_writing)


@contextmanager
def _repaired(
    config: Config,
    day: dt.date,
    previous: Path | None,
    changes: Mapping[str, Path] | None,
    copies: Path | None,
) -> Iterator[RepairedInputs | None]:
    """Inputs of the published night with changes; ``None`` where none are given."""
    if changes is None:
        yield None
        return
    assert previous is not None
    assert config.output is not None
    refuse_base(config, day, previous, output_of(config.output, day))
    with repaired_inputs(config, day, previous, changes, copies) as found:
        yield found


def _told(
    config: Config,
    day: dt.date,
    record: Mapping[str, Any],
    find_alerts: FindAlerts,
    folder: Path,
) -> dict[str, Any]:
    """What outboxes will take of a night, and what somebody should look at."""
    boxes = {"outboxes": count_outboxes(config, folder)} if config.outbox else {}
    return boxes | {"alerts": find_alerts(config, day, {**record, **boxes}, folder)}


def _keep(found: ResolvedNight, folder: Path, mode: int) -> None:
    """Keep the inputs, so that the night can be verified after they are replaced."""
    for path in keep_inputs(found.files, folder, mode):
        logger.info("%s is large and not kept: verify needs it where it is", path)
    if found.model is not None:
        keep_model(found.model, found.identity["model_sha256"], folder, mode)


def _head(state: StateDatabase) -> dict[str, Any] | None:
    """The head, if the database gives it; the night is published in any case."""
    try:
        return head_of(state)
    except OptimizerError:
        return None


def decide_here(
    found: ResolvedNight,
    config: Config,
    day: dt.date,
    previous: Path | None,
    progress: Callable[[str], None] | None,
) -> DecidedNight:
    """
    Decide a night on this machine, check that it is good enough, and make its record.

    Parameters
    ----------
    found, config, day, previous, progress
        The night, as :func:`run_night` has it.
    """
    solved = solve_night(
        found.fetched.paths,
        config,
        date=day,
        previous=previous,
        progress=progress,
        history=found.before.history,
    )
    check_release(solved.night.certificate, config)
    record = record_of(config, day, solved, found)
    room = room_of(config.solver.memory_gb)
    return DecidedNight(record, partial(contents_of, solved, record, room=room))


@contextmanager
def _turn(
    state: StateDatabase,
    config: Config,
    day: dt.date,
    found: ResolvedNight,
    confirm: Callable[[], None],
    read: ExitStack,
) -> Iterator[None]:
    """
    Lock the last step: check that nothing changed, publish, update the database.

    Nights that count on each other may be solved at the same time. If one of them was
    published meanwhile, its carry-over would count twice: then nothing is published.
    Inputs that are held for the night are let go of once they are looked at.
    """
    assert config.output is not None
    output = output_of(config.output, day)
    with last_step(output, BUSY_SECONDS), shared_lock(state, "last-step", BUSY_SECONDS):
        confirm()
        refuse_change(found.snapshot)
        read.close()  # from here on a change of an input unsays nothing
        if found.before.identity is not None:
            reconcile(state, config.output, held=day)
            with open_ledger(config, day, state) as ledger:
                now = load_before(ledger, config, found.policy, day, found.closed)
            if now.digest != found.before.digest:
                raise BusyError(
                    f"a night that {day} counts on was published meanwhile; try again"
                )
        yield
        _tell(state, output, day)


def _tell(state: StateDatabase, output: Path, day: dt.date) -> None:
    """Update the database; if it does not answer, the next run will."""
    try:
        settle(state, day, published_version(output, day))
    except (OptimizerError, OSError) as error:
        logger.warning(
            "%s is published, but the state database does not have it yet (%s); the "
            "next run adds it",
            day,
            error,
        )
