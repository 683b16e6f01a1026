"""Slot values of rows that no order falls in, and of places that no row takes."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

import optimizer
from optimizer.config import as_config
from optimizer.explain.parts import explain_lane
from optimizer.verify.night import verify_night
from optimizer.whatif.base import base_of_config
from optimizer.whatif.price_list import price_list
from tests.support.published_nights import DAY, publish, record_of

PLACE = ("carrier_id", "region_id", "outlet_id")
VALUES = [
    f"{name}_cny"
    for name in ("one_more", "one_fewer", "one_more_around", "one_fewer_around")
]
Row = tuple[str, str | None, str | None]

CONFIG: dict[str, Any] = {
    "version": 1,
    "policy": [
        {
            "valid_from": "2022-01-12",
            "cap": {"rate": 1.0},
            "fee": {"amount_cny": 0.8},
            "carriers": ["c0", "c1"],
        }
    ],
    "objective": {"complaint_cost_cny": 100, "return_cost_cny": 0},
    "lookups": {"refuse_below": 0},
}


class Order(NamedTuple):
    """An order of the one merchant: where it goes, and its saving in whole CNY."""

    carrier: str
    region: str
    outlet: str
    saving: int


def orders_table(orders: list[Order]) -> pl.DataFrame:
    """Orders whose premium probability gives their saving."""
    return pl.DataFrame(
        {
            "order_id": [f"o{number}" for number in range(len(orders))],
            "merchant_id": "m",
            "carrier_id": [order.carrier for order in orders],
            "region_id": [order.region for order in orders],
            "outlet_id": [order.outlet for order in orders],
            "complaint_prob_standard": 0.5,
            "complaint_prob_premium": [0.492 - order.saving / 100 for order in orders],
            "return_prob_standard": 0.0,
            "return_prob_premium": 0.0,
        }
    )


def capacity_table(slots: dict[Row, int]) -> pl.DataFrame:
    """The rows as a table."""
    schema = dict.fromkeys(PLACE, pl.String) | {"slots": pl.Int64}
    rows = [(*place, count) for place, count in slots.items()]
    return pl.DataFrame(rows, schema, orient="row")


def best(orders: list[Order], slots: dict[Row, int]) -> int | None:
    """The most that any set of orders saves; none: a row has fewer slots than none."""
    if min(slots.values()) < 0:
        return None
    most = 0
    for choice in product((False, True), repeat=len(orders)):
        chosen = [order for order, is_in in zip(orders, choice, strict=True) if is_in]
        used = {row: sum(is_inside(order, row) for order in chosen) for row in slots}
        if all(used[row] <= slots[row] for row in slots):
            most = max(most, sum(order.saving for order in chosen))
    return most


def is_inside(order: Order, row: Row) -> bool:
    """Whether an order counts in a row."""
    parts = zip(row, order[:3], strict=True)
    return all(wanted in (None, part) for wanted, part in parts)


def expected(orders: list[Order], slots: dict[Row, int], row: Row) -> list[int | None]:
    """The four values of a row, by solving every changed night again."""
    around = [
        wide
        for wide in slots
        if all(w in (None, own) for w, own in zip(wide, row, strict=True))
    ]
    tonight, found = best(orders, slots), list[int | None]()
    assert tonight is not None
    for changed in ([row], around):
        for step in (1, -1):
            other = slots | {name: slots[name] + step for name in changed}
            value = best(orders, other)
            found.append(None if value is None else abs(value - tonight))
    return found


def draw(seed: int) -> tuple[list[Order], dict[Row, int]]:
    """Few orders and many rows, of which some take none."""
    random = np.random.default_rng(seed)
    orders = [
        Order(
            str(random.choice(["c0", "c1"])),
            str(random.choice(["g0", "g1"])),
            str(random.choice(["d0", "d1"])),
            int(random.integers(1, 9)),
        )
        for _ in range(int(random.integers(2, 6)))
    ]
    slots: dict[Row, int] = {}
    for carrier in ("c0", "c1"):
        every: list[Row] = [(carrier, None, None)]
        for region in ("g0", "g1"):
            every += [(carrier, region, None), (carrier, region, "d0")]
        slots |= {
            row: int(random.integers(0, 3)) for row in every if random.random() < 0.6
        }
    return orders, slots or {("c0", None, None): 1}


@pytest.mark.slow
def test_every_row_of_lanes_has_its_true_values() -> None:
    """
    In 60 small nights the four slot values of each row of ``lanes`` are what solving
    the changed nights again gives: also of rows that no order falls in, and of places
    that no row takes.
    """
    num_idle = num_loose = num_worth = 0
    for seed in range(60):
        orders, slots = draw(seed)
        night = optimizer.allocate(
            orders_table(orders), capacity_table(slots), config=CONFIG
        )
        lanes = {
            (row["carrier_id"], row["region_id"], row["outlet_id"]): row
            for row in night.lanes.iter_rows(named=True)
        }
        assert {*slots} <= {*lanes}
        num_loose += len({*lanes} - {*slots})
        there = {name: int(row["slots"]) for name, row in lanes.items()}
        for name, row in lanes.items():
            found = [row[value] for value in VALUES]
            assert found == expected(orders, there, name), (seed, name)
            is_idle = not any(is_inside(order, name) for order in orders)
            num_idle += is_idle
            num_worth += is_idle and (found[2] > 0 or bool(found[3]))
    assert min(num_idle, num_loose) > 20
    assert num_worth > 10


@pytest.mark.slow
def test_tables_explain_and_prices_agree_on_a_row_without_orders(
    tmp_path: Path,
) -> None:
    """An empty outlet in a full region: one more in both is one more in the region."""
    region: Row = ("c0", "g0", None)
    outlet: Row = ("c0", "g0", "d0")
    orders = [Order("c0", "g0", "d1", 2), Order("c0", "g0", "d2", 5)]
    tables: dict[str, pl.DataFrame | None] = {
        "orders": orders_table(orders),
        "capacity": capacity_table({region: 1, outlet: 1}),
    }
    run = publish(tmp_path, tables, CONFIG)
    found = verify_night(run)
    assert (found.findings, found.unchecked) == ((), ())
    lanes = pl.read_parquet(run / "lanes.parquet")
    assert lanes.select(VALUES).rows() == [(2.0, 5.0, 2.0, 5.0), (0.0, 0.0, 2.0, 5.0)]
    said = explain_lane(run, "c0/g0/d0")
    assert [said[value] for value in VALUES] == [0.0, 0.0, 2.0, 5.0]
    assert "in it and in all rows around it would bring 2.00 CNY" in said["sentence"]
    base = base_of_config(as_config(record_of(run)["config"]), DAY)
    listed = price_list(base, top=1).lanes
    assert listed.select(VALUES).equals(lanes.select(VALUES))
