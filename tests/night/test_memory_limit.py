"""A limit of memory changes where orders are kept, and nothing that is published."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

import optimizer
from optimizer.config import as_config
from optimizer.errors import ConfigError, MachineError
from optimizer.night import mapped_orders
from optimizer.solvers.network import local_blocks
from optimizer.testing import assert_certified, random_tables
from tests.support.golden_nights import GOLDEN


def solved(tables, **solver):
    config = tables.config | {"solver": solver}
    return optimizer.allocate(
        tables.orders, tables.capacity, config=config, options=tables.options
    )


@pytest.mark.parametrize("has_choice", [False, True])
def test_beyond_the_limit_the_night_is_the_same(monkeypatch, has_choice):
    """Orders, merchants, lanes and proof; over more than one block, from a file."""
    monkeypatch.setattr(mapped_orders, "_BYTES_EACH", 1)
    tables, seen = random_tables(5, num_orders=400, has_choice=has_choice), []
    solve = local_blocks.solve_in_blocks

    def watched(problem, params, num_blocks):
        seen.append((problem, num_blocks))
        return solve(problem, params, num_blocks)

    monkeypatch.setattr(local_blocks, "solve_in_blocks", watched)
    plain = solved(tables)
    assert not seen
    found = solved(tables, memory_gb=0.000002, num_threads=2)
    assert_certified(found)
    assert found.certificate == plain.certificate
    for name in ("orders", "merchants", "lanes", "recommendations"):
        assert getattr(found, name).equals(getattr(plain, name), null_equal=True), name
    (problem, num_blocks), *_ = seen
    assert num_blocks > 3
    assert not problem.option_saving.flags.owndata
    assert not problem.option_saving.flags.writeable


#: Configurations whose nights are decided over blocks, or refused by name.
FEATURES = {
    "kept back at random": {"holdout": {"share": 0.2}},
    "stations kept back": {"holdout": {"share": 0.2, "unit": "station-day"}},
    "explored at random": {"holdout": {"explore_share": 0.3}},
    "explored around the cut-off": {
        "holdout": {"explore_share": 0.3},
        "objective": {"explore": "margin"},
    },
    "a lower bound": {"objective": {"relative_error": 0.3, "confidence": 0.8}},
    "fractions pooled": {"policy": {"cap": {"rate": 0.13, "rounding": "pooled"}}},
    "fractions carried": {"policy": {"cap": {"rate": 0.13, "rounding": "carryover"}}},
    "purchases": {"capacity": {"count": "expected"}},
    "rules": {
        "policy": {
            "eligibility": [{"column": "region_id", "is": "r1", "reason": "remote"}]
        }
    },
    "broken promises": {
        "objective": {"fulfilment": [{"carrier_id": "yunda", "probability": 0.7}]}
    },
}


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("bytes_each", [1, 20])
def test_what_a_night_asks_for_is_the_same_beyond_the_limit(
    monkeypatch, feature, bytes_each
):
    """Whatever decides orders before or beside the solver, over few blocks and many."""
    monkeypatch.setattr(mapped_orders, "_BYTES_EACH", bytes_each)
    tables, asked = random_tables(7, num_orders=400), FEATURES[feature]
    config = {key: {**value} for key, value in asked.items() if key != "policy"}
    config = tables.config | {
        key: tables.config.get(key, {}) | value for key, value in config.items()
    }
    if "policy" in asked:
        config["policy"] = [config["policy"][0] | asked["policy"]]
    plain, found = (
        optimizer.allocate(
            tables.orders,
            tables.capacity,
            config=config | {"solver": solver},
            options=tables.options,
            date="2026-11-22",
        )
        for solver in ({}, {"memory_gb": 0.000002})
    )
    assert found.certificate == plain.certificate
    for name in ("orders", "merchants", "lanes", "recommendations"):
        assert getattr(found, name).equals(getattr(plain, name), null_equal=True), name


def test_within_the_limit_nothing_goes_to_the_disk(monkeypatch):
    """No file is made for orders that memory may hold."""
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    tables = random_tables(5, num_orders=100)
    assert solved(tables, memory_gb=1).certificate == solved(tables).certificate


@pytest.mark.parametrize(
    ("limit", "is_low"), [(0.05, True), ("0.99", True), (1, False)]
)
def test_a_limit_below_what_the_process_takes_is_warned_of(limit, is_low):
    """Whatever the night: libraries and the rows at hand are not in files."""
    found = solved(random_tables(5, num_orders=40), memory_gb=limit)
    told = [w for w in found.warnings if w.code == "MEMORY_LIMIT_LOW"]
    assert bool(told) == is_low
    if is_low:
        assert f"memory_gb is {limit}, less than the 1 GB that" in str(told[0])


def test_a_limit_that_is_too_small_is_refused():
    """It would be a block for less than an order; the message says what is enough."""
    tables = random_tables(5, num_orders=100)
    with pytest.raises(ConfigError, match=r"memory_gb: 1E-9.*at least [0-9.e-]+, or"):
        solved(tables, memory_gb="1e-9")


def test_a_disk_without_room_is_named(monkeypatch):
    """What is full, how much it should take, and what to do."""
    monkeypatch.setattr(
        tempfile,
        "TemporaryFile",
        lambda **_: Path("/dev/full").open("w+b"),  # noqa: SIM115
    )
    monkeypatch.setattr(mapped_orders, "_BYTES_EACH", 1)
    words = r"no space left on device\); make room"
    with pytest.raises(MachineError, match=words) as found:
        solved(random_tables(5, num_orders=400), memory_gb=0.000002)
    assert found.value.exit_code == 1


def test_files_are_where_tmpdir_says_and_nowhere_else(monkeypatch, tmp_path):
    """Python would go on to /tmp where the folder is full, or none; that is refused."""
    tables, real, seen = random_tables(5, num_orders=400), tempfile.TemporaryFile, []

    def watched(**given):
        seen.append(given["dir"])
        return real(**given)

    monkeypatch.setattr(tempfile, "TemporaryFile", watched)
    monkeypatch.setattr(mapped_orders, "_BYTES_EACH", 1)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    solved(tables, memory_gb=0.000002)
    assert {*seen} == {str(tmp_path)}
    (tmp_path / "file").touch()
    for none in tmp_path / "none", tmp_path / "file":
        monkeypatch.setenv("TMPDIR", str(none))
        with pytest.raises(ConfigError, match=f"TMPDIR: {none} is no folder, and .*"):
            solved(tables, memory_gb=1)
    assert solved(tables).certificate.is_optimal


def test_a_packing_night_beyond_the_limit_is_refused():
    """It is solved in memory alone, and says so."""
    golden = GOLDEN["a load that never fits"]
    limited = replace(golden, config=golden.config | {"solver": {"memory_gb": "1e-9"}})
    with pytest.raises(ConfigError, match="do not nest is solved with all of them"):
        limited.solve()


@pytest.mark.parametrize("method", ["flow", "greedy", "packing"])
def test_methods_that_take_the_night_whole_are_refused(method):
    """A limit that nothing would honour is no configuration."""
    with pytest.raises(ConfigError, match="memory_gb needs method: auto or pricing"):
        as_config(
            random_tables(1).config | {"solver": {"memory_gb": 1, "method": method}}
        )
    kept = as_config(random_tables(1).config | {"solver": {"memory_gb": 1.5}})
    assert kept.solver.memory_gb == Decimal("1.5")
