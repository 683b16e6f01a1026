"""What a price list says of one more, of one fewer and of larger steps is so."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import optimizer
from optimizer.certify.certificate import certify
from optimizer.config import as_config
from optimizer.errors import SolveError
from optimizer.explain.tables import lanes_table, merchants_table
from optimizer.model.problem import Problem
from optimizer.model.solution import SolveParams
from optimizer.solvers import solve
from optimizer.whatif.base import base_of_config
from optimizer.whatif.price_list import price_list


def optimum(problem: Problem) -> int:
    """The proved optimum, by another method than the one that makes the prices."""
    proof = certify(problem, solve(problem, "flow", SolveParams()))
    assert proof.is_optimal
    return proof.primal_bound


DAY = dt.date(2026, 11, 22)


def saving(config: dict[str, Any], **tables: Any) -> float:
    """What a night saves, solved from its files; ``tables`` replace some of them."""
    files = {
        name: path.format(date=DAY) for name, path in config["inputs"].items()
    } | tables
    night = optimizer.allocate(**files, config=config, date=DAY)
    assert night.certificate.gap == 0
    return night.certificate.primal_bound / 1e6


@pytest.mark.slow
def test_larger_steps_bring_what_a_run_from_scratch_gives(
    night_folder: Path, night_config
) -> None:
    """
    A point of cap (where a merchant's own cap stays), 1 CNY less fee, and 100 slots
    in a carrier's dearest lane: each equals a run with other rules or capacity.
    """
    config = night_config(night_folder)
    config["policy"][0]["fee"]["amount_cny"] = 1.8
    config["objective"]["fee_share"] = 0.7
    path = config["inputs"]["merchants"].format(date=DAY)
    merchants = pl.read_parquet(path)
    own = pl.when(pl.int_range(pl.len()) % 3 == 0).then(4)
    merchants = merchants.with_columns(cap_override=own.cast(pl.Int64))
    config["inputs"]["merchants"] = str(night_folder / "own_caps.parquet")
    merchants.write_parquet(config["inputs"]["merchants"])
    base = base_of_config(as_config(config), DAY)
    listed = price_list(base, top=1)
    brings = {
        (kind, step): value for kind, _, step, value, _ in listed.steps.iter_rows()
    }
    before = saving(config)
    policy = config["policy"][0]
    looser = config | {"policy": [policy | {"cap": {"rate": 0.04}}]}
    cheaper = config | {"policy": [policy | {"fee": {"amount_cny": 0.8}}]}
    expected = saving(looser) - before
    assert brings["night", "1 point of cap"] == pytest.approx(expected, abs=1e-6)
    expected = saving(cheaper) - before
    assert brings["night", "1 CNY less fee"] == pytest.approx(expected, abs=1e-6)
    carrier = listed.steps.filter(pl.col("kind") == "carrier")["name"][0]
    dearest = (
        listed.lanes.filter(pl.col("carrier_id") == carrier)
        .sort("one_more_around_cny", descending=True)
        .row(0)
    )
    capacity = pl.read_csv(config["inputs"]["capacity"].format(date=DAY))
    inside = pl.lit(True)
    for name, value in zip(("region_id", "outlet_id"), dearest[1:3], strict=True):
        mine = pl.col(name).is_null() | pl.col(name).eq_missing(pl.lit(value))
        inside &= mine.fill_null(True)
    wider = capacity.with_columns(
        slots=pl.col("slots")
        + pl.when((pl.col("carrier_id") == carrier) & inside).then(100).otherwise(0)
    )
    expected = saving(config, capacity=wider) - before
    place = "/".join(part or "" for part in dearest[:3]).rstrip("/")
    around = brings["carrier", f"100 slots around {place}"]
    assert around == pytest.approx(expected, abs=1e-6)


def test_a_night_whose_optimum_is_not_proved_has_no_price_list(
    night_folder: Path, night_config
) -> None:
    """Prices of a greedy plan do not say what one more is worth, so none are given."""
    config = night_config(night_folder, solver={"method": "greedy"})
    with pytest.raises(SolveError, match="needs the proved optimum"):
        price_list(base_of_config(as_config(config), DAY))


@pytest.mark.slow
def test_prices_leave_the_explore_arm_its_places(
    night_folder: Path, night_config
) -> None:
    """
    Slots and caps are listed as published, explored parcels included; and a point of
    cap more brings what solving the night that remains with wider caps brings.
    """
    holdout = {"explore_share": 0.2, "seed": 1}
    base = base_of_config(as_config(night_config(night_folder, holdout=holdout)), DAY)
    listed = price_list(base, top=1)
    problem, index = base.problem, base.night.names
    assert index.pool is not None
    assert index.pool.used_cap.sum() > 0
    tables = merchants_table(base.night)
    assert listed.merchants["cap"].to_list() == tables["cap"].to_list()
    lanes = lanes_table(base.night)
    assert listed.lanes["slots"].to_list() == lanes["slots"].to_list()
    num_orders = index.merchant_num_orders
    wider = np.maximum(num_orders * 4 // 100 - index.pool.used_cap, 0)
    own = tables["cap"].to_numpy() == num_orders * 3 // 100
    cap = np.where(own, wider, problem.cap)
    brings = optimum(replace(problem, cap=cap)) - optimum(problem)
    step = listed.steps.filter(pl.col("step") == "1 point of cap")["brings_cny"][0]
    assert step == pytest.approx(brings / 1e6, abs=1e-6)
