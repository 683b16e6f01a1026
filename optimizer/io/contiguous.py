"""Texts of a column as kernels read them: their bytes, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray


def contiguous(column: pl.Series) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """
    Lay out the texts of a column one after the other; a null may be anything.

    Returns
    -------
    text, ends
        ``(b,) uint8``: bytes of all texts; ``(len(column) + 1,) int64``: where each
        one begins, and the end of the last.

    Examples
    --------
    >>> import polars as pl
    >>> text, ends = contiguous(pl.Series(["ab", "", "c"]))
    >>> bytes(text), ends.tolist()
    (b'abc', [0, 2, 2, 3])
    """
    array = column.to_arrow()
    _, offsets, data = array.buffers()
    if offsets is None or not len(array):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    ends = np.frombuffer(offsets, np.int64)[array.offset :][: len(array) + 1]
    text = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return text, ends
