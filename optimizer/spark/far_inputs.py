"""
A far night is made from one state of its inputs, as a night of one machine is.

Files of stores have a length and a time of change; those that the driver sees are
looked at as :mod:`optimizer.io.snapshot` does. Executors, too, compare the checksum of
what comes with that of the file which was looked at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizer.errors import ConfigError
from optimizer.io.snapshot import (
    Snapshot,
    changed_file,
    changed_input,
    take_snapshot,
)
from optimizer.spark.faults import first_line
from optimizer.spark.files import files_now, near_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pyspark.sql import SparkSession


@dataclass(frozen=True, slots=True, eq=False)
class FarInputs:
    """
    Files of a far night as they were before they were read.

    Attributes
    ----------
    session
        Of the cluster.
    far
        Path, length and time of change of each file, by address.
    near
        Files that the driver sees, by path.
    snapshot
        Of the latter.
    """

    session: SparkSession
    far: Mapping[str, frozenset[tuple[Any, ...]]]
    near: Mapping[str, list[Path]]
    snapshot: Snapshot


def look_at(session: SparkSession, paths: Iterable[str]) -> FarInputs:
    """
    Note the state of inputs; call it before any of them is read.

    Parameters
    ----------
    session
        Of the cluster.
    paths
        Paths, globs, folders and addresses of files.

    Raises
    ------
    ConfigError
        When the cluster cannot look for one.
    """
    from pyspark.errors import PySparkException

    near, far = {}, {}
    for path in paths:
        here = near_files(path)
        if here is None:
            try:
                far[path] = files_now(session, path)
            except PySparkException as error:
                raise ConfigError(
                    f"{path}: cannot be read: {first_line(error)}"
                ) from error
        else:
            near[path] = here
    files = [file for here in near.values() for file in here]
    return FarInputs(session, far, near, take_snapshot({}, files))


def refuse_far_change(seen: FarInputs) -> None:
    """
    Check that the inputs of a far night are unchanged since it began.

    Parameters
    ----------
    seen
        From :func:`look_at`.

    Raises
    ------
    BusyError
        When a file changed, came or went; it names the file.
    """
    for path, before in seen.far.items():
        if differing := before ^ files_now(seen.session, path):
            raise changed_input(min(name for name, *_ in differing))
    for path, here in seen.near.items():
        if gone := {*here} ^ {*(near_files(path) or [])}:
            raise changed_input(min(gone))
    if (changed := changed_file(seen.snapshot)) is not None:
        raise changed_input(changed)
