"""
The inputs of a far night as files of the driver, for a night that it decides alone.

Files that it sees are read where they are. Of others the bytes come, and of a
lakehouse's tables the rows, into a private folder that goes when the run ends.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from optimizer.build.eligibility import orders_table
from optimizer.config import policy_on
from optimizer.errors import DataError
from optimizer.io.asked_columns import contracts
from optimizer.io.cells import cell_rules
from optimizer.io.read import open_source, sha256_of_input
from optimizer.io.snapshot import changed_input
from optimizer.night.publish import disk_errors
from optimizer.spark.api import columns_of
from optimizer.spark.brought import rows_here
from optimizer.spark.driver_memory import refuse_beyond_memory
from optimizer.spark.files import FileTable, brought_files

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping

    from pyspark.sql import DataFrame

    from optimizer.config import Config


@contextmanager
def brought_inputs(
    config: Config, day: dt.date, tables: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """
    Bring the large tables of a night to this machine.

    Parameters
    ----------
    config, day
        The night.
    tables
        From :func:`~optimizer.spark.far_tables.open_tables`.

    Yields
    ------
    dict
        All tables, as one machine reads them.

    Raises
    ------
    MachineError
        When this machine has not the memory that so many orders take.
    PublishError
        When its disk does not take them.
    BusyError
        When a file changed since it was looked at.
    DataError
        What is said of a copy while it is there, with the address for its path.
    """
    refuse_beyond_memory(sum(map(_count, tables.values())))
    agreed = contracts(config, orders_table(policy_on(config, day).eligibility))
    found: dict[str, Any] = dict(tables)
    addresses: dict[str, str] = {}
    with TemporaryDirectory() as folder:
        for name, table in tables.items():
            own = Path(folder) / name
            own.mkdir()
            with disk_errors(own, f"the {name} table"):
                if isinstance(table, FileTable):
                    copies = _copies(table, own)
                    found[name] = [*copies]
                    addresses |= copies
                elif hasattr(table, "mapInArrow"):
                    rules = cell_rules(config)
                    source = open_source(columns_of(table), agreed[name], rules=rules)
                    found[name] = [_rows(table.select(*source.columns), own)]
        try:
            yield found
        except DataError as error:
            text = str(error)
            for copy, address in addresses.items():
                text = text.replace(copy, address)
            if text == str(error):
                raise
            raise DataError(text) from None


def _count(table: Any) -> int:
    """Rows of a large table; of small ones none."""
    if isinstance(table, FileTable):
        return table.num_rows
    return int(table.count()) if hasattr(table, "mapInArrow") else 0


def _copies(table: FileTable, folder: Path) -> dict[str, str]:
    """The files of a table here, by path, with the address of each."""
    if table.is_near:
        return {head.record.path: head.record.path for head in table.heads}
    # Each is the file that was looked at, and each of those is there.
    sums = {head.record.path: head.record.sha256 for head in table.heads}
    here = {}
    for address, copy in brought_files(table, folder):
        if sums.pop(address, None) != sha256_of_input(copy):
            raise changed_input(address)
        here[address] = str(copy)
    if sums:
        raise changed_input(min(sums))
    # In the order in which their rows are numbered.
    return {here[head.record.path]: head.record.path for head in table.heads}


def _rows(table: DataFrame, folder: Path) -> str:
    """A file with the rows of a lakehouse's table, in the order that Spark gives."""
    import pyarrow.parquet as pq

    path = folder / "rows.parquet"
    schema = columns_of(table).schema  # type: ignore[union-attr]
    with pq.ParquetWriter(path, schema) as file:
        for rows in rows_here(table):
            file.write_table(rows.cast(schema))
    return str(path)
