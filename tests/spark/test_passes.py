"""The passes over blocks, run here without a cluster, against one machine."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optimizer
from optimizer.build.experiment import make_experiment
from optimizer.build.want_of_knowledge import warn_little
from optimizer.config import as_config
from optimizer.contracts.tables import CAPACITY, MERCHANTS
from optimizer.errors import DataError, SolveError
from optimizer.explain.amounts import cap_values, lane_values
from optimizer.explain.block_proof import DrawnPrices
from optimizer.explain.churn import read_previous
from optimizer.io.duplicates import KeyCollision
from optimizer.io.merchant_order import block_of_merchants
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source
from optimizer.io.small_tables import checked_table
from optimizer.model.reasons import Reason
from optimizer.solvers.network import block_solve as near_module
from optimizer.solvers.network.block_margins import find_block_margins, find_plan
from optimizer.solvers.network.block_solve import BlockNight, solve_core
from optimizer.solvers.network.blocks import (
    ByBlock,
    CapPrices,
    DecidingPrices,
    above_cuts,
)
from optimizer.spark import own_parts
from optimizer.spark.block_summary import set_limits, summarize_blocks
from optimizer.spark.blocks import ALL_CELLS, open_block
from optimizer.spark.cells import pack, unpack
from optimizer.spark.explore_arm import explore, without_arm
from optimizer.spark.far_parts import joined
from optimizer.spark.keep_previous import Before, keep_earlier
from optimizer.spark.margin_arm import toss
from optimizer.spark.own_parts import ask_blocks, split
from optimizer.spark.own_parts import joined as whole
from optimizer.spark.passes import Decided, SparkBlocks, decide, decide_parts
from optimizer.spark.sums import add_up, with_arm
from optimizer.testing import make_tables, random_problem, random_tables
from tests.support.engine_nights import CARRIERS, with_a_model
from tests.support.engine_nights_more import dated, many_ties
from tests.support.examples import examples
from tests.support.local_blocks import DAY, OwnCells, make_blocks, make_rules

LANE = ("carrier_id", "region_id", "outlet_id", "service_date")


@pytest.fixture(autouse=True, scope="module")
def own_cells():
    """What each block gets of its own goes beside it without Spark."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_parts, "own_column", OwnCells)
        yield


def checked(capacity):
    return checked_table(open_source(capacity, CAPACITY), QuarantineLog())


def make_field(tables, num_blocks, num_parts=1, is_late=lambda: False):
    """A night as a driver sees it, with its census and limits."""
    rules = make_rules(tables)
    blocks = make_blocks(tables, num_blocks, num_parts)
    census = summarize_blocks(blocks)
    limits = set_limits(census, checked(tables.capacity), rules)
    field = BlockNight(
        blocks=SparkBlocks(blocks, limits.terms),
        slots=limits.terms.slots,
        parent=limits.terms.parent,
        merchant_of=census.merchant_of,
        cap=limits.cap,
        num_open=census.num_open,
        highest=census.highest,
        is_late=is_late,
        tell=lambda _: None,
    )
    settings = as_config(tables.config)
    experiment = make_experiment(settings.holdout, DAY, settings.objective)
    pool, limits = explore(field, limits, experiment, field.blocks)
    field = without_arm(field, limits, pool, SparkBlocks(blocks, limits.terms))
    return field, census, limits, blocks, pool


def solve(tables, num_blocks, num_parts=1, previous=None):
    """A night over blocks: the proof, prices by name, the decisions, and the passes."""
    field, census, limits, rows, pool = make_field(tables, num_blocks, num_parts)
    near = solve_core(field, 1)
    if previous is not None:
        before = Before(read_previous(previous), places=limits.places, salt=0)
        near = keep_earlier(field, near, field.blocks, before, np.inf)
    prices = field.by_block(near.merchant_price)
    verdict = DecidingPrices(near.lane_price, prices, near.tied, None)
    settings = as_config(tables.config)
    experiment = make_experiment(settings.holdout, DAY, settings.objective)
    if experiment.is_random:
        verdict = DrawnPrices(
            near.lane_price,
            prices,
            near.tied,
            None,
            experiment=experiment,
            places=limits.places,
            explored_of=None if pool is None else field.by_block(pool.used_cap),
        )
    plan = find_plan(field, verdict, field.blocks)
    if experiment.is_random:
        verdict, _ = toss(field, plan, verdict, census.merchant_ids, field.blocks)
    sums = with_arm(add_up(field.blocks, field, near, verdict), pool)
    margins = find_block_margins(field, plan, verdict, field.blocks, 1)
    assert margins is not None
    night = Decided(
        terms=limits.terms,
        verdict=verdict,
        places=limits.places,
        reach_of=margins.reach_of,
        rank_of=ByBlock(census.merchant_of),
        part_of=field.by_block(block_of_merchants(census.there)),
    )
    told = ask_blocks(rows, ALL_CELLS, decide, night, "").toArrow()
    of_blocks = map(pl.from_arrow, told.to_batches())
    assert all(part["order_id"].is_sorted() for part in of_blocks)
    decisions = pl.from_arrow(told).sort("order_id")
    parts = published_parts(rows, night)
    names = ["merchant_id", "order_id"]
    assert parts.equals(decisions.select(parts.columns).sort(names))
    is_root = limits.terms.parent < 0
    counts = dict(decisions["reason"].value_counts().iter_rows())
    by_sums = sums.reasons.tolist()
    assert {Reason[name]: num for name, num in counts.items()}.items() >= {
        reason: by_sums[reason] for reason in Reason if by_sums[reason]
    }.items()
    num_chosen = counts.get("CHOSEN", 0) + sums.num_kept_back
    num_chosen += len(decisions.filter(reason="EXPLORED", arm="margin"))
    assert num_chosen == sums.used.sum() == sums.lane_used[is_root].sum()
    lanes = dict(zip(limits.places, near.lane_price.tolist(), strict=True))
    cuts = near.merchant_price.tolist()
    merchants = dict(zip(census.merchant_ids, cuts, strict=True))
    values = (
        {"merchant_id": census.merchant_ids}
        | cap_values(margins.values, len(census.merchant_ids)),
        dict(zip(LANE, zip(*limits.places, strict=True), strict=True))
        | lane_values(margins.values, len(limits.places)),
    )
    return sums.certificate, lanes, merchants, decisions, near.num_passes, values


def micro(table, names):
    return {
        tuple(row[:-1]) if len(names) > 1 else row[0]: round(row[-1] * 1e6)
        for row in table.select(*names, "shadow_price_cny").iter_rows()
    }


def assert_as_alone(tables, found, previous=None):
    """Hold the integers of blocks against those of one machine."""
    alone = optimizer.allocate(
        tables.orders,
        tables.capacity,
        config=tables.config,
        options=tables.options,
        date=DAY,
        previous=previous,
    )
    proof, lanes, merchants = found[:3]
    assert proof == alone.certificate
    assert lanes == micro(alone.lanes, LANE)
    assert merchants == micro(alone.merchants, ("merchant_id",))
    for table, keys, of_blocks in zip(
        (alone.merchants, alone.lanes), (("merchant_id",), LANE), found[5], strict=True
    ):
        by_name = pl.DataFrame(of_blocks, schema_overrides=table.schema)
        assert by_name.sort(keys).equals(table.select(by_name.columns).sort(keys))
    fixed = pl.col("reason").is_in(
        ["CARRIER_INACTIVE", "NOT_DELIVERABLE", "NO_SAVING", "CAP_ZERO"]
    )
    decisions, expected = found[3].select(alone.decisions.columns), alone.decisions
    margins = pl.selectors.starts_with("margin")
    same = decisions.filter(fixed).drop(margins), expected.filter(fixed).drop(margins)
    assert same[0].equals(same[1])
    plan = "order_id", "is_premium", "carrier_id"
    assert decisions.select(plan).equals(expected.select(plan))
    exact = ["order_id", "margin_cny", "margin_low_cny", "margin_high_cny"]
    told = [*exact, "saving_cny", "arm", "propensity", "surplus_cny", "has_room"]
    assert decisions.select(told).equals(expected.select(told))


def published_parts(rows, night):
    """Decisions as they are published: parts of whole merchants, put together."""
    pieces = ask_blocks(rows, ALL_CELLS, decide_parts, night, "").toArrow().to_pylist()
    num_parts = 1 + max(part.max() for part in night.part_of.values())
    return pl.concat(
        joined([piece["rows"] for piece in pieces if piece["part"] == part])
        for part in range(num_parts)
    )


@pytest.mark.parametrize("unit", ["order", "station-day"])
def test_a_task_holds_back_whom_one_machine_holds_back(unit):
    """Reason, arm and propensity of every order, and the counts of the proof."""
    tables = random_tables(12, num_orders=300)
    holdout = {"share": 0.4, "seed": 3, "unit": unit}
    tables = replace(tables, config=tables.config | {"holdout": holdout})
    found = solve(tables, 3, 2)
    assert_as_alone(tables, found)
    held = found[3].filter(pl.col("reason") == "HELD_OUT")
    assert held["propensity"].unique().to_list() == [0.6]
    assert 3 < len(held) < found[3]["is_premium"].sum() * 2


def test_a_learned_model_fills_options_as_on_one_machine(tmp_path):
    """Its shares of an order meet the order's options; savings are equal to 1e-6."""
    config = with_a_model(tmp_path)
    tables = random_tables(25, num_orders=250, has_choice=True)
    kept = [{"carrier_id": name, "probability": 0.9} for name in CARRIERS]
    objective = tables.config["objective"] | {"fulfilment": kept}
    asked = {"objective": objective}
    asked |= {"model": config["model"], "learning": config["learning"]}
    tables = replace(
        tables,
        orders=pl.read_parquet(tmp_path / "choice.parquet"),
        options=pl.read_parquet(tmp_path / "options.parquet"),
        config=tables.config | asked,
    )
    found = solve(tables, 3, 2)
    assert_as_alone(tables, found)
    assert found[3]["is_premium"].sum() > 10


@pytest.mark.parametrize("has_choice", [False, True])
def test_what_is_hoped_of_a_model_is_counted_as_on_one_machine(tmp_path, has_choice):
    """Parcels that save something, and those that would at the effect's upper end."""
    config = with_a_model(tmp_path)
    tables = random_tables(25, num_orders=250, has_choice=has_choice, rate="1")
    policy = tables.config["policy"][0] | {"fee": {"amount_cny": 5.0}}
    kept = [{"carrier_id": name, "probability": 0.9} for name in CARRIERS]
    objective = tables.config["objective"] | {"fulfilment": kept}
    asked = {"objective": objective}
    asked |= {"model": config["model"], "learning": config["learning"]}
    orders = pl.read_parquet(tmp_path / "choice.parquet")
    if not has_choice:
        orders = orders.with_columns(tables.orders["carrier_id"])
    tables = replace(
        tables,
        orders=orders,
        options=pl.read_parquet(tmp_path / "options.parquet") if has_choice else None,
        config=tables.config | {"policy": [policy]} | asked,
    )
    _, census, limits, *_ = make_field(tables, 3, 2)
    found = warn_little(census.num_hoped, census.num_worth, int(limits.cap.sum()))
    alone = optimizer.allocate(
        tables.orders,
        tables.capacity,
        config=tables.config,
        options=tables.options,
        date=DAY,
    )
    told = [w for w in alone.warnings if w.code == "TOO_LITTLE_KNOWN"]
    assert found == told
    assert census.num_worth > 3
    assert census.num_hoped > 3
    assert told, (census.num_hoped, census.num_worth, int(limits.cap.sum()))


@pytest.mark.parametrize("has_choice", [False, True])
def test_orders_without_an_active_carrier_never_get_to_the_solver(has_choice):
    """Two of three carriers have left the roster: reasons are those of one machine."""
    tables = random_tables(4, num_orders=100, has_choice=has_choice)
    policy = [tables.config["policy"][0] | {"carriers": ["yunda"]}]
    tables = replace(tables, config=tables.config | {"policy": policy})
    found = solve(tables, 3)
    assert_as_alone(tables, found)
    assert 10 < found[3]["reason"].to_list().count("CARRIER_INACTIVE") < 90


@pytest.mark.parametrize("has_choice", [False, True])
def test_orders_that_no_outbox_takes_never_get_to_the_solver(has_choice):
    """One carrier of three is of no platform, one order in seven a formula in CSV."""
    tables = random_tables(4, num_orders=140, has_choice=has_choice)
    policy = tables.config["policy"][0] | {"carriers": ["yunda", "yuantong", "nobody"]}
    box = {"platform": "douyin", "format": "csv", "to": "douyin-{date}.csv"}
    renamed = (
        pl.col("carrier_id").replace({"zhongtong": "nobody"}),
        pl.when(pl.col("order_id").str.ends_with("7"))
        .then(pl.format("-{}", "order_id"))
        .otherwise("order_id")
        .alias("order_id"),
    )
    orders = tables.orders.with_columns(renamed[1:] if has_choice else renamed)
    tables = replace(
        tables,
        orders=orders,
        options=tables.options.with_columns(renamed) if has_choice else None,
        config=tables.config | {"policy": [policy], "outbox": [box]},
    )
    found = solve(tables, 3, 2)
    assert_as_alone(tables, found)
    assert 10 < found[3]["reason"].to_list().count("NOT_DELIVERABLE") < 90


@pytest.mark.parametrize("share", ["0.1", "1"])
@pytest.mark.parametrize("has_choice", [False, True])
def test_the_explore_arm_is_drawn_as_on_one_machine(has_choice, share):
    """Its orders, coins and margins, and the plan of what is left, over any blocks."""
    tables = random_tables(17, num_orders=300, num_merchants=20, has_choice=has_choice)
    holdout = {"share": 0.2, "explore_share": share, "seed": 5}
    tables = replace(tables, config=tables.config | {"holdout": holdout})
    found = solve(tables, 3, 2)
    assert_as_alone(tables, found)
    drawn = found[3].filter(pl.col("arm") == "explore")
    assert drawn["is_premium"].sum() > 3
    assert (~drawn["is_premium"]).sum() > 3


@pytest.mark.parametrize("share", ["0.4", "1"])
@pytest.mark.parametrize("has_choice", [False, True])
def test_coins_are_tossed_between_the_pairs_of_one_machine(has_choice, share):
    """Pairs of every merchant, over blocks that each have some of its orders."""
    tables = random_tables(19, num_orders=300, has_choice=has_choice)
    holdout = {"share": 0.2, "explore_share": share, "seed": 5}
    explore = {"objective": tables.config["objective"] | {"explore": "margin"}}
    tables = replace(tables, config=tables.config | {"holdout": holdout} | explore)
    found = solve(tables, 3, 3)
    assert_as_alone(tables, found)
    reasons = found[3].filter(pl.col("arm") == "margin")["reason"].to_list()
    assert reasons.count("HELD_OUT") == reasons.count("EXPLORED") > 3
    assert reasons.count("CHOSEN") > 3


@pytest.mark.parametrize("has_choice", [False, True])
def test_ties_are_decided_for_an_earlier_night_as_on_one_machine(has_choice):
    """Of the best plans the one that keeps most of it; another than without it."""
    tables = many_ties(random_tables(23, num_orders=300, has_choice=has_choice))
    earlier = optimizer.allocate(
        tables.orders,
        tables.capacity.with_columns(slots=pl.col("slots") // 2),
        config=tables.config,
        options=tables.options,
        date=DAY,
    )
    tables = replace(tables, config=tables.config | {"solver": {"keep_previous": True}})
    found = solve(tables, 3, 2, earlier)
    assert_as_alone(tables, found, earlier)
    plan = ["order_id", "carrier_id"]
    chosen = [
        each[3].filter("is_premium").select(plan) for each in (found, solve(tables, 3))
    ]
    assert not chosen[0].equals(chosen[1])


@pytest.mark.parametrize("counted_on", ["order", "ship", "delivery"])
@pytest.mark.parametrize("has_choice", [False, True])
def test_slots_are_counted_by_day_as_on_one_machine(has_choice, counted_on):
    """Rows of one day replace those of any; orders without a date take the default."""
    tables = dated(random_tables(16, num_orders=200, has_choice=has_choice))
    rules = {"counted_on": counted_on}
    if counted_on != "order":
        rules["lead_days"] = 3
    tables = replace(tables, config=tables.config | {"capacity": rules})
    found = solve(tables, 3, 2)
    assert_as_alone(tables, found)
    days = {place.service_date for place in found[1]}
    assert len(days) == (1 if counted_on == "order" else 4)


SLOTS = {
    "tight": pl.lit(1),
    "slack": pl.col("slots") + 1_000,
    "closed": pl.lit(0),
    "one lane open": pl.when(pl.int_range(pl.len()) == 0).then(50).otherwise(0),
}


@pytest.mark.parametrize("slots", SLOTS.values(), ids=SLOTS)
@pytest.mark.parametrize("has_choice", [False, True])
def test_lanes_of_every_kind_give_the_integers_of_one_machine(slots, has_choice):
    """Lanes with next to no room, with room for all, and without any."""
    tables = random_tables(8, num_orders=200, has_choice=has_choice)
    capacity = tables.capacity.with_columns(slots=slots.cast(pl.Int64))
    tables = replace(tables, capacity=capacity)
    assert_as_alone(tables, solve(tables, 3, 2))


@pytest.mark.parametrize("rate", ["0", "0.01", "1"])
def test_caps_of_every_kind_give_the_integers_of_one_machine(rate):
    """Merchants without a slot, with one here and there, and with all they want."""
    tables = random_tables(8, num_orders=200, num_merchants=3, rate=rate)
    assert_as_alone(tables, solve(tables, 3, 2))


@pytest.mark.slow
def test_a_block_of_one_merchant_gives_the_integers_of_one_machine():
    """Every merchant in a block of its own, and all in one."""
    tables = random_tables(3, num_orders=150, num_merchants=6)
    found = solve(tables, 6)
    assert_as_alone(tables, found)
    assert solve(tables, 1)[3].equals(found[3])


@pytest.mark.slow
@pytest.mark.parametrize("has_choice", [False, True])
@examples(25)
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
    found = solve(tables, num_blocks, num_parts)
    assert_as_alone(tables, found)
    assert solve(tables, 1)[3].equals(found[3])


@pytest.mark.slow
@pytest.mark.parametrize("has_choice", [False, True])
@pytest.mark.parametrize("levels", [1, 2])
def test_orders_that_are_alike_are_chosen_as_on_one_machine(levels, has_choice):
    """
    Where most orders save the same, far more are tied than a screen lets through; the
    same parcels go with the same carriers, in whatever blocks merchants are.
    """
    draw, carriers = np.random.default_rng(levels), ["yunda", "zhongtong", "yuantong"]
    for _ in range(2):
        orders = [
            (
                f"order-{number}",
                f"m{draw.integers(4)}",
                f"r{draw.integers(2)}",
                {
                    str(way): float(draw.integers(1, levels + 1))
                    for way in draw.choice(carriers, 2 if has_choice else 1, False)
                },
            )
            for number in range(240)
        ]
        slots = {f"{way}/r{r}": 3 for way in carriers for r in range(2)}
        tables = make_tables(orders, slots | {"yunda": 5}, rate="0.1")
        for shape in ((1, 1), (3, 1), (4, 3)):
            assert_as_alone(tables, solve(tables, *shape))


@pytest.mark.slow
@pytest.mark.parametrize("reach", [-0.2, -1.0])
def test_what_a_screen_holds_back_is_found(monkeypatch, reach):
    """Though the first screens let only the best through, the answer is the same."""
    monkeypatch.setattr(near_module, "REACH", reach)
    num_asked_again = 0
    for seed in range(6):
        tables = random_tables(seed, num_orders=200, has_choice=seed % 2 == 1)
        found = solve(tables, 3, 2)
        assert_as_alone(tables, found)
        screens = 2 + near_module.MOST_SCREENS
        num_asked_again += found[4] > screens + 1
    assert num_asked_again > 0


def test_what_a_price_pass_sends_back_does_not_grow_with_the_orders():
    """Sixteen times the orders of the same merchants and lanes: the same bytes."""
    sizes = []
    for num_orders in (500, 8_000):
        field, *_ = make_field(random_tables(2, num_orders=num_orders), 2)
        asked = CapPrices(field.slots * 0, field.by_block(field.cap * 0))
        found = field.blocks.bound(asked)
        assert sum(part["above"].sum() for part in found.values()) > 0
        sizes.append(sum(a.nbytes for part in found.values() for a in part.values()))
    assert sizes[0] == sizes[1] == 3 * 8 * 6


def test_a_task_gets_nothing_of_other_blocks():
    """Ten times the merchants: the same bytes to all, and to each block its own."""
    sizes = []
    for num_blocks, num_merchants in ((2, 20), (20, 200)):
        tables = random_tables(2, num_orders=2_000, num_merchants=num_merchants)
        field, _, limits, *_ = make_field(tables, num_blocks)
        asked = CapPrices(field.slots * 0, field.by_block(field.cap))
        shared, own = split((asked, limits.terms))
        sizes.append(len(shared))
        assert own.keys() == field.merchant_of.keys()
        for block, cell in own.items():
            got, terms = whole(shared, block, cell)
            assert got.cut_of.keys() == terms.cap_of.keys() == {block}
            assert (got.cut_of[block] == field.cap[field.merchant_of[block]]).all()
            assert got.cut_of[block].dtype == terms.cap_of[block].dtype == np.int64
    assert sizes[0] == sizes[1]


def settings(num_merchants):
    """A merchants table, checked; a fifth of the merchants are as if not in it."""
    number = pl.int_range(num_merchants, eager=True)
    given = pl.DataFrame({"merchant_id": "m" + number.cast(pl.String)}).with_columns(
        take_up=pl.when(number % 5 == 2).then(1.0).otherwise(number % 97 / 100),
        is_enrolled=number % 7 != 1,
        cap_override=number,
        owner_id=pl.format("owner-{}", number % 100),
    )
    return checked_table(open_source(given, MERCHANTS), QuarantineLog())


@pytest.mark.parametrize("has_choice", [False, True])
def test_tasks_value_rows_by_a_part_of_the_merchants_table(has_choice):
    """Its three columns of merchants unlike others: the same savings and statuses."""
    tables = random_tables(7, num_orders=400, num_merchants=40, has_choice=has_choice)
    rules = replace(make_rules(tables), merchants=settings(30))
    whole, part, none = (
        make_blocks(tables, 2, rules=one).toArrow()
        for one in (rules, rules.for_rows(), rules.for_blocks())
    )
    for cell in ("numbers", "status"):
        assert part[cell].equals(whole[cell])
        assert not none[cell].equals(whole[cell])


def test_what_goes_with_a_task_is_little_of_the_merchants_table():
    """A fortieth of it to those that value rows; to those that build blocks nothing."""
    rules = replace(make_rules(random_tables(7)), merchants=settings(20_000))
    none = len(pickle.dumps(replace(rules, merchants=None)))
    whole, rows, blocks = (
        len(pickle.dumps(one)) - none
        for one in (rules, rules.for_rows(), rules.for_blocks())
    )
    assert blocks == 0
    assert rows < whole / 40


ARRAYS = {
    "none": np.zeros(0, np.int32),
    "one": np.int64(-7),
    "bits": np.array([True, False, True]),
    "bytes": np.arange(13, dtype=np.uint8),
    "keys": np.array([0, 2**64 - 1], np.uint64),
    "lanes": np.arange(5, dtype=np.int32),
    "pairs": np.arange(6).reshape(2, 3),
    "every other": np.arange(9, dtype=np.uint64)[::2],
    "by columns": np.arange(6.0).reshape(2, 3, order="F"),
}


@pytest.mark.parametrize("first", [0, 1, 4, 8])
def test_a_cell_gives_its_arrays_from_where_it_lies(first):
    """Whatever their kinds; copied only where kernels could not read them."""
    cell = pack(**ARRAYS)
    room = np.zeros(len(cell) + 128, np.uint8)
    first += -room.ctypes.data % 64
    lying = memoryview(room[first : first + len(cell)])
    lying[:] = cell
    found = unpack(lying)
    assert len(cell) % 64 == 0
    assert list(found) == list(ARRAYS)
    for name, values in ARRAYS.items():
        assert found[name].dtype == np.asarray(values).dtype
        assert np.array_equal(found[name], values)
        assert found[name].shape == np.shape(values)
        assert found[name].flags.aligned
    assert np.shares_memory(found["bytes"], room)
    is_aligned = (room.ctypes.data + first) % 8 == 0
    assert np.shares_memory(found["keys"], room) == is_aligned
    assert not found["bytes"].flags.writeable


def test_a_cell_cannot_be_written_to_or_hold_what_is_no_number():
    """What several passes read stays as it was; an address is nothing elsewhere."""
    cell = pack(key=np.arange(4, dtype=np.uint64))
    with pytest.raises(ValueError, match="read-only"):
        unpack(cell)["key"][0] = 9
    with pytest.raises(TypeError, match="arrays of numbers"):
        pack(names=np.array(["a", None], object))
    with pytest.raises(ValueError, match="size"):
        unpack(cell[:-64])


@pytest.mark.parametrize("times", [1, 1 << 20], ids=["narrow", "wide"])
@pytest.mark.parametrize("has_choice", [False, True])
def test_a_pass_reads_a_block_where_it_lies_and_leaves_it_as_it_was(has_choice, times):
    """Options are sorted by lane, and not in the cell."""
    tables = random_tables(29, num_orders=120, has_choice=has_choice)
    _, _, limits, rows, _ = make_field(tables, 1)
    held = unpack(rows.batches[0]["numbers"][0].as_py())
    before = pack(**held | {"option_saving": held["option_saving"] * times})
    cell = bytearray(before)
    held, lying = unpack(before), np.frombuffer(cell, np.uint8)
    other = replace(limits.terms, place_lane=limits.terms.place_lane[::-1])
    for terms in (limits.terms, other):  # one of them has lanes in another order
        problem = open_block(0, memoryview(cell), terms)
        assert np.shares_memory(problem.key, lying)
        start = problem.option_start
        place = np.searchsorted(terms.place_key, held["place_key"])
        lane = terms.place_lane[place][held["option_place"]]
        order = np.repeat(np.arange(len(start) - 1), np.diff(start))
        sorting = np.lexsort((lane, order))
        assert problem.option_lane.tolist() == lane[sorting].tolist()
        assert problem.option_saving.tolist() == held["option_saving"][sorting].tolist()
    assert (np.diff(start).max() > 1) == has_choice
    assert cell == before


@pytest.mark.parametrize("kind", [np.int64, np.int32])
@pytest.mark.parametrize("most", [0, 127, 128, 2**15, 2**31 - 1, 2**31, 2**62, 2**63])
def test_narrow_integers_come_back_as_they_were(most, kind):
    """At the ends of every kind, of either sign; and what goes up by small steps."""
    most = min(most, np.iinfo(kind).max)
    ends = np.array([-most, 0, most - 1, most, -most], kind)
    steps = np.arange(most - 5_000, most, 5, kind)
    rest = np.zeros(0, kind), np.eye(2, dtype=kind)
    given = ByBlock({3: (ends, steps, *rest)})
    shared, own = split([given, given])
    first, second = whole(shared, 3, own[3])
    assert first is not None
    assert len(own[3]) < steps.nbytes / 4 + 1_000
    for found in (first, second):
        for ours, theirs in zip(found[3], given[3], strict=True):
            assert ours.dtype == theirs.dtype
            assert ours.tolist() == theirs.tolist()
    assert whole(shared, 4, b"") == [{}, {}]
    cell = pack(ends=ends, steps=steps)
    assert len(cell) < steps.nbytes / 4 + 1_000
    for name, theirs in (("ends", ends), ("steps", steps)):
        ours = unpack(cell)[name]
        assert ours.dtype == theirs.dtype
        assert ours.tolist() == theirs.tolist()


def test_what_a_screen_sends_back_is_bounded_by_the_caps(monkeypatch):
    """Of a merchant ``2 * cap + 4`` orders at most; ``3 * cap + 4`` in the sample."""
    field, *_ = make_field(random_tables(2, num_orders=4_000, rate="0.03"), 3, 2)
    seen = []
    monkeypatch.setattr(near_module, "gather", watched(near_module.gather, seen))
    solve_core(field, 1)
    assert len(seen) >= 2
    for depth, problem in zip((3, *[2] * len(seen)), seen, strict=False):
        sizes = np.diff(problem.merchant_start)
        assert (sizes <= depth * field.cap + 4).all()
        assert sizes.sum() < 400


def watched(gather, seen):
    def noting(field, screen):
        found = gather(field, screen)
        seen.append(found[0])
        return found

    return noting


@given(seed=st.integers(0, 10_000))
def test_the_kernel_of_the_check_is_its_twin(seed):
    """Worth above prices, and the most above lane prices, in plain Python."""
    draw = np.random.default_rng(seed)
    problem = random_problem(draw)
    price = draw.integers(0, 5, problem.num_lanes)
    cut = draw.integers(0, 5, problem.num_merchants)
    above, highest = above_cuts(problem, price, cut)
    for merchant in range(problem.num_merchants):
        first, last = problem.merchant_start[merchant : merchant + 2]
        worth = [
            max(
                (
                    int(problem.option_saving[a] - price[problem.option_lane[a]])
                    for a in range(*problem.option_start[order : order + 2])
                ),
                default=0,
            )
            for order in range(first, last)
        ]
        assert above[merchant] == sum(max(0, w - cut[merchant]) for w in worth)
        assert highest[merchant] == max([0, *worth])


def test_capacity_of_a_packing_night_is_refused():
    """A floor: the row is named."""
    tables = random_tables(1)
    first = pl.int_range(pl.len()) == 0
    floor = pl.when(first).then(pl.lit(1)).otherwise(0)
    capacity = tables.capacity.with_columns(min_parcels=floor, slots=9)
    census, rows = summarize_blocks(make_blocks(tables, 2)), checked(capacity)
    with pytest.raises(DataError, match=r"such as .carrier.*engine: local"):
        set_limits(census, rows, make_rules(tables))


def test_two_orders_of_one_key_ask_for_other_keys(monkeypatch):
    """Keys that clash are found where merchants meet, and never decide anything."""
    from optimizer.build import encode

    whole = encode.order_keys
    few = lambda ids, salt: tuple(k % np.uint64(7) for k in whole(ids, salt))  # noqa: E731
    monkeypatch.setattr(encode, "order_keys", few)
    with pytest.raises(KeyCollision):
        summarize_blocks(make_blocks(random_tables(1), 1))


def test_a_night_out_of_time_is_no_night():
    """Without a proof there is no plan; the message says what to raise."""
    field, *_ = make_field(random_tables(3), 2, is_late=lambda: True)
    with pytest.raises(SolveError, match="time_limit_seconds"):
        solve_core(field, 1)
