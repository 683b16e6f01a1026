r"""
Margins: how far each order is from changing sides, and the value of one slot more.

Let :math:`V` be the value of the best plan, :math:`V^{+i}` that of the best plan with
order :math:`i` in it (by whichever option), :math:`V^{-i}` that of the best without.
One of the two is :math:`V`. The **margin** of :math:`i` is

.. math::  V^{+i} - V^{-i} .

Above 0, every optimal plan has the order until its saving falls by the margin. Below 0,
no optimal plan has it until its saving has risen by as much. At 0 some have it and
others do not. (An order's saving falls or rises for all its options alike.) The margin
does not depend on ties, prices or method: solving twice, with the order and without it,
gives the same number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.model.frozen import freeze_arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: Stands for what does not exist: the margin of an order that no plan can have, or
#: what a slot fewer costs where there is none; and for what is not known.
NO_END = 2**60

#: Nodes of the graph of exchanges that are looked at for all lanes together, and for
#: each lane at least; margins that need more are given as intervals.
MOST_NEAR, LEAST_NEAR = 2**25, 2**10


def most_near(num_lanes: int) -> int:
    """
    The most nodes that may be searched for each lane, given the number of lanes.

    Examples
    --------
    >>> most_near(1_500), most_near(100_000)
    (22369, 1024)
    """
    return max(LEAST_NEAR, MOST_NEAR // num_lanes)


@dataclass(frozen=True, slots=True, eq=False)
class Interval:
    """
    Margins, each between a lower and an upper end; usually both are the same array.

    Attributes
    ----------
    low, high
        ``(n,) int64`` micro-CNY; both ``NO_END`` where no plan can have the order, else
        ``-NO_END`` and ``NO_END`` stand for ends that are not known.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]


#: Names of the ends of an interval.
ENDS = ("low", "high")


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """
    Margins and slot values of an optimal plan of the network class.

    Slot values are integer micro-CNY; ``NO_END`` stands for what does not exist.

    Attributes
    ----------
    order
        Margin of each order of the problem.
    beside
        Margins of further orders, each as if it were added to the problem, in the
        order given; ``None`` where none were given.
    row_more, row_fewer
        ``(num_lanes,) int64``: what one more slot in this lane alone brings, and what
        one fewer costs.
    around_more, around_fewer
        ``(num_lanes,) int64``: the same in this lane and in all lanes around it.
    cap_more, cap_fewer
        ``(num_merchants,) int64``: the same for each cap.
    """

    order: Interval
    beside: Interval | None
    row_more: NDArray[np.int64]
    row_fewer: NDArray[np.int64]
    around_more: NDArray[np.int64]
    around_fewer: NDArray[np.int64]
    cap_more: NDArray[np.int64]
    cap_fewer: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AskedOrders:
    """
    Orders whose margins are asked, by merchant.

    Attributes
    ----------
    merchant_start, option_start, option_lane, option_saving
        As in :class:`~optimizer.model.problem.Problem`.
    pick
        ``(n,) int64``: the chosen option of each; -1 for none.
    """

    merchant_start: NDArray[np.int64]
    option_start: NDArray[np.int64]
    option_lane: NDArray[np.int32]
    option_saving: NDArray[np.int64]
    pick: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Arrays are read-only, as the problem's are: kernels are compiled once."""
        freeze_arrays(self)
