"""A table that is sorted and paged: which rows of it a page shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from optimizer.desk.asked import Part

from optimizer.desk.asked import MAX_REACH


@dataclass(frozen=True, slots=True)
class Listing:
    """
    A page of a table.

    Attributes
    ----------
    rows
        Those that it shows.
    num_rows
        How many there are.
    part
        Which part that is.
    sortable
        Columns that the table may be sorted by.
    only
        What it is narrowed by.
    """

    rows: Sequence[Any]
    num_rows: int
    part: Part
    sortable: Collection[str]
    only: dict[str, str]

    @property
    def first(self) -> int:
        """Place of the first row that is shown, from 1."""
        return self.part.offset + 1

    @property
    def last(self) -> int:
        """Place of the last row that is shown."""
        return self.part.offset + len(self.rows)

    @property
    def has_more(self) -> bool:
        """Whether another page follows that can be reached."""
        return self.last < min(self.num_rows, MAX_REACH)

    @property
    def is_cut(self) -> bool:
        """Whether rows are left that paging does not reach."""
        return self.num_rows > MAX_REACH

    def sort_by(self, column: str, *, is_descending: bool) -> str:
        """What a column's head asks for: the other direction, where it is sorted by."""
        if self.part.sort == column:
            is_descending = not self.part.is_descending
        return f"-{column}" if is_descending else column

    def direction(self, column: str) -> str | None:
        """How the table is sorted by a column, in the words of ARIA."""
        if self.part.sort != column:
            return None
        return "descending" if self.part.is_descending else "ascending"


def listing(
    rows: Sequence[Any], part: Part, sortable: Collection[str], default: str
) -> Listing:
    """
    Page through rows that are in memory.

    Parameters
    ----------
    rows
        All of them: objects with the columns as fields.
    part
        The page that is asked for.
    sortable
        Columns that they may be sorted by.
    default
        The one that sorts them, greatest first, where none is asked for.
    """
    key = part.sort or default
    is_descending = part.is_descending or part.sort is None
    # Twice stable: rows that are equal stand as they do by default.
    ordered = sorted(rows, key=lambda row: getattr(row, default), reverse=True)
    ordered.sort(key=lambda row: getattr(row, key), reverse=is_descending)
    shown = ordered[part.offset : part.offset + part.size]
    return Listing(shown, len(rows), part, sortable, {})
