"""Whatever stops a run, wherever: the night is the old one or the new, and heals."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).with_name("crash.py")


def harness(*words: object) -> dict[str, dict[str, int]]:
    """Run the harness in a process of its own; it asserts, and tells how runs ended."""
    done = subprocess.run(
        [sys.executable, str(HARNESS), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_fault_at_any_write_leaves_the_old_night_or_the_new():
    """
    KILL, ENOSPC and EIO at write system calls of a run that replaces a night, a sample
    of some five hundred: both nights whole, "published" only if it is, and the next
    run publishes, leaves no leftovers, and counts nothing twice.
    """
    assert shutil.which("strace"), "strace is missing: apt-get install strace"
    ends = harness("--faults", 16)["faults"]
    assert sum(ends.values()) == 16
    assert {"killed, old", "failed 1, old"} <= set(ends)


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_the_old_night_or_the_new():
    """The same for runs that are killed at random moments."""
    ends = harness("--kills", 12)["kills"]
    assert sum(ends.values()) == 12
    assert set(ends) <= {"killed, old", "killed, new", "ok, new"}
