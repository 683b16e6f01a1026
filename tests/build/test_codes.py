"""Ids become numbers and names again; nothing decided depends on the numbers."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import optimizer
from optimizer.build.codes import IdCodes, NumberCodes
from optimizer.io.words import distinct
from optimizer.testing import random_tables

WORDS = ["b", "a", None, "b", "", "é", "a ", "B", None, "c"]


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_an_id_keeps_its_code_over_batches(size: int):
    """However the column is cut, each id has one code, and the code names the id."""
    codes, found = IdCodes(), []
    for first in range(0, len(WORDS), size):
        batch = pl.Series(WORDS[first : first + size], dtype=pl.String)
        found += codes.encode(batch).tolist()
    names = [*codes.ids, None]
    assert [names[code] for code in found] == WORDS
    assert codes.ids == list(dict.fromkeys(w for w in WORDS if w is not None))
    assert len(codes) == len(codes.ids)


def test_codes_hold_however_many_ids_come():
    """Tables grow as ids come: the codes are those that a dictionary would give."""
    draw = np.random.default_rng(5)
    codes, numbers, known, seen = IdCodes(), NumberCodes(), {}, {}
    for size in (1, 3, 40, 5_000, 0, 40_000):
        some = draw.integers(-6_000, 6_000, size)
        ids = [f"shop-{value}" * (1 + value % 3) for value in some.tolist()]
        expected = [known.setdefault(name, len(known)) for name in ids]
        assert codes.encode(pl.Series(ids, dtype=pl.String)).tolist() == expected
        assert codes.ids == [*known]
        wide = some * 10**14
        expected = [seen.setdefault(number, len(seen)) for number in wide.tolist()]
        assert numbers.encode(wide).tolist() == expected
        assert numbers.numbers.tolist() == [*seen]


def test_codes_that_are_copied_are_added_to_alone():
    """What is added to a copy, or to what it was made from, is not in the other."""
    codes = IdCodes()
    codes.encode(pl.Series(["bee", "ant"]))
    copy = codes.copy()
    assert copy.encode(pl.Series(["cat"])).tolist() == [2]
    assert codes.encode(pl.Series(["emu"])).tolist() == [2]
    assert copy.encode(pl.Series(["emu", "cat", "ant"])).tolist() == [3, 2, 1]
    assert codes.encode(pl.Series(["cat", "emu", "ant"])).tolist() == [3, 2, 1]
    assert codes.ids == ["bee", "ant", "emu", "cat"]
    assert copy.ids == ["bee", "ant", "cat", "emu"]


def test_distinct_values_keep_the_order_of_first_sight():
    """Values and places give the column back."""
    values = np.random.default_rng(1).integers(-5, 5, 200)
    some, place = distinct(values)
    assert np.array_equal(some[place], values)
    assert some.tolist() == list(dict.fromkeys(values.tolist()))


@pytest.mark.parametrize("has_choice", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_changes_nothing(seed: int, has_choice: bool):
    """Shuffled tables, with many equal savings, give the same tables of a night."""
    tables = random_tables(seed, num_orders=80, has_choice=has_choice)
    expected = optimizer.allocate(
        tables.orders, tables.capacity, config=tables.config, options=tables.options
    )

    def mixed(frame: pl.DataFrame | None) -> pl.DataFrame | None:
        if frame is None:
            return None
        return frame.sample(fraction=1, shuffle=True, seed=seed)

    found = optimizer.allocate(
        mixed(tables.orders),
        mixed(tables.capacity),
        config=tables.config,
        options=mixed(tables.options),
    )
    for name in ("orders", "merchants", "lanes", "recommendations"):
        assert getattr(found, name).equals(getattr(expected, name)), name


def test_numbers_as_ids_are_their_text():
    """A table with whole numbers as ids meets one with the same ids as text."""
    numbers = {
        name: pl.col(name).rank("dense").cast(pl.Int64) for name in ("region_id",)
    }
    tables = random_tables(3)
    orders = tables.orders.with_columns(**numbers)
    texts = orders.with_columns(pl.col("region_id").cast(pl.String))
    capacity = pl.DataFrame(
        {
            "carrier_id": ["yunda", "zhongtong"] * 2,
            "region_id": [1, 2, 3, 3],
            "slots": 5,
        }
    )
    as_text = capacity.with_columns(pl.col("region_id").cast(pl.String))
    expected = optimizer.allocate(texts, as_text, config=tables.config)
    found = optimizer.allocate(orders, as_text, config=tables.config)
    assert expected.certificate.primal_bound > 0
    assert found.orders.equals(expected.orders)
    assert optimizer.allocate(texts, capacity, config=tables.config).lanes.equals(
        expected.lanes
    )
