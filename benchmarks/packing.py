"""
Nights of the packing class to measure on: loads, budgets, rows that cross.

Orders take 1 to 5 slots; merchants may have no more than their budgets pay for; and
each city has a dock, a row that crosses all its carriers' lanes.

    python -m benchmarks.packing --orders 1m --lanes 1500 --limit-seconds 60

solves one such night with this project, HiGHS and CP-SAT, each in a fresh process, and
prints seconds, worth and proved gap; the others have 20 times the seconds that we took.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.instances import (
    NUM_CARRIERS,
    make_instance,
    make_problem,
    parse_size,
    size_name,
)
from optimizer.model.problem import Problem
from optimizer.model.side_constraints import HARD, NO_FLOOR, NO_PIN, SideRows
from optimizer.model.solution import SolveParams

#: How often an order takes 1 to 5 slots.
LOAD_SHARE = np.array([0.4, 0.25, 0.15, 0.12, 0.08])
#: A dock takes such a share of what the lanes of its city take together.
DOCK_SHARE = 0.85
#: What CP-SAT calls the end of a search that has a plan.
FOUND = ("OPTIMAL", "FEASIBLE")
#: Budgets cut the caps of this share of the merchants by half.
BUDGET_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class PackingNight:
    """A night by name: so many orders on so many lanes."""

    num_orders: int
    num_lanes: int
    carriers: int = 3
    seed: int = 0


def make_packing(night: PackingNight) -> Problem:
    """Draw a packing night."""
    family = "choice" if night.carriers > 1 else "single"
    base = make_problem(
        replace(
            make_instance(family, night.num_orders),
            num_lanes=night.num_lanes,
            seed=night.seed,
        )
    )
    rng = np.random.default_rng([night.seed, night.num_orders, 7])
    ways = np.diff(base.option_start)
    load = rng.choice(np.arange(1, 6), night.num_orders, p=LOAD_SHARE)
    option_load = np.repeat(load, ways).astype(np.int64)
    # larger parcels save more, though not in proportion
    saving = (base.option_saving * np.sqrt(option_load)).astype(np.int64)
    slots = np.floor(base.slots * load.mean()).astype(np.int64)
    city = (base.option_lane // NUM_CARRIERS).astype(np.int32)
    num_cities = night.num_lanes // NUM_CARRIERS
    dock = np.floor(
        np.bincount(np.arange(len(slots)) // NUM_CARRIERS, slots) * DOCK_SHARE
    )
    is_cut = rng.random(base.num_merchants) < BUDGET_SHARE
    side = SideRows(
        option_load=option_load,
        entry_start=np.arange(base.num_options + 1),
        entry_row=city,
        entry_weight=option_load.copy(),
        low=np.full(num_cities, NO_FLOOR),
        high=dock.astype(np.int64),
        penalty=np.full(num_cities, HARD),
        rank=np.zeros(num_cities, np.int32),
        pin_rank=np.full(night.num_orders, NO_PIN, np.int32),
    )
    return Problem(
        merchant_start=base.merchant_start,
        cap=np.where(is_cut, base.cap // 2, base.cap),
        option_start=base.option_start,
        option_lane=base.option_lane,
        option_saving=saving,
        slots=slots,
        lane_parent=base.lane_parent,
        key=base.key,
        row=base.row,
        side=side,
    )


def name_of(night: PackingNight) -> str:
    """``packing-100k-150``: orders and lanes."""
    return f"packing-{size_name(night.num_orders)}-{night.num_lanes}"


def limits_of(
    problem: Problem,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns, amounts and limits: orders, merchants, lanes (no tree), docks."""
    side, count = problem.side, problem.num_options
    order = np.repeat(np.arange(problem.num_orders), np.diff(problem.option_start))
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    firsts = np.cumsum(
        [0, problem.num_orders, problem.num_merchants, problem.num_lanes]
    )
    rows = (order, merchant, problem.option_lane, side.entry_row)
    row = np.concatenate([r + f for r, f in zip(rows, firsts, strict=True)])
    every = np.arange(count)
    entry = np.repeat(every, np.diff(side.entry_start))
    column = np.concatenate((every, every, every, entry))
    ones = np.ones(count, np.int64)
    amount = np.concatenate((ones, ones, side.option_load, side.entry_weight))
    limit = np.concatenate(
        (np.ones(problem.num_orders, np.int64), problem.cap, problem.slots, side.high)
    )
    return row, column, amount, limit


def solve_ours(problem: Problem, seconds: float) -> dict[str, float]:
    """Ours; the gap is that of the certificate."""
    from optimizer.certify.certificate import certify
    from optimizer.solvers import solve

    warm = make_packing(PackingNight(20_000, 50))
    solve(warm, "packing", SolveParams())
    began = time.perf_counter()
    found = solve(problem, "packing", SolveParams(time_limit_seconds=seconds))
    spent = time.perf_counter() - began
    proof = certify(problem, found)
    assert proof.is_feasible, proof.violations
    return _answer(proof.primal_bound, proof.dual_bound, spent)


def solve_highs(problem: Problem, seconds: float) -> dict[str, float]:
    """HiGHS on all options, its own gap."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    row, column, amount, limit = limits_of(problem)
    matrix = csr_array((amount.astype(float), (row, column)))
    began = time.perf_counter()
    found = milp(
        -problem.option_saving / 1e6,
        constraints=LinearConstraint(matrix, -np.inf, limit),
        bounds=Bounds(0, 1),
        integrality=np.ones(problem.num_options),
        options={"time_limit": seconds, "mip_rel_gap": 0.0},
    )
    spent = time.perf_counter() - began
    primal = 0.0 if found.x is None else -found.fun * 1e6
    bound = found.mip_dual_bound
    dual = np.inf if bound is None else -bound * 1e6
    return _answer(primal, dual, spent)


def solve_cpsat(problem: Problem, seconds: float) -> dict[str, float]:
    """CP-SAT on all options and both cores, its own gap."""
    from ortools.sat.python import cp_model

    row, column, amount, limit = limits_of(problem)
    model = cp_model.CpModel()
    taken = [model.new_bool_var("") for _ in range(problem.num_options)]
    turn = np.argsort(row, kind="stable")
    ends = np.searchsorted(row[turn], np.arange(len(limit) + 1))
    for number, most in enumerate(limit.tolist()):
        held = turn[ends[number] : ends[number + 1]]
        if len(held):
            terms = [taken[a] for a in column[held]]
            model.add(
                cp_model.LinearExpr.weighted_sum(terms, amount[held].tolist()) <= most
            )
    savings = problem.option_saving.tolist()
    model.maximize(cp_model.LinearExpr.weighted_sum(taken, savings))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = 2
    began = time.perf_counter()
    status = solver.status_name(solver.solve(model))
    spent = time.perf_counter() - began
    primal = solver.objective_value if status in FOUND else 0.0
    dual = solver.best_objective_bound if status in FOUND else np.inf
    return _answer(primal, dual, spent)


SOLVERS = {"packing": solve_ours, "highs": solve_highs, "cpsat": solve_cpsat}


def _answer(primal: float, dual: float, seconds: float) -> dict[str, float]:
    gap = (dual - primal) / max(1.0, abs(primal))
    return {"seconds": seconds, "primal_cny": primal / 1e6, "relative_gap": gap}


def main() -> None:
    """Measure each method in a process of its own; peers have 20 times our time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", default="100k")
    parser.add_argument("--lanes", type=int, default=150)
    parser.add_argument("--limit-seconds", type=float, default=60.0)
    parser.add_argument("--peers", default="highs,cpsat")
    parser.add_argument("--times", type=float, default=20.0)
    parser.add_argument("--only", choices=[*SOLVERS], help=argparse.SUPPRESS)
    given = parser.parse_args()
    night = PackingNight(parse_size(given.orders), given.lanes)
    if given.only:
        found = SOLVERS[given.only](make_packing(night), given.limit_seconds)
        print(json.dumps(found))
        return
    seconds = given.limit_seconds
    for name in ["packing", *filter(None, given.peers.split(","))]:
        found = _elsewhere(night, name, seconds)
        if name == "packing":
            seconds = given.times * found["seconds"]
        print(name_of(night), name, json.dumps(found), flush=True)


def _elsewhere(night: PackingNight, name: str, seconds: float) -> dict[str, float]:
    words = ["--orders", str(night.num_orders), "--lanes", str(night.num_lanes)]
    words += ["--limit-seconds", str(seconds), "--only", name]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.packing", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
