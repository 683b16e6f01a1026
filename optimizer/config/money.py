"""Money is integer micro-CNY from the moment a problem is built."""

from __future__ import annotations

from decimal import Decimal

MICRO = 1_000_000


def micro_cny(amount: Decimal) -> int:
    """
    Integer micro-CNY of an amount with at most six decimals.

    Raises
    ------
    ValueError
        When the amount has a finer part; the configuration refuses it before.

    Examples
    --------
    >>> micro_cny(Decimal("0.80"))
    800000
    """
    scaled = amount * MICRO
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} CNY has more than six decimals")
    return int(scaled)
