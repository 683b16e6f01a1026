"""The tables document themselves, and a night's record is whole or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.contracts.columns import Table
from optimizer.contracts.markdown import tables_markdown
from optimizer.contracts.run_folder import (
    RECORD,
    SCHEMA_VERSION,
    SUCCESS,
    read_record,
    record_text,
)
from optimizer.contracts.tables import (
    EVERY_NIGHT,
    PUBLISHED,
    SOME_NIGHTS,
    TABLES,
    TABLES_IN,
)
from optimizer.errors import DataError


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_document_has_every_column(table: Table) -> None:
    """
    In a table's own part each column has one row, with meaning and need; columns that
    the configuration adds for resources stand below, where the night reads them.
    """
    direction = "in" if table in TABLES_IN else "out"
    title = f"**{table.name}** ({direction}"
    parts = [part for part in tables_markdown().split("\n\n**") if part]
    start = title.removeprefix("**")
    (part,) = [p for p in parts if p.removeprefix("**").startswith(start)]
    said = part.removeprefix("**").removeprefix(start).partition("): ")[0]
    rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| `")]

    assert (table.when in said) == (table.when != "always")
    assert ("one machine" in said) == (
        table.engines == ("local",) and direction == "out"
    )
    rows, added = rows[: len(table.columns)], rows[len(table.columns) :]
    assert [row[0] for row in rows] == [f"| `{c.name}`" for c in table.columns]
    load = ["| `load_<resource>`"]
    of_resources = {"orders": load, "options": load, "capacity": ["| `resource`"]}
    assert [row[0] for row in added] == of_resources.get(table.name, [])
    for row, column in zip(rows, table.columns, strict=True):
        assert row[-1] == f"{column.meaning} |"
        if direction == "in":
            assert column.is_required == (row[2] == "required")
            assert not column.default or str(column.default).lower() in row[2]


def test_the_contract_is_consistent() -> None:
    """Names are distinct, keys are columns, and required columns have no default."""
    for table in TABLES:
        names = table.column_names

        assert len(set(names)) == len(names)
        assert set(table.key) <= set(names)
        assert all(table.column(name).name == name for name in names)
        assert not [c for c in table.columns if c.is_required and c.default is not None]
    assert EVERY_NIGHT | SOME_NIGHTS == PUBLISHED
    assert {*TABLES_IN} | {*PUBLISHED.values()} == {*TABLES}


def write_run(folder: Path, record: str) -> Path:
    """A folder that claims to be a published night."""
    (folder / RECORD).write_text(record, encoding="utf-8")
    (folder / SUCCESS).touch()
    return folder


def test_a_record_reads_back_and_is_the_same_text(tmp_path: Path) -> None:
    """Equal records are equal bytes whatever the order of their keys."""
    record = {"schema_version": SCHEMA_VERSION, "b": {"z": 1, "a": "商家"}, "c": [1.5]}
    turned = {key: record[key] for key in reversed(record)}

    assert record_text(record) == record_text(turned)
    assert read_record(write_run(tmp_path, record_text(record))) == record
    assert "商家" in record_text(record)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ("", "cannot be read as JSON"),
        ("{", "cannot be read as JSON"),
        ("[]", "is not a record of format"),
        ("{}", "is not a record of format"),
        (json.dumps({"schema_version": SCHEMA_VERSION + 1}), "use the version of"),
    ],
)
def test_a_damaged_or_foreign_record_is_refused(
    record: str, words: str, tmp_path: Path
) -> None:
    """The message names the file."""
    with pytest.raises(DataError, match=rf"{RECORD}: {words}|{RECORD}: .*{words}"):
        read_record(write_run(tmp_path, record))


def test_a_folder_without_its_last_file_is_no_run(tmp_path: Path) -> None:
    """A night that was cut short, or a missing folder, is not read."""
    record: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    (write_run(tmp_path, record_text(record)) / SUCCESS).unlink()

    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match=f"^{folder}: is not a published run"):
            read_record(folder)


@pytest.mark.parametrize("address", ["s3a://lake/runs/2026-11-22", "file:///lake/runs"])
def test_an_address_is_told_as_one(address: str) -> None:
    """As it was written, whether it comes as a path of this folder or not."""
    for given in (address, Path(address), Path(address).absolute()):
        with pytest.raises(DataError, match=rf"^{address}: is an address.*audit\.sql"):
            read_record(given)
