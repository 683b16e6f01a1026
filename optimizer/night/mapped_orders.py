"""
Orders of a night that are kept in a file and mapped to memory, within a limit.

Beyond ``solver.memory_gb`` the arrays with an entry for each order or option go into a
file without a name, on the disk of ``TMPDIR``, which ends with the process. What is
read of it can leave the memory again when others need it. The night is then solved over
blocks, so small that those of all threads are within the limit together.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optimizer.errors import ConfigError
from optimizer.io.mapped_arrays import GB, bytes_of, mapped, room_of

if TYPE_CHECKING:
    from optimizer.config import Config
    from optimizer.model.problem import Problem

#: Arrays with an entry for each order or option.
_LONG = ("option_start", "option_lane", "option_saving", "key", "row")
#: What a thread takes for each byte of its block: the block, its screens, its choices.
_BYTES_EACH = 4
#: Each block costs its own start; more of them would be slower than a larger machine.
MOST_BLOCKS = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class MappedOrders:
    """
    A night whose orders are in a file.

    Attributes
    ----------
    problem
        The same night; its long arrays are parts of a file.
    num_blocks
        Blocks to solve it in.
    """

    problem: Problem
    num_blocks: int


def map_orders(problem: Problem, config: Config) -> MappedOrders | None:
    """
    Put the orders of a night into a file where they are more than memory may hold.

    Parameters
    ----------
    problem
        The night.
    config
        Its limit is ``solver.memory_gb``.

    Returns
    -------
    MappedOrders
        ``None`` where there is no limit, or the orders are within it.

    Raises
    ------
    ConfigError
        When the night has loads, pins or rows that do not nest, or the limit is too
        small for blocks of any use.
    MachineError
        When the disk does not take the orders.
    """
    limit = config.solver.memory_gb
    room = room_of(limit)
    num_bytes = bytes_of(problem, _LONG)
    if limit is None or room is None or num_bytes <= room:
        return None
    named = f"solver.memory_gb: {limit}"
    if problem.side is not None:
        raise ConfigError(
            f"{named}: the orders take {num_bytes / GB:.3g} GB, the whole night some "
            "ten times that, and a night with loads, pins or rows that do not nest is "
            "solved with all of them in memory; raise it or leave it out"
        )
    num_threads = config.solver.num_threads or os.cpu_count() or 1
    needed = num_bytes * _BYTES_EACH * num_threads / GB
    num_blocks = int(-(-needed // float(limit)))
    if num_blocks > min(MOST_BLOCKS, problem.num_orders):
        least = needed / min(MOST_BLOCKS, problem.num_orders)
        raise ConfigError(
            f"{named}: is too small for {problem.num_orders:,} orders with "
            f"{num_threads} threads; give at least {least:.2g}, or fewer "
            "solver.num_threads"
        )
    return MappedOrders(mapped(problem, _LONG), num_blocks)
