"""Outcomes are found a block of orders at a time, in threads, and show neither."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from optimizer.explain import outcomes
from optimizer.testing import random_tables
from tests.support.golden_nights import GOLDEN


@pytest.mark.parametrize(
    "name", ["a subsidy budget", "a load that never fits", "a pin", "random"]
)
def test_blocks_and_threads_do_not_show(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Blocks of two orders give every row what one block gives; no block is main's."""

    def solve() -> Any:
        if name != "random":
            return GOLDEN[name].solve()
        import optimizer

        tables = random_tables(3, num_orders=60)
        return optimizer.allocate(tables.orders, tables.capacity, config=tables.config)

    whole, threads = solve(), set()
    find_room = outcomes.has_room

    def watched(*given: Any) -> Any:
        threads.add(threading.current_thread().name)
        return find_room(*given)

    monkeypatch.setattr(outcomes, "BLOCK_ORDERS", 2)
    monkeypatch.setattr(outcomes, "has_room", watched)
    found = solve()
    for table in ("orders", "merchants", "lanes"):
        one, other = getattr(found, table), getattr(whole, table)
        assert one.equals(other, null_equal=True), table
    assert threads
    assert threading.main_thread().name not in threads
