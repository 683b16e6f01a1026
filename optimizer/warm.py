"""
Compile all kernels ahead: at an install, or when an image is built.

Small nights are solved in every way that compiles a kernel. Their numbers are drawn
from a fixed seed, so that every machine compiles the same kernels.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from optimizer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

_SEED = 7
#: Enough that each kernel is called at least once; a test holds it.
_NUM_NIGHTS = 6


@dataclass(frozen=True, slots=True)
class Warmed:
    """
    What was compiled.

    Attributes
    ----------
    folder
        Where compiled kernels are stored.
    compiled
        Kernels that were compiled now, each as often as for other types.
    num_kept
        Kernels that are stored there now.
    """

    folder: Path
    compiled: tuple[str, ...]
    num_kept: int


def warm(progress: Callable[[str], None] | None = None) -> Warmed:
    """
    Compile all kernels that are not compiled yet.

    Parameters
    ----------
    progress
        Called with what is being compiled.

    Raises
    ------
    ConfigError
        When no folder can be written to keep them in.
    """
    from optimizer import kernel_cache

    tell = progress or (lambda _: None)
    # Packing nights share next to no kernel with the others, and take half as long.
    with _beside(_packing_nights) as others:
        for stage in (_plain_nights, _blocks):
            tell(f"compile {stage.__name__.strip('_').replace('_', ' ')}")
            stage()
    tell("compile packing nights")
    _packing_nights()  # reads what the other process has compiled
    own = kernel_cache.COMPILED.names
    compiled = tuple((Counter(own) | Counter(others)).elements())
    folder = kernel_cache.COMPILED.folder if own else kernel_cache.first_kept()
    if folder is None or folder not in kernel_cache.kept_folders():
        raise ConfigError(
            "no folder can be written to keep compiled kernels in; run `optimizer "
            "warm` as a user who may write to the installed code, or let "
            "NUMBA_CACHE_DIR name a folder"
        )
    return Warmed(folder, compiled, len(list(folder.glob("*.nbi"))))


@contextmanager
def _beside(stage: Callable[[], None]) -> Iterator[list[str]]:
    """
    Run a stage in another process meanwhile; if it dies, its kernels are not compiled.

    Yields
    ------
    list of str
        The kernels that it compiled, when it has ended.
    """
    context, names = multiprocessing.get_context("spawn"), list[str]()
    heard, told = context.Pipe(duplex=False)
    process = context.Process(target=_do_and_tell, args=(stage, told), daemon=True)
    process.start()
    told.close()
    try:
        yield names
        with contextlib.suppress(EOFError):
            names += heard.recv()
    finally:
        process.terminate()
        process.join()


def _do_and_tell(stage: Callable[[], None], told: Connection) -> None:
    """Run a stage, and report the compiled kernels."""
    from optimizer import kernel_cache

    stage()
    told.send(kernel_cache.COMPILED.names)


def _plain_nights() -> None:
    """Tables to a proved night, and every method for unit loads on nested lanes."""
    import numpy as np

    from optimizer.build.codes import NumberCodes
    from optimizer.build.drawn_savings import fill
    from optimizer.io.merchant_order import sorted_block
    from optimizer.model.solution import SolveParams
    from optimizer.night.api import allocate
    from optimizer.solvers import solve
    from optimizer.testing import random_problem, random_tables

    tables = random_tables(_SEED, num_orders=300)
    night = allocate(tables.orders, tables.capacity, config=tables.config)
    night.explain(night.orders["order_id"][0])  # reasons are found when asked for
    night.change(drop=tables.orders["order_id"].head(9), capacity={"yunda": 9})
    # So few orders that no merchant has a place.
    few = allocate(tables.orders.head(9), tables.capacity, config=tables.config)
    few.explain(few.orders["order_id"][0])
    ids = tables.orders.select("order_id").with_columns(
        merchant=np.zeros(300, np.int32)
    )
    sorted_block(ids)
    places = NumberCodes()
    for number in (1, 100):  # what is known is placed again when more come
        places.encode(np.arange(number))
    draw = np.random.default_rng(_SEED)
    for _ in range(_NUM_NIGHTS):
        problem = random_problem(
            draw, num_orders=200, num_merchants=6, num_lanes=8, most_saving=50
        )
        for method in ("pricing", "greedy", "flow"):
            solve(problem, method, SolveParams())
    option = np.arange(problem.num_options)
    list(fill(problem, problem.slots, option, problem.option_saving[:, None]))
    # Small nights are balanced without Newton's steps, and none looks for alike orders;
    # a lane may be closed.
    large = random_problem(
        draw, num_orders=40_000, num_merchants=400, num_lanes=8, most_saving=10_000
    )
    slots = np.where(np.arange(large.num_lanes) == 0, 0, large.slots)
    solve(replace(large, slots=slots), "auto", SolveParams())


def _packing_nights() -> None:
    """Loads, rows that cross, floors and pins."""
    import numpy as np

    from optimizer.model.solution import SolveParams
    from optimizer.solvers import solve
    from optimizer.testing import random_packing

    draw = np.random.default_rng(_SEED)
    for _ in range(_NUM_NIGHTS):
        solve(random_packing(draw), "packing", SolveParams())
    # Prices leave a gap there, so that it is divided.
    open_night = random_packing(
        np.random.default_rng(5),
        num_orders=30,
        num_rows=4,
        pin_share=0.1,
        most_saving=1_000_000,
        num_lanes=3,
        most_options=2,
    )
    solve(open_night, "packing", SolveParams())


def _blocks() -> None:
    """The further kernels that a cluster runs on each block of merchants."""
    import numpy as np

    from optimizer.solvers.network.blocks import above_cuts
    from optimizer.testing import random_problem

    problem = random_problem(np.random.default_rng(_SEED))
    zeros = np.zeros((2, max(problem.num_lanes, problem.num_merchants)), np.int64)
    above_cuts(
        problem, zeros[0, : problem.num_lanes], zeros[1, : problem.num_merchants]
    )
