"""
Small changes of a night by arrays: other slots, caps or fees.

Each function returns the problem that building the night from changed inputs would
give, at the cost of one array.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.side_constraints import HARD, NO_FLOOR, SideRows

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem


def path_to_root(lane: int, lane_parent: NDArray[np.int32]) -> list[int]:
    """
    A lane and all its ancestors.

    Examples
    --------
    >>> path_to_root(2, np.array([-1, 0, 1, 0], np.int32))
    [2, 1, 0]
    """
    path = []
    while lane >= 0:
        path.append(lane)
        lane = int(lane_parent[lane])
    return path


def with_more_slots(problem: Problem, lane: int, number: int) -> Problem:
    """
    The night with more slots in a lane and in all its ancestors.

    A negative number takes slots away, down to none.
    """
    slots = problem.slots.copy()
    slots[path_to_root(lane, problem.lane_parent)] += number
    return replace(problem, slots=np.maximum(slots, 0))


def with_scaled_slots(
    problem: Problem, factor: Decimal, is_scaled: NDArray[np.bool_]
) -> Problem:
    """
    The night with the slots of some lanes multiplied exactly and rounded down.

    Examples
    --------
    >>> from decimal import Decimal
    >>> import optimizer.testing as made
    >>> night = made.random_problem(np.random.default_rng(1))
    >>> every = np.ones(night.num_lanes, bool)
    >>> wider = with_scaled_slots(night, Decimal("1.5"), every)
    >>> bool(np.all(wider.slots == night.slots * 3 // 2))
    True
    """
    over, under = factor.as_integer_ratio()
    slots = np.where(is_scaled, problem.slots * over // under, problem.slots)
    return replace(problem, slots=slots)


def without_lanes(problem: Problem, is_closed: NDArray[np.bool_]) -> Problem:
    """The night with no slots in some lanes."""
    return replace(problem, slots=np.where(is_closed, 0, problem.slots))


def without_options(side: SideRows, is_closed: NDArray[np.bool_]) -> SideRows:
    """
    Side rows plus one that forbids some options.

    Parameters
    ----------
    side
        Loads, pins and rows of a night.
    is_closed
        ``(num_options,) bool``.
    """
    closed = np.flatnonzero(is_closed)
    at = side.entry_start[closed + 1]

    def longer(column: NDArray[np.int64], value: int) -> NDArray[np.int64]:
        return np.append(column, np.int64(value))

    return SideRows(
        option_load=side.option_load,
        entry_start=side.entry_start + np.append(0, np.cumsum(is_closed)),
        entry_row=np.insert(side.entry_row, at, np.int32(side.num_rows)),
        entry_weight=np.insert(side.entry_weight, at, 1),
        low=longer(side.low, NO_FLOOR),
        high=longer(side.high, 0),
        penalty=longer(side.penalty, HARD),
        rank=np.append(side.rank, np.int32(0)),
        pin_rank=side.pin_rank,
    )


def with_caps(problem: Problem, cap: NDArray[np.int64]) -> Problem:
    """The night with other caps, ``(num_merchants,) int64``."""
    return replace(problem, cap=cap)


def with_fee_change(
    problem: Problem, micro_cny: int, is_changed: NDArray[np.bool_] | None = None
) -> Problem:
    """
    The night with another fee: every saving falls by the rise of the fee.

    Parameters
    ----------
    problem
        The night.
    micro_cny
        Rise of the counted part of the fee; negative where it falls.
    is_changed
        ``(num_options,) bool``: options whose fee changes; ``None``: all.
    """
    change: NDArray[np.int64] | int = micro_cny
    if is_changed is not None:
        change = np.where(is_changed, micro_cny, 0)
    return replace(problem, option_saving=problem.option_saving - change)
