"""Results are short at a prompt, and a table or a page in a notebook."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import optimizer
from optimizer.config import as_config, load_config
from optimizer.errors import ConfigError, PublishError
from optimizer.explain.night import Night
from optimizer.report.page import Page
from optimizer.testing import make_tables
from optimizer.views import View
from tests.support.answers import make_config, night_folder, published
from tests.support.golden_night import Golden, lane
from tests.support.trial import outcomes, settings

__all__ = ["night_folder", "published"]

DATE = "2026-11-22"


@pytest.fixture(scope="module")
def night(night_folder: Path, published: Path) -> Night:
    """The published night, in memory."""
    config = make_config(night_folder)
    paths = {name: path.format(date=DATE) for name, path in config["inputs"].items()}
    return optimizer.allocate(**paths, config=config, date=DATE)


def cells(result: Any) -> list[tuple[str, str]]:
    """The rows of a result's table, which must be well-formed."""
    table = ElementTree.fromstring(result._repr_html_())
    return [tuple("".join(cell.itertext()) for cell in row) for row in table.iter("tr")]


def lines_of(result: Any) -> list[str]:
    """Lines at a prompt, none of them long; each is in the table too."""
    lines = repr(result).splitlines()
    assert len(lines) <= 6
    assert max(map(len, lines)) <= 100
    shown = [f"{name} {text}".split() for name, text in cells(result)]
    for line in lines[1:]:
        assert line.endswith("…") or line.split() in shown
    return lines


def test_a_night_is_said_in_six_lines(night: Night) -> None:
    """Date, choice, saving, proof and reasons; prices of lanes in the table alone."""
    numbers = night.summary
    lines = lines_of(night)
    chosen = f"{numbers['num_chosen']:,} of {numbers['num_orders']:,} orders chosen"
    assert lines[0].startswith(f"Night of {DATE}: {chosen}")
    assert f"{numbers['saving_cny']:,.2f} CNY" in lines[1]
    assert lines[2].endswith("the optimum, proved (gap 0)")
    others = {k: v for k, v in numbers["reasons"].items() if k != "CHOSEN"}
    most = max(others, key=lambda name: others[name])
    assert f"{most} {others[most]:,}" in lines[3]
    dearest = night.lanes["one_more_around_cny"].max()
    prices = [text for name, text in cells(night) if name == "one more slot"]
    assert f"{dearest:,.2f} CNY" in prices[0]
    assert "one more slot" not in repr(night)


def test_prices_of_a_packing_night_are_not_what_one_more_slot_brings() -> None:
    """
    Two parcels of two slots on a lane of three: a fourth slot brings 4 CNY, and the
    price of a slot is 2. The table calls it a price, and promises nothing.
    """
    golden = Golden(
        [("a", "m", "north", 5), ("b", "n", "north", 4)],
        [lane("yunda/north", 3)],
        "a",
        order_columns={"load": {"a": 2, "b": 2}},
    )
    night = golden.solve()
    assert night.lanes["shadow_price_cny"].max() < 2.01
    said = dict(cells(night))
    assert said["price of slot"] == "yunda/north: 2.00 CNY"
    assert "one more slot" not in said
    wider = golden.solve(capacity=golden.tables()["capacity"].with_columns(slots=4))
    assert wider.summary["saving_cny"] - night.summary["saving_cny"] == 4


def test_names_cannot_be_markup_nor_move_the_cursor() -> None:
    """A merchant and a region named like a tag are text in the table."""
    evil = "<img src=x>"
    orders = [(str(n), evil, evil, 3.0 - n) for n in range(2)]
    tables = make_tables(orders, {f"yunda/{evil}": 1}, rate=1)
    found = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
    assert evil not in found._repr_html_()
    assert any(evil in text for _, text in cells(found))
    assert repr(found).startswith("Night: 1 of 2 orders")
    moved = View("a\x1b[2Jb\n", (("c\r", "d"),))
    assert not set("\x1b\r") & {*moved.text(), *moved.html()}
    assert len(moved.text().splitlines()) == 2


def test_a_night_in_memory_has_the_page_of_the_published_one(
    night: Night, published: Path
) -> None:
    """All but the files of inputs and of the folder; the frame holds it all."""

    def shown(page: Page) -> str:
        text = re.sub(r"<footer>.*?</footer>\n", "", page.html, flags=re.S)
        text = re.sub(r'<p class="quiet">[^<]*<a href=.*</p>\n', "", text)
        files = "</th><td>.*?</td><td>.*?</td>"
        names = "(orders|capacity|merchants)"
        return re.sub(rf"(<bdi>{names}</bdi>){files}", r"\1", text)

    page, first = night.report(), optimizer.report_run(published)
    assert first.html == (published / "report.html").read_text("utf-8")
    assert shown(page) == shown(first)
    assert "optimizer verify" not in page.html
    (source,) = re.findall(r'srcdoc="([^"]*)"', page._repr_html_())
    assert html.unescape(source) == page.html


def test_a_page_is_saved_or_says_why_not(tmp_path: Path) -> None:
    """As UTF-8, byte for byte."""
    page = Page("<title>夜</title>\n")
    assert page.save(tmp_path / "page.html").read_bytes() == page.html.encode()
    with pytest.raises(PublishError, match="cannot be written"):
        page.save(tmp_path / "nowhere" / "page.html")


def test_a_report_needs_a_date() -> None:
    """A night without one says what to give."""
    tables = make_tables([("a", "m", "north", 3.0)], {"yunda": 1})
    found = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
    with pytest.raises(ConfigError, match="give allocate the date="):
        found.report()


def test_a_configuration_names_its_file_and_what_else_is_set(
    monkeypatch: pytest.MonkeyPatch, night_folder: Path
) -> None:
    """Policy, harm and places; of everything else the names that differ."""
    monkeypatch.chdir(Path(__file__).parents[1])
    lines = lines_of(load_config("configs/nightly.yaml"))
    assert lines[0] == "Config of configs/nightly.yaml"
    config = as_config(make_config(night_folder, solver={"num_threads": 1}))
    assert lines_of(config)[0] == "Config of a mapping"
    assert lines_of(config)[-1] == "  set too  solver"
    assert str(config) == repr(config)


def test_a_comparison_counts_changes_and_causes(
    published: Path, night_folder: Path, tmp_path: Path
) -> None:
    """Of a night with a smaller cap: the removed orders, the rule, and why."""
    policy = make_config(night_folder)["policy"][0] | {"cap": {"rate": 0.01}}
    config = make_config(night_folder, policy=[policy], output=str(tmp_path / "runs"))
    from optimizer.job import run_date
    from tests.support.answers import DAY

    run_date(as_config(config), DAY)
    found = optimizer.diff(published, tmp_path / "runs" / DATE)
    lines = lines_of(found)
    removed = found.orders.filter(found.orders["change"] == "REMOVED").height
    assert removed > 0
    assert f"removed {removed:,}" in lines[0]
    assert f"CAP {(found.orders['why'] == 'CAP').sum():,}" in lines[1]
    assert lines[2].endswith("the same")
    assert "policy.cap.rate" in lines[3]


@pytest.mark.slow
def test_a_model_says_what_it_rests_on() -> None:
    """Its version, kind and nights, and carriers that keep their promise."""
    found = optimizer.learn_model(
        outcomes(600, seed=1), config=settings(), as_of="2026-12-01"
    )
    lines = lines_of(found)
    assert lines[0] == f"Model {found.model.version}"
    assert lines[1].endswith("randomised")
    assert lines[2].endswith("2026-11-01 to 2026-11-10")
    kept = {p.carrier_id: p.mean for p in found.model.promises if p.region_id is None}
    assert f"yunda {kept['yunda']:.0%}" in lines[3]


@pytest.mark.slow
def test_an_evaluation_gives_the_pooled_effects() -> None:
    """With their intervals; rules beside them in the table."""
    found = optimizer.evaluate(
        outcomes(2_000, seed=1), config=settings(), as_of="2026-12-01"
    )
    lines = lines_of(found)
    assert "2,000 of 2,000 parcels compared" in lines[0]
    (row,) = (
        row
        for row in found.effects
        if (row["by"], row["outcome"], row["method"])
        == (None, "complaint", "doubly_robust")
    )
    assert f"{100 * row['estimate']:+.2f} [{100 * row['low']:+.2f}" in lines[1]
    assert any(name.startswith("rule ") for name, _ in cells(found))


@pytest.mark.slow
def test_answers_to_what_if_are_short(published: Path) -> None:
    """Prices, scenarios and robustness: the night's own steps, rows and plans."""
    prices = optimizer.prices(published, top=1)
    lines = lines_of(prices)
    worth = prices.lanes.filter(prices.lanes["one_more_cny"] > 0).height
    assert f"in {worth:,} of {prices.lanes.height:,} lanes and " in lines[0]
    steps = prices.steps.filter(prices.steps["kind"] == "night")
    point = dict(steps.select("step", "brings_cny").iter_rows())["1 point of cap"]
    assert " ".join(lines[1].split()) == f"1 point of cap brings {point:,.2f} CNY"
    assert any(name.endswith(": 100 slots") for name, _ in cells(prices))

    half = {"scenarios": [{"name": f"half {n}", "cap_rate": 0.015} for n in range(6)]}
    tried = optimizer.scenarios(half, run=published)
    lines = lines_of(tried)
    assert lines[0] == f"Scenarios of {DATE}: 6 other nights"
    saving = tried.scenarios["saving_cny"][1]
    assert f"{saving:,.2f} CNY" in lines[2]
    assert len(cells(tried)) == 7
    assert isinstance(tried.report(), Page)

    doubt = optimizer.robustness(
        published, relative_error=0.3, num_draws=4, num_hindsight=0
    )
    lines = lines_of(doubt)
    assert lines[0] == "Robustness: plans in 4 draws"
    assert [line.split("  ")[1] for line in lines[1:]] == doubt.plans["plan"].to_list()


def test_no_answer_fills_a_screen(published: Path) -> None:
    """What a prompt prints of explanations, pages and charts of a night is a line."""
    for found in (
        optimizer.explain_run(published),
        optimizer.report_run(published),
        optimizer.plot_run(published),
    ):
        assert len(repr(found)) <= 1_000
        assert len(repr(found).splitlines()) == 1
