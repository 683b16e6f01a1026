"""
The near market on the driver: gathered from executors, solved exactly, checked.

What is gathered is a few per cent of the orders: of each merchant at most
``2 * cap + 4``, and none whose saving is far below its lane's price. The optimum of
the near market is that of the night once executors, pricing all orders, find the same
cut-off for every cap: then no order outside would change the plan or its prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.distributed.passes import (
    Screen,
    Tied,
    is_plain,
    price_block,
    run_pass,
    screen_block,
)
from optimizer.errors import SolveError
from optimizer.model.problem import Problem, starts
from optimizer.model.tree import effective_price, own_price
from optimizer.solvers.fine import MOST_SCREENS, Search, fine_prices
from optimizer.solvers.market import Pool, whole_market
from optimizer.solvers.pricing import compare, solve_market
from optimizer.solvers.quick import chosen_options
from optimizer.solvers.screening import (
    DEPTH,
    FIRST_DEPTH,
    REACH,
    barred_prices,
    sampled_prices,
    sampling,
    sub_market,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from optimizer.distributed.blocks import Lanes
    from optimizer.solvers.pricing import Balanced

#: Orders that the driver takes at most; about 100 bytes each.
MOST_NEAR = 100_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """
    The night as the driver sees it: blocks, lanes and merchants, but no orders.

    Attributes
    ----------
    blocks
        The cached blocks.
    lanes
        Of the whole night.
    merchant_of
        By block, the number of each of its merchants among all.
    cap
        ``(num_merchants,) int64``.
    num_orders, highest
        Open orders, and the highest saving, micro-CNY.
    is_late
        Whether the time is up.
    tell
        Takes a line about progress.
    """

    blocks: DataFrame
    lanes: Lanes
    merchant_of: dict[int, NDArray[np.int64]]
    cap: NDArray[np.int64]
    num_orders: int
    highest: int
    is_late: Callable[[], bool]
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """
    The proved plan of the near market.

    Attributes
    ----------
    tied
        Chosen orders that prices alone do not decide.
    lane_price, merchant_price
        Own prices that prove the plan, micro-CNY.
    num_near, num_passes
        Orders gathered, and passes over the blocks.
    """

    tied: Tied
    lane_price: NDArray[np.int64]
    merchant_price: NDArray[np.int64]
    num_near: int
    num_passes: int


def solve_near(field: Field, num_threads: int | None) -> Near:
    """
    Find the optimum of the night, gathering only what could matter.

    Raises
    ------
    SolveError
        When the time is up, or the near market is too large for the driver.
    """
    with Pool(num_threads) as pool:
        rough, scale = _rough(field, pool)
        parent = field.lanes.parent
        effective = effective_price(rough, parent)
        near = gather(field, Screen(effective, 1, DEPTH, int(REACH * scale)))
        search = _search(field, near, scale, pool)
        price = fine_prices(search, _all_of(search), rough)
        lowest, passes = effective, 2
        for _ in range(MOST_SCREENS):
            if field.is_late() or not (price < lowest - REACH * scale).any():
                break
            screen = Screen(price, 1, DEPTH, int(REACH * scale))
            near = merged(field, near, gather(field, screen))
            search = _search(field, near, scale, pool)
            lowest, passes = np.minimum(lowest, price), passes + 1
            price = fine_prices(search, _all_of(search), own_price(price, parent))
        return _prove(field, search, price, passes)


def _rough(field: Field, pool: Pool) -> tuple[NDArray[np.int64], float]:
    """Rough own prices from a sample that executors send."""
    every = sampling(field.num_orders, int(field.cap.sum()), field.lanes.slots)
    nothing = merged(field)
    barred = barred_prices(nothing, field.highest)
    sample = gather(field, Screen(barred, every, FIRST_DEPTH, 0))
    market = sub_market(
        whole_market(sample), np.arange(sample.num_orders), _share(field, every), pool
    )
    return sampled_prices(sample, market, every, barred, pool, field.is_late)


def _share(field: Field, every: int) -> NDArray[np.int64]:
    """Caps of a sample: large merchants are in it in part, small ones whole or not."""
    return np.where(field.cap >= 4 * every, field.cap // every, field.cap)


def _prove(
    field: Field, search: Search, price: NDArray[np.int64], passes: int
) -> Near:
    """Solve, let executors check, and take in what they find, until nothing."""
    while True:
        found = solve_market(search, _all_of(search), price)
        if found.least is None or field.is_late():
            raise SolveError(
                "no proved plan within solver.time_limit_seconds; raise it"
            )
        near, price = search.problem, found.price
        field.tell(f"solved {near.num_orders:,} near orders")
        cut, total = _price(field, found.least)
        passes += 1
        chosen = _chosen(search, found)
        here, wrong, _ = compare(search, search.full, chosen, found.least)
        beyond = np.flatnonzero((cut > here) & (field.cap > 0))
        field.tell(f"checked all orders: {len(beyond):,} caps have others near")
        if len(beyond) == 0 and len(wrong) == 0:
            tied = _tied(field, near, chosen, found.least, cut)
            own = own_price(found.least, field.lanes.parent)
            return Near(tied, own, cut, near.num_orders, passes)
        only = {
            block: np.flatnonzero(np.isin(merchants, beyond))
            for block, merchants in field.merchant_of.items()
        }
        more = gather(field, Screen(found.least, 1, DEPTH, 0, only))
        passes += 1
        search = _search(field, merged(field, near, more), search.scale, search.pool)


def _price(field: Field, price: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Price of each cap at effective prices, from all orders, and the surplus."""
    task = partial(price_block, price=price)
    cut, total = np.zeros(len(field.cap), np.int64), 0
    for block, part in run_pass(field.blocks, task, field.lanes).items():
        cut[field.merchant_of[block]] = part["merchant_price"]
        total += int(part["surplus"])
    return cut, total


def gather(field: Field, screen: Screen) -> Problem:
    """The orders that a screen lets through, from all blocks, as a problem."""
    task = partial(screen_block, screen=screen)
    parts = []
    for block, part in run_pass(field.blocks, task, field.lanes).items():
        part["merchant"] = field.merchant_of[block][part["merchant"]]
        parts.append(part)
    return _problem(field, parts)


def merged(field: Field, *problems: Problem) -> Problem:
    """Orders that are in any of some problems, each once."""
    return _problem(field, [_parts(problem) for problem in problems])


def _parts(problem: Problem) -> dict[str, NDArray[Any]]:
    sizes = np.diff(problem.merchant_start)
    return {
        "merchant": np.repeat(np.arange(len(sizes)), sizes),
        "key": problem.key,
        "num_options": np.diff(problem.option_start),
        "lane": problem.option_lane,
        "saving": problem.option_saving,
    }


_KINDS = {
    "merchant": np.int64,
    "key": np.uint64,
    "num_options": np.int64,
    "lane": np.int32,
    "saving": np.int64,
}


def _problem(field: Field, parts: list[dict[str, NDArray[Any]]]) -> Problem:
    """Put gathered orders in canonical order, as the single machine has them."""
    given = {
        name: np.concatenate([np.zeros(0, kind), *(part[name] for part in parts)])
        for name, kind in _KINDS.items()
    }
    merchant, key = given["merchant"].astype(np.int64), given["key"].astype(np.uint64)
    if len(key) > MOST_NEAR:
        raise SolveError(
            f"{len(key):,} orders are near the margin, more than the driver takes "
            f"({MOST_NEAR:,}); are most lanes without a price?"
        )
    order = np.lexsort((key, merchant))
    same = (merchant[order][1:] == merchant[order][:-1]) & (
        key[order][1:] == key[order][:-1]
    )
    order = order[np.append(True, ~same)[: len(order)]]
    first = np.cumsum(given["num_options"]) - given["num_options"]
    count = given["num_options"][order]
    start = np.concatenate(([0], np.cumsum(count)))
    option = np.repeat(first[order] - start[:-1], count) + np.arange(start[-1])
    return Problem(
        merchant_start=starts(merchant[order], len(field.cap)),
        cap=field.cap,
        option_start=start,
        option_lane=given["lane"].astype(np.int32)[option],
        option_saving=given["saving"].astype(np.int64)[option],
        slots=field.lanes.slots,
        lane_parent=field.lanes.parent,
        key=key[order],
        row=np.arange(len(order)),
    )


def _search(field: Field, near: Problem, scale: float, pool: Pool) -> Search:
    return Search(near, whole_market(near), scale, pool, field.is_late)


def _all_of(search: Search) -> Any:
    every = np.arange(search.problem.num_orders)
    return sub_market(search.full, every, search.problem.cap, search.pool)


def _chosen(search: Search, found: Balanced) -> NDArray[np.int64]:
    return chosen_options(search.full, _all_of(search), found.pick)


def _tied(
    field: Field,
    near: Problem,
    chosen: NDArray[np.int64],
    price: NDArray[np.int64],
    cut: NDArray[np.int64],
) -> Tied:
    """Chosen orders that executors would not choose by prices alone, by block."""
    plain, option = is_plain(near, price, cut)
    tied = np.setdiff1d(chosen, option[plain])
    order = np.searchsorted(near.option_start, tied, side="right") - 1
    merchant = np.searchsorted(near.merchant_start, order, side="right") - 1
    block_of = np.zeros(len(field.cap), np.int64)
    for number, merchants in field.merchant_of.items():
        block_of[merchants] = number
    block = block_of[merchant]
    return {
        int(b): (near.key[order[block == b]], near.option_lane[tied[block == b]])
        for b in np.unique(block)
    }
