"""Outside ids become dense integers here, batch by batch."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from optimizer.io.contiguous import contiguous
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
        self._table = _table(0)
        self._hashes = np.empty(0, np.int64)
        self._text = np.empty(0, np.uint8)
        self._ends = np.zeros(1, np.int64)
        self._num_known = 0
        self._ids: list[str] = []

    def __len__(self) -> int:
        return self._num_known

    @property
    def ids(self) -> list[str]:
        """All ids, by code."""
        first = len(self._ids)
        if first < self._num_known:
            ends = self._ends[first : self._num_known + 1].tolist()
            text = self._text[ends[0] : ends[-1]].tobytes()
            cuts = pairwise(end - ends[0] for end in ends)
            if text.isascii():
                whole = text.decode()
                self._ids += [whole[begin:end] for begin, end in cuts]
            else:
                self._ids += [text[begin:end].decode() for begin, end in cuts]
        return self._ids

    def copy(self) -> IdCodes:
        """The same codes, to which others may be added."""
        copy = IdCodes()
        copy._table, copy._hashes = self._table.copy(), self._hashes.copy()
        copy._text, copy._ends = self._text.copy(), self._ends.copy()
        copy._num_known, copy._ids = self._num_known, [*self.ids]
        return copy

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
        from optimizer.build.codes_kernel import code_texts

        words = ids if isinstance(ids, Words) else find_words(ids)
        text, ends = contiguous(words.texts)
        self._make_room(len(words.texts), int(ends[-1] - ends[0]))
        codes = np.full(len(words.texts) + 1, -1, np.int32)
        self._num_known = code_texts(
            text=text,
            ends=ends,
            bits=self._hashes,
            known_text=self._text,
            known_ends=self._ends,
            num_known=self._num_known,
            table=self._table,
            codes=codes[:-1],
        )
        return codes[words.place]

    def _make_room(self, num_new: int, num_bytes: int) -> None:
        """Make room for so many new ids of so many bytes."""
        known = self._num_known
        num_bytes += int(self._ends[known])
        if num_bytes > len(self._text):
            self._text = _longer(self._text, num_bytes)
        if known + num_new > len(self._hashes):
            self._hashes = _longer(self._hashes, known + num_new)
            self._ends = _longer(self._ends, len(self._hashes) + 1)
            self._table = _table(len(self._hashes), self._hashes[:known])


class NumberCodes:
    """
    Dense codes for numbers, in order of first appearance.

    Examples
    --------
    >>> codes = NumberCodes()
    >>> codes.encode(np.array([7, 3, 7])).tolist(), codes.numbers.tolist()
    ([0, 1, 0], [7, 3])
    """

    def __init__(self) -> None:
        self._table = _table(0)
        self._known = np.empty(0, np.int64)
        self._num_known = 0

    @property
    def numbers(self) -> NDArray[np.int64]:
        """All numbers, by code."""
        return self._known[: self._num_known]

    def encode(self, numbers: NDArray[np.int64]) -> NDArray[np.int32]:
        """Give each number its code, new ones included, ``(len(numbers),) int32``."""
        from optimizer.build.codes_kernel import code_numbers

        codes = np.empty(len(numbers), np.int32)
        for first in range(0, len(numbers), _FEW_NUMBERS):
            # room for the new ones among a few: most numbers are known
            some = slice(first, first + _FEW_NUMBERS)
            needed = self._num_known + len(codes[some])
            if needed > len(self._known):
                self._known = _longer(self._known, needed)
                self._table = _table(len(self._known), self.numbers)
            self._num_known = code_numbers(
                numbers=numbers[some],
                known=self._known,
                num_known=self._num_known,
                table=self._table,
                codes=codes[some],
            )
        return codes


#: Numbers that are coded at a time.
_FEW_NUMBERS = 16_384

_Kind = TypeVar("_Kind", np.uint8, np.int64)


def _longer(array: NDArray[_Kind], size: int) -> NDArray[_Kind]:
    """An array with room for twice as much."""
    longer = np.empty(2 * size, array.dtype)
    longer[: len(array)] = array
    return longer


def _table(room: int, known: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
    """A table with room for so many codes, with those of what is known."""
    table = np.full(1 << (2 * room + 1).bit_length(), -1, np.int32)
    if known is not None and len(known):
        from optimizer.build.codes_kernel import place_codes

        place_codes(known, len(known), table)
    return table


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
