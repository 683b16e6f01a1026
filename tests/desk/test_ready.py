"""Pages of the newest night are made before they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from optimizer.desk import ready
from optimizer.desk.app import KEPT_PAGES
from tests.support.desk import ask_desk, seen
from tests.support.processes import wait_for
from tests.support.small_night import DAY, SmallNight

if TYPE_CHECKING:
    from collections.abc import Callable

BY_SAVING = f"/nights/{DAY}/orders?sort=-saving_cny"


def made_ready(asked: Any) -> Callable[[], bool]:
    """Tells whether a desk has made the pages of its newest night."""
    return lambda: asked.app.state.ready is not None


@pytest.mark.parametrize("language", ["en", "zh"])
def test_who_comes_first_finds_the_page_made(
    published: SmallNight, language: str
) -> None:
    """
    The decisions are not read for what is ready: pages, and first rows of any choice.

    They are for what only the file knows.
    """
    browser = {"accept-language": language}
    with ask_desk(published) as asked:
        wait_for(made_ready(asked), "the pages")
        rows = seen(asked, BY_SAVING, headers=browser)
        ways = [link for link in rows.links() if link.startswith(("/order?", "/merch"))]
        decisions = published.run_dir / "decisions.parquet"
        merchant = pl.read_parquet(decisions)["merchant_id"][0]
        decisions.unlink()
        for address in (
            *ways[:2],
            BY_SAVING,
            f"/nights/{DAY}/margins",
            f"/nights/{DAY}",
        ):
            seen(asked, address, headers=browser)
        for query in ("&page=2", "&reason=CHOSEN", "&carrier_id=yunda&rows=7"):
            seen(asked, BY_SAVING + query, headers=browser)
        seen(asked, f"{BY_SAVING}&merchant_id={merchant}", 404, headers=browser)


def test_a_night_that_is_published_meanwhile_is_made_ready(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pages are looked for again, without anybody who asks."""
    monkeypatch.setattr(ready, "LOOK_SECONDS", 0.05)
    aside = published.runs / "aside"
    published.run_dir.rename(aside)
    with ask_desk(published) as asked:
        wait_for(made_ready(asked), "the pages")
        nights, before = asked.app.state.desk.nights, asked.app.state.ready
        aside.rename(published.run_dir)
        wait_for(lambda: asked.app.state.ready != before, "the other night")
        (nights.newest().folder / "decisions.parquet").unlink()
        seen(asked, BY_SAVING)


def test_a_desk_without_nights_is_ready_at_once(inputs_only: SmallNight) -> None:
    """Nothing is made, and the list says how to publish one."""
    with ask_desk(inputs_only) as asked:
        wait_for(made_ready(asked), "the pages")
        assert "optimizer run" in seen(asked, "/nights").plain


def test_a_night_that_cannot_be_read_keeps_no_page_from_being_made(
    published: SmallNight,
) -> None:
    """What is damaged is told to who asks for it; the other pages are ready."""
    (published.run_dir / "decisions.parquet").write_bytes(b"PAR1")
    with ask_desk(published) as asked:
        wait_for(made_ready(asked), "the pages")
        seen(asked, BY_SAVING, 404)
        (published.run_dir / "merchants.parquet").unlink()
        seen(asked, f"/nights/{DAY}/merchants")


def test_what_is_made_ready_has_an_address_that_the_desk_answers() -> None:
    """Every pattern is one of the pages that are kept."""
    assert {pattern for pattern, _ in ready.PAGES} <= {*KEPT_PAGES}
