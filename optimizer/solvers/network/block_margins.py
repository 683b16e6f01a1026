"""
Exact margins of a night over blocks: paths are short, so few orders decide them.

Whoever keeps the blocks tells the chosen orders, and of the others the cheapest for
each merchant and lane. From these the distances are found in one place, as
:func:`~optimizer.solvers.network.margins.find_margins` does, and each block measures
its own orders by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from optimizer.model.lane_tree import effective_price
from optimizer.model.margins import AskedOrders, Margins
from optimizer.model.solution import Solution, Termination
from optimizer.solvers.market import Threads
from optimizer.solvers.network.block_solve import parts_of, problem_of
from optimizer.solvers.network.blocks import ByBlock, decided, options_of
from optimizer.solvers.network.exchanges import (
    Listed,
    OwnOrders,
    is_least,
    view_of,
    ways_of,
)
from optimizer.solvers.network.margins import (
    Exits,
    Reach,
    measure_orders,
    reach_of,
    with_values,
)
from optimizer.solvers.network.near_nodes import Near, find_near

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.network.block_solve import BlockNight
    from optimizer.solvers.network.blocks import DecidingPrices, Part
    from optimizer.solvers.network.exchanges import View


class AskedBlocks(Protocol):
    """Blocks that answer whatever a function of a block asks."""

    def each(self, work: Callable[[int, Problem], Part], /) -> dict[int, Part]:
        """Call a function of a block on every block."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """
    The chosen orders of a night, with all their options.

    Attributes
    ----------
    problem
        The night with no other orders.
    solution
        The plan and its prices.
    """

    problem: Problem
    solution: Solution


@dataclass(frozen=True, slots=True, eq=False)
class BlockMargins:
    """
    What slots are worth, and how each block finds its orders' margins.

    Attributes
    ----------
    values
        With the margins of the chosen orders alone.
    reach_of
        By block.
    """

    values: Margins
    reach_of: Mapping[int, Reach]


def plan_block(block: int, problem: Problem, verdict: DecidingPrices) -> Part:
    """
    The chosen orders of a block.

    Returns
    -------
    dict
        As of :func:`~optimizer.solvers.network.blocks.screen_block`, and the lane of
        the chosen option of each (``pick``).
    """
    chosen = decided(block, problem, verdict).chosen
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    return parts_of(problem, order) | {"pick": problem.option_lane[chosen]}


def find_plan(field: BlockNight, verdict: DecidingPrices, blocks: AskedBlocks) -> Plan:
    """
    Gather the chosen orders.

    Parameters
    ----------
    field, verdict
        The night, and what decides every order.
    blocks
        Those who keep the orders.
    """
    parts, keys, lanes = [], [], []
    for block, part in blocks.each(_Work(plan_block, verdict)).items():
        part["merchant"] = field.merchant_of[block][part["merchant"]]
        parts.append(part)
        keys.append(part["key"])
        lanes.append(part["pick"])
    problem = problem_of(field, parts)
    key = np.concatenate([problem.key[:0], *keys])
    lane = np.concatenate([problem.option_lane[:0], *lanes])
    chosen = options_of(problem, key, lane)
    prices = np.zeros(problem.num_merchants, np.int64)
    for block, mine in field.merchant_of.items():
        prices[mine] = verdict.merchant_price_of[block]
    solution = Solution(chosen, verdict.lane_price, prices, Termination("OPTIMAL"))
    return Plan(problem, solution)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """A function of a block with what it is asked; sent to whoever has the block."""

    function: Callable[[int, Problem, Any], Part]
    asked: Any

    def __call__(self, block: int, problem: Problem) -> Part:
        return self.function(block, problem, self.asked)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Prices, and distances by block, at which the orders left out are asked for."""

    verdict: DecidingPrices
    price: NDArray[np.int64]
    cut_of: Mapping[int, NDArray[np.int64]]
    bound_of: Mapping[int, NDArray[np.int64]]
    lane_ground: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class OrdersOfBlocks:
    """
    The orders that blocks leave out: an :class:`~.exchanges.Others`.

    Attributes
    ----------
    field, verdict, blocks
        The night, what decides every order, and those who keep the orders.
    """

    field: BlockNight
    verdict: DecidingPrices
    blocks: AskedBlocks

    def rivals(self, view: View, limit: NDArray[np.int64]) -> Listed:
        """For merchants and lanes, the cheapest order left out that costs less."""
        found = self._ask(_rivals_block, view, limit, np.zeros_like(view.price))
        parts = [
            (
                self.field.merchant_of[block][part["merchant"]],
                part["lane"],
                part["cost"],
            )
            for block, part in found.items()
        ]
        none = (limit[:0], np.zeros(0, np.int32), limit[:0])
        return Listed(
            *(np.concatenate(each) for each in zip(none, *parts, strict=True))
        )

    def to_ground(
        self, view: View, lane_ground: NDArray[np.int64], ground: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Merchants' distances to the ground, shortened by way of orders left out."""
        shortest = ground.copy()
        for block, part in self._ask(_ground_block, view, ground, lane_ground).items():
            mine = self.field.merchant_of[block]
            shortest[mine] = np.minimum(shortest[mine], part["ground"])
        return shortest

    def first_places(
        self, view: View, lane_ground: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """What a first place is worth to merchants whose cap is 0, at least 0."""
        more = np.zeros_like(view.cut)
        for block, part in self._ask(_first_block, view, more, lane_ground).items():
            mine = self.field.merchant_of[block]
            more[mine] = np.maximum(more[mine], part["more"])
        return more

    def _ask(
        self,
        function: Callable[[int, Problem, _Asked], Part],
        view: View,
        bound: NDArray[np.int64],
        lane_ground: NDArray[np.int64],
    ) -> dict[int, Part]:
        asked = _Asked(
            self.verdict,
            view.price,
            self.field.by_block(view.cut),
            self.field.by_block(bound),
            lane_ground,
        )
        return self.blocks.each(_Work(function, asked))


def _own(block: int, problem: Problem, verdict: DecidingPrices) -> OwnOrders:
    return OwnOrders(problem, _picks(problem, decided(block, problem, verdict).chosen))


def _picks(problem: Problem, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """The chosen option of each order; -1 for none."""
    pick = np.full(problem.num_orders, -1, np.int64)
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    pick[order] = chosen
    return pick


def _rivals_block(block: int, problem: Problem, asked: _Asked) -> Part:
    own = _own(block, problem, asked.verdict)
    found = own.listed(asked.price, asked.cut_of[block], asked.bound_of[block])
    return {"merchant": found.source, "lane": found.target, "cost": found.cost}


def _ground_block(block: int, problem: Problem, asked: _Asked) -> Part:
    own = _own(block, problem, asked.verdict)
    cut, ground = asked.cut_of[block], asked.bound_of[block]
    return {"ground": own.shortened(asked.price, cut, asked.lane_ground, ground)}


def _first_block(block: int, problem: Problem, asked: _Asked) -> Part:
    own = _own(block, problem, asked.verdict)
    return {"more": own.worth_of_first(asked.price, asked.lane_ground)}


def find_block_margins(
    field: BlockNight,
    plan: Plan,
    verdict: DecidingPrices,
    blocks: AskedBlocks,
    num_threads: int | None = None,
) -> BlockMargins | None:
    """
    Find what slots are worth, and distances by which blocks measure their orders.

    Parameters
    ----------
    field, plan, verdict
        The night, its chosen orders, and what decides every order.
    blocks
        Those who keep the orders; each is asked four times.
    num_threads
        ``None``: one for each core. Never changes a margin.

    Returns
    -------
    BlockMargins
        ``None`` where the prices are not the least that prove the plan.

    Raises
    ------
    SolveError
        When they do not prove it at all.
    """
    problem, solution = plan.problem, plan.solution
    price = effective_price(solution.lane_price, problem.lane_parent)
    view = view_of(problem, solution.chosen, price)
    others = OrdersOfBlocks(field, verdict, blocks)
    if not is_least(problem, view, others):
        return None
    ways = ways_of(problem, view, others)
    with Threads(num_threads) as pool:
        near = find_near(problem, ways, pool)
        reach = reach_of(problem, view, ways, near, pool)
        order = measure_orders(problem.cap, _asked(problem, view.pick), reach, pool)
    values = with_values(problem, view, reach, others, order)
    of_block = {b: _part_of(reach, m) for b, m in field.merchant_of.items()}
    return BlockMargins(values, ByBlock(of_block))


def only_orders(
    problem: Problem,
    chosen: NDArray[np.int64],
    reach: Reach,
    beside: AskedOrders | None = None,
) -> Margins:
    """
    Margins of a block's orders; what its slots are worth is known elsewhere.

    Parameters
    ----------
    problem, chosen
        The block, and its chosen options.
    reach
        Of the block.
    beside
        Orders of its merchants that are not in the problem, and are asked as well.
    """
    besides = None
    with Threads(1) as pool:
        asked = _asked(problem, _picks(problem, chosen))
        order = measure_orders(problem.cap, asked, reach, pool)
        if beside is not None:
            besides = measure_orders(problem.cap, beside, reach, pool)
    none = np.zeros(0, np.int64)
    return Margins(
        order=order,
        beside=besides,
        row_more=none,
        row_fewer=none,
        around_more=none,
        around_fewer=none,
        cap_more=none,
        cap_fewer=none,
    )


def _asked(problem: Problem, pick: NDArray[np.int64]) -> AskedOrders:
    return AskedOrders(
        problem.merchant_start,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
        pick,
    )


def _part_of(reach: Reach, merchant: NDArray[np.int64]) -> Reach:
    """
    Distances of some merchants; arcs, and lanes near lanes, stay behind.

    The latter grow with the square of the lanes, and are in the merchants' exits.
    """
    near, exits = reach.near, reach.exits
    near_start, at = _taken(near.near_start, merchant)
    exit_start, used = _taken(exits.start, merchant)
    none = np.zeros(0, np.int64)
    lanes = none.astype(np.int32)
    return Reach(
        reach.price,
        reach.cut[merchant],
        reach.ways._replace(
            lane_start=none,
            lane_target=lanes,
            lane_cost=none,
            merchant_start=none,
            merchant_target=lanes,
            merchant_cost=none,
            merchant_ground=none,
        ),
        Near(
            front=near.front,
            hop_start=none,
            hop_lane=lanes,
            hop_distance=none,
            near_start=near_start,
            near_lane=near.near_lane[at],
            near_distance=near.near_distance[at],
        ),
        Exits(
            start=exit_start,
            lane=exits.lane[used],
            distance=exits.distance[used],
            beyond_front=exits.beyond_front[merchant],
            beyond_ground=exits.beyond_ground[merchant],
        ),
    )


def _taken(
    start: NDArray[np.int64], some: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts of some runs put one after the other, and which entries these are."""
    count = start[some + 1] - start[some]
    first = np.concatenate(([0], np.cumsum(count))).astype(np.int64)
    step = np.arange(first[-1]) - np.repeat(first[:-1], count)
    return first, np.repeat(start[some], count) + step
