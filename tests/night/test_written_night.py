"""A night that does not hold as it stands on the disk is not published."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from optimizer.errors import CertificateError
from optimizer.night import publish as publishing
from tests.support.small_night import SmallNight, copy_night, make_night


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A published night that no test may change."""
    made = make_night(tmp_path_factory.mktemp("original") / "night", num_orders=1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made.folder)
        made.run()
    return made


@pytest.fixture
def night(
    original: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """A night with something published, that is run again under another cap."""
    made = copy_night(original, tmp_path / "night", monkeypatch)
    policy = made.settings()["policy"]
    policy[0]["cap"]["rate"] = 0.05
    made.configure(policy=policy)
    return made


def edit(
    file: str, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> Callable[[Path], object]:
    """Change a table and its checksum, as a wrong maker would have written it."""

    def plant(folder: Path) -> None:
        path = folder / file
        change(pl.read_parquet(path)).write_parquet(path)
        record = json.loads((folder / "run.json").read_text())
        record["outputs"][file]["sha256"] = publishing.sha256_of(path)
        (folder / "run.json").write_text(json.dumps(record))

    return plant


def edit_record(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Change what the record says."""

    def plant(folder: Path) -> None:
        record = json.loads((folder / "run.json").read_text())
        change(record)
        (folder / "run.json").write_text(json.dumps(record))

    return plant


def first(table: pl.DataFrame, column: str, value: pl.Expr) -> pl.DataFrame:
    """Another value in the first row."""
    is_first = pl.int_range(pl.len()) == 0
    there = pl.col(column)
    changed = pl.when(is_first).then(value).otherwise(there)
    return table.with_columns(changed.alias(column))


FAULTS = {
    "a parcel more than the cap": (
        edit("merchants.parquet", lambda t: first(t, "cap", pl.col("used") - 1)),
        "more is used than cap allows",
    ),
    "a use that nobody counted": (
        edit("merchants.parquet", lambda t: first(t, "used", pl.col("used") - 1)),
        "slack is not cap less used",
    ),
    "slots that are not there": (
        edit("lanes.parquet", lambda t: first(t, "slots", pl.col("used") - 1)),
        "more is used than slots allows",
    ),
    "another parcel recommended": (
        edit("recommendations.parquet", lambda t: first(t, "order_id", pl.lit("x"))),
        "are not the chosen orders",
    ),
    "another sum": (
        edit_record(lambda r: r["summary"].update(saving_cny=1.0)),
        "summary.saving_cny is 1.0",
    ),
    "another count": (
        edit_record(lambda r: r["summary"].update(num_chosen=1)),
        "summary.num_chosen is 1",
    ),
    "a key of nobody": (edit_record(lambda r: r.update(more=1)), "no record has"),
    "a file that no record lists": (
        lambda folder: (folder / "more.parquet").write_bytes(b""),
        "the record does not list it",
    ),
    "bits that turned": (
        lambda folder: (folder / "report.html").write_text("x"),
        "report.html was changed",
    ),
    "leaves of other decisions": (
        lambda folder: (folder / "evidence.txt").write_text("ab" * 32 + "\n"),
        "evidence.txt is missing, or was changed",
    ),
}


@pytest.mark.parametrize(("plant", "words"), FAULTS.values(), ids=[*FAULTS])
def test_a_fault_between_solve_and_disk_is_not_published(
    night: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[Path], object],
    words: str,
) -> None:
    """Each is seen before the link moves; the old night stays; the word says what."""
    really, link = publishing.sync_folder, night.run_dir.readlink()

    def damaged(folder: Path) -> None:
        if folder.name.startswith(publishing.STAGING):
            plant(folder)
        really(folder)

    monkeypatch.setattr(publishing, "sync_folder", damaged)
    with pytest.raises(CertificateError, match="it is not published") as caught:
        night.run(is_forced=True)
    assert words in str(caught.value)
    assert night.run_dir.readlink() == link
    monkeypatch.undo()
    monkeypatch.chdir(night.folder)
    assert night.run(is_forced=True).outcome == "published"
    assert night.run_dir.readlink() != link
