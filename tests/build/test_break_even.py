"""A plan without a parcel says why, and from where on premium would pay."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import optimizer
from optimizer.testing import make_config

POLICY: dict[str, Any] = {
    "valid_from": "2022-01-12",
    "cap": {"rate": 0.5},
    "fee": {"amount_cny": 0.8},
    "carriers": ["yunda", "zhongtong"],
}
#: zhongtong keeps a quarter of its promises, and half of them in one region.
KEPT = [
    {"carrier_id": "zhongtong", "probability": 0.25},
    {"carrier_id": "zhongtong", "region_id": "north", "probability": 0.5},
]


def _night(
    risk: float,
    premium: float,
    *,
    slots: int = 9,
    rate: float = 0.5,
    fee_cny: str = "0.8",
    complaint_cny: str = "20",
) -> optimizer.Night:
    orders = pl.DataFrame(
        {
            "order_id": ["a", "b"],
            "merchant_id": "m",
            "carrier_id": "zhongtong",
            "region_id": "north",
            "complaint_prob_standard": risk,
            "complaint_prob_premium": premium,
            "return_prob_standard": 0.0,
            "return_prob_premium": 0.0,
        }
    )
    objective = {
        "complaint_cost_cny": complaint_cny,
        "return_cost_cny": 0,
        "fulfilment": KEPT,
    }
    policy = POLICY | {"cap": {"rate": rate}, "fee": {"amount_cny": fee_cny}}
    config = make_config(policy=[policy], objective=objective)
    capacity = pl.DataFrame({"carrier_id": ["zhongtong"], "slots": [slots]})
    return optimizer.allocate(orders, capacity, config=config)


def _told(night: optimizer.Night) -> dict[str, dict[str, Any]]:
    return {
        w.code: dict(w.values)
        for w in night.warnings
        if w.code.startswith(("N", "B", "FIRST"))
    }


def test_nobody_is_worth_the_fee_and_the_break_even_is_told() -> None:
    """At the product of risk and share that is told an order saves 0; above it pays."""
    # 20 CNY * 0.5 kept * 0.04 is half of the fee; at 0.08 it is all of it.
    night = _night(0.1, 0.06)
    assert night.summary["num_chosen"] == 0
    assert _told(night) == {
        "NOBODY_CHOSEN": {"reasons": ("NO_SAVING 2",)},
        "NONE_WORTH_FEE": {"fee_cny": "0.80", "avoided_cny": "0.40", "times": "2.0"},
        "FIRST_CHOSEN_AT": {
            "fee_cny": "0.399999",
            "complaint_cny": "40.000101",
            "return_cny": "0.00",
            "times": "2.0001",
        },
        "BREAK_EVEN": {
            "cost_cny": "20.00",
            "shares": ("yunda 4.00%", "zhongtong 8.00%"),
        },
    }
    at_it = _night(0.1, 0.02)
    assert at_it.orders["saving_cny"].to_list() == pytest.approx([0, 0], abs=1e-6)
    above = _night(0.1, 0.019)
    assert above.summary["num_chosen"] == 1
    assert _told(above) == {}


@pytest.mark.parametrize("drop", [0.04, 0.0312345])
def test_the_first_order_is_chosen_where_it_is_said(drop: float) -> None:
    """
    At the fee that is told an order is chosen, and none at one of a micro-CNY more; at
    the cost of a complaint, and none at a cost of two less; at the times that premium
    has to avoid, and none at a ten-thousandth less.
    """
    said = _told(_night(0.1, 0.1 - drop))["FIRST_CHOSEN_AT"]
    fee, cost = Decimal(said["fee_cny"]), Decimal(said["complaint_cny"])
    times, micro = float(said["times"]), Decimal("1e-6")
    tried = [
        (_night(0.1, 0.1 - drop, fee_cny=str(fee)), 1),
        (_night(0.1, 0.1 - drop, fee_cny=str(fee + micro)), 0),
        (_night(0.1, 0.1 - drop, complaint_cny=str(cost)), 1),
        (_night(0.1, 0.1 - drop, complaint_cny=str(cost - 200 * micro)), 0),
        (_night(0.1, 0.1 - times * drop), 1),
        (_night(0.1, 0.1 - (times - 2e-4) * drop), 0),
    ]
    for night, num_chosen in tried:
        assert night.summary["num_chosen"] == num_chosen


@pytest.mark.parametrize("closed", [{"slots": 0}, {"rate": 0.1}])
def test_without_a_slot_or_a_cap_no_price_helps(closed: dict[str, Any]) -> None:
    """Where all lanes are closed, or no cap has a slot, no break-even fee is told."""
    found = _told(_night(0.1, 0.06, **closed))
    assert "NONE_HAS_PLACE" in found
    assert "FIRST_CHOSEN_AT" not in found
    lower = _told(_night(0.1, 0.06, fee_cny="0.1", **closed))
    assert lower.keys() == {"NOBODY_CHOSEN"}


def test_where_premium_hurts_no_fee_would_pay() -> None:
    """No break-even is told where there is none."""
    assert _told(_night(0.1, 0.11)).keys() == {"NOBODY_CHOSEN", "NONE_AVOIDS_HARM"}


def test_where_slots_lack_the_reason_is_that() -> None:
    """Orders that would pay are not said to be worth too little."""
    found = _told(_night(0.1, 0.01, slots=0))
    assert found == {"NOBODY_CHOSEN": {"reasons": ("CAPACITY_FULL 2",)}}
