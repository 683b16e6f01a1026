"""One order: what was decided, why, and what would change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import DECISIONS
from optimizer.desk.asked import day_of, text_of
from optimizer.desk.problems import PageProblem
from optimizer.desk.render import code_of, page_text
from optimizer.explain.sentences import sentence
from optimizer.io.lookup import find_rows, merchant_row

if TYPE_CHECKING:
    from starlette.requests import Request

    from optimizer.desk.desk import Desk
    from optimizer.desk.published import OpenNight

#: Nights that are searched for an order when none is named, newest first.
NUM_SEARCHED = 31


def order_page(desk: Desk, request: Request) -> str:
    """
    Show an order, or the form that asks for one.

    Raises
    ------
    PageProblem
        When no night that is searched has it.
    """
    order_id = text_of(request.query_params, "id")
    asked = text_of(request.query_params, "night")
    if order_id is None:
        return page_text(request, "order.html.j2", order=None, order_id="")
    day = None if asked is None else day_of(asked)
    found = find_order(desk, order_id, [day] if day else None)
    if found is None:
        code = "NO_ORDER_THAT_NIGHT" if asked else "NO_ORDER"
        raise PageProblem(404, code, order=order_id, day=asked, number=NUM_SEARCHED)
    night, order = found
    merchant = merchant_row(night.folder, order["merchant_id"])
    return page_text(
        request,
        "order.html.j2",
        order_id=order_id,
        order=order,
        day=night.day.isoformat(),
        merchant=merchant,
        words=sentence(order, merchant, code_of(request)),
        record=night.record,
    )


def find_order(
    desk: Desk, order_id: str, days: list[Any] | None = None
) -> tuple[OpenNight, dict[str, Any]] | None:
    """
    The newest night that has an order, and its row of the decisions.

    Parameters
    ----------
    desk
        With the published nights.
    order_id
        The order.
    days
        Dates to look at; ``None``: the newest ones.
    """
    nights = [*desk.nights.folders()][::-1][:NUM_SEARCHED] if days is None else days
    for day in nights:
        try:
            night = desk.nights.open(day)
        except PageProblem:
            if days is not None:
                raise
            continue
        rows = find_rows(night.folder / DECISIONS.file, "order_id", order_id)
        if rows.height:
            return night, rows.row(0, named=True)
    return None
