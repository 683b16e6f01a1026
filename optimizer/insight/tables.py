"""The tables of a night: outcomes with their names, ready to read or to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.insight.outcomes import ARMS
from optimizer.model.reasons import REASON_NAMES, Reason
from optimizer.model.tree import lane_use

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.insight.outcomes import Outcomes
    from optimizer.model.build import Index
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution

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

    used = lane_use(problem.option_lane[solution.chosen], problem.lane_parent)
    explored = 0 if index.pool is None else index.pool.used_slots
    names = ("carrier_id", "region_id", "outlet_id")
    frame = pl.DataFrame(
        {
            name: pl.Series([place[i] for place in index.places], dtype=pl.String)
            for i, name in enumerate(names)
        }
        | {
            "slots": problem.slots + explored,
            "used": used + explored,
            "slack": problem.slots - used,
            "shadow_price_cny": cny(solution.lane_price),
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
