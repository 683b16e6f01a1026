"""
What is sent to blocks: to each task what all need, and what its own blocks need.

Caps, prices of caps, ties and distances grow with the merchants, and no block needs
those of another. Where they stand by block (:class:`ByBlock`), wherever in what is
sent, they go into a cell beside the block, in the narrowest integers that hold them or
the steps between them. Few bytes go as a literal, as a join starts a job for each pass;
more as a table, which each executor gets once: literals are in the plan, which goes
with every task whole, and whose text the driver keeps.
"""

from __future__ import annotations

import gc
import io
import os
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.solvers.network.blocks import ByBlock
from optimizer.spark.cells import narrowed, summed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray
    from pyspark.sql import Column, DataFrame

    #: From the cells of a block, and what it is given, to rows.
    OfBlock = Callable[[dict[str, Any], Any], Iterator[pa.RecordBatch]]

#: Name of the cell beside a block.
OWN = "own"
#: Parts of more bytes in all go as a table. With less a pass takes half the time of a
#: join: 0.25 s against 0.55 of a million orders in two blocks.
LITERAL_BYTES = 1 << 20

#: In the environment of Spark's own Python workers, and of no other process.
WORKER_VARIABLE = "SPARK_REUSE_WORKER"


def ask_blocks(
    rows: DataFrame, cells: Sequence[str], function: OfBlock, given: Any, schema: str
) -> DataFrame:
    """
    Call a function on every block, each with its own part of what is given.

    Parameters
    ----------
    rows
        Of blocks; see :mod:`optimizer.spark.blocks`.
    cells
        That the function needs, ``block`` among them.
    function
        Takes a block's cells, and what is given.
    given
        To all blocks; of each :class:`ByBlock` in it, a block gets its own entry.
    schema
        Of what the function gives.
    """
    shared, own = split(given)
    if sum(map(len, own.values())) <= LITERAL_BYTES:
        asked = rows.select(*cells, own_column(own).alias(OWN))
    else:
        asked = rows.select(*cells).join(_own_table(rows, own), "block", "left")
    task = partial(_each_block, function=function, shared=shared)
    return asked.mapInArrow(task, schema)


def own_column(own: dict[int, bytes]) -> Column:
    """The part of each block, as a literal."""
    from pyspark.sql import functions as F

    num = max(own, default=0) + 1
    parts = F.array(*(F.lit(own.get(block, b"")) for block in range(num)))
    return F.element_at(parts, F.col("block") + 1)


def _own_table(rows: DataFrame, own: dict[int, bytes]) -> DataFrame:
    """The part of each block, as a table that all executors get."""
    import pyarrow as pa
    from pyspark.sql import functions as F

    kind = next(field.dataType for field in rows.schema if field.name == "block")
    cells = pa.array(own.values(), pa.binary())
    parts = pa.table({"block": pa.array([*own], pa.int64()), OWN: cells})
    table = rows.sparkSession.createDataFrame(parts)
    return F.broadcast(table.withColumn("block", F.col("block").cast(kind)))


def _each_block(
    batches: Iterable[pa.RecordBatch], function: OfBlock, shared: bytes
) -> Iterator[pa.RecordBatch]:
    """Blocks one by one; their cells stay where Arrow has them."""
    for batch in batches:
        for at in range(batch.num_rows):
            row = {name: _cell(batch[name][at]) for name in batch.schema.names}
            yield from function(row, joined(shared, row["block"], row.pop(OWN)))
    _settle()


def _settle() -> None:
    """
    Let a worker's collector of rubbish pass over what was loaded by its first pass.

    Spark calls it after each task: 65 ms for the modules alone.
    """
    if WORKER_VARIABLE in os.environ and not gc.get_freeze_count():
        gc.freeze()


def _cell(value: pa.Scalar[Any]) -> Any:
    """A value of Python; of binary cells the bytes, where they lie."""
    import pyarrow as pa

    kind = value.type
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return (
        memoryview(value.as_buffer()) if is_bytes and value.is_valid else value.as_py()
    )


def split(given: Any) -> tuple[bytes, dict[int, bytes]]:
    """
    What all blocks get, and what each gets of its own, packed.

    Examples
    --------
    >>> shared, own = split({"price": 3, "cap": ByBlock({0: [1, 2], 1: [5]})})
    >>> joined(shared, 1, own[1])
    {'price': 3, 'cap': {1: [5]}}
    """
    found: list[ByBlock[Any]] = []
    shared = io.BytesIO()
    _SharedPickler(shared, found).dump(given)
    blocks = sorted({block for values in found for block in values})
    own = {}
    for block in blocks:
        mine = {n: v[block] for n, v in enumerate(found) if block in v}
        cell = io.BytesIO()
        _NarrowPickler(cell, pickle.HIGHEST_PROTOCOL).dump(mine)
        own[block] = cell.getvalue()
    return shared.getvalue(), own


def joined(shared: bytes, block: int, own: bytes | memoryview) -> Any:
    """
    What was given, with a block's own entries alone.

    Parameters
    ----------
    shared, own
        From :func:`split`; no bytes: it has none of its own.
    block
        Its number.
    """
    mine = pickle.loads(own) if own else {}
    return _SharedUnpickler(io.BytesIO(shared), block, mine).load()


class _SharedPickler(pickle.Pickler):
    """Leaves out what stands by block, and notes it."""

    def __init__(self, file: io.BytesIO, found: list[ByBlock[Any]]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._found = found

    def persistent_id(self, obj: Any) -> int | None:
        """Its number among those found, where it stands by block."""
        if not isinstance(obj, ByBlock):
            return None
        same = (n for n, known in enumerate(self._found) if known is obj)
        number = next(same, len(self._found))
        if number == len(self._found):
            self._found.append(obj)
        return number


class _SharedUnpickler(pickle.Unpickler):
    """Puts a block's own entries in their places."""

    def __init__(self, file: io.BytesIO, block: int, mine: dict[int, Any]) -> None:
        super().__init__(file)
        self._block, self._mine = block, mine

    def persistent_load(self, pid: int) -> ByBlock[Any]:
        """What was left out, with one entry or none."""
        if pid not in self._mine:
            return ByBlock()
        return ByBlock({self._block: self._mine[pid]})


class _NarrowPickler(pickle.Pickler):
    """Packs integers, or the steps between them, in the narrowest kind that does."""

    def reducer_override(self, obj: Any) -> Any:
        """How an array is packed; others as usual."""
        if not isinstance(obj, np.ndarray):
            return NotImplemented
        first, narrow = narrowed(obj)
        if first is not None:
            return summed, (first, narrow, obj.dtype.str)
        if narrow.itemsize < obj.itemsize:
            return _wide, (narrow, obj.dtype.str)
        return NotImplemented


def _wide(narrow: NDArray[Any], kind: str) -> NDArray[Any]:
    return narrow.astype(kind)
