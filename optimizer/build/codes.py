"""Outside ids become dense integers here, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.io.words import Words, distinct, find_words

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray


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

    def encode(self, ids: pl.Series | Words) -> NDArray[np.int32]:
        """
        Give each id its code, new ones included.

        Parameters
        ----------
        ids
            Text, which may hold nulls; or what was found of it before.

        Returns
        -------
        ``(len(ids),) int32``; -1 for a null.
        """
        words = ids if isinstance(ids, Words) else find_words(ids)
        known = self._codes
        codes = [known.setdefault(i, len(known)) for i in words.texts.to_list()]
        return np.array([*codes, -1], np.int32)[words.place]


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
