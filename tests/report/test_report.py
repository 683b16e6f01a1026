"""The night's report: true numbers, both languages, harmless whatever the names."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import hashlib
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer import allocate
from optimizer.config import as_config
from optimizer.config.report import MAX_ORDERS
from optimizer.contracts.columns import Kind, polars_type
from optimizer.contracts.headline import expected_words
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import EVERY_NIGHT, PUBLISHED
from optimizer.job import run_date
from optimizer.report import recommended, report_figures, report_html
from optimizer.report.figures import Use, capacity_of
from optimizer.report.language import CHINESE, LANGUAGES
from optimizer.report.margins import margins_of
from optimizer.report.orders import NUM_ROWS
from optimizer.report.render import stylesheet
from optimizer.testing import make_tables
from tests.support.golden_night import publish
from tests.support.golden_nights import GOLDEN
from tests.support.hostile_names import HOSTILE
from tests.support.pages import (
    Node,
    articles,
    lines_of,
    parse,
    skeleton,
    visible,
)

DAY = dt.date(2026, 11, 22)
STYLE = stylesheet("style.css")


def table_of(name: str, rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    """A published table with these rows; their last columns may be left out."""
    kinds: dict[str, Kind] = {
        column.name: column.kind for column in EVERY_NIGHT[name].columns
    }
    schema = {column: polars_type(kind) for column, kind in kinds.items()}
    padded = [(*row, *[None] * (len(schema) - len(row))) for row in rows]
    return pl.DataFrame(padded, schema=schema, orient="row")


@dataclass
class Made:
    """A night's record and tables."""

    record: dict[str, Any]
    tables: dict[str, pl.DataFrame]

    @property
    def page(self) -> str:
        """The report."""
        margins = margins_of(self.tables["decisions.parquet"].lazy())
        orders = orders_of(self.tables)
        return report_html(self.record, self.tables, orders, margins)


def orders_of(tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The recommended orders, out of published tables."""
    places = tables["recommendations.parquet"].select("order_id", "region_id")
    decisions = tables["decisions.parquet"]
    return recommended(decisions.join(places, on="order_id", how="left"))


def with_tables(night: Made, **rows: list[tuple[Any, ...]]) -> Made:
    """The same night with other tables."""
    names = {f"{name}.parquet": given for name, given in rows.items()}
    made = {name: table_of(name, given) for name, given in names.items()}
    return Made(copy.deepcopy(night.record), night.tables | made)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A real night, published and read back, with warnings and refused rows."""
    folder = tmp_path_factory.mktemp("night")
    orders: list[tuple[str, str, str, Any]] = [
        (f"o{n}", f"m{n % 7}", f"r{n % 3}/s{n % 2}", n % 29 * 0.37 + n % 7 - 4)
        for n in range(280)
    ]
    orders += [(f"small{n}", f"small{n}", "r0/s1", n * 1.25) for n in range(9)]
    orders += [("lost", "m1", "r1/s1", {"zhongtong": 4.0})]
    slots = {"yunda": 40, "yunda/r0": 20, "yunda/r0/s0": 4, "yunda/r1": 9}
    made = make_tables(orders, slots, rate="0.15")
    made.config["policy"][0]["compensation"] = {"amount_cny": 5}
    made.config["policy"][0]["fee"] = {
        "amount_cny": 0.35,
        "payer": {"merchant": 0.6, "platform": 0.4},
    }
    broken = made.orders.with_columns(
        complaint_prob_standard=pl.when(pl.int_range(pl.len()) == 3)
        .then(1.5)
        .otherwise("complaint_prob_standard"),
        carrier_id=pl.when(pl.int_range(pl.len()) % 40 == 7)
        .then(pl.lit("suteng"))
        .otherwise("carrier_id"),
    )
    broken.write_parquet(folder / "orders.parquet")
    made.capacity.write_csv(folder / "capacity.csv")
    config = as_config(
        made.config
        | {
            "inputs": {
                "orders": str(folder / "orders.parquet"),
                "capacity": str(folder / "capacity.csv"),
            },
            "output": str(folder / "runs"),
            "quarantine": {"max_share": 0.1},
            "solver": {"method": "flow"},
        }
    )
    run_dir = run_date(config, DAY).run_dir
    tables = {name: pl.read_parquet(run_dir / name) for name in EVERY_NIGHT}
    return Made(read_record(run_dir), tables)


@pytest.fixture(scope="module")
def hostile(night: Made) -> Made:
    """The same night, with names that attack wherever a name can stand."""
    record = copy.deepcopy(night.record)
    record["warnings"] = list(HOSTILE)
    record["policy"]["carriers"] = list(HOSTILE)
    record["inputs"] = {
        name: {"num_rows": 1, "files": [{"path": name, "sha256": name}]}
        for name in HOSTILE
    }
    record["versions"] = dict.fromkeys(HOSTILE, HOSTILE[0])
    record["summary"]["reasons"] |= dict.fromkeys(HOSTILE, 5)
    record["identity"] |= {"version": HOSTILE[0], "config_sha256": HOSTILE[0]}
    record["problem_class"] = record["config"]["solver"]["method"] = HOSTILE[0]
    record["termination"]["limit"] = HOSTILE[1]
    return with_tables(
        Made(record, night.tables),
        decisions=[(n, n, True, n, 9.0, n, 0.5) for n in HOSTILE],
        recommendations=[(n, n, n, n, 9.0) for n in HOSTILE],
        lanes=[(n, n, n, 9, 3, 6, 0.5) for n in HOSTILE]
        + [(HOSTILE[0], n, None, 9, 3, 6, 0.5) for n in HOSTILE]
        + [(n, None, None, 9, 3, 6, 0.5) for n in HOSTILE[5:]],
        merchants=[(n, 9, 0, 0, 0, 1.5) for n in HOSTILE],
        quarantine=[(n, 1, n, n) for n in HOSTILE],
    )


def empty_night(night: Made) -> Made:
    """A night without lanes, merchants or orders."""
    record = copy.deepcopy(night.record)
    summary = record["summary"]
    numbers = {key: 0 for key, value in summary.items() if isinstance(value, int)}
    record["summary"] = (
        summary
        | numbers
        | {
            "saving_cny": 0.0,
            "fees_cny": dict.fromkeys(summary["fees_cny"], "0"),
            "reasons": dict.fromkeys(summary["reasons"], 0),
        }
    )
    record["certificate"] |= {"primal_bound": 0, "dual_bound": 0, "gap": 0}
    record["warnings"] = []
    none = {name.removesuffix(".parquet"): [] for name in EVERY_NIGHT}
    return with_tables(Made(record, {}), **none)


@pytest.fixture(scope="module")
def with_week(night: Made) -> Made:
    """The same night, packing, after three others of its week, with an experiment."""
    made = with_tables(
        night,
        nights=[
            (day(15), 900, 15, 40, 30.0, 1.0, 0.0, 0, 0, "a"),
            (day(18), 900, 25, 50, 100.0, 1.0, 0.0, 0, 0, "b"),
            (day(21), 900, 20, 40, 80.0, 1.0, 0.0, 0, 0, "c"),
            (day(22), 1_000, 24, 40, 60.0, 1.0, 0.25, 0, 0, None),
        ],
    )
    made.record["problem_class"] = "packing"
    made.record["summary"]["penalties_cny"] = 9.75
    made.record["summary"]["experiment"] = {
        "num_kept_back": 3,
        "num_explored": 2,
        "num_explore_standard": 4,
        "kept_back_cost_cny": 7.5,
        "explored_saving_cny": -0.5,
        "explore_cost_at_most_cny": 1.25,
    }
    return made


def day(number: int) -> dt.date:
    """A day of the night's month."""
    return DAY.replace(day=number)


def largest_night(night: Made) -> Made:
    """50,000 lanes, merchants and refused rows; endless names, warnings and files."""
    record = copy.deepcopy(night.record)
    record["warnings"] = ["<&'\"" * 50_000] * 1_000
    record["policy"]["carriers"] = [f"carrier-{n}-" + "<" * 500 for n in range(5_000)]
    file = {"path": "/x/" + "&" * 5_000, "num_bytes": 1, "sha256": "0" * 64}
    for used in record["inputs"].values():
        used["files"] = [file] * 5_000
    wide, number = "<" * 500, range(50_000)
    return with_tables(
        Made(record, night.tables),
        lanes=[
            (
                f"c{n % 30}{wide}",
                f"r{n % 1_000}{wide}",
                f"{n}{wide}",
                10**9,
                n,
                1,
                n / 7,
            )
            for n in number
        ],
        merchants=[(f"{n}{wide}", 10**9, 10**8, n, 1, n / 7) for n in number],
        quarantine=[("orders", n, f"{n}{wide}", f"{n}{wide}") for n in number],
    )


NIGHTS = {
    "real": lambda night: night,
    "empty": empty_night,
    "largest": largest_night,
}


@pytest.fixture(scope="module", params=NIGHTS)
def any_night(request: pytest.FixtureRequest, night: Made) -> Made:
    """A usual night, an empty one, and one of the largest."""
    return NIGHTS[request.param](night)


@pytest.mark.slow
def test_page_stands_alone_and_is_small(any_night):
    """
    Whatever the night, the page is below 2 MB, asks no network, has no script but the
    one that its policy names by hash, and links to tables beside it alone.
    """
    page = any_night.page
    root = parse(page)
    policy = root.all("meta")[1].attributes
    scripts = root.all("script")
    code = [node for node in scripts if not node.attributes]
    allowed = "".join(f"script-src '{hash_of(node.text)}'; " for node in code)

    assert len(page.encode()) < 2_000_000
    assert not root.all("img", "iframe", "object", "form", "base")
    assert len(scripts) == (2 if root.of_class("filters") else 0)
    assert all(n.attributes["type"] == "application/json" for n in scripts[:-1])
    assert not re.search(r"https?:|//\w|@import|[^t]url\(", page, re.IGNORECASE)
    assert policy["http-equiv"] == "Content-Security-Policy"
    rules = f"default-src 'none'; {allowed}style-src 'unsafe-inline'; img-src data:; "
    assert str(policy["content"]).startswith(rules)
    for node in root.all():
        assert not any(key.startswith("on") for key in node.attributes)
        assert "style" not in node.attributes
        assert node.attributes.get("href", "data:,") in ("data:,", *BESIDE)
        assert "src" not in node.attributes


#: Files beside the page that it links to.
BESIDE = ("recommendations.parquet", "decisions.parquet")


def hash_of(script: str) -> str:
    """A script's name in a policy of content."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def test_page_can_be_heard_and_used_by_keyboard(any_night):
    """Headings step down one by one, tables and pictures say what they show."""
    root = parse(any_night.page)
    ids = [n.attributes["id"] for n in root.all() if "id" in n.attributes]
    labels = {n.attributes["for"] for n in root.all("label")}
    fields = [n.attributes["id"] for n in root.all("input", "select")]
    switches = [field for field in fields if str(field).startswith("show-")]

    assert len(ids) == len(set(ids))
    assert set(fields) == labels
    assert all(f"#{switch}:focus-visible" in STYLE for switch in switches)
    assert root.all("html")[0].attributes["lang"] == "en"
    for article in root.all("article"):
        levels = [int(n.tag[1]) for n in article.all("h1", "h2", "h3", "h4")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b <= a + 1 for a, b in pairwise(levels))
        for table in article.all("table"):
            assert table.children[0].tag == "caption"
            assert table.children[0].text.strip()
            assert all(
                th.attributes["scope"] in ("row", "col") for th in table.all("th")
            )
        for svg in article.all("svg"):
            if svg.attributes.get("aria-hidden") == "true":
                continue
            assert svg.attributes["role"] == "img"
            title, note = svg.all("title", "desc")
            assert svg.attributes["aria-labelledby"] == title.attributes["id"]
            assert svg.attributes["aria-describedby"] == note.attributes["id"]
            assert title.text
            assert note.text


def test_both_languages_say_the_same_thing(any_night):
    """English and Chinese have the same elements and numbers, and differ in words."""
    english, chinese = articles(any_night.page)

    assert english.attributes["lang"] == "en"
    assert chinese.attributes["lang"] == "zh-CN"
    assert skeleton(english) == skeleton(chinese)
    assert Counter(english.values) == Counter(chinese.values)
    for one, other in zip(english.all(), chinese.all(), strict=True):
        if one.tag in ("h1", "h2", "h3", "caption", "title", "desc", "dt"):
            assert re.search(r"[\u4e00-\u9fff]", other.text), other.text
            assert not re.search(r"[\u4e00-\u9fff]", one.text), one.text


READ = Path(__file__).with_name("pages_read")
#: Nights whose pages are kept as they are read: the fixture's, and golden ones.
KEPT = ("a week", "a conflict", "purchases by quantile")


@pytest.mark.parametrize("name", KEPT)
def test_a_page_reads_as_it_was_kept(
    name: str, with_week: Made, tmp_path: Path
) -> None:
    """
    Every line and figure of a page, in both languages, is that of the kept text,
    whatever its markup. ``OPTIMIZER_KEEP_PAGES=1`` keeps what is read now.
    """
    made = with_week
    if name in GOLDEN:
        run_dir = publish(GOLDEN[name], tmp_path)
        names = [n for n in PUBLISHED if (run_dir / n).exists()]
        tables = {table: pl.read_parquet(run_dir / table) for table in names}
        made = Made(read_record(run_dir), tables)
    for article in articles(made.page):
        found = "\n".join(lines_of(article)) + "\n"
        kept = READ / f"{name.replace(' ', '-')}.{article.attributes['lang']}.txt"
        if os.environ.get("OPTIMIZER_KEEP_PAGES"):
            kept.write_text(found, "utf-8")
        assert found == kept.read_text("utf-8")
        assert found.count("\n") > 70


def test_hostile_names_are_only_text(night, hostile):
    """Names that attack add no element and no attribute, and stand in isolation."""
    tame = json.loads(json.dumps(hostile.record))
    names = {name: f"name {number}" for number, name in enumerate(HOSTILE)}
    renamed = {
        key: table.with_columns(pl.col(pl.String).replace(names))
        for key, table in hostile.tables.items()
    }
    quiet = Made(_renamed(tame, names), renamed).page
    page = hostile.page
    shown = {bdi.text for bdi in parse(page).all("bdi")}

    assert sorted(skeleton(parse(page))) == sorted(skeleton(parse(quiet)))
    assert set(HOSTILE[:-1]) <= shown
    assert "nul\ufffd bell\ufffd next\ufffd" in shown
    for node in parse(page).all():
        own = "".join(str(value) for value in node.attributes.values())
        assert "alert" not in own
        assert "example.com" not in own
    outside = re.sub(r"<bdi>.*?</bdi>", "", page)
    assert "\u202e" not in outside


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """The same record with other names in it."""
    if isinstance(value, dict):
        return {names.get(k, k): _renamed(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def _leaves(value: Any) -> set[float]:
    """All numbers of a record."""
    if isinstance(value, dict):
        return set().union(*map(_leaves, value.values()), set())
    if isinstance(value, list):
        return set().union(*map(_leaves, value), set())
    try:
        return set() if value is None else {float(value)}
    except ValueError:
        return set()


def test_every_number_stands_in_the_record_or_in_a_table(night):
    """No number is the report's own: each is in run.json, a table, or counts rows."""
    record = {k: v for k, v in night.record.items() if k != "run_measurements"}
    lanes, merchants = night.tables["lanes.parquet"], night.tables["merchants.parquet"]
    known = _leaves(record)
    known |= {known_micro / 1e6 for known_micro in _leaves(record["certificate"])}
    for table in night.tables.values():
        for column in table.select(pl.col(pl.Int64, pl.Float64)).iter_columns():
            known |= {float(value) for value in column.drop_nulls()}
    priced = [
        table.filter(pl.col("shadow_price_cny") > 0) for table in (lanes, merchants)
    ]
    without = merchants.filter(pl.col("cap") == 0)
    rules = night.tables["quarantine.parquet"].group_by("column", "rule").len()
    known |= {float(len(table)) for table in (*priced, without)}
    known |= {1.0, float(lanes["region_id"].n_unique() - 1), *rules["len"]}
    known |= {float(NUM_ROWS)}

    english = articles(night.page)[0]
    counted = Counter(english.of_class("margins")[0].values)
    shown = Counter(english.values) - counted
    assert set(shown) <= known
    assert len(shown) > 60


def test_every_number_stands_in_the_table_of_figures(any_night, with_week):
    """
    What the page shows is in figures.parquet too, as the night, the week and chance
    have it; orders and their margins, which are in the decisions, and list lengths and
    positions, which are no facts of the night, aside.
    """
    for made in (any_night, with_week):
        figures = report_figures(made.record, made.tables)
        known = set(figures["value"])
        english = articles(made.page)[0]
        beside = [english.all("caption"), english.of_class("quiet")]
        notes = [value for nodes in beside for n in nodes for value in n.values]
        names = [value for dd in english.all("dd")[-4:] for value in dd.values]
        of_orders = english.of_class("orders") + english.of_class("margins")
        listed = [value for n in of_orders for value in n.values]
        aside = Counter(notes) + Counter(names) + Counter(listed)
        shown = Counter(english.values) - aside
        assert set(shown) <= known | {12.0, 20.0, 4_970.0, 4_988.0}
        assert figures.select("section", "item", "figure").is_unique().all()


def row_of(english: Node, name: str) -> list[list[float]]:
    """Numbers of the bars of the week, by night."""
    return [row.values for row in english.of_class(name)[0].all("li")]


def test_the_week_is_told_by_hand(with_week):
    """
    Against 80 CNY and 20 parcels the night before, 60 CNY and 24 parcels are a quarter
    less and a fifth more; bars compare with the best night, and the latest comes first.
    """
    english = articles(with_week.page)[0]
    tiles = [tile.values for tile in english.of_class("tile")[4:]]
    bars = [lengths(row) for row in english.of_class("nights")[0].all("li")]

    assert tiles == [
        [-0.25, 80, 3, 70],
        [0.2, 20, 3, 20],
        [-0.375, 4, 3, 3.333333],
        [0.2, 0.5, 3, 0.458333],
    ]
    assert bars == [[60], [80], [100], [30]]
    assert row_of(english, "nights")[0] == [60, 24, 1_000, 2.5, 0.6, 0.25]
    shown = visible(with_week.page)
    assert "Sunday, 22 November 2026 this night" in shown
    assert "−25.0%" in shown
    assert "Against" not in shown


def test_a_first_night_has_nothing_to_be_compared_with(night):
    """Without an earlier night the page says so, and compares with nothing."""
    assert "No night of the seven days before is published" in visible(night.page)
    assert not articles(night.page)[0].of_class("nights")


def test_chance_and_penalties_are_told_where_there_are_any(with_week, night):
    """What is kept back and explored at random, its cost, and floors not reached."""
    shown = visible(with_week.page)
    for words in (
        "3Chosen, and kept backthis costs 7.50 CNY",
        "2Recommended at randomthis costs at most 1.25 CNY; 4 more drew",
        "7.50 CNY of the proved plan are kept back at random",
        "cost 9.75 CNY in penalties",
    ):
        assert words in shown
    proved = with_week.record["certificate"]["primal_bound"] / 1e6
    assert f"Lots aside, the plan avoids {proved:,.2f} CNY: it is proved that" in shown
    assert "Lots aside" not in visible(night.page)
    assert "What was decided at random" not in visible(night.page)
    assert "penalties" not in visible(night.page)


@pytest.mark.parametrize(
    ("bound", "words"),
    [("branches", "stopped its branches at"), ("prices", "proves no optimum")],
)
def test_branches_that_met_a_limit_are_said_to_have(night, bound, words):
    """A tree that ran out of memory is no method that proves nothing."""
    record = copy.deepcopy(night.record)
    record["termination"] = {"reason": "FEASIBLE", "limit": "METHOD"}
    record["certificate"]["bound"] = bound
    page = report_html(record, night.tables)
    assert [said in page for said in (words, "ran to the end")] == [True, False]


def test_glance_is_the_record(night):
    """The top of the page shows the record's value, proof, parcels, fees and slots."""
    english = articles(night.page)[0]
    summary, proof = night.record["summary"], night.record["certificate"]
    value, proved = english.of_class("value")[0], english.of_class("proof")[0]
    tiles = [tile.values for tile in english.of_class("tile")]
    fees, most = summary["fees_cny"], summary["largest_compensation_cny"]

    assert value.values == [summary["saving_cny"], 1.0]
    assert proved.values == [proof["dual_bound"] / 1e6, proof["primal_bound"] / 1e6, 0]
    assert tiles == [
        [summary["num_chosen"], summary["num_orders"]],
        [float(fees[who]) for who in ("total", "merchant", "platform")],
        [float(amount) for amount in most.values()],
        [
            summary["sum_of_caps"],
            summary["num_merchants_with_cap"],
            summary["num_merchants"],
        ],
    ]


@pytest.mark.parametrize(
    ("share", "total", "english", "chinese"),
    [
        ("1", "2.4", "after fees of 2.40 CNY.", "已扣除服务费 2.40 元。"),
        ("0.5", "2.4", "after 50% of the fees of 2.40 CNY.", "2.40 元 中的 50%。"),
        ("0", "2.4", "before fees of 2.40 CNY.", "未扣除服务费 2.40 元。"),
        ("1", "0", "and no fee is paid.", "不产生服务费。"),
    ],
)
def test_a_saving_says_what_of_the_fees_is_off_it(
    night: Made, share: str, total: str, english: str, chinese: str
) -> None:
    """
    Nobody takes fees off twice: the first sentence says whether they are off, by the
    rules in force, which go before the objective, and the run's line says the same.
    """
    record = copy.deepcopy(night.record)
    record["policy"]["objective"] = {"fee_share": share}
    record["summary"]["fees_cny"]["total"] = total
    said = articles(report_html(record, night.tables))
    for page, words in zip(said, (english, chinese), strict=True):
        (told,) = page.of_class("plainly")
        assert words.replace(" ", "") in told.text.replace(" ", "")
    assert f"{expected_words(record)}." == (
        f"avoids {record['summary']['saving_cny']:,.2f} CNY of expected harm, {english}"
    )


@pytest.mark.parametrize("language", range(2), ids=["english", "chinese"])
def test_lists_are_the_rows_of_the_tables(night, language):
    """
    The lanes and merchants where one more brings most are listed in order, with their
    use, and what it brings: in a lane and around it, and in the lane alone.
    """
    article = articles(night.page)[language]
    pairs = article.of_class("pair")
    lists = [table for pair in pairs for table in pair.of_class("list")]
    tables = lists[:2]
    for shown, name, columns in zip(
        tables,
        ("lanes", "merchants"),
        (
            ["used", "slots", "one_more_around_cny", "one_more_cny"],
            ["used", "cap", "one_more_cny"],
        ),
        strict=True,
    ):
        rows = night.tables[f"{name}.parquet"].filter(pl.col(columns[2]) > 0)
        most = rows.sort(columns[2], descending=True).head(20)
        body = [row.values[-len(columns) :] for row in shown.all("tr")[1:]]

        assert len(body) > 3
        assert [row[2] for row in body] == most[columns[2]].to_list()
        assert set(map(tuple, body)) <= set(rows.select(columns).iter_rows())


def test_a_value_that_is_not_known_is_a_dash(night):
    """On nights of many lanes that of a slot in a lane alone can be unknown."""
    lanes = night.tables["lanes.parquet"].with_columns(
        one_more_cny=pl.lit(None, pl.Float64)
    )
    page = report_html(night.record, night.tables | {"lanes.parquet": lanes})
    shown = [
        t for t in articles(page)[0].of_class("list") if "role" not in t.attributes
    ]
    assert {row.all("td")[-1].text for row in shown[0].all("tr")[1:]} == {"–"}


@pytest.mark.parametrize("language", range(2), ids=["english", "chinese"])
def test_without_exact_values_the_prices_of_the_proof_are_called_that(night, language):
    """Where no slot's value is known, nothing is said to bring anything."""
    unknown = {f"one_{what}_cny": None for what in ("more", "fewer")}
    unknown |= {f"one_{what}_around_cny": None for what in ("more", "fewer")}
    tables = {
        name: table.with_columns(
            pl.lit(None, pl.Float64).alias(column)
            for column in unknown
            if column in table.columns
        )
        for name, table in night.tables.items()
    }
    page = report_html(night.record, tables)
    words = (
        ("may bring less than its price or more", "There alone, CNY"),
        ("可能少于其价格，也可能更多", "仅此行加一个"),
    )
    shown = articles(page)[language]
    assert words[language][0] in shown.text
    assert words[language][1] not in shown.text
    rows = tables["lanes.parquet"].filter(pl.col("shadow_price_cny") > 0)
    prices = rows.sort("shadow_price_cny", descending=True)["shadow_price_cny"].head(20)
    lanes = shown.of_class("pair")[-2].of_class("list")[0]
    listed = [row.values[-1] for row in lanes.all("tr")[1:]]
    assert listed == prices.to_list()


def lengths(bar: Node) -> list[float]:
    """Lengths of a picture's bars, in per cent."""
    return [float(str(r.attributes["width"]).rstrip("%")) for r in bar.all("rect")]


def test_reasons_are_drawn_to_scale(night):
    """Each reason that occurs has a row with its number and a bar in proportion."""
    english = articles(night.page)[0]
    reasons = {k: v for k, v in night.record["summary"]["reasons"].items() if v}
    rows = english.of_class("bars")[0].all("li")
    numbers = [row.all("span")[1].values[0] for row in rows]
    drawn = [length for row in rows for length in lengths(row)]

    assert len(reasons) > 4
    assert numbers[0] == reasons["CHOSEN"]
    assert sorted(numbers) == sorted(reasons.values())
    assert drawn == pytest.approx(
        [max(0.4, 100 * number / max(numbers)) for number in numbers], abs=0.01
    )


def test_capacity_is_the_row_for_the_whole_or_the_sum_inside(night):
    """A carrier or region without a row of its own shows the sum of those inside."""
    made = with_tables(
        night,
        lanes=[
            ("own", None, None, 10, 7, 3, 0.25),
            ("own", "north", None, 6, 5, 1, 0.5),
            ("own", "north", "a", 4, 4, 0, 0.75),
            ("own", "south", "b", 3, 1, 2, 0.0),
            ("own", "south", "c", 2, 2, 0, 1.5),
            ("sum", "north", "d", 8, 3, 5, 0.0),
            ("sum", "west", None, 5, 4, 1, 0.0),
            ("sum", None, "e", 1, 0, 1, 0.0),
        ],
    )
    english = articles(made.page)[0]
    carriers = [
        row.all("span")[1].values for row in english.of_class("bars")[1].all("li")
    ]
    table = english.of_class("heat")[0]
    cells = {
        row.all("th")[0].text: [cell.values for cell in row.all("td")]
        for row in table.all("tr")[1:]
    }

    assert carriers == [[7, 14], [7, 10]]
    assert [th.text for th in table.all("th")[:3]] == ["Region", "sum", "own"]
    assert cells == {
        "north": [[3, 8], [5, 6, 0.75]],
        "south": [[], [3, 5, 1.5]],
        "west": [[4, 5], []],
    }
    # Slots there are, slots used, and what one more is worth, if anything.
    assert [lengths(row) for row in english.of_class("bars")[1].all("li")] == [
        [100, 50],
        [71.43, 50, 100],
    ]
    assert [cell.attributes["class"] for cell in table.all("td")] == [
        *("shade0", "shade2"),
        *("none", "shade4"),
        *("shade0", "none"),
    ]


def test_days_of_a_carrier_are_added_up():
    """Of a carrier with rows on several days all count, each by day as it has them."""
    rows = [
        ("own", None, None, "2026-11-22", 10, 7, 0.25),
        ("own", None, None, "2026-11-23", 4, 4, 1.0),
        ("own", "north", None, "2026-11-23", 3, 3, 2.0),
        ("mix", None, None, "2026-11-22", 5, 2, 0.0),
        ("mix", "north", None, "2026-11-23", 6, 1, 0.5),
        ("mix", "north", "a", "2026-11-23", 9, 1, 0.0),
        ("mix", "north", "a", "2026-11-24", 2, 1, 0.0),
        ("one", None, None, "2026-11-22", 1, 1, 0.75),
    ]
    columns = ("carrier_id", "region_id", "outlet_id", "service_date")
    lanes = pl.DataFrame(rows, [*columns, "slots", "used", "around"], orient="row")
    alone = pl.col("around") / 2
    found = capacity_of(lanes.with_columns(pl.lit(0.1).alias("x"), alone=alone))

    assert found.carriers == {
        "own": Use(14, 11, None, 2.0),
        "mix": Use(13, 4, None, 0.5),
        "one": Use(1, 1, 0.375, 0.75),
    }
    assert found.regions == {
        "north": {"own": Use(3, 3, None, 2.0), "mix": Use(8, 2, None, 0.5)}
    }


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        ({"gap": 0}, "Proved: best for"),
        ({"gap": 1}, "Proved: nearly best for"),
        ({"gap": -1}, "Not proved: do not use this plan"),
        ({"is_feasible": False, "violations": ["cap of m1"]}, "Not proved"),
    ],
)
def test_page_claims_no_more_than_the_certificate(night, proof, words):
    """Only a gap of 0 is called the best plan; a broken plan is called that."""
    record = night.record | {"certificate": night.record["certificate"] | proof}
    shown = visible(report_html(record, night.tables))
    claims = ["Proved: best", "Proved: nearly", "Not proved"]

    assert words in shown
    assert sum(claim in shown for claim in claims) == 1
    assert all(words in shown for words in proof.get("violations", []))


@pytest.mark.parametrize("which", ["night", "hostile"])
def test_same_night_same_bytes(which, request):
    """Neither the clock, nor the order of keys or rows, changes a byte."""
    made: Made = request.getfixturevalue(which)
    record = json.loads(json.dumps(made.record, sort_keys=True))
    record["run_measurements"] = {"started_at_utc": "2001-01-01", "seconds": {}}
    turned = {key: record[key] for key in reversed(record)}

    for seed in range(3):
        shuffled = {
            name: table.sample(fraction=1, shuffle=True, seed=seed)
            for name, table in made.tables.items()
        }
        assert Made(turned, shuffled).page == made.page


def listed(page: str) -> dict[str, list[Any]]:
    """The orders that a page holds, by column; amounts in micro-CNY."""
    data = [n for n in parse(page).all("script") if n.attributes.get("id")]
    columns = json.loads(data[0].text)
    return {
        name: [found["words"][code] for code in found["codes"]]
        if isinstance(found, dict)
        else found
        for name, found in columns.items()
    }


@pytest.mark.parametrize("language", range(2), ids=["english", "chinese"])
def test_the_orders_are_the_recommended_ones_of_the_decisions(night, language):
    """
    The page holds each recommended order as the tables have it, the largest saving
    first, and shows the first of them without a script.
    """
    orders = orders_of(night.tables).sort(pl.col("saving_cny").neg(), "order_id")
    found = listed(night.page)
    section = articles(night.page)[language].of_class("orders")[0]
    rows = section.all("tr")[1:]

    assert len(orders) > NUM_ROWS
    for name in ("order_id", "merchant_id", "carrier_id", "region_id", "reason"):
        assert found[name] == orders[name].to_list()
    for name in ("saving_cny", "margin_cny"):
        assert found[name] == [round(value * 1e6) for value in orders[name]]
    assert len(rows) == NUM_ROWS
    for row, order in zip(rows, orders.to_dicts(), strict=False):
        assert [bdi.text for bdi in row.all("bdi")] == [*order.values()][:4]
        assert row.values == [order["saving_cny"], order["margin_cny"]]
    hidden = section.of_class("filters") + section.of_class("pages")
    assert all("hidden" in node.attributes for node in hidden)
    assert [a.attributes["href"] for a in section.all("a")] == [*BESIDE]


def many_orders(num_orders: int, name: str) -> pl.DataFrame:
    """Recommended orders with long names and one saving for each two of them."""
    number = pl.int_range(num_orders)
    text = {"order_id": 10_000_000 + number, "merchant_id": number // 9}
    words = {"carrier_id": "c", "region_id": "r", "reason": "CHOSEN"}
    return pl.select(
        **{key: pl.format("{}" + name, value) for key, value in text.items()},
        **{key: pl.lit(value) for key, value in words.items()},
        saving_cny=(number // 2).cast(pl.Float64),
        margin_cny=pl.lit(None, pl.Float64),
    )


def test_the_list_of_orders_is_bounded(night):
    """Of 300,000 orders those with the largest saving are there, and the page says."""
    orders = many_orders(300_000, "")
    page = report_html(night.record, night.tables, orders)
    found = listed(page)
    english, chinese = (a.of_class("orders")[0] for a in articles(page))

    assert len(page.encode()) < 2_000_000
    assert len(found["order_id"]) == MAX_ORDERS
    assert found["saving_cny"] == sorted(found["saving_cny"], reverse=True)
    assert found["order_id"][:2] == ["10299998", "10299999"]
    assert "10,000 orders with the largest saving, of 300,000 that" in english.text
    assert "净避免损失最大的 10,000 个订单，共推荐 300,000 个" in chinese.text
    assert "Margin" not in english.text


def test_long_names_leave_room_for_fewer_orders(night):
    """However long and odd the names are, the page stays small, and says how many."""
    record = copy.deepcopy(night.record)
    record["config"]["report"] = {"max_orders": 50_000}
    page = report_html(record, night.tables, many_orders(60_000, "<\u82e6" * 40))
    number = len(listed(page)["order_id"])

    assert len(page.encode()) < 4_500_000
    assert 1_000 < number < 50_000
    assert f"{number:,} orders with the largest saving, of 60,000" in visible(page)


def test_a_night_may_have_no_list(night):
    """With max_orders: 0 there is neither a list nor a script; orders are not asked."""
    record = copy.deepcopy(night.record)
    record["config"]["report"] = {"max_orders": 0}
    page = report_html(record, night.tables, orders_of(night.tables))

    assert "Recommended orders" not in page
    assert "script" not in page


def test_merchants_without_a_slot_are_those_with_cap_0(night):
    """An unused cap is still a slot; a priced cap of 0 is a slot that was missed."""
    made = with_tables(
        night,
        merchants=[
            ("unused", 100, 3, 0, 3, 0.0),
            ("full", 40, 1, 1, 0, 2.0),
            ("missed", 20, 0, 0, 0, 1.0),
            ("tiny", 1, 0, 0, 0, 0.0),
            ("small", 9, 0, 0, 0, 0.0),
        ],
    )
    made.record["summary"]["num_merchants_with_cap"] = 7
    having, lacking = articles(made.page)[0].of_class("sides")[0].children

    assert having.values[0] == 7
    assert lacking.values == [3, 1]
    assert lengths(having.parent.parent) == [100, 70]


@pytest.mark.slow
def test_long_lists_say_how_much_they_leave_out(night):
    """Where a list is cut, the page says how many rows there are and where."""
    shown = visible(largest_night(night).page)

    for words in (
        "20 of 1,001 warnings; run.json has all",
        "12 carriers with most slots, of 30; lanes.parquet has all",
        "40 regions with most slots, of 1,000; lanes.parquet has all",
        "20 most frequent of 50,000; quarantine.parquet has all",
        "20 of 49,999",
        "and 4,988 more files",
        "and 4,970 more",
    ):
        assert words in shown


def test_what_the_program_writes_in_english_is_said_in_chinese(night):
    """Warnings and broken rules that a run can write have their Chinese form."""
    rules = set(night.tables["quarantine.parquet"]["rule"]) | {"is above 1,000"}
    warnings = night.record["warnings"]
    chinese = articles(night.page)[1]

    assert len(warnings) == 2
    assert rules
    for said in map(CHINESE.warning, warnings):
        assert re.search(r"[\u4e00-\u9fff]", said)
        assert "orders" not in said
    for rule in rules:
        assert re.search(r"[\u4e00-\u9fff]", CHINESE.rule(rule))
    assert "quarantine, above" not in chinese.of_class("warnings")[0].text
    assert [language.rule("is odd") for language in LANGUAGES] == ["is odd"] * 2


@pytest.mark.parametrize("uncovered", ["open", "closed"])
@pytest.mark.parametrize(
    ("regions", "strangers", "said"),
    [
        (["r1"], ["x"], ("1 lane has orders", "carrier x is not")),
        (["r1", "r2"], ["x", "y"], ("2 lanes have orders", "carriers x, y are not")),
    ],
    ids=["one", "two"],
)
def test_one_and_several_are_said_rightly_in_both_languages(
    regions, strangers, said, uncovered
):
    """A warning about one thing is in the singular; Chinese knows either form."""
    orders = [(f"o{r}", "m", r, 1.0) for r in ["r0", *regions]]
    orders += [(f"o{c}", "m", "r0", {c: 1.0}) for c in strangers]
    made = make_tables(orders, {"yunda/r0": 9})
    rules = made.config | {"capacity": {"uncovered_lanes": uncovered}}
    night = allocate(made.orders, made.capacity, config=rules)

    assert len(night.warnings) == 2
    for words, warning in zip(said, night.warnings, strict=True):
        assert str(warning).startswith(words)
        chinese = CHINESE.warning(warning.to_json())
        assert re.search(r"[\u4e00-\u9fff]", chinese)
        assert "orders" not in chinese


def test_one_more_is_always_said_of_a_row_alone_or_with_those_around(night):
    """Where the page says what one more brings, it says of what; in both languages."""
    english, chinese = (article.text for article in articles(night.page))

    found = [*re.finditer(r"[Oo]ne more slot", english)]
    for at in found:
        here = english[at.start() : at.start() + 90]
        assert re.search(r"alone|around|would bring\s*What|nothing anywhere", here), (
            here
        )
    assert len(found) >= 5
    # The first is of the sentences on top; the others are of what slots would bring.
    assert "at most" not in english[found[1].start() : found[-1].start()]
    assert len(re.findall("上级行", chinese)) >= 4


def _luminance(color: str) -> float:
    """Relative luminance of #rrggbb, as WCAG defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


PALETTES = re.findall(r":root \{([^}]*--page[^}]*)\}", STYLE)


@pytest.mark.parametrize("palette", PALETTES, ids=["light", "dark", "print"])
def test_text_can_be_read_on_every_ground(palette):
    """Each text colour has a contrast of 4.5 or more on each ground it stands on."""
    colors = dict(re.findall(r"--(\w+): (#\w{6})", palette))
    pairs = [
        (text, ground)
        for text in ("ink", "soft", "accent")
        for ground in ("page", "card")
    ]
    pairs += [("ink", f"shade{step}") for step in range(1, 5)]
    for text, ground in pairs:
        one, other = sorted(map(_luminance, (colors[text], colors[ground])))
        assert (other + 0.05) / (one + 0.05) >= 4.5, f"{text} on {ground}"
