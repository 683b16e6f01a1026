"""Kernels that bound the plans of a node of the tree of branchings."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, kernel
from optimizer.solvers.kernels.fill import fill_lane

#: How much of the last direction stays in the next step.
MEMORY = 0.6
#: A step of a price is divided by how strongly excess answers it, to this power.
DAMPING = 0.75
#: What a step hopes for, at first as a share of the way to the target; it is halved
#: after so many steps in vain, until it is such a share.
FIRST_HOPE, PATIENCE, LAST_HOPE = 0.25, 5, 1e-3
#: Weight of the last step's choices in their mean.
RECENT = 0.1


@bare_kernel
def write(values, place):
    """Copy values to a place of their size; costs less to compile than a slice."""
    for at in range(len(values)):
        place[at] = values[at]


@bare_kernel
def _sold(night, prices):
    """Value of all limits, and of choosing each order once, at prices; micro-CNY."""
    merchants, orders = len(night.cap), len(night.order_merchant)
    first_lane = merchants + orders
    first_row = first_lane + len(night.slots)
    total = np.int64(0)
    for merchant in range(merchants):
        total += night.cap[merchant] * prices[merchant]
    for order in range(orders):
        total += prices[merchants + order]
    for lane in range(len(night.slots)):
        total += night.slots[lane] * prices[first_lane + lane]
    for row in range(len(night.high)):
        price = prices[first_row + row]
        if price > 0:
            total += night.high[row] * price
        elif price < 0:
            total += night.low[row] * price
    return total


@bare_kernel
def _profits(night, prices, profit):
    """
    Write what each option saves beyond all prices.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.branch.BranchNight`.
    prices
        ``(n,) int64``: of merchants, orders, lanes and side rows.
    profit
        ``(num_options,) int64``: filled, micro-CNY.
    """
    merchants = len(night.cap)
    first_lane = merchants + len(night.order_merchant)
    first_row = first_lane + len(night.slots)
    for option in range(len(profit)):
        order = night.option_order[option]
        worth, lane = night.saving[option], night.option_lane[option]
        while lane >= 0:
            worth -= night.load[option] * prices[first_lane + lane]
            lane = night.lane_parent[lane]
        for entry in range(night.entry_start[option], night.entry_start[option + 1]):
            price = prices[first_row + night.entry_row[entry]]
            worth -= night.entry_weight[entry] * price
        worth -= prices[night.order_merchant[order]] + prices[merchants + order]
        profit[option] = worth


@kernel
def _choose(night, fixed, prices, profit, taken):
    """
    Choose for each lane at prices; the bound of all plans of the node.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.branch.BranchNight`.
    fixed
        ``(num_options,) int8``: 1 in, -1 out, 0 open.
    prices
        ``(n,) int64``: of merchants, orders, lanes and side rows.
    profit
        ``(num_options,) int64``: filled, micro-CNY.
    taken
        ``(num_options,) bool``: filled with what is in, and what lanes choose.
    """
    bound = _sold(night, prices)
    _profits(night, prices, profit)
    left = np.empty(len(night.slots), np.int64)
    write(night.slots, left)
    for option in range(len(fixed)):
        taken[option] = fixed[option] == 1
        if taken[option]:
            bound += profit[option]
            left[night.option_lane[option]] -= night.load[option]
    some, is_in = np.empty(len(fixed), np.int64), np.empty(len(fixed), np.bool_)
    load, worth = np.empty(len(fixed), np.int64), np.empty(len(fixed), np.int64)
    for lane in range(len(left)):
        count, value = 0, np.int64(0)
        for place in range(night.list_start[lane], night.list_start[lane + 1]):
            option = night.listed[place]
            if fixed[option] == 0 and profit[option] > 0:
                some[count], is_in[count] = option, True
                load[count], worth[count] = night.load[option], profit[option]
                value += profit[option]
                count += 1
        if count == 0:
            continue
        if not night.is_large[lane]:
            value, _ = fill_lane(
                load[:count],
                worth[:count],
                left[lane],
                night.guide[lane],
                is_in[:count],
            )
        bound += value
        for place in range(count):
            taken[some[place]] = is_in[place]
    return bound


@bare_kernel
def _excess(night, prices, taken, lowest, excess):
    """
    How far choices are above what is sold at each price; 0 where that costs nothing.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.branch.BranchNight`.
    prices
        ``(n,) int64``: as in :func:`_choose`.
    taken
        ``(num_options,) bool``: options that lanes choose, and those that are in.
    lowest
        ``(n,) int64``: the lowest prices.
    excess
        ``(n,) float64``: filled.
    """
    merchants, orders = len(night.cap), len(night.order_merchant)
    lanes, rows = len(night.slots), len(night.high)
    first_lane = merchants + orders
    first_row = first_lane + lanes
    for merchant in range(merchants):
        excess[merchant] = -night.cap[merchant]
    for order in range(orders):
        excess[merchants + order] = -1.0
    for lane in range(lanes):
        excess[first_lane + lane] = -night.slots[lane]
    for row in range(rows):
        excess[first_row + row] = 0.0
    for option in range(len(taken)):
        if not taken[option]:
            continue
        order, lane = night.option_order[option], night.option_lane[option]
        excess[night.order_merchant[order]] += 1
        excess[merchants + order] += 1
        while lane >= 0:
            excess[first_lane + lane] += night.load[option]
            lane = night.lane_parent[lane]
        for entry in range(night.entry_start[option], night.entry_start[option + 1]):
            excess[first_row + night.entry_row[entry]] += night.entry_weight[entry]
    for row in range(rows):
        price, place = prices[first_row + row], first_row + row
        used = excess[place]
        if price < 0 or (price == 0 and used < night.low[row]):
            excess[place] = used - night.low[row]
        elif price > 0 or used > night.high[row]:
            excess[place] = used - night.high[row]
        else:
            excess[place] = 0.0
    for place in range(first_row):
        if not night.has_price[place] or (
            prices[place] <= lowest[place] and excess[place] < 0
        ):
            excess[place] = 0.0


@bare_kernel
def _weights(night, taken, weight):
    """How strongly excess answers each price: sums of squares of what is taken."""
    merchants, orders = len(night.cap), len(night.order_merchant)
    first_lane = merchants + orders
    first_row = first_lane + len(night.slots)
    for place in range(len(weight)):
        weight[place] = 0.0
    for option in range(len(taken)):
        if not taken[option]:
            continue
        order, lane = night.option_order[option], night.option_lane[option]
        weight[night.order_merchant[order]] += 1
        while lane >= 0:
            weight[first_lane + lane] += float(night.load[option]) ** 2
            lane = night.lane_parent[lane]
        for entry in range(night.entry_start[option], night.entry_start[option + 1]):
            place = first_row + night.entry_row[entry]
            weight[place] += float(night.entry_weight[entry]) ** 2
    for place in range(len(weight)):
        weight[place] = max(weight[place], 1.0) ** DAMPING


@kernel
def _corner(night, fixed, prices):
    """
    The best prices of a node without open options, whose bound is linear in them.

    Returns
    -------
    int
        The bound, micro-CNY; the prices are written.
    """
    profit = np.zeros(len(fixed), np.int64)
    taken, excess = np.zeros(len(fixed), np.bool_), np.empty(len(prices))
    for place in range(len(prices)):
        prices[place] = 0
    _choose(night, fixed, prices, profit, taken)
    _excess(night, prices, taken, night.lowest, excess)
    for place in range(len(prices)):
        if excess[place] > 0:
            prices[place] = night.highest[place]
        elif excess[place] < 0:
            prices[place] = night.lowest[place]
    return _choose(night, fixed, prices, profit, taken)


@bare_kernel
def has_open(fixed):
    """Whether any option is open."""
    for option in range(len(fixed)):
        if fixed[option] == 0:
            return True
    return False


@kernel
def bound_node(night, fixed, prices, money, unit, most_steps, share):
    """
    Lower the bound of a node by subgradient steps until it is below a target.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.branch.BranchNight`.
    fixed
        ``(num_options,) int8``: 1 in, -1 out, 0 open.
    prices
        ``(n,) int64``: where to start; the best ones found are written here.
    money, unit
        Value of the best plan, and what all values are multiples of, micro-CNY: a
        bound below their sum closes the node.
    most_steps
        Steps at most.
    share
        ``(num_options,) float64``: filled with the mean of the choices of lanes.

    Returns
    -------
    bound, num_steps
        Micro-CNY, exact at the prices; and the number of steps.
    """
    if not has_open(fixed):
        return _corner(night, fixed, prices), 0
    count, target = len(prices), money + unit
    profit = np.zeros(len(fixed), np.int64)
    taken, first = np.zeros(len(fixed), np.bool_), np.zeros(len(fixed), np.bool_)
    here, x, direction = np.empty(count, np.int64), np.empty(count), np.empty(count)
    write(prices, here)
    write(prices, x)
    best = _choose(night, fixed, here, profit, first)
    for option in range(len(fixed)):
        share[option] = 1.0 if first[option] else 0.0
    weight, excess, best_excess = np.empty(count), np.empty(count), np.empty(count)
    for place in range(count):
        direction[place] = 0.0
    _weights(night, first, weight)
    _excess(night, here, first, night.lowest, excess)
    hoped, idle, bound, steps = FIRST_HOPE * (best - money), 0, best, 0
    last_hope = max(LAST_HOPE * (best - money), 0.02)
    write(excess, best_excess)
    while steps < most_steps and best >= target and hoped >= last_hope:
        power = 0.0
        for place in range(count):
            direction[place] = MEMORY * direction[place] + (1 - MEMORY) * excess[place]
            power += direction[place] ** 2 / weight[place]
        if power == 0.0:
            break
        length = max(float(bound - best) + hoped, 0.0) / power
        for place in range(count):
            moved = x[place] + length * direction[place] / weight[place]
            low, high = float(night.lowest[place]), float(night.highest[place])
            x[place] = min(max(moved, low), high)
            here[place] = np.int64(np.rint(x[place]))
        bound = _choose(night, fixed, here, profit, taken)
        _excess(night, here, taken, night.lowest, excess)
        for option in range(len(fixed)):
            now = 1.0 if taken[option] else 0.0
            share[option] += RECENT * (now - share[option])
        steps += 1
        idle += 1
        if bound < best:
            best, idle = bound, 0
            write(here, prices)
            write(excess, best_excess)
        elif idle == PATIENCE:
            hoped, idle, bound = hoped / 2, 0, best
            write(prices, x)
            write(best_excess, excess)
            for place in range(count):
                direction[place] = 0.0
    return best, steps
