"""What is learned of stations that are drawn whole, a day at a time."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import lru_cache

import numpy as np
import polars as pl
import pytest

from optimizer.build.model_prediction import values_of
from optimizer.learn import champion, rankings, risk
from optimizer.learn.alarms import ordered_share
from optimizer.learn.clusters import widening
from optimizer.learn.effect import Belief, Scores, dr_scores
from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.history import read_history
from optimizer.learn.learners import LEARNERS, Trial
from optimizer.learn.risk import cross_fit, folds
from optimizer.learn.together import mean_row
from optimizer.learn.window import Window
from tests.support.trial import CARRIERS, DAY, fair_trial, outcomes, settings

AFTER = Window(DAY + dt.timedelta(30))
NUM_STATIONS, SIZE = 60, 40
STATIONS = settings(holdout={"share": 0.5, "unit": "station-day"})


@lru_cache
def _orders() -> Trial:
    return fair_trial(NUM_STATIONS * SIZE, 1)


def _switchback(seed: int) -> tuple[Trial, np.ndarray]:
    """
    Parcels of stations that got premium or not, whole; it removes half of all harm.

    Complaints of a station go up and down together, whatever it got.
    """
    rng = np.random.default_rng(seed)
    num = NUM_STATIONS * SIZE
    station = np.repeat(np.arange(NUM_STATIONS), SIZE)
    is_premium = rng.permutation(np.arange(NUM_STATIONS) % 2 == 0)[station]
    told = np.full(num, 0.2)
    risk = rng.beta(1, 4, NUM_STATIONS)[station]
    happened = rng.random(num) < risk * np.where(is_premium, 0.5, 1.0)
    half = np.full(num, 0.5)
    trial = replace(
        _orders(),
        happened=happened.astype(float),
        is_premium=is_premium,
        propensity=half,
        risk=told,
        reach=np.ones(num),
        scores=dr_scores(happened.astype(float), is_premium, half, told, told / 2),
        belief=Belief(0.0, 3.0),
    )
    return trial, station


def _clustered(trial: Trial, station: np.ndarray) -> Trial:
    found, reach = trial.scores, trial.risk * trial.reach
    wider = widening(found, reach, trial.is_premium, station)
    scores = Scores(found.score, found.variance * wider)
    return replace(trial, scores=scores, widening=wider)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "num"), [("stated-risk", 200), ("logistic", 50)])
def test_intervals_of_stations_drawn_whole_hold_the_truth(name: str, num: int) -> None:
    """
    Of repeated switchbacks 0.91 to 0.99 of the 95 % intervals of the mean effect hold
    the truth; fewer than 0.75 do where parcels count as if each was drawn on its own.
    """
    truth = {"stated-risk": 0.5, "logistic": 0.81}[name]
    held = {"together": 0, "alone": 0}
    for seed in range(num):
        trial, station = _switchback(seed)
        tried = {"together": _clustered(trial, station), "alone": trial}
        for way, one in tried.items():
            effect = LEARNERS[name].fit(one)
            row, covariance = mean_row(one, effect), np.array(effect.covariance)
            half = 1.96 * float(row @ covariance @ row) ** 0.5
            held[way] += abs(row @ values_of(effect) - truth) <= half
    assert 0.91 * num <= held["together"] <= 0.99 * num
    assert held["alone"] < 0.75 * num


def _leaking(seed: int) -> pl.DataFrame:
    """
    Stations drawn whole, premium without effect; what happens happens to whole ones.

    Each station and day has a merchant of its own, which tells it from all others.
    """
    rng, num = np.random.default_rng(seed), 1_800
    station = np.array([3 * (row % 20) + row % 3 for row in range(num)])
    days = [DAY + dt.timedelta(row % 20) for row in range(num)]
    happened = (rng.random(60) < 0.3)[station]
    is_premium = (rng.random(60) < 0.5)[station]
    table = outcomes(num, seed).with_columns(
        date=pl.Series(days),
        arm=pl.lit("policy"),
        carrier_id=pl.Series([CARRIERS[row % 3] for row in range(num)]),
        merchant_id=pl.Series([f"m{one:02d}" for one in station]),
        is_premium=pl.Series(is_premium),
        delivered_to_door=pl.Series([True if one else None for one in is_premium]),
        complaint=pl.Series(happened),
    )
    return read_history(table, STATIONS, AFTER).frame


def test_a_station_and_a_day_are_on_one_side_of_a_fold() -> None:
    """Whole where drawn whole, even in number, in any row order; few stay parcels."""
    table = _leaking(1)
    found = table.with_columns(fold=pl.Series(folds(table, by_station=True)))
    by = found.group_by("carrier_id", "date").agg(pl.col("fold").n_unique())
    assert len(by) == 60
    assert by["fold"].to_list() == [1] * 60
    sizes = found.unique(["carrier_id", "date"])["fold"].value_counts()["count"]
    assert sizes.to_list() == [20, 20, 20]
    shuffled = table.sample(fraction=1, shuffle=True, seed=2)
    again = shuffled.with_columns(fold=pl.Series(folds(shuffled, by_station=True)))
    columns = ["order_id", "fold"]
    assert (
        again.sort("order_id")
        .select(columns)
        .equals(found.sort("order_id").select(columns))
    )
    explored = table.with_columns(arm=pl.lit("explore"))
    for other in (explored, table.filter(pl.col("date") == DAY)):
        assert (folds(other, by_station=True) == folds(other)).all()


def test_outcomes_that_a_station_shares_do_not_leak_between_folds() -> None:
    """
    What happens is of a station and a day alone, so that nobody can predict it; where
    folds part these, other parcels of the same tell of nearly every pair.
    """
    table = _leaking(3)
    standard = ~table["is_premium"].to_numpy()
    happened = table["complaint"].to_numpy()[standard]
    told = {}
    for by_station in (True, False):
        fit = cross_fit(table, "complaint", by_station=by_station)
        told[by_station] = ordered_share(fit.standard[standard], happened)
    assert told[True] < 0.7
    assert told[False] > 0.97


def test_a_history_of_stations_is_learned_with_their_folds(monkeypatch) -> None:
    """Whatever is cross-fitted keeps them whole, in learning and in evaluation."""
    asked = []

    def noted(frame: pl.DataFrame, *, by_station: bool = False) -> np.ndarray:
        asked.append(by_station)
        return folds(frame, by_station=by_station)

    for module in (risk, champion, rankings):
        monkeypatch.setattr(module, "folds", noted)
    for unit in ("station-day", "order"):
        config = settings(holdout={"share": 0.5, "unit": unit})
        for of_history in (learn, evaluate):
            asked.clear()
            of_history(_leaking(3), config, AFTER)
            assert set(asked) == {unit == "station-day"}


def test_the_covariance_is_the_sandwich_of_the_draws() -> None:
    """The variance of the mean effect is the textbook's, draw by draw, prior aside."""
    trial, station = _switchback(1)
    trial = replace(trial, belief=Belief(0.0, 1e4))
    effect = LEARNERS["stated-risk"].fit(_clustered(trial, station))
    z, v = trial.risk, trial.scores.variance
    bread = sum(z * z / v)
    residual = trial.scores.score - z * effect.intercept
    meat = sum(
        sum((z * residual / v)[station == one]) ** 2 for one in range(NUM_STATIONS)
    )
    whole = meat / bread**2 * NUM_STATIONS / (NUM_STATIONS - 1)
    student = 2.0452 / 1.9600  # of 30 draws on either side, from a table
    assert effect.covariance[0][0] == pytest.approx(whole * student**2, rel=1e-3)


def test_a_model_of_stations_drawn_whole_is_less_sure() -> None:
    """
    The same history, learned with ``holdout.unit: station-day``: effects as before to
    a part of their error, errors as much larger as the draws say; where each parcel
    was drawn on its own, nothing changes.
    """
    num = 3_000
    rng = np.random.default_rng(4)
    station = np.array([3 * (row % 10) + row % 3 for row in range(num)])
    is_premium = rng.permutation(np.arange(30) % 2 == 0)[station]
    risk = rng.beta(2, 8, 30)[station] * np.where(is_premium, 0.5, 1.0)
    table = outcomes(num, 4).with_columns(
        arm=pl.lit("policy"),
        is_premium=pl.Series(is_premium),
        delivered_to_door=pl.Series([True if one else None for one in is_premium]),
        complaint=pl.Series(rng.random(num) < risk),
        logistics_return=pl.Series(rng.random(num) < risk),
    )
    assert table["carrier_id"].n_unique() == len(CARRIERS)
    found = {
        unit: learn(table, settings(holdout={"share": 0.5, "unit": unit}), AFTER).model
        for unit in ("order", "station-day")
    }
    alone, together = (found[unit].pooled for unit in ("order", "station-day"))
    for harm in ("complaint", "return"):
        assert together[harm].error > 1.5 * alone[harm].error
        assert abs(together[harm].share - alone[harm].share) < together[harm].error
    explored = table.with_columns(arm=pl.lit("explore"))
    both = [
        learn(explored, settings(holdout={"share": 0.5, "unit": unit}), AFTER).model
        for unit in ("order", "station-day")
    ]
    assert both[0] == both[1]
