"""Lanes form a forest: prices add up from the root, parcels from the leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


def is_nested(lane_parent: NDArray[np.int32]) -> bool:
    """Whether any lane has another around it."""
    return bool(lane_parent.max(initial=-1) >= 0)


def ancestors(
    lane_parent: NDArray[np.int32],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
    """
    Walk up from all lanes at once.

    Yields
    ------
    lanes, above
        Lanes that have an ancestor at this height (1 is the parent, 2 its
        parent, and so on), and that ancestor.
    """
    lanes = np.flatnonzero(lane_parent >= 0)
    above = lane_parent[lanes]
    while len(lanes):
        yield lanes, above
        higher = lane_parent[above]
        lanes, above = lanes[higher >= 0], higher[higher >= 0]


def effective_price(
    lane_price: NDArray[np.int64], lane_parent: NDArray[np.int32]
) -> NDArray[np.int64]:
    """
    Price of a slot on each lane: the lane's own price plus those of its ancestors.

    Examples
    --------
    >>> price, parent = np.array([3, 5, 7]), np.array([-1, 0, 1], np.int32)
    >>> effective_price(price, parent).tolist()
    [3, 8, 15]
    """
    total = lane_price.copy()
    for lanes, above in ancestors(lane_parent):
        total[lanes] += lane_price[above]
    return total


def least_slots(
    slots: NDArray[np.int64], lane_parent: NDArray[np.int32]
) -> NDArray[np.int64]:
    """
    The most parcels that each lane can take: the least slots on its way to the root.

    Examples
    --------
    >>> least_slots(np.array([9, 0, 4]), np.array([-1, 0, 1], np.int32)).tolist()
    [9, 0, 0]
    """
    least = slots.copy()
    for lanes, above in ancestors(lane_parent):
        least[lanes] = np.minimum(least[lanes], slots[above])
    return least


def above_parents(
    price: NDArray[np.int64], lane_parent: NDArray[np.int32]
) -> NDArray[np.int64]:
    """
    Raise effective prices to 0, and to those of the lanes around.

    Examples
    --------
    >>> price, parent = np.array([3, -1, 7]), np.array([-1, 0, 1], np.int32)
    >>> above_parents(price, parent).tolist()
    [3, 3, 7]
    """
    least = np.maximum(price, 0)
    raised = least.copy()
    for lanes, above in ancestors(lane_parent):
        raised[lanes] = np.maximum(raised[lanes], least[above])
    return raised


def own_price(
    effective: NDArray[np.int64], lane_parent: NDArray[np.int32]
) -> NDArray[np.int64]:
    """
    Each lane's own price, from effective prices: the inverse of the above.

    Examples
    --------
    >>> own_price(np.array([3, 8, 15]), np.array([-1, 0, 1], np.int32)).tolist()
    [3, 5, 7]
    """
    own = effective.copy()
    lanes = np.flatnonzero(lane_parent >= 0)
    own[lanes] -= effective[lane_parent[lanes]]
    return own


def lane_use(
    chosen_lane: NDArray[np.int32],
    lane_parent: NDArray[np.int32],
    load: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """
    Slots used on each lane, including those used on its descendants.

    Parameters
    ----------
    chosen_lane
        ``(n,) int32``: the lane of each chosen option.
    lane_parent
        ``(num_lanes,) int32``.
    load
        ``(n,) int64``: slots that each option takes; ``None``: one each.

    Examples
    --------
    >>> parent = np.array([-1, 0, 1], np.int32)
    >>> lane_use(np.array([2, 2, 1]), parent).tolist()
    [3, 3, 2]
    >>> lane_use(np.array([2, 2, 1]), parent, np.array([2, 1, 5])).tolist()
    [8, 8, 3]
    """
    direct = np.bincount(chosen_lane, minlength=len(lane_parent)).astype(np.int64)
    if load is not None:
        direct[:] = 0
        np.add.at(direct, chosen_lane, load)
    total = direct.copy()
    for lanes, above in ancestors(lane_parent):
        np.add.at(total, above, direct[lanes])
    return total
