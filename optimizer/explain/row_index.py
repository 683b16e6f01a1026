"""Where rows of the decisions are: by the key of an order, and by merchant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.contracts.tables import MERCHANT_INDEX, ORDER_INDEX
from optimizer.io.ahead import made_ahead
from optimizer.io.mapped_arrays import Gathered

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from numpy.typing import NDArray

#: Keys that are sorted at a time, about.
_SORTED_ROWS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class _Keys:
    """``(num_rows,) uint64``: of the orders of some rows."""

    keys: NDArray[np.uint64]


class RowIndex:
    """
    Takes the decisions as they go by, and gives the two indexes of their rows.

    Parameters
    ----------
    room
        Bytes that keys may take in memory; beyond them they go into a file. ``None``:
        as many as they like.
    """

    def __init__(self, room: int | None = None) -> None:
        self._keys: Gathered[_Keys] = Gathered(room)
        self._merchants: list[pl.DataFrame] = []
        self._num_rows = 0

    def add(self, decisions: pl.DataFrame, keys: NDArray[np.uint64]) -> None:
        """
        Take more rows; a merchant's may go on in the next call.

        Parameters
        ----------
        decisions
            In the order of the file.
        keys
            ``(len(decisions),) uint64``: of their orders.
        """
        import polars as pl

        runs = decisions["merchant_id"].rle().struct.unnest()
        num_rows = runs["len"].cast(pl.Int64)
        first_row = num_rows.cum_sum() - num_rows + self._num_rows
        self._merchants.append(
            pl.DataFrame(
                {
                    "merchant_id": runs["value"],
                    "first_row": first_row,
                    "num_rows": num_rows,
                },
                schema=MERCHANT_INDEX.schema,
            )
        )
        self._keys.append(_Keys(keys))
        self._num_rows += len(decisions)

    def merchants(self) -> pl.DataFrame:
        """The first row and the number of rows of each merchant, by ``merchant_id``."""
        import polars as pl

        parts = [pl.DataFrame(schema=MERCHANT_INDEX.schema), *self._merchants]
        by_merchant = pl.concat(parts).group_by("merchant_id", maintain_order=True)
        return by_merchant.agg(pl.first("first_row"), pl.sum("num_rows"))

    def orders(self) -> Iterator[pl.DataFrame]:
        """
        The row of each order, by key, in pieces; asked for once, when all are there.

        Two orders may share a key: then both rows are there, the first one first.
        """
        self._keys.append(_Keys(np.zeros(0, np.uint64)))
        keys = self._keys.joined().keys
        num_parts = max(1, len(keys) // _SORTED_ROWS)
        part = partial(_sorted_part, keys, _rows_by_part(keys, num_parts))
        yield from made_ahead(part, range(num_parts), num_parts)


def _rows_by_part(
    keys: NDArray[np.uint64], num_parts: int
) -> list[list[NDArray[np.unsignedinteger]]]:
    """Rows of the keys in each of so many equal ranges, ascending, in pieces."""
    kind = np.min_scalar_type(len(keys))
    if num_parts == 1:
        return [[np.arange(len(keys), dtype=kind)]]
    width = np.uint64(-(-(1 << 64) // num_parts))
    found: list[list[NDArray[np.unsignedinteger]]] = [[] for _ in range(num_parts)]
    for first in range(0, len(keys), _SORTED_ROWS):
        part = (keys[first : first + _SORTED_ROWS] // width).astype(np.uint16)
        rows = (np.argsort(part, kind="stable") + first).astype(kind)
        ends = np.cumsum(np.bincount(part, minlength=num_parts))[:-1]
        for pieces, piece in zip(found, np.split(rows, ends), strict=True):
            pieces.append(piece)
    return found


def _sorted_part(
    keys: NDArray[np.uint64],
    rows_by_part: list[list[NDArray[np.unsignedinteger]]],
    part: int,
) -> pl.DataFrame:
    """Rows of the keys in one of the ranges, by key and row."""
    import polars as pl

    rows = np.concatenate(rows_by_part[part]).astype(np.int64)
    here = keys[rows]
    order = np.argsort(here)  # in half the time of a stable one
    found = here[order]
    if np.any(found[1:] == found[:-1]):
        order = np.argsort(here, kind="stable")
    return pl.DataFrame(
        {"order_key": here[order], "row": rows[order]}, schema=ORDER_INDEX.schema
    )
