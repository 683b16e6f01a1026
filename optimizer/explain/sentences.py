"""One order's decision in a sentence, from the tables of a night alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import read_record
from optimizer.errors import DataError, counted
from optimizer.explain.chinese import CHINESE
from optimizer.io.lookup import find_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl


def explain_order(
    order_id: str,
    decisions: pl.DataFrame,
    merchants: pl.DataFrame,
    language: str = "en",
) -> str:
    """
    Say what was decided for an order, and why.

    Parameters
    ----------
    order_id
        The order.
    decisions
        Decisions, of this order at least.
    merchants
        Merchant results, of its merchant at least.
    language
        ``"en"`` or ``"zh"``.

    Raises
    ------
    DataError
        When there is no such order in the night.
    """
    found = decisions.filter(decisions["order_id"] == order_id)
    if found.height == 0:
        raise unknown_order(order_id)
    order = found.row(0, named=True)
    owner = merchants.filter(merchants["merchant_id"] == order["merchant_id"])
    return f"{order_id}: {sentence(order, owner.row(0, named=True), language)}"


def sentence(
    order: Mapping[str, Any], merchant: Mapping[str, Any], language: str = "en"
) -> str:
    """
    Put one row of the decisions into words, in English (``en``) or Chinese (``zh``).

    Examples
    --------
    >>> order = {"reason": "NO_SAVING", "saving_cny": -0.3, "margin_cny": -0.3}
    >>> sentence(order, {})
    'not chosen: premium would cost 0.30 CNY more than the harm it avoids'
    >>> sentence(order, {}, "zh")
    '未入选：升级服务的费用比它能避免的损失高 0.30 元'
    """
    is_shut = order["reason"] in _NEEDS_ROOM and order.get("has_room") is False
    reason = "NO_ROOM" if is_shut else order["reason"]
    if reason == "CHOSEN" and (order.get("margin_cny") or 0) < 0:
        reason = "FORCED"
    words = (CHINESE if language == "zh" else _SENTENCES)[reason]
    money = {
        name: abs(order.get(f"{name}_cny") or 0.0) for name in ("saving", "margin")
    }
    money["price"] = merchant.get("shadow_price_cny") or 0.0
    counts = {
        "num_slots": f"{merchant.get('cap', 0):,}",
        "orders": counted(merchant.get("num_orders", 0), "order"),
        "slots": counted(merchant.get("cap", 0), "slot"),
    }
    signed = {"signed": order.get("saving_cny") or 0.0}
    return words.format(**{**merchant, **order, **money, **counts, **signed})


_NEEDS_ROOM = ("CAPACITY_FULL", "CAP_AND_CAPACITY")
_SENTENCES = {
    "CHOSEN": (
        "chosen, with {carrier_id}: it avoids {saving:.2f} CNY of expected harm, "
        "{margin:.2f} more than it had to"
    ),
    "NO_SAVING": (
        "not chosen: premium would cost {saving:.2f} CNY more than the harm it avoids"
    ),
    "CAP_ZERO": (
        "not chosen: with {orders} the merchant's cap is {cap}, and this "
        "order would avoid {saving:.2f} CNY"
    ),
    "CAP_FULL": (
        "not chosen: the merchant's {slots} went to parcels that each avoid at least "
        "{price:.2f} CNY, places with carriers paid; this one avoids {saving:.2f} CNY "
        "and would need {margin:.2f} more"
    ),
    "CAPACITY_FULL": (
        "not chosen: the carrier's slots there went to parcels that avoid more harm; "
        "this one avoids {saving:.2f} CNY and would need {margin:.2f} more"
    ),
    "CAP_AND_CAPACITY": (
        "not chosen: the merchant's cap of {cap} and the carrier's slots there went to "
        "parcels that avoid more harm; this one avoids {saving:.2f} CNY and would need "
        "{margin:.2f} more"
    ),
    "INELIGIBLE": (
        "not considered: the order or its merchant is not eligible "
        "({ineligible_reason})"
    ),
    "CARRIER_INACTIVE": (
        "not considered: none of its carriers offers the service on this date"
    ),
    "BUDGET": (
        "not chosen: a budget for fees went to parcels that avoid more harm; this one "
        "avoids {saving:.2f} CNY and would need {margin:.2f} more"
    ),
    "NO_ROOM": (
        "not chosen: none of its carriers has slots there; it would avoid "
        "{saving:.2f} CNY"
    ),
    "FORCED": (
        "chosen, with {carrier_id}, as a pin or a floor asks for it: it saves "
        "{signed:.2f} CNY, {margin:.2f} less than its slots would bring elsewhere"
    ),
    "HELD_OUT": (
        "kept back at random to measure what premium does: it stays on standard service"
    ),
    "EXPLORED": (
        "recommended at random to measure what premium does, with {carrier_id}"
    ),
    "PINNED_OUT": 'not considered: the order is pinned to "never"',
}


def explain_run(run_dir: Path, order_id: str, language: str = "en") -> dict[str, Any]:
    """
    Explain an order from a published run alone.

    Reads only the row group of the decisions that can hold the order.

    Raises
    ------
    DataError
        When the folder is not a run, or has no such order.
    """
    read_record(run_dir)
    found = find_rows(run_dir / "decisions.parquet", "order_id", order_id)
    if found.height == 0:
        raise unknown_order(order_id)
    order = found.row(0, named=True)
    merchant_id = order["merchant_id"]
    owner = find_rows(run_dir / "merchants.parquet", "merchant_id", merchant_id)
    merchant = owner.row(0, named=True)
    words = sentence(order, merchant, language)
    return order | {"sentence": words, "merchant": merchant}


def unknown_order(order_id: str) -> DataError:
    """What to raise where a night has no such order."""
    return DataError(
        f"order {order_id!r} is not in this night; it may be in quarantine, or belong "
        "to another date"
    )
