"""What the command says last of a history that cannot be trusted as it stands."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import polars as pl

from tests.support.small_night import call
from tests.support.trial import CARRIERS, DAY, outcomes

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

KEYS = {
    "version": 1,
    "policy": [
        {
            "valid_from": "2020-01-01",
            "cap": {"rate": 0.03},
            "fee": {"amount_cny": 0.8},
            "carriers": [*CARRIERS],
        }
    ],
    "objective": {"complaint_cost_cny": 30, "return_cost_cny": 18},
}


def test_alarms_stand_below_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows lost from one arm are told again below the card; sound ones are not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(json.dumps(KEYS))
    sound = outcomes(4_000, seed=1)
    lost = sound.filter(~(pl.col("is_premium") & pl.col("complaint")))
    for name, table, alarms in (("sound", sound, 0), ("lost", lost, 1)):
        table.write_parquet(f"{name}.parquet")
        words = ("--history", f"{name}.parquet", "--as-of", DAY + dt.timedelta(30))
        said = call(monkeypatch, capsys, "learn", "--config", "c.yaml", *words)
        assert said.code == 0, said.err
        last = [line for line in said.out.splitlines() if line][-4:]
        told = [line for line in last if line.startswith("ALARM: ")]
        assert len(told) == alarms
        assert all("premium" in line for line in told)
