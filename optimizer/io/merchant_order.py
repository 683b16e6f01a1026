"""
Rows by merchant and order id: blocks of whole merchants, sorted one by one.

Merchants are numbers in the order of their ids, so only the order ids within a merchant
are compared as text, and of these eight bytes behind what a merchant's ids have in
common: a number. Where eight bytes do not decide, the text does.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import polars as pl
    from numpy.typing import NDArray

#: Rows in a block, about; a merchant with more has a block of its own.
BLOCK_ROWS = 131_072
#: Rows of a merchant that are decided together: more come in several parts. They are
#: whole pieces of what the evidence hashes.
PART_ROWS = 16 * 65_536
#: Rows that are held in memory until their block is whole; more go to the disk.
MOST_IN_MEMORY = 20_000_000
#: What the names of a row take in memory, about, and their sorted copy.
BYTES_EACH_ROW = 120
#: Files that are open at a time; each has rows of one or more blocks.
MOST_FILES = 256


def count_blocks(num_rows: int) -> int:
    """Number of blocks of a night, about."""
    return -(-num_rows // BLOCK_ROWS)


def merchant_blocks(
    frames: Iterable[pl.DataFrame],
    row_merchant: NDArray[np.int32],
    scratch: Path,
    room: int | None = None,
) -> Iterator[pl.DataFrame]:
    """
    Give the rows of all frames by blocks of merchants, not yet sorted within a block.

    Parameters
    ----------
    frames
        With ``row``; in any order, read once.
    row_merchant
        ``(num_rows,) int32``: merchant of each row; -1 for rows that no frame has.
    scratch
        A folder that does not exist; made where the night is large, and removed.
    room
        Bytes that the rows may take in memory; ``None``: as is usual.

    Yields
    ------
    pl.DataFrame
        One block after the other, as they came, with ``merchant``.
    """
    import polars as pl

    num_rows = len(row_merchant)
    if num_rows <= BLOCK_ROWS:
        whole = pl.concat(list(frames))
        yield _with_merchant(whole, row_merchant)
        return
    counts = np.bincount(row_merchant[row_merchant >= 0])
    block_of = block_of_merchants(counts)
    parts: list[list[pl.DataFrame]] = [[] for _ in range(int(block_of.max()) + 1)]
    most_rows = MOST_IN_MEMORY
    if room is not None:
        most_rows = min(most_rows, room // BYTES_EACH_ROW)
    if num_rows <= most_rows:
        for frame in frames:
            for number, part in _split(_with_merchant(frame, row_merchant), block_of):
                parts[number].append(part)
        for number in range(len(parts)):
            yield pl.concat(parts[number])
            parts[number] = []
        return
    yield from _by_disk(frames, row_merchant, block_of, scratch)


def block_of_merchants(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """
    Block of each merchant: whole merchants in order, about as many rows in each.

    Parameters
    ----------
    counts
        ``(num_merchants,) int64``: rows of each.
    """
    begins = (np.cumsum(counts) - counts) // BLOCK_ROWS
    has_rows = counts > 0
    block = np.zeros(len(counts), np.int64)
    block[has_rows] = np.unique(begins[has_rows], return_inverse=True)[1]
    return block


def _with_merchant(
    frame: pl.DataFrame, row_merchant: NDArray[np.int32]
) -> pl.DataFrame:
    import polars as pl

    rows = frame["row"].to_numpy()
    return frame.with_columns(merchant=pl.Series(row_merchant[rows]))


def _split(
    frame: pl.DataFrame, block_of: NDArray[np.int64]
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Parts of a frame by block, the blocks' rows as they came."""
    import polars as pl

    block = block_of[frame["merchant"].to_numpy()]
    counts = np.bincount(block)
    sorted_frame = frame
    if np.count_nonzero(counts) > 1:
        order = np.argsort(block.astype(np.uint16), kind="stable")
        sorted_frame = frame[pl.Series(order.astype(np.uint32))]
    del frame
    at = 0
    for number in np.flatnonzero(counts).tolist():
        yield number, sorted_frame[at : at + int(counts[number])]
        at += int(counts[number])


def _by_disk(
    frames: Iterable[pl.DataFrame],
    row_merchant: NDArray[np.int32],
    block_of: NDArray[np.int64],
    scratch: Path,
) -> Iterator[pl.DataFrame]:
    """Write each row to the file of its block, and read the files one by one."""
    import polars as pl
    import pyarrow.ipc

    scratch.mkdir()
    file_of = block_of // -(-(int(block_of.max()) + 1) // MOST_FILES)
    writers: dict[int, pyarrow.ipc.RecordBatchStreamWriter] = {}
    try:
        for frame in frames:
            whole = _with_merchant(frame, row_merchant)
            for number, part in _split(whole, file_of):
                arrow = part.to_arrow()
                if number not in writers:
                    path = scratch / f"{number:06}.arrows"
                    writers[number] = pyarrow.ipc.new_stream(str(path), arrow.schema)
                writers[number].write_table(arrow)
        for writer in writers.values():
            writer.close()
        for number in sorted(writers):
            path = scratch / f"{number:06}.arrows"
            with path.open("rb") as opened:
                path.unlink()
                blocks = _split(pl.read_ipc_stream(opened), block_of)
                yield from (block for _, block in blocks)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)  # a fault before this one is told


@dataclass(frozen=True, slots=True, eq=False)
class BlockPart:
    """
    Rows of a block that are decided together.

    Attributes
    ----------
    block
        Not sorted.
    order
        ``(n,) uint32``: rows of the part, in order; ``None``: the whole block, whose
        order is not known yet.
    """

    block: pl.DataFrame
    order: NDArray[np.uint32] | None = None

    def sorted_rows(self) -> pl.DataFrame:
        """The rows by ``merchant`` and ``order_id``."""
        import polars as pl

        if self.order is None:
            return sorted_block(self.block)
        return self.block[pl.Series(self.order)]


def block_parts(blocks: Iterable[pl.DataFrame]) -> Iterator[BlockPart]:
    """
    Divide blocks whose rows are too many to be decided at once.

    Parameters
    ----------
    blocks
        With ``merchant`` and ``order_id``.

    Yields
    ------
    BlockPart
        Of a merchant with more than :data:`PART_ROWS` rows so many in each but the
        last.
    """
    for block in blocks:
        if len(block) <= PART_ROWS:
            yield BlockPart(block)
            continue
        whole = block.rechunk()
        del block
        order = sorted_order(whole)
        yield from (BlockPart(whole, order[cut]) for cut in _cuts(whole))


def _cuts(block: pl.DataFrame) -> Iterator[slice]:
    """Merchants that are not large together; each large one by itself, in parts."""
    merchant = block["merchant"].to_numpy()
    begin = first = 0
    for last in np.cumsum(np.bincount(merchant - merchant.min())).tolist():
        if last - first > PART_ROWS:
            if begin < first:
                yield slice(begin, first)
            for at in range(first, last, PART_ROWS):
                yield slice(at, min(at + PART_ROWS, last))
            begin = last
        first = last
    if begin < first:
        yield slice(begin, first)


def sorted_block(block: pl.DataFrame) -> pl.DataFrame:
    """
    Sort a block by ``merchant``, and by the bytes of ``order_id`` within a merchant.

    Examples
    --------
    >>> import polars as pl
    >>> block = pl.DataFrame({"merchant": [1, 0, 1], "order_id": ["b", "c", "a"]})
    >>> sorted_block(block)["order_id"].to_list()
    ['c', 'a', 'b']
    """
    import polars as pl

    if len(block) == 0:
        return block
    block = block.rechunk()  # rows are taken from all over: one piece is much faster
    return block[pl.Series(sorted_order(block))]


def sorted_order(block: pl.DataFrame) -> NDArray[np.uint32]:
    """``(n,) uint32``: rows of a block by merchant and order id; at least one row."""
    import polars as pl

    merchant = block["merchant"].to_numpy()
    first = int(merchant.min())
    local = merchant.astype(np.int64) - first
    num_bits = max(1, int(local.max()).bit_length())
    words = _words(block, local) >> np.uint64(num_bits)
    key = (local.astype(np.uint64) << np.uint64(64 - num_bits)) | words
    order = np.argsort(key)
    key = key[order]
    is_tied = np.zeros(len(key) + 1, np.bool_)
    is_tied[1:-1] = key[1:] == key[:-1]
    in_doubt = np.flatnonzero(is_tied[1:] | is_tied[:-1])
    if len(in_doubt):
        doubted = order[in_doubt]
        names = block.select("merchant", "order_id")[pl.Series(doubted)]
        ranks = names.select(pl.arg_sort_by("merchant", "order_id")).to_series()
        order[in_doubt] = doubted[ranks.to_numpy()]
    return order.astype(np.uint32)


def _words(block: pl.DataFrame, local: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Eight bytes of each id, from where the ids of its merchant begin to differ."""
    import pyarrow

    from optimizer.io.merchant_order_kernel import distinct_words

    array = block["order_id"].rechunk().to_arrow().cast(pyarrow.large_binary())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[
        array.offset : array.offset + len(array) + 1
    ]
    text = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    first_row, num_alike = np.full((2, int(local.max()) + 1), -1)
    words = np.empty(len(local), np.uint64)
    distinct_words(
        text=text,
        ends=ends,
        merchant=local,
        first_row=first_row,
        num_alike=num_alike,
        words=words,
    )
    return words
