"""A harm that happened to no parcel compared has measured nothing."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from optimizer.learn.fit import learn
from optimizer.learn.window import Window
from tests.support.trial import DAY, outcomes, settings

AFTER = Window(DAY + dt.timedelta(45))
HARMS = ("complaint", "logistics_return")


@pytest.mark.parametrize("harms", [HARMS[:1], HARMS])
def test_a_harm_without_an_event_has_the_stated_effect(harms: tuple[str, ...]) -> None:
    """
    One of two harms, or both: the effect is what was stated with its spread, no premium
    parcel has measured it, and a word says up to which rate that is known. The other
    harm, and one event of it, are measured.
    """
    table = outcomes(2_000, 1).with_columns(**dict.fromkeys(harms, pl.lit(False)))
    prior = settings(learning={"prior": {"effect": 0.3, "spread": 0.5}})
    found = learn(table, prior, AFTER)
    told = [one for one in found.warnings if one.code == "EFFECT_WITHOUT_EVENT"]
    assert [one.values["outcome"] for one in told] == [*harms]
    assert "none of the 2,000 parcels compared, at most 0.1497%" in str(told[0])
    pooled = found.model.pooled
    assert (pooled["complaint"].share, pooled["complaint"].error) == (0.3, 0.5)
    assert pooled["complaint"].num_premium == 0
    assert found.model.effect["complaint"].intercept == 0.3
    assert (pooled["return"].num_premium > 0) == (len(harms) == 1)

    one = table.with_columns(complaint=pl.int_range(pl.len()) == 7)
    assert learn(one, prior, AFTER).model.pooled["complaint"].num_premium > 0


def test_without_an_event_or_a_prior_nothing_is_known_and_counts() -> None:
    """No effect at all, and it says that it is not known."""
    table = outcomes(2_000, 1).with_columns(complaint=False, logistics_return=False)
    found = learn(table, settings(), AFTER)
    told = {one.code for one in found.warnings}
    assert "EFFECT_UNKNOWN_WITHOUT_EVENT" in told
    assert {one.intercept for one in found.model.effect.values()} == {0.0}
