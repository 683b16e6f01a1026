"""Pages of a night under other rules, of its prices, and of how robust it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.report.render import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from optimizer.night.basis import Basis

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


def scenario_page(
    basis: Basis, tables: Mapping[str, pl.DataFrame], shown_first: str
) -> str:
    """
    Write the page of scenarios.

    Parameters
    ----------
    basis
        What it is of, with its date.
    tables
        ``scenarios``, ``front`` and ``views``; see
        :mod:`optimizer.whatif.scenario_tables`.
    shown_first
        Code of the language in view when it is opened.

    Returns
    -------
    str
        HTML, the same for the same tables; names in it are escaped.
    """
    scenarios, front = tables["scenarios"], tables["front"]
    return render(
        "scenarios.html.j2",
        shown_first,
        day=basis.day.isoformat(),
        basis=basis.to_json(),
        scenarios=scenarios.to_dicts(),
        most=max(1e-6, *scenarios["saving_cny"].to_list()),
        front=draw_front(front) if front.height else None,
        views=tables["views"].to_dicts(),
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


def price_page(
    basis: Basis, tables: Mapping[str, pl.DataFrame], shown_first: str
) -> str:
    """
    Write the page of the price list.

    Parameters
    ----------
    basis
        What it is of, with its date.
    tables
        ``lanes``, ``merchants`` and ``steps`` of the price list.
    shown_first
        Code of the language in view when it is opened.
    """
    lanes = _dearest(tables["lanes"], "one_more_around_cny")
    merchants = _dearest(tables["merchants"], "one_more_cny")
    return render(
        "prices.html.j2",
        shown_first,
        day=basis.day.isoformat(),
        basis=basis.to_json(),
        steps=tables["steps"].to_dicts(),
        most=max((1e-6, *tables["steps"]["brings_cny"].to_list())),
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


def robustness_page(
    basis: Basis,
    doubt: Mapping[str, Any],
    tables: Mapping[str, pl.DataFrame],
    shown_first: str,
) -> str:
    """
    Write the page of plans under errors of the estimates.

    Parameters
    ----------
    basis
        What it is of, with its date.
    doubt
        What was assumed, by name.
    tables
        ``plans`` and ``draws``.
    shown_first
        Code of the language in view when it is opened.
    """
    plans = tables["plans"].to_dicts()
    low = min(0.0, *(row["low_cny"] for row in plans))
    wide = max(1e-6, max(row["high_cny"] for row in plans) - low)
    for row in plans:
        row["start"] = (row["low_cny"] - low) / wide
        row["middle"] = (row["mean_cny"] - low) / wide
        row["end"] = (row["high_cny"] - low) / wide
    regrets = tables["draws"]["regret_cny"].drop_nulls()
    return render(
        "robustness.html.j2",
        shown_first,
        day=basis.day.isoformat(),
        basis=basis.to_json(),
        doubt=doubt,
        plans=plans,
        regret=round(sum(regrets) / len(regrets), 6) if len(regrets) else None,
        num_regrets=len(regrets),
    )
