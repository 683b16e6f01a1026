"""Coins around the cut-off: no limit breaks, and propensities are what happens."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optimizer
from optimizer.build.experiment import Experiment
from optimizer.build.margin_coins import toss_coins
from optimizer.config import as_config, config_json
from optimizer.errors import ConfigError
from optimizer.model.problem import Problem
from optimizer.simulate import simulate_night
from optimizer.testing import assert_certified, make_tables
from tests.support.examples import examples

DAY = dt.date(2026, 11, 22)


def solve(tables, *, share, seed=0, **more):
    """A night whose explore share goes to coins around the cut-off."""
    config = {
        **tables.config,
        "objective": {**tables.config["objective"], "explore": "margin"},
        "holdout": {"explore_share": share, "seed": seed, **more},
    }
    return optimizer.allocate(
        tables.orders,
        tables.capacity,
        options=tables.options,
        config=config,
        date=DAY,
    )


def rows_of(night, *columns):
    """Some columns of the decisions by order."""
    return {row[0]: row[1:] for row in night.orders.select("order_id", *columns).rows()}


# Merchant m has two places and one lane in each city; n has one place. In the north the
# plan takes a (9) before b (8) and c (1); in the south d (5) before e (2).
BY_HAND = make_tables(
    [
        *[("a", "m", "north", 9.0), ("b", "m", "north", 8.0), ("c", "m", "north", 1.0)],
        *[("d", "m", "south", 5.0), ("e", "m", "south", 2.0)],
        *[("f", "n", "south", 4.0), ("g", "n", "south", 3.5)],
    ],
    {"yunda/north": 1, "yunda/south": 2},
    rate="0.5",
)


def test_a_night_by_hand():
    """
    With share 1 every chosen parcel has a coin: a against b, d against e, f against g.

    The plan is a, d and f whatever the coins; each coin that swaps a pair costs the
    difference of its savings, 1, 3 or 0.5 CNY.
    """
    seen = set()
    for seed in range(12):
        night = solve(BY_HAND, share=1, seed=seed)
        found = rows_of(night, "is_premium", "reason", "arm", "propensity")
        assert (
            night.certificate.primal_bound == 18_000_000 == night.certificate.dual_bound
        )
        assert found["c"] == (False, found["c"][1], None, 0.0)
        swapped = ""
        for inside, outside in ("ab", "de", "fg"):
            is_kept = found[inside][0]
            assert found[outside][0] is not is_kept
            assert found[inside][1] == ("CHOSEN" if is_kept else "HELD_OUT")
            assert found[inside][2:] == found[outside][2:] == ("margin", 0.5)
            assert (found[outside][1] == "EXPLORED") is not is_kept
            swapped += "" if is_kept else inside
        cost = sum({"a": 1.0, "d": 3.0, "f": 0.5}[name] for name in swapped)
        told = night.summary["experiment"]
        assert (told["num_coins"], told["num_swapped"]) == (3, len(swapped))
        assert told["coin_cost_cny"] == pytest.approx(cost)
        assert told["expected_coin_cost_cny"] == pytest.approx(2.25)
        assert night.summary["saving_cny"] == pytest.approx(18 - cost)
        seen.add(swapped)
    assert len(seen) > 3


@pytest.mark.slow
def test_the_cheapest_pair_is_taken_first():
    """With room for one pair of merchant m, it is a and b: they differ by 1, not 3."""
    chosen = Counter()
    for seed in range(40):
        found = rows_of(solve(BY_HAND, share=0.5, seed=seed), "arm")
        pairs = "".join(name for name, (arm,) in found.items() if arm == "margin")
        chosen[pairs] += 1
    # m has exactly one pair; n has one on half of the seeds.
    assert chosen.keys() == {"ab", "abfg"}
    assert 10 <= chosen["ab"] <= 30


nights = st.tuples(
    st.lists(
        st.tuples(
            st.sampled_from("mno"),
            st.sampled_from(("north", "south")),
            st.integers(-3, 9),
            st.integers(-3, 9),
        ),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["0.34", "0.5", "1"]),
    st.sampled_from([0.1, 0.5, 1]),
    st.integers(0, 99),
)


@given(nights)
@examples(40)
@pytest.mark.slow
def test_coins_break_no_limit_and_leave_the_plan_alone(night):
    """
    Caps and slots hold for what is carried out; the plan is that without coins, and
    each pair is one premium parcel and one standard one on a lane of a merchant.
    """
    rows, north, south, rate, share, seed = night
    tables = make_tables(
        [
            (
                f"o{at:02d}",
                merchant,
                place,
                {"yunda": float(first), "zhongtong": float(second)},
            )
            for at, (merchant, place, first, second) in enumerate(rows)
        ],
        {"yunda/north": north, "yunda/south": south, "zhongtong": 2},
        rate=rate,
    )
    found = solve(tables, share=share, seed=seed)
    plain = optimizer.allocate(
        tables.orders,
        tables.capacity,
        options=tables.options,
        config=tables.config,
        date=DAY,
    )

    assert_certified(found)
    assert found.certificate == plain.certificate
    assert found.lanes.equals(plain.lanes)
    premium = found.orders.filter("is_premium").join(
        tables.orders.select("order_id", "region_id"), on="order_id"
    )
    for merchant, cap in found.merchants.select("merchant_id", "cap").rows():
        assert (premium["merchant_id"] == merchant).sum() <= cap
    yunda = premium.filter(carrier_id="yunda")
    assert (yunda["region_id"] == "north").sum() <= north
    assert (yunda["region_id"] == "south").sum() <= south
    assert (premium["carrier_id"] == "zhongtong").sum() <= 2
    ours = found.orders.filter(arm="margin")
    counted = ours.group_by("merchant_id", "carrier_id").agg(
        pl.col("is_premium").sum(), num=pl.len()
    )
    assert (counted["num"] == 2 * counted["is_premium"]).all()
    planned = plain.orders.filter("is_premium")["order_id"].to_list()
    kept = found.orders.filter(pl.col("reason").is_in(["CHOSEN", "HELD_OUT"]))
    assert kept["order_id"].to_list() == planned


@pytest.mark.slow
def test_the_logged_propensity_is_what_happens():
    """
    Over 4,000 seeds each parcel of a pair gets premium in half of its nights (by
    chi-square at 99.9 %), and pairs are the share of the plan that was asked for.
    """
    size = 8
    problem = Problem(
        merchant_start=np.array([0, 5, 8]),
        cap=np.array([3, 1]),
        option_start=np.arange(size + 1),
        option_lane=np.zeros(size, np.int32),
        option_saving=np.array([9, 8, 7, 6, 1, 5, 4, 3]),
        slots=np.array([4]),
        lane_parent=np.array([-1], np.int32),
        key=np.arange(size, dtype=np.uint64) * np.uint64(7919),
        row=np.arange(size),
    )
    chosen = np.array([0, 1, 2, 5])
    premium, there, num_pairs = np.zeros(size), np.zeros(size), 0
    for seed in range(4_000):
        rules = Experiment(
            Fraction(0), Fraction(0), seed, DAY, coin_share=Fraction(2, 5)
        )
        pairs = toss_coins(problem, chosen, ("m", "n"), rules)
        there[pairs.inside] += 1
        there[pairs.outside] += 1
        premium[np.where(pairs.is_kept, pairs.inside, pairs.outside)] += 1
        num_pairs += len(pairs.inside)
    # 2/5 of three is one pair and a fifth of another, of one 2/5; the nearest first.
    assert num_pairs / 4_000 == pytest.approx(1.6, abs=0.03)
    assert there[[2, 3, 1, 4]] / 4_000 == pytest.approx([1, 1, 0.2, 0.2], abs=0.03)
    ours = there > 0
    assert not ours[[0, 7]].any()
    square = (premium[ours] - there[ours] / 2) ** 2 / (there[ours] / 4)
    # The two parcels of a pair are one coin: three coins, 16.27 at 99.9 %.
    assert square.sum() / 2 < 16.27


def test_pairs_do_not_depend_on_the_order_of_rows_or_on_threads():
    """Shuffled rows, or another number of threads: the same decisions."""
    day = simulate_night(num_orders=2_000, num_merchants=12, seed=5)
    config = {
        "version": 1,
        "policy": [
            {
                "valid_from": "2022-01-12",
                "cap": {"rate": 0.1},
                "fee": {"amount_cny": 0.8},
                "carriers": ["zhongtong", "yuantong", "yunda", "shunfeng"],
            }
        ],
        "objective": {
            "complaint_cost_cny": 30,
            "return_cost_cny": 18,
            "explore": "margin",
        },
        "holdout": {"share": 0.1, "explore_share": 0.5, "seed": 3},
    }
    first = optimizer.allocate(day.orders, day.capacity, config=config, date=DAY)
    again = optimizer.allocate(
        day.orders.sample(fraction=1, shuffle=True, seed=9),
        day.capacity,
        config=config | {"solver": {"num_threads": 1}},
        date=DAY,
    )
    assert first.summary["experiment"]["num_coins"] > 5
    assert first.orders.equals(again.orders)
    # The holdout keeps no parcel of a pair: their propensities are 0.5, those of the
    # other chosen ones 0.9.
    chances = first.orders.filter(pl.col("arm").is_not_null())
    assert set(chances.select("arm", "propensity").rows()) == {
        ("policy", 0.9),
        ("margin", 0.5),
    }


def test_none_explores_nobody_and_margin_needs_a_share():
    """
    With ``none`` the share is not used, and the night says that nobody explores;
    ``margin`` without one is refused.
    """
    settings = {**BY_HAND.config, "holdout": {"explore_share": 1}}
    none = settings | {"objective": {**settings["objective"], "explore": "none"}}
    night = optimizer.allocate(
        BY_HAND.orders, BY_HAND.capacity, options=BY_HAND.options, config=none, date=DAY
    )
    assert set(night.orders["arm"]) == {"policy", None}
    assert "experiment" not in night.summary
    assert "NONE_AT_RANDOM" in {one.code for one in night.assumptions}
    held = {**none, "holdout": {"explore_share": 1, "share": 0.5}}
    night = optimizer.allocate(
        BY_HAND.orders, BY_HAND.capacity, options=BY_HAND.options, config=held, date=DAY
    )
    (told,) = (one for one in night.assumptions if one.code == "HELD_AT_RANDOM")
    assert "explored" not in told.values
    assert str(told).startswith("50% of the plan is kept back at random")
    assert str(told).endswith("no exploration")
    alone = {**BY_HAND.config["objective"], "explore": "margin"}
    with pytest.raises(ConfigError, match=r"needs holdout\.explore_share above 0"):
        as_config({**BY_HAND.config, "objective": alone})
    # What nights of before say of themselves stays as it was.
    assert "explore" not in config_json(as_config(settings))["objective"]


def test_a_night_with_other_limits_is_refused():
    """Where more than caps and lanes limits it, a swap could break a limit."""
    orders = BY_HAND.orders.with_columns(
        pin=pl.when(pl.col("order_id") == "b").then(pl.lit("must"))
    )
    tables = replace(BY_HAND, orders=orders)
    with pytest.raises(ConfigError, match="this night also has pins"):
        solve(tables, share=0.5)
