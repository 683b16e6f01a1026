"""All nights: a calendar, lines of what matters, and a table."""

from __future__ import annotations

import datetime as dt
from calendar import monthrange
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.desk.asked import part_of, text_of
from optimizer.desk.charts import Month, months, shades
from optimizer.desk.listing import listing
from optimizer.desk.problems import PageProblem
from optimizer.desk.render import page_text
from optimizer.report.lines import Line, line
from optimizer.report.realised import ledger_picture, ledger_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from optimizer.desk.desk import Desk
    from optimizer.desk.published import NightLine
    from optimizer.report.realised import LedgerPicture

#: Months of the calendar, and days of the lines.
NUM_MONTHS, NUM_DAYS = 3, 92
#: Columns of the table that it may be sorted by.
SORTABLE = ("day", "num_orders", "num_chosen", "saving", "fees", "relative_gap")


@dataclass(frozen=True, slots=True)
class Trend:
    """A figure over nights: its name, its line, and its first and last value."""

    name: str
    line: Line
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Ledger:
    """What earlier plans promised and realised, as the newest night's record has it."""

    record: Mapping[str, Any]

    @property
    def ledger(self) -> LedgerPicture | None:
        """Nights as a picture."""
        return ledger_picture(self.record.get("realised", {}).get("by_night", []))

    @property
    def ledger_rows(self) -> list[tuple[str, Mapping[str, Any]]]:
        """All nights together, carriers and nights."""
        past = self.record.get("realised")
        return list(ledger_rows(past)) if past else []


def nights_page(desk: Desk, request: Request) -> str:
    """
    Show all nights.

    Raises
    ------
    PageProblem
        When the query is wrong.
    """
    lines = desk.nights.lines()
    part = part_of(request.query_params, SORTABLE)
    if not lines:
        return page_text(request, "nights.html.j2", lines=[], output=desk.config.output)
    last = month_end(text_of(request.query_params, "until"), lines[-1].day)
    known = [one for one in lines if one.is_readable]
    near = [
        one for one in known if last - dt.timedelta(days=NUM_DAYS) < one.day <= last
    ]
    newest = Ledger(desk.nights.newest().record if known else {})
    return page_text(
        request,
        "nights.html.j2",
        record=newest.record,
        night=newest,
        lines=lines,
        by_day={one.day: one for one in lines},
        months=_with_nights(months(last, NUM_MONTHS), lines[0].day),
        shades=shades({one.day: one.saving for one in known}),
        earlier=_month_before(last, lines[0].day),
        later=_month_after(last, lines[-1].day),
        near=near,
        trends=trends(near),
        listing=listing(lines, part, SORTABLE, "day"),
    )


def trends(near: Sequence[NightLine]) -> list[Trend]:
    """The lines over some nights; what fewer than two nights have is left out."""
    days = [one.day for one in near]
    figures: dict[str, list[float]] = {
        "saving": [one.saving for one in near],
        "fees": [one.fees for one in near],
        "num_chosen": [float(one.num_chosen) for one in near],
        "relative_gap": [one.relative_gap for one in near],
        "num_alerts": [float(one.num_alerts) for one in near],
    }
    found = []
    for name, values in figures.items():
        made = line(days, values)
        if made is not None:
            found.append(Trend(name, made, values[0], values[-1]))
    return found


def month_end(text: str | None, newest: dt.date) -> dt.date:
    """
    The last day of a month such as 2026-11, and by default of the newest night's.

    Raises
    ------
    PageProblem
        When it is no month.

    Examples
    --------
    >>> month_end("2026-02", dt.date(2026, 11, 22))
    datetime.date(2026, 2, 28)
    >>> month_end(None, dt.date(9999, 12, 3))
    datetime.date(9999, 12, 31)
    """
    try:
        first = newest.replace(day=1)
        if text is not None:
            first = dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
            # The page looks back as far, and leads on to the month after.
            _ = first - dt.timedelta(days=NUM_DAYS), first + dt.timedelta(days=31)
        return first.replace(day=monthrange(first.year, first.month)[1])
    except (ValueError, OverflowError):
        raise PageProblem(400, "NO_MONTH", text=text) from None


def _with_nights(made: list[Month], first_night: dt.date) -> list[Month]:
    """Months that are not all before the first night; at least one."""
    kept = [
        one
        for one in made
        if (one.first.year, one.first.month) >= (first_night.year, first_night.month)
    ]
    return kept or made[-1:]


def _month_before(last: dt.date, first_night: dt.date) -> str | None:
    """The month that the calendar goes back to, where nights are before it."""
    start = months(last, NUM_MONTHS)[0].first
    return f"{start - dt.timedelta(days=1):%Y-%m}" if first_night < start else None


def _month_after(last: dt.date, newest: dt.date) -> str | None:
    if newest <= last:
        return None
    return f"{min(last + dt.timedelta(days=NUM_MONTHS * 28), newest):%Y-%m}"
