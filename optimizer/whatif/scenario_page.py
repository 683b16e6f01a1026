"""One page of scenarios: a bar for each, and the front as a line; no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.report.render import render

if TYPE_CHECKING:
    import polars as pl

_WIDTH, _HEIGHT, _LEFT, _BASE = 720, 320, 20, 280


@dataclass(frozen=True, slots=True)
class Front:
    """
    The front of harm against money as a picture.

    Attributes
    ----------
    widest, highest, unit
        Most money (or parcels, where there is no fee) and most harm avoided, in CNY.
    points
        Places in the picture, most money first.
    width, height, left, base
        Of the picture; its left margin, which is the upper one too, and its base line.
    """

    widest: float
    highest: float
    unit: str
    points: list[tuple[float, float]]
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    base: int = _BASE


def scenario_page(
    title: str, scenarios: pl.DataFrame, front: pl.DataFrame, views: pl.DataFrame
) -> str:
    """
    Write the page.

    Parameters
    ----------
    title
        Title of the page.
    scenarios, front, views
        The tables; see :mod:`optimizer.whatif.scenario_tables`.

    Returns
    -------
    str
        HTML, the same for the same tables; names in it are escaped.
    """
    return render(
        "scenarios.html.j2",
        title=title,
        scenarios=scenarios.to_dicts(),
        most=max(1e-6, *scenarios["saving_cny"].to_list()),
        front=draw_front(front) if front.height else None,
        views=views.to_dicts(),
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
    return Front(widest, highest, "CNY of fees" if has_fee else "parcels", points)
