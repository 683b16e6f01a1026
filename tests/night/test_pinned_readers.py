"""A reader follows a date's link once: what it says is of one version."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimizer.compare.runs import compare_runs
from optimizer.contracts import run_folder
from optimizer.explain.churn import read_previous
from optimizer.explain.parts import explain_lane, explain_merchant, explain_night
from optimizer.explain.sentences import explain_run
from optimizer.verify.night import verify_night
from optimizer.whatif.base import base_of_run
from tests.support.small_night import DAY, SmallNight, call, copy_night, make_night

MERCHANT = "shop-000000"
READERS: dict[str, Callable[[Path], Any]] = {
    "night": explain_night,
    "merchant": lambda run: explain_merchant(run, MERCHANT),
    "lane": lambda run: explain_lane(run, "yunda"),
    "order": lambda run: explain_run(run, first_order(run)),
    "diff": lambda run: compare_runs(run, run).orders.rows(),
    "previous": lambda run: read_previous(run).chosen.rows(),
    "what if": lambda run: base_of_run(run).night.certificate,
    "verify": verify_night,
}


def first_order(run: Path) -> str:
    import polars as pl

    return pl.read_parquet(run / "recommendations.parquet")["order_id"][0]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> SmallNight:
    """A date that was published twice, with few slots and with many."""
    night = make_night(tmp_path_factory.mktemp("original"), num_orders=300)
    night.input("capacity").write_text("carrier_id,slots\nyunda,1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(night.folder)
        night.run()
        night.input("capacity").write_text("carrier_id,slots\nyunda,9\n")
        night.run(is_forced=True)
    return night


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_sees_one_version(
    original: SmallNight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reader: str,
) -> None:
    """Another run replaces the link as soon as the record was read: nothing changes."""
    night, read = copy_night(original, tmp_path / "night", monkeypatch), READERS[reader]
    link, now = night.run_dir, night.run_dir.readlink()
    folder = night.runs / ".versions" / DAY.isoformat()
    (other,) = (path for path in folder.iterdir() if path.name != now.name)
    expected = read(link)
    loads = json.loads

    def replaced(text: str, **more: Any) -> Any:
        if link.readlink() == now:
            link.unlink()
            link.symlink_to(other)
        return loads(text, **more)

    monkeypatch.setattr(run_folder.json, "loads", replaced)
    assert read(link) == expected or reader == "order"
    assert link.readlink() == other


def test_a_run_names_its_version(
    original: SmallNight,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who takes a night further reads the version that the run named, not the link."""
    night = copy_night(original, tmp_path / "night", monkeypatch)
    words = ("run", "--config", night.config, "--date", DAY)
    said = call(monkeypatch, capsys, *words, "--json")
    version = json.loads(said.out)["version_dir"]
    assert Path(version).resolve() == night.run_dir.resolve()
    said = call(monkeypatch, capsys, *words)
    assert said.out.splitlines()[-1] == f"  version    {version}"
