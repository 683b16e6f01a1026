"""The program as a user to whom read-only files are read-only, which root's are not."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.support.small_night import Call

_WITHOUT = "-dac_override,-dac_read_search"


@cache
def _server() -> subprocess.Popen[str]:
    """The program, without root's right to write everywhere, for all tests."""
    dropped = ["setpriv", f"--bounding-set={_WITHOUT}", f"--inh-caps={_WITHOUT}"]
    process = subprocess.Popen(
        [
            *(dropped if os.geteuid() == 0 else []),
            *(sys.executable, "-m", "tests.support.command_server"),
        ],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.communicate, timeout=60)
    return process


def as_user(folder: Path, *words: object) -> Call:
    """Call the command line; root lays down what lets it write everywhere."""
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    asked = {"folder": str(folder), "words": list(map(str, words))}
    server.stdin.write(json.dumps(asked) + "\n")
    server.stdin.flush()
    return Call(**json.loads(server.stdout.readline()))


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
