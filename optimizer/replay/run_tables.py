"""The tables of a published night, read back; the large one a part at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from optimizer.contracts.tables import DECISIONS, PUBLISHED
from optimizer.errors import CertificateError, counted
from optimizer.io.write import read_back, read_row_groups, row_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import polars as pl


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """
    A night as it was published.

    Attributes
    ----------
    folder
        Where it is.
    tables
        All that it has but the decisions, by file name.
    """

    folder: Path
    tables: Mapping[str, pl.DataFrame]

    def decisions(self) -> Iterator[pl.DataFrame]:
        """
        Read the decisions, a row group at a time.

        Raises
        ------
        CertificateError
            When they have other columns than a night's.
        DataError
            When the file is damaged.
        """
        for group in read_row_groups(self.folder / DECISIONS.file):
            yield _as_agreed(DECISIONS.file, group)


def read_published(folder: Path, names: Iterable[str]) -> Published:
    """
    Read a night's tables, and check their columns against the contract.

    Parameters
    ----------
    folder
        Where it is.
    names
        The tables that it says it has.

    Raises
    ------
    CertificateError
        When a table has other columns than a night's.
    DataError
        When a file is damaged.
    """
    tables = {
        name: _as_agreed(name, read_back(folder / name))
        for name in names
        if name != DECISIONS.file
    }
    return Published(folder, tables)


def _as_agreed(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Refuse a table that has other columns than its contract."""
    if dict(frame.schema) != PUBLISHED[name].schema:
        raise CertificateError(f"{name} has other columns than a night's")
    return frame


def differences(
    name: str, published: Iterable[pl.DataFrame], expected: Iterable[pl.DataFrame]
) -> list[str]:
    """
    Compare a published table with the expected one.

    Parameters
    ----------
    name
        Of its file.
    published, expected
        The rows in order, in pieces of any size.

    Returns
    -------
    list of str
        A sentence for each column that differs, or one for the number of rows.
    """
    table = PUBLISHED[name]
    kinds = table.schema
    pairs = zip_longest(row_groups(published, kinds), row_groups(expected, kinds))
    num_published = num_expected = 0
    different: set[str] = set()
    for one, other in pairs:
        num_published += 0 if one is None else len(one)
        num_expected += 0 if other is None else len(other)
        if one is not None and other is not None and len(one) == len(other):
            different |= _different_columns(one, other)
    if num_published != num_expected:
        rows = counted(num_published, "row")
        return [f"{name} has {rows}, expected {num_expected:,}"]
    return [
        f"{name}: column {column} differs from what plan and inputs imply"
        for column in table.column_names
        if column in different
    ]


def _different_columns(one: pl.DataFrame, other: pl.DataFrame) -> set[str]:
    return {
        column
        for column in one.columns
        if not one[column].equals(other[column], null_equal=True)
    }
