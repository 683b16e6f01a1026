"""What orders are valued and coded by: the rules, and the small tables of a night."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from optimizer.build.capacity import rows_of_checked
from optimizer.build.costs import costs_of
from optimizer.build.encode import CodeParams
from optimizer.build.learned_probabilities import fulfilment_of
from optimizer.build.order_day import service_day
from optimizer.config import objective_on
from optimizer.io.asked_columns import columns_there
from optimizer.io.small_tables import checked_table

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    import polars as pl

    from optimizer.build.capacity import CapacityRow
    from optimizer.build.learned_model import LearnedModel
    from optimizer.build.order_day import ServiceDay
    from optimizer.config import Config, PolicyRow
    from optimizer.io.quarantine import QuarantineLog
    from optimizer.io.read import Source


class SmallTables(NamedTuple):
    """
    Capacity and merchants, read and checked.

    Attributes
    ----------
    capacity, merchants
        The tables; ``None``: there are no merchants.
    rows
        Capacity, row by row.
    service_day
        Which day's slots tonight's parcels take; ``None``: no day is counted.
    """

    capacity: pl.DataFrame
    merchants: pl.DataFrame | None
    rows: tuple[CapacityRow, ...]
    service_day: ServiceDay | None

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each table that there is."""
        tables = {"capacity": self.capacity, "merchants": self.merchants}
        return {name: len(t) for name, t in tables.items() if t is not None}


def small_tables(
    sources: Mapping[str, Source],
    config: Config,
    day: dt.date | None,
    log: QuarantineLog,
) -> SmallTables:
    """
    Read and check a night's capacity and merchants.

    Parameters
    ----------
    sources
        All tables.
    config
        The rules of the night.
    day
        The business date; ``None`` where none is known.
    log
        Notes what is refused.

    Raises
    ------
    DataError
        When a table breaks its contract.
    """
    capacity = checked_table(sources["capacity"], log)
    merchants = None
    if "merchants" in sources:
        merchants = checked_table(sources["merchants"], log)
    rules = config.capacity
    rows = rows_of_checked(capacity, rules.attributes, rules.resources)
    return SmallTables(capacity, merchants, rows, service_day(rules, capacity, day))


def params_of(
    sources: Mapping[str, Source],
    config: Config,
    policy: PolicyRow,
    small: SmallTables,
    model: LearnedModel | None,
    further: tuple[str, ...],
) -> CodeParams:
    """
    Give what orders are valued and coded by.

    Parameters
    ----------
    sources
        All tables.
    config, policy
        The rules of the night.
    small
        Its small tables.
    model
        What it takes from history; ``None``: nothing.
    further
        Columns of the orders that rules ask for.

    Raises
    ------
    ConfigError, DataError
        When the rules or the model do not say what premium is worth.
    """
    return CodeParams(
        worth=costs_of(config, policy),
        roster=policy.carriers,
        fulfilment=fulfilment_of(objective_on(config, policy), policy, sources, model),
        merchants=small.merchants,
        columns=columns_there(sources),
        further=further,
        service_day=small.service_day,
        resources=config.capacity.resources,
    )
