"""
Change a solved night: patch its arrays and repair its plan, or build it again.

A night of caps and nested lanes is patched (:mod:`optimizer.build.changed_night`) and
repaired (:mod:`optimizer.solvers.network.repair`), and the certificate looks at all its
orders. If that does not prove the plan, the night is solved anew. Any other night is
built from its tables with the changes in them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.changed_night import NightChange, can_patch, patched
from optimizer.build.eligibility import orders_table
from optimizer.build.lanes import Place
from optimizer.build.night import take_more
from optimizer.certify.certificate import certify, proved_termination
from optimizer.clock import StageClock
from optimizer.errors import DataError
from optimizer.explain.churn import (
    Previous,
    churn_table,
    earlier_options,
    plan_table,
    read_previous,
)
from optimizer.explain.tables import recommendations_table
from optimizer.io.asked_columns import contracts
from optimizer.io.cells import cell_rules
from optimizer.io.changed_tables import (
    CANCELLED,
    changed_tables,
    read_changes,
    refuse_known,
    refuse_unknown,
    refuse_unknown_rows,
)
from optimizer.io.order_keys import order_keys
from optimizer.io.read import TextTable, open_source
from optimizer.io.snapshot import changed_file, snapshots_of
from optimizer.model.lane_tree import effective_price
from optimizer.model.solution import SolveParams
from optimizer.night.in_memory import KeptNight, Telling, make_night
from optimizer.solvers import solve
from optimizer.solvers.network.repair import moved_orders, repair
from optimizer.solvers.network.tie_break import keep_most

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.changed_night import Moved
    from optimizer.build.night import Intake
    from optimizer.explain.night import Night
    from optimizer.io.changed_tables import TableChanges
    from optimizer.model.solution import Solution
    from optimizer.solvers.network.repair import Repaired

logger = logging.getLogger(__name__)

#: Methods whose answer is the optimum of a network night.
_EXACT = ("auto", "pricing", "flow", "packing")


def change_night(
    kept: KeptNight,
    night: Night,
    given: Mapping[str, Any],
    progress: Callable[[str], None] | None = None,
) -> Night:
    """
    Solve a night again after a change; see :meth:`optimizer.Night.change`.

    Parameters
    ----------
    kept, night
        The night, as it is kept and as callers have it.
    given
        ``capacity``, ``add``, ``options``, ``drop`` and ``cancel``.
    progress
        Called with the name of each stage.

    Raises
    ------
    DataError, SolveError
        As there.
    """
    clock, config = StageClock(progress), kept.config
    with clock.stage("read"):
        agreed = contracts(config, orders_table(kept.intake.policy.eligibility))
        changes = read_changes(given, agreed, cell_rules(config))
        _refuse_other_shape(kept, changes)
    if _can_repair(kept):
        found = _repaired(kept, night, given, changes, clock)
        if found is not None:
            return found
    return _built_anew(kept, night, changes, progress)


def _refuse_other_shape(kept: KeptNight, changes: TableChanges) -> None:
    """Refuse new orders with options where the night has none, and the reverse."""
    has_options = kept.tables.get("options") is not None
    if changes.options is not None and not has_options:
        raise DataError("the night has no options table: its orders name their carrier")
    if changes.add is not None and has_options and changes.options is None:
        raise DataError("the night has an options table: give those of the new orders")


def _can_repair(kept: KeptNight) -> bool:
    """Whether arrays can be patched, and plan and prices are proved by each other."""
    solver = kept.config.solver
    return (
        kept.certificate.is_optimal
        and solver.method in _EXACT
        and solver.relative_gap == 0
        and can_patch(kept.intake, kept.config)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """
    A change, with places in the names of the night.

    ``dropped`` and ``cancelled`` are such places, ascending; ``named`` are names of new
    orders, with their rows in the changed table.
    """

    change: NightChange
    dropped: NDArray[np.int64]
    cancelled: NDArray[np.int64]
    named: pl.DataFrame | None


def _repaired(
    kept: KeptNight,
    night: Night,
    given: Mapping[str, Any],
    changes: TableChanges,
    clock: StageClock,
) -> Night | None:
    """The changed night, from the solved one; ``None`` where it has other lanes."""
    with clock.stage("change"):
        found = _find(kept, given, changes, clock)
        made = patched(kept.intake, found.change)
        if made is None:
            return None
        intake, moved = made
    with clock.stage("solve"):
        fixed = _repair(kept, intake, moved, clock)
    with clock.stage("certify"):
        solution = None if fixed is None else _kept_ties(kept, intake, fixed.solution)
        proof = None if solution is None else certify(intake.problem, solution)
    if proof is None or not proof.is_optimal:
        if proof is not None:
            logger.warning(
                "the repair did not prove its plan (gap %d); solved anew", proof.gap
            )
        fixed = None
        with clock.stage("solve"):
            solution = _kept_ties(kept, intake, _solved(kept, intake, clock))
        with clock.stage("certify"):
            proof = certify(intake.problem, solution)
    assert solution is not None
    stop = proved_termination(solution.termination, proof)
    now = replace(
        kept,
        changes=(*kept.changes, changes),
        snapshots=(*kept.snapshots, *snapshots_of(given)),
        intake=intake,
        solution=replace(solution, termination=stop),
        certificate=proof,
        make_names=partial(_changed_names, kept, found),
        found_near=None if fixed is None else fixed.near,
    )
    told = Telling(now)
    return make_night(
        now,
        told,
        clock,
        make_changed=partial(change_night, now),
        is_at_once=False,
        make_churn=_churn(kept, now, found, night, told),
        num_looked_at=intake.problem.num_merchants
        if fixed is None
        else fixed.num_merchants,
    )


def _find(
    kept: KeptNight,
    given: Mapping[str, Any],
    changes: TableChanges,
    clock: StageClock,
) -> _Found:
    """Find the rows that change, and encode new orders."""
    import polars as pl

    none, rows = np.zeros(0, np.int64), kept.intake.index.status
    dropped, cancelled, added, named = none, none, None, None
    if len(changes.drop) or len(changes.cancel) or changes.add is not None:
        dropped = _places(kept.names, changes.drop, "drop")
        cancelled = _places(kept.names, changes.cancel, "cancel")
    if changes.add is not None:
        tables = {"orders": given["add"], "options": given["options"]}
        added, named = take_more(tables, kept.config, kept.intake, clock)
        _refuse_there(kept, changes, dropped, named["order_id"])
        first = len(rows) - len(dropped)
        named = named.with_columns(pl.col("row") + first).sort("order_id")
    row = kept.names["row"].to_numpy() if len(dropped) or len(cancelled) else none
    change = NightChange(
        slots=_slots_of(kept, changes),
        dropped=np.sort(row[dropped]),
        cancelled=np.sort(row[cancelled]),
        added=added,
    )
    return _Found(change, dropped, cancelled, named)


def _places(names: pl.DataFrame, ids: pl.Series, what: str) -> NDArray[np.int64]:
    """Where orders stand among the names, which ascend."""
    if not len(ids):
        return np.zeros(0, np.int64)
    place, is_there = _search(names["order_id"], ids)
    refuse_unknown(ids.filter(~is_there), what)
    return np.sort(place)


def _search(names: pl.Series, ids: pl.Series) -> tuple[NDArray[np.int64], pl.Series]:
    """Where ids would stand among ascending ones, and whether they do."""
    import polars as pl

    place = names.search_sorted(ids).to_numpy().astype(np.int64)
    if not len(names):  # all orders were dropped: there is none to look at
        return place, pl.repeat(value=False, n=len(ids), dtype=pl.Boolean, eager=True)
    place = np.minimum(place, len(names) - 1)
    return place, (names.gather(place) == ids).fill_null(value=False)


def _refuse_there(
    kept: KeptNight,
    changes: TableChanges,
    dropped: NDArray[np.int64],
    ids: pl.Series,
) -> None:
    """Refuse new orders that are there, or differ from one by case or spaces alone."""
    import polars as pl

    names = kept.names["order_id"]
    place, is_there = _search(names, ids)
    stays = pl.Series(~np.isin(place, dropped))
    refuse_known(ids.filter(is_there & stays))
    wanted = pl.Series(order_keys(ids, kept.intake.salt)[1])
    alike = kept.folded_keys.is_in(wanted.implode()).to_numpy().copy()
    alike[dropped] = False
    refuse_known(names.filter(pl.Series(alike)))


def _slots_of(kept: KeptNight, changes: TableChanges) -> dict[Place, int]:
    """New slots by place."""
    import polars as pl

    if changes.slots is None:
        return {}
    fields = Place._fields
    rows = changes.slots.select(*fields, "slots").rows()
    slots = {Place(*place): count for *place, count in rows}
    there = {*kept.intake.index.places}
    is_new = pl.Series([place not in there for place in slots], dtype=pl.Boolean)
    refuse_unknown_rows(changes.slots.drop("slots").filter(is_new))
    return slots


def _repair(
    kept: KeptNight, intake: Intake, moved: Moved | None, clock: StageClock
) -> Repaired | None:
    """Repair plan and prices; ``None`` where that is no faster than a solve."""
    near = kept.near
    if moved is not None:
        near = moved_orders(near, moved.place, moved.added, moved.merchant)
    return repair(intake.problem, near, _params(kept, clock))


def _params(kept: KeptNight, clock: StageClock) -> SolveParams:
    solver, solution = kept.config.solver, kept.solution
    parent = kept.intake.problem.lane_parent
    return SolveParams(
        float(solver.time_limit_seconds),
        0.0,
        solver.num_threads,
        effective_price(solution.lane_price, parent),
        clock.tell,
    )


def _solved(kept: KeptNight, intake: Intake, clock: StageClock) -> Solution:
    """Solve a changed night anew; a change so large has prices far from the old."""
    params = replace(_params(kept, clock), start_price=None)
    return solve(intake.problem, kept.config.solver.method, params)


def _kept_ties(kept: KeptNight, intake: Intake, solution: Solution) -> Solution:
    """Decide equal optima in favour of the night that was changed, where configured."""
    import polars as pl

    if not kept.config.solver.keep_previous:
        return solution
    before = Previous(_plan(kept), pl.DataFrame())
    places = intake.index.places
    earlier = earlier_options(before, intake.problem, places, intake.salt)
    return keep_most(intake.problem, solution, earlier)


def _plan(kept: KeptNight, names: pl.DataFrame | None = None) -> pl.DataFrame:
    """``order_id`` and ``carrier_id`` of a night's plan; its names in any order."""
    names = kept.names if names is None else names
    return plan_table(
        kept.intake.problem, kept.solution.chosen, kept.intake.index, names
    )


def _churn(
    kept: KeptNight, now: KeptNight, found: _Found, night: Night, told: Telling
) -> Callable[[], pl.DataFrame]:
    """Make the churn: from the plans, unless chance decides who is recommended."""
    import polars as pl

    def of_plans() -> pl.DataFrame:
        before, names = _plan(kept), pl.concat(_name_parts(kept, found))
        return churn_table(Previous(before, before), _plan(now, names))

    experiment = kept.intake.index.experiment
    if experiment is None or not experiment.is_random:
        return of_plans
    return lambda: churn_table(
        read_previous(night), recommendations_table(told.decisions)
    )


def _changed_names(kept: KeptNight, found: _Found) -> pl.DataFrame:
    """Names of the changed night's orders, by ``order_id``."""
    old, *new = _name_parts(kept, found)
    return old.merge_sorted(new[0], key="order_id") if new else old


def _name_parts(kept: KeptNight, found: _Found) -> list[pl.DataFrame]:
    """Names of the orders that stay, and of new ones; each by ``order_id``."""
    import polars as pl

    names = kept.names
    if len(found.cancelled):
        is_out = np.zeros(len(names), np.bool_)
        is_out[found.cancelled] = True
        why = (
            pl.col("ineligible_reason")
            if "ineligible_reason" in names.columns
            else pl.lit(None, pl.String)
        )
        said = pl.when(pl.lit(pl.Series(is_out))).then(pl.lit(CANCELLED))
        names = names.with_columns(ineligible_reason=said.otherwise(why))
    if len(found.dropped):
        stays = np.ones(len(names), np.bool_)
        stays[found.dropped] = False
        gone = found.change.dropped
        row = names["row"].to_numpy()
        less = np.searchsorted(gone, row)
        names = names.with_columns(row=pl.Series(row - less)).filter(pl.Series(stays))
    if found.named is None:
        return [names]
    both = [names, found.named]
    columns = list(dict.fromkeys(name for part in both for name in part.columns))
    return [
        part.with_columns(
            pl.lit(None, pl.String).alias(name)
            for name in columns
            if name not in part.columns
        ).select(columns)
        for part in both
    ]


def _built_anew(
    kept: KeptNight,
    night: Night,
    changes: TableChanges,
    progress: Callable[[str], None] | None,
) -> Night:
    """The changed night from its tables, from the prices of the old one."""
    for snapshot in kept.snapshots:
        path = changed_file(snapshot)
        if path is not None:
            raise DataError(
                f"{path}: is not what the night was made of any more, and this change "
                "needs it; solve the changed tables with allocate"
            )
    tables = dict(kept.tables)
    policy, rules = kept.intake.policy, cell_rules(kept.config)
    agreed = contracts(kept.config, orders_table(policy.eligibility))
    for each in (*kept.changes, changes):
        sources = {
            name: open_source(tables[name], agreed[name], rules=rules)
            for name in ("orders", "capacity", "options")
            if tables.get(name) is not None
        }
        for name, frame in changed_tables(sources, each).items():
            is_text = sources[name].is_text
            tables[name] = TextTable(frame.to_arrow()) if is_text else frame
    return kept.solve_anew(
        tables, kept.config, kept.day, previous=night, progress=progress
    )
