"""Ids that a spreadsheet changed on their way: two may have become one, or one two."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from optimizer.contracts.warnings import some, warn
from optimizer.io.glance import names_matching
from optimizer.io.plain_texts import Looked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.contracts.warnings import CodedWarning

#: Digits that a spreadsheet keeps of a number.
_NUM_KEPT = 15
#: A chance of one in so many powers of ten is no chance.
_NUM_DIGITS_LOST = 2
#: Nor are so many times the zeros that would come about by it.
_FAR_BEYOND_CHANCE = 20
#: Order ids that are looked at.
NUM_LOOKED_AT = 2_000
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_DATE = re.compile(
    rf"(?:\d{{1,2}}-{_MONTH}(?:-\d{{2,4}})?|{_MONTH}-\d{{2,4}}|\d{{1,2}}月\d{{1,2}}日"
    r"|\d{4}年\d{1,2}月(?:\d{1,2}日)?|\d{4}[/-]\d{1,2}[/-]\d{1,2}"
    r"|\d{1,2}/\d{1,2}/\d{2,4})(?: \d{1,2}:\d{2}(?::\d{2})?)?",
    re.IGNORECASE,
)
_SHOWN = re.compile(
    r"true|false|#+|[¥￥$€]?-?\d{1,3}(?:[,， \u00a0\u2009\u202f]\d{3})+(?:\.\d+)?"
    r"|\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:['’]\d{3})+"
    r"|[\"“”‘`＇].*|.*[\"“”]",
    re.IGNORECASE,
)


@dataclass(slots=True)
class IdSample:
    """
    Ids of orders, the same ones in whatever order and batches they come.

    Attributes
    ----------
    keys
        ``(k,) uint64``: the least keys so far.
    ids
        Their ids; ``None``: none yet.
    """

    keys: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    ids: pl.Series | None = None

    def note(self, key: NDArray[np.uint64], ids: pl.Series) -> None:
        """Look at a batch of ids with their keys."""
        if len(self.keys) + len(ids) <= NUM_LOOKED_AT:
            self.keys = np.concatenate([self.keys, key])
            self.ids = _below(self.ids, ids)
            return
        few = np.argpartition(key, min(NUM_LOOKED_AT, len(key)) - 1)[:NUM_LOOKED_AT]
        keys = np.concatenate([self.keys, key[few]])
        names = _below(self.ids, ids.gather(few))
        least = np.argsort(keys, kind="stable")[:NUM_LOOKED_AT]
        self.keys, self.ids = keys[least], names.gather(least)


def _below(above: pl.Series | None, below: pl.Series) -> pl.Series:
    """One column below another, which may not be there yet."""
    import polars as pl

    return below if above is None else pl.concat([above, below])


def warn_changed(ids: Mapping[str, Sequence[str] | pl.Series]) -> list[CodedWarning]:
    """
    Warn of ids that look as a spreadsheet leaves them.

    Parameters
    ----------
    ids
        Ids of the night that are looked at, by column.

    Examples
    --------
    >>> [found] = warn_changed({"merchant_id": ["6923456789012340000", "17"]})
    >>> print(found)
    1 of 2 merchant_id values has more than 15 digits and is a rounded number, as \
spreadsheets and floats keep it; two ids may have become one: 6923456789012340000
    >>> [found] = warn_changed({"region_id": ["2-Jan", "1-14"]})
    >>> print(found)
    1 of 2 region_id values is a date, as spreadsheets make of ids such as 1-2; two \
ids may have become one: 2-Jan
    >>> warn_changed({"merchant_id": ["6923456789012340001", "o-17"]})
    []
    """
    import polars as pl

    found = []
    texts = {
        name: given
        if isinstance(given, pl.Series)
        else pl.Series(given, dtype=pl.String)
        for name, given in ids.items()
    }
    whole = "|".join(pattern for pattern, _ in _KINDS.values())
    for column in names_matching(Looked(texts).may_be_changed(), whole):
        names = texts[column]
        for code, (pattern, find) in _KINDS.items():
            hit = sorted(find(names.filter(names.str.contains(pattern)).to_list()))
            if hit:
                numbers = {"num_ids": len(hit), "num_looked": len(names)}
                found.append(warn(code, **numbers, column=column, ids=some(hit)))
    return found


def warn_alike(ids: Mapping[str, Sequence[str]]) -> list[CodedWarning]:
    """
    Warn of numbers that differ only in leading zeros: one may have become two.

    Parameters
    ----------
    ids
        All ids of the night, by column.

    Examples
    --------
    >>> [found] = warn_alike({"merchant_id": ["0017", "17", "18", "m017", "m17"]})
    >>> print(found)
    1 pair of merchant_id values differs only in leading zeros, which spreadsheets cut \
off; one may have become two: 0017 and 17
    """
    found = []
    for column, names in ids.items():
        bare: dict[str, list[str]] = {}
        for name in names:
            if name.isdecimal():
                bare.setdefault(name.lstrip("0"), []).append(name)
        pairs = sorted(sorted(alike)[:2] for alike in bare.values() if len(alike) > 1)
        if pairs:
            said = some([" and ".join(pair) for pair in pairs])
            numbers = {"num_pairs": len(pairs)}
            found.append(warn("IDS_ALIKE", **numbers, column=column, pairs=said))
    return found


def _rounded(long: Sequence[str]) -> Sequence[str]:
    """Long numbers, if all, or too many, are what a spreadsheet or a float holds."""
    for lost in (_lost_in_cells, _lost_in_floats):
        digits = [*takewhile(lambda lost: lost >= 0, map(lost, long))]
        if len(digits) == len(long) and sum(digits) >= _NUM_DIGITS_LOST:
            return long
    few = [name for name in long if _lost_in_cells(name) > _NUM_DIGITS_LOST]
    by_chance = math.fsum(10.0 ** (_NUM_KEPT - len(name)) for name in long)
    return few if len(few) > max(1, _FAR_BEYOND_CHANCE * by_chance) else []


def _lost_in_cells(number: str) -> float:
    """Digits after the 15th that are zeros; -1 where one is none."""
    rest = number[_NUM_KEPT:]
    return -1 if rest.strip("0") else len(rest)


def _lost_in_floats(number: str) -> float:
    """Digits that a float cannot tell apart, of one that it can hold; else -1."""
    value = float(number)
    spellings = {str(int(value)), format(Decimal(repr(value)), "f")}
    lost = math.log10(max(1.0, math.ulp(value)))
    return lost if number in spellings else -1


#: What changed ids look like, and which of those that look so really are.
_KINDS: dict[str, tuple[str, Callable[[Sequence[str]], Sequence[str]]]] = {
    "IDS_ROUNDED": (rf"^\d{{{_NUM_KEPT + 1},}}$", _rounded),
    "IDS_LIKE_DATES": (
        rf"^(?i:{_DATE.pattern})$",
        lambda names: [*filter(_DATE.fullmatch, names)],
    ),
    "IDS_AS_SHOWN": (
        rf"^(?i:{_SHOWN.pattern})$",
        lambda names: [*filter(_SHOWN.fullmatch, names)],
    ),
}
