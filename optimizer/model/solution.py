"""What every solver returns: a plan, prices, and why it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from optimizer.model.branch_tree import BranchTree

Reason = Literal["OPTIMAL", "FEASIBLE", "NO_SOLUTION_FOUND"]
Limit = Literal["TIME", "GAP", "METHOD"]


@dataclass(frozen=True, slots=True)
class Termination:
    """
    Why a solve stopped; what it found is kept apart.

    Attributes
    ----------
    reason
        ``OPTIMAL``: the solver believes its plan is best; ``FEASIBLE``: it has a
        plan that may not be; ``NO_SOLUTION_FOUND``: it has none. Only the
        certificate decides what is true.
    limit
        What ended it early: ``TIME``; ``GAP``, the asked gap was reached; or
        ``METHOD``, which proves no optimum. ``None`` with ``OPTIMAL``.
    """

    reason: Reason
    limit: Limit | None = None

    def __post_init__(self) -> None:
        """A limit belongs to a solve that was cut short, and only to it."""
        if (self.reason == "OPTIMAL") != (self.limit is None):
            raise ValueError(f"{self.reason} does not go with limit {self.limit}")


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """
    A plan, and the prices meant to prove it optimal.

    Attributes
    ----------
    chosen
        ``(num_chosen,) int64``: the chosen options, ascending.
    lane_price
        ``(num_lanes,) int64`` micro-CNY, at least 0: the price of each lane's own
        slots. An option pays its lane's price and those of all lanes around it.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY, at least 0: price of each cap.
    termination
        Why the solver stopped.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight in each side row: above
        0 for its ceiling, below 0 for its floor. ``None`` where there are no such
        rows.
    order_price
        ``(num_orders,) int64`` micro-CNY, at least 0: the price of choosing each
        order once, where the bound is proved lane by lane; else ``None``.
    tree
        Branchings that prove a better bound than these prices; ``None`` where there
        are none.
    """

    chosen: NDArray[np.int64]
    lane_price: NDArray[np.int64]
    merchant_price: NDArray[np.int64]
    termination: Termination
    row_price: NDArray[np.int64] | None = None
    order_price: NDArray[np.int64] | None = None
    tree: BranchTree | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SolveParams:
    """
    How long and how hard to try.

    Attributes
    ----------
    time_limit_seconds
        Wall time from the call, greater than 0.
    relative_gap
        Stop once the proved gap is at most this share of the plan; 0 asks for
        the optimum.
    num_threads
        Threads for the kernels; ``None``: one for each core. Never changes the
        answer.
    start_price
        ``(num_lanes,) int64`` effective prices to start from, micro-CNY; those of an
        earlier night save time. They never change what the optimum is.
    tell
        Called with the gap of a long solve, as it is so far.
    """

    time_limit_seconds: float = 600.0
    relative_gap: float = 0.0
    num_threads: int | None = None
    start_price: NDArray[np.int64] | None = None
    tell: Callable[[str], None] | None = None
