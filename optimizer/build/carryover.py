"""Carry-over from other nights: fractions in the cap bank, parcels in flight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.encode import OPEN
from optimizer.config.cap import (
    caps_of,
    carryover_caps,
    earned_nano,
    pooled_caps,
    window_caps,
)
from optimizer.contracts.warnings import warn
from optimizer.io.order_keys import order_keys

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.config import Cap
    from optimizer.contracts.warnings import CodedWarning


@dataclass(frozen=True, slots=True, eq=False)
class EarlierNights:
    """
    Carry-over from other nights, as published, so that it can be proved again.

    Attributes
    ----------
    day
        The business date; ``None`` where the caller gave none.
    in_flight
        ``carrier_id``, ``region_id``, ``outlet_id``, ``service_date``,
        ``num_slots``: slots that are taken. ``None``: none are counted.
    bank
        ``merchant_id``, ``carried_in_nano``, ``room_nano``; a merchant without a
        row carries nothing in and has all its room. ``None``: no rows.
    """

    day: dt.date | None = None
    in_flight: pl.DataFrame | None = None
    bank: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Bank:
    """
    The cap bank's part of one night, by merchant.

    Attributes
    ----------
    carried_in, room, earned, carried_out
        ``(num_merchants,) int64`` nano-parcels; see
        :func:`~optimizer.config.cap.carryover_caps`.
    granted
        ``(num_merchants,) int64`` parcels.
    """

    carried_in: NDArray[np.int64]
    room: NDArray[np.int64]
    earned: NDArray[np.int64]
    granted: NDArray[np.int64]
    carried_out: NDArray[np.int64]


def policy_caps(
    cap: Cap,
    num_orders: NDArray[np.int64],
    num_open: NDArray[np.int64],
    override: NDArray[np.int64],
    merchant_ids: Sequence[str],
    history: EarlierNights,
) -> tuple[NDArray[np.int64], Bank | None]:
    """
    Caps of all merchants by the policy's rounding; an override replaces it.

    Parameters
    ----------
    cap
        The policy's.
    num_orders, num_open
        ``(num_merchants,) int64``: orders that the cap is a share of, and orders that
        could be recommended.
    override
        ``(num_merchants,) int64``: -1 where there is none. A merchant with one
        neither earns nor spends.
    merchant_ids
        By merchant.
    history
        Of the night.

    Returns
    -------
    caps, bank
        ``(num_merchants,) int64``, and with carryover the bank's part of the night.
    """
    is_own = override < 0
    caps, bank = caps_of(num_orders, cap.rate), None
    if cap.rounding == "pooled":
        base, tie = np.where(is_own, num_orders, 0), _ties(merchant_ids, history)
        caps = pooled_caps(base, cap.rate, num_open > caps, tie)
    elif cap.rounding == "carryover":
        bank = _bank(np.where(is_own, num_orders, 0), cap, merchant_ids, history)
        caps = bank.granted
    return np.where(is_own, caps, override), bank


def compare_roundings(
    cap: Cap, num_orders: NDArray[np.int64], num_open: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """
    Slots that each rounding would give tonight's merchants, overrides aside.

    Parameters
    ----------
    cap, num_orders, num_open
        As for :func:`policy_caps`.

    Returns
    -------
    dict
        By rounding, ``num_slots`` and ``num_merchants_without``. Those of
        ``carryover`` are a night's average if all nights of a window were like this
        one, and the merchants that have no slot in the whole window.
    """
    floor = caps_of(num_orders, cap.rate)
    tie = np.arange(len(floor)).astype(np.uint64)
    window = window_caps(num_orders, cap.rate, cap.window_days)
    mean = round(int(window.sum()) / cap.window_days, 1)
    return {
        "floor": _count(floor),
        "carryover": _count(window) | {"num_slots": mean},
        "pooled": _count(pooled_caps(num_orders, cap.rate, num_open > floor, tie)),
    }


def _count(caps: NDArray[np.int64]) -> dict[str, float]:
    return {
        "num_slots": int(caps.sum()),
        "num_merchants_without": int(np.sum(caps == 0)),
    }


def _bank(
    num_orders: NDArray[np.int64],
    cap: Cap,
    merchant_ids: Sequence[str],
    history: EarlierNights,
) -> Bank:
    earned = earned_nano(num_orders, cap.rate)
    known: dict[str, tuple[int, int]] = {}
    if history.bank is not None:
        columns = history.bank.select("merchant_id", "carried_in_nano", "room_nano")
        known = {name: (carried, room) for name, carried, room in columns.iter_rows()}
    found = [known.get(name, (0, 0)) for name in merchant_ids]
    carried, room = np.array(found, np.int64).reshape(-1, 2).T
    granted, carried_out = carryover_caps(earned, carried, room)
    return Bank(carried, room, earned, granted, carried_out)


def _ties(merchant_ids: Sequence[str], history: EarlierNights) -> NDArray[np.uint64]:
    """Tie-breaks that differ by day, so that no merchants always go first."""
    import polars as pl

    salt = history.day.toordinal() if history.day else 0
    return order_keys(pl.Series(merchant_ids, dtype=pl.String), salt)[0]


def count_open(
    status: NDArray[np.uint8], merchant: NDArray[np.int32], num_merchants: int
) -> NDArray[np.int64]:
    """
    Orders of each merchant that the solver may recommend.

    Parameters
    ----------
    status, merchant
        ``(n,) uint8`` and ``(n,) int32``: of each order.
    num_merchants
        Length of the result.
    """
    counts = np.bincount(merchant[status == OPEN], minlength=num_merchants)
    return counts.astype(np.int64)


def night_warnings(
    substitutes: Mapping[str, str], *, is_late: bool
) -> list[CodedWarning]:
    """
    Warnings about a night's substitutes and its carry-over.

    Parameters
    ----------
    substitutes
        Paths used as substitutes for tables that did not come, by table.
    is_late
        Whether later nights have already used the cap bank.
    """
    found = [
        warn("TABLE_SUBSTITUTED", table=name, path=path)
        for name, path in sorted(substitutes.items())
    ]
    return [*found, warn("AFTER_LATER_NIGHTS")] if is_late else found
