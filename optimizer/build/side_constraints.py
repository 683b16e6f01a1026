"""
Turn a night's capacity rows into lanes, and add all side constraints.

Lanes are the rows that nest. Rows that do not nest, floors, fairness, owners' caps, the
subsidy budget, loads and pins make a night a packing problem, if any of them can bind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.capacity import find_cells, match_rows, split_rows
from optimizer.build.encode import leaf_places
from optimizer.build.group_limits import (
    Placed,
    capacity_drafts,
    fairness_drafts,
    floor_drafts,
    owner_drafts,
    shut_draft,
    subsidy_draft,
)
from optimizer.build.lanes import Place, build_forest
from optimizer.build.side_limits import add_limits
from optimizer.build.take_up import make_counting, refuse_loads
from optimizer.contracts.tables import load_column
from optimizer.model.lane_tree import ancestors, lane_use
from optimizer.model.side_constraints import NO_PIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.capacity import CapacityRow, Cells
    from optimizer.build.drawn_savings import Draws
    from optimizer.build.encode import NightCodes, OptionArrays, OrderArrays
    from optimizer.build.lanes import Forest
    from optimizer.build.side_limits import Draft, SideLimits
    from optimizer.build.take_up import Counting
    from optimizer.config import Config, PolicyRow
    from optimizer.model.problem import Problem


@dataclass(frozen=True, slots=True, eq=False)
class NightInputs:
    """
    The data that a night is built from.

    Attributes
    ----------
    orders, options, coder
        Encoded orders and options, in source order.
    capacity
        Rows of the capacity table.
    merchants
        Checked merchants table, where there is one.
    config, policy
        The rules.
    draws
        Savings of the options by other draws; ``None`` where savings are not drawn.
    """

    orders: OrderArrays
    options: OptionArrays
    coder: NightCodes
    capacity: Sequence[CapacityRow]
    merchants: pl.DataFrame | None
    config: Config
    policy: PolicyRow
    draws: Draws | None = None

    @property
    def is_open(self) -> bool:
        """Whether places without a capacity row have room for everything."""
        return self.config.capacity.uncovered_lanes == "open"


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """
    Capacity rows as lanes, and the rows that are no lanes.

    Attributes
    ----------
    forest, lane
        The lanes; ``(k,) int32``: lane of each option, in source order.
    beside
        Rows that are no lanes.
    cells
        Where options go; ``None`` where no rule asks.
    is_shut
        ``(num_cells,) bool``: cells that no row takes, at a place that has room for
        others.
    loads
        ``(k,) int64``: load of each option; ``None``: all 1.
    """

    forest: Forest
    lane: NDArray[np.int32]
    beside: Sequence[CapacityRow]
    cells: Cells | None
    is_shut: NDArray[np.bool_]
    loads: NDArray[np.int64] | None


def lay_out(given: NightInputs) -> Layout:
    """Nest capacity rows over the places that options go to."""
    loads = _option_loads(given.orders, given.options)
    places, leaf, demand = _used_leaves(given.coder, given.options.leaf, loads)
    lanes, beside = split_rows(given.capacity, places)
    has_rules = given.config.fairness or any(row.min_parcels for row in given.capacity)
    cells = None
    covered: set[Place] = set()
    is_shut = np.zeros(0, np.bool_)
    if beside or has_rules:
        cells = find_cells(given.orders, given.options, given.coder)
        is_taken = _taken(beside, cells)
        where = [Place(*values[:4]) for values in cells.values]
        covered = {place for place, taken in zip(where, is_taken, strict=True) if taken}
    slots = {place: row.slots for place, row in lanes.items()}
    forest = build_forest(slots, places, demand, is_open=given.is_open, covered=covered)
    if cells is not None:
        loose = {place for place in forest.places if place not in slots} & covered
        is_shut = np.array([place in loose for place in where], np.bool_) & ~is_taken
        is_shut &= not given.is_open
    return Layout(forest, forest.lane_of_leaf[leaf], beside, cells, is_shut, loads)


def _taken(beside: Sequence[CapacityRow], cells: Cells) -> NDArray[np.bool_]:
    """``(num_cells,) bool``: whether a row that is no lane takes the cell's parcels."""
    is_taken = np.zeros(len(cells.values), np.bool_)
    is_taken[match_rows(beside, cells)[0]] = True
    return is_taken


def _option_loads(
    orders: OrderArrays, options: OptionArrays
) -> NDArray[np.int64] | None:
    """Load of each option: its own, or the order's; ``None`` where all are 1."""
    if not len(orders.load) and not len(options.load):
        return None
    loads = np.ones(len(options.order), np.int64)
    if len(orders.load):
        loads = orders.load[options.order]
    if len(options.load):
        loads = np.where(options.load > 0, options.load, loads)
    return None if np.all(loads == 1) else loads


def _amounts(
    given: NightInputs, turn: NDArray[np.int64]
) -> dict[str, NDArray[np.int64]]:
    """What each option takes of each resource: its own, or its order's."""
    resources = given.config.capacity.resources
    if not resources:
        return {}
    own = given.options.amounts[turn]
    of_order = given.orders.amounts[given.options.order[turn]]
    taken = np.where(own < 0, of_order, own)
    return {name: taken[:, at] for at, name in enumerate(resources)}


def _used_leaves(
    coder: NightCodes, leaf: NDArray[np.int32], loads: NDArray[np.int64] | None
) -> tuple[list[Place], NDArray[np.int32], list[int]]:
    """Places that options really go to, options by place, and their loads together."""
    places = leaf_places(coder)
    count = np.bincount(leaf, minlength=len(places))
    used = np.flatnonzero(count)
    number = np.zeros(len(places), np.int32)
    number[used] = np.arange(len(used))
    if loads is not None:
        np.add.at(count, leaf, loads - 1)
    return [places[u] for u in used], number[leaf], count[used].tolist()


def limit_night(
    problem: Problem,
    given: NightInputs,
    layout: Layout,
    merchant_ids: Sequence[str],
    num_orders: NDArray[np.int64],
) -> tuple[Problem, SideLimits | None, Counting | None]:
    """
    Add all side constraints.

    Parameters
    ----------
    problem
        Orders, caps and lanes, with slots as given.
    given, layout
        The night's data, and its capacity rows.
    merchant_ids, num_orders
        By merchant: names, and orders that the caps are shares of.

    Returns
    -------
    problem, limits, counting
        The night; its further limits; how purchases are counted, where they are.

    Raises
    ------
    DataError
        When limits contradict each other.
    """
    if not further_limits(given, layout):
        return problem, None, None
    pin_rank = _pin_ranks(problem, given)
    placed = _place(problem, given, layout, merchant_ids, num_orders)
    counting = placed.counting
    of_resources = {load_column(name): n for name, n in placed.amounts.items()}
    refuse_loads(counting, {"load": placed.load} | of_resources)
    problem = replace(problem, slots=_counted_slots(problem, placed))
    drafts = list(_drafts(problem, given, layout, placed))
    loads = placed.load * counting.part[placed.merchant]
    problem, limits = add_limits(problem, drafts, loads, pin_rank)
    is_counted = given.config.capacity.count != "recommendations"
    return problem, limits, counting if is_counted else None


def further_limits(given: NightInputs, layout: Layout) -> list[str]:
    """Descriptions of the side constraints that could limit the night."""
    rules, policy = given.config, given.policy
    found = {
        "crossing rows, dates, attributes, resources or floors": (
            layout.cells is not None
        ),
        "loads": layout.loads is not None,
        "pins": bool(given.orders.is_pinned.any()),
        "capacity.count": rules.capacity.count != "recommendations",
        "owners' caps": policy.cap.group != "merchant",
        "a subsidy budget": policy.subsidy_budget_cny is not None,
    }
    return [words for words, is_there in found.items() if is_there]


def _drafts(
    problem: Problem, given: NightInputs, layout: Layout, placed: Placed
) -> Iterator[Draft]:
    roots = problem.slots[problem.lane_parent < 0] // placed.counting.scale
    base = min(int(problem.cap.sum()), int(roots.sum()))
    owners = given.policy.cap.group == "owner" and given.merchants is not None
    yield from chain(
        capacity_drafts(placed, layout.beside),
        shut_draft(placed, layout.is_shut),
        floor_drafts(placed, given.capacity),
        fairness_drafts(placed, given.config.fairness, base),
        owner_drafts(placed, given.policy) if owners else (),
        subsidy_draft(placed, given.policy),
    )


def _place(
    problem: Problem,
    given: NightInputs,
    layout: Layout,
    merchant_ids: Sequence[str],
    num_orders: NDArray[np.int64],
) -> Placed:
    """Put the attributes that rules use into the problem's order."""
    place = np.full(int(given.orders.row.max(initial=-1)) + 1, -1, np.int64)
    place[problem.row] = np.arange(problem.num_orders)
    order = place[given.orders.row[given.options.order]]
    turn = np.lexsort((layout.lane, order))
    merchant = np.searchsorted(problem.merchant_start, order[turn], side="right") - 1
    cells = layout.cells or find_cells(given.orders, given.options, given.coder)
    loads = np.ones(len(turn), np.int64) if layout.loads is None else layout.loads[turn]
    facts = _facts(given.merchants, merchant_ids)
    is_used = np.bincount(merchant, minlength=problem.num_merchants) > 0
    take_up = [1.0 if u is None else float(u) for u in facts["take_up"]]
    return Placed(
        cells=replace(cells, cell=cells.cell[turn]),
        merchant=merchant,
        load=loads,
        amounts=_amounts(given, turn),
        merchant_ids=merchant_ids,
        facts=facts,
        num_orders=num_orders,
        cap=problem.cap,
        counting=make_counting(given.config.capacity, take_up, is_used),
    )


def _facts(
    merchants: pl.DataFrame | None, merchant_ids: Sequence[str]
) -> dict[str, list[str | None]]:
    """Columns of the merchants table by merchant; ``None`` where there is no row."""
    if merchants is None:
        return {"take_up": [None] * len(merchant_ids)}
    row = {name: number for number, name in enumerate(merchants["merchant_id"])}
    at = [row.get(name, -1) for name in merchant_ids]
    columns = {name: [*merchants[name], None] for name in merchants.columns}
    return {name: [values[a] for a in at] for name, values in columns.items()}


def _counted_slots(problem: Problem, placed: Placed) -> NDArray[np.int64]:
    """Slots of lanes as purchases are counted."""
    counting = placed.counting
    if counting.rule == "recommendations":
        return problem.slots
    rates = sorted(set(counting.take_up))
    number = {rate: at for at, rate in enumerate(rates)}
    rate = np.array([number[u] for u in counting.take_up])[placed.merchant]
    lowest = np.full(problem.num_lanes, len(rates), np.int64)
    highest = np.full(problem.num_lanes, -1, np.int64)
    np.minimum.at(lowest, problem.option_lane, rate)
    np.maximum.at(highest, problem.option_lane, rate)
    direct = lowest.copy(), highest.copy()
    for lanes, above in ancestors(problem.lane_parent):
        np.minimum.at(lowest, above, direct[0][lanes])
        np.maximum.at(highest, above, direct[1][lanes])
    most = lane_use(problem.option_lane, problem.lane_parent, placed.load)
    room = [
        counting.room(slots, used, *_range(rates, low, high))
        for slots, used, low, high in zip(
            *(a.tolist() for a in (problem.slots, most, lowest, highest)),
            strict=True,
        )
    ]
    return np.array(room, np.int64)


def _range(rates: list[Fraction], low: int, high: int) -> tuple[Fraction, Fraction]:
    """Take-ups of a lane; those of any where no option goes there."""
    return (rates[low], rates[high]) if high >= 0 else (rates[0], rates[0])


def _pin_ranks(problem: Problem, given: NightInputs) -> NDArray[np.int32] | None:
    """Rank of each order that is pinned; ``None`` where none is."""
    orders = given.orders
    if not orders.is_pinned.any():
        return None
    pinned = np.zeros(int(orders.row.max()) + 1, np.bool_)
    pinned[orders.row] = orders.is_pinned
    order = np.flatnonzero(pinned[problem.row])
    if len(order) == 0:
        return None
    rank = np.full(problem.num_orders, NO_PIN, np.int32)
    rank[order] = given.config.pin_priority
    return rank
