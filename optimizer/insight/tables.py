"""The tables of a night: outcomes with their names, ready to read or to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.data.tables import CONFLICTS, ROW_RESULTS, polars_type
from optimizer.insight.outcomes import ARMS
from optimizer.model.limits import limit_prices
from optimizer.model.reasons import REASON_NAMES, Reason
from optimizer.model.side import NO_CEILING, NO_FLOOR, row_use
from optimizer.model.tree import lane_use

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.insight.outcomes import Outcomes
    from optimizer.model.build import Index
    from optimizer.model.limits import Limits
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution
    from optimizer.proof.certificate import Certificate

#: The platform's tag for a recommended order, and the carrier's service code.
ORDER_TAG = "sug_home_deliver"
SERVICE_CODE = "SVC-WBHOMEDELIVERY"


def cny(micro: NDArray[np.int64]) -> NDArray[np.float64]:
    """
    Money for tables; ``np.rint(cny(x) * 1e6)`` gives the integers back exactly.

    Examples
    --------
    >>> cny(np.array([1_840_001])).tolist()
    [1.840001]
    """
    return micro / 1e6


def decisions_table(
    named: pl.DataFrame, outcomes: Outcomes, index: Index
) -> pl.DataFrame:
    """
    Orders with their decisions, in the order that they are given in.

    Parameters
    ----------
    named
        ``row`` in the orders table, ``order_id`` and ``region_id``, of rows that
        were not quarantined.
    outcomes, index
        What each row got, and the names.

    Returns
    -------
    pl.DataFrame
        With ``region_id`` beside the columns of the decisions table.
    """
    import polars as pl

    rows = named["row"].to_numpy()
    is_priced = pl.Series(outcomes.is_priced[rows])
    frame = pl.DataFrame(
        {
            "order_id": named["order_id"],
            "merchant_id": _names(index.merchant_ids, index.row_merchant[rows]),
            "is_premium": np.isin(outcomes.reason[rows], PREMIUM),
            "carrier_id": _names(
                [place.carrier_id for place in index.places], outcomes.lane[rows]
            ),
            "saving_cny": cny(outcomes.saving[rows]),
            "reason": _names(REASON_NAMES, outcomes.reason[rows].astype(np.int32)),
            "margin_cny": cny(outcomes.margin[rows]),
            "has_room": outcomes.has_room[rows],
            "arm": _names(ARMS, outcomes.arm[rows].astype(np.int32)),
            "propensity": outcomes.propensity[rows],
            "region_id": named["region_id"],
        }
    )
    priced = [pl.when(is_priced).then(pl.col(c)).alias(c) for c in _PRICED]
    return frame.with_columns(priced)


#: Reasons of orders that are recommended.
PREMIUM = (Reason.CHOSEN, Reason.EXPLORED)
#: What only orders that went to the solver have.
_PRICED = ("saving_cny", "margin_cny", "has_room")


def merchants_table(problem: Problem, solution: Solution, index: Index) -> pl.DataFrame:
    """Caps, what was used of them, and the price of each, by ``merchant_id``."""
    import polars as pl

    order = np.searchsorted(problem.option_start, solution.chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    used = np.bincount(merchant, minlength=problem.num_merchants)
    explored = 0 if index.pool is None else index.pool.used_cap
    return pl.DataFrame(
        {
            "merchant_id": pl.Series(index.merchant_ids, dtype=pl.String),
            "num_orders": index.merchant_num_orders,
            "cap": problem.cap + explored,
            "used": used.astype(np.int64) + explored,
            "slack": problem.cap - used,
            "shadow_price_cny": cny(solution.merchant_price),
        }
    )


def lanes_table(problem: Problem, solution: Solution, index: Index) -> pl.DataFrame:
    """Slots, what was used of them, and the price of each, wide lanes first."""
    import polars as pl

    side, chosen = problem.side, solution.chosen
    load = None if side is None else side.option_load[chosen]
    used = lane_use(problem.option_lane[chosen], problem.lane_parent, load)
    slots, used = problem.slots // index.scale, used // index.scale
    explored = 0 if index.pool is None else index.pool.used_slots
    names = ("carrier_id", "region_id", "outlet_id")
    frame = pl.DataFrame(
        {
            name: pl.Series([place[i] for place in index.places], dtype=pl.String)
            for i, name in enumerate(names)
        }
        | {
            "slots": slots + explored,
            "used": used + explored,
            "slack": slots - used,
            "shadow_price_cny": cny(solution.lane_price * index.scale),
        }
    )
    return frame.sort(names, nulls_last=False)


def recommendations_table(decisions: pl.DataFrame) -> pl.DataFrame:
    """
    The chosen orders as the platform takes them, in the order of the decisions.

    Parameters
    ----------
    decisions
        From :func:`decisions_table`.
    """
    import polars as pl

    return decisions.filter("is_premium").select(
        "order_id",
        "merchant_id",
        "carrier_id",
        "region_id",
        "saving_cny",
        order_tag=pl.lit(ORDER_TAG),
        service_code=pl.lit(SERVICE_CODE),
    )


def _names(names: Sequence[str], numbers: NDArray[np.int32]) -> pl.Series:
    """Look names up by number; null for -1."""
    import polars as pl

    table = pl.Series([*names, None], dtype=pl.String)
    return table.gather(np.where(numbers < 0, len(names), numbers))


def rows_table(limits: Limits, solution: Solution) -> pl.DataFrame:
    """Limits beside caps and lanes: their use, what is missing, and their price."""
    import polars as pl

    used = row_use(limits.all_rows, solution.chosen)
    price = limit_prices(limits, solution)
    rows = []
    for limit, weight, each in zip(
        limits.rows, used.tolist(), price.tolist(), strict=True
    ):
        low = None if limit.low == NO_FLOOR else limit.low
        high = None if limit.high == NO_CEILING else limit.high // limit.scale
        count = weight // limit.scale
        rows.append(
            (
                limit.kind,
                limit.name,
                low,
                high,
                count,
                None if high is None else high - count,
                0 if low is None else max(0, low - count),
                limit.penalty / 1e6 if low is not None and limit.penalty >= 0 else None,
                each * limit.scale / 1e6,
            )
        )
    kinds = {column.name: polars_type(column.kind) for column in ROW_RESULTS.columns}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def conflicts_table(
    certificate: Certificate,
    problem: Problem,
    limits: Limits | None,
    named: Iterable[pl.DataFrame],
) -> pl.DataFrame:
    """
    Floors and pins that the plan does not keep, those of lower priority number first.

    Parameters
    ----------
    certificate
        With the conflicts, by number.
    problem, limits
        What the numbers mean.
    named
        ``row`` and ``order_id`` of all orders, in pieces.
    """
    import polars as pl

    pinned = [c.number for c in certificate.conflicts if c.kind == "pin"]
    rows_of = problem.row[np.array(pinned, np.int64)].tolist()
    ids: dict[int, str] = {}
    for piece in named if pinned else ():
        there = piece.filter(pl.col("row").is_in(rows_of))
        ids |= dict(there.select("row", "order_id").iter_rows())
    found = []
    for c in certificate.conflicts:
        kind, name = "pin", ids.get(int(problem.row[c.number])) if pinned else None
        if c.kind == "row":
            assert limits is not None
            kind, name = limits.named(c.number).kind, limits.named(c.number).name
        found.append((kind, name, c.rank, c.asked, c.reached, c.asked - c.reached))
    kinds = {column.name: polars_type(column.kind) for column in CONFLICTS.columns}
    table = pl.DataFrame(found, schema=kinds, orient="row")
    return table.sort("priority", "kind", "limit")


def order_prices_table(
    problem: Problem, solution: Solution, named: Iterable[pl.DataFrame]
) -> pl.DataFrame:
    """Prices of orders other than 0, by ``order_id``, where the proof has any."""
    import polars as pl

    assert solution.order_price is not None
    priced = np.flatnonzero(solution.order_price)
    prices = pl.DataFrame(
        {"row": problem.row[priced], "price_cny": cny(solution.order_price[priced])}
    )
    parts = [piece.join(prices, on="row", how="inner") for piece in named]
    return pl.concat(parts).select("order_id", "price_cny").sort("order_id")
