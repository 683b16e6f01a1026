"""How many parcels of each merchant may be chosen."""

from __future__ import annotations

import polars as pl
import pytest

import optimizer
from optimizer.errors import DataError
from optimizer.testing import Tables, make_tables


def night_of(sizes: dict[str, int], rate: float | str) -> Tables:
    """Merchants with so many orders, all of them worth choosing, and room for all."""
    orders = [
        (f"{merchant}-{number:04}", merchant, "north", 1.0 + number / 10_000)
        for merchant, size in sizes.items()
        for number in range(size)
    ]
    return make_tables(orders, {"yunda": 10_000}, rate=rate)


def caps(tables: Tables, orders: pl.DataFrame | None = None, **keys: object):
    """Base, cap and use of each merchant."""
    night = optimizer.allocate(
        tables.orders if orders is None else orders,
        tables.capacity,
        config=tables.config | keys.pop("config", {}),
        **keys,
    )
    columns = ("merchant_id", "num_orders", "cap", "used")
    return {row[0]: row[1:] for row in night.merchants.select(columns).rows()}


@pytest.mark.parametrize(
    ("size", "rate", "cap"),
    [
        (33, "0.03", 0),
        (34, "0.03", 1),
        (99, "0.03", 2),
        (100, "0.03", 3),
        (100, 0.29, 29),
        (100, 0.57, 57),
        (50, "0.58", 29),
        (7, 0, 0),
        (7, 1, 7),
        (1, "0.999999999", 0),
    ],
)
def test_the_cap_is_rounded_down_exactly(size: int, rate: float | str, cap: int):
    """Whole parcels, never above the rate, and never below it by a float's error."""
    assert caps(night_of({"m": size}, rate)) == {"m": (size, cap, cap)}


FLAGS = ["is_eligible", "pin", "carrier_id"]


@pytest.mark.parametrize(
    ("base", "spoiled", "counted"),
    [
        ("all_orders", {}, 10),
        ("all_orders", {"is_eligible": False}, 10),
        ("all_orders", {"pin": "never"}, 10),
        ("all_orders", {"carrier_id": "pigeon"}, 10),
        ("eligible_orders", {}, 10),
        ("eligible_orders", {"is_eligible": False}, 6),
        ("eligible_orders", {"pin": "never"}, 10),
        ("eligible_orders", {"carrier_id": "pigeon"}, 10),
    ],
)
def test_the_base_is_all_orders_or_the_eligible_ones(
    base: str, spoiled: dict[str, object], counted: int
):
    """
    Four of ten orders cannot be chosen; they count in the base all the same, unless
    it is the eligible orders and they are not eligible.
    """
    tables = night_of({"m": 10}, 0.5)
    is_first = pl.int_range(pl.len()) < 4
    orders = tables.orders.with_columns(is_eligible=True, pin=pl.lit(None, pl.String))
    orders = orders.with_columns(
        pl.when(is_first).then(pl.lit(value)).otherwise(name).alias(name)
        for name, value in spoiled.items()
    )
    policy = tables.config["policy"][0] | {"cap": {"rate": 0.5, "base": base}}
    found = caps(tables, orders, config={"policy": [policy]})
    assert found == {"m": (counted, counted // 2, counted // 2)}


def test_the_merchants_table_says_more():
    """
    The whole day's number where the table has part of it; a cap instead of the
    rate's, 0 too; null and merchants that it leaves out are as without it; a
    merchant without orders is no row of the night.
    """
    tables = night_of(dict.fromkeys("abcde", 10), 0.1)
    merchants = pl.DataFrame(
        {
            "merchant_id": ["a", "b", "c", "d", "nobody"],
            "num_orders": [40, None, None, 30, 99],
            "cap_override": [None, 5, 0, 2, 9],
        }
    )
    assert caps(tables, merchants=merchants) == {
        "a": (40, 4, 4),
        "b": (10, 5, 5),
        "c": (10, 0, 0),
        "d": (30, 2, 2),
        "e": (10, 1, 1),
    }


def test_a_merchant_that_takes_no_part_has_ineligible_orders():
    """Its orders are INELIGIBLE, and other merchants are as before."""
    tables = night_of({"a": 4, "b": 4}, 0.5)
    merchants = pl.DataFrame({"merchant_id": ["b"], "is_enrolled": [False]})
    night = optimizer.allocate(
        tables.orders, tables.capacity, config=tables.config, merchants=merchants
    )
    reasons = night.decisions.group_by("merchant_id").agg(pl.col("reason").unique())
    found = {merchant: set(names) for merchant, names in reasons.iter_rows()}
    assert found == {"a": {"CHOSEN", "CAP_FULL"}, "b": {"INELIGIBLE"}}


def test_a_whole_day_smaller_than_the_table_is_refused():
    """Ten orders in the table and nine in the day cannot both be true."""
    tables = night_of({"m": 10}, 0.5)
    merchants = pl.DataFrame({"merchant_id": ["m"], "num_orders": [9]})
    with pytest.raises(DataError, match=r"'m' \(9 against 10\)"):
        caps(tables, merchants=merchants)
