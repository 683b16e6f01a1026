"""A night is published whole, or the last one stays as it was."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
from pathlib import Path

import polars as pl
import pytest

from optimizer.contracts.run_folder import read_record
from optimizer.contracts.tables import EVERY_NIGHT
from optimizer.errors import BusyError, ConfigError, OptimizerError, PublishError
from optimizer.io.write import read_back
from optimizer.night import publish as publishing
from tests.support.small_night import DAY, SmallNight, sha256, snapshot

TEXTS = {"report.html", "audit.sql", "evidence.txt", "run.json", "_SUCCESS"}
FILES = {*EVERY_NIGHT, *TEXTS}


def change_rate(night: SmallNight, rate: float) -> None:
    """Give the night another cap, so that it differs from what is published."""
    policy = night.settings()["policy"]
    policy[0]["cap"]["rate"] = rate
    night.configure(policy=policy)


def test_a_published_night_is_complete_and_counted(published: SmallNight):
    """
    All files are there, and no other; each table has the rows and checksum that the
    record claims, and the columns of its contract.
    """
    record = read_record(published.run_dir)
    assert {path.name for path in published.run_dir.iterdir()} == FILES
    for name, table in EVERY_NIGHT.items():
        frame = read_back(published.run_dir / name)
        assert frame.columns == list(table.column_names)
        assert record["outputs"][name] == {
            "num_rows": len(frame),
            "sha256": sha256(published.run_dir / name),
        }


def test_recommendations_are_what_the_platform_takes(published: SmallNight):
    """Tag and service code stand on each chosen order, and on no other order."""
    taken = read_back(published.run_dir / "recommendations.parquet")
    chosen = read_back(published.run_dir / "decisions.parquet").filter("is_premium")
    shared = ["order_id", "merchant_id", "carrier_id", "saving_cny"]
    assert len(chosen) > 10
    assert taken.select(shared).equals(chosen.select(shared))
    assert set(taken["order_tag"]) == {"sug_home_deliver"}
    assert set(taken["service_code"]) == {"SVC-WBHOMEDELIVERY"}
    regions = published.read("orders").select("order_id", "region_id")
    expected = taken.select("order_id").join(regions, on="order_id", how="left")
    assert (
        taken.select("order_id", "region_id")
        .sort("order_id")
        .equals(expected.sort("order_id"))
    )


def test_a_new_version_replaces_the_link_and_keeps_the_old_folder(
    published: SmallNight,
):
    """After a forced run the date points to the new night; the old one is whole."""
    before, old = snapshot(published.run_dir), published.run_dir.resolve()
    change_rate(published, 0.02)
    published.run(is_forced=True)
    assert published.run_dir.is_symlink()
    assert published.run_dir.resolve() != old
    assert snapshot(old) == before
    assert (
        read_record(published.run_dir)["config"]["policy"][0]["cap"]["rate"] == "0.02"
    )


WRITES = [
    ("the folders", "mkdir"),
    ("a table", "recommendations.parquet"),
    ("the last table", "quarantine.parquet"),
    ("the record", "run.json"),
    ("the mark of success", "_SUCCESS"),
    ("the rename", "rename"),
    ("the link", "symlink_to"),
    ("the last step", "replace"),
    ("the flush", "fsync"),
]


def refuse(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Make one kind of write fail as on a full disk."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(*_: object, **__: object) -> None:
        raise full

    if what == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif "." not in what and what != "_SUCCESS":
        monkeypatch.setattr(Path, what, fail)
    else:
        really_open = Path.open

        def open_most(self: Path, *args: object, **keys: object):
            if self.name == what and args[:1] in (("x",), ("xb",)):
                raise full
            return really_open(self, *args, **keys)

        monkeypatch.setattr(Path, "open", open_most)


@pytest.mark.parametrize("what", [w for _, w in WRITES], ids=[n for n, _ in WRITES])
def test_a_full_disk_leaves_the_old_night_and_the_next_run_cleans_up(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch, what: str
):
    """
    Whichever write fails, the published night stays byte for byte, the message says
    that the disk is full, and the next run publishes and leaves no leftovers.
    """
    before, link = snapshot(published.run_dir), published.run_dir.readlink()
    change_rate(published, 0.02)
    with monkeypatch.context() as patch:
        refuse(patch, what)
        with pytest.raises(PublishError, match="no space left on device") as caught:
            published.run(is_forced=True)
    assert caught.value.exit_code == 1
    assert "last published night is untouched" in str(caught.value)
    assert published.run_dir.readlink() == link
    assert snapshot(published.run_dir) == before

    assert published.run(is_forced=True).outcome == "published"
    assert published.run_dir.readlink() != link
    hidden = [p.name for p in published.runs.rglob("*") if ".staging" in p.name]
    assert hidden == []
    assert not [p for p in published.runs.iterdir() if p.name.endswith(".new")]


def test_a_flush_that_fails_after_the_link_does_not_deny_the_new_night(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch
):
    """Once the link is replaced, no message says that the old night is untouched."""
    link, really_sync = published.run_dir.readlink(), publishing.sync_folder

    def sync(folder: Path) -> None:
        if folder.name == published.runs.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        really_sync(folder)

    change_rate(published, 0.02)
    monkeypatch.setattr(publishing, "sync_folder", sync)
    with pytest.raises(PublishError, match="the new night is published") as caught:
        published.run(is_forced=True)
    assert "untouched" not in str(caught.value)
    assert published.run_dir.readlink() != link


def write_wrongly(name: str, spoil: str):
    """Return a writer that spoils one table on its way to the disk."""
    really_write = publishing.write_batches

    def write(
        frames: list[pl.DataFrame], path: Path, table: object, *, has_digests: bool
    ) -> object:
        how = {"has_digests": has_digests}
        if path.name != name:
            return really_write(frames, path, table, **how)
        frame = pl.concat([*frames])
        meant = really_write([frame], path.with_suffix(".meant"), table, **how)
        path.with_suffix(".meant").unlink()
        wrong = frame.tail(-1) if spoil == "a row" else frame
        if spoil == "a value":
            wrong = frame.with_columns(pl.selectors.float() + 1)
        really_write([wrong], path, table)
        if spoil == "a byte":
            data = bytearray(path.read_bytes())
            data[len(data) // 4] ^= 1
            path.write_bytes(data)
        if spoil == "half of it":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return meant

    return write


@pytest.mark.parametrize("name", ["lanes.parquet", "decisions.parquet"])
@pytest.mark.parametrize("spoil", ["a value", "a row", "a byte", "half of it"])
def test_what_the_disk_does_not_give_back_is_not_published(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch, spoil: str, name: str
):
    """A table that reads back otherwise than it was written stops the publishing."""
    before, link = snapshot(published.run_dir), published.run_dir.readlink()
    change_rate(published, 0.02)
    spoiled = write_wrongly(name, spoil)
    monkeypatch.setattr(publishing, "write_batches", spoiled)
    with pytest.raises(OptimizerError, match=re.escape(name)):
        published.run(is_forced=True)
    assert published.run_dir.readlink() == link
    assert snapshot(published.run_dir) == before


@pytest.mark.parametrize("spoil", ["a row", "a byte", "half of it"])
def test_a_disk_that_fails_is_not_called_a_bad_input(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch, spoil: str
):
    """What cannot be read back is a failed publication, never a refused input."""
    change_rate(published, 0.02)
    spoiled = write_wrongly("lanes.parquet", spoil)
    monkeypatch.setattr(publishing, "write_batches", spoiled)
    with pytest.raises(PublishError, match=r"lanes\.parquet"):
        published.run(is_forced=True)


def spoil_the_disk(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Let the disk have one bit otherwise than the cache; files in order as dropped."""
    dropped = []

    def drop(handle: int, start: int, length: int, advice: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").resolve()
        assert (start, length, advice) == (0, 0, os.POSIX_FADV_DONTNEED)
        dropped.append(path.name)
        if path.name == name:
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)

    monkeypatch.setattr(publishing.os, "posix_fadvise", drop)
    return dropped


@pytest.mark.parametrize("name", ["decisions.parquet", "merchants.parquet", "run.json"])
def test_a_paranoid_run_asks_the_disk_and_not_the_cache(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch, name: str
):
    """What the disk has otherwise than the cache is seen, and not published."""
    before, link = snapshot(published.run_dir), published.run_dir.readlink()
    change_rate(published, 0.02)
    dropped = spoil_the_disk(monkeypatch, name)
    with pytest.raises(PublishError, match=re.escape(name)):
        published.run(is_forced=True, is_paranoid=True)
    assert dropped[-1] == name
    assert published.run_dir.readlink() == link
    assert snapshot(published.run_dir) == before


def test_a_paranoid_run_publishes_the_same_night(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch
):
    """Every file is dropped from the cache once; all but times is the same."""
    before = {path.name: sha256(path) for path in published.run_dir.glob("*.parquet")}
    change_rate(published, 0.02)
    published.run(is_forced=True)
    change_rate(published, 0.03)
    dropped = spoil_the_disk(monkeypatch, "none")
    published.run(is_forced=True, is_paranoid=True)
    assert sorted(dropped) == sorted(FILES)
    after = {path.name: sha256(path) for path in published.run_dir.glob("*.parquet")}
    differing = {name for name in after if after[name] != before[name]}
    assert differing <= {"figures.parquet", "nights.parquet"}


def test_a_system_that_keeps_its_cache_is_no_place_for_a_paranoid_run(
    inputs_only: SmallNight, monkeypatch: pytest.MonkeyPatch
):
    """It is refused before anything is solved, and nothing is written."""
    monkeypatch.delattr(publishing.os, "posix_fadvise")
    with pytest.raises(ConfigError, match="--paranoid: this system"):
        inputs_only.run(is_paranoid=True)
    assert not inputs_only.runs.exists()


def test_a_record_that_reads_back_otherwise_is_not_published(
    published: SmallNight, monkeypatch: pytest.MonkeyPatch
):
    """The record is compared too: one digit that the disk changed is noticed."""
    link, really_read = published.run_dir.readlink(), Path.read_bytes

    def read(path: Path) -> bytes:
        data = really_read(path)
        if path.name != "run.json":
            return data
        return data.replace(b'"num_orders": 2000', b'"num_orders": 2001')

    change_rate(published, 0.02)
    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises(PublishError, match=r"run\.json"):
        published.run(is_forced=True)
    assert published.run_dir.readlink() == link


def test_a_date_is_held_by_one_run_at_a_time(published: SmallNight):
    """While another holds the date nothing happens; another date is free."""
    before = snapshot(published.runs)
    with (published.runs / ".locks" / DAY.isoformat()).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another run holds 2026-11-22"):
            published.run(is_forced=True)
        with publishing.date_lock(published.runs, DAY.replace(day=23)):
            pass
    assert {
        k: v for k, v in snapshot(published.runs).items() if "-23" not in k
    } == before
    assert published.run().outcome == "unchanged"


def test_who_comes_second_is_told_who_holds_the_date(tmp_path):
    """The process, its host, and since when; a later holder takes the place."""
    this = f"process {os.getpid()} on {socket.gethostname()}, since 20"
    for _ in range(2):
        with publishing.date_lock(tmp_path, DAY):
            with (
                pytest.raises(BusyError, match=re.escape(this)),
                publishing.date_lock(tmp_path, DAY),
            ):
                pass
            held = (tmp_path / ".locks" / DAY.isoformat()).read_text()
            assert held.count("process") == 1


def test_something_else_in_the_place_of_a_night_is_left_alone(inputs_only: SmallNight):
    """A folder of that name that is not ours is refused, not replaced."""
    inputs_only.run_dir.mkdir(parents=True)
    (inputs_only.run_dir / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is in the way"):
        inputs_only.run(is_forced=True)
    assert (inputs_only.run_dir / "notes.txt").read_text() == "mine"


def test_a_night_without_its_mark_is_not_a_run_and_is_replaced(published: SmallNight):
    """Without ``_SUCCESS`` a night counts as not published: no force is needed."""
    (published.run_dir / "_SUCCESS").unlink()
    assert published.run().outcome == "published"
    assert (published.run_dir / "_SUCCESS").is_file()
