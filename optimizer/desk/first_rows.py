"""
The first rows of a night in every order that a table of orders has, kept in memory.

Reading a sorted page from the file means to read a column of all orders each time. Few
pages are ever looked at, so one passage over the decisions keeps the first rows of each
cell in each order. A cell is the orders with one decision and one carrier: any choice
of both is a union of cells, and its first rows are among theirs. Rows come from the
file in blocks, so that a night of any size takes as much memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.contracts.tables import DECISIONS
from optimizer.desk.asked import MAX_REACH, MAX_ROWS
from optimizer.desk.rows import SHOWN, SORTABLE, Rows
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.published_tables import scan_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import polars as pl

    from optimizer.desk.asked import Part

#: What a cell has in common.
CELL = ("reason", "carrier_id")
#: Rows that are kept of a cell in each order: as far as paging reaches.
DEPTH = MAX_REACH + MAX_ROWS
#: Cells of a night; one with more, of many carriers, is read from its file.
MAX_CELLS = 64
#: Rows of a block: four row groups.
NUM_BLOCK = 524_288
#: Place of a row in the file, by which a table stands that is not sorted.
_PLACE = "place"
#: Columns that a table stands by, either way; as published, one way only.
_ORDERS = ((_PLACE, False), *((by, down) for by in SORTABLE for down in (False, True)))


@dataclass(frozen=True, slots=True)
class FirstRows:
    """
    First rows of a night in every order.

    Attributes
    ----------
    by_order
        By column and whether it descends: rows of all cells, in that order.
    numbers
        By cell: how many rows it has with a value of each column.
    depth
        Rows that are kept of a cell, at most.
    """

    by_order: Mapping[tuple[str, bool], pl.DataFrame]
    numbers: pl.DataFrame
    depth: int

    def page(self, only: Mapping[str, str], part: Part) -> Rows | None:
        """
        Rows of a page; ``None`` where they are not among those that are kept.

        Parameters
        ----------
        only, part
            As :func:`optimizer.desk.rows.read_rows` has them.
        """
        import polars as pl

        if not {*only} <= {*CELL}:
            return None
        key = part.sort or _PLACE
        is_asked = [pl.col(name) == value for name, value in only.items()]
        cells = self.numbers.filter(*is_asked)[key]
        largest = int(cells.max() or 0)  # type: ignore[arg-type]
        if largest > self.depth < part.offset + part.size:
            return None
        found = self.by_order[key, part.is_descending].filter(*is_asked)
        shown = found.slice(part.offset, part.size).select(SHOWN)
        return Rows(shown.to_dicts(), int(cells.sum()))


def find_first_rows(
    folder: Path,
    depth: int = DEPTH,
    num_block: int = NUM_BLOCK,
    is_given_up: Callable[[], bool] = lambda: False,
) -> FirstRows | None:
    """
    Read the first rows of a night, in one passage over its decisions.

    Parameters
    ----------
    folder
        Of a published night.
    depth
        Rows that are kept of each cell in each order.
    num_block
        Rows that are read at once.
    is_given_up
        Asked before each block; once it says so, nothing more is read.

    Returns
    -------
    FirstRows or None
        ``None``: it has more than :data:`MAX_CELLS` cells, or was given up.

    Raises
    ------
    DataError
        When the file is missing or damaged.
    """
    import polars as pl

    with damaged_is_data_error(str(folder / DECISIONS.file)):
        rows = scan_table(folder, DECISIONS.file).select(SHOWN)
        num_rows = int(rows.select(pl.len()).collect().item())
        best: dict[tuple[str, bool], _Best] = {}
        cells = rows.select(CELL).head(0).collect()
        counted = []
        for begin in range(0, max(1, num_rows), num_block):
            if is_given_up():
                return None
            block = rows.slice(begin, num_block).collect()
            block = block.with_row_index(_PLACE, begin)
            cells = pl.concat([cells, block.select(CELL)]).unique(maintain_order=True)
            if cells.height > MAX_CELLS:
                return None
            known = cells.with_row_index("cell")
            block = block.join(known, on=CELL, how="left", nulls_equal=True)
            counted.append(_numbers(block))
            for order in _ORDERS:
                best[order] = _with_block(best.get(order), block, order, depth, known)
    numbers = pl.concat(counted).group_by("cell").sum()
    numbers = numbers.join(cells.with_row_index("cell"), on="cell")
    return FirstRows(
        {
            order: _in_order(_ordered(found.rows, order, depth).rows, order)
            for order, found in best.items()
        },
        numbers,
        depth,
    )


def _numbers(block: pl.DataFrame) -> pl.DataFrame:
    """Rows of each cell that have a value of each column that orders them."""
    import polars as pl

    columns = (_PLACE, *SORTABLE)
    return block.group_by("cell").agg(pl.col(columns).count().cast(pl.Int64))


@dataclass(frozen=True, slots=True)
class _Best:
    """
    Rows of the blocks so far, of which the first ones of each cell are among.

    Attributes
    ----------
    rows
        Those, and such as came since they were put in order last.
    lasts
        What the last row of each cell had then, of the cells that were full.
    num_ordered
        How many rows there were then.
    """

    rows: pl.DataFrame
    lasts: pl.DataFrame
    num_ordered: int


def _with_block(
    best: _Best | None,
    block: pl.DataFrame,
    order: tuple[str, bool],
    depth: int,
    cells: pl.DataFrame,
) -> _Best:
    """
    The same with a further block.

    A row of the block counts only where its cell is not full yet, or where it stands
    no further down than the cell's last row: most are sorted out by one comparison.
    What is left is put in order when the rows have become twice as many.
    """
    import polars as pl

    key, is_descending = order
    is_wanted = pl.col(key).is_not_null()
    if best is None:
        return _ordered(block.filter(is_wanted), order, depth)
    known = cells.select("cell")
    lasts = known.join(best.lasts, on="cell", how="left", maintain_order="left")[key]
    worst = lasts.gather(block["cell"])
    is_first = pl.col(key) >= worst if is_descending else pl.col(key) <= worst
    block = block.filter(is_wanted & (is_first | worst.is_null()))
    rows = pl.concat([best.rows, block])
    if rows.height < 2 * best.num_ordered:
        return _Best(rows, best.lasts, best.num_ordered)
    return _ordered(rows, order, depth)


def _ordered(rows: pl.DataFrame, order: tuple[str, bool], depth: int) -> _Best:
    """The first rows of each cell, and no others."""
    import polars as pl

    by_cell = _in_order(rows, order).group_by("cell", maintain_order=True)
    first = by_cell.head(depth).select(rows.columns)
    lasts = first.group_by("cell").agg(pl.len(), pl.col(order[0]).last())
    full = lasts.filter(pl.col("len") >= depth).drop("len")
    return _Best(first, full, first.height)


def _in_order(rows: pl.DataFrame, order: tuple[str, bool]) -> pl.DataFrame:
    """Rows in an order; equal ones stand by order id."""
    key, is_descending = order
    by = [key] if key in (_PLACE, "order_id") else [key, "order_id"]
    return rows.sort(by, descending=[is_descending, False][: len(by)])
