"""A column of few different texts: each text once, and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

_Number = TypeVar("_Number", np.int32, np.int64)


class Words(NamedTuple):
    """
    The texts of a column.

    Attributes
    ----------
    texts
        Each one once, in order of first appearance; no null.
    place
        ``(n,) int32``: each row's place among them; -1 for a null.
    """

    texts: pl.Series
    place: NDArray[np.int32]

    def kept(self, is_kept: NDArray[np.bool_]) -> Words:
        """
        Keep the texts of some rows.

        Examples
        --------
        >>> import polars as pl
        >>> words = find_words(pl.Series(["b", "a", None, "c", "a"]))
        >>> few = words.kept(np.array([False, False, True, True, True]))
        >>> few.texts.to_list(), few.place.tolist()
        (['c', 'a'], [-1, 0, 1])
        """
        left = self.place[is_kept]
        found = distinct(left[left >= 0].astype(np.int64))[0]
        number = np.full(len(self.texts) + 1, -1, np.int32)
        number[found] = np.arange(len(found), dtype=np.int32)
        return Words(self.texts.gather(found), number[left])


def find_words(column: pl.Series) -> Words:
    """
    Find the texts of a column.

    Examples
    --------
    >>> import polars as pl
    >>> words = find_words(pl.Series(["b", "a", None, "b"]))
    >>> words.texts.to_list(), words.place.tolist()
    (['b', 'a'], [0, 1, -1, 0])
    """
    import polars as pl

    encoded = column.to_arrow().dictionary_encode()
    place = _places(encoded)
    if encoded.null_count:
        place = np.where(column.is_null().to_numpy(), np.int32(-1), place)
    return Words(pl.Series(column.name, encoded.dictionary, pl.String), place)


def distinct(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """
    Distinct values in order of first appearance, and each value's place among them.

    Examples
    --------
    >>> values, place = distinct(np.array([7, 3, 7]))
    >>> values.tolist(), place.tolist()
    ([7, 3], [0, 1, 0])
    """
    import polars as pl

    encoded = pl.Series(values).to_arrow().dictionary_encode()
    return _numbers(encoded.dictionary, np.int64), _places(encoded)


def _places(encoded: pa.DictionaryArray) -> NDArray[np.int32]:
    """Each value's place in the dictionary; of a null, anything."""
    return _numbers(encoded.indices, np.int32)


def _numbers(array: pa.Array, kind: type[_Number]) -> NDArray[_Number]:
    """Numbers of an array, as they lie there: pyarrow's own way imports pandas."""
    _, values = array.buffers()
    if values is None:
        return np.zeros(0, kind)
    return np.frombuffer(values, kind)[array.offset : array.offset + len(array)]
