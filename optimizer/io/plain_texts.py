"""
Texts passed over by their bytes: most ids are letters, digits, ``-`` and ``_``.

What such a text cannot be, no pattern need look for; the others are looked at by
patterns. One pass over the bytes takes a tenth of what a pattern takes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

#: Longest id that is accepted, in bytes; no platform has one that comes near.
MAX_ID_BYTES = 200


class Looked:
    """
    What texts may be, as far as their bytes tell.

    Parameters
    ----------
    texts
        By column; a null may be nothing.

    Examples
    --------
    >>> import polars as pl
    >>> looked = Looked({"id": pl.Series(["o-17", "n/a", "13800138000", None])})
    >>> looked.may_break()["id"].drop_nulls().to_list()
    ['n/a']
    >>> looked.may_be_personal()["id"].to_list()
    ['n/a', '13800138000']
    """

    def __init__(self, texts: Mapping[str, pl.Series]) -> None:
        self._texts = texts
        self._found = _look([*texts.values()])

    def may_break(self) -> dict[str, pl.Series]:
        """Texts that may break a rule: a plain one with a digit does not."""
        return self._kept(1)

    def may_be_personal(self) -> dict[str, pl.Series]:
        """Texts that may be a person's number or address, as an id."""
        return self._kept(2)

    def may_be_changed(self) -> dict[str, pl.Series]:
        """Texts that may look as a spreadsheet leaves an id."""
        return self._kept(4)

    def _kept(self, state: int) -> dict[str, pl.Series]:
        """Columns that have such texts, with these alone."""
        is_kept = (self._found & state).astype(np.bool_)
        if not is_kept.any():
            return {}
        kept, first = {}, 0
        for name, part in self._texts.items():
            here = is_kept[first : first + len(part)]
            first += len(part)
            if here.any():
                kept[name] = part if here.all() else part.filter(here)
        return kept


def _look(parts: Sequence[pl.Series]) -> NDArray[np.uint8]:
    """``(n,) uint8``: what each of the texts may be, the columns one after another."""
    import polars as pl
    import pyarrow as pa

    if not parts:
        return np.zeros(0, np.uint8)
    texts = parts[0] if len(parts) == 1 else pl.concat([p.alias("") for p in parts])
    array = texts.to_arrow().cast(pa.large_string())
    _, offsets, data = array.buffers()
    found = np.zeros(len(array), np.uint8)
    if len(array):
        last = array.offset + len(array) + 1
        ends = np.frombuffer(offsets, np.int64)[array.offset : last]
        text = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
        _kernel()(text, ends, MAX_ID_BYTES, found)
    return found


@cache
def _kernel() -> Callable[..., Any]:
    """Compile the kernel at its first use; numba is slow to import."""
    from optimizer.io.plain_texts_kernel import look_at

    return look_at
