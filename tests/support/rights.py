"""The program as a user to whom read-only files are read-only, which root's are not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.small_night import Call

_WITHOUT = "-dac_override,-dac_read_search"


def as_user(folder: Path, *words: object) -> Call:
    """Call the command line; root lays down what lets it write everywhere."""
    dropped = ["setpriv", f"--bounding-set={_WITHOUT}", f"--inh-caps={_WITHOUT}"]
    done = subprocess.run(
        [
            *(dropped if os.geteuid() == 0 else []),
            *(sys.executable, "-m", "optimizer", *map(str, words)),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Call(done.returncode, done.stdout, done.stderr)


@contextmanager
def read_only(*paths: Path) -> Iterator[None]:
    """Take the right to write from all of these, and give it back."""
    found = [p for path in paths for p in [path, *path.rglob("*")]]
    kept = {path: path.lstat().st_mode for path in found if not path.is_symlink()}
    for path, mode in kept.items():
        path.chmod(mode & 0o555)
    try:
        yield
    finally:
        for path, mode in kept.items():
            path.chmod(mode)
