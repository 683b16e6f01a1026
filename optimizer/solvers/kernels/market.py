"""
Kernels that let merchants choose their best orders at given lane prices.

Every kernel works on the merchants ``first_merchant : last_merchant`` and writes
only what belongs to them, so that threads can share the work and the result does
not depend on their number.
"""

from __future__ import annotations

import numpy as np

from optimizer.solvers.kernels import compiled

#: Above every reduced saving, far from overflow.
HIGH = np.int64(2**61)


@compiled
def kth_largest(values, count, k):
    """
    The ``k``-th largest (from 0) of the first ``count`` values, in place.

    Quickselect; afterwards ``values[:k]`` are at least the result.
    """
    low, high = 0, count - 1
    while low < high:
        middle = values[(low + high) >> 1]
        i, j = low, high
        while i <= j:
            while values[i] > middle:
                i += 1
            while values[j] < middle:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]


@compiled
def best_option(order, option_start, option_lane, option_saving, price):
    """
    Best option of an order, its reduced saving, and the second best one's.

    Returns
    -------
    option, reduced, second
        ``option`` is -1 and both values ``-HIGH`` where there is none.
    """
    top, second, best = -HIGH, -HIGH, np.int64(-1)
    for option in range(option_start[order], option_start[order + 1]):
        reduced = option_saving[option] - price[option_lane[option]]
        if reduced > top:
            second = top
            top = reduced
            best = option
        elif reduced > second:
            second = reduced
    return best, top, second


@compiled
def cuts(ranked, count, room):
    """
    Where a cap cuts: the last reduced saving inside, the first outside, the ties.

    Parameters
    ----------
    ranked
        Positive reduced savings, ``count`` of them; reordered.
    room
        The cap, at least 1.

    Returns
    -------
    inside, outside, ties
        0, 0, 0 where the cap does not bind; ``ties`` of those that equal
        ``outside`` are inside.
    """
    if count <= room:
        return np.int64(0), np.int64(0), 0
    outside = kth_largest(ranked, count, room)
    inside, ties = HIGH, room
    for place in range(room):
        inside = min(inside, ranked[place])
        if ranked[place] > outside:
            ties -= 1
    return inside, outside, ties


@compiled
def choose(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    price,
    window,
    demand,
    pairs,
):
    """
    Let merchants choose, and note which lanes compete for the next order.

    Adds the chosen orders to ``demand`` of their lanes. A pair (a, b) is written
    for each order that would move between lanes a and b (-1: no lane) if their
    prices changed by up to ``window`` against each other: together the pairs are
    the slope of demand.

    Returns
    -------
    surplus, num_pairs
        What the choices save above lane prices, micro-CNY; pairs written.
    """
    surplus, num_pairs = np.int64(0), 0
    size = 0
    best = np.empty(0, np.int64)
    second = np.empty(0, np.int64)
    ranked = np.empty(0, np.int64)
    pick = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        room = cap[merchant]
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if room == 0 or first == last:
            continue
        if size < last - first:
            size = 2 * (last - first)
            best = np.empty(size, np.int64)
            second = np.empty(size, np.int64)
            ranked = np.empty(size, np.int64)
            pick = np.empty(size, np.int64)
        count = 0
        for order in range(first, last):
            option, top, runner_up = best_option(
                order, option_start, option_lane, option_saving, price
            )
            best[order - first] = top
            second[order - first] = runner_up
            pick[order - first] = option
            if top > 0:
                ranked[count] = top
                count += 1
        inside, outside, ties = cuts(ranked, count, room)
        lane_inside, lane_outside = -1, -1
        if outside > 0:
            for place in range(last - first):
                if best[place] == inside and lane_inside < 0:
                    lane_inside = option_lane[pick[place]]
                if best[place] == outside:
                    lane_outside = option_lane[pick[place]]
        for order in range(first, last):
            top = best[order - first]
            if top + window < inside or top + window < 0:
                continue
            is_chosen = top > outside
            if not is_chosen and top == outside and ties > 0:
                is_chosen = True
                ties -= 1
            if not is_chosen:
                for option in range(option_start[order], option_start[order + 1]):
                    lane = option_lane[option]
                    if inside - option_saving[option] + price[lane] <= window:
                        if num_pairs < len(pairs):
                            pairs[num_pairs, 0] = lane_inside
                            pairs[num_pairs, 1] = lane
                            num_pairs += 1
                continue
            lane = option_lane[pick[order - first]]
            surplus += top
            demand[lane] += 1
            if second[order - first] >= outside:
                for option in range(option_start[order], option_start[order + 1]):
                    other = option_lane[option]
                    reduced = option_saving[option] - price[other]
                    if other != lane and top - reduced <= window:
                        if num_pairs < len(pairs):
                            pairs[num_pairs, 0] = lane
                            pairs[num_pairs, 1] = other
                            num_pairs += 1
            elif top - outside <= window and num_pairs < len(pairs):
                pairs[num_pairs, 0] = lane
                pairs[num_pairs, 1] = lane_outside
                num_pairs += 1
    return surplus, num_pairs


@compiled
def screen(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    price,
    depth,
    spare,
    reach,
    keep,
):
    """
    Mark the orders that could be chosen at prices somewhat like these.

    Sets ``keep`` for the ``depth * cap + spare`` best of each merchant by reduced
    saving, as far as they save something and are at most ``reach`` below their price.
    """
    best = np.empty(0, np.int64)
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if cap[merchant] == 0 or first == last:
            continue
        if len(best) < last - first:
            best = np.empty(2 * (last - first), np.int64)
            ranked = np.empty(2 * (last - first), np.int64)
        count = 0
        for order in range(first, last):
            top = -HIGH
            for option in range(option_start[order], option_start[order + 1]):
                if option_saving[option] > 0:
                    reduced = option_saving[option] - price[option_lane[option]]
                    top = max(top, reduced)
            best[order - first] = top
            if top >= -reach:
                ranked[count] = top
                count += 1
        floor = -reach
        most = min(depth * cap[merchant] + spare, np.int64(last - first))
        if count > most:
            floor = kth_largest(ranked, count, most)
        for order in range(first, last):
            if best[order - first] >= floor:
                keep[order] = True


@compiled
def gather(
    first_merchant,
    last_merchant,
    merchant_start,
    option_start,
    option_lane,
    option_saving,
    keep,
    order,
    option,
    sub_option_start,
    sub_option_lane,
    sub_option_saving,
):
    """Copy the kept orders' options to a smaller market, from a place on."""
    for full in range(merchant_start[first_merchant], merchant_start[last_merchant]):
        if not keep[full]:
            continue
        sub_option_start[order] = option
        order += 1
        for source in range(option_start[full], option_start[full + 1]):
            sub_option_lane[option] = option_lane[source]
            sub_option_saving[option] = option_saving[source]
            option += 1


@compiled
def best_savings(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    lane,
    saving,
):
    """Write the lane and saving of each order's best option, where any saves."""
    for merchant in range(first_merchant, last_merchant):
        if cap[merchant] == 0:
            continue
        for order in range(merchant_start[merchant], merchant_start[merchant + 1]):
            for option in range(option_start[order], option_start[order + 1]):
                if option_saving[option] > saving[order]:
                    saving[order] = option_saving[option]
                    lane[order] = option_lane[option]


@compiled
def classify(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    price,
    distance,
    state,
    pick,
    margin,
):
    """
    Tell the orders that are plainly in or out at these prices from the close ones.

    ``state`` becomes 1 for an order that is chosen and would stay so on its lane
    until prices change by ``distance``, 0 for one that is out likewise, and 2 for
    all others. ``pick`` is its best option, ``margin`` the distance itself.
    """
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        room = cap[merchant]
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if room == 0 or first == last:
            continue
        if len(ranked) < last - first:
            ranked = np.empty(2 * (last - first), np.int64)
        count = 0
        for order in range(first, last):
            option, top, second = best_option(
                order, option_start, option_lane, option_saving, price
            )
            pick[order] = option
            margin[order] = top - max(second, np.int64(0))
            if top > 0:
                ranked[count] = top
                count += 1
        inside, outside, _ = cuts(ranked, count, room)
        for order in range(first, last):
            option = pick[order]
            if option < 0:
                continue
            top = option_saving[option] - price[option_lane[option]]
            if top > outside:
                margin[order] = min(margin[order], top - outside)
                state[order] = 1
            else:
                margin[order] = inside - top
                state[order] = 0
            if margin[order] <= distance:
                state[order] = 2


@compiled
def contradictions(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    price,
    chosen,
    chosen_start,
    found,
):
    """
    Compare a plan with what merchants would choose at these prices.

    Writes to ``found`` the orders that the prices want changed: unchosen ones that
    are worth more than the weakest chosen one, chosen ones that are worth less
    than the best unchosen one, and those that would rather be on another lane.

    Returns
    -------
    surplus, num_found
        What merchants' own choices save above lane prices, micro-CNY: with the
        slots at their prices it is the dual bound. ``num_found`` may exceed the
        length of ``found``; then only so many were written.
    """
    surplus, num_found = np.int64(0), 0
    best = np.empty(0, np.int64)
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        room = cap[merchant]
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if room == 0 or first == last:
            continue
        if len(best) < last - first:
            best = np.empty(2 * (last - first), np.int64)
            ranked = np.empty(2 * (last - first), np.int64)
        count = 0
        for order in range(first, last):
            top = -HIGH
            for option in range(option_start[order], option_start[order + 1]):
                top = max(top, option_saving[option] - price[option_lane[option]])
            best[order - first] = top
            if top > 0:
                ranked[count] = top
                count += 1
        if count > room:
            kth_largest(ranked, count, room)
        for place in range(min(count, room)):
            surplus += ranked[place]
        place, end = chosen_start[merchant], chosen_start[merchant + 1]
        weakest = HIGH if end - place == room else np.int64(0)
        for spot in range(place, end):
            option = chosen[spot]
            reduced = option_saving[option] - price[option_lane[option]]
            weakest = min(weakest, reduced)
        strongest = np.int64(0)
        spot = place
        for order in range(first, last):
            if spot < end and chosen[spot] < option_start[order + 1]:
                spot += 1
            else:
                strongest = max(strongest, best[order - first])
        for order in range(first, last):
            top = best[order - first]
            if place < end and chosen[place] < option_start[order + 1]:
                option = chosen[place]
                place += 1
                reduced = option_saving[option] - price[option_lane[option]]
                is_wrong = reduced < top or reduced < strongest
            else:
                is_wrong = top > weakest
            if is_wrong:
                if num_found < len(found):
                    found[num_found] = order
                num_found += 1
    return surplus, num_found
