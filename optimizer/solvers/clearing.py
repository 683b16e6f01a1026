"""Prices at which each lane by itself would be sold out: a first guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def clearing_price(
    option_lane: NDArray[np.int32],
    option_saving: NDArray[np.int64],
    slots: NDArray[np.int64] | NDArray[np.float64],
    lane_parent: NDArray[np.int32],
) -> NDArray[np.int64]:
    """
    Effective prices at which each lane by itself would be sold out.

    A lane's price is the best saving that finds no slot there, caps ignored, or
    its parent's price where that is higher.
    """
    worth = (option_saving > 0) & (option_lane >= 0)
    lane, saving = option_lane[worth], option_saving[worth]
    price = np.zeros(len(slots), np.int64)
    rank = np.floor(slots).astype(np.int64)
    while len(lane):
        np.maximum(price, _best_without_slot(lane, saving, rank), out=price)
        lane = lane_parent[lane]
        lane, saving = lane[lane >= 0], saving[lane >= 0]
    for child, parent in enumerate(lane_parent):
        price[child] = max(price[child], price[parent] if parent >= 0 else 0)
    return price


#: Savings are ranked up to 2**40 micro-CNY, a million CNY; above, all are the same.
_SAVING_BITS = 40
_SAVING_MASK = (1 << _SAVING_BITS) - 1


def _best_without_slot(
    lane: NDArray[np.int32], saving: NDArray[np.int64], slots: NDArray[np.int64]
) -> NDArray[np.int64]:
    """``(num_lanes,) int64``: the (slots + 1)-th largest saving on each lane."""
    packed = lane.astype(np.int64) << _SAVING_BITS
    packed |= _SAVING_MASK - np.minimum(saving, _SAVING_MASK)
    packed.sort()
    count = np.bincount(lane, minlength=len(slots))
    start = np.cumsum(count) - count
    is_short = count > slots
    price = np.zeros(len(slots), np.int64)
    last = packed[(start + slots)[is_short]]
    price[is_short] = _SAVING_MASK - (last & _SAVING_MASK)
    return price
