"""Seconds from the problem to a plan with its prices, and from there to the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.instances import FAMILIES
from optimizer.certify.certificate import certify
from optimizer.model.solution import SolveParams
from optimizer.solvers import solve

if TYPE_CHECKING:
    from benchmarks.instances import Instance
    from optimizer.certify.certificate import Certificate
    from optimizer.model.problem import Problem

ROUNDS = {"rounds": 3, "warmup_rounds": 1}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["pricing", "flow"])
def test_solve_exactly(
    benchmark, method: str, problem: Problem, instance: Instance, optimum: int
) -> None:
    """Every exact method finds a feasible plan worth the same, and proves it."""
    found = benchmark.pedantic(solve, args=(problem, method, SolveParams()), **ROUNDS)

    certificate = certify(problem, found)
    benchmark.extra_info.update(_facts(instance, certificate, optimum))
    assert certificate.is_feasible
    assert certificate.primal_bound == optimum
    assert certificate.gap == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_solve_greedily(
    benchmark, problem: Problem, instance: Instance, optimum: int
) -> None:
    """The greedy plan is feasible, and the optimum lies below its bound."""
    found = benchmark.pedantic(solve, args=(problem, "greedy", SolveParams()), **ROUNDS)

    certificate = certify(problem, found)
    benchmark.extra_info.update(_facts(instance, certificate, optimum))
    assert certificate.is_feasible
    assert 0 < certificate.primal_bound <= optimum <= certificate.dual_bound


@pytest.mark.parametrize("family", FAMILIES)
def test_certify(benchmark, problem: Problem, instance: Instance, optimum: int) -> None:
    """The certificate of an optimal plan has a gap of exactly 0."""
    solution = solve(problem, "pricing", SolveParams())

    certificate = benchmark.pedantic(certify, args=(problem, solution), **ROUNDS)

    benchmark.extra_info.update(_facts(instance, certificate, optimum))
    assert certificate.is_optimal


def _facts(
    instance: Instance, certificate: Certificate, optimum: int
) -> dict[str, object]:
    """Record quality beside the time; the gap is to the optimum, not to a bound."""
    gap = optimum - certificate.primal_bound
    return {
        "family": instance.family,
        "num_orders": instance.num_orders,
        "objective_micro_cny": certificate.primal_bound,
        "gap": gap,
        "relative_gap": gap / max(1, optimum),
    }
