"""Merchants and places of all blocks, joined into caps and lanes."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.assemble import merchant_caps
from optimizer.build.capacity import read_capacity, split_rows
from optimizer.build.carryover import EarlierNights
from optimizer.build.checks import warn_uncovered, warn_unknown
from optimizer.build.lanes import build_forest
from optimizer.build.lookups import lookup_warnings
from optimizer.build.night_lookups import count_lookups
from optimizer.build.service_days import rows_tonight
from optimizer.errors import DataError
from optimizer.io.duplicates import KeyCollision
from optimizer.io.validate import refuse_twins
from optimizer.solvers.network.blocks import ByBlock
from optimizer.spark.blocks import (
    COLLISION,
    NAME_COLUMNS,
    Terms,
    listed,
    listed_places,
    place_keys,
    sort_key,
)
from optimizer.spark.cells import unpack
from optimizer.spark.engine_keys import PACKING
from optimizer.spark.faults import PackingNight

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from optimizer.build.carryover import Bank
    from optimizer.build.lanes import Forest, Place
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.spark.rows import Rules


#: The day that days are counted from.
EPOCH = dt.date(1970, 1, 1)
_NO_VALUES: Mapping[str, set[str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class BlockSummary:
    """
    The blocks' merchants and places, each once.

    Attributes
    ----------
    merchant_ids
        Ascending.
    merchant_of
        By block, the number of each of its merchants among all.
    there, eligible, num_open
        ``(num_merchants,) int64``: orders, those not ineligible, those to be decided.
    places, demand
        Where options go, and how many, by name.
    statuses
        ``(256,) int64``: orders by status.
    highest
        The highest saving, micro-CNY.
    num_worth, num_hoped
        Orders that save something, and those that do if the model's effect is at its
        upper end.
    names
        Names of carriers, regions and outlets, by column.
    unseen
        Names that the model does not know, by column, with the rows that have them.
    days
        Days whose slots orders take; none where slots are not counted by day.
    """

    merchant_ids: list[str]
    merchant_of: dict[int, NDArray[np.int64]]
    there: NDArray[np.int64]
    eligible: NDArray[np.int64]
    num_open: NDArray[np.int64]
    places: list[Place]
    demand: NDArray[np.int64]
    statuses: NDArray[np.int64]
    highest: int
    num_worth: int
    num_hoped: int
    names: dict[str, set[str]]
    unseen: dict[str, Counter[str]]
    days: tuple[dt.date, ...]


def summarize_blocks(blocks: DataFrame) -> BlockSummary:
    """
    Gather counts by merchant and by place; this fills the cache of blocks.

    Raises
    ------
    DataError
        With an executor's finding about its block.
    KeyCollision
        When two orders share a key.
    """
    rows = blocks.select("block", "merchants", "failed").toArrow().to_pylist()
    _refuse_failed({row["failed"] for row in rows} - {None})
    parts = {row["block"]: unpack(row["merchants"]) for row in rows}
    repeated = sum(int(part["num_repeated"]) for part in parts.values())
    if repeated:
        raise DataError(
            f"the options table: {repeated:,} rows with an order and carrier that "
            "another row names; keep one row for each"
        )
    ids, merchant_of = _ranked({b: listed(part["ids"]) for b, part in parts.items()})
    by_name = {block: listed_places(part["places"]) for block, part in parts.items()}
    places, place_of = _ranked(by_name, sort_key)
    there, eligible, num_open = np.zeros((3, len(ids)), np.int64)
    demand, statuses = np.zeros(len(places), np.int64), np.zeros(256, np.int64)
    names: dict[str, set[str]] = {column: set() for column in NAME_COLUMNS}
    unseen: dict[str, Counter[str]] = {}
    for block, part in parts.items():
        mine = merchant_of[block]
        there[mine] += part["there"]
        eligible[mine] += part["eligible"]
        num_open[mine] += part["num_open"]
        demand[place_of[block]] += part["demand"]
        statuses += part["statuses"]
        for column, found in listed(part["names"]).items():
            names[column].update(found)
        for column, counts in listed(part["unseen"]).items():
            unseen.setdefault(column, Counter()).update(counts)
    highest = max((int(part["highest"]) for part in parts.values()), default=0)
    return BlockSummary(
        merchant_ids=ids,
        merchant_of=merchant_of,
        there=there,
        eligible=eligible,
        num_open=num_open,
        places=places,
        demand=demand,
        statuses=statuses,
        highest=max(highest, 0),
        num_worth=sum(int(part["num_worth"]) for part in parts.values()),
        num_hoped=sum(int(part["num_hoped"]) for part in parts.values()),
        names=names,
        unseen=unseen,
        days=_days_of(parts.values()),
    )


def with_names(census: BlockSummary, values: Mapping[str, set[str]]) -> BlockSummary:
    """
    Add names that orders have, and none of their options.

    Parameters
    ----------
    census
        Of all blocks.
    values
        Values of columns of the orders.
    """
    names = {c: known | values.get(c, set()) for c, known in census.names.items()}
    return replace(census, names=names)


def _days_of(parts: Iterable[Mapping[str, NDArray[Any]]]) -> tuple[dt.date, ...]:
    """The days of all blocks, ascending."""
    found = {number for part in parts for number in part["days"].tolist()}
    return tuple(EPOCH + dt.timedelta(days=number) for number in sorted(found))


def _refuse_failed(failed: set[str]) -> None:
    if COLLISION in failed:
        raise KeyCollision
    if failed:
        raise DataError(min(failed))


def _ranked(by_block: dict[int, list[Any]], key: Any = None) -> tuple[list[Any], Any]:
    """All names in order; and by block, the rank of each of its names."""
    names = sorted({name for some in by_block.values() for name in some}, key=key)
    rank = {name: number for number, name in enumerate(names)}
    ranks = {b: np.array([rank[n] for n in v], np.int64) for b, v in by_block.items()}
    return names, ranks


def refuse_twin_names(
    census: BlockSummary, capacity: pl.DataFrame, merchants: pl.DataFrame | None
) -> None:
    """
    Refuse names in two spellings, across all tables.

    Raises
    ------
    DataError
        Naming the first pair.
    """
    label = "the orders, capacity and merchants tables"
    known = [] if merchants is None else merchants["merchant_id"].to_list()
    refuse_twins(dict.fromkeys([*known, *census.merchant_ids]), "merchant_id", label)
    for column, names in census.names.items():
        given = capacity[column].drop_nulls().to_list()
        refuse_twins(dict.fromkeys([*sorted(names), *given]), column, label)


@dataclass(frozen=True, slots=True, eq=False)
class NightLimits:
    """
    Caps and lanes of the whole night.

    Attributes
    ----------
    num_orders, cap, has_budget
        By merchant: the base of the cap, the cap, and whether it comes from a budget
        (``None``: no budgets).
    places
        Names of the lanes.
    lane_demand
        ``(num_lanes,) int64``: options that go to each lane itself.
    terms
        Lanes, and caps by block.
    bank
        The cap bank's part of the night, with carryover.
    in_flight
        ``(num_lanes,) int64``: slots that parcels of other nights take.
    uncovered
        Places that parcels go to and no capacity row covers.
    unfound
        Names of tables and rules that the night does not have.
    warnings
        What else a person should look at.
    """

    num_orders: NDArray[np.int64]
    cap: NDArray[np.int64]
    has_budget: NDArray[np.bool_] | None
    places: tuple[Place, ...]
    lane_demand: NDArray[np.int64]
    terms: Terms
    bank: Bank | None
    in_flight: NDArray[np.int64]
    uncovered: tuple[Place, ...]
    unfound: tuple[CodedWarning, ...]
    warnings: tuple[CodedWarning, ...]


def set_limits(
    census: BlockSummary,
    capacity: pl.DataFrame,
    rules: Rules,
    history: EarlierNights | None = None,
    values: Mapping[str, set[str]] = _NO_VALUES,
) -> NightLimits:
    """
    Make caps and lanes, as :func:`optimizer.build.assemble.build_problem` does.

    Parameters
    ----------
    census, capacity, rules
        Merchants and places of all blocks, the checked capacity table, and the rules.
    history
        Carry-over from other nights; ``None``: nothing.
    values
        Values of columns that rules compare.

    Raises
    ------
    DataError
        When a merchant has more orders than it says, or a name is written in two ways
        or finds nothing where it must.
    PackingNight
        When capacity rows make a packing night.
    KeyCollision
        When two places share a key.
    """
    history = history or EarlierNights(rules.day)
    made = merchant_caps(
        there=census.there,
        eligible=census.eligible,
        num_open=census.num_open,
        merchant_ids=census.merchant_ids,
        merchants=rules.merchants,
        policy=rules.policy,
        history=history,
    )
    rows = read_capacity(capacity, ())
    rows, taken = rows_tonight(rows, rules.config.capacity, census.days, history)
    lanes, beside = split_rows(rows, census.places)
    odd = [row.name for row in rows if row.min_parcels]
    odd += [row.name for row in beside]
    if odd:
        raise PackingNight(
            f"the capacity table has rows with a floor or a place that does not "
            f"nest, such as ({odd[0]}): {PACKING}"
        )
    is_open = rules.config.capacity.uncovered_lanes == "open"
    forest = build_forest(
        rows={place: row.slots for place, row in lanes.items()},
        leaves=census.places,
        demand=census.demand.tolist(),
        is_open=is_open,
    )
    key = place_keys(census.places, rules.salt)
    turn = np.argsort(key)
    if np.any(np.diff(key[turn]) == 0):
        raise KeyCollision
    caps = ByBlock({b: made.caps[m] for b, m in census.merchant_of.items()})
    terms = Terms(
        slots=forest.slots,
        parent=forest.parent,
        place_key=key[turn],
        place_lane=forest.lane_of_leaf[turn],
        cap_of=caps,
    )
    return NightLimits(
        num_orders=made.num_orders,
        cap=made.caps,
        has_budget=made.has_budget,
        places=forest.places,
        lane_demand=_demand_of_lanes(forest, census),
        terms=terms,
        bank=made.bank,
        in_flight=np.array([taken.get(place, 0) for place in forest.places], np.int64),
        uncovered=forest.uncovered,
        unfound=tuple(_unfound(census, capacity, rules, values)),
        warnings=(
            *warn_uncovered(forest.uncovered, is_open=is_open),
            *made.warnings,
            *warn_unknown(census.names["carrier_id"], rules.policy.carriers),
        ),
    )


def _demand_of_lanes(forest: Forest, census: BlockSummary) -> NDArray[np.int64]:
    """Options by the lane that they go to, those of lanes below it not counted."""
    demand = np.zeros(len(forest.slots), np.int64)
    np.add.at(demand, forest.lane_of_leaf, census.demand)
    return demand


def _unfound(
    census: BlockSummary,
    capacity: pl.DataFrame,
    rules: Rules,
    values: Mapping[str, set[str]],
) -> list[CodedWarning]:
    """Compare names with those of the night, as on one machine."""
    known = {**values, **census.names, "merchant_id": {*census.merchant_ids}}
    counts = count_lookups(known, capacity, rules.merchants, rules.config, rules.policy)
    limits = rules.config.lookups
    return lookup_warnings(counts, limits.warn_below, limits.refuse_below)
