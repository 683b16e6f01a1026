"""What `keep` does not keep goes, on record; nothing else does."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from optimizer.config import Config, load_config
from optimizer.errors import ConfigError
from optimizer.evidence.audit import audit
from optimizer.job import run_date
from optimizer.night import prune as module
from optimizer.night.deliver import deliver_night
from optimizer.night.identity import is_same_night
from optimizer.night.past_nights import rollback
from optimizer.night.prune import Leftover, find_leftovers, prune
from optimizer.night.publish import date_lock
from optimizer.verify.night import verify_night
from tests.support.reruns import rerun
from tests.support.small_night import (
    DAY,
    SmallNight,
    call,
    copy_night,
    make_night,
    snapshot,
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A date that was published four times, each time from other orders."""
    night = make_night(tmp_path_factory.mktemp("original"), num_orders=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(night.folder)
        orders = night.read("orders")
        for number in range(4):
            night.write("orders", orders[: 300 - number])
            night.run(is_forced=True)
    return night


@pytest.fixture
def night(
    original: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """A copy of it to work on; two versions are kept."""
    night = copy_night(original, tmp_path / "night", monkeypatch)
    night.configure(keep={"versions": 2})
    return night


def gone(config: Config) -> list[Leftover]:
    """What a prune removes; what it stores once stays."""
    return [left for left in prune(config) if left.why != "stored twice"]


def versions(night: SmallNight) -> list[str]:
    return sorted(p.name for p in (night.runs / ".versions" / str(DAY)).iterdir())


@pytest.mark.slow
def test_the_published_version_and_the_newest_others_stay(night: SmallNight) -> None:
    """Two of four versions go, with the orders that they alone were made from."""
    published = night.run_dir.resolve().name
    removed = gone(load_config(night.config))
    assert [left.why for left in removed] == ["replaced"] * 2 + [
        "input of no version"
    ] * 2
    assert published in versions(night)
    assert len(versions(night)) == 2
    assert len([*(night.runs / ".inputs" / str(DAY)).glob("orders-*")]) == 2
    assert verify_night(night.run_dir).is_valid


@pytest.mark.slow
def test_an_audit_knows_what_went_by_rule(night: SmallNight) -> None:
    """The chain holds, counts what was pruned apart from what was lost, and goes on."""
    config = load_config(night.config)
    shutil.rmtree(
        next(
            p
            for p in (night.runs / ".versions" / str(DAY)).iterdir()
            if p.name != night.run_dir.resolve().name
        )
    )
    prune(config)
    found = audit(config)
    assert found.findings == ()
    assert (found.num_versions, found.num_pruned, found.num_gone) == (2, 1, 1)
    night.write("orders", night.read("orders")[:290])
    night.run(is_forced=True)
    assert audit(config).findings == ()


@pytest.mark.slow
def test_without_yes_nothing_is_written(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The dry run says what would go, and every byte stays."""
    before = snapshot(night.folder)
    said = call(monkeypatch, capsys, "prune", "--config", "config.yaml", "--json")
    told = json.loads(said.out)
    assert (said.code, told["is_removed"], len(told["would_remove"])) == (0, False, 4)
    assert len(told["would_store_once"]) > 5
    assert told["num_bytes"] > 0
    assert snapshot(night.folder) == before
    said = call(monkeypatch, capsys, "prune", "--config", "config.yaml", "--yes")
    assert said.out.endswith("bytes\n")
    assert "removed: 4 items" in said.out
    assert find_leftovers(load_config(night.config)) == []


def test_a_removal_that_was_cut_off_is_finished(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain was told, the disk was not: the next one removes, and tells no more."""
    config = load_config(night.config)

    def fail(path: Path) -> None:
        raise OSError(5, "I/O error")

    monkeypatch.setattr(module, "remove_tree", fail)
    with pytest.raises(Exception, match="what is kept no more could not be written"):
        prune(config)
    assert len(versions(night)) == 4
    num_links = audit(config).num_links
    assert audit(config).findings == ()
    monkeypatch.undo()
    monkeypatch.chdir(night.folder)
    assert len(gone(config)) == 4
    assert (audit(config).num_links, audit(config).num_pruned) == (num_links, 2)


def test_nights_that_are_too_old_go_whole(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night 101 days before the newest goes with link, versions and inputs."""
    old = "2026-08-13"
    shutil.copytree(night.folder / "nights" / str(DAY), night.folder / "nights" / old)
    night.configure(keep={"days": 100})
    config = load_config(night.config)
    run_date(config, dt.date.fromisoformat(old))
    assert (night.runs / old).exists()
    assert {left.why for left in gone(config)} == {"too old", "input of no version"}
    assert not (night.runs / old).is_symlink()
    assert len(versions(night)) == 4
    assert audit(config).findings == ()


def test_a_date_that_a_run_holds_is_left(night: SmallNight) -> None:
    """What a run may be writing is nobody else's to remove."""
    with date_lock(night.runs, DAY):
        assert prune(load_config(night.config)) == []
    assert len(versions(night)) == 4


def test_a_link_is_removed_and_never_followed(
    night: SmallNight, tmp_path: Path
) -> None:
    """A link among the versions, or within one, leads to nothing that is removed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    folder = night.runs / ".versions" / str(DAY)
    (folder / ".staging-x").symlink_to(outside)
    for path in folder.iterdir():
        if not path.is_symlink():
            (path / "inside").symlink_to(outside)
    prune(load_config(night.config))
    assert (outside / "kept.txt").read_text() == "kept"
    assert not (folder / ".staging-x").is_symlink()


def test_a_pruned_night_is_not_rolled_back_to(night: SmallNight) -> None:
    """With one version kept there is none to go back to, and it says so."""
    night.configure(keep={"versions": 1})
    config = load_config(night.config)
    prune(config)
    with pytest.raises(Exception, match="not a published run"):
        rollback(config, DAY)


def test_keeping_everything_is_no_rule(night: SmallNight) -> None:
    """Without `keep` nothing is removed, and the message says what to write."""
    night.configure(keep={})
    with pytest.raises(ConfigError, match=r"keep: \{versions: 3, days: 400\}"):
        prune(load_config(night.config))


def test_a_key_of_a_later_version_changes_no_night(night: SmallNight) -> None:
    """
    A night published before a key came is the same night while the key has its
    default, and another one when it has not.
    """
    config = load_config(night.config)
    record = json.loads((night.run_dir / "run.json").read_text())
    identity = dict(record["identity"])
    del record["config"]["pin_priority"]
    record["identity"]["config_sha256"] = "0" * 64
    assert is_same_night(record, identity, config)
    record["config"]["objective"]["fee_share"] = "0.5"
    assert not is_same_night(record, identity, config)


@pytest.mark.slow
def test_equal_content_is_stored_once(night: SmallNight) -> None:
    """
    Tables that versions have in common, and inputs of several dates, take their space
    once; all of it reads as before, and a second time there is nothing to do.
    """
    config = load_config(night.config)
    shutil.copytree(
        night.input("capacity").parent,
        night.input("capacity").parents[1] / "2026-11-23",
    )
    run_date(config, dt.date(2026, 11, 23))
    prune(config)
    assert find_leftovers(config) == []
    by_content: dict[bytes, set[int]] = {}
    for path in stored(night):
        by_content.setdefault(path.read_bytes(), set()).add(path.stat().st_ino)
    assert all(len(inodes) == 1 for text, inodes in by_content.items() if text)
    assert len([*stored(night)]) > len(by_content) + 5
    assert audit(config).findings == ()
    for day in (DAY, "2026-11-23"):
        assert verify_night(night.runs / str(day)).is_valid
    assert prune(config) == []


@pytest.mark.slow
def test_twins_are_told_first_and_outlive_each_other(night: SmallNight) -> None:
    """The dry run names them and links nothing; one that goes later takes no other."""
    night.configure(keep={"versions": 4})
    config = load_config(night.config)
    before = snapshot(night.folder)
    told = find_leftovers(config)
    assert {left.why for left in told} == {"stored twice"}
    assert snapshot(night.folder) == before
    assert {left.path for left in prune(config)} == {left.path for left in told}
    night.configure(keep={"versions": 1})
    prune(load_config(night.config))
    assert verify_night(night.run_dir).is_valid
    assert audit(config).findings == ()


def test_a_disk_without_hard_links_keeps_both(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is called stored once that is not; the rest is removed all the same."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    config = load_config(night.config)
    removed = prune(config)
    assert {left.why for left in removed} == {"replaced", "input of no version"}
    assert {left.why for left in find_leftovers(config)} == {"stored twice"}
    assert not (night.runs / ".same").exists()


def test_files_of_a_delta_table_go_when_its_retention_is_over(
    night: SmallNight,
) -> None:
    """Those of rows that a later delivery replaced; the table reads as before."""
    place = night.folder / "copies"
    night.configure(outputs=[{"table": "merchants", "to": f"delta://{place}"}])
    config = load_config(night.config)
    deliver_night(config, DAY)
    deliver_night(config, DAY, is_again=True)
    table = DeltaTable(place)
    assert [left for left in find_leftovers(config) if left.day is None] == []
    now = {"delta.deletedFileRetentionDuration": "interval 0 seconds"}
    table.alter.set_table_properties(now)
    (left,) = [left for left in find_leftovers(config) if left.day is None]
    assert left.path.is_file()
    rows = DeltaTable(place).to_pyarrow_table().num_rows
    assert left in prune(config)
    assert not left.path.exists()
    assert DeltaTable(place).to_pyarrow_table().num_rows == rows > 0


@pytest.mark.slow
def test_reruns_cost_no_more_than_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of eleven versions three are left, in less than half of the space."""
    night = make_night(tmp_path / "night", num_orders=400)
    monkeypatch.chdir(night.folder)
    found = rerun(night, 10)
    assert len(versions(night)) == 3
    assert found["after"] < found["before"] / 2


def stored(night: SmallNight) -> Iterator[Path]:
    """Files of versions, and kept inputs."""
    for folder in (".versions", ".inputs"):
        yield from (p for p in (night.runs / folder).rglob("*") if p.is_file())
