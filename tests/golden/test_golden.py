"""Each kind of limit has a night that a person can check, and it comes out."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest

from optimizer import solvers
from optimizer.build.side_limits import Kind
from optimizer.testing import assert_certified
from tests.support.golden_night import solve_exactly, used_of
from tests.support.golden_nights import GOLDEN


@pytest.mark.parametrize("name", GOLDEN)
def test_the_known_answer_comes_out(name: str) -> None:
    """Plan, reasons, limits, conflicts and value are those that one finds by hand."""
    golden = GOLDEN[name]
    night = golden.solve()
    assert_certified(night)
    assert "".join(night.recommendations["order_id"]) == golden.chosen
    assert night.problem_class == golden.problem_class
    assert night.summary["problem_class"] == golden.problem_class
    reasons = dict(night.orders.select("order_id", "reason").rows())
    assert {order: reasons[order] for order in golden.reasons} == golden.reasons
    assert used_of(night).items() >= golden.rows.items()
    found = night.conflicts
    asked = ["kind", "limit", "asked", "reached"]
    conflicts = [] if found is None else found.select(asked).rows()
    assert conflicts == golden.conflicts
    if golden.stopped_by:
        assert found is not None
        stops = dict(found.select("limit", "stopped_by").iter_rows())
        assert stops == golden.stopped_by
    if golden.value_cny is not None:
        assert night.certificate.primal_bound == golden.value_cny * 1_000_000


def test_no_kind_of_limit_is_without_a_night() -> None:
    """Every kind of row, and loads, pins, counts and budgets, has a golden night."""
    shown = {kind for golden in GOLDEN.values() for kind, _ in golden.rows.values()}
    assert shown == {*get_args(Kind)}
    columns = {c for golden in GOLDEN.values() for c in golden.order_columns}
    assert columns >= {"load", "load_kg", "pin", "delivery_date", "vehicle"}
    counts = {g.config.get("capacity", {}).get("count") for g in GOLDEN.values()}
    assert counts >= {"expected", "quantile"}
    facts = {c for g in GOLDEN.values() for row in g.merchants for c in row}
    assert facts >= {"daily_budget_cny", "take_up", "owner_id", "tier"}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_order_of_rows_does_not_matter(name: str) -> None:
    """With all tables upside down the same tables come out."""
    golden = GOLDEN[name]
    night = golden.solve()
    tables = {n: t[::-1] for n, t in golden.tables().items() if t is not None}
    turned = golden.solve(**tables)
    assert turned.orders.equals(night.orders)
    assert turned.lanes.equals(night.lanes)
    for found, expected in (
        (turned.rows, night.rows),
        (turned.conflicts, night.conflicts),
    ):
        assert (found is None) == (expected is None)
        assert found is None or found.equals(expected, null_equal=True)


def test_every_chosen_order_can_be_explained() -> None:
    """Sentences name a budget, a pin, and capacity, in plain words."""
    budget, pin = GOLDEN["a subsidy budget"].solve(), GOLDEN["a pin"].solve()
    assert "a budget for fees went to other parcels" in budget.explain("c")
    assert "as a pin or a floor asks for it: it saves -1.00 CNY" in pin.explain("d")
    never = GOLDEN["a load that never fits"].solve()
    assert "none of its carriers has room for it there" in never.explain("a")
    assert any(warning.code == "LOADS_ABOVE_SLOTS" for warning in never.warnings)
    assert isinstance(never.rows, pl.DataFrame) is False


def test_what_never_fits_is_stopped_by_capacity_at_any_prices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even where the cap's price alone would stop it, more cap would not help."""

    def dear_caps(*given: Any) -> Any:
        found = solve_exactly(*given)
        dear = np.full_like(found.merchant_price, 9_000_000)
        free = np.zeros_like(found.lane_price)
        return dataclasses.replace(found, merchant_price=dear, lane_price=free)

    monkeypatch.setattr(solvers, "solve", dear_caps)
    night = GOLDEN["a load that never fits, and a full cap"].solve()
    reasons = dict(night.orders.select("order_id", "reason").rows())
    assert reasons == {"a": "CAPACITY_FULL", "b": "CHOSEN"}
