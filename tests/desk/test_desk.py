"""The desk: what its pages say is what was published, and nothing else gets through."""

from __future__ import annotations

import base64
import json
import re
import shutil
import socket
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from starlette.testclient import TestClient

from optimizer.contracts.columns import Table
from optimizer.contracts.tables import (
    LANE_RESULTS,
    MERCHANT_RESULTS,
    NIGHTS,
    QUARANTINE,
)
from optimizer.desk.access import Access, access_for
from optimizer.desk.asked import Part
from optimizer.desk.kept import Answer, KeptAnswers
from optimizer.desk.rows import FILTERS, SORTABLE, read_rows
from optimizer.desk.server import listening
from optimizer.errors import BusyError, ConfigError
from optimizer.io import lookup
from optimizer.io.write import write_parquet
from optimizer.report.margins import margins_of
from tests.support.desk import Seen, ask_desk, seen
from tests.support.hostile_names import HOSTILE
from tests.support.published_nights import edit_record
from tests.support.small_night import DAY, SmallNight, call

TOKEN = "0123456789abcdef0123"


@pytest.fixture(scope="module")
def night(published_once: SmallNight) -> SmallNight:
    """A published night that no test changes."""
    return published_once


@pytest.fixture(scope="module")
def asked(night: SmallNight) -> TestClient:
    """The desk over it."""
    return ask_desk(night)


@pytest.fixture(scope="module")
def decisions(night: SmallNight) -> pl.DataFrame:
    """What was decided."""
    return pl.read_parquet(night.run_dir / "decisions.parquet")


def test_the_list_has_the_figures_of_the_record(night, asked) -> None:
    """Calendar and table lead to the night, and say what its record says."""
    page = seen(asked, "/nights")
    summary = json.loads((night.run_dir / "run.json").read_text())["summary"]
    for number in (summary["num_orders"], summary["num_chosen"]):
        assert f'<data value="{number}">' in page.text
    assert f"{float(summary['saving_cny']):,.2f}" in page.plain
    assert page.links().count(f"/nights/{DAY}") == 2


def test_a_night_is_three_sentences_and_leads_to_all_of_it(night, asked) -> None:
    """What it brings, how good it is, what is in the way; its tables and its report."""
    page = seen(asked, f"/nights/{DAY}")
    (told,) = re.findall(r'<div class="plainly">(.*?)</div>', page.text, re.DOTALL)
    assert len(re.findall("<p>", told)) == 3
    assert "no plan within the limits avoids more" in told
    for name in ("orders", "merchants", "report"):
        assert f"/nights/{DAY}/{name}" in page.links()
        seen(asked, f"/nights/{DAY}/{name}")


def test_a_night_has_what_it_takes_for_true_above_its_warnings(night, asked) -> None:
    """The words that say "above" stand below all assumptions of the record."""
    record = json.loads((night.run_dir / "run.json").read_text())
    page = seen(asked, f"/nights/{DAY}")
    assert record["assumptions"]
    assumed, _, warned = page.text.partition("Warnings</h2>")
    assert assumed.count("<li><bdi>") == len(record["assumptions"])
    assert warned


def test_names_of_a_night_lead_to_their_pages(night, asked) -> None:
    """Carriers, merchants and reasons at the desk are links; in the report none is."""
    page = seen(asked, f"/nights/{DAY}")
    ways = set(page.links())
    lanes = pl.read_parquet(night.run_dir / "lanes.parquet")
    for carrier in lanes["carrier_id"].unique():
        assert f"/carrier?night={DAY}&id={carrier}" in ways
    record = json.loads((night.run_dir / "run.json").read_text())
    for reason, number in record["summary"]["reasons"].items():
        assert (f"/nights/{DAY}/orders?reason={reason}" in ways) == (number > 0)
    priced = pl.read_parquet(night.run_dir / "merchants.parquet").filter(
        pl.col("one_more_cny") > 0
    )
    named = {way for way in ways if way.startswith("/merchant?night=")}
    assert named <= {
        f"/merchant?night={DAY}&id={merchant}" for merchant in priced["merchant_id"]
    }
    assert bool(named) == (priced.height > 0)
    for way in ways:
        if not way.startswith("/static"):
            seen(asked, way)
    assert f"/nights/{DAY}/merchants" in seen(asked, "/merchant").links()
    report = (night.run_dir / "report.html").read_text()
    assert "/carrier?" not in report
    assert "/merchant?" not in report


def test_what_helps_an_order_that_cap_and_slots_stop_is_what_its_prices_say(
    night, asked, decisions
) -> None:
    """
    By the prices alone: where lanes would stop it without the cap too, both are asked
    for together; where each would let it in, either; and never one for one that is not.
    """
    merchants = pl.read_parquet(night.run_dir / "merchants.parquet")
    rows = decisions.filter(pl.col("reason") == "CAP_AND_CAPACITY").join(
        merchants, "merchant_id"
    )
    beyond = pl.col("surplus_cny") + pl.col("shadow_price_cny")
    is_both = (pl.col("saving_cny") <= pl.col("shadow_price_cny")) & (beyond <= 1e-7)
    both, either = rows.filter(is_both), rows.filter(is_both.not_())
    assert both.height + either.height > 0
    for found, words, other in (
        (both, "Neither alone is enough", "Either a larger cap"),
        (either, "Either a larger cap", "Neither alone is enough"),
    ):
        for order in found["order_id"].head(3):
            told = seen(asked, f"/order?id={quote(order)}").plain
            assert words in told
            assert other not in told
            assert "A larger cap of its merchant: it is" not in told


@pytest.mark.parametrize(
    ("address", "name", "known"),
    [
        (f"/nights/{DAY}/orders?decision=premium", "decision", "reason"),
        ("/nights?merchant_id=m", "merchant_id", "until"),
        (f"/nights/{DAY}?sort=cap", "sort", "lang"),
        ("/health?x=1", "x", "lang"),
    ],
)
def test_what_a_page_does_not_ask_for_is_refused_with_what_it_does(
    asked, address: str, name: str, known: str
) -> None:
    """An unknown name would change nothing, and read as if it had."""
    told = seen(asked, address, 400).plain
    assert f"is not asked by {name}" in told
    assert known in told.partition("it knows")[2]


def test_as_many_nights_are_named_as_there_are(asked) -> None:
    """Of one night it is not said that none of the newest 31 has an id."""
    for kind in ("order", "merchant"):
        assert "the newest 1 nights" in seen(asked, f"/{kind}?id=nobody", 404).plain


def test_a_chinese_proof_has_its_events_in_chinese(asked, decisions) -> None:
    """No code in capitals among what happened to the night."""
    order = decisions["order_id"][0]
    page = seen(asked, f"/order/proof?id={quote(order)}&lang=zh")
    assert "PUBLISHED" not in page.text.partition("<pre>")[0]
    assert "已发布" in page.plain


def test_a_saving_is_the_harm_avoided_less_the_fee(night, asked, decisions) -> None:
    """An order's page has all three numbers, chosen or not; its sentence says which."""
    record = json.loads((night.run_dir / "run.json").read_text())
    fee = float(record["policy"]["fee"]["amount_cny"])
    assert fee > 0
    for reason in ("CHOSEN", "CAP_FULL", "CAPACITY_FULL"):
        rows = decisions.filter(pl.col("reason") == reason).head(1).to_dicts()
        for row in rows:
            told = seen(asked, f"/order?id={quote(row['order_id'])}").plain
            assert (
                f"{row['saving_cny'] + fee:,.2f} CNY of expected harm avoided, less "
                f"the fee that counts, {fee:,.2f} CNY"
            ) in told
            assert "after the fee" in told.partition("Cap of its merchant")[0]
    assert "Harm avoided after fees, CNY" in seen(asked, "/nights").plain


def test_what_an_order_lacks_to_be_worth_its_fee_is_its_saving(
    published: SmallNight, decisions: pl.DataFrame
) -> None:
    """
    What is missing stands there, whether the fee alone could give it, and a cap of 0
    that stands in the way as well; of every order that is not worth its fee.
    """
    few = decisions.filter(reason="NO_SAVING").unique(
        "merchant_id", maintain_order=True
    )
    shut = few["merchant_id"][0]
    path = published.run_dir / "merchants.parquet"
    cap = pl.when(pl.col("merchant_id") == shut).then(0).otherwise("cap").alias("cap")
    merchants = pl.read_parquet(path).with_columns(cap)
    path.unlink()
    write_parquet(merchants, path, MERCHANT_RESULTS)
    without = {*merchants.filter(cap=0)["merchant_id"]}
    asked = ask_desk(published)
    for row in few.iter_rows(named=True):
        told = seen(asked, f"/order?id={quote(row['order_id'])}").plain
        missing = -row["saving_cny"]
        shown = f"{missing:,.2f}" if missing >= 0.005 else "0.01"
        assert f"{shown} CNY is missing" in told
        assert ("a lower fee alone is not enough" in told) == (missing >= 0.8)
        is_shut = row["merchant_id"] in without
        assert ("A larger cap of its merchant: it is 0 " in told) == is_shut


def test_a_night_shows_what_earlier_plans_promised(published: SmallNight) -> None:
    """Where the record has the ledger of a model, the desk has its nights; else not."""
    before = seen(ask_desk(published), f"/nights/{DAY}")
    assert "Not held against each other here" in before.plain
    assert '<circle class="used"' not in before.text
    sums = {"num_parcels": 9, "low": -1.0, "high": 60.0}
    sums |= {"promised_cny": 40.25, "realised_cny": 30.5}
    nights = [
        {"name": f"2026-11-{day}", "likely_cny": 33.75} | sums for day in (20, 21)
    ]
    told = {"num_nights": 5, "by_night": nights, "by_carrier": []}
    edit_record(published.run_dir, lambda record: record.update(realised=sums | told))
    page = seen(ask_desk(published), f"/nights/{DAY}")
    assert "all 5 nights" in page.plain
    assert "2 of 5 nights are listed, the last that have parcels" in page.plain
    assert page.text.count('<circle class="used"') == 2
    for amount in ("40.25", "30.50", "33.75", "−1.00"):
        assert amount in page.plain


def expected(
    decisions: pl.DataFrame, only: dict[str, str], sort: str | None, part: Part
) -> tuple[list[str], int]:
    """Orders of a page, by sorting all of them."""
    rows = decisions
    for column, value in only.items():
        rows = rows.filter(pl.col(column) == value)
    if sort is not None:
        rows = rows.drop_nulls(sort)
        rows = rows.sort([sort, "order_id"], descending=[part.is_descending, False])
    shown = rows.slice(part.offset, part.size)["order_id"].to_list()
    return shown, rows.height


@pytest.mark.parametrize("sort", [None, *SORTABLE])
@pytest.mark.parametrize("only", [None, *FILTERS])
def test_a_page_of_rows_is_that_of_the_whole_table(
    night, decisions, sort: str | None, only: str | None
) -> None:
    """Narrowed, sorted either way and paged: as if all rows were sorted in memory."""
    busy = None if only is None else decisions[only].drop_nulls().mode().sort()[0]
    given = {} if only is None or busy is None else {only: busy}
    for is_descending in (False, True) if sort else (False,):
        for page in (1, 3, 999):
            part = Part(sort, is_descending, page, 7)
            found = read_rows(night.run_dir, given, part)
            ids = [row["order_id"] for row in found.rows]
            assert (ids, found.num_rows) == expected(decisions, given, sort, part)


@pytest.mark.parametrize("sort", [None, "-saving_cny", "margin_cny"])
def test_a_region_has_the_recommended_orders_of_it(
    night, asked, decisions, sort: str | None
) -> None:
    """As the recommendations have them, sorted and paged; and with a carrier, fewer."""
    chosen = pl.read_parquet(night.run_dir / "recommendations.parquet")
    region = chosen["region_id"].mode().sort()[0]
    own = chosen.filter(region_id=region)
    rows = decisions.join(own, on="order_id", how="semi", maintain_order="left")
    key = (sort or "").removeprefix("-")
    by = [key, "order_id"]
    if sort is not None:
        down = sort.startswith("-")
        rows = rows.drop_nulls(key).sort(by, descending=[down, False])
    more = f"&sort={sort}" if sort else ""
    found = []
    for page in (1, 2):
        at = f"/nights/{DAY}/orders?region_id={region}&rows=3&page={page}{more}"
        found += seen(asked, at).first_cells()
    assert found == rows["order_id"].head(6).to_list()
    carrier = own["carrier_id"][0]
    number = own.filter(carrier_id=carrier).height
    address = f"/nights/{DAY}/orders?region_id={region}&carrier_id={carrier}"
    assert f"of {number}" in seen(asked, address).plain
    assert "stand with their region" in seen(asked, address).plain
    nowhere = seen(asked, f"/nights/{DAY}/orders?region_id=nowhere")
    assert "No row is as asked for" in nowhere.plain


def test_a_carrier_without_orders_of_a_decision_says_why(asked, decisions) -> None:
    """Above the table, with the way to its places; not where carriers are known."""
    carrier = decisions["carrier_id"].drop_nulls()[0]
    known = "have a carrier"
    for reason in decisions["reason"].unique():
        own = decisions.filter(pl.col("reason") == reason)
        address = f"/nights/{DAY}/orders?reason={reason}&carrier_id={carrier}"
        page = seen(asked, address)
        has_carriers = own["carrier_id"].null_count() < own.height
        assert (known in page.plain) is not has_carriers
        way = f"/carrier?id={carrier}&night={DAY}#places-title"
        assert (way in page.links()) is not has_carriers
        if not has_carriers:
            assert "No row is as asked for" in page.plain
            all_of_it = f"/nights/{DAY}/orders?reason={reason}"
            assert all_of_it in page.links()
            assert own["order_id"][0] in seen(asked, all_of_it).text
            assert 'id="places-title"' in seen(asked, way).text
    assert known in seen(asked, f"/nights/{DAY}/orders?carrier_id={carrier}").plain
    assert known not in seen(asked, f"/nights/{DAY}/orders").plain


def test_margins_are_those_of_the_report(night, asked) -> None:
    """The page shows how many orders lie in each step, as the full report does."""
    page = seen(asked, f"/nights/{DAY}/margins").text
    report = (night.run_dir / "report.html").read_text("utf-8")
    found = margins_of(pl.scan_parquet(night.run_dir / "decisions.parquet"))
    for number in (found.num_above, *(step.number for step in found.steps)):
        assert f'<td><data value="{number}">' in page
    table = page[page.index("<details>") : page.index("</details>")]
    assert table in report


def test_of_a_large_merchant_the_rows_of_the_page_alone_are_read(
    night, decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with a million orders is shown as soon as one with ten."""
    sizes: list[int] = []
    reads = lookup.read_groups

    def counted(path, *given):
        found = reads(path, *given)
        sizes.append(found.height if path.name == "decisions.parquet" else 0)
        return found

    monkeypatch.setattr(lookup, "read_groups", counted)
    largest = decisions["merchant_id"].mode().sort()[0]
    found = read_rows(night.run_dir, {"merchant_id": largest}, Part(None, False, 2, 3))
    assert found.num_rows > 9
    assert len(found.rows) == sum(sizes) == 3


def test_rows_of_equal_amounts_stand_by_order_id(tmp_path: Path, night) -> None:
    """A page boundary in the midst of a tie neither repeats an order nor loses one."""
    table = pl.read_parquet(night.run_dir / "decisions.parquet").head(100)
    tied = table.sample(fraction=1, shuffle=True, seed=1).with_columns(
        saving_cny=pl.lit(1.0)
    )
    tied.write_parquet(tmp_path / "decisions.parquet", row_group_size=30)
    part = [Part("saving_cny", True, page, 9) for page in range(1, 13)]
    rows = [row for one in part for row in read_rows(tmp_path, {}, one).rows]
    assert [row["order_id"] for row in rows] == table["order_id"].sort().to_list()


def test_an_order_says_what_explain_says(asked, decisions) -> None:
    """One order of each reason: its sentence, in both languages, and its margin."""
    from optimizer.questions import explain_run

    for order in decisions.unique("reason", keep="first").iter_rows(named=True):
        where = f"/order?id={quote(order['order_id'])}"
        for lang in ("en", "zh"):
            page = seen(asked, f"{where}&lang={lang}")
            told = explain_run(
                asked_night(asked), order_id=order["order_id"], language=lang
            )
            end = "。" if lang == "zh" else "."
            alone = f"{told.sentence[0].upper()}{told.sentence[1:]}{end}"
            assert alone in page.plain.replace("&#39;", "'")
        way = f"/merchant?id={order['merchant_id']}&night={DAY}"
        assert way in seen(asked, where).links()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_decision_as_it_is_recorded_is_told_in_words(
    asked, decisions, language: str
) -> None:
    """One order of each reason: no key, code or flag of the table; one minus sign."""
    yes, no = {"en": ("yes", "no"), "zh": ("是", "否")}[language]
    for order in decisions.unique("reason", keep="first").iter_rows(named=True):
        where = f"/order?id={quote(order['order_id'])}&lang={language}"
        told = seen(asked, where).text.rpartition("<dl>")[2].partition("</dl>")[0]
        plain = Seen(told).plain.replace(order["order_id"], "")
        plain = plain.replace(str(order["ineligible_reason"]), "")
        assert not re.search(r"False|True|None|[a-z]_[a-z]|[A-Z]{2}_", plain), plain
        assert order["reason"] not in plain
        assert f"<dd>{yes if order['is_premium'] else no}</dd>" in told
        assert not re.search(r"(?<![\w-])-\d", plain)
        if (order["saving_cny"] or 0) < 0:
            assert f"−{-order['saving_cny']:,.2f}" in plain


def asked_night(asked: TestClient) -> Path:
    """Where the desk's night is."""
    return Path(asked.app.state.desk.nights.open(DAY).folder)


def test_the_report_runs_its_own_script_alone(night, asked) -> None:
    """The page as it was published, in a sandbox, whose policy names its script."""
    answer = asked.get(f"/nights/{DAY}/report")
    published = Seen((night.run_dir / "report.html").read_text("utf-8"))
    words = answer.text.replace("Back to the night", "", 1)
    told = [re.sub(r"\s", "", one) for one in (Seen(words).plain, published.plain)]
    assert told[0] == told[1]
    policy = answer.headers["content-security-policy"]
    (named,) = re.findall(r"script-src '(sha256-[^']*)'", answer.text)
    assert f"script-src '{named}'" in policy
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")


def test_the_report_leads_back_and_to_nothing_that_is_not_there(asked) -> None:
    """Its only link is to its night; the files beside it are named without one."""
    page = seen(asked, f"/nights/{DAY}/report?lang=zh")
    links = re.findall(r'<a[^>]* href="([^"]*)"', page.text)
    assert links == [f"/nights/{DAY}?lang=zh"]
    seen(asked, links[0])
    assert "返回当晚" in page.plain
    assert page.plain.count("recommendations.parquet") == 2


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_link_of_every_page_leads_somewhere(asked, language: str) -> None:
    """From the list on: links, and forms as they stand, in the language asked for."""
    ahead, been = [f"/nights?lang={language}"], set()
    while ahead:
        address = ahead.pop()
        if address in been or len(been) > 90:
            continue
        been.add(address)
        page = seen(asked, address)
        if "/report" in address or address.startswith("/static"):
            continue
        assert f'<html lang="{ {"en": "en", "zh": "zh-CN"}[language] }">' in page.text
        new = [link for link in page.links() if f"lang={language}" in link]
        # One order of a table stands for the others.
        many = ("/order?id=", "/merchant?id=", "/order/proof")
        for one in many:
            alike = [link for link in new if link.startswith(one)]
            new = [link for link in new if link not in alike[1:]]
        ahead += new
    assert len(been) > 20


def test_pages_have_no_script_and_no_style_of_their_own(asked) -> None:
    """The policy allows files of this server alone, and no page needs more."""
    for address in ("/nights", f"/nights/{DAY}", f"/nights/{DAY}/orders", "/order"):
        answer = asked.get(address)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<style| style=|<script>| on\w+=|https?://", answer.text)


def test_a_look_is_asked_for_once(asked) -> None:
    """Files are named by what they hold, and browsers keep them."""
    page = seen(asked, "/nights")
    looks = re.findall(r'(?:href|src)="(/static/[^"]+\?v=[^"]+)"', page.text)
    assert len(looks) == 4
    for look in looks:
        assert "immutable" in asked.get(look).headers["cache-control"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_attack_stay_text(asked, name: str) -> None:
    """As an order, as a merchant, as a date: no markup comes back, and no error."""
    word = quote(name[:60])
    for address in (f"/order?id={word}", f"/nights/{DAY}/orders?merchant_id={word}"):
        answer = asked.get(address)
        assert answer.status_code in (200, 400, 404), answer.text
        assert "<script>alert" not in answer.text
        assert "<img" not in answer.text


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("/nights/2026-11-23", 404, "No night is published for 2026-11-23"),
        ("/nights/tonight", 404, "tonight is not a date"),
        ("/nights/20261122", 404, "is not a date"),
        (f"/nights/{DAY}/orders?page=0", 400, "page must be a whole number from 1"),
        (f"/nights/{DAY}/orders?page=-1", 400, "page must be"),
        (f"/nights/{DAY}/orders?page=9999&rows=200", 400, "Paging ends at 10,000 rows"),
        (f"/nights/{DAY}/orders?rows=100000", 400, "rows must be"),
        (f"/nights/{DAY}/orders?sort=reason;drop", 400, "sort cannot be"),
        (f"/nights/{DAY}/orders?merchant_id={'m' * 300}", 400, "no id is"),
        ("/nights?until=2026-13", 400, "2026-13 is not a month"),
        ("/nights?until=0001-01", 400, "0001-01 is not a month"),
        ("/nights?until=9999-12", 400, "9999-12 is not a month"),
        ("/order?id=nobody", 404, "nights has the order nobody"),
        (f"/order?id=nobody&night={DAY}", 404, "has no order nobody"),
        ("/order?id=nobody&night=never", 404, "never is not a date"),
        ("/passwd", 404, "nothing at this address"),
        ("/static/..%2fdesk.py", 404, "nothing at this address"),
        ("/static/app.py", 404, "nothing at this address"),
        (f"/order?id={'x' * 5_000}", 414, "longer than"),
    ],
)
def test_what_cannot_be_asked_is_said_plainly(asked, address, status, says) -> None:
    """A page of the desk with the reason, and the way back."""
    page = seen(asked, address, status)
    assert says in page.plain
    assert "/nights" in page.links()


def test_nothing_that_writes_is_answered(asked) -> None:
    """The desk has no other verbs than reading."""
    for verb in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = asked.request(verb, "/nights")
        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"
    assert asked.head("/nights").status_code == 200


def test_another_name_for_this_machine_is_refused(asked) -> None:
    """A page elsewhere whose name leads here cannot read the desk."""
    for name in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example", ""):
        page = seen(asked, "/nights", 403, headers={"host": name})
        assert "answers this machine" in page.plain
    for name in ("localhost:8765", "[::1]:8765", "127.0.0.1"):
        seen(asked, "/nights", headers={"host": name})


def test_a_token_lets_in_and_nothing_else_does(night) -> None:
    """As a password or a bearer's; a wrong or missing one asks for it."""
    asked = ask_desk(night, Access(token=TOKEN), client="10.0.0.9")
    pair = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
    for right in (f"Bearer {TOKEN}", f"Basic {pair}"):
        page = seen(asked, "/nights", headers={"authorization": right})
        assert "those who bring its token" in page.plain
    wrong = base64.b64encode(b"anybody:wrong").decode()
    for given in (f"Bearer {TOKEN}x", f"Basic {wrong}", "Basic %%%", TOKEN, ""):
        answer = asked.get("/nights", headers={"authorization": given})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert str(DAY) not in answer.text
    assert asked.get("/static/desk.css").status_code == 200


def test_a_proxys_word_counts_from_the_proxy_alone(night) -> None:
    """The header lets in from its address, and from no other."""
    access = Access(header="x-user", proxies=("10.0.0.5",))
    behind = ask_desk(night, access, client="10.0.0.5")
    assert "x-user" in seen(behind, "/nights", headers={"X-User": "li"}).plain
    seen(behind, "/nights", 403)
    direct = ask_desk(night, access, client="10.0.0.6")
    seen(direct, "/nights", 403, headers={"X-User": "li"})


def test_others_reach_the_desk_with_a_key_alone(tmp_path: Path) -> None:
    """Another host than loopback needs a token or a proxy; a short token is none."""
    with pytest.raises(ConfigError, match="add --token-file FILE, or --proxy-header"):
        access_for("0.0.0.0", None, None, ())
    token = tmp_path / "token"
    token.write_text("short\n")
    with pytest.raises(ConfigError, match="at least 20 letters and digits"):
        access_for("0.0.0.0", token, None, ())
    with pytest.raises(ConfigError, match="no such file"):
        access_for("0.0.0.0", tmp_path / "none", None, ())
    token.write_text(f"{TOKEN}\n")
    assert access_for("0.0.0.0", token, None, ()).token == TOKEN
    with pytest.raises(ConfigError, match="not both"):
        access_for("0.0.0.0", token, "X-User", ())
    with pytest.raises(ConfigError, match="not the name of a header"):
        access_for("0.0.0.0", None, "X User", ())
    with pytest.raises(ConfigError, match="not an address"):
        access_for("0.0.0.0", None, "X-User", ("proxy",))


def test_who_asks_too_often_waits_and_others_do_not(night) -> None:
    """A bucket for each address: 429 with when to come again."""
    asked = ask_desk(night, per_second=0.3)
    codes = [asked.get("/static/desk.css").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    answer = asked.get("/nights")
    assert answer.headers["retry-after"] == "1"
    assert "Wait a second" in Seen(answer.text).plain


def test_a_desk_without_nights_says_how_to_get_one(inputs_only: SmallNight) -> None:
    """The list says so; whatever else is asked is not there."""
    asked = ask_desk(inputs_only)
    assert "No night is published in" in seen(asked, "/nights").plain
    seen(asked, f"/nights/{DAY}", 404)
    seen(asked, "/order?id=x", 404)


def test_half_a_night_is_none_and_a_removed_one_is_told(published: SmallNight) -> None:
    """Without its last file it is not listed; removed under a reader it is a 404."""
    asked = ask_desk(published)
    folder = published.run_dir.resolve()
    assert str(DAY) in seen(asked, "/nights").text
    shutil.move(folder / "decisions.parquet", published.folder / "gone")
    page = seen(asked, f"/nights/{DAY}/orders", 404)
    assert "replaced or removed meanwhile" in page.plain
    shutil.move(published.folder / "gone", folder / "decisions.parquet")
    (folder / "_SUCCESS").unlink()
    half = ask_desk(published)
    assert "No night is published in" in seen(half, "/nights").plain
    seen(half, f"/nights/{DAY}", 404)


def test_a_hundred_thousand_merchants_are_paged(published: SmallNight) -> None:
    """A page has its rows, says how many there are, and paging has its end."""
    path = published.run_dir / MERCHANT_RESULTS.file
    row = pl.read_parquet(path).head(1)
    many = pl.concat([row] * 100_000).with_columns(
        pl.format("shop-{}", pl.int_range(100_000)).alias("merchant_id"),
        num_orders=pl.int_range(100_000),
    )
    path.unlink()
    write_parquet(many.sort("merchant_id"), path, MERCHANT_RESULTS)
    asked = ask_desk(published)
    page = seen(asked, f"/nights/{DAY}/merchants?page=3")
    assert page.first_cells()[0] == "shop-99899"
    assert "101 to 150 of 100,000" in page.plain
    assert "Paging ends at 10,000 rows" in page.plain
    assert len(page.text) < 100_000
    only = seen(asked, f"/nights/{DAY}/merchants?merchant_id=shop-9998")
    assert "1 to 11 of 11" in only.plain


def test_the_list_has_what_plans_promised_and_realised(published: SmallNight) -> None:
    """As the newest night's record has it: a mark for each night, all in a table."""
    before = seen(ask_desk(published), "/nights")
    assert "Not held against each other here" in before.plain
    assert '<circle class="used"' not in before.text
    path = published.run_dir / "run.json"
    record = json.loads(path.read_text())
    amounts = {"promised_cny": 40.0, "realised_cny": 31.5, "low": 20.0, "high": 43.0}
    one = amounts | {"num_parcels": 9, "likely_cny": 33.25}
    nights = [one | {"name": f"2026-11-2{number}"} for number in range(2)]
    ledger = one | {"num_nights": 2, "by_night": nights, "by_carrier": []}
    path.write_text(json.dumps(record | {"realised": ledger}))
    page = seen(ask_desk(published), "/nights")
    assert page.text.count('<circle class="used"') == 2
    assert page.plain.count("31.50") == 3


def test_a_night_whose_record_is_broken_is_listed_with_why(
    published: SmallNight,
) -> None:
    """It stands in the list, the others do too, and opening it says the same."""
    (published.run_dir / "run.json").write_text("{")
    asked = ask_desk(published)
    assert "cannot be read as JSON" in seen(asked, "/nights").plain
    assert "cannot be read as JSON" in seen(asked, f"/nights/{DAY}", 409).plain


@pytest.mark.parametrize("table", [LANE_RESULTS, MERCHANT_RESULTS, QUARANTINE, NIGHTS])
def test_a_table_that_is_gone_is_named_and_not_taken_for_empty(
    published: SmallNight, table: Table
) -> None:
    """A night that lost one of its files says which, on each page that shows it."""
    (published.run_dir / table.file).unlink()
    asked = ask_desk(published)
    assert table.file in seen(asked, f"/nights/{DAY}", 404).plain
    if table is MERCHANT_RESULTS:
        assert table.file in seen(asked, f"/nights/{DAY}/merchants", 404).plain
    if table is LANE_RESULTS:
        assert table.file in seen(asked, "/carrier", 404).plain


def test_a_night_of_before_some_tables_is_shown(published: SmallNight) -> None:
    """The oldest nights have no table of the nights before them, and say so."""
    path = published.run_dir / "run.json"
    record = json.loads(path.read_text())
    for name in (NIGHTS.file, "figures.parquet"):
        (published.run_dir / name).unlink()
        del record["outputs"][name]
    path.write_text(json.dumps(record))
    seen(ask_desk(published), f"/nights/{DAY}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("summary", None),
        ("certificate", "x"),
        ("run_measurements", float("inf")),
        ("config", []),
        ("alerts", float("nan")),
        ("warnings", True),
        ("policy", 1),
    ],
)
def test_a_record_of_another_shape_is_one_that_cannot_be_read(
    published: SmallNight, name: str, value: object
) -> None:
    """Valid JSON and no record: the list goes on, and its pages say why, as a 409."""
    path = published.run_dir / "run.json"
    record = json.loads(path.read_text()) | {name: value}
    path.write_text(json.dumps(record))
    asked = ask_desk(published)
    seen(asked, "/nights")
    seen(asked, "/health")
    page = seen(asked, f"/nights/{DAY}", 409)
    assert "its record is not as one should be" in page.plain


def test_a_night_that_is_published_appears(published: SmallNight) -> None:
    """Pages that are kept are asked anew when another version is published."""
    asked = ask_desk(published)
    hidden = published.run_dir.with_name(".hidden")
    published.run_dir.rename(hidden)
    assert "No night is published in" in seen(asked, "/nights").plain
    hidden.rename(published.run_dir)
    asked.app.state.desk.nights._seen_at = float("-inf")
    assert str(DAY) in seen(asked, "/nights").text


def test_who_asks_meanwhile_gets_the_same_answer() -> None:
    """One is made for all who wait; a failure reaches them all, and is not kept."""
    import asyncio

    made: list[int] = []

    async def ask() -> list[object]:
        kept, gate = KeptAnswers(max_bytes=10), asyncio.Event()

        async def make() -> Answer:
            made.append(len(made))
            await gate.wait()
            if len(made) == 1:
                raise ValueError("once")
            return Answer(200, b"12345678")

        asking = [asyncio.create_task(kept.get("a", make)) for _ in range(3)]
        await asyncio.sleep(0)
        gate.set()
        first = await asyncio.gather(*asking, return_exceptions=True)
        again = [await kept.get("a", make), await kept.get("a", make)]
        await kept.get("b", make)
        await kept.get("a", make)
        return [*first, *again]

    found = asyncio.run(ask())
    assert [str(error) for error in found[:3]] == ["once"] * 3
    assert found[3] is found[4]
    assert len(made) == 4  # failed, made, "b" put "a" out, "a" made again


def test_a_port_that_is_taken_is_said(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """Exit code 75 and what to do; an address that is not here is 2."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = ("serve", "--config", published.config, "--port", port)
        left = call(monkeypatch, capsys, *words)
    assert left.code == 75
    assert f"port {port} of 127.0.0.1 is taken by another program" in left.err
    with pytest.raises(ConfigError, match="host"):
        listening("no such host", 0)
    with listening("127.0.0.1", 0) as taken, pytest.raises(BusyError):
        listening("127.0.0.1", taken.getsockname()[1])
