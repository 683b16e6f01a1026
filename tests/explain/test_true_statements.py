"""What a night says is true: each sentence in a night in which it could be false."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import optimizer
from tests.support.nights import capacity_of, config_of, orders_of


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
        orders = orders.with_columns(carrier_id=pl.lit("sf"), is_eligible=False)
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
