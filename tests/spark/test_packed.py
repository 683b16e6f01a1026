"""Rows packed into cells: none is lost, doubled or brought to another part."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.contracts.tables import OPTIONS, ORDERS
from optimizer.io.order_keys import order_keys
from optimizer.io.read import open_source
from optimizer.spark import packed
from optimizer.spark.join import OF_OPTIONS, join_options
from optimizer.spark.noted import LEAST
from optimizer.spark.packed import PACKED, each_cell, packed_rows, part_rows
from optimizer.spark.parts import (
    block_of_order,
    large_merchants,
    orders_of_keys,
    part_ids,
    part_keys,
    part_of_order,
    repeated_keys,
)
from optimizer.spark.rows import (
    check_options,
    check_orders,
    plain_frames,
)
from optimizer.testing import random_tables
from tests.support.examples import examples
from tests.support.local_blocks import make_rules, numbered

SCHEMA = "order_id string, merchant_id string, key bigint"
IDS = st.lists(st.text("ab", min_size=1, max_size=3), max_size=30)


def rows_of(names):
    """A row for each name: an id of its own, the name as the merchant's."""
    ids = [f"{at}-{name}" for at, name in enumerate(names)]
    key = np.arange(len(names)) - 5
    kinds = {"order_id": pl.String, "merchant_id": pl.String, "key": pl.Int64}
    return pl.DataFrame(
        {"order_id": ids, "merchant_id": names, "key": key}, schema_overrides=kinds
    )


def found_rows(batches):
    """All rows that come; no columns where none does."""
    each = [pl.DataFrame(pl.from_arrow(batch)) for batch in batches]
    return pl.concat(each) if each else pl.DataFrame()


@examples(60)
@given(IDS, st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_each_row_comes_to_its_part_once(names, in_cell, at_once, num_parts):
    """However many rows a cell holds and are parted at once, with all they had."""
    rows = rows_of(names)
    part_of = partial(part_of_order, num_parts=num_parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "CELL_ROWS", in_cell)
        patch.setattr(packed, "PARTED_ROWS", at_once)
        cells = list(packed_rows(rows, SCHEMA, PACKED))
        assert all(cell["num_rows"][0].as_py() <= in_cell for cell in cells)
        parted = list(part_rows(cells, part_of, kind=3))
    back = [rows.clear()]
    for batch in parted:
        (frame,) = each_cell([batch])
        assert set(part_of(frame).tolist()) == {batch["part"][0].as_py()}
        assert batch["kind"][0].as_py() == 3
        assert batch["num_rows"][0].as_py() == len(frame)
        back.append(frame)
    assert pl.concat(back).sort("order_id").equals(rows.sort("order_id"))


@examples(60)
@given(IDS, st.integers(1, 7), st.dictionaries(st.text("ab", min_size=1, max_size=2),
       st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True)))  # fmt: skip
def test_a_merchant_has_one_block_unless_it_is_cut(names, num_blocks, placed):
    """Then its orders go to the blocks that it was given, by the remainder of a key."""
    rows = rows_of(names)
    block = block_of_order(rows, num_blocks, placed).tolist()
    whole = {}
    for name, key, at in zip(rows["merchant_id"], rows["key"], block, strict=True):
        if name in placed:
            own = placed[name]
            assert at == own[key % 2**64 % len(own)]
        else:
            assert 0 <= at < num_blocks
            assert whole.setdefault(name, at) == at


@examples(60)
@given(st.lists(st.integers(0, 40).map(lambda n: n * 2**58), max_size=40),
       st.integers(1, 5), st.integers(1, 5))  # fmt: skip
def test_keys_that_are_there_twice_are_found(keys, num_cells, num_parts):
    """In whatever cells and parts they come, and no others."""
    dealt = [np.array(keys[at::num_cells], np.uint64) for at in range(num_cells)]
    cells = [
        pa.RecordBatch.from_pydict({"folded_keys": [some.tobytes()]}) for some in dealt
    ]
    parted = found_rows(part_keys(cells, num_parts))
    found = []
    for mine in parted.partition_by("part") if len(parted) else ():
        for batch in repeated_keys(mine.to_arrow().to_batches()):
            found += batch["folded_key"].to_pylist()
    twice = [key for key, count in Counter(keys).items() if count > 1]
    assert sorted(np.array(found, np.int64).view(np.uint64).tolist()) == sorted(twice)


def test_orders_are_found_by_the_keys_of_their_folded_ids():
    """Two spellings share a key, and both are named."""
    rows = pl.DataFrame({"order_id": ["A1", " a1", "b2"]})
    cells = list(packed_rows(rows, "order_id string", PACKED))
    _, folded = order_keys(pl.Series(["a1"]))
    asked = folded.view(np.int64).tolist()
    found = found_rows(orders_of_keys(cells, keys=asked, salt=0))
    assert sorted(found["order_id"]) == [" a1", "A1"]


@examples(40)
@given(IDS, st.integers(1, 9), st.integers(1, 4))
def test_what_cells_do_not_tell_of_a_merchant_is_less_than_asked(names, rows, least):
    """Of a merchant's orders fewer than ``least`` are missed for each cell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "CELL_ROWS", rows)
        cells = list(packed_rows(rows_of(names), SCHEMA, PACKED))
    told = Counter()
    for batch in large_merchants(cells, least):
        told.update(dict(found_rows([batch]).iter_rows()))
    for name, size in Counter(names).items():
        assert size - len(cells) * (least - 1) <= told[name] <= size


def test_options_come_to_their_orders_and_those_of_none_are_told():
    """
    Every order has a row for each of its options, one where it has none; options of
    ids that no order has are told by their rows, those of refused orders are not.
    """
    tables = random_tables(3, num_orders=40, has_choice=True)
    ids = tables.orders["order_id"].to_list()
    unknown, refused, bare = ids[:3], ids[3:5], ids[5:7]
    kept = tables.orders.filter(~pl.col("order_id").is_in(unknown + refused))
    ways = tables.options.filter(~pl.col("order_id").is_in(bare))
    rules = make_rules(tables)
    source = open_source(tables.orders, ORDERS)
    orders = list(
        check_orders(
            plain_frames(numbered(kept), source), source, rules, is_choice=True
        )
    )
    looked = found_rows(orders).filter(broken_column=LEAST)
    assert sorted(looked["order_id"]) == sorted(kept["order_id"])
    source = open_source(tables.options, OPTIONS)
    options = check_options(plain_frames(numbered(ways), source), source)
    part = partial(part_of_order, num_parts=1)
    known = pa.RecordBatch.from_pydict({"order_id": refused})
    both = [
        *part_rows(orders, part),
        *part_rows(options, part, kind=OF_OPTIONS),
        *part_ids([known], part),
    ]
    joined = list(join_options(both, rules))
    strays = found_rows(joined)["row"].drop_nulls().to_list()
    of_unknown = ways.with_row_index().filter(pl.col("order_id").is_in(unknown))
    assert sorted(strays) == of_unknown["index"].to_list()
    valued = pl.concat(each_cell(joined))
    has = Counter(ways.filter(pl.col("order_id").is_in(kept["order_id"]))["order_id"])
    rows = Counter(valued["order_id"])
    assert rows == {name: max(1, has[name]) for name in kept["order_id"]}
    assert valued.filter(pl.col("carrier_id").is_null())["order_id"].n_unique() == 2
