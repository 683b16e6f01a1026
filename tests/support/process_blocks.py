"""Blocks that each live in a process of their own, and hear and say only bytes."""

from __future__ import annotations

import multiprocessing
import pickle
from functools import partial

import numpy as np

from optimizer.explain.block_proof import prove_block
from optimizer.solvers.market import Threads
from optimizer.solvers.network.blocks import bound_block, screen_block
from optimizer.solvers.network.local_blocks import LocalBlocks

VERBS = {
    "screen": lambda asked: partial(screen_block, screen=asked),
    "bound": lambda asked: partial(bound_block, bound=asked),
    "prove": lambda asked: partial(prove_block, verdict=asked),
}


def serve(number, data, wire):
    """Keep one block, and answer what is asked of it until nothing more comes."""
    problem = pickle.loads(data)
    while asked := wire.recv_bytes():
        verb, given = pickle.loads(asked)
        wire.send_bytes(pickle.dumps(VERBS[verb](given)(number, problem)))


class BlockDied(Exception):
    """The process of a block has ended before it answered."""


class ProcessBlocks:
    """A maker of blocks that shares no memory: a process for each block."""

    def __init__(self, problem, num_blocks):
        with Threads(1) as pool:
            local = LocalBlocks(problem, num_blocks, pool)
            self.merchant_of = local.merchant_of
            data = [pickle.dumps(local._open(n)) for n in self.merchant_of]
        context = multiprocessing.get_context("fork")
        self.wires, self.processes = [], []
        for number, block in enumerate(data):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=serve, args=(number, block, theirs), daemon=True
            )
            process.start()
            theirs.close()
            self.wires.append(ours)
            self.processes.append(process)

    def screen(self, asked):
        """Orders that could matter."""
        return self._ask("screen", asked)

    def bound(self, asked):
        """Sums at prices."""
        return self._ask("bound", asked)

    def prove(self, asked):
        """Parts of the certificate."""
        return self._ask("prove", asked)

    def _ask(self, verb, asked):
        for wire in self.wires:
            wire.send_bytes(pickle.dumps((verb, asked)))
        try:
            return {n: pickle.loads(w.recv_bytes()) for n, w in enumerate(self.wires)}
        except EOFError:
            raise BlockDied from None

    def close(self):
        """End the processes."""
        for wire, process in zip(self.wires, self.processes, strict=True):
            if process.is_alive():
                wire.send_bytes(b"")
            process.join()


def same(one, other):
    """Whether two answers are equal, to the last byte and type."""
    return one.keys() == other.keys() and all(
        one[block].keys() == other[block].keys()
        and all(
            np.asarray(one[block][name]).dtype == np.asarray(other[block][name]).dtype
            and np.array_equal(one[block][name], other[block][name])
            for name in one[block]
        )
        for block in one
    )
