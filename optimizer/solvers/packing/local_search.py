"""Plans of a packing night: built greedily, improved by exchanges, always feasible."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.model.side_constraints import HARD, NO_FLOOR, NO_PIN
from optimizer.solvers.market import ranges, running
from optimizer.solvers.network.primal_heuristic import chosen_options
from optimizer.solvers.packing.market import Targets, side_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import NearMarket
    from optimizer.solvers.packing.market import PackingPrices

#: A sweep tries so many options for each one that could be chosen, those closest to
#: their prices; there are so many sweeps at most.
DEEP, MOST_SWEEPS = 3, 12
#: Options that are tried between two looks at the clock.
SLICE = 500
#: A sweep that improves by less than this share of the plan is the last.
LEAST_PROGRESS = 1e-5


def closest(margin: NDArray[np.int64], count: int) -> int:
    """
    The distance from 0 within which so many margins lie.

    Examples
    --------
    >>> closest(np.array([5, -1, 3, -9]), 2)
    3
    """
    if count >= len(margin):
        return int(np.abs(margin).max(initial=0))
    return int(np.partition(np.abs(margin), max(count - 1, 0))[max(count - 1, 0)])


class PackingNight(NamedTuple):
    """
    Limits and their use by options: merchants, then lanes, then side rows.

    Attributes
    ----------
    option_order, option_saving
        ``(num_options,)``: as in the market.
    margin
        ``(num_options,) int64``: saving above all prices, micro-CNY; a guide only.
    use_start, use_limit, use_amount, use_option
        Uses of option ``a`` are ``use_start[a] : use_start[a + 1]``.
    list_start, listed
        Options of each limit that are near their prices, the best first.
    high, low, penalty, rank
        ``(num_limits,) int64``: as in
        :class:`~optimizer.model.side_constraints.SideRows`; ranks are numbered from 0,
        and -1 where a floor is soft.
    pin_rank
        ``(num_orders,) int64``: -1 for orders that are not pinned.
    num_ranks
        ``(1,) int64``.
    """

    option_order: NDArray[np.int64]
    option_saving: NDArray[np.int64]
    margin: NDArray[np.int64]
    use_start: NDArray[np.int64]
    use_limit: NDArray[np.int64]
    use_amount: NDArray[np.int64]
    use_option: NDArray[np.int64]
    list_start: NDArray[np.int64]
    listed: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    penalty: NDArray[np.int64]
    rank: NDArray[np.int64]
    pin_rank: NDArray[np.int64]
    num_ranks: NDArray[np.int64]


class PackingPlan(NamedTuple):
    """
    A plan in the making.

    Attributes
    ----------
    pick
        ``(num_orders,) int64``: the option of each order; -1 for none.
    used
        ``(num_limits,) int64``.
    head, before, after
        Chosen uses of each limit as a list, doubly linked.
    """

    pick: NDArray[np.int64]
    used: NDArray[np.int64]
    head: NDArray[np.int64]
    before: NDArray[np.int64]
    after: NDArray[np.int64]


def rank_numbers(problem: Problem) -> list[int]:
    """The ranks that hard floors and pins have, ascending."""
    side = side_of(problem)
    is_hard = (side.penalty == HARD) & (side.low > 0)
    pins = side.pin_rank[side.pin_rank != NO_PIN]
    return sorted({*side.rank[is_hard].tolist(), *pins.tolist()})


def make_packing_night(
    problem: Problem, market: NearMarket, margin: NDArray[np.int64], deep: int
) -> PackingNight:
    """
    Lay a market out as limits and uses.

    Parameters
    ----------
    problem, market
        The night, and its orders that could matter.
    margin
        ``(num_options,) int64``: saving above all prices.
    deep
        Options within it of their prices are listed by limit, micro-CNY.
    """
    side = side_of(problem)
    use_option, use_limit, use_amount = _uses(problem, market)
    count = np.bincount(use_option, minlength=market.num_options)
    listed, list_start = _lists(problem, use_option, use_limit, margin, deep)
    numbers = {rank: place for place, rank in enumerate(rank_numbers(problem))}
    rows = len(problem.cap) + len(problem.slots)
    is_hard = (side.penalty == HARD) & (side.low > 0)
    rank = [
        numbers[r] if h else -1
        for r, h in zip(side.rank.tolist(), is_hard, strict=True)
    ]
    pin = side.pin_rank[market.order].astype(np.int64)
    return PackingNight(
        option_order=market.option_order.astype(np.int64),
        option_saving=market.option_saving,
        margin=margin,
        use_start=running(count),
        use_limit=use_limit,
        use_amount=use_amount,
        use_option=use_option,
        list_start=list_start,
        listed=listed,
        high=np.concatenate((problem.cap, problem.slots, side.high)),
        low=np.concatenate((np.full(rows, NO_FLOOR), side.low)),
        penalty=np.concatenate((np.zeros(rows, np.int64), np.maximum(side.penalty, 0))),
        rank=np.concatenate((np.full(rows, -1), np.array(rank, np.int64))),
        pin_rank=np.searchsorted([*numbers], pin).astype(np.int64) * (pin >= 0)
        - (pin < 0),
        num_ranks=np.array([len(numbers)]),
    )


class _Uses(NamedTuple):
    """Uses: ``(n,) int64`` options, limits and amounts."""

    option: NDArray[np.int64]
    limit: NDArray[np.int64]
    amount: NDArray[np.int64]


def _uses(problem: Problem, market: NearMarket) -> _Uses:
    """All uses, by option and then by limit."""
    uses, num_merchants = market.uses, problem.num_merchants
    every = np.arange(market.num_options)
    merchant = market.order_merchant[market.option_order]
    option, limit = [every], [merchant.astype(np.int64)]
    amount = [np.ones(len(every), np.int64)]
    here, lane = every, market.option_lane
    while len(here):
        option.append(here)
        limit.append(num_merchants + lane.astype(np.int64))
        amount.append(uses.option_load[here])
        lane = problem.lane_parent[lane]
        here, lane = here[lane >= 0], lane[lane >= 0]
    option.append(np.repeat(every, np.diff(uses.entry_start)))
    limit.append(num_merchants + problem.num_lanes + uses.entry_row.astype(np.int64))
    amount.append(uses.entry_weight)
    joined = _Uses(
        option=np.concatenate(option),
        limit=np.concatenate(limit),
        amount=np.concatenate(amount),
    )
    turn = np.lexsort((joined.limit, joined.option))
    return _Uses._make(values[turn] for values in joined)


def _lists(
    problem: Problem,
    use_option: NDArray[np.int64],
    use_limit: NDArray[np.int64],
    margin: NDArray[np.int64],
    deep: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Options near their prices by limit, the best first."""
    is_near = np.abs(margin[use_option]) <= deep
    option, limit = use_option[is_near], use_limit[is_near]
    turn = np.lexsort((option, -margin[option], limit))
    num_limits = problem.num_merchants + problem.num_lanes + side_of(problem).num_rows
    return option[turn], running(np.bincount(limit, minlength=num_limits))


def empty_state(night: PackingNight) -> PackingPlan:
    """Nothing chosen."""
    num_limits, num_uses = len(night.high), len(night.use_limit)
    return PackingPlan(
        np.full(len(night.pin_rank), -1, np.int64),
        np.zeros(num_limits, np.int64),
        np.full(num_limits, -1, np.int64),
        np.full(num_uses, -1, np.int64),
        np.full(num_uses, -1, np.int64),
    )


def state_of(night: PackingNight, chosen: NDArray[np.int64]) -> PackingPlan:
    """The state in which some options are chosen."""
    from optimizer.solvers.kernels.packing_improve import take_all

    state = empty_state(night)
    take_all(night, state, chosen)
    return state


def margins(
    market: NearMarket, prices: PackingPrices, merchant_price: NDArray[np.int64]
) -> NDArray[np.int64]:
    """``(num_options,) int64``: saving of each option beyond all prices."""
    uses = market.uses
    paid = uses.option_load * prices.lane[market.option_lane]
    option = np.repeat(np.arange(market.num_options), np.diff(uses.entry_start))
    row = np.zeros(market.num_options, np.int64)
    np.add.at(row, option, uses.entry_weight * prices.row[uses.entry_row])
    merchant = market.order_merchant[market.option_order]
    return market.option_saving - paid - row - merchant_price[merchant]


def built(night: PackingNight) -> PackingPlan:
    """Accept pins by rank, then options by their margin, as far as they fit."""
    from optimizer.solvers.kernels.packing_improve import accept_in_turn

    state = empty_state(night)
    pin = night.pin_rank[night.option_order]
    first = np.where(pin >= 0, pin, int(night.num_ranks[0]))
    accept_in_turn(night, state, np.lexsort((-night.margin, first)))
    return state


def most_chosen(problem: Problem, market: NearMarket) -> int:
    """About how many orders caps and slots allow."""
    load = market.uses.option_load
    caps = np.minimum(market.cap, np.diff(market.merchant_start)).sum()
    slots = problem.slots[problem.lane_parent < 0].sum()
    total = float(slots) / max(float(load.sum()), 1.0)
    return int(min(float(caps), total * len(load) + 1))


def first_plan(
    problem: Problem,
    market: NearMarket,
    worth: NDArray[np.int64],
    known: NDArray[np.int64],
    is_late: Callable[[], bool],
) -> NDArray[np.int64]:
    """
    A plan at prices that are not yet final, improved once.

    Parameters
    ----------
    problem, market
        The night, and its orders that could matter.
    worth
        ``(num_options,) int64``: saving above all prices.
    known
        ``(n,) int64``: options of the problem that are a plan already, or none.
    is_late
        Whether the time is up.

    Returns
    -------
    ``(n,) int64``: options of the problem, ascending; worth no less than those known.
    """
    deep = closest(worth, DEEP * most_chosen(problem, market))
    night = make_packing_night(problem, market, worth, deep)
    state = better_start(problem, market, night, known)
    state = improved(night, state, deep, is_late, most_sweeps=1)
    return chosen_options(problem.option_start, market, state.pick)


def better_start(
    problem: Problem,
    market: NearMarket,
    night: PackingNight,
    known: NDArray[np.int64],
) -> PackingPlan:
    """
    A plan built anew, or the known one where that is worth as much or more.

    Parameters
    ----------
    problem, market
        The night, and its orders that could matter.
    night
        The same as plans are made on it.
    known
        ``(n,) int64``: options of the problem that are a plan already, or none.
    """
    state = built(night)
    if len(known) == 0:
        return state
    option, _ = ranges(problem.option_start, market.order)
    before = state_of(night, np.searchsorted(option, known))
    return max(before, state, key=partial(worth_key, night))


def improved(
    night: PackingNight,
    state: PackingPlan,
    deep: int,
    is_late: Callable[[], bool],
    *,
    most_sweeps: int = MOST_SWEEPS,
) -> PackingPlan:
    """
    Insert options that gain, dropping others for them, until hardly any gain.

    Parameters
    ----------
    night
        Options with their uses of all limits.
    state
        The plan to start from; changed in place.
    deep
        Greatest margin, micro-CNY above or below 0, of options that are tried.
    is_late
        Whether the time is up.
    most_sweeps
        Sweeps at most.
    """
    from optimizer.solvers.kernels.packing_improve import improve

    pin = night.pin_rank[night.option_order]
    worth = np.flatnonzero((np.abs(night.margin) <= deep) | (pin >= 0))
    turn = worth[np.argsort(-night.margin[worth], kind="stable")]
    blocks = [turn[first : first + SLICE] for first in range(0, len(turn), SLICE)]
    moved = np.zeros(len(night.high) + 1, np.int64)
    tried = np.zeros(len(night.option_order), np.int64)
    money = money_of(night, state)
    for _ in range(most_sweeps):
        num_kept = 0
        for block in blocks:
            if is_late():
                return state
            num_kept += improve(night, state, block, moved, tried)
        before, money = money, money_of(night, state)
        if num_kept == 0 or 0 <= money - before <= LEAST_PROGRESS * abs(money):
            break
    return state


def money_of(night: PackingNight, state: PackingPlan) -> int:
    """Savings of a state, penalties left out."""
    chosen = state.pick[state.pick >= 0]
    return int(night.option_saving[chosen].sum())


def worth_key(night: PackingNight, state: PackingPlan) -> tuple[int, ...]:
    """Sort key for the value of a plan: missing units by rank, negated, then money."""
    missing = [0] * int(night.num_ranks[0])
    money = money_of(night, state)
    for limit in np.flatnonzero(night.low > state.used):
        short = int(night.low[limit] - state.used[limit])
        if night.rank[limit] >= 0:
            missing[night.rank[limit]] -= short
        else:
            money -= short * int(night.penalty[limit])
    absent = (night.pin_rank >= 0) & (state.pick < 0)
    for rank in night.pin_rank[absent].tolist():
        missing[rank] -= 1
    return (*missing, money)


def targets_of(
    problem: Problem, market: NearMarket, state: PackingPlan, night: PackingNight
) -> Targets:
    """
    Floors and pins as far as a plan reaches them: no bound may assume more.

    Parameters
    ----------
    problem
        The night.
    market
        The orders that the plan is made of.
    state
        The plan.
    night
        Options with their uses of all limits.
    """
    side = side_of(problem)
    used = state.used[len(state.used) - side.num_rows :]
    low = np.where(side.penalty == HARD, np.minimum(side.low, used), side.low)
    is_pinned = np.zeros(problem.num_orders, np.bool_)
    kept = (night.pin_rank >= 0) & (state.pick >= 0)
    is_pinned[market.order[kept]] = True
    return Targets(low, is_pinned)
