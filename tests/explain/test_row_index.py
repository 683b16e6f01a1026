"""The index of orders is one stable sort of their keys, in any parts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from optimizer.explain import row_index
from optimizer.explain.row_index import RowIndex


@pytest.mark.parametrize("room", [None, 1_000], ids=["memory", "file"])
@pytest.mark.parametrize("num_keys", [0, 1, 7, 2_000])
@pytest.mark.parametrize("part_rows", [50, 10_000])
def test_rows_stand_by_key_and_those_of_one_key_by_row(
    monkeypatch: pytest.MonkeyPatch, num_keys: int, part_rows: int, room: int | None
) -> None:
    """Keys at both ends of their range, and some that many orders share."""
    monkeypatch.setattr(row_index, "_SORTED_ROWS", part_rows)
    draw = np.random.default_rng(num_keys)
    keys = draw.integers(0, 1 << 64, num_keys, np.uint64)
    keys[::3] = draw.choice(np.array([0, 5, 1 << 63, (1 << 64) - 1], np.uint64))
    keys[1::7] = np.uint64((1 << 64) - 1)
    index = RowIndex(room)
    for first in range(0, num_keys, 300):
        mine = keys[first : first + 300]
        index.add(pl.DataFrame({"merchant_id": [f"m{first:05d}"] * len(mine)}), mine)
    found = pl.concat(index.orders())
    order = np.argsort(keys, kind="stable")
    assert found["order_key"].to_numpy().tolist() == keys[order].tolist()
    assert found["row"].to_list() == order.tolist()


def test_a_merchant_that_goes_on_is_one() -> None:
    """Its rows are counted from where it began, whichever call they came in."""
    index = RowIndex()
    for merchants in (["a", "b", "b"], ["b"], ["b", "c"], ["d"]):
        keys = np.arange(len(merchants), dtype=np.uint64)
        index.add(pl.DataFrame({"merchant_id": merchants}), keys)
    assert index.merchants().rows() == [
        ("a", 0, 1),
        ("b", 1, 4),
        ("c", 5, 1),
        ("d", 6, 1),
    ]
