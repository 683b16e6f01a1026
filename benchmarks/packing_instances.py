"""
Packing problems of the literature, drawn by their published rules, and nights between.

Generalised assignment (Chu and Beasley 1997; type E: Laguna and others 1995), jobs as
orders, agents as lanes: ``gap-c10100-1`` has type C, 10 agents, 100 jobs, seed 1. An
order saves ``FORFEIT`` times the greatest cost less its cost, so that no plan gains by
leaving a job out. Multidimensional knapsacks (Chu and Beasley 1998): ``mkp-5x100-1``
has 5 rows, 100 goods and half of all weights as room. ``night-20k-150-1``: as in
:mod:`benchmarks.packing`. These are not the files of the OR-Library, whose optima are
known; they follow the same rules, and anybody can draw them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.instances import parse_size
from benchmarks.packing import PackingNight, make_packing
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import HARD, NO_FLOOR, NO_PIN, SideRows

#: A unit of the literature's costs and profits is a fen, in micro-CNY.
UNIT = 10_000
#: A job that is left out costs so many times the greatest cost.
FORFEIT = 3


@dataclass(frozen=True, slots=True)
class Instance:
    """
    A problem by name.

    Attributes
    ----------
    name, problem
        The problem, to be maximised.
    unit
        Micro-CNY of a unit in which values are told.
    forfeit
        Costs are told as this less the value; 0: values are told, not costs.
    """

    name: str
    problem: Problem
    unit: int
    forfeit: int = 0

    def told(self, value: float) -> float:
        """A value, micro-CNY, in the words of the literature."""
        return self.forfeit - value / self.unit if self.forfeit else value / self.unit


def make_instance(name: str) -> Instance:
    """Draw the instance of a name."""
    family, shape, *rest = name.split("-")
    if family == "gap":
        return _assignment(name, shape[0], int(shape[1:3]), int(shape[3:]), rest)
    if family == "mkp":
        rows, goods = map(int, shape.split("x"))
        return _knapsack(name, rows, goods, int(rest[0]))
    night = PackingNight(parse_size(shape), int(rest[0]), seed=int(rest[1]))
    return Instance(name, make_packing(night), 1_000_000)


def _assignment(
    name: str, kind: str, agents: int, jobs: int, rest: list[str]
) -> Instance:
    """Costs, loads and room of the five published types."""
    rng = np.random.default_rng([int(rest[0]), ord(kind), agents, jobs])
    shape = (jobs, agents)
    if kind in "abc":
        load, cost = rng.integers(5, 26, shape), rng.integers(10, 51, shape)
    elif kind == "d":
        load = rng.integers(1, 101, shape)
        cost = 111 - load + rng.integers(-10, 11, shape)
    else:
        # 1 - U is above 0, which a logarithm needs
        load = np.ceil(1 - 10 * np.log(1 - rng.random(shape))).astype(np.int64)
        cost = np.ceil(1000 / load - 10 * rng.random(shape)).astype(np.int64)
        cost = np.maximum(cost, 1)
    room = (0.8 * load.sum(axis=0) / agents).astype(np.int64)
    if kind in "ab":
        at_cheapest = np.zeros(agents)
        cheapest = cost.argmin(axis=1)
        np.add.at(at_cheapest, cheapest, load[np.arange(jobs), cheapest])
        room = 9 * jobs / agents + 0.4 * at_cheapest.max()
        room = np.full(agents, int(room if kind == "a" else 0.7 * room))
    forfeit = FORFEIT * int(cost.max())
    problem = _problem(
        saving=(forfeit - cost) * UNIT, load=load, slots=room, rows=None, high=None
    )
    return Instance(name, problem, UNIT, forfeit * jobs)


def _knapsack(name: str, rows: int, goods: int, seed: int) -> Instance:
    """Weights up to 1,000; goods that weigh more are worth more; room for half."""
    rng = np.random.default_rng([seed, rows, goods])
    weight = rng.integers(1, 1_001, (rows, goods))
    profit = np.floor(weight.mean(axis=0) + 500 * rng.random(goods)).astype(np.int64)
    problem = _problem(
        saving=profit[:, None] * UNIT,
        load=np.ones((goods, 1), np.int64),
        slots=np.array([goods]),
        rows=weight.T,
        high=weight.sum(axis=1) // 2,
    )
    return Instance(name, problem, UNIT)


def _problem(
    saving: np.ndarray,
    load: np.ndarray,
    slots: np.ndarray,
    rows: np.ndarray | None,
    high: np.ndarray | None,
) -> Problem:
    """One merchant without a cap that binds; every order may go on every lane."""
    orders, lanes = saving.shape
    count = orders * lanes
    num_rows = 0 if rows is None else rows.shape[1]
    return Problem(
        merchant_start=np.array([0, orders]),
        cap=np.array([orders]),
        option_start=np.arange(orders + 1) * lanes,
        option_lane=np.tile(np.arange(lanes), orders).astype(np.int32),
        option_saving=saving.ravel().astype(np.int64),
        slots=slots.astype(np.int64),
        lane_parent=np.full(lanes, -1, np.int32),
        key=np.arange(1, orders + 1).astype(np.uint64),
        row=np.arange(orders),
        side=SideRows(
            option_load=load.ravel().astype(np.int64),
            entry_start=np.arange(count + 1) * num_rows,
            entry_row=np.tile(np.arange(num_rows), count).astype(np.int32),
            entry_weight=np.zeros(0, np.int64) if rows is None else rows.ravel(),
            low=np.full(num_rows, NO_FLOOR),
            high=np.zeros(0, np.int64) if high is None else high,
            penalty=np.full(num_rows, HARD),
            rank=np.zeros(num_rows, np.int32),
            pin_rank=np.full(orders, NO_PIN, np.int32),
        ),
    )
