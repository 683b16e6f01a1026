"""Texts that are passed over by their bytes break no rule, and are nobody's."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optimizer.build.changed_ids import _KINDS
from optimizer.contracts.tables import TABLES_IN
from optimizer.io.glance import names_matching
from optimizer.io.plain_texts import MAX_ID_BYTES, Looked
from optimizer.io.privacy import SUSPECT_ID
from optimizer.io.row_rules import pattern_of_doubt

#: What ids are made of, and what nearly looks like something else.
SIGNS = st.text(alphabet="0123456789abnulxXTRUE-_ ./=e+'#１月\n", max_size=25)
WORDS = st.sampled_from(
    [
        *("null", "NaN", "true", "2-Jan", "Jan-22", "2026-1-4", "1E+05", "17.0", ""),
        *("13800138000", "138-0013-8000", "138xxxx8000", "11010519491231002X", "a1"),
        *("order_id", "total", "o-17", "1234567890123456", "x" * 201, "1" * 201),
    ]
)
TEXTS = st.lists(st.none() | SIGNS | WORDS, max_size=12)


def hit(texts: list[str | None], pattern: str) -> set[str]:
    """Texts that a pattern is found in, asked of each."""
    found = pl.Series(texts, dtype=pl.String).drop_nulls()
    return {*found.filter(found.str.contains(pattern)).to_list()}


@given(TEXTS)
@example(["o-17", None, "", "n/a"])
def test_no_rule_and_no_pattern_finds_what_is_passed_over(
    texts: list[str | None],
) -> None:
    """Whatever rules of ids, of persons' numbers and of spreadsheets find is kept."""
    looked = Looked({"id": pl.Series(texts, dtype=pl.String)})
    none = {"id": pl.Series([], dtype=pl.String)}
    for table in TABLES_IN:
        names = tuple(c.name for c in table.columns if c.kind == "id")
        assert not any(re.search(r"\d", name) for name in names)
        broken = hit(texts, pattern_of_doubt(names, table.name))
        broken |= {t for t in texts if t and len(t.encode()) > MAX_ID_BYTES}
        assert broken <= {*looked.may_break().get("id", none["id"])}
    personal = hit(texts, SUSPECT_ID)
    assert personal <= {*looked.may_be_personal().get("id", none["id"])}
    changed = hit(texts, "|".join(pattern for pattern, _ in _KINDS.values()))
    assert changed <= {*looked.may_be_changed().get("id", none["id"])}


def test_ordinary_ids_are_passed_over() -> None:
    """Ids of letters, digits and dashes cost no pattern; carriers' names cost one."""
    ids = pl.Series(["20261122-tjhhckjcvj", "shop-000017", "CN-42", "SF1234567"])
    looked = Looked({"order_id": ids, "carrier_id": pl.Series(["yunda", "yunda"])})
    assert [*looked.may_break()] == ["carrier_id"]
    assert looked.may_be_personal() == {}
    assert [*looked.may_be_changed()] == ["carrier_id"]


def test_columns_keep_their_own_texts() -> None:
    """Columns are looked at together, and what is found of one is not another's."""
    texts = {
        "a": pl.Series(["a1", "b c", None]),
        "b": pl.Series(["d4"]),
        "c": pl.Series([], dtype=pl.String),
        "d": pl.Series(["e5", "f/6"]),
    }
    found = Looked(texts).may_be_personal()
    kept = {name: part.to_list() for name, part in found.items()}
    assert kept == {"a": ["b c"], "d": ["f/6"]}
    assert Looked({}).may_break() == {}


@pytest.mark.parametrize("num_rows", [3, 800])
def test_few_texts_and_many_are_found_alike(num_rows: int) -> None:
    """Few are looked at once for all nights, many each time; the answer is the same."""
    texts = {
        "plain": pl.Series(["yunda"] * num_rows),
        "word": pl.Series(["null", None, *["yunda"] * (num_rows - 2)]),
        "long": pl.Series([*["yunda"] * (num_rows - 1), "y" * 201]),
    }
    for _ in range(2):
        assert names_matching(texts, "^null$", MAX_ID_BYTES) == ["word", "long"]
        assert names_matching(texts, "^null$") == ["word"]
