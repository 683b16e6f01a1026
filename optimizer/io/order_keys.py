"""
A stable 64-bit key for each order id: the identity of an order among numbers.

FNV-1a over the UTF-8 bytes, then MurmurHash3's finalizer; the salt starts the
hash. It breaks ties, finds duplicates and joins options to orders, so it must
never change: equal ids get equal keys in every version, on every machine.

References
----------
Fowler, G., Noll, L. C., Vo, K.-P., Eastlake, D. The FNV Non-Cryptographic Hash
Algorithm. RFC 9923. Appleby, A. MurmurHash3 (fmix64).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.io.contiguous import LaidTexts, contiguous

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray


def order_keys(
    ids: pl.Series | LaidTexts, salt: int = 0
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """
    Key of each id, and key of the id without outer spaces and ASCII case.

    Parameters
    ----------
    ids
        Text without nulls, perhaps laid out already.
    salt
        Gives another family of keys, for when two ids share one.

    Returns
    -------
    key, folded_key
        ``(len(ids),) uint64`` each.

    Examples
    --------
    >>> import polars as pl
    >>> key, folded = order_keys(pl.Series(["A1", "a1 "]))
    >>> bool(key[0] == key[1]), bool(folded[0] == folded[1])
    (False, True)
    """
    text, ends = ids if isinstance(ids, LaidTexts) else contiguous(ids)
    key, folded = np.empty((2, len(ends) - 1), np.uint64)
    _hash_kernel()(text, ends, np.uint64(salt), key, folded)
    return key, folded


def order_key(order_id: str) -> int:
    """
    Key of one id, as :func:`order_keys` gives it, without what is compiled.

    Examples
    --------
    >>> import polars as pl
    >>> order_key("A1") == int(order_keys(pl.Series(["A1"]))[0][0])
    True
    """
    state = 0xCBF29CE484222325
    for byte in order_id.encode():
        state = (state ^ byte) * 0x100000001B3 & _ALL_BITS
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        state = (state ^ state >> 33) * factor & _ALL_BITS
    return state ^ state >> 33


_ALL_BITS = (1 << 64) - 1


def refused_keys(
    raw: pl.DataFrame, kept: pl.DataFrame, salt: int
) -> NDArray[np.uint64]:
    """Keys of the orders of a batch that were not kept."""
    if len(kept) == len(raw):
        return np.zeros(0, np.uint64)
    refused = raw.join(kept, on="row", how="anti")
    return order_keys(refused["order_id"].drop_nulls(), salt)[0]


@cache
def _hash_kernel() -> Callable[..., Any]:
    """Compile the kernel at its first use; numba is slow to import."""
    from optimizer.io.order_keys_kernel import hash_texts

    return hash_texts
