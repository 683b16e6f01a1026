"""A night whose files were edited: its pages say so, and all others go on."""

from __future__ import annotations

import copy
import json
import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.desk import app
from optimizer.desk.guard import POLICY
from optimizer.desk.ready import LOOK_SECONDS
from tests.desk.test_what_if import MANY, ROW, InThisProcess
from tests.support.desk import ask_desk, seen
from tests.support.small_night import DAY, SmallNight

#: What stands in place of a value: another kind, nothing, or a number of no night.
OTHERS = (None, [], {}, "x", 1e308, -1, [[]])
GONE = object()
BEFORE = "2026-11-21"
#: Of each table so many edits, and of the record so many deep ones.
NUM_DEEP = 16


class Untouched(InThisProcess):
    """Solves nothing: of a night that can be read it has two equal rows."""

    def ask(self, folder: Path, question: dict[str, Any]) -> dict[str, Any]:
        """Two rows of noughts."""
        return {"rows": [dict.fromkeys(ROW, 0)] * 2}


def pages_of(night: SmallNight) -> list[str]:
    """Every page of the desk, with an order, a merchant and a carrier of the night."""
    rows = pl.read_parquet(night.run_dir / "decisions.parquet")
    first = rows.drop_nulls("carrier_id").row(0, named=True)
    one = f"/nights/{DAY}"
    return [
        *("/nights", "/health", "/order", "/merchant", "/carrier", "/what-if"),
        *(one, f"{one}/orders", f"{one}/merchants", f"{one}/margins", f"{one}/report"),
        f"/order?id={first['order_id']}",
        f"/order/proof?id={first['order_id']}",
        f"/merchant?id={first['merchant_id']}",
        f"/carrier?id={first['carrier_id']}",
    ]


def ways_in(found: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every key of a record, and to the first of each list."""
    if way:
        yield way
    inner = found.items() if isinstance(found, dict) else enumerate(found[:1])
    for key, value in inner:
        if isinstance(value, dict | list):
            yield from ways_in(value, (*way, key))
        else:
            yield (*way, key)


def edited(record: dict[str, Any], way: tuple[Any, ...], value: Any) -> str:
    """The record with another value at the end of a way, or none."""
    made = copy.deepcopy(record)
    *before, last = way
    place = made
    for key in before:
        place = place[key]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return json.dumps(made)


def codes_of(night: SmallNight, pages: list[str]) -> dict[str, int]:
    """What each page answers, asked of a desk that has seen nothing yet."""
    asked = ask_desk(night, solver=Untouched(MANY))
    answers = {page: asked.get(page) for page in pages}
    asked.app.state.desk.first_rows.close()
    for answer in answers.values():
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    return {page: answer.status_code for page, answer in answers.items()}


def test_no_edit_of_a_record_is_an_error_of_the_desk(
    published: SmallNight, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Each part of it taken out, and what is deep within taken out or put in its place.

    No page answers 500, and those that list nights or forms always answer 200.
    """
    caplog.set_level(logging.CRITICAL)
    path, draw = published.run_dir / "run.json", random.Random(23)
    record, pages = json.loads(path.read_text()), pages_of(published)
    assert {*codes_of(published, pages).values()} == {200}
    ways = sorted(ways_in(record), key=str)
    told = ("summary", "certificate", "policy", "config", "run_measurements")
    deep = [way for way in ways if len(way) > 1 and way[0] in told]
    edits = [(way, GONE) for way in ways if len(way) == 1]
    edits += [(w, draw.choice((GONE, *OTHERS))) for w in draw.sample(deep, NUM_DEEP)]
    for way, value in edits:
        path.write_text(edited(record, way, value))
        codes = codes_of(published, pages)
        assert {*codes.values()} <= {200, 404, 409}, (way, value, codes)
        always = ("/nights", "/health", "/order", "/merchant")
        assert {codes[page] for page in always} == {200}, (way, value)


def test_no_edit_of_a_table_is_an_error_of_the_desk(
    published: SmallNight, caplog: pytest.LogCaptureFixture
) -> None:
    """A column taken out, or one of another kind: of each table, and of the report."""
    caplog.set_level(logging.CRITICAL)
    pages, draw = pages_of(published), random.Random(23)
    for path in sorted(published.run_dir.iterdir()):
        if path.name == "_SUCCESS":
            continue
        before = path.read_bytes()
        path.unlink()
        if path.suffix == ".parquet":
            path.write_bytes(before)
            table = pl.read_parquet(path)
            column = draw.choice(table.columns)
            other = pl.lit(draw.choice([None, "x", [1], 1e308])).alias(column)
            made = draw.choice([table.drop(column), table.with_columns(other)])
            path.unlink()
            made.write_parquet(path)
        codes = codes_of(published, pages)
        assert {*codes.values()} <= {200, 404, 409}, (path.name, codes)
        path.unlink(missing_ok=True)
        path.write_bytes(before)


def with_night_before(night: SmallNight) -> None:
    """Publish a copy of the night for the day before."""
    kept = night.runs / ".versions" / BEFORE / "copy"
    shutil.copytree(night.run_dir.resolve(), kept)
    (night.runs / BEFORE).symlink_to(kept.relative_to(night.runs))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Changed after it was published, or lost: run.json of the night"),
        ("zh", "发布后被改动或已丢失"),
    ],
)
def test_a_changed_record_is_told_with_what_to_do(
    published: SmallNight, language: str, words: str
) -> None:
    """The file, and three commands; nights beside it are shown, and it is marked."""
    with_night_before(published)
    path = published.run_dir / "run.json"
    record = json.loads(path.read_text())
    path.write_text(edited(record, ("summary", "num_merchants"), GONE))
    asked, lang = ask_desk(published), f"lang={language}"
    answer = asked.get(f"/nights/{DAY}?{lang}")
    page = seen(asked, f"/nights/{DAY}?{lang}", 409)
    assert words in page.plain
    assert answer.headers["content-security-policy"] == POLICY
    folder = published.runs / str(DAY)
    for command in ("verify", "rollback"):
        assert f"optimizer {command} {folder}" in page.plain
    assert f"optimizer backfill --config FILE --from {DAY} --to {DAY}" in page.plain
    seen(asked, f"/nights/{BEFORE}?{lang}")
    listed = seen(asked, f"/nights?{lang}")
    assert 'class="bad"' in listed.text
    assert "run.json" in listed.plain
    assert "run.json" in seen(asked, f"/health?{lang}").plain
    rows = pl.read_parquet(published.run_dir / "merchants.parquet")
    merchant = seen(asked, f"/merchant?id={rows['merchant_id'][0]}&{lang}")
    assert f"/nights/{BEFORE}" in merchant.text
    assert f"/nights/{DAY}" not in merchant.text


def test_a_record_that_is_put_back_is_read_again(published: SmallNight) -> None:
    """The mark lasts as long as the files: nobody has to start the desk anew."""
    path = published.run_dir / "run.json"
    before = path.read_text()
    path.write_text(edited(json.loads(before), ("summary", "num_merchants"), GONE))
    asked = ask_desk(published)
    seen(asked, f"/nights/{DAY}", 409)
    path.write_text(before)
    asked.app.state.desk.nights._seen_at = float("-inf")
    seen(asked, f"/nights/{DAY}")
    assert 'class="bad"' not in seen(asked, "/nights").text


def test_a_mistake_of_the_desk_stays_one(
    published: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where all files are as they were published, no night is accused."""

    def broken(desk: Any, request: Any) -> str:
        desk.nights.open(DAY)
        return {}["no such key"]

    monkeypatch.setitem(app.FRESH_PAGES, "/health", broken)
    caplog.set_level(logging.CRITICAL)
    asked = ask_desk(published)
    assert "bug in the desk" in seen(asked, "/health", 500).plain
    seen(asked, f"/nights/{DAY}")


def test_pages_go_on_being_made_ready(published: SmallNight) -> None:
    """A changed night ends nothing that runs beside the pages."""
    path = published.run_dir / "run.json"
    record = json.loads(path.read_text())
    path.write_text(edited(record, ("summary", "reasons"), []))
    with ask_desk(published) as asked:
        for _ in range(int(LOOK_SECONDS * 100)):
            if asked.app.state.ready is not None:
                break
            seen(asked, "/health")
        assert asked.app.state.ready is not None
