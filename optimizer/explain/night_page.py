"""The report of a night in memory: the same page as that of a published night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.contracts.tables import NIGHTS
from optimizer.errors import ConfigError
from optimizer.explain.week import nights_table
from optimizer.report import recommended, report_html
from optimizer.report.margins import margins_of
from optimizer.report.page import Page

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import polars as pl

    from optimizer.contracts.columns import Table


def night_page(
    record: Mapping[str, Any],
    tables: Mapping[Table, pl.DataFrame | None],
    orders: pl.DataFrame,
) -> Page:
    """
    Make the page of a night that is not published.

    Parameters
    ----------
    record
        Of the night; its date may be unknown.
    tables
        Lanes, merchants and quarantine; further limits and conflicts, or ``None``.
    orders
        The decisions, with ``region_id``.

    Raises
    ------
    ConfigError
        When the night has no date.
    """
    if record["date"] is None:
        raise ConfigError("a report is of a date: give allocate the date=")
    given = {table.file: rows for table, rows in tables.items() if rows is not None}
    given[NIGHTS.file] = nights_table([], record)
    margins = margins_of(orders.lazy())
    return Page(report_html(record, given, recommended(orders), margins))
