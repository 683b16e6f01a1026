"""Passes over the blocks: prices go out, sums and the orders near the margin return."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.distributed.blocks import Lanes, block_index, open_block, pack, unpack
from optimizer.model.problem import Problem
from optimizer.model.solution import Solution, Termination
from optimizer.model.tree import effective_price, lane_use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from optimizer.solvers.market import NearMarket

RESULT = "block int, result binary"
DECISION_ROWS = (
    "order_id string, merchant_id string, is_premium boolean, carrier_id string, "
    "saving_cny double, reason string, margin_cny double, has_room boolean, "
    "region_id string"
)
#: Chosen orders of a block that prices alone do not decide: their keys and lanes.
Tied = dict[int, tuple[Any, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """
    How much of each merchant comes back; see :class:`optimizer.solvers.screening.Sieve`.

    Attributes
    ----------
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    every
        One order in how many is looked at.
    depth, reach
        As in the sieve.
    only
        Merchants by block; ``None``: all.
    """

    price: NDArray[np.int64]
    every: int
    depth: int
    reach: int
    only: Mapping[int, NDArray[np.int64]] | None = None


def run_pass(
    blocks: DataFrame, task: Callable[[int, Problem], bytes], lanes: Lanes
) -> dict[int, dict[str, NDArray[Any]]]:
    """Run a task on every block and gather what it returns, by block."""
    wanted = blocks.select("block", "numbers", "places")
    found = wanted.mapInArrow(partial(_each, task=task, lanes=lanes), RESULT).toArrow()
    rows = zip(*(found[name].to_pylist() for name in found.column_names), strict=True)
    return {block: unpack(result) for block, result in sorted(rows)}


def _each(
    batches: Iterable[pa.RecordBatch],
    task: Callable[[int, Problem], bytes],
    lanes: Lanes,
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    for batch in batches:
        for row in batch.to_pylist():
            problem, _ = open_block(row["numbers"], row["places"], lanes)
            cells = [[row["block"]], [task(row["block"], problem)]]
            types = pa.int32(), pa.binary()
            arrays = [pa.array(c, t) for c, t in zip(cells, types, strict=True)]
            yield pa.record_batch(arrays, names=["block", "result"])


def screen_block(block: int, problem: Problem, screen: Screen) -> bytes:
    """Send back the best orders of each merchant at effective prices."""
    from optimizer.solvers.market import Pool, whole_market
    from optimizer.solvers.screening import screened

    with Pool(1) as pool:
        full = whole_market(problem)
        near = screened(full, screen.price, _sieve(block, problem, screen), pool)
    return pack(**near_arrays(problem, near))


def _sieve(block: int, problem: Problem, screen: Screen) -> Any:
    """Merchants of a sample by the key of their first order; large ones in part."""
    from optimizer.solvers.screening import Sieve

    every, cap = screen.every, problem.cap
    first_key = np.append(problem.key, np.uint64(0))[problem.merchant_start[:-1]]
    turn = (first_key % np.uint64(every)).astype(np.int64)
    is_large = cap >= 4 * every
    share = np.where(is_large, (cap + turn) // every, np.where(turn == 0, cap, 0))
    if screen.only is not None:
        share = np.zeros(len(cap), np.int64)
        mine = screen.only.get(block, np.zeros(0, np.int64))
        share[mine] = cap[mine]
    stride = np.where(is_large, every, 1)
    return Sieve(stride, share, screen.depth, screen.reach)


def near_arrays(problem: Problem, near: NearMarket) -> dict[str, NDArray[Any]]:
    """Orders with their options, apart from the problem that they are of."""
    return {
        "merchant": near.order_merchant,
        "key": problem.key[near.order],
        "num_options": np.diff(near.option_start),
        "lane": near.option_lane,
        "saving": near.option_saving,
    }


def price_block(_: int, problem: Problem, price: NDArray[np.int64]) -> bytes:
    """Send back the price of each cap, and what merchants save above lane prices."""
    merchant_price, total = cap_prices(problem, price)
    return pack(merchant_price=merchant_price, surplus=np.int64(total))


def cap_prices(
    problem: Problem, price: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """The lowest best price of each cap at effective prices, and the surplus."""
    from optimizer.solvers.kernels.market import surplus
    from optimizer.solvers.market import whole_market

    merchant_price = np.zeros(problem.num_merchants, np.int64)
    arrays = whole_market(problem).arrays
    last = problem.num_merchants
    return merchant_price, int(surplus(0, last, *arrays, price, merchant_price))


def is_plain(
    problem: Problem, price: NDArray[np.int64], merchant_price: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """
    Which orders prices alone decide for, and the option of each.

    By complementary slackness an order that is worth more than its cap's price is
    chosen in every optimum, with its best option where there is one best.
    """
    start = problem.option_start
    reduced = problem.option_saving - price[problem.option_lane]
    best = np.maximum.reduceat(reduced, start[:-1]) if problem.num_orders else reduced
    order = np.repeat(np.arange(problem.num_orders), np.diff(start))
    is_best = np.flatnonzero(reduced == best[order])
    count = np.bincount(order[is_best], minlength=problem.num_orders)
    option = np.full(problem.num_orders, -1, np.int64)
    option[order[is_best]] = is_best
    sizes = np.diff(problem.merchant_start)
    cut = np.repeat(merchant_price, sizes)
    return (best > cut) & (count == 1), option


def decided(
    block: int, problem: Problem, lane_price: NDArray[np.int64], tied: Tied
) -> Solution:
    """The plan of a block at own prices: what they decide, and the given ties."""
    price = effective_price(lane_price, problem.lane_parent)
    merchant_price, _ = cap_prices(problem, price)
    plain, option = is_plain(problem, price, merchant_price)
    chosen = [option[plain]]
    if block in tied:
        keys, lanes = tied[block]
        by_key = np.argsort(problem.key)
        order = by_key[np.searchsorted(problem.key[by_key], keys)]
        first, last = problem.option_start[order], problem.option_start[order + 1]
        spans = zip(first.tolist(), last.tolist(), lanes.tolist(), strict=True)
        chosen.append(
            np.array(
                [a + int(np.argmax(problem.option_lane[a:b] == at)) for a, b, at in spans],
                np.int64,
            )
        )
    both = np.unique(np.concatenate(chosen))
    return Solution(both, lane_price, merchant_price, Termination("OPTIMAL"))


def prove_block(
    block: int, problem: Problem, lane_price: NDArray[np.int64], tied: Tied
) -> bytes:
    """Send back a block's part of the certificate, in integers, and its counts."""
    from optimizer.insight.outcomes import find_outcomes
    from optimizer.model.reasons import Reason
    from optimizer.proof.certificate import certify
    from optimizer.proof.exact import exact_dot

    solution = decided(block, problem, lane_price, tied)
    proof = certify(problem, solution)
    order = np.searchsorted(problem.option_start, solution.chosen, side="right") - 1
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    status = np.full(int(problem.row.max(initial=-1)) + 1, Reason.QUARANTINED, np.uint8)
    status[problem.row] = 255
    outcomes = find_outcomes(problem, solution, _bare(status))
    return pack(
        primal=np.int64(proof.primal_bound),
        dual=np.int64(proof.dual_bound - exact_dot(problem.slots, lane_price)),
        used=np.bincount(merchant, minlength=problem.num_merchants),
        lane_use=lane_use(problem.option_lane[solution.chosen], problem.lane_parent),
        num_twice=np.sum(np.diff(order) == 0),
        merchant_price=solution.merchant_price,
        reasons=np.bincount(outcomes.reason[problem.row], minlength=len(Reason)),
    )


def _bare(status: NDArray[np.uint8]) -> Any:
    from optimizer.model.build import Index

    nobody = np.full(len(status), -1, np.int32)
    return Index((), np.zeros(0, np.int64), (), (), status, nobody)


def decide(
    batches: Iterable[pa.RecordBatch],
    lanes: Lanes,
    lane_price: NDArray[np.int64],
    tied: Tied,
) -> Iterator[pa.RecordBatch]:
    """Turn blocks into ``DECISION_ROWS``."""
    import io

    import polars as pl

    from optimizer.distributed.rows import in_schema
    from optimizer.insight.outcomes import find_outcomes
    from optimizer.insight.tables import decisions_table

    for batch in batches:
        for row in batch.to_pylist():
            problem, cells = open_block(row["numbers"], row["places"], lanes)
            solution = decided(row["block"], problem, lane_price, tied)
            index = block_index(cells, row["merchants"], lanes)
            named = pl.read_ipc(io.BytesIO(row["names"])).with_row_index("row")
            outcomes = find_outcomes(problem, solution, index)
            yield from in_schema(decisions_table(named, outcomes, index), DECISION_ROWS)


