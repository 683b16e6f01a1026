"""
``allocate``: the stages of a night, one after the other.

read → validate → value → build → solve → certify → explain. This is the only
module that knows them all.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from os import PathLike

    import polars as pl

    from optimizer.build.carryover import EarlierNights
    from optimizer.build.night import Intake, Look
    from optimizer.certify.certificate import Certificate
    from optimizer.clock import StageClock
    from optimizer.config import Config
    from optimizer.errors import SolveError
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.explain.churn import Previous
    from optimizer.explain.night import FurtherTables, Night
    from optimizer.model.margins import Margins
    from optimizer.model.solution import Solution

logger = logging.getLogger(__name__)

#: A night with more orders makes its tables at once, and keeps no arrays for them.
KEPT_ORDERS = 100_000
#: Columns of the decisions that only other tables need.
_UNTOLD = ("region_id", "lane")


def allocate(  # noqa: PLR0913 - the public surface: a table of the night each, by name
    orders: Any,
    capacity: Any,
    *,
    config: Config | Mapping[str, Any] | str | PathLike[str],
    options: Any = None,
    merchants: Any = None,
    previous: Any = None,
    date: dt.date | str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Night:
    r"""
    Choose the parcels that get premium delivery, so that expected harm is least.

    Solves

    .. math::

       \max_{x \in \{0,1\}} \; \sum_{i,a} s_{i,a} x_{i,a}
       \quad \text{s.t.} \quad
       \sum_a x_{i,a} \le 1, \quad
       \sum_{i \in m, a} x_{i,a} \le \lfloor \rho\, n_m \rfloor, \quad
       \sum_{(i,a) \in r} x_{i,a} \le c_r,

    where order :math:`i` with carrier :math:`a` saves :math:`s_{i,a}` (expected
    harm of complaints and logistics returns avoided, less the fee), merchant
    :math:`m` has :math:`n_m` orders, :math:`\rho` is ``policy.cap.rate`` and
    capacity row :math:`r` has :math:`c_r` slots. Savings are integer micro-CNY;
    the answer is the proved optimum, in whole parcels. With loads, rows that do not
    nest, floors or pins it is a plan with a proved gap. It does not depend on the order
    of rows, on threads or on the kind of table.

    Parameters
    ----------
    orders
        One row for each parcel of the day: a path (Parquet, CSV, Arrow IPC; a
        glob for several files) or anything that exports an Arrow stream (polars,
        pandas, pyarrow, duckdb). Columns: ``order_id``, ``merchant_id``,
        ``carrier_id``, ``region_id``, ``complaint_prob_standard``,
        ``complaint_prob_premium``, ``return_prob_standard``,
        ``return_prob_premium``; optional ``outlet_id``, ``is_eligible``,
        ``ineligible_reason``, ``order_value_cny``, ``load``, ``pin``,
        ``ship_date``, ``delivery_date``.
    capacity
        ``carrier_id``, ``region_id``, ``outlet_id`` (null: all), ``slots``; optional
        ``service_date``, ``min_parcels``, ``penalty_cny``, ``priority``. Where rows
        nest, outlet in region in carrier, and nothing else is asked, it is a network.
    config
        A :class:`~optimizer.config.Config`, a mapping, or a path to YAML.
    options
        Where orders may go with several carriers: ``order_id``, ``carrier_id``,
        ``complaint_prob_premium``, ``return_prob_premium``, optional
        ``outlet_id``, ``load``. The orders table then needs no ``carrier_id``.
    merchants
        Optional: ``merchant_id``, ``num_orders``, ``take_up``, ``is_enrolled``,
        ``cap_override``, ``daily_budget_cny``, ``owner_id``.
    previous
        An earlier :class:`Night`, or the folder of a published run: the solve starts
        from its prices, ``Night.churn`` says which parcels changed, and with
        ``solver.keep_previous`` equal optima are decided in its favour. It may be of
        another day or configuration; what does not fit is not used.
    date
        The business date: picks the policy row in force. May be left out where
        the policy has one row.
    progress
        Called with the name of each stage as it starts.

    Returns
    -------
    Night
        Tables of orders, merchants and lanes with the price of every limit, the
        certificate, and how long each stage took.

    Raises
    ------
    ConfigError
        When the configuration or the date is wrong.
    DataError
        When a table is missing, damaged, or breaks its contract in more rows than
        ``quarantine.max_share`` allows.
    SolveError
        When the method cannot take the night; or floors and pins cannot all be kept,
        and ``on_conflict`` is ``refuse``.

    See Also
    --------
    optimizer.certify.certificate : What the certificate proves.

    Examples
    --------
    >>> import polars as pl
    >>> import optimizer
    >>> orders = pl.DataFrame({
    ...     "order_id": ["a", "b", "c", "d"],
    ...     "merchant_id": ["m1", "m1", "m2", "m2"],
    ...     "carrier_id": ["yunda"] * 4,
    ...     "region_id": ["north", "north", "north", "south"],
    ...     "complaint_prob_standard": [0.30, 0.25, 0.20, 0.10],
    ...     "complaint_prob_premium": [0.05, 0.05, 0.05, 0.05],
    ...     "return_prob_standard": [0.02] * 4,
    ...     "return_prob_premium": [0.01] * 4,
    ... })
    >>> capacity = pl.DataFrame({
    ...     "carrier_id": ["yunda", "yunda"],
    ...     "region_id": ["north", "south"],
    ...     "slots": [1, 1],
    ... })
    >>> config = {
    ...     "version": 1,
    ...     "policy": [{
    ...         "valid_from": "2022-01-12",
    ...         "cap": {"rate": 0.5},
    ...         "fee": {"amount_cny": 0.80},
    ...         "carriers": ["zhongtong", "yuantong", "yunda"],
    ...     }],
    ...     "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
    ... }
    >>> night = optimizer.allocate(orders, capacity, config=config)
    >>> night.orders.filter("is_premium")["order_id"].to_list()
    ['a', 'd']
    >>> night.certificate.gap
    0
    """
    from optimizer.config import as_config, as_day

    config = as_config(config)
    solved = solve_night(
        {
            "orders": orders,
            "capacity": capacity,
            "options": options,
            "merchants": merchants,
        },
        config,
        date=date,
        previous=previous,
        progress=progress,
    )
    with solved.clock.stage("explain"):
        return _night(solved, config, as_day(date))


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """
    A certified night, with the stages that led to it.

    Attributes
    ----------
    night
        The night, decided and proved.
    previous
        The night before, where one was given.
    clock
        Seconds and memory of each stage.
    summary
        The night in numbers, ready for JSON.
    """

    night: CertifiedNight
    previous: Previous | None
    clock: StageClock
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """
    A night that is ready to be solved.

    Attributes
    ----------
    intake
        The problem, and what it was built from.
    settings
        The configuration.
    previous
        The night before, where one was given.
    clock
        Seconds and memory of each stage.
    """

    intake: Intake
    settings: Config
    previous: Previous | None
    clock: StageClock


def build_night(
    tables: Mapping[str, Any],
    config: Config | Mapping[str, Any] | str | PathLike[str],
    *,
    date: dt.date | str | None,
    previous: Any = None,
    progress: Callable[[str], None] | None = None,
    history: EarlierNights | None = None,
    look: Look | None = None,
) -> Built:
    """
    Read, check, value and build a night, and refuse what its method cannot take.

    Parameters
    ----------
    tables, config, date, previous, progress, history
        As for :func:`solve_night`.
    look
        Sees the checked rows and the night before its problem is made.

    Raises
    ------
    ConfigError, DataError, SolveError
        Whatever a night is refused for before it is solved.
    """
    from optimizer.build.carryover import EarlierNights
    from optimizer.build.night import take_in
    from optimizer.clock import StageClock
    from optimizer.config import as_config, as_day, policy_on
    from optimizer.explain.churn import read_previous
    from optimizer.solvers import refuse_kind

    settings, day = as_config(config), as_day(date)
    policy = policy_on(settings, day)
    clock = StageClock(progress)
    before = None if previous is None else read_previous(previous)
    history = history or EarlierNights(day)
    intake = take_in(tables, settings, policy, clock, history, look)
    refuse_kind(intake.problem, settings.solver.method)
    return Built(intake, settings, before, clock)


def solve_night(
    tables: Mapping[str, Any],
    config: Config | Mapping[str, Any] | str | PathLike[str],
    *,
    date: dt.date | str | None,
    previous: Any,
    progress: Callable[[str], None] | None,
    history: EarlierNights | None = None,
) -> Solved:
    """
    Decide a night: all stages except making the tables.

    Parameters
    ----------
    tables
        Orders, capacity, options and merchants by name; ``None`` where there is none.
    config
        A ``Config``, a mapping, or a path to YAML.
    date
        The business date; ``None`` where the policy has one row.
    previous
        An earlier night to start from, or its folder; ``None``: none.
    progress
        Called with the name of each stage as it starts.
    history
        What other nights left to this one; ``None``: nothing.

    Raises
    ------
    ConfigError, DataError, SolveError
        As :func:`allocate`.
    """
    from optimizer.certify.certificate import proved_termination
    from optimizer.explain.certified_night import certified_night
    from optimizer.explain.conflicts import count_conflicts
    from optimizer.explain.summary import summarize

    built = build_night(
        tables,
        config,
        date=date,
        previous=previous,
        progress=progress,
        history=history,
    )
    intake, settings, clock = built.intake, built.settings, built.clock
    with clock.stage("solve"):
        solution = _solve(intake, settings, built.previous, clock.tell)
    with clock.stage("certify"):
        certificate = _certify(intake, solution)
        stop = proved_termination(solution.termination, certificate)
        solution = replace(solution, termination=stop)
    with clock.stage("explain"):
        margins = _margins(intake, solution, certificate, settings.solver.num_threads)
        night = certified_night(intake, solution, certificate, margins)
        has_conflicts = count_conflicts(certificate, intake.index) > 0
        if has_conflicts and settings.on_conflict == "refuse":
            raise _clash(night)
        return Solved(night, built.previous, clock, summarize(night))


def _solve(
    intake: Intake,
    settings: Config,
    previous: Previous | None,
    tell: Callable[[str], None],
) -> Solution:
    import time

    from optimizer.explain.churn import earlier_options, start_prices
    from optimizer.model.solution import SolveParams
    from optimizer.solvers import solve
    from optimizer.solvers.network.tie_break import keep_most

    problem, index = intake.problem, intake.index
    params = SolveParams(
        float(settings.solver.time_limit_seconds),
        float(settings.solver.relative_gap),
        settings.solver.num_threads,
        None if previous is None else start_prices(previous, problem, index),
        tell,
    )
    ends = time.monotonic() + params.time_limit_seconds
    solution = solve(problem, settings.solver.method, params)
    keeps = settings.solver.keep_previous and problem.side is None
    if previous is None or not keeps:
        return solution
    if time.monotonic() > ends:
        return solution
    earlier = earlier_options(previous, problem, index, intake.salt)
    return keep_most(problem, solution, earlier, ends)


def _certify(intake: Intake, solution: Solution) -> Certificate:
    from optimizer.certify.certificate import certify

    return certify(intake.problem, solution)


def _margins(
    intake: Intake,
    solution: Solution,
    certificate: Certificate,
    num_threads: int | None,
) -> Margins | None:
    """Exact margins of a night whose plan and prices prove each other optimal."""
    from optimizer.explain.explored import explored_orders
    from optimizer.solvers.network.margins import find_margins

    problem = intake.problem
    if problem.side is not None or not certificate.is_optimal:
        return None
    beside = explored_orders(intake.index.pool, problem.num_merchants)
    return find_margins(problem, solution, beside, num_threads)


def _clash(night: CertifiedNight) -> SolveError:
    from optimizer.errors import SolveError
    from optimizer.explain.tables import clash_words, conflicts_table

    table = conflicts_table(night)
    assert table is not None
    return SolveError(clash_words(table))


def _night(solved: Solved, config: Config, day: dt.date | None) -> Night:
    """Put a solved night into tables, in memory."""
    import polars as pl

    from optimizer.explain.night import Night
    from optimizer.explain.tables import decisions_table

    named = pl.concat(list(solved.night.named()))
    if not named["order_id"].is_sorted():
        named = named.sort("order_id", multithreaded=len(named) > KEPT_ORDERS)
    night = replace(solved.night, named=lambda: [named])
    decisions = decisions_table(named, night.outcomes, night.names)
    further = partial(_further, replace(solved, night=night), decisions, config, day)
    if len(decisions) > KEPT_ORDERS:
        further = partial(_as_made, further())
    return Night(
        orders=pl.DataFrame([c for c in decisions if c.name not in _UNTOLD]),
        quarantine=night.quarantine,
        certificate=night.certificate,
        termination=night.solution.termination,
        seconds=solved.clock.seconds,
        peak_memory_bytes=solved.clock.peak_memory_bytes,
        date=day,
        problem_class=night.problem.problem_class,
        policy=night.policy,
        inputs=night.inputs,
        warnings=night.warnings,
        summary=solved.summary,
        assumptions=night.assumptions,
        make_further=further,
    )


def _as_made(further: FurtherTables) -> FurtherTables:
    return further


def _further(
    solved: Solved, decisions: pl.DataFrame, config: Config, day: dt.date | None
) -> FurtherTables:
    """Make the tables of a solved night beside its decisions."""
    from optimizer.contracts.tables import (
        CONFLICTS,
        DRAWS,
        LANE_RESULTS,
        MERCHANT_RESULTS,
        ROW_RESULTS,
    )
    from optimizer.explain.churn import churn_table
    from optimizer.explain.makers import night_tables
    from optimizer.explain.night import FurtherTables
    from optimizer.explain.tables import recommendations_table
    from optimizer.night.decided import record_in_memory

    night, before = solved.night, solved.previous
    chosen, tables = recommendations_table(decisions), night_tables(night)
    return FurtherTables(
        merchants=tables[MERCHANT_RESULTS.file],
        lanes=tables[LANE_RESULTS.file],
        recommendations=chosen,
        record=record_in_memory(config, day, night, solved.summary),
        churn=None if before is None else churn_table(before, chosen),
        rows=tables.get(ROW_RESULTS.file),
        conflicts=tables.get(CONFLICTS.file),
        draws=tables.get(DRAWS.file),
    )
