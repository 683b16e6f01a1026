"""Projects that were moved or copied, by whatever means, are read on or mended."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.night.state.database import EVIDENCE_NAME
from tests.night.test_state import (  # noqa: F401 - fixtures
    DAYS,
    Place,
    inputs_once,
    on_sqlite,
)
from tests.support.rights import as_user

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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_dates_alone_become_versions_again(project: Path, tmp_path: Path) -> None:
    """Where only the folders of the dates were copied, they are versions again."""
    there = tmp_path / "elsewhere"
    LOST["cp -rL"](project, there)
    shutil.rmtree(there / "runs" / ".versions")
    assert as_user(there, "state", "repair", *CONFIG).code == 0
    hold(there)


@pytest.mark.slow
def test_a_chain_that_is_lost_is_begun_anew_with_its_reason(project: Path) -> None:
    """Only where it is lost; the reason is its first link, the nights come after it."""
    words = ("state", "repair", *CONFIG, "--new-chain", "the disk failed")
    assert "has 2 links and is not begun anew" in as_user(project, *words).err
    (project / "runs" / EVIDENCE_NAME).unlink()
    (project / "runs" / ".state.sqlite").unlink()
    assert as_user(project, *words).code == 0
    lines = (project / "runs" / EVIDENCE_NAME).read_text().splitlines()
    first, *others = [json.loads(json.loads(line)["text"]) for line in lines]
    assert (first["event"], first["reason"]) == ("BEGUN_ANEW", "the disk failed")
    assert [link["date"] for link in others] == [str(day) for day in DAYS[:2]]
    said = as_user(project, "audit", *CONFIG, "--json")
    findings = json.loads(said.out)["findings"]
    assert all("names link" in text for text in findings)
    assert as_user(project, "verify", f"runs/{DAYS[1]}").code == 0
