"""Look-ups of deliveries: which of their parcels nights before had in flight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from optimizer.build.lookups import count_lookup, table_lookup
from optimizer.contracts.warnings import warn
from optimizer.errors import DataError
from optimizer.night.state.ledger import parcels_before

if TYPE_CHECKING:
    import datetime as dt

    import polars as pl

    from optimizer.build.lookups import LookupCount
    from optimizer.config import Config
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.night.state.database import StateDatabase


def count_deliveries(
    state: StateDatabase, config: Config, day: dt.date, rows: pl.DataFrame
) -> LookupCount | None:
    """
    Count how many order ids of the deliveries table name a parcel in flight.

    An id that differs from one in flight only in how it is written is refused where
    few are found: among ids that are found, others may look alike by chance.

    Parameters
    ----------
    state
        In line with the published folders.
    config, day
        The night.
    rows
        ``row`` and ``order_id`` of the table, up to the date.

    Returns
    -------
    LookupCount or None
        ``None`` where slots are of the order's day, so that no parcel is in flight.

    Raises
    ------
    DataError
        When few are found, and one is written otherwise.
    """
    if config.capacity.counted_on == "order":
        return None
    known = parcels_before(state, config, day)
    named = table_lookup(rows, "order_id", "deliveries", known)
    told = replace(named, known_as="in flight from nights before")
    found = sum(name in known for name in told.names)
    few = found < config.lookups.warn_below * min(len(told.names), len(known))
    return count_lookup(told, is_strict=few)


def delivery_warnings(
    count: LookupCount | None, config: Config
) -> tuple[CodedWarning, ...]:
    """
    Warn of a deliveries table that names few of the parcels in flight.

    Raises
    ------
    DataError
        When the share is below a ``lookups.refuse_below`` that is configured.
    """
    if count is None:
        return ()
    limit = config.lookups.refuse_below
    if limit is not None and count.share < limit:
        raise DataError(f"{count.text}; lookups.refuse_below is {limit}")
    if count.share >= config.lookups.warn_below:
        return ()
    return (
        warn(
            "FEW_PARCELS_FOUND",
            num_parcels=count.num_names - count.num_found,
            num_all=count.num_names,
            names=tuple(missing.name for missing in count.missing),
        ),
    )
