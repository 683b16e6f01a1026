"""Commands under the restrictions of a service: another user, and almost no disk."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Place:
    """
    What a restricted command finds.

    Attributes
    ----------
    uid
        The user and the group it runs as; it has no capability and gains none.
    folders
        Source of each path that is put in its place; all others are read-only.
    writable
        Those of them that it may write to.
    empty
        Paths that are empty for it, such as homes; the tests' own Python is kept.
    scratch
        Paths that are empty, and anybody may write to.
    """

    uid: int
    folders: Mapping[str, Path]
    writable: Sequence[str]
    empty: Sequence[str] = ()
    scratch: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, command: Sequence[str], cwd: str) -> subprocess.CompletedProcess[str]:
        """Run a command there; the mounts go with it."""
        user = ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}"]
        user += ["--clear-groups", "--no-new-privs", "--inh-caps=-all"]
        user += ["--bounding-set=-all"]
        env = [f"{name}={value}" for name, value in self.env.items()]
        if "PYTHONPATH" in os.environ:  # a work tree that is not the installed one
            env.append(f"PYTHONPATH={os.environ['PYTHONPATH']}")
        lines = ["set -e", "mount --make-rprivate /", *self._mounts()]
        lines += [f"cd {shlex.quote(cwd)}"]
        lines += [f"exec {shlex.join(['env', '-i', *env, *user, *command])}"]
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", "\n".join(lines)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def _mounts(self) -> list[str]:
        lines = []
        for parent in sorted({str(Path(path).parent) for path in self.folders}):
            if parent != "/":
                lines.append(f"mount -t tmpfs -o mode=755 tmpfs {parent}")
        for path, source in self.folders.items():
            lines.append(
                f"mkdir -p {path} && mount --bind {shlex.quote(str(source))} {path}"
            )
        kept = [Path(sys.base_prefix), Path(sys.prefix), ROOT]
        for path in (*self.empty, *self.scratch):
            lines += _emptied(path, 1777 if path in self.scratch else 755, kept)
        free = "|".join([*self.writable, *self.scratch, "/proc*", "/sys*", "/dev*"])
        lines += [
            "awk '{print $5}' /proc/self/mountinfo | while read -r at; do",
            f"  case $at in {free}) ;; *) mount -o remount,bind,ro $at ;; esac",
            "done",
        ]
        return lines


def _emptied(path: str, mode: int, kept: Sequence[Path]) -> list[str]:
    """Mount nothing over a folder, but what the tests run with."""
    inside = [folder for folder in kept if folder.is_relative_to(path)]
    inside = [
        f for f in inside if not any(f != g and f.is_relative_to(g) for g in inside)
    ]
    lines = ["mount -t tmpfs tmpfs /mnt"]
    for number, folder in enumerate(dict.fromkeys(inside)):
        lines.append(f"mkdir /mnt/{number} && mount --bind {folder} /mnt/{number}")
    lines.append(f"mkdir -p {path} && mount -t tmpfs -o mode={mode} tmpfs {path}")
    for number, folder in enumerate(dict.fromkeys(inside)):
        lines.append(f"mkdir -p {folder} && mount --move /mnt/{number} {folder}")
    return [*lines, "umount /mnt"]


def can_restrict() -> bool:
    """Whether this user may make mounts of its own, and become another."""
    if os.geteuid() != 0:
        return False
    try:
        done = subprocess.run(
            ["unshare", "--mount", "mount", "--make-rprivate", "/"],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0
