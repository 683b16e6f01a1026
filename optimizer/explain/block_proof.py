"""The part of a night's proof that one block of merchants gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from optimizer.build.assemble import Names
from optimizer.build.encode import OPEN
from optimizer.certify.certificate import certify
from optimizer.certify.exact import exact_dot
from optimizer.explain.certified_night import best_savings
from optimizer.explain.outcomes import find_outcomes
from optimizer.model.lane_tree import lane_use
from optimizer.model.reasons import Reason
from optimizer.solvers.network.blocks import Blocks, DecidingPrices, decided

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.build.experiment import Experiment
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
    """

    experiment: Experiment
    places: tuple[Place, ...]


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
        what parcels save that are kept back (``kept_back``); the most that an order
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
    return {
        "primal": np.int64(proof.primal_bound),
        "surplus": np.int64(proof.dual_bound - limits),
        "used": np.bincount(merchant, minlength=problem.num_merchants),
        "lane_use": lane_use(problem.option_lane[solution.chosen], problem.lane_parent),
        "num_twice": np.sum(np.diff(order) == 0),
        "reasons": np.bincount(outcomes.reason, minlength=len(Reason)),
        "kept_back": outcomes.saving[outcomes.reason == Reason.HELD_OUT].sum(),
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
    )


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
