"""``allocate`` over partitions: the stages of a night, on executors and the driver."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.clock import StageClock
from optimizer.config import as_config, policy_on
from optimizer.data.read import open_source
from optimizer.data.tables import CAPACITY, MERCHANTS
from optimizer.data.validate import QuarantineLog, checked_table, refuse_twins
from optimizer.distributed.blocks import Lanes, unpack
from optimizer.distributed.near import Field, solve_near
from optimizer.distributed.passes import (
    DECISION_ROWS,
    decide,
    prove_block,
    run_pass,
)
from optimizer.distributed.rows import Rules
from optimizer.distributed.shuffle import MAX_ROWS, prepare
from optimizer.errors import CertificateError, ConfigError, DataError
from optimizer.model.lanes import Place, build_forest, capacity_rows
from optimizer.model.reasons import Reason
from optimizer.proof.certificate import Certificate
from optimizer.proof.exact import exact_dot

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping
    from os import PathLike

    import polars as pl
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from optimizer.config import Config
    from optimizer.distributed.near import Near


@dataclass(frozen=True, slots=True, eq=False)
class SparkNight:
    """
    A certified night whose orders stay on the cluster.

    Attributes
    ----------
    decisions
        Spark DataFrame, a row for each order that was not quarantined, with
        ``region_id``; sorted by ``order_id`` within its partitions only.
    merchants, lanes
        As in :class:`~optimizer.insight.night.Night`: polars, on the driver.
    quarantine
        Spark DataFrame: ``source``, ``row``, ``column``, ``rule``. ``row`` counts
        within the order in which Spark numbers rows, partition by partition.
    certificate
        From sums that executors formed in integers.
    reasons
        Orders by reason.
    num_near, num_passes
        Orders that the driver gathered, and passes over all orders.
    seconds
        Wall seconds of each stage.
    """

    decisions: DataFrame
    merchants: pl.DataFrame
    lanes: pl.DataFrame
    quarantine: DataFrame
    certificate: Certificate
    reasons: Mapping[str, int]
    num_near: int
    num_passes: int
    seconds: Mapping[str, float]


def allocate(
    orders: DataFrame,
    capacity: Any,
    config: Config | Mapping[str, Any] | str | PathLike[str],
    *,
    options: DataFrame | None = None,
    merchants: Any = None,
    date: dt.date | None = None,
    rows_per_block: int = MAX_ROWS,
    progress: Callable[[str], None] | None = None,
) -> SparkNight:
    """
    Choose the parcels that get premium delivery, on a Spark cluster.

    The proved optimum, as :func:`optimizer.allocate` finds it: the same value and the
    same prices, to the last micro-CNY, whatever the partitions and the order of rows.

    Parameters
    ----------
    orders, options
        Spark DataFrames with the columns that :func:`optimizer.allocate` takes.
    capacity, merchants
        Small tables: paths, or anything that exports an Arrow stream.
    config
        As for :func:`optimizer.allocate`.
    date
        The business date.
    rows_per_block
        Orders in a block, about; bounds the memory of an executor.
    progress
        Called with a line for each step.

    Raises
    ------
    ConfigError
        When the configuration asks for what only one machine does.
    DataError
        When a table is refused, as by :func:`optimizer.allocate`.
    SolveError
        When the time was up before the proof.
    CertificateError
        When the executors' sums do not prove the plan.
    """
    settings = as_config(config)
    if settings.solver.method not in ("auto", "pricing") or settings.solver.keep_previous:
        raise ConfigError(
            "on Spark, solver.method is auto or pricing, and keep_previous is false"
        )
    ends = time.monotonic() + float(settings.solver.time_limit_seconds)
    clock = StageClock(progress)
    tell = progress if progress is not None else (lambda _: None)
    with clock.stage("validate"):
        slots = _checked(capacity, CAPACITY)
        about = None if merchants is None else _checked(merchants, MERCHANTS)
        _refuse_budgets(about)
        rules = Rules(settings, policy_on(settings, date), about, 0)
    with clock.stage("build"):
        made = prepare(orders, options, rules, rows_per_block)
        census = _take_census(made.blocks)
        _refuse_twins(census, slots, about)
        lanes = _lanes(census.demand, slots, settings)
    field = Field(
        made.blocks,
        lanes,
        census.merchant_of,
        census.cap,
        census.num_open,
        census.highest,
        lambda: time.monotonic() > ends,
        tell,
    )
    with clock.stage("solve"):
        near = solve_near(field, settings.solver.num_threads)
    with clock.stage("certify"):
        proof, used, lane_used, reasons = _prove(field, near, census)
    task = partial(decide, lanes=lanes, lane_price=near.lane_price, tied=near.tied)
    return SparkNight(
        made.blocks.select("block", "numbers", "places", "merchants", "names")
        .mapInArrow(task, DECISION_ROWS)
        .sortWithinPartitions("order_id"),
        _merchants_table(census, used, near),
        _lanes_table(lanes, lane_used, near),
        made.quarantine,
        proof,
        reasons,
        near.num_near,
        near.num_passes,
        clock.seconds,
    )


def _checked(data: Any, table: Any) -> pl.DataFrame:
    return checked_table(open_source(data, table), QuarantineLog())


def _refuse_budgets(merchants: pl.DataFrame | None) -> None:
    if merchants is not None and merchants["daily_budget_cny"].is_not_null().any():
        raise DataError(
            "the merchants table has a daily_budget_cny; budgets are not limits here: "
            "drop the column or leave it empty"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Census:
    """What blocks say about their merchants and places, put together."""

    ids: list[str]
    num_orders: NDArray[np.int64]
    cap: NDArray[np.int64]
    merchant_of: dict[int, NDArray[np.int64]]
    demand: dict[Place, int]
    statuses: NDArray[np.int64]
    num_open: int
    highest: int


def _take_census(blocks: DataFrame) -> Census:
    """
    Gather what is known by merchant and by place.

    Raises
    ------
    DataError
        What an executor found wrong with its block.
    """
    found = blocks.select("block", "places", "merchants", "failed").toArrow().to_pylist()
    failed = sorted(row["failed"] for row in found if row["failed"] is not None)
    if failed:
        raise DataError(failed[0])
    about = {row["block"]: unpack(row["merchants"]) for row in found}
    repeated = sum(int(part["num_repeated"]) for part in about.values())
    if repeated:
        raise DataError(
            f"the options table: {repeated:,} rows with an order and carrier that "
            "another row names; keep one row for each"
        )
    names = {b: json.loads(part["ids"].tobytes()) for b, part in about.items()}
    ids = sorted(name for listed in names.values() for name in listed)
    rank = {name: number for number, name in enumerate(ids)}
    merchant_of = {
        b: np.array([rank[n] for n in listed], np.int64) for b, listed in names.items()
    }
    num_orders, cap = np.zeros((2, len(ids)), np.int64)
    for block, part in about.items():
        num_orders[merchant_of[block]] = part["num_orders"]
        cap[merchant_of[block]] = part["cap"]
    demand: dict[Place, int] = {}
    for row in found:
        for place, count in zip(*json.loads(row["places"]), strict=True):
            demand[Place(*place)] = demand.get(Place(*place), 0) + count
    parts = list(about.values())
    return Census(
        ids,
        num_orders,
        cap,
        merchant_of,
        demand,
        sum((p["statuses"] for p in parts), np.zeros(256, np.int64)),
        sum(int(p["num_open"].sum()) for p in parts),
        max((int(p["highest"]) for p in parts), default=0),
    )


def _refuse_twins(
    census: Census, capacity: pl.DataFrame, merchants: pl.DataFrame | None
) -> None:
    label = "the orders, capacity and merchants tables"
    known = [] if merchants is None else merchants["merchant_id"].to_list()
    refuse_twins(dict.fromkeys([*census.ids, *known]), "merchant_id", label)
    for place, column in enumerate(("carrier_id", "region_id", "outlet_id")):
        ids = dict.fromkeys(p[place] for p in census.demand if p[place] is not None)
        ids |= dict.fromkeys(capacity[column].drop_nulls().to_list())
        refuse_twins(ids, column, label)


def _lanes(demand: dict[Place, int], capacity: pl.DataFrame, config: Config) -> Lanes:
    places = sorted(demand, key=lambda p: tuple(part or "" for part in p))
    forest = build_forest(
        capacity_rows(capacity),
        places,
        [demand[place] for place in places],
        is_open=config.capacity.uncovered_lanes == "open",
    )
    of_place = dict(zip(places, forest.lane_of_leaf.tolist(), strict=True))
    return Lanes(forest.places, forest.slots, forest.parent, of_place)


def _prove(
    field: Field, near: Near, census: Census
) -> tuple[Certificate, NDArray[np.int64], NDArray[np.int64], dict[str, int]]:
    """Add up the executors' parts of the certificate."""
    lanes = field.lanes
    task = partial(prove_block, lane_price=near.lane_price, tied=near.tied)
    primal, dual = 0, exact_dot(lanes.slots, near.lane_price)
    used = np.zeros(len(field.cap), np.int64)
    lane_used = np.zeros(len(lanes.slots), np.int64)
    counts = np.zeros(len(Reason), np.int64)
    num_twice = 0
    for block, part in run_pass(field.blocks, task, lanes).items():
        primal, dual = primal + int(part["primal"]), dual + int(part["dual"])
        used[field.merchant_of[block]] = part["used"]
        lane_used += part["lane_use"]
        counts += part["reasons"]
        num_twice += int(part["num_twice"])
    broken = {
        "orders are chosen twice": num_twice,
        "merchants are above their cap": int(np.sum(used > field.cap)),
        "lanes are above their slots": int(np.sum(lane_used > lanes.slots)),
    }
    violations = tuple(f"{count} {what}" for what, count in broken.items() if count)
    proof = Certificate(not violations, primal, dual, dual - primal, violations)
    if not proof.is_optimal:
        raise CertificateError(
            f"the executors' sums do not prove the plan (gap {proof.gap:,} micro-CNY"
            f"{''.join(f'; {v}' for v in violations)})"
        )
    counts += census.statuses[: len(Reason)]
    return proof, used, lane_used, {r.name: int(counts[r]) for r in Reason}


def _merchants_table(
    census: Census, used: NDArray[np.int64], near: Near
) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(
        {
            "merchant_id": pl.Series(census.ids, dtype=pl.String),
            "num_orders": census.num_orders,
            "cap": census.cap,
            "used": used,
            "slack": census.cap - used,
            "shadow_price_cny": near.merchant_price / 1e6,
        }
    )


def _lanes_table(lanes: Lanes, used: NDArray[np.int64], near: Near) -> pl.DataFrame:
    import polars as pl

    names = ("carrier_id", "region_id", "outlet_id")
    columns: dict[str, Any] = {
        name: pl.Series([place[i] for place in lanes.places], dtype=pl.String)
        for i, name in enumerate(names)
    }
    columns |= {
        "slots": lanes.slots,
        "used": used,
        "slack": lanes.slots - used,
        "shadow_price_cny": near.lane_price / 1e6,
    }
    return pl.DataFrame(columns).sort(names, nulls_last=False)
