"""A solved night in memory: what is kept of it, and its tables as callers get them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from optimizer.explain.certified_night import certified_night
from optimizer.explain.churn import churn_table
from optimizer.explain.explored import explored_orders
from optimizer.explain.makers import night_tables
from optimizer.explain.night import Decided, FurtherTables, Night
from optimizer.explain.summary import summarize
from optimizer.explain.tables import decisions_table, recommendations_table
from optimizer.night.decided import record_in_memory

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    import polars as pl

    from optimizer.build.night import Intake
    from optimizer.certify.certificate import Certificate
    from optimizer.clock import StageClock
    from optimizer.config import Config
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.explain.churn import Previous
    from optimizer.io.changed_tables import TableChanges
    from optimizer.io.snapshot import Snapshot
    from optimizer.model.margins import Margins
    from optimizer.model.solution import Solution
    from optimizer.solvers.network.repair import NearOrders

#: Columns of the decisions that only other tables need.
_UNTOLD = ("region_id", "lane")


@dataclass(frozen=True, eq=False)
class KeptNight:
    """
    What is kept of a solved night, to change it.

    Attributes
    ----------
    tables
        The tables that it was made of, by name; ``None`` where there is none.
    snapshots
        Those that are files, as they were.
    config, day
        Its rules and its day.
    intake, solution, certificate
        Its problem, plan and prices, and what is proved.
    make_names
        Gives its orders' names, by ``order_id``.
    solve_anew
        Solves a night of tables by name, as the night was: tables, configuration, day,
        ``previous`` and ``progress``.
    changes
        What was changed since, one after the other.
    found_near
        Orders near their prices, where they are known.
    """

    tables: Mapping[str, Any]
    snapshots: tuple[Snapshot, ...]
    config: Config
    day: dt.date | None
    intake: Intake
    solution: Solution
    certificate: Certificate
    make_names: Callable[[], pl.DataFrame]
    solve_anew: Callable[..., Night]
    changes: tuple[TableChanges, ...] = ()
    found_near: NearOrders | None = None

    @cached_property
    def names(self) -> pl.DataFrame:
        """``row``, ``order_id``, ``region_id``, perhaps a reason, by ``order_id``."""
        return self.make_names()

    @cached_property
    def folded_keys(self) -> pl.Series:
        """Keys of the names' ids without case and outer spaces."""
        import polars as pl

        from optimizer.io.order_keys import order_keys

        return pl.Series(order_keys(self.names["order_id"], self.intake.salt)[1])

    @cached_property
    def near(self) -> NearOrders:
        """Orders near their prices."""
        from optimizer.solvers.network.repair import near_orders

        if self.found_near is not None:
            return self.found_near
        threads = self.config.solver.num_threads
        return near_orders(self.intake.problem, self.solution, threads)

    @property
    def margins(self) -> Margins | None:
        """Exact margins, where plan and prices prove each other optimal."""
        return exact_margins(
            self.intake,
            self.solution,
            self.certificate,
            self.config.solver.num_threads,
        )


def exact_margins(
    intake: Intake,
    solution: Solution,
    certificate: Certificate,
    num_threads: int | None,
) -> Margins | None:
    """
    Exact margins of a night whose plan and prices prove each other optimal.

    Parameters
    ----------
    intake, solution, certificate
        The night.
    num_threads
        ``None``: one for each core. Never changes a margin.
    """
    from optimizer.solvers.network.margins import find_margins

    problem = intake.problem
    if problem.side is not None or not certificate.is_optimal:
        return None
    beside = explored_orders(intake.index.pool, problem.num_merchants)
    return find_margins(problem, solution, beside, num_threads)


class Telling:
    """
    What is told of a kept night, each part made when it is first asked for.

    Parameters
    ----------
    kept
        The night.
    previous
        The night before; ``None``: none.
    certified
        The night with its outcomes, where they are known.
    """

    def __init__(
        self,
        kept: KeptNight,
        previous: Previous | None = None,
        certified: CertifiedNight | None = None,
    ) -> None:
        self._kept = kept
        self._previous = previous
        self._certified = certified

    @cached_property
    def night(self) -> CertifiedNight:
        """The night with its outcomes."""
        kept, found = self._kept, self._certified
        if found is None:
            found = certified_night(
                kept.intake, kept.solution, kept.certificate, kept.margins
            )
        return replace(found, named=lambda: [kept.names])

    @cached_property
    def decisions(self) -> pl.DataFrame:
        """The decisions table, with columns that other tables need."""
        night = self.night
        return decisions_table(self._kept.names, night.outcomes, night.names)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The night in numbers."""
        return summarize(self.night)

    def decided(self) -> Decided:
        """What is told of the orders."""
        import polars as pl

        told = [c for c in self.decisions if c.name not in _UNTOLD]
        return Decided(
            orders=pl.DataFrame(told),
            warnings=self.night.warnings,
            summary=self.summary,
            assumptions=self.night.assumptions,
        )

    def further(self) -> FurtherTables:
        """The tables beside the decisions."""
        from optimizer.contracts.tables import (
            CONFLICTS,
            DRAWS,
            LANE_RESULTS,
            MERCHANT_RESULTS,
            ROW_RESULTS,
        )

        kept, night, before = self._kept, self.night, self._previous
        chosen, tables = recommendations_table(self.decisions), night_tables(night)
        return FurtherTables(
            merchants=tables[MERCHANT_RESULTS.file],
            lanes=tables[LANE_RESULTS.file],
            recommendations=chosen,
            record=record_in_memory(kept.config, kept.day, night, self.summary),
            churn=None if before is None else churn_table(before, chosen),
            rows=tables.get(ROW_RESULTS.file),
            conflicts=tables.get(CONFLICTS.file),
            draws=tables.get(DRAWS.file),
        )


def as_made(made: Any) -> Any:
    """Give what was made already."""
    return made


def make_night(
    kept: KeptNight,
    told: Telling,
    clock: StageClock,
    *,
    make_changed: Callable[..., Night],
    is_at_once: bool,
    make_churn: Callable[[], pl.DataFrame] | None = None,
    num_looked_at: int | None = None,
) -> Night:
    """
    Make the night that callers get.

    Parameters
    ----------
    kept, told
        The night, and what is told of it.
    clock
        Seconds and memory of each stage.
    is_at_once
        Whether its tables are made at once, and nothing is kept to make them.
    make_changed, make_churn, num_looked_at
        As of the night.
    """
    make_decided, make_further = told.decided, told.further
    if is_at_once:
        make_decided = partial(as_made, told.decided())
        make_further = partial(as_made, told.further())
    return Night(
        quarantine=kept.intake.quarantine,
        certificate=kept.certificate,
        termination=kept.solution.termination,
        seconds=clock.seconds,
        peak_memory_bytes=clock.peak_memory_bytes,
        date=kept.day,
        problem_class=kept.intake.problem.problem_class,
        policy=kept.intake.policy,
        inputs=kept.intake.inputs,
        make_decided=make_decided,
        make_further=make_further,
        make_changed=make_changed,
        make_churn=make_churn,
        num_looked_at=num_looked_at,
    )
