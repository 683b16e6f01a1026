"""Pages for people: a merchant and a link to that, a carrier, a proof, and health."""

from __future__ import annotations

import datetime as dt
import html
import json
import re
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest
from starlette.testclient import TestClient

from optimizer.desk import published as published_nights
from optimizer.desk.access import Access
from optimizer.desk.links import CLOCK_SECONDS, link_key, make_link, read_link
from optimizer.desk.pages import carrier as carrier_pages
from optimizer.desk.pages.carrier import promises_of
from optimizer.desk.problems import PageProblem
from optimizer.errors import ConfigError
from optimizer.evidence.check import check_evidence
from optimizer.io.published_tables import read_table
from tests.support.desk import ask_desk, seen
from tests.support.small_night import DAY, SmallNight

KEY = "a key of forty characters, all of our own"
NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def night(published_once: SmallNight) -> SmallNight:
    """A published night that no test changes."""
    return published_once


@pytest.fixture(scope="module")
def asked(night: SmallNight) -> TestClient:
    """The desk over it, with a key for links."""
    return ask_desk(night, link_key=KEY)


@pytest.fixture(scope="module")
def decisions(night: SmallNight) -> pl.DataFrame:
    """What was decided."""
    return pl.read_parquet(night.run_dir / "decisions.parquet")


def two_merchants(decisions: pl.DataFrame) -> tuple[str, str]:
    """Two with orders."""
    first, second = decisions["merchant_id"].unique().sort()[:2]
    return first, second


def link_to(asked: TestClient, merchant_id: str) -> str:
    """The query of a link that the desk makes."""
    page = seen(asked, f"/merchant/link?id={merchant_id}&days=3")
    (address,) = re.findall(r"<textarea[^>]*>([^<]*)</textarea>", page.text)
    assert address.startswith("http://127.0.0.1/shared/merchant?link=")
    return address.partition("?")[2]


def test_a_merchants_page_is_that_of_the_tables(night, asked, decisions) -> None:
    """Cap, use and price of the night, and as many orders as the merchant has."""
    merchant_id, _ = two_merchants(decisions)
    table = pl.read_parquet(night.run_dir / "merchants.parquet")
    row = table.filter(pl.col("merchant_id") == merchant_id).row(0, named=True)
    page = seen(asked, f"/merchant?id={merchant_id}")
    for name in ("cap", "used", "num_orders"):
        assert f'<data value="{row[name]}">' in page.text
    own = decisions.filter(pl.col("merchant_id") == merchant_id)
    assert f"of {own.height:,}" in page.plain
    assert own["order_id"][0] in page.text


def test_a_link_shows_one_merchant_and_nobody_else(asked, decisions) -> None:
    """Own pages and orders; another's order is not there, and no way leads out."""
    own, other = two_merchants(decisions)
    link = link_to(asked, own)
    ids = {
        name: decisions.filter(pl.col("merchant_id") == name)["order_id"]
        for name in (own, other)
    }
    page = seen(asked, f"/shared/merchant?{link}")
    assert ids[own][0] in page.text
    assert other not in page.text
    ways = [way for way in page.links() if not way.startswith("/static")]
    assert ways
    assert all(way.startswith("/shared/") for way in ways)
    for way in ways:
        seen(asked, way)
    for kind in ("order", "proof"):
        seen(asked, f"/shared/{kind}?id={quote(ids[own][0])}&{link}")
        seen(asked, f"/shared/{kind}?id={quote(ids[other][0])}&{link}", 404)
    # Its query names nobody else, whatever it says.
    turned = seen(asked, f"/shared/merchant?{link}&id={other}&merchant_id={other}")
    assert ids[other][0] not in turned.text


@pytest.mark.parametrize(
    ("client", "told", "scheme"),
    [
        ("10.0.0.5", "https", "https"),
        ("10.0.0.5", "HTTPS, http", "https"),
        ("10.0.0.5", "http", "http"),
        ("10.0.0.5", "javascript", "http"),
        ("10.0.0.5", "", "http"),
        ("10.0.0.6", "https", "http"),
    ],
)
def test_a_link_has_the_scheme_that_the_proxy_tells(
    night, decisions, client: str, told: str, scheme: str
) -> None:
    """``https`` where the proxy says so, with a name or a token; from nobody else."""
    own, _ = two_merchants(decisions)
    proxies = ("10.0.0.5",)
    headers = {"X-Forwarded-Proto": told, "X-User": "li", "Host": "desk.example"}
    headers["Authorization"] = f"Bearer {'t' * 20}"
    for access in (
        Access(token="t" * 20, proxies=proxies),
        Access(header="x-user", proxies=proxies),
    ):
        asked = ask_desk(night, access, link_key=KEY, client=client)
        answer = asked.get(f"/merchant/link?id={quote(own)}", headers=headers)
        if answer.status_code == 403:
            assert access.header is not None
            assert client not in proxies
            continue
        assert f">{scheme}://desk.example/shared/merchant?link=" in answer.text


def test_a_link_is_no_key_to_the_desk(night, decisions) -> None:
    """Where a token is asked for, the link opens its own pages alone."""
    own, _ = two_merchants(decisions)
    asked = ask_desk(night, Access(token="t" * 20), link_key=KEY, client="10.0.0.9")
    token = make_link(KEY, own, dt.datetime.now(dt.UTC), 1)
    seen(asked, f"/shared/merchant?link={token}")
    for address in ("/nights", f"/merchant?id={own}", f"/merchant/link?id={own}"):
        seen(asked, f"{address}{'&' if '?' in address else '?'}link={token}", 401)


def test_a_link_that_was_changed_or_has_ended_is_refused(asked, decisions) -> None:
    """403 with plain words: another merchant written in, another key, too late."""
    own, other = two_merchants(decisions)
    start = dt.datetime.now(dt.UTC)
    good = make_link(KEY, own, start, 1)
    foreign = make_link(KEY, other, start, 1).partition(".")[0]
    forged = [
        f"{foreign}.{good.partition('.')[2]}",
        make_link("another key of forty characters, not ours", own, start, 1),
        good[:-2],
        "",
        "x" * 500,
    ]
    for token in forged:
        page = seen(asked, f"/shared/merchant?link={quote(token)}", 403)
        assert "was not made by this desk" in page.plain
        assert "/nights" not in page.links()
    ended = make_link(KEY, own, start - dt.timedelta(days=2), 1)
    page = seen(asked, f"/shared/merchant?link={ended}&lang=zh", 403)
    assert "有效期已过" in page.plain


def test_a_link_holds_between_its_ends_by_a_clock_that_is_nearly_right() -> None:
    """From a little ahead of its making to the second of its end."""
    token = make_link(KEY, "m", NOW, 2)
    second = dt.timedelta(seconds=1)
    end = NOW + dt.timedelta(days=2)
    for at in (NOW - CLOCK_SECONDS * second, NOW, end - second):
        assert read_link(KEY, token, at).merchant_id == "m"
    for at, code in (
        (end, "LINK_EXPIRED"),
        (NOW - (CLOCK_SECONDS + 1) * second, "LINK_AHEAD"),
    ):
        with pytest.raises(PageProblem, match=code):
            read_link(KEY, token, at)


def test_without_a_key_no_link_is_made_and_none_holds(
    night, decisions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says how to get one; a key is read from a file or the environment."""
    own, _ = two_merchants(decisions)
    asked = ask_desk(night)
    assert "--link-key-file" in seen(asked, f"/merchant?id={own}").plain
    seen(asked, f"/merchant/link?id={own}", 404)
    token = make_link(KEY, own, dt.datetime.now(dt.UTC), 1)
    seen(asked, f"/shared/merchant?link={token}", 403)
    assert link_key(None) is None
    monkeypatch.setenv("OPTIMIZER_DESK_KEY", "short")
    with pytest.raises(ConfigError, match="at least 20"):
        link_key(None)
    (tmp_path / "key").write_text(KEY)
    assert link_key(tmp_path / "key") == KEY


def test_a_proof_holds_by_itself_in_both_languages(asked, decisions) -> None:
    """The page to download has the evidence whole, and loads nothing from elsewhere."""
    order_id = decisions.filter("is_premium")["order_id"][0]
    for lang in ("en", "zh"):
        answer = asked.get(f"/order/proof?id={quote(order_id)}&lang={lang}")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment; ")
        (data,) = re.findall(r"<pre>(.*?)</pre>", answer.text, re.DOTALL)
        found = json.loads(html.unescape(data))
        assert found["order_id"] == order_id
        assert check_evidence(found) == []
        assert not re.search(r"<script|src=|url\(|https?://", answer.text)
        # What a person reads is in view; the data are folded, and only they.
        read, folded = re.split(r"<details><summary>", answer.text)
        assert "<pre>" not in read
        assert order_id in read
        assert folded.index("</pre></details>") > folded.index("<pre>")
    assert "决定的证明" in answer.text


def test_a_proof_of_a_changed_night_says_that_it_does_not_hold(
    published: SmallNight,
) -> None:
    """A decision that was changed after it was published is told on its page."""
    path = published.run_dir / "decisions.parquet"
    table = pl.read_parquet(path)
    order_id = table["order_id"][5]
    changed = pl.when(pl.col("order_id") == order_id).then(9.5).otherwise("saving_cny")
    table.with_columns(saving_cny=changed).write_parquet(path)
    page = seen(ask_desk(published), f"/order/proof?id={quote(order_id)}")
    assert "This proof does not hold" in page.plain


def test_a_carriers_page_is_that_of_its_lanes(night, asked) -> None:
    """Slots and use in sum; each place; the dearest first, or as it is sorted."""
    lanes = pl.read_parquet(night.run_dir / "lanes.parquet")
    for carrier in lanes["carrier_id"].unique().sort():
        own = lanes.filter(pl.col("carrier_id") == carrier)
        page = seen(asked, f"/carrier?id={carrier}")
        assert f"of {own.height:,}" in page.plain
        by = seen(asked, f"/carrier?id={carrier}&sort=-slots&rows=3")
        places = own.sort(
            "slots", "region_id", "outlet_id", descending=[True, False, False]
        )
        assert by.first_cells()[:3] == (
            places["region_id"].fill_null("all regions").head(3).to_list()
        )
        assert f"/carrier?id={carrier}" in seen(asked, "/carrier").text
    seen(asked, "/carrier?id=nobody", 404)


def test_a_carriers_use_on_a_night_is_read_once(
    night, asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its places are sorted and paged without reading all the nights before again."""
    read: list[Path] = []

    def counted(folder: Path, name: str) -> pl.DataFrame:
        read.append(folder)
        return read_table(folder, name)

    for module in (carrier_pages, published_nights):
        monkeypatch.setattr(module, "read_table", counted)
    carrier_pages._use.cache_clear()
    lanes = pl.read_parquet(night.run_dir / "lanes.parquet")
    carrier = quote(lanes["carrier_id"].drop_nulls()[0])
    for rows, number in ((2, 2), (3, 3)):
        seen(asked, f"/carrier?id={carrier}&rows={rows}")
        assert len(read) == number


def test_promises_are_those_of_the_nights_model(
    published: SmallNight, asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a model nothing is claimed; with one, what it has of the carrier."""
    from optimizer.build.learned_model import Promise
    from optimizer.desk.pages import carrier as page

    assert "the night has no learned model" in seen(asked, "/carrier?id=yunda").plain
    promise = Promise(
        carrier_id="yunda",
        region_id=None,
        num_premium=40,
        num_kept=36,
        mean=0.89,
        low=0.78,
        high=0.96,
    )
    other = promise.model_copy(update={"carrier_id": "zhongtong"})

    class Loaded:
        """A model that knows two carriers."""

        class model:
            """Its promises."""

            promises = (promise, other)

    monkeypatch.setattr(page, "found_model", lambda *_: published.folder)
    monkeypatch.setattr(page, "load_model", lambda _: Loaded)
    desk = ask_desk(published)
    assert promises_of(desk.app.state.desk.nights.open(DAY), "yunda") == [promise]
    assert "36 of 40 ; between 78% and 96%" in seen(desk, "/carrier?id=yunda").plain


def test_health_says_what_is_late_and_whose_clock_is_off(
    published: SmallNight,
) -> None:
    """The inputs of the day that is over are not there; a run began in the future."""
    page = seen(ask_desk(published), "/health")
    assert "not published" in page.plain
    assert "late: 3" in page.plain
    assert "GB free" in page.plain
    record = json.loads((published.run_dir / "run.json").read_text())
    record["run_measurements"]["started_at_utc"] = "2099-01-01T00:00:00+00:00"
    (published.run_dir / "run.json").write_text(json.dumps(record))
    assert "a clock is off" in seen(ask_desk(published), "/health").plain


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("/merchant?id=nobody", 404, "has the merchant nobody"),
        ("/merchant?id=nobody&lang=zh", 404, "没有商家 nobody"),
        ("/merchant/link?id=nobody", 404, "has the merchant nobody"),
        ("/order/proof", 404, "nothing at this address"),
        ("/carrier?id=yunda&sort=carrier_id", 400, "sort cannot be carrier_id"),
    ],
)
def test_what_is_not_there_is_said_plainly(asked, address, status, says) -> None:
    """A page of the desk with the reason."""
    assert says in seen(asked, address, status).plain


def test_a_link_lasts_as_long_as_is_allowed(asked, decisions) -> None:
    """No link for ever: days are bounded."""
    own, _ = two_merchants(decisions)
    for days in ("0", "91", "x"):
        page = seen(asked, f"/merchant/link?id={own}&days={days}", 400)
        assert "days must be a whole number from 1 to 90" in page.plain
