"""Passes over the blocks: prices go out, sums and the orders near the margin return."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.encode import OPEN
from optimizer.explain.block_proof import DrawnPrices, budgets_of, prove_block
from optimizer.explain.explored import explored_orders
from optimizer.model.reasons import Reason
from optimizer.solvers.network.blocks import bound_block, decided, screen_block
from optimizer.spark.blocks import PASS_CELLS, block_index, open_block, whole_block
from optimizer.spark.cells import pack, unpack
from optimizer.spark.explore_arm import pool_of_block
from optimizer.spark.kept import KEPT_SECONDS, Asker, find, keep
from optimizer.spark.own_parts import ask_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import DataFrame

    from optimizer.build.assemble import Names
    from optimizer.build.experiment import ExplorePool
    from optimizer.build.lanes import Place
    from optimizer.explain.outcomes import Outcomes
    from optimizer.model.problem import Problem
    from optimizer.solvers.network.blocks import CapPrices, DecidingPrices, Part, Screen
    from optimizer.solvers.network.margins import Reach
    from optimizer.spark.blocks import Terms

#: What a block answers, nothing where it was not found; and whether it ``is_kept``.
RESULT = "block int, result binary, is_kept boolean"
#: After so many passes that found nothing kept, blocks' cells are brought at once.
MOST_LOST = 2
DECISION_ROWS = (
    "order_id string, merchant_id string, is_premium boolean, carrier_id string, "
    "saving_cny double, reason string, margin_cny double, margin_low_cny double, "
    "margin_high_cny double, surplus_cny double, has_room boolean, "
    "arm string, propensity double, region_id string, ineligible_reason string, "
    "lane int, load int"
)


class SparkBlocks:
    """
    Blocks that executors keep: see :class:`~optimizer.solvers.network.blocks.Blocks`.

    The first pass brings each block's numbers to a Python worker, which keeps them (see
    :mod:`optimizer.spark.kept`); later ones ask by the blocks' numbers alone, and bring
    those of blocks that were not found.

    Parameters
    ----------
    rows
        Cached ``BLOCK`` rows; see :mod:`optimizer.spark.blocks`.
    terms
        Lanes and caps of the whole night.
    """

    def __init__(self, rows: DataFrame, terms: Terms) -> None:
        self.rows, self.terms = rows, terms
        self._asker = Asker(secrets.token_hex(16), KEPT_SECONDS)
        self._is_kept, self._num_lost = False, 0

    def screen(self, asked: Screen) -> dict[int, Part]:
        """Ask each block for the orders that could matter."""
        return self.each(partial(screen_block, screen=asked))

    def bound(self, asked: CapPrices) -> dict[int, Part]:
        """Ask each block for its sums at prices."""
        return self.each(partial(bound_block, bound=asked))

    def prove(self, asked: DecidingPrices) -> dict[int, Part]:
        """Ask each block for its part of the certificate."""
        return self.each(partial(prove_block, verdict=asked))

    def each(self, work: Callable[[int, Problem], Part]) -> dict[int, Part]:
        """
        Call a function of a block on every block, and gather what it returns.

        Parameters
        ----------
        work
            Takes the number of a block and its problem.
        """
        found, rows = {}, self.rows
        if self._is_kept:
            told = list(_asked(rows, ("block",), answered_if_kept, (work, self._asker)))
            found = {block: result for block, result, _ in told if result is not None}
            missing = sorted({block for block, _, _ in told} - found.keys())
            if not missing:
                return _unpacked(found)
            self._num_lost += not found
            rows = rows.filter(f"block in ({', '.join(map(str, missing))})")
        asker = self._asker if self._num_lost < MOST_LOST else None
        brought = list(_asked(rows, PASS_CELLS, answered, (work, self.terms, asker)))
        is_kept = any(is_kept for _, _, is_kept in brought)
        self._is_kept = asker is not None and (bool(found) or is_kept)
        return _unpacked(found | {block: result for block, result, _ in brought})


def _unpacked(found: dict[int, bytes]) -> dict[int, Part]:
    return {block: unpack(result) for block, result in sorted(found.items())}


def _asked(
    rows: DataFrame, cells: tuple[str, ...], function: Any, given: Any
) -> Iterable[tuple[int, Any, bool]]:
    """What blocks answer: ``RESULT`` rows."""
    told = ask_blocks(rows, cells, function, given, RESULT).toArrow()
    names = ("block", "result", "is_kept")
    return zip(*(told[name].to_pylist() for name in names), strict=True)


def answered(
    row: dict[str, Any],
    given: tuple[Callable[[int, Problem], Part], Terms, Asker | None],
) -> Iterator[pa.RecordBatch]:
    """
    Call a function of a block on one, pack what it returns, and keep the block.

    Parameters
    ----------
    row
        With ``PASS_CELLS``.
    given
        A function that takes the number of a block and its problem; the night's lanes
        and caps; and for whom the block is kept, ``None``: it is not.
    """
    work, terms, asker = given
    block = row["block"]
    problem = open_block(block, row["numbers"], terms)
    result = pack(**work(block, problem))
    is_kept = asker is not None and keep(asker, block, problem)
    yield _answer(block, result, is_kept=is_kept)


def answered_if_kept(
    row: dict[str, Any], given: tuple[Callable[[int, Problem], Part], Asker]
) -> Iterator[pa.RecordBatch]:
    """
    Call a function of a block on one that is kept; else answer nothing.

    Parameters
    ----------
    row
        With ``block``.
    given
        A function that takes the number of a block and its problem, and for whom the
        block is kept.
    """
    work, asker = given
    block = row["block"]
    problem = find(asker, block)
    result = None if problem is None else pack(**work(block, problem))
    yield _answer(block, result, is_kept=problem is not None)


def _answer(block: int, result: bytes | None, *, is_kept: bool) -> pa.RecordBatch:
    import pyarrow as pa

    cells = {
        "block": pa.array([block], pa.int32()),
        "result": pa.array([result], pa.binary()),
        "is_kept": pa.array([is_kept], pa.bool_()),
    }
    return pa.RecordBatch.from_pydict(cells)


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """
    What decides every order of a night, and what is needed to tell it.

    Attributes
    ----------
    terms
        Lanes and caps of the whole night.
    verdict
        Prices and ties.
    places
        Names of the lanes, by number.
    reach_of
        By block, the distances that its orders' margins are measured by; ``None``: of
        margins only the ends that prices give are known.
    rank_of
        By block, the number of each of its merchants among all, ascending by id.
    part_of
        By block, in which part of the decisions each of its merchants is.
    """

    terms: Terms
    verdict: DecidingPrices
    places: tuple[Place, ...]
    reach_of: Mapping[int, Reach] | None
    rank_of: Mapping[int, NDArray[np.int64]]
    part_of: Mapping[int, NDArray[np.int64]]


def decide(row: dict[str, Any], night: Decided) -> Iterator[pa.RecordBatch]:
    """
    Turn a block into ``DECISION_ROWS``.

    Parameters
    ----------
    row
        Of ``BLOCK``.
    night
        What decides every order.
    """
    from optimizer.explain.tables import decisions_table
    from optimizer.spark.packed import in_schema

    names, outcomes, index = _told(row, night)
    # Spark sorts all of them: what is sorted it merges, with few comparisons.
    for part in names.sort("order_id").iter_slices(DECISION_BATCH):
        yield from in_schema(decisions_table(part, outcomes, index), DECISION_ROWS)


def decide_parts(row: dict[str, Any], night: Decided) -> Iterator[pa.RecordBatch]:
    """
    Turn a block into ``PART_ROWS``: pieces of the parts that a night is published in.

    Parameters
    ----------
    row
        Of ``BLOCK``.
    night
        What decides every order.
    """
    import io

    import polars as pl
    import pyarrow as pa

    from optimizer.explain.tables import decisions_table
    from optimizer.io.merchant_order import sorted_block

    names, outcomes, index = _told(row, night)
    merchant = index.row_merchant
    named = names.with_columns(
        merchant=pl.Series(night.rank_of[row["block"]][merchant].astype(np.int32)),
        part=pl.Series(night.part_of[row["block"]][merchant], dtype=pl.Int32),
    )
    for mine in named.partition_by("part", maintain_order=True):
        ordered = sorted_block(mine)
        told = decisions_table(ordered, outcomes, index)
        rows = io.BytesIO()
        told.with_columns(ordered["merchant"]).write_ipc(rows, compression="lz4")
        cells = {
            "part": pa.array([ordered["part"][0]], pa.int32()),
            "rows": pa.array([rows.getvalue()], pa.binary()),
        }
        yield pa.RecordBatch.from_pydict(cells)


#: A piece of a part of the decisions.
PART_ROWS = "part int, rows binary"


def _told(
    row: Mapping[str, Any], night: Decided
) -> tuple[pl.DataFrame, Outcomes, Names]:
    """Names, outcomes and index of a block; rows are its own, from 0."""
    import io

    import polars as pl

    from optimizer.explain.outcomes import find_outcomes
    from optimizer.solvers.network.block_margins import only_orders

    block, verdict = row["block"], night.verdict
    problem = open_block(block, row["numbers"], night.terms)
    solution = decided(block, problem, verdict)
    index = block_index(
        row["status"], row["merchants"], night.places, budgets_of(block, verdict)
    )
    if isinstance(verdict, DrawnPrices):
        tossed = verdict.tossed(block, problem)
        index = replace(index, experiment=verdict.experiment, tossed=tossed)
    if (arm := night.terms.arm_of.get(block)) is not None:
        whole = whole_block(block, row["numbers"], night.terms)
        index = _with_arm(index, pool_of_block(whole, arm, _open_rows(index)))
    problem = replace(problem, row=_open_rows(index))
    margins = None
    if night.reach_of is not None:
        beside = explored_orders(index.pool, problem.num_merchants)
        reach = night.reach_of[block]
        margins = only_orders(problem, solution.chosen, reach, beside)
    outcomes = find_outcomes(problem, solution, index, margins, 0)
    names = pl.read_ipc(io.BytesIO(row["names"])).with_row_index("row")
    return names, outcomes, index


def _open_rows(index: Names) -> NDArray[np.int64]:
    return np.flatnonzero(index.status == OPEN)


def _with_arm(index: Names, pool: ExplorePool) -> Names:
    """The names of a block whose orders of the explore arm are decided."""
    status = index.status.copy()
    status[pool.row] = np.where(pool.is_premium, Reason.EXPLORED, Reason.HELD_OUT)
    return replace(index, status=status, pool=pool)


#: Rows of decisions that an executor makes at a time.
DECISION_BATCH = 100_000
