"""
Exact at any size: price, screen, fix, balance, check.

1. **Price.** Newton prices, roughly on the best orders of a sample.
2. **Screen.** At these prices keep of each merchant the orders that could matter,
   a few per cent of all, and price them finely.
3. **Fix.** Let merchants choose. Orders with a clear choice are fixed; the others,
   some per mille of all, are the core.
4. **Balance.** Remove excess and shortage on lanes along shortest paths: plan and
   prices are then optimal for the core. Lower the prices to the least that prove
   the plan.
5. **Check.** Compare all fixed orders, then all that were screened out, with these
   prices. If none would change, the dual bound equals the plan's saving, and that is
   the proof. Otherwise free those that would change, and repeat. Freed orders stay
   free, so this ends; usually at once.

Integers decide every comparison; the Newton steps are floating point, but only
propose prices. One pass over all orders screens them, one checks them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import above_parents, ancestors, is_nested, own_price
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers.deadline import ends_after
from optimizer.solvers.market import Threads, sub_market, whole_market
from optimizer.solvers.network.augmenting_paths import (
    balance,
    choose_at,
    make_network,
    make_plan,
    make_search,
    picks_of,
)
from optimizer.solvers.network.primal_heuristic import (
    chosen_options,
    is_close_enough,
    quick_plan,
)
from optimizer.solvers.network.refine_prices import (
    PriceSearch,
    fine_prices,
    is_sparse,
    priced_market,
    widened,
    with_added,
)
from optimizer.solvers.network.screen import given_prices, is_closed, rough_prices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import Market, NearMarket
    from optimizer.solvers.network.augmenting_paths import Choice, Patience

#: After so many rounds that freed some, nothing is fixed: the whole market is the core.
MANY_ROUNDS = 4
#: Orders that a check collects, shared out over the parts of a market; if there are
#: more, only the one that needs most is freed on each lane.
MAX_FOUND = 65_536
#: Orders that the search for the least prices starts with, for each lane; those
#: nearest to their cut-off. Then so many times as many, until none is missed.
LOW_ORDERS, MORE = 48, 4


@dataclass(frozen=True, slots=True, eq=False)
class Balanced:
    """
    A plan of a market.

    Attributes
    ----------
    pick
        ``(num_orders,) int64``: the option of each order; -1 for none.
    price
        ``(num_lanes,) int64`` effective prices that go with it.
    least
        The least that prove it; ``None`` where the time was up before.
    """

    pick: NDArray[np.int64]
    price: NDArray[np.int64]
    least: NDArray[np.int64] | None


def solve_pricing(
    problem: Problem, params: SolveParams, patience: Patience | None = None
) -> Solution:
    """
    Find the optimum, and the lowest prices that prove it.

    Parameters
    ----------
    problem, params
        The night, and how long to try.
    patience
        How long balancing may take; ``None``: as long as there is time.

    Returns
    -------
    Solution
        ``OPTIMAL``, or ``FEASIBLE`` with limit ``TIME``: then with the best plan and
        prices there were.

    Raises
    ------
    Stalled
        When the patience is at its end.
    """
    ends = ends_after(params.time_limit_seconds)

    def is_late() -> bool:
        return time.monotonic() > ends()

    problem = with_room_for_all(problem)
    with Threads(params.num_threads) as pool:
        full = whole_market(problem)
        if params.start_price is None:
            rough, scale = rough_prices(problem, full, pool, is_late)
        else:
            rough, scale = given_prices(problem, params.start_price)
        search = PriceSearch(problem, full, scale, pool, is_late, patience)
        near, price = priced_market(search, rough)
        if params.relative_gap > 0:
            quick, bound = quick_plan(problem, full, near, price, pool, "GAP")
            if is_close_enough(problem, quick, bound, params.relative_gap):
                return quick
        return _prove(search, near, price)


def with_room_for_all(problem: Problem) -> Problem:
    """
    The same night, no lane with slots for more than one order beyond all of them.

    Slots that have a price at first are filled one by one: a billion take a minute.
    """
    most = problem.num_orders + 1
    if not np.any(problem.slots > most):
        return problem
    return replace(problem, slots=np.minimum(problem.slots, most))


def _prove(search: PriceSearch, near: NearMarket, price: NDArray[np.int64]) -> Solution:
    """
    Solve the near market and add orders that contradict its prices, until there are
    none.
    """
    parent = search.problem.lane_parent
    while not search.is_late():
        found = solve_market(search, near, price)
        price = found.price
        if found.least is None:
            break
        chosen = chosen_options(search.full.option_start, near, found.pick)
        least = with_closed(
            search.problem, search.full, chosen, found.least, search.pool
        )
        merchant_price, wrong, is_all = compare(search, search.full, chosen, least)
        own = own_price(least, parent)
        if len(wrong) == 0:
            return Solution(chosen, own, merchant_price, Termination("OPTIMAL"))
        if search.is_late():
            stop = Termination("FEASIBLE", "TIME")
            return Solution(chosen, own, merchant_price, stop)
        near = widened(search, near, wrong, None if is_all else own)
        if not is_all:
            price = fine_prices(search, near, own_price(price, parent))
    problem, full, pool = search.problem, search.full, search.pool
    return quick_plan(problem, full, near, price, pool, "TIME")[0]


def solve_market(
    search: PriceSearch,
    market: NearMarket,
    price: NDArray[np.int64],
    num_close: int | None = None,
) -> Balanced:
    """
    Find the optimum of a market from prices near the best.

    Parameters
    ----------
    search
        What all steps share.
    market
        Orders that could matter.
    price
        ``(num_lanes,) int64`` effective prices to start from.
    num_close
        Orders that are not fixed at first, about; ``None``: those that are close.
    """
    kept = np.zeros(0, np.int64)
    is_few = num_close is None and is_sparse(market, search.problem)
    for num_rounds in count():
        if search.is_late():
            return Balanced(kept, price, None)
        choice = choose_at(market, price, search.pool)
        if is_few or num_rounds == MANY_ROUNDS:
            kept = np.arange(market.num_orders)
        if num_close is None:
            close = np.flatnonzero(choice.margin <= search.close)
        else:
            close = closest(choice.margin, num_close)
        kept = with_added(kept, close)
        core = sub_market(market, kept, market.cap, search.pool)
        night = make_network(search.problem, core)
        plan = make_plan(night, market, core, choice)
        scratch = make_search(night)
        is_done, stuck = balance(night, plan, scratch, search.is_late, search.patience)
        price = above_parents(plan.price, search.problem.lane_parent)
        if not is_done:
            return Balanced(choice.pick, price, None)
        is_all = core.num_orders == market.num_orders
        if stuck:
            wrong = orders_on(market, stuck, search.problem.lane_parent)
        else:
            pick = picks_of(plan, market, core, choice)
            chosen = pick[pick >= 0]
            wrong = kept[:0] if is_all else compare(search, market, chosen, price)[1]
        if len(wrong) == 0:
            break
        kept = with_added(kept, wrong)
    choice = replace(
        choice,
        price=price,
        pick=pick,
        used=plan.used,
        merchant_price=plan.merchant_price,
    )
    return _lowered(search, market, choice, kept)


def _lowered(
    search: PriceSearch, market: NearMarket, choice: Choice, kept: NDArray[np.int64]
) -> Balanced:
    """Lower the prices of an optimal plan to the least that prove it."""
    from optimizer.solvers.kernels.paths import least_prices

    chosen = choice.pick[choice.pick >= 0]
    for num_rounds in count():
        if search.is_late():
            break
        num_wanted = LOW_ORDERS * MORE**num_rounds * len(choice.price)
        wanted = closest(choice.margin, num_wanted)
        is_all = len(wanted) == market.num_orders
        kept = wanted if is_all else with_added(kept, wanted)
        core = sub_market(market, kept, market.cap, search.pool)
        night = make_network(search.problem, core)
        plan = make_plan(night, market, core, choice)
        least = np.zeros(len(choice.price), np.int64)
        least_prices(night, plan, make_search(night), least)
        if core.num_orders == market.num_orders:
            return Balanced(choice.pick, choice.price, least)
        _, wrong, _ = compare(search, market, chosen, least)
        if len(wrong) == 0:
            return Balanced(choice.pick, choice.price, least)
        kept = with_added(kept, wrong)
    return Balanced(choice.pick, choice.price, choice.price)


def closest(margin: NDArray[np.int64], num_wanted: int) -> NDArray[np.int64]:
    """
    About so many orders with the least margins, by a sample; positions, ascending.

    Examples
    --------
    >>> closest(np.array([5, 1, 9, 3]), 2).tolist()
    [1, 3]
    """
    if num_wanted >= len(margin):
        return np.arange(len(margin))
    sample = margin[:: max(1, len(margin) // 65_536)]
    place = num_wanted * len(sample) // len(margin)
    return np.flatnonzero(margin < np.partition(sample, place)[place])


def orders_on(
    market: NearMarket, lanes: list[int], lane_parent: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Orders with an option on some lanes or their descendants, ascending."""
    is_there = np.zeros(len(lane_parent), np.bool_)
    is_there[lanes] = True
    for below, above in ancestors(lane_parent):
        is_there[below] |= np.isin(above, lanes)
    is_on = np.zeros(market.num_orders, np.bool_)
    is_on[market.option_order[is_there[market.option_lane]]] = True
    return np.flatnonzero(is_on)


def with_closed(
    problem: Problem,
    full: Market,
    chosen: NDArray[np.int64],
    least: NDArray[np.int64],
    pool: Threads,
) -> NDArray[np.int64]:
    """
    The least effective prices of all lanes, from those of the lanes with slots.

    No order is on a lane without slots, so its price depends on the others' and none on
    it. The orders that determine it may have been screened out.

    Parameters
    ----------
    problem, full, pool
        The night, all its orders, threads.
    chosen
        ``(num_chosen,) int64``: chosen options of an optimal plan, ascending.
    least
        ``(num_lanes,) int64`` effective prices of the lanes with slots, micro-CNY.
    """
    from optimizer.solvers.kernels.accept import raise_along_tree
    from optimizer.solvers.kernels.choose import closed_offers

    closed = is_closed(problem)
    if not closed.any():
        return least
    offers = np.zeros((len(full.parts) - 1, len(least)), np.int64)
    orders, chosen_start = full.orders, starts_of(full, chosen)

    def work(part: int, first: int, last: int) -> None:
        closed_offers(
            first,
            last,
            orders=orders,
            price=least,
            is_closed=closed,
            chosen=chosen,
            chosen_start=chosen_start,
            offers=offers[part],
        )

    pool.over_parts(full, work)
    price = np.where(closed, offers.max(axis=0), least)
    if is_nested(problem.lane_parent):
        raise_along_tree(problem.lane_parent, np.where(closed, problem.slots, 0), price)
    return price


def starts_of(market: Market, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each merchant's options start among chosen ones, which ascend."""
    first_option = market.option_start[market.merchant_start]
    return np.searchsorted(chosen, first_option).astype(np.int64)


def compare(
    search: PriceSearch,
    market: Market,
    chosen: NDArray[np.int64],
    price: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
    """
    Compare a plan with what a market's merchants would choose at effective prices.

    Parameters
    ----------
    search
        What the search for prices works with.
    market
        Orders and options by merchant.
    chosen
        ``(num_chosen,) int64``: chosen options of the market, ascending.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.

    Returns
    -------
    merchant_price, wrong, is_all
        The lowest best price of each cap; orders that the merchants would decide
        differently, ascending (if there are very many, the most urgent ones); and
        whether these are all.
    """
    from optimizer.solvers.kernels.choose import check

    num_lanes, num_parts = len(price), len(market.parts) - 1
    chosen_start = starts_of(market, chosen)
    merchant_price = np.zeros(len(market.cap), np.int64)
    most = MAX_FOUND // num_parts
    found = np.empty((num_parts, most), np.int64)
    needed, wanting = np.full((2, num_parts, num_lanes), -1, np.int64)
    yielding = np.full(len(market.cap), -1, np.int64)

    orders = market.orders

    def work(part: int, first: int, last: int) -> int:
        count = check(
            first,
            last,
            orders=orders,
            price=price,
            chosen=chosen,
            chosen_start=chosen_start,
            merchant_price=merchant_price,
            found=found[part],
            needed=needed[part],
            wanting=wanting[part],
            yielding=yielding,
        )
        return int(count)

    counts = search.pool.over_parts(market, work)
    if max(counts, default=0) <= most:
        listed = [found[part, :count] for part, count in enumerate(counts)]
        return merchant_price, np.sort(np.concatenate(listed)), True
    strongest = wanting[np.argmax(needed, axis=0), np.arange(num_lanes)]
    both = np.concatenate((strongest[strongest >= 0], yielding[yielding >= 0]))
    return merchant_price, np.unique(both), False
