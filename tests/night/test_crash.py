"""Whatever stops a run, wherever: the night is the old one or the new, and heals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.contracts.tables import EVERY_NIGHT
from tests.support.system_tools import needs

ROOT = Path(__file__).parents[2]
NUM_KILLS, NUM_FAULTS = 3, 6
#: In a process that has computed nothing. A run that is killed where names change is
#: always among the faults; the others are drawn.
HARNESS = f"""
import json, pathlib, tempfile
from collections import Counter
from tests.campaigns import faults
from tests.support import crash
crash.load_everything()
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    ground, log = crash.Ground(folder), folder / "log"
    kills = crash.kill(ground, {NUM_KILLS}, seed=1)
    num_files = crash.write_order(ground, log)
    todo = faults.drawn(ground, log, seed=1)
    named = [one for one in todo if one[0] in crash.NAMING and "KILL" in one[2]]
    others = [one for one in todo if one not in named]
    half = {NUM_FAULTS} // 2
    tally = faults.let_fail(ground, named[:half] + others[:half])
ends = sum(tally.ends.values(), Counter())
print(json.dumps([kills, num_files, ends, tally.all_faults]))
"""


@pytest.mark.slow
@needs("strace")
def test_whatever_stops_a_run_the_night_is_whole_and_the_next_run_heals():
    """
    KILL, ENOSPC and EIO at write system calls of a run that replaces a night (a sample
    of some five hundred), and kills at random moments: both nights whole, "published"
    only if it is; the next run publishes, leaves no leftovers, and counts nothing
    twice. And nothing gets its name before it is on the disk.
    """
    done = subprocess.run(
        [sys.executable, "-c", HARNESS],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills, num_files, ends, faults = json.loads(done.stdout.splitlines()[-1])
    assert faults == []
    assert sum(ends.values()) == NUM_FAULTS
    assert {"killed, old", "failed 1, old"} <= set(ends)
    assert sum(kills.values()) == NUM_KILLS
    assert set(kills) <= {"killed, old", "killed, new", "ok, new"}
    # All files of the night, the journal of the state not among them: tables, report,
    # leaves, audit, record and the mark of success.
    assert num_files == len(EVERY_NIGHT) + 5
