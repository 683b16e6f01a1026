"""Whatever stops a run, wherever: the night is the old one or the new, and heals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.contracts.tables import EVERY_NIGHT
from tests.support.system_tools import needs

HARNESS = Path(__file__).parents[1] / "support" / "crash.py"


@pytest.mark.slow
@needs("strace")
def test_whatever_stops_a_run_the_night_is_whole_and_the_next_run_heals():
    """
    KILL, ENOSPC and EIO at write system calls of a run that replaces a night (a sample
    of some five hundred), and kills at random moments: both nights whole, "published"
    only if it is; the next run publishes, leaves no leftovers, and counts nothing
    twice. And nothing gets its name before it is on the disk.
    """
    words = [sys.executable, str(HARNESS), "--faults", "16", "--kills", "12", "--order"]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sum(found["faults"].values()) == 16
    assert {"killed, old", "failed 1, old"} <= set(found["faults"])
    assert sum(found["kills"].values()) == 12
    assert set(found["kills"]) <= {"killed, old", "killed, new", "ok, new"}
    # All files of the night, the journal of the state not among them.
    assert found["order"]["files"] == len(EVERY_NIGHT) + 4
