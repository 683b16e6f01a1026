"""Passes over the blocks: prices go out, sums and the orders near the margin return."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.encode import OPEN
from optimizer.model.lane_tree import effective_price, lane_use
from optimizer.model.reduced_savings import NO_OPTION, best_of
from optimizer.model.solution import Solution, Termination
from optimizer.spark.blocks import PASS_CELLS, block_index, open_block, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from optimizer.build.assemble import Names
    from optimizer.build.experiment import Experiment
    from optimizer.build.lanes import Place
    from optimizer.model.problem import Problem
    from optimizer.spark.blocks import Terms

RESULT = "block int, result binary"
DECISION_ROWS = (
    "order_id string, merchant_id string, is_premium boolean, carrier_id string, "
    "saving_cny double, reason string, margin_cny double, margin_low_cny double, "
    "margin_high_cny double, surplus_cny double, has_room boolean, "
    "arm string, propensity double, region_id string, ineligible_reason string, "
    "lane int, load int"
)
#: Chosen orders that prices alone do not decide, by block: their keys and lanes.
Tied = dict[int, tuple[Any, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """
    How much of each merchant comes back; a
    :class:`~optimizer.solvers.screen.ScreenParams`.

    Attributes
    ----------
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    share_of
        By block, the cap of that share of each merchant; 0 leaves it out.
    every
        Of merchants with a cap of at least ``4 * every``, one order in how many is
        looked at.
    depth, reach
        As in :class:`~optimizer.solvers.network.screen.ScreenParams`.
    """

    price: NDArray[np.int64]
    share_of: Mapping[int, NDArray[np.int64]]
    every: int
    depth: int
    reach: int


@dataclass(frozen=True, slots=True, eq=False)
class DecidingPrices:
    """
    Prices and ties that decide every order.

    Attributes
    ----------
    lane_price
        ``(num_lanes,) int64`` own prices, micro-CNY.
    merchant_price_of
        By block, the price of each merchant's cap.
    tied
        Chosen orders that these prices do not decide.
    has_budget_of
        By block, caps that budgets make; ``None`` where there are no budgets.
    experiment
        Rules of the random draws; ``None``: none.
    places
        Names of the lanes, where draws are by station.
    """

    lane_price: NDArray[np.int64]
    merchant_price_of: Mapping[int, NDArray[np.int64]]
    tied: Tied
    has_budget_of: Mapping[int, NDArray[np.bool_]] | None
    experiment: Experiment | None = None
    places: tuple[Place, ...] = ()


def run_pass(
    blocks: DataFrame, task: Callable[[int, Problem], bytes], terms: Terms
) -> dict[int, dict[str, NDArray[Any]]]:
    """Run a task on every block and gather what it returns, by block."""
    each = partial(_each, task=task, terms=terms)
    found = blocks.select(*PASS_CELLS).mapInArrow(each, RESULT).toArrow()
    rows = zip(*(found[name].to_pylist() for name in ("block", "result")), strict=True)
    return {block: unpack(result) for block, result in sorted(rows)}


def _each(
    batches: Iterable[pa.RecordBatch],
    task: Callable[[int, Problem], bytes],
    terms: Terms,
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for row in _rows(batches):
        problem = open_block(row["block"], row["numbers"], terms)
        cells = {
            "block": pa.array([row["block"]], pa.int32()),
            "result": pa.array([task(row["block"], problem)], pa.binary()),
        }
        yield pa.RecordBatch.from_pydict(cells)


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    """Rows one by one, so that only one block is in memory besides Arrow's batch."""
    for batch in batches:
        for at in range(batch.num_rows):
            yield batch.slice(at, 1).to_pylist()[0]


def screen_block(block: int, problem: Problem, screen: Screen) -> bytes:
    """Send back the best orders of each merchant at effective prices."""
    share = screen.share_of[block]
    if not share.any():
        return pack()
    near = sifted(problem, share, screen)
    return pack(
        merchant=near.order_merchant,
        key=problem.key[near.order],
        num_options=np.diff(near.option_start),
        lane=near.option_lane,
        saving=near.option_saving,
    )


def sifted(problem: Problem, share: NDArray[np.int64], screen: Screen) -> Any:
    """
    The near market of a problem; of parts of one, the same sifted once more.

    The sample of a large merchant is chosen by keys, so that it does not depend on the
    number of blocks that the merchant is in.
    """
    from optimizer.solvers.market import Threads, sub_market, whole_market
    from optimizer.solvers.network.screen import screened
    from optimizer.solvers.screen import ScreenParams

    sieve = ScreenParams(np.ones_like(share), share, screen.depth, screen.reach)
    full = whole_market(problem)
    with Threads(1) as pool:
        if screen.every == 1:
            return screened(full, screen.price, sieve, pool)
        is_large = np.repeat(
            problem.cap >= 4 * screen.every, np.diff(problem.merchant_start)
        )
        is_in = ~is_large | (problem.key % np.uint64(screen.every) == 0)
        sample = sub_market(full, np.flatnonzero(is_in), share, pool)
        near = screened(sample, screen.price, sieve, pool)
        return replace(near, order=sample.order[near.order])


def price_block(
    block: int,
    problem: Problem,
    price: NDArray[np.int64],
    cut_of: Mapping[int, NDArray[np.int64]],
) -> bytes:
    """
    Send back the total saving of orders beyond their prices, by merchant.

    Parameters
    ----------
    block
        Number of the block.
    problem
        The problem of the block.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    cut_of
        By block, the price of each merchant's cap, micro-CNY.
    """
    from optimizer.solvers.network.canonical_plan import barred, count_tied

    cut = cut_of[block]
    above, highest = above_cuts(problem, price, cut)
    tied = count_tied(problem, barred(problem, price), cut)
    return pack(above=above, highest=highest, tied=tied)


def above_cuts(
    problem: Problem, price: NDArray[np.int64], cut: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Savings beyond effective and cap prices, and the most beyond lane prices."""
    from optimizer.solvers.kernels import choose
    from optimizer.solvers.market import whole_market

    above, highest = np.zeros((2, problem.num_merchants), np.int64)
    choose.above_cuts(
        first_merchant=0,
        last_merchant=problem.num_merchants,
        orders=whole_market(problem).orders,
        price=price,
        merchant_price=cut,
        above=above,
        highest=highest,
    )
    return above, highest


def plain_choice(
    problem: Problem, price: NDArray[np.int64], merchant_price: NDArray[np.int64]
) -> NDArray[np.int64]:
    """
    Options that every optimum has, as far as prices alone decide; ascending.

    By complementary slackness an order with a reduced saving above its cap's price is
    chosen in every optimum, with its best option if there is only one best.
    """
    start = problem.option_start
    reduced = problem.option_saving - price[problem.option_lane]
    best = best_of(start, reduced, NO_OPTION)
    order = np.repeat(np.arange(problem.num_orders), np.diff(start))
    is_best = np.flatnonzero(reduced == best[order])
    count = np.bincount(order[is_best], minlength=problem.num_orders)
    cut = np.repeat(merchant_price, np.diff(problem.merchant_start))
    is_plain = (best > cut) & (count == 1)
    return is_best[is_plain[order[is_best]]]


def decided(block: int, problem: Problem, verdict: DecidingPrices) -> Solution:
    """The plan of a block: orders that prices decide, and the given ties."""
    price = effective_price(verdict.lane_price, problem.lane_parent)
    merchant_price = verdict.merchant_price_of[block]
    plain = plain_choice(problem, price, merchant_price)
    keys, lanes = verdict.tied.get(block, (problem.key[:0], problem.option_lane[:0]))
    both = np.union1d(plain, _options_of(problem, keys, lanes))
    return Solution(both, verdict.lane_price, merchant_price, Termination("OPTIMAL"))


def _options_of(
    problem: Problem, keys: NDArray[np.uint64], lanes: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Options on these lanes of orders with these keys, as far as they are here."""
    by_key = np.argsort(keys)
    keys, lanes = keys[by_key], lanes[by_key]
    place = np.minimum(np.searchsorted(keys, problem.key), max(0, len(keys) - 1))
    if len(keys) == 0:
        return np.zeros(0, np.int64)
    wanted = np.where(keys[place] == problem.key, lanes[place], -1)
    order = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    found = np.flatnonzero(problem.option_lane == wanted[order])
    return found[np.unique(order[found], return_index=True)[1]]


def prove_block(block: int, problem: Problem, verdict: DecidingPrices) -> bytes:
    """Send back a block's part of the certificate, in integers, and its counts."""
    from optimizer.certify.certificate import certify
    from optimizer.certify.exact import exact_dot
    from optimizer.explain.outcomes import find_outcomes
    from optimizer.model.reasons import Reason

    solution = decided(block, problem, verdict)
    proof = certify(problem, solution)
    limits = exact_dot(problem.slots, verdict.lane_price)
    limits += exact_dot(problem.cap, solution.merchant_price)
    order = np.searchsorted(problem.option_start, solution.chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    outcomes = find_outcomes(problem, solution, _bare(block, problem, verdict), None, 0)
    return pack(
        primal=np.int64(proof.primal_bound),
        surplus=np.int64(proof.dual_bound - limits),
        used=np.bincount(merchant, minlength=problem.num_merchants),
        lane_use=lane_use(problem.option_lane[solution.chosen], problem.lane_parent),
        num_twice=np.sum(np.diff(order) == 0),
        reasons=np.bincount(outcomes.reason, minlength=len(Reason)),
        kept_back=outcomes.saving[outcomes.reason == Reason.HELD_OUT].sum(),
    )


def _bare(block: int, problem: Problem, verdict: DecidingPrices) -> Names:
    """The part of an index that reasons need."""
    from optimizer.build.assemble import Names

    status = np.full(problem.num_orders, OPEN, np.uint8)
    merchant = np.repeat(
        np.arange(problem.num_merchants), np.diff(problem.merchant_start)
    ).astype(np.int32)
    has_budget = _budget(block, verdict)
    nobody = np.zeros(0, np.int64)
    return Names(
        merchant_ids=(),
        merchant_num_orders=nobody,
        places=verdict.places,
        uncovered=(),
        status=status,
        row_merchant=merchant,
        has_budget=has_budget,
        experiment=verdict.experiment,
    )


def _budget(block: int, verdict: DecidingPrices) -> NDArray[np.bool_] | None:
    return None if verdict.has_budget_of is None else verdict.has_budget_of[block]


def decide(
    batches: Iterable[pa.RecordBatch],
    terms: Terms,
    verdict: DecidingPrices,
    places: tuple[Place, ...],
) -> Iterator[pa.RecordBatch]:
    """
    Turn blocks into ``DECISION_ROWS``.

    Parameters
    ----------
    batches
        Rows of ``BLOCK``.
    terms
        Lanes and caps of the whole night.
    verdict
        Prices and ties that decide every order.
    places
        Names of the lanes, by number.
    """
    import io

    import polars as pl

    from optimizer.explain.outcomes import find_outcomes
    from optimizer.explain.tables import decisions_table
    from optimizer.spark.rows import in_schema

    for row in _rows(batches):
        block = row["block"]
        problem = open_block(block, row["numbers"], terms)
        solution = decided(block, problem, verdict)
        index = block_index(
            row["status"], row["merchants"], places, _budget(block, verdict)
        )
        index = replace(index, experiment=verdict.experiment)
        problem = replace(problem, row=np.flatnonzero(index.status == OPEN))
        outcomes = find_outcomes(problem, solution, index, None, 0)
        named = pl.read_ipc(io.BytesIO(row["names"])).with_row_index("row")
        for part in named.iter_slices(DECISION_BATCH):
            yield from in_schema(decisions_table(part, outcomes, index), DECISION_ROWS)


#: Rows of decisions that an executor makes at a time.
DECISION_BATCH = 100_000
