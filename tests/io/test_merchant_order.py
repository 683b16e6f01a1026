"""Rows by merchant and order id are those of one plain sort, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optimizer.io import merchant_order
from optimizer.io.ahead import made_ahead
from optimizer.io.merchant_order import block_parts, merchant_blocks, sorted_block
from optimizer.night.merkle import ROWS_IN_PIECE

#: Ids that eight bytes behind what they have in common do not tell apart, and others.
FORMS = {
    "numbers": lambda k: f"{k}",
    "padded": lambda k: f"2026-11-22-{k:012d}",
    "long tails alike": lambda k: f"p{k % 7}-" + "x" * 20 + f"{k:05d}",
    "one begins another": lambda k: "a" * (k % 90) + f"{k // 90:03d}",
    "not ascii": lambda k: f"订单{k % 11}ö{k}",
    "a zero byte": lambda k: f"z{k % 3}\0{k}" if k % 2 else f"z{k % 3}{k}",
}


def night_of(form: str, num_rows: int, num_merchants: int) -> pl.DataFrame:
    """Rows in any order; the first merchant has half of them."""
    rng = np.random.default_rng(num_rows)
    merchant = rng.integers(0, num_merchants, num_rows)
    merchant[rng.random(num_rows) < 0.5] = 0
    ids = [FORMS[form](k) for k in rng.permutation(num_rows).tolist()]
    return pl.DataFrame(
        {
            "row": np.arange(num_rows),
            "order_id": ids,
            "merchant": merchant.astype(np.int32),
        }
    )


@pytest.mark.parametrize("kept", ["memory", "disk", "few files", "little room"])
@pytest.mark.parametrize("form", FORMS)
def test_blocks_are_one_table_by_merchant_and_order_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, kept: str
) -> None:
    """
    Whatever the ids, the blocks and the order of rows, with a merchant larger than a
    block and merchants without rows; nothing stays on the disk.
    """
    whole = night_of(form, 3_000, 40).filter(pl.col("merchant") % 5 != 3)
    # Ids are bytes here, and polars sorts them as such.
    plain = whole.sort("merchant", pl.col("order_id"))
    row_merchant = np.full(3_000, -1, np.int32)
    row_merchant[whole["row"].to_numpy()] = whole["merchant"].to_numpy()
    is_in_memory = kept in ("memory", "little room")
    monkeypatch.setattr(merchant_order, "MOST_IN_MEMORY", 9_999 if is_in_memory else 0)
    monkeypatch.setattr(merchant_order, "MOST_FILES", 3 if kept == "few files" else 256)
    room = 1_000 if kept == "little room" else None
    scratch = tmp_path / "scratch"
    for size in (100, 700, 10_000):
        monkeypatch.setattr(merchant_order, "BLOCK_ROWS", size)
        given = whole.drop("merchant").sample(fraction=1, shuffle=True, seed=size)
        frames = (given[at : at + 301] for at in range(0, len(given), 301))
        blocks = [*merchant_blocks(frames, row_merchant, scratch, room)]
        assert pl.concat(map(sorted_block, blocks)).equals(plain)
        merchants = [{*block["merchant"]} for block in blocks]
        assert sum(map(len, merchants)) == len(set[int]().union(*merchants))
        assert len(blocks) > 2 or size == 10_000
        assert not scratch.exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_large_merchant_comes_in_parts_of_one_size(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Only its last part is smaller, and it shares none; the rows are those of all."""
    monkeypatch.setattr(merchant_order, "PART_ROWS", 100)
    whole = night_of(form, 1_000, 9)
    blocks = [
        whole,
        whole.filter(pl.col("merchant") == 0),
        whole.filter(pl.col("merchant") > 0)[:60],
        whole.clear(),
        whole.with_columns(merchant=9 - pl.col("merchant")),
    ]
    for block in blocks:
        parts = [part.sorted_rows() for part in block_parts([block])]
        expected = block.sort("merchant", pl.col("order_id"))
        assert pl.concat(parts).equals(expected)
        counts = block["merchant"].value_counts()
        for merchant in counts.filter(pl.col("count") > 100)["merchant"]:
            of_it = [part for part in parts if merchant in part["merchant"]]
            assert all(part["merchant"].n_unique() == 1 for part in of_it)
            assert {len(part) for part in of_it[:-1]} == {100}


def test_parts_are_whole_pieces_of_the_evidence() -> None:
    """What is hashed together is decided together."""
    assert merchant_order.PART_ROWS % ROWS_IN_PIECE == 0


def test_a_reader_that_stops_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the writing fails in the middle, the scratch folder is gone."""
    monkeypatch.setattr(merchant_order, "BLOCK_ROWS", 100)
    monkeypatch.setattr(merchant_order, "MOST_IN_MEMORY", 0)
    whole = night_of("numbers", 1_000, 40)
    row_merchant = whole["merchant"].to_numpy()
    blocks = merchant_blocks([whole.drop("merchant")], row_merchant, tmp_path / "s")
    next(blocks)
    assert (tmp_path / "s").exists()
    blocks.close()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("num_items", [1, 9])
def test_what_is_made_ahead_comes_in_order_and_its_fault_is_raised(
    num_items: int,
) -> None:
    """In the order of the items, no more taken than are worked on; a fault arrives."""
    taken: list[int] = []

    def items():
        for number in range(num_items):
            taken.append(number)
            yield number

    made = made_ahead(lambda number: 6 // (number - 5), items(), num_items)
    assert next(made) == -2
    assert len(taken) <= 3
    if num_items == 9:
        with pytest.raises(ZeroDivisionError):
            list(made)
