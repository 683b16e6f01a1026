"""Where no exact margin is known, it lies between the ends that are published."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from optimizer.explain.certified_night import CertifiedNight
from optimizer.explain.sentences import margin_words
from optimizer.model.margins import NO_END
from optimizer.night.api import solve_night
from optimizer.testing import Tables, make_tables, random_tables
from tests.support.golden_nights import GOLDEN
from tests.support.packing_oracle import all_plans, broken, order_of, value_of


def loaded_night(seed: int) -> CertifiedNight:
    """A small night with parcels of one to three slots."""
    tables = random_tables(seed, num_orders=8, num_merchants=2, rate="0.6")
    loads = tables.orders.with_columns(load=1 + pl.int_range(pl.len()) % 3)
    return solved(tables, loads)


def pinned_night() -> CertifiedNight:
    """Three parcels for two slots; the one that saves least must be chosen."""
    orders = [("a", "m", "x", 5.0), ("b", "m", "x", 4.0), ("c", "m", "x", 1.0)]
    tables = make_tables(orders, {"yunda": 2}, rate="1")
    pin = pl.when(pl.col("order_id") == "c").then(pl.lit("must"))
    return solved(tables, tables.orders.with_columns(pin=pin))


def solved(tables: Tables, orders: pl.DataFrame) -> CertifiedNight:
    """Solve a night with other orders, however large its gap."""
    config = tables.config | {"publish": {"max_relative_gap": 1.0}}
    given = {"orders": orders, "capacity": tables.capacity}
    return solve_night(given, config, date=None, previous=None, progress=None).night


def golden_night(name: str) -> CertifiedNight:
    """A night that was made by hand."""
    golden = GOLDEN[name]
    config = golden.settings() | {"publish": {"max_relative_gap": 1.0}}
    config = {key: config[key] for key in config if key not in ("inputs", "output")}
    return solve_night(
        golden.tables(),
        config,
        date=dt.date(2026, 11, 22),
        previous=None,
        progress=None,
    ).night


def hold(night: CertifiedNight) -> tuple[int, int]:
    """
    Try every plan: each margin is within its ends; how many were held, and were open.

    Plans that miss a floor or a pin by more than the published one do not count.
    """
    problem, outcomes = night.intake.problem, night.outcomes
    chosen = tuple(night.solution.chosen.tolist())
    allowed = broken(problem, chosen)
    best: dict[tuple[int, bool], int] = {}
    for plan in all_plans(problem):
        missed = broken(problem, plan)
        if any(by > allowed.get(what, 0) for what, by in missed.items()):
            continue
        inside, worth = {order_of(problem, a) for a in plan}, value_of(problem, plan)
        for order in range(problem.num_orders):
            key = order, order in inside
            best[key] = max(best.get(key, -NO_END), worth)
    num_held = num_open = 0
    for order, row in enumerate(problem.row.tolist()):
        low, high = int(outcomes.margin_low[row]), int(outcomes.margin_high[row])
        if low == high == NO_END or (order, True) not in best:
            continue
        if (order, False) not in best:
            continue
        margin = best[order, True] - best[order, False]
        assert low <= margin <= high, (order, low, margin, high)
        num_held += 1
        num_open += low != high
    return num_held, num_open


@pytest.mark.slow
def test_ends_hold_the_margin_on_nights_with_loads() -> None:
    """
    On 24 nights with loads the margin that all plans together give is within the ends
    of each order; some ends meet.
    """
    held = [hold(loaded_night(seed)) for seed in range(24)]
    assert 5 < sum(num_open for _, num_open in held) < sum(n for n, _ in held)


def test_a_pinned_order_has_no_margin_and_the_others_no_upper_end() -> None:
    """It is in whatever it saves; and to leave a chosen one out may break the pin."""
    night = pinned_night()
    assert hold(night)[0] == 2
    low, high = night.outcomes.margin_low, night.outcomes.margin_high
    row = night.intake.problem.row[night.intake.problem.side.pin_rank >= 0]
    assert low[row].tolist() == high[row].tolist() == [NO_END]
    is_open = (low > -NO_END) & (low < NO_END) & (high == NO_END)
    assert is_open.sum() == 1


@pytest.mark.parametrize("name", [n for n in GOLDEN if "quantile" not in n])
def test_ends_hold_the_margin_on_nights_by_hand(name: str) -> None:
    """Every kind of limit beside caps and lanes, on a night small enough to try all."""
    night = golden_night(name)
    if night.intake.problem.side is not None:
        assert night.intake.problem.num_orders < 9
        hold(night)


WORDS = [
    ({"margin_cny": 3.0}, True, ", 3.00 more than it had to"),
    ({"margin_low_cny": 2.0, "margin_high_cny": 5.0}, True, ", at least 2.00 more"),
    ({"margin_low_cny": -1.0, "margin_high_cny": 5.0}, True, ", at most 5.00 more"),
    ({"margin_low_cny": -1.0}, True, ""),
    ({"margin_cny": -8.0}, False, " and would need 8.00 more"),
    ({"margin_high_cny": -2.5}, False, " and would need at least 2.50 more"),
    ({"margin_high_cny": 0.5}, False, "; the proof does not say how much it lacks"),
    ({}, False, "; no saving would be enough"),
]


@pytest.mark.parametrize(("order", "is_in", "words"), WORDS)
def test_words_claim_no_more_than_is_known(order, is_in: bool, words: str) -> None:
    """An amount, at least or at most so much, or that it is unknown; in Chinese too."""
    assert margin_words(order, "en", is_in=is_in).startswith(words)
    chinese = margin_words(order, "zh", is_in=is_in)
    amounts = [part for part in words.split() if part[0].isdigit()]
    assert all(amount in chinese for amount in amounts)
    assert bool(chinese) == bool(words)
