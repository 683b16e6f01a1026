"""Blocks without a cluster: the executors' functions, called here on batches."""

from __future__ import annotations

import datetime as dt
from functools import partial

import polars as pl
import pyarrow as pa

from optimizer.build.learned_probabilities import model_of
from optimizer.build.order_day import service_day
from optimizer.config import as_config, policy_on
from optimizer.contracts.tables import CAPACITY, OPTIONS, ORDERS
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source
from optimizer.io.small_tables import checked_table
from optimizer.spark.blocks import build_blocks
from optimizer.spark.join import OF_OPTIONS, join_options
from optimizer.spark.own_parts import OWN
from optimizer.spark.packed import each_cell, part_rows
from optimizer.spark.parts import part_of_order
from optimizer.spark.rows import (
    Rules,
    check_options,
    check_orders,
    plain_frames,
)

DAY = dt.date(2026, 11, 22)
OWN_CARRIER = ("carrier_id", "complaint_prob_premium", "return_prob_premium")


class OwnCells:
    """What each block gets of its own: stands in for a literal of Spark."""

    def __init__(self, parts):
        self.parts = parts

    def alias(self, _):
        """The same: there is one name."""
        return self


class BlockRows:
    """As much of a DataFrame of blocks as a pass needs."""

    def __init__(self, batches):
        self.batches = batches

    def select(self, *names):
        """Some cells of each block, and what it gets of its own."""
        *cells, last = names
        own = last if isinstance(last, OwnCells) else None
        found = []
        for batch in self.batches:
            picked = batch.select(cells if own else list(names))
            if own:
                mine = [own.parts.get(b, b"") for b in batch["block"].to_pylist()]
                picked = picked.append_column(OWN, pa.array(mine, pa.binary()))
            found.append(picked)
        return BlockRows(found)

    def filter(self, asked):
        """Blocks that are named: ``block in (1, 2)``."""
        named = {int(word.strip("(),")) for word in asked.split()[2:]}
        return BlockRows([b for b in self.batches if b["block"][0].as_py() in named])

    def mapInArrow(self, function, _):
        """Call an executor's function on each block."""
        found = [b for batch in self.batches for b in function(iter([batch]))]
        return BlockRows(found)

    def toArrow(self):
        """All rows."""
        return pa.Table.from_batches(self.batches)


def numbered(table):
    return table.with_row_index("row").cast({"row": pl.Int64}).to_arrow().to_batches()


def make_rules(tables, **keys):
    """The rules of a night, some keys changed; with its learned model."""
    config = as_config(tables.config | keys)
    capacity = checked_table(open_source(tables.capacity, CAPACITY), QuarantineLog())
    return Rules(
        config=config,
        policy=policy_on(config, DAY),
        merchants=None,
        day=DAY,
        salt=0,
        model=model_of(config, DAY),
        counted=service_day(config.capacity, capacity, DAY),
    )


def make_blocks(tables, num_blocks, num_parts=1, rules=None):
    """The blocks of a night, merchants dealt out by name, each in so many parts."""
    rules = rules or make_rules(tables)
    is_choice = tables.options is not None
    has_all = not is_choice and rules.model is None
    source = open_source(tables.orders, ORDERS, require=OWN_CARRIER if has_all else ())
    frames = plain_frames(numbered(tables.orders), source)
    valued = list(check_orders(frames, source, rules, is_choice=is_choice))
    if is_choice:
        source = open_source(tables.options, OPTIONS)
        frames = plain_frames(numbered(tables.options), source)
        ways = check_options(frames, source)
        one = partial(part_of_order, num_parts=1)
        both = [
            *part_rows(valued, part_of=one),
            *part_rows(ways, part_of=one, kind=OF_OPTIONS),
        ]
        valued = list(join_options(both, rules))
    names = sorted(set(pl.concat(each_cell(valued))["merchant_id"]))
    first = {name: at % num_blocks for at, name in enumerate(names)}

    def block_of(rows):
        part = pl.col("key").reinterpret(signed=False) % num_parts
        block = (pl.col("merchant_id").replace_strict(first) + part) % num_blocks
        return rows.select(block).to_series().cast(pl.Int64).to_numpy()

    parts = list(part_rows(valued, part_of=block_of))
    parts = [[p for p in parts if p["part"][0].as_py() == b] for b in range(num_blocks)]
    mine = rules.for_blocks()
    return BlockRows([b for part in parts for b in build_blocks(part, rules=mine)])
