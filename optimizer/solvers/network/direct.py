"""
Solve a small night at once: all orders that a plan could choose, balanced together.

Each lane starts at the price at which it would be sold out if it were alone. On few
orders balancing from there takes less time than a screen and better prices would save.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import own_price
from optimizer.model.solution import Solution, Termination
from optimizer.solvers.market import NearMarket, Threads, whole_market
from optimizer.solvers.network.augmenting_paths import (
    Patience,
    Stalled,
    balance,
    choose_at,
    make_network,
    make_search,
    plan_at,
)
from optimizer.solvers.network.initial_prices import clearing_price
from optimizer.solvers.network.price_interval import cap_prices
from optimizer.solvers.network.refine_prices import PriceSearch
from optimizer.solvers.network.screen import is_closed
from optimizer.solvers.network.solve import solve_market, with_closed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import Market

#: With more options than this a night is not small; where each order has one, with
#: more than that: then lanes compete through caps alone, and the first prices are good.
SMALL_OPTIONS, SINGLE_OPTIONS = 40_000, 120_000
#: Arcs that balancing may try, and for each option; where it takes more, other ways are
#: faster.
MOST_ARCS, OPTION_ARCS = 500_000, 20
#: Orders that are balanced first where not all are, for each place in a cap.
CLOSE_ORDERS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """
    The orders and options that a plan could choose.

    Attributes
    ----------
    market
        With no other options than these.
    option
        ``(num_options,) int64``: the options' places in the problem, ascending.
    best_lane, best_saving
        ``(num_orders,)`` int32 and int64: each order's best option.
    """

    market: NearMarket
    option: NDArray[np.int64]
    best_lane: NDArray[np.int32]
    best_saving: NDArray[np.int64]


def solve_directly(problem: Problem) -> Solution | None:
    """
    Find the optimum of a small night, and the lowest prices that prove it.

    Parameters
    ----------
    problem
        The night.

    Returns
    -------
    Solution or None
        ``None`` where the night is not small, or balancing it is not quick.
    """
    is_small = problem.num_options <= SMALL_OPTIONS
    if not is_small and problem.num_options > min(problem.num_orders, SINGLE_OPTIONS):
        return None
    most_arcs = MOST_ARCS + OPTION_ARCS * problem.num_options
    full = whole_market(problem)
    live = live_orders(problem, full)
    price = _first_price(problem, live)
    with Threads(1) as pool:
        search = PriceSearch(problem, full, 0.0, pool, _never, Patience(0, most_arcs))
        try:
            if is_small:
                pick, least = _balanced(search, live, price)
            else:
                pick, least = _closest_first(search, live, price)
        except Stalled:
            return None
        chosen = live.option[pick[pick >= 0]]
        price = with_closed(problem, full, chosen, least, pool)
    own = own_price(price, problem.lane_parent)
    return Solution(chosen, own, cap_prices(problem, price), Termination("OPTIMAL"))


def _never() -> bool:
    """No clock is needed: arcs are counted."""
    return False


def _balanced(
    search: PriceSearch, live: Live, price: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Balance all live orders; the option of each, and the least effective prices."""
    from optimizer.solvers.kernels.paths import least_prices

    choice = choose_at(live.market, price, search.pool)
    night = make_network(search.problem, live.market)
    plan, scratch = plan_at(night, live.market, choice.pick, choice), make_search(night)
    balance(night, plan, scratch, search.is_late, search.patience)
    least = np.zeros(len(price), np.int64)
    least_prices(night, plan, scratch, least)
    return plan.pick, least


def _closest_first(
    search: PriceSearch, live: Live, price: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Balance the orders with the least margins, and then what that proves wrong."""
    num_close = CLOSE_ORDERS * int(search.problem.cap.sum())
    found = solve_market(search, live.market, price, num_close)
    return found.pick, found.price if found.least is None else found.least


def _first_price(problem: Problem, live: Live) -> NDArray[np.int64]:
    """Prices of lanes by themselves; 0 where there are slots for all caps."""
    slots = problem.slots[problem.lane_parent < 0].sum()
    if slots >= problem.cap.sum():
        return np.zeros(problem.num_lanes, np.int64)
    return clearing_price(
        live.best_lane, live.best_saving, problem.slots, problem.lane_parent
    )


def live_orders(problem: Problem, full: Market) -> Live:
    """
    List the orders and options that a plan could choose.

    Parameters
    ----------
    problem, full
        The night, and the market of all its orders.
    """
    from optimizer.solvers.kernels.screen import list_live

    num_orders, num_options = problem.num_orders, problem.num_options
    order = np.empty(num_orders, np.int64)
    order_merchant, best_lane = np.empty((2, num_orders), np.int32)
    best_saving = np.empty(num_orders, np.int64)
    start = np.empty(num_orders + 1, np.int64)
    merchant_start = np.empty(problem.num_merchants + 1, np.int64)
    option, option_saving = np.empty((2, num_options), np.int64)
    option_order, option_lane = np.empty((2, num_options), np.int32)
    num_live, num_ways = list_live(
        full.orders,
        is_closed(problem),
        order=order,
        order_merchant=order_merchant,
        merchant_start=merchant_start,
        option_start=start,
        option=option,
        option_order=option_order,
        option_lane=option_lane,
        option_saving=option_saving,
        best_lane=best_lane,
        best_saving=best_saving,
    )
    market = NearMarket(
        merchant_start=merchant_start,
        cap=problem.cap,
        option_start=start[: num_live + 1],
        option_lane=option_lane[:num_ways],
        option_saving=option_saving[:num_ways],
        side=None,
        parts=np.array([0, problem.num_merchants]),
        order=order[:num_live],
        order_merchant=order_merchant[:num_live],
        option_order=option_order[:num_ways],
    )
    return Live(market, option[:num_ways], best_lane[:num_live], best_saving[:num_live])
