"""
Find rows in published tables without reading the rest.

A night has two indexes: of merchants, whose rows of the decisions stand together, and
of orders, by key. A key leads to one row group of the decisions. Nights of formats 1
and 2 have none: their decisions stand by ``order_id``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.contracts.tables import (
    DECISIONS,
    MERCHANT_INDEX,
    MERCHANT_RESULTS,
    ORDER_INDEX,
)
from optimizer.errors import DataError
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.order_keys import order_key
from optimizer.io.parquet_pages import check_pages, identity_of, known_footer
from optimizer.io.published_tables import as_of_today, read_table, scan_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

    from optimizer.io.parquet_pages import Group

#: Files of so many bytes are kept in memory: of some hundred thousand merchants. And so
#: many files: those of a month of nights, with indexes; of 5,000 merchants 20 MB.
_SMALL_BYTES, _NUM_KEPT = 2 << 20, 64
#: Row groups whose pages are known to be right: of some hundred million orders.
_NUM_CHECKED = 4_096


def find_rows(path: Path, column: str, value: str) -> pl.DataFrame:
    """
    Rows of a table that hold a text in its first column, which is ascending.

    Only row groups whose statistics allow the text are read, with the checksum of each
    page: in a published night of any size that is one row group. The statistics are
    read here: asked about a damaged footer, pyarrow ends the process. A small table of
    one row group is kept in memory as long as its file is the same.

    Parameters
    ----------
    path
        Parquet, written by this program.
    column, value
        The first column, and the text to find there.

    Returns
    -------
    pl.DataFrame
        The rows, with the columns of today.

    Raises
    ------
    DataError
        When the file is missing or damaged.
    """
    import polars as pl

    with damaged_is_data_error(str(path)):
        _, groups = known_footer(path)
        if len(groups) == 1 and path.stat().st_size <= _SMALL_BYTES:
            found = _kept_table(path, identity_of(path))
        else:
            found = read_groups(path, groups, row_groups_with(groups, value))
        return as_of_today(found.filter(pl.col(column) == value), path.name)


@lru_cache(maxsize=_NUM_KEPT)
def _kept_table(path: Path, _identity: tuple[int, ...]) -> pl.DataFrame:
    """A table of one row group, after the checksum of each of its pages."""
    _, groups = known_footer(path)
    return read_groups(path, groups, [0])


def has_indexes(run_dir: Path) -> bool:
    """Whether a night's decisions stand by merchant, with indexes of their rows."""
    return (run_dir / ORDER_INDEX.file).is_file()


def order_row(run_dir: Path, order_id: str) -> pl.DataFrame:
    """
    The decision of an order, with the columns of today; no row where it has none.

    Raises
    ------
    DataError
        When a file is missing or damaged.
    """
    path = run_dir / DECISIONS.file
    if not has_indexes(run_dir):
        return find_rows(path, "order_id", order_id)
    import polars as pl

    found = [rows_at(path, row, row + 1) for row in _rows_of(run_dir, order_id)]
    whole = pl.concat([pl.DataFrame(schema=DECISIONS.schema), *found])
    return whole.filter(pl.col("order_id") == order_id)


def merchant_place(run_dir: Path, merchant_id: str) -> tuple[int, int] | None:
    """
    Where a merchant's decisions are: the first row, from 0, and one behind the last.

    ``None`` where it has none; only for nights with indexes.

    Raises
    ------
    DataError
        When the index is damaged.
    """
    found = find_rows(run_dir / MERCHANT_INDEX.file, "merchant_id", merchant_id)
    if found.height == 0:
        return None
    _, first, size = found.row(0)
    return first, first + size


def merchant_number(run_dir: Path, merchant_id: str) -> int | None:
    """
    Number of a merchant among those that have decisions, from 0.

    ``None`` where it has none; only for nights with indexes.

    Raises
    ------
    DataError
        When the index is damaged.
    """
    known = read_table(run_dir, MERCHANT_INDEX.file)["merchant_id"]
    return known.index_of(merchant_id)


def merchant_decisions(
    run_dir: Path, merchant_id: str, columns: Sequence[str] = DECISIONS.column_names
) -> pl.DataFrame:
    """
    All decisions of a merchant, or some columns of them, as they are named today.

    Raises
    ------
    DataError
        When a file is missing or damaged.
    """
    import polars as pl

    path = run_dir / DECISIONS.file
    if not has_indexes(run_dir):
        mine = scan_table(run_dir, DECISIONS.file)
        with damaged_is_data_error(str(path)):
            mine = mine.filter(pl.col("merchant_id") == merchant_id).select(columns)
            return mine.collect()
    place = merchant_place(run_dir, merchant_id)
    if place is None:
        return pl.DataFrame(schema=DECISIONS.schema).select(columns)
    return rows_at(path, *place, columns)


def rows_at(
    path: Path, first: int, last: int, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """
    The rows ``first:last`` of a table, from the row groups that hold them.

    Parameters
    ----------
    path
        A published table.
    first, last
        The first row, from 0, and one behind the last.
    columns
        Those that are wanted, by their names of today; ``None``: all.

    Raises
    ------
    DataError
        When the file is missing or damaged, or shorter.
    """
    with damaged_is_data_error(str(path)):
        _, groups = known_footer(path)
        ends = list(accumulate(group.num_rows for group in groups))
        if last > (ends or [0])[-1]:
            raise DataError(
                f"{path}: has fewer rows than its index says; it was changed after it "
                "was published: optimizer verify says more"
            )
        wanted = [
            number
            for number, (group, end) in enumerate(zip(groups, ends, strict=True))
            if end > first and end - group.num_rows < last
        ]
        found = read_groups(path, groups, wanted, first, last, columns)
        if columns is not None and {*columns} <= {*found.columns}:
            return found.select(columns)
        whole = as_of_today(found, path.name)
        return whole if columns is None else whole.select(columns)


def read_groups(
    path: Path,
    groups: Sequence[Group],
    wanted: Sequence[int],
    first: int = 0,
    last: int | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """
    Rows of some row groups, after the checksum of each of their pages.

    Parameters
    ----------
    path, groups
        A Parquet file, and what its footer says.
    wanted
        Numbers of row groups, ascending.
    first, last
        Rows of the file that are wanted of these; ``None``: to the end.
    columns
        Those that are wanted, such as the file has; ``None``: all.

    Raises
    ------
    ValueError
        When a page is not as it was written.
    """
    import polars as pl

    ends = list(accumulate(group.num_rows for group in groups))
    identity = identity_of(path)
    scanned, parts = _opened(path, identity), []
    if columns is not None and groups:
        there = [chunk.name for chunk in groups[0].chunks]
        scanned = scanned.select([name for name in there if name in columns])
    for number in wanted:
        _check_once(path, identity, number)
        begin = max(first, ends[number] - groups[number].num_rows)
        end = ends[number] if last is None else min(last, ends[number])
        parts.append(scanned.slice(begin, end - begin))
    if not parts:
        return scanned.head(0).collect()
    return parts[0].collect() if len(parts) == 1 else pl.concat(pl.collect_all(parts))


@lru_cache(maxsize=_NUM_KEPT)
def _opened(path: Path, _identity: tuple[int, ...]) -> pl.LazyFrame:
    """A file to read parts of, which has its footer from then on."""
    import polars as pl

    return pl.scan_parquet(path, glob=False)


@lru_cache(maxsize=_NUM_CHECKED)
def _check_once(path: Path, _identity: tuple[int, ...], number: int) -> None:
    """Check the pages of a row group, unless the same file's were found to be right."""
    _, groups = known_footer(path)
    with path.open("rb") as file:
        check_pages(file, groups[number])


def check_ahead(run_dir: Path) -> None:
    """
    Check all pages that rows of orders are read from, for who will ask for many.

    Raises
    ------
    DataError
        When a file is missing or damaged.
    """
    if not has_indexes(run_dir):
        return
    for name in (ORDER_INDEX.file, DECISIONS.file):
        path = run_dir / name
        with damaged_is_data_error(str(path)):
            identity = identity_of(path)
            for number in range(len(known_footer(path)[1])):
                _check_once(path, identity, number)


def _rows_of(run_dir: Path, order_id: str) -> list[int]:
    """Rows of the decisions that may be an order's: two may share a key."""
    path, key = run_dir / ORDER_INDEX.file, order_key(order_id)
    rows: list[int] = []
    with damaged_is_data_error(str(path)):
        _, groups = known_footer(path)
        end = 0
        for number, group in enumerate(groups):
            begin, end = end, end + group.num_rows
            known = group.chunks[0].limits
            if known is None:
                rows += _with_key(read_groups(path, groups, [number]), key)[0]
                continue
            least, greatest = (int.from_bytes(limit, "little") for limit in known)
            if least <= key <= greatest:
                # Keys are spread evenly, so a few rows around the place will do.
                share = (key - least) / max(greatest - least, 1)
                around = 64 + 4 * math.isqrt(group.num_rows)
                middle = begin + int(share * (group.num_rows - 1))
                first, last = max(begin, middle - around), min(end, middle + around)
                few = read_groups(path, groups, [number], first, last)
                found, (is_first, is_last) = _with_key(few, key)
                if (is_first and first > begin) or (is_last and last < end):
                    found, _ = _with_key(read_groups(path, groups, [number]), key)
                rows += found
    return rows


def _with_key(index: pl.DataFrame, key: int) -> tuple[list[int], tuple[bool, bool]]:
    """Rows that the index has for a key; whether such may stand before, and behind."""
    keys = index["order_key"].to_numpy()
    first, last = (
        int(np.searchsorted(keys, np.uint64(key), side)) for side in ("left", "right")
    )
    return list(index["row"][first:last]), (first == 0, last == len(keys))


def merchant_row(run_dir: Path, merchant_id: str) -> dict[str, Any]:
    """
    The row of a merchant who has decisions.

    Raises
    ------
    DataError
        When the file is damaged, or has no such row.
    """
    path = run_dir / MERCHANT_RESULTS.file
    found = find_rows(path, "merchant_id", merchant_id)
    if found.height == 0:
        raise DataError(
            f"{path}: has no row of a merchant who has decisions; it was changed after "
            "it was published: optimizer verify says more"
        )
    return found.row(0, named=True)


def row_groups_with(groups: Sequence[Group], value: str) -> list[int]:
    """Row groups whose statistics of the first column allow a text."""
    # Statistics of long texts may be cut short; comparing them as bytes is safe.
    limits = [group.chunks[0].limits for group in groups]
    return [
        number
        for number, known in enumerate(limits)
        if known is None or known[0] <= value.encode() <= known[1]
    ]
