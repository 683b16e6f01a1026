"""Inputs that are late, and the commands for several nights."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.config import load_config
from optimizer.contracts.run_folder import read_record
from optimizer.errors import BusyError
from optimizer.job import run_date
from optimizer.night import inputs
from optimizer.replay.run import verify_run
from tests.support.days import START, make_days
from tests.support.small_night import Call, call

DAYS = [START + dt.timedelta(days=number) for number in range(3)]


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Inputs of three days."""
    folder = tmp_path_factory.mktemp("days")
    make_days(folder, len(DAYS), num_orders=300)
    return folder


@pytest.fixture
def folder(once: Path, tmp_path: Path) -> Path:
    """A copy of one's own."""
    folder = tmp_path / "days"
    shutil.copytree(once, folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace(str(once), str(folder)))
    return folder


@pytest.fixture
def cli(folder: Path, monkeypatch, capsys):
    """Call the command line with the configuration."""

    def run(*words: object) -> Call:
        config = ("--config", folder / "config.yaml")
        return call(monkeypatch, capsys, words[0], *config, *words[1:])

    return run


def configure(folder: Path, **inputs: object) -> None:
    """Change what the configuration says of inputs."""
    path = folder / "config.yaml"
    settings = json.loads(path.read_text())
    settings["inputs"] |= inputs
    path.write_text(json.dumps(settings))


def night_file(folder: Path, day: dt.date, name: str) -> Path:
    """An input of a date."""
    return folder / "nights" / str(day) / name


@pytest.mark.parametrize(
    ("missing", "inputs", "code", "words"),
    [
        ("capacity.csv", {}, 3, "no such file"),
        ("capacity.csv", {"wait_minutes": 0.001}, 75, "are late: capacity"),
        (
            "orders.parquet",
            {"wait_minutes": 0, "when_capacity_is_late": "yesterdays_capacity"},
            75,
            "are late: orders",
        ),
    ],
)
def test_a_missing_input_is_refused_or_late(folder, cli, missing, inputs, code, words):
    """Without a wait it is refused (3); after one it may come later (75)."""
    configure(folder, **inputs)
    night_file(folder, DAYS[1], missing).unlink()
    found = cli("run", "--date", DAYS[1])
    assert (found.code, words in found.err) == (code, True), found.err
    assert not (folder / "runs" / str(DAYS[1])).exists()


@pytest.mark.slow
def test_yesterdays_capacity_stands_in_and_says_so(folder: Path, cli):
    """
    The night is published with a warning that verify proves; when the true capacity
    comes it is another night, that replaces it only by force.
    """
    configure(folder, when_capacity_is_late="yesterdays_capacity")
    path = night_file(folder, DAYS[1], "capacity.csv")
    text = path.read_text()
    path.unlink()
    found = cli("run", "--date", DAYS[1])
    assert found.code == 0
    assert "stands in for it" in found.out
    record = read_record(folder / "runs" / str(DAYS[1]))
    (used,) = record["inputs"]["capacity"]["files"]
    assert used["path"] == str(night_file(folder, DAYS[0], "capacity.csv"))
    assert verify_run(folder / "runs" / str(DAYS[1])).is_valid
    path.write_text(text)
    assert cli("run", "--date", DAYS[1]).code == 2
    found = cli("run", "--date", DAYS[1], "--force")
    assert (found.code, "stands in" in found.out) == (0, False)


class Clock:
    """Time that passes only while one sleeps, and what happens after each sleep."""

    def __init__(self, then: Callable[[], object]) -> None:
        self.now, self.then = 0.0, then

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        assert seconds > 0
        self.now += seconds
        self.then()


def test_an_input_that_comes_in_time_is_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """A file that appears during the wait is used, and there is no warning."""
    configure(folder, wait_minutes=1, when_capacity_is_late="yesterdays_capacity")
    path = night_file(folder, DAYS[1], "capacity.csv")
    aside = path.rename(path.with_name("aside"))
    clock = Clock(lambda: clock.now < 50 or aside.rename(path))
    monkeypatch.setattr(inputs, "time", clock)
    stages: list[str] = []
    config = load_config(folder / "config.yaml")
    report = run_date(config, DAYS[1], progress=stages.append)
    assert set(stages[:10]) == {"wait for capacity"}
    assert "wait for capacity" not in stages[10:]
    assert clock.now == 50
    assert report.record["substitutes"] == {}
    assert report.record["warnings"] == []


def test_an_input_that_never_comes_is_waited_for_as_long_as_configured(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """The last look is at the very end of the wait, and not after it."""
    configure(folder, wait_minutes=1.05)
    night_file(folder, DAYS[1], "capacity.csv").unlink()
    clock = Clock(lambda: None)
    monkeypatch.setattr(inputs, "time", clock)
    with pytest.raises(BusyError, match=r"capacity .*; waited 1.05 minutes"):
        run_date(load_config(folder / "config.yaml"), DAYS[1])
    assert clock.now == pytest.approx(63, abs=1e-6)


@pytest.mark.slow
def test_the_commands_tell_how_things_stand(folder: Path, cli):
    """Backfill, status, runs, rollback and state upgrade, as words and as JSON."""
    assert cli("status", DAYS[0]).out.startswith(f"{DAYS[0]}: not published\n")
    found = cli("backfill", "--from", DAYS[0], "--to", DAYS[1])
    assert (found.code, found.out.count("published")) == (0, 2)
    again = cli("backfill", "--from", DAYS[0], "--to", DAYS[2], "--json")
    outcomes = [json.loads(line)["outcome"] for line in again.out.splitlines()]
    assert outcomes == ["unchanged", "unchanged", "published"]
    listed = json.loads(cli("runs", "--json").out)["runs"]
    assert [night["date"] for night in listed] == [str(day) for day in DAYS]
    stands = json.loads(cli("status", DAYS[2], "--json").out)
    assert (stands["is_published"], stands["is_in_state"]) == (True, True)
    assert stands["is_running"] is False
    assert json.loads(cli("status", "--json").out) == stands
    refused = cli("rollback", DAYS[2])
    assert (refused.code, "replaced no night" in refused.err) == (2, True)
    assert "not published any more" in cli("rollback", DAYS[2], "--withdraw").out
    assert cli("runs").out.count("\n") == 2
    assert cli("backfill", "--from", DAYS[1], "--to", DAYS[0]).code == 2
