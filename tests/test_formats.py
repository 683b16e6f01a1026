"""Nights that older versions published are explained, compared, healed and proved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.support.small_night import Call, call

HERE = Path(__file__).parent / "formats"
PROJECTS = sorted(path.name for path in HERE.iterdir() if path.is_dir())
NIGHTS = [
    (project, f"{output}/{day}")
    for project in PROJECTS
    for output in ("runs", "packed")
    for day in ("2026-11-22", "2026-11-23")
    if f"{output}/{day} " in (HERE / project / "links.txt").read_text()
]


@pytest.fixture
def project(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of an old project, in another place than it was made in."""
    target = tmp_path / "project"
    shutil.copytree(HERE / request.param, target)
    # A source distribution holds no links, so they stand in a list.
    for line in (target / "links.txt").read_text().splitlines():
        link, leads_to = line.split(" ")
        (target / link).symlink_to(leads_to)
    monkeypatch.chdir(target)
    return target


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call the command line; anything but the exit code that is due is a failure."""

    def command(*words: object, code: int = 0) -> Call:
        said = call(monkeypatch, capsys, *words)
        assert said.code == code, said.out + said.err
        return said

    return command


def first_of(night: str, reason: str) -> str:
    decisions = pl.read_parquet(f"{night}/decisions.parquet")
    return decisions.filter(pl.col("reason") == reason)["order_id"][0]


def test_every_format_is_here() -> None:
    """A record's format that no folder has could be read by chance alone."""
    formats = {
        json.loads(path.read_text())["schema_version"]
        for path in HERE.glob("*/runs/.versions/*/*/run.json")
    }
    assert formats == {1, 2}
    assert len(NIGHTS) == 8


@pytest.mark.parametrize(("project", "night"), NIGHTS, indirect=["project"])
def test_an_old_night_is_explained(project: Path, night: str, say) -> None:
    """Orders in and out, a merchant, a lane, the night, in both languages."""
    for reason in ("CHOSEN", "NO_SAVING", "CAPACITY_FULL"):
        decisions = pl.read_parquet(f"{night}/decisions.parquet")
        if reason in decisions["reason"]:
            for language in ("en", "zh"):
                order = first_of(night, reason)
                assert order in say("explain", night, order, "--language", language).out
    merchant = pl.read_parquet(f"{night}/merchants.parquet")["merchant_id"][0]
    assert "slots are used" in say("explain", night, "--merchant", merchant).out
    assert "slots are used" in say("explain", night, "--lane", "yunda").out
    found = json.loads(say("explain", night, "--json").out)
    saved = json.loads(Path(night, "run.json").read_text())["summary"]["saving_cny"]
    assert found["saving_cny"] == pytest.approx(saved)


@pytest.mark.parametrize("project", ["before_evidence", "format_1"], indirect=True)
def test_a_margin_of_old_is_no_exact_amount(project: Path, say) -> None:
    """Before format 2 margins came from the lowest prices: what they say is a bound."""
    night = "runs/2026-11-22"
    order = first_of(night, "CAPACITY_FULL")
    assert "would need at least" in say("explain", night, order).out
    found = json.loads(say("explain", night, order, "--json").out)
    assert found["margin_cny"] is None
    assert found["margin_high_cny"] < 0


@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_old_nights_are_compared(project: Path, say) -> None:
    """Two nights of an old format, and each with itself."""
    say("diff", "runs/2026-11-22", "runs/2026-11-22")
    assert (
        "merchants with another cap"
        in say("diff", "runs/2026-11-22", "runs/2026-11-23").out
    )


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_an_old_project_goes_on(project: Path, say) -> None:
    """
    The next date is published on top of old nights whose caps it carries on, the state
    is healed, the chain holds, and the evidence of an old night's order with it.
    """
    shutil.copytree("data/nights/2026-11-22", "data/nights/2026-11-24")
    say("run", "--config", "premium.yaml", "--date", "2026-11-24")
    assert say("verify", "runs/2026-11-24").out.startswith("runs/2026-11-24: holds")
    assert "3 links" in say("audit", "--config", "premium.yaml").out
    order = first_of("runs/2026-11-22", "CHOSEN")
    said = say("evidence", order, "--config", "premium.yaml", "--date", "2026-11-22")
    assert "holds" in said.out
    say("status", "--config", "premium.yaml")


@pytest.mark.parametrize("project", ["format_2"], indirect=True)
def test_a_night_that_cannot_be_read_stops_no_other(
    project: Path, say, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A damaged old night is told and left; dates that count on it are refused with its
    name, and dates that do not are published.
    """
    settings = yaml.safe_load(Path("premium.yaml").read_text())
    shutil.copytree("data/nights/2026-11-22", "data/nights/2026-11-24")
    (table,) = Path("runs/.versions/2026-11-23").glob("*/decisions.parquet")
    bank = table.with_name("bank.parquet")
    bank.chmod(0o600)
    bank.write_bytes(bank.read_bytes()[:-9])
    for path in Path("runs").glob(".state.sqlite*"):
        path.unlink()
    said = say("run", "--config", "premium.yaml", "--date", "2026-11-24", code=3)
    assert "2026-11-24 counts on the night of 2026-11-23" in said.err
    settings["policy"][0]["cap"]["rounding"] = "floor"
    Path("premium.yaml").write_text(yaml.safe_dump(settings))
    say("run", "--config", "premium.yaml", "--date", "2026-11-24")
    assert "the night of 2026-11-23 cannot be read" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("project", "night"),
    [found for found in NIGHTS if found[0] != "before_evidence"],
    indirect=["project"],
)
def test_an_old_night_is_proved(project: Path, night: str, say) -> None:
    """In another place, from the inputs beside it, by what its format had."""
    assert say("verify", night).out.startswith(f"{night}: holds")
    say("prices", night, code=0 if night.startswith("runs") else 4)
