"""A night without a ledger says why it has none, and counts what it says it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.report import report_html
from tests.support.night_variants import Variant, settings, simulated
from tests.support.pages import articles, visible
from tests.support.published_nights import publish, record_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A night whose tables have the probabilities, and its tables; not changed."""
    folder = tmp_path_factory.mktemp("given")
    run = publish(folder, simulated(folder, num_orders=300), settings(Variant()))
    return run, {name: pl.read_parquet(run / name) for name in EVERY_NIGHT}


@pytest.mark.slow
def test_a_night_by_given_probabilities_says_where_its_ledger_is(
    made: tuple[Path, dict[str, Any]],
) -> None:
    """In both languages, with the command that holds promises against outcomes."""
    page = (made[0] / "report.html").read_text()
    assert "the probabilities on premium service come with the tables" in visible(page)
    for article in articles(page):
        (code,) = [n for n in article.all("code") if "evaluate" in n.text]
        assert code.text.startswith("optimizer evaluate --config FILE --history")
    assert "送货上门的概率由输入表给出" in articles(page)[1].text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cost", "dated", "words"),
    [
        ("18", None, "Complaints and logistics returns that"),
        ("0", None, "Complaints that"),
        ("18", "0", "Complaints that"),
        ("0", "18", "Complaints and logistics returns that"),
    ],
)
def test_returns_that_cost_nothing_are_not_called_harm(
    cost: str, dated: str | None, words: str, made: tuple[Path, dict[str, Any]]
) -> None:
    """The rules of the night's date decide, before those of the configuration."""
    run, tables = made
    record = record_of(run)
    record["config"]["objective"]["return_cost_cny"] = cost
    record["policy"]["objective"]["return_cost_cny"] = dated
    said = visible(report_html(record, tables))
    assert f"{words} are expected not to happen" in said


@pytest.mark.slow
def test_a_model_without_a_ledger_and_an_old_record_are_told_apart(
    made: tuple[Path, dict[str, Any]],
) -> None:
    """A model's history may have nothing to compare; old nights say nothing of it."""
    run, tables = made
    record = record_of(run)
    record["assumptions"] = [
        one for one in record["assumptions"] if one["code"] != "PROBABILITIES_GIVEN"
    ]
    assert "Nothing to hold against each other yet" in visible(
        report_html(record, tables)
    )
    del record["assumptions"]
    assert "Promised and realised" not in visible(report_html(record, tables))
