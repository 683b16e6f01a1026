"""
The margin arm of a night whose orders stay in blocks.

Of the parcels beside the plan only the nearest can be in a pair: for a merchant with a
quota of :math:`q` pairs, the :math:`q` that save most on each lane that its plan uses,
since no more than :math:`q - 1` of them are taken before any of its pairs is made.
Blocks give these, and the pairs are made of them as on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.margin_coins import pair_quotas, toss_coins
from optimizer.explain.block_proof import DrawnPrices, TossedKeys
from optimizer.solvers.network.block_solve import parts_of, problem_of, same_options
from optimizer.solvers.network.blocks import ByBlock, decided

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.network.block_margins import AskedBlocks, Plan
    from optimizer.solvers.network.block_solve import BlockNight
    from optimizer.solvers.network.blocks import Part


@dataclass(frozen=True, slots=True, eq=False)
class CoinCosts:
    """
    What the coins of a night cost, micro-CNY.

    Attributes
    ----------
    num_pairs, num_swapped
        Pairs, and those that the coin swaps.
    swapped, pairs
        What the swapped pairs cost, and what all would.
    """

    num_pairs: int
    num_swapped: int
    swapped: int
    pairs: int


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """
    What blocks are asked for: a function of a block.

    Attributes
    ----------
    verdict
        What decides every order.
    quota_of
        By block, the most pairs of each of its merchants.
    lanes_of
        By block, the lanes that each of its merchants' plans use, as its number in the
        block times the lanes of the night, and the lane; ascending.
    """

    verdict: DrawnPrices
    quota_of: ByBlock[NDArray[np.int64]]
    lanes_of: ByBlock[NDArray[np.int64]]

    def __call__(self, block: int, problem: Problem) -> Part:
        """The nearest orders beside the plan, with all their options."""
        quota = self.quota_of[block]
        order_at = np.repeat(
            np.arange(problem.num_orders), np.diff(problem.option_start)
        )
        merchant = np.repeat(
            np.arange(problem.num_merchants), np.diff(problem.merchant_start)
        )[order_at]
        group = merchant * problem.num_lanes + problem.option_lane
        planned = decided(block, problem, self.verdict).chosen
        is_planned = np.zeros(problem.num_orders, np.bool_)
        is_planned[order_at[planned]] = True
        can = ~is_planned[order_at] & (quota[merchant] > 0)
        option = np.flatnonzero(can & np.isin(group, self.lanes_of[block]))
        key, saving = problem.key[order_at[option]], problem.option_saving[option]
        option = option[np.lexsort((key, -saving, group[option]))]
        place = np.arange(len(option))
        first = np.searchsorted(group[option], group[option], side="left")
        option = option[place - first < quota[merchant[option]]]
        return parts_of(problem, np.unique(order_at[option]))


def toss(
    field: BlockNight,
    plan: Plan,
    verdict: DrawnPrices,
    merchant_ids: Sequence[str],
    blocks: AskedBlocks,
) -> tuple[DrawnPrices, CoinCosts | None]:
    """
    Make the pairs of the margin arm and toss their coins.

    Parameters
    ----------
    field, plan, verdict
        The night, its chosen orders, and what decides every order.
    merchant_ids
        By merchant.
    blocks
        Those who keep the orders.

    Returns
    -------
    verdict, costs
        With the pairs; and their cost, ``None`` where there is no such arm.
    """
    experiment = verdict.experiment
    if not experiment.coin_share:
        return verdict, None
    near, chosen = plan.problem, plan.solution.chosen
    order = np.searchsorted(near.option_start, chosen, side="right") - 1
    merchant = np.searchsorted(near.merchant_start, order, side="right") - 1
    num_planned = np.bincount(merchant, minlength=near.num_merchants)
    quota = pair_quotas(num_planned, merchant_ids, experiment)
    lane = near.option_lane[chosen]
    lanes_of = ByBlock(
        {
            block: _own_lanes(mine, merchant, lane, near.num_lanes)
            for block, mine in field.merchant_of.items()
        }
    )
    parts = blocks.each(Beside(verdict, field.by_block(quota), lanes_of))
    for block, part in parts.items():
        part["merchant"] = field.merchant_of[block][part["merchant"]]
    every = np.arange(near.num_orders)
    wide = problem_of(field, [parts_of(near, every), *parts.values()])
    pairs = toss_coins(wide, same_options(near, chosen, wide), merchant_ids, experiment)
    first, second = (
        np.searchsorted(wide.option_start, side, side="right") - 1
        for side in (pairs.inside, pairs.outside)
    )
    of_pair = np.searchsorted(wide.merchant_start, first, side="right") - 1
    tossed_of = ByBlock[TossedKeys]()
    for block, mine in field.merchant_of.items():
        at = np.flatnonzero(np.isin(of_pair, mine))
        tossed_of[block] = TossedKeys(
            inside=wide.key[first[at]],
            outside=wide.key[second[at]],
            lane=wide.option_lane[pairs.inside[at]],
            is_kept=pairs.is_kept[at],
        )
    cost = wide.option_saving[pairs.inside] - wide.option_saving[pairs.outside]
    costs = CoinCosts(
        num_pairs=len(cost),
        num_swapped=int(np.sum(~pairs.is_kept)),
        swapped=int(cost[~pairs.is_kept].sum()),
        pairs=int(cost.sum()),
    )
    return replace(verdict, tossed_of=tossed_of), costs


def _own_lanes(
    mine: NDArray[np.int64],
    merchant: NDArray[np.int64],
    lane: NDArray[np.int32],
    num_lanes: int,
) -> NDArray[np.int64]:
    """Merchants of a block with the lanes that their plans use, as one number each."""
    place = np.full(int(max(mine.max(initial=0), merchant.max(initial=0))) + 1, -1)
    place[mine] = np.arange(len(mine))
    number = place[merchant]
    return np.unique((number * num_lanes + lane)[number >= 0])
