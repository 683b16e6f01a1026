"""The saving of an order: exact arithmetic, rounded once, half to even."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optimizer
from optimizer.build.costs import Costs, costs_of, saving_micro_cny
from optimizer.config import as_config, policy_on
from optimizer.testing import make_config

millionths = st.integers(0, 1_000_000).map(lambda number: Fraction(number, 1_000_000))
money = st.integers(0, 200_000_000)


def saving_by_fractions(worth: Costs, drops: tuple[Fraction, Fraction], kept: Fraction):
    """The formula as it is written, without any rounding."""
    harm = drops[0] * worth.complaint + drops[1] * worth.logistics_return
    return kept * harm - worth.fee


def saving_of(worth: Costs, complaint: float, back: float, kept: float = 1.0) -> int:
    """The saving of one order."""
    arrays = (np.array([value]) for value in (complaint, back, kept))
    return int(saving_micro_cny(worth, *arrays)[0])


@given(
    chances=st.tuples(millionths, millionths, millionths, millionths),
    kept=millionths,
    costs=st.tuples(money, money, money),
)
def test_the_saving_is_the_formula_rounded_to_the_nearest_millionth(
    chances: tuple[Fraction, ...], kept: Fraction, costs: tuple[int, int, int]
):
    """
    For any probabilities with six decimals and any costs the integer is within half
    a micro-CNY of the exact fraction; floating point adds less than a millionth.
    """
    worth = Costs(*costs)
    exact = saving_by_fractions(
        worth, (chances[0] - chances[1], chances[2] - chances[3]), kept
    )
    drops = [float(chances[i]) - float(chances[i + 1]) for i in (0, 2)]
    found = saving_of(worth, *drops, float(kept))
    assert abs(found - exact) <= Fraction(1, 2) + Fraction(1, 10**6)


@pytest.mark.parametrize(
    ("drop", "micro"),
    [(0.5, 0), (1.5, 2), (2.5, 2), (3.5, 4), (-0.5, 0), (-1.5, -2), (-2.5, -2)],
)
def test_halves_go_to_the_even_number(drop: float, micro: int):
    """Half a micro-CNY is rounded to even, above and below 0; the fee comes after."""
    assert saving_of(Costs(1, 0, 0), drop, 0.0) == micro
    assert saving_of(Costs(0, 1, 0), 0.0, drop) == micro
    assert saving_of(Costs(2, 0, 7), drop, 0.0, kept=0.5) == micro - 7


@pytest.mark.parametrize(
    ("fee", "share", "counted"),
    [
        (0.8, 1, 800_000),
        (0.8, 0.25, 200_000),
        (0.000001, 0.5, 0),
        (0.000003, 0.5, 2),
        (0, 1, 0),
    ],
)
def test_the_fee_counts_by_its_share(fee: float, share: float, counted: int):
    """The fee in integer micro-CNY: exact decimals, halves to even."""
    settings = make_config()
    settings["policy"][0]["fee"] = {"amount_cny": fee}
    settings["objective"]["fee_share"] = share
    config = as_config(settings)
    assert costs_of(config, policy_on(config, None)) == Costs(100_000_000, 0, counted)


ORDERS = pl.DataFrame(
    {
        "order_id": ["a", "b", "c", "d"],
        "merchant_id": ["m", "m", "n", "n"],
        "carrier_id": ["yunda", "zhongtong", "yunda", "zhongtong"],
        "region_id": ["north", "north", "south", "south"],
        "complaint_prob_standard": [0.3, 0.25, 0.2, 0.1],
        "complaint_prob_premium": [0.05, 0.05, 0.3, 0.1],
        "return_prob_standard": [0.02, 0.04, 0.5, 0.9],
        "return_prob_premium": [0.01, 0.05, 0.1, 0.1],
    }
)
CAPACITY = pl.DataFrame({"carrier_id": ["yunda", "zhongtong"], "slots": [9, 9]})
MERCHANTS = pl.DataFrame({"merchant_id": ["n"], "take_up": [0.25]})
FULFILMENT = [
    {"carrier_id": "yunda", "probability": 0.9},
    {"carrier_id": "yunda", "region_id": "north", "probability": 0.5},
    {"carrier_id": "zhongtong", "region_id": "north", "probability": 0.75},
]
#: Take-up times fulfilment by hand: of rows that fit, the one for the region wins,
#: whatever stands first; without a row the promise is kept.
KEPT = {"a": "0.5", "b": "0.75", "c": "0.25 0.9", "d": "0.25"}


def exact_saving(order: dict[str, object]) -> Fraction:
    """The saving of a row, from the decimals as they are printed."""
    chance = {k: Fraction(str(v)) for k, v in order.items() if "prob" in k}
    complaints = chance["complaint_prob_standard"] - chance["complaint_prob_premium"]
    returns = chance["return_prob_standard"] - chance["return_prob_premium"]
    kept = Fraction(1)
    for share in KEPT[str(order["order_id"])].split():
        kept *= Fraction(share)
    return kept * (complaints * 30 + returns * 18) - Fraction("0.4")


@pytest.mark.parametrize("turn", [1, -1])
@pytest.mark.parametrize("has_options", [False, True])
def test_take_up_and_the_most_specific_fulfilment_count(has_options: bool, turn: int):
    """
    The published saving of each order is the formula by hand, with the carrier in
    the orders table or in the options table, and the rows of fulfilment either way.
    """
    config = make_config(1)
    config["policy"][0]["fee"] = {"amount_cny": 0.8}
    config["objective"] = {
        "complaint_cost_cny": 30,
        "return_cost_cny": 18,
        "fee_share": 0.5,
        "fulfilment": FULFILMENT[::turn],
    }
    orders, options = ORDERS, None
    own = ["carrier_id", "complaint_prob_premium", "return_prob_premium"]
    if has_options:
        orders, options = ORDERS.drop(own), ORDERS.select("order_id", *own)
    night = optimizer.allocate(
        orders, CAPACITY, config=config, options=options, merchants=MERCHANTS
    )
    found = dict(night.orders.select("order_id", "saving_cny").iter_rows())
    expected = {row["order_id"]: exact_saving(row) for row in ORDERS.to_dicts()}
    assert found == {name: float(saving) for name, saving in expected.items()}
    assert sorted(night.recommendations["order_id"]) == sorted(
        name for name, saving in expected.items() if saving > 0
    )
