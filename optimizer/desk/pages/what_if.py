"""What if: a night under another cap, fee, slots and costs, solved on the spot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from optimizer.contracts.tables import LANE_RESULTS
from optimizer.desk.asked import day_of, text_of
from optimizer.desk.kept import Answer
from optimizer.desk.problems import PageProblem
from optimizer.desk.published import table_of
from optimizer.desk.render import page_text
from optimizer.report.figures import capacity_of, with_values
from optimizer.whatif.pages import draw_front

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from optimizer.desk.desk import Desk
    from optimizer.desk.published import OpenNight
    from optimizer.desk.solver_process import SolverProcess

#: Carriers whose slots can be moved, most slots first.
NUM_CARRIERS = 12
#: Seconds after which a page that waits for a night asks again.
WAIT_SECONDS = 2
#: Share of the time for an answer after which no further point of the front is begun.
FRONT_SHARE = 0.5
_NUMBER = re.compile(r"\d{1,6}(\.\d{1,4})?")


#: Name, key, carrier, tonight, high and step.
_Row = tuple[str, str, str | None, Decimal, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Dial:
    """
    A number that can be moved.

    Attributes
    ----------
    name, key
        In the query, and of the scenario.
    carrier
        Whose slots it multiplies; ``None`` for other numbers.
    tonight, asked
        As it was published, and as it is asked for.
    high, step
        The most, and the step of its slider.
    """

    name: str
    key: str
    carrier: str | None
    tonight: Decimal
    asked: Decimal
    high: Decimal
    step: Decimal


def what_if_page(desk: Desk, request: Request) -> str | Answer:
    """
    Show the dials of a night, and the night as it would be.

    Raises
    ------
    PageProblem
        When the night is too large or cannot be solved again, too many ask, or the
        query is wrong.
    """
    asked = text_of(request.query_params, "night")
    night = desk.nights.newest() if asked is None else desk.nights.open(day_of(asked))
    if desk.solver is None:
        raise PageProblem(404, "NO_PAGE")
    number = int(night.record["summary"]["num_orders"])
    if number > desk.solver.max_orders:
        most = f"{desk.solver.max_orders:,}"
        raise PageProblem(409, "NIGHT_TOO_LARGE", number=f"{number:,}", most=most)
    dials = dials_of(night, request.query_params)
    values: dict[str, Any] = {
        "day": night.day.isoformat(),
        "dials": dials,
        "rows": None,
        "front": None,
        "front_lacks": None,
        "is_ready": desk.solver.is_ready(night.folder),
        "is_part": "hx-request" in request.headers,
    }
    if not values["is_ready"]:
        text = page_text(request, "what_if.html.j2", **values)
        headers = [("Content-Type", "text/html; charset=utf-8")]
        if "hx-request" not in request.headers:
            headers.append(("Refresh", str(WAIT_SECONDS)))
        return Answer(200, text.encode(), tuple(headers))
    found = desk.solver.ask(night.folder, {"scenario": scenario_of(dials)})
    values["rows"] = found["rows"]
    values["most"] = max(1e-6, *(row["saving_cny"] for row in found["rows"]))
    if text_of(request.query_params, "front"):
        values |= front_of(desk.solver, night)
    return page_text(request, "what_if.html.j2", **values)


def front_of(solver: SolverProcess, night: OpenNight) -> dict[str, Any]:
    """
    The front of a night, as far as there is time for it.

    It is asked for by itself: whatever becomes of it, the answer to the dials stands.

    Returns
    -------
    dict
        ``front``: its points, ``None`` where there are none; ``front_lacks``: what is
        to be said of those that are missing, ``None`` where none is.
    """
    import polars as pl

    seconds = solver.answer_seconds
    values: dict[str, Any] = {"front": None, "front_seconds": int(seconds)}
    try:
        found = solver.ask(night.folder, {"front_seconds": seconds * FRONT_SHARE})
    except PageProblem as problem:
        is_late = problem.code == "SOLVER_ENDED"
        return values | {"front_lacks": "LATE" if is_late else "NOT_NOW"}
    values["front"] = draw_front(pl.DataFrame(found["front"]))
    return values | {"front_lacks": None if found["is_front_whole"] else "SOME"}


def dials_of(night: OpenNight, given: Mapping[str, str]) -> list[Dial]:
    """
    The numbers of a night that can be moved, and where a query moves them.

    Raises
    ------
    PageProblem
        When one is no number, or out of its range.
    """
    policy, objective = night.record["policy"], night.record["config"]["objective"]
    own = {name: value for name, value in (policy.get("objective") or {}).items()}
    costs = {
        name: Decimal(str(own.get(name) or objective[name]))
        for name in ("complaint_cost_cny", "return_cost_cny")
    }
    rate, fee = Decimal(policy["cap"]["rate"]), Decimal(policy["fee"]["amount_cny"])
    one, cent = Decimal(1), Decimal("0.01")
    rows: list[_Row] = [
        ("cap", "cap_rate", None, rate * 100, Decimal(20), Decimal("0.1")),
        ("fee", "fee_cny", None, fee, Decimal(10), cent),
        *(
            (name, f"{name}_cost_cny", None, costs[f"{name}_cost_cny"], high, one)
            for name, high in (("complaint", Decimal(500)), ("return", Decimal(500)))
        ),
    ]
    lanes = with_values(table_of(night, LANE_RESULTS.file), "one_more_around_cny")
    carriers = [*capacity_of(lanes).carriers][:NUM_CARRIERS]
    for number, carrier in enumerate(carriers):
        name = f"slots{number}"
        rows.append((name, "slots", carrier, one, Decimal(3), Decimal("0.05")))
    return [_dial(row, given) for row in rows]


def scenario_of(dials: list[Dial]) -> dict[str, Any]:
    """The scenario that the dials stand for; what stays as it was is left out."""
    made: dict[str, Any] = {"name": "asked"}
    slots = {}
    for dial in dials:
        if dial.asked == dial.tonight:
            continue
        if dial.carrier is not None:
            slots[dial.carrier] = str(dial.asked)
        elif dial.key == "cap_rate":
            made[dial.key] = str(dial.asked / 100)
        else:
            made[dial.key] = str(dial.asked)
    return made | ({"slots_by_carrier": slots} if slots else {})


def _dial(row: _Row, given: Mapping[str, str]) -> Dial:
    """Where a query moves a number; as tonight where it does not."""
    name, key, carrier, tonight, high, step = row
    high, text = max(high, tonight), text_of(given, name)
    if text is not None and (not _NUMBER.fullmatch(text) or Decimal(text) > high):
        raise PageProblem(400, "NO_AMOUNT", name=name, most=f"{high.normalize():f}")
    return Dial(
        name=name,
        key=key,
        carrier=carrier,
        tonight=tonight,
        asked=tonight if text is None else Decimal(text),
        high=high,
        step=step,
    )
