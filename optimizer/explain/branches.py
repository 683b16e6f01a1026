"""The tables of the branches that a bound rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.lanes import PLACE
from optimizer.contracts.tables import BRANCH_PRICES, BRANCHES
from optimizer.explain.amounts import cny

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.model.branch_tree import BranchTree

    _TablePrices = tuple[
        str, NDArray[np.int64], NDArray[np.int64] | int, NDArray[np.int64]
    ]


def branches_table(night: CertifiedNight) -> pl.DataFrame | None:
    """All nodes of the tree, by number; ``None`` where the bound needs no branches."""
    import polars as pl

    problem, tree = night.problem, night.solution.tree
    if tree is None:
        return None
    below, option = slice(1, None), tree.option[1:]
    order = np.searchsorted(problem.option_start, option, side="right") - 1
    carriers = [place.carrier_id for place in night.names.places]
    columns = {
        "node": np.arange(tree.num_nodes),
        "parent": [None, *tree.parent[below].tolist()],
        "order_id": [None, *_order_ids(night, problem.row[order])],
        "carrier_id": [None, *(carriers[at] for at in problem.option_lane[option])],
        "is_in": [None, *tree.is_in[below].tolist()],
    }
    return pl.DataFrame(columns, schema=BRANCHES.schema)


def branch_prices_table(night: CertifiedNight) -> pl.DataFrame | None:
    """Prices other than 0 of the tree's leaves; ``None`` where there is no tree."""
    import polars as pl

    problem, tree = night.problem, night.solution.tree
    if tree is None:
        return None
    parts = [
        _priced(tree, name, price * scale, row)
        for name, price, scale, row in _prices(night, tree)
    ]
    leaf, order = np.nonzero(tree.order_price)
    orders = {
        "node": tree.leaf[leaf],
        "table": ["orders"] * len(leaf),
        "row": [None] * len(leaf),
        "order_id": _order_ids(night, problem.row[order]),
        "price_cny": cny(tree.order_price[leaf, order]),
    }
    parts.append(pl.DataFrame(orders, schema=BRANCH_PRICES.schema))
    return pl.concat(parts).sort("node", "table", "row", "order_id")


def _lane_rows(night_places: pl.DataFrame) -> NDArray[np.int64]:
    """Row of each of the problem's lanes in the published table, from 1."""
    turn = night_places.with_row_index("lane").sort(list(PLACE), nulls_last=False)
    row = np.empty(len(turn), np.int64)
    row[turn["lane"].to_numpy()] = np.arange(1, len(turn) + 1)
    return row


def _prices(night: CertifiedNight, tree: BranchTree) -> list[_TablePrices]:
    """Names of tables, prices, what a parcel counts for, and rows of the tables."""
    names, limits = night.names, night.names.limits
    lanes = _lane_rows(names.place_columns)
    merchants = np.arange(1, night.problem.num_merchants + 1)
    found: list[_TablePrices] = [
        ("lanes", tree.lane_price, names.scale, lanes),
        ("merchants", tree.merchant_price, 1, merchants),
    ]
    if limits is not None:
        scale = np.array([limit.scale for limit in limits.rows], np.int64)
        listed = np.flatnonzero(limits.side_row >= 0)
        listed = listed[np.argsort(limits.side_row[listed])]
        found.append(("rows", tree.row_price, scale[listed], listed + 1))
    return found


def _priced(
    tree: BranchTree,
    name: str,
    price: NDArray[np.int64],
    row: NDArray[np.int64],
) -> pl.DataFrame:
    import polars as pl

    leaf, place = np.nonzero(price)
    columns = {
        "node": tree.leaf[leaf],
        "table": [name] * len(leaf),
        "row": row[place],
        "order_id": [None] * len(leaf),
        "price_cny": cny(price[leaf, place]),
    }
    return pl.DataFrame(columns, schema=BRANCH_PRICES.schema)


def _order_ids(night: CertifiedNight, row: NDArray[np.int64]) -> list[str]:
    """Ids of orders, by their rows in the orders table."""
    import polars as pl

    wanted = pl.Series("row", np.unique(row))
    ids: dict[int, str] = {}
    for piece in night.named() if len(row) else ():
        there = piece.filter(pl.col("row").is_in(wanted.implode()))
        ids |= dict(there.select("row", "order_id").iter_rows())
    return [ids[at] for at in row.tolist()]
