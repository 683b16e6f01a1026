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
    from optimizer.build.encode_rows import Look
    from optimizer.build.night import Intake
    from optimizer.certify.certificate import Certificate
    from optimizer.clock import StageClock
    from optimizer.config import Config
    from optimizer.errors import SolveError
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.explain.churn import Previous
    from optimizer.explain.night import Night
    from optimizer.model.solution import Solution

logger = logging.getLogger(__name__)

#: A night with more orders makes its tables at once, and keeps no arrays for them.
KEPT_ORDERS = 100_000


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

    tables = {
        "orders": orders,
        "capacity": capacity,
        "options": options,
        "merchants": merchants,
    }
    return allocate_tables(
        tables, as_config(config), as_day(date), previous=previous, progress=progress
    )


def allocate_tables(
    tables: Mapping[str, Any],
    config: Config,
    day: dt.date | None,
    *,
    previous: Any = None,
    progress: Callable[[str], None] | None = None,
) -> Night:
    """
    Solve a night of tables by name, and keep it in memory; see :func:`allocate`.

    Parameters
    ----------
    tables
        ``orders``, ``capacity``, ``options``, ``merchants``; ``None`` where none is.
    config, day, previous, progress
        As for :func:`allocate`.
    """
    import numpy as np

    from optimizer.io.snapshot import snapshots_of
    from optimizer.model.reasons import Reason
    from optimizer.night.change import change_night
    from optimizer.night.in_memory import KeptNight, Telling, make_night

    snapshots = snapshots_of(tables)
    proved = prove_night(tables, config, date=day, previous=previous, progress=progress)
    intake = proved.intake
    with proved.clock.stage("explain"):
        kept = KeptNight(
            tables=tables,
            snapshots=snapshots,
            config=config,
            day=day,
            intake=intake,
            solution=proved.solution,
            certificate=proved.certificate,
            make_names=partial(_names_of, intake),
            solve_anew=allocate_tables,
        )
        # What the tables of a caller are read again for is told at once.
        reads_again = intake.named is None or intake.effect_model is not None
        night = certified(proved, config) if reads_again else None
        told = Telling(kept, proved.previous, night)
        num_orders = np.count_nonzero(intake.index.status != Reason.QUARANTINED)
        is_at_once = int(num_orders) > KEPT_ORDERS
        return make_night(
            kept,
            told,
            proved.clock,
            make_changed=partial(change_night, kept),
            is_at_once=is_at_once,
        )


def _names_of(intake: Intake) -> pl.DataFrame:
    """Names of a night's orders, by ``order_id``."""
    import polars as pl

    from optimizer.build.night import name_orders

    named = pl.concat(list(name_orders(intake)))
    if named["order_id"].is_sorted():
        return named
    return named.sort("order_id", multithreaded=len(named) > KEPT_ORDERS)


@dataclass(frozen=True, slots=True, eq=False)
class Proved:
    """
    A night that is decided and proved, of which nothing is told yet.

    Attributes
    ----------
    intake, solution, certificate
        Its problem, its plan and prices, and what is proved about them.
    previous
        The night before, where one was given.
    clock
        Seconds and memory of each stage.
    """

    intake: Intake
    solution: Solution
    certificate: Certificate
    previous: Previous | None
    clock: StageClock


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
    Decide a night, and give every order its outcome: all stages except the tables.

    Parameters
    ----------
    tables, config, date, previous, progress, history
        As for :func:`prove_night`.

    Raises
    ------
    ConfigError, DataError, SolveError
        As :func:`allocate`.
    """
    from optimizer.config import as_config
    from optimizer.explain.summary import summarize

    settings = as_config(config)
    proved = prove_night(
        tables,
        settings,
        date=date,
        previous=previous,
        progress=progress,
        history=history,
    )
    with proved.clock.stage("explain"):
        night = certified(proved, settings)
        return Solved(night, proved.previous, proved.clock, summarize(night))


def prove_night(
    tables: Mapping[str, Any],
    config: Config,
    *,
    date: dt.date | str | None,
    previous: Any,
    progress: Callable[[str], None] | None,
    history: EarlierNights | None = None,
) -> Proved:
    """
    Decide a night and prove it.

    Parameters
    ----------
    tables
        Orders, capacity, options and merchants by name; ``None`` where there is none.
    config
        Its rules.
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
    from optimizer.explain.conflicts import count_conflicts

    built = build_night(
        tables,
        config,
        date=date,
        previous=previous,
        progress=progress,
        history=history,
    )
    settings, clock, before = built.settings, built.clock, built.previous
    with clock.stage("solve"):
        intake, num_blocks = _within_memory(built.intake, settings)
        del built  # with the arrays that are in a file now
        _return_memory(settings)
        solution = _solve(intake, settings, before, clock.tell, num_blocks)
    with clock.stage("certify"):
        certificate = _certify(intake, solution)
        stop = proved_termination(solution.termination, certificate)
        solution = replace(solution, termination=stop)
    proved = Proved(intake, solution, certificate, before, clock)
    has_conflicts = count_conflicts(certificate, intake.index) > 0
    if has_conflicts and settings.on_conflict == "refuse":
        with clock.stage("explain"):
            raise _clash(certified(proved, settings))
    return proved


def certified(proved: Proved, config: Config) -> CertifiedNight:
    """Give every order of a night its outcome, by exact margins where there are any."""
    from optimizer.explain.certified_night import certified_night
    from optimizer.explain.outcomes import BY_ROW
    from optimizer.io.mapped_arrays import room_of, within
    from optimizer.model.margins import ENDS
    from optimizer.night.in_memory import exact_margins

    intake, solution, certificate = proved.intake, proved.solution, proved.certificate
    threads = config.solver.num_threads
    margins = exact_margins(intake, solution, certificate, threads)
    room = room_of(config.solver.memory_gb)
    if margins is not None:
        margins = replace(margins, order=within(margins.order, ENDS, room))
        _return_memory(config)
    night = certified_night(intake, solution, certificate, margins)
    night = replace(night, outcomes=within(night.outcomes, BY_ROW, room))
    _return_memory(config)
    return night


def _return_memory(config: Config) -> None:
    """Between stages, where a limit says that others need it."""
    from optimizer.io.mapped_arrays import return_memory

    if config.solver.memory_gb is not None:
        return_memory()


def _within_memory(intake: Intake, settings: Config) -> tuple[Intake, int]:
    """Keep the orders in a file where they are many; and in how many blocks."""
    if settings.solver.memory_gb is None:
        return intake, 0
    from optimizer.night.mapped_orders import map_orders

    mapped = map_orders(intake.problem, settings)
    if mapped is None:
        return intake, 0
    return replace(intake, problem=mapped.problem), mapped.num_blocks


def _solve(
    intake: Intake,
    settings: Config,
    previous: Previous | None,
    tell: Callable[[str], None],
    num_blocks: int,
) -> Solution:
    """Find a plan: over so many blocks, or with all orders in memory (0)."""
    import time

    from optimizer.explain.churn import earlier_options, start_prices
    from optimizer.model.solution import SolveParams
    from optimizer.solvers import solve
    from optimizer.solvers.deadline import ends_after
    from optimizer.solvers.network.tie_break import keep_most

    problem, index = intake.problem, intake.index
    params = SolveParams(
        float(settings.solver.time_limit_seconds),
        float(settings.solver.relative_gap),
        settings.solver.num_threads,
        None if previous is None else start_prices(previous, problem, index),
        tell,
    )
    ends = ends_after(params.time_limit_seconds)
    if num_blocks:
        from optimizer.solvers.network.local_blocks import solve_in_blocks

        solution = solve_in_blocks(problem, params, num_blocks)
    else:
        solution = solve(problem, settings.solver.method, params)
    keeps = settings.solver.keep_previous and problem.side is None
    if previous is None or not keeps:
        return solution
    if time.monotonic() > ends():
        return solution
    earlier = earlier_options(previous, problem, index.places, intake.salt)
    return keep_most(problem, solution, earlier, ends())


def _certify(intake: Intake, solution: Solution) -> Certificate:
    from optimizer.certify.certificate import certify

    return certify(intake.problem, solution)


def _clash(night: CertifiedNight) -> SolveError:
    from optimizer.errors import SolveError
    from optimizer.explain.tables import clash_words, conflicts_table

    table = conflicts_table(night)
    assert table is not None
    return SolveError(clash_words(table))
