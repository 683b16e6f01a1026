"""Options find their orders, in whatever order both stand."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optimizer.build.option_join import find_orders, make_finder

keys = st.integers(0, 12)


@given(
    orders=st.lists(keys, unique=True),
    refused=st.lists(keys, unique=True),
    options=st.lists(st.tuples(keys, st.integers(1, 3))),
    is_in_turn=st.booleans(),
)
def test_every_option_finds_its_order_as_a_dictionary_would(
    orders: list[int],
    refused: list[int],
    options: list[tuple[int, int]],
    is_in_turn: bool,
) -> None:
    """
    The order's position, or none; and stray is what is neither known nor refused.

    Where options stand in the orders' turn, some left out, the answer is the same.
    """
    wanted = [key for key, times in options for _ in range(times)]
    if is_in_turn:
        wanted = [key for key in orders for _ in range(key % 3)] + wanted[:2]
    place = {key: number for number, key in enumerate(orders)}
    finder = make_finder(np.array(orders, np.uint64), np.array(refused, np.uint64))
    order, is_stray = find_orders(finder, np.array(wanted, np.uint64))

    assert order.tolist() == [place.get(key, -1) for key in wanted]
    assert is_stray.tolist() == [
        key not in place and key not in refused for key in wanted
    ]
