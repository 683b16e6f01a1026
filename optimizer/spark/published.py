"""A date decided on a cluster, and published as one machine publishes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from optimizer.explain.makers import night_tables, published_decisions
from optimizer.io.mapping import as_written
from optimizer.night.api import Solved
from optimizer.night.inputs import tables_of
from optimizer.night.publish import Contents
from optimizer.night.record import record_of, tables_with_record
from optimizer.night.release import check_release
from optimizer.night.run import DecidedNight, decide_here
from optimizer.spark.api import allocate
from optimizer.spark.blocks import ALL_CELLS
from optimizer.spark.engine_keys import of_driver
from optimizer.spark.far_parts import count_parts, joined
from optimizer.spark.faults import PackingNight
from optimizer.spark.files import open_files
from optimizer.spark.own_parts import ask_blocks
from optimizer.spark.passes import PART_ROWS, decide_parts
from optimizer.spark.write import cluster_errors

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import ExitStack
    from pathlib import Path

    import polars as pl
    from pyspark.sql import DataFrame, SparkSession

    from optimizer.config import Config
    from optimizer.night.resolve import ResolvedNight
    from optimizer.spark.api import SparkNight

#: What is told of a night that executors do not solve.
ALONE = "decide on the driver alone: executors do not solve this night"


@dataclass(frozen=True, slots=True, eq=False)
class OnCluster:
    """
    Decides nights on a cluster: what :func:`~optimizer.night.run.run_night` calls.

    Attributes
    ----------
    start
        Gives the session of the cluster; called where it is needed.
    held
        Frees what is cached on the cluster when it is closed.
    """

    start: Callable[[], SparkSession]
    held: ExitStack

    def __call__(
        self,
        found: ResolvedNight,
        config: Config,
        day: dt.date,
        previous: Path | None,
        progress: Callable[[str], None] | None,
    ) -> DecidedNight:
        """Decide a night on executors, or alone where they cannot."""
        if of_driver(config, found.policy):
            return _alone(found, config, day, previous, progress)
        try:
            with cluster_errors(f"{config.output} of {day}"):
                return self._by_executors(found, config, day, previous, progress)
        except PackingNight:
            return _alone(found, config, day, previous, progress)

    def _by_executors(
        self,
        found: ResolvedNight,
        config: Config,
        day: dt.date,
        previous: Path | None,
        progress: Callable[[str], None] | None,
    ) -> DecidedNight:
        """Decide a night on executors; its tables are made when it is published."""
        session = self.start()
        tables: dict[str, Any] = dict(found.fetched.paths)
        agreed = tables_of(config, found.policy)
        for name in ("orders", "options"):
            if name in tables:
                written = as_written(agreed[name], config.mappings.get(name))
                tables[name] = open_files(session, tables[name], written)
        night = allocate(
            tables["orders"],
            tables["capacity"],
            config,
            options=tables.get("options"),
            merchants=tables.get("merchants"),
            deliveries=tables.get("deliveries"),
            date=day,
            rows_per_block=config.spark.rows_per_block,
            progress=progress,
            history=found.before.history,
            previous=previous,
        )
        self.held.callback(night.release)
        check_release(night.certificate, config)
        record = cluster_record(config, day, night, found)
        return DecidedNight(record, partial(_contents, night, record))


def _alone(
    found: ResolvedNight,
    config: Config,
    day: dt.date,
    previous: Path | None,
    progress: Callable[[str], None] | None,
) -> DecidedNight:
    """Decide a night that executors do not solve, as one machine does."""
    if progress is not None:
        progress(ALONE)
    return decide_here(found, config, day, previous, progress)


def cluster_record(
    config: Config, day: dt.date, night: SparkNight, found: ResolvedNight
) -> dict[str, Any]:
    """
    The record of one machine, and what only a cluster has.

    Parameters
    ----------
    config, day, night, found
        The night.
    """
    solved = Solved(night.certified, None, night.clock, night.summary)
    record = record_of(config, day, solved, found)
    record["versions"]["pyspark"] = version("pyspark")
    record["run_measurements"] |= {
        "num_near_orders": night.num_near,
        "num_passes": night.num_passes,
    }
    return record


def _contents(
    night: SparkNight,
    record: Mapping[str, Any],
    earlier: list[Mapping[str, Any]],
    audit_text: Callable[[Mapping[str, Any]], str],
    told: Callable[[Path], Mapping[str, Any]],
) -> Contents:
    """As of :func:`optimizer.night.record.contents_of`; executors give decisions."""
    tables = tables_with_record(night_tables(night.certified), record, earlier)
    return Contents(partial(_decisions, night), tables, audit_text, told)


def _decisions(
    night: SparkNight, _: Path, made: dict[str, Iterable[pl.DataFrame]]
) -> Iterator[pl.DataFrame]:
    """
    Every order's decision, by ``merchant_id`` and ``order_id``.

    Executors decide, sort and pack the rows of their blocks; here the pieces of some
    merchants at a time are put together, which blocks have in any order.
    """
    decided = night.decided
    num_parts = count_parts(decided)
    blocks = night.prepared.blocks
    pieces = ask_blocks(blocks, ALL_CELLS, decide_parts, decided, PART_ROWS)
    with cluster_errors("decisions"):
        pieces = pieces.persist()
        try:
            yield from published_decisions(
                joined,
                (_gathered(pieces, part) for part in range(num_parts)),
                num_parts,
                night.certified.names,
                made,
            )
        finally:
            pieces.unpersist()


def _gathered(pieces: DataFrame, part: int) -> list[bytes]:
    """The pieces of a part, as they come."""
    from pyspark.sql import functions as F

    rows = pieces.filter(F.col("part") == part).select("rows").toArrow()
    return list(rows["rows"].to_pylist())
