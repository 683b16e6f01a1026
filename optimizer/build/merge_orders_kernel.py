"""A compiled loop that takes orders out of a problem and puts others in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.kernel_cache import kernel


class ListedOrders(NamedTuple):
    """
    Orders by merchant and key, as in :class:`~optimizer.model.problem.Problem`.

    Attributes
    ----------
    merchant_start, key, row, option_start, option_lane, option_saving
        Likewise.
    """

    merchant_start: NDArray[np.int64]
    key: NDArray[np.uint64]
    row: NDArray[np.int64]
    option_start: NDArray[np.int64]
    option_lane: NDArray[np.int32]
    option_saving: NDArray[np.int64]


@kernel
def merge_orders(old, new, old_of, is_gone, merged, place, new_place):
    """
    Merge the orders that stay with new ones, by merchant and key.

    Parameters
    ----------
    old, new
        A :class:`ListedOrders` each: ``new`` by the merchants there are now.
    old_of
        ``(num_merchants,) int64``: each merchant's number in ``old``; -1 for none.
    is_gone
        ``(num_old,) bool``: orders that do not stay.
    merged
        A :class:`ListedOrders`, filled.
    place, new_place
        ``(num_old,)`` and ``(num_new,) int64``: filled with where each order stands
        now; -1 where it is gone.
    """
    at, spot = np.int64(0), np.int64(0)
    for merchant in range(len(old_of)):
        merged.merchant_start[merchant] = at
        left, left_end = np.int64(0), np.int64(0)
        before = old_of[merchant]
        if before >= 0:
            left = old.merchant_start[before]
            left_end = old.merchant_start[before + 1]
        right, right_end = (
            new.merchant_start[merchant],
            new.merchant_start[merchant + 1],
        )
        while left < left_end or right < right_end:
            if left < left_end and is_gone[left]:
                place[left] = -1
                left += 1
                continue
            is_old = right == right_end
            if left < left_end and right < right_end:
                is_old = old.key[left] < new.key[right]
            if is_old:
                first, last = old.option_start[left], old.option_start[left + 1]
                merged.key[at], merged.row[at] = old.key[left], old.row[left]
                for option in range(first, last):
                    merged.option_lane[spot] = old.option_lane[option]
                    merged.option_saving[spot] = old.option_saving[option]
                    spot += 1
                place[left] = at
                left += 1
            else:
                first, last = new.option_start[right], new.option_start[right + 1]
                merged.key[at], merged.row[at] = new.key[right], new.row[right]
                for option in range(first, last):
                    merged.option_lane[spot] = new.option_lane[option]
                    merged.option_saving[spot] = new.option_saving[option]
                    spot += 1
                new_place[right] = at
                right += 1
            at += 1
            merged.option_start[at] = spot
    merged.merchant_start[len(old_of)] = at
