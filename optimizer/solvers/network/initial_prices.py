"""Prices at which each lane by itself would be sold out: a first guess."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import above_parents
from optimizer.solvers.market import read_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Options that are looked at between looks at the clock.
BLOCK_OPTIONS = 2_000_000


def clearing_price(
    option_lane: NDArray[np.int32],
    option_saving: NDArray[np.int64],
    slots: NDArray[np.int64] | NDArray[np.float64],
    lane_parent: NDArray[np.int32],
    is_late: Callable[[], bool] = lambda: False,
) -> NDArray[np.int64]:
    """
    Effective prices at which each lane by itself would be sold out.

    A lane's price is the best saving that finds no slot there, caps ignored, or
    its parent's price where that is higher. If the time is up before all options were
    seen, the price is that of the options seen, hence not higher.

    Parameters
    ----------
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    slots
        ``(num_lanes,)``: slots of each lane; fractions are rounded down.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    is_late
        Whether the time is up.
    """
    from optimizer.solvers.kernels.screen import sold_out_prices

    rank: NDArray[np.int64] = np.floor(slots).astype(np.int64)
    if len(option_lane) <= BLOCK_OPTIONS:
        lane, saving, limit, parent = read_only(
            option_lane, option_saving, rank, lane_parent
        )
        found: NDArray[np.int64] = sold_out_prices(
            option_lane=lane, option_saving=saving, slots=limit, lane_parent=parent
        )
        return found
    price = np.zeros(len(slots), np.int64)
    around = np.arange(len(slots), dtype=np.int32)
    while np.any(around >= 0):
        seen = _without_slot(option_lane, option_saving, around, rank, is_late)
        np.maximum(price, seen, out=price)
        around = np.where(around >= 0, lane_parent[around], np.int32(-1))
    return above_parents(price, lane_parent)


def _without_slot(
    option_lane: NDArray[np.int32],
    option_saving: NDArray[np.int64],
    around: NDArray[np.int32],
    slots: NDArray[np.int64],
    is_late: Callable[[], bool],
) -> NDArray[np.int64]:
    """
    ``(num_lanes,) int64``: the best saving without a slot on each ancestor.

    Options are read in blocks. Of each lane only as many are kept as it has slots, and
    they are ranked again only when as many new ones have come.
    """
    from optimizer.solvers.kernels.screen import best_without_slot

    price = np.zeros(len(slots), np.int64)
    lane, saving = np.zeros(0, np.int32), np.zeros(0, np.int64)
    num_ranked = 0
    for first in range(0, len(option_lane), BLOCK_OPTIONS):
        block = slice(first, first + BLOCK_OPTIONS)
        lanes, savings = around[option_lane[block]], option_saving[block]
        is_better = (lanes >= 0) & (savings > price[lanes])
        lane = np.concatenate((lane, lanes[is_better]))
        saving = np.concatenate((saving, savings[is_better]))
        is_last = first + BLOCK_OPTIONS >= len(option_lane) or is_late()
        if is_last or len(lane) >= 2 * num_ranked:
            price = np.maximum(price, best_without_slot(lane, saving, slots))
            is_better = saving > price[lane]
            lane, saving = lane[is_better], saving[is_better]
            num_ranked = len(lane)
        if is_last:
            break
    return price
