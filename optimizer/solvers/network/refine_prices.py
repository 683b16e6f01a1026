"""Fine prices, and the orders that could matter at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import effective_price, lane_use, own_price
from optimizer.solvers.market import sub_market
from optimizer.solvers.network.augmenting_paths import choose_at
from optimizer.solvers.network.newton import Lanes, is_nearly_balanced, newton_prices
from optimizer.solvers.network.screen import REACH, near_market

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import Market, NearMarket, Threads, sub_market
from optimizer.solvers.network.augmenting_paths import Patience

#: Windows of the fine prices, as shares of the mean price: of all near orders, and
#: of those within so much of their cut-off.
FINE_WINDOWS, FINEST_WINDOWS, FINE = (0.15, 0.02), (0.012, 0.002), 0.1
#: The first of them where there are few orders.
FEW_WINDOW = 0.05
#: An order is close, and goes to the core, within this share of the mean price.
CLOSE = 0.01
#: With fewer orders than this, for each lane or in all, these are balanced together,
#: which mends rough prices faster than further steps would.
FEW_ORDERS, SMALL_MARKET = 8, 5_000
#: Screens before the first solve, at most, after the one at rough prices.
MOST_SCREENS = 3


@dataclass(frozen=True, slots=True, eq=False)
class PriceSearch:
    """
    Data that all steps of one solve share.

    Attributes
    ----------
    problem
        The night.
    full
        All its orders as a market.
    scale
        A typical price, micro-CNY.
    pool
        Threads.
    is_late
        Whether the time is up.
    patience
        How long balancing may take; ``None``: as long as there is time.
    """

    problem: Problem
    full: Market
    scale: float
    pool: Threads
    is_late: Callable[[], bool]
    patience: Patience | None = None

    @property
    def close(self) -> int:
        """Orders within it of their cut-off are close, micro-CNY."""
        return max(1, int(CLOSE * self.scale))


def priced_market(
    search: PriceSearch, rough: NDArray[np.int64]
) -> tuple[NearMarket, NDArray[np.int64]]:
    """
    Screen at rough own prices, and find fine effective ones.

    If these are so much lower that the screen may have left out orders that now matter,
    it is widened.
    """
    problem, parent = search.problem, search.problem.lane_parent
    near = near_market(problem, search.full, rough, search.scale, search.pool)
    price = fine_prices(search, near, rough)
    lowest = effective_price(rough, parent)
    for _ in range(MOST_SCREENS):
        is_low = price < lowest - REACH * search.scale
        if search.is_late() or not is_low.any():
            break
        own = own_price(price, parent)
        near = widened(search, near, near.order[:0], own)
        lowest = np.minimum(lowest, price)
        price = fine_prices(search, near, own)
    return near, price


def fine_prices(
    search: PriceSearch, near: NearMarket, price: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Effective prices of a near market, at last from its close orders alone."""
    problem, pool, scale = search.problem, search.pool, search.scale
    is_late, parent = search.is_late, problem.lane_parent
    lanes, is_few = Lanes(problem.slots, parent), is_sparse(near, problem)
    if is_few and is_nearly_balanced(near, lanes, price, pool):
        return effective_price(price, parent)
    windows = (FEW_WINDOW, FINE_WINDOWS[1]) if is_few else FINE_WINDOWS
    price = newton_prices(
        near, lanes, price, pool, scale=scale, windows=windows, is_late=is_late
    )
    if is_few or is_late():
        return effective_price(price, parent)
    choice = choose_at(near, effective_price(price, parent), pool)
    is_close = choice.margin <= FINE * scale
    fixed = choice.pick[~is_close & (choice.pick >= 0)]
    merchant = near.order_merchant[near.option_order[fixed]]
    cap = near.cap - np.bincount(merchant, minlength=problem.num_merchants)
    close = sub_market(near, np.flatnonzero(is_close), cap, pool)
    left = Lanes(problem.slots - lane_use(near.option_lane[fixed], parent), parent)
    price = newton_prices(
        close, left, price, pool, scale=scale, windows=FINEST_WINDOWS, is_late=is_late
    )
    return effective_price(price, parent)


def is_sparse(near: NearMarket, problem: Problem) -> bool:
    """Whether there are few orders, for each lane or in all."""
    return near.num_orders <= max(FEW_ORDERS * problem.num_lanes, SMALL_MARKET)


def widened(
    search: PriceSearch,
    near: NearMarket,
    wrong: NDArray[np.int64],
    price: NDArray[np.int64] | None,
) -> NearMarket:
    """
    Add orders: those decided wrongly, and those that could matter at own prices.

    Parameters
    ----------
    search
        What the search for prices works with.
    near
        The core so far.
    wrong
        ``(k,) int64``: orders that the prices would decide otherwise.
    price
        ``(num_lanes,) int64`` own prices to screen at, micro-CNY; ``None``: do not
        screen.
    """
    orders = with_added(near.order, wrong)
    if price is not None:
        again = near_market(
            search.problem, search.full, price, search.scale, search.pool
        )
        orders = with_added(orders, again.order)
    return sub_market(search.full, orders, near.cap, search.pool)


def with_added(orders: NDArray[np.int64], more: NDArray[np.int64]) -> NDArray[np.int64]:
    """
    Add orders; both inputs and the result are ascending, each order once.

    Examples
    --------
    >>> with_added(np.array([2, 5]), np.array([1, 5, 9])).tolist()
    [1, 2, 5, 9]
    """
    if len(orders) == 0:
        return more
    together = np.concatenate((orders, more))
    together.sort(kind="stable")  # two sorted runs are merged
    is_new = np.ones(len(together), np.bool_)
    np.not_equal(together[1:], together[:-1], out=is_new[1:])
    return together[is_new]
