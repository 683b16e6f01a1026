"""Kernels of the price steps: a linear system on the graph of competing lanes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.kernel_cache import bare_kernel, inner_kernel, kernel
from optimizer.solvers.kernels.choose import choose

#: Rounds of conjugate gradients in a step.
ROUNDS = 40
#: The last window is kept while passes still remove such a share of the imbalance.
PROGRESS, MAX_LAST = 0.85, 8
#: Sums of prices up to it are whole numbers in floating point.
WHOLE = 2.0**52


class Pace(NamedTuple):
    """
    How prices may move: the last window, how windows narrow, how reaches grow.

    ``highest`` is above every saving: no effective price is above it.
    """

    last: float
    narrowing: float
    growth: float
    highest: int


class Steps(NamedTuple):
    """
    State of a search for prices; every step writes to it.

    ``price`` are own prices; ``reach`` is how far each may move, ``direction`` where it
    moved. ``numbers`` are the window, the imbalance, and the passes at the last window.
    """

    price: NDArray[np.int64]
    reach: NDArray[np.float64]
    direction: NDArray[np.float64]
    numbers: NDArray[np.float64]


@inner_kernel
def is_below(lane, above, lane_parent):
    """Whether a lane equals another one or is a descendant of it."""
    while lane > above:
        lane = lane_parent[lane]
    return lane == above


@kernel
def slope_diagonal(first, second, weight, lane_parent):
    """
    Diagonal of the slope of demand with respect to each lane's own price.

    A pair counts on a lane when exactly one of its ends is the lane or a descendant.

    Parameters
    ----------
    first, second
        ``(k,) int64``: the two lanes of each pair; -1 for none.
    weight
        ``(k,) float64``: orders per micro-CNY that move between the two lanes.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
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
    """
    Multiply the slope of demand by a change of the lanes' own prices.

    Parameters
    ----------
    first, second
        ``(k,) int64``: the two lanes of each pair; -1 for none.
    weight
        ``(k,) float64``: orders per micro-CNY that move between the two lanes.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    vector
        ``(num_lanes,) float64``: change of each lane's own price.
    """
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
def conjugate_step(
    first, second, weight, lane_parent, is_free, excess, damping, rounds
):
    """
    Solve the system of :func:`price_step` as it stands.

    Conjugate gradients with a diagonal preconditioner; few rounds are enough.

    Parameters
    ----------
    first, second, weight, lane_parent
        As there: ``(k,)`` three times, and ``(num_lanes,) int32``.
    is_free
        ``(num_lanes,) bool``.
    excess
        ``(num_lanes,) float64``.
    damping, rounds
        As there.
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


@kernel
def price_step(first, second, weight, lane_parent, is_free, excess, damping, rounds):
    """
    Solve (slope + damping) · step = excess over the free lanes.

    Where no lane has a parent, it is solved among those that can have a step at all:
    free lanes with an excess, or with a pair. The others have none, and add zeros.

    Parameters
    ----------
    first, second
        ``(k,) int64``: the two lanes of each pair; -1 for none.
    weight
        ``(k,) float64``: orders per micro-CNY that move between the two lanes.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    is_free
        ``(num_lanes,) bool``: lanes whose price may change.
    excess
        ``(num_lanes,) float64``: demand beyond the slots of each lane.
    damping
        Added to the diagonal, orders per micro-CNY; above 0.
    rounds
        Most rounds of conjugate gradients.

    Returns
    -------
    ``(num_lanes,) float64``: change of each lane's own price; 0 where not free.
    """
    num_lanes = len(excess)
    for lane in range(num_lanes):
        if lane_parent[lane] >= 0:
            # Copies, so that the kernel is compiled for one set of types.
            return conjugate_step(
                first=first.copy(),
                second=second.copy(),
                weight=weight,
                lane_parent=lane_parent.copy(),
                is_free=is_free,
                excess=excess,
                damping=damping,
                rounds=rounds,
            )
    place = np.full(num_lanes, -1, np.int32)
    for lane in range(num_lanes):
        if is_free[lane] and excess[lane] != 0:
            place[lane] = 0
    for pair in range(len(weight)):
        for lane in (first[pair], second[pair]):
            if lane >= 0 and is_free[lane]:
                place[lane] = 0
    num_moved = 0
    for lane in range(num_lanes):
        if place[lane] == 0:
            place[lane] = num_moved
            num_moved += 1
    moved_excess = np.empty(num_moved)
    for lane in range(num_lanes):
        if place[lane] >= 0:
            moved_excess[place[lane]] = excess[lane]
    near, far = np.empty(len(weight), np.int32), np.empty(len(weight), np.int32)
    for pair in range(len(weight)):
        a, b = first[pair], second[pair]
        near[pair] = place[a] if a >= 0 else -1
        far[pair] = place[b] if b >= 0 else -1
    moved = conjugate_step(
        first=near,
        second=far,
        weight=weight,
        lane_parent=np.full(num_moved, -1, np.int32),
        is_free=np.ones(num_moved, np.bool_),
        excess=moved_excess,
        damping=damping,
        rounds=rounds,
    )
    step = np.zeros(num_lanes)
    for lane in range(num_lanes):
        if place[lane] >= 0:
            step[lane] = moved[place[lane]]
    return step


@bare_kernel
def add_parents(lane_parent, values):
    """Add to each lane's value those of all its ancestors, in place."""
    for lane in range(len(lane_parent)):
        if lane_parent[lane] >= 0:
            values[lane] += values[lane_parent[lane]]


@bare_kernel
def move_prices(steps, step, lane_parent, highest, effective):
    """
    Move own prices, so that effective ones stay between 0 and the highest.

    Computed in floating point, since 64 bits might not hold the sums; prices are only
    proposals and may be rounded.

    Parameters
    ----------
    steps
        State of the price steps; its ``price`` is changed in place.
    step
        ``(num_lanes,) float64``: wanted change of each own price, micro-CNY.
    lane_parent
        ``(num_lanes,) int32``: parent of each lane; -1 for a root.
    highest
        Greatest effective price, micro-CNY.
    effective
        ``(num_lanes,) float64``: scratch.
    """
    price = steps.price
    most = 0.0
    for lane in range(len(price)):
        effective[lane] = max(price[lane] + np.rint(step[lane]), 0.0)
    add_parents(lane_parent, effective)
    for lane in range(len(price)):
        most = max(most, effective[lane])
    is_whole = most <= min(float(highest), WHOLE)
    for lane in range(len(price) - 1, -1, -1):
        parent = lane_parent[lane]
        if is_whole:
            around = effective[parent] if parent >= 0 else 0.0
            price[lane] = np.int64(effective[lane] - around)
        else:
            price[lane] = _at_most(effective[lane], highest)
            if parent >= 0:
                price[lane] -= _at_most(effective[parent], highest)


@inner_kernel
def _at_most(value, highest):
    """Round a price down to a whole number, at most the highest."""
    return highest if value >= highest else np.int64(value)


@kernel
def advance(lanes, demand, pairs, count, steps, pace):
    """
    Move prices by one damped Newton step.

    Parameters
    ----------
    lanes
        ``slots`` float64 and ``parent``.
    demand
        ``(num_lanes,) int64``: orders on each lane itself; used up.
    pairs, count
        ``(k, 2) int32`` lanes that compete for an order, and for how many.
    steps, pace
        State of the search, and how it may go on.

    Returns
    -------
    bool
        Whether further steps would not help.
    """
    slots, parent = lanes
    num_lanes, price = len(slots), steps.price
    for lane in range(num_lanes - 1, -1, -1):
        if parent[lane] >= 0:
            demand[parent[lane]] += demand[lane]
    excess, is_free = np.empty(num_lanes), np.empty(num_lanes, np.bool_)
    before, imbalance = steps.numbers[1], 0.0
    for lane in range(num_lanes):
        excess[lane] = demand[lane] - slots[lane]
        is_free[lane] = price[lane] > 0 or excess[lane] > 0
        if is_free[lane]:
            imbalance += abs(excess[lane])
    width = steps.numbers[0]
    damping = 1 / (2.0 * max(np.int64(width), 1))
    step = price_step(
        first=pairs[:, 0],
        second=pairs[:, 1],
        weight=count * damping,
        lane_parent=parent,
        is_free=is_free,
        excess=excess,
        damping=damping,
        rounds=ROUNDS,
    )
    reach, direction = steps.reach, steps.direction
    for lane in range(num_lanes):
        wanted = step[lane]
        step[lane] = min(max(wanted, -reach[lane]), reach[lane])
        goes_on = np.sign(wanted) * direction[lane] > 0 and step[lane] != wanted
        direction[lane] = np.sign(wanted)
        # A lane that moves on and on may go further; the others' reach narrows.
        reach[lane] *= pace.growth if goes_on else pace.narrowing
        excess[lane] = goes_on
    move_prices(steps, step, parent, pace.highest, step)
    steps.numbers[1] = imbalance
    if width <= pace.last:
        steps.numbers[2] += 1
        if imbalance > PROGRESS * before or steps.numbers[2] >= MAX_LAST:
            return True
    steps.numbers[0] = max(width * pace.narrowing, pace.last)
    for lane in range(num_lanes):
        if excess[lane] == 0:
            reach[lane] = max(reach[lane], steps.numbers[0])
    return False


@kernel
def advance_alone(orders, lanes, room, num_passes, steps, pace):
    """
    Let merchants choose and move prices, for some passes, on one thread.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    lanes
        A pair: ``(num_lanes,) float64`` slots and ``(num_lanes,) int32`` parents.
    room
        Most pairs that are noted in a pass.
    num_passes
        Passes over the market.
    steps, pace
        State of the search, and how it may go on.

    Returns
    -------
    bool
        Whether further steps would not help.
    """
    parent = lanes[1]
    pairs = np.empty((room, 2), np.int32)
    ones = np.ones(room)
    for _ in range(num_passes):
        demand = np.zeros(len(parent), np.int64)
        effective = steps.price.copy()
        add_parents(parent, effective)
        window = max(np.int64(steps.numbers[0]), 1)
        _, count = choose(
            first_merchant=np.int64(0),
            last_merchant=len(orders.cap),
            orders=orders,
            uses=None,
            price=effective,
            row_price=None,
            window=window,
            demand=demand,
            usage=None,
            pairs=pairs,
        )
        if advance(lanes, demand, pairs[:count], ones[:count], steps, pace):
            return True
    return False
