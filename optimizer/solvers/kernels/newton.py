"""Kernels of the price step: a linear system on the graph of competing lanes."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import inner_kernel, kernel


@inner_kernel
def is_below(lane, above, lane_parent):
    """Whether a lane is another one or lies below it."""
    while lane > above:
        lane = lane_parent[lane]
    return lane == above


@kernel
def slope_diagonal(first, second, weight, lane_parent):
    """
    Diagonal of the slope of demand with respect to each lane's own price.

    A pair counts on a lane when just one of its ends lies on it or below it.
    """
    diagonal = np.zeros(len(lane_parent))
    for pair in range(len(weight)):
        a, b = first[pair], second[pair]
        lane = a
        while lane >= 0:
            if b < 0 or not is_below(b, lane, lane_parent):
                diagonal[lane] += weight[pair]
            lane = lane_parent[lane]
        lane = b
        while lane >= 0:
            if a < 0 or not is_below(a, lane, lane_parent):
                diagonal[lane] += weight[pair]
            lane = lane_parent[lane]
    return diagonal


@kernel
def slope_times(first, second, weight, lane_parent, vector):
    """Multiply the slope of demand by a change of the lanes' own prices."""
    effective = vector.copy()
    for lane in range(len(lane_parent)):
        if lane_parent[lane] >= 0:
            effective[lane] += effective[lane_parent[lane]]
    result = np.zeros(len(vector))
    for pair in range(len(weight)):
        a, b = first[pair], second[pair]
        change = 0.0
        if a >= 0:
            change += effective[a]
        if b >= 0:
            change -= effective[b]
        change *= weight[pair]
        if a >= 0:
            result[a] += change
        if b >= 0:
            result[b] -= change
    for lane in range(len(lane_parent) - 1, -1, -1):
        if lane_parent[lane] >= 0:
            result[lane_parent[lane]] += result[lane]
    return result


@kernel
def price_step(first, second, weight, lane_parent, is_free, excess, damping, rounds):
    """
    Solve (slope + damping) · step = excess over the free lanes.

    Conjugate gradients with a diagonal preconditioner; few rounds are enough.

    Returns
    -------
    ``(num_lanes,) float64``: change of each lane's own price; 0 where not free.
    """
    diagonal = slope_diagonal(first, second, weight, lane_parent)
    step, residual = np.zeros(len(excess)), np.zeros(len(excess))
    direction = np.empty(len(excess))
    power = 0.0
    for lane in range(len(excess)):
        diagonal[lane] += damping
        if is_free[lane]:
            residual[lane] = excess[lane]
        direction[lane] = residual[lane] / diagonal[lane]
        power += residual[lane] * direction[lane]
    target = 1e-6 * power
    for _ in range(rounds):
        if power <= target:
            break
        image = slope_times(first, second, weight, lane_parent, direction)
        curvature = 0.0
        for lane in range(len(excess)):
            image[lane] += damping * direction[lane]
            if not is_free[lane]:
                image[lane] = 0.0
            curvature += direction[lane] * image[lane]
        length, new_power = power / curvature, 0.0
        for lane in range(len(excess)):
            step[lane] += length * direction[lane]
            residual[lane] -= length * image[lane]
            new_power += residual[lane] * (residual[lane] / diagonal[lane])
        for lane in range(len(excess)):
            scaled = residual[lane] / diagonal[lane]
            direction[lane] = scaled + (new_power / power) * direction[lane]
        power = new_power
    return step
