"""One night: sentences, figures, its tables, and the full report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import REPORT
from optimizer.contracts.tables import (
    CONFLICTS,
    LANE_RESULTS,
    MERCHANT_RESULTS,
    NIGHTS,
    QUARANTINE,
    ROW_RESULTS,
    SOME_NIGHTS,
)
from optimizer.desk.asked import day_of, part_of, text_of
from optimizer.desk.kept import Answer
from optimizer.desk.listing import Listing
from optimizer.desk.published import table_of
from optimizer.desk.render import page_text
from optimizer.desk.rows import ASKED, SORTABLE, read_rows
from optimizer.report.figures import Figures, draw_figures

if TYPE_CHECKING:
    import polars as pl
    from starlette.requests import Request

    from optimizer.desk.desk import Desk
    from optimizer.desk.published import OpenNight

#: The script that a report may run, as its own policy names it.
_SCRIPT = re.compile(r"script-src '(sha256-[A-Za-z0-9+/=]{40,90})'")
#: Characters at the head of a report that hold its policy.
_HEAD = 4_096
#: A link of a report to a file beside it, which the desk does not give.
_FILE_LINK = re.compile(rb'<a href="([a-z_]+\.parquet)">\1</a>')
_BODY = b"<body>"
#: Columns of the merchants' table that it may be sorted by.
MERCHANTS_BY = (
    *("merchant_id", "num_orders", "cap", "used", "slack"),
    *("shadow_price_cny", "one_more_cny"),
)
#: Regions that a form offers; others are typed.
NUM_REGIONS = 200
_TABLES = (LANE_RESULTS, MERCHANT_RESULTS, QUARANTINE, NIGHTS, ROW_RESULTS, CONFLICTS)


def night_page(desk: Desk, request: Request) -> str:
    """
    Show a night.

    Raises
    ------
    PageProblem
        When it is not published.
    """
    night = _night(desk, request)
    days = [*desk.nights.folders()]
    at = days.index(night.day) if night.day in days else -1
    figures = _figures(night)
    return page_text(
        request,
        "night.desk.html.j2",
        record=night.record,
        night=figures,
        day=night.day.isoformat(),
        before=days[at - 1] if at > 0 else None,
        after=days[at + 1] if 0 <= at < len(days) - 1 else None,
    )


def orders_page(desk: Desk, request: Request) -> str:
    """
    List the orders of a night: sorted, narrowed and paged.

    Raises
    ------
    PageProblem
        When the night is not published, or the query is wrong.
    """
    night, given = _night(desk, request), request.query_params
    part = part_of(given, SORTABLE)
    asked = {name: text_of(given, name) for name in ASKED}
    only = {name: value for name, value in asked.items() if value is not None}
    kept = desk.first_rows.of(night.folder)
    found = None if kept is None else kept.page(only, part)
    if found is None:
        found = read_rows(night.folder, only, part)
    reasons = night.record["summary"]["reasons"]
    return page_text(
        request,
        "orders.html.j2",
        day=night.day.isoformat(),
        listing=Listing(found.rows, found.num_rows, part, SORTABLE, only),
        reasons_there=sorted(name for name, number in reasons.items() if number),
        carriers=_names(night, "carrier_id"),
        regions=_names(night, "region_id")[:NUM_REGIONS],
    )


def merchants_page(desk: Desk, request: Request) -> str:
    """
    List the merchants of a night: sorted, narrowed and paged.

    Raises
    ------
    PageProblem
        When the night is not published, or the query is wrong.
    """
    import polars as pl

    night, given = _night(desk, request), request.query_params
    part, asked = part_of(given, MERCHANTS_BY), text_of(given, "merchant_id")
    rows = table_of(night, MERCHANT_RESULTS.file)
    if asked is not None:
        rows = rows.filter(pl.col("merchant_id").str.starts_with(asked))
    key = part.sort or "num_orders"
    is_descending = part.is_descending or part.sort is None
    ordered = rows.sort(
        [key, "merchant_id"], descending=[is_descending, False], nulls_last=True
    )
    shown = ordered.slice(part.offset, part.size).to_dicts()
    only = {} if asked is None else {"merchant_id": asked}
    return page_text(
        request,
        "merchants.html.j2",
        day=night.day.isoformat(),
        listing=Listing(shown, rows.height, part, MERCHANTS_BY, only),
    )


def report(desk: Desk, request: Request) -> Answer:
    """
    The full report as it was published, in a sandbox, with its own script alone.

    A way back to the night is added, and files beside it are named without a link.

    Raises
    ------
    PageProblem
        When the night is not published, or has no report.
    """
    night = _night(desk, request)
    try:
        body = (night.folder / REPORT).read_bytes()
    except OSError as error:
        raise desk.nights.problem(night.day, why=str(error)) from None
    script = _SCRIPT.search(body[:_HEAD].decode("utf-8", "replace"))
    allowed = f"script-src '{script[1]}'; " if script else ""
    policy = (
        f"sandbox allow-scripts; default-src 'none'; {allowed}style-src "
        "'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    kind = ("Content-Type", "text/html; charset=utf-8")
    way = page_text(request, "report_way.html.j2", day=night.day.isoformat())
    body = _FILE_LINK.sub(rb"\1", body)
    body = body.replace(_BODY, b"%s\n%s" % (_BODY, way.encode()), 1)
    return Answer(200, body, (kind, ("Content-Security-Policy", policy)))


def _night(desk: Desk, request: Request) -> OpenNight:
    return desk.nights.open(day_of(request.path_params["day"]))


def _figures(night: OpenNight) -> Figures:
    tables: dict[str, pl.DataFrame] = {
        table.file: table_of(night, table.file)
        for table in _TABLES
        if table.file not in SOME_NIGHTS
        or table.file in night.record.get("outputs", {})
    }
    return draw_figures(night.record, tables)


def _names(night: OpenNight, column: str) -> list[Any]:
    """Names that the night's lanes have in a column."""
    names = table_of(night, LANE_RESULTS.file)[column]
    return names.drop_nulls().unique().sort().to_list()
