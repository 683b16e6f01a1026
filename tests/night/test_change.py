"""A night is changed to what a run of the changed tables gives, without running it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optimizer
from optimizer.errors import DataError
from optimizer.night import change as module
from optimizer.testing import Tables, make_config, make_tables, random_tables
from tests.support.examples import examples

CARRIERS = ("yunda", "zhongtong", "yuantong")
TABLES = ("orders", "merchants", "lanes", "recommendations", "quarantine", "churn")
KEY = ["carrier_id", "region_id", "outlet_id"]


def allocate(night: Tables, **more: Any) -> optimizer.Night:
    """Solve a night of tables."""
    given: dict[str, Any] = {"config": night.config, "options": night.options}
    return optimizer.allocate(night.orders, night.capacity, **(given | more))


def by_hand(night: Tables, change: dict[str, Any]) -> Tables:
    """The tables with a change in them, made without the code that is tested."""
    orders, options, capacity = night.orders, night.options, night.capacity
    gone = pl.col("order_id").is_in(change.get("drop", []))
    orders = orders.filter(~gone)
    if "cancel" in change:
        is_out = pl.col("order_id").is_in(change["cancel"])
        was = pl.col("is_eligible") if "is_eligible" in orders.columns else pl.lit(True)
        why = pl.lit(None, pl.String)
        if "ineligible_reason" in orders.columns:
            why = pl.col("ineligible_reason")
        said = pl.when(is_out).then(pl.lit("cancelled"))
        orders = orders.with_columns(
            is_eligible=pl.when(is_out).then(False).otherwise(was),
            ineligible_reason=said.otherwise(why),
        )
    if "add" in change:
        orders = pl.concat([orders, change["add"]], how="diagonal_relaxed")
    if options is not None:
        options = options.filter(~gone)
        if "options" in change:
            options = pl.concat([options, change["options"]], how="diagonal_relaxed")
    if "capacity" in change:
        now = change["capacity"].rename({"slots": "now"})
        key = [name for name in KEY if name in capacity.columns]
        joined = capacity.join(now, on=key, how="left", nulls_equal=True)
        capacity = joined.with_columns(slots=pl.coalesce("now", "slots")).drop("now")
    return replace(night, orders=orders, options=options, capacity=capacity)


def random_change(night: Tables, seed: int) -> dict[str, Any]:
    """Other slots, and orders that go, come, and are called off; at least one."""
    draw = np.random.default_rng(seed)
    ids = draw.permutation(night.orders["order_id"].to_list()).tolist()
    few = max(1, len(ids) // 5)
    change: dict[str, Any] = {"drop": ids[:few]}
    if draw.random() < 0.6:
        change = {"cancel": ids[few : 2 * few]} | (
            change if draw.random() < 0.5 else {}
        )
    if draw.random() < 0.6:
        rows = night.capacity.sample(few, with_replacement=True, seed=seed).unique()
        change["capacity"] = rows.with_columns(
            slots=pl.Series(draw.integers(0, 12, len(rows)))
        )
    if draw.random() < 0.6:
        more = random_tables(
            seed + 1,
            num_orders=12,
            num_merchants=9,
            has_choice=bool(night.options is not None),
        )
        new = pl.lit("new-") + pl.col("order_id")
        change["add"] = more.orders.with_columns(order_id=new)
        if night.options is not None:
            assert more.options is not None
            change["options"] = more.options.with_columns(order_id=new)
    return change


def assert_same(found: optimizer.Night, cold: optimizer.Night) -> None:
    """Every table, proof and number is the same."""
    for name in TABLES:
        one, other = getattr(found, name), getattr(cold, name)
        assert one.equals(other, null_equal=True), name
    assert found.certificate == cold.certificate
    assert found.termination == cold.termination
    assert found.summary == cold.summary


@pytest.mark.slow
@examples(50)
@given(seed=st.integers(0, 2**32), has_choice=st.booleans())
def test_a_changed_night_is_the_run_of_the_changed_tables(
    seed: int, has_choice: bool
) -> None:
    """
    Saving, plan, prices, certificate, reasons, margins, churn: all as of a cold run,
    and as of a cold run again after a second change.
    """
    night = random_tables(seed, num_orders=60, has_choice=has_choice)
    before = allocate(night)
    change = random_change(night, seed)
    later = by_hand(night, change)
    found = before.change(**change)
    assert_same(found, allocate(later, previous=before))

    again = random_change(later, seed + 7)
    again.pop("add", None), again.pop("options", None)
    if not again:
        return
    assert_same(found.change(**again), allocate(by_hand(later, again), previous=found))


def small() -> Tables:
    """Two merchants, two regions, of which the north has one slot."""
    rows = [
        ("a", "m", "north", 5.0),
        ("b", "m", "north", 3.0),
        ("c", "n", "south", 2.0),
        ("d", "n", "south", 1.0),
    ]
    return make_tables(rows, {"yunda/north": 1, "yunda/south": 2})


def chosen(night: optimizer.Night) -> list[str]:
    """Ids of the recommended orders."""
    return night.recommendations["order_id"].to_list()


def never_anew(*_: Any) -> None:
    raise AssertionError("built again")


def test_a_cancelled_order_counts_for_the_cap_and_a_dropped_one_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of two orders is one place; of one order, none."""
    monkeypatch.setattr(module, "_built_anew", never_anew)
    night = allocate(small())
    assert chosen(night) == ["a", "c"]
    cancelled, dropped = night.change(cancel=["a"]), night.change(drop=["a"])
    assert chosen(cancelled) == ["b", "c"]
    assert chosen(dropped) == ["c"]
    reasons = cancelled.orders.filter(order_id="a")
    assert reasons.select("reason", "ineligible_reason").rows() == [
        ("INELIGIBLE", "cancelled")
    ]
    assert dropped.orders["order_id"].to_list() == ["b", "c", "d"]
    assert "cancelled" in cancelled.explain("a")
    assert cancelled.churn is not None
    assert cancelled.churn.rows() == [
        ("a", "REMOVED", "yunda", None),
        ("b", "ADDED", None, "yunda"),
    ]
    assert chosen(night) == ["a", "c"], "the night itself is what it was"


def test_slots_may_be_a_mapping_and_an_order_may_be_replaced() -> None:
    """A row is named by a tuple; who is dropped may come again with other data."""
    night = allocate(small())
    assert chosen(night.change(capacity={("yunda", "north"): 0})) == ["c"]
    row = small().orders.filter(order_id="d").with_columns(merchant_id=pl.lit("m"))
    found = night.change(drop=["d"], add=row)
    assert found.merchants.rows()[0][:3] == ("m", 3, 1)


@pytest.mark.parametrize("has_choice", [False, True])
@pytest.mark.parametrize("place", ["r0", "where no row was"])
def test_a_night_whose_orders_all_went_can_be_changed(
    has_choice: bool, place: str
) -> None:
    """Slots change, orders come, by repair and built anew; unknown ids are refused."""
    night = random_tables(3, num_orders=40, has_choice=has_choice)
    ids = night.orders["order_id"].to_list()
    emptied = allocate(night).change(drop=ids)
    assert emptied.orders.is_empty()
    new = night.orders.head(9).with_columns(region_id=pl.lit(place))
    slots = {"capacity": night.capacity.head(1).with_columns(slots=pl.lit(3))}
    added: dict[str, Any] = {"add": new}
    if night.options is not None:
        is_new = pl.col("order_id").is_in(ids[:9])
        added["options"] = night.options.filter(is_new)
    bare = by_hand(night, {"drop": ids})
    later = allocate(by_hand(bare, slots | added), previous=emptied)
    assert_same(emptied.change(**slots, **added), later)
    assert_same(emptied.change(**slots).change(**added), later)
    for change in ({"drop": ids[:1]}, {"cancel": ["x"]}):
        with pytest.raises(DataError, match="not in the night: 1 order"):
            emptied.change(**change)
    for each in (emptied, allocate(night)):
        with pytest.raises(DataError, match="orders table: has no rows"):
            each.change(**added | {"add": new.head(0)})


@pytest.mark.parametrize(
    "made",
    [
        *(tuple, set, iter, pl.Series, pd.Series, pd.Index, np.array, pa.array),
        lambda ids: pd.Series(ids, dtype="category"),
        lambda ids: pa.chunked_array([ids]),
        lambda ids: pd.DataFrame({"order_id": ids}),
        lambda ids: pa.table({"order_id": ids}).to_reader(),
    ],
)
def test_ids_may_be_any_sequence_column_or_table(made: Any) -> None:
    """What a list of ids does, the columns and tables of every library do."""
    found = allocate(small()).change(drop=made(["a", "d"]))
    assert found.orders["order_id"].to_list() == ["b", "c"]


def night_kinds(
    *, has_choice: bool = False
) -> dict[str, tuple[Tables, dict[str, Any]]]:
    """Nights that cannot be patched, and what is given beside their tables."""
    night = random_tables(11, num_orders=40, has_choice=has_choice)
    number = pl.int_range(pl.len())
    loads = replace(night, orders=night.orders.with_columns(load=1 + number % 2))
    policy = night.config["policy"][0]
    open_places = night.config | {"capacity": {"uncovered_lanes": "open"}}
    bare = night.capacity.filter(pl.col("carrier_id") != "yunda")
    held = {"holdout": {"explore_share": 0.2, "seed": 3}}
    day = {"date": dt.date(2026, 11, 22)}
    keeps = night.config | {"solver": {"keep_previous": True}}
    short = night.config | {"solver": {"relative_gap": 0.01}}
    pooled = night.config | {
        "policy": [policy | {"cap": {"rate": 0.3, "rounding": "pooled"}}]
    }
    merchants = pl.DataFrame({"merchant_id": ["m1", "m2"], "cap_override": [2, 0]})
    return {
        "loads": (loads, {}),
        "places without a row": (replace(night, capacity=bare, config=open_places), {}),
        "explored at random": (replace(night, config=night.config | held), day),
        "ties kept": (replace(night, config=keeps), {}),
        "a gap is enough": (replace(night, config=short), {}),
        "pooled caps": (replace(night, config=pooled), day),
        "merchants": (night, {"merchants": merchants}),
    }


@pytest.mark.parametrize("kind", [*night_kinds()])
def test_every_kind_of_night_can_be_changed(kind: str) -> None:
    """Patched or built again: the answer is that of a cold run."""
    night, given = night_kinds()[kind]
    before = allocate(night, **given)
    ids = night.orders["order_id"].to_list()
    change = {
        "drop": ids[:3],
        "cancel": ids[3:6],
        "capacity": night.capacity.head(2).with_columns(slots=pl.Series([3, 1])),
    }
    later = allocate(by_hand(night, change), previous=before, **given)
    assert_same(before.change(**change), later)


def as_files(night: Tables, folder: Path, **form: Any) -> dict[str, Any]:
    """Paths of a night's tables, written as CSV files."""
    tables = {"orders": night.orders, "capacity": night.capacity}
    if night.options is not None:
        tables["options"] = night.options
    for name, table in tables.items():
        table.write_csv(folder / f"{name}.csv", **form)
    return {name: str(folder / f"{name}.csv") for name in tables}


@pytest.mark.parametrize("kind", ["loads", "explored at random", "merchants"])
@pytest.mark.parametrize("has_choice", [False, True])
def test_a_night_of_csv_files_is_changed_as_one_of_frames(
    tmp_path: Path, kind: str, has_choice: bool
) -> None:
    """Cells that are text are read again as the file's were, in every later change."""
    night, given = night_kinds(has_choice=has_choice)[kind]
    paths = as_files(night, tmp_path)
    before = allocate(night, **given)
    of_files = optimizer.allocate(**paths, config=night.config, **given)
    ids = night.orders["order_id"].to_list()
    new = pl.lit("new-") + pl.col("order_id")
    first: dict[str, Any] = {
        "drop": ids[:3],
        "cancel": ids[3:6],
        "capacity": night.capacity.head(2).with_columns(slots=pl.Series([3, 1])),
        "add": night.orders.tail(2).with_columns(order_id=new),
    }
    if night.options is not None:
        rows = night.options.filter(pl.col("order_id").is_in(ids[-2:]))
        first["options"] = rows.with_columns(order_id=new)
    one, other = of_files.change(**first), before.change(**first)
    assert_same(one, other)
    later = {"drop": [f"new-{ids[-1]}"]}
    assert_same(one.change(**later), other.change(**later))


def test_new_orders_are_written_as_the_texts_of_a_file_are(tmp_path: Path) -> None:
    """
    Beside amounts with a decimal comma, a number of a frame stays what it was, however
    small; so does its day.
    """
    rows = [("a", "m", "north", 5.0), ("b", "m", "north", 3.0)]
    night = make_tables(rows, {"yunda/north": 2})
    orders = night.orders.with_columns(load=pl.lit(2), ship_date=dt.date(2026, 11, 22))
    capacity = night.capacity.with_columns(pl.col("slots") * 2)
    small_harm = pl.lit(0.0000125)
    new = orders.head(1).with_columns(
        order_id=pl.lit("c"), complaint_prob_premium=small_harm
    )
    paths = as_files(
        replace(night, orders=orders, capacity=capacity), tmp_path, decimal_comma=True
    )
    mapped = paths | {"orders": {"path": paths["orders"], "decimal": ","}}
    found = optimizer.allocate(**paths, config=night.config | {"inputs": mapped})
    both = pl.concat([orders, new], how="vertical_relaxed")
    cold = optimizer.allocate(both, capacity, config=night.config, previous=found)
    changed = found.change(add=new.cast({"ship_date": pl.Datetime}))
    assert_same(changed, cold)


def test_new_orders_of_a_file_have_the_types_of_a_frame(tmp_path: Path) -> None:
    """A column that only new orders have is no text in a table of numbers."""
    night = small()
    new = night.orders.head(1).with_columns(order_id=pl.lit("e"), load=3)
    new.write_csv(tmp_path / "new.csv")
    found = allocate(night).change(add=str(tmp_path / "new.csv"))
    both = pl.concat([night.orders, new], how="diagonal_relaxed")
    cold = allocate(replace(night, orders=both), previous=allocate(night))
    assert_same(found, cold)


def test_a_place_without_a_row_is_a_lane_of_its_own() -> None:
    """A new order goes where no row is: the night is built again, as a run would."""
    night = small()
    new = make_tables([("e", "n", "west", 9.0)], {"yunda/west": 1}).orders
    found = allocate(night).change(add=new)
    assert_same(found, allocate(by_hand(night, {"add": new}), previous=allocate(night)))
    assert found.change(drop=["e"]).lanes.equals(allocate(night).lanes)


def test_what_the_certificate_does_not_prove_is_solved_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Planted: a repair that leaves everything as it was; the night is right anyway."""
    night = small()
    before = allocate(night)
    real = module.repair

    def idle(problem: Any, near: Any, params: Any) -> Any:
        found = real(problem, near, params)
        none = np.zeros(0, np.int64)
        return replace(found, solution=replace(found.solution, chosen=none))

    monkeypatch.setattr(module, "repair", idle)
    change = {"cancel": ["a"]}
    found = before.change(**change)
    assert "did not prove" in caplog.text
    assert_same(found, allocate(by_hand(night, change), previous=before))


REFUSED = [
    ({}, "nothing changes"),
    ({"drop": []}, "nothing changes"),
    ({"drop": ["x"]}, r"drop: not in the night: 1 order \(x\)"),
    ({"cancel": ["a", "a"]}, "named more than once"),
    ({"cancel": ["a"], "drop": ["a"]}, "to be dropped and to be cancelled"),
    ({"cancel": [17]}, "an order_id is a text, got a int"),
    ({"capacity": {"yunda": -1}}, "slots"),
    ({"capacity": {"yunda": 1.5}}, "slots are a whole number, got a float"),
    ({"capacity": {"yunda": 2**63}}, "slots are from 0 to 1,000,000,000,000, got 9,22"),
    ({"capacity": {5: 3}}, "a key is a carrier, or a tuple .* a text, got a int"),
    ({"capacity": {("yunda", b"north"): 3}}, "region_id is a text, got a bytes"),
    (
        {"capacity": {("yunda", None, None, "now"): 3}},
        "service_date is a date, got a s",
    ),
    ({"capacity": [("yunda", 1)]}, "got a list; give a mapping of rows to slots"),
    ({"capacity": 5}, "got a int; give a mapping of rows to slots, such as"),
    ({"drop": 5}, "drop: got a int; give order ids as a list of texts, or a table"),
    ({"drop": {"a": 1}}, "drop: got a dict; give order ids as a list"),
    ({"cancel": np.array([["a"]])}, "an order_id is a text, got a list"),
    ({"cancel": pd.Series(["a", None])}, "an order_id is a text, got a float|NoneType"),
    ({"capacity": {("yunda", "east"): 1}}, "no row for carrier yunda, region east"),
    ({"capacity": {("yunda", None, None, None, 1): 1}}, "a key has 5 parts"),
    ({"capacity": pl.DataFrame({"carrier_id": ["yunda"]})}, "slots"),
    ({"options": pl.DataFrame({"order_id": ["a"]})}, "give these with add"),
    ({"add": small().orders.head(1)}, "in the night already"),
    (
        {"add": small().orders.head(1).with_columns(order_id=pl.lit("A"))},
        r"in the night already: 1 order \(a\)",
    ),
    (
        {
            "add": small()
            .orders.head(1)
            .with_columns(order_id=pl.lit("e"), complaint_prob_standard=pl.lit(7.0))
        },
        "taken whole or not at all",
    ),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_a_change_that_cannot_be_is_refused(change: dict[str, Any], words: str) -> None:
    """Unknown rows and ids, repeated ones, slots below 0, orders that are there."""
    night = allocate(small())
    with pytest.raises(DataError, match=words):
        night.change(**change)


def test_a_file_that_was_replaced_is_no_basis(tmp_path: Path) -> None:
    """A night that has to be built again needs the tables that it was made of."""
    night = small()
    path = tmp_path / "orders.parquet"
    night.orders.with_columns(load=2).write_parquet(path)
    before = optimizer.allocate(path, night.capacity, config=make_config())
    assert chosen(before.change(cancel=["c"])) is not None
    night.orders.with_columns(load=1).write_parquet(path)
    with pytest.raises(DataError, match="is not what the night was made of any more"):
        before.change(cancel=["c"])
