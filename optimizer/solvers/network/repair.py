r"""
Solve a changed night from the solved one: only what the change can reach is touched.

The solved night's orders that could matter at its prices are *near*; of the others each
merchant's best reduced saving is kept. When slots, caps or orders change, plan and
prices are balanced again among the near orders, from the old prices. A merchant's other
orders are looked at only if that best, raised by the largest fall of a price, exceeds
the new price of its cap:

.. math:: l_m + \max_r (p_r - p'_r)^+ > \mu'_m .

Those that are worth more than all their prices then become near, and the night is
balanced again, until there are none. Whether the result is the optimum is not for this
module to say: the certificate looks at every order.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import effective_price, own_price
from optimizer.model.solution import Solution, Termination
from optimizer.solvers.deadline import ends_after
from optimizer.solvers.kernels.rank import HIGH
from optimizer.solvers.market import Threads, sub_market, whole_market
from optimizer.solvers.network.augmenting_paths import Patience, Stalled
from optimizer.solvers.network.canonical_plan import with_canonical_plan
from optimizer.solvers.network.primal_heuristic import chosen_options
from optimizer.solvers.network.refine_prices import PriceSearch, fine_prices, with_added
from optimizer.solvers.network.screen import DEPTH, REACH, given_prices
from optimizer.solvers.network.solve import (
    MAX_FOUND,
    compare,
    solve_market,
    with_closed,
    with_room_for_all,
)
from optimizer.solvers.screen import ScreenParams, screen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import SolveParams
    from optimizer.solvers.market import Market, NearMarket

#: So many times are near orders added; a night that needs more is solved anew.
MOST_ROUNDS = 6
#: So often balancing may go through so many arcs; a solve takes less than more of it.
PATIENCE, ARCS = 10, 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class NearOrders:
    """
    The orders of a solved night that could matter if it changes.

    Attributes
    ----------
    order
        ``(k,) int64``: their places in the problem, ascending.
    price
        ``(num_lanes,) int64``: effective prices that they were found at, micro-CNY.
    left
        ``(num_merchants,) int64``: the best reduced saving of each merchant's other
        orders at these prices, or more; micro-CNY.
    """

    order: NDArray[np.int64]
    price: NDArray[np.int64]
    left: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Repaired:
    """
    A changed night's plan and prices.

    Attributes
    ----------
    solution
        With the canonical plan; the certificate says whether it is the optimum.
    near
        The orders that were near, for the next change.
    num_merchants
        Merchants whose other orders were looked at.
    """

    solution: Solution
    near: NearOrders
    num_merchants: int


def near_orders(
    problem: Problem, solution: Solution, num_threads: int | None = None
) -> NearOrders:
    """
    Find the orders of a solved network night that could matter if it changes.

    Parameters
    ----------
    problem, solution
        The night, with prices that prove its plan.
    num_threads
        ``None``: one for each core. Never changes a result.
    """
    from optimizer.solvers.kernels.repair import best_left_out

    price = effective_price(solution.lane_price, problem.lane_parent)
    priced = price[price > 0]
    scale = float(priced.mean()) if len(priced) else 1e6
    ones = np.ones(problem.num_merchants, np.int64)
    sieve = ScreenParams(ones, problem.cap, DEPTH, int(REACH * scale))
    left = np.empty(problem.num_merchants, np.int64)
    with Threads(num_threads) as pool:
        full = whole_market(problem)
        kept = screen(full, price, None, sieve, pool)
        kept_start = np.searchsorted(kept, full.merchant_start).astype(np.int64)
        orders = full.orders

        def work(_: int, first: int, last: int) -> None:
            best_left_out(
                first,
                last,
                orders=orders,
                price=price,
                kept=kept,
                kept_start=kept_start,
                left=left,
            )

        pool.over_parts(full, work)
    return NearOrders(kept, price, left)


def moved_orders(
    near: NearOrders,
    place: NDArray[np.int64],
    added: NDArray[np.int64],
    merchant: NDArray[np.int64],
) -> NearOrders:
    """
    Near orders of a night whose orders or merchants are others now.

    Parameters
    ----------
    near
        Before.
    place
        ``(num_orders,) int64``: where each order stands now; -1 where it is gone.
    added
        ``(k,) int64``: places of new orders, ascending; they are near.
    merchant
        ``(num_merchants,) int64``: each merchant's number before; -1 for a new one.
    """
    stays = place[near.order]
    left = np.full(len(merchant), -HIGH)
    left[merchant >= 0] = near.left[merchant[merchant >= 0]]
    return NearOrders(with_added(stays[stays >= 0], added), near.price, left)


def repair(problem: Problem, near: NearOrders, params: SolveParams) -> Repaired | None:
    """
    Find the optimum of a changed network night, and the lowest prices that prove it.

    Parameters
    ----------
    problem
        The changed night; its lanes are those of the solved one.
    near
        The solved night's near orders, moved to their present places.
    params
        With the solved night's effective prices as ``start_price``.

    Returns
    -------
    Repaired
        ``None`` where it takes longer than a solve would, or the time is up.
    """
    ends = ends_after(params.time_limit_seconds)
    problem = with_room_for_all(problem)
    patience = Patience(PATIENCE, ARCS)

    def is_late() -> bool:
        return time.monotonic() > ends()

    assert params.start_price is not None
    own, scale = given_prices(problem, params.start_price)
    with Threads(params.num_threads) as pool:
        full = whole_market(problem)
        search = PriceSearch(problem, full, scale, pool, is_late, patience)
        try:
            found = _balanced(search, near, own)
        except Stalled:
            return None
        if found is None:
            return None
        solution = with_canonical_plan(problem, found.solution, pool, ends())
    return replace(found, solution=solution)


def _balanced(
    search: PriceSearch, near: NearOrders, own: NDArray[np.int64]
) -> Repaired | None:
    """Balance the near orders, and add others until none is worth its prices."""
    problem, full, pool = search.problem, search.full, search.pool
    order = near.order
    looked = np.zeros(problem.num_merchants, np.bool_)
    market = sub_market(full, order, problem.cap, pool)
    price = fine_prices(search, market, own)
    for _ in range(MOST_ROUNDS):
        found = solve_market(search, market, price)
        if found.least is None:
            return None
        price = found.price
        chosen = chosen_options(full.option_start, market, found.pick)
        least = with_closed(problem, full, chosen, found.least, pool)
        picked = found.pick[found.pick >= 0]
        merchant_price, wrong, _ = compare(search, market, picked, least)
        if len(wrong):
            return None
        doubted = _doubted(near, least, merchant_price)
        looked[doubted] = True
        more = _worth_more(full, market, doubted, least, merchant_price)
        if more is None:
            return None
        if len(more) == 0:
            own = own_price(least, problem.lane_parent)
            solution = Solution(chosen, own, merchant_price, Termination("OPTIMAL"))
            return Repaired(solution, replace(near, order=order), int(looked.sum()))
        order = with_added(order, more)
        market = sub_market(full, order, problem.cap, pool)
    return None


def _doubted(
    near: NearOrders, price: NDArray[np.int64], merchant_price: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Merchants whose other orders may be worth more than their prices now."""
    fall = int(np.max(near.price - price, initial=0))
    return np.flatnonzero(near.left > merchant_price - fall)


def _worth_more(
    full: Market,
    market: NearMarket,
    merchants: NDArray[np.int64],
    price: NDArray[np.int64],
    merchant_price: NDArray[np.int64],
) -> NDArray[np.int64] | None:
    """Other orders of some merchants that are worth more than all their prices."""
    from optimizer.solvers.kernels.repair import look_again

    found = np.empty(MAX_FOUND, np.int64)
    count = look_again(
        merchants,
        orders=full.orders,
        price=price,
        merchant_price=merchant_price,
        kept=market.order,
        kept_start=market.merchant_start,
        found=found,
    )
    return None if count > MAX_FOUND else found[:count]
