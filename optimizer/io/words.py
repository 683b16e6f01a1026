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
        return _compact(self.texts, self.place[is_kept])


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


def is_of_texts(column: pa.Array) -> bool:
    """Whether a column is a dictionary of texts, as Parquet's are read."""
    import pyarrow.types as t

    kind = column.type
    return bool(
        t.is_dictionary(kind)
        and t.is_int32(kind.index_type)
        and t.is_string(kind.value_type)
        and not column.dictionary.null_count
    )


def words_of(column: pa.DictionaryArray, name: str) -> Words:
    """
    Take the texts out of a dictionary, in which others may stand, in any order.

    Examples
    --------
    >>> import pyarrow as pa
    >>> places = pa.array([2, None, 0], pa.int32())
    >>> column = pa.DictionaryArray.from_arrays(places, ["a", "c", "b"])
    >>> words = words_of(column, "merchant_id")
    >>> words.texts.to_list(), words.place.tolist()
    (['b', 'a'], [0, -1, 1])
    """
    import polars as pl

    place = _places(column)
    if column.null_count:
        place = np.where(column.is_null().to_numpy(False), np.int32(-1), place)
    texts = pl.Series(name, pl.from_arrow(column.dictionary), pl.String)
    return _compact(texts, place)


def written_out(words: Words) -> pl.Series:
    """
    Write a column out.

    Examples
    --------
    >>> import polars as pl
    >>> words = find_words(pl.Series("id", ["b", None, "b"]))
    >>> written_out(words).to_list(), written_out(words).name
    (['b', None, 'b'], 'id')
    """
    import polars as pl

    place = pl.Series(words.place)
    is_null = words.place < 0
    if is_null.any():
        place = place.set(pl.Series(is_null), None)
    return words.texts.gather(place)


def _compact(texts: pl.Series, place: NDArray[np.int32]) -> Words:
    """Leave out texts that do not occur; the others by first appearance."""
    num_rows, num_texts = len(place), len(texts)
    first = np.full(num_texts + 1, num_rows)  # the last one is of nulls
    first[place[::-1]] = np.arange(num_rows - 1, -1, -1)
    order = np.argsort(first[:-1])
    order = order[: np.count_nonzero(first[:-1] < num_rows)]
    if len(order) == num_texts and np.array_equal(order, np.arange(num_texts)):
        return Words(texts, place)
    number = np.full(num_texts + 1, -1, np.int32)
    number[order] = np.arange(len(order), dtype=np.int32)
    return Words(texts.gather(order), number[place])


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
