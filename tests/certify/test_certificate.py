"""The certificate is right about every plan and all prices, and trusts no word."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.certify import certificate
from optimizer.certify.certificate import certify, proved_termination
from optimizer.certify.exact import exact_dot, exact_sum
from optimizer.errors import CertificateError
from optimizer.model.problem import Problem
from optimizer.model.solution import Limit, Solution, SolveParams, Termination
from optimizer.solvers import solve
from optimizer.testing import random_problem
from tests.support.examples import examples
from tests.support.oracles import best_by_enumeration, bound_by_hand, is_feasible, worth

INT64 = st.integers(-(2**63), 2**63 - 1)


def any_solution(problem: Problem, draw: np.random.Generator) -> Solution:
    """Any set of options at any prices: mostly neither feasible nor optimal."""
    chosen = np.flatnonzero(draw.random(problem.num_options) < draw.random())
    return Solution(
        chosen,
        draw.integers(0, 9, problem.num_lanes),
        draw.integers(0, 9, problem.num_merchants),
        Termination("OPTIMAL"),
    )


@examples(300)
@given(seed=st.integers(0, 2**32))
def test_bounds_and_feasibility_are_those_counted_by_hand(seed: int) -> None:
    """For any plan and prices, every number of the certificate is the plain sum."""
    draw = np.random.default_rng(seed)
    problem = random_problem(draw, num_orders=int(draw.integers(0, 9)))
    solution = any_solution(problem, draw)
    proof = certify(problem, solution)
    bound = bound_by_hand(
        problem, solution.lane_price.tolist(), solution.merchant_price.tolist()
    )
    assert proof.is_feasible == is_feasible(problem, solution.chosen.tolist())
    assert proof.primal_bound == worth(problem, solution.chosen.tolist())
    assert proof.dual_bound == bound
    assert proof.gap == bound - proof.primal_bound


@examples(100)
@given(
    seed=st.integers(0, 2**32), stop=st.sampled_from([None, "TIME", "GAP", "METHOD"])
)
def test_optimal_is_what_is_proved_and_nothing_else(
    seed: int, stop: Limit | None
) -> None:
    """Whatever a solver says, a night is optimal just where its gap is 0."""
    draw = np.random.default_rng(seed)
    problem = random_problem(draw, num_orders=int(draw.integers(0, 9)))
    solved = solve(problem, "pricing", SolveParams())
    for solution in (any_solution(problem, draw), solved):
        proof = certify(problem, solution)
        said = Termination("FEASIBLE" if stop else "OPTIMAL", stop)
        found = proved_termination(said, proof)
        assert (found.reason == "OPTIMAL") == (proof.is_feasible and proof.gap == 0)
        assert found.reason == "OPTIMAL" or found.limit == (stop or "METHOD")


@examples(150)
@given(seed=st.integers(0, 2**32))
def test_no_plan_is_above_the_bound_of_any_prices(seed: int) -> None:
    """Weak duality: the optimum by enumeration is never above the dual bound."""
    draw = np.random.default_rng(seed)
    problem = random_problem(draw, num_orders=7)
    proof = certify(problem, any_solution(problem, draw))
    assert best_by_enumeration(problem) <= proof.dual_bound


def test_blocks_of_orders_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound does not depend on how many orders are priced at a time."""
    draw = np.random.default_rng(3)
    problem = random_problem(draw, num_orders=50)
    solution = any_solution(problem, draw)
    whole = certify(problem, solution)
    monkeypatch.setattr(certificate, "BLOCK_ORDERS", 7)
    assert certify(problem, solution) == whole


def changed(solution: Solution, **fields: np.ndarray) -> Solution:
    return dataclasses.replace(solution, **fields)


@pytest.mark.parametrize(
    ("field", "change", "words"),
    [
        ("lane_price", lambda p: p[:-1], "not one price for each lane"),
        ("merchant_price", lambda p: p[:-1], "not one price for each merchant"),
        ("lane_price", lambda p: p - 1, "a price is negative"),
        ("merchant_price", lambda p: p - 10**6, "a price is negative"),
        ("lane_price", lambda p: p + 2**60, "could overflow"),
        ("chosen", lambda c: c[::-1], "not in ascending order"),
        ("chosen", lambda c: np.append(c, c[-1]), "not in ascending order"),
        ("chosen", lambda c: np.append(c, 10**6), "does not exist"),
        ("chosen", lambda c: np.append(-1, c), "does not exist"),
    ],
)
def test_what_is_no_plan_with_prices_is_refused(
    field: str, change: object, words: str
) -> None:
    """Wrong shapes, signs, sizes and options that do not exist prove nothing."""
    problem = random_problem(np.random.default_rng(2), num_orders=40)
    solution = solve(problem, "flow", SolveParams())
    broken = changed(solution, **{field: change(getattr(solution, field))})
    with pytest.raises(CertificateError, match=words):
        certify(problem, broken)


def test_each_kind_of_broken_limit_is_named() -> None:
    """Choosing everything breaks all three kinds of limit, with their counts."""
    problem = random_problem(np.random.default_rng(2), num_orders=40)
    everything = Solution(
        np.arange(problem.num_options),
        np.zeros(problem.num_lanes, np.int64),
        np.zeros(problem.num_merchants, np.int64),
        Termination("OPTIMAL"),
    )
    proof = certify(problem, everything)
    assert not proof.is_feasible
    assert not proof.is_optimal
    assert [text.split(" ", 1)[1] for text in proof.violations] == [
        "orders are chosen twice",
        "merchants are above their cap",
        "lanes are above their slots",
    ]


def test_one_broken_limit_is_said_in_the_singular() -> None:
    """Two ways of one order, with one slot and a cap of one: one limit of each kind."""
    problem = Problem(
        merchant_start=np.array([0, 1]),
        cap=np.array([1]),
        option_start=np.array([0, 2]),
        option_lane=np.zeros(2, np.int32),
        option_saving=np.array([5, 4]),
        slots=np.array([1]),
        lane_parent=np.array([-1], np.int32),
        key=np.zeros(1, np.uint64),
        row=np.zeros(1, np.int64),
    )
    zero = np.zeros(1, np.int64)
    both = Solution(np.arange(2), zero, zero, Termination("OPTIMAL"))
    assert certify(problem, both).violations == (
        "1 order is chosen twice",
        "1 merchant is above its cap",
        "1 lane is above its slots",
    )


@given(st.lists(INT64))
def test_sums_are_exact(values: list[int]) -> None:
    """No sum of 64-bit integers overflows."""
    assert exact_sum(np.array(values, np.int64)) == sum(values)


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))))
def test_dot_products_are_exact(pairs: list[tuple[int, int]]) -> None:
    """No dot product of non-negative 64-bit integers overflows."""
    left, right = np.array(pairs, np.int64).reshape(-1, 2).T
    assert exact_dot(left, right) == sum(a * b for a, b in pairs)


def test_the_proof_runs_without_any_solver() -> None:
    """Where neither OR-Tools nor our solvers can be imported, it still proves."""
    script = """
import sys
for name in ("ortools", "optimizer.solvers", "numba", "highspy"):
    sys.modules[name] = None
import numpy as np
from optimizer.model.solution import Solution, Termination
from optimizer.certify.certificate import certify
from optimizer.testing import random_problem
problem = random_problem(np.random.default_rng(1))
nothing = Solution(
    np.zeros(0, np.int64),
    np.zeros(problem.num_lanes, np.int64),
    np.zeros(problem.num_merchants, np.int64),
    Termination("OPTIMAL"),
)
print(certify(problem, nothing).primal_bound)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr


@pytest.mark.parametrize(("reason", "limit"), [("OPTIMAL", "TIME"), ("FEASIBLE", None)])
def test_why_it_stopped_and_what_it_has_cannot_be_mixed_up(
    reason: str, limit: str | None
) -> None:
    """A limit goes with a solve that was cut short, and only with one."""
    with pytest.raises(ValueError, match="does not go with"):
        Termination(reason, limit)
