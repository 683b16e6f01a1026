"""A small table that comes again is checked as if it came for the first time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from optimizer.contracts.tables import CAPACITY, MERCHANTS
from optimizer.errors import DataError
from optimizer.io import small_tables
from optimizer.io.cells import CellRules
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source
from optimizer.io.small_tables import checked_table


def capacity(slots: Any = (7, 9)) -> pl.DataFrame:
    """Two rows of a capacity table, of a carrier each."""
    return pl.DataFrame({"carrier_id": ["yunda", "sto"], "slots": list(slots)})


def checked(table: Any, rules: CellRules | None = None) -> pl.DataFrame:
    """Check a capacity table."""
    return checked_table(open_source(table, CAPACITY, rules=rules), QuarantineLog())


def test_equal_bytes_are_checked_once() -> None:
    """A table with the bytes of one before is that table, whoever made it."""
    assert checked(capacity()) is checked(capacity())


def test_other_bytes_are_another_table() -> None:
    """Other slots are seen, and a broken row is refused after a sound table."""
    first = checked(capacity())
    assert checked(capacity((7, 8)))["slots"].to_list() == [7, 8]
    assert first["slots"].to_list() == [7, 9]
    with pytest.raises(DataError, match="row 2: slots is negative"):
        checked(capacity((7, -9)))
    assert checked(capacity())["slots"].to_list() == [7, 9]


def test_memory_that_is_written_over_is_read_again() -> None:
    """A table over a caller's array counts as its numbers are now, not as they were."""
    slots = np.array([7, 9])
    names = pa.array(["yunda", "sto"])
    table = pa.table(
        {
            "carrier_id": names,
            "slots": pa.Array.from_buffers(pa.int64(), 2, [None, pa.py_buffer(slots)]),
        }
    )
    assert checked(table)["slots"].to_list() == [7, 9]
    slots[0] = 3
    assert checked(table)["slots"].to_list() == [3, 9]


def test_other_rules_check_again() -> None:
    """A table that one configuration takes is refused where another does not."""
    named = pl.DataFrame({"carrier_id": ["none", "sto"], "slots": [7, 9]})
    kept = CellRules(not_null_words=("none",))
    assert checked(named, kept)["carrier_id"].to_list() == ["none", "sto"]
    with pytest.raises(DataError, match="word for no value"):
        checked(named)
    assert len(checked(named, kept)) == 2


def test_what_is_required_is_asked_for_again() -> None:
    """A null that is allowed in one use of a table is refused in another."""
    table = pl.DataFrame({"merchant_id": ["a", "b"], "take_up": [0.5, None]})
    source = open_source(table, MERCHANTS)
    assert checked_table(source, QuarantineLog())["take_up"].null_count() == 0
    strict = replace(source, required=frozenset({*source.required, "take_up"}))
    with pytest.raises(DataError, match="row 2: take_up is missing"):
        checked_table(strict, QuarantineLog())


def test_warnings_come_again() -> None:
    """Times that look like days of another zone are told each time."""
    times = ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"]
    table = capacity().with_columns(service_date=pl.Series(times))
    told = []
    for _ in range(2):
        log = QuarantineLog()
        checked_table(open_source(table, CAPACITY), log)
        told.append([w.code for w in log.warnings("Asia/Shanghai")])
    assert told == [["MIDNIGHTS_IN_UTC"]] * 2


def test_large_tables_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a table beyond the limit nothing stays behind."""
    monkeypatch.setattr(small_tables, "MOST_KEPT_BYTES", 10)
    assert checked(capacity()) is not checked(capacity())
