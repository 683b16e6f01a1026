"""
Improve a plan block by block: competing lanes are solved again together.

Rounds of two kinds take turns. Small blocks free much of a few lanes, and put in order
what lies far from its price. Large blocks free what is closest to its price on many
lanes: merchants whose caps are a few parcels can then move them between these lanes.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import chain, islice, repeat, zip_longest
from typing import TYPE_CHECKING

import numpy as np

from optimizer.solvers.packing.core_mip import (
    make_core,
    replaced,
    solve_core,
    solve_stage,
)
from optimizer.solvers.packing.local_search import closest, money_of
from optimizer.solvers.packing.programs import Effort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import NearMarket, Threads
    from optimizer.solvers.packing.core_mip import Core
    from optimizer.solvers.packing.local_search import PackingNight, PackingPlan

#: Options that may fill what a plan misses of floors and pins.
RESCUE_OPTIONS = 4_000
#: Lanes that stand together go from round to round into other blocks in groups of so
#: many, so that merchants can move parcels between any of them.
GROUP_LANES = 8
#: Two rounds that improve by no more than this share of the plan are the last.
LEAST_PROGRESS = 1e-6
#: Options of a free order go with it unless they are so many widths below their prices.
FRINGE = 4
#: Nodes of each block's search tree.
BLOCK_NODES = 100


@dataclass(frozen=True, slots=True)
class Round:
    """
    What a round frees.

    Attributes
    ----------
    share, most_options
        Options for each chosen one, and in all at most: those closest to their prices.
    block_options
        Options of a block, about.
    relative_gap
        Gap at which a block is solved well enough, as a share.
    """

    share: float
    most_options: int
    block_options: int
    relative_gap: float


@dataclass(frozen=True, slots=True)
class Watch:
    """
    What rounds ask, and tell.

    Attributes
    ----------
    is_done
        Whether a plan is good enough.
    seconds_left
        Wall time.
    before_large
        Is told the plan before each large block, beside which other threads are idle.
    """

    is_done: Callable[[PackingPlan], bool]
    seconds_left: Callable[[], float]
    before_large: Callable[[PackingPlan], None]


#: Small blocks of all that is near, the first ones quick; one large block of what is
#: closest to its price.
FIRST, SMALL = Round(0.7, 40_000, 2_500, 5e-5), Round(1.5, 160_000, 2_500, 2e-5)
LARGE = tuple(Round(share, 13_000, 26_000, 1e-5) for share in (0.25, 0.5, 0.6, 0.7))
#: Rounds in all, at most.
MOST_ROUNDS = 60


def improved_by_blocks(
    problem: Problem,
    market: NearMarket,
    night: PackingNight,
    state: PackingPlan,
    pool: Threads,
    watch: Watch,
) -> PackingPlan:
    """
    Solve blocks of lanes again, in rounds that free more and more orders.

    Parameters
    ----------
    problem, market, night, state
        The night and a plan.
    pool
        Threads.
    watch
        What is asked, and told, on the way.
    """
    seconds_left = watch.seconds_left
    if seconds_left() <= 0:
        return state
    rank = lane_ranks(problem, market)
    gained = 0
    for number, now in enumerate(_rounds()):
        if now in LARGE and seconds_left() > 0:
            watch.before_large(state)
        count = min(int(now.share * np.sum(state.pick >= 0)), now.most_options)
        free = free_options(night, state, _width(night.margin, count))
        ranked = _shuffled(rank, number)
        blocks = [*_blocks(market, ranked, free, now.block_options)]
        before, before_that = money_of(night, state), gained
        half = -(-len(blocks) // 2)
        for pair in zip_longest(blocks[:half], blocks[half:]):
            effort = Effort(
                seconds_left(),
                BLOCK_NODES,
                now.relative_gap,
                is_stopped=pool.is_stopped,
            )
            if effort.seconds <= 0 or watch.is_done(state):
                return state
            cores = [
                make_core(night, state, _with_choices(night, state, block, free))
                for block in pair
                if block is not None
            ]
            state = _solved_together(cores, state, pool, effort)
        gained = money_of(night, state) - before
        if number and gained + before_that <= LEAST_PROGRESS * abs(before):
            break
    return state


def _width(margin: NDArray[np.int64], count: int) -> int:
    """
    The distance from prices within which so many options lie.

    Each merchant's cut is at its price exactly. Where these alone are too many, so many
    of the others are freed beside them: else no order had another option to take.
    """
    return closest(margin, count) or closest(margin[margin != 0], count)


def _rounds() -> Iterator[Round]:
    """Small blocks, a large one, small ones, a larger one, and so on."""
    large = chain(LARGE, repeat(LARGE[-1]))
    turns = chain.from_iterable((now, SMALL) for now in large)
    return islice(chain((FIRST,), turns), MOST_ROUNDS)


def _shuffled(rank: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Ranks with groups of lanes in a shuffled order that is the same each time."""
    num_groups = len(rank) // GROUP_LANES + 1
    draw = np.random.default_rng([number, num_groups])
    turn = draw.permutation(num_groups) if number else np.arange(num_groups)
    group, place = np.divmod(rank, GROUP_LANES)
    return turn[group] * GROUP_LANES + place


def rescued(night: PackingNight, state: PackingPlan, seconds: float) -> PackingPlan:
    """Solve the orders again that could fill the floors and pins that a plan misses."""
    is_short = (night.low > state.used) & (night.rank >= 0)
    is_wanted = (night.pin_rank >= 0) & (state.pick < 0)
    if seconds <= 0 or not (is_short.any() or is_wanted.any()):
        return state
    is_wanted[night.option_order[night.use_option[is_short[night.use_limit]]]] = True
    option = np.flatnonzero(is_wanted[night.option_order])
    nearest = np.argsort(np.abs(night.margin[option]), kind="stable")[:RESCUE_OPTIONS]
    orders = np.unique(night.option_order[option[nearest]])
    everything = np.ones(len(night.option_order), np.bool_)
    core = make_core(night, state, _with_choices(night, state, orders, everything))
    return solve_core(core, state, Effort(seconds, BLOCK_NODES, 0.0)) or state


def _solved_together(
    cores: list[Core], state: PackingPlan, pool: Threads, effort: Effort
) -> PackingPlan:
    """
    Solve cores that share no order, each as if the others stayed as they are.

    If two take the same room, the first keeps it. The number of cores does not depend
    on the threads, so the plan does not either.
    """
    money = int(cores[0].night.num_ranks[0])

    def work(number: int) -> NDArray[np.int64] | None:
        return solve_stage(cores[number], state, money, effort)

    found = pool.each(work, len(cores))
    for core, new in zip(cores, found, strict=True):
        state = replaced(core, state, new) or state
    return state


def free_options(
    night: PackingNight, state: PackingPlan, width: int
) -> NDArray[np.bool_]:
    """
    Which options are close to their prices, or chosen against them.

    An order is free when one of its options is; then all its options that are not far
    below their prices are.
    """
    num_orders = len(night.pin_rank)
    best = np.full(num_orders, -(2**61), np.int64)
    np.maximum.at(best, night.option_order, night.margin)
    chosen = state.pick >= 0
    now = np.full(num_orders, 0, np.int64)
    now[chosen] = night.margin[state.pick[chosen]]
    is_free = np.zeros(num_orders, np.bool_)
    is_free[night.option_order[np.abs(night.margin) <= width]] = True
    is_free |= chosen & ((now <= width) | (now < best))
    is_free |= ~chosen & (best > 0)
    return is_free[night.option_order] & (night.margin >= -FRINGE * width)


def _blocks(
    market: NearMarket,
    rank: NDArray[np.int64],
    free: NDArray[np.bool_],
    block_options: int,
) -> Iterator[NDArray[np.int64]]:
    """Orders of each block; one with options on lanes of several is in the first."""
    option = np.flatnonzero(free)
    place = rank[market.option_lane[option]]
    turn = np.lexsort((option, place))
    count = max(1, -(-len(option) // block_options))
    is_taken = np.zeros(len(market.order), np.bool_)
    for part in np.array_split(turn, count):
        order = np.unique(market.option_order[option[part]]).astype(np.int64)
        yield order[~is_taken[order]]
        is_taken[order] = True


def _with_choices(
    night: PackingNight,
    state: PackingPlan,
    orders: NDArray[np.int64],
    free: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """The free options of some orders, and what they have chosen."""
    is_in = np.zeros(len(night.pin_rank), np.bool_)
    is_in[orders] = True
    option = np.flatnonzero(free & is_in[night.option_order])
    chosen = state.pick[orders]
    return np.union1d(option, chosen[chosen >= 0])


def lane_ranks(problem: Problem, market: NearMarket) -> NDArray[np.int64]:
    """
    Number the lanes so that competing ones are next to each other.

    From each first lane not numbered yet, the lane that shares most orders and rows
    with those before is next.
    """
    near = _neighbors(problem, market)
    rank = np.full(problem.num_lanes, -1, np.int64)
    number = 0
    for start in range(problem.num_lanes):
        heap = [(0, start)]
        while heap:
            _, lane = heapq.heappop(heap)
            if rank[lane] >= 0:
                continue
            rank[lane] = number
            number += 1
            for other, weight in near.get(lane, ()):
                if rank[other] < 0:
                    heapq.heappush(heap, (-weight, other))
    return rank


def _neighbors(
    problem: Problem, market: NearMarket
) -> dict[int, list[tuple[int, int]]]:
    """Lanes that share an order or a side row, with how often, by lane."""
    uses = market.uses
    lane = market.option_lane.astype(np.int64)
    same = np.flatnonzero(np.diff(market.option_order) == 0)
    entry_lane = np.repeat(lane, np.diff(uses.entry_start))
    turn = np.lexsort((entry_lane, uses.entry_row))
    row, at = uses.entry_row[turn], entry_lane[turn]
    beside = np.flatnonzero((np.diff(row) == 0) & (np.diff(at) != 0))
    first = np.concatenate((lane[same], at[beside]))
    second = np.concatenate((lane[same + 1], at[beside + 1]))
    code, count = np.unique(
        np.minimum(first, second) * problem.num_lanes + np.maximum(first, second),
        return_counts=True,
    )
    near: dict[int, list[tuple[int, int]]] = {}
    for pair, weight in zip(code.tolist(), count.tolist(), strict=True):
        low, high = divmod(pair, problem.num_lanes)
        if low != high:
            near.setdefault(low, []).append((high, weight))
            near.setdefault(high, []).append((low, weight))
    return near
