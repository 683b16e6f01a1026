"""Plan and prices of a published night, read back from its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.lanes import PLACE
from optimizer.contracts.tables import (
    LANE_RESULTS,
    MERCHANT_RESULTS,
    ORDER_PRICES,
    ROW_RESULTS,
)
from optimizer.errors import CertificateError
from optimizer.io.order_keys import order_keys
from optimizer.model.solution import Solution, Termination
from optimizer.replay.amounts import micro, per_part
from optimizer.replay.branches import branch_names, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.night import Intake
    from optimizer.replay.run_tables import Published


def read_solution(intake: Intake, published: Published) -> tuple[Solution, int]:
    """
    Plan and prices as published, in the problem's numbering; rows of the decisions.

    Raises
    ------
    CertificateError
        When they are not of this problem.
    """
    index, tables = intake.index, published.tables
    merchants, lanes = tables[MERCHANT_RESULTS.file], tables[LANE_RESULTS.file]
    if merchants["merchant_id"].to_list() != list(index.merchant_ids):
        raise CertificateError(
            f"{MERCHANT_RESULTS.file} does not hold the inputs' merchants"
        )
    names = lanes.select(list(PLACE)).rows()
    price = dict(zip(names, micro(lanes["shadow_price_cny"]), strict=True))
    if set(price) != set(index.places) or len(price) != len(lanes):
        raise CertificateError(f"{LANE_RESULTS.file} does not hold the inputs' lanes")
    slot_price = np.array([price[place] for place in index.places], np.int64)
    chosen, num_decisions = _read_plan(intake, published.decisions())
    solution = Solution(
        chosen=chosen,
        lane_price=per_part(slot_price, index.scale, LANE_RESULTS.file),
        merchant_price=micro(merchants["shadow_price_cny"]),
        termination=Termination("FEASIBLE", "METHOD"),
        row_price=_row_prices(intake, tables),
        order_price=_order_prices(intake, tables),
        tree=read_tree(intake, tables, _branch_options(intake, tables)),
    )
    return solution, num_decisions


def _row_prices(
    intake: Intake, tables: Mapping[str, pl.DataFrame]
) -> NDArray[np.int64] | None:
    """Prices of the side rows; those of limits that never bind are 0."""
    side, limits = intake.problem.side, intake.index.limits
    if side is None:
        return None
    if limits is None:
        return np.zeros(side.num_rows, np.int64)
    rows = tables.get(ROW_RESULTS.file)
    names = [(limit.kind, limit.name) for limit in limits.rows]
    if rows is None or rows.select("kind", "limit").rows() != names:
        raise CertificateError(f"{ROW_RESULTS.file} does not hold the inputs' limits")
    scale = np.array([limit.scale for limit in limits.rows], np.int64)
    price = per_part(micro(rows["shadow_price_cny"]), scale, ROW_RESULTS.file)
    return price[limits.side_row >= 0]


def _order_prices(
    intake: Intake, tables: Mapping[str, pl.DataFrame]
) -> NDArray[np.int64] | None:
    """Prices of orders, where the proof has any; 0 for those that are not listed."""
    listed = tables.get(ORDER_PRICES.file)
    if listed is None:
        return None
    key, _ = order_keys(listed["order_id"], intake.salt)
    known = intake.problem.key
    by_key = np.argsort(known)
    place = np.searchsorted(known, key, sorter=by_key)
    order = by_key[np.minimum(place, max(len(known) - 1, 0))]
    if np.any(known[order] != key):
        raise CertificateError(f"{ORDER_PRICES.file} names an order that is not open")
    price = np.zeros(len(known), np.int64)
    price[order] = micro(listed["price_cny"])
    return price


def _planned(decisions: pl.DataFrame) -> pl.DataFrame:
    """The certified plan: chosen orders, held-out ones included, explored ones not."""
    import polars as pl

    is_kept_back = (pl.col("reason") == "HELD_OUT") & (pl.col("arm") != "explore")
    is_explored = pl.col("reason") == "EXPLORED"
    return decisions.filter((pl.col("is_premium") & ~is_explored) | is_kept_back)


def _read_plan(
    intake: Intake, decisions: Iterable[pl.DataFrame]
) -> tuple[NDArray[np.int64], int]:
    """Options of the chosen orders, by published carrier; rows of the decisions."""
    import polars as pl

    empty = pl.DataFrame(schema={"order_id": pl.String, "carrier_id": pl.String})
    parts, num_rows = [empty], 0
    for batch in decisions:
        num_rows += len(batch)
        parts.append(_planned(batch).select(empty.columns))
    chosen = pl.concat(parts)
    return np.sort(_options(intake, chosen, "a chosen order")), num_rows


def _branch_options(
    intake: Intake, tables: Mapping[str, pl.DataFrame]
) -> NDArray[np.int64]:
    """Options of the nodes of the tree, where there is one."""
    names = branch_names(tables)
    if names is None:
        return np.zeros(0, np.int64)
    return _options(intake, names, "an order of the branches")


def _options(intake: Intake, named: pl.DataFrame, what: str) -> NDArray[np.int64]:
    """The option of each ``order_id`` and ``carrier_id``."""
    problem, index = intake.problem, intake.index
    key, _ = order_keys(named["order_id"].fill_null(""), intake.salt)
    by_key = np.argsort(problem.key)
    place = np.searchsorted(problem.key, key, sorter=by_key)
    options = []
    for at, this, carrier in zip(place, key, named["carrier_id"], strict=True):
        order = by_key[min(at, len(by_key) - 1)] if len(by_key) else -1
        if order < 0 or problem.key[order] != this:
            raise CertificateError(f"{what} is not among the inputs' open orders")
        first, last = problem.option_start[order : order + 2]
        carriers = [
            index.places[lane].carrier_id for lane in problem.option_lane[first:last]
        ]
        if carrier not in carriers:
            raise CertificateError(f"{what}'s carrier is not one of its options")
        options.append(first + carriers.index(carrier))
    return np.array(options, np.int64)
