"""Options find their orders by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.io.order_keys import order_keys

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.io.quarantine import QuarantineLog


@dataclass(frozen=True, slots=True, eq=False)
class OrderFinder:
    """
    Orders by key.

    Attributes
    ----------
    key
        ``(n,) uint64``: key of each order, all different, in the orders' order.
    sorted_key, by_key
        ``(n,) uint64`` and ``(n,) int64``: keys in ascending order, and whose.
    refused
        ``(k,) uint64``, ascending: keys of orders that went to quarantine.
    """

    key: NDArray[np.uint64]
    sorted_key: NDArray[np.uint64]
    by_key: NDArray[np.int64]
    refused: NDArray[np.uint64]


def make_finder(key: NDArray[np.uint64], refused: NDArray[np.uint64]) -> OrderFinder:
    """Sort orders by key."""
    by_key = np.argsort(key)
    return OrderFinder(key, key[by_key], by_key, np.sort(refused))


def find_orders(
    finder: OrderFinder, key: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """
    Find the order of each option.

    Exports mostly list options in the order of their orders: this is tried first, and
    the others are searched for.

    Parameters
    ----------
    finder
        The orders.
    key
        ``(k,) uint64``: key of each option's order.

    Returns
    -------
    order, is_stray
        ``(k,) int64``: position of the order, -1 where there is none; and
        ``(k,) bool``: whether there is none, not even in quarantine.

    Examples
    --------
    >>> key, refused = np.array([7, 3], np.uint64), np.array([5], np.uint64)
    >>> finder = make_finder(key, refused)
    >>> order, is_stray = find_orders(finder, np.array([7, 7, 3, 5, 4], np.uint64))
    >>> order.tolist(), is_stray.tolist()
    ([0, 0, 1, -1, -1], [False, False, False, False, True])
    """
    order = _in_turn(finder, key)
    missed = np.flatnonzero(order < 0)
    if len(missed):
        order[missed] = _search(finder, key[missed])
    is_stray = order < 0
    lost = np.flatnonzero(is_stray)
    is_stray[lost] = ~np.isin(key[lost], finder.refused)
    return order, is_stray


def _in_turn(finder: OrderFinder, key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count from the first option's order; -1 where another order stands."""
    if len(key) == 0 or len(finder.key) == 0:
        return np.full(len(key), -1, np.int64)
    turn = np.cumsum(np.append(False, key[1:] != key[:-1]))
    order = np.minimum(_search(finder, key[:1]) + turn, len(finder.key) - 1)
    return np.where(finder.key[order] == key, order, -1)


def _search(finder: OrderFinder, key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Position of the order with each key; -1 where there is none."""
    if len(finder.key) == 0:
        return np.full(len(key), -1, np.int64)
    place = np.searchsorted(finder.sorted_key, key)
    place = np.minimum(place, len(finder.key) - 1)
    return np.where(finder.sorted_key[place] == key, finder.by_key[place], -1)


def orders_of_options(
    frame: pl.DataFrame, finder: OrderFinder, salt: int, log: QuarantineLog
) -> NDArray[np.int64]:
    """
    Find each option's order among all orders.

    Options of no order go to quarantine; those of a quarantined order go with it.

    Parameters
    ----------
    frame
        A batch of checked options.
    finder
        Of all orders.
    salt
        Of the order keys.
    log
        Takes the options of no order.

    Returns
    -------
    ``(len(frame),) int64``
        Position of each option's order; -1 where it has none.
    """
    ids = frame["order_id"]
    # an order's options mostly follow each other: it is looked for once
    run = ids.rle_id().to_numpy()
    first = np.flatnonzero(np.diff(run, prepend=run[:1] + 1))
    key, _ = order_keys(ids.gather(first), salt)
    order, is_stray = (found[run] for found in find_orders(finder, key))
    log.add("options", frame["row"].to_numpy()[is_stray], "order_id", "names no order")
    return order
