"""Explanations of parts: contributions add up, and sentences carry their numbers."""

from __future__ import annotations

import datetime as dt
import string
from pathlib import Path

import polars as pl
import pytest

import optimizer
from optimizer.contracts.tables import DECISIONS
from optimizer.errors import DataError
from optimizer.explain.chinese import CHINESE
from optimizer.explain.contributions import merchant_contributions, night_contributions
from optimizer.explain.night import Night
from optimizer.explain.parts import explain_lane, explain_merchant, explain_night
from optimizer.explain.sentences import _SENTENCES, explain_order, explain_run
from optimizer.io import write
from optimizer.io.lookup import find_rows
from optimizer.testing import make_tables, random_tables

DAY = dt.date(2026, 11, 22)


def solved(seed: int) -> Night:
    """A small random night, of one or several carriers an order."""
    tables = random_tables(seed, has_choice=seed % 2 > 0)
    return optimizer.allocate(
        tables.orders, tables.capacity, config=tables.config, options=tables.options
    )


@pytest.mark.parametrize("seed", range(12))
def test_contributions_add_up_to_the_saving_to_the_micro_cny(seed: int) -> None:
    """
    Lanes, caps and orders add up to the night's saving; merchants' parts to what
    their own chosen orders save; what merchants pay for lanes is what lanes are
    worth; and no part is negative.
    """
    night = solved(seed)
    proof = night.certificate
    parts = night_contributions(
        night.decisions.lazy(),
        night.merchants,
        night.lanes,
        dual_bound=proof.dual_bound,
        gap=proof.gap,
    )
    assert (parts.other, parts.gap) == (0, 0)
    assert parts.lanes + parts.caps + parts.orders == proof.primal_bound
    table = merchant_contributions(night.decisions.lazy(), night.merchants)
    own: dict[str, int] = dict.fromkeys(night.merchants["merchant_id"], 0)
    for row in night.decisions.filter("is_premium").iter_rows(named=True):
        own[row["merchant_id"]] += round(row["saving_cny"] * 1e6)
    assert dict(table.select("merchant_id", "saving").iter_rows()) == own
    assert table["lanes"].sum() == parts.lanes
    assert table["cap"].sum() == parts.caps
    assert table["orders"].sum() == parts.orders
    least = table.select(pl.min_horizontal("lanes", "cap", "orders").min()).item()
    assert least >= 0


def test_contributions_of_a_night_by_hand() -> None:
    """
    One slot in the north goes to a (5), b (3) waits: the lane is worth 3, a brings 2
    more. In the south m's second order goes (4) where nothing waits: all its own.
    """
    tables = make_tables(
        [("a", "m", "north", 5), ("b", "n", "north", 3), ("c", "m", "south", 4)],
        {"yunda/north": 1, "yunda/south": 9},
        rate=1,
    )
    night = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
    table = merchant_contributions(night.decisions.lazy(), night.merchants)
    assert table.rows() == [
        ("m", 9_000_000, 0, 6_000_000, 3_000_000),
        ("n", 0, 0, 0, 0),
    ]


def test_what_is_left_to_chance_is_told_apart(night_folder: Path, night_config) -> None:
    """
    With a holdout the parts add up to the certified plan: kept-back parcels are in it,
    and explored ones only take what their slots are worth.
    """
    config = night_config(night_folder)
    holdout = {"share": 0.2, "explore_share": 0.2, "seed": 1}
    inputs = {n: path.format(date=DAY) for n, path in config.pop("inputs").items()}
    night = optimizer.allocate(**inputs, config=config | {"holdout": holdout}, date=DAY)
    proof = night.certificate
    parts = night_contributions(
        night.decisions.lazy(),
        night.merchants,
        night.lanes,
        dual_bound=proof.dual_bound,
        gap=proof.gap,
    )
    assert {"HELD_OUT", "EXPLORED"} <= {*night.decisions["reason"]}
    assert parts.saving == proof.primal_bound
    by_lot = night.decisions.filter(pl.col("reason") == "EXPLORED")
    named = night.merchants.select("merchant_id", "shadow_price_cny")
    price = {m: round(p * 1e6) for m, p in named.iter_rows()}
    lane = {
        tuple(place): round(p * 1e6)
        for *place, p in night.lanes.select(
            "carrier_id", "region_id", "outlet_id", "shadow_price_cny"
        ).iter_rows()
    }
    regions = pl.read_parquet(
        inputs["orders"], columns=["order_id", "region_id", "outlet_id"]
    )
    taken = sum(
        price[row["merchant_id"]]
        + sum(
            lane.get((row["carrier_id"], *place), 0)
            for place in {
                (None, None),
                (row["region_id"], None),
                (row["region_id"], row["outlet_id"]),
            }
        )
        for row in by_lot.join(regions, on="order_id").iter_rows(named=True)
    )
    assert parts.other == -taken < 0
    table = merchant_contributions(night.decisions.lazy(), night.merchants)
    assert table["saving"].sum() == proof.primal_bound


@pytest.fixture
def big_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Decisions in nine row groups."""
    monkeypatch.setattr(write, "ROW_GROUP_ROWS", 8)
    count = 70
    frame = pl.DataFrame(
        {
            "order_id": [f"o{number:03}" for number in range(count)],
            "merchant_id": ["m"] * count,
            "is_premium": [False] * count,
            "carrier_id": pl.Series([None] * count, dtype=pl.String),
            "saving_cny": [float(number) for number in range(count)],
            "reason": ["CAP_FULL"] * count,
            "margin_cny": [-1.0] * count,
            "margin_low_cny": [None] * count,
            "margin_high_cny": [None] * count,
            "surplus_cny": [-1.0] * count,
            "has_room": [True] * count,
            "ineligible_reason": pl.Series([None] * count, dtype=pl.String),
            "arm": pl.Series([None] * count, dtype=pl.String),
            "propensity": [0.0] * count,
        }
    )
    path = tmp_path / "decisions.parquet"
    write.write_parquet(frame, path, DECISIONS)
    return path


@pytest.mark.slow
def test_one_order_is_found_in_one_row_group(big_table: Path) -> None:
    """
    Every order is found, strangers are not; and it still is when all other row
    groups are overwritten, which a reader of more than one would refuse.
    """
    import pyarrow.parquet

    for number in range(70):
        found = find_rows(big_table, "order_id", f"o{number:03}")
        assert found["saving_cny"].to_list() == [float(number)]
    assert find_rows(big_table, "order_id", "o0335").is_empty()
    with pyarrow.parquet.ParquetFile(big_table) as file:
        group = file.metadata.row_group(4)
        columns = [group.column(number) for number in range(group.num_columns)]
        first = min(
            column.dictionary_page_offset or column.data_page_offset
            for column in columns
        )
        last = first + sum(column.total_compressed_size for column in columns)
        footer = big_table.stat().st_size - 8 - file.metadata.serialized_size
    raw = bytearray(big_table.read_bytes())
    raw[4:first] = bytes(first - 4)
    raw[last:footer] = bytes(footer - last)
    big_table.write_bytes(raw)
    assert find_rows(big_table, "order_id", "o033")["saving_cny"].to_list() == [33.0]
    with pytest.raises(DataError, match="damaged"):
        find_rows(big_table, "order_id", "o001")


def test_each_reason_has_a_chinese_sentence_with_the_same_numbers() -> None:
    """Both languages name the same reasons, and fill in the same amounts."""

    def amounts(words: str) -> set[str]:
        names = {name for _, name, _, _ in string.Formatter().parse(words) if name}
        return names & {"saving", "signed", "surplus", "margin", "least", "carrier_id"}

    assert set(CHINESE) == set(_SENTENCES)
    for reason, words in _SENTENCES.items():
        assert amounts(CHINESE[reason]) == amounts(words), reason


def test_a_chinese_sentence_by_hand() -> None:
    """One of the merchant's two orders goes; the other is 1.50 CNY short."""
    tables = make_tables([("a", "m", "x", 5), ("b", "m", "x", 3.5)], {"yunda": 9})
    night = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
    assert explain_order("b", night.decisions, night.merchants, "zh") == (
        "b: 未入选：商家的 1 个名额已给了扣除计入的服务费和承运名额成本后每单至少可"
        "避免 5.00 元的订单；该订单扣除服务费后可净避免 3.50 元，还差 1.50 元"
    )


@pytest.mark.slow
def test_a_published_night_explains_itself(published: Path) -> None:
    """From the folder alone: an order, every merchant, every lane, and the night."""
    night = explain_night(published)
    assert night["other_cny"] == night["gap_cny"] == 0
    merchants = pl.read_parquet(published / "merchants.parquet")
    lanes = pl.read_parquet(published / "lanes.parquet")
    decisions = pl.read_parquet(published / "decisions.parquet")
    savings = 0.0
    for name in merchants["merchant_id"]:
        found = explain_merchant(published, name)
        assert sum(found["reasons"].values()) == found["num_orders"]
        savings += found["saving_cny"]
    assert savings == pytest.approx(night["saving_cny"], abs=1e-6)
    worths = 0.0
    for place in lanes.select("carrier_id", "region_id", "outlet_id").iter_rows():
        name = "/".join(part or "" for part in place).rstrip("/")
        worths += explain_lane(published, name)["worth_cny"]
    assert worths == pytest.approx(night["lanes_cny"], abs=1e-6)
    for row in decisions.sample(20, seed=1).iter_rows(named=True):
        found = explain_run(published, row["order_id"])
        assert {name: found[name] for name in row} == row
        assert found["merchant"]["merchant_id"] == row["merchant_id"]


@pytest.mark.parametrize(
    ("ask", "name", "words"),
    [
        (explain_lane, "pigeon", "no lane 'pigeon'"),
        (explain_lane, "yunda/x/y/z", "no lane 'yunda/x/y/z'"),
        (explain_merchant, "nobody", "merchant 'nobody' has no orders"),
    ],
)
def test_what_is_not_there_is_named(published: Path, ask, name: str, words: str):
    """A lane or merchant that the night does not have is refused by its name."""
    with pytest.raises(DataError, match=words):
        ask(published, name)
