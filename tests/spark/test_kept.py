"""What workers keep between passes: found again, whole, and gone when nobody asks."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from optimizer.solvers.network.block_solve import solve_core
from optimizer.spark import kept, own_parts, passes
from optimizer.spark.kept import Asker, find, keep, let_go
from optimizer.spark.passes import SparkBlocks
from optimizer.testing import random_problem, random_tables
from tests.spark.test_passes import make_field
from tests.support.kept_memory import held_by
from tests.support.local_blocks import BlockRows, OwnCells
from tests.support.processes import wait_for

LONG = 600.0


@pytest.fixture(autouse=True)
def nothing_kept():
    """No test finds what another left."""
    let_go()
    yield
    let_go()


@pytest.fixture
def beside(monkeypatch):
    """A process stands beside itself: what it has open is another's, too."""
    monkeypatch.setattr(kept, "_beside", lambda: [str(os.getpid())])


def problem_of(seed, num_orders=40):
    return random_problem(np.random.default_rng(seed), num_orders=num_orders)


def assert_alike(found, problem):
    """Every array, to the byte, and none that can be written to."""
    for one in fields(problem):
        if one.name != "side":
            mine, its = getattr(problem, one.name), getattr(found, one.name)
            assert mine.dtype == its.dtype
            assert mine.tobytes() == its.tobytes()
            assert not its.flags.writeable
            assert its.flags.aligned


def test_a_block_is_found_as_it_was_kept():
    """Its arrays are the same bytes, read where they lie, and checked once."""
    asker, problems = Asker("a", LONG), [problem_of(7, 30), problem_of(8)]
    assert all(keep(asker, *known) for known in enumerate(problems))
    for block, problem in enumerate(problems):
        found = find(asker, block)
        assert_alike(found, problem)
        assert find(asker, block) is found
    assert find(asker, 2) is None
    assert held_by(os.getpid()) == ["optimizer-a-0", "optimizer-a-1"]


def test_another_token_lets_go_of_all(monkeypatch):
    """One night at most is kept: whoever asks for another ends the one before."""
    assert keep(Asker("a", LONG), 0, problem_of(7))
    found = find(Asker("a", LONG), 0)
    monkeypatch.setattr(kept, "_beside", list)
    assert find(Asker("b", LONG), 0) is None
    assert_alike(found, problem_of(7))  # who still reads it may
    del found
    assert held_by(os.getpid()) == []
    monkeypatch.undo()
    assert find(Asker("a", LONG), 0) is None


def test_what_nobody_asks_for_is_let_go():
    """After some seconds, without a word from anybody; a question counts anew."""
    assert keep(Asker("a", 0.01), 0, problem_of(7))
    wait_for(lambda: held_by(os.getpid()) == [], "the worker", seconds=20)
    assert keep(Asker("a", 0.2), 0, problem_of(7))
    assert find(Asker("a", LONG), 0) is not None
    first = kept._HOLDER.clock
    kept._HOLDER.tick()  # a clock that was late
    assert held_by(os.getpid()) == ["optimizer-a-0"]
    assert first.daemon


def test_what_is_not_whole_is_not_found(beside):
    """Memory that may still be written to is nobody's block."""
    asker, problem = Asker("a", LONG), problem_of(7)
    number = os.memfd_create("optimizer-a-0", os.MFD_ALLOW_SEALING)
    os.write(number, b"half of it")
    assert find(asker, 0) is None
    os.close(number)
    assert keep(asker, 0, problem)
    number = kept._HOLDER.held.pop(0).number  # another worker's, that has it open
    assert_alike(find(asker, 0), problem)
    with pytest.raises(PermissionError):
        os.write(number, b"x")
    os.close(number)


def test_a_worker_keeps_so_much_and_no_more(monkeypatch):
    """Further blocks are said not to be kept; and all are, where there is no memory."""
    asker = Asker("a", LONG)
    monkeypatch.setattr(kept, "KEPT_BYTES", 5_000)
    assert [keep(asker, n, problem_of(n)) for n in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    assert find(asker, 2) is None
    monkeypatch.setattr(kept, "_sealed", refused)
    assert not keep(Asker("b", LONG), 0, problem_of(7))
    monkeypatch.delattr(os, "memfd_create")
    assert not keep(Asker("c", LONG), 0, problem_of(7))


def refused(*_):
    raise OSError("no memory")


WORKER = """
import sys
import numpy as np
from optimizer.spark.kept import Asker, find, keep
from optimizer.testing import random_problem
for line in sys.stdin:
    word, token, block = line.split()
    asker = Asker(token, 600)
    if word == "keep":
        problem = random_problem(np.random.default_rng(7), num_orders=40)
        print(keep(asker, int(block), problem), flush=True)
    else:
        found = find(asker, int(block))
        print(found is not None and int(found.option_saving.sum()), flush=True)
"""


@pytest.mark.slow
def test_workers_of_an_executor_find_what_one_of_them_keeps():
    """They hold it though that one is killed; when all are, it is nowhere."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]

    def ask(number, line):
        print(line, file=workers[number].stdin, flush=True)
        return workers[number].stdout.readline().strip()

    def end(number):
        workers[number].kill()
        workers[number].communicate()

    saving = str(int(problem_of(7).option_saving.sum()))
    try:
        assert ask(0, "keep one 0") == "True"
        assert ask(1, "find one 0") == saving
        assert ask(1, "find one 1") == "False"
        end(0)
        assert ask(2, "find one 0") == saving
        assert held_by(workers[2].pid) == ["optimizer-one-0"]
        end(1)
        assert ask(2, "find two 0") == "False"
        assert ask(2, "find one 0") == "False"
    finally:
        for number in range(3):
            end(number)


class Asked(BlockRows):
    """Rows that note which cells passes bring, and of how many blocks."""

    def __init__(self, batches, noted):
        super().__init__(batches)
        self.noted = noted

    def select(self, *names):
        """The same, noted."""
        cells = [name for name in names if isinstance(name, str)]
        self.noted.append((*cells, len(self.batches)))
        return super().select(*names)

    def filter(self, asked):
        """The same of some blocks."""
        return Asked(super().filter(asked).batches, self.noted)


@pytest.fixture
def night(monkeypatch):
    """A night in five blocks, what its passes answer, and what they bring."""
    monkeypatch.setattr(own_parts, "own_column", OwnCells)
    field, _, limits, rows, _ = make_field(random_tables(7, num_orders=200), 5)
    let_go()
    noted = []
    return field, SparkBlocks(Asked(rows.batches, noted), limits.terms), noted


def everything(_, problem):
    """A pass that brings all of a block's orders back."""
    return {name: getattr(problem, name) for name in ("key", "option_saving", "row")}


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for block, part in found.items():
        for name, values in part.items():
            assert values.tobytes() == expected[block][name].tobytes()


def lose(*blocks):
    """A worker that forgot some blocks."""
    for block in blocks:
        os.close(kept._HOLDER.held.pop(block).number)


IDS, CELLS = ("block",), ("block", "numbers")


def test_passes_bring_what_was_forgotten_and_nothing_else(night):
    """The same answers, whatever workers still have: all, some, or nothing."""
    _, blocks, noted = night
    first = blocks.each(everything)
    assert noted == [(*CELLS, 5)]
    assert_same(blocks.each(everything), first)
    assert noted[1:] == [(*IDS, 5)]
    lose(1, 4)
    assert_same(blocks.each(everything), first)
    assert noted[2:] == [(*IDS, 5), (*CELLS, 2)]
    assert_same(blocks.each(everything), first)
    let_go()
    assert_same(blocks.each(everything), first)
    assert noted[5:] == [(*IDS, 5), (*CELLS, 5)]


def test_where_nothing_is_ever_found_cells_are_brought_at_once(night):
    """Engines that end a worker with each task: two passes are tried, then no more."""
    _, blocks, noted = night
    first = blocks.each(everything)
    for _ in range(4):
        let_go()
        assert_same(blocks.each(everything), first)
    assert noted.count((*IDS, 5)) == passes.MOST_LOST
    assert noted[-2:] == [(*CELLS, 5), (*CELLS, 5)]
    assert held_by(os.getpid()) == []


def test_blocks_that_are_not_kept_are_brought_each_time(night, monkeypatch):
    """Those beyond what a worker keeps; without memory for any, none is asked for."""
    _, blocks, noted = night
    size = len(kept.pack_as_is(**{n: getattr(problem_of(7), n) for n in kept._ARRAYS}))
    monkeypatch.setattr(kept, "KEPT_BYTES", 3 * size)
    first = blocks.each(everything)
    few = len(held_by(os.getpid()))
    assert 0 < few < 5
    for _ in range(3):
        assert_same(blocks.each(everything), first)
    assert noted[1:] == 3 * [(*IDS, 5), (*CELLS, 5 - few)]
    other = SparkBlocks(blocks.rows, blocks.terms)
    monkeypatch.setattr(kept, "KEPT_BYTES", 0)
    for _ in range(3):
        assert_same(other.each(everything), first)
    assert noted[7:] == 3 * [(*CELLS, 5)]


def test_a_second_night_does_not_find_the_first(night):
    """The same numbers of blocks with other caps: each night has a token of its own."""
    field, blocks, noted = night
    closed = field.by_block(np.zeros_like(field.cap))
    terms = passes.replace(blocks.terms, cap_of=closed)
    others = SparkBlocks(blocks.rows, terms)
    for _ in range(2):
        for asked, num in ((blocks, field.cap.sum()), (others, 0)):
            caps = asked.each(caps_of).values()
            assert sum(int(part["cap"].sum()) for part in caps) == num
            assert len(held_by(os.getpid())) == 5
    solved = solve_core(field, 1)
    assert solved.num_passes > 0
    assert noted.count((*IDS, 5)) == 2


def caps_of(_, problem):
    return {"cap": problem.cap}


def test_only_a_worker_of_spark_passes_over_what_is_loaded(monkeypatch):
    """Once, after its first pass; in no process that somebody else's objects are in."""
    frozen = []
    known = SimpleNamespace(
        freeze=lambda: frozen.append("modules"), get_freeze_count=lambda: len(frozen)
    )
    monkeypatch.setattr(own_parts, "gc", known)
    for is_worker in (False, True, True):
        if is_worker:
            monkeypatch.setenv(own_parts.WORKER_VARIABLE, "1")
        assert not [*own_parts._each_block((), everything, b"")]
        assert len(frozen) == is_worker
