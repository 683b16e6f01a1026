"""
The cap in exact arithmetic: a share of whole parcels.

The rate has at most nine decimals, so what a merchant earns in a night,
``rate * num_orders``, is a whole number of nano-parcels: all sums are integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import DataError

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

#: Nano-parcels in a parcel.
NANO = 10**9


def cap_of(num_orders: int, rate: Decimal) -> int:
    """
    Parcels that may be chosen of a number of orders: ``floor(rate * num_orders)``.

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
    _refuse_beyond(num_orders, numerator)
    caps: NDArray[np.int64] = num_orders * numerator // denominator
    return caps


def earned_nano(num_orders: NDArray[np.int64], rate: Decimal) -> NDArray[np.int64]:
    """
    Earnings of merchants in a night, in nano-parcels: ``rate * num_orders``, exactly.

    Parameters
    ----------
    num_orders
        ``(num_merchants,) int64``, at least 0.
    rate
        In [0, 1], with at most nine decimals.

    Returns
    -------
    ``(num_merchants,) int64``

    Raises
    ------
    DataError
        When a number of orders is too large for the arithmetic.

    Examples
    --------
    >>> from decimal import Decimal
    >>> earned_nano(np.array([33, 34]), Decimal("0.03")).tolist()
    [990000000, 1020000000]
    """
    share = int(rate * NANO)
    # A bank adds up the nights of a window, so there is room for a hundred of them.
    _refuse_beyond(num_orders, share * 100)
    return num_orders * share


def carryover_caps(
    earned: NDArray[np.int64], carried: NDArray[np.int64], room: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    r"""
    Caps that carry a fraction over to the next night, and the fractions carried out.

    With :math:`e` earned tonight, :math:`b < 1` carried in, and :math:`R` the room
    that the earlier nights of the window left (earned less granted, perhaps below 0),

    .. math:: g = \max(0, \lfloor \min(b + e,\; R + e) \rfloor), \qquad
              b' = (b + e - g) \bmod 1.

    So whenever a night grants slots, the window that ends with it has granted no more
    than it earned, and no sequence of nights grants a whole parcel more than it earned.
    Whole slots are never banked, only fractions.

    Parameters
    ----------
    earned, carried, room
        ``(num_merchants,) int64`` nano-parcels.

    Returns
    -------
    granted, carried_out
        ``(num_merchants,) int64``: parcels, and nano-parcels below 1 parcel.

    Examples
    --------
    >>> nano = [np.array([n]) * 10**7 for n in (60, 60, 60)]
    >>> [part.tolist() for part in carryover_caps(*nano)]
    [[1], [200000000]]
    """
    granted = np.maximum(np.minimum(carried, room) + earned, 0) // NANO
    return granted, (carried + earned - granted * NANO) % NANO


def pooled_caps(
    num_orders: NDArray[np.int64],
    rate: Decimal,
    can_use: NDArray[np.bool_],
    tie: NDArray[np.uint64],
) -> NDArray[np.int64]:
    r"""
    Caps whose sum is at most the cap of the platform taken as one merchant.

    Each merchant has its floor; the slots lost by rounding down go, one each, to the
    merchants with the largest fractions. A merchant who cannot use one gets none.

    Parameters
    ----------
    num_orders
        ``(num_merchants,) int64``.
    rate
        As for :func:`caps_of`.
    can_use
        ``(num_merchants,) bool``: whether a slot above its floor is of use to it.
    tie
        ``(num_merchants,) uint64``: the smaller goes first among equal fractions.

    Raises
    ------
    DataError
        As :func:`caps_of`.

    Examples
    --------
    >>> from decimal import Decimal
    >>> all_can, tie = np.ones(3, bool), np.array([2, 1, 0], np.uint64)
    >>> pooled_caps(np.array([33, 33, 34]), Decimal("0.03"), all_can, tie).tolist()
    [1, 1, 1]
    """
    caps = caps_of(num_orders, rate)
    numerator, denominator = rate.as_integer_ratio()
    fraction = num_orders * numerator - caps * denominator
    num_left = int(fraction.sum()) // denominator
    order = np.lexsort((tie, -fraction))
    order = order[(fraction[order] > 0) & can_use[order]]
    caps[order[:num_left]] += 1
    return caps


def window_caps(
    num_orders: NDArray[np.int64], rate: Decimal, num_nights: int
) -> NDArray[np.int64]:
    """
    Slots of several equal nights together: ``floor(rate * num_orders * num_nights)``.

    Parameters
    ----------
    num_orders, rate
        As for :func:`caps_of`.
    num_nights
        At least 1.

    Examples
    --------
    >>> from decimal import Decimal
    >>> window_caps(np.array([1, 33]), Decimal("0.03"), 30).tolist()
    [0, 29]
    """
    caps = caps_of(num_orders, rate)
    numerator, denominator = rate.as_integer_ratio()
    fraction = num_orders * numerator - caps * denominator
    return caps * num_nights + fraction * num_nights // denominator


def _refuse_beyond(num_orders: NDArray[np.int64], factor: int) -> None:
    most = int(num_orders.max(initial=0))
    if most * max(factor, 1) >= 2**63:
        raise DataError(
            f"a merchant has {most:,} orders, which is beyond the arithmetic of the "
            "cap: check num_orders in the merchants table"
        )
