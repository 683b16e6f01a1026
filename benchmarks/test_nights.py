"""Seconds from files to a problem, and from files to a published, proved night."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from benchmarks.instances import parse_size
from benchmarks.nightly import DAY, input_paths, night_config
from optimizer.build.night import take_in
from optimizer.clock import StageClock
from optimizer.config import policy_on
from optimizer.job import run_date

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.parametrize("carriers_per_order", [1, 3])


def test_build(benchmark, night_folder: Path, size: str, tmp_path: Path) -> None:
    """A night of files becomes a problem that has every eligible order."""
    config = night_config(night_folder, tmp_path)
    policy = policy_on(config, DAY)
    clocks: list[StageClock] = []

    def build():
        clocks.append(StageClock())
        return take_in(input_paths(night_folder), config, policy, clocks[-1])

    intake = benchmark.pedantic(build, rounds=3, warmup_rounds=1)

    problem = intake.problem
    benchmark.extra_info.update(
        num_orders=parse_size(size),
        num_options=problem.num_options,
        stage_seconds=clocks[-1].seconds,
    )
    assert len(intake.index.status) == parse_size(size)
    assert 0 < problem.num_orders <= parse_size(size)
    assert len(intake.quarantine) == 0


def test_run_a_night(benchmark, night_folder: Path, size: str, tmp_path: Path) -> None:
    """A night goes from files to files, and is published with a gap of 0."""
    numbers = count()

    def run():
        config = night_config(night_folder, tmp_path / str(next(numbers)))
        return run_date(config, DAY)

    report = benchmark.pedantic(run, rounds=2, warmup_rounds=1)

    proof = report.record["certificate"]
    measured = report.record["run_measurements"]
    benchmark.extra_info.update(
        num_orders=parse_size(size),
        objective_micro_cny=proof["primal_bound"],
        gap=proof["gap"],
        relative_gap=proof["relative_gap"],
        stage_seconds=measured["seconds"],
        peak_memory_bytes=max(measured["peak_memory_bytes"].values()),
    )
    assert report.outcome == "published"
    assert proof["is_feasible"]
    assert proof["gap"] == 0
