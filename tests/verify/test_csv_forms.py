"""The form of CSV files is stated again, and a record that lies about it is found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from optimizer.contracts.tables import CAPACITY
from optimizer.io.csv_form import guess_form
from optimizer.verify.csv_form import false_forms, form_of

if TYPE_CHECKING:
    from pathlib import Path

STARTS = [
    "carrier_id,slots",
    "carrier_id;slots\na;1",
    "slots\tcarrier_id",
    "slots|region_id",
    "sep=;\nCarrier_ID;slots",
    "sep=,\ncarrier_id, slots",
    "slots",
    "Slots,Remark",
    "slots, Remark ,carrier_id",
    "Slots, Remark , ,carrier_id",
    ",carrier_id,slots,,",
    '"carrier_id";"slots"',
]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_both_find_the_same_form(start: str, mark: str) -> None:
    """Two pieces of code that share nothing."""
    known = CAPACITY.column_names
    ours = guess_form((mark + start).encode(), known, "c.csv").to_json()
    assert form_of(start.splitlines()[:2], known) == ours


@pytest.mark.slow
@pytest.mark.parametrize(
    "lie",
    [
        {},
        {"separator": "|"},
        {"separator": ";", "header": ["carrier_id", "x", "slots"]},
    ],
    ids=json.dumps,
)
def test_a_record_that_lies_about_a_file_is_found(lie: Any, tmp_path: Path) -> None:
    """Else another column could be said to be the one that was read."""
    path = tmp_path / "c.csv"
    path.write_text("carrier_id;slots;remark\na;1;2\n")
    config = {
        "null_words": [],
        "capacity": {"attributes": []},
        "fairness": [],
    }
    record: dict[str, Any] = {"config": config, "policy": {"eligibility": []}}
    record["inputs"] = {"capacity": {"files": [{"path": str(path)}], "read_as": lie}}
    inputs = {"capacity": [str(path)]}
    assert len(list(false_forms(record, inputs))) == 1
    record["inputs"]["capacity"]["read_as"] = {"separator": ";"}
    assert list(false_forms(record, inputs)) == []
