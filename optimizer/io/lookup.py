"""Find rows in a published table that is sorted, without reading the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import MERCHANT_RESULTS
from optimizer.errors import DataError
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.parquet_pages import read_footer
from optimizer.io.published_tables import as_of_today

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import polars as pl

    from optimizer.io.parquet_pages import Group


def find_rows(path: Path, column: str, value: str) -> pl.DataFrame:
    """
    Rows of a table that hold a text in its first column, which is ascending.

    Only row groups whose statistics allow the text are read, with the checksum of each
    page: in a published night of any size that is one row group. The statistics are
    read here: asked about a damaged footer, pyarrow ends the process.

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
    import pyarrow.parquet

    with (
        damaged_is_data_error(str(path)),
        pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file,
    ):
        _, groups = read_footer(path)
        table = file.read_row_groups(row_groups_with(groups, value))
        found = pl.DataFrame(pl.from_arrow(table)).filter(pl.col(column) == value)
        return as_of_today(found, path.name)


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
