"""Permutations lose nothing, and ids hold nothing that looks personal."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optimizer.simulate.draw import apportion
from optimizer.simulate.ids import (
    LETTERS,
    Stream,
    order_ids,
    permute_below,
    round_keys,
    stream,
)

seeds = st.integers(0, 2**64)


@given(size=st.integers(1, 3_000), seed=seeds)
def test_permutation_is_one_to_one(size: int, seed: int) -> None:
    """Each number below the size is met exactly once, whatever the keys."""
    keys = round_keys(np.random.default_rng(seed))
    places = permute_below(np.arange(size, dtype=np.uint64), size, keys)

    assert np.sort(places).tolist() == list(range(size))


@given(numbers=st.sets(st.integers(0, 2**40 - 1), max_size=50), seed=seeds)
def test_distinct_numbers_give_distinct_ids(numbers: set[int], seed: int) -> None:
    """Ids are one to one over the whole range of counters, far ends included."""
    keys = round_keys(np.random.default_rng(seed))
    ids = order_ids("20261122-", np.array(sorted(numbers), np.uint64), keys)
    letters = set(LETTERS.tobytes().decode())

    assert len(set(ids.to_pylist())) == len(numbers)
    assert all(set(text[9:]) <= letters for text in ids.to_pylist())
    assert all(len(text) == 19 and text[:9] == "20261122-" for text in ids.to_pylist())


def test_streams_differ_by_name_and_by_place() -> None:
    """No two streams of a seed begin alike, and a stream can be opened again."""
    places = [(name, day) for name in Stream for day in (1, 2)]
    first = [stream(7, name, day).random() for name, day in places]

    assert len(set(first)) == len(places)
    assert stream(7, Stream.NIGHT, 1).random() == stream(7, Stream.NIGHT, 1).random()


@given(
    weight=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=40),
    spare=st.integers(0, 10_000),
)
def test_apportionment_is_whole_and_fair(weight: list[float], spare: int) -> None:
    """Shares add up, leave nobody without, and miss the exact share by under one."""
    shares = apportion(len(weight) + spare, np.array(weight))
    exact = spare * np.array(weight) / sum(weight)

    assert shares.sum() == len(weight) + spare
    assert shares.min() >= 1
    assert np.abs(shares - 1 - exact).max() < 1 + 1e-6
