"""
Long arrays in files that are mapped to memory: a large night then needs little of it.

The files have no name, stand on the disk of ``TMPDIR``, and end with the process. What
is read of them can leave the memory again when others need it. Python would go on to
``/tmp`` where the folder is not there or full; here both are refused.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from optimizer.errors import ConfigError, MachineError, is_of_memory, lack_of_memory
from optimizer.io.array_records import join

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal
    from typing import BinaryIO

    from numpy.typing import NDArray

Record = TypeVar("Record")

GB = 10**9
#: What a night takes at its largest for each byte of one of its tables of arrays: they
#: live side by side, and each is made of another.
_BYTES_EACH = 10
_ALIGNED = 64


def room_of(memory_gb: Decimal | None) -> int | None:
    """
    Bytes that one table of arrays may take in memory; ``None``: as many as it likes.

    Parameters
    ----------
    memory_gb
        ``solver.memory_gb``, the limit of the whole night.

    Examples
    --------
    >>> from decimal import Decimal
    >>> room_of(Decimal(8))
    800000000
    """
    return None if memory_gb is None else int(memory_gb * GB / _BYTES_EACH)


def folder_of_files() -> str | None:
    """
    Name the folder of the files: that of ``TMPDIR``; ``None``: the system's.

    Raises
    ------
    ConfigError
        When it is none.
    """
    named = os.environ.get("TMPDIR")
    if not named:
        return None
    if not Path(named).is_dir():
        raise ConfigError(
            f"TMPDIR: {named} is no folder, and solver.memory_gb keeps orders in files "
            "there; make it, or let TMPDIR name another"
        )
    return named


def bytes_of(record: Any, names: Sequence[str]) -> int:
    """Bytes of arrays of a record; absent ones have none."""
    arrays = [getattr(record, name) for name in names]
    return sum(array.nbytes for array in arrays if array is not None)


def within(record: Record, names: Sequence[str], room: int | None) -> Record:
    """
    A record as it is where its arrays have room in memory, else as of :func:`mapped`.

    Parameters
    ----------
    record, names
        As there.
    room
        Bytes; ``None``: any.
    """
    if room is None or bytes_of(record, names) <= room:
        return record
    return mapped(record, names)


def mapped(record: Record, names: Sequence[str]) -> Record:
    """
    The same record, some of its arrays on the pages of a file.

    Parameters
    ----------
    record
        A frozen dataclass of arrays.
    names
        Of the arrays that move; one that is ``None`` stays so.

    Raises
    ------
    ConfigError
        When ``TMPDIR`` names no folder.
    MachineError
        When the disk does not take them.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Plan:
    ...     chosen: np.ndarray
    >>> mapped(Plan(np.arange(3)), ["chosen"]).chosen.tolist()
    [0, 1, 2]
    """
    places: dict[str, tuple[int, NDArray[Any]]] = {}
    kept: dict[int, int] = {}
    num_bytes = bytes_of(record, names)
    with _told(num_bytes), _new_file() as file:
        for name in names:
            array = getattr(record, name)
            if array is None or not array.size:
                continue
            # Two names of one array stay one.
            if id(array) not in kept:
                kept[id(array)] = _append(file, array)
            places[name] = kept[id(array)], array
        file.flush()
        pages = _pages(file)
    shared: dict[int, NDArray[Any]] = {}
    for place, array in places.values():
        if place not in shared:
            flat = np.frombuffer(pages, array.dtype, array.size, place)
            shared[place] = flat.reshape(array.shape)
    moved = {name: shared[place] for name, (place, _) in places.items()}
    return replace(record, **moved)  # type: ignore[type-var]


class Gathered(Generic[Record]):
    """
    Records of arrays that come one by one, and are one in the end.

    Parameters
    ----------
    room
        Bytes that they may take in memory; beyond them they go into files. ``None``: as
        many as they like.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Plan:
    ...     chosen: np.ndarray
    >>> gathered = Gathered(room=8)
    >>> for start in (0, 2):
    ...     gathered.append(Plan(np.arange(start, start + 2)))
    >>> gathered.joined().chosen.tolist()
    [0, 1, 2, 3]
    """

    def __init__(self, room: int | None) -> None:
        self._room = room
        self._parts: list[Record] = []
        self._num_bytes = 0
        self._files: dict[str, BinaryIO | Any] = {}
        self._like: Record | None = None

    def append(self, record: Record) -> None:
        """
        Take a record.

        Raises
        ------
        MachineError
            When the disk does not take it.
        """
        self._parts.append(record)
        names = _names(record)
        self._num_bytes += bytes_of(record, names)
        # From the first record beyond the limit on, every one goes on to the files.
        if self._room is not None and self._num_bytes > self._room:
            self._move(names)

    def _move(self, names: Sequence[str]) -> None:
        """Write what is in memory behind what is in the files."""
        with _told(self._num_bytes):
            for part in self._parts:
                for name in names:
                    if name not in self._files:
                        self._files[name] = _new_file()
                    array = np.ascontiguousarray(getattr(part, name))
                    self._files[name].write(array.data if array.size else b"")
        self._like = self._parts[-1]
        self._parts.clear()

    def __del__(self) -> None:
        """Leave no file open where the night ended before they were joined."""
        for file in self._files.values():
            with suppress(OSError):  # what a full disk did not take
                file.close()

    def joined(self) -> Record:
        """
        All of them as one record; what was gathered is released.

        Raises
        ------
        MachineError
            When the disk does not take them.
        """
        if not self._files:
            return join(self._parts)
        assert self._like is not None
        found = {}
        with _told(self._num_bytes):
            for name, file in self._files.items():
                like = getattr(self._like, name)
                file.flush()
                if file.tell():
                    flat = np.frombuffer(_pages(file), like.dtype)
                    found[name] = flat.reshape(-1, *like.shape[1:])
                else:
                    found[name] = like[:0]
                file.close()
        self._files = {}
        return type(self._like)(**found)


def _names(record: Any) -> list[str]:
    return [field.name for field in fields(record)]


def _new_file() -> BinaryIO | Any:
    """A file that is gone when it is closed."""
    return tempfile.TemporaryFile(prefix="optimizer-arrays-", dir=folder_of_files())


def _append(file: BinaryIO | Any, array: NDArray[Any]) -> int:
    """Write an array behind the others, and say where it begins."""
    place: int = file.tell()
    file.write(np.ascontiguousarray(array).data)
    file.write(b"\0" * (-file.tell() % _ALIGNED))
    return place


def _pages(file: BinaryIO | Any) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


@contextmanager
def _told(num_bytes: int) -> Iterator[None]:
    """Say of a disk that does not take so many bytes what to do."""
    try:
        yield
    except OSError as error:
        if is_of_memory(error):
            raise lack_of_memory("the night's orders") from error
        raise MachineError(
            f"solver.memory_gb: {num_bytes / GB:.3g} GB of orders cannot be kept in a "
            f"file in {folder_of_files() or tempfile.gettempdir()} "
            f"({(error.strerror or str(error)).lower()}); make room there, let TMPDIR "
            "name another folder, or raise the limit"
        ) from error


def return_memory() -> None:
    """
    Give freed memory back to the system, which the C library would keep for later.

    After the small arrays of many batches it keeps as much as the night itself takes.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:  # other C libraries than glibc have none
            trim(0)
