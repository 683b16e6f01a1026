"""``allocate`` over partitions: the stages of a night, on executors and the driver."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from optimizer.build.carryover import EarlierNights
from optimizer.build.eligibility import orders_table, require_columns
from optimizer.build.encode_rows import MAX_SALTS
from optimizer.build.experiment import make_experiment
from optimizer.build.lanes import places_frame
from optimizer.build.learned_probabilities import fulfilment_of, model_of
from optimizer.build.order_day import service_day
from optimizer.certify.certificate import Certificate
from optimizer.clock import StageClock
from optimizer.config import as_config, as_day, objective_on, policy_on
from optimizer.contracts.tables import QUARANTINE
from optimizer.errors import DataError
from optimizer.explain.block_proof import DrawnPrices
from optimizer.explain.churn import read_previous
from optimizer.explain.sentences import explain_order
from optimizer.explain.tables import lanes_table, merchants_table
from optimizer.io.asked_columns import asked_columns, contracts
from optimizer.io.cells import cell_rules
from optimizer.io.duplicates import KeyCollision
from optimizer.io.merchant_order import block_of_merchants
from optimizer.io.night_sources import open_night
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.small_tables import checked_table
from optimizer.model.solution import Termination
from optimizer.solvers.deadline import ends_after
from optimizer.solvers.network.block_margins import find_block_margins, find_plan
from optimizer.solvers.network.block_solve import BlockNight, solve_core
from optimizer.solvers.network.blocks import ByBlock
from optimizer.spark.block_summary import (
    refuse_twin_names,
    set_limits,
    summarize_blocks,
    with_names,
)
from optimizer.spark.blocks import ALL_CELLS
from optimizer.spark.driver_night import BuiltOnCluster, Read, driver_night
from optimizer.spark.engine_keys import refuse_of_executors
from optimizer.spark.explore_arm import explore, without_arm
from optimizer.spark.files import FileTable
from optimizer.spark.keep_previous import Before, keep_earlier
from optimizer.spark.margin_arm import toss
from optimizer.spark.own_parts import ask_blocks
from optimizer.spark.passes import (
    DECISION_ROWS,
    Decided,
    SparkBlocks,
    decide,
)
from optimizer.spark.plan_rows import rows_of_plan
from optimizer.spark.rows import Rules
from optimizer.spark.shuffle import MAX_ROWS, prepare
from optimizer.spark.sums import add_up, count_reasons, summary_of, with_arm

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from os import PathLike

    import polars as pl
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from optimizer.build.experiment import ExplorePool
    from optimizer.config import Config, PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.explain.churn import Previous
    from optimizer.io.read import FarFiles, Source
    from optimizer.solvers.network.block_margins import BlockMargins, Plan
    from optimizer.solvers.network.block_solve import Core
    from optimizer.spark.block_summary import BlockSummary, NightLimits
    from optimizer.spark.shuffle import Prepared
    from optimizer.spark.sums import Sums


@dataclass(frozen=True, slots=True, eq=False)
class SparkNight:
    """
    A certified night whose orders stay on the cluster.

    Attributes
    ----------
    decisions
        Spark DataFrame, a row for each order that was not quarantined, with
        ``region_id``, ``lane`` (its number in ``places``) and ``load``; sorted by
        ``order_id`` within its partitions only.
    merchants, lanes
        As in :class:`~optimizer.explain.night.Night`: polars, on the driver.
    places
        Names of the lanes, by number.
    quarantine
        Spark DataFrame: ``source``, ``row``, ``column``, ``rule``. ``row`` counts
        within the order in which Spark numbers rows, partition by partition.
    certificate
        From sums that executors formed in integers.
    termination
        Always ``OPTIMAL``: other nights are not returned.
    policy
        The policy row that was in force.
    warnings
        What a person should look at.
    summary
        The night in numbers, as on one machine; ready for JSON.
    num_rows
        Rows of each table that was read, those in quarantine included.
    num_near, num_passes
        Orders that the driver gathered, and passes over all orders.
    clock
        Seconds and memory of each stage.
    certified
        What the driver has of it: plan, limits and proof, and no order that is not
        chosen.
    decided
        What decides every order.
    prepared
        What is cached on the cluster; see :meth:`release`.
    """

    decisions: DataFrame
    merchants: pl.DataFrame
    lanes: pl.DataFrame
    places: pl.DataFrame
    quarantine: DataFrame
    certificate: Certificate
    termination: Termination
    policy: PolicyRow
    warnings: tuple[CodedWarning, ...]
    summary: Mapping[str, Any]
    num_rows: Mapping[str, int]
    num_near: int
    num_passes: int
    clock: StageClock
    certified: CertifiedNight
    decided: Decided
    prepared: Prepared

    @property
    def seconds(self) -> Mapping[str, float]:
        """Wall seconds of each stage."""
        return self.clock.seconds

    def explain(self, order_id: str, language: str = "en") -> str:
        """
        Say what was decided for an order, and why; ``language`` is ``en`` or ``zh``.

        Raises
        ------
        DataError
            When there is no such order in the night.
        """
        import polars as pl
        from pyspark.sql import functions as F

        rows = self.decisions.filter(F.col("order_id") == order_id).toArrow()
        found = pl.DataFrame(pl.from_arrow(rows))
        return explain_order(order_id, found, self.merchants, language)

    def release(self) -> None:
        """Free what is cached on the cluster; the DataFrames still work, slowly."""
        self.prepared.release()


def allocate(  # noqa: PLR0913 - the public surface: a table of the night each, by name
    orders: DataFrame | FileTable,
    capacity: Any,
    config: Config | Mapping[str, Any] | str | PathLike[str],
    *,
    options: DataFrame | FileTable | None = None,
    merchants: Any = None,
    deliveries: Any = None,
    date: dt.date | str | None = None,
    rows_per_block: int = MAX_ROWS,
    progress: Callable[[str], None] | None = None,
    history: EarlierNights | None = None,
    previous: Any = None,
) -> SparkNight:
    """
    Choose the parcels that get premium delivery, on a Spark cluster.

    Finds the proved optimum, as :func:`optimizer.allocate` does: the same value and
    prices, to the last micro-CNY, whatever the partitions and the order of rows.
    Between equal optima another plan may be taken than on one machine; it is the same
    in any partitions.

    Parameters
    ----------
    orders, options
        Spark DataFrames with the columns that :func:`optimizer.allocate` takes, or
        tables of files from :func:`~optimizer.spark.files.open_files`.
    capacity, merchants
        Small tables: paths, or anything that exports an Arrow stream.
    deliveries
        The same of deliveries, whose columns are looked at alone: what they say of
        other nights is in ``history``.
    config
        As for :func:`optimizer.allocate`; network nights alone.
    date
        The business date.
    rows_per_block
        Orders in a block, about; bounds the memory of an executor. Never changes the
        answer.
    progress
        Called with a line for each step.
    history
        What other nights left to this one; ``None``: nothing.
    previous
        An earlier :class:`~optimizer.explain.night.Night`, or the folder of a published
        run: with ``solver.keep_previous`` equal optima are decided in its favour.

    Raises
    ------
    ConfigError
        When the configuration uses a feature that a cluster does not support.
    DataError
        When a table is refused, as by :func:`optimizer.allocate`.
    SolveError
        When the optimum was not proved within the time limit.
    CertificateError
        When the executors' sums do not prove the plan.
    """
    settings = as_config(config)
    day = as_day(date)
    policy = policy_on(settings, day)
    refuse_of_executors(settings, policy)
    history = history or EarlierNights(day)
    before = None
    if previous is not None and settings.solver.keep_previous:
        before = read_previous(previous)
    clock = StageClock(progress)
    with clock.stage("validate"):
        large = {"orders": columns_of(orders), "options": columns_of(options)}
        small = {"capacity": capacity, "merchants": merchants}
        sources, checked, small_log, rules = _open(settings, policy, day, large, small)
    with clock.stage("build"):
        made, census, limits = _build(
            orders,
            options,
            sources,
            capacity=checked["capacity"],
            given=rules,
            rows_per_block=rows_per_block,
            history=history,
        )
        rules = replace(rules, salt=made.salt)
    solved = _solve(
        made,
        census,
        limits,
        rules=rules,
        before=before,
        clock=clock,
        progress=progress,
    )
    limits, near = solved.limits, solved.near
    with clock.stage("certify"):
        plan, verdict, sums, margins = _certify(
            solved, census, settings.solver.num_threads
        )
    num_rows = {**made.num_rows} | {n: len(table) for n, table in checked.items()}
    counts = count_reasons(sums, census, made.num_quarantined)
    certified = driver_night(
        Read(
            sources=sources,
            num_rows=num_rows,
            quarantine=_sorted_quarantine(made),
            small_log=small_log,
            noted=made.noted,
            deliveries=deliveries,
        ),
        BuiltOnCluster(rules, census, limits, history, verdict.experiment, solved.pool),
        plan=plan,
        sums=sums,
        counts=counts,
        margins=None if margins is None else margins.values,
        find_rows=partial(
            rows_of_plan, orders, sources["orders"], rules, limits.places
        ),
    )
    part_of = block_of_merchants(census.there)
    decided = Decided(
        terms=limits.terms,
        verdict=verdict,
        places=limits.places,
        reach_of=None if margins is None else margins.reach_of,
        rank_of=ByBlock(census.merchant_of),
        part_of=solved.field.by_block(part_of),
    )
    rows = ask_blocks(made.blocks, ALL_CELLS, decide, decided, DECISION_ROWS)
    return SparkNight(
        decisions=rows.sortWithinPartitions("order_id"),
        merchants=merchants_table(certified),
        lanes=lanes_table(certified),
        places=places_frame(limits.places),
        quarantine=made.quarantine,
        certificate=sums.certificate,
        termination=Termination("OPTIMAL"),
        policy=policy,
        warnings=certified.warnings,
        summary=summary_of(certified, sums, counts),
        num_rows=num_rows,
        num_near=near.num_near,
        num_passes=near.num_passes + 1,
        clock=clock,
        certified=certified,
        decided=decided,
        prepared=made,
    )


class _Opened(NamedTuple):
    """The tables of a night, the small ones read, and the rules of all rows."""

    sources: Mapping[str, Source]
    checked: Mapping[str, pl.DataFrame]
    small_log: QuarantineLog
    rules: Rules


def _open(
    config: Config,
    policy: PolicyRow,
    day: dt.date | None,
    large: Mapping[str, pa.Table | FarFiles | None],
    small: Mapping[str, Any],
) -> _Opened:
    """Open what a night is made of, and read and check the small tables."""
    model = model_of(config, day)
    sources = open_night(
        {**large, **small},
        contracts(config, orders_table(policy.eligibility)),
        has_model=model is not None,
        rules=cell_rules(config),
    )
    require_columns(sources["orders"], policy.eligibility)
    asked_columns(config, sources)
    fulfilment = fulfilment_of(objective_on(config, policy), policy, sources, model)
    log = QuarantineLog()
    checked = {
        name: checked_table(sources[name], log) for name in small if name in sources
    }
    rules = Rules(
        config=config,
        policy=policy,
        merchants=checked.get("merchants"),
        day=day,
        salt=0,
        model=model,
        fulfilment=fulfilment,
        counted=service_day(config.capacity, checked["capacity"], day),
    )
    return _Opened(sources, checked, log, rules)


class _Solved(NamedTuple):
    """A night without its explore arm, solved, and what decides its orders."""

    field: BlockNight
    blocks: SparkBlocks
    limits: NightLimits
    pool: ExplorePool | None
    near: Core
    verdict: DrawnPrices


def _solve(
    made: Prepared,
    census: BlockSummary,
    limits: NightLimits,
    *,
    rules: Rules,
    before: Previous | None,
    clock: StageClock,
    progress: Callable[[str], None] | None,
) -> _Solved:
    """Draw the explore arm, solve what is left, and decide between equal optima."""
    config = rules.config
    ends = ends_after(float(config.solver.time_limit_seconds))
    experiment = make_experiment(config.holdout, rules.day, config.objective)
    blocks = SparkBlocks(made.blocks, limits.terms)
    field = BlockNight(
        blocks=blocks,
        slots=limits.terms.slots,
        parent=limits.terms.parent,
        merchant_of=census.merchant_of,
        cap=limits.cap,
        num_open=census.num_open,
        highest=census.highest,
        is_late=lambda: time.monotonic() > ends(),
        tell=progress if progress is not None else _say_nothing,
    )
    with clock.stage("build"):
        pool, limits = explore(field, limits, experiment, blocks)
        if pool is not None:  # else workers would keep the same blocks once more
            blocks = SparkBlocks(made.blocks, limits.terms)
        field = without_arm(field, limits, pool, blocks)
    with clock.stage("solve"):
        near = solve_core(field, config.solver.num_threads)
        if before is not None and time.monotonic() <= ends():
            known = Before(before, limits.places, made.salt)
            near = keep_earlier(field, near, blocks, known, ends())
    verdict = DrawnPrices(
        near.lane_price,
        field.by_block(near.merchant_price),
        near.tied,
        None if limits.has_budget is None else field.by_block(limits.has_budget),
        experiment=experiment,
        places=limits.places if experiment.is_by_station else (),
        explored_of=None if pool is None else field.by_block(pool.used_cap),
    )
    return _Solved(field, blocks, limits, pool, near, verdict)


class _Certified(NamedTuple):
    """The plan, what decides every order, its sums with the proof, and margins."""

    plan: Plan
    verdict: DrawnPrices
    sums: Sums
    margins: BlockMargins | None


def _certify(
    solved: _Solved, census: BlockSummary, num_threads: int | None
) -> _Certified:
    """Toss coins at the cut-off, add up what is decided, and find exact margins."""
    field, blocks = solved.field, solved.blocks
    plan = find_plan(field, solved.verdict, blocks)
    verdict, coins = toss(field, plan, solved.verdict, census.merchant_ids, blocks)
    sums = with_arm(add_up(blocks, field, solved.near, verdict), solved.pool)
    margins = find_block_margins(field, plan, verdict, blocks, num_threads)
    return _Certified(plan, verdict, replace(sums, coins=coins), margins)


def _sorted_quarantine(made: Prepared) -> pl.DataFrame:
    """Refused rows as one machine publishes them."""
    import polars as pl

    found = pl.DataFrame(pl.from_arrow(made.quarantine.toArrow()))
    kinds = QUARANTINE.schema.items()
    return found.select(pl.col(n).cast(t) for n, t in kinds).sort(pl.all())


def _say_nothing(_: str) -> None:
    """Stand in for a missing ``progress``."""


def columns_of(table: DataFrame | FileTable | None) -> pa.Table | FarFiles | None:
    """
    The columns of a Spark table, or of files.

    Parameters
    ----------
    table
        ``None``: there is none.
    """
    if isinstance(table, FileTable):
        return table.far_files
    from pyspark.sql.pandas.types import to_arrow_schema

    return None if table is None else to_arrow_schema(table.schema).empty_table()


def _build(
    orders: DataFrame | FileTable,
    options: DataFrame | FileTable | None,
    sources: Mapping[str, Source],
    capacity: pl.DataFrame,
    given: Rules,
    rows_per_block: int,
    history: EarlierNights,
) -> tuple[Prepared, BlockSummary, NightLimits]:
    """Check, value and shuffle; with another salt if two ids share a key."""
    for salt in range(MAX_SALTS):
        rules = replace(given, salt=salt)
        made = prepare(orders, options, sources, rules, rows_per_block)
        try:
            census = with_names(summarize_blocks(made.blocks), made.noted.values)
            refuse_twin_names(census, capacity, given.merchants)
            values = made.noted.values
            limits = set_limits(census, capacity, rules, history, values)
        except KeyCollision:
            made.release()
            continue
        made.settle()
        return replace(made, salt=salt), census, limits
    raise DataError("order ids share keys under every salt; this cannot be by chance")
