"""One order's decision in a sentence, from the tables of a night alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.data.run_files import read_record
from optimizer.errors import DataError, counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl


def explain_order(
    order_id: str, decisions: pl.DataFrame, merchants: pl.DataFrame
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

    Raises
    ------
    DataError
        When there is no such order in the night.
    """
    found = decisions.filter(decisions["order_id"] == order_id)
    if found.height == 0:
        raise _unknown(order_id)
    order = found.row(0, named=True)
    owner = merchants.filter(merchants["merchant_id"] == order["merchant_id"])
    return f"{order_id}: {sentence(order, owner.row(0, named=True))}"


def sentence(order: Mapping[str, Any], merchant: Mapping[str, Any]) -> str:
    """
    Put one row of the decisions into words.

    Examples
    --------
    >>> order = {"reason": "NO_SAVING", "saving_cny": -0.3, "margin_cny": -0.3}
    >>> sentence(order, {})
    'not chosen: premium would cost 0.30 CNY more than the harm it avoids'
    """
    is_shut = order["reason"] in _NEEDS_ROOM and order.get("has_room") is False
    words = _NO_ROOM if is_shut else _SENTENCES[order["reason"]]
    money = {
        name: abs(order.get(f"{name}_cny") or 0.0) for name in ("saving", "margin")
    }
    counts = {
        "orders": counted(merchant.get("num_orders", 0), "order"),
        "slots": counted(merchant.get("cap", 0), "slot"),
    }
    return words.format(**{**merchant, **order, **money, **counts})


_NEEDS_ROOM = ("CAPACITY_FULL", "CAP_AND_CAPACITY")
_NO_ROOM = (
    "not chosen: none of its carriers has slots there; it would avoid {saving:.2f} CNY"
)
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
        "not chosen: the merchant's {slots} went to what avoids more harm; this one "
        "avoids {saving:.2f} CNY and would need {margin:.2f} more"
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
    "INELIGIBLE": "not considered: the order or its merchant is not eligible",
    "CARRIER_INACTIVE": (
        "not considered: none of its carriers offers the service on this date"
    ),
    "HELD_OUT": (
        "kept back at random to measure what premium does: it stays on standard service"
    ),
    "EXPLORED": (
        "recommended at random to measure what premium does, with {carrier_id}"
    ),
    "PINNED_OUT": 'not considered: the order is pinned to "never"',
}


def explain_run(run_dir: Path, order_id: str) -> dict[str, Any]:
    """
    Explain an order from a published run alone.

    Reads only the part of the decisions that can hold the order.

    Raises
    ------
    DataError
        When the folder is not a run, or has no such order.
    """
    import polars as pl

    read_record(run_dir)
    decisions = pl.scan_parquet(run_dir / "decisions.parquet")
    found = decisions.filter(pl.col("order_id") == order_id).collect()
    if found.height == 0:
        raise _unknown(order_id)
    order = found.row(0, named=True)
    merchants = pl.scan_parquet(run_dir / "merchants.parquet")
    owner = merchants.filter(pl.col("merchant_id") == order["merchant_id"]).collect()
    merchant = owner.row(0, named=True)
    return order | {"sentence": sentence(order, merchant), "merchant": merchant}


def _unknown(order_id: str) -> DataError:
    return DataError(
        f"order {order_id!r} is not in this night; it may be in quarantine, or belong "
        "to another date"
    )
