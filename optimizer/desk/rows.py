"""
Decisions of a night by columns and filters, straight from its Parquet file.

Nothing here depends on the order of the rows in the file, nor on how many files hold
them. Row groups that cannot hold what is asked for are not read; of the others only the
columns that decide, and all columns of the rows that are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import DECISIONS, RECOMMENDATIONS
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.lookup import (
    has_indexes,
    merchant_decisions,
    merchant_place,
    rows_at,
)
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
#: What a list may be asked by: of recommended orders alone a region is published.
ASKED = (*FILTERS, "region_id")


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
        Names of :data:`ASKED`, and the text that they have to hold.
    part
        The page.

    Raises
    ------
    DataError
        When the file is missing or damaged.
    """
    import polars as pl

    with damaged_is_data_error(str(folder / DECISIONS.file)):
        is_asked = [pl.col(name) == only[name] for name in FILTERS if name in only]
        if "region_id" in only:
            rows = _of_region(folder, only["region_id"]).filter(*is_asked)
        elif "merchant_id" in only and has_indexes(folder):
            if len(only) == 1 and part.sort is None:
                return _in_turn(folder, only["merchant_id"], part)
            # They stand together: they are read once for all.
            own = merchant_decisions(folder, only["merchant_id"], SHOWN)
            rows = own.filter(*is_asked).lazy()
        else:
            rows = scan_table(folder, DECISIONS.file).filter(*is_asked)
        if part.sort is not None:
            found, number = _sorted_part(rows, part)
        else:
            found = rows.select(SHOWN).slice(part.offset, part.size).collect()
            counted = rows.select(pl.len()).collect(engine="streaming")
            number = int(counted.item())
        return Rows(found.to_dicts(), number)


def _of_region(folder: Path, region_id: str) -> pl.LazyFrame:
    """Decisions that recommend an order of a region, as they stand."""
    import polars as pl

    chosen = scan_table(folder, RECOMMENDATIONS.file).filter(region_id=region_id)
    rows = scan_table(folder, DECISIONS.file).filter(pl.col("is_premium"))
    return rows.join(
        chosen.select("order_id"), on="order_id", how="semi", maintain_order="left"
    )


def _in_turn(folder: Path, merchant_id: str, part: Part) -> Rows:
    """A merchant's orders as they stand: of the largest, too, the page's rows alone."""
    first, end = merchant_place(folder, merchant_id) or (0, 0)
    begin = min(first + part.offset, end)
    stop = min(begin + part.size, end)
    if begin == stop:
        return Rows([], end - first)
    found = rows_at(folder / DECISIONS.file, begin, stop, SHOWN)
    return Rows(found.to_dicts(), end - first)


def _sorted_part(rows: pl.LazyFrame, part: Part) -> tuple[pl.DataFrame, int]:
    """
    Rows of a page that is sorted, and how many have what it is sorted by.

    First the value that the last row of the page has, from one column, whose values are
    counted meanwhile; then all rows that stand no further down, of which there are few,
    with the columns that are shown.
    """
    import polars as pl

    assert part.sort is not None
    key, number = part.sort, part.offset + part.size
    known = pl.col(key).drop_nulls()
    first = known.top_k(number) if part.is_descending else known.bottom_k(number)
    ends = first.min() if part.is_descending else first.max()
    told = rows.select(ends.alias("last"), known.len().alias("number")).collect()
    last, total = told.row(0)
    if last is None:
        return rows.select(SHOWN).head(0).collect(), 0
    is_above = pl.col(key) >= last if part.is_descending else pl.col(key) <= last
    by = [key] if key == "order_id" else [key, "order_id"]
    directions = [part.is_descending, False][: len(by)]
    reverse = [not direction for direction in directions]
    listed = rows.filter(is_above).select(SHOWN).top_k(number, by=by, reverse=reverse)
    found = listed.collect(engine="streaming").sort(by, descending=directions)
    return found.slice(part.offset, part.size), int(total)
