"""Tables of a far night: how they are read, of which files, and who the night is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from optimizer.build.eligibility import orders_table
from optimizer.build.learned_probabilities import model_identity
from optimizer.config import config_hash, policy_on
from optimizer.errors import ConfigError
from optimizer.io.asked_columns import contracts
from optimizer.io.cells import cell_rules
from optimizer.io.mapping import as_written
from optimizer.io.read import fingerprint, open_source
from optimizer.spark.engine_keys import BY_VIEW
from optimizer.spark.files import FileTable, copied_table, open_files
from optimizer.spark.write import read_table

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping
    from contextlib import ExitStack

    from pyspark.sql import DataFrame, SparkSession

    from optimizer.config import Config
    from optimizer.io.read import FileRecord
    from optimizer.night.inputs import InputPaths


def open_tables(
    session: SparkSession,
    config: Config,
    day: dt.date,
    inputs: InputPaths,
    held: ExitStack,
) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Open large tables for executors, and small ones for the driver.

    Parameters
    ----------
    session
        Of the cluster.
    config, day, inputs
        The night, and where its tables are.
    held
        Keeps copies of small tables until it is closed.

    Returns
    -------
    tables, addresses
        By name; and by the path of each copy the address that it is of.

    Raises
    ------
    ConfigError
        When a table is not there, or is a lakehouse's and mapped.
    """
    agreed = contracts(config, orders_table(policy_on(config, day).eligibility))
    opened: dict[str, Any] = {}
    addresses: dict[str, str] = {}
    for name in (name for name in agreed if name in inputs.paths):
        path = inputs.paths[name]
        if config.spark.table_format != "parquet" and not is_file(path):
            table = read_table(session, path, config.spark.table_format)
            is_large = name in ("orders", "options")
            if is_large and name in config.mappings:
                raise ConfigError(
                    f"inputs.{name}: executors read a {config.spark.table_format} "
                    f"table under the contract's names alone; {BY_VIEW}"
                )
            opened[name] = table if is_large else table.toArrow()
        elif name in ("orders", "options"):
            written = as_written(agreed[name], config.mappings.get(name))
            opened[name] = open_files(session, path, written)
        elif "://" in path:
            copies = held.enter_context(copied_table(session, path))
            opened[name] = [*copies]
            addresses |= copies
        else:
            opened[name] = path
    return opened, addresses


def is_file(path: str) -> bool:
    """
    Tell whether a path names a file of a kind that is read on one machine, too.

    Examples
    --------
    >>> is_file("s3a://shop/capacity.CSV.gz"), is_file("s3a://shop/capacity")
    (True, False)
    """
    return path.lower().endswith((".csv", ".csv.gz", ".csv.zst", ".parquet", ".xlsx"))


def files_of(
    config: Config, tables: Mapping[str, Any], addresses: Mapping[str, str]
) -> dict[str, tuple[FileRecord, ...]]:
    """
    Files of each table as they were read; none of tables of the cluster.

    Parameters
    ----------
    config
        The night.
    tables, addresses
        From :func:`open_tables`.
    """
    known, rules = contracts(config), cell_rules(config)
    files: dict[str, tuple[FileRecord, ...]] = dict.fromkeys(tables, ())
    for name, table in tables.items():
        if isinstance(table, FileTable):
            files[name] = tuple(head.record for head in table.heads)
        elif isinstance(table, str | list):
            read = fingerprint(open_source(table, known[name], rules=rules))
            files[name] = at_addresses(read, addresses)
    return files


def at_addresses(
    files: tuple[FileRecord, ...], addresses: Mapping[str, str]
) -> tuple[FileRecord, ...]:
    """
    Name copies by the addresses that they are of.

    Parameters
    ----------
    files
        As they were read.
    addresses
        From :func:`open_tables`.
    """
    return tuple(replace(f, path=addresses.get(f.path, f.path)) for f in files)


def identity_of(
    config: Config,
    day: dt.date,
    tables: Mapping[str, Any],
    files: Mapping[str, tuple[FileRecord, ...]],
    history: str | None,
) -> dict[str, Any]:
    """
    Give the identity of a run: rules, files or rows of the inputs, program, date.

    Parameters
    ----------
    config, day
        The night.
    tables, files
        From :func:`open_tables` and :func:`files_of`.
    history
        Of nights before that this one counts on; ``None``: it counts on none.
    """
    kept = {} if history is None else {"history": history}
    return kept | {
        "date": day.isoformat(),
        "version": version("premium-delivery-optimizer"),
        "config_sha256": config_hash(config),
        **model_identity(config, day),
        "inputs": {
            name: [file.sha256 for file in found] or _checksum(tables[name])
            for name, found in files.items()
        },
    }


def _checksum(table: Any) -> str:
    """A checksum of a table of the cluster; it does not depend on the order of rows."""
    if hasattr(table, "mapInArrow"):
        return _row_sum(table)
    text = json.dumps(table.to_pylist(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _row_sum(table: DataFrame) -> str:
    """Rows, and the sum of a hash of each, which executors form."""
    from pyspark.sql import functions as F

    cells = [F.col(f"`{name}`") for name in table.columns]
    each = F.xxhash64(*cells, *(cell.isNull() for cell in cells))
    found = table.agg(
        F.count("*").alias("rows"), F.sum(each.cast("decimal(38,0)")).alias("sum")
    ).toArrow()
    rows, total = (found[name][0].as_py() for name in ("rows", "sum"))
    return f"{rows} rows, hashes add up to {total or 0}"
