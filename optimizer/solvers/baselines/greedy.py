"""
The greedy rule: the largest saving first, as long as every limit has room.

Options are ranked piece by piece, the best first. Of each piece only those that could
still be taken are ranked: these become few as caps and lanes fill up. Between pieces
the deadline is checked.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers.deadline import EXTRA_SECONDS
from optimizer.solvers.market import Threads, whole_market
from optimizer.solvers.owners import merchant_at, order_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import Market

#: Options that are ranked at a time, about; options that say where a piece ends.
PIECE_OPTIONS, SAMPLE_OPTIONS = 500_000, 100_000
#: A key above which there is none.
_LAST_KEY = np.uint64(2**64 - 1)


def solve_greedy(problem: Problem, params: SolveParams) -> Solution:
    """
    Take the largest savings that fit: the baseline, and the fallback plan.

    Ties are broken by key. The prices give a valid bound, so that the certificate
    limits how far the plan may be from the best.

    Returns
    -------
    Solution
        ``FEASIBLE`` with limit ``METHOD``: this rule proves no optimum. Where the
        time is up, with the part of the plan that saves most.
    """
    from optimizer.solvers.network.dual_bound import bounding_prices

    ends = time.monotonic() + max(params.time_limit_seconds, EXTRA_SECONDS)

    def is_late() -> bool:
        return time.monotonic() > ends

    chosen = greedy_plan(problem, is_late, params.num_threads)
    ends = max(ends, time.monotonic() + EXTRA_SECONDS)
    lane_price, merchant_price = bounding_prices(problem, params, is_late)
    stop = Termination("FEASIBLE", "METHOD")
    return Solution(chosen, lane_price, merchant_price, stop)


def greedy_plan(
    problem: Problem,
    is_late: Callable[[], bool] = lambda: False,
    num_threads: int | None = None,
) -> NDArray[np.int64]:
    """
    Options of the greedy plan, ascending.

    Parameters
    ----------
    problem
        The night.
    is_late
        Looked at after each piece; the plan is then what was taken so far.
    num_threads
        Never changes the plan.

    Returns
    -------
    ``(num_chosen,) int64``.
    """
    if problem.num_options == 0:
        return np.zeros(0, np.int64)
    room = _Room(
        problem.cap.copy(),
        problem.slots.copy(),
        np.zeros(problem.num_orders, np.bool_),
    )
    sample = _sampled(problem)
    full = whole_market(problem)
    taken: list[NDArray[np.int64]] = []
    is_last = False
    with Threads(num_threads) as pool:
        while not is_last and not (taken and is_late()):
            is_open = _open_lanes(problem, room)
            last, is_last = _end_of_piece(problem, sample, room, is_open)
            piece = _open_options(problem, full, room, is_open, last, pool)
            taken.append(_accepted(problem, *piece, room))
    return np.sort(np.concatenate(taken))


@dataclass(frozen=True, slots=True, eq=False)
class _Room:
    """Room left in caps and lanes, and the orders taken; updated in place."""

    cap: NDArray[np.int64]
    slots: NDArray[np.int64]
    is_taken: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """About one in ``every`` of the options with a positive saving, by rank."""

    every: int
    option: NDArray[np.int64]
    order: NDArray[np.int64]
    merchant: NDArray[np.int64]


def _sampled(problem: Problem) -> _Sample:
    every = max(1, problem.num_options // SAMPLE_OPTIONS)
    # drawn, as the options of an order may stand at regular places
    draw = np.random.default_rng(0)
    option = draw.integers(0, problem.num_options, problem.num_options // every)
    option = option[problem.option_saving[option] > 0]
    order = order_at(problem, option)
    turn = by_saving(problem, option, order)
    order = order[turn]
    return _Sample(every, option[turn], order, merchant_at(problem, order))


def _open_lanes(problem: Problem, room: _Room) -> NDArray[np.bool_]:
    """Whether a lane and all its ancestors have a slot left."""
    is_open = room.slots > 0
    for lane in np.flatnonzero(problem.lane_parent >= 0):
        is_open[lane] &= is_open[problem.lane_parent[lane]]
    return is_open


def _end_of_piece(
    problem: Problem, sample: _Sample, room: _Room, is_open: NDArray[np.bool_]
) -> tuple[tuple[np.int64, np.uint64], bool]:
    """Saving and key of the last option of a piece, and whether all are before it."""
    could = ~room.is_taken[sample.order] & (room.cap[sample.merchant] > 0)
    could &= is_open[problem.option_lane[sample.option]]
    place = np.flatnonzero(could)
    most = max(1, PIECE_OPTIONS // sample.every)
    if len(place) <= most:
        return (np.int64(0), _LAST_KEY), True
    last = place[most - 1]
    saving = problem.option_saving[sample.option[last]]
    return (saving, problem.key[sample.order[last]]), False


def _open_options(
    problem: Problem,
    full: Market,
    room: _Room,
    is_open: NDArray[np.bool_],
    last: tuple[np.int64, np.uint64],
    pool: Threads,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Options up to a place of the ranking that could still be taken, their orders."""
    from optimizer.solvers.kernels.accept import list_open

    last_saving, last_key = last

    def work(_: int, first: int, end: int) -> tuple[NDArray[np.int64], ...]:
        return tuple(
            list_open(
                first_merchant=first,
                last_merchant=end,
                merchant_start=full.merchant_start,
                option_start=full.option_start,
                option_lane=full.option_lane,
                option_saving=full.option_saving,
                key=problem.key,
                cap_left=room.cap,
                is_open=is_open,
                is_taken=room.is_taken,
                last_saving=last_saving,
                last_key=last_key,
            )
        )

    options, orders = zip(*pool.over_parts(full, work), strict=True)
    return np.concatenate(options), np.concatenate(orders)


def _accepted(
    problem: Problem,
    option: NDArray[np.int64],
    order: NDArray[np.int64],
    room: _Room,
) -> NDArray[np.int64]:
    """Take options in turn while there is room; return those taken."""
    from optimizer.solvers.kernels.accept import accept_in_turn

    is_first = np.diff(order, prepend=-1) > 0
    accepted = accept_in_turn(
        turn=by_saving(problem, option, order),
        option_order=np.cumsum(is_first) - 1,
        order_merchant=merchant_at(problem, order[is_first]),
        option_lane=problem.option_lane[option],
        lane_parent=problem.lane_parent,
        cap_left=room.cap,
        slots_left=room.slots,
    )
    room.is_taken[order[accepted]] = True
    return option[accepted]


def by_saving(
    problem: Problem, option: NDArray[np.int64], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Order in which options are tried: the largest saving first, ties by key."""
    return np.lexsort((problem.key[order], -problem.option_saving[option]))
