"""
Ties decided in favour of an earlier night, where the orders stay in blocks.

At prices that prove the plan, only orders that save at least their prices can be in any
optimal plan. Blocks give these, and the plan that keeps most is found of them as on one
machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.explain.churn import earlier_options
from optimizer.model.lane_tree import effective_price
from optimizer.model.solution import Solution, Termination
from optimizer.solvers.network.block_solve import parts_of, problem_of, tied_of
from optimizer.solvers.network.blocks import options_of, plain_choice
from optimizer.solvers.network.tie_break import keep_most, orders_not_below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from optimizer.build.lanes import Place
    from optimizer.explain.churn import Previous
    from optimizer.model.problem import Problem
    from optimizer.solvers.network.block_margins import AskedBlocks
    from optimizer.solvers.network.block_solve import BlockNight, Core
    from optimizer.solvers.network.blocks import Part, Tied


@dataclass(frozen=True, slots=True, eq=False)
class NotBelow:
    """
    What blocks are asked for: a function of a block.

    Attributes
    ----------
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    cut_of
        By block, the price of each merchant's cap.
    """

    price: NDArray[np.int64]
    cut_of: Mapping[int, NDArray[np.int64]]

    def __call__(self, block: int, problem: Problem) -> Part:
        """Orders that some optimal plan may have, with all their options."""
        order = orders_not_below(problem, self.cut_of[block], self.price)
        return parts_of(problem, order)


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """
    An earlier night, and how its choices are found in tonight's orders.

    Attributes
    ----------
    previous
        What is used of the earlier night.
    places
        Names of tonight's lanes.
    salt
        Of tonight's order keys.
    """

    previous: Previous
    places: Sequence[Place]
    salt: int


def keep_earlier(
    field: BlockNight, core: Core, blocks: AskedBlocks, before: Before, ends: float
) -> Core:
    """
    Change a proved plan, at the same saving and prices, to keep earlier choices.

    Parameters
    ----------
    field, core
        The night and its proved plan.
    blocks
        Those who keep the orders.
    before
        The earlier night.
    ends
        When to give up, on the monotonic clock.
    """
    price = effective_price(core.lane_price, field.parent)
    parts = blocks.each(NotBelow(price, field.by_block(core.merchant_price)))
    for block, part in parts.items():
        part["merchant"] = field.merchant_of[block][part["merchant"]]
    some = problem_of(field, list(parts.values()))
    chosen = np.union1d(
        plain_choice(some, price, core.merchant_price), _tied_here(some, core.tied)
    )
    end = Termination("OPTIMAL")
    plan = Solution(chosen, core.lane_price, core.merchant_price, end)
    earlier = earlier_options(before.previous, some, before.places, before.salt)
    kept = keep_most(some, plan, earlier, ends)
    tied = tied_of(field, some, kept.chosen, price, core.merchant_price)
    return replace(core, tied=tied, num_passes=core.num_passes + 1)


def _tied_here(some: Problem, tied: Tied) -> NDArray[np.int64]:
    """Options of the orders that prices do not decide."""
    keys = [key for key, _ in tied.values()]
    lanes = [lane for _, lane in tied.values()]
    key = np.concatenate([some.key[:0], *keys])
    lane = np.concatenate([some.option_lane[:0], *lanes])
    key, first = np.unique(key, return_index=True)
    return options_of(some, key, lane[first])
