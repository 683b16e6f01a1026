"""Prices of a packing night, and the orders that could matter at them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import effective_price
from optimizer.solvers.compiling import compiling_seconds
from optimizer.solvers.deadline import EXTRA_SECONDS
from optimizer.solvers.market import sub_market, whole_market
from optimizer.solvers.network.refine_prices import with_added
from optimizer.solvers.network.screen import given_prices
from optimizer.solvers.owners import order_at
from optimizer.solvers.packing.local_search import first_plan, margins
from optimizer.solvers.packing.market import (
    PackingPrices,
    bound_at,
    price_limits,
    side_of,
)
from optimizer.solvers.packing.newton import make_bounds, newton_prices
from optimizer.solvers.screen import ScreenParams, screen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import SolveParams
    from optimizer.solvers.market import NearMarket, Threads
    from optimizer.solvers.packing.market import Targets

#: Windows of the prices as shares of the mean saving: of the first market, and of those
#: after it.
FIRST_WINDOWS, NEXT_WINDOWS, LAST_WINDOWS = (1.0, 0.05), (0.2, 0.005), (0.05, 0.001)
#: The first market has of each merchant so many times its cap, later ones so many, at
#: most so many times the mean saving below their prices.
FIRST_DEPTH, DEPTH, REACH = 3, 2, 1.0
#: The near market is widened until all orders bound hardly more than it does.
CLOSE_BOUND, MOST_SCREENS = 1e-7, 4
#: A night with no more options than this is its own near market.
FEW = 3_000


@dataclass(frozen=True, slots=True, eq=False)
class PackingSearch:
    """
    Data that all steps of one solve share.

    Attributes
    ----------
    problem, params, pool
        The night, how long to try, threads.
    ends
        When the time is up, on the monotonic clock, if nothing has to be compiled.
    unit
        A common divisor, in micro-CNY, of the savings of all plans.
    compiled
        Seconds of compiling before the solve: later ones are not counted.
    cut
        Set once a step ended, or was left out, because of the clock.
    """

    problem: Problem
    params: SolveParams
    pool: Threads
    ends: float
    unit: int = 1
    compiled: float = 0.0
    cut: Event = field(default_factory=Event)

    def seconds_left(self) -> float:
        """Wall time; that of compiling kernels, once on a machine, is given back."""
        compiling = compiling_seconds() - self.compiled
        return self.ends + compiling - time.monotonic()

    def is_late(self, kept_back: float = 0.0) -> bool:
        """Whether the time is up, but for so many seconds; who asks then stops."""
        if self.seconds_left() > kept_back and not self.pool.is_stopped():
            return False
        self.cut.set()
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Priced:
    """
    Orders that could matter, at their prices.

    Attributes
    ----------
    market, prices
        The orders and the prices.
    merchant_price
        ``(num_merchants,) int64``.
    bound
        The dual bound of all orders, micro-CNY.
    chosen
        ``(n,) int64``: the best plan that was made on the way; none on small nights.
    """

    market: NearMarket
    prices: PackingPrices
    merchant_price: NDArray[np.int64]
    bound: int
    chosen: NDArray[np.int64]


def priced_market(
    search: PackingSearch, targets: Targets, before: Priced | None
) -> Priced:
    """
    Find prices, and widen the near market until they hold for all orders.

    Parameters
    ----------
    search, targets
        The night; what a plan can be held to.
    before
        An earlier market, whose orders stay in. Its prices may have hoped for floors
        that nothing reaches, so they are no start.

    Returns
    -------
    Priced
        With a plan at the first prices of large nights: prices take most of the time,
        and however much of it is left, what is decided is no worse.
    """
    problem, pool = search.problem, search.pool
    whole = whole_market(problem, targets.is_pinned)
    extra = min(max(EXTRA_SECONDS - search.seconds_left(), 0.0), EXTRA_SECONDS)

    def is_late() -> bool:
        return search.is_late(-extra)

    def improved(
        market: NearMarket,
        prices: PackingPrices,
        scale: float,
        windows: tuple[float, float],
    ) -> PackingPrices:
        ground = make_bounds(problem, market, targets.low)
        return newton_prices(
            ground, prices, pool, scale=scale, windows=windows, is_late=is_late
        )[0]

    ones = np.ones(problem.num_merchants, np.int64)

    def near(prices: PackingPrices, depth: int, reach: int) -> NDArray[np.int64]:
        sieve = ScreenParams(ones, problem.cap, depth, reach)
        return screen(whole, prices.lane, prices.row, sieve, pool)

    def planned(
        market: NearMarket, prices: PackingPrices, known: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        if is_small or before is not None or is_late():
            return known
        merchant_price, _ = bound_at(problem, market, prices, targets.low, pool)
        worth = margins(market, prices, merchant_price)
        return first_plan(problem, market, worth, known, search.is_late)

    is_small = problem.num_options <= FEW
    prices = _start(problem, search.params)
    first = sub_market(whole, near(prices, FIRST_DEPTH, 0), problem.cap, pool)
    scale = _mean_saving(first)
    prices = improved(first, prices, scale, FIRST_WINDOWS)
    orders = np.arange(problem.num_orders if is_small else 0)
    chosen = np.zeros(0, np.int64)
    if before is None:
        chosen = planned(first, prices, chosen)
        orders = with_added(orders, order_at(problem, chosen))
    else:
        orders, chosen = before.market.order, before.chosen
    for number in range(MOST_SCREENS):
        orders = with_added(orders, near(prices, DEPTH, int(REACH * scale)))
        market = sub_market(whole, orders, problem.cap, pool)
        for windows in (NEXT_WINDOWS, LAST_WINDOWS):
            prices = improved(market, prices, scale, windows)
        merchant_price, bound = bound_at(problem, whole, prices, targets.low, pool)
        if number == 0:
            chosen = planned(market, prices, chosen)
        close = bound_at(problem, market, prices, targets.low, pool)[1]
        if is_late() or bound - close <= CLOSE_BOUND * abs(bound):
            break
    return Priced(market, prices, merchant_price, bound, chosen)


def _start(problem: Problem, params: SolveParams) -> PackingPrices:
    """Prices to start from: zeros, or the proposed ones."""
    row = np.zeros(side_of(problem).num_rows, np.int64)
    if params.start_price is None:
        return PackingPrices(np.zeros(problem.num_lanes, np.int64), row)
    own, _ = given_prices(problem, params.start_price)
    limit = price_limits(problem, side_of(problem).low)[0]
    return PackingPrices(
        np.minimum(effective_price(own, problem.lane_parent), limit), row
    )


def _mean_saving(market: NearMarket) -> float:
    """Mean of the savings above 0, micro-CNY, at least 1."""
    saving = market.option_saving
    return float(saving[saving > 0].mean()) if np.any(saving > 0) else 1.0
