"""A history of hardly any parcels, and one that holds decisions twice."""

from __future__ import annotations

import math

import polars as pl
import pytest

import optimizer
from optimizer.errors import DataError
from optimizer.learn import fit
from optimizer.testing import make_config
from tests.support.small_night import DAY

STATED = 0.02


def _history(num: int, num_harms: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "order_id": [f"h{n}" for n in range(num)],
            "date": [f"2026-10-{1 + n % 28:02d}" for n in range(num)],
            "merchant_id": ["m"] * num,
            "carrier_id": ["yunda"] * num,
            "region_id": ["r"] * num,
            "complaint": [n < num_harms for n in range(num)],
            "is_premium": [False] * num,
        }
    )


def _learned(history: pl.DataFrame, **prior: float) -> fit.Learned:
    objective = {"complaint_cost_cny": 30, "return_cost_cny": 0}
    learning = {"prior": {"effect": 0.3, **prior}}
    config = make_config(objective=objective, learning=learning)
    return optimizer.learn_model(history, config=config, as_of=DAY)


@pytest.mark.parametrize(
    ("num", "num_harms"), [(1, 0), (2, 0), (2, 1), (5, 1), (20, 1), (99, 3)]
)
def test_hardly_any_parcels_teach_no_rate(num: int, num_harms: int) -> None:
    """Fewer than 100: the stated rate is in force and said, or what to state is."""
    history = _history(num, num_harms)
    with pytest.raises(DataError, match=r"100 at least tell .* complaint_prob: 0\.01"):
        _learned(history)
    found = _learned(history, complaint_prob=STATED)
    risk = found.model.risk["complaint"]
    assert (risk.slopes, risk.levels) == ({}, {})
    assert 1 / (1 + math.exp(-risk.intercept)) == pytest.approx(STATED)
    code = "TOO_FEW_FOR_A_RATE" if num_harms else "HARM_NOT_YET_SEEN"
    (told,) = [w for w in found.warnings if w.code == code]
    assert told.values["num_parcels"] == num
    assert str(told) in found.card


def test_a_rate_of_few_harms_says_on_how_few_it_rests() -> None:
    """One of 100 is 1 %, with its exact interval beside it; 20 harms need no word."""
    found = _learned(_history(100, 1), complaint_prob=STATED)
    (told,) = [w for w in found.warnings if w.code == "HARM_IS_RARE"]
    # Clopper-Pearson: 1 - 0.975^(1/100) is the lower limit of one among 100.
    assert told.values["low"] == f"{1 - 0.975 ** (1 / 100):.4%}"
    many = _learned(_history(400, 20), complaint_prob=STATED)
    assert "HARM_IS_RARE" not in {w.code for w in many.warnings}


def test_repeats_are_found_outside_of_what_is_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each order but one is drawn or not: whichever is there twice is refused."""
    monkeypatch.setattr(fit, "MOST_BESIDE", 250)
    history = _history(600, 60)
    assert "OUTCOMES_DRAWN" in {w.code for w in _learned(history).warnings}
    for place in range(0, 600, 60):
        twice = pl.concat([history, history[place : place + 1]])
        with pytest.raises(DataError, match="2 rows share order and date"):
            _learned(twice)
    with pytest.raises(DataError, match=r"1,?200 rows"):
        _learned(pl.concat([history, history]))
