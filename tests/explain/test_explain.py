"""Sentences and summaries say what the tables hold."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

import optimizer
from optimizer.errors import DataError
from optimizer.explain.night import Night
from optimizer.explain.sentences import explain_order, sentence
from optimizer.testing import make_config, make_tables, random_tables


def night_with_every_reason() -> Night:
    """One night whose orders show all the reasons that a solve can give."""
    tables = make_tables(
        [
            ("chosen", "m", "north", 5),
            ("full-lane", "m", "north", 3.25),
            ("both", "n", "north", 4),
            ("second", "n", "south", 2),
            ("full-cap", "n", "south", 1.75),
            ("small-merchant", "o", "south", 7.125),
            ("harm", "m", "south", -0.5),
            ("out", "m", "south", 1),
            ("pinned", "m", "south", 1),
            ("no-carrier", "m", "south", 1),
        ],
        {"yunda/north": 1, "yunda/south": 9},
    )
    orders = tables.orders.with_columns(
        is_eligible=pl.col("order_id") != "out",
        ineligible_reason=pl.when(pl.col("order_id") == "out").then(pl.lit("gift")),
        pin=pl.when(pl.col("order_id") == "pinned").then(pl.lit("never")),
        carrier_id=pl.when(pl.col("order_id") == "no-carrier")
        .then(pl.lit("pigeon"))
        .otherwise("carrier_id"),
    )
    caps = pl.DataFrame({"merchant_id": ["m", "n", "o"], "cap_override": [9, 1, 0]})
    return optimizer.allocate(
        orders, tables.capacity, config=tables.config, merchants=caps
    )


SENTENCES = {
    "chosen": "chosen, with yunda: it avoids 5.00 CNY of expected harm "
    "after the fee that counts, 1.75 more than it had to",
    "full-lane": "not chosen: the carrier's slots there went to parcels that avoid "
    "at least as much harm; this one avoids 3.25 CNY after the fee "
    "that counts and would need 1.75 more",
    "full-cap": "not chosen: the merchant's 1 slot went to parcels that each avoid at "
    "least 2.00 CNY, the fee that counts and places with carriers paid; this one "
    "avoids 1.75 CNY after the fee and would need 0.25 more",
    "both": "not chosen: the merchant's cap of 1 and the carrier's slots there went to "
    "parcels that together avoid at least as much harm; this one avoids 4.00 CNY "
    "after the fee that counts and would need 3.00 more",
    "small-merchant": "not chosen: with 1 order the merchant's cap is 0, and this "
    "order would avoid 7.12 CNY after the fee that counts",
    "harm": "not chosen: premium would cost 0.50 CNY more than the harm it avoids",
    "out": "not considered: the order or its merchant is not eligible (gift)",
    "pinned": 'not considered: the order is pinned to "never"',
    "no-carrier": "not considered: none of its carriers offers the service on this "
    "date",
}


@pytest.mark.parametrize("order_id", SENTENCES)
def test_a_sentence_says_why_with_the_right_numbers(order_id: str):
    """Each reason has its sentence, with the numbers that one finds by hand."""
    expected = f"{order_id}: {SENTENCES[order_id]}"
    assert night_with_every_reason().explain(order_id) == expected


def test_an_order_that_is_not_there_is_refused_by_name():
    """It may be in quarantine or of another day; the message says so."""
    with pytest.raises(
        DataError, match=r"order 'nobody' is not in this night.*quarantine"
    ):
        night_with_every_reason().explain("nobody")


def test_where_there_was_no_room_at_all_nobody_else_got_it():
    """
    With no slots in a lane, the sentence does not say that they went to others, nor
    that a little more saving would have helped.
    """
    orders = [("a", "m", "north", 3), ("b", "m", "south", -1)]
    tables = make_tables(orders, {"yunda/south": 5}, rate=1)
    night = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
    assert night.orders["reason"].to_list() == ["CAPACITY_FULL", "NO_SAVING"]
    sentence = night.explain("a")
    assert "went to parcels" not in sentence
    assert "would need" not in sentence
    assert sentence.endswith(
        "none of its carriers has room for it there; it would avoid 3.00 CNY "
        "after the fee that counts"
    )


def test_a_row_without_slots_around_a_lane_leaves_no_room():
    """
    A region has slots and its carrier has none: nobody else got them, and the
    sentence says so; with one slot for the carrier the other order did.
    """
    orders = [("a", "m", "north", 3), ("b", "m", "north", 5)]
    for slots, words in ((0, "none of its carriers has room"), (1, "went to parcels")):
        tables = make_tables(orders, {"yunda": slots, "yunda/north": 5}, rate=1)
        night = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
        assert words in night.explain("a")
        assert night.orders["has_room"].to_list() == [slots > 0] * 2


def test_reasons_are_counted_in_the_summary():
    """One of each reason here, two of them chosen; and they add up to all orders."""
    summary = night_with_every_reason().summary
    assert summary["reasons"] == {
        "CHOSEN": 2,
        "NO_SAVING": 1,
        "CAP_ZERO": 1,
        "CAP_FULL": 1,
        "CAPACITY_FULL": 1,
        "CAP_AND_CAPACITY": 1,
        "INELIGIBLE": 1,
        "CARRIER_INACTIVE": 1,
        "PINNED_OUT": 1,
        "HELD_OUT": 0,
        "EXPLORED": 0,
    }
    assert summary["num_orders"] == sum(summary["reasons"].values()) == 10
    assert (summary["num_chosen"], summary["saving_cny"]) == (2, 7.0)
    assert (summary["num_merchants"], summary["num_merchants_with_cap"]) == (3, 2)
    assert summary["sum_of_caps"] == 10


@pytest.mark.parametrize("seed", range(10))
def test_the_summary_is_the_sum_of_the_tables(seed: int):
    """Every number of the summary comes out again from the tables of the night."""
    tables = random_tables(seed, num_orders=100)
    broken = pl.when(pl.int_range(pl.len()) < 3).then(2.0)
    column = "return_prob_standard"
    orders = tables.orders.with_columns(broken.otherwise(column).alias(column))
    config = tables.config | {"quarantine": {"max_share": 0.03}}
    night = optimizer.allocate(orders, tables.capacity, config=config)
    found, decided = dict(night.summary), night.decisions
    chosen = decided.filter("is_premium")
    micro = sum(round(saving * 1_000_000) for saving in chosen["saving_cny"])
    expected = {
        "num_orders": 97,
        "num_quarantined": 3,
        "num_merchants": decided["merchant_id"].n_unique(),
        "num_merchants_with_cap": int((night.merchants["cap"] > 0).sum()),
        "num_lanes": len(night.lanes),
        "num_chosen": len(chosen),
        "sum_of_caps": night.merchants["cap"].sum(),
        "num_caps_binding": int((night.merchants["shadow_price_cny"] > 0).sum()),
        "num_lanes_binding": int((night.lanes["shadow_price_cny"] > 0).sum()),
    }
    assert {name: found[name] for name in expected} == expected
    assert round(found["saving_cny"] * 1_000_000) == micro
    counts = dict(decided["reason"].value_counts().iter_rows())
    assert {k: v for k, v in found["reasons"].items() if v} == counts


def test_money_in_the_summary_is_exact_decimals():
    """
    Fee by payer and the largest compensation, as decimals: three chosen at 0.70 CNY,
    a third of it paid by the platform as far as nine decimals go.
    """
    orders = [(name, "m", "north", 5) for name in "abc"]
    tables = make_tables(orders, {"yunda": 9}, rate=1)
    config = make_config(1)
    config["policy"][0] |= {
        "fee": {
            "amount_cny": 0.7,
            "payer": {
                "merchant": 0.5,
                "platform": 0.333333333,
                "consumer": 0.166666667,
            },
        },
        "compensation": {"amount_cny": 5.1, "payee": "recipient"},
    }
    night = optimizer.allocate(tables.orders, tables.capacity, config=config)
    assert night.summary["num_chosen"] == 3
    assert night.summary["largest_compensation_cny"] == {"recipient": "15.3"}
    fees = dict(night.summary["fees_cny"])
    assert fees == {
        "total": "2.1",
        "merchant": "1.05",
        "platform": "0.6999999993",
        "consumer": "0.3500000007",
    }
    paid = sum(Decimal(fees[who]) for who in ("merchant", "platform", "consumer"))
    assert paid == Decimal(fees["total"])
    assert night.summary["saving_cny"] == 12.9


def test_equals_are_said_to_be_equal_and_the_least_lack_is_an_amount():
    """
    Two orders save 10 each for one slot: nobody who has it avoids more, and neither
    sentence says so or lacks 0.00. A third that saves a millionth less lacks that.
    """
    tables = make_tables(
        [("a", "m", "x", 10), ("b", "n", "x", 10), ("c", "o", "x", 9.999999)],
        {"yunda": 1},
        rate=1,
    )
    night = optimizer.allocate(tables.orders, tables.capacity, config=tables.config)
    told = {order: night.explain(order) for order in "abc"}
    (kept,) = night.orders.filter(pl.col("is_premium"))["order_id"]
    (out,) = {"a", "b"} - {kept}
    tie = ": either choice is worth the same"
    assert told[kept] == (
        f"{kept}: chosen, with yunda: it avoids 10.00 CNY of expected harm after "
        f"the fee that counts, as much as what was left out for it{tie}"
    )
    assert told[out] == (
        f"{out}: not chosen: the carrier's slots there went to parcels that avoid at "
        f"least as much harm; this one avoids 10.00 CNY after the fee that counts, as "
        f"much as what was chosen instead{tie}"
    )
    assert told["c"].endswith("after the fee that counts and would need 0.000001 more")
    chinese = explain_order(out, night.decisions, night.merchants, "zh")
    assert chinese == (
        f"{out}: 未入选：承运商在该处的名额已给了净避免损失不少于它的订单；扣除计入"
        "的服务费后，该订单可净避免损失 10.00 元，与代替它入选的订单相当："
        "两种选择的价值相同"
    )


def test_a_drawn_order_says_what_the_plan_would_do_with_it():
    """
    Of the explore arm: who is recommended, who is not, and whether the plan beside it
    would choose it; an order of the plan that is kept back is told from these.
    """
    drawn = {"arm": "explore", "carrier_id": "yunda", "saving_cny": -0.25}
    out = drawn | {"reason": "HELD_OUT", "margin_cny": -3.5}
    assert sentence(out, {}) == (
        "drawn at random, not chosen by the plan, and kept on standard service by even "
        "chance, to measure what premium does; it would save -0.25 CNY; the plan "
        "beside it would not choose it, and it would need 3.50 more"
    )
    assert sentence(drawn | {"reason": "EXPLORED", "margin_cny": 2.0}, {}).endswith(
        "with yunda: it saves -0.25 CNY; the plan beside it would choose it, with 2.00 "
        "to spare"
    )
    unknown = drawn | {"reason": "EXPLORED", "margin_low_cny": -1.0}
    assert sentence(unknown, {}).endswith("it saves -0.25 CNY")
    assert "若参与优化，在现有方案下不会入选，还差 3.50 元" in sentence(out, {}, "zh")
    kept = {"reason": "HELD_OUT", "arm": "policy", "carrier_id": "yunda"}
    assert sentence(kept | {"saving_cny": 2.0}, {}).endswith(
        "where yunda would have avoided 2.00 CNY after the fee that counts"
    )


def test_without_an_exact_margin_others_are_not_said_to_be_better():
    """On packing nights loads and floors decide too; who has a slot may avoid less."""
    order = {"reason": "CAP_FULL", "saving_cny": 3.0, "margin_high_cny": -0.5}
    merchant = {"cap": 2, "one_fewer_cny": None}
    assert sentence(order, merchant) == (
        "not chosen: the merchant's 2 slots went to other parcels; this one avoids "
        "3.00 CNY after the fee that counts and would need at least 0.50 more"
    )


def test_a_fee_as_high_as_the_harm_is_not_said_to_be_higher():
    """A saving of exactly 0 is not 0.00 CNY more; one of a millionth below is."""
    assert sentence({"reason": "NO_SAVING", "saving_cny": 0.0}, {}) == (
        "not chosen: premium would cost as much as the harm it avoids"
    )
    assert "cost 0.000001 CNY more" in sentence(
        {"reason": "NO_SAVING", "saving_cny": -0.000001}, {}
    )
