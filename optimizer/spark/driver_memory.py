"""How many orders the driver may take by itself: as many as fit into its memory."""

from __future__ import annotations

import os
from pathlib import Path

from optimizer.errors import MachineError

#: What one machine takes at its largest for each row of orders and options of a night
#: that executors do not solve, bytes.
ROW_BYTES = 1_000
#: What libraries and the program take by themselves, bytes.
OWN_BYTES = 500_000_000
GB = 10**9

_MEMINFO = Path("/proc/meminfo")
#: Where a container's limit is, what it has taken of it, and of what.
_GROUP = Path("/sys/fs/cgroup")


def refuse_beyond_memory(num_rows: int) -> None:
    """
    Refuse a night that this machine has not the memory to decide by itself.

    Parameters
    ----------
    num_rows
        Of the tables of orders and options.

    Raises
    ------
    MachineError
        With what it takes, what is free, and what to do.

    Examples
    --------
    >>> refuse_beyond_memory(1_000)
    """
    needed, free = OWN_BYTES + num_rows * ROW_BYTES, free_bytes()
    if needed > free:
        raise MachineError(
            "executors do not solve this night, and the driver needs about "
            f"{needed / GB:.3g} GB for its {num_rows:,} rows of orders and options; "
            f"{free / GB:.3g} GB are free. Give it more memory, or leave out what "
            "executors do not solve: docs/how-to/spark.md, *By the driver alone*"
        )


def free_bytes() -> int:
    """
    Memory that this process may still take: of the machine, and of its container.

    Examples
    --------
    >>> free_bytes() > 0
    True
    """
    return min(_of_machine(), _of_container())


def _of_machine() -> int:
    """What the kernel says is available; elsewhere than on Linux all that there is."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        (kilobytes,) = (
            line.split()[1] for line in lines if line[:13] == "MemAvailable:"
        )
        return int(kilobytes) * 1024
    except (OSError, ValueError):
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _of_container() -> int:
    """What its limit leaves; without one, more than any machine has."""
    try:
        limit, taken = (_int_of(f"memory.{name}") for name in ("max", "current"))
        told = (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        stat = {name: int(value) for name, value in map(str.split, told)}
    except (OSError, ValueError):  # no container of this kind, or "max"
        return 1 << 62
    # Files that nobody reads are given up first.
    return max(0, limit - taken + stat.get("inactive_file", 0))


def _int_of(file: str) -> int:
    return int((_GROUP / file).read_text(encoding="ascii"))
