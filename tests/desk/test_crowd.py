"""A hundred readers at once: each gets what a reader alone gets."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import quote

import polars as pl
import pytest
from starlette.applications import Starlette

from tests.support.desk import ask_desk
from tests.support.desk_server import served
from tests.support.small_night import DAY, SmallNight

NUM_READERS = 100
#: Seconds until a reader gives up: long, since nothing here is about time.
PATIENCE = 120.0


def addresses(night: SmallNight) -> list[str]:
    """As many different pages as there are readers, of every kind that is kept."""
    decisions = pl.read_parquet(night.run_dir / "decisions.parquet")
    merchants = decisions["merchant_id"].unique().sort()
    carriers = decisions["carrier_id"].drop_nulls().unique().sort()
    at = f"/nights/{DAY}"
    pages = ["/nights", at, f"{at}/margins", f"{at}/report", "/carrier", "/order"]
    pages += [f"/carrier?id={quote(one)}" for one in carriers]
    pages += [f"/merchant?id={quote(one)}" for one in merchants[:20]]
    pages += [f"{at}/merchants?sort={by}" for by in ("-cap", "cap", "-used", "used")]
    pages += [f"{at}/orders?sort=-saving_cny&rows=9&page={n}" for n in range(1, 13)]
    pages += [f"{at}/orders?merchant_id={quote(one)}" for one in merchants[:8]]
    pages += [f"{page}{'&' if '?' in page else '?'}lang=zh" for page in pages[:12]]
    pages += [f"/order?id={quote(one)}" for one in decisions["order_id"]]
    return pages[:NUM_READERS]


@pytest.mark.slow
def test_a_hundred_at_once_each_get_what_one_alone_gets(
    published_once: SmallNight,
) -> None:
    """
    All are connected before the first asks; each answer is 200, to the byte.

    With the rate that a reader may ask at, since all come from one address.
    """
    pages = addresses(published_once)
    assert len(set(pages)) == NUM_READERS
    alone = ask_desk(published_once)
    wanted = {page: alone.get(page).content for page in pages}
    together = threading.Barrier(NUM_READERS, timeout=PATIENCE)
    app = ask_desk(published_once, per_second=50).app
    assert isinstance(app, Starlette)

    with served(app) as address:
        place = address.removeprefix("http://")

        def read(page: str) -> tuple[int, bool]:
            reader = HTTPConnection(place, timeout=PATIENCE)
            try:
                reader.connect()
                together.wait()
                reader.request("GET", page)
                answer = reader.getresponse()
                return answer.status, answer.read() == wanted[page]
            finally:
                reader.close()

        with ThreadPoolExecutor(NUM_READERS) as readers:
            found = dict(zip(pages, readers.map(read, pages), strict=True))
    assert {page: got for page, got in found.items() if got != (200, True)} == {}
