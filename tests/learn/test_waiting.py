"""What is missing because it waits is told as waiting, with the day that ends it."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from optimizer.errors import DataError
from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.history import read_history
from optimizer.learn.window import Window
from tests.support.trial import DAY, outcomes, settings

#: The trial has 10 nights, of which those from the sixth on are not ripe on this day.
LATE = DAY + dt.timedelta(5)
AS_OF = Window(DAY + dt.timedelta(14))
DAYS = {"maturity_days": {"complaint": 9, "return": 9}}
#: Parcels of the last five nights.
NUM_YOUNG = 300


def late(wanted: pl.Expr, **columns: object) -> pl.DataFrame:
    """A trial in which some parcels are of the last five nights alone."""
    table = outcomes(600, **columns)
    return table.filter((pl.col("date") >= LATE) | ~wanted)


def premium_waits() -> pl.DataFrame:
    """Premium only in the nights that are not ripe."""
    return late(pl.col("is_premium"))


@pytest.mark.parametrize("ask", [learn, evaluate])
def test_premium_parcels_that_wait_are_counted_with_the_day_on_which_they_count(ask):
    """
    Not a word of holding some out: it was done. Of parcels of 6 to 10 November, ripe
    after nine days, the first count on the 16th, when the 15th is over.
    """
    table = premium_waits()
    num = int(table["is_premium"].sum())
    ripe = len(table) - NUM_YOUNG
    words = (
        rf"all {ripe} ripe parcels got standard service.*yet: {NUM_YOUNG} rows \({num} "
        rf"premium parcels, {NUM_YOUNG} left to chance\) are not ripe: complaint"
        r".* can be known only 9 days.*first counts from 2026-11-16 on, "
        r"the last from 2026-11-20: read the outcomes again then"
    )
    with pytest.raises(DataError, match=words) as raised:
        ask(table, settings(learning=DAYS), AS_OF)
    assert "holdout" not in str(raised.value)


def test_on_the_day_that_is_named_the_row_counts():
    """The day before, it does not."""
    config = settings(learning=DAYS)
    past = read_history(outcomes(600), config, AS_OF)
    named = past.maturity["complaint"].first_ripe
    assert named == dt.date(2026, 11, 16)
    before, there = (
        read_history(outcomes(600), config, Window(day)).ripe("complaint")["date"].max()
        for day in (named - dt.timedelta(1), named)
    )
    assert (before, there) == (LATE - dt.timedelta(1), LATE)


def test_standard_parcels_that_wait_are_no_want_of_standard_parcels():
    """A history whose ripe parcels are all premium has standard ones that wait."""
    table = late(~pl.col("is_premium"))
    with pytest.raises(DataError, match=r"all .* ripe parcels got premium.*not ripe"):
        learn(table, settings(learning=DAYS), AS_OF)


def test_a_stated_effect_stands_beside_the_premium_parcels_that_wait():
    """The prior is used, and it is said how many parcels will take its place, when."""
    config = settings(learning=DAYS | {"prior": {"effect": 0.3}})
    table = premium_waits()
    told = learn(table, config, AS_OF).warnings
    words = [str(one) for one in told if one.code == "MISSING_ROWS_WAIT"]
    num = int(table["is_premium"].sum())
    assert words == [
        f"what is missing waits: {num} parcels of it ({num} premium) are not ripe; "
        "the first counts from 2026-11-16 on, the last from 2026-11-20: read the "
        "outcomes again then"
    ]
    assert "EFFECT_IS_PRIOR" in {one.code for one in told}


def test_young_parcels_left_to_chance_are_told_where_others_are_compared():
    """Ripe parcels that nobody drew are compared, as long as the drawn ones wait."""
    is_old = np.arange(600) % 10 < 5
    table = outcomes(600).with_columns(
        propensity=pl.when(pl.Series(is_old)).then(None).otherwise(0.5)
    )
    stated = settings(learning=DAYS | {"prior": {"effect": 0.3}})
    for ask, code in ((learn, "PRIOR_DECIDES"), (evaluate, "NOT_RANDOMISED")):
        told = [one.code for one in ask(table, stated, AS_OF).warnings]
        assert code in told
        assert "MISSING_ROWS_WAIT" in told
    with pytest.raises(DataError, match=r"was left to chance .*one yet: .*not ripe"):
        learn(table, settings(learning=DAYS), AS_OF)
    whole = evaluate(table, settings(learning=DAYS), Window(DAY + dt.timedelta(30)))
    assert "MISSING_ROWS_WAIT" not in [one.code for one in whole.warnings]


def test_rules_that_are_not_compared_wait_for_those_who_explore():
    """Nobody is asked to let some explore who has let them."""
    is_old = np.arange(600) % 10 < 5
    table = outcomes(600).with_columns(
        arm=pl.Series(np.where(is_old, "policy", "explore"))
    )
    found = evaluate(table, settings(learning=DAYS), AS_OF)
    assert found.rules == []
    told = {one.code: one.values for one in found.warnings}
    assert told["MISSING_ROWS_WAIT"]["num_rows"] == NUM_YOUNG


def test_too_few_ripe_parcels_for_a_rate_are_told_with_those_that_wait():
    """Days need not be added that are there."""
    table = premium_waits().filter((pl.col("date") >= LATE) | (pl.col("date") == DAY))
    config = settings(learning=DAYS | {"prior": {"effect": 0.3}})
    words = r"only \d\d ripe parcels on standard service; 100 at least.*not ripe"
    with pytest.raises(DataError, match=words) as raised:
        learn(table, config, AS_OF)
    assert "give more days" not in str(raised.value)
    stated = {"effect": 0.3, "complaint_prob": 0.01, "return_prob": 0.02}
    told = learn(table, settings(learning=DAYS | {"prior": stated}), AS_OF).warnings
    assert {"TOO_FEW_FOR_A_RATE", "MISSING_ROWS_WAIT"} <= {one.code for one in told}


def test_a_carrier_whose_premium_parcels_wait_is_not_sent_to_explore_alone():
    """Beside the carriers without premium history: how many of theirs wait."""
    is_yunda = pl.col("carrier_id") == "yunda"
    table = late(is_yunda & pl.col("is_premium"))
    told = {one.code: one.values for one in _warnings(table)}
    num = len(table.filter(is_yunda & pl.col("is_premium")))
    assert told["CARRIERS_NOT_MEASURED"]["carriers"] == ("yunda",)
    assert told["MISSING_ROWS_WAIT"]["num_rows"] == num


def _warnings(table: pl.DataFrame) -> tuple:
    return learn(table, settings(learning=DAYS), AS_OF).warnings


def test_rows_of_which_each_lacks_one_outcome_are_told_as_rows_that_wait():
    """The old were not observed long enough for returns, the young for complaints."""
    is_old = np.arange(600) % 10 < 5
    days = [DAY + dt.timedelta(row % 10 + 10) for row in range(600)]
    until = [day if old else None for day, old in zip(days, is_old, strict=True)]
    table = outcomes(600, observed_until=pl.Series(until, dtype=pl.Date))
    config = settings(learning={"maturity_days": {"complaint": 9}})
    words = "no row is ripe for complaint and logistics_return at once: 600 rows"
    with pytest.raises(DataError, match=words):
        learn(table, config, AS_OF)
