"""Blocks of a problem on this machine; threads work on one each at a time."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.problem import Problem
from optimizer.model.solution import Solution, Termination
from optimizer.solvers.deadline import ends_after
from optimizer.solvers.market import Threads
from optimizer.solvers.network.block_solve import BlockNight, solve_core
from optimizer.solvers.network.blocks import (
    DecidingPrices,
    bound_block,
    decided,
    screen_block,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray

    from optimizer.model.solution import SolveParams
    from optimizer.solvers.network.blocks import CapPrices, Part, Screen


class LocalBlocks:
    """
    Blocks of a problem, in memory or in files that are mapped to it.

    A block is a run of orders; a merchant that is larger than a block is in several. Of
    a block only what is asked is copied, and only while it is worked on.

    Parameters
    ----------
    problem
        A night of the network class.
    num_blocks
        How many, about; never changes an answer to the whole.
    pool
        Threads that share the blocks.
    """

    def __init__(self, problem: Problem, num_blocks: int, pool: Threads) -> None:
        self._problem, self._pool = problem, pool
        options = np.linspace(0, problem.num_options, max(1, num_blocks) + 1)
        inner = np.searchsorted(problem.option_start, options[1:-1])
        ends = np.concatenate(([0], inner, [problem.num_orders]))
        self._ends = np.unique(ends) if problem.num_orders else np.zeros(2, np.int64)

    @property
    def merchant_of(self) -> dict[int, NDArray[np.int64]]:
        """By block, the numbers of its merchants."""
        return {n: np.arange(*self._merchants(n)) for n in range(len(self._ends) - 1)}

    def screen(self, asked: Screen) -> dict[int, Part]:
        """Ask each block for the orders that could matter."""
        return self._each(partial(screen_block, screen=asked))

    def bound(self, asked: CapPrices) -> dict[int, Part]:
        """Ask each block for its sums at prices."""
        return self._each(partial(bound_block, bound=asked))

    def decide(self, verdict: DecidingPrices) -> NDArray[np.int64]:
        """Give the chosen options of the whole problem, ascending."""
        found = self._each(partial(decided, verdict=verdict))
        first = self._problem.option_start[self._ends[:-1]].tolist()
        chosen = [plan.chosen + first[block] for block, plan in found.items()]
        return np.concatenate(chosen)

    def _each(self, work: Callable[[int, Problem], Any]) -> dict[int, Any]:
        """Call a function of a block on every block."""
        numbers = range(len(self._ends) - 1)
        found = self._pool.each(lambda n: work(n, self._open(n)), len(numbers))
        return dict(zip(numbers, found, strict=True))

    def _merchants(self, number: int) -> tuple[int, int]:
        """First merchant of a block, and the one behind its last."""
        start = self._problem.merchant_start
        first, last = self._ends[number : number + 2].tolist()
        if first == last:
            return 0, 0
        ends = np.searchsorted(start, (first, last - 1), side="right").tolist()
        return ends[0] - 1, ends[1]

    def _open(self, number: int) -> Problem:
        """The problem of a block: rows of its own, and the caps of whole merchants."""
        whole = self._problem
        first, last = self._ends[number : number + 2].tolist()
        begin, end = self._merchants(number)
        option = whole.option_start[first : last + 1]
        options = slice(int(option[0]), int(option[-1]))
        return Problem(
            merchant_start=whole.merchant_start[begin : end + 1].clip(first, last)
            - first,
            cap=whole.cap[begin:end],
            option_start=option - option[0],
            option_lane=whole.option_lane[options],
            option_saving=whole.option_saving[options],
            slots=whole.slots,
            lane_parent=whole.lane_parent,
            key=whole.key[first:last],
            row=np.arange(last - first),
        )


def solve_in_blocks(problem: Problem, params: SolveParams, num_blocks: int) -> Solution:
    """
    Solve a night as a cluster does: only what is near is in memory together.

    Plan and prices are those of the other exact methods.

    Parameters
    ----------
    problem
        A night of the network class.
    params
        Time, threads, and what takes lines about progress.
    num_blocks
        How many blocks, about.

    Raises
    ------
    SolveError
        When the optimum was not proved within the time limit.
    """
    ends = ends_after(params.time_limit_seconds)
    with Threads(params.num_threads) as pool:
        blocks = LocalBlocks(problem, num_blocks, pool)
        night = BlockNight(
            blocks=blocks,
            slots=problem.slots,
            parent=problem.lane_parent,
            merchant_of=blocks.merchant_of,
            cap=problem.cap,
            num_open=np.diff(problem.merchant_start),
            highest=int(problem.option_saving.max(initial=0)),
            is_late=lambda: time.monotonic() > ends(),
            tell=params.tell or (lambda _: None),
        )
        core = solve_core(night, params.num_threads)
        cuts = night.by_block(core.merchant_price)
        verdict = DecidingPrices(core.lane_price, cuts, core.tied, None)
        chosen = blocks.decide(verdict)
    proved = Termination("OPTIMAL")
    return Solution(chosen, core.lane_price, core.merchant_price, proved)
