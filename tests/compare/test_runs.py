"""Nights against each other, beside a candidate, and against rules."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.cli import main as cli
from optimizer.compare.runs import Comparison, compare_runs
from optimizer.compare.shadow import run_shadow
from optimizer.config import Config, as_config
from optimizer.contracts.run_folder import read_record
from optimizer.job import run_date
from optimizer.night.run import RunReport

DAY = dt.date(2026, 11, 22)

Change = Callable[[Path, dict[str, Any]], None]


@pytest.fixture
def publish(
    night_folder: Path, night_config, tmp_path: Path
) -> Callable[[Change], Path]:
    """Publish a copy of the night after a change of its files or configuration."""

    def run(change: Change) -> Path:
        folder = tmp_path / "copy"
        shutil.copytree(night_folder / "nights", folder / "nights")
        config = night_config(folder)
        change(folder / "nights" / "2026-11-22", config)
        settings = as_config(config)
        return run_date(settings, DAY).run_dir

    return run


def fewer_slots(folder: Path, config: dict[str, Any]) -> None:
    """Take half of all slots away."""
    capacity = pl.read_csv(folder / "capacity.csv")
    capacity.with_columns(pl.col("slots") // 2).write_csv(folder / "capacity.csv")


def wider_cap(folder: Path, config: dict[str, Any]) -> None:
    """Double the cap."""
    config["policy"][0]["cap"]["rate"] = 0.06


def dearer(folder: Path, config: dict[str, Any]) -> None:
    """Make every complaint three times as bad."""
    config["objective"]["complaint_cost_cny"] = 90


def out_of_service(folder: Path, config: dict[str, Any]) -> None:
    """Take a carrier out of the roster."""
    config["policy"][0]["carriers"].remove("yunda")


def fewer_orders(folder: Path, config: dict[str, Any]) -> None:
    """Leave the chosen orders of one merchant out of the table."""
    orders = pl.read_parquet(folder / "orders.parquet")
    biggest = orders["merchant_id"].value_counts().sort("count", "merchant_id")[-1, 0]
    kept = orders.filter(pl.col("merchant_id") != biggest)
    kept.write_parquet(folder / "orders.parquet")


def nothing(folder: Path, config: dict[str, Any]) -> None:
    """Change nothing."""


CAUSES = {
    fewer_slots: {"CAPACITY"},
    wider_cap: {"CAP"},
    dearer: {"SAVING"},
    out_of_service: {"ELIGIBILITY"},
    fewer_orders: {"ORDER"},
}


@pytest.mark.parametrize("change", CAUSES, ids=lambda c: c.__name__)
def test_the_cause_of_a_change_is_what_was_changed(
    published: Path, publish, change: Change
) -> None:
    """
    One thing is changed, and orders change for that reason or because others compete;
    the changes are exactly the difference of the two lists of recommendations.
    """
    after = publish(change)
    found = compare_runs(published, after)
    assert set(found.orders["why"]) - {"COMPETITION"} == CAUSES[change]
    sides = [
        dict(
            pl.read_parquet(folder / "recommendations.parquet")
            .select("order_id", "carrier_id")
            .iter_rows()
        )
        for folder in (published, after)
    ]
    expected = {
        order: (sides[0].get(order), sides[1].get(order))
        for order in {*sides[0], *sides[1]}
        if sides[0].get(order) != sides[1].get(order)
    }
    listed = found.orders.select("order_id", "carrier_id_before", "carrier_id_after")
    assert {row[0]: row[1:] for row in listed.iter_rows()} == expected
    change_of = {(True, False): "REMOVED", (False, True): "ADDED"}
    for order, change_name in found.orders.select("order_id", "change").iter_rows():
        there = order in sides[0], order in sides[1]
        assert change_name == change_of.get(there, "MOVED")


def test_a_night_does_not_differ_from_itself_rerun(published: Path, publish) -> None:
    """The same files in another folder: no rule, number, order, lane or cap differs."""
    found = compare_runs(published, publish(nothing))
    tables = found.rules, found.numbers, found.orders, found.lanes, found.merchants
    assert all(table.is_empty() for table in tables)
    assert found.inputs["is_same"].all()


def test_rules_and_limits_that_differ_are_named(published: Path, publish) -> None:
    """A wider cap: the one rule by its name with both values, and each cap's change."""
    found: Comparison = compare_runs(published, publish(wider_cap))
    assert found.rules.rows() == [("policy.cap.rate", "0.03", "0.06")]
    merchants = found.merchants.filter(pl.col("cap_before") != pl.col("cap_after"))
    assert merchants.height > 10
    before = dict(found.numbers.select("metric", "before").iter_rows())
    assert before["sum_of_caps"] == str(
        read_record(published)["summary"]["sum_of_caps"]
    )


@pytest.fixture
def live(night_folder: Path, night_config, tmp_path: Path) -> Path:
    """A configuration on disk whose night goes to a folder of its own."""
    config = night_config(night_folder, output=str(tmp_path / "runs"))
    path = tmp_path / "live.yaml"
    path.write_text(json.dumps(config))
    return path


def call(monkeypatch, capsys, *words: object) -> tuple[int, str]:
    """Call the command line; its exit code and what it printed."""
    monkeypatch.setattr(sys, "argv", ["optimizer", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code or 0, capsys.readouterr().out


@pytest.mark.slow
def test_a_shadow_is_reported_and_only_the_live_night_is_published(
    live: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    """
    The candidate's change of saving is that of its own run; the published night is
    byte for byte what it is without a shadow.
    """
    run = ("run", "--config", live, "--date", "2026-11-22")
    assert call(monkeypatch, capsys, *run)[0] == 0
    night = tmp_path / "runs" / "2026-11-22"
    before = {p.name: p.read_bytes() for p in night.iterdir()}
    candidate = json.loads(live.read_text())
    candidate["policy"][0]["cap"]["rate"] = 0.06
    candidate["inputs"]["orders"] = "nowhere.parquet"
    path = tmp_path / "candidate.yaml"
    path.write_text(json.dumps(candidate))
    code, out = call(monkeypatch, capsys, *run, "--shadow", path, "--json")
    found = json.loads(out)["shadow"]
    shadow = read_record(Path(found["run_dir"]))
    gained = (
        shadow["summary"]["saving_cny"] - read_record(night)["summary"]["saving_cny"]
    )
    assert code == 0
    assert found["saving_change_cny"] == pytest.approx(gained)
    assert gained > 0
    assert found["num_changed"]["ADDED"] > 0
    assert {p.name: p.read_bytes() for p in night.iterdir()} == before
    assert sorted(p.name for p in (tmp_path / "runs").glob("2*")) == ["2026-11-22"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("version: 2", "version"), ("{", "YAML"), (None, "no such file")],
)
def test_a_broken_candidate_never_stops_the_live_night(
    live: Path, tmp_path: Path, monkeypatch, capsys, text: str | None, words: str
) -> None:
    """The night is published with exit code 0, and the candidate's fault is told."""
    path = tmp_path / "candidate.yaml"
    if text is not None:
        path.write_text(text)
    run = ("run", "--config", live, "--date", "2026-11-22", "--shadow", path)
    code, out = call(monkeypatch, capsys, *run)
    assert code == 0
    assert ": published" in out
    assert "shadow: failed; the live night is unaffected" in out
    assert words in out


def test_a_bug_in_a_candidate_never_stops_the_live_night(
    live: Path, tmp_path: Path
) -> None:
    """Even an error that nobody foresaw is reported, and not raised; nor memory."""
    config = as_config(json.loads(live.read_text()))
    for raised, words in (
        (ZeroDivisionError("boom"), "a bug of the candidate: .*boom"),
        (MemoryError(), "there is not enough memory for it; set solver.memory_gb"),
    ):

        def fail(candidate: Config, raised: Exception = raised) -> RunReport:
            raise raised

        found = run_shadow(config, tmp_path, live, DAY, fail)
        assert re.search(words, found["error"])


@pytest.mark.parametrize(
    ("rules", "code", "words"),
    [
        ([{"metric": "relative_gap", "max": 0}], 0, "pass  relative_gap is 0"),
        ([{"metric": "num_chosen", "min": 1, "max": 9999}], 0, "pass  num_chosen"),
        ([{"metric": "num_chosen", "max": 3}], 4, "FAIL  num_chosen"),
        ([{"metric": "saving_cny", "min": 10**9}], 4, "FAIL  saving_cny"),
        ([{"metric": "reasons.CHOSEN", "max": 0}], 4, "FAIL  reasons.CHOSEN"),
        ([{"metric": "against.saving_cny", "min": 0, "max": 0}], 0, "pass  against"),
        ([{"metric": "num_choosen", "max": 0}], 2, ""),
        ([{"metric": "num_chosen"}], 2, ""),
        ([], 2, ""),
    ],
)
def test_acceptance_leaves_with_the_code_of_its_rules(
    live: Path, published: Path, monkeypatch, capsys, rules, code: int, words: str
) -> None:
    """0 where all are met, 4 where one is not, 2 where one cannot be read."""
    config = json.loads(live.read_text()) | {"acceptance": rules}
    live.write_text(json.dumps(config))
    asked = ("accept", "--config", live, "--date", "2026-11-22", "--against", published)
    left, out = call(monkeypatch, capsys, *asked)
    assert left == code
    assert words in out
    asked = ("accept", published, "--config", live, "--against", published)
    again, text = call(monkeypatch, capsys, *asked)
    assert again == left
    rules = (said.partition("\n")[2] for said in (text, out))  # below what it is of
    assert len({*rules}) == 1


def test_shares_are_compared_exactly(published: Path) -> None:
    """A share at its own limit is met, and one part in 10^9 above it is not."""
    from optimizer.compare.acceptance import check_rules, metrics_of
    from optimizer.config.models import AcceptanceRule

    record = read_record(published)
    metrics = metrics_of(record)
    numbers = record["summary"]
    share = Decimal(numbers["num_chosen"]) / numbers["sum_of_caps"]
    assert metrics["cap_use"] == share
    for end, is_met in ((share, True), (share - Decimal("1e-9"), False)):
        (found,) = check_rules([AcceptanceRule(metric="cap_use", max=end)], metrics)
        assert found.is_met is is_met


@pytest.mark.slow
def test_the_commands_print_what_changed(
    published: Path, publish, monkeypatch, capsys, tmp_path: Path
) -> None:
    """``diff`` names input, rule and causes, in lines, as JSON and as tables."""
    after = publish(wider_cap)
    code, out = call(monkeypatch, capsys, "diff", published, after)
    assert code == 0
    assert "\n  Cap, share of each merchant's orders: 3% → 6%\n" in out
    assert "\n  Newly recommended: its merchant's cap changed: " in out
    words = out.partition("\n")[2]
    assert re.findall(r"policy\.|[a-z]_[a-z]|(?!CNY)[A-Z]{3}|[<&]", words) == []
    code, out = call(monkeypatch, capsys, "diff", published, after, "--language", "zh")
    assert re.search("\n  上限.*：.*3% → 6%\n", out)
    tables = tmp_path / "tables"
    asked = ("diff", published, after, "--json", "--out", tables)
    code, out = call(monkeypatch, capsys, *asked)
    assert json.loads(out)["rules"][0]["key"] == "policy.cap.rate"
    assert pl.read_parquet(tables / "orders.parquet").height > 0
