"""The inputs of a date: where they are, whether they are late, and substitutes."""

from __future__ import annotations

import datetime as dt
import glob
import logging
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.build.eligibility import orders_table
from optimizer.config import expand_date
from optimizer.config.address import is_address
from optimizer.contracts.columns import Column, polars_type
from optimizer.contracts.delivery_words import CLOSING, TRAVELLING
from optimizer.contracts.tables import (
    CAPACITY,
    DELIVERIES,
    MERCHANTS,
    OPTIONS,
    ORDERS,
    TABLES_IN,
)
from optimizer.contracts.warnings import some, warn
from optimizer.errors import BusyError
from optimizer.io.asked_columns import contracts
from optimizer.io.cells import BLANKS
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source, read_batches
from optimizer.io.validate import check_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from optimizer.config import Config, PolicyRow
    from optimizer.contracts.columns import Table
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.io.cells import CellRules

logger = logging.getLogger(__name__)

TABLES = {t.name: t for t in (ORDERS, CAPACITY, OPTIONS, MERCHANTS, DELIVERIES)}
_SPLITTING = "named by alerts.splitting"
#: Seconds between two looks for an input that is late.
_LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class InputPaths:
    """
    Where a night's tables are.

    Attributes
    ----------
    paths
        Path, glob or address, by table.
    substitutes
        Substitutes for tables that did not come, by table.
    """

    paths: Mapping[str, str]
    substitutes: Mapping[str, str] = field(default_factory=dict)


def tables_of(config: Config, policy: PolicyRow) -> dict[str, Table]:
    """
    Contracts of a night's tables, with the columns that its rules ask for.

    Raises
    ------
    ConfigError
        When a rule compares a column with a value of another kind.
    """
    return TABLES | contracts(config, orders_table(policy.eligibility))


def copied_tables(config: Config, policy: PolicyRow) -> dict[str, Table]:
    """
    Contracts of tables that are copied: all that a night, or an alert, asks for.

    Raises
    ------
    ConfigError
        As of :func:`tables_of`.
    """
    tables = tables_of(config, policy)
    orders = tables["orders"]
    named = config.operations.alerts.splitting.columns
    more = [Column(n, "id", _SPLITTING) for n in named if n not in orders.column_names]
    return tables | {"orders": replace(orders, columns=(*orders.columns, *more))}


def configured_paths(config: Config, day: dt.date) -> dict[str, str]:
    """Path or glob of each configured table on a date."""
    assert config.inputs is not None
    given = config.inputs.paths
    names = [table.name for table in TABLES_IN if table.name in given]
    return {name: expand_date(given[name], day) for name in names}


def await_inputs(
    config: Config,
    day: dt.date,
    progress: Callable[[str], None] | None = None,
    *,
    is_waiting: bool = True,
    is_there: Callable[[str], bool] | None = None,
) -> InputPaths:
    """
    Find a date's inputs; wait for late ones, for as long as configured.

    Without a configured wait nothing is checked here: reading reports what is missing.

    Parameters
    ----------
    config, day
        The night.
    progress
        Called with what is waited for.
    is_waiting
        Whether late inputs are waited for; if not, they are late at once.
    is_there
        Whether a table has come, by its path; ``None``: as this machine sees it, to
        which an address has come until it is read.

    Raises
    ------
    BusyError
        When an input did not come and has no substitute.
    """
    assert config.inputs is not None
    paths, minutes = configured_paths(config, day), float(config.inputs.wait_minutes)
    if minutes == 0 and config.inputs.when_capacity_is_late == "refuse":
        return InputPaths(paths)
    waited, is_there = minutes if is_waiting else 0.0, is_there or is_there_here
    missing = _wait(paths, waited, progress, is_there)
    if not missing:
        return InputPaths(paths)
    substitute = _yesterdays_capacity(config, day, is_there)
    if missing == ["capacity"] and substitute is not None:
        return InputPaths(paths | {"capacity": substitute}, {"capacity": substitute})
    late = "; ".join(f"{name} ({paths[name]})" for name in missing)
    raise BusyError(
        f"inputs of {day} are late: {late}; waited {waited:g} minutes, try again when "
        "they are there"
    )


@dataclass(frozen=True, slots=True, eq=False)
class ClosedParcels:
    """
    Delivery outcomes, as of a date, of parcels that earlier nights recommended.

    Attributes
    ----------
    rows
        ``row``, ``order_id``, and ``status`` in small letters, of rows up to the date.
    num_rows
        How many rows there are in all.
    warnings
        What a person should look at.
    """

    rows: pl.DataFrame
    num_rows: int
    warnings: tuple[CodedWarning, ...]


def closed_parcels(
    path: str | list[str], day: dt.date, rules: CellRules
) -> ClosedParcels:
    """
    Read the delivery outcomes of parcels that earlier nights recommended.

    Raises
    ------
    DataError
        When the table is missing, damaged, or has a broken row.
    """
    import polars as pl

    source, log = open_source(path, DELIVERIES, rules=rules), QuarantineLog()
    schema = {"row": pl.Int64} | {
        c.name: polars_type(c.kind) for c in DELIVERIES.columns
    }
    parts, num_rows = [pl.DataFrame(schema=schema)], 0
    for raw in read_batches(source):
        num_rows += len(raw)
        kept = check_batch(raw, source, log).select(list(schema))
        parts.append(kept.cast({"row": pl.Int64}))
    name = DELIVERIES.name
    log.refuse_beyond(Decimal(0), {name: num_rows}, {name: source})
    known = pl.concat(parts).filter(pl.col("date") <= day)
    status = pl.col("status").str.strip_chars(BLANKS).str.to_lowercase()
    rows = known.select("row", "order_id", status=status)
    found = source.notes.warnings(DELIVERIES.name) + log.warnings(rules.zone)
    return ClosedParcels(rows, num_rows, (*found, *_unknown_words(rows["status"])))


def _unknown_words(status: pl.Series) -> list[CodedWarning]:
    """Status words that are unknown: neither closing nor travelling."""
    known = {*TRAVELLING, *(word for words in CLOSING.values() for word in words)}
    unknown = status.filter(~status.is_in(list(known)))
    if len(unknown) == 0:
        return []
    words = some(sorted(word[:40] for word in unknown.unique().to_list()))
    return [warn("STATUS_UNKNOWN", num_parcels=len(unknown), words=words)]


def _wait(
    paths: Mapping[str, str],
    minutes: float,
    progress: Callable[[str], None] | None,
    is_there: Callable[[str], bool],
) -> list[str]:
    """Names of the tables that are not there when the time is up."""
    # The monotonic clock: setting the other one must not change how long is waited.
    deadline = time.monotonic() + minutes * 60
    while missing := [name for name, path in paths.items() if not is_there(path)]:
        left = deadline - time.monotonic()
        if left <= 0:
            return missing
        if progress is not None:
            progress(f"wait for {', '.join(missing)}")
        time.sleep(min(_LOOK_SECONDS, left))
    return []


def is_there_here(path: str) -> bool:
    """Whether a table has come; an address counts as come until it is read."""
    if is_address(path):
        return True
    return Path(path).exists() or (glob.has_magic(path) and bool(glob.glob(path)))


def _yesterdays_capacity(
    config: Config, day: dt.date, is_there: Callable[[str], bool]
) -> str | None:
    assert config.inputs is not None
    if config.inputs.when_capacity_is_late != "yesterdays_capacity":
        return None
    path = expand_date(config.inputs.capacity.path, day - dt.timedelta(days=1))
    return path if is_there(path) else None
