"""A configuration or date without its option: the right command is named whole."""

from __future__ import annotations

import json

import pytest

from tests.support.small_night import call

#: What somebody types, and what it should have been.
MEANT = {
    "run n.yaml": "run --config n.yaml --date yesterday",
    "run --dry-run n.yml 2026-11-22": (
        "run --config n.yml --date 2026-11-22 --dry-run"
    ),
    "run --config n.yaml 2026-11-22": "run --date 2026-11-22 --config n.yaml",
    "validate n.yaml": "validate --config n.yaml",
    "learn n.yaml --json": "learn --config n.yaml --json",
    "backfill n.yaml 2026-11-01 2026-11-03": (
        "backfill --config n.yaml --from 2026-11-01 --to 2026-11-03"
    ),
    "backfill n.yaml": "backfill --config n.yaml --from DATE --to DATE",
    "prices n.yaml --top 3": "prices --config n.yaml --date yesterday --top 3",
    "diff n.yaml 2026-11-01 2026-11-02": (
        "diff --config n.yaml --date 2026-11-01 --date 2026-11-02"
    ),
    "explain n.yaml A-1": "explain --config n.yaml --date yesterday A-1",
    "evidence n.yaml A-1": "evidence --config n.yaml A-1",
    "status n.yaml": "status --config n.yaml",
    "verify runs/2026-11-22 'my n.yaml'": (
        "verify --config 'my n.yaml' runs/2026-11-22"
    ),
    "state upgrade n.yaml": "state upgrade --config n.yaml",
}


@pytest.mark.parametrize("typed", MEANT)
def test_the_right_command_is_named(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, what lacks its option, and the command as it would be right."""
    import shlex

    done = call(monkeypatch, capsys, *shlex.split(typed))
    assert done.code == 2
    assert done.err.endswith(f"; write:\n  optimizer {MEANT[typed]}\n")
    assert "without --" in done.err
    if "--json" in typed:
        assert json.loads(done.out)["exit_code"] == 2


@pytest.mark.parametrize(
    "typed",
    [
        "run n.yaml -h",  # help is help
        "scenarios runs/x --scenarios asked.yaml",  # the value of an option
        "prices --config n.yaml 2026-11-22",  # a date may stand for a folder
        "accept --config=n.yaml 2026-11-22",
    ],
)
def test_words_in_their_place_are_left_alone(
    typed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is right is read as before."""
    assert "; write:" not in call(monkeypatch, capsys, *typed.split()).err
