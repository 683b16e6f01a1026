"""
A night is made from one state of its inputs.

A night reads its tables more than once: to hash them, to value them, and for names when
it is published. If an export were replaced in between, two exports would be mixed.
Files are not copied for that (ten million orders are gigabytes): the file system's
metadata of each file is recorded before the first read, and must be the same before the
night is published.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.errors import BusyError, DataError
from optimizer.io.read import find_files, sha256_of_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

#: Time stamps of a file system are coarse: a file that changed this shortly before it
#: was looked at may change again and keep its stamp, so its content is read again.
_COARSE_SECONDS = 2.0
#: What is said of an input that is another one by now.
CHANGED = "changed while the night was made from it"


@dataclass(frozen=True, slots=True)
class FileState:
    """
    The file system's metadata of a file.

    Attributes
    ----------
    path
        The file, links followed.
    device, inode
        Which file it is: another one that was moved to its path differs.
    num_bytes, modified_ns, changed_ns
        Its size, and when its content and its entry changed. The last cannot be set.
    """

    path: Path
    device: int
    inode: int
    num_bytes: int
    modified_ns: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    Files of a night as they were before they were read.

    Attributes
    ----------
    patterns
        Paths and globs, by table, as they are configured.
    files
        The files that they named.
    states
        One for each file.
    young
        Checksums of the files that had just changed, by path.
    """

    patterns: Mapping[str, tuple[str, ...]]
    files: Mapping[str, tuple[Path, ...]]
    states: tuple[FileState, ...]
    young: Mapping[Path, str]


def take_snapshot(
    tables: Mapping[str, str | Sequence[str]], others: Iterable[Path] = ()
) -> Snapshot:
    r"""
    Record the state of all files of a night; call it before any of them is read.

    Parameters
    ----------
    tables
        Paths, globs or lists of them, by table.
    others
        Further files that the night depends on: its model, an earlier run.

    Raises
    ------
    DataError
        When a table has no file.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> path = folder / "orders.csv"
    >>> _ = path.write_text("order_id\\na\\n")
    >>> before = take_snapshot({"orders": str(path)})
    >>> changed_file(before) is None
    True
    >>> _ = path.write_text("order_id\\nb\\n")
    >>> changed_file(before) == path
    True
    """
    patterns = {
        name: (given,) if isinstance(given, str | Path) else tuple(given)
        for name, given in tables.items()
    }
    patterns = {name: tuple(map(str, given)) for name, given in patterns.items()}
    now_ns = time.time_ns()
    files = {name: _find(name, given) for name, given in patterns.items()}
    paths = [path for found in files.values() for path in found]
    states = tuple(_state(path) for path in dict.fromkeys([*paths, *others]))
    youngest = now_ns - int(_COARSE_SECONDS * 1e9)
    young = {
        state.path: sha256_of_input(state.path)
        for state in states
        if state.changed_ns >= youngest
    }
    return Snapshot(patterns, files, states, young)


def snapshots_of(tables: Mapping[str, Any]) -> tuple[Snapshot, ...]:
    """
    The state of tables that are files, where any is; one that is not there has none.

    Parameters
    ----------
    tables
        Paths, globs, lists of them, or tables in memory, by name.
    """
    paths = {
        name: [str(path) for path in (data if isinstance(data, list) else [data])]
        for name, data in tables.items()
        if isinstance(data, str | PathLike)
        or (isinstance(data, list) and all(isinstance(p, str | PathLike) for p in data))
    }
    # What is no table, or no name that a file can have, is refused where it is read.
    with suppress(DataError, OSError):
        return (take_snapshot(paths),) if paths else ()
    return ()


def changed_file(snapshot: Snapshot) -> Path | None:
    """
    Find a file that changed, appeared or disappeared; ``None`` if there is none.

    Nothing is read but files that changed just before the snapshot was taken.
    """
    for name, given in snapshot.patterns.items():
        try:
            now = {*_find(name, given)}
        except DataError:
            now = set()
        if differing := now ^ {*snapshot.files[name]}:
            return min(differing)
    for state in snapshot.states:
        if not _is_same(state, snapshot.young.get(state.path)):
            return state.path
    return None


def _is_same(state: FileState, young: str | None) -> bool:
    try:
        if _state(state.path) != state:
            return False
        return young is None or sha256_of_input(state.path) == young
    except DataError:
        return False


def refuse_change(snapshot: Snapshot) -> None:
    """
    Check that every input is unchanged since the night began.

    Raises
    ------
    BusyError
        When a file changed; it names the file.
    """
    path = changed_file(snapshot)
    if path is not None:
        raise changed_input(path)


def changed_input(path: Path | str) -> BusyError:
    """
    What is raised where an input is not what it was when the night began.

    Parameters
    ----------
    path
        Of the file, or its address.

    Examples
    --------
    >>> str(changed_input("s3a://a/b.csv"))[:45]
    's3a://a/b.csv: changed while the night was ma'
    """
    return BusyError(
        f"{path}: {CHANGED}; nothing was published. Run again when the export is "
        "complete"
    )


@contextmanager
def one_state(snapshot: Snapshot) -> Iterator[None]:
    """
    Read inputs; an error because one of them changed meanwhile is reported as such.

    A file that is replaced between two reads can look damaged, or break a contract
    that it kept a moment ago. The other errors pass as they are.

    Raises
    ------
    BusyError
        When something was raised, and a file changed.
    """
    try:
        yield
    except Exception:
        refuse_change(snapshot)
        raise


def _find(name: str, given: Iterable[str]) -> tuple[Path, ...]:
    return tuple(path for pattern in given for path in find_files(pattern, name))


def _state(path: Path) -> FileState:
    try:
        found = path.stat()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{path}: cannot be looked at ({reason})") from None
    return FileState(
        path=path,
        device=found.st_dev,
        inode=found.st_ino,
        num_bytes=found.st_size,
        modified_ns=found.st_mtime_ns,
        changed_ns=found.st_ctime_ns,
    )
