"""Rows wait until they are ripe; what comes late on one service is no effect."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from optimizer.errors import DataError
from optimizer.learn.estimators import Sample, difference
from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.history import read_history
from optimizer.learn.maturity import delay_quantile
from optimizer.learn.window import Window
from tests.support.trial import DAY, outcomes, settings

NIGHTS = 25
AS_OF = DAY + dt.timedelta(NIGHTS)


def delayed(
    seed: int, num_rows: int, *, slow: float = 8.0, **columns: object
) -> pl.DataFrame:
    """
    A history without any effect, read on the day after its last night.

    Complaints come within days on standard service, and about ``slow`` days after the
    decision on premium, no later than 16.
    """
    rng = np.random.default_rng(seed)
    night = rng.integers(0, NIGHTS, num_rows)
    is_premium = rng.random(num_rows) < 0.5
    delay = np.minimum(rng.poisson(np.where(is_premium, slow, 2.0)), 16)
    happens = rng.random(num_rows) < 0.2
    seen = happens & (night + delay < NIGHTS)
    days = [DAY + dt.timedelta(int(n)) for n in night]
    when = [
        day + dt.timedelta(int(d)) if s else None
        for day, d, s in zip(days, delay, seen, strict=True)
    ]
    table = {
        "date": days,
        "is_premium": is_premium,
        "complaint": seen,
        "complaint_date": pl.Series(when, dtype=pl.Date),
        "observed_until": [AS_OF - dt.timedelta(1)] * num_rows,
    }
    return outcomes(num_rows, seed, **(table | columns))


def reports(table: pl.DataFrame) -> bool:
    """Whether the 95 % interval of the effect on complaints leaves 0 out."""
    frame = table
    half = np.full(len(frame), 0.5)
    sample = Sample(
        frame["complaint"].to_numpy().astype(float),
        frame["is_premium"].to_numpy(),
        half,
        half,
        half,
    )
    found = difference(sample)
    return not found.low <= 0 <= found.high


STATED = {"learning": {"maturity_days": {"complaint": 16, "return": 0}}}


@pytest.mark.slow
@pytest.mark.parametrize("more", [STATED, {}], ids=["stated", "learned"])
def test_delays_that_differ_by_service_are_no_effect(more):
    """
    Of 60 histories without an effect at most 5 %, chance allowed, report one, whether
    the maturity is stated or learned; of the rows as they stand, nearly all do.
    """
    config = settings(**more)
    num_raw, num_ripe = 0, 0
    for seed in range(60):
        table = delayed(seed, 6_000)
        past = read_history(table, config, Window(AS_OF))
        num_raw += reports(table)
        num_ripe += reports(past.ripe("complaint"))
    assert num_raw > 30
    assert num_ripe <= 7  # 3 expected; more than 7 of 60 is one chance in 60.


def test_the_maturity_is_the_quantile_of_all_delays_also_of_those_not_yet_seen():
    """Truncated delays give the quantile of the whole law, not of what was seen."""
    rng = np.random.default_rng(4)
    delay = rng.integers(0, 20, 40_000)
    window = rng.integers(0, 40, 40_000)
    seen = delay <= window
    found = delay_quantile(delay[seen], window[seen])

    assert np.quantile(delay[seen], 0.5) < 9
    assert found == 19
    assert (
        delay_quantile(delay[seen & (window < 15)], window[seen & (window < 15)])
        is None
    )
    assert delay_quantile(np.zeros(5, int), np.full(5, 9)) is None


def test_unripe_rows_wait_and_late_events_do_not_count():
    """Rows younger than the stated days are in no number; nor is what came later."""
    delay = [row % 7 if row % 10 < 7 else 2 for row in range(300)]
    table = outcomes(
        600,
        complaint=[True] * 300 + [False] * 300,
        complaint_date=[DAY + dt.timedelta(r % 10 + d) for r, d in enumerate(delay)]
        + [None] * 300,
        observed_until=[DAY + dt.timedelta(12)] * 600,
    )
    config = settings(learning={"maturity_days": {"complaint": 5, "return": 3}})
    past = read_history(table, config, Window(DAY + dt.timedelta(13)))
    ripe, known = past.maturity["complaint"], past.ripe("complaint")

    assert ripe.num_waiting == 120  # decided on the 8th and 9th day
    assert known["date"].max() == DAY + dt.timedelta(7)
    late = [days > 5 for row, days in enumerate(delay) if row % 10 <= 7]
    assert ripe.num_late == sum(late)
    assert known["complaint"].sum() == len(late) - sum(late)
    assert past.frame.equals(known)
    assert past.maturity["logistics_return"].num_waiting == 0
    assert "120 of 600 parcels wait" in str(past.warnings[0])


def test_a_history_that_is_all_unripe_says_when_it_will_not_be():
    """The day is named, and what to do."""
    config = settings(learning={"maturity_days": {"complaint": 60, "return": 60}})
    words = (
        "none of 600 rows is ripe for complaint.*the first row will be on 2027-01-01"
    )
    for ask in (learn, evaluate):
        with pytest.raises(DataError, match=words):
            ask(outcomes(600), config, Window(DAY + dt.timedelta(30)))


def test_without_a_word_of_days_every_row_is_ripe():
    """A table without observed_until and days, and no stated maturity: as it stands."""
    past = read_history(outcomes(600), settings(), Window(DAY + dt.timedelta(30)))
    assert len(past.frame) == 600
    assert {one.source for one in past.maturity.values()} == {"none"}


def test_returns_that_cost_nothing_are_not_waited_for():
    """Where a return costs 0, complaints alone decide which rows can teach."""
    stated = {"maturity_days": {"complaint": 5, "return": 60}}
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 0}
    config = settings(learning=stated, objective=objective)
    past = read_history(outcomes(600), config, Window(DAY + dt.timedelta(30)))
    assert len(past.frame) == 600
