"""Money as tables have it, and columns of slot values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.margins import NO_END

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.model.margins import Margins


def cny(micro: NDArray[np.int64]) -> NDArray[np.float64]:
    """
    Money for tables; ``np.rint(cny(x) * 1e6)`` gives the integers back exactly.

    Examples
    --------
    >>> cny(np.array([1_840_001])).tolist()
    [1.840001]
    """
    return micro / 1e6


def cny_or_null(micro: NDArray[np.int64]) -> pl.Series:
    """
    Money for tables; null for what has no end.

    Examples
    --------
    >>> cny_or_null(np.array([1_500_000, NO_END, -NO_END])).to_list()
    [1.5, None, None]
    """
    import polars as pl

    is_none = np.abs(micro) == NO_END
    if not is_none.any():
        return pl.Series(cny(micro))
    return pl.Series(cny(np.where(is_none, 0, micro))).set(pl.Series(is_none), None)


def slot_values(**values: NDArray[np.int64] | int) -> dict[str, pl.Series]:
    """
    Columns of slot values, in CNY; a number instead of values gives as many nulls.

    Examples
    --------
    >>> slot_values(one_more=np.array([2_000_000]), one_fewer=1)["one_more_cny"].item()
    2.0
    """
    import polars as pl

    return {
        f"{name}_cny": (
            pl.Series([None] * value, dtype=pl.Float64)
            if isinstance(value, int)
            else cny_or_null(value)
        )
        for name, value in values.items()
    }


def cap_values(margins: Margins | None, num_merchants: int) -> dict[str, pl.Series]:
    """Columns with the value of one more and one fewer place in each cap."""
    if margins is None:
        return slot_values(one_more=num_merchants, one_fewer=num_merchants)
    return slot_values(one_more=margins.cap_more, one_fewer=margins.cap_fewer)


def lane_values(margins: Margins | None, num_lanes: int) -> dict[str, pl.Series]:
    """Columns with the value of one slot more and fewer, alone or with ancestors."""
    names = ("one_more", "one_fewer", "one_more_around", "one_fewer_around")
    if margins is None:
        return slot_values(**dict.fromkeys(names, num_lanes))
    found = (
        *(margins.row_more, margins.row_fewer),
        *(margins.around_more, margins.around_fewer),
    )
    return slot_values(**dict(zip(names, found, strict=True)))
