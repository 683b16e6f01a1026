"""Nights of an earlier version of the program: left by a backfill, refused by a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.contracts.run_folder import read_record
from optimizer.night import identity
from tests.support.small_night import DAY, Call, call, make_night

NIGHT = ("--config", "config.yaml", "--from", DAY, "--to", DAY)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Call the command line in this process."""
    return lambda *words: call(monkeypatch, capsys, *words)


@pytest.mark.slow
def test_a_backfill_goes_on_over_nights_of_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Call]
) -> None:
    """Same inputs and rules: it stays, with who made it; --force makes it anew."""
    night = make_night(tmp_path, num_orders=300)
    monkeypatch.chdir(tmp_path)
    night.run()
    made_by, link = identity.program_version(), night.run_dir.readlink()
    monkeypatch.setattr(identity, "program_version", lambda: "99.0")
    refused = cli("run", *NIGHT[:2], "--date", DAY)
    assert refused.code == 2
    assert "the program changed since; pass --force" in refused.err
    kept = cli("backfill", *NIGHT)
    assert kept.code == 0, kept.err
    assert ": unchanged, " in kept.out
    assert kept.out.endswith(f"; version {made_by} made it, --force makes it anew\n")
    assert night.run_dir.readlink() == link
    told = json.loads(cli("backfill", *NIGHT, "--json").out)
    assert (told["outcome"], told["made_by_version"]) == ("unchanged", made_by)
    anew = cli("backfill", *NIGHT, "--force")
    assert ": published, " in anew.out
    assert "made it" not in anew.out
    assert read_record(night.run_dir)["identity"]["version"] == "99.0"


def test_other_inputs_stop_a_backfill_whatever_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Call]
) -> None:
    """What was decided of other orders is not what this run would publish."""
    night = make_night(tmp_path, num_orders=300)
    monkeypatch.chdir(tmp_path)
    night.run()
    monkeypatch.setattr(identity, "program_version", lambda: "99.0")
    night.write("orders", night.read("orders").head(299))
    stopped = cli("backfill", *NIGHT)
    assert stopped.code == 2
    assert "the program, orders changed since; pass --force" in stopped.err
