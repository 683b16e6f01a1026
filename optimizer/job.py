"""
The nightly job: joins a date's night with engine, monitoring and second statement.

The room of nights knows none of these; here they are passed to it.
"""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.config import policy_on
from optimizer.contracts.run_folder import resolved
from optimizer.errors import ConfigError, OptimizerError
from optimizer.night.run import Around, run_night
from optimizer.telemetry.alerts import recorded_alerts, recorded_alerts_after
from optimizer.telemetry.watch import watched
from optimizer.verify.audit import audit_text
from optimizer.verify.written import false_writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from optimizer.build.survey import BaseRate
    from optimizer.config import Config
    from optimizer.night.run import RunReport
    from optimizer.telemetry.watch import WatchedRun


def run_date(  # noqa: PLR0913 - what a run may be asked for, by name
    config: Config,
    day: dt.date,
    *,
    is_dry: bool = False,
    is_forced: bool = False,
    is_of_any_version: bool = False,
    is_paranoid: bool = False,
    previous: Path | str | None = None,
    changes: Mapping[str, Path] | None = None,
    progress: Callable[[str], None] | None = None,
) -> RunReport:
    """
    Run a date with the engine that is configured.

    Parameters
    ----------
    config
        With ``inputs`` and ``output``.
    day
        The business date.
    is_dry
        Do everything but write.
    is_forced
        Replace a night that was published from other inputs; it is kept aside.
    is_of_any_version
        Leave a night as it is, too, that another version of the program published from
        the same inputs; not on a cluster.
    is_paranoid
        Read each written file back from the disk, past the system's cache; not on a
        cluster whose files the driver does not see.
    previous
        The folder of an earlier run to start from; of a cluster whose files the driver
        does not see, also the address of a date that it published.
    changes
        Files that say what changed of the published night, by name; not on a cluster.
    progress
        Called with the name of each stage.

    Raises
    ------
    ConfigError
        When ``previous``, ``changes`` or ``is_paranoid`` is given where it is not for;
        and as :func:`run_night`, like whatever else is raised.
    """
    run = partial(
        run_night,
        config,
        day,
        around=Around(audit_text, recorded_alerts, false_writing),
        is_dry=is_dry,
        is_forced=is_forced,
        is_of_any_version=is_of_any_version,
        is_paranoid=is_paranoid,
        progress=progress,
    )
    if config.engine == "local":
        return run(previous=_previous_folder(previous), changes=changes)
    if changes is not None:
        raise ConfigError("--only-changes is for engine: local; run the whole date")
    from optimizer.spark.engine_keys import refuse_keys
    from optimizer.spark.run import is_near, run_on_spark, start_session

    if is_near(config, day):
        from optimizer.spark.published import OnCluster

        refuse_keys(config, policy_on(config, day))

        with ExitStack() as held:
            decide = OnCluster(start_session, held)
            return run(decide=decide, previous=_previous_folder(previous))
    if is_paranoid:
        raise ConfigError("--paranoid is for files that the driver sees; leave it out")
    return run_on_spark(
        config,
        day,
        is_dry=is_dry,
        is_forced=is_forced,
        find_alerts=recorded_alerts_after,
        audit_text=audit_text,
        previous=_place(previous),
        progress=progress,
    )


def _place(previous: Path | str | None) -> Path | str | None:
    """An earlier night: an address as it is written, or a folder of this machine."""
    if previous is None or "://" in str(previous):
        return previous
    return resolved(previous)


def _previous_folder(previous: Path | str | None) -> Path | None:
    """An earlier night that this machine sees."""
    if previous is not None and "://" in str(previous):
        raise ConfigError(
            f"--previous {previous}: an address is for nights of engine: spark between "
            "addresses; give the folder of a night"
        )
    return None if previous is None else Path(previous)


def check_date(
    config: Config,
    day: dt.date,
    *,
    is_forced: bool = False,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """
    Check a date as a run would, up to the solve; nothing is written.

    Parameters
    ----------
    config, day, is_forced, progress
        As for :func:`run_date`.

    Returns
    -------
    dict
        As :func:`~optimizer.night.check.check_inputs`; ``rates_unknown`` says why the
        configured outcomes gave no rate, ``None`` where they did or there are none.

    Raises
    ------
    ConfigError, DataError, SolveError, BusyError
        As a run before it solves.
    """
    from optimizer.learn.base_rates import base_rates
    from optimizer.night.check import check_inputs

    unknown: list[str] = []

    def find_rates() -> Sequence[BaseRate]:
        try:
            return base_rates(config, day)
        except OptimizerError as error:  # a night does not need them
            unknown.append(str(error))
            return ()

    found = check_inputs(
        config, day, progress, is_forced=is_forced, find_rates=find_rates
    )
    return found | {"rates_unknown": unknown[0] if unknown else None}


def backfill(
    config: Config,
    first: dt.date,
    last: dt.date,
    *,
    is_forced: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Iterator[WatchedRun]:
    """
    Run all dates of a range in order, except those already done.

    A night is done also where an earlier version of the program did it from the same
    inputs and rules: other nights count on what it published.

    Parameters
    ----------
    config, is_forced
        As for :func:`run_date`.
    first, last
        Both included.
    progress
        Called with date and stage.

    Yields
    ------
    WatchedRun
        For each date. The first failure ends it, since later nights depend on that
        date.

    Raises
    ------
    ConfigError
        When the dates are in the wrong order; and whatever a run raises.
    """
    if last < first:
        raise ConfigError(f"--to {last} is before --from {first}; swap them")
    for number in range((last - first).days + 1):
        day = first + dt.timedelta(days=number)
        tell = None if progress is None else _prefixed(progress, day)
        yield watched(
            config,
            day,
            lambda stage, day=day: run_date(  # type: ignore[misc]
                config,
                day,
                is_forced=is_forced,
                is_of_any_version=True,
                progress=stage,
            ),
            tell,
        )


def _prefixed(progress: Callable[[str], None], day: dt.date) -> Callable[[str], None]:
    return lambda stage: progress(f"{day} {stage}")
