"""What a night says is true: each sentence in a night in which it could be false."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

import optimizer
from optimizer.cli.main import app
from tests.support.nights import DATE, capacity_of, config_of, orders_of

if TYPE_CHECKING:
    from pathlib import Path


def said(night: optimizer.Night) -> dict[str, str]:
    """Warnings by code."""
    return {warning.code: str(warning) for warning in night.warnings}


def reasons(night: optimizer.Night) -> dict[str, int]:
    """Number of orders by reason."""
    return dict(night.orders["reason"].value_counts().iter_rows())


@pytest.mark.parametrize(
    ("rule", "num_ineligible"),
    [
        ({"is": "south"}, 0),
        ({"in": ["south", "west"]}, 0),
        ({"is_not": "south"}, 200),
        ({"not_in": ["south", "west"]}, 200),
    ],
)
def test_a_rule_of_unknown_names_may_change_everything(
    rule: dict[str, Any], num_ineligible: int
) -> None:
    """One that asks for what is not there leaves all out: it does not do nothing."""
    rules = [{"column": "region_id", **rule, "reason": "not there"}]
    config = config_of(policy={"eligibility": rules})
    night = optimizer.allocate(orders_of(), capacity_of(), config=config)
    assert reasons(night).get("INELIGIBLE", 0) == num_ineligible
    assert "changes nothing" not in said(night)["RULES_FIND_NOTHING"]
    assert "is it spelled as there" in said(night)["RULES_FIND_NOTHING"]


@pytest.mark.parametrize("has_options", [False, True])
def test_an_unknown_carrier_takes_no_parcel_whatever_becomes_of_its_orders(
    has_options: bool,
) -> None:
    """They may be ineligible, or go with another carrier."""
    orders = orders_of(("m1",), 100)
    tables: dict[str, Any] = {}
    if has_options:
        names = ["order_id", "complaint_prob_premium", "return_prob_premium"]
        both = [
            orders.select(*names, carrier_id=pl.lit(carrier))
            for carrier in ("sf", "yunda")
        ]
        tables["options"] = pl.concat(both)
        orders = orders.drop("carrier_id")
    else:
        of_sf = pl.int_range(100) < 40
        carrier = pl.when(of_sf).then(pl.lit("sf")).otherwise("carrier_id")
        orders = orders.with_columns(carrier_id=carrier, is_eligible=~of_sf)
    night = optimizer.allocate(orders, capacity_of(), config=config_of(), **tables)
    assert "CARRIER_INACTIVE" not in reasons(night)
    assert said(night)["UNKNOWN_CARRIERS"] == (
        "carrier sf is not in the policy's roster on this date: no parcel is "
        "recommended with it"
    )
    assert "sf" not in night.recommendations["carrier_id"].to_list()


def test_a_budget_below_a_fee_went_to_nobody() -> None:
    """In English and Chinese; one that is used up did go to others."""
    merchants = pl.DataFrame(
        {"merchant_id": ["m1", "m2"], "daily_budget_cny": [1.7, 0.5]}
    )
    night = optimizer.allocate(
        orders_of(), capacity_of(), config=config_of(), merchants=merchants
    )
    assert "went to parcels that avoid at least as much" in night.explain("m1-0000")
    for order in ("m2-0000", "m2-0099"):
        assert "the merchant's budget is below the fee of one parcel" in night.explain(
            order
        )
        assert "went to" not in night.explain(order)


def test_a_load_above_the_slots_is_not_said_to_find_none() -> None:
    """The carrier has slots: there is no room for this parcel."""
    loads = [60 if n == 99 else 1 for n in range(100)] * 2
    night = optimizer.allocate(orders_of(load=loads), capacity_of(), config=config_of())
    assert "none of its carriers has room for it there" in night.explain("m1-0099")


def run(folder: Path, **tables: pl.DataFrame) -> tuple[str, dict[str, Any]]:
    """Run a night of these tables: what it says, and its record."""
    paths = {name: str(folder / f"{name}.parquet") for name in tables}
    for name, table in tables.items():
        table.write_parquet(paths[name])
    output, max_share = str(folder / "runs"), {"max_share": 0.5}
    config = config_of(inputs=paths, output=output, quarantine=max_share)
    (folder / "c.yaml").write_text(yaml.safe_dump(config), "utf-8")
    call = ["run", "--config", str(folder / "c.yaml"), "--date", DATE]
    done = CliRunner().invoke(app, call, obj={})
    assert done.exit_code == 0, done.output
    record = json.loads((folder / "runs" / DATE / "run.json").read_text("utf-8"))
    return done.output, record


def test_broken_options_are_told_and_not_counted_as_orders(tmp_path: Path) -> None:
    """Five of 200 options break a rule: no order is left out, and an alert says it."""
    orders = orders_of()
    share = pl.when(pl.int_range(200) < 5).then(2.0).otherwise(0.05)
    options = orders.select(
        "order_id",
        "carrier_id",
        "return_prob_premium",
        complaint_prob_premium=share,
    )
    said, record = run(
        tmp_path,
        orders=orders.drop("carrier_id"),
        capacity=capacity_of(),
        options=options,
    )
    assert "quarantine 0 orders" in said
    (alert,) = record["alerts"]
    assert "5 of 200 rows of options are in quarantine" in alert["text"]
    assert f"alert      {alert['text']}" in said


def test_a_run_says_what_it_did_not_read(tmp_path: Path) -> None:
    """By table and column, as the record does; nothing where all is read."""
    orders = orders_of(mail_class="x", note="y")
    said, _ = run(tmp_path, orders=orders, capacity=capacity_of())
    assert "not read   orders: mail_class, note, as no rule asks for it" in said


def test_a_merchant_without_budget_did_not_lose_its_orders(tmp_path: Path) -> None:
    """It had slots the night before: the alert asks, and gives no untrue cause."""
    run(tmp_path, orders=orders_of(), capacity=capacity_of())
    config = tmp_path / "c.yaml"
    pl.DataFrame({"merchant_id": ["m2"], "daily_budget_cny": [0.5]}).write_parquet(
        tmp_path / "merchants.parquet"
    )
    settings = yaml.safe_load(config.read_text("utf-8"))
    settings["inputs"]["merchants"] = str(tmp_path / "merchants.parquet")
    config.write_text(yaml.safe_dump(settings), "utf-8")
    call = ["run", "--config", str(config), "--date", "2026-11-23"]
    said = CliRunner().invoke(app, call, obj={}).output
    assert "1 merchant had slots on 2026-11-22 and has none (m2)" in said
    assert "too few orders" not in said


@pytest.mark.slow
@pytest.mark.parametrize(("budget_cny", "num_chosen"), [(0, 0), (0.7, 0), (0.8, 1)])
def test_a_budget_of_the_platform_below_a_fee_is_no_lack_of_slots(
    budget_cny: float, num_chosen: int, tmp_path: Path
) -> None:
    """The carrier has slots for all; the second statement says the same."""
    fee = {"amount_cny": 0.8, "payer": {"platform": 1, "merchant": 0}}
    policy = {"subsidy_budget_cny": budget_cny, "fee": fee}
    orders_of().write_parquet(tmp_path / "orders.parquet")
    capacity_of().write_parquet(tmp_path / "capacity.parquet")
    paths = {n: str(tmp_path / f"{n}.parquet") for n in ("orders", "capacity")}
    config = config_of(policy, inputs=paths, output=str(tmp_path / "runs"))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config), "utf-8")
    call = ["run", "--config", str(tmp_path / "c.yaml"), "--date", DATE]
    assert CliRunner().invoke(app, call, obj={}).exit_code == 0
    folder = tmp_path / "runs" / DATE
    found = pl.read_parquet(folder / "decisions.parquet")["reason"].value_counts()
    wanted = {"BUDGET": 200 - num_chosen} | ({"CHOSEN": 1} if num_chosen else {})
    assert dict(found.iter_rows()) == wanted
    done = CliRunner().invoke(app, ["verify", str(folder)])
    assert (done.exit_code, "holds" in done.output) == (0, True), done.output
    said = CliRunner().invoke(app, ["explain", str(folder), "m1-0000"]).output
    is_below = "platform's budget is below its part of one fee" in said
    assert is_below == (num_chosen == 0)
    assert "none of its carriers" not in said
