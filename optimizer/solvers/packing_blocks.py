"""A plan improved block by block: lanes that compete, solved anew together."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from optimizer.solvers.packing_core import Effort, make_core, solve_core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.packing_market import PackingMarket
    from optimizer.solvers.packing_plan import Night, State

#: Options of a block, about; rounds widen what is free, as shares of the scale.
BLOCK_OPTIONS, WIDTHS = 1_200, (0.2, 0.4, 0.4, 0.8, 0.8)
#: A round with more free options than this is left out.
MOST_OPTIONS = 60_000
#: Nodes of each block's search tree, and its gap.
BLOCK_NODES, BLOCK_GAP = 400, 1e-5


def improved_by_blocks(
    problem: Problem,
    market: PackingMarket,
    night: Night,
    state: State,
    scale: int,
    *,
    is_done: Callable[[State], bool],
    seconds_left: Callable[[], float],
) -> State:
    """
    Solve blocks of lanes anew, in rounds that free more and more.

    Parameters
    ----------
    problem, market, night, state
        The night and a plan.
    scale
        What an order typically pays, micro-CNY: unit of the widths.
    is_done
        Whether a plan is good enough.
    seconds_left
        Wall time.
    """
    rank = lane_ranks(problem, market)
    for number, width in enumerate(WIDTHS):
        free = free_options(night, state, int(width * scale))
        if len(free) > MOST_OPTIONS and number:
            break
        for block in _blocks(market, rank, free, number % 2 == 1):
            if seconds_left() <= 0 or is_done(state):
                return state
            option = _with_choices(night, state, block, free)
            effort = Effort(seconds_left(), BLOCK_NODES, BLOCK_GAP)
            found = solve_core(make_core(night, state, option), state, effort)
            state = found or state
    return state


def free_options(night: Night, state: State, width: int) -> NDArray[np.bool_]:
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
    return is_free[night.option_order] & (night.margin >= -2 * width)


def _blocks(
    market: PackingMarket,
    rank: NDArray[np.int64],
    free: NDArray[np.bool_],
    is_shifted: bool,
) -> Iterator[NDArray[np.int64]]:
    """Orders of each block: those whose best free option lies on its lanes."""
    option = np.flatnonzero(free)
    place = rank[market.goods.option_lane[option]]
    turn = np.lexsort((option, place))
    count = max(1, -(-len(option) // BLOCK_OPTIONS))
    first = len(option) // (2 * count) if is_shifted else 0
    turn = np.roll(turn, -first)
    for part in np.array_split(turn, count):
        yield np.unique(market.option_order[option[part]])


def _with_choices(
    night: Night, state: State, orders: NDArray[np.int64], free: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The free options of some orders, and what they have chosen."""
    is_in = np.zeros(len(night.pin_rank), np.bool_)
    is_in[orders] = True
    option = np.flatnonzero(free & is_in[night.option_order])
    chosen = state.pick[orders]
    return np.union1d(option, chosen[chosen >= 0])


def lane_ranks(problem: Problem, market: PackingMarket) -> NDArray[np.int64]:
    """
    Number the lanes so that those which compete stand together.

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
    problem: Problem, market: PackingMarket
) -> dict[int, list[tuple[int, int]]]:
    """Lanes that share an order or a side row, with how often, by lane."""
    goods = market.goods
    lane = goods.option_lane.astype(np.int64)
    same = np.flatnonzero(np.diff(market.option_order) == 0)
    entry_lane = np.repeat(lane, np.diff(goods.entry_start))
    turn = np.lexsort((entry_lane, goods.entry_row))
    row, at = goods.entry_row[turn], entry_lane[turn]
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
