"""How orders lie around the cut-off, as the report has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.contracts.tables import DECISIONS
from optimizer.desk.asked import day_of
from optimizer.desk.render import page_text
from optimizer.io.damage import damaged_is_data_error
from optimizer.io.published_tables import scan_table
from optimizer.report.margins import margins_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from optimizer.desk.desk import Desk


def margins_page(desk: Desk, request: Request) -> str:
    """
    Show how a night's orders lie around the cut-off.

    Raises
    ------
    PageProblem
        When the night is not published.
    DataError
        When its decisions are damaged.
    """
    night = desk.nights.open(day_of(request.path_params["day"]))
    with damaged_is_data_error(str(night.folder / DECISIONS.file)):
        margins = margins_of(scan_table(night.folder, DECISIONS.file))
    day = night.day.isoformat()
    return page_text(request, "margins.html.j2", day=day, margins=margins)
