"""Python functions answer as the commands do, and refuse what they refuse."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import optimizer
from optimizer.config.scenarios import as_scenarios
from optimizer.errors import ConfigError, DataError
from optimizer.whatif.base import base_of_run
from optimizer.whatif.price_list import price_list
from optimizer.whatif.robustness import Doubt
from optimizer.whatif.robustness import robustness as try_draws
from optimizer.whatif.scenario_tables import scenario_table, view_table
from optimizer.whatif.scenarios import pareto_front, run_scenarios
from tests.support.answers import make_config, night_folder, published
from tests.support.small_night import call
from tests.support.trial import outcomes, settings

__all__ = ["night_folder", "published"]

ASKED = {
    "scenarios": [{"name": "half", "slots_factor": 0.5}],
    "pareto_points": 2,
    "harm_borne": {"merchant": 1, "platform": 0, "consumer": 0},
}


def told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> dict[str, Any]:
    """What a command says to programs."""
    done = call(monkeypatch, capsys, *words, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def as_json(tables: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Tables as ``--json`` prints them."""
    rows = {name: table.to_dicts() for name, table in tables.items()}
    return json.loads(json.dumps(rows, ensure_ascii=False))


@pytest.mark.slow
def test_tables_are_those_of_the_commands(
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Prices, scenarios, robustness and diff: the same rows, to the last digit."""
    file = tmp_path / "asked.yaml"
    file.write_text(json.dumps(ASKED))
    run = str(published)
    cases = [
        (
            optimizer.prices(run, top=1),
            ("lanes", "merchants", "steps"),
            ("prices", run, "--top", "1"),
        ),
        (
            optimizer.scenarios(ASKED, run=published),
            ("scenarios", "front", "views"),
            ("scenarios", run, "--scenarios", file),
        ),
        (
            optimizer.robustness(run, relative_error=0.3, num_draws=3, num_hindsight=1),
            ("plans", "draws"),
            (
                *("robustness", run, "--relative-error", "0.3"),
                *("--draws", "3", "--hindsight", "1"),
            ),
        ),
        (
            optimizer.diff(run, published),
            ("rules", "inputs", "orders", "lanes", "merchants", "limits"),
            ("diff", run, run),
        ),
    ]
    for found, names, words in cases:
        said = told(monkeypatch, capsys, *words)
        tables = as_json({name: getattr(found, name) for name in names})
        assert {name: said[name] for name in names} == tables, words[0]


def test_a_check_is_what_the_command_says(
    published: Path,
    night_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`validate`: the same values, text and page; short where nobody prints it."""
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps(make_config(night_folder)))
    words = ("validate", "--config", config, "--date", "2026-11-22")
    found = optimizer.validate(config, date="2026-11-22")
    assert told(monkeypatch, capsys, *words) == json.loads(json.dumps(found.values))
    assert call(monkeypatch, capsys, *words).out == f"{found}\n"
    page = tmp_path / "checked.html"
    done = call(monkeypatch, capsys, *words, "--report", page, "--language", "zh")
    assert done.out == f"{found.text('zh')}\n\n{page}: written\n"
    assert page.read_text("utf-8") == found.report("zh").html
    lanes = found.values["capacity"]["lanes"]
    assert found.lanes["num_orders"].to_list() == [each["num_orders"] for each in lanes]
    assert found.quarantine.is_empty()
    assert len(repr(found).splitlines()) == 6
    assert "a run would go on" in found._repr_html_()
    assert published.exists()
    with pytest.raises(ConfigError, match="language must be en or zh"):
        found.text("fr")
    other = make_config(
        night_folder, objective={"complaint_cost_cny": 9, "return_cost_cny": 1}
    )
    with pytest.raises(ConfigError, match="the configuration changed since"):
        optimizer.validate(other, date=dt.date(2026, 11, 22))
    assert optimizer.validate(other, date="2026-11-22", is_forced=True).day


def test_a_date_is_solved_as_a_published_night_is(
    published: Path, night_folder: Path
) -> None:
    """Configuration and date name the same night as its folder."""
    given = {"config": make_config(night_folder), "date": "2026-11-22"}
    found = optimizer.prices(**given, top=0)
    assert found.lanes.equals(optimizer.prices(published, top=0).lanes)


@pytest.mark.slow
def test_each_keyword_reaches_the_study(published: Path) -> None:
    """The function and the command share a way in; the studies are called beside it."""
    base = base_of_run(published)
    doubt = Doubt(0.2, shared=0.9, num_draws=4, num_hindsight=2, seed=3)
    found = optimizer.robustness(
        published,
        relative_error=0.2,
        shared=0.9,
        num_draws=4,
        num_hindsight=2,
        seed=3,
    )
    assert found.draws.equals(try_draws(base, doubt).draws)
    steps = price_list(base, top=2).steps
    assert optimizer.prices(published, top=2).steps.equals(steps)
    wanted = as_scenarios(ASKED)
    tried = run_scenarios(base, wanted.all_scenarios())
    found_scenarios = optimizer.scenarios(ASKED, run=published)
    assert found_scenarios.scenarios.equals(scenario_table(tried))
    assert found_scenarios.views.equals(view_table(tried, wanted.harm_borne))
    assert found_scenarios.front.height == len(pareto_front(base, 2))


def test_explanations_are_those_of_the_command(
    published: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of an order, a merchant, a lane and the night, in both languages."""
    decisions = pl.read_parquet(published / "decisions.parquet")
    lane = pl.read_parquet(published / "lanes.parquet").row(0, named=True)
    place = "/".join(
        lane[name] for name in ("carrier_id", "region_id", "outlet_id") if lane[name]
    )
    order_id, merchant_id = decisions.select("order_id", "merchant_id").row(0)
    cases: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({}, ()),
        ({"order_id": order_id}, (order_id,)),
        ({"merchant_id": merchant_id}, ("--merchant", merchant_id)),
        ({"lane": place, "language": "zh"}, ("--lane", place, "--language", "zh")),
    ]
    for keys, words in cases:
        found = optimizer.explain_run(published, **keys)
        assert told(monkeypatch, capsys, "explain", published, *words) == found.values
        assert str(found) == found.sentence == found.values["sentence"]


@pytest.mark.slow
def test_what_is_learned_and_measured_is_what_the_command_saves(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same model by its checksum, the same effects; a table needs no file."""
    config, history = tmp_path / "config.yaml", tmp_path / "history.parquet"
    config.write_text(settings().model_dump_json(exclude_unset=True))
    table = outcomes(600, seed=1)
    table.write_parquet(history)
    learned = optimizer.learn_model(table, config=config, as_of="2026-12-01")
    words = ("--config", config, "--history", history, "--as-of", "2026-12-01")
    said = told(monkeypatch, capsys, "learn", *words, "--out", tmp_path / "models")
    assert Path(said["model_dir"]).name == learned.model.version
    assert learned.save(tmp_path / "again").name == learned.model.version
    measured = optimizer.evaluate(table, config=config, as_of="2026-12-01")
    said = told(monkeypatch, capsys, "evaluate", *words)
    assert said["effects"] == json.loads(json.dumps(measured.effects))


REFUSED = {
    "no night": (lambda _: optimizer.prices(), "give the folder of a run"),
    "two nights": (
        lambda run: optimizer.prices(run, config="c.yaml", date="2026-11-22"),
        "give the folder of a run",
    ),
    "a date with a time": (
        lambda run: optimizer.evaluate(
            config=make_config(run), first=dt.datetime(2026, 1, 1)
        ),
        "without a time",
    ),
    "dates the wrong way round": (
        lambda run: optimizer.evaluate(
            config=make_config(run), first="2026-02-01", last="2026-01-01"
        ),
        "is after",
    ),
    "a negative number of steps": (
        lambda run: optimizer.prices(run, top=-1),
        "top must be at least 0, got -1",
    ),
    "too many draws": (
        lambda run: optimizer.robustness(run, num_draws=100_001),
        "num_draws must be at least 1 and at most 100,000",
    ),
    "an error that is no number": (
        lambda run: optimizer.robustness(run, relative_error=float("nan")),
        "relative_error must be",
    ),
    "no error at all": (optimizer.robustness, "say how wrong"),
    "a wrong scenario": (
        lambda run: optimizer.scenarios({"sweeps": {}}, run=run),
        "scenarios: sweeps: ",
    ),
    "scenarios that are a list": (
        lambda run: optimizer.scenarios([1], run=run),  # type: ignore[arg-type]
        "must be a mapping or a path, got list",
    ),
    "two things to explain": (
        lambda run: optimizer.explain_run(run, order_id="a", lane="b"),
        "explain one thing",
    ),
    "a language that there is not": (
        lambda run: optimizer.explain_run(run, language="fr"),
        "language must be en or zh, got 'fr'",
    ),
}


@pytest.mark.parametrize(("ask", "words"), REFUSED.values(), ids=REFUSED)
def test_wrong_questions_are_refused(ask: Any, words: str, published: Path) -> None:
    """Each with a sentence that says what to give instead."""
    with pytest.raises(ConfigError, match=words):
        ask(published)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    """By every question about a published night."""
    for ask in (optimizer.prices, optimizer.explain_run, optimizer.robustness):
        with pytest.raises(DataError, match=str(tmp_path)):
            ask(tmp_path)
    with pytest.raises(DataError, match=str(tmp_path)):
        optimizer.diff(tmp_path, tmp_path)
