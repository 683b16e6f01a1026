"""Packing nights are published, proved again from their files, and not fooled."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from optimizer import solvers
from optimizer.build import assemble, side_constraints
from optimizer.contracts.tables import SOME_NIGHTS
from optimizer.errors import SolveError
from optimizer.explain import certified_night
from optimizer.io.write import write_parquet
from optimizer.replay.run import verify_run
from optimizer.verify.night import verify_night
from optimizer.verify.written import false_writing
from tests.support.golden_night import Golden, lane, publish, solve_exactly
from tests.support.golden_nights import GOLDEN

DAY = dt.date(2026, 11, 22)


def tampered(run_dir: Path, name: str, change: pl.Expr) -> None:
    """Change a published table, and its checksum with it, as a forger would."""
    path, record = run_dir / name, run_dir / "run.json"
    table = pl.read_parquet(path).with_columns(change)
    path.unlink()
    write_parquet(table, path, SOME_NIGHTS[name])
    claims = json.loads(record.read_text())
    from optimizer.night.publish import sha256_of

    claims["outputs"][name]["sha256"] = sha256_of(path)
    record.write_text(json.dumps(claims))


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDEN)
def test_each_golden_night_is_proved_again_from_its_files(
    name: str, tmp_path: Path
) -> None:
    """
    What was published holds, with the tables that this night has and no others: as it
    was written, stated a second time, and made again.
    """
    golden = GOLDEN[name]
    run_dir = publish(golden, tmp_path)
    assert false_writing(run_dir) == []
    assert verify_night(run_dir).findings == ()
    assert verify_run(run_dir).findings == ()
    record = json.loads((run_dir / "run.json").read_text())
    assert record["problem_class"] == golden.problem_class
    night = golden.solve()
    has = {n for n in SOME_NIGHTS if (run_dir / n).exists()}
    expected = {"rows.parquet": night.rows, "conflicts.parquet": night.conflicts}
    told = {n for n, table in expected.items() if table is not None}
    proofs = {"order_prices.parquet", "branches.parquet", "branch_prices.parquet"}
    assert has - proofs == told
    for file_name in told:
        found = pl.read_parquet(run_dir / file_name)
        assert found.equals(expected[file_name], null_equal=True)


def test_a_bound_by_whole_lanes_is_proved_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prices of orders are published, read back by order, and carry the bound."""

    def by_lane(*given: Any) -> Any:
        found = solve_exactly(*given)
        worth = np.arange(1, given[0].num_orders + 1) * 1_000
        return dataclasses.replace(found, order_price=worth)

    monkeypatch.setattr(solvers, "solve", by_lane)
    run_dir = publish(GOLDEN["a load"], tmp_path)
    assert verify_run(run_dir).findings == ()
    record = json.loads((run_dir / "run.json").read_text())
    assert record["certificate"]["bound"] == "whole lanes"
    tampered(run_dir, "order_prices.parquet", pl.col("price_cny") * 1_000)
    findings = verify_run(run_dir).findings
    assert any(text.startswith("certificate.dual_bound is") for text in findings)
    tampered(run_dir, "order_prices.parquet", pl.lit("x").alias("order_id"))
    (finding,) = verify_run(run_dir).findings
    assert "names an order that is not open" in finding


@pytest.mark.parametrize(
    ("night", "name", "change", "words"),
    [
        ("a floor", "rows.parquet", pl.col("used") + 1, "column used differs"),
        (
            "a floor",
            "rows.parquet",
            pl.lit("x").alias("limit"),
            "does not hold the inputs' limits",
        ),
        (
            "a subsidy budget",
            "rows.parquet",
            pl.col("shadow_price_cny") + 10,
            "certificate.dual_bound is",
        ),
        (
            "a subsidy budget",
            "rows.parquet",
            pl.lit(-1.0).alias("shadow_price_cny"),
            "no limit",
        ),
        (
            "a subsidy budget",
            "rows.parquet",
            pl.lit(None).alias("shadow_price_cny"),
            "holds nulls",
        ),
        (
            "a conflict",
            "conflicts.parquet",
            pl.col("reached") + 1,
            "column reached differs",
        ),
    ],
)
def test_what_is_forged_is_found(
    night: str, name: str, change: pl.Expr, words: str, tmp_path: Path
) -> None:
    """Use, names, prices and conflicts that do not follow from the inputs are told."""
    run_dir = publish(GOLDEN[night], tmp_path)
    tampered(run_dir, name, change)
    assert any(words in text for text in verify_run(run_dir).findings)


def test_parcels_that_are_weighed_wrong_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A builder that halves the kilograms finds room for all three, 16 kg in 10, and
    proves it; the statement weighs them by itself.
    """
    weigh = side_constraints._amounts

    def halved(*given: Any) -> dict[str, Any]:
        return {name: taken // 2 for name, taken in weigh(*given).items()}

    monkeypatch.setattr(side_constraints, "_amounts", halved)
    run_dir = publish(GOLDEN["kilograms"], tmp_path)
    assert len(pl.read_parquet(run_dir / "recommendations.parquet")) == 3
    monkeypatch.undo()
    findings = verify_night(run_dir).findings
    assert any("carrier yunda, resource kg" in text for text in findings)


@pytest.mark.slow
def test_a_misspelt_row_of_a_resource_is_stated_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second statement has the same warning, and misses it where there is none."""
    rows = [
        lane("yunda", 9),
        lane("yund", 5, resource="kg"),
        lane("-/north", 9, resource="kg"),
        lane("-/nroth", 5, resource="kg"),
    ]
    golden = dataclasses.replace(GOLDEN["kilograms"], capacity=rows)
    run_dir = publish(golden, tmp_path)
    assert verify_night(run_dir).findings == ()
    monkeypatch.setattr(assemble, "warn_unnamed", lambda *_: [])
    untold = publish(golden, tmp_path, output=str(tmp_path / "untold"))
    findings = verify_night(untold).findings
    assert any("UNKNOWN_IN_RESOURCE_ROWS is 2, not None" in text for text in findings)


@pytest.mark.slow
def test_units_that_prices_cannot_follow_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A hundred million units in a row, and prices of whole micro-CNY: a gap is left that
    kilograms do not have, the run says why, and the second statement does too.
    """
    names = [f"i{number}" for number in range(40)]
    saving = [1 + number * 37 % 40 / 7 for number in range(40)]
    weight = [5 + number * 23 % 41 for number in range(40)]

    def night(scale: int) -> Golden:
        return Golden(
            [(n, f"m{n}", "north", s) for n, s in zip(names, saving, strict=True)],
            [lane("yunda", 400 * scale, resource="kg"), lane("yunda", 99)],
            "",
            order_columns={
                "load_kg": {n: w * scale for n, w in zip(names, weight, strict=True)}
            },
            config={"capacity": {"resources": ["kg"]}},
        )

    keys = {"solver": {"time_limit_seconds": 1}}
    coarse = publish(night(1), tmp_path, output=str(tmp_path / "coarse"), **keys)
    assert json.loads((coarse / "run.json").read_text())["warnings"] == []
    fine = night(10**8)
    run_dir = publish(fine, tmp_path, output=str(tmp_path / "fine"), **keys)
    (told,) = json.loads((run_dir / "run.json").read_text())["warnings"]
    assert told["code"] == "UNITS_TOO_FINE"
    assert told["values"]["rows"] == ["(carrier yunda, resource kg)"]
    assert verify_night(run_dir).findings == ()
    monkeypatch.setattr(certified_night, "too_fine", lambda *_: [])
    untold = publish(fine, tmp_path, output=str(tmp_path / "untold"), **keys)
    findings = verify_night(untold).findings
    assert any("UNITS_TOO_FINE is 1, not None" in text for text in findings)


@pytest.mark.slow
@pytest.mark.parametrize("floor", [None, 2])
@pytest.mark.parametrize("column", ["load", "load_kg"])
def test_a_load_far_above_its_row_leaves_the_night_decided(
    tmp_path: Path, column: str, floor: int | None
) -> None:
    """
    A barcode in place of a weight: the parcel is named and never chosen, the optimum of
    all others is proved, and proved again from the files.
    """
    names = [f"i{number}" for number in range(40)]
    saving = [99 * (1 + number * 37 % 40) / 40 for number in range(40)]
    weight = [1 + number * 23 % 4 for number in range(40)]
    amounts = dict(zip(names, weight, strict=True))
    counted = {"resource": "kg"} if column == "load_kg" else {}
    golden = Golden(
        [(n, f"m{n}", "north", s) for n, s in zip(names, saving, strict=True)],
        [lane("yunda", 12, min_parcels=floor), lane("yunda/north", 10, **counted)],
        "",
        order_columns={column: amounts | {"i13": 690_123_456_789}},
        config={"capacity": {"resources": ["kg"]}} if counted else {},
    )
    run_dir = publish(golden, tmp_path, solver={"time_limit_seconds": 5})
    record = json.loads((run_dir / "run.json").read_text())
    assert record["termination"]["reason"] == "OPTIMAL"
    heavy = [w for w in record["warnings"] if w["code"] == "LOADS_ABOVE_SLOTS"]
    assert [w["values"]["num_parcels"] for w in heavy] == [1]
    assert verify_night(run_dir).findings == ()
    assert verify_run(run_dir).findings == ()


@pytest.mark.slow
def test_loads_of_billions_are_published_as_they_are(tmp_path: Path) -> None:
    """A load of 3 · 10⁹ fits into no 32 bits, and a lane of as many into no table."""
    golden = dataclasses.replace(
        GOLDEN["a load"],
        capacity=[lane("yunda", 6 * 10**9)],
        order_columns={"load": {"a": 4 * 10**9, "b": 3 * 10**9, "c": 2 * 10**9 + 1}},
    )
    run_dir = publish(golden, tmp_path)
    taken = pl.read_parquet(run_dir / "commitments.parquet")
    loads = dict(taken.select("order_id", "load").rows())
    assert loads == {"b": 3 * 10**9, "c": 2 * 10**9 + 1}
    assert verify_night(run_dir).findings == ()
    assert verify_run(run_dir).findings == ()


def test_a_clash_is_refused_where_it_is_not_to_be_relaxed(tmp_path: Path) -> None:
    """With ``on_conflict: refuse`` nothing is published, and the message says why."""
    golden = GOLDEN["a conflict"]
    words = (
        "min_parcels carrier yunda, region south: 0 of 1 .other pins.*; not published"
    )
    with pytest.raises(SolveError, match=words) as refused:
        publish(golden, tmp_path, on_conflict="refuse")
    assert refused.value.exit_code == 4
    assert not (tmp_path / "runs" / DAY.isoformat()).exists()
    other = GOLDEN["a conflict the other way"]
    with pytest.raises(SolveError, match="order b pinned to must"):
        publish(other, tmp_path, on_conflict="refuse")


@pytest.mark.slow
def test_how_purchases_are_counted_stands_in_the_certificate(tmp_path: Path) -> None:
    """The record says the rule, the unit and the parts; plain nights say nothing."""
    found = {}
    for name in ("purchases expected", "purchases that differ", "a load"):
        folder = tmp_path / name
        folder.mkdir()
        run_dir = publish(GOLDEN[name], folder)
        record = json.loads((run_dir / "run.json").read_text())
        found[name] = record["certificate"].get("counting")
    assert found == {
        "purchases expected": {
            "rule": "expected",
            "unit": "recommendations",
            "parts_of_a_parcel": 1,
        },
        "purchases that differ": {
            "rule": "expected",
            "unit": "purchases",
            "parts_of_a_parcel": 2,
        },
        "a load": None,
    }


@pytest.mark.slow
def test_the_report_lists_further_limits_and_conflicts(tmp_path: Path) -> None:
    """They stand in both languages; a night without them says nothing of them."""
    pages = {}
    for name in ("a conflict", "purchases that differ", "a merchant's budget"):
        folder = tmp_path / name
        folder.mkdir()
        pages[name] = (publish(GOLDEN[name], folder) / "report.html").read_text()
    clash = pages["a conflict"]
    for words in ("Further limits", "其他限制", "carrier yunda, region south"):
        assert words in clash
    assert clash.count("Not kept") == clash.count("未能满足") == 1
    assert "purchases that are expected" in pages["purchases that differ"]
    assert "Further limits" not in pages["a merchant's budget"]
    assert "Budget is used up" in pages["a merchant's budget"]


def test_a_table_that_is_withheld_is_missed(tmp_path: Path) -> None:
    """Without its list of conflicts, file and claim, a night does not hold."""
    run_dir = publish(GOLDEN["a conflict"], tmp_path)
    (run_dir / "conflicts.parquet").unlink()
    record = json.loads((run_dir / "run.json").read_text())
    del record["outputs"]["conflicts.parquet"]
    (run_dir / "run.json").write_text(json.dumps(record))
    findings = verify_run(run_dir).findings
    assert "conflicts.parquet: is missing, or too much" in findings


def test_a_clash_does_not_hold_where_clashes_are_refused(tmp_path: Path) -> None:
    """A run whose configuration refuses clashes cannot have one."""
    run_dir = publish(GOLDEN["a conflict"], tmp_path)
    record = json.loads((run_dir / "run.json").read_text())
    record["config"]["on_conflict"] = "refuse"
    (run_dir / "run.json").write_text(json.dumps(record))
    findings = verify_run(run_dir).findings
    assert "floors or pins clash, and on_conflict is refuse" in findings
