"""
What the driver says of a night whose decisions executors write: proofs and report.

Executors put the pieces of each merchant together, as the driver of a near night does,
and hash them where they are: one digest of each merchant comes back.
"""

from __future__ import annotations

import io
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from optimizer.io.merchant_order import sorted_block
from optimizer.night.merkle import commitment, leaves_text, merchant_leaves
from optimizer.report import recommended
from optimizer.report.margins import counted_margins, step_of, step_width
from optimizer.spark.blocks import ALL_CELLS
from optimizer.spark.own_parts import ask_blocks
from optimizer.spark.packed import in_schema
from optimizer.spark.passes import DECISION_ROWS, PART_ROWS, Decided, decide_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import polars as pl
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from optimizer.report.margins import Margins

#: Leaves of the merchants of a part, and its rows.
LEAVES_ROWS = "part int, num_rows bigint, leaves binary"
#: Orders by step of their margin.
STEP_ROWS = "step bigint, number bigint"


def count_parts(decided: Decided) -> int:
    """
    How many parts the decisions of a night are published in.

    Parameters
    ----------
    decided
        The night.
    """
    return 1 + max(int(part.max(initial=-1)) for part in decided.part_of.values())


def whole_parts(blocks: DataFrame, decided: Decided) -> DataFrame:
    """
    Pieces of the decisions, those of a part together; rows of ``PART_ROWS``.

    Parameters
    ----------
    blocks, decided
        Those who keep the orders, and what decides them.
    """
    pieces = ask_blocks(blocks, ALL_CELLS, decide_parts, decided, PART_ROWS)
    return pieces.repartition(max(1, count_parts(decided)), "part")


def decision_rows(parts: DataFrame) -> DataFrame:
    """
    Decisions by merchant and order, part by part: ``DECISION_ROWS``.

    Parameters
    ----------
    parts
        From :func:`whole_parts`.
    """
    return parts.mapInArrow(_unpacked, DECISION_ROWS)


def prove_parts(parts: DataFrame) -> tuple[dict[str, Any], str]:
    """
    Commit to the decisions of a night, and give the text of its leaves.

    Parameters
    ----------
    parts
        From :func:`whole_parts`.
    """
    rows = parts.mapInArrow(_leaves, LEAVES_ROWS).toArrow().to_pylist()
    rows.sort(key=lambda row: row["part"])
    found = b"".join(row["leaves"] for row in rows)
    leaves = [found[at : at + 32] for at in range(0, len(found), 32)]
    num_rows = sum(row["num_rows"] for row in rows)
    return commitment(num_rows, leaves), leaves_text(leaves)


def chosen_orders(decisions: DataFrame) -> pl.DataFrame:
    """
    The chosen orders, as they are published: the driver has their plan.

    Parameters
    ----------
    decisions
        From :func:`decision_rows`.
    """
    import polars as pl

    found = pl.DataFrame(pl.from_arrow(decisions.filter("is_premium").toArrow()))
    return recommended(found.sort("merchant_id", "order_id"))


def margins_on(decisions: DataFrame) -> Margins:
    """
    Count orders by steps of their margin, as on one machine.

    Parameters
    ----------
    decisions
        With ``margin_cny``, CNY.
    """
    import polars as pl
    from pyspark.sql import functions as F

    margin = F.col("margin_cny")
    inside = decisions.filter(margin >= 0).select("margin_cny").toArrow()
    width = step_width(pl.DataFrame(pl.from_arrow(inside))["margin_cny"])
    task = partial(_counted_steps, width=width)
    counted = decisions.select("margin_cny").mapInArrow(task, STEP_ROWS).toArrow()
    number: Counter[int | None] = Counter()
    for row in counted.to_pylist():
        number[row["step"]] += row["number"]
    return counted_margins(width, number)


def _counted_steps(
    batches: Iterable[pa.RecordBatch], width: float
) -> Iterator[pa.RecordBatch]:
    """Orders by step; engines that divide by themselves round otherwise."""
    import polars as pl

    for batch in batches:
        margins = pl.DataFrame(pl.from_arrow(batch))
        counted = margins.group_by(step=step_of(width)).agg(number=pl.len())
        yield from in_schema(counted, STEP_ROWS)


def _unpacked(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for _, rows in _parts(batches):
        yield from in_schema(rows, DECISION_ROWS)


def _leaves(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import polars as pl

    for part, rows in _parts(batches):
        leaves = b"".join(merchant_leaves(rows))
        told = {"part": [part], "num_rows": [len(rows)], "leaves": [leaves]}
        yield from in_schema(pl.DataFrame(told), LEAVES_ROWS)


def _parts(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Parts whose pieces come, whole."""
    pieces: dict[int, list[bytes]] = {}
    for batch in batches:
        numbers, rows = (batch[name].to_pylist() for name in ("part", "rows"))
        for number, cell in zip(numbers, rows, strict=True):
            pieces.setdefault(number, []).append(cell)
    for number in sorted(pieces):
        yield number, joined(pieces.pop(number))


def joined(pieces: list[bytes]) -> pl.DataFrame:
    """
    Rows of some merchants, in the order that they are published in.

    Parameters
    ----------
    pieces
        Rows of ``PART_ROWS``, of one part.
    """
    import polars as pl

    parts = [pl.read_ipc(io.BytesIO(piece)) for piece in pieces]
    return sorted_block(pl.concat(parts)).drop("merchant")
