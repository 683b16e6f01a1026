"""Small nights for tests: by hand, at random, and checked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import numpy as np
    import polars as pl

    from optimizer.explain.night import Night
    from optimizer.model.problem import Problem

#: Cost of a complaint in these nights; savings differ by its probability alone.
COMPLAINT_COST_CNY = 100


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """
    The input tables of one night, with a configuration that fits them.

    Attributes
    ----------
    orders, capacity
        As :func:`optimizer.allocate` takes them.
    config
        Fee 0, a complaint costs 100 CNY, a return nothing.
    options
        Carriers by order; ``None`` where every order has one carrier.
    """

    orders: pl.DataFrame
    capacity: pl.DataFrame
    config: dict[str, Any]
    options: pl.DataFrame | None = None


def make_config(rate: float | str = 0.5, **keys: Any) -> dict[str, Any]:
    """Configure a night whose savings are given by hand; ``keys`` are added on top."""
    return {
        "version": 1,
        "policy": [
            {
                "valid_from": "2000-01-01",
                "cap": {"rate": rate},
                "fee": {"amount_cny": 0},
                "carriers": ["yunda", "zhongtong", "yuantong"],
            }
        ],
        "objective": {"complaint_cost_cny": COMPLAINT_COST_CNY, "return_cost_cny": 0},
        **keys,
    }


def make_tables(
    orders: Iterable[tuple[str, str, str, float | Mapping[str, float]]],
    slots: Mapping[str, int],
    *,
    rate: float | str = 0.5,
) -> Tables:
    """
    Make a night by hand, with given savings.

    Parameters
    ----------
    orders
        ``(order_id, merchant_id, place, saving)``: the place is a region, or
        ``region/outlet``; the saving is in CNY, between -100 and 100, with
        carrier yunda, or a mapping of carriers to savings.
    slots
        Parcels by lane: ``carrier``, ``carrier/region`` or
        ``carrier/region/outlet``.
    rate
        The cap's share of each merchant's orders.

    Examples
    --------
    >>> import optimizer
    >>> night = make_tables(
    ...     [("a", "m", "north", 3.0), ("b", "m", "north", 2.0)], {"yunda": 5}
    ... )
    >>> found = optimizer.allocate(night.orders, night.capacity, config=night.config)
    >>> found.orders["reason"].to_list()
    ['CHOSEN', 'CAP_FULL']
    """
    import polars as pl

    rows, options = [], []
    for order_id, merchant_id, place, saving in orders:
        region, _, outlet = place.partition("/")
        savings = {"yunda": saving} if isinstance(saving, int | float) else dict(saving)
        low = min(0.0, *savings.values())
        rows.append((order_id, merchant_id, region, outlet or None, -low, 0.0))
        for carrier, worth in savings.items():
            options.append((order_id, carrier, worth - low))
    standard = pl.DataFrame(
        rows,
        schema=["order_id", "merchant_id", "region_id", "outlet_id", "low", "zero"],
        schema_overrides={"outlet_id": pl.String, "low": pl.Float64},
        orient="row",
    )
    ways = pl.DataFrame(
        options, schema=["order_id", "carrier_id", "worth"], orient="row"
    ).with_columns(pl.col("worth").cast(pl.Float64))
    return _as_tables(standard, ways, _capacity(slots), make_config(rate))


@cache
def example_run() -> Path:
    """
    Publish a small simulated night in a folder that is removed at the end.

    The same one for the whole process: for examples, and to try questions on.

    Returns
    -------
    Path
        The folder of the run.
    """
    import atexit
    import datetime as dt
    import shutil
    from pathlib import Path
    from tempfile import mkdtemp

    from optimizer.config import as_config
    from optimizer.job import run_date
    from optimizer.simulate import simulate

    folder = Path(mkdtemp(prefix="optimizer-example-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    day = dt.date(2026, 11, 22)
    simulate(folder, num_orders=1_000, num_merchants=10, num_days=1, seed=7, start=day)
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
    }
    night = folder / "nights" / "{date}"
    config = {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "inputs": {
            "orders": str(night / "orders.parquet"),
            "capacity": str(night / "capacity.csv"),
            "merchants": str(night / "merchants.parquet"),
        },
        "output": str(folder / "runs"),
    }
    run_date(as_config(config), day)
    return folder / "runs" / day.isoformat()


def _as_tables(
    standard: pl.DataFrame,
    ways: pl.DataFrame,
    capacity: pl.DataFrame,
    config: dict[str, Any],
) -> Tables:
    """Turn savings into probabilities: all of them are harm that premium avoids."""
    import polars as pl

    most = ways.group_by("order_id").agg(pl.col("worth").max().alias("most"))
    orders = standard.join(most, on="order_id", how="left", maintain_order="left")
    top = pl.max_horizontal(pl.col("most"), pl.col("low")) / COMPLAINT_COST_CNY
    orders = orders.with_columns(complaint_prob_standard=top).with_columns(
        return_prob_standard=pl.col("zero")
    )
    premium = (
        (pl.col("complaint_prob_standard") - pl.col("saving") / COMPLAINT_COST_CNY)
        .clip(0, 1)
        .alias("complaint_prob_premium")
    )
    chances = orders.select("order_id", "low", "complaint_prob_standard")
    options = (
        ways.join(chances, on="order_id", how="left", maintain_order="left")
        .with_columns(saving=pl.col("worth") + pl.min_horizontal(-pl.col("low"), 0.0))
        .select("order_id", "carrier_id", premium, return_prob_premium=pl.lit(0.0))
    )
    orders = orders.drop("low", "zero", "most")
    if options["order_id"].n_unique() < len(options):
        return Tables(orders, capacity, config, options)
    own = orders.join(options, on="order_id", how="left", maintain_order="left")
    return Tables(own, capacity, config)


def _capacity(slots: Mapping[str, int]) -> pl.DataFrame:
    import polars as pl

    rows = []
    for lane, number in slots.items():
        carrier, region, outlet = [*lane.split("/"), None, None][:3]
        rows.append((carrier, region, outlet, number))
    schema = {
        "carrier_id": pl.String,
        "region_id": pl.String,
        "outlet_id": pl.String,
        "slots": pl.Int64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def random_tables(
    seed: int,
    *,
    num_orders: int = 60,
    num_merchants: int = 6,
    has_choice: bool = False,
    rate: float | str = "0.3",
) -> Tables:
    """
    Make a small night at random: nested lanes, ties, orders that lose money.

    Parameters
    ----------
    seed
        Same seed, same night.
    num_orders, num_merchants
        Its size.
    has_choice
        Whether orders may go with several carriers.
    rate
        The cap's share.

    Examples
    --------
    >>> len(random_tables(1, num_orders=5).orders)
    5
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    carriers = ["yunda", "zhongtong", "yuantong"]
    orders: list[tuple[str, str, str, Mapping[str, float]]] = []
    for number in range(num_orders):
        place = f"r{draw.integers(3)}/o{draw.integers(2)}"
        most = 3 if has_choice else 1
        ways = draw.choice(carriers, size=draw.integers(1, most + 1), replace=False)
        savings = {str(way): round(float(draw.normal(2, 3)), 1) for way in ways}
        merchant = f"m{draw.integers(num_merchants)}"
        orders.append((f"order-{number}", merchant, place, savings))
    slots = {carrier: int(draw.integers(num_orders)) for carrier in carriers[:2]}
    for carrier in carriers:
        for region in range(3):
            lane = f"{carrier}/r{region}"
            slots[lane] = int(draw.integers(num_orders // 4 + 1))
            slots[f"{lane}/o0"] = int(draw.integers(num_orders // 8 + 1))
    return make_tables(orders, slots, rate=rate)


def random_problem(
    draw: np.random.Generator,
    *,
    num_orders: int = 12,
    num_merchants: int = 3,
    num_lanes: int = 5,
    most_options: int = 3,
    most_saving: int = 10,
) -> Problem:
    """
    Make a problem at random, in the solvers' own arrays: nested lanes, many ties.

    Parameters
    ----------
    draw
        Source of chance.
    num_orders, num_merchants, num_lanes
        Its size; a merchant may have no orders, a lane no slots.
    most_options
        Largest number of options of an order; some have none.
    most_saving
        Savings lie between a third of this below 0 and this, micro-CNY.
    """
    import numpy as np

    from optimizer.model.problem import Problem, starts

    merchant = np.sort(draw.integers(0, num_merchants, num_orders))
    num_options = draw.integers(0, most_options + 1, num_orders)
    order = np.repeat(np.arange(num_orders), num_options)
    lane = draw.integers(0, num_lanes, len(order)).astype(np.int32)
    keep = np.unique(order * num_lanes + lane)
    order, lane = np.divmod(keep, num_lanes)
    room = max(2, num_orders // 3)
    return Problem(
        merchant_start=starts(merchant, num_merchants),
        cap=draw.integers(0, max(2, num_orders // num_merchants), num_merchants),
        option_start=starts(order, num_orders),
        option_lane=lane.astype(np.int32),
        option_saving=draw.integers(-most_saving // 3, most_saving + 1, len(order)),
        slots=draw.integers(0, room, num_lanes),
        lane_parent=np.array(
            [draw.integers(-1, lane) for lane in range(num_lanes)], np.int32
        ),
        key=draw.permutation(num_orders).astype(np.uint64),
        row=np.arange(num_orders),
    )


def random_packing(
    draw: np.random.Generator,
    *,
    num_rows: int = 3,
    most_load: int = 3,
    pin_share: float = 0.2,
    **sizes: int,
) -> Problem:
    """
    Make a packing problem at random: loads, ceilings, floors and pins that may clash.

    Parameters
    ----------
    draw
        Source of chance.
    num_rows
        Side rows; each option is in about a third of them. Some have a ceiling, some
        a floor, hard or at a price, some both.
    most_load
        Largest load and weight.
    pin_share
        Share of orders that must be chosen, with ranks 0 to 2.
    sizes
        As :func:`random_problem` takes them.

    Examples
    --------
    >>> import numpy as np
    >>> random_packing(np.random.default_rng(1), num_rows=2).side.num_rows
    2
    """
    import numpy as np

    from optimizer.model.problem import Problem, starts
    from optimizer.model.side_constraints import (
        HARD,
        NO_CEILING,
        NO_FLOOR,
        NO_PIN,
        SideRows,
    )

    base = random_problem(draw, **sizes)
    count = base.num_options
    entry = np.argwhere(draw.random((count, num_rows)) < 1 / 3)
    room = max(2, base.num_orders * most_load // 4)
    high = np.where(
        draw.random(num_rows) < 0.6, draw.integers(0, room, num_rows), NO_CEILING
    )
    low = np.where(
        draw.random(num_rows) < 0.5, draw.integers(0, room, num_rows), NO_FLOOR
    )
    penalty = draw.integers(0, max(2, sizes.get("most_saving", 10)), num_rows)
    pin_rank = draw.integers(0, 3, base.num_orders)
    is_pinned = draw.random(base.num_orders) < pin_share
    side = SideRows(
        option_load=draw.integers(1, most_load + 1, count),
        entry_start=starts(entry[:, 0], count),
        entry_row=entry[:, 1].astype(np.int32),
        entry_weight=draw.integers(1, most_load + 1, len(entry)),
        low=np.minimum(low, high),
        high=high,
        penalty=np.where(draw.random(num_rows) < 0.5, HARD, penalty),
        rank=draw.integers(0, 3, num_rows).astype(np.int32),
        pin_rank=np.where(is_pinned, pin_rank, NO_PIN).astype(np.int32),
    )
    return Problem(
        merchant_start=base.merchant_start,
        cap=base.cap,
        option_start=base.option_start,
        option_lane=base.option_lane,
        option_saving=base.option_saving,
        slots=base.slots * ((most_load + 1) // 2),
        lane_parent=base.lane_parent,
        key=base.key,
        row=base.row,
        side=side,
    )


def assert_certified(night: Night) -> None:
    """
    Check a night against itself: the proof, and tables that agree with each other.

    Raises
    ------
    AssertionError
        Saying what does not hold.
    """
    proof = night.certificate
    assert proof.is_feasible, f"the plan breaks limits: {proof.violations}"
    assert proof.gap >= 0, "the bound is below the plan's own value"
    is_optimal = night.termination.reason == "OPTIMAL"
    assert proof.gap == 0 or not is_optimal, "called optimal, and not proved"
    premium = night.decisions.filter("is_premium")
    assert set(premium["reason"]) <= {"CHOSEN", "EXPLORED"}, "another reason is premium"
    assert len(night.recommendations) == len(premium), "not what is recommended"
    is_planned = night.decisions["reason"].is_in(["CHOSEN", "HELD_OUT"])
    is_ours = night.decisions["arm"].is_in(["policy", "margin", "thompson"])
    planned = night.decisions.filter(is_planned & is_ours)
    paid = round(night.summary.get("penalties_cny", 0) * 1e6)
    saved = _micro(planned["saving_cny"]) - paid
    assert saved == proof.primal_bound, "savings do not add up"
    explored = premium.filter(premium["arm"] == "explore")
    chosen = planned.vstack(explored)
    used = dict(chosen.group_by("merchant_id").len().iter_rows())
    # Where whole lanes or branches prove the bound, prices alone need not.
    is_tight = is_optimal and night.problem_class == "network"
    names = ("merchant_id", "cap", "used", "slack", "shadow_price_cny")
    for merchant_id, cap, count, slack, price in night.merchants.select(names).rows():
        assert count == used.get(merchant_id, 0), f"{merchant_id}: used is wrong"
        assert 0 <= slack == cap - count, f"{merchant_id}: slack is wrong"
        assert not (is_tight and slack and price), f"{merchant_id}: priced and slack"
    names = ("carrier_id", "slots", "used", "slack", "shadow_price_cny")
    for carrier_id, slots, count, slack, price in night.lanes.select(names).rows():
        assert 0 <= slack == slots - count, f"{carrier_id}: slack is wrong"
        assert not (is_tight and slack and price), f"{carrier_id}: priced and slack"
    _assert_margins(night.decisions)
    for table in (night.merchants, night.lanes):
        ends = ("one_more_cny", "shadow_price_cny", "one_fewer_cny")
        for more, price, fewer in table.select(ends).rows():
            assert more is None or more <= price, "one more brings more than its price"
            assert fewer is None or price <= fewer, "one fewer costs less than a price"


def _assert_margins(decisions: pl.DataFrame) -> None:
    """Check that margins have the sign of the decision, and agree with the surplus."""
    names = ["order_id", "reason", "margin_cny", "surplus_cny"]
    planned = decisions.filter(decisions["arm"].ne_missing("explore")).select(names)
    for order_id, reason, margin, surplus in planned.drop_nulls("margin_cny").rows():
        sign = 1 if reason in ("CHOSEN", "HELD_OUT") else -1
        assert sign * margin >= 0, f"{order_id}: the margin is of the wrong sign"
        assert sign * margin >= sign * surplus, f"{order_id}: a margin within its price"


def _micro(money: pl.Series) -> int:
    """Whole micro-CNY of a column of money, summed exactly."""
    return sum(round(value * 1e6) for value in money)
