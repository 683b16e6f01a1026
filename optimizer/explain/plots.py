"""
A night in three charts: reasons of orders, slots of carriers, and how close it was.

Rows are counted and binned before anything is drawn: a chart of a hundred million
orders holds as many numbers as one of a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from optimizer.errors import counted
from optimizer.extras import import_extra
from optimizer.report.figures import (
    NUM_COLUMNS,
    Use,
    capacity_of,
    ranked_reasons,
    with_values,
)
from optimizer.report.render import english
from optimizer.views import shown

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import polars as pl
    from plotly.graph_objects import Figure

_DARK, _PALE, _SCALE = "#1f4e79", "#9fb6cd", "Blues"
#: Characters of a name on an axis.
_NAME = 40
#: Bars of the margins on either side of the cut-off, and how much of all they show one
#: by one: those further off are in the last bar.
_NUM_BARS, _SHARE = 30, 0.98
#: Ways to round a bar's width, in micro-CNY, up to a number that people read easily.
_ROUND = [step * 10**power for power in range(19) for step in (1, 2, 5)]
_ALL_REGIONS = "all regions"


@dataclass(frozen=True, slots=True, eq=False)
class Plots:
    """
    Charts of a night: plotly figures, which a notebook shows and ``write_html`` saves.

    Attributes
    ----------
    decisions
        The decisions table, read when a chart needs it.
    capacity
        The lanes table.
    date
        The business date; ``None`` where it is unknown.

    Examples
    --------
    >>> import optimizer
    >>> from optimizer.testing import example_run
    >>> plots = optimizer.plot_run(example_run())
    >>> plots
    Plots of the night of 2026-11-22: .reasons(), .lanes(), .margins()
    >>> plots.reasons().data[0].x[0]
    11
    """

    decisions: pl.LazyFrame
    capacity: pl.DataFrame
    date: dt.date | None

    def __repr__(self) -> str:
        return f"Plots of {self._night}: .reasons(), .lanes(), .margins()"

    @property
    def _night(self) -> str:
        return "a night" if self.date is None else f"the night of {self.date}"

    def reasons(self) -> Figure:
        """
        Draw how many orders got each reason.

        Raises
        ------
        ConfigError
            When plotly is not installed.
        """
        draw = _library("graph_objects")
        found = self.decisions.group_by("reason").len().collect()
        ranked = ranked_reasons(dict(found.iter_rows()))
        total = sum(found["len"])
        words = english("reasons")
        names = [_name(_plain(words, reason)) for reason, _ in ranked]
        figure = draw.Figure(
            draw.Bar(
                x=[number for _, number in ranked],
                y=names,
                orientation="h",
                marker_color=[
                    _DARK if reason in ("CHOSEN", "EXPLORED") else _PALE
                    for reason, _ in ranked
                ],
                text=[f"{number:,} ({number / total:.1%})" for _, number in ranked],
                textposition="outside",
                cliponaxis=False,
                customdata=[reason for reason, _ in ranked],
                hovertemplate="%{customdata}: %{x:,} orders<extra></extra>",
            )
        )
        title = f"Why {counted(total, 'order')} were chosen, or not: {self._night}"
        figure.update_layout(**_layout(title, height=160 + 30 * max(1, len(ranked))))
        figure.update_layout(margin={"t": 60, "r": 110})
        figure.update_xaxes(title_text="orders", tickformat=",", rangemode="tozero")
        figure.update_yaxes(type="category", autorange="reversed", automargin=True)
        return figure

    def lanes(self) -> Figure:
        """
        Draw slots used and the value of one more slot, by carrier and region.

        Of many carriers and regions those with most slots; a region's value is that of
        its dearest row with all rows around that.

        Raises
        ------
        ConfigError
            When plotly is not installed.
        """
        draw, parts = _library("graph_objects"), _library("subplots")
        found = capacity_of(with_values(self.capacity, "one_more_around_cny"))
        carriers = [*found.carriers][:NUM_COLUMNS]
        rows = {_ALL_REGIONS: found.carriers, **found.regions}
        grid = [[row.get(carrier) for carrier in carriers] for row in rows.values()]
        columns = [_name(name or "all carriers") for name in carriers]
        names = [_name(name) for name in rows]
        is_exact = self.capacity["one_more_around_cny"].null_count() == 0
        value = (
            "one more slot there and around it" if is_exact else "price in the proof"
        )
        figure = parts.make_subplots(
            rows=1,
            cols=2,
            shared_yaxes=True,
            horizontal_spacing=0.14,
            subplot_titles=("slots used / slots", f"{value}, CNY"),
        )
        shared = {
            "x": columns,
            "y": names,
            "customdata": [[_numbers(use) for use in row] for row in grid],
            "hovertemplate": "%{x}, %{y}: %{customdata[0]:,} of %{customdata[1]:,} "
            "slots used, %{customdata[2]:,} left; "
            + value
            + ": %{customdata[3]:,.2f} CNY<extra></extra>",
            "hoverongaps": False,
            "texttemplate": "%{text}",
            "xgap": 2,
            "ygap": 2,
        }
        used = draw.Heatmap(
            z=[[_share(use) for use in row] for row in grid],
            text=[
                ["" if use is None else f"{use.used:,}/{use.slots:,}" for use in row]
                for row in grid
            ],
            zmin=0,
            zmax=1,
            colorscale=_SCALE,
            colorbar={"title": "used", "tickformat": ".0%", "x": 0.43, "thickness": 12},
            **shared,
        )
        worth = draw.Heatmap(
            z=[[None if use is None else use.around for use in row] for row in grid],
            text=[[_amount(use) for use in row] for row in grid],
            zmin=0,
            colorscale=_SCALE,
            colorbar={"title": "CNY", "tickformat": ",.2~f", "thickness": 12},
            **shared,
        )
        figure.add_trace(used, row=1, col=1)
        figure.add_trace(worth, row=1, col=2)
        title = f"Slots of carriers by region: {self._night}{_of_how_many(found)}"
        figure.update_layout(**_layout(title, height=200 + 24 * len(names)))
        figure.update_xaxes(type="category", title_text="carrier")
        figure.update_yaxes(type="category", autorange="reversed", automargin=True)
        return figure

    def margins(self) -> Figure:
        """
        Draw how far orders are from the cut-off between chosen and not chosen.

        On the right the plan's orders, by how much a saving could fall while the order
        stays chosen; on the left the others, by how much it must rise. Orders of the
        explore arm are not drawn, nor those whose decision no saving changes or whose
        margin is not known exactly.

        Raises
        ------
        ConfigError
            When plotly is not installed.
        """
        draw, parts = _library("graph_objects"), _library("subplots")
        width, bars, num_without = _bars(self.decisions)
        figure = parts.make_subplots(
            rows=2,
            cols=1,
            shared_xaxes=True,
            vertical_spacing=0.14,
            subplot_titles=("chosen by the plan", "not chosen"),
        )
        for row, is_planned in ((1, True), (2, False)):
            mine = [bar for bar in bars if bar.is_planned == is_planned]
            trace = draw.Bar(
                x=[(bar.low + bar.high) / 2 for bar in mine],
                y=[bar.num_orders for bar in mine],
                width=width,
                marker_color=_DARK if is_planned else _PALE,
                customdata=[bar.words for bar in mine],
                hovertemplate="%{customdata}: %{y:,} orders<extra></extra>",
            )
            figure.add_trace(trace, row=row, col=1)
        title = f"How far orders are from the cut-off: {self._night}"
        if num_without:
            title += (
                f"<br><sup>not shown: {counted(num_without, 'order')} whose decision"
            )
            title += " no saving changes, or whose margin is not known exactly</sup>"
        figure.update_layout(**_layout(title, height=480), bargap=0)
        figure.add_vline(x=0, line_width=2, line_color="#c0392b")
        figure.update_yaxes(title_text="orders", tickformat=",", rangemode="tozero")
        figure.update_xaxes(
            title_text="change of the saving that reverses the decision, CNY "
            "(left: it must rise; right: it may fall)",
            row=2,
            col=1,
        )
        return figure


@dataclass(frozen=True, slots=True)
class _Bar:
    """
    Orders whose margins lie between two amounts, CNY.

    Attributes
    ----------
    is_planned
        Whether the plan chose them.
    low, high
        Ends of the bar.
    num_orders
        Orders in it; in the outermost ones, those beyond too.
    words
        The range, for people.
    """

    is_planned: bool
    low: float
    high: float
    num_orders: int
    words: str


def _bars(decisions: pl.LazyFrame) -> tuple[float, list[_Bar], int]:
    """Width of a bar in CNY, the bars, and how many orders have no exact margin."""
    import polars as pl

    micro = (pl.col("margin_cny") * 1e6).round().cast(pl.Int64).alias("margin")
    planned = pl.col("reason").is_in(["CHOSEN", "HELD_OUT"]).alias("is_planned")
    ours = decisions.filter(pl.col("arm").ne_missing("explore")).select(micro, planned)
    known = ours.filter(pl.col("margin").is_not_null())
    ends, without = pl.collect_all(
        [
            known.select(pl.col("margin").abs().quantile(_SHARE, "higher")),
            ours.select(pl.col("margin").null_count()),
        ]
    )
    furthest = int(ends.item() or 0)
    width = next(step for step in _ROUND if step * _NUM_BARS >= furthest)
    # A margin of 0 counts on the side of its decision.
    side = pl.when("is_planned").then(0).otherwise(width - 1)
    place = (pl.col("margin") + side).floordiv(width)
    place = place - pl.when("is_planned").then(0).otherwise(1)
    found = (
        known.group_by("is_planned", place=place.clip(-_NUM_BARS, _NUM_BARS - 1))
        .len()
        .sort("is_planned", "place")
        .collect()
    )
    bars = [
        _Bar(
            is_planned,
            at * width / 1e6,
            (at + 1) * width / 1e6,
            number,
            _range_words(at, width),
        )
        for is_planned, at, number in found.iter_rows()
    ]
    return width / 1e6, bars, without.item()


def _range_words(place: int, width: int) -> str:
    """Say between which amounts a bar lies."""
    low, high = place * width / 1e6, (place + 1) * width / 1e6
    if place == -_NUM_BARS:
        return f"{high:g} CNY or less"
    if place == _NUM_BARS - 1:
        return f"{low:g} CNY or more"
    return f"{low:g} to {high:g} CNY"


def _library(module: str) -> Any:
    if module == "subplots":
        return import_extra("plotly.subplots", needed_by="a chart")
    return import_extra("plotly.graph_objects", needed_by="a chart")


def _layout(title: str, *, height: int) -> dict[str, Any]:
    return {
        "title": {"text": title, "x": 0.01, "xanchor": "left"},
        "height": height,
        "margin_t": 90,
        "template": "plotly_white",
        "showlegend": False,
    }


def _name(text: str) -> str:
    """A name that is no markup to the library, and not longer than an axis bears."""
    return escape(shown(text, _NAME), quote=False)


def _plain(words: Any, reason: str) -> str:
    return str(words[reason][0].unescape()) if reason in words else reason


def _share(use: Use | None) -> float | None:
    return use.used / use.slots if use is not None and use.slots else None


def _amount(use: Use | None) -> str:
    return f"{use.around:,.2f}" if use is not None and use.around else ""


def _numbers(use: Use | None) -> Sequence[float | None]:
    if use is None:
        return (None, None, None, None)
    return (use.used, use.slots, use.slots - use.used, use.around)


def _of_how_many(found: Any) -> str:
    """Say what is left out, where something is."""
    parts = [
        f"{shown_number:,} of {counted(total, thing)}"
        for shown_number, total, thing in (
            (min(NUM_COLUMNS, len(found.carriers)), found.num_carriers, "carrier"),
            (len(found.regions), found.num_regions, "region"),
        )
        if shown_number < total
    ]
    return f"<br><sup>those with most slots: {', '.join(parts)}</sup>" if parts else ""
