"""The version with the commit that it was made from."""

from __future__ import annotations

import subprocess
from pathlib import Path

from optimizer import __version__

PACKAGE = Path(__file__).parents[1]
#: Written into wheels and source distributions when they are built.
COMMIT = PACKAGE / "commit.txt"


def version_line() -> str:
    """``0.2.0 (c9f16d5ab12e)``; the version alone where no commit is known."""
    commit = _built_from() or _checked_out()
    return f"{__version__} ({commit})" if commit else __version__


def _built_from() -> str:
    try:
        return COMMIT.read_text("ascii").strip()
    except OSError:
        return ""


def _checked_out() -> str:
    """Commit of a checkout, with ``+`` where a tracked file differs from it."""
    root = PACKAGE.parent
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=12"]
    command += ["--exclude=*", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""  # no git, or a checkout that another user owns
    return done.stdout.strip()
