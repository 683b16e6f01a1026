"""A place as one integer: carrier, day, region and outlet codes in 63 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sized

    from numpy.typing import NDArray

#: What is left of 63 bits is the carrier's.
_OUTLET_BITS, _REGION_BITS, _DAY_BITS = 26, 18, 10
_CARRIER_BITS = 63 - _DAY_BITS - _REGION_BITS - _OUTLET_BITS
_REST = (1 << (_REGION_BITS + _OUTLET_BITS)) - 1


def pack(
    carrier: NDArray[np.int32],
    day: NDArray[np.int32],
    region: NDArray[np.int32],
    outlet: NDArray[np.int32],
) -> NDArray[np.int64]:
    """
    Pack the codes of places; no outlet or region is -1, no day is 0.

    Parameters
    ----------
    carrier, day, region, outlet
        ``(n,) int32`` codes.

    Returns
    -------
    ``(n,) int64``
        Packed places, at least 0.

    Examples
    --------
    >>> codes = [np.array([code], np.int32) for code in (2, 1, 0, -1)]
    >>> [column.tolist() for column in unpack(pack(*codes))]
    [[2], [1], [0], [-1]]
    """
    packed = carrier.astype(np.int64) << _DAY_BITS
    packed = (packed | day) << (_REGION_BITS + _OUTLET_BITS)
    packed |= (region.astype(np.int64) + 1) << _OUTLET_BITS
    packed |= outlet.astype(np.int64) + 1
    return packed


def unpack(packed: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Carrier, day, region and outlet codes of packed places, an array each."""
    above, rest = packed >> (_REGION_BITS + _OUTLET_BITS), packed & _REST
    carrier, day = above >> _DAY_BITS, above & ((1 << _DAY_BITS) - 1)
    region, outlet = rest >> _OUTLET_BITS, rest & ((1 << _OUTLET_BITS) - 1)
    return carrier, day, region - 1, outlet - 1


def refuse_too_many(
    carriers: Sized, days: Sized, regions: Sized, outlets: Sized
) -> None:
    """
    Refuse more ids than a packed place has room for.

    Parameters
    ----------
    carriers, days, regions, outlets
        The codes given so far, by id.

    Raises
    ------
    DataError
        Naming the ids of which there are too many.
    """
    for codes, name, bits in (
        (carriers, "carriers", _CARRIER_BITS),
        (days, "service dates", _DAY_BITS),
        (regions, "regions", _REGION_BITS),
        (outlets, "outlets", _OUTLET_BITS),
    ):
        if len(codes) >= 2**bits:
            raise DataError(
                f"the tables name more than {2**bits - 1:,} {name}; split the night"
            )
