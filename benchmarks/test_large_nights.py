"""What measures large nights, on a small one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks import large_nights

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_night_is_measured_told_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stages, memory over time and proof are kept; page and picture show them."""
    page, picture = tmp_path / "page.md", tmp_path / "picture.svg"
    page.write_text(f"before\n{large_nights.BEGIN}\n{large_nights.END}\nafter\n")
    monkeypatch.setattr(large_nights, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(large_nights, "PAGE", page)
    monkeypatch.setattr(large_nights, "PICTURE", picture)
    words = ["run", "2k", "4k", "--scratch", str(tmp_path), "--memory-gb", "1"]

    large_nights.main(words)

    small, large = json.loads((tmp_path / "results.json").read_text())
    assert (small["name"], large["name"]) == ("2k-1gb", "4k-1gb")
    assert large["gap"] == 0
    assert 0 < sum(large["stage_seconds"].values()) < large["seconds"]
    assert max(own for _, own, _ in large["looks"]) == large["own_bytes"] > 0
    told = page.read_text()
    assert told.startswith("before\n")
    assert told.endswith("\nafter\n")
    assert "| stage | 2K, `memory_gb: 1` | 4K, `memory_gb: 1` |" in told
    assert picture.read_text().count("seconds") >= 2


def test_a_profile_names_functions(tmp_path: Path) -> None:
    """So many of them, the longest first."""
    inputs = large_nights.simulated(tmp_path / "2k", 2_000)
    title, *functions = large_nights.profile(inputs, tmp_path).splitlines()
    assert title.endswith("of the first thread")
    seconds = [float(line.split()[0]) for line in functions]
    assert len(seconds) == large_nights.NUM_FUNCTIONS
    assert seconds == sorted(seconds, reverse=True)
