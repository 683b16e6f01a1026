"""Texts of a column as kernels read them: their bytes, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray


class LaidTexts(NamedTuple):
    """
    Texts one after the other.

    Attributes
    ----------
    text
        ``(b,) uint8``: bytes of all texts.
    ends
        ``(n + 1,) int64``: where each one begins, and the end of the last.
    """

    text: NDArray[np.uint8]
    ends: NDArray[np.int64]


def contiguous(column: pl.Series) -> LaidTexts:
    """
    Lay out the texts of a column one after the other; a null may be anything.

    To lay a million ids out takes as long as to hash them: what reads them after each
    other is given the same layout.

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
        return LaidTexts(np.zeros(0, np.uint8), np.zeros(1, np.int64))
    ends = np.frombuffer(offsets, np.int64)[array.offset :][: len(array) + 1]
    text = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return LaidTexts(text, ends)
