"""
Published tables of every format, converted to the present format.

A night that an older version published lacks later columns, and a column may have had
another name. Readers see the present columns: those that the night does not have are
null, or are derived from the old ones. Verification does not use this: it checks a
night against the format of its own time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.contracts.tables import DECISIONS, PUBLISHED
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.write import read_back

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

#: What a column that came later stands for in nights that lack it, by file.
_MEANT = {"commitments.parquet": {"load": 1}}
#: Names that columns had before, by file: the name of today for each.
_RENAMED = {"in_flight.parquet": {"num_parcels": "num_slots"}}


def read_table(folder: Path, name: str) -> pl.DataFrame:
    """
    Read a whole published table, with the checksum of every page.

    Parameters
    ----------
    folder
        The night.
    name
        The table's file, such as ``lanes.parquet``.

    Returns
    -------
    pl.DataFrame
        With today's columns; empty where the night has no such table.

    Raises
    ------
    DataError
        When the file is damaged.
    """
    import polars as pl

    if (folder / name).is_file():
        return as_of_today(read_back(folder / name), name)
    return pl.DataFrame(schema=PUBLISHED[name].schema)


def scan_table(folder: Path, name: str) -> pl.LazyFrame:
    """
    Open a published table to read a part of it, with today's columns.

    Raises
    ------
    DataError
        When the file is missing or damaged.
    """
    import polars as pl

    path = folder / name
    with damaged_is_data_error(str(path)):
        there = pl.read_parquet_schema(path)
    renamed = _renamed(name, [*there])
    columns = {renamed.get(column, column) for column in there}
    scanned = pl.scan_parquet(path).rename(renamed)
    scanned = scanned.with_columns(_lacking(name, columns))
    return scanned.with_columns(_derived(name, columns))


def as_of_today(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """
    Give rows of a published table the columns of today.

    Examples
    --------
    >>> import polars as pl
    >>> old = pl.DataFrame({"carrier_id": ["yunda"], "num_parcels": [3]})
    >>> as_of_today(old, "in_flight.parquet").select("num_slots", "outlet_id").rows()
    [(3, None)]
    """
    frame = frame.rename(_renamed(name, frame.columns))
    columns = {*frame.columns}
    for added in (_lacking(name, columns), _derived(name, columns)):
        frame = frame.with_columns(added) if added else frame
    return frame


def _derived(name: str, columns: set[str]) -> list[pl.Expr]:
    """What decisions of older formats say under other names, or by what they lack."""
    import polars as pl

    if name != DECISIONS.file:
        return []
    found, is_in = list[pl.Expr](), pl.col("is_premium")
    if "margin_low_cny" not in columns:
        # Margins of format 1 were surpluses at the lowest prices: no more than bounds.
        said = pl.col("margin_cny")
        found += [
            said.alias("surplus_cny"),
            pl.when(is_in).then(said).alias("margin_low_cny"),
            pl.when(~is_in).then(said).alias("margin_high_cny"),
            pl.lit(None, pl.Float64).alias("margin_cny"),
        ]
    if "arm" not in columns:
        # Before anything was left to chance, all chosen orders were the optimum's.
        found += [
            pl.when(is_in).then(pl.lit("policy")).alias("arm"),
            is_in.cast(pl.Float64).alias("propensity"),
        ]
    return found


def _renamed(name: str, columns: list[str]) -> dict[str, str]:
    given = _RENAMED.get(name, {})
    return {old: new for old, new in given.items() if old in columns}


def _lacking(name: str, columns: set[str]) -> list[pl.Expr]:
    import polars as pl

    meant = _MEANT.get(name, {})
    return [
        pl.lit(meant.get(column), kind).alias(column)
        for column, kind in PUBLISHED[name].schema.items()
        if column not in columns
    ]
