"""Copies of published tables as files that people open."""

from __future__ import annotations

import stat
from pathlib import Path

import fastexcel
import polars as pl
import pytest

from optimizer.config import as_config
from optimizer.errors import ConfigError, DeliveryError
from optimizer.io import copies
from optimizer.io.copies import write_copy
from tests.support.small_night import DAY, call, make_night

TABLE = pl.DataFrame(
    {
        "order_id": ["=1+1", "000123", "商品", None, "6923460000000012345"],
        "saving_cny": [1.5, -0.25, 0.0, None, 2.0],
        "is_premium": [True, False, True, None, True],
    }
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.parquet"
    TABLE.write_parquet(path)
    return path


def test_csv_is_for_spreadsheets(table: Path, tmp_path: Path) -> None:
    """A mark says UTF-8, nothing runs as a formula, and all else is as published."""
    target = tmp_path / "copies" / "t.csv"
    write_copy(table, target, 0o640)
    content = target.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    told = pl.read_csv(content, infer_schema=False)
    wanted = TABLE["order_id"].to_list()
    assert told["order_id"].to_list() == ["'=1+1", *wanted[1:]]
    assert told["saving_cny"].cast(float).equals(TABLE["saving_cny"])
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_excel_holds_texts_as_texts(table: Path, tmp_path: Path) -> None:
    """Ids keep zeros and digits, formulas stay texts, numbers are numbers."""
    target = tmp_path / "t.xlsx"
    write_copy(table, target, 0o640)
    told = fastexcel.read_excel(str(target)).load_sheet(0).to_polars()
    assert told["order_id"].to_list() == TABLE["order_id"].to_list()
    assert told["saving_cny"].cast(float).equals(TABLE["saving_cny"])


def test_what_a_sheet_cannot_hold_is_refused_and_nothing_left(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many rows are a refusal with a way on; no half a file stays."""
    monkeypatch.setattr(copies, "SHEET_ROWS", 3)
    with pytest.raises(DeliveryError, match=r"5 rows are more.*\.csv or \.parquet"):
        write_copy(table, tmp_path / "t.xlsx", 0o640)
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_night_is_copied_to_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run writes each configured file, with the rows that were published."""
    monkeypatch.chdir(tmp_path)
    night = make_night(tmp_path, 400)
    places = [f"copies/{{date}}{ending}" for ending in (".csv", ".xlsx", ".parquet")]
    night.configure(outputs=[{"table": "recommendations", "to": to} for to in places])
    ran = call(monkeypatch, capsys, "run", "--config", night.config, "--date", DAY)
    assert ran.code == 0, ran.err
    published = pl.read_parquet(night.run_dir / "recommendations.parquet")
    orders = published["order_id"].to_list()
    assert len(orders) > 0
    assert pl.read_parquet(f"copies/{DAY}.parquet").equals(published)
    text = pl.read_csv(f"copies/{DAY}.csv", infer_schema=False)
    assert text["order_id"].to_list() == orders
    sheet = fastexcel.read_excel(f"copies/{DAY}.xlsx").load_sheet(0).to_polars()
    assert sheet["order_id"].to_list() == orders


@pytest.mark.parametrize("place", ["copies/all.csv", "copies/{date}.ods", "{date}"])
def test_files_that_would_replace_each_other_are_refused(place: str) -> None:
    """A path needs the date and a known ending."""
    policy = {
        "valid_from": "2022-01-12",
        "cap": {"rate": 0.03},
        "fee": {"amount_cny": 0.8},
        "carriers": ["yunda"],
    }
    keys = {
        "version": 1,
        "policy": [policy],
        "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
        "outputs": [{"table": "recommendations", "to": place}],
    }
    with pytest.raises(ConfigError, match=r"a path with \{date\} that ends with \.csv"):
        as_config(keys)


class PanicException(BaseException):
    """What a library in Rust raises when it gives up."""


@pytest.mark.parametrize("raised", [PanicException("gave up"), ValueError("gave up")])
def test_whatever_a_copy_fails_with_leaves_the_night_published(
    raised: BaseException,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A library that gives up is a line about the copy, exit code 75, no traceback."""
    night = make_night(tmp_path / "night", num_orders=300)
    monkeypatch.chdir(night.folder)
    places = ["lanes-{date}.csv", f"delta://{tmp_path}/lake"]
    night.configure(outputs=[{"table": "lanes", "to": to} for to in places])

    def give_up(*_: object) -> None:
        raise raised

    monkeypatch.setattr("optimizer.night.deliver.write_copy", give_up)
    monkeypatch.setattr("optimizer.io.sources.delta.write_rows", give_up)
    left = call(monkeypatch, capsys, "run", "--config", night.config, "--date", DAY)
    assert (left.code, left.err.count("(gave up)")) == (75, 2)
    assert "Traceback" not in left.err
    assert (night.run_dir / "run.json").exists()

    monkeypatch.undo()
    monkeypatch.chdir(night.folder)
    left = call(monkeypatch, capsys, "deliver", DAY, "--config", night.config)
    assert left.code == 0, left.err


def test_a_sheet_takes_any_name_of_a_file(table: Path, tmp_path: Path) -> None:
    """Signs that no sheet may have in its name are not in it."""
    target = tmp_path / "it's [1]:*?.xlsx"
    write_copy(table, target, 0o640)
    assert fastexcel.read_excel(str(target)).sheet_names == ["it-s -1----"]
