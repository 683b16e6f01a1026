"""Fractions of slots: never more than the rate in any window, pooled or carried."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from optimizer.build.carryover import compare_roundings, policy_caps
from optimizer.config import as_config, policy_on
from optimizer.config.cap import NANO, carryover_caps, pooled_caps
from optimizer.errors import ConfigError
from optimizer.night.state.database import StateDatabase, memory_state
from optimizer.night.state.ledger import load_before, refuse_if_relied_on
from optimizer.night.state.schema import BANK
from tests.support.examples import examples

START = dt.date(2026, 1, 1)
ROUNDINGS = ("floor", "carryover", "pooled")


def config_with(rate: str, rounding: str = "carryover", window_days: int = 30):
    """A configuration with one policy row."""
    cap = {"rate": Decimal(rate), "rounding": rounding, "window_days": window_days}
    row = {"valid_from": "2020-01-01", "cap": cap, "fee": {"amount_cny": 1}}
    return as_config(
        {
            "version": 1,
            "policy": [row | {"carriers": ["yunda"]}],
            "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        }
    )


@cache
def one_state() -> tuple[ExitStack, StateDatabase]:
    """A database for many examples."""
    stack = ExitStack()
    return stack, stack.enter_context(memory_state())


@contextmanager
def empty_bank() -> Iterator[StateDatabase]:
    """The same database each time, with nothing in the bank."""
    _, state = one_state()
    with state.transaction() as connection:
        connection.execute(BANK.delete())
    yield state


@pytest.fixture(autouse=True, scope="module")
def closed_at_the_end() -> Iterator[None]:
    """Close the database that examples share."""
    yield
    one_state()[0].close()


def decide(
    state: StateDatabase,
    day: dt.date,
    orders: dict[str, int],
    rate: str,
    window_days: int,
) -> dict[str, int]:
    """Grant caps of a night as a run does, and write what a run writes."""
    config = config_with(rate, window_days=window_days)
    policy = policy_on(config, day)
    before = load_before(state, config, policy, day, None)
    refuse_if_relied_on(state, day, "replaced")
    names = sorted(orders)
    counts = np.array([orders[name] for name in names], np.int64)
    nobody = np.full(len(names), -1, np.int64)
    caps, bank = policy_caps(policy.cap, counts, counts, nobody, names, before.history)
    rows = [
        (day, name, int(e), int(g), int(c))
        for name, e, g, c in zip(
            names, bank.earned, bank.granted, bank.carried_out, strict=True
        )
    ]
    with state.transaction() as connection:
        connection.execute(BANK.delete().where(BANK.c.date == day))
        if not before.is_late:
            keys = [column.name for column in BANK.columns]
            values = [dict(zip(keys, row, strict=True)) for row in rows]
            connection.execute(insert(BANK), values)
    return dict(zip(names, caps.tolist(), strict=True))


def test_a_merchant_of_twenty_orders_a_night_by_hand():
    """At 3 % it earns 0.6 a night: none, then 1, 0, 1, 1, and again from nothing."""
    with memory_state() as state:
        granted = [
            decide(state, START + dt.timedelta(days=n), {"m": 20}, "0.03", 30)["m"]
            for n in range(10)
        ]
    assert granted == [0, 1, 0, 1, 1, 0, 1, 0, 1, 1]


def test_a_fraction_lapses_with_its_window():
    """With 10 orders a night, 0.3, a window of 3 nights never has a whole slot."""
    with memory_state() as state:
        granted = [
            decide(state, START + dt.timedelta(days=n), {"m": 10}, "0.03", 3)["m"]
            for n in range(12)
        ]
    assert granted == [0] * 12


@pytest.mark.parametrize(
    ("earned", "carried", "room", "granted", "carried_out"),
    [
        (0.6, 0.6, 0.6, 1, 0.2),
        (0.6, 0.6, -0.5, 0, 0.2),  # the window has no room: the whole slot lapses
        (2.6, 0.6, -0.5, 2, 0.2),
        (0.5, 0.0, -3.0, 0, 0.5),
        (1.0, 0.9, 5.0, 1, 0.9),
    ],
)
def test_one_night_of_the_bank_by_hand(earned, carried, room, granted, carried_out):
    """What is granted, and what fraction is left; never a whole slot."""
    nano = [np.array([round(x * 10)]) * (NANO // 10) for x in (earned, carried, room)]
    found = [part.tolist() for part in carryover_caps(*nano)]
    assert found == [[granted], [round(carried_out * 10) * (NANO // 10)]]


nights = st.tuples(
    st.integers(0, 13),  # the day
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 90), min_size=1),
    st.sampled_from(["0.03", "0.041", "0.5", "0.007000001"]),
    st.booleans(),  # withdraw what is there before
)


@pytest.mark.slow
@examples(150)
@given(st.lists(nights, min_size=1, max_size=30), st.integers(1, 6))
def test_no_history_grants_more_than_it_earns(history, window_days):
    """
    Nights in any order, again, withdrawn, at changing rates: a window that ends with a
    night that grants anything has granted no more than earned, and any run of nights
    less than one slot more. What could break that is refused.
    """
    earned: dict[tuple[dt.date, str], Fraction] = {}
    granted: dict[tuple[dt.date, str], int] = {}
    num_refused, num_days = 0, len({offset for offset, *_ in history})
    with empty_bank() as state:
        for offset, orders, rate, is_withdrawn in history:
            day = START + dt.timedelta(days=offset)
            try:
                if is_withdrawn:
                    refuse_if_relied_on(state, day, "withdrawn")
                    with state.transaction() as connection:
                        connection.execute(BANK.delete().where(BANK.c.date == day))
                    new = {}
                else:
                    new = decide(state, day, orders, rate, window_days)
            except ConfigError:
                num_refused += 1
                continue
            for key in [key for key in granted if key[0] == day]:
                del granted[key], earned[key]
            for merchant, count in new.items():
                granted[day, merchant] = count
                earned[day, merchant] = Fraction(rate) * orders[merchant]
    # Only a date that was run before, and counted on since, can be refused.
    assert num_refused <= len(history) - num_days
    days = [START + dt.timedelta(days=n) for n in range(14)]
    for merchant in "abc":
        e = [earned.get((day, merchant), Fraction(0)) for day in days]
        g = [granted.get((day, merchant), 0) for day in days]
        for last, count in enumerate(g):
            first = max(0, last - window_days + 1)
            if count:
                assert sum(g[first : last + 1]) <= sum(e[first : last + 1])
            for start in range(last + 1):
                assert sum(g[start : last + 1]) < 1 + sum(e[start : last + 1])


def test_a_night_between_others_leaves_the_bank_alone():
    """
    A missed date that is run later gets its floor and no fraction, so that the nights
    after it stay right; the date that they counted on cannot be replaced.
    """
    days = [START + dt.timedelta(days=n) for n in range(3)]
    with memory_state() as state:
        assert decide(state, days[0], {"m": 30}, "0.03", 30) == {"m": 0}
        assert decide(state, days[2], {"m": 30}, "0.03", 30) == {"m": 1}
        assert decide(state, days[1], {"m": 30}, "0.03", 30) == {"m": 0}
        assert decide(state, days[1], {"m": 50}, "0.03", 30) == {"m": 1}
        with pytest.raises(ConfigError, match=r"nights up to 2026-01-03 have used"):
            decide(state, days[0], {"m": 31}, "0.03", 30)
        assert decide(state, days[2], {"m": 20}, "0.03", 30) == {"m": 1}


@given(
    st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=12),
    st.sampled_from(["0.03", "0.29", "0.333333333", "1", "0"]),
)
def test_pooled_caps_add_up_to_the_platforms(merchants, rate):
    """
    No merchant has less than its floor or more than one above; the sum is at most the
    platform's; and it is less only if nobody who could use one goes without, or the
    larger fraction goes first.
    """
    counts = np.array([n for n, _ in merchants], np.int64)
    can_use = np.array([c for _, c in merchants], bool)
    tie = np.arange(len(counts)).astype(np.uint64)
    caps = pooled_caps(counts, Decimal(rate), can_use, tie).tolist()
    exact = [Fraction(rate) * int(n) for n in counts]
    extra = [cap - int(x) for cap, x in zip(caps, exact, strict=True)]
    left = int(sum(exact, Fraction(0))) - sum(int(x) for x in exact)
    asking = [x % 1 for x, c in zip(exact, can_use, strict=True) if c and x % 1]
    assert set(extra) <= {0, 1}
    assert sum(extra) == min(left, len(asking))
    got = [x % 1 for x, n in zip(exact, extra, strict=True) if n]
    assert sorted(got) == sorted(asking)[len(asking) - sum(extra) :]
    assert all(c for n, c in zip(extra, can_use, strict=True) if n)


def test_the_three_roundings_are_compared_by_hand():
    """
    Three merchants of 1, 33 and 50 orders at 3 %: 0.03, 0.99 and 1.5 slots. Floor
    gives 1; pooled 2 of 2.52; carryover over 30 such nights 0, 29 and 45.
    """
    cap = policy_on(config_with("0.03"), None).cap
    counts = np.array([1, 33, 50], np.int64)
    assert compare_roundings(cap, counts, counts) == {
        "floor": {"num_slots": 1, "num_merchants_without": 2},
        "carryover": {"num_slots": 2.5, "num_merchants_without": 1},
        "pooled": {"num_slots": 2, "num_merchants_without": 1},
    }


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_an_override_replaces_the_cap_and_leaves_the_bank_alone(rounding):
    """A merchant with ``cap_override`` has just that, and earns nothing."""
    config = config_with("0.03", rounding)
    counts, override = np.array([40, 40]), np.array([7, -1])
    with memory_state() as state:
        policy = policy_on(config, START)
        before = load_before(state, config, policy, START, None)
        caps, bank = policy_caps(
            policy.cap, counts, counts, override, ["m", "n"], before.history
        )
    assert caps.tolist() == [7, 1]
    if bank is not None:
        assert bank.earned.tolist() == [0, 12 * NANO // 10]


def test_a_rate_change_keeps_what_was_earned():
    """0.9 earned at 3 % and 0.1 at 10 % of one order: one slot on the second night."""
    days = [START + dt.timedelta(days=n) for n in range(2)]
    with memory_state() as state:
        first = decide(state, days[0], {"m": 30}, "0.03", 30)
        second = decide(state, days[1], {"m": 1}, "0.1", 30)
    assert [first, second] == [{"m": 0}, {"m": 1}]
