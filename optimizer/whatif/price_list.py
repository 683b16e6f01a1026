"""
The price list: the value of more of each limit tonight.

The value of one slot more or fewer is read from the night's own tables, for every lane
and cap. Prices do not hold for larger steps, so the night is solved again for each,
starting from tonight's prices.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import SolveError, counted
from optimizer.explain.amounts import cap_values, lane_values
from optimizer.views import Shown, View
from optimizer.whatif.base import caps_under, explored, solve_again
from optimizer.whatif.changed import has_lanes_and_caps_alone
from optimizer.whatif.perturb import with_caps, with_fee_change, with_more_slots

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.model.margins import Margins
    from optimizer.model.problem import Problem
    from optimizer.night.basis import Basis
    from optimizer.report.page import Page
    from optimizer.whatif.base import Base

#: Steps that the night is solved again for.
NUM_SLOTS, CAP_STEP, FEE_STEP_MICRO_CNY = 100, Decimal("0.01"), 1_000_000
SLOTS_STEP, AROUND_STEP = "100 slots", "100 slots around "
POINT_STEP, FEE_STEP = "1 point of cap", "1 CNY less fee"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PriceList(Shown):
    """
    The value of more of each limit.

    Attributes
    ----------
    day
        Date of the night.
    lanes
        ``carrier_id``, ``region_id``, ``outlet_id``, ``slots``, ``one_more_cny`` and
        ``one_fewer_cny`` (a slot more, or fewer, in this row alone),
        ``one_more_around_cny`` and ``one_fewer_around_cny`` (in this row and in all
        rows around it); null where there is none to lose.
    merchants
        ``merchant_id``, ``cap``, ``one_more_cny``, ``one_fewer_cny``.
    steps
        ``kind`` (night, carrier, region, outlet, merchant), ``name``, ``step``
        (``100 slots`` in a merchant's cap; ``100 slots around`` a carrier's, region's
        or outlet's dearest row, named, and in all rows around that;
        ``1 point of cap``; ``1 CNY less fee``, below 0 a subsidy; with a
        carrier's, region's or outlet's lower fee budgets buy what they buy tonight),
        ``brings_cny``: by solving again; ``gap_cny``: how far that may be from the
        truth (0: exact).
    basis
        Whether it is of the published night, or of one solved anew.
    """

    day: dt.date
    lanes: pl.DataFrame
    merchants: pl.DataFrame
    steps: pl.DataFrame
    basis: Basis

    def report(self, language: str = "en") -> Page:
        """
        Make a page for people: a notebook shows it, and ``.save(path)`` writes it.

        Parameters
        ----------
        language
            In view when it is opened: ``"en"`` or ``"zh"``; the other is a click away.

        Raises
        ------
        ConfigError
            When it is another language.
        """
        from optimizer.report.language import language_code
        from optimizer.report.page import Page
        from optimizer.whatif.pages import price_page

        tables = {
            "lanes": self.lanes,
            "merchants": self.merchants,
            "steps": self.steps,
        }
        return Page(price_page(self.basis, tables, language_code(language)))

    def _view(self) -> View:
        parts = []
        for table, thing in ((self.lanes, "lane"), (self.merchants, "cap")):
            worth = table.filter(table["one_more_cny"] > 0).height
            parts.append(f"{worth:,} of {counted(table.height, thing)}")
        names = ("kind", "name", "step", "brings_cny")
        night: list[tuple[str, str]] = []
        others: list[tuple[str, str]] = []
        for kind, name, step, brings in self.steps.select(names).iter_rows():
            place = step if kind == "night" else f"{name}: {step}"
            rows = night if kind == "night" else others
            rows.append((place, f"brings {brings:,.2f} CNY"))
        title = f"Prices of {self.day}: one more slot brings something in "
        return View(title + " and ".join(parts), tuple(night), tuple(others))


def price_list(
    base: Base, *, top: int = 5, progress: Callable[[str], None] | None = None
) -> PriceList:
    """
    Make the price list of a night.

    Parameters
    ----------
    base
        The solved night.
    top
        Number of carriers, regions, outlets and merchants that larger steps are tried
        for: those with the most valuable next slot.
    progress
        Called with each step as it starts.

    Raises
    ------
    SolveError
        When the night is not solved to its optimum, or is not of the network class:
        then prices are not the value of one more slot.
    """
    if not has_lanes_and_caps_alone(base):
        raise SolveError(
            "a price list needs a night that caps and nesting capacity rows alone "
            "limit: with loads, floors, pins, budgets or crossing rows one more slot "
            "may bring more or less than its price. Try larger steps: optimizer "
            "scenarios"
        )
    if not base.night.certificate.is_optimal:
        raise SolveError(
            "a price list needs the proved optimum, and this night's gap is not 0: "
            "solve it with method auto and relative_gap 0"
        )
    found = base.night.margins
    if found is None:
        raise SolveError(
            "a price list needs the least prices that prove the optimum; the solver "
            "was stopped before it had them: give it more time"
        )
    steps = _steps(base, found, top, progress)
    lanes, merchants = _lanes(base, found), _merchants(base, found)
    return PriceList(base.day, lanes, merchants, steps, base.basis)


def _lanes(base: Base, found: Margins) -> pl.DataFrame:
    import polars as pl

    places = base.night.names.places
    names = ("carrier_id", "region_id", "outlet_id")
    frame = pl.DataFrame(
        {
            name: pl.Series([place[i] for place in places], dtype=pl.String)
            for i, name in enumerate(names)
        }
        | {"slots": base.problem.slots + explored(base).used_slots}
        | lane_values(found, base.problem.num_lanes)
    )
    return frame.sort(names, nulls_last=False)


def _merchants(base: Base, found: Margins) -> pl.DataFrame:
    import polars as pl

    ids = pl.Series(base.night.names.merchant_ids, dtype=pl.String)
    given = {"merchant_id": ids, "cap": base.problem.cap + explored(base).used_cap}
    return pl.DataFrame(given | cap_values(found, base.problem.num_merchants))


def _steps(
    base: Base,
    found: Margins,
    top: int,
    progress: Callable[[str], None] | None,
) -> pl.DataFrame:
    """Solve the night again for each larger step."""
    import polars as pl

    rows = []
    for kind, name, step, problem in _changed(base, found, top):
        if progress is not None:
            progress(f"{kind} {name}: {step}")
        # A fee that changes for some alone moves their prices far from tonight's.
        is_near = kind == "night" or step != FEE_STEP
        answer = solve_again(base, problem, base.price if is_near else None)
        brings = answer.saving - base.night.certificate.primal_bound
        gap = answer.certificate.gap
        rows.append((kind, name, step, brings / 1e6, gap / 1e6))
    columns = {
        "kind": pl.String,
        "name": pl.String,
        "step": pl.String,
        "brings_cny": pl.Float64,
        "gap_cny": pl.Float64,
    }
    return pl.DataFrame(rows, schema=columns, orient="row")


def _changed(
    base: Base, found: Margins, top: int
) -> Iterator[tuple[str, str, str, Problem]]:
    """Every changed night: kind, name, step and problem."""
    problem, index = base.problem, base.night.names
    fee = -_counted_fee_step(base)
    slots, points, less = SLOTS_STEP, POINT_STEP, FEE_STEP
    looser, richer = _more_points(base), _cheaper_caps(base)
    yield "night", "", points, with_caps(problem, looser)
    yield "night", "", less, with_fee_change(with_caps(problem, richer), fee)
    for part, kind in enumerate(("carrier", "region", "outlet")):
        for name, lane in _dearest(base, found, part)[:top]:
            wider = with_more_slots(problem, lane, NUM_SLOTS)
            place = "/".join(str(part or "") for part in index.places[lane][:3])
            yield kind, name, AROUND_STEP + place.rstrip("/"), wider
            is_there = np.array([place[part] == name for place in index.places])
            cheaper = is_there[problem.option_lane]
            yield kind, name, less, with_fee_change(problem, fee, cheaper)
    wanted = np.argsort(-found.cap_more, kind="stable")[:top]
    for merchant in wanted[found.cap_more[wanted] > 0].tolist():
        name = index.merchant_ids[merchant]

        def own(caps: NDArray[np.int64], at: int = merchant) -> Problem:
            mine = np.where(np.arange(len(caps)) == at, caps, problem.cap)
            return with_caps(problem, mine)

        yield "merchant", name, slots, own(problem.cap + NUM_SLOTS)
        yield "merchant", name, points, own(looser)
        first, last = problem.merchant_start[merchant : merchant + 2]
        option = np.arange(problem.num_options)
        limits = problem.option_start[first], problem.option_start[last]
        is_own = (option >= limits[0]) & (option < limits[1])
        yield "merchant", name, less, with_fee_change(own(richer), fee, is_own)


def _dearest(base: Base, found: Margins, part: int) -> list[tuple[str, int]]:
    """Carriers, regions or outlets, each with its most valuable lane."""
    best: dict[str, int] = {}
    for lane, place in enumerate(base.night.names.places):
        name = place[:3][part]
        if name is None:
            continue
        before = best.get(name)
        if before is None or found.around_more[lane] > found.around_more[before]:
            best[name] = lane
    priced = [(n, at) for n, at in best.items() if found.around_more[at] > 0]
    return sorted(priced, key=lambda item: (-int(found.around_more[item[1]]), item[0]))


def _more_points(base: Base) -> NDArray[np.int64]:
    """Caps at a rate that is one point higher; caps that were set stay."""
    policy = base.night.policy
    rate = min(policy.cap.rate + CAP_STEP, Decimal(1))
    cap = policy.cap.model_copy(update={"rate": rate})
    looser = caps_under(base, policy.model_copy(update={"cap": cap}))
    return looser - explored(base).used_cap


def _cheaper_caps(base: Base) -> NDArray[np.int64]:
    """Caps at a lower fee: merchants' budgets buy more parcels."""
    policy = base.night.policy
    amount = max(policy.fee.amount_cny - 1, Decimal(0))
    fee = policy.fee.model_copy(update={"amount_cny": amount})
    richer = caps_under(base, policy.model_copy(update={"fee": fee}))
    return richer - explored(base).used_cap


def _counted_fee_step(base: Base) -> int:
    """Weight of one CNY of fee in the objective, micro-CNY."""
    share = base.config.objective.fee_share
    return int((share * FEE_STEP_MICRO_CNY).to_integral_value())
