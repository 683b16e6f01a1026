"""Reduced savings: what an order is still worth at given lane prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem

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
    return _best(start, reduced, NO_OPTION)


def has_room(
    problem: Problem, room: NDArray[np.int64], first: int, last: int
) -> NDArray[np.bool_]:
    """
    Whether any of each order's options goes to a lane with room.

    Parameters
    ----------
    problem
        The night.
    room
        ``(num_lanes,) int64``: slots for a lane's parcels, all rows around counted.
    first, last
        The orders ``first : last``.
    """
    start = problem.option_start[first : last + 1]
    options = slice(int(start[0]), int(start[-1]))
    return _best(start, room[problem.option_lane[options]], 0) > 0


def _best(
    start: NDArray[np.int64], values: NDArray[np.int64], otherwise: int
) -> NDArray[np.int64]:
    """Largest value over each order's options, or what stands for no option."""
    best = np.full(len(start) - 1, otherwise, np.int64)
    has_option = np.flatnonzero(np.diff(start) > 0)
    if len(has_option):
        best[has_option] = np.maximum.reduceat(values, start[has_option] - start[0])
    return best
