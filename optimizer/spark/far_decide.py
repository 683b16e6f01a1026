"""Decide a far night: on executors, or, where they do not solve it, on the driver."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from optimizer.io.fetch import Fetched
from optimizer.night.run import decide_here
from optimizer.spark.api import allocate
from optimizer.spark.driver_inputs import brought_inputs
from optimizer.spark.driver_tables import write_decided
from optimizer.spark.engine_keys import of_driver
from optimizer.spark.faults import PackingNight
from optimizer.spark.published import ALONE, cluster_record
from optimizer.spark.write import write_night

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from pyspark.sql import SparkSession

    from optimizer.config import Config
    from optimizer.night.resolve import ResolvedNight
    from optimizer.spark.api import SparkNight
    from optimizer.spark.write import AroundFar, Place

    #: Writes a night, and gives its record with what was written: of the place, the
    #: record, those of the weeks before, and what is told of it.
    WriteFar = Callable[
        [Place, dict[str, Any], Sequence[Mapping[str, Any]], AroundFar], dict[str, Any]
    ]


@dataclass(frozen=True, slots=True, eq=False)
class DecidedFar:
    """
    A far night that is decided and proved, of which nothing is written.

    Attributes
    ----------
    record
        Of the night.
    write
        Writes it.
    """

    record: dict[str, Any]
    write: WriteFar


def decide_far(  # noqa: PLR0913 - what decides a night, by name
    session: SparkSession,
    config: Config,
    day: dt.date,
    *,
    tables: Mapping[str, Any],
    found: ResolvedNight,
    previous: Path | None,
    progress: Callable[[str], None] | None,
    held: ExitStack,
) -> DecidedFar:
    """
    Decide a night whose inputs or output are addresses.

    Parameters
    ----------
    session
        Of the cluster.
    config, day
        The night.
    tables
        From :func:`~optimizer.spark.far_tables.open_tables`.
    found
        The night as it is found before it is solved.
    previous
        The folder of an earlier night; ``None``: none.
    progress
        Called with the name of each stage.
    held
        Frees what is cached on the cluster, and copies, when it is closed.

    Raises
    ------
    DataError
        When a table is refused.
    SolveError
        When no plan is good enough to publish.
    MachineError
        When the driver has not the memory for a night that it decides alone.
    """
    if not of_driver(config, found.policy):
        with suppress(PackingNight):
            night = allocate(
                tables["orders"],
                tables["capacity"],
                config,
                options=tables.get("options"),
                merchants=tables.get("merchants"),
                deliveries=found.fetched.paths.get("deliveries"),
                date=day,
                rows_per_block=config.spark.rows_per_block,
                progress=progress,
                history=found.before.history,
                previous=previous,
            )
            held.callback(_released, night)
            record = cluster_record(config, day, night, found)
            return DecidedFar(record, partial(write_night, night))
    if progress is not None:
        progress(ALONE)
    brought = held.enter_context(brought_inputs(config, day, tables))
    there = replace(found, fetched=Fetched({**found.fetched.paths, **brought}, {}))
    alone = decide_here(there, config, day, previous, progress)
    alone.record["versions"]["pyspark"] = version("pyspark")
    return DecidedFar(alone.record, partial(write_decided, session, alone))


def _released(night: SparkNight) -> None:
    """Free what is cached on the cluster; where it is gone, so is that."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    with suppress(PySparkException, Py4JError, OSError):
        night.release()
