"""The report in a real browser: phone and desktop, light and dark, print, hostile."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.contracts.columns import polars_type
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import NIGHTS
from optimizer.report import report_html
from tests.support.browser import Browser, find_browser
from tests.support.hostile_names import HOSTILE

PHONE, DESKTOP = 390, 1280


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser."""
    return find_browser(tmp_path_factory.mktemp("browser"))


def read_night(run_dir: Path) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """A published night, with two more nights of its week and an experiment."""
    names = ("lanes", "merchants", "quarantine", "nights")
    tables = {
        f"{name}.parquet": pl.read_parquet(run_dir / f"{name}.parquet")
        for name in names
    }
    tonight = tables["nights.parquet"]
    parts = [
        tonight.with_columns(
            pl.col("date").dt.offset_by(f"-{back}d"), pl.col("saving_cny") * (1 + back)
        )
        for back in (2, 1)
    ]
    kinds = {column.name: polars_type(column.kind) for column in NIGHTS.columns}
    tables["nights.parquet"] = pl.concat([*parts, tonight]).cast(kinds)
    record = copy.deepcopy(read_record(run_dir))
    record["summary"]["experiment"] = {
        "num_kept_back": 3,
        "num_explored": 2,
        "num_explore_standard": 4,
        "kept_back_cost_cny": 7.5,
        "explored_saving_cny": -0.5,
        "explore_cost_at_most_cny": 1.25,
    }
    return record, tables


def usual(run_dir: Path) -> str:
    """The report of a usual night."""
    return report_html(*read_night(run_dir))


def attacked(run_dir: Path) -> str:
    """The report of the night with names that attack, wherever a name can stand."""
    record, tables = read_night(run_dir)
    record["warnings"] = list(HOSTILE)
    record["policy"]["carriers"] = list(HOSTILE)
    for name, column in (("lanes", "carrier_id"), ("merchants", "merchant_id")):
        table = tables[f"{name}.parquet"]
        ids = table.sort("shadow_price_cny", descending=True)[column].unique(
            maintain_order=True
        )
        renamed = dict(zip(ids.drop_nulls(), HOSTILE, strict=False))
        tables[f"{name}.parquet"] = table.with_columns(pl.col(column).replace(renamed))
    regions = tables["lanes.parquet"]["region_id"].drop_nulls().unique().sort()
    renamed = dict(zip(regions, HOSTILE, strict=False))
    tables["lanes.parquet"] = tables["lanes.parquet"].with_columns(
        pl.col("region_id").replace(renamed)
    )
    return report_html(record, tables)


@pytest.fixture(scope="module", params=["light", "dark"])
def seen(
    request: pytest.FixtureRequest, browser: Browser, published: Path
) -> dict[tuple[str, int, str], dict[str, Any]]:
    """What the browser sees, by night, width and language."""
    pages = {"usual": usual(published), "attacked": attacked(published)}
    widths = (PHONE, DESKTOP)
    is_dark = request.param == "dark"
    found = browser.look([*pages.values()], widths, is_dark=is_dark)
    keys = [(n, w, c) for n in pages for w in widths for c in ("en", "zh-CN")]
    luminance = {True: (0, 60), False: (200, 255)}[is_dark]
    for view in found:
        shades = [int(part) for part in re.findall(r"\d+", view["ground"])]
        assert all(luminance[0] <= shade <= luminance[1] for shade in shades), view
    return dict(zip(keys, found, strict=True))


def test_nothing_sticks_out_of_the_window(seen) -> None:
    """At phone and desktop width no text is cut and nothing scrolls sideways."""
    for (night, width, language), view in seen.items():
        where = f"{night} at {width}, {language}"
        assert view["width"] == width, where
        assert view["overflow"] <= 0, where
        assert view["outside"] == [], where


def test_every_text_has_contrast_where_it_stands(seen) -> None:
    """As painted, each text has a contrast of 4.5 or more with what is behind it."""
    for key, view in seen.items():
        assert view["least"] >= 4.5, f"{key}: {view['palest']}"


def test_the_night_is_on_one_screen(seen) -> None:
    """Value, proof, parcels, fees and slots are in view before one scrolls."""
    for (night, width, language), view in seen.items():
        height = 960 if width == PHONE else 800
        assert 200 < view["glance"] <= height, (night, width, language)


def test_a_switch_by_keyboard_changes_the_language(seen) -> None:
    """The language's button takes the focus, is large enough, and shows Chinese."""
    for (_, _, language), view in seen.items():
        assert view["language"] == language
        assert min(view["sizes"]) >= 24
        if language == "zh-CN":
            assert view["isFocused"]
            assert "预计避免的损失" in view["text"]
        else:
            assert "Expected harm avoided" in view["text"]


def test_hostile_names_are_harmless_in_a_browser(seen) -> None:
    """No script, picture, link or form appears, nothing is asked for, all is text."""
    for (night, width, _), view in seen.items():
        assert view["scripts"] == 0
        assert view["requests"] == []
        assert view["title"] == "2026-11-22 · Premium delivery"
        if night == "attacked":
            for name in HOSTILE[:5]:
                assert name in view["text"], f"{name} at {width}"


def test_the_report_prints_on_a_few_pages(browser: Browser, published: Path) -> None:
    """On paper the night takes a handful of pages."""
    pdf = browser.printed(usual(published))
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))
    assert 2 <= pages <= 8
