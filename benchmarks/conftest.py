"""Nights that several benchmarks share; each is made once."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import pytest

from benchmarks.instances import make_instance, make_problem, parse_size
from benchmarks.nightly import DAY
from optimizer.certify.certificate import certify
from optimizer.model.solution import SolveParams
from optimizer.simulate import simulate
from optimizer.solvers import solve

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.instances import Instance
    from optimizer.model.problem import Problem


def sizes() -> list[str]:
    """Sizes to measure: ``BENCH_SIZES``, such as ``100k,1m``."""
    return os.environ.get("BENCH_SIZES", "100k").split(",")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each benchmark that takes a ``size`` every size that was asked for."""
    if "size" in metafunc.fixturenames:
        metafunc.parametrize("size", sizes(), scope="session")


@pytest.fixture
def instance(family: str, size: str) -> Instance:
    """The family's night of that size."""
    return make_instance(family, parse_size(size))


@pytest.fixture
def problem(instance: Instance) -> Problem:
    """The night's problem; the last one is kept, tests of one night run together."""
    return _problem(instance)


@pytest.fixture
def optimum(instance: Instance) -> int:
    """What the best plan saves, micro-CNY, by a certificate whose gap is 0."""
    return _optimum(instance)


_LAST: dict[Instance, Problem] = {}


def _problem(instance: Instance) -> Problem:
    if instance not in _LAST:
        _LAST.clear()
        _LAST[instance] = make_problem(instance)
    return _LAST[instance]


@cache
def _optimum(instance: Instance) -> int:
    problem = _problem(instance)
    certificate = certify(problem, solve(problem, "pricing", SolveParams()))
    assert certificate.is_optimal, f"{instance.name}: {certificate}"
    return certificate.primal_bound


@pytest.fixture(scope="session")
def nights() -> dict[tuple[str, int], Path]:
    """Folders of simulated nights, filled by :func:`night_folder`."""
    return {}


@pytest.fixture
def night_folder(
    size: str,
    carriers_per_order: int,
    nights: dict[tuple[str, int], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Input files of a simulated night of that size, written once."""
    which = (size, carriers_per_order)
    if which not in nights:
        num_orders = parse_size(size)
        made = simulate(
            tmp_path_factory.mktemp("simulated"),
            num_orders=num_orders,
            num_merchants=max(1, num_orders // 200),
            num_days=1,
            seed=7,
            start=DAY,
            carriers_per_order=carriers_per_order,
        )
        nights[which] = made.folders[0]
    return nights[which]
