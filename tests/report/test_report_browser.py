"""The report in a real browser: phone and desktop, light and dark, print, hostile."""

from __future__ import annotations

import copy
import csv
import io
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.contracts.columns import polars_type
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import NIGHTS
from optimizer.report import recommended, report_html
from tests.support.browser import Browser, find_browser
from tests.support.hostile_names import HOSTILE

PHONE, DESKTOP = 390, 1280


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser."""
    return find_browser(tmp_path_factory.mktemp("browser"))


def read_night(run_dir: Path) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """A published night, with two more nights of its week and an experiment."""
    names = ("lanes", "merchants", "quarantine", "nights", "decisions")
    names += ("recommendations",)
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
    record, tables = read_night(run_dir)
    return report_html(record, tables, orders_of(tables))


def orders_of(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The recommended orders."""
    places = tables["recommendations.parquet"].select("order_id", "region_id")
    decisions = tables["decisions.parquet"]
    return recommended(decisions.join(places, on="order_id", how="left"))


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
    orders = orders_of(tables).sort(pl.col("saving_cny").neg(), "order_id")
    for column in ("order_id", "merchant_id", "region_id", "reason"):
        named = [*HOSTILE, *orders[column][len(HOSTILE) :]]
        orders = orders.with_columns(pl.Series(column, named))
    return report_html(record, tables, orders)


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
    """
    Before one scrolls, the three sentences, the value and its proof are in view; on a
    desktop parcels, fees and slots too.
    """
    for (night, width, language), view in seen.items():
        bottom = view["proof"] if width == PHONE else view["glance"]
        height = 960 if width == PHONE else 800
        assert 200 < bottom <= height, (night, width, language)


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
        assert view["strange"] == 0
        assert view["requests"] == []
        assert view["title"] == "2026-11-22 · Premium delivery"
        if night == "attacked":
            for name in HOSTILE[:5]:
                assert name in view["text"], f"{name} at {width}"


#: Uses the list of orders of the article in view, and what it then says.
USE = """
const section = doc.querySelector(`article[lang="en"] .orders`);
const field = (name) => section.querySelector(`[data-filter="${name}"]`);
const rows = () => [...section.querySelectorAll("tbody tr")].map(
  (row) => [...row.cells].map((cell) => cell.textContent));
const press = (selector) => section.querySelector(selector).click();
const head = (name) => section.querySelector(`th[data-column="${name}"]`);
const status = () => section.querySelector(".shown").textContent;
"""


def test_the_list_of_orders_can_be_found_sorted_paged_and_saved(
    browser: Browser, published: Path
) -> None:
    """
    What the list shows after a search, a sort and a step is what the tables say, in
    both languages at once; the file has the orders that were found, and only those.
    """
    record, tables = read_night(published)
    orders = orders_of(tables).sort(pl.col("saving_cny").neg(), "order_id")
    merchant, carrier = orders["merchant_id"][0], orders["carrier_id"][1]
    found = browser.ask(
        report_html(record, tables, orders),
        USE
        + f"""
        const all = rows(), first = status();
        press('[data-step="1"]');
        const second = rows(), place = status();
        press('th[data-column="order_id"] button');
        const byName = rows(), order = head("order_id").ariaSort;
        field("merchant_id").value = "{merchant.upper()}";
        field("merchant_id").dispatchEvent(new view.Event("input"));
        const ofMerchant = rows();
        field("merchant_id").value = "";
        field("merchant_id").dispatchEvent(new view.Event("input"));
        const carrier = field("carrier_id");
        carrier.value = [...carrier.options].find((o) => o.text === "{carrier}").value;
        carrier.dispatchEvent(new view.Event("change"));
        field("least").value = "2.5";
        field("least").dispatchEvent(new view.Event("input"));
        let blob = null;
        view.URL.createObjectURL = (made) => {{ blob = made; return "#"; }};
        press("[data-save]");
        const other = doc.querySelector('article[lang="zh-CN"] .orders');
        return {{all, first, second, place, byName, order, ofMerchant,
          saved: await blob.text(), kind: blob.type,
          isHidden: section.querySelector("[data-without]").hidden,
          chinese: [...other.querySelectorAll("tbody tr")].length, here: rows().length,
          chosen: other.querySelector(`#${{carrier.id.replace("en", "zh-CN")}}`).value
            === carrier.value,
          number: section.querySelector("[data-save]").textContent}};
        """,
    )
    ids = orders["order_id"].to_list()
    number = len(ids)

    assert [row[0] for row in found["all"]] == ids[:25]
    assert found["first"] == f"1–25 of {number} orders"
    assert [row[0] for row in found["second"]] == ids[25:50]
    assert found["place"] == f"26–50 of {number} orders"
    assert [row[0] for row in found["byName"]] == sorted(ids)[:25]
    assert found["order"] == "ascending"
    own = orders.filter(pl.col("merchant_id") == merchant)["order_id"]
    assert [row[0] for row in found["ofMerchant"]] == sorted(own)
    kept = orders.filter(
        (pl.col("carrier_id") == carrier) & (pl.col("saving_cny") >= 2.5)
    ).sort("order_id")
    columns = ["order_id", "merchant_id", "carrier_id", "region_id"]
    saved = pl.read_csv(io.BytesIO(found["saved"].encode()))
    amounts = ["saving_cny", "margin_cny"]
    assert saved.rows() == kept.select(*columns, *amounts).rows()
    assert len(kept) > 2
    assert found["kind"].startswith("text/csv")
    assert found["number"] == f"Download {len(kept)} as CSV"
    assert found["chinese"] == found["here"] == min(25, len(kept))
    assert found["chosen"]
    assert found["isHidden"]


def test_a_saved_list_is_no_formula_and_keeps_odd_names(
    browser: Browser, published: Path
) -> None:
    """Names that attack a spreadsheet are texts in the file; the others are exact."""
    found = browser.ask(
        attacked(published),
        USE
        + """
        let blob = null;
        view.URL.createObjectURL = (made) => { blob = made; return "#"; };
        press("[data-save]");
        return {saved: await blob.text(), why: head("reason") !== null,
          strange: doc.querySelectorAll("img, iframe, form, b").length};
        """,
    )
    rows = list(csv.reader(io.StringIO(found["saved"].removeprefix("\ufeff"))))

    names = [f"'{name}" if name.startswith("=") else name for name in HOSTILE]
    assert [row[0] for row in rows[1 : len(names) + 1]] == names
    assert found["why"]
    assert found["strange"] == 0


def test_without_scripts_the_first_orders_are_told(
    browser: Browser, published: Path
) -> None:
    """Where the script may not run, no dead control is shown, and a sentence says."""
    page = re.sub(r"script-src '[^']*'; ", "", usual(published))
    found = browser.ask(
        page,
        USE
        + """
        return {rows: rows().length, buttons: section.querySelectorAll("button").length,
          seen: section.innerText};
        """,
    )
    assert found["rows"] == 25
    assert found["buttons"] == 3
    assert "Download" not in found["seen"]
    assert "These are the first 25 of" in found["seen"]
    assert "decisions.parquet" in found["seen"]


def test_the_report_prints_on_a_few_pages(browser: Browser, published: Path) -> None:
    """On paper the night takes a handful of pages."""
    pdf = browser.printed(usual(published))
    assert pdf.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))
    assert 2 <= pages <= 8
