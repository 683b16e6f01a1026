"""The maker of each published table: a function for every entry of the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from optimizer.contracts.tables import (
    BANK,
    BRANCH_PRICES,
    BRANCHES,
    COMMITMENTS,
    CONFLICTS,
    DRAWS,
    IN_FLIGHT,
    LANE_RESULTS,
    MERCHANT_INDEX,
    MERCHANT_RESULTS,
    ORDER_INDEX,
    ORDER_PRICES,
    QUARANTINE,
    RECOMMENDATIONS,
    ROW_RESULTS,
)
from optimizer.explain.branches import branch_prices_table, branches_table
from optimizer.explain.outcomes import outcomes_of, with_outcomes
from optimizer.explain.row_index import RowIndex
from optimizer.explain.tables import (
    bank_table,
    commitments_table,
    conflicts_table,
    decisions_table,
    draws_table,
    in_flight_table,
    lanes_table,
    merchants_table,
    order_prices_table,
    quarantine_table,
    recommendations_table,
    rows_table,
)
from optimizer.io.ahead import made_ahead
from optimizer.io.merchant_order import (
    block_parts,
    count_blocks,
    merchant_blocks,
)
from optimizer.io.order_keys import order_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.contracts.columns import Table
    from optimizer.explain.certified_night import CertifiedNight
    from optimizer.io.merchant_order import BlockPart

Given = TypeVar("Given")

#: Tables that are made of the certified night; ``None``: it has none such.
OF_NIGHT: Mapping[Table, Callable[[CertifiedNight], pl.DataFrame | None]] = {
    MERCHANT_RESULTS: merchants_table,
    LANE_RESULTS: lanes_table,
    QUARANTINE: quarantine_table,
    IN_FLIGHT: in_flight_table,
    BANK: bank_table,
    ROW_RESULTS: rows_table,
    CONFLICTS: conflicts_table,
    ORDER_PRICES: order_prices_table,
    BRANCHES: branches_table,
    BRANCH_PRICES: branch_prices_table,
    DRAWS: draws_table,
}
#: Tables that are made of the decisions, batch by batch.
OF_DECISIONS: Mapping[Table, Callable[[pl.DataFrame, Names], pl.DataFrame]] = {
    RECOMMENDATIONS: lambda decisions, _: recommendations_table(decisions),
    COMMITMENTS: commitments_table,
}
#: Tables that are made of where the decisions' rows are.
OF_ROWS: Mapping[Table, Callable[[RowIndex], Iterable[pl.DataFrame]]] = {
    MERCHANT_INDEX: lambda index: [index.merchants()],
    ORDER_INDEX: lambda index: index.orders(),
}


def night_tables(night: CertifiedNight) -> dict[str, pl.DataFrame]:
    """Make the tables of a night that follow from it alone, by file name."""
    made = {table.file: make(night) for table, make in OF_NIGHT.items()}
    return {file: table for file, table in made.items() if table is not None}


def sorted_decisions(
    night: CertifiedNight,
    scratch: Path,
    made: dict[str, Iterable[pl.DataFrame]],
    room: int | None = None,
) -> Iterator[pl.DataFrame]:
    """
    Every order's decision, by ``merchant_id`` and ``order_id``, in bounded memory.

    Parameters
    ----------
    night
        The night.
    scratch
        A folder that does not exist; made where the night is large, and removed.
    made
        Takes what is made of the decisions as they go by, by file name, each to be
        taken once; complete when the last ones are taken.
    room
        Bytes that the orders' names, or their keys, may take in memory; beyond them
        they go to the disk. ``None``: as is usual.

    Yields
    ------
    pl.DataFrame
        The columns of the decisions table, ``region_id``, ``lane`` and ``load``; a
        large merchant's rows in several of them.
    """
    names, outcomes = night.names, night.outcomes
    frames: Iterable[pl.DataFrame] = night.named()
    if room is not None:
        # Outcomes may be in a file: they are read from its beginning to its end, and
        # go with the names from there.
        frames = (with_outcomes(frame, outcomes) for frame in frames)
    blocks = merchant_blocks(frames, names.row_merchant, scratch, room)

    def decide(part: BlockPart) -> pl.DataFrame:
        rows = part.sorted_rows()
        if room is None:
            return decisions_table(rows, outcomes, names)
        return decisions_table(rows, outcomes_of(rows), names, np.arange(len(rows)))

    # Within a limit of memory one part is made at a time.
    num_blocks = count_blocks(len(names.status)) if room is None else 1
    parts = block_parts(blocks)
    yield from published_decisions(decide, parts, num_blocks, names, made, room)


def published_decisions(
    decide: Callable[[Given], pl.DataFrame],
    blocks: Iterable[Given],
    num_blocks: int,
    names: Names,
    made: dict[str, Iterable[pl.DataFrame]],
    room: int | None = None,
) -> Iterator[pl.DataFrame]:
    """
    Decisions of blocks of merchants, and what is published of each.

    Parameters
    ----------
    decide
        Gives the decisions of a block, by merchant and ``order_id``, with
        ``region_id``, ``lane`` and ``load``; called in threads.
    blocks
        In the order of their merchants; one may go on in the next block.
    num_blocks
        How many there are, about.
    names
        With the places of the lanes.
    made, room
        As of :func:`sorted_decisions`.

    Yields
    ------
    pl.DataFrame
        As of :func:`sorted_decisions`.
    """
    of_blocks: dict[str, list[pl.DataFrame]] = {t.file: [] for t in OF_DECISIONS}
    index = RowIndex(room)

    def of_block(block: Given) -> _DecidedBlock:
        return _with_made(decide(block), names)

    for block in made_ahead(of_block, blocks, num_blocks):
        for file, frame in block.made.items():
            of_blocks[file].append(frame)
        index.add(block.decisions, block.keys)
        yield block.decisions
    made |= of_blocks | {table.file: make(index) for table, make in OF_ROWS.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _DecidedBlock:
    """The decisions of some merchants, what is made of them, and the orders' keys."""

    decisions: pl.DataFrame
    made: Mapping[str, pl.DataFrame]
    keys: NDArray[np.uint64]


def _with_made(decisions: pl.DataFrame, names: Names) -> _DecidedBlock:
    """Decisions with the tables that are made of them."""
    made = {t.file: make(decisions, names) for t, make in OF_DECISIONS.items()}
    return _DecidedBlock(decisions, made, order_keys(decisions["order_id"])[0])
