"""*One more slot* has one meaning in each place, and the same number everywhere."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.config import as_config
from optimizer.explain.parts import explain_lane, explain_merchant
from optimizer.whatif.base import base_of_config
from optimizer.whatif.price_list import PriceList, price_list

DAY = dt.date(2026, 11, 22)
PLACE = ["carrier_id", "region_id", "outlet_id"]
#: What is known of a row alone, and of a row with all rows around it.
ALONE = ["one_more_cny", "one_fewer_cny"]
AROUND = ["one_more_around_cny", "one_fewer_around_cny"]


@pytest.fixture(scope="module")
def listed(night_folder: Path, night_config: Any) -> PriceList:
    """The price list of the published night."""
    return price_list(base_of_config(as_config(night_config(night_folder)), DAY), top=2)


@pytest.fixture(scope="module")
def lanes(published: Path) -> pl.DataFrame:
    """The lanes as published."""
    return pl.read_parquet(published / "lanes.parquet")


@pytest.fixture(scope="module")
def merchants(published: Path) -> pl.DataFrame:
    """The merchants as published."""
    return pl.read_parquet(published / "merchants.parquet")


@pytest.fixture(scope="module")
def figures(published: Path) -> pl.DataFrame:
    """Every number of the report."""
    return pl.read_parquet(published / "figures.parquet")


def test_the_price_list_is_the_tables(
    listed: PriceList, lanes: pl.DataFrame, merchants: pl.DataFrame
) -> None:
    """``optimizer prices`` has the tables' values, for every lane and every cap."""
    columns = [*PLACE, "slots", *ALONE, *AROUND]
    by_place = {"by": PLACE, "nulls_last": False}
    expected = lanes.select(columns).sort(**by_place)
    assert listed.lanes.select(columns).sort(**by_place).equals(expected)
    columns = ["merchant_id", "cap", *ALONE]
    assert listed.merchants.select(columns).equals(merchants.select(columns))


@pytest.mark.slow
def test_explain_says_what_the_tables_have(
    published: Path, lanes: pl.DataFrame, merchants: pl.DataFrame
) -> None:
    """
    Of every lane: what one more in it alone brings, and one more in it and all around;
    of merchants: what one more and one fewer is worth. As they stand in the tables.
    """
    for row in lanes.iter_rows(named=True):
        name = "/".join(row[part] or "" for part in PLACE).rstrip("/")
        found = explain_lane(published, name)
        assert {column: found[column] for column in row} == row
        alone = f"{row['one_more_cny']:,.2f} CNY" if row["slack"] == 0 else "nothing"
        around = f"{row['one_more_around_cny']:,.2f} CNY"
        words = found["sentence"]
        assert f"one more in this row alone would bring {alone}" in words, name
        assert f"in it and in all rows around it would bring {around}" in words, name
    for row in merchants.iter_rows(named=True):
        words = explain_merchant(published, row["merchant_id"])["sentence"]
        assert f"one more slot would bring {row['one_more_cny']:,.2f} CNY" in words
        if row["one_fewer_cny"] is not None:
            assert words.endswith(f"and one fewer cost {row['one_fewer_cny']:,.2f}")


def test_the_report_shows_what_the_tables_have(
    figures: pl.DataFrame, lanes: pl.DataFrame, merchants: pl.DataFrame
) -> None:
    """
    The carriers' own rows alone and their dearest rows, every cell of the heat map, the
    two lists and the counts of what brings something.
    """
    value = {row[:3]: row[3] for row in figures.rows()}
    bring = lanes.filter(pl.col("one_more_around_cny") > 0).height
    wait = merchants.filter((pl.col("cap") == 0) & (pl.col("one_more_cny") > 0)).height
    assert value["merchants", None, "num_priced_lanes"] == bring
    assert value["merchants", None, "num_waiting"] == wait
    dearest = lanes.group_by("carrier_id").agg(pl.col("one_more_around_cny").max())
    for carrier, most in dearest.rows():
        assert value["carriers", carrier, "one_more_around_cny"] == most
    own = lanes.filter(pl.col("region_id").is_null() & pl.col("outlet_id").is_null())
    for row in own.iter_rows(named=True):
        alone = value["carriers", row["carrier_id"], "one_more_cny"]
        assert alone == row["one_more_cny"] == row["one_more_around_cny"]
    cells = lanes.drop_nulls("region_id").group_by("carrier_id", "region_id")
    num_cells = 0
    for carrier, region, most in cells.agg(pl.col(AROUND[0]).max()).rows():
        shown = value.get(("regions", f"{carrier}/{region}", AROUND[0]))
        assert shown in (None, most)
        num_cells += shown is not None
    assert num_cells > 20
    listed = figures.filter(pl.col("section") == "lanes")["item"].unique()
    assert len(listed) > 5
    for row in lanes.iter_rows(named=True):
        name = "/".join(row[part] or "" for part in PLACE).rstrip("/")
        if name in listed:
            shown = [value["lanes", name, c] for c in (*ALONE[:1], *AROUND[:1])]
            assert shown == [row[c] for c in (*ALONE[:1], *AROUND[:1])]


def test_a_price_lies_between_one_more_and_one_fewer(
    lanes: pl.DataFrame, merchants: pl.DataFrame
) -> None:
    """
    A row's price in the proof lies between what one more in it alone brings and what
    one fewer costs; with all around it, the sum of the prices is what one more brings.
    """
    price = dict(
        zip(lanes.select(PLACE).rows(), lanes["shadow_price_cny"], strict=True)
    )
    num_wide = 0
    for row in [*lanes.iter_rows(named=True), *merchants.iter_rows(named=True)]:
        fewer = row["one_fewer_cny"]
        assert row["one_more_cny"] <= row["shadow_price_cny"]
        assert fewer is None or row["shadow_price_cny"] <= fewer
        num_wide += fewer is not None and row["one_more_cny"] < fewer
        if "merchant_id" in row:
            continue
        carrier, region, outlet = (row[part] for part in PLACE)
        around = {(carrier, None, None), (carrier, region, None)}
        around.add((carrier, region, outlet))
        total = sum(round(price.get(place, 0) * 1e6) for place in around)
        assert round(row["one_more_around_cny"] * 1e6) == total
    assert num_wide > 10


def test_a_hundred_slots_say_where_they_are_added(
    listed: PriceList, lanes: pl.DataFrame
) -> None:
    """
    A larger step of a carrier names the row that it is added to, the dearest of that
    carrier, and brings at least what one more there and around it brings.
    """
    steps = listed.steps.filter(pl.col("step").str.starts_with("100 slots around "))
    assert steps.height > 2
    for kind, name, step, brings, _ in steps.rows():
        place = step.removeprefix("100 slots around ").split("/")
        parts = [part or None for part in [*place, "", ""][:3]]
        same = [
            pl.col(c).eq_missing(pl.lit(p)) for c, p in zip(PLACE, parts, strict=True)
        ]
        row = lanes.filter(*same).row(0, named=True)
        mine = lanes.filter(pl.col(f"{kind}_id") == name)
        assert row["one_more_around_cny"] == mine["one_more_around_cny"].max()
        assert brings >= row["one_more_around_cny"] - 1e-9
