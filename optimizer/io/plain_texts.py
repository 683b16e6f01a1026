"""
Texts passed over by their bytes: most ids are letters, digits, ``-`` and ``_``.

What such a text cannot be, no pattern need look for; the others are looked at by
patterns. One pass over the bytes takes a tenth of what a pattern takes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.io.contiguous import contiguous

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.io.contiguous import LaidTexts

#: Longest id that is accepted, in bytes; no platform has one that comes near.
MAX_ID_BYTES = 200


class Looked:
    """
    What texts may be, as far as their bytes tell.

    Parameters
    ----------
    texts
        By column; a null may be nothing.
    laid
        Those columns of them that are laid out already.

    Examples
    --------
    >>> import polars as pl
    >>> looked = Looked({"id": pl.Series(["o-17", "n/a", "13800138000", None])})
    >>> looked.may_break()["id"].drop_nulls().to_list()
    ['n/a']
    >>> looked.may_be_personal()["id"].to_list()
    ['n/a', '13800138000']
    """

    def __init__(
        self,
        texts: Mapping[str, pl.Series],
        laid: Mapping[str, LaidTexts] | None = None,
    ) -> None:
        laid = laid or {}
        rest = [name for name in texts if name not in laid]
        sizes = [len(texts[name]) for name in rest]
        found = np.split(_look([texts[name] for name in rest]), np.cumsum(sizes)[:-1])
        self._texts = texts
        self._found = dict(zip(rest, found, strict=bool(rest)))
        self._found |= {name: _look_at(*columns) for name, columns in laid.items()}

    def may_break(self) -> dict[str, pl.Series]:
        """Texts that may break a rule: a plain one with a digit does not."""
        return self._kept(1)

    def may_be_personal(
        self, names: Iterable[str] | None = None, most: int | None = None
    ) -> dict[str, pl.Series]:
        """
        Texts that may be a person's number or address, as an id.

        Parameters
        ----------
        names
            Of these columns; ``None``: of all.
        most
            Among so many first texts of each; ``None``: among all.
        """
        return self._kept(2, names, most)

    def may_be_changed(self) -> dict[str, pl.Series]:
        """Texts that may look as a spreadsheet leaves an id."""
        return self._kept(4)

    def _kept(
        self, state: int, names: Iterable[str] | None = None, most: int | None = None
    ) -> dict[str, pl.Series]:
        """Columns that have such texts, with these alone."""
        kept = {}
        for name in self._texts if names is None else names:
            here = (self._found[name][:most] & state).astype(np.bool_)
            if here.any():
                part = self._texts[name].head(len(here))
                kept[name] = part if here.all() else part.filter(here)
        return kept


def _look(parts: Sequence[pl.Series]) -> NDArray[np.uint8]:
    """``(n,) uint8``: what each of the texts may be, the columns one after another."""
    import polars as pl

    if not parts:
        return np.zeros(0, np.uint8)
    texts = parts[0] if len(parts) == 1 else pl.concat([p.alias("") for p in parts])
    return _look_at(*contiguous(texts))


def _look_at(text: NDArray[np.uint8], ends: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Look at texts that are laid out."""
    found = np.zeros(len(ends) - 1, np.uint8)
    if len(found):
        _kernel()(text, ends, MAX_ID_BYTES, found)
    return found


@cache
def _kernel() -> Callable[..., Any]:
    """Compile the kernel at its first use; numba is slow to import."""
    from optimizer.io.plain_texts_kernel import look_at

    return look_at
