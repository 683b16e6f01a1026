"""
A night over blocks of merchants: what is asked of the blocks, and what each answers.

Everything that limits an order but the lanes belongs to its merchant. So prices go out,
and integer sums and the few orders near the margin come back; a merchant may be spread
over several blocks, by key. Whoever keeps the blocks (executors of a cluster, threads,
processes) is a maker of :class:`Blocks`, and calls the functions of a block given here:
what a night is over blocks is told once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from optimizer.model.lane_tree import effective_price
from optimizer.model.reduced_savings import NO_OPTION, best_of
from optimizer.model.solution import Solution, Termination

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import NearMarket

#: What a block answers: arrays by name.
Part = dict[str, Any]
Value = TypeVar("Value")


class ByBlock(dict[int, Value]):
    """
    Values by number of the block.

    Whoever sends work to blocks elsewhere may send each its own entry alone.
    """


#: Chosen orders that prices alone do not decide, by block: their keys and lanes.
Tied = ByBlock[tuple[Any, Any]]


class Blocks(Protocol):
    """
    The orders of a night, in blocks that somebody keeps.

    Each verb is answered by every block, in any order and at any time before it
    returns; answers are by number of the block, ascending. What comes back is the same
    for whoever keeps them.
    """

    def screen(self, asked: Screen, /) -> dict[int, Part]:
        """Give the orders that could matter; :func:`screen_block` of each block."""

    def bound(self, asked: CapPrices, /) -> dict[int, Part]:
        """Give integer sums at prices; :func:`bound_block` of each block."""


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """
    How much of each merchant comes back; a
    :class:`~optimizer.solvers.screen.ScreenParams`.

    Attributes
    ----------
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    share_of
        By block, the cap of that share of each merchant; 0 leaves it out.
    every
        Of merchants with a cap of at least ``4 * every``, one order in how many is
        looked at.
    depth, reach
        As in :class:`~optimizer.solvers.network.screen.ScreenParams`.
    """

    price: NDArray[np.int64]
    share_of: Mapping[int, NDArray[np.int64]]
    every: int
    depth: int
    reach: int


@dataclass(frozen=True, slots=True, eq=False)
class DecidingPrices:
    """
    Prices and ties that decide every order.

    Attributes
    ----------
    lane_price
        ``(num_lanes,) int64`` own prices, micro-CNY.
    merchant_price_of
        By block, the price of each merchant's cap.
    tied
        Chosen orders that these prices do not decide.
    has_budget_of
        By block, caps that budgets make; ``None`` where there are no budgets.
    """

    lane_price: NDArray[np.int64]
    merchant_price_of: Mapping[int, NDArray[np.int64]]
    tied: Tied
    has_budget_of: Mapping[int, NDArray[np.bool_]] | None


@dataclass(frozen=True, slots=True, eq=False)
class CapPrices:
    """
    Prices at which all orders are added up.

    Attributes
    ----------
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    cut_of
        By block, the price of each merchant's cap, micro-CNY.
    """

    price: NDArray[np.int64]
    cut_of: Mapping[int, NDArray[np.int64]]


def screen_block(block: int, problem: Problem, screen: Screen) -> Part:
    """
    The best orders of each merchant at effective prices.

    Parameters
    ----------
    block, problem
        Number of the block, and its orders.
    screen
        How much of each merchant comes back.

    Returns
    -------
    dict
        ``merchant`` (its number in the block), ``key`` and ``num_options`` of each
        order; ``lane`` and ``saving`` (micro-CNY) of each option. Empty where nothing
        is asked of the block.
    """
    share = screen.share_of[block]
    if not share.any():
        return {}
    near = sifted(problem, share, screen)
    return {
        "merchant": near.order_merchant,
        "key": problem.key[near.order],
        "num_options": np.diff(near.option_start),
        "lane": near.option_lane,
        "saving": near.option_saving,
    }


def sifted(problem: Problem, share: NDArray[np.int64], screen: Screen) -> NearMarket:
    """
    The near market of a problem; of parts of one, the same sifted once more.

    The sample of a large merchant is chosen by keys, so that it does not depend on the
    number of blocks that the merchant is in.

    Parameters
    ----------
    problem
        Of a block, or of parts that came back.
    share
        ``(num_merchants,) int64``: the cap of each merchant that counts; 0 leaves it
        out.
    screen
        Prices, depth and sample.
    """
    from optimizer.solvers.market import Threads, sub_market, whole_market
    from optimizer.solvers.network.screen import screened
    from optimizer.solvers.screen import ScreenParams

    sieve = ScreenParams(np.ones_like(share), share, screen.depth, screen.reach)
    full = whole_market(problem)
    with Threads(1) as pool:
        if screen.every == 1:
            return screened(full, screen.price, sieve, pool)
        is_large = np.repeat(
            problem.cap >= 4 * screen.every, np.diff(problem.merchant_start)
        )
        is_in = ~is_large | (problem.key % np.uint64(screen.every) == 0)
        sample = sub_market(full, np.flatnonzero(is_in), share, pool)
        near = screened(sample, screen.price, sieve, pool)
        return replace(near, order=sample.order[near.order])


def bound_block(block: int, problem: Problem, bound: CapPrices) -> Part:
    """
    Integer sums of a block at prices, by merchant.

    Parameters
    ----------
    block, problem
        Number of the block, and its orders.
    bound
        Prices of lanes and caps.

    Returns
    -------
    dict
        ``above``: what its orders save beyond both prices, micro-CNY; ``highest``: the
        most beyond lane prices; ``tied``: orders that these prices do not decide.
    """
    from optimizer.solvers.network.canonical_plan import barred, count_tied

    price, cut = bound.price, bound.cut_of[block]
    above, highest = above_cuts(problem, price, cut)
    tied = count_tied(problem, barred(problem, price), cut)
    return {"above": above, "highest": highest, "tied": tied}


def above_cuts(
    problem: Problem, price: NDArray[np.int64], cut: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Savings beyond effective and cap prices, and the most beyond lane prices."""
    from optimizer.solvers.kernels import choose
    from optimizer.solvers.market import whole_market

    above, highest = np.zeros((2, problem.num_merchants), np.int64)
    choose.above_cuts(
        first_merchant=0,
        last_merchant=problem.num_merchants,
        orders=whole_market(problem).orders,
        price=price,
        merchant_price=cut,
        above=above,
        highest=highest,
    )
    return above, highest


def plain_choice(
    problem: Problem, price: NDArray[np.int64], merchant_price: NDArray[np.int64]
) -> NDArray[np.int64]:
    """
    Options that every optimum has, as far as prices alone decide; ascending.

    By complementary slackness an order with a reduced saving above its cap's price is
    chosen in every optimum, with its best option if there is only one best.
    """
    start = problem.option_start
    reduced = problem.option_saving - price[problem.option_lane]
    best = best_of(start, reduced, NO_OPTION)
    order = np.repeat(np.arange(problem.num_orders), np.diff(start))
    is_best = np.flatnonzero(reduced == best[order])
    count = np.bincount(order[is_best], minlength=problem.num_orders)
    cut = np.repeat(merchant_price, np.diff(problem.merchant_start))
    is_plain = (best > cut) & (count == 1)
    return is_best[is_plain[order[is_best]]]


def decided(block: int, problem: Problem, verdict: DecidingPrices) -> Solution:
    """
    The plan of a block: orders that prices decide, and the given ties.

    Parameters
    ----------
    block, problem
        Number of the block, and its orders.
    verdict
        Prices and ties that decide every order.
    """
    price = effective_price(verdict.lane_price, problem.lane_parent)
    merchant_price = verdict.merchant_price_of[block]
    plain = plain_choice(problem, price, merchant_price)
    keys, lanes = verdict.tied.get(block, (problem.key[:0], problem.option_lane[:0]))
    both = np.union1d(plain, options_of(problem, keys, lanes))
    return Solution(both, verdict.lane_price, merchant_price, Termination("OPTIMAL"))


def options_of(
    problem: Problem, keys: NDArray[np.uint64], lanes: NDArray[np.int32]
) -> NDArray[np.int64]:
    """
    Options on these lanes of orders with these keys, as far as they are here.

    Parameters
    ----------
    problem
        Where they are looked for.
    keys, lanes
        ``(k,) uint64`` and ``(k,) int32``, by order.
    """
    by_key = np.argsort(keys)
    keys, lanes = keys[by_key], lanes[by_key]
    place = np.minimum(np.searchsorted(keys, problem.key), max(0, len(keys) - 1))
    if len(keys) == 0:
        return np.zeros(0, np.int64)
    wanted = np.where(keys[place] == problem.key, lanes[place], -1)
    order = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    found = np.flatnonzero(problem.option_lane == wanted[order])
    return found[np.unique(order[found], return_index=True)[1]]
