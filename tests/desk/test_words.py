"""No code of the program stands on a page where words should: desk and report."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

import polars as pl
import pytest

from tests.support.desk import ask_desk, seen
from tests.support.small_night import DAY, SmallNight, make_night

#: Codes are several words in capitals; what is typed at a prompt is shown as it is.
CODE = re.compile(r"\b[A-Z][A-Z]+(?:_[A-Z]+)+\b")
TYPED = re.compile(r"<(script|style|pre|code)\b.*?</\1>", re.DOTALL)


def words_of(text: str) -> str:
    """What a reader sees of a page, and its titles; without what is typed."""
    text = TYPED.sub(" ", text)
    titles = " ".join(re.findall(r'(?:title|aria-label|content)="([^"]*)"', text))
    return html.unescape(f"{re.sub(r'<[^>]*>', ' ', text)} {titles}")


#: Names that are typed, too.
TO_TYPE = {"ORDER_ID", "OPTIMIZER_DESK_KEY"}
#: Of nights: nobody is worth the fee; what outboxes leave out; all reasons there are.
NIGHTS = {
    "nobody": {"fee": {"amount_cny": 400}},
    "outbox": {"carriers": ["zhongtong", "yuantong", "yunda", "shunfeng", "jd"]},
    "at random": {},
    "few take part": {},
}


@pytest.fixture(scope="module", params=NIGHTS)
def night(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> SmallNight:
    """A published night of each kind."""
    made = make_night(tmp_path_factory.mktemp("words") / "night", 1_000)
    policy = made.settings()["policy"][0] | NIGHTS[request.param]
    made.configure(policy=[policy])
    if request.param == "outbox":
        box = {"platform": "douyin", "format": "csv", "to": "out/{date}.csv"}
        other = {"platform": "jd", "format": "jsonl", "to": "out/{date}.jsonl"}
        made.configure(outbox=[box, other])
    elif request.param == "at random":
        made.configure(holdout={"share": "0.2", "explore_share": "0.2"})
    elif request.param == "few take part":
        enrolled = pl.int_range(pl.len()) % 2 == 0
        merchants = made.read("merchants").with_columns(is_enrolled=enrolled)
        made.write("merchants", merchants)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        made.run()
    return made


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_page_has_a_code_for_words(night: SmallNight, language: str) -> None:
    """A page of each kind, an order of each reason, and the report."""
    asked, lang = ask_desk(night), f"lang={language}"
    rows = pl.read_parquet(night.run_dir / "decisions.parquet")
    each = rows.unique("reason", keep="first", maintain_order=True)
    addresses = [
        *("/nights", "/health", f"/nights/{DAY}", f"/nights/{DAY}/orders"),
        *(f"/nights/{DAY}/merchants", f"/nights/{DAY}/margins", "/carrier"),
        f"/nights/{DAY}/report",
    ]
    for row in each.iter_rows(named=True):
        addresses += [
            f"/order?id={quote(row['order_id'])}",
            f"/order/proof?id={quote(row['order_id'])}",
            f"/merchant?id={quote(row['merchant_id'])}",
            f"/nights/{DAY}/orders?reason={row['reason']}",
        ]
    for address in addresses:
        beside = "&" if "?" in address else "?"
        page = seen(asked, f"{address}{beside}{lang}").text
        found = {*CODE.findall(words_of(page))}
        assert found <= TO_TYPE, (address, found)


def test_a_plan_without_anybody_says_why_in_words(night: SmallNight) -> None:
    """The sentence of the night has what decisions are called, not their codes."""
    asked = ask_desk(night)
    record = (night.run_dir / "run.json").read_text("utf-8")
    page = seen(asked, f"/nights/{DAY}?lang=zh").plain
    if '"NOBODY_CHOSEN"' in record:
        assert "方案中没有订单：不划算（" in page
    for own in ("the merchant is not enrolled", "no reason given"):
        assert own not in page


def test_what_is_looked_for_is_found() -> None:
    """A planted code, in a text and in a title."""
    assert CODE.findall(words_of("<p>NO_SAVING <code>CAP_ZERO</code></p>")) == [
        "NO_SAVING"
    ]
    assert CODE.findall(words_of('<a title="CAP_FULL 1">x</a>')) == ["CAP_FULL"]
