"""The same night gives the same bytes, in whatever order its rows arrive."""

from __future__ import annotations

import json
import mmap
from typing import Any

import numpy as np
import polars as pl
import pytest

from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.explain import makers
from optimizer.io import merchant_order, read
from optimizer.night import api, merkle
from optimizer.verify import premises
from tests.support.small_night import SmallNight, snapshot


def table_bytes(night: SmallNight) -> dict[str, bytes]:
    """The published tables, byte for byte."""
    return {name: (night.run_dir / name).read_bytes() for name in EVERY_NIGHT}


def record_without(night: SmallNight, *keys: str) -> dict[str, object]:
    """The record without what may differ; the report repeats inputs' checksums."""
    record = read_record(night.run_dir)
    del record["outputs"]["report.html"]
    return {name: value for name, value in record.items() if name not in keys}


def shuffle(night: SmallNight, seed: int) -> None:
    """Put the rows of every input in another order."""
    for name in ("orders", "capacity", "merchants"):
        table = night.read(name)
        night.write(name, table.sample(fraction=1, shuffle=True, seed=seed))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_rows_changes_no_byte(published: SmallNight, seed: int):
    """
    With all inputs shuffled the published tables are the same bytes, and the record
    differs only in the inputs' checksums and in the times.
    """
    allowed = ("identity", "inputs", "run_measurements")
    tables, record = table_bytes(published), record_without(published, *allowed)
    link = published.run_dir.readlink()
    shuffle(published, seed)
    published.run(is_forced=True)
    assert published.run_dir.readlink() != link, "the run was not made again"
    assert table_bytes(published) == tables
    assert record_without(published, *allowed) == record
    rows = {
        k: v["num_rows"] for k, v in read_record(published.run_dir)["inputs"].items()
    }
    assert rows == {"orders": 2_000, "capacity": 252, "merchants": 20}


@pytest.mark.parametrize("most_in_memory", [0, 9_999], ids=["disk", "memory"])
def test_blocks_of_any_size_change_no_byte(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch, most_in_memory: int
):
    """Decisions in blocks of a few merchants, by the disk too, are the same files."""
    before = table_bytes(published) | {
        "evidence.txt": (published.run_dir / "evidence.txt").read_bytes()
    }
    monkeypatch.setattr(merchant_order, "BLOCK_ROWS", 150)
    monkeypatch.setattr(merchant_order, "MOST_IN_MEMORY", most_in_memory)
    published.configure(solver={"num_threads": 2})
    shuffle(published, 9)
    published.run(is_forced=True)
    after = table_bytes(published) | {
        "evidence.txt": (published.run_dir / "evidence.txt").read_bytes()
    }
    assert after == before


def test_large_merchants_in_parts_change_no_byte(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch
):
    """Decided 64 rows at a time, merchants have the same rows, places and hashes."""
    monkeypatch.setattr(merkle, "ROWS_IN_PIECE", 32)
    monkeypatch.setattr(premises, "_ROWS_IN_PIECE", 32)
    monkeypatch.setattr(merchant_order, "BLOCK_ROWS", 150)
    decided, found = [], []
    decide = makers.decisions_table

    def watched(rows: pl.DataFrame, *others: Any) -> pl.DataFrame:
        decided.append(len(rows))
        return decide(rows, *others)

    monkeypatch.setattr(makers, "decisions_table", watched)
    for part_rows in (merchant_order.PART_ROWS, 64):
        monkeypatch.setattr(merchant_order, "PART_ROWS", part_rows)
        decided.clear()
        shuffle(published, part_rows)
        published.run(is_forced=True)
        text = (published.run_dir / "evidence.txt").read_bytes()
        found.append(table_bytes(published) | {"evidence.txt": text})
        assert (decided.count(64) > 9) == (part_rows == 64)
        assert sum(decided) == 2_000
    assert found[0] == found[1]


def without_warnings(night: SmallNight) -> dict[str, pl.DataFrame]:
    """Tables that count warnings, of which a low limit is one, without the count."""
    nights = pl.read_parquet(night.run_dir / "nights.parquet")
    figures = pl.read_parquet(night.run_dir / "figures.parquet")
    return {
        "nights.parquet": nights.drop("num_warnings"),
        "figures.parquet": figures.filter(pl.col("figure") != "num_warnings"),
    }


def is_mapped(array: object) -> bool:
    """Whether an array, or what it is a part of, is on the pages of a file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(getattr(array, "obj", None), mmap.mmap)


@pytest.mark.parametrize("memory_gb", [0.0002, 0.02])
def test_a_limit_of_memory_changes_no_byte(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch, memory_gb: float
):
    """
    With margins, outcomes and the orders' names in files, read 97 rows at a time, the
    tables are the same bytes; with more room nothing goes there.
    """
    tables, nights, by_disk = table_bytes(published), [], []
    certified, partition = api.certified, merchant_order._by_disk
    batches = read.read_batches.__defaults__
    monkeypatch.setattr(read.read_batches, "__defaults__", (batches[0], 97))
    monkeypatch.setattr(merchant_order, "BLOCK_ROWS", 150)
    monkeypatch.setattr(
        api, "certified", lambda *given: nights.append(certified(*given)) or nights[0]
    )
    monkeypatch.setattr(
        merchant_order,
        "_by_disk",
        lambda *given: by_disk.append(1) or partition(*given),
    )
    numbers = without_warnings(published)
    published.configure(solver={"memory_gb": memory_gb})
    published.run(is_forced=True)
    found = table_bytes(published)
    assert {name for name in found if found[name] != tables[name]} <= {*numbers}
    for name, table in without_warnings(published).items():
        assert table.equals(numbers[name], null_equal=True), name
    (night,) = nights
    arrays = (
        night.problem.option_saving,
        night.outcomes.saving,
        night.outcomes.reason,
        night.margins.order.low,
    )
    is_small = memory_gb == 0.0002
    assert [*map(is_mapped, arrays)] == [is_small] * len(arrays)
    assert bool(by_disk) == is_small


def test_small_batches_and_many_threads_change_no_byte(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch
):
    """Reading 97 rows at a time and solving on five threads gives the same tables."""
    tables = table_bytes(published)
    batches = read.read_batches.__defaults__
    monkeypatch.setattr(read.read_batches, "__defaults__", (batches[0], 97))
    published.configure(solver={"num_threads": 5})
    published.run(is_forced=True)
    assert table_bytes(published) == tables


@pytest.mark.parametrize("method", ["flow", "pricing"])
def test_every_exact_method_finds_the_same_value(published: SmallNight, method: str):
    """The other exact methods prove the same optimum."""
    value = read_record(published.run_dir)["certificate"]["primal_bound"]
    published.configure(solver={"method": method})
    published.run(is_forced=True)
    found = read_record(published.run_dir)["certificate"]
    assert (found["primal_bound"], found["gap"]) == (value, 0)


@pytest.mark.slow
def test_a_night_from_scratch_is_the_same_night(inputs_only: SmallNight):
    """
    Published twice from the same inputs, each time into an empty folder: the same
    version name, and the same bytes but for the measurements.
    """
    inputs_only.run()
    before, link = snapshot(inputs_only.run_dir), inputs_only.run_dir.readlink()
    inputs_only.runs.rename(inputs_only.folder / "aside")
    inputs_only.run()
    after = snapshot(inputs_only.run_dir)
    assert inputs_only.run_dir.readlink() == link
    records = [json.loads(files.pop("run.json")) for files in (before, after)]
    for record in records:
        assert set(record.pop("run_measurements")["seconds"]) >= {"solve", "certify"}
    assert records[0] == records[1]
    assert before == after


def test_a_rerun_is_a_no_op_that_says_so(published: SmallNight):
    """With the same inputs nothing is written, forced or not."""
    before = snapshot(published.runs)
    assert published.run().outcome == "unchanged"
    assert published.run(is_forced=True).outcome == "unchanged"
    assert snapshot(published.runs) == before


def test_a_dry_run_writes_nothing(inputs_only: SmallNight):
    """Nothing is written, no folder either, and the record is that of a real run."""
    before = snapshot(inputs_only.folder)
    dry = inputs_only.run(is_dry=True)
    assert dry.outcome == "dry run"
    assert snapshot(inputs_only.folder) == before
    assert not inputs_only.runs.exists()
    real = inputs_only.run()
    same = ("identity", "certificate", "summary", "warnings", "policy", "inputs")
    assert {k: dry.record[k] for k in same} == {k: real.record[k] for k in same}
