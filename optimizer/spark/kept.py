"""
Problems of blocks that Python workers keep from one pass to the next.

A problem lies in memory without a name (``memfd_create``), sealed, so that nobody
changes it: it is in no file, and is gone once no process has it open, however those
ended. The workers of an executor are children of one process; each finds what the
others hold, and takes hold of it too. Each lets go of all when it is asked by another
token, and of its own accord when it has not been asked for some seconds: so nothing is
left of a night that is over, that failed, or whose driver died. What is not found is
asked for again with its cells; where a system has no such memory, always.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.model.problem import Problem
from optimizer.spark.cells import pack_as_is, unpack

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Seconds without a question after which a worker lets go; Spark ends its idle workers
#: after as many.
KEPT_SECONDS = 60.0
#: What a worker puts by, at most: nine blocks of a million orders. Others come with
#: their cells each time.
KEPT_BYTES = 256 << 20
#: What is kept of a problem; rows are counted.
_ARRAYS = (
    "merchant_start",
    "cap",
    "option_start",
    "option_lane",
    "option_saving",
    "slots",
    "lane_parent",
    "key",
)


@dataclass(frozen=True, slots=True)
class Asker:
    """
    Who asks workers to keep something, and for how long.

    Attributes
    ----------
    token
        Of some blocks of one night, with their lanes and caps; nobody else's.
    seconds
        Without a question, after which it is forgotten.
    """

    token: str
    seconds: float


@dataclass(slots=True)
class _Held:
    """A problem's memory: open, so that others find it, and read once asked for."""

    number: int
    problem: Problem | None = None


@dataclass(slots=True)
class _Holder:
    """What this process holds, all of one token."""

    token: str = ""
    until: float = 0.0
    held: dict[int, _Held] = field(default_factory=dict)
    num_bytes: int = 0
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    clock: threading.Timer | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def turn_to(self, asker: Asker) -> None:
        """Let go of what is another's, and begin to count the seconds anew."""
        if self.token != asker.token:
            self.let_go()
        if self.clock is not None:
            self.clock.cancel()
        self.token, self.until = asker.token, time.monotonic() + asker.seconds
        self.clock = threading.Timer(asker.seconds, self.tick)
        self.clock.daemon = True
        self.clock.start()

    def tick(self) -> None:
        """Let go, unless somebody has asked meanwhile."""
        with self.lock:
            if time.monotonic() >= self.until:
                self.let_go()

    def let_go(self) -> None:
        """Let go of all; who still reads a problem keeps it until the end of that."""
        for held in self.held.values():
            os.close(held.number)
        self.held.clear()
        self.num_bytes, self.rows = 0, self.rows[:0].copy()

    def read(self, number: int) -> Problem:
        """The problem that lies in some memory, where it lies."""
        memory = mmap.mmap(number, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        arrays: dict[str, Any] = unpack(memory)
        num_orders = len(arrays["key"])
        if len(self.rows) < num_orders:
            self.rows = np.arange(num_orders)
        return Problem(**arrays, row=self.rows[:num_orders])


_HOLDER = _Holder()


def keep(asker: Asker, block: int, problem: Problem) -> bool:
    """
    Keep a block's problem for later passes, and say whether it is kept.

    Parameters
    ----------
    asker
        Whose it is.
    block, problem
        Its number, and what is kept.
    """
    if not hasattr(os, "memfd_create"):
        return False
    with _HOLDER.lock:
        _HOLDER.turn_to(asker)
        if block in _HOLDER.held:
            return True
        packed = pack_as_is(**{name: getattr(problem, name) for name in _ARRAYS})
        if _HOLDER.num_bytes + len(packed) > KEPT_BYTES:
            return False
        try:
            number = _sealed(_name(asker, block), packed)
        except OSError:
            return False
        _HOLDER.held[block] = _Held(number)
        _HOLDER.num_bytes += len(packed)
        return True


def find(asker: Asker, block: int) -> Problem | None:
    """
    Find a block's problem, in this process or beside it.

    Parameters
    ----------
    asker
        Whose it is.
    block
        Its number.

    Returns
    -------
    Problem or None
        ``None``: it is not kept here, or no longer.
    """
    with _HOLDER.lock:
        _HOLDER.turn_to(asker)
        held = _HOLDER.held.get(block)
        if held is None:
            number = _held_beside(_name(asker, block))
            if number is None:
                return None
            held = _HOLDER.held[block] = _Held(number)
        if held.problem is None:
            try:
                held.problem = _HOLDER.read(held.number)
            except OSError:  # a limit of the process's memory
                return None
        return held.problem


def let_go() -> None:
    """Let go of all that this process holds."""
    with _HOLDER.lock:
        _HOLDER.let_go()


def _name(asker: Asker, block: int) -> str:
    return f"optimizer-{asker.token}-{block}"


def _sealed(name: str, content: bytes) -> int:
    """Memory with this content, which nobody can change any more."""
    import fcntl

    number = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        left = memoryview(content)
        while left:
            left = left[os.write(number, left) :]
        fcntl.fcntl(number, fcntl.F_ADD_SEALS, _seals())
    except OSError:
        os.close(number)
        raise
    return number


def _seals() -> int:
    import fcntl

    return fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK


def _held_beside(name: str) -> int | None:
    """Open what another child of this process's parent holds, once it is whole."""
    import fcntl

    link = f"/memfd:{name} (deleted)"
    for process in _beside():
        for path in _files_of(process):
            try:
                if str(path.readlink()) != link:
                    continue
                number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # it let go, or ended
                continue
            if fcntl.fcntl(number, fcntl.F_GET_SEALS) & _seals() == _seals():
                return number
            os.close(number)
    return None


def _beside() -> list[str]:
    """Other children of this process's parent, where the system tells."""
    parent = os.getppid()
    try:
        told = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except OSError:
        return []
    return [number for number in told.split() if number != str(os.getpid())]


def _files_of(process: str) -> list[Path]:
    """Paths of what a process has open."""
    try:
        return [*Path(f"/proc/{process}/fd").iterdir()]
    except OSError:
        return []
