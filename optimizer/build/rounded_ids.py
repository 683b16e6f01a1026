"""Ids that a spreadsheet rounded: it keeps 15 digits, and two may have become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.contracts.warnings import some, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optimizer.contracts.warnings import CodedWarning

#: Digits that a spreadsheet keeps of a number.
_NUM_KEPT = 15
#: Zeros at the ends of long ids, in all, that do not come about by chance.
_NUM_ZEROS = 3


def warn_rounded(ids: Mapping[str, Iterable[str]]) -> list[CodedWarning]:
    """
    Warn of columns whose long ids all end in zeros.

    Parameters
    ----------
    ids
        Ids of the night, by column.

    Examples
    --------
    >>> [found] = warn_rounded({"merchant_id": ["6923456789012340000", "17"]})
    >>> print(found)
    1 id of merchant_id of more than 15 digits ends in zeros after the 15th, as \
spreadsheets round numbers; two ids may have become one: 6923456789012340000
    >>> warn_rounded({"merchant_id": ["6923456789012340000", "6923456789012345678"]})
    []
    """
    found = []
    for column, names in ids.items():
        long = [name for name in names if len(name) > _NUM_KEPT and name.isdecimal()]
        num_zeros = sum(len(name) - _NUM_KEPT for name in long)
        if num_zeros >= _NUM_ZEROS and all(
            name[_NUM_KEPT:].strip("0") == "" for name in long
        ):
            shown = some(sorted(long))
            found.append(
                warn("IDS_ROUNDED", num_ids=len(long), column=column, ids=shown)
            )
    return found
