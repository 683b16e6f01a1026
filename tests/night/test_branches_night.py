"""A night that branches prove is published, stated again twice, and not fooled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.contracts.run_folder import record_text
from optimizer.contracts.tables import SOME_NIGHTS
from optimizer.io.write import write_parquet
from optimizer.night.publish import sha256_of
from optimizer.replay.run import verify_run
from optimizer.verify.night import verify_night
from optimizer.verify.written import false_writing
from tests.support.golden_night import DAY, Golden, lane, publish, written
from tests.support.pairs import HEAVY_PAIRS, PAIRS
from tests.support.small_night import call

#: The default: only a proved optimum is published.
STRICT = {"max_relative_gap": 0}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The night of the documentation, published."""
    return publish(PAIRS, tmp_path_factory.mktemp("pairs"), publish=STRICT)


def forge(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a record."""
    record = json.loads((run / "run.json").read_text())
    change(record)
    (run / "run.json").write_text(record_text(record))


def replaced(run: Path, name: str, table: pl.DataFrame) -> None:
    """Replace a table, its checksum and its length, as a forger would."""
    (run / name).unlink()
    write_parquet(table, run / name, SOME_NIGHTS[name])
    told = {"sha256": sha256_of(run / name), "num_rows": len(table)}
    forge(run, lambda record: record["outputs"][name].update(told))


@pytest.mark.slow
def test_a_night_that_prices_leave_open_is_published(pairs: Path) -> None:
    """
    With the default rules: prices alone leave a gap of 1 CNY in 5, its branches none.
    Both statements of the night hold.
    """
    record = json.loads((pairs / "run.json").read_text())
    assert record["termination"]["reason"] == "OPTIMAL"
    assert record["certificate"]["bound"] == "branches"
    assert record["certificate"]["gap"] == 0
    assert false_writing(pairs) == []
    assert verify_night(pairs).findings == ()
    assert verify_run(pairs).findings == ()
    nodes = pl.read_parquet(pairs / "branches.parquet")
    assert nodes["order_id"].to_list() == [None, "a", "a"]
    assert record["summary"]["num_branches"] == 3


@pytest.mark.slow
def test_a_run_says_how_many_branches_prove_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On the line of the proof; a night that prices prove says nothing of them."""
    plain = Golden([("a", "m", "north", 5)], [lane("yunda", 9)], "a", value_cny=5)
    for name, golden, words in (
        ("pairs", PAIRS, "proof      the optimum, proved (gap 0), by 3 branches\n"),
        ("plain", plain, "proof      the optimum, proved (gap 0)\n"),
    ):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "nightly.yaml"
        path.write_text(json.dumps(written(golden, tmp_path / name)))
        called = call(
            monkeypatch, capsys, "run", "--config", path, "--date", DAY.isoformat()
        )
        assert called.code == 0, called.err
        assert words in called.out


@pytest.mark.slow
def test_branches_of_a_night_with_loads_hold(tmp_path: Path) -> None:
    """Parcels of three slots, one of which fits nowhere: both statements agree."""
    run = publish(HEAVY_PAIRS, tmp_path, publish=STRICT)
    record = json.loads((run / "run.json").read_text())
    assert record["certificate"]["bound"] == "branches"
    assert record["certificate"]["dual_bound"] == 17_000_000
    assert verify_night(run).findings == ()
    assert verify_run(run).findings == ()


@pytest.fixture
def run(pairs: Path, tmp_path: Path) -> Path:
    """A copy of its own for each fault, without the chain, which would tell on it."""
    shutil.copytree(pairs.parent, tmp_path / "runs", symlinks=True)
    (tmp_path / "runs" / ".evidence.jsonl").unlink()
    return tmp_path / "runs" / pairs.name


FAULTS = {
    "a branch left out": (
        "branches.parquet",
        lambda t: t[:2],
        "node 0 is not divided into plans with an option and without it",
        "prices a node that has no prices",
    ),
    "both branches alike": (
        "branches.parquet",
        lambda t: t.with_columns(is_in=pl.when(pl.col("node") > 0).then(True)),
        "node 0 is not divided",
        "lacks one of its two branches",
    ),
    "a branch on an order that is not there": (
        "branches.parquet",
        lambda t: t.with_columns(
            order_id=pl.when(pl.col("node") > 0).then(pl.lit("x"))
        ),
        "node 0 is divided by order x on yunda, which is no option",
        "an order of the branches is not among the inputs' open orders",
    ),
    "a branch on another carrier": (
        "branches.parquet",
        lambda t: t.with_columns(
            carrier_id=pl.when(pl.col("node") > 0).then(pl.lit("sto"))
        ),
        "on sto, which is no option",
        "an order of the branches's carrier is not one of its options",
    ),
    "parents in a circle": (
        "branches.parquet",
        lambda t: t.with_columns(parent=pl.Series([None, 2, 1])),
        "2 nodes do not hang on node 0",
        "prices a node that has no prices",
    ),
    "the price of a leaf": (
        "branch_prices.parquet",
        lambda t: t.with_columns(pl.col("price_cny") + 4),
        "bounds: dual_bound is ",
        "certificate.dual_bound is ",
    ),
    "prices left out": (
        "branch_prices.parquet",
        lambda t: t[:0],
        "bounds: dual_bound is 6000000, not 5000000 as published",
        "certificate.dual_bound is ",
    ),
    "a price of a node that is divided": (
        "branch_prices.parquet",
        lambda t: t.with_columns(node=pl.lit(0, pl.Int64)),
        "a price of rows is of node 0, row 1, order None, which have none",
        "prices a node that has no prices",
    ),
    "a price below nothing": (
        "branch_prices.parquet",
        lambda t: t.with_columns(-pl.col("price_cny")),
        " bounds nothing",
        "on the side where it has no limit",
    ),
    "a price of a limit that is not there": (
        "branch_prices.parquet",
        lambda t: t.with_columns(row=pl.lit(9, pl.Int64)),
        "row 9, order None, which have none",
        "names a row that rows lacks",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.slow
def test_a_forged_tree_is_seen_twice(name: str, run: Path) -> None:
    """Whoever walks through the published tree finds what is wrong with it."""
    file, change, stated, remade = FAULTS[name]
    replaced(run, file, change(pl.read_parquet(run / file)))
    findings = verify_night(run).findings
    assert any(stated in finding for finding in findings), findings
    again = verify_run(run).findings
    assert any(remade in finding for finding in again), again


@pytest.mark.slow
def test_a_bound_said_lower_than_it_is_is_seen(run: Path) -> None:
    """A plan that is not the best cannot be called so: its tree does not prove it."""
    lower = {"dual_bound": 4_000_000, "gap": 0}
    forge(run, lambda record: record["certificate"].update(lower))
    for findings in (verify_night(run).findings, verify_run(run).findings):
        assert any("dual_bound" in finding for finding in findings), findings


@pytest.mark.slow
def test_a_false_number_of_branches_is_found(run: Path) -> None:
    """What is said is held against the tree; a night that says none is an old one."""
    forge(run, lambda record: record["summary"].update(num_branches=5))
    (found,) = verify_night(run).findings
    assert "num_branches" in str(found)
    forge(run, lambda record: record["summary"].pop("num_branches"))
    assert verify_night(run).findings == ()
