"""Reduced savings: what an order saves beyond given lane prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.side_constraints import SideRows

#: Orders that are priced at a time; bounds the memory of a pass.
BLOCK_ORDERS = 1_000_000

#: Reduced saving of an order without any option: below everything, far from overflow.
NO_OPTION = -(2**61)


def best_reduced(
    problem: Problem, price: NDArray[np.int64], first: int, last: int
) -> NDArray[np.int64]:
    """
    Best saving less effective lane price over each order's options.

    Parameters
    ----------
    problem
        The night.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    first, last
        The orders ``first : last``.

    Returns
    -------
    ``(last - first,) int64`` micro-CNY; ``NO_OPTION`` where there is none.
    """
    start = problem.option_start[first : last + 1]
    options = slice(int(start[0]), int(start[-1]))
    reduced = problem.option_saving[options] - price[problem.option_lane[options]]
    return best_of(start, reduced, NO_OPTION)


def has_room(
    problem: Problem, room: NDArray[np.int64], first: int, last: int
) -> NDArray[np.bool_]:
    """
    Whether each order has an option that goes to a lane with room.

    Parameters
    ----------
    problem
        The night.
    room
        ``(num_lanes,) int64``: slots for a lane's parcels, its ancestors considered;
        an option has room where these hold its load.
    first, last
        The orders ``first : last``.
    """
    start = problem.option_start[first : last + 1]
    return best_of(start, room_alone(problem, room, first, last), 0) > 0


def room_alone(
    problem: Problem, room: NDArray[np.int64], first: int, last: int
) -> NDArray[np.int64]:
    """
    Units left for each option of the orders ``first : last``, were it the only one.

    Above 0 where it fits; rows beside the lanes are counted as well.

    Parameters
    ----------
    problem
        The night.
    room
        ``(num_lanes,) int64``: slots left for a lane's parcels, its ancestors
        considered.
    first, last
        The orders ``first : last``.
    """
    start, end = problem.option_start[[first, last]].tolist()
    free = room[problem.option_lane[start:end]]
    side = problem.side
    if side is None:
        return free
    free = free - side.option_load[start:end] + 1
    begin, stop = side.entry_start[[start, end]].tolist()
    has_row = np.flatnonzero(np.diff(side.entry_start[start : end + 1]) > 0)
    if len(has_row):
        left = side.high[side.entry_row[begin:stop]] - side.entry_weight[begin:stop]
        at = side.entry_start[start:end][has_row] - begin
        free[has_row] = np.minimum(free[has_row], np.minimum.reduceat(left, at) + 1)
    return free


def net_savings(
    problem: Problem,
    price: NDArray[np.int64],
    row_price: NDArray[np.int64] | None,
    first: int,
    last: int,
) -> NDArray[np.int64]:
    """
    Each option's saving less what its lanes and side rows charge for its load.

    Parameters
    ----------
    problem
        The night.
    price
        ``(num_lanes,) int64`` effective prices of a slot, micro-CNY.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight; ``None``: nothing.
    first, last
        The orders ``first : last``.

    Returns
    -------
    ``(k,) int64`` micro-CNY, for all options of these orders.
    """
    start, end = problem.option_start[[first, last]].tolist()
    charged = price[problem.option_lane[start:end]]
    side = problem.side
    if side is None:
        return problem.option_saving[start:end] - charged
    net = problem.option_saving[start:end] - side.option_load[start:end] * charged
    if row_price is not None and len(row_price):
        net -= row_charges(side, row_price, start, end)
    return net


def row_charges(
    side: SideRows, row_price: NDArray[np.int64], first: int, last: int
) -> NDArray[np.int64]:
    """
    What side rows charge the options ``first : last``, ``(last - first,) int64``.

    Floors have prices below 0: they pay.

    Parameters
    ----------
    side
        The side rows.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight.
    first, last
        The options ``first : last``.
    """
    charged = np.zeros(last - first, np.int64)
    begin, end = side.entry_start[[first, last]].tolist()
    has_row = np.flatnonzero(np.diff(side.entry_start[first : last + 1]) > 0)
    if len(has_row):
        each = side.entry_weight[begin:end] * row_price[side.entry_row[begin:end]]
        charged[has_row] = np.add.reduceat(
            each, side.entry_start[first:last][has_row] - begin
        )
    return charged


def best_of(
    start: NDArray[np.int64], values: NDArray[np.int64], otherwise: int
) -> NDArray[np.int64]:
    """Largest value over each order's options, or a default for orders without any."""
    best = np.full(len(start) - 1, otherwise, np.int64)
    has_option = np.flatnonzero(np.diff(start) > 0)
    if len(has_option):
        best[has_option] = np.maximum.reduceat(values, start[has_option] - start[0])
    return best
