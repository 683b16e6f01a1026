"""Names that come again are checked once; another name, table or rule is checked."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pytest

import optimizer
from optimizer.build import night_names
from optimizer.config import as_config
from optimizer.errors import DataError
from optimizer.io.kept import Kept
from tests.support.nights import DATE, capacity_of, config_of, orders_of

CAPACITY = pl.concat([capacity_of(region_id=name) for name in ("north", "south")])


@pytest.fixture
def num_checked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often names are looked up, from now on and with nothing kept."""
    counted: Counter[str] = Counter()
    count = night_names.count_lookups

    def note(*given: Any) -> Any:
        counted["lookups"] += 1
        return count(*given)

    monkeypatch.setattr(night_names, "count_lookups", note)
    monkeypatch.setattr(night_names, "_FOUND", Kept(4))
    return counted


def decided(orders: pl.DataFrame, config: Any) -> optimizer.Night:
    """Decide a night with two rows of capacity."""
    return optimizer.allocate(orders, CAPACITY, config=config, date=DATE)


def test_the_same_names_are_checked_once(num_checked: Counter[str]) -> None:
    """Other probabilities and another order of rows are no other names."""
    config = as_config(config_of())
    nights = [
        decided(orders_of(), config),
        decided(orders_of(complaint_prob_premium=0.04), config),
        decided(orders_of().reverse(), config),
    ]
    assert num_checked["lookups"] == 1
    assert nights[0].warnings == nights[1].warnings == nights[2].warnings


def test_another_name_is_checked(num_checked: Counter[str]) -> None:
    """A merchant or region in a second spelling is refused after a sound night."""
    config = as_config(config_of())
    decided(orders_of(), config)
    with pytest.raises(DataError, match="merchant_id 'm1' and 'M1' differ only"):
        decided(orders_of(merchant_id=["m1"] * 100 + ["M1"] * 100), config)
    with pytest.raises(DataError, match="region_id 'North' and 'north' differ only"):
        decided(orders_of(region_id=["North"] * 100 + ["north"] * 100), config)
    dates = decided(orders_of(("2-Jan", "m1")), config)
    assert "IDS_LIKE_DATES" in {warning.code for warning in dates.warnings}
    assert decided(orders_of(), config).warnings == ()
    assert num_checked["lookups"] == 2


def test_other_rules_check_the_same_names_again(num_checked: Counter[str]) -> None:
    """Names that one configuration takes are refused where another asks for more."""
    orders = orders_of(region_id=["north"] * 100 + ["west"] * 100)
    decided(orders, as_config(config_of()))
    strict = as_config(config_of(lookups={"refuse_below": 0.9}))
    with pytest.raises(DataError, match=r"refuse_below is 0\.9"):
        decided(orders, strict)
    assert num_checked["lookups"] == 2


def test_names_of_a_large_night_are_not_kept(
    num_checked: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million names would stay in memory for a night that may never come again."""
    monkeypatch.setattr(night_names, "_MOST_NAMES", 3)
    config = as_config(config_of())
    for _ in range(2):
        decided(orders_of(), config)
    assert num_checked["lookups"] == 2
