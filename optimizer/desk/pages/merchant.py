"""One merchant: cap and use over nights, bank, price, own orders; a link to that."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import BANK, MERCHANT_RESULTS
from optimizer.desk.asked import day_of, number_of, part_of, text_of
from optimizer.desk.links import MAX_DAYS, NUM_DAYS, SharedLink, make_link, read_link
from optimizer.desk.listing import Listing
from optimizer.desk.pages.order import order_view
from optimizer.desk.problems import PageProblem
from optimizer.desk.render import page_text
from optimizer.desk.rows import SORTABLE, read_rows
from optimizer.errors import DataError
from optimizer.io.lookup import find_rows
from optimizer.report.lines import Line, line

if TYPE_CHECKING:
    from starlette.requests import Request

    from optimizer.desk.desk import Desk

#: Nights that a merchant's page looks back at.
NUM_NIGHTS = 31


@dataclass(frozen=True, slots=True)
class MerchantNight:
    """A merchant's row of a night."""

    day: dt.date
    row: dict[str, Any]


def merchant_page(desk: Desk, request: Request) -> str:
    """
    Show a merchant to a planner.

    Raises
    ------
    PageProblem
        When no night that is looked at has the merchant, or the query is wrong.
    """
    merchant_id = text_of(request.query_params, "id")
    if merchant_id is None:
        days = [*desk.nights.folders()]
        newest = days[-1] if days else None
        return page_text(request, "merchant.html.j2", merchant_id=None, newest=newest)
    return _merchant_text(desk, request, merchant_id, None)


def link_page(desk: Desk, request: Request) -> str:
    """
    Make a link that shows a merchant to whoever has it.

    Raises
    ------
    PageProblem
        When there is no key, no such merchant, or the query is wrong.
    """
    merchant_id = text_of(request.query_params, "id")
    if desk.link_key is None or merchant_id is None:
        raise PageProblem(404, "NO_LINK_KEY")
    days = number_of(request.query_params, "days", 1, MAX_DAYS) or NUM_DAYS
    merchant_nights(desk, merchant_id)
    now = dt.datetime.now(dt.UTC)
    token = make_link(desk.link_key, merchant_id, now, days)
    address = f"{str(request.base_url).rstrip('/')}/shared/merchant?link={token}"
    return page_text(
        request,
        "link.html.j2",
        merchant_id=merchant_id,
        address=address,
        days=days,
        until=(now + dt.timedelta(days=days)).date().isoformat(),
    )


def shared_merchant_page(desk: Desk, request: Request) -> str:
    """
    Show a merchant's own page to who came with a link.

    Raises
    ------
    PageProblem
        When the link does not hold.
    """
    shared = shared_link(desk, request)
    return _merchant_text(desk, request, shared.merchant_id, shared)


def shared_order_page(desk: Desk, request: Request) -> str:
    """
    Show one of a merchant's own orders to who came with a link.

    Raises
    ------
    PageProblem
        When the link does not hold, or the order is of somebody else.
    """
    return order_view(desk, request, shared_link(desk, request))


def shared_link(desk: Desk, request: Request) -> SharedLink:
    """
    The link that somebody came with.

    Raises
    ------
    PageProblem
        When it does not hold.
    """
    text = request.query_params.get("link", "")
    return read_link(desk.link_key, text, dt.datetime.now(dt.UTC))


def merchant_nights(desk: Desk, merchant_id: str) -> list[MerchantNight]:
    """
    A merchant's rows of the newest nights, by date.

    Raises
    ------
    PageProblem
        When none of them has the merchant.
    DataError
        When none has, and one of them is damaged.
    """
    found = list[MerchantNight]()
    unread: PageProblem | DataError | None = None
    for day in [*desk.nights.folders()][-NUM_NIGHTS:]:
        try:
            folder = desk.nights.open(day).folder
            rows = find_rows(folder / MERCHANT_RESULTS.file, "merchant_id", merchant_id)
        except (PageProblem, DataError) as problem:
            unread = problem
            continue
        if rows.height:
            found.append(MerchantNight(day, rows.row(0, named=True)))
    if not found:
        raise unread or _no_merchant(desk, merchant_id)
    return found


def _merchant_text(
    desk: Desk, request: Request, merchant_id: str, shared: SharedLink | None
) -> str:
    """The page of a merchant, as a planner or as the merchant sees it."""
    given = request.query_params
    nights, part = merchant_nights(desk, merchant_id), part_of(given, SORTABLE)
    asked = text_of(given, "night")
    day = nights[-1].day if asked is None else day_of(asked)
    at = next((one for one in nights if one.day == day), None)
    if at is None:
        raise _no_merchant(desk, merchant_id)
    night = desk.nights.open(day)
    only = {"merchant_id": merchant_id}
    orders = read_rows(night.folder, only, part)
    bank = find_rows(night.folder / BANK.file, "merchant_id", merchant_id)
    return page_text(
        request,
        "merchant.html.j2",
        merchant_id=merchant_id,
        nights=nights,
        at=at,
        lines=_lines(nights),
        bank=bank.row(0, named=True) if bank.height else None,
        listing=Listing(orders.rows, orders.num_rows, part, SORTABLE, only),
        shared=shared,
        link=given.get("link"),
        has_key=desk.link_key is not None,
        days=NUM_DAYS,
        most_days=MAX_DAYS,
    )


def _lines(nights: list[MerchantNight]) -> tuple[Line, Line] | None:
    """Cap and use over nights, on one scale; ``None``: there is only one night."""
    days = [one.day for one in nights]
    caps = [float(one.row["cap"]) for one in nights]
    used = [float(one.row["used"]) for one in nights]
    edges = (0.0, max(1.0, *caps, *used))
    both = line(days, caps, edges), line(days, used, edges)
    return None if both[0] is None or both[1] is None else (both[0], both[1])


def _no_merchant(desk: Desk, merchant_id: str) -> PageProblem:
    number = min(NUM_NIGHTS, len(desk.nights.folders()))
    return PageProblem(404, "NO_MERCHANT", merchant=merchant_id, number=number)
