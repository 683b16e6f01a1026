"""Questions about a night are asked of the night that was published."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from typer.testing import CliRunner

from optimizer.cli import compare, nights, questions  # noqa: F401
from optimizer.cli.main import app
from optimizer.config import load_config
from optimizer.contracts.run_folder import read_record
from optimizer.explain.summary import summarize
from optimizer.job import run_date
from optimizer.whatif.base import base_of_config, base_of_run
from tests.support.days import START, make_days

SECOND = START + dt.timedelta(days=1)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two nights that count on each other: the configuration, the second one."""
    config = make_days(tmp_path_factory.mktemp("days"), 2, num_orders=800)
    for day in (START, SECOND):
        report = run_date(load_config(config), day)
    return config, report.run_dir


@pytest.mark.parametrize("is_run", [True, False])
def test_the_night_is_the_one_that_was_published(
    second: tuple[Path, Path], is_run: bool
) -> None:
    """From its folder or its configuration: with what the first left to the second."""
    config, run_dir = second
    record = read_record(run_dir)
    assert record["summary"]["num_in_flight"] > 0
    base = (
        base_of_run(run_dir) if is_run else base_of_config(load_config(config), SECOND)
    )
    proof = base.night.certificate
    assert proof.primal_bound == record["certificate"]["primal_bound"]
    assert summarize(base.night)["num_in_flight"] == record["summary"]["num_in_flight"]
    assert base.problem.cap.sum() == record["summary"]["sum_of_caps"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["prices", "robustness", "explain"])
def test_a_published_night_answers_on_the_command_line(
    second: tuple[Path, Path], command: str
) -> None:
    """Each question takes the folder of a run, and leaves with 0."""
    more = ["--relative-error", "0.2"] if command == "robustness" else []
    found = CliRunner().invoke(app, [command, str(second[1]), *more, "--json"])
    assert found.exit_code == 0, found.output + repr(found.exception)
    assert found.output.startswith("{")
