"""Keys stand for order ids: never changing, and repeats among them are found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.contracts.tables import OPTIONS, ORDERS
from optimizer.errors import DataError
from optimizer.io import duplicates
from optimizer.io.duplicates import (
    KeyCollision,
    refuse_repeated_pairs,
    refuse_repeats,
    repeated,
)
from optimizer.io.order_keys import order_keys
from optimizer.io.read import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from optimizer.io.read import Source

texts = st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=12)
SPACES = " \t\n\v\f\r"


@dataclass(frozen=True)
class Keys:
    """Rows, keys and folded keys, as the night has them."""

    row: NDArray[np.int64]
    key: NDArray[np.uint64]
    folded_key: NDArray[np.uint64]


def keys_of(ids: list[str]) -> Keys:
    """Keys of ids in row order."""
    key, folded = order_keys(pl.Series(ids, dtype=pl.String))
    return Keys(np.arange(len(ids)), key, folded)


def orders_of(ids: list[str], folder: Path, rows_in_file: int = 3) -> Source:
    """Orders of these ids in files of a few rows."""
    for first in range(0, len(ids), rows_in_file):
        part = ids[first : first + rows_in_file]
        frame = pl.DataFrame({"order_id": part, "merchant_id": "m", "region_id": "r"})
        frame = frame.with_columns(
            complaint_prob_standard=pl.lit(0.1), return_prob_standard=pl.lit(0.1)
        )
        frame.write_parquet(folder / f"{first:04d}.parquet")
    return open_source(folder / "*.parquet", ORDERS)


def python_key(text: bytes, salt: int = 0) -> int:
    """The key of one id in plain Python: the definition, and the kernel's twin."""
    mask = 2**64 - 1
    state = 0xCBF29CE484222325 ^ (salt * 0x9E3779B97F4A7C15 & mask)
    for byte in text:
        state = (state ^ byte) * 0x100000001B3 & mask
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53)):
        state = (state ^ state >> shift) * factor & mask
    return state ^ state >> 33


@given(ids=texts, salt=st.integers(0, 2**64 - 1), skip=st.integers(0, 3))
def test_the_compiled_keys_equal_their_definition(
    ids: list[str], salt: int, skip: int
) -> None:
    """For any text, empty too, any salt, and any part of a longer column."""
    key, folded = order_keys(pl.Series(ids, dtype=pl.String)[skip:], salt)
    raw = [name.encode() for name in ids[skip:]]
    plain = [text.strip(SPACES.encode()).lower() for text in raw]

    assert key.tolist() == [python_key(text, salt) for text in raw]
    assert folded.tolist() == [python_key(text, salt) for text in plain]


def test_keys_never_change() -> None:
    """Ties of past nights were decided by these very numbers."""
    ids = ["", "a", "20261122-AB12CD", "订单一", "o" * 100]
    key, _ = order_keys(pl.Series(ids))
    other, _ = order_keys(pl.Series(ids), 1)

    assert key.tolist() == [
        17_280_346_270_528_514_342,
        9_413_272_369_427_828_315,
        18_194_731_355_687_978_417,
        4_602_807_722_656_846_254,
        15_208_448_357_125_081_234,
    ]
    assert other[1] == 5_656_076_326_713_248_563


@given(name=st.text(st.sampled_from("aZé中 0"), max_size=8), pad=st.text(SPACES))
def test_folding_forgets_outer_spaces_and_ascii_case_only(name: str, pad: str) -> None:
    """Spellings of one id share a folded key; their own keys differ."""
    name = f"x{name}x"
    ascii_upper = "".join(c.upper() if c.isascii() else c for c in name)
    key, folded = order_keys(pl.Series([name, pad + ascii_upper, name + "0", "é", "É"]))

    assert folded[0] == folded[1] != folded[2]
    assert folded[3] != folded[4]
    assert key[0] != key[1]


@pytest.mark.parametrize("space", SPACES)
def test_every_outer_space_is_folded_away(space: str) -> None:
    """Before and after the id, once and many times; inside it stays."""
    ids = ["ab", f"{space}ab", f"ab{space}", f"{space * 3}ab{space * 2}", f"a{space}b"]
    _, folded = order_keys(pl.Series(ids))

    assert len(set(folded[:4].tolist())) == 1
    assert folded[4] != folded[0]


@given(keys=st.lists(st.integers(0, 5) | st.integers(2**64 - 3, 2**64 - 1)))
def test_repeated_keys_are_all_found(keys: list[int]) -> None:
    """Every place of a key that stands twice or more, and no other."""
    count = Counter(keys)
    found = repeated(np.array(keys, np.uint64)).tolist()

    assert found == [place for place, key in enumerate(keys) if count[key] > 1]


def test_an_order_that_stands_twice_is_named_with_its_rows(tmp_path: Path) -> None:
    """Found in whatever files the rows stand; row numbers run over all files."""
    ids = ["a", "b", "c", "d", "b", "e", "f", "c", "b", "g"]
    source = orders_of(ids, tmp_path)

    with pytest.raises(DataError) as caught:
        refuse_repeats(source, keys_of(ids))
    assert "2 order_ids more than once" in str(caught.value)
    assert "b in rows 2, 5, 9; c in rows 3, 8;" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("twin", ["AB-1", " ab-1", "ab-1\t", "Ab-1 "])
def test_two_spellings_of_one_order_are_refused(twin: str, tmp_path: Path) -> None:
    """Ids that differ in case or outer spaces only are named side by side."""
    ids = ["x", "ab-1", "y", "z", twin, "w"]
    source = orders_of(ids, tmp_path)

    with pytest.raises(
        DataError, match="1 order_id in spellings that differ only in case"
    ) as caught:
        refuse_repeats(source, keys_of(ids))
    assert repr(twin) in str(caught.value)
    assert "'ab-1'" in str(caught.value)


def test_distinct_orders_pass(tmp_path: Path) -> None:
    """Ids that differ in anything else are different orders."""
    ids = ["a", "aa", "a a", "a-a", "b", "é", "É", "订", "订单"]

    refuse_repeats(orders_of(ids, tmp_path), keys_of(ids))
    refuse_repeats(orders_of(ids, tmp_path), keys_of([]))


@pytest.mark.parametrize("few_orders", [0, 100])
@pytest.mark.parametrize("field", ["key", "folded_key"])
def test_a_shared_key_of_different_orders_is_told_apart(
    field: str, few_orders: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No order is called a repeat by chance, by threads or without: another salt is."""
    monkeypatch.setattr(duplicates, "FEW_ORDERS", few_orders)
    ids = ["a", "b", "c", "d"]
    keys = keys_of(ids)
    getattr(keys, field)[3] = getattr(keys, field)[0]

    with pytest.raises(KeyCollision):
        refuse_repeats(orders_of(ids, tmp_path), keys)


def test_a_true_repeat_is_named_although_keys_collide_too(tmp_path: Path) -> None:
    """A repeat beside a chance collision is still an error in the data."""
    ids = ["a", "b", "c", "b"]
    keys = keys_of(ids)
    keys.folded_key[2] = keys.folded_key[0]

    with pytest.raises(DataError, match="1 order_id more than once: b in rows"):
        refuse_repeats(orders_of(ids, tmp_path), keys)


def test_quarantined_rows_do_not_shift_the_rows_named(tmp_path: Path) -> None:
    """Rows that were set aside still count in the row numbers of a repeat."""
    ids = ["broken", "a", "broken", "b", "a"]
    key, folded = order_keys(pl.Series(["a", "b", "a"]))
    keys = Keys(np.array([1, 3, 4]), key, folded)

    with pytest.raises(DataError, match="a in rows 2, 5"):
        refuse_repeats(orders_of(ids, tmp_path), keys)


@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=12),
)
def test_an_option_given_twice_is_refused(pairs: list[tuple[int, int]]) -> None:
    """The same order and carrier in two rows, counted exactly; others pass."""
    nothing = {
        name: pl.Series([], dtype=pl.String) for name in ("order_id", "carrier_id")
    }
    shares = {
        name: pl.Series([], dtype=pl.Float64)
        for name in ("complaint_prob_premium", "return_prob_premium")
    }
    source = open_source(pl.DataFrame(nothing | shares), OPTIONS)
    order, carrier = np.array(pairs, np.int64).reshape(-1, 2).T
    num_repeated = len(pairs) - len(set(pairs))

    if num_repeated:
        with pytest.raises(DataError, match=rf"table: {num_repeated} rows? with an"):
            refuse_repeated_pairs(order, carrier, source)
    else:
        refuse_repeated_pairs(order, carrier, source)
