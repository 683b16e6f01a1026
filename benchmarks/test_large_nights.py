"""What measures large nights, on a small one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks import large_nights

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty page, with results and a picture of its own beside it."""
    page = tmp_path / "page.md"
    marks = (large_nights.BEGIN, large_nights.END)
    more = (large_nights.BEGIN_BOTH, large_nights.END_BOTH)
    page.write_text("\n".join(["before", *marks, *more, "after\n"]))
    monkeypatch.setattr(large_nights, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(large_nights, "PAGE", page)
    monkeypatch.setattr(large_nights, "PICTURE", tmp_path / "picture.svg")
    return page


def test_a_night_is_measured_told_and_drawn(tmp_path: Path, page: Path) -> None:
    """Stages, memory over time and proof are kept; page and picture show them."""
    words = ["run", "2k", "4k", "--scratch", str(tmp_path), "--memory-gb", "1"]

    large_nights.main(words)
    assert "Nothing was measured yet." in page.read_text()

    small, large = json.loads((tmp_path / "results.json").read_text())
    assert (small["name"], large["name"]) == ("2k-1gb", "4k-1gb")
    assert large["gap"] == 0
    assert 0 < sum(large["stage_seconds"].values()) < large["seconds"]
    assert max(own for _, own, _ in large["looks"]) == large["own_bytes"] > 0
    told = page.read_text()
    assert told.startswith("before\n")
    assert told.endswith("\nafter\n")
    assert "| stage | 2K, `memory_gb: 1` | 4K, `memory_gb: 1` |" in told
    assert (tmp_path / "picture.svg").read_text().count("seconds") >= 2


def test_a_profile_names_functions(tmp_path: Path) -> None:
    """So many of them, the longest first."""
    inputs = large_nights.simulated(tmp_path / "2k", 2_000)
    title, *functions = large_nights.profile(inputs, tmp_path).splitlines()
    assert title.endswith("of the first thread")
    seconds = [float(line.split()[0]) for line in functions]
    assert len(seconds) == large_nights.NUM_FUNCTIONS
    assert seconds == sorted(seconds, reverse=True)


def test_an_earlier_commit_stands_beside_this_one(
    tmp_path: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each night is run by both; the earlier is in no table of growth, nor stale."""
    monkeypatch.setattr(large_nights, "WARM_UP", "2k")
    monkeypatch.setattr(large_nights, "commit_of", lambda _: "0123abcd")
    here = large_nights.HERE.parent

    words = ["run", "2k", "--scratch", str(tmp_path), "--before", str(here)]
    large_nights.main(words)

    old, new = json.loads((tmp_path / "results.json").read_text())
    assert sorted([old["name"], new["name"]]) == ["2k", "2k-before"]
    assert old["num_chosen"] == new["num_chosen"] > 0
    told = page.read_text()
    assert "| stage | 2K |\n" in told
    assert "| stage | 2K, `0123abcd` | 2K, now | part |" in told
    assert "Stale" not in told
