"""What a request asks for, bounded: nothing of any length or number is let through."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.desk.problems import PageProblem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: Longest id, as bytes; ids of nights are no longer.
MAX_ID = 256
#: Rows of a page, by default and at most.
NUM_ROWS, MAX_ROWS = 50, 200
#: Rows that can be reached by paging; what lies further is found by a filter.
MAX_REACH = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """
    Which part of a table is asked for.

    Attributes
    ----------
    sort, is_descending
        A column, and the direction; ``None``: as it was published.
    page, size
        From 1, and rows of a page.
    """

    sort: str | None
    is_descending: bool
    page: int
    size: int

    @property
    def offset(self) -> int:
        """Rows before the page."""
        return (self.page - 1) * self.size


def text_of(given: Mapping[str, str], name: str) -> str | None:
    """
    An id or word of the query; ``None`` where it is not given or empty.

    Raises
    ------
    PageProblem
        When it is longer than any id.
    """
    found = given.get(name, "").strip()
    if len(found.encode("utf-8", "surrogatepass")) > MAX_ID:
        raise PageProblem(400, "TOO_LONG", name=name, most=MAX_ID)
    return found or None


def only_known(given: Collection[str], known: Collection[str]) -> None:
    """
    Refuse a query that names what a page does not ask for: it would change nothing.

    Parameters
    ----------
    given, known
        Names of the query and of the page; ``slots#`` stands for any number.

    Raises
    ------
    PageProblem
        With the first unknown name, and those that are known.

    Examples
    --------
    >>> only_known(["id", "slots12"], ["id", "slots#"])
    """
    for name in given:
        if re.sub(r"[0-9]+$", "#", name) not in known and name not in known:
            told = ", ".join(known)
            raise PageProblem(400, "NO_NAME", name=name[:MAX_ID], known=told)


def day_of(text: str) -> dt.date:
    """
    Read the date in an address.

    Raises
    ------
    PageProblem
        When it is none.

    Examples
    --------
    >>> day_of("2026-11-22")
    datetime.date(2026, 11, 22)
    """
    try:
        found = dt.date.fromisoformat(text)
    except ValueError:
        raise PageProblem(404, "NO_DATE", text=text) from None
    if found.isoformat() != text:
        raise PageProblem(404, "NO_DATE", text=text)
    return found


def number_of(given: Mapping[str, str], name: str, low: int, high: int) -> int | None:
    """
    A whole number of the query.

    Parameters
    ----------
    given, name
        The query, and the name in it.
    low, high
        The least and the greatest that may be asked for.

    Raises
    ------
    PageProblem
        When it is none, or out of its range.
    """
    found = text_of(given, name)
    if found is None:
        return None
    if not (found.isascii() and found.isdecimal() and low <= int(found) <= high):
        raise PageProblem(400, "NO_NUMBER", name=name, low=low, high=high)
    return int(found)


def word_of(given: Mapping[str, str], name: str, known: Collection[str]) -> str | None:
    """
    One of some known words of the query.

    Raises
    ------
    PageProblem
        When it is another.
    """
    found = text_of(given, name)
    if found is not None and found not in known:
        raise PageProblem(400, "NO_WORD", name=name, word=found)
    return found


def part_of(given: Mapping[str, str], sortable: Collection[str]) -> Part:
    """
    Which part of a table a query asks for: ``sort=-saving_cny&page=2&rows=50``.

    Raises
    ------
    PageProblem
        When a value is out of its range.

    Examples
    --------
    >>> part_of({"sort": "-cap", "page": "3"}, ["cap"])
    Part(sort='cap', is_descending=True, page=3, size=50)
    """
    either = {sign + name for name in sortable for sign in ("", "-")}
    sort = word_of(given, "sort", either)
    size = number_of(given, "rows", 1, MAX_ROWS) or NUM_ROWS
    page = number_of(given, "page", 1, MAX_REACH) or 1
    if page * size > MAX_REACH + MAX_ROWS:
        raise PageProblem(400, "TOO_FAR", most=f"{MAX_REACH:,}")
    is_descending = sort is not None and sort.startswith("-")
    return Part(sort and sort.removeprefix("-"), is_descending, page, size)
