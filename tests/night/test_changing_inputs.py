"""A run reads one state of its inputs, or publishes nothing; and that state is kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from optimizer.config import load_config
from optimizer.errors import BusyError, DataError, DeliveryError
from optimizer.io import kept_inputs
from optimizer.io.kept_inputs import found_inputs
from optimizer.io.snapshot import changed_file, take_snapshot
from optimizer.job import run_date
from optimizer.night import run as running
from optimizer.night.check import check_inputs
from optimizer.verify.night import verify_night
from tests.support.small_night import DAY, SmallNight, call, copy_night, make_night

#: What a run tells while it works: at each of these an input is replaced.
STAGES = (
    "read",
    "validate",
    "value",
    "build",
    "solve",
    "certify",
    "explain",
    "publish",
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A small night: inputs and a configuration."""
    return make_night(tmp_path_factory.mktemp("original"), num_orders=400)


@pytest.fixture
def night(
    original: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallNight:
    """A copy of it to work on."""
    return copy_night(original, tmp_path / "night", monkeypatch)


def shuffled(night: SmallNight, name: str) -> Path:
    """The same rows in another order: what a second export gives."""
    table = night.read(name).sample(fraction=1.0, shuffle=True, seed=1)
    path = night.folder / f"other-{name}{night.input(name).suffix}"
    if path.suffix == ".csv":
        table.write_csv(path)
    else:
        table.write_parquet(path)
    return path


def run_with(night: SmallNight, stage: str, change, **more) -> list[str]:
    """Run, and change something once when a stage begins; give the stages seen."""
    seen: list[str] = []

    def tell(text: str) -> None:
        if text == stage and text not in seen:
            change()
        seen.append(text)

    run_date(load_config(night.config), DAY, progress=tell, **more)
    return seen


def test_the_stages_are_those_that_a_run_tells(night: SmallNight) -> None:
    """So that no stage is left out below."""
    assert {*STAGES} <= {*run_with(night, "", lambda: None)}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["orders", "capacity", "merchants"])
def test_an_input_that_is_replaced_publishes_nothing(
    night: SmallNight, name: str, stage: str
) -> None:
    """The same rows in another order, moved over the file: 75, and the file's name."""
    other = shuffled(night, name)
    with pytest.raises(BusyError, match=f"{name}.*changed while the night was made"):
        run_with(night, stage, lambda: other.replace(night.input(name)))
    assert not night.run_dir.exists()


@pytest.mark.parametrize("stage", STAGES)
def test_an_input_that_is_written_over_publishes_nothing(
    night: SmallNight, stage: str
) -> None:
    """Same file, same size, its old time stamp: the file system still tells."""
    path, other = night.input("orders"), shuffled(night, "orders")
    before = path.stat()

    def overwrite() -> None:
        shutil.copyfile(other, path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises((BusyError, DataError)) as refused:
        run_with(night, stage, overwrite)
    assert refused.type is BusyError
    assert not night.run_dir.exists()


def test_a_file_that_is_damaged_by_its_replacement_is_told_as_a_change(
    night: SmallNight,
) -> None:
    """Half a file looks damaged; that it came meanwhile is what must be said."""
    path = night.input("orders")
    with pytest.raises(BusyError, match="changed while"):
        run_with(night, "validate", lambda: path.write_bytes(b"PAR1"))


def test_a_part_that_comes_meanwhile_publishes_nothing(night: SmallNight) -> None:
    """A glob that names one more file at the end named an unfinished export."""
    path = night.input("orders")
    night.configure(
        inputs=night.settings()["inputs"] | {"orders": f"{path.parent}/orders*.parquet"}
    )
    more = path.with_name("orders-2.parquet")
    with pytest.raises(BusyError, match=r"orders-2\.parquet: changed"):
        run_with(night, "solve", lambda: shutil.copyfile(path, more))


@pytest.mark.slow
def test_an_earlier_run_that_is_replaced_does_not_mix(night: SmallNight) -> None:
    """The link of ``previous`` is followed once, so another version changes nothing."""
    night.run()
    link = night.folder / "before"
    link.symlink_to(night.run_dir.resolve())
    night.configure(solver={"time_limit_seconds": 60})

    def repoint() -> None:
        link.unlink()
        link.symlink_to(night.folder)

    run_with(night, "read", repoint, previous=link, is_forced=True)
    assert verify_night(night.run_dir).is_valid


@pytest.mark.parametrize("is_first", [True, False])
def test_a_published_night_is_not_unsaid_by_a_copy_that_fails(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    """
    An input is replaced, and then a copy does not arrive: the message is of the copy,
    and says that the night is published, of the run that did it or of one after it.
    """
    if not is_first:
        night.run()
    (night.folder / "shut").touch()
    copy = {"table": "lanes", "to": f"{night.folder}/shut/{{date}}.csv"}
    night.configure(outputs=[copy])
    other, path = shuffled(night, "orders"), night.input("orders")
    really = running.send_copies

    def late(*given):
        other.replace(path)
        return really(*given)

    monkeypatch.setattr(running, "send_copies", late)
    with pytest.raises(DeliveryError, match="is published, but not all copies"):
        run_date(load_config(night.config), DAY)
    assert night.run_dir.is_symlink()


def test_checking_inputs_reads_one_state_too(night: SmallNight) -> None:
    """``validate`` says nothing of a mixture."""
    other, path = shuffled(night, "orders"), night.input("orders")
    with pytest.raises(BusyError, match="changed while"):
        check_inputs(
            load_config(night.config),
            DAY,
            lambda text: other.replace(path) if text == "build" else None,
        )


def test_reading_a_file_changes_nothing(tmp_path: Path) -> None:
    """Readers, and a file that nobody touches, raise no alarm."""
    path = tmp_path / "orders.csv"
    path.write_text("order_id\na\n")
    before = take_snapshot({"orders": str(path)}, [path])
    assert path.read_text()
    assert changed_file(before) is None


def test_a_young_file_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes within one tick of the file system leave the same stamps."""
    path = tmp_path / "orders.csv"
    path.write_text("order_id\na\n")
    before = take_snapshot({"orders": str(path)})
    path.write_text("order_id\nb\n")
    states = {state.path: state for state in before.states}
    monkeypatch.setattr("optimizer.io.snapshot._state", states.__getitem__)
    assert changed_file(before) == path


@pytest.mark.slow
def test_a_night_holds_when_its_inputs_are_replaced(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The next export at the same path does not take the proof of the last one away."""
    night.run()
    for name in ("orders", "capacity", "merchants"):
        shuffled(night, name).replace(night.input(name))
    said = call(monkeypatch, capsys, "verify", "runs/2026-11-22", "--json")
    assert said.code == 0, said.out
    assert json.loads(said.out)["is_stated"]


@pytest.mark.slow
def test_a_kept_file_that_was_changed_is_not_believed(night: SmallNight) -> None:
    """Kept or not, only the checksum says that a file is the one that was read."""
    night.run()
    (kept,) = (night.runs / ".inputs" / DAY.isoformat()).glob("orders-*")
    kept.chmod(0o600)
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    assert verify_night(night.run_dir).is_valid  # from where it was read
    night.input("orders").unlink()
    (said,) = verify_night(night.run_dir).findings
    assert "orders.parquet is gone" in said


@pytest.mark.slow
def test_large_inputs_are_copied_only_where_blocks_are_shared(
    night: SmallNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit a night names its inputs, and does not take their room."""
    monkeypatch.setattr(kept_inputs, "COPIED_BYTES", 10)
    monkeypatch.setattr(kept_inputs, "_shares_blocks", lambda source, copy: False)
    night.run()
    assert not [*(night.runs / ".inputs").rglob("orders-*")]
    assert verify_night(night.run_dir).is_valid


@pytest.mark.slow
@pytest.mark.parametrize("way", ["moved", "copied", "copied with links followed"])
def test_a_moved_project_is_proved(
    night: SmallNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Whole folder elsewhere, kept inputs removed: the inputs beside it are found."""
    night.run()
    shutil.rmtree(night.runs / ".inputs")
    target = tmp_path / "elsewhere"
    if way == "moved":
        night.folder.rename(target)
    else:
        shutil.copytree(night.folder, target, symlinks=way == "copied")
        shutil.rmtree(night.folder)
    monkeypatch.chdir(tmp_path)
    verified = verify_night(target / "runs" / DAY.isoformat())
    assert verified.findings == ()


@pytest.mark.slow
def test_inputs_are_found_by_content_in_a_folder_that_is_named(
    night: SmallNight, tmp_path: Path
) -> None:
    """An archive under other names: ``--inputs`` reads it, and believes no name."""
    night.run()
    shutil.rmtree(night.runs / ".inputs")
    archive = tmp_path / "archive" / "deep"
    archive.mkdir(parents=True)
    for name in ("orders", "capacity", "merchants"):
        path = night.input(name)
        path.rename(archive / f"of-november-{name}{path.suffix}")
    (archive / "orders.parquet").write_bytes(b"not this one")
    assert not verify_night(night.run_dir).is_valid
    assert verify_night(night.run_dir, inputs=archive.parent).is_valid
    record = json.loads((night.run_dir / "run.json").read_text())
    found = found_inputs(night.run_dir, record, archive.parent)
    assert found["orders"] == [str(archive / "of-november-orders.parquet")]
    assert len(pl.read_parquet(found["orders"][0])) == 400
