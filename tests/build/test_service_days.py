"""Capacity rows lose to tonight what parcels of other nights take."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from optimizer.build.capacity import read_capacity
from optimizer.build.carryover import EarlierNights
from optimizer.build.service_days import rows_tonight
from optimizer.config import CapacityRules

MONDAY, TUESDAY = dt.date(2026, 11, 23), dt.date(2026, 11, 24)
SCHEMA = {
    "carrier_id": pl.String,
    "region_id": pl.String,
    "outlet_id": pl.String,
    "service_date": pl.Date,
    "slots": pl.Int64,
    "min_parcels": pl.Int64,
    "penalty_cny": pl.Float64,
    "priority": pl.Int64,
    "vehicle": pl.String,
}
FLIGHTS = pl.DataFrame(
    [("zto", "n", None, MONDAY, 3), ("zto", "s", "x", TUESDAY, 4)],
    {name: SCHEMA[name] for name in [*SCHEMA][:4]} | {"num_slots": pl.Int64},
    orient="row",
)


@pytest.mark.parametrize(
    ("row", "left"),
    [
        ({"carrier_id": "zto"}, {MONDAY: (7, 2), TUESDAY: (6, 1)}),
        ({"carrier_id": "zto", "region_id": "n"}, {MONDAY: (7, 2), TUESDAY: (10, 5)}),
        ({"carrier_id": "zto", "region_id": "s"}, {MONDAY: (10, 5), TUESDAY: (6, 1)}),
        ({"carrier_id": "zto", "service_date": MONDAY}, {MONDAY: (7, 2)}),
        ({"service_date": TUESDAY}, {TUESDAY: (6, 1)}),
        ({"carrier_id": "yto"}, {MONDAY: (10, 5), TUESDAY: (10, 5)}),
        ({"vehicle": "van"}, {MONDAY: (10, 5), TUESDAY: (10, 5)}),
    ],
)
def test_a_row_loses_the_slots_of_parcels_inside_of_it(
    row: dict[str, object], left: dict[dt.date, tuple[int, int]]
) -> None:
    """Day by day, whatever it names; floors are met by them too; attributes are not."""
    given = dict.fromkeys(SCHEMA) | {"slots": 10, "min_parcels": 5} | row
    rows = read_capacity(pl.DataFrame([given], SCHEMA), ["vehicle"])
    history = EarlierNights(MONDAY, FLIGHTS)
    found, taken = rows_tonight(rows, CapacityRules(), {MONDAY, TUESDAY}, history)
    days = {dict(r.wanted)["service_date"]: (r.slots, r.min_parcels) for r in found}
    assert days == left
    assert {p.service_date: 10 - n for p, n in taken.items()} == {
        day: slots for day, (slots, _) in left.items() if "carrier_id" in row
    }
