"""Folders that whoever may read the files in them can enter, whatever the umask."""

from __future__ import annotations

import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def make_folder(path: Path, mode: int) -> None:
    """
    Make a folder, and those above it that are not there; what is there stays as it is.

    Parameters
    ----------
    path
        The folder.
    mode
        That its files will have.

    Raises
    ------
    OSError
        When it cannot be made.

    Examples
    --------
    >>> import os, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "runs" / "night"
    >>> before = os.umask(0o077)
    >>> make_folder(folder, 0o640)
    >>> _ = os.umask(before)
    >>> [oct(each.stat().st_mode & 0o777) for each in (folder, folder.parent)]
    ['0o750', '0o750']
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        let_in(folder, mode)


def let_in(folder: Path, mode: int) -> None:
    """Add the rights to enter a folder for whoever may read files of a mode."""
    reads = mode & 0o444
    with suppress(PermissionError):  # somebody else made it meanwhile
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | reads | reads >> 2)
