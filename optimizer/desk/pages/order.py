"""One order: what was decided, why, what would change it, and the proof of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from markupsafe import escape

from optimizer.desk.asked import day_of, text_of
from optimizer.desk.kept import Answer
from optimizer.desk.problems import PageProblem
from optimizer.desk.render import code_of, page_text
from optimizer.evidence.order_evidence import find_evidence
from optimizer.explain.sentences import sentence
from optimizer.io.lookup import merchant_row, order_row

if TYPE_CHECKING:
    import datetime as dt

    from starlette.requests import Request

    from optimizer.desk.desk import Desk
    from optimizer.desk.links import SharedLink
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
    if text_of(request.query_params, "id") is None:
        return page_text(request, "order.html.j2", order=None, order_id="")
    return order_view(desk, request, None)


def order_view(desk: Desk, request: Request, shared: SharedLink | None) -> str:
    """
    Show an order, to a planner or to the merchant whose it is.

    Raises
    ------
    PageProblem
        When no night that is searched has it, or it is of somebody else.
    """
    night, order = _asked_order(desk, request, shared)
    merchant = merchant_row(night.folder, order["merchant_id"])
    return page_text(
        request,
        "order.html.j2",
        order_id=order["order_id"],
        order=order,
        day=night.day.isoformat(),
        merchant=merchant,
        words=_alone(sentence(order, merchant, code_of(request))),
        record=night.record,
        shared=shared,
        link=request.query_params.get("link"),
    )


def proof_page(
    desk: Desk, request: Request, shared: SharedLink | None = None
) -> Answer:
    """
    The proof of an order's decision, as one page to keep.

    Raises
    ------
    PageProblem
        When no night that is searched has the order, or it is of somebody else.
    """
    night, order = _asked_order(desk, request, shared)
    found = find_evidence(desk.config, order["order_id"], night.day)
    code = code_of(request)
    merchant = merchant_row(night.folder, order["merchant_id"])
    text = page_text(
        request,
        "proof.html.j2",
        found=found,
        words=_alone(sentence(order, merchant, code)),
        data=escape(json.dumps(found, ensure_ascii=False, indent=1, default=str)),
        root=json.loads(found["proof"]["chain"][0]["text"])["decisions"]["root"],
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Disposition", f'attachment; filename="proof-{night.day}.html"'),
        ("Content-Security-Policy", policy),
    )
    return Answer(200, text.encode("utf-8", "replace"), headers)


def _alone(words: str) -> str:
    """A sentence that stands alone, not behind the order's name."""
    end = "。" if words[0] > "\u2e7f" else "."
    return f"{words[0].upper()}{words[1:]}{end}"


def _asked_order(
    desk: Desk, request: Request, shared: SharedLink | None
) -> tuple[OpenNight, dict[str, Any]]:
    """
    The order of a query, and its night.

    To a merchant, somebody else's order is one that is not there.
    """
    order_id = text_of(request.query_params, "id")
    asked = text_of(request.query_params, "night")
    if order_id is None:
        raise PageProblem(404, "NO_PAGE")
    found = find_order(desk, order_id, None if asked is None else day_of(asked))
    if found is None or (shared and found[1]["merchant_id"] != shared.merchant_id):
        code = "NO_ORDER_THAT_NIGHT" if asked else "NO_ORDER"
        number = min(NUM_SEARCHED, len(desk.nights.folders()))
        raise PageProblem(404, code, order=order_id, day=asked, number=number)
    return found


def find_order(
    desk: Desk, order_id: str, day: dt.date | None
) -> tuple[OpenNight, dict[str, Any]] | None:
    """
    The newest night that has an order, and its row of the decisions.

    Parameters
    ----------
    desk
        With the published nights.
    order_id
        The order.
    day
        The night to look at; ``None``: the newest ones.

    Raises
    ------
    PageProblem
        When the named night cannot be opened; or none has it, and one cannot be read.
    """
    days = [*desk.nights.folders()][::-1][:NUM_SEARCHED] if day is None else [day]
    unread: PageProblem | None = None
    for one in days:
        try:
            night = desk.nights.open(one)
        except PageProblem as problem:
            unread = unread or problem
            continue
        rows = order_row(night.folder, order_id)
        if rows.height:
            return night, rows.row(0, named=True)
    if unread is not None:
        raise unread
    return None
