"""Simulated tables and the data contract stay in step."""

from __future__ import annotations

import pytest

from optimizer.contracts import tables
from optimizer.simulate import simulate_night


@pytest.mark.parametrize("carriers_per_order", [1, 4])
def test_columns_are_those_of_the_contract(carriers_per_order: int) -> None:
    """Simulated columns are the contract's, in its order, no required one missing."""
    night = simulate_night(
        num_orders=100, num_merchants=9, seed=1, carriers_per_order=carriers_per_order
    )
    pairs = [
        (night.orders, tables.ORDERS),
        (night.capacity, tables.CAPACITY),
        (night.merchants, tables.MERCHANTS),
    ]
    if night.options is not None:
        pairs.append((night.options, tables.OPTIONS))
    for frame, table in pairs:
        contract = [column.name for column in table.columns]
        required = {column.name for column in table.columns if column.is_required}

        assert [name for name in contract if name in frame.columns] == frame.columns
        assert required <= set(frame.columns)
