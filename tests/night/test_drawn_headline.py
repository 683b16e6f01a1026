"""What a night of drawn savings is expected to avoid is one number everywhere."""

from __future__ import annotations

import datetime as dt
import json
import logging
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from optimizer.cli.main import app
from optimizer.compare.acceptance import metrics_of
from optimizer.compare.runs import compare_runs
from optimizer.config import as_config
from optimizer.contracts.headline import by_mean
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.desk.published import line_of
from optimizer.job import backfill
from optimizer.report import report_html
from optimizer.verify.night import verify_night
from tests.support.drawn_models import a_model, written
from tests.support.night_variants import Variant, settings, simulated
from tests.support.pages import articles, visible
from tests.support.published_nights import record_of

DAYS = dt.date(2026, 11, 22), dt.date(2026, 11, 23)
PREMIUM = ["complaint_prob_premium", "return_prob_premium"]


class Told:
    """Two nights whose savings are drawn, with all that is told of the second."""

    def __init__(self, folder: Path, log: pytest.LogCaptureFixture) -> None:
        config = _settings(folder)
        self.config = folder / "premium.yaml"
        self.config.write_text(yaml.safe_dump(config))
        with log.at_level(logging.INFO):
            list(backfill(as_config(config), *DAYS))
        self.ends = [r for r in log.records if r.message == "run ended"]
        self.before, self.run = (folder / "runs" / f"{day}" for day in DAYS)
        self.record = record_of(self.run)
        self.metrics = (folder / "night.prom").read_text()

    def say(self, *words: str) -> str:
        """Run a command, and give what it prints."""
        found = CliRunner().invoke(app, [*words, "--config", str(self.config)], obj={})
        assert found.exit_code == 0, found.output
        return found.stdout


def _settings(folder: Path) -> dict[str, Any]:
    tables = simulated(folder, num_orders=600)
    inputs = {}
    for name in ("orders", "capacity", "merchants"):
        table = tables[name]
        assert table is not None
        if name == "orders":
            table = table.drop(PREMIUM)
        if name == "capacity":
            table = table.with_columns(slots=pl.col("slots") * 3 + 1)
        inputs[name] = str(folder / f"{name}.parquet")
        table.write_parquet(inputs[name])
    variant = Variant(
        policy={"cap": {"rate": 0.1}},
        config={
            "objective": {
                "complaint_cost_cny": 30,
                "return_cost_cny": 18,
                "explore": "thompson",
                "num_draws": 10,
            },
            "holdout": {"share": 0.2, "seed": 5},
            "model": written(folder / "model", a_model(spread=0.4)),
            "inputs": inputs,
            "output": str(folder / "runs"),
            "operations": {"metrics": str(folder / "night.prom")},
        },
    )
    return settings(variant)


@pytest.mark.slow
def test_every_place_tells_what_is_expected_and_calls_the_draw_a_draw(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Prompt, lists, log, metrics, report, trends, comparison, acceptance and desk agree.

    All say the mean of the model as harm avoided; where the draw stands as well it is
    called drawn, and the statement of the night holds.
    """
    told = Told(tmp_path, caplog)
    summary = told.record["summary"]
    mean, drawn = summary["draw"]["mean_saving_cny"], summary["saving_cny"]
    assert round(mean, 2) != round(drawn, 2)
    words = f"{mean:,.2f} CNY ({drawn:,.2f} CNY by the savings that were drawn)"

    assert words in told.say("status", "--date", f"{DAYS[1]}")
    assert words in told.say("runs")
    dates = ["--from", f"{DAYS[1]}", "--to", f"{DAYS[1]}"]
    assert words in told.say("backfill", *dates)
    assert f"avoids     {mean:,.2f} CNY" in told.say("run", "--date", f"{DAYS[1]}")
    said = json.loads(told.say("run", "--date", f"{DAYS[1]}", "--json"))["summary"]
    assert (said["saving_cny"], said["drawn_saving_cny"]) == (mean, drawn)
    for night in json.loads(told.say("runs", "--json"))["runs"][1:]:
        assert (night["saving_cny"], night["drawn_saving_cny"]) == (mean, drawn)
    last = vars(told.ends[-1])
    assert (last["saving_cny"], last["drawn_saving_cny"]) == (mean, drawn)
    assert f"premium_delivery_saving_cny {mean}" in told.metrics
    assert f"premium_delivery_drawn_saving_cny {drawn}" in told.metrics

    _, now = pl.read_parquet(told.run / "nights.parquet").rows(named=True)
    assert now["saving_cny"] == mean
    figures = pl.read_parquet(told.run / "figures.parquet")
    values = figures.filter(pl.col("section") == "night", pl.col("item").is_null())
    shown = dict(values.select("figure", "value").iter_rows())
    assert (shown["saving_cny"], shown["drawn_saving_cny"]) == (mean, drawn)

    compared = compare_runs(told.before, told.run)
    assert compared.after.saving_cny == mean
    numbers = {row["metric"]: row["after"] for row in compared.numbers.to_dicts()}
    assert (numbers["saving_cny"], numbers["drawn_saving_cny"]) == (
        str(mean),
        str(drawn),
    )
    rules = metrics_of(told.record, record_of(told.before))
    earlier = by_mean(record_of(told.before)["summary"])["saving_cny"]
    assert float(rules["saving_cny"]) == mean
    assert float(rules["against.saving_cny"]) == pytest.approx(mean - earlier)
    assert line_of(DAYS[1], "v", told.record).saving == mean
    assert verify_night(told.run).findings == ()
    _assert_page(told, mean, drawn)


def _assert_page(told: Told, mean: float, drawn: float) -> None:
    """The page has the seed beside the proof, in both languages."""
    made = (told.run / "report.html").read_text()
    page = visible(made)
    seed = told.record["summary"]["draw"]["seed"]
    assert page.count(f"that avoids {mean:,.2f} CNY of expected harm") == 1
    assert page.count(f"The seed of the draw: {seed}.") == 1
    assert articles(made)[1].text.count(f"抽取的种子：{seed}。") == 1
    assert "Proved: best for the savings that were drawn" in page
    assert "Proved: best for these estimates" not in page


@pytest.mark.slow
def test_answers_by_drawn_savings_say_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A question that solves a drawn night again answers by the draw, and says that.

    At a prompt, as JSON and on its page, in both languages.
    """
    told = Told(tmp_path, caplog)
    asked = tmp_path / "asked.yaml"
    asked.write_text("scenarios:\n  - {name: fee, fee_cny: 0.5}\n")
    words = "all amounts are by the savings that were drawn"
    page = tmp_path / "scenarios.html"
    line = ["scenarios", "--date", f"{DAYS[1]}", "--scenarios", str(asked)]
    said = told.say(*line, "--report", str(page))
    assert said.splitlines()[0].endswith(words)
    assert words in told.say("prices", "--date", f"{DAYS[1]}")
    assert json.loads(told.say(*line, "--json"))["basis"]["is_drawn"] is True
    shown = articles(page.read_text())
    assert "not by what is expected" in shown[0].text
    assert "所有金额均按抽取的节省额计算" in shown[1].text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mean", "words", "chinese"),
    [
        (
            -3.27,
            "is expected to cost 3.27 CNY more than the harm",
            "成本比可避免的损失多",
        ),
        (0.0, "is expected to avoid no more harm than it costs", "不超过其成本"),
    ],
)
def test_a_night_that_is_not_expected_to_save_says_so_first(
    mean: float,
    words: str,
    chinese: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A loss is told as a loss and nothing as nothing, in both languages."""
    told = Told(tmp_path, caplog)
    record = told.record
    record["summary"]["draw"]["mean_saving_cny"] = mean
    tables = {name: pl.read_parquet(told.run / name) for name in EVERY_NIGHT}
    made = report_html(record, tables)
    page = visible(made)
    assert words in page
    assert chinese in articles(made)[1].text
    assert "avoids -" not in page
    assert ("It is the price of learning" in page) == (mean < 0)
