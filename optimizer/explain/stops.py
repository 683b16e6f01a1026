"""What stops the orders of a packing night: capacity, caps or budgets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.model.lane_tree import effective_price, lane_use, least_slots
from optimizer.model.reduced_savings import NO_OPTION, best_of, net_savings
from optimizer.model.side_constraints import NO_CEILING, row_use

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.model.problem import Problem
    from optimizer.model.side_constraints import SideRows
    from optimizer.model.solution import Solution

_CAPS, _BUDGETS = ("owner_cap", "fairness"), ("subsidy",)


@dataclass(frozen=True, slots=True, eq=False)
class StopPrices:
    """
    Prices of a plan by kind of limit, and the room that it leaves.

    Attributes
    ----------
    lane
        ``(num_lanes,) int64``: effective prices of a slot.
    row
        ``(num_rows,) int64``: price of each side row.
    is_cap, is_budget
        ``(num_rows,) bool``: rows that are caps of groups, or budgets.
    lane_room, row_room
        ``(num_lanes,)`` and ``(num_rows,) int64``: units that are left.
    cap_room
        ``(num_merchants,) int64``: parcels that are left under each cap.
    """

    lane: NDArray[np.int64]
    row: NDArray[np.int64]
    is_cap: NDArray[np.bool_]
    is_budget: NDArray[np.bool_]
    lane_room: NDArray[np.int64]
    row_room: NDArray[np.int64]
    cap_room: NDArray[np.int64]


def make_prices(
    problem: Problem, side: SideRows, solution: Solution, index: Names
) -> StopPrices:
    """
    Sort a plan's prices by kind of limit, and count the room that it leaves.

    Parameters
    ----------
    problem, side
        The night.
    solution
        Plan and prices.
    index
        The names behind the problem's numbers: they have the kind of each limit.
    """
    price = solution.row_price
    if price is None:
        price = np.zeros(side.num_rows, np.int64)
    kinds = index.limits.kinds if index.limits else np.zeros(0, np.str_)
    chosen = solution.chosen
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    load = side.option_load[chosen]
    taken = lane_use(problem.option_lane[chosen], problem.lane_parent, load)
    return StopPrices(
        lane=effective_price(solution.lane_price, problem.lane_parent),
        row=price,
        is_cap=np.isin(kinds, _CAPS),
        is_budget=np.isin(kinds, _BUDGETS),
        lane_room=least_slots(problem.slots - taken, problem.lane_parent),
        row_room=side.high - row_use(side, chosen),
        cap_room=problem.cap - np.bincount(merchant, minlength=problem.num_merchants),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Stops:
    """
    What stops each order of a block, as if it were not chosen.

    Attributes
    ----------
    surplus
        ``(n,) int64``: saving above all prices, micro-CNY.
    by_capacity, by_cap, by_budget
        ``(n,) bool``: whether it would be out by this alone.
    is_beyond_budget
        ``(n,) bool``: whether a budget could not pay for it even alone.
    """

    surplus: NDArray[np.int64]
    by_capacity: NDArray[np.bool_]
    by_cap: NDArray[np.bool_]
    by_budget: NDArray[np.bool_]
    is_beyond_budget: NDArray[np.bool_]


def find_stops(
    problem: Problem,
    side: SideRows,
    prices: StopPrices,
    cut: NDArray[np.int64],
    block: tuple[int, int],
) -> Stops:
    """
    Find what stops some orders.

    Parameters
    ----------
    problem, side, prices
        The night at its prices.
    cut
        ``(n,) int64``: price of the cap of each of these orders.
    block
        The orders ``first : last``.
    """
    start = problem.option_start[block[0] : block[1] + 1]

    def best(lane: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
        return best_of(start, net_savings(problem, lane, row, *block), NO_OPTION)

    free, row = np.zeros_like(prices.lane), prices.row
    cap = np.where(prices.is_cap, np.maximum(row, 0), 0)
    budget = np.where(prices.is_budget, row, 0)
    surplus = best(prices.lane, row) - cut
    by_capacity = best(prices.lane, row - cap - budget) <= 0
    by_cap = best(free, cap) <= cut
    without = best(prices.lane, row - budget) - cut
    by_budget = (surplus <= 0) & (without > 0)
    # What the prices let in, only the room that is left can stop.
    let_in = np.flatnonzero(surplus > 0)
    if len(let_in):
        lacks = _lacking(problem, side, prices, block)
        by_capacity[let_in] = lacks.room[let_in]
        by_cap[let_in] = lacks.cap[let_in]
        by_budget[let_in] = lacks.budget[let_in] & ~(lacks.room | lacks.cap)[let_in]
    first, last = problem.option_start[[*block]].tolist()
    alone = replace(prices, row_room=side.high)
    pays = _fits_rows(side, alone, prices.is_budget, first, last)
    is_beyond = best_of(start, pays.astype(np.int64), 0) == 0
    return Stops(surplus, by_capacity, by_cap, by_budget, is_beyond)


class _Lacks(NamedTuple):
    """Whether capacity, caps or budgets leave no room for any option of each order."""

    room: NDArray[np.bool_]
    cap: NDArray[np.bool_]
    budget: NDArray[np.bool_]


def _lacking(
    problem: Problem, side: SideRows, prices: StopPrices, block: tuple[int, int]
) -> _Lacks:
    """Which limits lack room for each order."""
    order = np.arange(*block)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    start, end = problem.option_start[[*block]].tolist()
    lane = prices.lane_room[problem.option_lane[start:end]]
    is_free = lane >= side.option_load[start:end]
    is_cap, is_budget = prices.is_cap, prices.is_budget
    fits = _fits_rows(side, prices, ~is_cap & ~is_budget, start, end) & is_free
    starts = problem.option_start[block[0] : block[1] + 1]
    results = [
        best_of(starts, fitting.astype(np.int64), 0) == 0
        for fitting in (
            fits,
            _fits_rows(side, prices, is_cap, start, end),
            _fits_rows(side, prices, is_budget, start, end),
        )
    ]
    room, cap, budget = results
    return _Lacks(room, cap | (prices.cap_room[merchant] == 0), budget)


def _fits_rows(
    side: SideRows,
    prices: StopPrices,
    is_counted: NDArray[np.bool_],
    first: int,
    last: int,
) -> NDArray[np.bool_]:
    """Whether each option fits into what some of the side rows have left."""
    begin, end = side.entry_start[[first, last]].tolist()
    has_row = np.flatnonzero(np.diff(side.entry_start[first : last + 1]) > 0)
    fits = np.ones(last - first, np.bool_)
    if len(has_row):
        row = side.entry_row[begin:end]
        room = np.where(is_counted, prices.row_room, NO_CEILING)[row]
        at = side.entry_start[first:last][has_row] - begin
        fits[has_row] = np.logical_and.reduceat(
            room >= side.entry_weight[begin:end], at
        )
    return fits
