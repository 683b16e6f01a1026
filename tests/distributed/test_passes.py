"""The passes over blocks, run here without a cluster, against one machine."""

from __future__ import annotations

from functools import partial

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from local_blocks import make_blocks

import optimizer
from optimizer.config import as_config, policy_on
from optimizer.distributed.census import set_limits, take_census
from optimizer.distributed.near import Field, solve_near
from optimizer.distributed.passes import Verdict, decide
from optimizer.distributed.rows import Rules
from optimizer.distributed.spark import _prove
from optimizer.testing import random_tables


def solve(tables, num_blocks, num_parts=1):
    """A night over blocks: the proof, prices by name, and the decisions."""
    config = as_config(tables.config)
    rules = Rules(config, policy_on(config, None), None, 0)
    blocks = make_blocks(tables, num_blocks, num_parts)
    census = take_census(blocks)
    limits = set_limits(
        census,
        tables.capacity.with_columns(
            service_date=pl.lit(None, pl.String),
            min_parcels=None,
            penalty_cny=None,
            priority=None,
        ),
        rules,
    )
    field = Field(
        blocks,
        limits.terms,
        census.merchant_of,
        limits.cap,
        census.num_open,
        census.highest,
        lambda: False,
        lambda _: None,
    )
    near = solve_near(field, 1)
    verdict = Verdict(
        near.lane_price, field.by_block(near.merchant_price), near.tied, None
    )
    sums = _prove(field, near, verdict)
    task = partial(decide, terms=limits.terms, verdict=verdict, places=limits.places)
    batches = [b for batch in blocks.batches for b in task(iter([batch]))]
    decisions = pl.from_arrow(pa.Table.from_batches(batches)).sort("order_id")
    lanes = dict(zip(limits.places, near.lane_price.tolist(), strict=True))
    merchants = dict(
        zip(census.merchant_ids, near.merchant_price.tolist(), strict=True)
    )
    return sums.certificate, lanes, merchants, decisions


def micro(table, names):
    return {
        tuple(row[:-1]) if len(names) > 1 else row[0]: round(row[-1] * 1e6)
        for row in table.select(*names, "shadow_price_cny").iter_rows()
    }


@pytest.mark.parametrize("has_choice", [False, True])
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    num_blocks=st.integers(1, 5),
    num_parts=st.integers(1, 3),
)
def test_blocks_give_the_integers_of_one_machine(
    has_choice, seed, num_blocks, num_parts
):
    """Value, bound and least prices are the same, in whatever blocks merchants are."""
    tables = random_tables(seed, has_choice=has_choice)
    alone = optimizer.allocate(
        tables.orders, tables.capacity, config=tables.config, options=tables.options
    )
    proof, lanes, merchants, decisions = solve(tables, num_blocks, num_parts)
    assert proof == alone.certificate
    assert lanes == micro(alone.lanes, ("carrier_id", "region_id", "outlet_id"))
    assert merchants == micro(alone.merchants, ("merchant_id",))
    assert solve(tables, 1)[3].equals(decisions)
