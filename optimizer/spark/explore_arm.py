"""
The explore arm of a night whose orders stay in blocks.

Who may come into the arm is decided by hashes and by limits that the driver knows, so
each block finds its candidates by itself. Room is taken in turn over the whole night:
the driver does that, with the few candidates and their options. Then the arm's orders
leave the blocks, and its places the caps and lanes, as on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.experiment import (
    EntryLimits,
    ExploreField,
    ExplorePool,
    candidates_of,
    draw_pool,
    entry_limits,
)
from optimizer.solvers.network.block_solve import parts_of, problem_of
from optimizer.solvers.network.blocks import ByBlock
from optimizer.spark.blocks import BlockArm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.build.experiment import Experiment
    from optimizer.model.problem import Problem
    from optimizer.solvers.network.block_margins import AskedBlocks
    from optimizer.solvers.network.block_solve import BlockNight
    from optimizer.solvers.network.blocks import Blocks, Part
    from optimizer.spark.block_summary import NightLimits


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """
    What blocks are asked for: a function of a block.

    Attributes
    ----------
    experiment
        Rules of the draws.
    by_cap
        By block, the entry limit of each of its merchants.
    by_lane
        ``(num_lanes,) uint64``: entry limits.
    """

    experiment: Experiment
    by_cap: ByBlock[NDArray[Any]]
    by_lane: NDArray[np.uint64]

    def __call__(self, block: int, problem: Problem) -> Part:
        """Candidates of a block, with all their options."""
        limits = EntryLimits(self.by_cap[block], self.by_lane)
        found, _, _ = candidates_of(field_of(problem), self.experiment, limits)
        return parts_of(problem, found)


def explore(
    field: BlockNight, limits: NightLimits, experiment: Experiment, blocks: AskedBlocks
) -> tuple[ExplorePool | None, NightLimits]:
    """
    Draw the explore arm, and take it out of the night.

    Parameters
    ----------
    field, limits
        The night before it is solved.
    experiment
        Rules of the draws.
    blocks
        Those who keep the orders.

    Returns
    -------
    pool, limits
        The arm, ``None`` where none is asked for; rows are positions among all
        candidates. And the limits that are left, whose terms name the arm's orders.
    """
    if not experiment.explore_share:
        return None, limits
    entry = entry_limits(
        experiment,
        cap=field.cap,
        num_open=field.num_open,
        slots=field.slots,
        demand=limits.lane_demand,
        parent=field.parent,
    )
    asked = Candidates(experiment, field.by_block(entry.by_cap), entry.by_lane)
    parts = blocks.each(asked)
    for block, part in parts.items():
        part["merchant"] = field.merchant_of[block][part["merchant"]]
    some = problem_of(field, list(parts.values()))
    pool, member = draw_pool(field_of(some), experiment, entry)
    terms = replace(
        limits.terms,
        slots=field.slots - pool.used_slots,
        cap_of=field.by_block(field.cap - pool.used_cap),
        arm_of=_arms(field, parts, pool, some.key[member]),
    )
    return pool, replace(limits, cap=field.cap - pool.used_cap, terms=terms)


def without_arm(
    field: BlockNight, limits: NightLimits, pool: ExplorePool | None, blocks: Blocks
) -> BlockNight:
    """
    Take the explore arm out of a night.

    Parameters
    ----------
    field
        The night with it.
    limits, pool
        From :func:`explore`.
    blocks
        Those who keep the orders, by the terms that are left.
    """
    if pool is None:
        return field
    gone = np.bincount(pool.merchant, minlength=len(field.cap))
    return replace(
        field,
        blocks=blocks,
        slots=limits.terms.slots,
        cap=limits.cap,
        num_open=field.num_open - gone,
    )


def _arms(
    field: BlockNight,
    parts: dict[int, Part],
    pool: ExplorePool,
    key: NDArray[np.uint64],
) -> ByBlock[BlockArm]:
    """The arm by block; its keys ascend, as they do in all of it."""
    used_cap = field.by_block(pool.used_cap)
    is_here = {block: np.isin(key, part["key"]) for block, part in parts.items()}
    return ByBlock(
        {
            block: BlockArm(
                key=key[mine],
                lane=pool.lane[mine],
                is_premium=pool.is_premium[mine],
                used_cap=used_cap[block],
            )
            for block, mine in is_here.items()
        }
    )


def field_of(problem: Problem) -> ExploreField:
    """A problem as the draw of the arm takes it; its rows are its orders."""
    order = np.arange(problem.num_orders)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    return ExploreField(
        key=problem.key,
        row=order,
        merchant=merchant.astype(np.int32),
        is_open=np.ones(problem.num_orders, np.bool_),
        order=np.repeat(order, np.diff(problem.option_start)),
        lane=problem.option_lane,
        saving=problem.option_saving,
        cap=problem.cap,
        slots=problem.slots,
        parent=problem.lane_parent,
    )


def pool_of_block(
    whole: Problem, arm: BlockArm, open_row: NDArray[np.int64]
) -> ExplorePool:
    """
    The arm's orders of a block, merchant by merchant.

    Parameters
    ----------
    whole
        The block with the arm's orders.
    arm
        Which they are.
    open_row
        ``(num_orders,) int64``: rows of the block's orders.
    """
    member = np.flatnonzero(np.isin(whole.key, arm.key))
    at = np.searchsorted(arm.key, whole.key[member])
    start = whole.option_start
    count = start[member + 1] - start[member]
    first = np.concatenate(([0], np.cumsum(count))).astype(np.int64)
    option = np.arange(first[-1]) + np.repeat(start[member] - first[:-1], count)
    lane = arm.lane[at]
    is_drawn = whole.option_lane[option] == np.repeat(lane, count)
    merchant = np.searchsorted(whole.merchant_start, member, side="right") - 1
    return ExplorePool(
        row=open_row[member],
        is_premium=arm.is_premium[at],
        lane=lane,
        saving=whole.option_saving[option][is_drawn],
        merchant=merchant.astype(np.int32),
        start=first,
        option_lane=whole.option_lane[option],
        option_saving=whole.option_saving[option],
        used_cap=arm.used_cap,
        used_slots=np.zeros(whole.num_lanes, np.int64),
    )
