"""Eligibility rules, dated policy, and which day's slots a parcel takes."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import optimizer
from optimizer.config import load_config
from optimizer.errors import ConfigError, DataError
from optimizer.job import run_date
from optimizer.replay.run import verify_run

DAY = dt.date(2026, 11, 22)
RULES = [
    ({"column": "status", "is": "refunded"}, ["b"]),
    ({"column": "status", "is_not": "paid"}, ["b", "c"]),
    ({"column": "status", "in": ["paid", "refunded"]}, ["a", "b"]),
    ({"column": "merchant_id", "not_in": ["m", "n"]}, ["c"]),
    ({"column": "status", "is_missing": True}, ["c"]),
    ({"column": "status", "is_missing": False}, ["a", "b"]),
    ({"column": "transit", "is": True}, ["a"]),
    ({"column": "order_value_cny", "below": 10}, ["b"]),
    ({"column": "weight", "above": 2.5}, ["c"]),
]


def orders(**columns: list[Any]) -> pl.DataFrame:
    """Three orders of three merchants that all save something."""
    return pl.DataFrame(
        {
            "order_id": ["a", "b", "c"],
            "merchant_id": ["m", "n", "o"],
            "carrier_id": ["yunda"] * 3,
            "region_id": ["north"] * 3,
            "complaint_prob_standard": [0.3, 0.2, 0.1],
            "complaint_prob_premium": [0.0] * 3,
            "return_prob_standard": [0.0] * 3,
            "return_prob_premium": [0.0] * 3,
            "order_value_cny": [10.0, 9.99, None],
            "status": ["paid", "refunded", None],
            "transit": [True, False, None],
            "weight": [1.0, 2.5, 2.6],
        }
        | columns
    )


CAPACITY = pl.DataFrame({"carrier_id": ["yunda"], "slots": [9]})


def config(**policy: Any) -> dict[str, Any]:
    """One policy row in which every order may be chosen."""
    row = {"valid_from": "2022-01-12", "cap": {"rate": 1}, "fee": {"amount_cny": 0}}
    return {
        "version": 1,
        "policy": [row | {"carriers": ["yunda"]} | policy],
        "objective": {"complaint_cost_cny": 10, "return_cost_cny": 1},
    }


@pytest.mark.parametrize(("rule", "out"), RULES, ids=[str(r) for r, _ in RULES])
def test_a_rule_takes_out_the_orders_that_it_matches(rule, out):
    """Of three orders those that a person would name, with the reason on record."""
    settings = config(eligibility=[rule | {"reason": "because"}])
    night = optimizer.allocate(orders(), CAPACITY, config=settings)
    found = night.decisions.select("order_id", "reason", "ineligible_reason").rows()
    assert found == [
        (i, *(("INELIGIBLE", "because") if i in out else ("CHOSEN", None)))
        for i in "abc"
    ]


def test_the_first_reason_counts_and_an_orders_own_goes_before(tmp_path: Path):
    """Flags of the platform, then rules in order, then enrolment; and verify agrees."""
    rules = [
        {"column": "status", "is": "paid", "reason": "first"},
        {"column": "transit", "is": True, "reason": "second"},
        {"column": "weight", "above": 2.5, "reason": "third"},
    ]
    table = orders(
        is_eligible=[True, False, True], ineligible_reason=[None, "gift", None]
    )
    table = pl.concat(
        [table, table[:2].with_columns(order_id=pl.Series(["d", "e"]), transit=None)]
    ).with_columns(
        status=pl.Series(["paid", "paid", None, "new", "new"]),
        ineligible_reason=pl.Series([None, "gift", None, None, None]),
        merchant_id=pl.Series(["m", "n", "o", "p", "n"]),
    )
    table.write_csv(tmp_path / "orders.csv")
    CAPACITY.write_csv(tmp_path / "capacity.csv")
    shut = pl.DataFrame({"merchant_id": ["p"], "is_enrolled": [False]})
    shut.write_csv(tmp_path / "merchants.csv")
    names = ("orders", "capacity", "merchants")
    inputs = {name: str(tmp_path / f"{name}.csv") for name in names}
    settings = config(eligibility=rules)
    settings |= {"inputs": inputs, "output": str(tmp_path / "runs")}
    (tmp_path / "c.yaml").write_text(json.dumps(settings))
    report = run_date(load_config(tmp_path / "c.yaml"), DAY)
    decisions = pl.read_parquet(report.run_dir / "decisions.parquet")
    assert dict(decisions.select("order_id", "ineligible_reason").iter_rows()) == {
        "a": "first",
        "b": "gift",
        "c": "third",
        "d": "the merchant is not enrolled",
        "e": "no reason given",
    }
    assert verify_run(report.run_dir).findings == ()


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        (
            {"column": "state", "is": "x"},
            DataError,
            "has no column state, which policy",
        ),
        (
            {"column": "outlet_id", "is": "x"},
            DataError,
            "has no column outlet_id, which policy",
        ),
        (
            {"column": "is_eligible", "is": "no"},
            ConfigError,
            "use is: true or is: false",
        ),
        ({"column": "order_value_cny", "is": "9"}, ConfigError, "use below, above or"),
        ({"column": "status"}, ConfigError, "needs one of is, is_not, in"),
        ({"column": "status", "is": "a", "in": ["b"]}, ConfigError, "needs one of is"),
        ({"column": "buyer_phone", "is": "a"}, DataError, "personal"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(rule, error, words):
    """No rule is silently off: a missing column or a wrong comparison is named."""
    settings = config(eligibility=[rule | {"reason": "because"}])
    table = (
        orders(buyer_phone=["1", "2", "3"]) if "phone" in rule["column"] else orders()
    )
    with pytest.raises(error, match=words):
        optimizer.allocate(table, CAPACITY, config=settings)


def test_costs_change_with_the_policy_row():
    """From its date on a row's costs, fee and promise-keeping count, and not before."""
    first = config(fee={"amount_cny": 0})["policy"][0]
    change = {"complaint_cost_cny": 20, "fee_share": 0.5}
    change |= {"fulfilment": [{"carrier_id": "yunda", "probability": 0.5}]}
    second = first | {"valid_from": "2026-11-22", "fee": {"amount_cny": 1}}
    settings = config() | {"policy": [first, second | {"objective": change}]}
    before, after = (
        optimizer.allocate(orders(), CAPACITY, config=settings, date=day).decisions
        for day in (dt.date(2026, 11, 21), DAY)
    )
    assert before["saving_cny"].to_list() == [3.0, 2.0, 1.0]
    # Half of 20 times the probability, less half of the fee.
    assert after["saving_cny"].to_list() == [2.5, 1.5, 0.5]


def chosen_by_day(night: optimizer.Night) -> dict[Any, tuple[int, int]]:
    """Slots and use of each lane by its day."""
    lanes = night.lanes.select("service_date", "slots", "used")
    return {day: (slots, used) for day, slots, used in lanes.iter_rows()}


def in_days(number: int) -> dt.date:
    """A date so many days after."""
    return DAY + dt.timedelta(days=number)


@pytest.mark.parametrize(
    ("rules", "day_of", "expected"),
    [
        ({}, None, {None: (2, 2)}),
        (
            {"counted_on": "delivery", "lead_days": 2},
            [2, 2, 3],
            {in_days(2): (2, 2), in_days(3): (2, 1)},
        ),
        ({"counted_on": "ship", "lead_days": 1}, [2, 2, 3], {in_days(1): (2, 2)}),
        (
            {"counted_on": "delivery", "lead_days": 4},
            [2, None, None],
            {in_days(2): (2, 1), in_days(4): (2, 2)},
        ),
    ],
)
def test_a_parcel_takes_a_slot_of_its_day(rules, day_of, expected):
    """
    Two slots a day: three parcels of one day leave one out, those of other days have
    their own; a parcel without a date is counted after the lead.
    """
    days = [None if n is None else in_days(n) for n in day_of or [None] * 3]
    table = orders(delivery_date=pl.Series(days, dtype=pl.Date))
    capacity = CAPACITY.with_columns(slots=2)
    settings = config() | {"capacity": rules}
    night = optimizer.allocate(table, capacity, config=settings, date=DAY)
    assert chosen_by_day(night) == expected
    assert night.certificate.gap == 0


def test_a_dated_row_goes_before_one_of_any_day():
    """Its slots hold on its day; rows of days without parcels are no lanes."""
    capacity = pl.DataFrame(
        {
            "carrier_id": ["yunda"] * 3,
            "slots": [1, 0, 5],
            "service_date": [None, in_days(1), in_days(9)],
        }
    )
    table = orders(delivery_date=[in_days(1), in_days(2), in_days(2)])
    settings = config() | {"capacity": {"counted_on": "delivery"}}
    night = optimizer.allocate(table, capacity, config=settings, date=DAY)
    assert chosen_by_day(night) == {in_days(1): (0, 0), in_days(2): (1, 1)}


def peak(first: str, last: str, factor: float, **keys: Any) -> dict[str, Any]:
    """One row of ``capacity.peaks``."""
    return {"from": first, "to": last, "factor": factor} | keys


@pytest.mark.parametrize(
    ("peaks", "slots"),
    [
        ([peak("2026-11-22", "2026-11-22", 1.5)], 4),
        ([peak("2026-11-21", "2026-11-23", 0.67)], 2),
        ([peak("2026-11-23", "2026-11-24", 9)], 3),
        (
            [
                {
                    "from": "2026-11-22",
                    "to": "2026-11-22",
                    "factor": 2,
                    "carriers": ["x"],
                }
            ],
            3,
        ),
        ([peak("2026-11-01", "2026-11-30", 0.29)] * 2, 0),
        (
            [
                peak("2026-11-01", "2026-11-30", 0.1),
                peak("2026-11-22", "2026-11-22", 10),
            ],
            3,
        ),
    ],
)
def test_peaks_multiply_slots_exactly(peaks, slots):
    """Three slots times the factors that hold, rounded down once, in exact decimals."""
    settings = config() | {"capacity": {"peaks": peaks}}
    capacity = CAPACITY.with_columns(slots=3)
    night = optimizer.allocate(orders(), capacity, config=settings, date=DAY)
    assert night.lanes["slots"].to_list() == [slots]


def test_days_without_a_date_are_refused():
    """What is counted by day, or has a peak, needs the business date."""
    twice = peak("2026-11-22", "2026-11-22", 2)
    for rules in ({"counted_on": "ship"}, {"peaks": [twice]}):
        with pytest.raises(ConfigError, match="give the date="):
            optimizer.allocate(
                orders(), CAPACITY, config=config() | {"capacity": rules}
            )


@pytest.mark.parametrize("text", ["2026-11-31", "22.11.2026", "soon"])
def test_what_is_no_date_goes_to_quarantine(text: str):
    """A delivery date that is none is a broken row, not a guess."""
    table = orders(delivery_date=[text, "2026-11-23", None])
    settings = config() | {"quarantine": {"max_share": 0.5}}
    night = optimizer.allocate(table, CAPACITY, config=settings, date=DAY)
    assert night.quarantine.rows() == [
        ("orders", 1, "delivery_date", "is not a date such as 2026-11-22")
    ]
