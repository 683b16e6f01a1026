"""What a user would write; type-checked by a test, strictly, and never run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import assert_type

import polars as pl

import optimizer


def nightly(orders: pl.DataFrame, capacity: pl.DataFrame) -> list[str]:
    config: optimizer.Config = optimizer.load_config("configs/nightly.yaml")
    night = optimizer.allocate(
        orders, capacity, config=config, date=dt.date(2026, 11, 22), progress=print
    )
    assert_type(night, optimizer.Night)
    assert_type(night.orders, pl.DataFrame)
    assert_type(night.certificate, optimizer.Certificate)
    assert_type(night.certificate.gap, int)
    assert_type(night.certificate.relative_gap, float)
    assert_type(night.explain("order-17"), str)
    seconds: float = night.seconds["solve"]
    reason: str = night.termination.reason
    ids: list[str] = night.recommendations["order_id"].to_list()
    assert_type(night.report().save("night.html"), Path)
    night.plot.reasons().write_html("reasons.html")
    print(seconds, reason)
    return ids


def from_files() -> None:
    night = optimizer.allocate(
        "orders.parquet",
        Path("capacity.csv"),
        config={"version": 1},
        options=None,
        merchants="merchants.csv",
    )
    try:
        verdict = optimizer.verify_run("runs/2026-11-22")
    except optimizer.OptimizerError as error:
        print(error.exit_code, night.warnings)
    else:
        assert_type(verdict.is_valid, bool)


def questions(run: Path, history: pl.DataFrame) -> None:
    assert_type(optimizer.prices(run, top=3).lanes, pl.DataFrame)
    checked = optimizer.validate("night.yaml", date="yesterday")
    assert_type(checked.lanes, pl.DataFrame)
    assert_type(checked.report("zh").html, str)
    tried = optimizer.scenarios({"sweep": {"cap_rate": [0.02]}}, run=run)
    assert_type(tried.front, pl.DataFrame)
    assert_type(tried.report().html, str)
    doubt = optimizer.robustness(config="night.yaml", date="yesterday", num_draws=10)
    assert_type(doubt.plans, pl.DataFrame)
    compared = optimizer.diff(run, "runs/2026-11-23")
    assert_type(compared.orders, pl.DataFrame)
    assert_type(compared.report("zh").save("diff.html"), Path)
    why = optimizer.explain_run(run, merchant_id="m-1", language="zh")
    assert_type(why.sentence, str)
    assert_type(optimizer.report_run(run).html, str)
    learned = optimizer.learn_model(history, config="night.yaml", as_of="2026-11-22")
    assert_type(learned.save("models"), Path)
    measured = optimizer.evaluate(history, config="night.yaml", first="2026-11-01")
    print(measured.window["num_parcels"], tried.day.year)
