"""Plans that are cut short: by a gap that is good enough, or by the clock."""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from optimizer.certify.certificate import certify
from optimizer.errors import SolveError
from optimizer.model.problem import Problem
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers import METHODS, deadline, solve
from optimizer.solvers.baselines import flow as flow_solver
from optimizer.solvers.flow import plan as flow
from optimizer.solvers.flow import worker as flow_worker
from optimizer.solvers.market import Threads, whole_market
from optimizer.solvers.network import solve as pricing
from optimizer.solvers.network.dual_bound import bound_at, bounding_prices
from optimizer.solvers.network.initial_prices import clearing_price
from optimizer.solvers.network.price_interval import cap_prices
from optimizer.solvers.network.primal_heuristic import is_close_enough
from optimizer.solvers.network.tie_break import keep_most
from optimizer.testing import random_problem


def night(seed: int, num_orders: int = 3_000, most_options: int = 3) -> Problem:
    return random_problem(
        np.random.default_rng(seed),
        num_orders=num_orders,
        num_merchants=max(1, num_orders // 50),
        num_lanes=12,
        most_options=most_options,
        most_saving=5_000_000,
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("gap", [1e-6, 1e-3, 0.05, 1.0])
def test_the_proved_gap_is_at_most_what_was_asked(seed: int, gap: float) -> None:
    """
    The plan is feasible, its certificate keeps to the asked gap, and a plan that is
    called optimal is.
    """
    problem = night(seed)
    found = solve(problem, "pricing", SolveParams(relative_gap=gap))
    proof = certify(problem, found)
    assert proof.is_feasible
    assert 0 <= proof.gap <= Fraction(str(gap)) * max(1, proof.primal_bound)
    assert found.termination.limit in (None, "GAP")
    assert proof.gap == 0 or found.termination == Termination("FEASIBLE", "GAP")


def test_a_gap_ends_the_search_only_when_it_is_asked_for() -> None:
    """A wide gap is taken at once, and without one the optimum is found."""
    problem = night(1)
    quick = solve(problem, "pricing", SolveParams(relative_gap=0.9))
    exact = solve(problem, "pricing", SolveParams(relative_gap=0.0))
    assert quick.termination == Termination("FEASIBLE", "GAP")
    assert exact.termination == Termination("OPTIMAL")
    assert certify(problem, exact).gap == 0


@pytest.mark.parametrize(
    ("bound", "gap", "is_enough"),
    [
        (10_010, 0.001, True),
        (10_011, 0.001, False),
        (13_000, 0.3, True),
        (13_001, 0.3, False),
        (11_000, 0.1, True),
        (11_001, 0.1, False),
        (10_000, 0.0, True),
        (10_001, 0.0, False),
    ],
)
def test_gaps_are_compared_exactly(bound: int, gap: float, is_enough: bool) -> None:
    """A tenth is a tenth, although no binary fraction is one: to the last micro-CNY."""
    problem = Problem(
        merchant_start=np.array([0, 1]),
        cap=np.array([1]),
        option_start=np.array([0, 1]),
        option_lane=np.zeros(1, np.int32),
        option_saving=np.array([10_000]),
        slots=np.array([1]),
        lane_parent=np.array([-1], np.int32),
        key=np.zeros(1, np.uint64),
        row=np.zeros(1, np.int64),
    )
    one, zero = np.zeros(1, np.int64), np.zeros(1, np.int64)
    plan = Solution(one, zero, zero, Termination("FEASIBLE", "GAP"))
    assert is_close_enough(problem, plan, bound, gap) == is_enough


@pytest.mark.parametrize("method", [*METHODS])
@pytest.mark.parametrize("seed", range(4))
def test_no_time_at_all_still_gives_a_plan(
    monkeypatch: pytest.MonkeyPatch, method: str, seed: int
) -> None:
    """
    With a limit that has passed at once, every method hands back a feasible plan that
    saves something, and prices that bound it.
    """
    monkeypatch.setattr(flow, "MAX_ARCS_HERE", 0)
    problem = night(seed)
    found = solve(problem, method, SolveParams(time_limit_seconds=1e-9))
    proof = certify(problem, found)
    assert proof.is_feasible
    assert proof.gap >= 0
    assert proof.primal_bound > 0
    assert proof.relative_gap < 10
    assert found.termination.reason == "FEASIBLE"
    assert found.termination.limit == ("METHOD" if method == "greedy" else "TIME")


def late_after(looks: int) -> type:
    """Make a clock that jumps far ahead after so many looks at it."""

    class Clock:
        seen = 0

        @classmethod
        def monotonic(cls) -> float:
            cls.seen += 1
            return 0.0 if cls.seen <= looks else 1e9

    return Clock


@pytest.mark.parametrize("seed", range(3))
def test_pricing_may_be_cut_short_at_any_look_at_the_clock(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """
    Wherever the clock runs out, the plan is feasible and bounded; once it does not
    run out any more, the optimum is proved.
    """
    problem = night(seed, 400)
    best = certify(problem, solve(problem, "flow", SolveParams())).primal_bound
    ends = set()
    for looks in range(1, 400):
        clock = late_after(looks)
        monkeypatch.setattr(pricing, "time", clock)
        found = solve(problem, "pricing", SolveParams())
        proof = certify(problem, found)
        assert proof.is_feasible, looks
        assert proof.primal_bound <= best <= proof.dual_bound, looks
        assert (proof.gap == 0) >= (found.termination.reason == "OPTIMAL"), looks
        ends.add(found.termination.limit)
        if clock.seen <= looks:
            break
    assert found.termination == Termination("OPTIMAL")
    assert ends == {"TIME", None}


@pytest.mark.parametrize("seed", range(3))
def test_flow_and_keeping_may_be_cut_short_at_any_look_at_the_clock(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """
    Wherever the clock runs out, flow gives a feasible, bounded plan, and keeping gives
    back the optimum; once it does not run out, flow proves its plan.
    """
    problem = night(seed, 400)
    best = solve(problem, "pricing", SolveParams())
    value = certify(problem, best).primal_bound
    other = np.flatnonzero(problem.option_saving > 0)
    ends = set()
    for looks in range(1, 60):
        clock = late_after(looks)
        monkeypatch.setattr(flow_solver, "time", clock)
        monkeypatch.setattr(deadline, "time", clock)
        found = solve(problem, "flow", SolveParams())
        proof = certify(problem, found)
        assert proof.is_feasible, looks
        assert 0 < proof.primal_bound <= value <= proof.dual_bound, looks
        ends.add(found.termination.limit)
        num_looks, clock.seen = clock.seen, 0
        kept = certify(problem, keep_most(problem, best, other, ends=1.0))
        assert kept.is_optimal
        if max(num_looks, clock.seen) <= looks:
            break
    assert found.termination == Termination("OPTIMAL")
    assert ends == {"TIME", None}
    assert looks > 8


def test_a_child_process_finds_the_same_plan_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Flow elsewhere is flow here, and its folder is gone afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    problem = night(2)
    here = solve(problem, "flow", SolveParams())
    monkeypatch.setattr(flow, "MAX_ARCS_HERE", 0)
    monkeypatch.setattr(flow, "cheapest_flow", None)
    there = solve(problem, "flow", SolveParams())
    assert there.chosen.tolist() == here.chosen.tolist()
    assert there.termination == Termination("OPTIMAL")
    assert [*tmp_path.iterdir()] == []


def fake_python(folder: Path, script: str) -> str:
    """Write a program that stands in for Python."""
    path = folder / "python3"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_child_that_hangs_is_ended_and_the_greedy_plan_returned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At the deadline the child is killed; greedy's plan is returned with a bound."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "files"))
    pid = tmp_path / "pid"
    hanging = fake_python(tmp_path / "bin", f"echo $$ > {pid}\nexec sleep 600")
    monkeypatch.setattr(flow, "MAX_ARCS_HERE", 0)
    monkeypatch.setattr(flow, "find_python", lambda: hanging)
    given, run = [], flow_worker.subprocess.run

    def noted(*words: object, **keys: object) -> object:
        given.append(keys["timeout"])
        return run(*words, **keys)

    monkeypatch.setattr(flow_worker.subprocess, "run", noted)
    problem = night(3)
    found = solve(problem, "flow", SolveParams(time_limit_seconds=1.0))
    greedy = solve(problem, "greedy", SolveParams())
    assert found.termination == Termination("FEASIBLE", "TIME")
    assert found.chosen.tolist() == greedy.chosen.tolist()
    assert certify(problem, found).is_feasible
    assert 0 < given[0] <= 1.0
    assert [*(tmp_path / "files").iterdir()] == []
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_a_child_that_dies_is_an_error_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the child said last is in the message, with a way out; no folder stays."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "files").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "files"))
    dying = fake_python(tmp_path / "bin", "echo no more memory >&2; exit 9")
    monkeypatch.setattr(flow, "MAX_ARCS_HERE", 0)
    monkeypatch.setattr(flow, "find_python", lambda: dying)
    with pytest.raises(SolveError, match=r"no more memory.*use method auto"):
        solve(night(3), "flow", SolveParams())
    assert [*(tmp_path / "files").iterdir()] == []


def test_inside_another_program_flow_runs_in_this_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A host that is no Python, and has none beside it, is never started again."""
    host = tmp_path / "server"
    host.write_text("#!/bin/sh\nexit 1\n")
    host.chmod(0o755)
    for executable in (str(host), "", None):
        monkeypatch.setattr(sys, "executable", executable)
        monkeypatch.setattr(sys, "exec_prefix", str(tmp_path))
        assert flow_worker.find_python() is None
    monkeypatch.setattr(flow, "MAX_ARCS_HERE", 0)
    found = solve(night(1, 300), "flow", SolveParams())
    assert found.termination == Termination("OPTIMAL")


@pytest.mark.parametrize("seed", range(8))
def test_the_quick_bound_is_the_certificates(seed: int) -> None:
    """The solver's own bound at any prices is what the certificate computes."""
    problem = night(seed, 500)
    draw = np.random.default_rng(seed)
    price = draw.integers(0, 3_000_000, problem.num_lanes)
    for lane in np.flatnonzero(problem.lane_parent >= 0):
        price[lane] = max(price[lane], price[problem.lane_parent[lane]])
    with Threads(2) as pool:
        caps, bound = bound_at(problem, whole_market(problem), price, pool)
    own = price.copy()
    inner = problem.lane_parent >= 0
    own[inner] -= price[problem.lane_parent[inner]]
    none = np.zeros(0, np.int64)
    plan = Solution(none, own, caps, Termination("FEASIBLE", "TIME"))
    assert certify(problem, plan).dual_bound == bound
    assert caps.tolist() == cap_prices(problem, price).tolist()


@pytest.mark.parametrize("seed", range(8))
def test_greedys_bound_is_never_worse_than_that_of_lanes_alone(seed: int) -> None:
    """The prices that are tried beside the simple ones can only help."""
    problem = night(seed)
    options = problem.option_lane, problem.option_saving
    simple = clearing_price(*options, problem.slots, problem.lane_parent)
    with Threads() as pool:
        _, worst = bound_at(problem, whole_market(problem), simple, pool)
    prices = bounding_prices(problem, SolveParams(), lambda: False)
    none = np.zeros(0, np.int64)
    plan = Solution(none, *prices, Termination("FEASIBLE", "METHOD"))
    assert certify(problem, plan).dual_bound <= worst


@pytest.mark.slow
@pytest.mark.parametrize("method", [*METHODS])
def test_a_large_night_keeps_a_short_limit(method: str) -> None:
    """
    On 300,000 orders a limit of half a second gives a feasible, bounded plan from
    every method.
    """
    problem = night(4, 300_000)
    params = SolveParams(time_limit_seconds=0.5)
    proof = certify(problem, solve(problem, method, params))
    assert proof.is_feasible
    assert proof.relative_gap < 0.5


@pytest.mark.parametrize("method", ["auto", "pricing"])
def test_a_first_night_is_not_cut_short_by_compiling(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """
    Seconds in which kernels are compiled are given back: where all are such, the least
    limit ends no night; where none are, it does.
    """
    problem, least = night(3), SolveParams(1e-4)
    assert solve(problem, method, least).termination != Termination("OPTIMAL")
    monkeypatch.setattr(deadline, "compiling_seconds", time.monotonic)
    assert solve(problem, method, least).termination == Termination("OPTIMAL")
