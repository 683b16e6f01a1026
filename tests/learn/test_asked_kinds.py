"""Columns of the contract that learning names have to hold what they are named for."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from optimizer.errors import DataError
from optimizer.learn.fit import learn
from optimizer.learn.window import Window
from tests.support.trial import DAY, outcomes, settings

AFTER = Window(DAY + dt.timedelta(45))


@pytest.mark.parametrize(
    ("key", "name", "instead"),
    [
        ("features", "category_id", "is text; name it under learning.categories"),
        ("features", "carrier_id", "is text; name it under learning.categories"),
        ("features", "merchant_id", "is text; name it under learning.categories"),
        ("categories", "order_value_cny", "is a number; name it under learning.feat"),
        ("categories", "complaint_prob_standard", "is a number; name it under"),
    ],
)
def test_a_column_of_another_kind_is_refused(key: str, name: str, instead: str) -> None:
    """It says what the column holds, and under which key it belongs."""
    table = outcomes(600, 1).with_columns(category_id=pl.lit("food"))
    with pytest.raises(DataError, match=f"learning.{key} names {name}, .* {instead}"):
        learn(table, settings(learning={key: [name]}), AFTER)
