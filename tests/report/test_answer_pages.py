"""Pages of comparisons, scenarios, prices and robustness: words, both languages."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import optimizer
from optimizer.cli.main import app
from optimizer.compare import page as diff_pages
from optimizer.compare.runs import Comparison
from optimizer.compare.side import Side
from optimizer.config import as_config
from optimizer.errors import ConfigError
from optimizer.job import run_date
from optimizer.report.page import Page
from optimizer.whatif.price_list import PriceList
from optimizer.whatif.scenario_tables import Scenarios
from tests.support.browser import Browser, find_browser
from tests.support.hostile_names import HOSTILE
from tests.support.pages import Node, articles, parse, skeleton, visible

DAY = dt.date(2026, 11, 22)
TRIED = {
    "scenarios": [{"name": "no yunda", "without_carriers": ["yunda"]}],
    "sweep": {"cap_rate": [0.01], "fee_cny": [0], "slots_factor": [1.2]},
    "pareto_points": 4,
    "harm_borne": {"merchant": 0.6, "platform": 0.3, "consumer": 0.1},
}


@pytest.fixture(scope="module")
def compared(
    published: Path, night_folder: Path, night_config, tmp_path_factory
) -> Comparison:
    """The published night, and the same one under many other rules."""
    output = tmp_path_factory.mktemp("other")
    config: dict[str, Any] = night_config(night_folder, output=str(output))
    policy = config["policy"][0]
    policy["cap"] = {"rate": 0.05, "rounding": "pooled"}
    policy["fee"] = {"amount_cny": 1, "payer": {"merchant": 0.6, "platform": 0.4}}
    policy["carriers"].remove("shunfeng")
    config["solver"] = {"num_threads": 1, "keep_previous": True}
    config["capacity"] = {"uncovered_lanes": "open"}
    return optimizer.diff(published, run_date(as_config(config), DAY).run_dir)


@pytest.fixture(scope="module")
def answers(published: Path, compared: Comparison) -> dict[str, Any]:
    """Answers of the questions that have a page."""
    return {
        "diff": compared,
        "scenarios": optimizer.scenarios(TRIED, run=published),
        "prices": optimizer.prices(published, top=1),
        "robustness": optimizer.robustness(
            published, relative_error=0.3, num_draws=8, num_hindsight=1
        ),
    }


QUESTIONS = ("diff", "scenarios", "prices", "robustness")


@pytest.fixture(scope="module", params=QUESTIONS)
def page(request: pytest.FixtureRequest, answers: dict[str, Any]) -> str:
    """The page of an answer."""
    made: Page = answers[request.param].report()
    return made.html


def test_chinese_sentences_follow_each_other_without_a_blank(
    published: Path, page: str
) -> None:
    """Answers and the night's own report set none between two of them."""
    for text in ((published / "report.html").read_text("utf-8"), page):
        (chinese,) = re.findall(r'<article lang="zh-CN">.*?</article>', text, re.DOTALL)
        assert re.search("[。；]", chinese)
        assert not re.findall(r".{20}[。；！？] +[^<\s].{20}", chinese)


def test_a_page_is_of_the_report_and_asks_no_network(page: str) -> None:
    """One file of the report's style, without script, link, picture or address."""
    root = parse(page)
    policy = str(root.all("meta")[1].attributes["content"])

    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert not root.all("script", "img", "iframe", "object", "form", "a", "base")
    assert not re.search(r"https?:|//\w|@import|url\(", page, re.IGNORECASE)
    assert len(page.encode()) < 500_000


def test_both_languages_of_a_page_say_the_same(page: str) -> None:
    """English and Chinese have the same elements and numbers, and differ in words."""
    english, chinese = articles(page)

    assert skeleton(english) == skeleton(chinese)
    assert Counter(english.values) == Counter(chinese.values)
    for one, other in zip(english.all(), chinese.all(), strict=True):
        if one.tag in ("h1", "h2", "h3", "caption", "desc"):
            assert re.search(r"[\u4e00-\u9fff]", other.text), other.text
            assert not re.search(r"[\u4e00-\u9fff]", one.text), one.text


def test_a_page_can_be_heard(page: str) -> None:
    """Headings step down one by one; tables have names, and stay tables on a phone."""
    for article in articles(page):
        levels = [int(n.tag[1]) for n in article.all("h1", "h2", "h3")]
        assert levels[0] == 1
        assert all(b <= a + 1 for a, b in pairwise(levels))
        for table in article.all("table"):
            assert table.children[0].tag == "caption"
        for table in article.of_class("cards"):
            assert table.attributes["role"] == "table"
            assert {tr.attributes["role"] for tr in table.all("tr")} == {"row"}
            assert {td.attributes["role"] for td in table.all("td")} == {"cell"}
            assert all(td.attributes["data-label"] for td in table.all("td"))
        for svg in article.all("svg"):
            title, note = svg.all("title", "desc")
            assert svg.attributes["aria-labelledby"] == title.attributes["id"]
            assert svg.attributes["aria-describedby"] == note.attributes["id"]


def test_no_page_shows_a_raw_key(page: str) -> None:
    """Neither a key of a configuration nor a column's name is a word for a planner."""
    for article in articles(page):
        text = " ".join(node.text for node in texts(article))
        assert not re.search(r"\b[a-z]+_[a-z_]+\b", text), text
        assert not article.all("code")


def texts(article: Node) -> Iterator[Node]:
    """Elements whose text is read as words; names of the night's own aside."""
    for node in article.all("h1", "h2", "h3", "p", "caption", "th", "td", "title"):
        if not node.all("bdi"):
            yield node


def test_rules_that_differ_are_told_in_words(compared: Comparison) -> None:
    """Each with what it was and what it is, as people write it."""
    english, chinese = (a.text for a in articles(compared.report().html))
    for words in (
        "Cap, share of each merchant's orders3%5%",
        "What becomes of fractions of a slotare cut offare pooled",
        "Fee for one parcel0.80 CNY1.00 CNY",
        "Merchant's share of the fee100%60%",
        "Carriers that offer premium delivery, entry 4shunfengnot set",
        "Threads of the solvernot set1",
        "Of equal plans, the one nearest to the lastnoyes",
        "Places that no capacity row nameshave no roomhave room for everything",
    ):
        assert words in english
    assert "上限：占各商家订单的比例3%5%" in chinese
    assert "不足一个名额的部分舍去汇总使用" in chinese


def test_causes_are_counted_and_orders_listed(
    compared: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bars add up to the orders that differ; the largest savings are listed."""
    monkeypatch.setattr(diff_pages, "NUM_ORDERS", 20)
    english = articles(compared.report().html)[0]
    bars = [
        row.all("span")[1].values[0] for row in english.of_class("bars")[0].all("li")
    ]
    listed = english.of_class("cards")[-1].all("tr")[1:]

    assert sum(bars) == compared.orders.height > 20
    assert bars == sorted(bars, reverse=True)
    assert len(listed) == 20
    assert f"These are 20 of {compared.orders.height}; orders.parquet" in english.text


def test_a_night_that_does_not_differ_says_so(published: Path) -> None:
    """Compared with itself, a night has no cause, rule, number or limit to list."""
    page = optimizer.diff(published, published).report().html
    shown = visible(page)

    for words in ("They do not", "None: configuration", "None: every number"):
        assert words in shown
    assert "All have the same caps" in shown


def test_scenarios_of_a_sweep_have_names(answers: dict[str, Any]) -> None:
    """What a sweep sets is said in words, with the saving of each scenario."""
    found: Scenarios = answers["scenarios"]
    english = articles(found.report().html)[0]
    rows = english.of_class("bars")[0].all("li")
    names = [row.all("span")[0].text for row in rows]

    assert names == [
        "Tonight",
        "no yunda",
        "Cap of 1%",
        "Fee of 0.00 CNY",
        "1.2 times the slots",
    ]
    savings = [row.all("span")[1].values[0] for row in rows]
    assert savings == found.scenarios["saving_cny"].to_list()


def test_a_page_opens_in_the_language_that_is_asked_for(
    answers: dict[str, Any],
) -> None:
    """Both are in it; one is chosen; another language is refused with what there is."""
    for answer in answers.values():
        chosen = [
            [
                n.attributes["id"]
                for n in parse(page.html).all("input")
                if "checked" in n.attributes
            ]
            for page in (answer.report(), answer.report("zh"))
        ]
        assert chosen == [["show-en"], ["show-zh-CN"]]
        with pytest.raises(ConfigError, match="must be en or zh, got 'de'"):
            answer.report("de")


def attacked(answers: dict[str, Any]) -> dict[str, Any]:
    """The answers, with names that attack wherever a name can stand."""

    def hostile(table: pl.DataFrame, *columns: str) -> pl.DataFrame:
        size = len(HOSTILE)
        padded = [*HOSTILE, *["name"] * max(0, table.height - size)][: table.height]
        return table.with_columns(pl.Series(name, padded) for name in columns)

    diff: Comparison = answers["diff"]
    ids = ("order_id", "merchant_id", "carrier_id_before", "reason_after")
    places = ("carrier_id", "region_id", "outlet_id")
    pairs = pl.DataFrame({"key": HOSTILE, "before": HOSTILE, "after": HOSTILE})
    before = Side("2026-11-22", HOSTILE[1], 1, 1, saving_cny=1.0)
    compared = Comparison(
        rules=pairs,
        inputs=diff.inputs.head(1).with_columns(table=pl.lit(HOSTILE[0])),
        numbers=pairs.rename({"key": "metric"}),
        orders=hostile(diff.orders, *ids),
        lanes=hostile(diff.lanes, *places),
        merchants=hostile(diff.merchants, "merchant_id"),
        limits=diff.limits,
        before=before,
        after=diff.after,
    )
    prices: PriceList = answers["prices"]
    tried: Scenarios = answers["scenarios"]
    return {
        "diff": compared,
        "prices": PriceList(
            DAY,
            hostile(prices.lanes.sort("one_more_around_cny", descending=True), *places),
            hostile(
                prices.merchants.sort("one_more_cny", descending=True), "merchant_id"
            ),
            hostile(prices.steps, "name", "step"),
            prices.basis,
        ),
        "scenarios": Scenarios(
            DAY,
            hostile(tried.scenarios, "name"),
            tried.front,
            hostile(tried.views, "name"),
            tried.basis,
        ),
    }


def test_hostile_names_are_only_text_on_these_pages(answers: dict[str, Any]) -> None:
    """Names that attack add no element, and stand in isolation."""
    for name, answer in attacked(answers).items():
        page = answer.report().html
        shown = {bdi.text for bdi in parse(page).all("bdi")}
        assert shown >= {*HOSTILE[:4]}, name
        assert not parse(page).all("script", "img", "a", "b")
        assert "\u202e" not in re.sub(r"<bdi>.*?</bdi>", "", page)


PHONE, DESKTOP = 390, 1280


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """The browser."""
    return find_browser(tmp_path_factory.mktemp("browser"))


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_pages_are_readable_on_a_phone_and_on_a_desk(
    browser: Browser, answers: dict[str, Any], is_dark: bool
) -> None:
    """
    No text is cut and nothing scrolls sideways at 390 and 1,280 px, also with names
    that attack; each text has a contrast of 4.5 or more, in both languages.
    """
    made = [*answers.values(), *attacked(answers).values()]
    pages = [answer.report().html for answer in made]
    for view in browser.look(pages, (PHONE, DESKTOP), is_dark=is_dark):
        where = f"{view['title']} {view['width']} {view['language']}: {view['palest']}"
        assert view["overflow"] <= 0, where
        assert view["outside"] == [], where
        assert view["least"] >= 4.5, where
        assert view["requests"] == []
        assert view["strange"] == 0


def test_a_phone_reads_each_row_with_its_labels(
    browser: Browser, compared: Comparison
) -> None:
    """At 390 px a table of rules needs no scrolling: a cell says what it is."""
    seen = browser.ask(
        compared.report().html,
        """
        const table = doc.querySelector("article .cards");
        const cell = table.querySelector("td");
        return {sticksOut: table.scrollWidth > table.closest(".scroll").clientWidth,
          label: view.getComputedStyle(cell, "::before").content};
        """,
        PHONE,
    )
    assert seen == {"sticksOut": False, "label": '"Before"'}


def test_commands_write_the_page_in_the_language_asked_for(
    compared: Comparison, published: Path, tmp_path: Path
) -> None:
    """``--report FILE --language zh`` writes what ``.report("zh")`` has."""
    file = tmp_path / "diff.html"
    words = ["diff", str(published), str(published), "--report", str(file)]
    done = CliRunner().invoke(app, [*words, "--language", "zh"])

    assert done.exit_code == 0, done.output
    same = optimizer.diff(published, published).report("zh")
    assert file.read_text("utf-8") == same.html
    lost = CliRunner().invoke(app, [*words[:-1], str(tmp_path / "no" / "diff.html")])
    assert "cannot be written" in str(lost.exception)
