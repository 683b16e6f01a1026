"""Outside ids become dense integers here, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

_Number = TypeVar("_Number", np.int32, np.int64)


class IdCodes:
    """
    Dense codes for ids, in order of first appearance; the same id keeps its code.

    Codes depend on the order of rows, so nothing that is published or decided
    may depend on them: the build ranks by the ids themselves.

    Examples
    --------
    >>> import polars as pl
    >>> codes = IdCodes()
    >>> codes.encode(pl.Series(["b", "a", None, "b"])).tolist()
    [0, 1, -1, 0]
    >>> codes.ids
    ['b', 'a']
    """

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._ids: list[str] = []

    def __len__(self) -> int:
        return len(self._codes)

    @property
    def ids(self) -> list[str]:
        """All ids, by code."""
        if len(self._ids) < len(self._codes):
            self._ids = list(self._codes)
        return self._ids

    def encode(self, ids: pl.Series) -> NDArray[np.int32]:
        """
        Give each id its code, new ones included.

        Parameters
        ----------
        ids
            Text; may hold nulls.

        Returns
        -------
        ``(len(ids),) int32``; -1 for a null.
        """
        encoded = ids.to_arrow().dictionary_encode()
        known = self._codes
        codes = [
            known.setdefault(i, len(known)) for i in encoded.dictionary.to_pylist()
        ]
        place = _places(encoded)
        if encoded.null_count == 0:
            return np.array(codes, np.int32)[place]
        is_null = ids.is_null().to_numpy()
        return np.array([*codes, -1], np.int32)[np.where(is_null, len(codes), place)]


class GroupCodes:
    """
    Dense codes for combinations of values in some columns.

    Examples
    --------
    >>> import polars as pl
    >>> groups = GroupCodes(("vehicle", "tier"))
    >>> columns = {"vehicle": ["van", "bike", "van"], "tier": ["a", "a", None]}
    >>> frame = pl.DataFrame(columns)
    >>> groups.encode(frame).tolist(), groups.values()
    ([0, 1, 2], [('van', 'a'), ('bike', 'a'), ('van', None)])
    """

    def __init__(self, columns: tuple[str, ...]) -> None:
        self.columns = columns
        self._codes = [IdCodes() for _ in columns]
        self._groups: dict[tuple[int, ...], int] = {}

    def encode(self, frame: pl.DataFrame) -> NDArray[np.int32]:
        """Give each row of a batch the code of its values, ``(len(frame),) int32``."""
        pairs = zip(self.columns, self._codes, strict=True)
        codes = [ids.encode(frame[name]) for name, ids in pairs]
        place: NDArray[np.integer] = codes[0]
        for other in codes[1:]:
            place = distinct((place.astype(np.int64) << 32) | (other + 1))[1]
        _, first, place = np.unique(place, return_index=True, return_inverse=True)
        known = self._groups
        group = [
            known.setdefault(tuple(int(code[at]) for code in codes), len(known))
            for at in np.sort(first).tolist()
        ]
        turn = np.argsort(np.argsort(first))
        return np.array(group, np.int32)[turn[place]]

    def values(self) -> list[tuple[str | None, ...]]:
        """Values by code; ``None`` for a null."""
        ids = [[*codes.ids, None] for codes in self._codes]
        return [
            tuple(names[code] for names, code in zip(ids, group, strict=True))
            for group in self._groups
        ]


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
    found = _numbers(encoded.dictionary, np.int64)
    return found, _places(encoded)


def _places(encoded: pa.DictionaryArray) -> NDArray[np.int32]:
    """Each value's place in the dictionary; of a null, anything."""
    return _numbers(encoded.indices, np.int32)


def _numbers(array: pa.Array, kind: type[_Number]) -> NDArray[_Number]:
    """Numbers of an array, as they lie there: pyarrow's own way imports pandas."""
    _, values = array.buffers()
    if values is None:
        return np.zeros(0, kind)
    return np.frombuffer(values, kind)[array.offset : array.offset + len(array)]
