"""Ids that a spreadsheet rounded are told: two may have become one."""

from __future__ import annotations

import polars as pl

import optimizer
from optimizer.build.rounded_ids import warn_rounded
from tests.build.test_broken_batches import orders

POLICY = {
    "valid_from": "2022-01-12",
    "cap": {"rate": 0.03},
    "fee": {"amount_cny": 0.8},
    "carriers": ["yunda"],
}
CONFIG = {
    "version": 1,
    "policy": [POLICY],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
}


def test_two_merchants_that_became_one_are_told() -> None:
    """Both had 19 digits, of which 15 are left: the night counts one merchant."""
    table = orders("o").with_columns(merchant_id=pl.lit("6923456789012340000"))
    table = table.drop("ship_date", "pin", "load")
    capacity = pl.DataFrame({"carrier_id": ["yunda"], "slots": [50]})
    night = optimizer.allocate(table, capacity, config=CONFIG)
    found = [warning for warning in night.warnings if "spreadsheets" in str(warning)]
    assert len(found) == 1
    assert "6923456789012340000" in str(found[0])


def test_ids_that_end_in_zeros_by_chance_are_not_told() -> None:
    """One id in ten of 16 digits does; a column of mixed ends was not rounded."""
    assert warn_rounded({"outlet_id": ["6923456789012340"]}) == []
    mixed = ["6923456789012340000", "6923456789012345678"]
    assert warn_rounded({"outlet_id": mixed}) == []
    assert (
        warn_rounded({"outlet_id": ["CN-69234567890123400", "110000000000000"]}) == []
    )
