"""
Keys of orders, restated from the documentation: FNV-1a, then MurmurHash3's finalizer.

Of each order id in UTF-8: the state begins at ``cbf29ce484222325``; for each byte it
is xor-ed with the byte and multiplied by ``100000001b3``; at the end it is twice xor-ed
with itself shifted right by 33 and multiplied, by ``ff51afd7ed558ccd`` and
``c4ceb9fe1a85ec53``, and xor-ed so once more. All modulo two to the 64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

#: Rows whose keys are compared at a time.
_BATCH_ROWS = 1_000_000
_ASKED = """
SELECT d.order_id, i.order_key, i."row"
FROM read_parquet(
    getvariable('run') || '/decisions.parquet', file_row_number = true) AS d
JOIN read_parquet(getvariable('run') || '/order_index.parquet') AS i
ON i."row" = d.file_row_number
"""


def false_keys(engine: duckdb.DuckDBPyConnection) -> list[str]:
    """Rows of the index whose key is not that of the order in the row."""
    found: list[str] = []
    asked = engine.execute(_ASKED)
    while rows := asked.fetchmany(_BATCH_ROWS):
        ids, said, numbers = zip(*rows, strict=True)
        wrong = np.flatnonzero(keys_of([*ids]) != np.array(said, np.uint64))
        found += [f"row {numbers[k]} has another key" for k in wrong.tolist()]
    return found


def keys_of(ids: list[str]) -> NDArray[np.uint64]:
    """
    Keys of ids, ``(len(ids),) uint64``.

    Examples
    --------
    >>> hex(int(keys_of([""])[0]))
    '0xefd01f60ba992926'
    """
    texts = [text.encode() for text in ids]
    length = np.array([len(text) for text in texts], np.int64)
    state = np.full(len(texts), 0xCBF29CE484222325, np.uint64)
    # As a table of bytes, a place at a time; a text's own end, not a zero, ends it.
    width = int(length.max(initial=0))
    table = np.zeros((len(texts), width), np.uint8)
    joined = np.frombuffer(b"".join(texts), np.uint8)
    table[np.arange(width) < length[:, None]] = joined
    for place in range(width):
        is_in = length > place
        mixed = (state ^ table[:, place]) * np.uint64(0x100000001B3)
        state = np.where(is_in, mixed, state)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        state = (state ^ (state >> np.uint64(33))) * np.uint64(factor)
    return state ^ (state >> np.uint64(33))
