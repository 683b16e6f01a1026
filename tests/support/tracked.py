"""The files of the project, also where it was unpacked without its repository."""

from __future__ import annotations

import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Folders that a checkout without git holds beside its own.
_NOT_OURS = (".venv", ".venv-airflow", ".sail", "data", "runs", "dist", "build")


def project_files(*patterns: str) -> list[str]:
    """
    Paths of the project's files that fit a pattern, as ``git ls-files`` gives them.

    Examples
    --------
    >>> "pyproject.toml" in project_files("*.toml")
    True
    """
    if (ROOT / ".git").exists() and shutil.which("git"):
        words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(
            [*words, *patterns], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return sorted(name for name in done.stdout.split() if (ROOT / name).exists())
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in found
        if path.parts[0] not in _NOT_OURS
        and "__pycache__" not in path.parts
        and any(fnmatch(path.as_posix(), pattern) for pattern in patterns)
    )
