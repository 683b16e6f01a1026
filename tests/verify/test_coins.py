"""Coins of the margin arm are stated again: a forged one is named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.verify.night import verify_night
from tests.support.night_variants import Variant, settings, simulated
from tests.support.published_nights import publish
from tests.verify.test_forgeries import edit_record, edit_table

NIGHT = Variant(
    policy={"cap": {"rate": 0.1}},
    config={
        "objective": {
            "complaint_cost_cny": 30,
            "return_cost_cny": 18,
            "explore": "margin",
        },
        "holdout": {"share": 0.1, "explore_share": 0.5, "seed": 5},
    },
)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night with coins; no test may change it."""
    folder = tmp_path_factory.mktemp("coins")
    tables = simulated(folder / "inputs", num_orders=900)
    capacity = tables["capacity"]
    assert capacity is not None
    roomy = capacity.with_columns(slots=pl.col("slots") * 9 + 3)
    return publish(folder, tables | {"capacity": roomy}, settings(NIGHT))


@pytest.fixture
def run(published: Path, tmp_path: Path) -> Path:
    """A copy of the night, to be forged; without the chain, which would tell on it."""
    copy = tmp_path / "runs"
    shutil.copytree(published.parent, copy, symlinks=True)
    (copy / ".evidence.jsonl").unlink()
    return copy / published.name


@pytest.mark.slow
def test_a_night_with_coins_is_proved_again(published: Path) -> None:
    """Nothing is found, in the whole statement; its script says what it leaves out."""
    verdict = verify_night(published)
    assert verdict.findings == ()
    decisions = pl.read_parquet(published / "decisions.parquet")
    reasons = set(decisions.filter(arm="margin")["reason"])
    assert {"CHOSEN", "HELD_OUT", "EXPLORED"} < reasons
    assert "the margin arm pairs" in (published / "audit.sql").read_text()


def _turned(table: pl.DataFrame) -> pl.DataFrame:
    """Two parcels of one pair, each with what the coin gave the other one."""
    ours = table.filter(pl.col("arm") == "margin")
    kept = ours.filter(reason="CHOSEN").row(0, named=True)
    beside = ours.filter(
        ~pl.col("reason").is_in(["CHOSEN", "HELD_OUT", "EXPLORED"]),
        merchant_id=kept["merchant_id"],
        carrier_id=kept["carrier_id"],
    ).row(0, named=True)
    is_one, is_other = (pl.col("order_id") == p["order_id"] for p in (kept, beside))
    reason = pl.when(is_one).then(pl.lit("HELD_OUT"))
    return table.with_columns(
        is_premium=pl.col("is_premium") ^ (is_one | is_other),
        reason=reason.when(is_other).then(pl.lit("EXPLORED")).otherwise("reason"),
    )


def _other_pair(table: pl.DataFrame) -> pl.DataFrame:
    """A parcel outside of all pairs in the place of one of a pair."""
    ours = table.filter(pl.col("arm") == "margin")
    inside = ours.filter(reason="EXPLORED").row(0, named=True)
    other = table.filter(
        pl.col("arm").is_null(), pl.col("saving_cny") > 0, reason="CAP_FULL"
    ).row(0, named=True)
    is_one, is_other = (pl.col("order_id") == p["order_id"] for p in (inside, other))
    columns: dict[str, Any] = {
        name: pl.when(is_one)
        .then(pl.lit(other[name]))
        .when(is_other)
        .then(pl.lit(inside[name]))
        for name in ("reason", "arm", "propensity", "is_premium")
    }
    return table.with_columns(
        **{name: value.otherwise(name) for name, value in columns.items()},
        carrier_id=pl.when(is_one).then(None).otherwise("carrier_id"),
    )


@pytest.mark.slow
@pytest.mark.parametrize("forge", [_turned, _other_pair])
def test_a_forged_coin_is_named(run: Path, forge: Any) -> None:
    """A turned coin, or a pair with a parcel of no pair, is not what the seed says."""
    edit_table(run, "decisions.parquet", forge)
    findings = [text for text in verify_night(run).findings if "the coin says" in text]
    assert len(findings) == 1


@pytest.mark.slow
def test_another_seed_gives_other_coins(run: Path) -> None:
    """A record that names another seed than the coins were tossed with is told."""

    def change(record: dict[str, Any]) -> None:
        record["config"]["holdout"]["seed"] = 6

    edit_record(run, change)
    findings = "; ".join(verify_night(run).findings)
    assert "the coin says" in findings


@pytest.mark.slow
def test_coins_where_none_are_configured_are_told(run: Path) -> None:
    """A margin arm on a night that says that it explores blind is refused."""

    def change(record: dict[str, Any]) -> None:
        del record["config"]["objective"]["explore"]

    edit_record(run, change)
    findings = "; ".join(verify_night(run).findings)
    assert "explore: " in findings
    assert "reason: " in findings
