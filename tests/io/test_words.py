"""Texts of ids come as the file has them, and the night is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import optimizer
from optimizer.errors import DataError
from optimizer.io.glance import distinct_texts
from optimizer.io.read_ahead import read_ahead
from optimizer.io.words import find_words, words_of, written_out
from optimizer.testing import random_tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXTS = ["b", None, "a", "é", "b", "", None, "a", "z"]


@pytest.mark.parametrize("rows", [slice(0, 9), slice(2, 8), slice(1, 2), slice(3, 3)])
def test_a_dictionary_gives_the_texts_that_are_there(rows: slice) -> None:
    """Sorted, with texts that no row has, cut: as if they were found in the rows."""
    known = sorted({*filter(None, TEXTS), "", "none has it"})
    places = [None if text is None else known.index(text) for text in TEXTS]
    indices = pa.array(places, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array(known))
    column = column[rows.start : rows.stop]
    given = pl.Series("id", TEXTS[rows], dtype=pl.String)
    words, found = words_of(column, "id"), find_words(given)
    assert words.texts.to_list() == found.texts.to_list()
    assert words.place.tolist() == found.place.tolist()
    assert written_out(words).equals(given, check_names=True)


@pytest.mark.parametrize("has_choice", [False, True])
def test_a_file_with_dictionaries_is_the_table(
    tmp_path: Path, has_choice: bool
) -> None:
    """
    In many row groups, of texts, of categories, of none: the same night and refusals.

    A row of each table is broken, and an option has no order.
    """
    tables = random_tables(3, num_orders=80, has_choice=has_choice)
    given = {"orders": tables.orders, "options": tables.options}
    given = {name: table for name, table in given.items() if table is not None}
    for name, table in given.items():
        ids = [*table["order_id"]]
        ids[7], ids[50] = "", ids[50] if name == "orders" else "no order"
        given[name] = table.with_columns(pl.Series("order_id", ids))
    config = {**tables.config, "quarantine": {"max_share": 0.5}}

    def decided(**given: object) -> optimizer.Night:
        return optimizer.allocate(capacity=tables.capacity, config=config, **given)

    expected = decided(**given)
    assert len(expected.quarantine) >= len(given)
    for form in ("texts", "categories", "none"):
        paths = {}
        for name, table in given.items():
            arrow = table.to_arrow()
            if form == "categories":
                arrow = _as_categories(arrow)
            paths[name] = str(tmp_path / f"{form}-{name}.parquet")
            pq.write_table(
                arrow, paths[name], row_group_size=9, use_dictionary=form != "none"
            )
        found = decided(**paths)
        for part in ("orders", "merchants", "lanes", "quarantine"):
            assert getattr(found, part).equals(getattr(expected, part)), (form, part)
        assert found.warnings == expected.warnings


def _as_categories(table: pa.Table) -> pa.Table:
    """Texts as dictionaries with small places, as data frames write categories."""
    kind = pa.dictionary(pa.int8(), pa.string())
    for number, name in enumerate(table.column_names):
        if name.endswith("_id") and name != "order_id":
            column = table.column(name).cast(pa.string()).combine_chunks()
            column = column.dictionary_encode().cast(kind)
            table = table.set_column(number, name, column)
    return table


def test_what_comes_ahead_comes_in_order() -> None:
    """All of it, and what is raised on the way in its place, after all before it."""
    assert list(read_ahead(range(100))) == list(range(100))
    assert list(read_ahead(())) == []
    seen: list[int] = []

    def broken() -> Iterator[int]:
        yield from range(3)
        raise DataError("the fourth is damaged")

    with pytest.raises(DataError, match="the fourth is damaged"):
        seen.extend(read_ahead(broken()))
    assert seen == [0, 1, 2]


def test_nobody_waits_for_what_nobody_asks_for() -> None:
    """Who stops has made one item more than was used, and the source is closed."""
    made: list[int] = []
    closed = []

    def source() -> Iterator[int]:
        try:
            for number in range(100):
                made.append(number)
                yield number
        finally:
            closed.append(len(made))

    items = source()
    coming = read_ahead(items)
    assert [next(coming), next(coming)] == [0, 1]
    coming.close()
    items.close()
    assert closed == [len(made)]
    assert len(made) <= 3


def test_kept_rows_leave_no_text_behind() -> None:
    """A text of refused rows alone gets no code: nobody would know whose it is."""
    words = find_words(pl.Series(TEXTS, dtype=pl.String))
    is_kept = np.array([text not in ("b", "z") for text in TEXTS])
    few = words.kept(is_kept)
    assert few.texts.to_list() == ["a", "é", ""]
    assert written_out(few).to_list() == [t for t in TEXTS if t not in ("b", "z")]


@pytest.mark.parametrize("is_mixed", [False, True])
def test_texts_of_a_key_of_two_columns_are_all_looked_at(is_mixed: bool) -> None:
    """One for each run of the same; mixed there are more, and none is left out."""
    ids = np.repeat([f"o-{n}" for n in range(300)], 3)
    if is_mixed:
        ids = np.random.default_rng(1).permutation(ids)
    frame = pl.DataFrame({"order_id": ids, "carrier_id": ["yunda"] * len(ids)})
    key = ("order_id", "carrier_id")
    found = distinct_texts(frame, ["order_id", "carrier_id"], key)
    assert {*found["order_id"]} == {*ids}
    assert (len(found["order_id"]) == 300) is not is_mixed
    assert found["carrier_id"].to_list() == ["yunda"]
