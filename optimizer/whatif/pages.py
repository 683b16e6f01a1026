"""Pages of a night under other rules, of its prices, and of how robust it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.report.render import render

if TYPE_CHECKING:
    import polars as pl

    from optimizer.whatif.price_list import PriceList
    from optimizer.whatif.robustness import Robustness
    from optimizer.whatif.scenario_tables import Scenarios

_WIDTH, _HEIGHT, _LEFT, _BASE = 720, 290, 10, 280
#: Lanes and merchants that are listed; the tables have all.
_NUM_ROWS = 50


@dataclass(frozen=True, slots=True)
class Front:
    """
    The front of harm against money as a picture.

    Attributes
    ----------
    rows
        Its points, most money first.
    has_fee
        Whether plans cost money; if not, they are told apart by their parcels.
    widest, highest
        Most money, or most parcels, and most harm avoided, CNY.
    points
        Places in the picture, in the order of the rows.
    width, height, left, base
        Of the picture; its left margin, which is the upper one too, and its base line.
    """

    rows: list[dict[str, Any]]
    has_fee: bool
    widest: float
    highest: float
    points: list[tuple[float, float]]
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    base: int = _BASE


def scenario_page(found: Scenarios, shown_first: str) -> str:
    """
    Write the page of scenarios.

    Parameters
    ----------
    found
        The scenarios, the front and the views.
    shown_first
        Code of the language in view when it is opened.

    Returns
    -------
    str
        HTML, the same for the same tables; names in it are escaped.
    """
    scenarios = found.scenarios
    return render(
        "scenarios.html.j2",
        shown_first,
        day=found.day.isoformat(),
        scenarios=scenarios.to_dicts(),
        most=max(1e-6, *scenarios["saving_cny"].to_list()),
        front=draw_front(found.front) if found.front.height else None,
        views=found.views.to_dicts(),
    )


def draw_front(front: pl.DataFrame) -> Front:
    """Place the points: money to the right, or parcels where no plan has a fee."""
    has_fee = front["fees_cny"].max() != 0
    across = front["fees_cny" if has_fee else "num_chosen"].to_list()
    up = front["harm_avoided_cny"].to_list()
    widest, highest = max(1e-6, *across), max(1e-6, *up)
    wide, high = _WIDTH - 2 * _LEFT, _BASE - _LEFT
    points = [
        (_LEFT + wide * x / widest, _BASE - high * y / highest)
        for x, y in zip(across, up, strict=True)
    ]
    return Front(front.to_dicts(), has_fee, widest, highest, points)


def price_page(found: PriceList, shown_first: str) -> str:
    """
    Write the page of the price list.

    Parameters
    ----------
    found
        The price list.
    shown_first
        Code of the language in view when it is opened.
    """
    lanes = _dearest(found.lanes, "one_more_around_cny")
    merchants = _dearest(found.merchants, "one_more_cny")
    return render(
        "prices.html.j2",
        shown_first,
        day=found.day.isoformat(),
        steps=found.steps.to_dicts(),
        most=max((1e-6, *found.steps["brings_cny"].to_list())),
        lanes=lanes.head(_NUM_ROWS).to_dicts(),
        num_lanes=lanes.height,
        merchants=merchants.head(_NUM_ROWS).to_dicts(),
        num_merchants=merchants.height,
    )


def _dearest(table: pl.DataFrame, more: str) -> pl.DataFrame:
    """Rows where one more brings something, the dearest first; ties as they were."""
    import polars as pl

    there = table.filter(pl.col(more) > 0)
    return there.sort(more, descending=True, maintain_order=True)


def robustness_page(found: Robustness, shown_first: str) -> str:
    """
    Write the page of plans under errors of the estimates.

    Parameters
    ----------
    found
        Plans and draws.
    shown_first
        Code of the language in view when it is opened.
    """
    plans = found.plans.to_dicts()
    low = min(0.0, *(row["low_cny"] for row in plans))
    wide = max(1e-6, max(row["high_cny"] for row in plans) - low)
    for row in plans:
        row["start"] = (row["low_cny"] - low) / wide
        row["middle"] = (row["mean_cny"] - low) / wide
        row["end"] = (row["high_cny"] - low) / wide
    regrets = found.draws["regret_cny"].drop_nulls()
    return render(
        "robustness.html.j2",
        shown_first,
        day=found.day.isoformat(),
        doubt=found.doubt,
        plans=plans,
        regret=round(sum(regrets) / len(regrets), 6) if len(regrets) else None,
        num_regrets=len(regrets),
    )
