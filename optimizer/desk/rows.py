"""
Decisions of a night by columns and filters, straight from its Parquet file.

Nothing here depends on the order of the rows in the file, nor on how many files hold
them. Row groups that cannot hold what is asked for are not read; of the others only the
columns that decide, and all columns of the rows that are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import DECISIONS
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.lookup import has_indexes, merchant_place
from optimizer.io.published_tables import scan_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from optimizer.desk.asked import Part

#: Columns that lists show.
SHOWN = (
    *("order_id", "merchant_id", "reason", "carrier_id", "saving_cny", "margin_cny"),
)
#: Columns that a list may be sorted by, and those that it may be narrowed by.
SORTABLE = ("saving_cny", "margin_cny", "order_id")
FILTERS = ("reason", "merchant_id", "carrier_id")


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a page, and how many there are in all."""

    rows: list[dict[str, Any]]
    num_rows: int


def read_rows(folder: Path, only: Mapping[str, str], part: Part) -> Rows:
    """
    Read a page of the decisions of a night.

    Sorted by an amount, rows without it are left out. Rows with equal amounts stand by
    order id.

    Parameters
    ----------
    folder
        Of a published night.
    only
        Columns of :data:`FILTERS`, and the text that they have to hold.
    part
        The page.

    Raises
    ------
    DataError
        When the file is missing or damaged.
    """
    import polars as pl

    with damaged_is_data_error(str(folder / DECISIONS.file)):
        rows = _of_merchant(folder, only.get("merchant_id"))
        for column, value in only.items():
            rows = rows.filter(pl.col(column) == value)
        if part.sort is not None:
            rows = rows.filter(pl.col(part.sort).is_not_null())
        number = int(rows.select(pl.len()).collect(engine="streaming").item())
        if part.sort is None:
            found = rows.select(SHOWN).slice(part.offset, part.size).collect()
        else:
            found = _sorted_part(rows, part)
        return Rows(found.to_dicts(), number)


def _of_merchant(folder: Path, merchant_id: str | None) -> pl.LazyFrame:
    """All decisions, or the part where a merchant's stand, where an index has it."""
    rows = scan_table(folder, DECISIONS.file)
    if merchant_id is None or not has_indexes(folder):
        return rows
    first, end = merchant_place(folder, merchant_id) or (0, 0)
    return rows.slice(first, end - first)


def _sorted_part(rows: pl.LazyFrame, part: Part) -> pl.DataFrame:
    """
    Rows of a page that is sorted.

    First the value that the last row of the page has, from one column; then all rows
    that stand no further down, of which there are few, with the columns that are shown.
    """
    import polars as pl

    assert part.sort is not None
    key, number = part.sort, part.offset + part.size
    keys = rows.select(key).top_k(number, by=key, reverse=not part.is_descending)
    ends = keys.collect(engine="streaming")
    if ends.is_empty():
        return rows.select(SHOWN).head(0).collect()
    last = ends[key].min() if part.is_descending else ends[key].max()
    is_above = pl.col(key) >= last if part.is_descending else pl.col(key) <= last
    by = [key] if key == "order_id" else [key, "order_id"]
    directions = [part.is_descending, False][: len(by)]
    reverse = [not direction for direction in directions]
    listed = rows.filter(is_above).select(SHOWN).top_k(number, by=by, reverse=reverse)
    found = listed.collect(engine="streaming").sort(by, descending=directions)
    return found.slice(part.offset, part.size)
