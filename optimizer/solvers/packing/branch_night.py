"""A night as the kernels of the tree want it, and its linear program if it is small."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.certify.knapsack import MAX_SLOTS
from optimizer.certify.packing import is_kept
from optimizer.model.side_constraints import HARD
from optimizer.solvers.market import running
from optimizer.solvers.owners import merchant_at, order_at
from optimizer.solvers.packing.market import price_limits, row_use, side_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution

#: Largest price, and largest value of all that is sold, micro-CNY.
LARGEST_PRICE, LARGEST_VALUE = 2**42, 2**60
#: Rows of a linear program that is solved at every node, and numbers of its table.
MOST_ROWS, MOST_NUMBERS = 200, 2**17
#: What a unit costs that is missing of a floor without a penalty, or of a pin that is
#: kept: so many times the greatest saving.
HARD_PRICE = 1e4


class BranchNight(NamedTuple):
    """
    A night for the kernels; prices are those of merchants, orders, lanes, side rows.

    Attributes
    ----------
    order_merchant, option_order, option_lane, load, saving
        As in the problem, ``int64``.
    entry_start, entry_row, entry_weight
        As in its side rows, ``int64``.
    lane_parent, slots, cap, high, low
        Limits; floors that are kept at any price only as far as the plan reaches them.
    list_start, listed
        Options by lane.
    is_large
        ``(num_lanes,) bool``: lanes that only a price fills.
    guide
        ``(num_lanes,) int64``: about what a slot is worth, micro-CNY.
    has_price
        ``(n,) bool``: prices that differ from 0.
    lowest, highest
        ``(n,) int64`` micro-CNY.
    """

    order_merchant: NDArray[np.int64]
    option_order: NDArray[np.int64]
    option_lane: NDArray[np.int64]
    load: NDArray[np.int64]
    saving: NDArray[np.int64]
    entry_start: NDArray[np.int64]
    entry_row: NDArray[np.int64]
    entry_weight: NDArray[np.int64]
    lane_parent: NDArray[np.int64]
    slots: NDArray[np.int64]
    cap: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    list_start: NDArray[np.int64]
    listed: NDArray[np.int64]
    is_large: NDArray[np.bool_]
    guide: NDArray[np.int64]
    has_price: NDArray[np.bool_]
    lowest: NDArray[np.int64]
    highest: NDArray[np.int64]


class LinearNight(NamedTuple):
    """
    The linear program of a night.

    Its columns are options, slacks, and what floors and kept pins are short of.

    Attributes
    ----------
    saving
        ``(num_options,) float64``: scaled to at most 1.
    limit
        ``(num_rows,) float64``: of rows that can bind, scaled.
    whole
        ``(num_rows, num_columns + 1) float64``: amounts, and limits.
    cost
        ``(num_columns,) float64``: savings, 0 for slacks, penalties below 0.
    most
        ``(num_columns,) float64``: how much of each column there can be.
    is_filled
        Whether lanes are filled as knapsacks, so that other prices may be better.
    place
        ``(num_rows,) int64``: which of the night's prices each row has.
    factor
        ``(num_rows,) float64``: micro-CNY of a price of 1.
    """

    saving: NDArray[np.float64]
    limit: NDArray[np.float64]
    whole: NDArray[np.float64]
    cost: NDArray[np.float64]
    most: NDArray[np.float64]
    is_filled: bool
    place: NDArray[np.int64]
    factor: NDArray[np.float64]


class LinearState(NamedTuple):
    """
    A table of the linear program, changed by every node.

    Attributes
    ----------
    table
        As ``whole``, in terms of the basis.
    basis
        ``(num_rows,) int64``: the column of each row.
    is_basic
        ``(num_columns,) bool``.
    reduced, x
        ``(num_columns,) float64``: reduced savings, and the answer.
    pivots
        ``(1,) int64``: since the table was computed anew.
    """

    table: NDArray[np.float64]
    basis: NDArray[np.int64]
    is_basic: NDArray[np.bool_]
    reduced: NDArray[np.float64]
    x: NDArray[np.float64]
    pivots: NDArray[np.int64]


def kernel_night(problem: Problem, found: Solution) -> BranchNight:
    """Lay a night out for the kernels."""
    side, lanes = side_of(problem), problem.num_lanes
    used = row_use(problem, found.chosen)
    low = np.where(side.penalty == HARD, np.minimum(side.low, used), side.low)
    kept = is_kept(problem, side, found.chosen)
    lane = problem.option_lane.astype(np.int64)
    load_on = np.bincount(lane, side.option_load, lanes)
    has_inner = np.zeros(lanes, np.bool_)
    has_inner[problem.lane_parent[problem.lane_parent >= 0]] = True
    fits = load_on <= problem.slots
    is_large = (problem.slots > MAX_SLOTS) & ~fits
    has_choice = (np.diff(problem.option_start) > 1) | kept
    has_price = (
        *(problem.cap >= 0, has_choice, has_inner | is_large),
        np.ones(side.num_rows, np.bool_),
    )
    most, least_row, most_row = price_limits(problem, low)
    amounts = (
        *(problem.cap, np.ones(problem.num_orders, np.int64), problem.slots),
        np.maximum(np.where(most_row > 0, side.high, 0), np.maximum(low, 0)),
    )
    amount = np.concatenate(amounts)
    most = np.minimum(
        min(most, LARGEST_PRICE), LARGEST_VALUE // np.maximum(amount, 1) // len(amount)
    )
    others = len(amount) - side.num_rows
    lowest = np.concatenate((np.zeros(others, np.int64), least_row))
    lowest[problem.num_merchants : problem.num_merchants + len(kept)][kept] = -(2**62)
    highest = np.concatenate((np.full(others, 2**62), most_row))
    return BranchNight(
        order_merchant=merchant_at(problem, np.arange(problem.num_orders)),
        option_order=order_at(problem, np.arange(problem.num_options)),
        option_lane=lane,
        load=side.option_load,
        saving=problem.option_saving,
        entry_start=side.entry_start,
        entry_row=side.entry_row.astype(np.int64),
        entry_weight=side.entry_weight,
        lane_parent=problem.lane_parent.astype(np.int64),
        slots=problem.slots,
        cap=problem.cap,
        high=side.high,
        low=low,
        list_start=running(np.bincount(lane, minlength=lanes)),
        listed=np.argsort(lane, kind="stable"),
        is_large=is_large,
        guide=np.where(fits, 0, found.lane_price),
        has_price=np.concatenate(has_price),
        lowest=np.maximum(lowest, -most),
        highest=np.minimum(highest, most),
    )


def make_linear(night: BranchNight) -> LinearNight:
    """Lay out the linear program; without rows where it is too large for every node."""
    count, lanes = len(night.saving), len(night.slots)
    every = np.arange(count)
    merchants = len(night.cap)
    first_lane = merchants + len(night.order_merchant)
    load_on = np.bincount(night.option_lane, night.load, lanes)
    is_filled = ~night.is_large & (load_on > night.slots)
    places = [night.order_merchant[night.option_order], merchants + night.option_order]
    amounts = [np.ones(count, np.int64)] * 2
    lane, column = night.option_lane, every
    columns = [every] * 2
    while len(lane):
        places.append(first_lane + lane)
        amounts.append(night.load[column])
        columns.append(column)
        lane = night.lane_parent[lane]
        column, lane = column[lane >= 0], lane[lane >= 0]
    places.append(first_lane + lanes + night.entry_row)
    amounts.append(night.entry_weight)
    columns.append(np.repeat(every, np.diff(night.entry_start)))
    place, amount, at = map(np.concatenate, (places, amounts, columns))
    ones = np.ones(first_lane - merchants, np.int64)
    limit = np.concatenate((night.cap, ones, night.slots, night.high))
    total = np.bincount(place, amount, len(limit)).astype(np.int64)
    least = np.concatenate((np.zeros(first_lane + lanes, np.int64), night.low))
    least[merchants:first_lane] = night.lowest[merchants:first_lane] < 0
    is_priced = night.has_price.copy()
    is_priced[first_lane : first_lane + lanes] |= is_filled
    binds = np.flatnonzero(((total > limit) | (least > 0)) & is_priced)
    floor = np.flatnonzero(least[binds] > 0)
    rows, width = len(binds), count + len(binds) + len(floor)
    if rows > MOST_ROWS or rows * width > MOST_NUMBERS:
        rows, width, binds, floor = 0, count, binds[:0], floor[:0]
    row_of = np.full(len(limit), -1)
    row_of[binds] = np.arange(rows)
    used = row_of[place] >= 0
    limit, least = np.maximum(np.minimum(limit, total), least)[binds], least[binds]
    whole = np.zeros((rows, width + 1))
    scale = np.maximum(limit, 1).astype(np.float64)
    np.add.at(whole, (row_of[place[used]], at[used]), amount[used])
    whole[:, width] = limit
    whole /= scale[:, None]
    whole[np.arange(rows), count + np.arange(rows)] = 1.0
    whole[floor, count + rows + np.arange(len(floor))] = 1.0
    largest = float(max(np.abs(night.saving).max(initial=0), 1))
    saving = night.saving / largest
    factor = largest / scale
    penalty = np.minimum(-night.lowest[binds][floor], HARD_PRICE * largest)
    return LinearNight(
        saving=saving,
        limit=limit / scale,
        whole=whole,
        cost=np.concatenate((saving, np.zeros(rows), -penalty / factor[floor])),
        most=np.concatenate(
            (
                np.ones(count),
                np.where(least > 0, (limit - least) / scale, np.inf),
                np.full(len(floor), np.inf),
            )
        ),
        is_filled=bool(np.any(is_filled)),
        place=binds,
        factor=factor,
    )


def first_state(linear: LinearNight) -> LinearState:
    """A table whose basis is the slacks."""
    count, rows = len(linear.saving), len(linear.limit)
    column = np.arange(len(linear.cost))
    return LinearState(
        linear.whole.copy(),
        count + np.arange(rows),
        (column >= count) & (column < count + rows),
        linear.cost.copy(),
        np.zeros(len(column)),
        np.zeros(1, np.int64),
    )
