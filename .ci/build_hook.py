"""Puts the commit into what is built, for ``optimizer --version``."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KEPT = "optimizer/commit.txt"


class CommitHook(BuildHookInterface):
    """Adds ``optimizer/commit.txt``; a source distribution brings its own along."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the commit to a file beside the tree, and have it packed."""
        kept = Path(self.root) / KEPT
        if version == "editable":
            return
        if kept.is_file():
            build_data["force_include"][str(kept)] = KEPT
            return
        if not (Path(self.root) / ".git").exists():
            return
        command = ["git", "-C", self.root, "rev-parse", "--short=12", "HEAD"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return
        self._place = tempfile.TemporaryDirectory()
        commit = Path(self._place.name) / "commit.txt"
        commit.write_text(done.stdout, "ascii")
        build_data["force_include"][str(commit)] = KEPT

    def finalize(self, *_: object) -> None:
        """Remove the file."""
        if hasattr(self, "_place"):
            self._place.cleanup()
