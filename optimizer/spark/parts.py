"""Which part of a night packed rows belong to, as executors find it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.io.order_keys import order_keys
from optimizer.spark.join import OF_IDS
from optimizer.spark.packed import each_cell, in_schema, parted_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

#: Keys of folded ids of a part; those that are there more than once.
KEYS_OF_PART, REPEATED = "part int, folded_keys binary", "folded_key bigint"
#: A merchant's orders in a cell.
SIZES = "merchant_id string, num_orders bigint"


def part_of_order(
    frame: pl.DataFrame, num_parts: int, salt: int = 0
) -> NDArray[np.int64]:
    """
    Find the part of orders, and of their options, by the order's id.

    Parameters
    ----------
    frame
        With ``order_id``.
    num_parts, salt
        Of all parts, and of the keys.

    Examples
    --------
    >>> import polars as pl
    >>> part_of_order(pl.DataFrame({"order_id": ["a", "b", "a"]}), 1).tolist()
    [0, 0, 0]
    """
    return _remainder(order_keys(frame["order_id"], salt)[0], num_parts)


def block_of_order(
    frame: pl.DataFrame, num_blocks: int, placed: Mapping[str, Sequence[int]]
) -> NDArray[np.int64]:
    """
    Find the block of orders: that of their merchant, or one of its blocks by key.

    Parameters
    ----------
    frame
        With ``merchant_id`` and ``key``.
    num_blocks
        Of the night.
    placed
        Blocks of the merchants that are in several.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"merchant_id": ["a", "a", "a"], "key": [4, 5, 6]})
    >>> block_of_order(frame, 9, {"a": [7, 3]}).tolist()
    [7, 3, 7]
    """
    import polars as pl

    block = _remainder(order_keys(frame["merchant_id"])[0], num_blocks)
    if not placed:
        return block
    giant = frame["merchant_id"].replace_strict(
        [*placed], range(len(placed)), default=-1, return_dtype=pl.Int64
    )
    of_giant = np.flatnonzero(giant.to_numpy() >= 0)
    which = giant.to_numpy()[of_giant]
    count = np.array([len(blocks) for blocks in placed.values()])
    first = np.cumsum(count) - count
    key = frame["key"].to_numpy()[of_giant].view(np.uint64)
    own = (key % count[which].astype(np.uint64)).astype(np.int64)
    block[of_giant] = np.concatenate([*placed.values()])[first[which] + own]
    return block


def part_ids(
    batches: Iterable[pa.RecordBatch],
    part_of: Callable[[pl.DataFrame], NDArray[np.int64]],
) -> Iterator[pa.RecordBatch]:
    """
    Turn ids of orders that are known into ``PARTED`` rows.

    Parameters
    ----------
    batches
        With ``order_id``.
    part_of
        The part of each row.
    """
    import polars as pl

    for batch in batches:
        frame = pl.DataFrame(pl.from_arrow(batch))
        part = part_of(frame)
        for number in np.unique(part).tolist():
            yield from parted_row(frame.filter(part == number), number, OF_IDS)


def part_keys(
    batches: Iterable[pa.RecordBatch], num_parts: int
) -> Iterator[pa.RecordBatch]:
    """
    Part the keys of folded ids, so that those alike come together.

    Parameters
    ----------
    batches
        With ``folded_keys``, the bytes of ``(n,) uint64``.
    num_parts
        Of all.
    """
    import polars as pl

    for batch in batches:
        for cell in batch["folded_keys"]:
            keys = np.frombuffer(cell.as_buffer(), np.uint64)
            part = _remainder(keys, num_parts)
            by_part = [keys[part == number].tobytes() for number in range(num_parts)]
            cells = {"part": [*range(num_parts)], "folded_keys": by_part}
            yield from in_schema(pl.DataFrame(cells), KEYS_OF_PART)


def repeated_keys(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """
    Find the keys that are there more than once.

    Parameters
    ----------
    batches
        ``KEYS_OF_PART`` of some parts, all of each.
    """
    import polars as pl

    cells = [cell.as_py() for batch in batches for cell in batch["folded_keys"]]
    keys = np.sort(np.frombuffer(b"".join(cells), np.uint64))
    twice = np.unique(keys[1:][keys[1:] == keys[:-1]])
    yield from in_schema(pl.DataFrame({"folded_key": twice.view(np.int64)}), REPEATED)


def orders_of_keys(
    batches: Iterable[pa.RecordBatch], keys: Sequence[int], salt: int
) -> Iterator[pa.RecordBatch]:
    """
    Find the orders whose folded ids have one of some keys.

    Parameters
    ----------
    batches
        Packed rows with ``order_id``.
    keys, salt
        As numbers with a sign; and of which family they are.
    """
    asked = np.array(keys, np.int64).view(np.uint64)
    for frame in each_cell(batches, ["order_id"]):
        is_asked = np.isin(order_keys(frame["order_id"], salt)[1], asked)
        yield from in_schema(frame.filter(is_asked), "order_id string")


def large_merchants(
    batches: Iterable[pa.RecordBatch], least: int
) -> Iterator[pa.RecordBatch]:
    """
    Count the orders of the merchants that have many in a cell.

    Parameters
    ----------
    batches
        Packed rows with ``merchant_id``.
    least
        Orders in a cell that are many.
    """
    import polars as pl

    for frame in each_cell(batches, ["merchant_id"]):
        sizes = frame["merchant_id"].value_counts(name="num_orders")
        yield from in_schema(sizes.filter(pl.col("num_orders") >= least), SIZES)


def _remainder(keys: NDArray[np.uint64], num: int) -> NDArray[Any]:
    return (keys % np.uint64(num)).astype(np.int64)
