"""
Equal files of published nights, stored once.

Versions of a date have many tables in common, and inputs of many dates are the same
file. Of equal files one becomes a hard link to the other: published files and kept
inputs are never written over, so that nothing changes one through the other.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.io.kept_inputs import INPUTS
from optimizer.night.publish import VERSIONS, sha256_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

#: The link's name before it takes the file's place.
_SCRATCH = ".same"
#: No hard links here, no more of them, or another command removed a file meanwhile.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.ENOENT)


@dataclass(frozen=True, slots=True)
class Twin:
    """
    A file that has the content of another one.

    Attributes
    ----------
    path
        The file.
    other
        The one with the same content, which stays as it is.
    num_bytes
        Its size.
    """

    path: Path
    other: Path
    num_bytes: int


def find_twins(
    outputs: Iterable[Path], gone: Container[Path] = frozenset()
) -> list[Twin]:
    """
    Find files that are stored more than once; writes nothing.

    Parameters
    ----------
    outputs
        Folders of published nights.
    gone
        Files and folders that do not count, being about to go.
    """
    alike: dict[tuple[object, ...], list[Path]] = defaultdict(list)
    for path in sorted(path for output in {*outputs} for path in _files(output)):
        found = path.stat()
        if found.st_size and not any(p in gone for p in (path, path.parent)):
            owner = found.st_dev, found.st_uid, found.st_gid, found.st_mode
            alike[(path.suffix, found.st_size, *owner)].append(path)
    return [twin for paths in alike.values() for twin in _twins_among(paths)]


def _files(output: Path) -> Iterator[Path]:
    """Files of whole versions, and kept inputs; what is being written has a dot."""
    for pattern in (f"{VERSIONS}/*/[!.]*/*", f"{INPUTS}/*/[!.]*"):
        for path in output.glob(pattern):
            inner = len(path.relative_to(output).parts)
            above = [path, *path.parents][:inner]
            if path.is_file() and not any(found.is_symlink() for found in above):
                yield path


def _twins_among(paths: list[Path]) -> Iterator[Twin]:
    """Twins among files of one size; those that are one file already are left out."""
    inodes: dict[int, Path] = {}
    for path in paths:
        inodes.setdefault(path.stat().st_ino, path)
    if len(inodes) < 2:
        return
    first: dict[str, int] = {}
    digest = {inode: sha256_of(path) for inode, path in inodes.items()}
    for path in paths:
        inode = path.stat().st_ino
        kept = first.setdefault(digest[inode], inode)
        if kept != inode:
            yield Twin(path, inodes[kept], path.stat().st_size)


def store_once(twin: Twin, output: Path) -> bool:
    """
    Make a file a hard link to its twin, in one atomic step; return whether it is one.

    Parameters
    ----------
    twin
        As found.
    output
        A folder on the same file system, for the step between.

    Raises
    ------
    OSError
        When the disk refuses; the file is as it was.
    """
    scratch = output / _SCRATCH
    scratch.unlink(missing_ok=True)
    try:
        os.link(twin.other, scratch)
        scratch.replace(twin.path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        if error.errno not in _NO_LINKS:
            raise
        return False
    return True
