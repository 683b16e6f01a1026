"""Branches of a published night, read back from their tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.lanes import PLACE
from optimizer.contracts.tables import BRANCH_PRICES, BRANCHES, LANE_RESULTS
from optimizer.errors import CertificateError
from optimizer.io.order_keys import order_keys
from optimizer.model.branch_tree import BranchTree
from optimizer.replay.amounts import micro, per_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.night import Intake


def read_tree(
    intake: Intake, tables: Mapping[str, pl.DataFrame], option: NDArray[np.int64]
) -> BranchTree | None:
    """
    A published tree, in the problem's numbering; ``None`` where there is none.

    Parameters
    ----------
    intake
        The night as its inputs make it.
    tables
        The published tables.
    option
        Options of the nodes after the first, as :func:`optimizer.replay.published`
        finds them.

    Raises
    ------
    CertificateError
        When its nodes or prices are not of this problem.
    """
    nodes, prices = tables.get(BRANCHES.file), tables.get(BRANCH_PRICES.file)
    if nodes is None or prices is None:
        return None
    if nodes["node"].to_list() != list(range(len(nodes))):
        raise CertificateError(f"{BRANCHES.file} does not number its nodes from 0")
    below = nodes[1:]
    if below["parent"].has_nulls() or below["is_in"].has_nulls():
        raise CertificateError(f"{BRANCHES.file} has nodes without a branching")
    return BranchTree(
        parent=np.append(-1, below["parent"].to_numpy()).astype(np.int64),
        option=np.append(-1, option).astype(np.int64),
        is_in=np.append(True, below["is_in"].to_numpy()).astype(np.bool_),
        **_prices(intake, tables, prices, _leaves(nodes)),
    )


def branch_names(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame | None:
    """Order and carrier of each node after the first; ``None`` without a tree."""
    nodes = tables.get(BRANCHES.file)
    return None if nodes is None else nodes[1:].select("order_id", "carrier_id")


def _leaves(nodes: pl.DataFrame) -> NDArray[np.int64]:
    """Nodes that are nobody's parents, ascending."""
    import polars as pl

    inner = nodes["parent"].drop_nulls().unique()
    leaves = nodes.filter(~pl.col("node").is_in(inner.implode()))
    return leaves["node"].to_numpy()


def _prices(
    intake: Intake,
    tables: Mapping[str, pl.DataFrame],
    prices: pl.DataFrame,
    leaf: NDArray[np.int64],
) -> dict[str, NDArray[np.int64]]:
    """The prices of all leaves, 0 where none is listed."""
    problem, index = intake.problem, intake.index
    lanes = tables[LANE_RESULTS.file].select(list(PLACE)).rows()
    number = {tuple(place): lane for lane, place in enumerate(index.places)}
    lane_of = np.array([number[place] for place in lanes], np.int64)
    row_of, row_scale = np.zeros(0, np.int64), np.zeros(0, np.int64)
    if index.limits is not None:
        row_of = index.limits.side_row
        row_scale = np.array([limit.scale for limit in index.limits.rows], np.int64)
    num_rows = 0 if problem.side is None else problem.side.num_rows
    merchants = np.arange(problem.num_merchants)
    found = {
        name: _filled(prices, table, leaf, rows, count)
        for name, table, rows, count in (
            ("lane_price", "lanes", lane_of, problem.num_lanes),
            ("merchant_price", "merchants", merchants, problem.num_merchants),
            ("row_price", "rows", row_of, num_rows),
        )
    }
    found["lane_price"] = per_part(found["lane_price"], index.scale, BRANCH_PRICES.file)
    scale = np.ones(num_rows, np.int64)
    scale[row_of[row_of >= 0]] = row_scale[row_of >= 0]
    found["row_price"] = per_part(found["row_price"], scale, BRANCH_PRICES.file)
    found["order_price"] = _order_prices(intake, prices, leaf)
    return found


def _filled(
    prices: pl.DataFrame,
    table: str,
    leaf: NDArray[np.int64],
    rows: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    """``(num_leaves, count) int64``: prices by the rows of one table."""
    import polars as pl

    listed = prices.filter(pl.col("table") == table)
    found = np.zeros((len(leaf), count), np.int64)
    at = _places(listed, leaf)
    row = listed["row"].fill_null(0).to_numpy() - 1
    if np.any((row < 0) | (row >= len(rows))):
        raise CertificateError(f"{BRANCH_PRICES.file} names a row that {table} lacks")
    place = rows[row]
    if np.any(place < 0):
        raise CertificateError(f"{BRANCH_PRICES.file} prices a limit that never binds")
    found[at, place] = micro(listed["price_cny"])
    return found


def _order_prices(
    intake: Intake, prices: pl.DataFrame, leaf: NDArray[np.int64]
) -> NDArray[np.int64]:
    import polars as pl

    listed = prices.filter(pl.col("table") == "orders")
    known = intake.problem.key
    found = np.zeros((len(leaf), len(known)), np.int64)
    if not len(listed):
        return found
    key, _ = order_keys(listed["order_id"].fill_null(""), intake.salt)
    by_key = np.argsort(known)
    place = np.searchsorted(known, key, sorter=by_key)
    order = by_key[np.minimum(place, len(known) - 1)]
    if np.any(known[order] != key):
        raise CertificateError(f"{BRANCH_PRICES.file} names an order that is not open")
    found[_places(listed, leaf), order] = micro(listed["price_cny"])
    return found


def _places(listed: pl.DataFrame, leaf: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which leaf each price is of."""
    node = listed["node"].fill_null(-1).to_numpy()
    at = np.minimum(np.searchsorted(leaf, node), len(leaf) - 1)
    if np.any(leaf[at] != node):
        raise CertificateError(f"{BRANCH_PRICES.file} prices a node that has no prices")
    return at
