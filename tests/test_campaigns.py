"""
Small campaigns; ``python -m tests.campaigns.NAME`` runs the whole of one.

Calls that fail are a campaign of their own, in ``night/test_crash.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns.tally import Tally

ROOT = Path(__file__).parents[1]
SHORT = """
import json, pathlib, sys, tempfile
from tests.campaigns import {name}
from tests.campaigns.forks import load_everything
load_everything()
with tempfile.TemporaryDirectory() as folder:
    tally = {name}.campaign(pathlib.Path(folder) / "work", {words})
print(json.dumps([tally.num_tried, tally.all_faults]))
"""


def short(name: str, words: str) -> tuple[int, list[str]]:
    """Run a small campaign apart: its process must not have computed anything."""
    done = subprocess.run(
        [sys.executable, "-c", SHORT.format(name=name, words=words)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    tried, faults = json.loads(done.stdout.splitlines()[-1])
    return tried, faults


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words", "least"),
    [
        ("kills", "count=4, seed=8", 4),
        ("mutations", "count=21, seed=3", 21),
        ("swaps", "only='deliveries written over'", 8),
        ("races", "count=1, seed=3", 1),
    ],
)
def test_a_small_campaign_loses_nothing(name: str, words: str, least: int) -> None:
    """Commands that are killed, fed with damaged files, or raced: nothing is lost."""
    tried, faults = short(name, words)
    assert faults == []
    assert tried >= least


def test_a_campaign_ends_with_one_where_something_was_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One fault among many tries is told, counted, and is the exit code."""
    tally = Tally()
    for number in range(10):
        tally.add("tries", "ok", ["lost"] if number == 7 else [])
    assert tally.report() == 1
    assert "tries | 10 | 1 | ok 10" in capsys.readouterr().out
    assert Tally().report() == 0
