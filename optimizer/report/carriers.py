"""What to do about carriers' names that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optimizer.contracts.carrier_names import (
    SPELLINGS,
    carrier_line,
    nearest_carriers,
)
from optimizer.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Names that are shown with the line that says what they are.
_NUM_SHOWN = 5


def way_on(warnings: Iterable[Any], num_orders: int | None = None) -> str:
    """
    Say which line of the configuration tells who unknown carriers are.

    Parameters
    ----------
    warnings
        Of a night, as its record has them.
    num_orders
        Orders that have no carrier of the roster, if they were counted.

    Returns
    -------
    str
        Empty where all names are those of carriers.
    """
    words = [word for word in _unknown(warnings) if word not in SPELLINGS][:_NUM_SHOWN]
    if not words:
        return ""
    named = []
    for word in words:
        near = ", ".join(nearest_carriers(word))
        named.append(f"{word} (nearest: {near})" if near else word)
    count = (
        ""
        if num_orders is None
        else f"; {counted(num_orders, 'order')} with carriers outside the roster"
    )
    return (
        f"no carrier is known under {', '.join(named)}{count}; if one is another name "
        "of a carrier, write in the configuration under inputs.orders.values: "
        f"{carrier_line(words)}"
    )


def _unknown(warnings: Iterable[Mapping[str, Any] | str]) -> list[str]:
    """Carriers outside the roster, by the warning that names them."""
    for warning in warnings:
        if isinstance(warning, dict) and warning["code"] == "UNKNOWN_CARRIERS":
            return [*warning["values"]["carriers"]]
    return []
