"""What one stage hands to the next is not changed by it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
import pytest

from optimizer.build import encode
from optimizer.build.assemble import Names
from optimizer.build.night import take_in
from optimizer.clock import StageClock
from optimizer.config import as_config, policy_on
from optimizer.model.problem import Problem
from optimizer.model.reasons import Reason
from optimizer.testing import Tables, random_tables

#: Half of the orders go with a carrier that is not active.
IDLE = pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("nobody"))


def half_idle(*, is_choice: bool) -> Tables:
    """A night whose orders lose their status ``OPEN`` after they were encoded."""
    made = random_tables(3, num_orders=40)
    if not is_choice:
        orders = made.orders.with_columns(carrier_id=IDLE.otherwise("carrier_id"))
        return Tables(orders, made.capacity, made.config)
    names = ["order_id", "carrier_id", "complaint_prob_premium", "return_prob_premium"]
    options = made.orders.select(names)
    return Tables(
        made.orders.drop(names[1:]),
        made.capacity,
        made.config,
        options.with_columns(carrier_id=IDLE.otherwise("carrier_id")),
    )


def arrays_of(record: Any) -> dict[str, np.ndarray[Any, Any]]:
    """All arrays of a record that have anything in them."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {n: v for n, v in values.items() if isinstance(v, np.ndarray) and len(v)}


def refuses_writes(record: Any) -> bool:
    """Whether writing to any of a record's arrays raises."""
    for array in arrays_of(record).values():
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[-1]
    return bool(arrays_of(record))


@pytest.mark.parametrize("is_choice", [False, True], ids=["orders", "options"])
def test_a_later_stage_makes_new_arrays(
    is_choice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Orders whose carrier is not active are found by a later stage: it gives new
    statuses, and those that it was given are what they were, and refuse writes.
    """
    given: list[encode.OrderArrays] = []
    before: list[np.ndarray[Any, Any]] = []
    encode_orders = encode.encode_orders

    def keep(*args: Any) -> encode.OrderArrays:
        given.append(encode_orders(*args))
        before.append(given[-1].status.copy())
        return given[-1]

    monkeypatch.setattr(encode, "encode_orders", keep)
    made = half_idle(is_choice=is_choice)
    config = as_config(made.config)
    tables = {"orders": made.orders, "capacity": made.capacity, "options": made.options}
    intake = take_in(tables, config, policy_on(config, None), StageClock())

    assert np.count_nonzero(intake.index.status == Reason.CARRIER_INACTIVE) == 20
    for orders, status in zip(given, before, strict=True):
        assert np.array_equal(orders.status, status)
        assert refuses_writes(orders)
    for record, kind in ((intake.problem, Problem), (intake.index, Names)):
        assert isinstance(record, kind)
        assert refuses_writes(record)
