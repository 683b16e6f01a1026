"""Slots that hold purchases: never more than asked for, and not less than could be."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optimizer
from optimizer.build.take_up import make_counting, mean_parts, recommendations, tail
from optimizer.config.models import CapacityRules
from optimizer.testing import assert_certified, make_tables
from tests.support.examples import examples

CHANCES = st.fractions(0, 1, max_denominator=20)
LIMITS = st.sampled_from([Decimal("0.05"), Decimal("0.2"), Decimal("0.5")])


def exact_tail(chances: list[Fraction], slots: int) -> Fraction:
    """Probability of more purchases than slots: all outcomes, one by one."""
    total = Fraction(0)
    for bought in product([0, 1], repeat=len(chances)):
        if sum(bought) > slots:
            term = Fraction(1)
            for is_bought, chance in zip(bought, chances, strict=True):
                term *= chance if is_bought else 1 - chance
            total += term
    return total


@given(st.integers(0, 9), CHANCES, st.integers(0, 9))
def test_the_tail_is_that_of_all_outcomes(number: int, chance: Fraction, slots: int):
    """Equal to the sum over all outcomes, to 30 digits."""
    expected = sum(
        comb(number, k) * chance**k * (1 - chance) ** (number - k)
        for k in range(slots + 1, number + 1)
    )
    assert abs(Fraction(tail(number, chance, slots)) - expected) < Fraction(1, 10**30)


@given(st.integers(1, 6), CHANCES, LIMITS, st.integers(1, 30))
def test_equal_take_ups_are_counted_exactly(
    slots: int, chance: Fraction, limit: Decimal, num_options: int
):
    """So many recommendations fit, and one more would not, unless there are no more."""
    found = recommendations(slots, chance, num_options, limit)
    assert tail(found, chance, slots) <= limit
    more = tail(found + 1, chance, slots)
    assert more > limit or found == max(slots, num_options)


@given(st.integers(0, 9), CHANCES, st.integers(1, 30))
def test_expected_purchases_fit_exactly(slots: int, chance: Fraction, num_options: int):
    """So many recommendations are within the slots on average, and one more is not."""
    found = recommendations(slots, chance, num_options, None)
    most = max(slots, num_options)
    assert found * chance <= slots
    assert (found + 1) * chance > slots or found == most


@pytest.mark.slow
@examples(200)
@given(st.lists(CHANCES, min_size=1, max_size=7), st.integers(1, 5), LIMITS)
def test_no_plan_within_the_safe_mean_has_too_many_purchases(
    chances: list[Fraction], slots: int, limit: Decimal
):
    """
    Whichever parcels are recommended, if their take-ups add up to at most the safe
    mean, purchases exceed the slots no more often than asked for.
    """
    mean = Fraction(mean_parts(slots, len(chances), 1_000, limit), 1_000)
    for picks in product([0, 1], repeat=len(chances)):
        some = [c for c, is_in in zip(chances, picks, strict=True) if is_in]
        if sum(some) <= mean:
            assert exact_tail(some, slots) <= Fraction(limit)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=5),
    st.sampled_from(["expected", "quantile"]),
    st.integers(0, 9),
)
def test_parts_are_never_below_the_take_up(
    take_up: list[float], count: str, slots: int
):
    """
    A recommendation counts for its take-up or up to a thousandth more, however the
    parts are scaled; and a row without slots holds nothing.
    """
    rules = CapacityRules(count=count)
    counting = make_counting(rules, take_up, np.ones(len(take_up), bool))
    if len(set(take_up)) > 1:
        for part, chance in zip(counting.part.tolist(), take_up, strict=True):
            share = Fraction(part, counting.scale)
            assert Fraction(repr(chance)) <= share
            assert share <= Fraction(repr(chance)) + Fraction(1, 1_000)
    low, high = min(counting.take_up), max(counting.take_up)
    assert counting.room(0, 9, low, high) == 0
    if count == "expected" and len(set(take_up)) > 1:
        assert counting.room(slots, 9, low, high) == slots * counting.scale


@pytest.mark.parametrize("is_side", [False, True], ids=["lane", "row"])
@pytest.mark.parametrize("seed", range(6))
def test_expected_purchases_of_large_parcels_fill_a_row(seed: int, is_side: bool):
    """
    Of parcels that take several slots a row holds as many recommendations as its slots
    over the take-up: the night with so many slots that counts them whole.
    """
    draw = np.random.default_rng(seed)
    num_orders, slots = int(draw.integers(2, 14)), int(draw.integers(0, 40))
    take_up = Fraction(int(draw.integers(1, 8)), 8)
    rows = [(f"o{n}", f"m{n % 2}", "north", float(n + 2)) for n in range(num_orders)]
    carriers = {"yunda": 99} if is_side else {"yunda": slots}
    night = make_tables(rows, carriers, rate=1)
    orders = night.orders.with_columns(
        load=pl.Series(draw.integers(1, 11, num_orders), dtype=pl.Int64)
    )
    merchants = pl.DataFrame(
        {"merchant_id": ["m0", "m1"], "take_up": [float(take_up)] * 2}
    )

    def chosen(slots: int, rule: str) -> list[str]:
        capacity = night.capacity
        if is_side:  # a row of all carriers is no lane
            more = pl.DataFrame({"carrier_id": [None], "slots": [slots]})
            capacity = pl.concat([capacity, more], how="diagonal_relaxed")
        else:
            capacity = capacity.with_columns(slots=pl.lit(slots))
        found = optimizer.allocate(
            orders,
            capacity,
            config=night.config | {"capacity": {"count": rule}},
            merchants=merchants,
        )
        assert_certified(found)
        assert found.certificate.gap == 0
        return found.orders.filter("is_premium")["order_id"].to_list()

    assert chosen(slots, "expected") == chosen(int(slots / take_up), "recommendations")
