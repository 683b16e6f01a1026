"""Tables to disk: the same table gives the same bytes, and each page its checksum."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from optimizer.data.read import damaged_is_data_error
from optimizer.data.tables import polars_type

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from optimizer.data.tables import Table

#: Rows in a row group: small enough that one order is found without reading all.
ROW_GROUP_ROWS = 131_072


def write_parquet(frame: pl.DataFrame, path: Path, table: Table) -> None:
    """
    Write a table as Parquet, with page checksums, down to the disk.

    Parameters
    ----------
    frame
        Has at least the contract's columns; only they are written, in its order.
    path
        Must not exist.
    table
        The contract.
    """
    import polars as pl
    import pyarrow.parquet

    typed = [pl.col(c.name).cast(polars_type(c.kind)) for c in table.columns]
    arrow = frame.select(typed).to_arrow()
    with path.open("xb") as file:
        pyarrow.parquet.write_table(
            arrow,
            file,
            compression="zstd",
            row_group_size=ROW_GROUP_ROWS,
            write_page_checksum=True,
            store_schema=False,
        )
        file.flush()
        os.fsync(file.fileno())


def read_back(path: Path) -> pl.DataFrame:
    """
    Read a written table again, every page against its checksum.

    Raises
    ------
    DataError
        When what is on the disk is not what was written.
    """
    import polars as pl
    import pyarrow.parquet

    with damaged_is_data_error(str(path)):
        table = pyarrow.parquet.read_table(path, page_checksum_verification=True)
    return pl.DataFrame(pl.from_arrow(table))
