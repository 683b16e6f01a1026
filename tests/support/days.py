"""
Many simulated days with delivery dates, and bank and ledger computed again from them.

``python tests/support/days.py 365`` backfills a year in one command and compares.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl

from optimizer.config import load_config
from optimizer.job import backfill
from optimizer.night.state.database import open_state
from optimizer.simulate import simulate

START = dt.date(2026, 11, 22)
CARRIERS = ["zhongtong", "yuantong", "yunda", "shunfeng"]
Place = tuple[str, str, dt.date]


def make_days(
    folder: Path, num_days: int, num_orders: int = 400, **changes: Any
) -> Path:
    """Simulate days, give each parcel a delivery date, and tell what became of it."""
    days = [START + dt.timedelta(days=number) for number in range(num_days)]
    nights = simulate(
        folder, num_orders=num_orders, num_merchants=12, num_days=num_days, seed=3
    )
    told: list[pl.DataFrame] = []
    for day, night in zip(days, nights.folders, strict=True):
        path = night / "orders.parquet"
        orders = pl.read_parquet(path)
        number = pl.int_range(pl.len())
        orders = orders.with_columns(delivery_date=day + pl.duration(days=number % 3))
        orders.write_parquet(path)
        capacity = read_capacity(night).filter(pl.col("outlet_id").is_null())
        # Few enough that parcels of several nights, which meet on a day, fill some.
        in_region = pl.when(pl.col("region_id").is_null()).then(4)
        capacity = capacity.with_columns(
            slots=in_region.otherwise(1 + (pl.int_range(pl.len()) + day.day) % 2)
        )
        capacity.write_csv(night / "capacity.csv")
        pl.concat([_nothing(), *told[-9:]]).write_csv(night / "deliveries.csv")
        told.append(_outcomes(orders))
    return _configure(folder, changes)


def read_capacity(night: Path) -> pl.DataFrame:
    """A day's capacity; ids that look like numbers stay text."""
    table = pl.read_csv(night / "capacity.csv", infer_schema=False)
    return table.with_columns(pl.col("slots").cast(pl.Int64))


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(
        schema={"order_id": pl.String, "status": pl.String, "date": pl.Date}
    )


def _outcomes(orders: pl.DataFrame) -> pl.DataFrame:
    """Most are delivered on their day; some early, late, never, or cancelled."""
    number = pl.int_range(pl.len()) // 3 % 10
    late = pl.when(number < 6).then(0).when(number == 6).then(-1).otherwise(2)
    told = orders.with_columns(
        number=number,
        status=pl.when(number == 8)
        .then(pl.lit("cancelled"))
        .otherwise(pl.lit("delivered")),
        date=pl.col("delivery_date") + pl.duration(days=late),
    )
    return told.filter(pl.col("number") < 9).select("order_id", "status", "date")


def _configure(folder: Path, changes: dict[str, Any]) -> Path:
    def row(first: str, rate: float) -> dict[str, Any]:
        cap = {"rate": rate, "rounding": "carryover", "window_days": 10}
        fee = {"amount_cny": 0.8}
        return {"valid_from": first, "cap": cap, "fee": fee, "carriers": CARRIERS}

    settings = {
        "version": 1,
        "policy": [row("2022-01-12", 0.03), row("2026-12-05", 0.041)],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "inputs": {
            "orders": f"{folder}/nights/{{date}}/orders.parquet",
            "capacity": f"{folder}/nights/{{date}}/capacity.csv",
            "deliveries": f"{folder}/nights/{{date}}/deliveries.csv",
        },
        "capacity": {"counted_on": "delivery", "in_flight_days": 4},
        "output": f"{folder}/runs",
    } | changes
    path = folder / "config.yaml"
    path.write_text(json.dumps(settings))
    return path


def compare(config: Path, num_days: int) -> Counter[str]:
    """
    Compute caps, bank and ledger from inputs and recommendations; all must agree.

    Returns how often what makes it interesting happened.
    """
    folder, seen = config.parent, Counter[str]()
    bank: dict[str, list[tuple[dt.date, Fraction, int, Fraction]]] = {}
    taken: dict[str, tuple[Place, dt.date]] = {}
    expected_bank, expected_slots = [], []
    for number in range(num_days):
        day = START + dt.timedelta(days=number)
        orders = pl.read_parquet(folder / "nights" / str(day) / "orders.parquet")
        run = folder / "runs" / str(day)
        merchants = pl.read_parquet(run / "merchants.parquet")
        caps = dict(merchants.select("merchant_id", "cap").iter_rows())
        for merchant, count in Counter(orders["merchant_id"]).items():
            rate = (
                Fraction(41, 1000) if day >= dt.date(2026, 12, 5) else Fraction(3, 100)
            )
            entry = _next_entry(bank.setdefault(merchant, []), day, rate * count)
            assert caps[merchant] == entry[2], (day, merchant)
            seen["a fraction was used"] += entry[2] > rate * count
            seen["the window was the limit"] += entry[4]
            bank[merchant].append(entry[:4])
            nano = 10**9
            expected_bank.append(
                (day, merchant, entry[1] * nano, entry[2], entry[3] * nano)
            )
        in_flight = _in_flight(folder, day, taken, seen)
        counted = pl.read_parquet(run / "in_flight.parquet").drop("outlet_id")
        assert {row[:3]: row[3] for row in counted.iter_rows()} == in_flight, day
        chosen = pl.read_parquet(run / "recommendations.parquet")
        lanes = pl.read_parquet(run / "lanes.parquet").filter(
            pl.col("region_id").is_not_null()
        )
        _check_lanes(
            folder,
            day,
            lanes=lanes,
            chosen=chosen,
            orders=orders,
            in_flight=in_flight,
            seen=seen,
        )
        due = dict(orders.select("order_id", "delivery_date").iter_rows())
        for order, carrier, region in chosen.select(
            "order_id", "carrier_id", "region_id"
        ).iter_rows():
            taken[order] = (carrier, region, due[order]), day
            expected_slots.append((day, order, carrier, region, None, due[order]))
    _check_state(config, expected_bank, expected_slots)
    return seen


def _next_entry(
    past: list[tuple[dt.date, Fraction, int, Fraction]], day: dt.date, earned: Fraction
) -> tuple[dt.date, Fraction, int, Fraction, bool]:
    """The bank by its definition, in fractions, for one merchant."""
    window = [entry for entry in past if (day - entry[0]).days < 10]
    carried = window[-1][3] if window else Fraction(0)
    room = sum((entry[1] - entry[2] for entry in window), Fraction(0))
    free, limit = int(carried + earned), max(0, (room + earned).__floor__())
    granted = min(free, limit)
    return day, earned, granted, (carried + earned) % 1, limit < free


def _in_flight(
    folder: Path,
    day: dt.date,
    taken: dict[str, tuple[Place, dt.date]],
    seen: Counter[str],
) -> Counter[Place]:
    """Slots that parcels of earlier nights take, as a clerk would count them."""
    told = pl.read_csv(
        folder / "nights" / str(day) / "deliveries.csv", try_parse_dates=True
    )
    closed = {order for order, _, since in told.iter_rows() if since <= day}
    found: Counter[Place] = Counter()
    for order, ((carrier, region, due), _) in taken.items():
        if order in closed:
            seen["freed before its day"] += due >= day
        elif due >= day:
            found[carrier, region, due] += 1
        elif (day - due).days <= 4:
            found[carrier, region, day] += 1
            seen["late, and counted today"] += 1
        else:
            seen["expired"] += 1
    return found


def _check_lanes(
    folder: Path,
    day: dt.date,
    lanes: pl.DataFrame,
    chosen: pl.DataFrame,
    orders: pl.DataFrame,
    in_flight: Counter[Place],
    seen: Counter[str],
) -> None:
    """Slots, use and parcels in flight of each lane, and that none is overfull."""
    capacity = read_capacity(folder / "nights" / str(day))
    given = {row[:2]: row[3] for row in capacity.iter_rows() if row[1] is not None}
    due = chosen.join(orders.select("order_id", "delivery_date"), on="order_id")
    used = Counter(due.select("carrier_id", "region_id", "delivery_date").iter_rows())
    for lane in lanes.iter_rows(named=True):
        place = lane["carrier_id"], lane["region_id"], lane["service_date"]
        assert lane["in_flight"] == in_flight[place], (day, place)
        assert lane["used"] == used[place], (day, place)
        assert lane["slots"] == max(0, given[place[:2]] - in_flight[place])
        assert lane["used"] <= lane["slots"]
        seen["in flight"] += in_flight[place]


def _check_state(
    config: Path, expected_bank: list[Any], expected_slots: list[Any]
) -> None:
    from sqlalchemy import select

    from optimizer.night.state.ledger import KEPT_DAYS
    from optimizer.night.state.schema import BANK, COMMITMENTS

    newest = max(day for day, *_ in expected_bank)
    limit = newest - dt.timedelta(days=KEPT_DAYS)
    with open_state(load_config(config)) as state, state.transaction() as connection:
        bank = {tuple(row) for row in connection.execute(select(BANK))}
        slots = {tuple(row) for row in connection.execute(select(COMMITMENTS))}
    assert bank == {row for row in expected_bank if row[0] >= limit}
    kept = {row for row in expected_slots if max(row[0], row[-1]) >= limit}
    assert slots == {(*row, 1) for row in kept}


def main() -> None:
    """Backfill so many days, and compare."""
    num_days = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        config = make_days(Path(name), num_days)
        last = START + dt.timedelta(days=num_days - 1)
        started = time.perf_counter()
        nights = backfill(load_config(config), START, last)
        done = [night.report.outcome for night in nights]
        seconds = time.perf_counter() - started
        print(Counter(done), f"{seconds:.1f} s", dict(compare(config, num_days)))


if __name__ == "__main__":
    main()
