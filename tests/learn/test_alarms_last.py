"""What the command says last of a history that cannot be trusted as it stands."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

from optimizer.build.assumed import Grounds, assumptions
from optimizer.build.learned_model import HARMS, Leak, Young
from optimizer.build.learned_probabilities import Gaps
from optimizer.build.model_file import model_text
from optimizer.learn.fit import learn
from optimizer.learn.window import Window
from tests.support.drawn_models import a_model
from tests.support.small_night import call
from tests.support.trial import CARRIERS, DAY, outcomes, settings

if TYPE_CHECKING:
    from pathlib import Path

#: Codes of what makes a model's history doubtful.
ALARMS = ("YOUNG_COUNTED", "HISTORY_LEAKS")
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


@pytest.mark.parametrize(
    ("cost", "harms"), [(18, ["complaint", "return"]), (0, ["complaint"])]
)
def test_what_a_history_is_doubted_for_stays_in_the_model(
    cost: int, harms: list[str]
) -> None:
    """
    Young rows of unknown ripeness, and a score that tells the outcome.

    All that the night will say of them: it counts them where the harm costs something.
    """
    table = outcomes(4_000, seed=1)
    table = table.with_columns(complaint_prob_standard=0.01 + 0.9 * pl.col("complaint"))
    objective = {"complaint_cost_cny": 30, "return_cost_cny": cost}
    config = settings(objective=objective)
    model = learn(table, config, Window(DAY + dt.timedelta(20))).model
    assert [one.harm for one in model.young] == harms
    # On the 20th day after the first night the seventh is 14 days old.
    days = table["date"].to_list()
    assert model.young[0] == Young(
        harm="complaint",
        num_rows=sum(day >= DAY + dt.timedelta(6) for day in days),
        num_parcels=4_000,
        num_days=14,
    )
    assert [(one.harm, one.column) for one in model.leaks] == [
        ("complaint", "complaint_prob_standard")
    ]
    assert model.leaks[0].share > 0.99
    written = json.loads(model_text(model))
    assert written["leaks"][0]["column"] == "complaint_prob_standard"
    sound = learn(outcomes(4_000, seed=1), config, Window(DAY + dt.timedelta(50))).model
    assert (sound.leaks, sound.young) == ([], [])
    assert not {"leaks", "young"} & json.loads(model_text(sound)).keys()


def test_a_night_tells_what_its_models_history_is_doubted_for() -> None:
    """Of a harm that costs nothing, nothing is told; nor where there was nothing."""
    leak = Leak(harm="return", column="region_id", share=0.9951)
    young = [Young(harm=h, num_rows=2, num_parcels=9, num_days=14) for h in HARMS]
    model = a_model().model_copy(update={"leaks": [leak], "young": young})
    codes, gaps = {}, Gaps(premium=True, risks=frozenset(HARMS))
    for cost in (18, 0):
        objective = {"complaint_cost_cny": 30, "return_cost_cny": cost}
        config = settings(objective=objective)
        grounds = Grounds(model, gaps, config, config.policy[0], DAY, {})
        told = [(one.code, one.values) for one in assumptions(grounds)]
        codes[cost] = [
            (code, values["harm"]) for code, values in told if code in ALARMS
        ]
    assert codes[0] == [("YOUNG_COUNTED", "complaint")]
    assert codes[18] == [
        *codes[0],
        ("YOUNG_COUNTED", "return"),
        ("HISTORY_LEAKS", "return"),
    ]
