"""What the command says last of a history that cannot be trusted as it stands."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest

from optimizer.build.assumed import assumptions
from optimizer.build.learned_model import HARMS, Leak, Young
from optimizer.build.model_file import model_text
from optimizer.build.model_prediction import risk_of
from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.window import Window
from tests.support.drawn_models import a_model
from tests.support.grounds import grounds_of
from tests.support.small_night import call
from tests.support.trial import CARRIERS, DAY, outcomes, settings

if TYPE_CHECKING:
    from pathlib import Path

    from optimizer.learn.learned import Learned

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


def _told_by_score(num_told: int) -> pl.DataFrame:
    """
    A thousand standard parcels, alike but for a score; 100 complain.

    It is 0.9 for so many of these, and 0.1 for everyone else.
    """
    place = pl.int_range(pl.len())
    return outcomes(
        1_000,
        is_premium=[False] * 1_000,
        propensity=[0.0] * 1_000,
        order_value_cny=[10.0] * 1_000,
        return_prob_standard=[0.02] * 1_000,
        merchant_id=["m"] * 1_000,
        carrier_id=["yunda"] * 1_000,
        region_id=["north"] * 1_000,
    ).with_columns(
        complaint=place < 100,
        complaint_prob_standard=pl.when(place < num_told).then(0.9).otherwise(0.1),
    )


def _learned(table: pl.DataFrame, **learning: object) -> Learned:
    config = settings(learning={"prior": {"effect": 0.3}} | learning)
    return learn(table, config, Window(DAY + dt.timedelta(45)))


def test_nothing_is_learned_from_a_score_that_tells_the_outcome() -> None:
    """
    By hand: of 100 x 900 pairs, 99 x 900 are in order and 900 are ties: 0.995.

    A night's parcel of score 0.1 then has the risk of all, 1 in 10, where the score
    that was filled in later would have made it 1 in 901. With 98 told it is 0.99, which
    is no leak, and 2 in 902 is learned.
    """
    tonight = _told_by_score(0)
    for num_told, share, risk in ((99, [0.995], 0.1), (98, [], 2 / 902)):
        found = _learned(_told_by_score(num_told))
        assert [one.share for one in found.model.leaks] == share
        assert all(one.is_left_out for one in found.model.leaks)
        learned = risk_of(tonight, found.model.risk["complaint"])
        assert learned == pytest.approx(risk, rel=0.1)
        told = [one for one in found.warnings if one.code == "SCORE_LEAKS"]
        assert len(told) == len(share)
        assert all(f"WARNING: {one}" in found.card for one in told)


@pytest.mark.slow
@pytest.mark.parametrize(
    "column", ["complaint_prob_standard", "order_value_cny", "category_id"]
)
def test_a_column_that_leaks_teaches_what_one_that_is_not_there_teaches(
    column: str,
) -> None:
    """Risks, effects and learners are those of a history without the column."""
    sound = outcomes(4_000, seed=2)
    told = pl.when("complaint")
    later = {
        "complaint_prob_standard": told.then(0.91).otherwise(0.01),
        "order_value_cny": told.then(0.0).otherwise("order_value_cny"),
        "category_id": told.then(pl.lit("refund")).otherwise(pl.lit("sold")),
    }[column]
    kind = pl.String if column == "category_id" else pl.Float64
    model = _learned(sound.with_columns(later.alias(column))).model
    without = _learned(sound.with_columns(pl.lit(None, kind).alias(column))).model
    assert [one.column for one in model.leaks] == [column]
    unnamed = {"leaks": [], "version": ""}
    assert model.model_copy(update=unnamed) == without.model_copy(update=unnamed)


@pytest.mark.slow
def test_a_name_that_leaks_still_counts_promises() -> None:
    """A region that tells the outcome is no level of a model, nor of what measures."""
    sound = outcomes(4_000, seed=2)
    told = pl.when("complaint").then(pl.lit("lost")).otherwise("region_id")
    table = sound.with_columns(region_id=told)
    model = _learned(table).model
    assert [one.column for one in model.leaks] == ["region_id"]
    for part in (*model.risk.values(), *model.effect.values()):
        assert not part.levels.get("region_id")
    assert {one.region_id for one in model.promises} == {None, "lost", "north", "south"}
    window = Window(DAY + dt.timedelta(45))
    measured = [
        row["estimate"]
        for data in (table, sound)
        for row in evaluate(data, settings(), window).effects
        if row["by"] is None
        and (row["outcome"], row["method"]) == ("complaint", "doubly_robust")
    ]
    assert measured[0] == pytest.approx(measured[1], abs=0.002)


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
    """
    Of a harm that costs nothing, nothing is told; nor where there was nothing.

    A column that was left out is told whatever its harm costs.
    """
    leak = Leak(harm="return", column="region_id", share=0.9951)
    young = [Young(harm=h, num_rows=2, num_parcels=9, num_days=14) for h in HARMS]
    model = a_model().model_copy(update={"leaks": [leak], "young": young})
    codes = {}
    for cost in (18, 0):
        objective = {"complaint_cost_cny": 30, "return_cost_cny": cost}
        config = settings(objective=objective)
        grounds = grounds_of(model, config, DAY)
        told = [(one.code, one.values) for one in assumptions(grounds)]
        codes[cost] = [
            (code, values["harm"]) for code, values in told if code in ALARMS
        ]
    left = leak.model_copy(update={"is_left_out": True})
    model = model.model_copy(update={"leaks": [left]})
    grounds = grounds_of(model, config, DAY)
    (told_left,) = (one for one in assumptions(grounds) if one.code == "LEAK_LEFT_OUT")
    assert "nothing was learned from region_id" in told_left.text
    assert codes[0] == [("YOUNG_COUNTED", "complaint")]
    assert codes[18] == [
        *codes[0],
        ("YOUNG_COUNTED", "return"),
        ("HISTORY_LEAKS", "return"),
    ]
