"""Nights of four weeks stand beside a night, and are proved as far as they go."""

from __future__ import annotations

import datetime as dt
import errno
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from optimizer.config import load_config
from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.errors import DataError
from optimizer.io.write import write_parquet
from optimizer.job import run_date
from optimizer.night import earlier_nights
from optimizer.night.publish import sha256_of
from optimizer.replay.run import verify_run
from optimizer.verify.inherited import check_beside
from optimizer.verify.night import verify_night
from optimizer.verify.standing import Standing
from tests.support.small_night import DAY, SmallNight


def publish(night: SmallNight, *days: int) -> None:
    """Publish nights of the month, each from the same inputs under another date."""
    for number in days:
        day = DAY.replace(day=number)
        folder = night.folder / "nights" / day.isoformat()
        if not folder.exists():
            shutil.copytree(night.folder / "nights" / DAY.isoformat(), folder)
        run_date(load_config(night.config), day, is_forced=True)


def nights(night: SmallNight, number: int = DAY.day) -> list[dt.date]:
    """Days of the month that a published night stands beside."""
    path = night.runs / DAY.replace(day=number).isoformat() / "nights.parquet"
    return [day.day for day in pl.read_parquet(path)["date"]]


@pytest.mark.slow
def test_a_night_stands_beside_those_of_the_four_weeks_before(
    inputs_only: SmallNight,
) -> None:
    """Of the 1st to the 30th, the 30th has the 2nd on; no later or broken ones."""
    publish(inputs_only, 1, 2, 15, 18, 21, 30)
    assert nights(inputs_only, 1) == [1]
    assert nights(inputs_only, 30) == [2, 15, 18, 21, 30]
    assert verify_run(inputs_only.runs / "2026-11-30").findings == ()
    (inputs_only.runs / "2026-11-18" / "_SUCCESS").unlink()
    publish(inputs_only, 22)
    assert nights(inputs_only) == [1, 2, 15, 21, 22]
    table = pl.read_parquet(inputs_only.run_dir / "nights.parquet")
    summary = read_record(inputs_only.run_dir)["summary"]
    assert table["saving_cny"].to_list() == [summary["saving_cny"]] * 5
    assert table["num_chosen"].to_list() == [summary["num_chosen"]] * 5
    assert verify_run(inputs_only.run_dir).findings == ()
    # The report compares with the week alone: so does the night that is stated again.
    assert verify_night(inputs_only.run_dir).findings == ()


@pytest.mark.slow
@pytest.mark.parametrize("text", ["{}", '{"schema_version": 1}', "[]", "nonsense"])
def test_a_damaged_earlier_night_stops_nobody(
    inputs_only: SmallNight, text: str
) -> None:
    """A night beside one whose record is no record is published, without it."""
    publish(inputs_only, 20, 21)
    (inputs_only.runs / "2026-11-21" / "run.json").write_text(text)
    publish(inputs_only, 22)
    assert nights(inputs_only) == [20, 22]
    (inputs_only.runs / "2026-11-20" / "run.json").write_text(text)
    assert verify_run(inputs_only.run_dir).findings == ()


@pytest.mark.slow
def test_an_earlier_night_that_the_disk_does_not_give_is_no_night_less(
    inputs_only: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is published beside it, since that would not hold; given again, it is."""
    publish(inputs_only, 21)

    def fail(*_: object, **__: object) -> str:
        raise OSError(errno.EIO, "Input/output error")

    def read(folder: Path) -> object:
        with monkeypatch.context() as disk:
            disk.setattr(Path, "read_text", fail)
            return read_record(folder)

    with monkeypatch.context() as broken:
        broken.setattr(earlier_nights, "read_record", read)
        with pytest.raises(DataError, match=r"run\.json: cannot be read \(input/out"):
            publish(inputs_only, 22)
    assert not inputs_only.run_dir.exists()
    publish(inputs_only, 22)
    assert nights(inputs_only) == [21, 22]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("nights", pl.col("saving_cny") + 1, "its last row is not this night's"),
        (
            "nights",
            pl.when(pl.col("run_id").is_null())
            .then("saving_cny")
            .otherwise(pl.col("saving_cny") + 1),
            "the row of 2026-11-21 is not what that night says",
        ),
        ("nights", pl.col("date").shift(-1, fill_value=DAY), "has other nights"),
        ("figures", pl.col("value") * 2, "figures.parquet: column value differs"),
    ],
)
@pytest.mark.slow
def test_a_forged_week_or_figure_is_found(
    inputs_only: SmallNight, name: str, change: pl.Expr, words: str
) -> None:
    """Tables that say something else than record and earlier nights do not hold."""
    publish(inputs_only, 21, 22)
    path, record = inputs_only.run_dir / f"{name}.parquet", {}
    changed = pl.read_parquet(path).with_columns(change)
    path.unlink()
    write_parquet(changed, path, EVERY_NIGHT[path.name])
    record = json.loads((inputs_only.run_dir / "run.json").read_text())
    record["outputs"][path.name]["sha256"] = sha256_of(path)
    (inputs_only.run_dir / "run.json").write_text(json.dumps(record))
    assert any(words in finding for finding in verify_run(inputs_only.run_dir).findings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "left_out"), [(3, ["the night of 2026-11-02 is left out"]), (2, [])]
)
def test_nights_of_one_week_alone_are_those_of_older_formats(
    inputs_only: SmallNight,
    monkeypatch: pytest.MonkeyPatch,
    version: int,
    left_out: list[str],
) -> None:
    """A night of today's that drops what is older than a week leaves nights out."""
    publish(inputs_only, 2, 18)
    monkeypatch.setattr(earlier_nights, "NUM_DAYS", 7)
    publish(inputs_only, 22)
    assert nights(inputs_only) == [18, 22]
    record = read_record(inputs_only.run_dir) | {"schema_version": version}
    days = [DAY.replace(day=number) for number in (2, 18)]
    folders = {day: inputs_only.runs / day.isoformat() for day in days}
    standing = Standing(DAY, folders, before_it=frozenset(days))
    found = check_beside(inputs_only.run_dir, record, standing).findings
    assert found == [f"nights.parquet: {words}" for words in left_out]


@pytest.mark.slow
def test_an_earlier_night_that_was_replaced_since_proves_nothing(
    inputs_only: SmallNight,
) -> None:
    """The row stays as it was when the night was published, and the night holds."""
    publish(inputs_only, 21, 22)
    settings = inputs_only.settings()
    settings["policy"][0]["cap"]["rate"] = 0.05
    before = inputs_only.config.read_text()
    inputs_only.configure(policy=settings["policy"])
    publish(inputs_only, 21)
    inputs_only.config.write_text(before)
    assert verify_run(inputs_only.run_dir).findings == ()
