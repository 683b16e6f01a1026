"""Rows of the chosen orders, read again by executors."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.io.order_keys import order_keys
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.validate import check_batch
from optimizer.spark.shuffle import map_frames

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from optimizer.build.lanes import Place
    from optimizer.io.read import Source
    from optimizer.solvers.network.block_margins import Plan
    from optimizer.spark.files import FileTable
    from optimizer.spark.rows import Rules

#: A piece of a table.
ROWS = "rows binary"


def rows_of_plan(
    orders: DataFrame | FileTable,
    source: Source,
    rules: Rules,
    places: tuple[Place, ...],
    plan: Plan,
) -> Iterator[pl.DataFrame]:
    """
    Checked rows of the chosen orders, with who carries each (``taken_by``).

    Parameters
    ----------
    orders, source
        The orders table.
    rules
        Of the night, with the salt of its keys.
    places
        Names of the lanes.
    plan
        The chosen orders.
    """
    import polars as pl

    problem, chosen = plan.problem, plan.solution.chosen
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    lanes = problem.option_lane[chosen]
    taken = pl.DataFrame(
        {
            "key": problem.key[order],
            "taken_by": [places[lane].carrier_id for lane in lanes],
        },
        schema={"key": pl.UInt64, "taken_by": pl.String},
    )
    task = partial(_taken_rows, source=source, taken=taken, salt=rules.salt)
    found = map_frames(orders, source, task, ROWS).toArrow()
    for cell in found["rows"].to_pylist():
        yield pl.read_ipc(io.BytesIO(cell))


def _taken_rows(
    frames: Iterator[pl.DataFrame], source: Source, taken: pl.DataFrame, salt: int
) -> Iterator[pa.RecordBatch]:
    """Rows of the orders whose keys are given, packed."""
    import polars as pl
    import pyarrow as pa

    log = QuarantineLog()
    for raw in frames:
        kept = check_batch(raw, source, log)
        keyed = kept.with_columns(key=pl.Series(order_keys(kept["order_id"], salt)[0]))
        mine = keyed.join(taken, on="key", how="inner").drop("key")
        if len(mine):
            cell = io.BytesIO()
            mine.write_ipc(cell, compression="lz4")
            packed = pa.array([cell.getvalue()], pa.binary())
            yield pa.RecordBatch.from_pydict({"rows": packed})
