"""
Side constraints: their names, and the weight of each option in them.

Limits that no plan can reach are left out of the problem; they stay in this list, with
their use and a price of 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from optimizer.model.lane_tree import least_slots
from optimizer.model.side_constraints import HARD, NO_CEILING, NO_FLOOR, SideRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution

#: What is above its row counts as no more than this, or than one unit too much.
HEAVIEST = 10**6

Kind = Literal["capacity", "min_parcels", "fairness", "owner_cap", "subsidy"]


@dataclass(frozen=True, slots=True)
class Limit:
    """
    A limit.

    Attributes
    ----------
    kind, name
        Kind of limit, and the thing that it limits.
    low, high
        Least and greatest total weight; ``NO_FLOOR``, ``NO_CEILING``.
    penalty
        Micro-CNY for each parcel below ``low``, or ``HARD``.
    priority
        Of the floor; lower is kept first.
    scale
        Weight of one parcel, or of one unit of the resource.
    resource
        What it counts; ``None``: slots or parcels.
    """

    kind: Kind
    name: str
    low: int = NO_FLOOR
    high: int = NO_CEILING
    penalty: int = HARD
    priority: int = 0
    scale: int = 1
    resource: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """
    A limit with the options that count in it, ascending, and their weights.

    ``counts_load``: the weights are the options' loads.
    """

    limit: Limit
    option: NDArray[np.int64]
    weight: NDArray[np.int64]
    counts_load: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class SideLimits:
    """
    All side constraints of a night.

    Attributes
    ----------
    rows
        The limits.
    all_rows
        Entries of all of them, with loads and pins.
    side_row
        ``(num_limits,) int64``: side row of the problem; -1 where it never binds.
    """

    rows: tuple[Limit, ...]
    all_rows: SideRows
    side_row: NDArray[np.int64]

    @property
    def kinds(self) -> NDArray[np.str_]:
        """Kind of each side row of the problem."""
        kept = np.flatnonzero(self.side_row >= 0)
        return np.array([self.rows[number].kind for number in kept], np.str_)

    @property
    def of_resource(self) -> NDArray[np.bool_]:
        """``(num_rows,) bool``: side rows of the problem that count a resource."""
        kept = np.flatnonzero(self.side_row >= 0)
        return np.array([self.rows[n].resource is not None for n in kept], np.bool_)

    def named(self, side_row: int) -> Limit:
        """The limit of a side row of the problem."""
        return self.rows[int(np.flatnonzero(self.side_row == side_row)[0])]


def add_limits(
    problem: Problem,
    drafts: Sequence[Draft],
    loads: NDArray[np.int64] | None,
    pin_rank: NDArray[np.int32] | None,
) -> tuple[Problem, SideLimits | None]:
    """
    Add limits to a night; where none can bind it stays a network.

    Parameters
    ----------
    problem
        Orders, caps and lanes.
    drafts
        The limits.
    loads
        ``(num_options,) int64``; ``None``: all 1.
    pin_rank
        ``(num_orders,) int32``; ``None``: no pins.
    """
    num_options = problem.num_options
    has_load = loads is not None and bool(np.any(loads != 1))
    if not drafts and not has_load and pin_rank is None:
        return problem, None
    if loads is None:
        loads = np.ones(num_options, np.int64)
    if pin_rank is None:
        pin_rank = np.full(problem.num_orders, -1, np.int32)
    every = _side_rows(drafts, loads, pin_rank)
    can_bind = np.array([_can_bind(problem, draft) for draft in drafts], np.bool_)
    kept = [draft for draft, is_kept in zip(drafts, can_bind, strict=True) if is_kept]
    side_row = np.where(can_bind, np.cumsum(can_bind) - 1, -1).astype(np.int64)
    limits = SideLimits(tuple(draft.limit for draft in drafts), every, side_row)
    if kept or has_load or np.any(pin_rank >= 0):
        drafts, loads = _no_heavier(problem, kept, loads)
        problem = replace(problem, side=_side_rows(drafts, loads, pin_rank))
    return problem, limits if limits.rows else None


def _no_heavier(
    problem: Problem, drafts: Sequence[Draft], loads: NDArray[np.int64]
) -> tuple[list[Draft], NDArray[np.int64]]:
    """
    Bound loads that are far above what could ever take them.

    Such an option is never chosen, and one unit too much says so as well as a billion;
    but prices times a billion leave 64 bits.
    """
    room = least_slots(problem.slots, problem.lane_parent)[problem.option_lane]
    for draft in drafts:
        if draft.counts_load:
            at = draft.option
            room[at] = np.minimum(room[at], draft.limit.high)
    loads = np.minimum(loads, np.maximum(room + 1, HEAVIEST))
    bounded = []
    for draft in drafts:
        weight = loads[draft.option] if draft.counts_load else draft.weight
        if draft.limit.resource is not None:
            weight = np.minimum(weight, max(draft.limit.high + 1, HEAVIEST))
        bounded.append(replace(draft, weight=weight))
    return bounded, loads


def _can_bind(problem: Problem, draft: Draft) -> bool:
    """Whether some plan could break a limit."""
    limit = draft.limit
    heaviest = int(draft.weight.max(initial=0))
    most = min(
        int(draft.weight.sum()),
        heaviest * int(np.minimum(problem.cap, problem.num_orders).sum()),
    )
    return limit.low > 0 or most > limit.high


def _side_rows(
    drafts: Sequence[Draft],
    loads: NDArray[np.int64],
    pin_rank: NDArray[np.int32],
) -> SideRows:
    """Put the entries of all limits in the order of options."""
    nothing = np.zeros(0, np.int64)
    option = np.concatenate([nothing, *(draft.option for draft in drafts)])
    weight = np.concatenate([nothing, *(draft.weight for draft in drafts)])
    row = np.repeat(np.arange(len(drafts)), [len(draft.option) for draft in drafts])
    turn = np.argsort(option, kind="stable")
    limits = [draft.limit for draft in drafts]
    counts = np.bincount(option, minlength=len(loads))
    return SideRows(
        option_load=loads,
        entry_start=np.append(0, np.cumsum(counts)).astype(np.int64),
        entry_row=row[turn].astype(np.int32),
        entry_weight=weight[turn],
        low=np.array([limit.low for limit in limits], np.int64),
        high=np.array([limit.high for limit in limits], np.int64),
        penalty=np.array([limit.penalty for limit in limits], np.int64),
        rank=np.array([limit.priority for limit in limits], np.int32),
        pin_rank=pin_rank,
    )


def limit_prices(limits: SideLimits, solution: Solution) -> NDArray[np.int64]:
    """Price of a unit of weight of each limit, 0 where it is not in the problem."""
    price = np.zeros(len(limits.rows), np.int64)
    if solution.row_price is not None:
        kept = limits.side_row >= 0
        price[kept] = solution.row_price[limits.side_row[kept]]
    return price
