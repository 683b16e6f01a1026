"""Ids that a spreadsheet changed are told: two may have become one, or one two."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optimizer
from optimizer.build.changed_ids import NUM_LOOKED_AT, warn_alike, warn_changed
from optimizer.errors import DataError
from tests.support.nights import CONFIG, capacity_of, config_of, orders_of


def codes(**tables: Any) -> dict[str, Any]:
    """Warnings of a night, by code."""
    orders = tables.pop("orders")
    capacity = tables.pop("capacity", capacity_of())
    night = optimizer.allocate(orders, capacity, config=CONFIG, **tables)
    return {warning.code: warning for warning in night.warnings}


def test_two_merchants_that_became_one_are_told() -> None:
    """Both had 19 digits, of which 15 are left: the night counts one merchant."""
    found = codes(orders=orders_of(merchant_id="6923456789012340000"))
    assert [*found] == ["IDS_ROUNDED"]
    assert "6923456789012340000" in str(found["IDS_ROUNDED"])


ROUNDED = {
    "15 digits, of 19": (["6923456789012340000"], 1),
    "15 digits, of 17": (["69234567890123400"], 1),
    "15 digits, two of 16": (["6923456789012340", "6923456789012390"], 2),
    "beside short ones": (["6923456789012340000", "m2"], 1),
    "as JavaScript writes them": (["6923456789012346000"], 1),
    "as a float made whole": ([str(int(float(6923456789012345678)))], 1),
    "a part of them": (
        [str(6923456789012345678 + 7 * n) for n in range(50)]
        + ["6923456789012340000", "6923456789012350000"],
        2,
    ),
}
TRUE_IDS = {
    "one of 16": ["6923456789012340"],
    "mixed ends": ["6923456789012340000", "6923456789012345678"],
    "letters, and short": ["CN-69234567890123400", "110000000000000"],
    "many of 18": [str(330_000_000_000_000_001 + 7_919 * n) for n in range(2_000)],
    "many of 16": [str(3_300_000_000_000_001 + 7_919 * n) for n in range(2_000)],
    "codes of places": ["110000000000", "310000000000"],
}


@pytest.mark.parametrize(("ids", "num_rounded"), ROUNDED.values(), ids=ROUNDED)
def test_rounded_numbers_are_told(ids: list[str], num_rounded: int) -> None:
    """By the digits that are no longer there, in all of them or in a part."""
    (found,) = warn_changed({"outlet_id": ids})
    assert found.code == "IDS_ROUNDED"
    assert found.values["num_ids"] == num_rounded
    assert found.values["num_looked"] == len(ids)


@pytest.mark.parametrize("ids", TRUE_IDS.values(), ids=TRUE_IDS)
def test_ids_that_end_in_zeros_by_chance_are_not_told(ids: list[str]) -> None:
    """One id in ten of 16 digits does; a column of mixed ends was not rounded."""
    assert warn_changed({"outlet_id": ids}) == []


DATES = [
    "2-Jan",
    "Jan-02",
    "1月2日",
    "2026/1/2",
    "2026/1/2 0:00",
    "1/2/2026",
    "2-JAN-26",
]
SHOWN = [
    "TRUE",
    "False",
    "6,923,456",
    "¥6,923,456.00",
    "6\u00a0923\u00a0456",
    "6 923 456",
    "6.923.456",
    "6'923'456",
]
QUOTED = ['"17"', "“17”", "`17", "＇17"]
PLAIN = [
    *("1-2", "12", "m-17", "Jan", "may-flower", "3-18", "12%", "a,b", "1,2", "5'10"),
    *("6923.456", "12.345", "1 2", "692E13"),
]


@pytest.mark.parametrize("column", ["merchant_id", "region_id", "outlet_id"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((name, "IDS_LIKE_DATES") for name in DATES),
        *((name, "IDS_AS_SHOWN") for name in (*SHOWN, *QUOTED)),
        *((name, None) for name in PLAIN),
    ],
)
def test_what_spreadsheets_make_of_ids_is_told(
    column: str, name: str, code: str | None
) -> None:
    """Dates, truth values, separators, cells too narrow; in all tables alike."""
    names = {column: name}
    place = {} if column == "merchant_id" else names
    found = codes(orders=orders_of(**names), capacity=capacity_of(**place))
    assert [*found] == ([] if code is None else [code])
    if code is not None:
        assert column in str(found[code])
        assert name in str(found[code])


def test_order_ids_are_looked_at_in_whatever_order_they_come() -> None:
    """Two thousand of many, the same ones: a record does not depend on the rows."""
    num = 3 * NUM_LOOKED_AT
    rng = np.random.default_rng(2)
    names = [f"{n + 6_000_000:,}" for n in range(num)]
    orders = orders_of(("m1",), num, complaint_prob_standard=0.3, order_id=names)
    (first,) = codes(orders=orders).values()
    assert first.values["num_ids"] == first.values["num_looked"] == NUM_LOOKED_AT
    mixed = orders[rng.permutation(num)]
    assert [*codes(orders=mixed).values()] == [first]


def test_a_few_order_ids_are_all_looked_at() -> None:
    """One of two hundred is found."""
    names = [f"o-{n}" for n in range(199)]
    found = codes(orders=orders_of(order_id=[*names, "2-Jan"]))
    values = found["IDS_LIKE_DATES"].values
    assert (values["num_ids"], values["num_looked"]) == (1, 200)


def test_one_merchant_that_became_two_is_told() -> None:
    """A spreadsheet cut the zeros off in one of two exports."""
    orders = orders_of(merchant_id=["0017"] * 100 + ["17"] * 100)
    found = codes(orders=orders)
    assert [*found] == ["IDS_ALIKE"]
    assert "0017 and 17" in str(found["IDS_ALIKE"])
    assert warn_alike({"outlet_id": ["m017", "m17", "0", "1", "10"]}) == []


def test_a_merchant_in_two_widths_is_refused() -> None:
    """As in two cases: they are the same to whoever reads them."""
    orders = orders_of(merchant_id=["m１"] * 100 + ["m1"] * 100)
    with pytest.raises(DataError, match="'m１' and 'm1' differ only in case, width or"):
        optimizer.allocate(orders, capacity_of(), config=CONFIG)


def test_an_allowed_column_that_no_table_has_is_told() -> None:
    """A misspelled name allows nothing; one that is there, read or not, does."""

    def told(*columns: str) -> list[str]:
        allowed = {"columns": columns, "reason": "names of lockers"}
        night = optimizer.allocate(
            orders_of(receiver_name="x"),
            capacity_of(),
            config=config_of(privacy={"allow": allowed}),
        )
        return [str(warning) for warning in night.warnings]

    assert told("receiver_name", "order_id") == []
    assert told("receiver_name", "reciever_name") == [
        "1 column of privacy.allow is in none of the night's tables "
        "(orders, capacity): reciever_name"
    ]


def test_a_name_with_its_accent_in_one_sign_and_in_two_is_refused() -> None:
    """Both look alike on every screen: one merchant, whose cap would be cut in two."""
    orders = orders_of(merchant_id=["caf\u00e9"] * 100 + ["cafe\u0301"] * 100)
    with pytest.raises(DataError, match=r"'cafe\\u0301'.*how accents are encoded"):
        optimizer.allocate(orders, capacity_of(), config=CONFIG)
