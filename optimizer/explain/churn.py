"""A night compared with the one before: prices to start from, and changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.lanes import Place
from optimizer.contracts.run_folder import pinned, read_record
from optimizer.contracts.tables import LANE_RESULTS, RECOMMENDATIONS
from optimizer.errors import DataError
from optimizer.explain.night import Night
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.given import may_be_path
from optimizer.io.order_keys import order_keys
from optimizer.io.published_tables import as_of_today
from optimizer.io.write import read_back
from optimizer.model.lane_tree import effective_price

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.model.problem import Problem

#: The tables of an earlier night that are read.
PREVIOUS_TABLES = (RECOMMENDATIONS.file, LANE_RESULTS.file)
_LANE = ("carrier_id", "region_id", "outlet_id", "service_date")


@dataclass(frozen=True, slots=True, eq=False)
class Previous:
    """
    What is used of an earlier night.

    Attributes
    ----------
    chosen
        ``order_id`` and ``carrier_id`` of its recommendations.
    prices
        ``carrier_id``, ``region_id``, ``outlet_id``, perhaps ``service_date``, and
        ``shadow_price_cny`` of its lanes.
    """

    chosen: pl.DataFrame
    prices: pl.DataFrame


def read_previous(previous: Any) -> Previous:
    """
    Take what is needed of an earlier night.

    Parameters
    ----------
    previous
        A :class:`~optimizer.explain.night.Night`, or the folder of a published run.

    Raises
    ------
    DataError
        When it is neither.
    """
    if isinstance(previous, Night):
        tables = previous.recommendations, previous.lanes
    elif isinstance(previous, str | Path) or hasattr(previous, "__fspath__"):
        if not may_be_path(str(previous)):
            raise DataError("previous is no path; give a Night or the folder of a run")
        tables = _run_tables(Path(previous))
    else:
        kind = type(previous).__name__
        raise DataError(f"previous is a {kind}; give a Night or the folder of a run")
    chosen, lanes = tables
    names = [name for name in _LANE if name in lanes.columns]
    return Previous(
        chosen.select("order_id", "carrier_id"),
        lanes.select(*names, "shadow_price_cny"),
    )


def _run_tables(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    folder = pinned(folder)
    read_record(folder)
    with damaged_is_data_error(str(folder)):
        chosen, lanes = (
            as_of_today(read_back(folder / name), name) for name in PREVIOUS_TABLES
        )
    return chosen, lanes


def start_prices(
    previous: Previous, problem: Problem, index: Names
) -> NDArray[np.int64] | None:
    """
    Effective lane prices to start from, by place.

    New lanes start at the price of their parent; invalid prices (missing, negative, not
    finite, above every saving) count as 0, and so do those of lanes with room for all
    orders tonight: a solver would fill a million slots that have a price one by one.

    Returns
    -------
    ``(num_lanes,) int64`` micro-CNY, or ``None`` where no lane was there before.
    """
    highest = int(problem.option_saving.max(initial=0))
    known: dict[Place, int] = {}
    for *place, price in previous.prices.iter_rows():
        is_price = price is not None and np.isfinite(price) and price >= 0
        known[Place(*place)] = round(price * 1e6) if is_price else 0
    if not any(place in known for place in index.places):
        return None
    prices = [
        min(known.get(place, 0) // index.scale, highest) for place in index.places
    ]
    own = np.array(prices, np.int64)
    if problem.side is None:
        own[problem.slots > problem.num_orders] = 0
    return effective_price(own, problem.lane_parent)


def earlier_options(
    previous: Previous, problem: Problem, places: Sequence[Place], salt: int
) -> NDArray[np.int64]:
    """
    Options of this problem that the earlier night chose, ascending.

    Parameters
    ----------
    previous
        The earlier night.
    problem, places
        This night, and the names of its lanes.
    salt
        Of this night's order keys.

    Returns
    -------
    ``(k,) int64``
        Options; orders and carriers that are not in this night are left out.
    """
    key, _ = order_keys(previous.chosen["order_id"], salt)
    carrier = dict(zip(key.tolist(), previous.chosen["carrier_id"], strict=True))
    order = np.flatnonzero(np.isin(problem.key, key))
    found = []
    for place in order.tolist():
        wanted = carrier[int(problem.key[place])]
        first, last = problem.option_start[place : place + 2]
        found += [
            option
            for option in range(first, last)
            if places[problem.option_lane[option]].carrier_id == wanted
        ]
    return np.array(found, np.int64)


def plan_table(
    problem: Problem, chosen: NDArray[np.int64], index: Names, named: pl.DataFrame
) -> pl.DataFrame:
    """
    ``order_id`` and ``carrier_id`` of the parcels of a plan.

    Parameters
    ----------
    problem, chosen, index
        The night, its plan's options, and the names behind its numbers.
    named
        ``row`` and ``order_id`` of its orders.
    """
    import polars as pl

    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    place = np.empty(len(index.status), np.int64)
    place[named["row"].to_numpy()] = np.arange(len(named))
    carriers = pl.Series([p.carrier_id for p in index.places], dtype=pl.String)
    return pl.DataFrame(
        {
            "order_id": named["order_id"].gather(place[problem.row[order]]),
            "carrier_id": carriers.gather(problem.option_lane[chosen]),
        }
    )


def churn_table(previous: Previous, recommendations: pl.DataFrame) -> pl.DataFrame:
    """
    Parcels whose recommendation changed.

    Returns
    -------
    pl.DataFrame
        ``order_id``, ``change`` (``ADDED``, ``REMOVED`` or ``MOVED`` to another
        carrier), ``carrier_id_before``, ``carrier_id_after``; by ``order_id``.
    """
    import polars as pl

    before = previous.chosen.rename({"carrier_id": "carrier_id_before"})
    after = recommendations.select("order_id", carrier_id_after="carrier_id")
    both = before.join(after, on="order_id", how="full", coalesce=True)
    was, now = pl.col("carrier_id_before"), pl.col("carrier_id_after")
    change = (
        pl.when(was.is_null())
        .then(pl.lit("ADDED"))
        .when(now.is_null())
        .then(pl.lit("REMOVED"))
        .when(was != now)
        .then(pl.lit("MOVED"))
    )
    return (
        both.with_columns(change=change)
        .filter(pl.col("change").is_not_null())
        .select("order_id", "change", "carrier_id_before", "carrier_id_after")
        .sort("order_id")
    )
