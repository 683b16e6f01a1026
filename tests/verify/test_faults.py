"""Faults put into the code that builds a night: the second statement sees each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from optimizer.build import assemble, carryover, encode, lanes, night, side_constraints
from optimizer.verify.engine import state_again
from tests.support.night_variants import DAY, Tables, Variant, settings
from tests.support.published_nights import publish, record_of

Plant = Callable[[pytest.MonkeyPatch], None]


def _night() -> tuple[Tables, dict[str, Any]]:
    """A night in which every rule decides something."""
    rng = np.random.default_rng(8)
    num = 240
    merchant = np.sort(rng.integers(0, 6, num))
    outlet = rng.integers(0, 3, num)
    orders = pl.DataFrame(
        {
            "order_id": [f"o{i:03}" for i in range(num)],
            "merchant_id": [f"m{m}" for m in merchant],
            "carrier_id": rng.choice(["yunda", "zhongtong"], num),
            "region_id": rng.choice(["north", "south", "west"], num),
            "outlet_id": [f"d{d}" for d in outlet],
            "complaint_prob_standard": rng.uniform(0.1, 0.5, num),
            "complaint_prob_premium": rng.uniform(0, 0.4, num),
            "return_prob_standard": rng.uniform(0.1, 0.5, num),
            "return_prob_premium": rng.uniform(0, 0.4, num),
        }
    )
    capacity = pl.DataFrame(
        [
            ("yunda", None, None, 20),
            ("yunda", "north", None, 3),
            ("yunda", "south", None, 3),
            ("yunda", "north", "d0", 1),
            ("zhongtong", "north", None, 4),
            ("zhongtong", "south", "d1", 2),
        ],
        schema={
            "carrier_id": pl.String,
            "region_id": pl.String,
            "outlet_id": pl.String,
            "slots": pl.Int64,
        },
        orient="row",
    )
    merchants = pl.DataFrame(
        {
            "merchant_id": [f"m{m}" for m in range(6)],
            "take_up": [1.0, 0.9, 0.8, 0.7, 0.6, 0.5],
            "daily_budget_cny": [None, None, 1.7, None, None, None],
        }
    )
    tables = {"orders": orders, "capacity": capacity, "merchants": merchants}
    return tables, settings(Variant(policy={"cap": {"rate": 0.11}}))


def _saving(change: Callable[..., Any]) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        true = encode.saving_micro_cny
        patch.setattr(encode, "saving_micro_cny", lambda *args: change(true, *args))

    return plant


def _cut(true: Any, worth: Any, complaints: Any, returns: Any, kept: Any) -> Any:
    harm = complaints * worth.complaint + returns * worth.logistics_return
    return np.floor(kept * harm).astype(np.int64) - worth.fee


def _harm_as_gain(
    true: Any, worth: Any, complaints: Any, returns: Any, kept: Any
) -> Any:
    return np.abs(true(worth, complaints, returns, kept) + worth.fee) - worth.fee


def _take_up_ignored(patch: pytest.MonkeyPatch) -> None:
    true = encode.make_codes

    def make(*args: Any, **keys: Any) -> Any:
        codes = true(*args, **keys)
        codes.take_up = np.ones_like(codes.take_up)
        return codes

    patch.setattr(encode, "make_codes", make)


def _cap_more(patch: pytest.MonkeyPatch) -> None:
    true = assemble.policy_caps

    def caps(*args: Any) -> Any:
        found, bank = true(*args)
        return found + 1, bank

    patch.setattr(assemble, "policy_caps", caps)


def _cap_rounded_up(patch: pytest.MonkeyPatch) -> None:
    def caps_of(num_orders: Any, rate: Any) -> Any:
        above, below = rate.as_integer_ratio()
        return -(-num_orders * above // below)

    patch.setattr(carryover, "caps_of", caps_of)


def _widest_row(patch: pytest.MonkeyPatch) -> None:
    true = lanes.rows_over
    patch.setattr(lanes, "rows_over", lambda leaf, rows: true(leaf, rows)[:1])
    # Lanes that come again are known: the fault would be passed over, or stay.
    patch.setattr(lanes, "_nested", lanes._nested.__wrapped__)


def _slot_more(patch: pytest.MonkeyPatch) -> None:
    true = night.rows_tonight

    def rows_tonight(*args: Any) -> Any:
        rows, taken = true(*args)
        return tuple(row._replace(slots=row.slots + 1) for row in rows), taken

    patch.setattr(night, "rows_tonight", rows_tonight)


def _uncovered_open(patch: pytest.MonkeyPatch) -> None:
    true = side_constraints.build_forest
    patch.setattr(
        side_constraints,
        "build_forest",
        lambda *args, **keys: true(*args, **keys | {"is_open": True}),
    )


def _budgets_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(assemble, "merchant_budgets", lambda caps, *_: (caps, None, ()))


def _next_merchant(patch: pytest.MonkeyPatch) -> None:
    true = assemble._rank_merchants

    def rank(*args: Any) -> Any:
        ids, merchant = true(*args)
        return ids, ((merchant + 1) % len(ids)).astype(merchant.dtype)

    patch.setattr(assemble, "_rank_merchants", rank)


#: What is planted, and a check that must complain.
FAULTS: dict[str, tuple[Plant, str]] = {
    "the fee is not taken off": (
        _saving(lambda true, worth, *args: true(worth, *args) + worth.fee),
        "saving",
    ),
    "the sign of returns": (
        _saving(lambda true, worth, c, r, kept: true(worth, c, -r, kept)),
        "saving",
    ),
    "take-up is ignored": (_take_up_ignored, "saving"),
    "savings are cut, not rounded": (_saving(_cut), "saving"),
    "harm counts as gain": (_saving(_harm_as_gain), "saving"),
    "caps are one too high": (_cap_more, "caps"),
    "caps are rounded up": (_cap_rounded_up, "caps"),
    "only the widest row counts": (_widest_row, "lanes"),
    "one slot too many": (_slot_more, "lanes"),
    "lanes without a row are open": (_uncovered_open, "lanes"),
    "budgets are ignored": (_budgets_ignored, "caps"),
    "orders count to the next merchant": (_next_merchant, "orders"),
}


@pytest.mark.slow
def test_it_holds_without_a_fault(tmp_path: Any) -> None:
    """The night of the faults is stated alike where none is planted."""
    tables, config = _night()
    run = publish(tmp_path, tables, config, DAY)
    assert state_again(run, record_of(run)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_seen(
    name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night that faulty code built, proved and published is not stated alike."""
    plant, check = FAULTS[name]
    plant(monkeypatch)
    tables, config = _night()
    run = publish(tmp_path, tables, config, DAY)
    monkeypatch.undo()
    assert check in {finding.check for finding in state_again(run, record_of(run))}
