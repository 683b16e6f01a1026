"""Floors and pins that are not kept, each with what stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.model.lane_tree import lane_use, least_slots
from optimizer.model.reasons import Reason
from optimizer.model.reduced_savings import best_of, room_alone
from optimizer.model.side_constraints import NO_PIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.certify.certificate import Certificate
    from optimizer.model.problem import Problem
    from optimizer.model.side_constraints import SideRows

#: What stops a pin or a floor, in words.
STOPS = {
    "INELIGIBLE": "the order or its merchant takes no part",
    "CARRIER_INACTIVE": "none of its carriers is in the policy's roster",
    "NO_OPTION": "no carrier is offered for it",
    "NOT_DELIVERABLE": "no platform takes it",
    "CAP_ZERO": "its merchant's cap is 0",
    "NO_SLOTS": "no slots where it could go",
    "TOO_FEW_PARCELS": "fewer parcels could count in it than it asks for",
    "CAPS": "its merchants' caps let fewer through",
    "SLOTS": "the slots where its parcels could go are fewer",
    "OTHER_LIMITS": "other pins, floors and limits leave no room",
}
#: The same of pins, where it is other pins.
PIN_STOPS = STOPS | {
    "CAPS": "other pins fill its merchant's cap",
    "SLOTS": "other pins fill the slots where it could go",
}


class Clash(NamedTuple):
    """
    A floor or a pin that is not kept.

    Attributes
    ----------
    kind, name
        As in the conflicts table; ``name`` is empty for a pin.
    row
        Of a pinned order in the orders table; -1 for floors.
    priority, asked, reached
        Parcels.
    stopped_by
        A key of :data:`STOPS`.
    """

    kind: str
    name: str
    row: int
    priority: int
    asked: int
    reached: int
    stopped_by: str


def count_conflicts(certificate: Certificate, index: Names) -> int:
    """Floors and pins that are not kept, pins of orders that take no part included."""
    return len(certificate.conflicts) + len(index.stopped_pins)


def find_clashes(
    certificate: Certificate,
    problem: Problem,
    index: Names,
    chosen: NDArray[np.int64],
) -> Iterator[Clash]:
    """
    All floors and pins that a plan does not keep, and what stops each.

    Parameters
    ----------
    certificate
        With the conflicts of the plan.
    problem, index
        The night, and the names behind its numbers.
    chosen
        ``(num_chosen,) int64``: the plan's options, ascending.
    """
    pins = [c.number for c in certificate.conflicts if c.kind == "pin"]
    stops = iter(_pin_stops(problem, np.array(pins, np.int64), chosen))
    for c in certificate.conflicts:
        if c.kind == "pin":
            row = int(problem.row[c.number])
            yield Clash(
                kind="pin",
                name="",
                row=row,
                priority=c.rank,
                asked=c.asked,
                reached=c.reached,
                stopped_by=next(stops),
            )
            continue
        assert index.limits is not None
        assert problem.side is not None
        limit = index.limits.named(c.number)
        why = _floor_stop(problem, problem.side, c.number, c.asked)
        yield Clash(
            kind=limit.kind,
            name=limit.name,
            row=-1,
            priority=c.rank,
            asked=c.asked,
            reached=c.reached,
            stopped_by=why,
        )
    for row in index.stopped_pins.tolist():
        why = Reason(int(index.status[row])).name
        yield Clash(
            kind="pin",
            name="",
            row=row,
            priority=index.pin_priority,
            asked=1,
            reached=0,
            stopped_by=why,
        )


def _pin_stops(
    problem: Problem, order: NDArray[np.int64], chosen: NDArray[np.int64]
) -> list[str]:
    """
    What stops pinned orders that went to the solver.

    Pins that are kept stop another one where they alone fill its merchant's cap, or a
    row of each of its options.
    """
    if len(order) == 0:
        return []
    assert problem.side is not None
    kept_order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    is_kept = problem.side.pin_rank[kept_order] != NO_PIN
    kept, kept_order = chosen[is_kept], kept_order[is_kept]
    merchant = np.searchsorted(problem.merchant_start, kept_order, side="right") - 1
    num_kept = np.bincount(merchant, minlength=problem.num_merchants)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    has_option = np.diff(problem.option_start)[order] > 0
    load = problem.side.option_load[kept]
    taken = lane_use(problem.option_lane[kept], problem.lane_parent, load)
    stops = np.full(len(order), "OTHER_LIMITS", object)
    stops[~_fits(problem, problem.slots - taken)[order]] = "SLOTS"
    stops[num_kept[merchant] >= problem.cap[merchant]] = "CAPS"
    stops[~_fits(problem, problem.slots)[order]] = "NO_SLOTS"
    stops[problem.cap[merchant] == 0] = "CAP_ZERO"
    stops[~has_option] = "NO_OPTION"
    return [str(stop) for stop in stops]


def _fits(problem: Problem, slots: NDArray[np.int64]) -> NDArray[np.bool_]:
    """``(num_orders,) bool``: orders with an option that fits into slots by itself."""
    slots = least_slots(slots, problem.lane_parent)
    room = room_alone(problem, slots, 0, problem.num_orders)
    return best_of(problem.option_start, room, 0) > 0


def _floor_stop(problem: Problem, side: SideRows, row: int, asked: int) -> str:
    """What stops a floor: the first of its limits that alone is below what it asks."""
    option = np.repeat(np.arange(problem.num_options), np.diff(side.entry_start))
    option = option[side.entry_row == row]
    order = np.searchsorted(problem.option_start, option, side="right") - 1
    if len(np.unique(order)) < asked:
        return "TOO_FEW_PARCELS"
    merchant = (
        np.searchsorted(problem.merchant_start, np.unique(order), side="right") - 1
    )
    there = np.bincount(merchant, minlength=problem.num_merchants)
    if int(np.minimum(there, problem.cap).sum()) < asked:
        return "CAPS"
    lightest = int(side.option_load[option].min())
    through = np.bincount(problem.option_lane[option], minlength=problem.num_lanes)
    for lane in range(problem.num_lanes - 1, -1, -1):
        through[lane] = min(through[lane], problem.slots[lane] // max(1, lightest))
        if problem.lane_parent[lane] >= 0:
            through[problem.lane_parent[lane]] += through[lane]
    is_root = problem.lane_parent < 0
    return "SLOTS" if int(through[is_root].sum()) < asked else "OTHER_LIMITS"
