"""The part of a night's proof that one block of merchants gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from optimizer.build.assemble import Names
from optimizer.build.encode import OPEN
from optimizer.build.experiment import empty_pool
from optimizer.build.margin_coins import Tossed
from optimizer.certify.certificate import certify
from optimizer.certify.exact import exact_dot
from optimizer.explain.certified_night import best_savings
from optimizer.explain.outcomes import ARMS, find_outcomes
from optimizer.model.lane_tree import lane_use
from optimizer.model.reasons import Reason
from optimizer.solvers.network.blocks import (
    Blocks,
    DecidingPrices,
    decided,
    options_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from optimizer.build.experiment import Experiment, ExplorePool
    from optimizer.build.lanes import Place
    from optimizer.model.problem import Problem
    from optimizer.solvers.network.blocks import Part


#: Stands for the best saving where there is no order.
NONE = -(2**62)


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPrices(DecidingPrices):
    """
    Prices that decide every order of a night that keeps some back at random.

    Attributes
    ----------
    experiment
        Rules of the random draws.
    places
        Names of the lanes, where draws are by station.
    explored_of
        By block, places in each merchant's cap that the explore arm takes; ``None``
        where there is no arm.
    tossed_of
        By block, the pairs of the margin arm; ``None`` where there is no such arm.
    """

    experiment: Experiment
    places: tuple[Place, ...]
    explored_of: Mapping[int, NDArray[np.int64]] | None = None
    tossed_of: Mapping[int, TossedKeys] | None = None

    def tossed(self, block: int, problem: Problem) -> Tossed | None:
        """
        The pairs' options that are in a block; ``None`` where there is no such arm.

        Parameters
        ----------
        block, problem
            Number of the block, and its orders.
        """
        if self.tossed_of is None:
            return None
        return self.tossed_of[block].found(problem)


@dataclass(frozen=True, slots=True, eq=False)
class TossedKeys:
    """
    Pairs of the margin arm, by keys: some may have a side in another block.

    Attributes
    ----------
    inside, outside
        ``(k,) uint64``: keys of the orders, inside the plan and beside it.
    lane, is_kept
        ``(k,) int32`` and ``bool``: lane of both, and whether the coin keeps the plan.
    """

    inside: NDArray[np.uint64]
    outside: NDArray[np.uint64]
    lane: NDArray[np.int32]
    is_kept: NDArray[np.bool_]

    def found(self, problem: Problem) -> Tossed:
        """Those whose orders a block has, as its options."""
        inside, is_inside_kept = self._side(problem, self.inside)
        outside, is_outside_kept = self._side(problem, self.outside)
        return Tossed(inside, is_inside_kept, outside, is_outside_kept)

    def _side(
        self, problem: Problem, keys: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Options of one side that a block has, and their coins."""
        option = options_of(problem, keys, self.lane)
        order = np.searchsorted(problem.option_start, option, side="right") - 1
        by_key = np.argsort(keys)
        at = np.searchsorted(keys[by_key], problem.key[order])
        return option, self.is_kept[by_key[at]]


class ProvingBlocks(Blocks, Protocol):
    """Blocks that add up the certificate too: nobody else has all their orders."""

    def prove(self, asked: DecidingPrices, /) -> dict[int, Part]:
        """Give parts of the certificate; :func:`prove_block` of each block."""


def prove_block(block: int, problem: Problem, verdict: DecidingPrices) -> Part:
    """
    A block's part of the certificate, in integers, and its counts.

    Parameters
    ----------
    block, problem
        Number of the block, and its orders.
    verdict
        Prices and ties that decide every order.

    Returns
    -------
    dict
        ``primal`` and ``surplus``, micro-CNY; parcels by merchant (``used``), by lane
        (``lane_use``) and by reason (``reasons``); orders chosen twice (``num_twice``);
        what parcels save that the policy arm keeps back (``kept_back``), and how many
        these are (``num_kept_back``); the most that an order
        saves, and one that has a place (``best``; ``NONE``: there is none).
    """
    solution = decided(block, problem, verdict)
    proof = certify(problem, solution)
    limits = exact_dot(problem.slots, verdict.lane_price)
    limits += exact_dot(problem.cap, solution.merchant_price)
    order = np.searchsorted(problem.option_start, solution.chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    outcomes = find_outcomes(problem, solution, _bare(block, problem, verdict), None, 0)
    of_all = best_savings(problem, outcomes)
    best = of_all.of_all, of_all.with_place
    is_kept_back = outcomes.reason == Reason.HELD_OUT
    is_kept_back &= outcomes.arm == ARMS.index("policy")
    return {
        "primal": np.int64(proof.primal_bound),
        "surplus": np.int64(proof.dual_bound - limits),
        "used": np.bincount(merchant, minlength=problem.num_merchants),
        "lane_use": lane_use(problem.option_lane[solution.chosen], problem.lane_parent),
        "num_twice": np.sum(np.diff(order) == 0),
        "reasons": np.bincount(outcomes.reason, minlength=len(Reason)),
        "kept_back": outcomes.saving[is_kept_back].sum(),
        "num_kept_back": is_kept_back.sum(),
        "best": np.array([NONE if one is None else one for one in best]),
    }


def _bare(block: int, problem: Problem, verdict: DecidingPrices) -> Names:
    """The part of an index that reasons need."""
    status = np.full(problem.num_orders, OPEN, np.uint8)
    merchant = np.repeat(
        np.arange(problem.num_merchants), np.diff(problem.merchant_start)
    ).astype(np.int32)
    has_budget = budgets_of(block, verdict)
    nobody = np.zeros(0, np.int64)
    drawn = verdict if isinstance(verdict, DrawnPrices) else None
    return Names(
        merchant_ids=(),
        merchant_num_orders=nobody,
        places=() if drawn is None else drawn.places,
        uncovered=(),
        status=status,
        row_merchant=merchant,
        has_budget=has_budget,
        experiment=None if drawn is None else drawn.experiment,
        tossed=None if drawn is None else drawn.tossed(block, problem),
        pool=_arm_without_orders(block, problem, drawn),
    )


def _arm_without_orders(
    block: int, problem: Problem, drawn: DrawnPrices | None
) -> ExplorePool | None:
    """What the explore arm takes of a block's caps; its orders are not here."""
    if drawn is None or drawn.explored_of is None:
        return None
    none = empty_pool(problem.num_merchants, problem.num_lanes)
    return replace(none, used_cap=drawn.explored_of[block])


def budgets_of(block: int, verdict: DecidingPrices) -> NDArray[np.bool_] | None:
    """
    Which merchants' caps budgets make; ``None`` where there are no budgets.

    Parameters
    ----------
    block
        Number of the block.
    verdict
        Has them by block.
    """
    return None if verdict.has_budget_of is None else verdict.has_budget_of[block]
