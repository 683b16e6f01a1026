"""One order's decision in a sentence, from the tables of a night alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.run_folder import is_date, pinned, read_record
from optimizer.errors import DataError, counted
from optimizer.explain.chinese import CHINESE
from optimizer.io.lookup import merchant_row, order_row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

#: Micro-CNY in a CNY, and in a cent.
MICRO, CENT = 1_000_000, 10_000


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
    >>> order = {"reason": "NO_SAVING", "saving_cny": -0.3}
    >>> sentence(order, {})
    'not chosen: premium would cost 0.30 CNY more than the harm it avoids'
    >>> sentence(order, {}, "zh")
    '未入选：送货上门服务的费用比它能避免的损失高 0.30 元'
    """
    is_shut = order["reason"] in _NEEDS_ROOM and order.get("has_room") is False
    reason = "NO_ROOM" if is_shut else order["reason"]
    if reason == "CHOSEN" and order.get("margin_cny") is None:
        reason = "FORCED" if (order.get("surplus_cny") or 0) < 0 else reason
    if reason == "CAP_FULL" and merchant.get("one_fewer_cny") is None:
        reason = "CAP_TAKEN"
    if reason == "BUDGET" and merchant.get("cap") == 0:
        reason = "BUDGET_BELOW_FEE"
    elif reason == "BUDGET" and order.get("has_room") is False:
        reason = "SUBSIDY_BELOW_FEE"
    if reason == "NO_SAVING" and order.get("saving_cny") == 0:
        reason = "NO_GAIN"
    if reason == "HELD_OUT" and order.get("arm") == "explore":
        reason = "DRAWN_OUT"
    if order.get("arm") == "margin":
        reason = {"HELD_OUT": "COIN_OUT", "EXPLORED": "COIN_IN"}.get(reason, reason)
    known = CHINESE if language == "zh" else _SENTENCES
    words = known[reason]
    if order.get("arm") == "thompson":
        words += known["OF_DRAWS"]
    money = {
        name: _amount(order.get(f"{name}_cny") or 0.0) for name in ("saving", "surplus")
    }
    money["least"] = _amount(merchant.get("one_fewer_cny") or 0.0, "down")
    counts = {
        "num_slots": f"{merchant.get('cap', 0):,}",
        "orders": counted(merchant.get("num_orders", 0), "order"),
        "slots": counted(merchant.get("cap", 0), "slot"),
    }
    sign = "-" if (order.get("saving_cny") or 0.0) < 0 else ""
    about = {
        "signed": sign + money["saving"],
        "margin": margin_words(order, language, is_in=reason == "CHOSEN"),
        "beside": _beside_the_plan(order, language),
        "chance": f"{order.get('propensity') or 0.0:.3f}",
        **_others(order, language),
    }
    return words.format(**{**merchant, **order, **money, **counts, **about})


def margin_words(order: Mapping[str, Any], language: str, *, is_in: bool) -> str:
    """
    Put a margin into words: an amount, a bound, a tie, or "no change would do".

    Parameters
    ----------
    order
        A row of the decisions.
    language
        ``"en"`` or ``"zh"``.
    is_in
        Whether it was chosen.

    Examples
    --------
    >>> margin_words({"margin_cny": -8.0}, "en", is_in=False)
    ' and would need 8.00 more'
    >>> margin_words({"margin_high_cny": -3.0}, "en", is_in=False)
    ' and would need at least 3.00 more'
    >>> margin_words({"margin_cny": None}, "en", is_in=False)
    '; no saving would be enough'
    >>> margin_words({"margin_cny": -0.000001}, "en", is_in=False)
    ' and would need 0.000001 more'
    >>> margin_words({"margin_cny": 0.0}, "en", is_in=False)
    ', as much as what was chosen instead: either choice is worth the same'
    """
    exact = order.get("margin_cny")
    low, high = order.get("margin_low_cny"), order.get("margin_high_cny")
    if exact is not None:
        key, amount = "exact" if round(exact * MICRO) else "tie", exact
    elif is_in:
        key, amount = _least_said(low, high)
    elif high is not None and high < 0:
        key, amount = "at least", -high
    else:
        key, amount = ("none" if high is None else "open"), 0.0
    words = _MARGINS["in" if is_in else "out", key]
    rounded = {("in", "at most"): "up"}.get(("in" if is_in else "out", key), "down")
    text = _amount(amount, "near" if key == "exact" else rounded)
    return words[language == "zh"].format(amount=text)


def _amount(money: float, rounded: str = "near") -> str:
    """
    Write an amount without its sign: cents, or below one all that there is.

    Parameters
    ----------
    money
        CNY, of whole micro-CNY.
    rounded
        ``"near"``, or ``"down"`` or ``"up"`` for what is at least or at most so much.

    Examples
    --------
    >>> _amount(-8.0), _amount(0.000001), _amount(2.499, "down"), _amount(2.491, "up")
    ('8.00', '0.000001', '2.49', '2.50')
    """
    micro = abs(round(money * MICRO))
    if 0 < micro < CENT:
        return f"{micro / MICRO:.6f}".rstrip("0")
    if rounded == "near":
        return f"{abs(money):.2f}"
    cents = micro // CENT if rounded == "down" else -(-micro // CENT)
    return f"{cents / 100:.2f}"


def _beside_the_plan(order: Mapping[str, Any], language: str) -> str:
    """Put into words what the plan would do with an order that was drawn beside it."""
    exact = order.get("margin_cny")
    if exact is None or not round(exact * MICRO):
        return ""
    words = _BESIDE["in" if exact > 0 else "out"]
    return words[language == "zh"].format(amount=_amount(exact))


#: The margin of an order of the explore arm is what it would have as one of the plan.
_BESIDE = {
    "in": (
        "; the plan beside it would choose it, with {amount} to spare",
        "；若参与优化，在现有方案下会入选，余量 {amount} 元",
    ),
    "out": (
        "; the plan beside it would not choose it, and it would need {amount} more",
        "；若参与优化，在现有方案下不会入选，还差 {amount} 元",
    ),
}


def _others(order: Mapping[str, Any], language: str) -> dict[str, str]:
    """
    Put into words who has the slots that an order lacks.

    An exact margin comes from prices that nobody who has a slot is below; without
    one, loads and floors decide too, and only that others have it is known.
    """
    is_known, is_zh = order.get("margin_cny") is not None, language == "zh"
    return {
        name: _OTHERS[name if is_known else "unknown"][is_zh]
        for name in ("each", "all")
    }


_OTHERS = {
    "each": ("parcels that avoid at least as much harm", "净避免损失不少于它的订单"),
    "all": (
        "parcels that together avoid at least as much harm",
        "合计净避免损失不少于它的订单",
    ),
    "unknown": ("other parcels", "其他订单"),
}


def _least_said(low: float | None, high: float | None) -> tuple[str, float]:
    """The least margin that a chosen order is known to have."""
    if low is not None and low > 0:
        return "at least", low
    return ("open", 0.0) if high is None else ("at most", high)


#: What is said of a margin, by whether the order is in and by how well it is known.
_MARGINS = {
    ("in", "exact"): (
        ", {amount} more than it had to",
        "，比入选所需高出 {amount} 元",
    ),
    ("in", "at least"): (
        ", at least {amount} more than it had to",
        "，比入选所需至少高出 {amount} 元",
    ),
    ("in", "at most"): (
        ", at most {amount} more than it had to",
        "，比入选所需最多高出 {amount} 元",
    ),
    ("in", "open"): ("", ""),
    ("in", "tie"): (
        ", as much as what was left out for it: either choice is worth the same",
        "，与因它落选的订单相当：两种选择的价值相同",
    ),
    ("out", "tie"): (
        ", as much as what was chosen instead: either choice is worth the same",
        "，与代替它入选的订单相当：两种选择的价值相同",
    ),
    ("out", "exact"): (" and would need {amount} more", "，还差 {amount} 元"),
    ("out", "at least"): (
        " and would need at least {amount} more",
        "，至少还差 {amount} 元",
    ),
    ("out", "open"): (
        "; the proof does not say how much it lacks",
        "；现有证明无法说明还差多少",
    ),
    ("out", "none"): ("; no saving would be enough", "；无论可避免多少损失都不会入选"),
}


_NEEDS_ROOM = ("CAPACITY_FULL", "CAP_AND_CAPACITY")
_SENTENCES = {
    "CHOSEN": (
        "chosen, with {carrier_id}: it avoids {saving} CNY of expected harm after the "
        "fee that counts{margin}"
    ),
    "NO_SAVING": (
        "not chosen: premium would cost {saving} CNY more than the harm it avoids"
    ),
    "NO_GAIN": "not chosen: premium would cost as much as the harm it avoids",
    "CAP_ZERO": (
        "not chosen: with {orders} the merchant's cap is {cap}, and this "
        "order would avoid {saving} CNY after the fee that counts"
    ),
    "CAP_FULL": (
        "not chosen: the merchant's {slots} went to parcels that each avoid at least "
        "{least} CNY, the fee that counts and places with carriers paid; this one "
        "avoids {saving} CNY after the fee{margin}"
    ),
    "CAP_TAKEN": (
        "not chosen: the merchant's {slots} went to {each}; this "
        "one avoids {saving} CNY after the fee that counts{margin}"
    ),
    "CAPACITY_FULL": (
        "not chosen: the carrier's slots there went to {each}; "
        "this one avoids {saving} CNY after the fee that counts{margin}"
    ),
    "CAP_AND_CAPACITY": (
        "not chosen: the merchant's cap of {cap} and the carrier's slots there went to "
        "{all}; this one avoids {saving} CNY after the fee that counts{margin}"
    ),
    "INELIGIBLE": (
        "not considered: the order or its merchant is not eligible "
        "({ineligible_reason})"
    ),
    "CARRIER_INACTIVE": (
        "not considered: none of its carriers offers the service on this date"
    ),
    "NO_OPTION": "not considered: the options table has no carrier for it",
    "NOT_DELIVERABLE": (
        "not considered: no platform of the outboxes takes it, for its carriers or id"
    ),
    "BUDGET": (
        "not chosen: a budget for fees went to {each}; this one "
        "avoids {saving} CNY after the fee that counts{margin}"
    ),
    "SUBSIDY_BELOW_FEE": (
        "not chosen: the platform's budget is below its part of one fee; this one "
        "would avoid {saving} CNY after the fee that counts"
    ),
    "BUDGET_BELOW_FEE": (
        "not chosen: the merchant's budget is below the fee of one parcel; this one "
        "would avoid {saving} CNY after the fee that counts"
    ),
    "NO_ROOM": (
        "not chosen: none of its carriers has room for it there; it would avoid "
        "{saving} CNY after the fee that counts"
    ),
    "FORCED": (
        "chosen, with {carrier_id}, as a pin or a floor asks for it: it saves "
        "{signed} CNY, {surplus} less than the proof's prices of its slots"
    ),
    "HELD_OUT": (
        "chosen by the plan and kept back at random, to measure what premium does: it "
        "stays on standard service, where {carrier_id} would have avoided {saving} CNY "
        "after the fee that counts"
    ),
    "DRAWN_OUT": (
        "drawn at random, not chosen by the plan, and kept on standard service by even "
        "chance, to measure what premium does; it would save {signed} CNY{beside}"
    ),
    "EXPLORED": (
        "drawn at random, not chosen by the plan, and recommended by even chance, to "
        "measure what premium does, with {carrier_id}: it saves {signed} CNY{beside}"
    ),
    "COIN_OUT": (
        "chosen by the plan, and left on standard service by a fair coin, to measure "
        "what premium does: the next parcel beside the plan has its slot; {carrier_id} "
        "would have avoided {saving} CNY after the fee that counts"
    ),
    "COIN_IN": (
        "next beside the plan, and recommended by a fair coin in place of a chosen "
        "parcel, to measure what premium does, with {carrier_id}: it saves {signed} CNY"
    ),
    "OF_DRAWS": (
        "; savings of this night are one draw of what is known and not known of "
        "premium, by which it gets premium with a probability of {chance}"
    ),
    "PINNED_OUT": 'not considered: the order is pinned to "never"',
}


def explain_run(run_dir: Path, order_id: str, language: str = "en") -> dict[str, Any]:
    """
    Explain an order from a published run alone.

    Reads only the row groups of index and decisions that can hold the order.

    Raises
    ------
    DataError
        When the folder is not a run, or has no such order.
    """
    run_dir = pinned(run_dir)
    read_record(run_dir)
    found = order_row(run_dir, order_id)
    if found.height == 0:
        raise unknown_order(order_id)
    order = found.row(0, named=True)
    merchant_id = order["merchant_id"]
    merchant = merchant_row(run_dir, merchant_id)
    words = sentence(order, merchant, language)
    return order | {"sentence": words, "merchant": merchant}


def unknown_order(order_id: str) -> DataError:
    """The error for an order that a night does not have."""
    if is_date(order_id):
        return DataError(f"{order_id} is a date; name an order by its order_id")
    return DataError(
        f"order {order_id!r} is not in this night; it may be in quarantine, or belong "
        "to another date"
    )
