"""The cap in exact arithmetic: a share of whole parcels, rounded down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.errors import DataError

if TYPE_CHECKING:
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray


def cap_of(num_orders: int, rate: Decimal) -> int:
    """
    Parcels that may be chosen of so many: ``floor(rate * num_orders)``, exactly.

    Examples
    --------
    >>> from decimal import Decimal
    >>> [cap_of(n, Decimal("0.03")) for n in (33, 34, 100)]
    [0, 1, 3]
    """
    numerator, denominator = rate.as_integer_ratio()
    return num_orders * numerator // denominator


def caps_of(num_orders: NDArray[np.int64], rate: Decimal) -> NDArray[np.int64]:
    """
    The same for many merchants at once.

    Parameters
    ----------
    num_orders
        ``(num_merchants,) int64``, at least 0.
    rate
        In [0, 1]; never a float, so ``0.29 * 100`` is 29.

    Returns
    -------
    ``(num_merchants,) int64``

    Raises
    ------
    DataError
        When a number of orders is too large for the arithmetic.
    """
    numerator, denominator = rate.as_integer_ratio()
    most = int(num_orders.max(initial=0))
    if most * max(numerator, 1) >= 2**63:
        raise DataError(
            f"a merchant has {most:,} orders, which is beyond the arithmetic of the "
            "cap: check num_orders in the merchants table"
        )
    caps: NDArray[np.int64] = num_orders * numerator // denominator
    return caps
