r"""
The night as frozen integer arrays.

Order :math:`i` of merchant :math:`m(i)` may take one of its options
:math:`a \in A(i)`, each on one lane :math:`\ell(a)` with saving :math:`s_a`
(integer micro-CNY). Lanes form a forest: a lane's slots are shared with its
parent's (outlet in region in carrier). With :math:`T(r)` the options whose lane
is :math:`r` or lies below it,

.. math::

   \max_{x \in \{0,1\}} \; \sum_a s_a x_a \quad \text{s.t.} \quad
   \sum_{a \in A(i)} x_a \le 1, \qquad
   \sum_{i \in m} \sum_{a \in A(i)} x_a \le \mathrm{cap}_m, \qquad
   \sum_{a \in T(r)} x_a \le \mathrm{slots}_r .

Every option takes one slot and the lanes nest, so the matrix is a network
matrix (totally unimodular) and the linear program has an integer optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from optimizer.errors import SolveError
from optimizer.model.frozen import freeze_arrays
from optimizer.model.side_constraints import check_side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from optimizer.model.side_constraints import SideRows

ProblemClass = Literal["network", "packing"]

#: Largest sum of savings that the integer arithmetic admits, in micro-CNY.
MAX_TOTAL_SAVING = 2**61


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """
    One night's allocation problem, orders grouped by merchant.

    Attributes
    ----------
    merchant_start
        ``(num_merchants + 1,) int64``: orders of merchant ``m`` are
        ``merchant_start[m] : merchant_start[m + 1]``.
    cap
        ``(num_merchants,) int64``: parcels that each merchant may have chosen.
    option_start
        ``(num_orders + 1,) int64``: options of order ``i`` are
        ``option_start[i] : option_start[i + 1]``; an order may have none.
    option_lane
        ``(num_options,) int32``: the deepest lane that the option occupies.
    option_saving
        ``(num_options,) int64``: micro-CNY, may be negative (then never chosen).
    slots
        ``(num_lanes,) int64``: parcels that each lane takes.
    lane_parent
        ``(num_lanes,) int32``: the lane around this one, ``-1`` for a root. A
        parent stands before its children.
    key
        ``(num_orders,) uint64``: stable hash of ``order_id``, all different;
        ties between equal savings are broken by it, never by the order of rows.
    row
        ``(num_orders,) int64``: the order's row in the orders table, from 0.
    side
        Loads, pins and rows that do not nest, where the night has any.
    """

    merchant_start: NDArray[np.int64]
    cap: NDArray[np.int64]
    option_start: NDArray[np.int64]
    option_lane: NDArray[np.int32]
    option_saving: NDArray[np.int64]
    slots: NDArray[np.int64]
    lane_parent: NDArray[np.int32]
    key: NDArray[np.uint64]
    row: NDArray[np.int64]
    side: SideRows | None = None

    def __post_init__(self) -> None:
        """Freeze the arrays and check that they belong together."""
        freeze_arrays(self)
        check_problem(self)
        if self.side is not None:
            check_side(self.side, self.num_orders, self.num_options)

    @property
    def num_orders(self) -> int:
        """Orders that the solver decides on."""
        return len(self.key)

    @property
    def num_options(self) -> int:
        """Pairs of an order and a carrier that could take it."""
        return len(self.option_lane)

    @property
    def num_merchants(self) -> int:
        """Merchants, those with a cap of 0 included."""
        return len(self.cap)

    @property
    def num_lanes(self) -> int:
        """Capacity rows, those implied for uncovered lanes included."""
        return len(self.slots)

    @property
    def problem_class(self) -> ProblemClass:
        """``"network"``: unit loads on nested lanes alone; else ``"packing"``."""
        return "network" if self.side is None else "packing"


def check_problem(problem: Problem) -> None:
    """
    Refuse arrays that contradict each other or could overflow.

    Raises
    ------
    SolveError
        When a shape, an index, a sign or a possible sum is out of bounds.
    """
    for message, is_broken in _broken_rules(problem).items():
        if is_broken:
            raise SolveError(f"the problem's arrays do not fit: {message}")


def _broken_rules(problem: Problem) -> Mapping[str, bool]:
    lanes, parents = problem.num_lanes, problem.lane_parent
    return {
        "merchant_start does not cover the orders": _is_not_cover(
            problem.merchant_start, problem.num_merchants, problem.num_orders
        ),
        "option_start does not cover the options": _is_not_cover(
            problem.option_start, problem.num_orders, problem.num_options
        ),
        "option_saving differs in length from option_lane": (
            len(problem.option_saving) != problem.num_options
        ),
        "an option names a lane that does not exist": _is_outside(
            problem.option_lane, 0, lanes
        ),
        "a lane stands before its parent": bool(
            len(parents) != lanes
            or np.any(parents < -1)
            or np.any(parents >= np.arange(lanes))
        ),
        "a cap or a number of slots is negative": bool(
            np.any(problem.cap < 0) or np.any(problem.slots < 0)
        ),
        "savings are too large to add up in 64 bits": (
            _possible_sum(problem) > MAX_TOTAL_SAVING
        ),
    }


def _is_not_cover(start: NDArray[np.int64], groups: int, items: int) -> bool:
    if len(start) != groups + 1 or start[0] != 0 or start[-1] != items:
        return True
    return bool(np.any(np.diff(start) < 0))


def _is_outside(values: NDArray[np.int32], low: int, high: int) -> bool:
    return bool(len(values) and (values.min() < low or values.max() >= high))


def _possible_sum(problem: Problem) -> int:
    """Bound every sum of savings or prices that any stage may form."""
    if problem.num_options == 0:
        return 0
    largest = max(
        int(problem.option_saving.max()), -int(problem.option_saving.min()), 1
    )
    return largest * max(problem.num_orders, 1)


def starts(group: NDArray[np.integer], num_groups: int) -> NDArray[np.int64]:
    """
    Where each group starts among items that are sorted by group.

    Examples
    --------
    >>> starts(np.array([0, 2, 2]), 3).tolist()
    [0, 1, 1, 3]
    """
    counts = np.bincount(group, minlength=num_groups)
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
