"""The night's report: one HTML file that opens without a network, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.report.figures import draw_figures
from optimizer.report.numbers import report_figures
from optimizer.report.orders import NUM_ROWS, list_orders, recommended

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.report.margins import Margins

__all__ = ["recommended", "report_figures", "report_html"]


def report_html(
    record: Mapping[str, Any],
    tables: Mapping[str, pl.DataFrame],
    orders: pl.DataFrame | None = None,
    margins: Margins | None = None,
) -> str:
    """
    Write a night's report: one page of HTML that needs nothing else.

    The same night gives the same text, whenever and wherever it is written:
    ``run_measurements`` are not looked at. Whatever the night, it stays below 5 MB.

    Parameters
    ----------
    record
        As in ``run.json``.
    tables
        The published tables by file name: ``lanes.parquet``, ``merchants.parquet``,
        ``quarantine.parquet`` and ``nights.parquet``; ``rows.parquet`` and
        ``conflicts.parquet`` where the night has them.
    orders
        The recommended orders, as :func:`recommended` takes them from the decisions;
        ``None``: the page lists no orders.
    margins
        How orders lie around the cut-off, by
        :func:`~optimizer.report.margins.margins_of`; ``None``: it is not shown.

    Returns
    -------
    str
        To be written as UTF-8.
    """
    from optimizer.report.render import render  # Jinja2 takes a while

    return render(
        "report.html.j2",
        night=draw_figures(record, tables),
        orders=None if orders is None else list_orders(orders, record),
        num_rows=NUM_ROWS,
        margins=margins,
        record=record,
    )
