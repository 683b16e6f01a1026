"""Nights whose savings were drawn are held to what their plans promise on average."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.history import read_history
from optimizer.learn.ledger import ledger
from optimizer.learn.overlap import comparable
from optimizer.learn.risk import CrossFit
from optimizer.learn.window import Window
from tests.support.trial import DAY, outcomes, settings

AFTER = Window(DAY + dt.timedelta(30))
FEE = 0.8


def drawn_nights(num_rows: int, seed: int, error: float) -> pl.DataFrame:
    """
    A fair trial of drawn nights: the means are true, and each night's draw is off.

    All parcels of a night are off together, as one draw of an effect is.
    """
    table = outcomes(num_rows, seed)
    avoided = 24 * table["complaint_prob_standard"].to_numpy()
    off = np.random.default_rng(seed).normal(0, error, 10)[np.arange(num_rows) % 10]
    return table.with_columns(
        arm=pl.lit("thompson"),
        saving_cny=pl.Series(avoided * (1 + off) - FEE),
        mean_saving_cny=pl.Series(avoided - FEE),
    )


def accounts(table: pl.DataFrame) -> list[dict[str, float]]:
    """The ledger by predictions that are right."""
    data = comparable(read_history(table, settings(), AFTER).frame)
    risk = data.frame["complaint_prob_standard"].to_numpy()
    right = CrossFit(risk, risk / 2)
    return ledger(data, {"complaint": right, "return": right}, settings())


def test_a_drawn_night_promises_its_propensities_times_its_means():
    """
    Three parcels of one night, by hand: 0.25 (3 + 0.8) + 0.5 (1 + 0.8) - 0.1 (1.2), as
    the mean of the third is -2; what was drawn, 50 for each, is not in it. A plain
    night beside it promises what was decided: 100 times 0.5 (2 + 0.8).
    """
    plain = outcomes(100, 3).with_columns(
        arm=pl.lit("policy"),
        saving_cny=pl.lit(2.0),
        mean_saving_cny=pl.lit(None, pl.Float64),
        date=pl.lit(DAY),
    )
    means, chances = [3.0, 1.0, -2.0], [0.25, 0.5, 0.1]
    drawn = plain.head(3).with_columns(
        order_id=pl.Series(["a", "b", "c"]),
        date=pl.lit(DAY + dt.timedelta(1)),
        # One that no draw leaves out, but for the holdout, is of the arm of the plan.
        arm=pl.Series(["thompson", "policy", "thompson"]),
        saving_cny=pl.lit(50.0),
        mean_saving_cny=pl.Series(means),
        propensity=pl.Series(chances),
    )
    found = accounts(pl.concat([plain, drawn]))
    by_night = [row["promised_cny"] for row in found if row["by"] == "date"]
    assert by_night == pytest.approx([140.0, 0.25 * 3.8 + 0.5 * 1.8 - 0.1 * 1.2])
    assert found[0]["promised_cny"] == pytest.approx(sum(by_night))


@pytest.mark.slow
def test_the_ledger_of_drawn_nights_holds_what_their_means_promise():
    """
    Of 60 histories whose means are true, 52 and more intervals hold the promise; the
    drawn savings, each night's off by its own draw, are held by fewer than 40.
    """
    held = {"mean": 0, "drawn": 0}
    for seed in range(60):
        table = drawn_nights(1_000, 200 + seed, error=2.0)
        whole = accounts(table)[0]
        held["mean"] += whole["low"] <= whole["promised_cny"] <= whole["high"]
        drawn = float((table["saving_cny"] + FEE).sum()) / 2
        held["drawn"] += whole["low"] <= drawn <= whole["high"]
    assert held["mean"] >= 52
    assert held["drawn"] < 40


def test_drawn_nights_without_their_means_are_in_no_ledger():
    """What outcomes have no mean of is not held against its draw; others are."""
    table = drawn_nights(1_000, 1, error=2.0)
    first = pl.col("date") == DAY
    lacking = table.with_columns(
        mean_saving_cny=pl.when(~first).then("mean_saving_cny")
    )
    nights = [row["group"] for row in accounts(lacking) if row["by"] == "date"]
    assert nights == [str(DAY + dt.timedelta(number)) for number in range(1, 10)]
    assert accounts(table.drop("mean_saving_cny")) == []


def test_the_means_come_from_the_draws_of_published_nights(tmp_path: Path):
    """
    Outcomes that say nothing of decisions: joined to the nights, their ledger is that
    of outcomes that say all.
    """
    table = drawn_nights(1_000, 2, error=2.0)
    names = ["is_premium", "propensity", "arm", "saving_cny"]
    for (day,), rows in table.group_by("date"):
        night = tmp_path / "runs" / str(day)
        night.mkdir(parents=True)
        rows.select("order_id", *names).write_parquet(night / "decisions.parquet")
        draws = rows.select("order_id", "saving_cny", "mean_saving_cny")
        draws.write_parquet(night / "draws.parquet")
        (night / "run.json").write_text(json.dumps({}))
        (night / "_SUCCESS").touch()
    window = Window(AFTER.as_of, runs=tmp_path / "runs")
    joined = evaluate(table.drop(*names, "mean_saving_cny"), settings(), window)
    assert joined.ledger == evaluate(table, settings(), AFTER).ledger
    promised = float((table["mean_saving_cny"] + FEE).sum()) / 2
    assert joined.ledger[0]["promised_cny"] == pytest.approx(promised)


def test_the_ledger_of_a_model_is_that_of_evaluate() -> None:
    """To the cent, as long as no column is named that evaluate predicts without."""
    table = outcomes(2_000, 3).with_columns(
        arm=pl.lit("policy"),
        saving_cny=24 * pl.col("complaint_prob_standard") - FEE,
    )
    kept = learn(table, settings(), AFTER).model.realised
    whole = evaluate(table, settings(), AFTER).ledger[0]
    assert kept is not None
    for name in ("promised_cny", "realised_cny", "low", "high"):
        assert getattr(kept, name) == round(whole[name], 2)
