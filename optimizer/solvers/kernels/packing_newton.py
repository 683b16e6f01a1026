"""
Kernels of the price step with loads and rows: a system on competing options.

``orders``, ``uses`` and ``pairs`` are as in :mod:`optimizer.solvers.kernels.choose`.
"""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import kernel


@kernel
def slope_times(orders, uses, pairs, lane_parent, vector, num_lanes):
    """
    Multiply the slope of demand by a change of own prices of lanes, then rows.

    With :math:`d` what a pair's first option uses less what its second one uses,
    the slope is the sum of :math:`d d^T` over the pairs.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`.
    pairs
        ``(m, 2) int64``: the two options of each pair; -1 for none.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    vector
        ``(num_lanes + num_rows,) float64``: change of each lane's own price, then of
        each row's.
    num_lanes
        Number of lanes.
    """
    effective = vector.copy()
    for lane in range(num_lanes):
        if lane_parent[lane] >= 0:
            effective[lane] += effective[lane_parent[lane]]
    result = np.zeros(len(vector))
    for pair in range(len(pairs)):
        change = 0.0
        for side in range(2):
            option = pairs[pair, side]
            if option < 0:
                continue
            sign = 1.0 - 2.0 * side
            lane = orders.option_lane[option]
            change += sign * uses.option_load[option] * effective[lane]
            for entry in range(uses.entry_start[option], uses.entry_start[option + 1]):
                row = num_lanes + uses.entry_row[entry]
                change += sign * uses.entry_weight[entry] * effective[row]
        for side in range(2):
            option = pairs[pair, side]
            if option < 0:
                continue
            part = change * (1.0 - 2.0 * side)
            result[orders.option_lane[option]] += part * uses.option_load[option]
            for entry in range(uses.entry_start[option], uses.entry_start[option + 1]):
                row = num_lanes + uses.entry_row[entry]
                result[row] += part * uses.entry_weight[entry]
    for lane in range(num_lanes - 1, -1, -1):
        if lane_parent[lane] >= 0:
            result[lane_parent[lane]] += result[lane]
    return result


@kernel
def slope_diagonal(orders, uses, pairs, lane_parent, num_rows):
    """
    Sum of squares of what the options of pairs use: bounds the slope's diagonal.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`.
    pairs
        ``(m, 2) int64``: the two options of each pair; -1 for none.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    num_rows
        Number of side rows.
    """
    num_lanes = len(lane_parent)
    diagonal = np.zeros(num_lanes + num_rows)
    for pair in range(len(pairs)):
        for side in range(2):
            option = pairs[pair, side]
            if option < 0:
                continue
            lane, load = orders.option_lane[option], float(uses.option_load[option])
            while lane >= 0:
                diagonal[lane] += load * load
                lane = lane_parent[lane]
            for entry in range(uses.entry_start[option], uses.entry_start[option + 1]):
                weight = float(uses.entry_weight[entry])
                diagonal[num_lanes + uses.entry_row[entry]] += weight * weight
    return diagonal


@kernel
def price_step(
    orders, uses, pairs, scale, lane_parent, is_free, excess, damping, rounds
):
    """
    Solve (scale · slope + damping) · step = excess over the free prices.

    Conjugate gradients with a diagonal preconditioner; few rounds are enough.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`.
    pairs
        ``(m, 2) int64``: the two options of each pair; -1 for none.
    scale
        Factor on the slope: parts of an order that a pair stands for, per micro-CNY.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    is_free
        ``(num_lanes + num_rows,) bool``: prices that may change.
    excess
        ``(num_lanes + num_rows,) float64``: use beyond each limit.
    damping
        ``(num_lanes + num_rows,) float64``: added to the diagonal; above 0.
    rounds
        Most rounds of conjugate gradients.

    Returns
    -------
    ``(num_lanes + num_rows,) float64``: change of each own price; 0 where not free.
    """
    num_lanes = len(lane_parent)
    diagonal = slope_diagonal(orders, uses, pairs, lane_parent, len(excess) - num_lanes)
    diagonal = scale * diagonal + damping
    step = np.zeros(len(excess))
    residual = np.where(is_free, excess, 0.0)
    scaled = residual / diagonal
    direction = scaled.copy()
    power = (residual * scaled).sum()
    target = 1e-6 * power
    for _ in range(rounds):
        if power <= target:
            break
        image = scale * slope_times(
            orders, uses, pairs, lane_parent, direction, num_lanes
        )
        image += damping * direction
        image = np.where(is_free, image, 0.0)
        length = power / (direction * image).sum()
        step += length * direction
        residual -= length * image
        scaled = residual / diagonal
        new_power = (residual * scaled).sum()
        direction = scaled + (new_power / power) * direction
        power = new_power
    return step
