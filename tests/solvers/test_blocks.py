"""A night over blocks: whoever keeps them, plan and prices are those of one piece."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from optimizer.certify.certificate import certify
from optimizer.errors import SolveError
from optimizer.model.solution import SolveParams
from optimizer.solvers import solve
from optimizer.solvers.market import Threads
from optimizer.solvers.network import local_blocks
from optimizer.solvers.network.block_solve import BlockNight, solve_core
from optimizer.solvers.network.blocks import CapPrices, DecidingPrices, Screen
from optimizer.solvers.network.local_blocks import LocalBlocks, solve_in_blocks
from optimizer.testing import random_problem
from tests.support.process_blocks import BlockDied, ProcessBlocks, same

#: Sizes of nights: orders, merchants, lanes, most options, and the most saving.
FAMILIES = {
    "one option": (300, 12, 6, 1, 10**6),
    "a choice": (300, 12, 9, 3, 10**6),
    "alike": (300, 5, 6, 3, 2),
    "a giant merchant": (300, 1, 9, 3, 10**4),
    "many merchants": (200, 150, 9, 3, 10**4),
    "one order": (1, 3, 2, 2, 9),
    "no orders": (0, 3, 2, 2, 9),
}


def night(family, seed):
    """A problem with keys in canonical order, as nights are built."""
    orders, merchants, lanes, options, saving = FAMILIES[family]
    problem = random_problem(
        np.random.default_rng(seed),
        num_orders=orders,
        num_merchants=merchants,
        num_lanes=lanes,
        most_options=options,
        most_saving=saving,
    )
    merchant = np.repeat(np.arange(merchants), np.diff(problem.merchant_start))
    return replace(problem, key=problem.key[np.lexsort((problem.key, merchant))])


def night_over(blocks, problem):
    """The night as a solver over these blocks sees it."""
    return BlockNight(
        blocks=blocks,
        slots=problem.slots,
        parent=problem.lane_parent,
        merchant_of=blocks.merchant_of,
        cap=problem.cap,
        num_open=np.diff(problem.merchant_start),
        highest=int(problem.option_saving.max(initial=0)),
        is_late=lambda: False,
        tell=lambda _: None,
    )


def is_equal(one, other):
    names = ("chosen", "lane_price", "merchant_price")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_blocks", [1, 2, 7])
def test_blocks_give_the_plan_and_prices_of_one_piece(family, num_blocks):
    """Bit for bit, with one thread and three, and a merchant in several blocks."""
    for seed in range(4):
        problem = night(family, seed)
        whole = solve(problem, "pricing", SolveParams())
        for num_threads in (1, 3):
            params = SolveParams(num_threads=num_threads)
            found = solve_in_blocks(problem, params, num_blocks)
            assert is_equal(found, whole), seed
        assert certify(problem, found).gap == 0
        assert found.termination.reason == "OPTIMAL"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num_blocks", [1, 2, 7])
def test_processes_that_hear_only_bytes_answer_as_threads_do(family, num_blocks):
    """Each verb, byte for byte; and the same core, plan, prices and proof."""
    problem = night(family, 1)
    apart = ProcessBlocks(problem, num_blocks)
    try:
        with Threads(2) as pool:
            local = LocalBlocks(problem, num_blocks, pool)
            one, other = (night_over(blocks, problem) for blocks in (local, apart))
            price = np.full(problem.num_lanes, 1)
            share = one.by_block(problem.cap)
            assert same(
                *(b.screen(Screen(price, share, 1, 2, 3)) for b in (local, apart))
            )
            bound = CapPrices(price, one.by_block(np.ones_like(problem.cap)))
            assert same(*(blocks.bound(bound) for blocks in (local, apart)))
            core, again = solve_core(one, 1), solve_core(other, 1)
            assert np.array_equal(core.lane_price, again.lane_price)
            assert np.array_equal(core.merchant_price, again.merchant_price)
            assert core.tied.keys() == again.tied.keys()
            cuts = one.by_block(core.merchant_price)
            verdict = DecidingPrices(core.lane_price, cuts, core.tied, None)
            chosen = local.decide(verdict)
        parts = apart.prove(verdict).values()
        whole = solve(problem, "pricing", SolveParams())
        assert np.array_equal(chosen, whole.chosen)
        primal = sum(int(part["primal"]) for part in parts)
        dual = sum(int(part["surplus"]) for part in parts)
        dual += int(problem.slots @ core.lane_price)
        dual += int(problem.cap @ core.merchant_price)
        assert primal == dual == certify(problem, whole).primal_bound
    finally:
        apart.close()


def test_a_process_that_dies_is_no_answer():
    """Its block is missing, so there is no night: never one without its orders."""
    problem = night("a choice", 2)
    apart = ProcessBlocks(problem, 3)
    try:
        os.kill(apart.processes[1].pid, signal.SIGKILL)
        apart.processes[1].join()
        with pytest.raises((BlockDied, BrokenPipeError)):
            solve_core(night_over(apart, problem), 1)
    finally:
        apart.close()


def test_a_thread_that_fails_ends_the_solve(monkeypatch):
    """What it met reaches the caller."""
    work = local_blocks.bound_block

    def fails(block, problem, bound):
        if block == 2:
            raise MemoryError("no memory for block 2")
        return work(block, problem, bound)

    monkeypatch.setattr(local_blocks, "bound_block", fails)
    with pytest.raises(MemoryError, match="block 2"):
        solve_in_blocks(night("a choice", 3), SolveParams(num_threads=2), 4)


def test_a_block_that_forgets_orders_is_found_out(monkeypatch):
    """A screen that holds back what the sums count gives no plan, not a wrong one."""
    work, problem = local_blocks.screen_block, night("a choice", 1)

    def forgets(block, problem, screen):
        part = work(block, problem, screen)
        if block != 1 or not part:
            return part
        return {name: values[:0] for name, values in part.items()}

    monkeypatch.setattr(local_blocks, "screen_block", forgets)
    with pytest.raises(Exception, match="no order accounts for"):
        solve_in_blocks(problem, SolveParams(num_threads=1), 3)


def test_without_time_there_is_no_plan():
    """The message says what to raise."""
    with pytest.raises(SolveError, match="time_limit_seconds"):
        solve_in_blocks(night("a choice", 1), SolveParams(time_limit_seconds=1e-9), 3)
