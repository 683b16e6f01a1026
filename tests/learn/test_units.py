"""What one draw decided is each night's own, whatever the configuration says now."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.history import read_history
from optimizer.learn.overlap import drawn_together
from optimizer.learn.units import BY_STATION
from optimizer.learn.window import Window
from tests.support.trial import DAY, outcomes, settings

AS_OF = DAY + dt.timedelta(45)
NAMES = ["is_premium", "propensity", "arm", "saving_cny"]
TAKEN = {"SINGLE_DRAWS_ARE_TAKEN", "STATIONS_ARE_TAKEN"}


def unit(name: str, **more: Any) -> Any:
    """A configuration of today."""
    return settings(holdout={"share": 0.5, "unit": name}, **more)


@pytest.fixture
def stations() -> pl.DataFrame:
    """Carriers of ten days, each kept back whole or not, and risks of their own."""
    num, rng = 3_000, np.random.default_rng(4)
    station = np.array([3 * (row % 10) + row % 3 for row in range(num)])
    is_premium = rng.permutation(np.arange(30) % 2 == 0)[station]
    risk = rng.beta(2, 8, 30)[station] * np.where(is_premium, 0.5, 1.0)
    return outcomes(num, 4).with_columns(
        arm=pl.lit("policy"),
        saving_cny=pl.lit(1.0),
        is_premium=pl.Series(is_premium),
        delivered_to_door=pl.Series([True if one else None for one in is_premium]),
        complaint=pl.Series(rng.random(num) < risk),
        logistics_return=pl.Series(rng.random(num) < risk),
    )


def publish(table: pl.DataFrame, runs: Path, *units: str | None) -> Path:
    """Lay down nights by units, in turn; ``None``: of a record without one."""
    for (day,), rows in table.group_by("date"):
        own = units[day.day % len(units)]
        version = runs / ".versions" / str(day) / "first"
        version.mkdir(parents=True)
        rows.select("order_id", *NAMES).write_parquet(version / "decisions.parquet")
        config = {"holdout": {"share": "0.5"} | ({"unit": own} if own else {})}
        (version / "run.json").write_text(json.dumps({"config": config}))
        (version / "_SUCCESS").touch()
        (runs / str(day)).symlink_to(version.relative_to(runs))
    return runs


def width(found: Any) -> float:
    """Of the widest interval of the effect on complaints, over all parcels."""
    rows = [row for row in found.effects if row["by"] is None]
    return max(r["high"] - r["low"] for r in rows if r["outcome"] == "complaint")


def codes(found: Any) -> set[str]:
    """Of its warnings, those about units."""
    return {one.code for one in found.warnings} & TAKEN


def test_nights_of_stations_stay_what_they_were(stations: pl.DataFrame, tmp_path: Path):
    """
    Evaluated and learned with ``order``, joined to their records: as with
    ``station-day``, to the last digit, and no word; also where nobody names the folder
    and it is the configured one. Without any record the intervals are narrower, and a
    warning says what was taken; with the other unit, too.
    """
    runs = publish(stations, tmp_path / "runs", "station-day")
    bare = stations.drop(NAMES)
    joined = Window(AS_OF, runs=runs)
    right = evaluate(bare, unit("station-day"), joined)
    found = evaluate(bare, unit("order"), joined)
    assert (found.effects, codes(found)) == (right.effects, set())
    here = evaluate(stations, unit("order", output=str(runs)), Window(AS_OF))
    assert (here.effects, codes(here)) == (right.effects, set())
    models = [learn(bare, unit(name), joined) for name in ("order", "station-day")]
    assert models[0].model.pooled == models[1].model.pooled

    taken = evaluate(stations, unit("order"), Window(AS_OF))
    assert width(taken) < 0.7 * width(right)
    assert codes(taken) == {"SINGLE_DRAWS_ARE_TAKEN"}
    assert codes(evaluate(stations, unit("station-day"), Window(AS_OF))) == {
        "STATIONS_ARE_TAKEN"
    }


def test_each_night_has_its_own_unit(stations: pl.DataFrame, tmp_path: Path):
    """
    Every other night of stations: their parcels are together, others alone, whatever
    the unit is now. A record that names none is one of single parcels.
    """
    runs = publish(stations, tmp_path / "runs", "station-day", None)
    for name in ("order", "station-day"):
        past = read_history(stations.drop(NAMES), unit(name), Window(AS_OF, runs=runs))
        whole = past.rows.filter(BY_STATION)
        assert {day.day % 2 for day in whole["date"]} == {0}
        assert len(whole) == 1_500
        cluster = drawn_together(past.rows, unit(name))
        assert len(np.unique(cluster)) == 5 * 3 + 1_500


def test_parcels_that_explore_need_no_record(stations: pl.DataFrame):
    """They are drawn one by one whatever the unit is: not a word."""
    explored = stations.with_columns(arm=pl.lit("explore"))
    assert codes(evaluate(explored, unit("order"), Window(AS_OF))) == set()
