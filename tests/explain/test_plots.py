"""Charts show the night's own numbers, few however large the night, and valid ones."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from plotly.graph_objects import Figure

import optimizer
from optimizer.explain.night import Night
from optimizer.explain.plots import Plots
from optimizer.report.figures import NUM_COLUMNS, NUM_REGIONS
from optimizer.report.render import english
from optimizer.testing import make_tables
from tests.support.answers import make_config, night_folder, published

__all__ = ["night_folder", "published"]

DATE = "2026-11-22"
CHARTS = ("reasons", "lanes", "margins")
LANES = {
    "carrier_id": pl.String,
    "region_id": pl.String,
    "outlet_id": pl.String,
    "service_date": pl.Date,
    "slots": pl.Int64,
    "used": pl.Int64,
    "shadow_price_cny": pl.Float64,
    "one_more_cny": pl.Float64,
    "one_more_around_cny": pl.Float64,
}
NO_LANES = pl.DataFrame(schema=LANES)


@pytest.fixture(scope="module")
def night(night_folder: Path, published: Path) -> Night:
    """The published night, in memory."""
    config = make_config(night_folder)
    paths = {name: path.format(date=DATE) for name, path in config["inputs"].items()}
    return optimizer.allocate(**paths, config=config, date=DATE)


def decisions(rows: list[tuple[str, float | None, str | None]]) -> pl.LazyFrame:
    """Orders with a reason, a margin and an arm."""
    schema = {"reason": pl.String, "margin_cny": pl.Float64, "arm": pl.String}
    return pl.LazyFrame(rows, schema=schema, orient="row")


def test_reasons_are_the_counts_of_the_orders(night: Night) -> None:
    """One bar a reason, the chosen first, then by number, in the report's words."""
    (bar,) = night.plot.reasons().data
    counts = Counter(night.orders["reason"].to_list())
    assert dict(zip(bar.customdata, bar.x, strict=True)) == counts
    assert bar.customdata[0] == "CHOSEN"
    assert list(bar.x[1:]) == sorted(bar.x[1:], reverse=True)
    names = dict(zip(bar.customdata, bar.y, strict=True))
    assert names["CAP_FULL"] == "Merchant's slots are taken"
    assert names == {code: english("reasons")[code][0].unescape() for code in names}
    total = night.orders.height
    assert bar.text[0] == f"{counts['CHOSEN']:,} ({counts['CHOSEN'] / total:.1%})"


def grid(trace: Any) -> dict[tuple[str, str], tuple[Any, ...]]:
    """Cells of a heat map by region and carrier: their numbers and their shade."""
    return {
        (region, carrier): (*trace.customdata[i][j], trace.z[i][j])
        for i, region in enumerate(trace.y)
        for j, carrier in enumerate(trace.x)
        if trace.customdata[i][j][0] is not None
    }


@pytest.mark.slow
def test_lanes_are_the_sums_of_their_rows(night: Night) -> None:
    """
    By region and carrier: slots, their use, and the dearest value.

    The row for all outlets counts where there is one, else its outlets in sum.
    """
    used, worth = night.plot.lanes().data
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in night.lanes.to_dicts():
        if row["region_id"] is not None:
            rows.setdefault((row["region_id"], row["carrier_id"]), []).append(row)
    cells = {at: cell for at, cell in grid(used).items() if at[0] != "all regions"}
    assert cells.keys() == rows.keys()
    assert len(cells) > 50
    for place, (num_used, slots, left, value, share) in cells.items():
        inside = rows[place]
        counted = [r for r in inside if r["outlet_id"] is None] or inside
        assert num_used == sum(r["used"] for r in counted)
        assert slots == sum(r["slots"] for r in counted)
        assert left == slots - num_used
        assert share == (num_used / slots if slots else None)
        assert value == max(r["one_more_around_cny"] for r in inside)
        assert grid(worth)[place][-1] == value
    for carrier in used.x:
        whole = night.lanes.filter(
            (pl.col("carrier_id") == carrier) & pl.col("region_id").is_null()
        )
        assert grid(used)["all regions", carrier][1] == whole["slots"].sum()


def test_margins_are_counted_bar_by_bar(night: Night) -> None:
    """Each bar has the orders between its ends; those further off are in the last."""
    planned, others = night.plot.margins().data
    for trace, is_planned in ((planned, True), (others, False)):
        mine = night.orders.filter(pl.col("is_premium") == is_planned)
        micro = [round(1e6 * margin) for margin in mine["margin_cny"].drop_nulls()]
        half = round(1e6 * trace.width) // 2
        centres = [round(1e6 * centre) for centre in trace.x]
        first, last = -59 * half, 59 * half
        for centre, number in zip(centres, trace.y, strict=True):
            low = -np.inf if centre == first else centre - half
            high = np.inf if centre == last else centre + half
            if is_planned:
                expected = sum(low <= margin < high for margin in micro)
            else:
                expected = sum(low < margin <= high for margin in micro)
            assert number == expected > 0
        assert sum(trace.y) == len(micro)
    assert min(planned.x) > 0 > max(others.x)


def test_a_margin_of_nothing_is_on_the_side_of_its_decision() -> None:
    """A tie that was lost stands left of the cut-off, one that was won right of it."""
    rows = [
        *(("CHOSEN", 0.0, "policy"), ("HELD_OUT", 0.0, "policy")),
        *(("CAP_FULL", 0.0, None), ("CAP_FULL", None, None)),
        *(("HELD_OUT", -3.0, "explore"), ("EXPLORED", 2.0, "explore")),
    ]
    figure = Plots(decisions(rows), NO_LANES, None).margins()
    planned, others = figure.data
    assert (planned.y, others.y) == ((2,), (1,))
    assert planned.x[0] > 0 > others.x[0]
    assert "not shown: 1 order whose decision no saving" in figure.layout.title.text


@pytest.mark.parametrize("chart", CHARTS)
def test_a_published_night_has_the_same_charts(
    chart: str, night: Night, published: Path
) -> None:
    """From its tables: the same figure to the last number, and a valid one."""
    mine = getattr(night.plot, chart)()
    theirs = getattr(optimizer.plot_run(published), chart)()
    assert mine.to_json() == theirs.to_json()
    assert DATE in mine.layout.title.text
    # The library refuses a property that it does not know, and a value that is none.
    again = Figure(json.loads(mine.to_json()), skip_invalid=False)
    assert json.loads(again.to_json()) == json.loads(mine.to_json())


def test_names_are_neither_markup_nor_numbers() -> None:
    """A region called like a tag is text; codes such as 440100 are no quantities."""
    evil = "<a href='x'>440100"
    orders = [(str(n), "m", place, 3.0) for n, place in enumerate((evil, "440100"))]
    tables = make_tables(orders, {f"yunda/{evil}": 1, "yunda/440100": 1}, rate=1)
    found = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
    figure = found.plot.lanes()
    assert "<a" not in figure.to_json().replace("\\u003c", "<")
    assert {*figure.data[0].y} >= {"440100", escape(evil, quote=False)}
    for axis in ("xaxis", "yaxis", "xaxis2", "yaxis2"):
        assert figure.layout[axis].type == "category"


@pytest.mark.parametrize("chart", CHARTS)
def test_a_night_without_orders_or_lanes_is_drawn(chart: str) -> None:
    """There is nothing to see, and no error."""
    assert getattr(Plots(decisions([]), NO_LANES, None), chart)().to_json()


@pytest.mark.slow
def test_a_chart_of_a_large_night_is_small() -> None:
    """A million orders, 500 regions and 30 carriers: some kilobytes, and it says so."""
    draw = np.random.default_rng(1)
    margins = draw.normal(-2, 5, 1_000_000).round(6)
    orders = pl.LazyFrame(
        {
            "reason": np.where(margins > 0, "CHOSEN", "CAP_FULL"),
            "margin_cny": margins,
            "arm": pl.Series([None] * len(margins), dtype=pl.String),
        }
    )
    places = [(f"c{n % 30:02}", f"r{n // 30:03}") for n in range(15_000)]
    rows = [(*place, None, None, 10, 1, 0.5, 0.5, 0.5) for place in places]
    lanes = pl.DataFrame(rows, schema=LANES, orient="row")
    plots = Plots(orders, lanes, dt.date(2026, 11, 22))
    for chart in CHARTS:
        assert len(getattr(plots, chart)().to_json()) < 64_000, chart
    figure = plots.lanes()
    assert len(figure.data[0].x) == NUM_COLUMNS
    assert len(figure.data[0].y) == NUM_REGIONS + 1
    assert f"{NUM_COLUMNS} of 30 carriers" in figure.layout.title.text
    assert f"{NUM_REGIONS} of 500 regions" in figure.layout.title.text
