"""Published money as the integers that it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import CertificateError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

#: Prices beyond this are no prices; below it their micro-CNY stay in 64 bits.
MAX_CNY = 1e12


def micro(money: pl.Series) -> NDArray[np.int64]:
    """
    Published money as the integer micro-CNY that it stands for.

    Raises
    ------
    CertificateError
        When it is missing, or too large for any amount of money.
    """
    if not (money.abs() < MAX_CNY).fill_null(value=False).all():
        raise CertificateError(f"{money.name} holds nulls, or is beyond any saving")
    return np.rint(money.to_numpy() * 1e6).astype(np.int64)


def per_part(
    price: NDArray[np.int64], scale: NDArray[np.int64] | int, name: str
) -> NDArray[np.int64]:
    """
    Prices of parcels as prices of the parts that they count for.

    Raises
    ------
    CertificateError
        When one is not a whole number of micro-CNY for each part.
    """
    if np.any(price % scale):
        raise CertificateError(f"{name}: a price is not one of whole micro-CNY")
    return price // scale
