"""Rows of outcomes that break a rule are told where something is learned of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from optimizer.learn.evaluate import evaluate
from optimizer.learn.fit import learn
from optimizer.learn.window import Window
from optimizer.report.evaluation import evaluation_text
from optimizer.report.language import CHINESE
from tests.support.trial import DAY, outcomes, settings

AFTER = Window(DAY + dt.timedelta(45))


def broken(*rows: int) -> pl.DataFrame:
    """Four thousand outcomes, in which these rows do not say whether one complained."""
    is_broken = pl.int_range(pl.len()).is_in(rows)
    gap = pl.when(~is_broken).then("complaint")
    return outcomes(4_000, 1).with_columns(complaint=gap)


@pytest.mark.parametrize("measure", [evaluate, learn])
def test_rows_that_are_left_out_are_told(measure: Any) -> None:
    """Three of 4,000 and the rule they break; nothing where none does."""
    found = measure(broken(3, 700, 2_000), settings(), AFTER)
    (told,) = [one for one in found.warnings if one.code == "OUTCOMES_REFUSED"]
    assert str(told).startswith("3 of 4,000 rows of the outcomes table break a rule")
    assert "complaint is missing (3)" in str(told)
    whole = measure(broken(), settings(), AFTER)
    assert "OUTCOMES_REFUSED" not in {one.code for one in whole.warnings}


def test_text_and_json_say_how_many_do_not_count() -> None:
    """In both languages; a table beside it that has none changes nothing."""
    rest = broken().with_columns(order_id="second-" + pl.col("order_id"))
    found = evaluate([broken(5), rest], settings(), AFTER).to_json()
    assert found["window"]["num_parcels"] == 7_999
    (told,) = [w for w in found["warnings"] if w["code"] == "OUTCOMES_REFUSED"]
    assert (told["values"]["num_rows"], told["values"]["num_all"]) == (1, 4_000)
    said = evaluation_text(found)
    assert "1 of 4,000 rows of the outcomes table breaks a rule" in said
    assert "4,000 行中有 1 行违反规则" in evaluation_text(found, CHINESE)
