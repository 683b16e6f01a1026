"""A broken row is set aside, named and counted; no other row is touched."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import optimizer
from optimizer.contracts.columns import polars_type
from optimizer.contracts.tables import CAPACITY, MERCHANTS, OPTIONS, ORDERS, QUARANTINE
from optimizer.errors import DataError
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import open_source, read_batches
from optimizer.io.row_rules import MAX_COUNT
from optimizer.io.small_tables import checked_table
from optimizer.io.validate import check_batch, refuse_twins, require_rows
from optimizer.testing import random_tables

if TYPE_CHECKING:
    from pathlib import Path

    from optimizer.contracts.columns import Table

UNTRIMMED = "has outer spaces or control characters"
NUMBER, WHOLE = "is not a number", "is not a whole number"


def make_orders(num_rows: int = 40) -> dict[str, list[Any]]:
    """Sound orders, column by column; every optional column has nulls."""
    return {
        "order_id": [f"o{row}" for row in range(num_rows)],
        "merchant_id": ["m1"] * num_rows,
        "carrier_id": ["yunda"] * num_rows,
        "region_id": ["CN-11"] * num_rows,
        "outlet_id": [None, "o1"] * (num_rows // 2),
        "order_value_cny": [None, 9.5] * (num_rows // 2),
        "complaint_prob_standard": [0.0, 1.0] * (num_rows // 2),
        "complaint_prob_premium": [None, 0.01] * (num_rows // 2),
        "return_prob_standard": [0.5] * num_rows,
        "return_prob_premium": [None, 0.01] * (num_rows // 2),
        "is_eligible": [None, False] * (num_rows // 2),
        "ineligible_reason": [None, "gift"] * (num_rows // 2),
        "load": [None, 2] * (num_rows // 2),
        "pin": [None, "never"] * (num_rows // 2),
    }


#: Probabilities that a night without a learned model needs.
NEEDED = {"orders": ("complaint_prob_standard", "return_prob_standard")}


def check(data: Any, table: Table = ORDERS) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that are kept and rows that are set aside, read in small batches."""
    source, log = (
        open_source(data, table, require=NEEDED.get(table.name, ())),
        QuarantineLog(),
    )
    batches = read_batches(source, batch_rows=16)
    kept = [check_batch(batch, source, log) for batch in batches]
    return pl.concat(kept), log.frame()


def broken_copy(column: str, values: dict[int, Any]) -> pl.DataFrame:
    """Sound orders with a few values of one column put in."""
    data = make_orders()
    for row, value in values.items():
        data[column][row] = value
    return pl.DataFrame(data, strict=False)


BROKEN: list[tuple[str, Any, str]] = [
    ("order_id", None, "is missing"),
    ("order_id", "", "is empty"),
    ("merchant_id", " m1", UNTRIMMED),
    ("merchant_id", "m1\u3000", UNTRIMMED),
    ("region_id", "CN\n11", UNTRIMMED),
    ("region_id", "CN-11\x00", UNTRIMMED),
    ("region_id", None, "is missing"),
    ("outlet_id", "", "is empty"),
    ("outlet_id", "o1\t", UNTRIMMED),
    ("complaint_prob_standard", None, "is missing"),
    ("complaint_prob_standard", float("nan"), NUMBER),
    ("complaint_prob_standard", 1.0000000000000002, "is outside [0, 1]"),
    ("complaint_prob_standard", -5e-324, "is outside [0, 1]"),
    ("complaint_prob_premium", float("inf"), "is outside [0, 1]"),
    ("return_prob_premium", 80.0, "is outside [0, 1]"),
    ("order_value_cny", -0.01, "is negative"),
    ("order_value_cny", float("nan"), "is not a finite number"),
    ("order_value_cny", float("inf"), "is not a finite number"),
    ("load", 0, "is below 1"),
    ("load", -1, "is below 1"),
    ("load", MAX_COUNT + 1, "is above 1,000,000,000,000"),
    ("load", 1.5, WHOLE),
    ("pin", "Never", 'is not "must" or "never"'),
    ("pin", "", 'is not "must" or "never"'),
]


@pytest.mark.parametrize(("column", "value", "rule"), BROKEN)
def test_exactly_the_broken_rows_are_set_aside(
    column: str, value: Any, rule: str
) -> None:
    """Each with its row from 1, column and rule; all other rows stay, nulls too."""
    kept, aside = check(broken_copy(column, {3: value, 30: value}))
    rows = [("orders", row, column, rule) for row in (4, 31)]

    assert aside.rows() == rows
    assert kept["row"].to_list() == [row for row in range(40) if row not in (3, 30)]


@pytest.mark.parametrize(("column", "value", "rule"), BROKEN)
def test_one_broken_row_is_found_among_many(column: str, value: Any, rule: str) -> None:
    """Where a column is looked at as a whole first, by its different values alone."""
    data = make_orders(640)
    data[column][639] = value
    source = open_source(
        pl.DataFrame(data, strict=False), ORDERS, require=NEEDED["orders"]
    )
    log = QuarantineLog()
    (batch,) = read_batches(source)
    kept = check_batch(batch, source, log)

    assert log.frame().rows() == [("orders", 640, column, rule)]
    assert kept["row"].to_list() == [*range(639)]


CELLS = [
    ("complaint_prob_standard", "2%", NUMBER),
    ("complaint_prob_standard", "0,5", NUMBER),
    ("complaint_prob_standard", "nan", NUMBER),
    ("complaint_prob_standard", "", "is missing"),
    ("complaint_prob_premium", "1.5", "is outside [0, 1]"),
    ("complaint_prob_premium", "high", NUMBER),
    ("order_value_cny", "-1", "is negative"),
    ("order_value_cny", "12 CNY", NUMBER),
    ("load", "1.5", WHOLE),
    ("load", "two", WHOLE),
    ("load", "1_000", WHOLE),
    ("load", "1.0.0", WHOLE),
    ("load", "1.05", WHOLE),
    ("load", "99999999999999999999", WHOLE),
    ("load", "0", "is below 1"),
    ("is_eligible", "maybe", "is not true or false"),
    ("is_eligible", "2", "is not true or false"),
    ("pin", "Must", 'is not "must" or "never"'),
    ("order_id", "", "is missing"),
    ("merchant_id", " m1", UNTRIMMED),
]


@pytest.mark.parametrize(("column", "cell", "rule"), CELLS)
def test_broken_cells_of_a_csv_file_are_set_aside(
    column: str, cell: str, rule: str, tmp_path: Path
) -> None:
    """Cells that are no number, flag or id; the row is named by one rule."""
    frame = pl.DataFrame(make_orders()).cast(pl.String)
    column_cells = frame[column].to_list()
    column_cells[7] = cell or None
    path = tmp_path / "orders.csv"
    frame.with_columns(pl.Series(column, column_cells)).write_csv(path)
    kept, aside = check(path)

    assert aside.rows() == [("orders", 8, column, rule)]
    assert len(kept) == 39


@pytest.mark.parametrize(
    ("column", "cells", "meant"),
    [
        ("is_eligible", ["TRUE", "false", " 1", "0"], [True, False, True, False]),
        ("load", ["1", " 2 ", "+3", "004"], [1, 2, 3, 4]),
        ("load", ["12.0", " 2.00 ", "+3.0", "10"], [12, 2, 3, 10]),
        ("complaint_prob_premium", ["1", " .5", "1e-3", "0.10"], [1, 0.5, 0.001, 0.1]),
    ],
)
def test_cells_of_a_csv_file_in_any_fair_spelling(
    column: str, cells: list[str], meant: list[Any], tmp_path: Path
) -> None:
    """Spaces and spellings of numbers and flags that mean one thing are read."""
    data = {name: cells_[:4] for name, cells_ in make_orders().items()}
    frame = pl.DataFrame(data).cast(pl.String).with_columns(pl.Series(column, cells))
    frame.write_csv(tmp_path / "orders.csv")
    kept, aside = check(tmp_path / "orders.csv")

    assert len(aside) == 0
    assert kept[column].to_list() == meant


@pytest.mark.slow
@given(
    broken=st.dictionaries(
        st.sampled_from([(column, rule) for column, _, rule in BROKEN]),
        st.sets(st.integers(0, 39), max_size=6),
        max_size=5,
    )
)
def test_what_is_kept_and_what_is_set_aside_are_all_rows(
    broken: dict[tuple[str, str], set[int]],
) -> None:
    """No row is lost and none is both, however many rules are broken at once."""
    values = {(column, rule): value for column, value, rule in BROKEN}
    data = make_orders()
    for (column, rule), rows in broken.items():
        for row in rows:
            data[column][row] = values[column, rule]
    kept, aside = check(pl.DataFrame(data, strict=False))
    expected = {row + 1 for rows in broken.values() for row in rows}

    assert set(aside["row"].to_list()) == expected
    assert kept["row"].to_list() == [r for r in range(40) if r + 1 not in expected]


def test_a_row_that_breaks_two_rules_is_named_by_both() -> None:
    """Each column that is wrong has its own line."""
    data = make_orders()
    data["pin"][5], data["return_prob_standard"][5] = "Never", 7.0
    _, aside = check(pl.DataFrame(data))

    assert aside.select("row", "column").rows() == [
        (6, "pin"),
        (6, "return_prob_standard"),
    ]


def test_the_quarantine_table_never_holds_a_value() -> None:
    """Its columns are those of the contract, and broken text is in none of them."""
    secret = " S3CRET"
    _, aside = check(broken_copy("merchant_id", {3: secret}))
    types = {column.name: polars_type(column.kind) for column in QUARANTINE.columns}

    assert dict(aside.schema) == types
    assert dict(QuarantineLog().frame().schema) == types
    assert secret.strip() not in str(aside.rows())


@pytest.mark.parametrize(
    ("share", "num_rows", "allowed"),
    [
        ("0.001", 1_000, 1),
        ("0.001", 999, 0),
        ("0.29", 100, 29),
        ("0.07", 100, 7),
        ("0.000000001", 10**9, 1),
        ("0", 10, 0),
        ("0.9", 20, 18),
    ],
)
def test_the_share_of_broken_rows_is_compared_exactly(
    share: str, num_rows: int, allowed: int
) -> None:
    """The last allowed row passes; one more refuses the night."""
    log, counts = QuarantineLog(), {"orders": num_rows}
    sources = {"orders": open_source(pl.DataFrame(make_orders(2)), ORDERS)}
    log.add("orders", np.arange(allowed), "pin", "is wrong")
    log.add("options", np.arange(10), "load", "is wrong")
    log.refuse_beyond(Decimal(share), counts, sources)

    if allowed < num_rows:
        log.add("orders", np.arange(allowed, allowed + 1), "load", "is wrong")
        with pytest.raises(DataError, match=r"^the orders table: .*mend the export$"):
            log.refuse_beyond(Decimal(share), counts, sources)


def test_a_row_with_two_faults_counts_once() -> None:
    """Rows are counted, not faults, and each table for itself."""
    log = QuarantineLog()
    for column in ("pin", "load"):
        log.add("orders", np.array([3, 8]), column, "is wrong")

    log.refuse_beyond(Decimal("0.02"), {"orders": 100, "options": 1}, {})


def test_the_refusal_says_how_many_rows_and_which_first() -> None:
    """Counts by column and rule over all batches, and the first five: ids and rows."""
    data = make_orders()
    for row in range(20, 30):
        data["load"][row] = 0
    data["pin"][2] = "no"
    data["order_id"][21] = None
    source, log = (
        open_source(pl.DataFrame(data), ORDERS, require=NEEDED["orders"]),
        QuarantineLog(),
    )
    for batch in read_batches(source, batch_rows=8):
        check_batch(batch, source, log)

    with pytest.raises(DataError) as caught:
        log.refuse_beyond(Decimal("0.001"), {"orders": 40}, {"orders": source})
    message = str(caught.value)
    assert "11 of 40 rows (27.50%)" in message
    assert "0.1% that quarantine.max_share allows" in message.replace("0.100%", "0.1%")
    first = "o20 (row 21), row 22, o22 (row 23), o23 (row 24), o24 (row 25)"
    assert f"load is below 1: 10 rows, first {first};" in message
    assert 'pin is not "must" or "never": 1 row, first o2 (row 3);' in message


@pytest.mark.parametrize("memory_gb", [None, 0.00001])
def test_the_refusal_says_file_and_row(tmp_path: Path, memory_gb: float | None) -> None:
    """Of each form and number of files, in the order of rows, whatever the memory."""
    night = random_tables(3, num_orders=40)
    broken = pl.Series([row in (3, 25, 26) for row in range(40)])
    name = "complaint_prob_standard"
    wrong = pl.when(broken).then(7.0).otherwise(pl.col(name))
    orders = night.orders.with_columns(wrong.alias(name))
    orders.head(20).write_csv(tmp_path / "1.csv")
    orders.tail(20).write_csv(tmp_path / "2.csv")
    orders.write_parquet(tmp_path / "orders.parquet")
    limit = {} if memory_gb is None else {"solver": {"memory_gb": memory_gb}}
    said = {
        f"{tmp_path}/*.csv": f"order-3 ({tmp_path}/1.csv:5), "
        f"order-25 ({tmp_path}/2.csv:7), order-26 ({tmp_path}/2.csv:8)",
        f"{tmp_path}/1.csv": "order-3 (line 5)",
        f"{tmp_path}/orders.parquet": "order-3 (row 4), order-25 (row 26), order-26 (",
    }
    for path, first in said.items():
        with pytest.raises(DataError) as caught:
            optimizer.allocate(path, night.capacity, config=night.config | limit)
        assert str(caught.value).startswith(f"{path}: ")
        assert f", first {first}" in str(caught.value)


@pytest.mark.parametrize("table", [ORDERS, OPTIONS, MERCHANTS, CAPACITY])
def test_missing_columns_and_nulls_become_the_defaults(table: Table) -> None:
    """With only its required columns a table is whole, typed and filled."""
    samples = {"id": "a", "probability": 0.5, "count": 1}
    needed = {*NEEDED.get(table.name, ())}
    needed |= {c.name for c in table.columns if c.is_required}
    least = {c.name: [samples[c.kind]] for c in table.columns if c.name in needed}
    nulls = {c.name: [None] for c in table.columns if c.name not in needed}
    for data in (least, least | nulls):
        kept, aside = check(pl.DataFrame(data), table)
        types = {column.name: polars_type(column.kind) for column in table.columns}
        (row,) = kept.select(table.column_names).rows(named=True)

        assert len(aside) == 0
        assert dict(kept.schema) == {"row": pl.Int64} | types
        assert row == {c.name: c.default for c in table.columns} | {
            name: values[0] for name, values in least.items()
        }


def test_one_broken_row_refuses_a_small_table() -> None:
    """On capacity all rests: every broken row is named, up to twenty."""
    frame = pl.DataFrame({"carrier_id": ["a", "b", "c"], "slots": [1, -1, None]})
    many = pl.DataFrame({"carrier_id": map(str, range(23)), "slots": -1})
    words = "row 2: slots is negative; row 3: slots is missing"

    with pytest.raises(DataError, match=f"^the capacity table: {words}$"):
        checked_table(open_source(frame, CAPACITY), QuarantineLog())
    with pytest.raises(DataError, match=r"row 20: .*; and 3 more$"):
        checked_table(open_source(many, CAPACITY), QuarantineLog())


def test_a_broken_row_of_another_table_does_not_refuse_capacity() -> None:
    """The log is shared; only the table's own rows count."""
    log = QuarantineLog()
    log.add("orders", np.array([0]), "pin", "is wrong")
    frame = pl.DataFrame({"carrier_id": ["a"], "slots": [1]})

    assert len(checked_table(open_source(frame, CAPACITY), log)) == 1


@pytest.mark.parametrize(
    ("regions", "words"),
    [
        (["r", "r", "s"], r"2 rows share their .*first \(a, r\), rows 1, 2; keep one"),
        ([None, "r", None], r"2 rows share their .*first \(a\), rows 1, 3; keep one"),
    ],
)
def test_rows_for_one_lane_must_not_stand_twice(
    regions: list[str | None], words: str
) -> None:
    """Two rows for the same place are refused, also where the place is null."""
    frame = pl.DataFrame({"carrier_id": "a", "region_id": regions, "slots": [1, 2, 3]})

    with pytest.raises(DataError, match=f"^the capacity table: {words}"):
        checked_table(open_source(frame, CAPACITY), QuarantineLog())


def test_an_empty_table_is_no_night(tmp_path: Path) -> None:
    """No rows is an export that failed, in memory as in a file."""
    path = tmp_path / "capacity.csv"
    path.write_text("carrier_id,slots\n")

    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: has no rows"):
        checked_table(open_source(path, CAPACITY), QuarantineLog())
    with pytest.raises(DataError, match="check the orders export"):
        require_rows(open_source(pl.DataFrame(make_orders()), ORDERS), 0)


@pytest.mark.parametrize(
    "pair", [("M1", "m1"), ("m 1", "m1"), ("m1", "m1 "), ("Straße", "STRASSE")]
)
def test_one_thing_must_not_have_two_spellings(pair: tuple[str, str]) -> None:
    """Ids that differ in case or spaces only are refused, both named."""
    first, second = map(repr, pair)

    words = f"^orders: merchant_id {first} and {second} differ"
    with pytest.raises(DataError, match=words):
        refuse_twins(["x", pair[0], "y", pair[1]], "merchant_id", "orders")
    refuse_twins(["m1", "m2", "m1", "m-1", "m11"], "merchant_id", "orders")
