"""Caps and money are exact: no parcel and no fraction of a cent is lost."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.config.cap import cap_of, caps_of
from optimizer.config.money import micro_cny
from optimizer.errors import DataError

RATES = ["0.03", "0.29", "0.07", "0.1", "0.333333333", "0", "1", "1.0", "1e-9"]
MOST = 200_000


@pytest.mark.parametrize("rate", RATES)
def test_the_cap_is_the_exact_floor_for_every_number_of_orders(rate: str) -> None:
    """All numbers up to 200,000 agree with whole-number arithmetic."""
    p, q = Fraction(rate).as_integer_ratio()
    caps = caps_of(np.arange(MOST + 1), Decimal(rate))

    assert caps.dtype == np.int64
    assert caps.tolist() == [n * p // q for n in range(MOST + 1)]


def test_floating_point_would_lose_a_parcel() -> None:
    """The same in floats is one short of 29 in a hundred: so decimals are kept."""
    exact = caps_of(np.arange(MOST + 1), Decimal("0.29"))
    floats = np.floor(0.29 * np.arange(MOST + 1)).astype(np.int64)

    assert np.flatnonzero(floats < exact)[0] == 100
    assert cap_of(100, Decimal("0.29")) == 29
    assert floor(0.29 * 100) == 28


@given(
    num_orders=st.integers(0, 10**9),
    rate=st.decimals(0, 1, places=9, allow_nan=False),
)
def test_one_merchant_and_many_agree_at_any_size(
    num_orders: int, rate: Decimal
) -> None:
    """Both functions give the floor of the exact product."""
    expected = floor(Fraction(rate) * num_orders)

    assert cap_of(num_orders, rate) == expected
    assert caps_of(np.array([num_orders]), rate).tolist() == [expected]


def test_numbers_beyond_the_arithmetic_are_refused_not_wrapped() -> None:
    """A product over 63 bits is an error; the largest that fits is exact."""
    rate = Decimal("0.333333333")
    largest = (2**63 - 1) // 333_333_333

    assert caps_of(np.array([largest]), rate).tolist() == [cap_of(largest, rate)]
    with pytest.raises(DataError, match="num_orders in the merchants table"):
        caps_of(np.array([0, largest + 1]), rate)
    assert caps_of(np.zeros(0, np.int64), rate).tolist() == []


@pytest.mark.parametrize(
    ("amount", "micro"),
    [("0.80", 800_000), ("0.000001", 1), ("1e6", 10**12), ("0", 0), ("30", 3 * 10**7)],
)
def test_money_is_whole_millionths(amount: str, micro: int) -> None:
    """Every amount with six decimals has exactly one whole number."""
    assert micro_cny(Decimal(amount)) == micro
    assert type(micro_cny(Decimal(amount))) is int


def test_finer_money_is_refused() -> None:
    """A seventh decimal is never rounded away."""
    with pytest.raises(ValueError, match="more than six decimals"):
        micro_cny(Decimal("0.0000001"))
