"""A compiled loop that fills caps and slots with options, the first ones first."""

from __future__ import annotations

from optimizer.kernel_cache import kernel


@kernel
def take_in_turn(turn, owner, merchant, lane, lane_parent, cap, slots, is_taken, plan):
    """
    Take options one after the other where order, cap and slots have room.

    Parameters
    ----------
    turn
        ``(k,) int64``: options, the first to be taken first.
    owner
        ``(num_options,) int64``: order of each option.
    merchant
        ``(num_orders,) int64``: merchant of each order.
    lane
        ``(num_options,) int32``: the deepest lane that each option occupies.
    lane_parent
        ``(num_lanes,) int32``; -1 for a root.
    cap
        ``(num_merchants,) int64``: places left; those that are taken are subtracted.
    slots
        ``(num_lanes,) int64``: slots left, likewise.
    is_taken
        ``(num_orders,) bool``: whether an order has an option; set where it gets one.
    plan
        ``(k,) int64``: filled with the options that are taken.

    Returns
    -------
    int
        Options that are taken.
    """
    size = 0
    for option in turn:
        order = owner[option]
        if is_taken[order] or cap[merchant[order]] <= 0:
            continue
        row = lane[option]
        while row >= 0 and slots[row] > 0:
            row = lane_parent[row]
        if row >= 0:
            continue
        row = lane[option]
        while row >= 0:
            slots[row] -= 1
            row = lane_parent[row]
        cap[merchant[order]] -= 1
        is_taken[order] = True
        plan[size] = option
        size += 1
    return size
