"""Projects that were moved or copied, by whatever means, are read on or mended."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from optimizer.errors import ConfigError
from optimizer.evidence.audit import audit
from optimizer.night.past_nights import status
from optimizer.night.publish import point
from optimizer.night.state.chain import make_link
from optimizer.night.state.database import EVIDENCE_NAME
from optimizer.night.state.repair import repair
from optimizer.verify.night import verify_night
from tests.night.test_state import (  # noqa: F401 - fixtures
    DAYS,
    Place,
    inputs_once,
    on_postgres,
    on_sqlite,
)
from tests.support.rights import as_user

pytestmark = pytest.mark.slow
CONFIG = ("--config", "config.yaml")


def shell(command: str) -> Callable[[Path, Path], None]:
    """A way to copy, by a program of the system."""

    def copy(source: Path, target: Path) -> None:
        filled = command.format(source=source, target=target)
        subprocess.run(["bash", "-ec", filled], check=True)

    return copy


def without_links(source: Path, target: Path) -> None:
    """As an object store does that knows no links."""
    shutil.copytree(source, target, symlinks=True)
    for path in target.rglob("*"):
        if path.is_symlink():
            path.unlink()


KEPT = {
    "mv": shell("mv {source} {target}"),
    "cp -r": shell("cp -r {source} {target}"),
    "tar": shell("mkdir {target}; tar -C {source} -cf - . | tar -C {target} -xf -"),
}
LOST = {"cp -rL": shell("cp -rL {source} {target}"), "no links": without_links}


@pytest.fixture
def project(on_sqlite: Place) -> Path:  # noqa: F811
    """Two nights with paths that are relative to the project."""
    text = on_sqlite.config_path.read_text()
    on_sqlite.config_path.write_text(text.replace(f"{on_sqlite.folder}/", ""))
    for day in DAYS[:2]:
        assert as_user(on_sqlite.folder, "run", *CONFIG, "--date", day).code == 0
    return on_sqlite.folder


def hold(project: Path) -> None:
    """All that reads the nights finds them whole."""
    for words in (
        ("verify", f"runs/{DAYS[1]}"),
        ("explain", f"runs/{DAYS[1]}"),
        ("audit", *CONFIG),
        ("status", *CONFIG, DAYS[0]),
    ):
        said = as_user(project, *words)
        assert said.code == 0, (words, said.out, said.err)


@pytest.mark.parametrize("copy", KEPT.values(), ids=[*KEPT])
def test_a_copy_with_links_is_read_on(
    project: Path, tmp_path: Path, copy: Callable[[Path, Path], None]
) -> None:
    """In another place all holds, and a rerun finds the night done."""
    there = tmp_path / "elsewhere"
    copy(project, there)
    if project.exists():
        project.rename(tmp_path / "away")
    hold(there)
    assert "nothing to mend" in as_user(there, "state", "repair", *CONFIG).out


@pytest.mark.parametrize("copy", LOST.values(), ids=[*LOST])
def test_a_copy_without_links_is_refused_and_mended(
    project: Path, tmp_path: Path, copy: Callable[[Path, Path], None]
) -> None:
    """A run takes no night for withdrawn; the command it names mends all of them."""
    there = tmp_path / "elsewhere"
    copy(project, there)
    chain = (there / "runs" / EVIDENCE_NAME).read_bytes()
    said = as_user(there, "run", *CONFIG, "--date", DAYS[2])
    assert said.code == 2
    assert "`optimizer state repair` puts them back" in said.err
    assert (there / "runs" / EVIDENCE_NAME).read_bytes() == chain
    said = as_user(there, "state", "repair", *CONFIG)
    assert said.code == 0, said.err
    assert said.out.count("is there again, from the chain of evidence") == 2
    hold(there)
    assert as_user(there, "run", *CONFIG, "--date", DAYS[2]).code == 0


def test_dates_alone_become_versions_again(project: Path, tmp_path: Path) -> None:
    """Where only the folders of the dates were copied, they are versions again."""
    there = tmp_path / "elsewhere"
    LOST["cp -rL"](project, there)
    shutil.rmtree(there / "runs" / ".versions")
    assert as_user(there, "state", "repair", *CONFIG).code == 0
    hold(there)


def test_a_chain_that_is_lost_is_begun_anew_with_its_reason(project: Path) -> None:
    """Only where it is lost; the reason is its first link, the nights come after it."""
    words = ("state", "repair", *CONFIG, "--new-chain", "the disk failed")
    assert "has 2 links and is not begun anew" in as_user(project, *words).err
    time.sleep(1.1)  # nights and links are told apart by the second
    (project / "runs" / EVIDENCE_NAME).unlink()
    (project / "runs" / ".state.sqlite").unlink()
    assert as_user(project, *words).code == 0
    lines = (project / "runs" / EVIDENCE_NAME).read_text().splitlines()
    first, *others = [json.loads(json.loads(line)["text"]) for line in lines]
    assert (first["event"], first["reason"]) == ("BEGUN_ANEW", "the disk failed")
    assert [link["date"] for link in others] == [str(day) for day in DAYS[:2]]
    said = as_user(project, "audit", *CONFIG, "--json")
    found = json.loads(said.out)
    assert (said.code, found["findings"]) == (0, [])
    assert "of the chain that was lost: the disk failed" in found["unproved"][0]
    assert as_user(project, "verify", f"runs/{DAYS[1]}").code == 0


def test_no_run_begins_a_lost_chain_by_itself(project: Path) -> None:
    """It publishes nothing, writes no link, and says what to do."""
    lose_chain(project)
    for words in (
        ("run", *CONFIG, "--date", DAYS[2]),
        ("rollback", *CONFIG, DAYS[1], "--withdraw"),
        ("state", "repair", *CONFIG),
    ):
        said = as_user(project, *words)
        assert said.code == 2
        assert "--new-chain" in said.err
    assert not (project / "runs" / EVIDENCE_NAME).exists()
    assert not (project / "runs" / str(DAYS[2])).exists()
    said = as_user(project, "state", "repair", *CONFIG, "--new-chain", " ")
    assert "say why" in said.err


def test_a_new_chain_does_not_cover_for_later_losses(project: Path) -> None:
    """Of nights after it was begun, a head that the chain lacks is a finding."""
    lose_chain(project)
    as_user(project, "state", "repair", *CONFIG, "--new-chain", "the disk failed")
    # A link that no repair writes again, so that those after it have other numbers.
    withdrawn = as_user(project, "rollback", *CONFIG, DAYS[1], "--withdraw")
    assert withdrawn.code == 0, withdrawn.err
    for day in DAYS[1:3]:
        assert as_user(project, "run", *CONFIG, "--date", day).code == 0
    file = project / "runs" / EVIDENCE_NAME
    lines = file.read_text().splitlines(keepends=True)
    (project / "runs" / ".state.sqlite").unlink()
    file.write_text(lines[0])
    as_user(project, "run", *CONFIG, "--date", DAYS[2])  # brings the state in line
    said = as_user(project, "audit", *CONFIG)
    assert said.code == 4
    assert f"{DAYS[2]}/" in said.out
    assert "names link 5" in said.out
    assert "is not in the chain" in said.out


def test_a_single_lost_link_is_no_withdrawal(project: Path) -> None:
    """A run refuses it, the repair puts it back; a withdrawal stays one."""
    (project / "runs" / str(DAYS[0])).unlink()
    chain = (project / "runs" / EVIDENCE_NAME).read_bytes()
    said = as_user(project, "run", *CONFIG, "--date", DAYS[2])
    assert said.code == 2
    assert f"the links of {DAYS[0]} are lost" in said.err
    assert (project / "runs" / EVIDENCE_NAME).read_bytes() == chain
    assert as_user(project, "state", "repair", *CONFIG).code == 0
    hold(project)
    for _ in range(2):
        assert as_user(project, "rollback", *CONFIG, DAYS[1], "--withdraw").code == 0
        assert as_user(project, "run", *CONFIG, "--date", DAYS[0]).code == 0
        assert not (project / "runs" / str(DAYS[1])).exists()
        assert as_user(project, "run", *CONFIG, "--date", DAYS[1]).code == 0


def test_a_night_that_is_gone_is_no_withdrawal(project: Path) -> None:
    """
    Its version was removed by hand: dates that count on it are refused, the chain says
    nothing new, and a command withdraws it on record.
    """
    chain = (project / "runs" / EVIDENCE_NAME).read_bytes()
    shutil.rmtree(project / "runs" / ".versions" / str(DAYS[1]))
    said = as_user(project, "run", *CONFIG, "--date", DAYS[2])
    assert said.code == 3
    assert f"optimizer rollback {DAYS[1]} --withdraw" in said.err
    said = as_user(project, "state", "repair", *CONFIG)
    assert said.out.count("is gone, or not whole") == 1
    assert (project / "runs" / EVIDENCE_NAME).read_bytes() == chain
    said = as_user(project, "audit", *CONFIG)
    assert "`optimizer state repair` mends or names what was lost" in said.out
    assert "replaced" not in said.out
    assert as_user(project, "rollback", *CONFIG, DAYS[1], "--withdraw").code == 0
    assert as_user(project, "run", *CONFIG, "--date", DAYS[2]).code == 0
    assert as_user(project, "audit", *CONFIG).code == 0


def test_what_is_mended_of_the_chain_is_said(project: Path) -> None:
    """From the database or the file; a file that is no chain stands aside then."""
    file, state = (project / "runs" / n for n in (EVIDENCE_NAME, ".state.sqlite"))
    whole = file.read_bytes()
    file.unlink()
    said = as_user(project, "state", "repair", *CONFIG)
    assert f"in runs/{EVIDENCE_NAME}, from the database: 2 links" in said.out
    state.unlink()
    said = as_user(project, "state", "repair", *CONFIG)
    assert f"database, from runs/{EVIDENCE_NAME}: 2 links" in said.out
    file.write_bytes(b"\0junk\n" + whole)
    said = as_user(project, "state", "repair", *CONFIG)
    assert f"it is {EVIDENCE_NAME}.aside-1 now, and is written again" in said.out
    assert file.read_bytes() == whole
    hold(project)
    assert "nothing to mend" in as_user(project, "state", "repair", *CONFIG).out


def test_two_chains_that_both_hold_are_left_to_a_person(project: Path) -> None:
    """Nothing says which is true, so neither is written over."""
    file = project / "runs" / EVIDENCE_NAME
    other = make_link({"date": str(DAYS[0]), "version": None}, None)
    file.write_text(json.dumps(asdict(other)) + "\n")
    said = as_user(project, "state", "repair", *CONFIG)
    assert said.code == 2
    assert "have different chains from link 1 on" in said.err
    assert len(file.read_text().splitlines()) == 1


def test_the_note_of_a_withdrawal_that_died_early_does_not_stay(
    project: Path,
) -> None:
    """The link is still there: the night is published, and a later loss is a loss."""
    link = project / "runs" / str(DAYS[1])
    leads_to = link.readlink()
    note = project / "runs" / ".versions" / str(DAYS[1]) / ".withdrawn"
    note.write_text(leads_to.name)
    assert as_user(project, "run", *CONFIG, "--date", DAYS[0]).code == 0
    assert not note.exists()
    link.unlink()
    said = as_user(project, "run", *CONFIG, "--date", DAYS[0])
    assert f"the links of {DAYS[1]} are lost" in said.err


def test_a_withdrawal_that_died_is_finished(project: Path) -> None:
    """The link is gone and noted, the state knows nothing yet: the next run follows."""
    point(project / "runs", DAYS[1], None)
    assert as_user(project, "run", *CONFIG, "--date", DAYS[0]).code == 0
    lines = (project / "runs" / EVIDENCE_NAME).read_text().splitlines()
    last = json.loads(json.loads(lines[-1])["text"])
    assert (last["event"], last["date"]) == ("WITHDRAWN", str(DAYS[1]))
    assert as_user(project, "audit", *CONFIG).code == 0


def test_a_project_with_its_state_on_a_server_moves(
    on_postgres: Place,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Copied without links and with its server left where it is, it is mended alike."""
    text = on_postgres.config_path.read_text()
    on_postgres.config_path.write_text(text.replace(f"{on_postgres.folder}/", ""))
    monkeypatch.chdir(on_postgres.folder)
    for day in DAYS[:2]:
        on_postgres.run(day)
    there = Place(tmp_path / "elsewhere")
    without_links(on_postgres.folder, there.folder)
    on_postgres.folder.rename(tmp_path / "away")
    monkeypatch.chdir(there.folder)
    with pytest.raises(ConfigError, match="`optimizer state repair`"):
        there.run(DAYS[2])
    said = repair(there.config)
    assert sum("is there again, from the chain of evidence" in s for s in said) == 2
    assert audit(there.config).findings == ()
    assert verify_night(f"runs/{DAYS[1]}").findings == ()
    assert status(there.config, DAYS[0])["is_in_state"]
    assert there.run(DAYS[2]).outcome == "published"


def test_a_night_alone_is_proved_from_inputs_that_are_named(
    project: Path, tmp_path: Path
) -> None:
    """Only the date's folder was copied: what is missing, and the way, are said."""
    alone = tmp_path / "alone"
    shutil.copytree(project / "runs" / str(DAYS[0]), alone)
    project.rename(tmp_path / "away")
    said = as_user(tmp_path, "verify", "alone")
    assert said.code == 4
    assert "name a folder that has it with --inputs" in said.out
    assert as_user(tmp_path, "verify", "alone", "--inputs", "away").code == 0


def lose_chain(project: Path) -> None:
    for name in (EVIDENCE_NAME, ".state.sqlite"):
        (project / "runs" / name).unlink()
