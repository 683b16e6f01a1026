"""
Kernels that let merchants choose their best orders at given lane prices.

Every kernel works on the merchants ``first_merchant : last_merchant`` and writes
only what belongs to them, so that threads can share the work and the result does
not depend on their number.
"""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, kernel
from optimizer.solvers.kernels.rank import HIGH, best_option, cuts, kth_largest


@kernel
def choose(  # noqa: C901 - one pass, branch by branch
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
        count = np.int64(0)
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


@kernel
def settle(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    price,
    pick,
    used,
    merchant_price,
    margin,
):
    """
    Let merchants choose for good.

    Writes each order's chosen option to ``pick`` (-1: none), how many of a cap are
    ``used``, and the lowest best ``merchant_price``: what the first order outside
    a full cap would save above its lane's price. Of equal orders the first is in.
    ``margin`` becomes how far prices could move before the choice changed.
    """
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        room = cap[merchant]
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if room == 0 or first == last:
            continue
        if len(ranked) < last - first:
            ranked = np.empty(2 * (last - first), np.int64)
        count = np.int64(0)
        for order in range(first, last):
            option, top, second = best_option(
                order, option_start, option_lane, option_saving, price
            )
            pick[order] = option
            margin[order] = top - max(second, np.int64(0))
            if top > 0:
                ranked[count] = top
                count += 1
        used[merchant] = min(room, count)
        inside, outside, ties = cuts(ranked, count, room)
        merchant_price[merchant] = outside
        for order in range(first, last):
            option = pick[order]
            top = -HIGH
            if option >= 0:
                top = option_saving[option] - price[option_lane[option]]
            if top > outside:
                margin[order] = min(margin[order], top - outside)
            else:
                margin[order] = inside - top
                if top == outside and ties > 0:
                    ties -= 1
                else:
                    pick[order] = -1


@kernel
def check(  # noqa: C901 - likewise
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
    merchant_price,
    found,
    needed,
    wanting,
    yielding,
):
    """
    Hold a plan against what merchants would choose at these prices.

    Writes to ``merchant_price`` the lowest best price of each cap: the first
    positive reduced saving that finds no room in it. Writes to ``found`` the orders
    that the prices want changed: unchosen ones that are worth more than the weakest
    chosen one, chosen ones that are worth less than the best unchosen one, and
    those that would rather be on another lane. For each lane, ``needed`` is raised
    to the least price at which no unchosen order would want it, and ``wanting``
    becomes the order that needs it; ``yielding`` becomes a chosen order of each
    merchant that would change one, the weakest if that is among them. All three are
    left alone elsewhere.

    Returns
    -------
    int
        Orders found; beyond the length of ``found`` they are counted only.
    """
    num_found = 0
    best = np.empty(0, np.int64)
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        room = cap[merchant]
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if first == last:
            continue
        if len(best) < last - first:
            best = np.empty(2 * (last - first), np.int64)
            ranked = np.empty(2 * (last - first), np.int64)
        count = np.int64(0)
        for order in range(first, last):
            top = -HIGH
            for option in range(option_start[order], option_start[order + 1]):
                top = max(top, option_saving[option] - price[option_lane[option]])
            best[order - first] = top
            if top > 0:
                ranked[count] = top
                count += 1
        if count > room:
            merchant_price[merchant] = kth_largest(ranked, count, room)
        if room == 0:
            continue
        place, end = chosen_start[merchant], chosen_start[merchant + 1]
        weakest, weakest_option = np.int64(0), np.int64(-1)
        if end - place == room:
            weakest = HIGH
        strongest = np.int64(0)
        for spot in range(place, end):
            option = chosen[spot]
            reduced = option_saving[option] - price[option_lane[option]]
            if reduced < weakest:
                weakest, weakest_option = reduced, option
        for order in range(first, last):
            top = best[order - first]
            if top <= weakest and top <= strongest:
                continue
            while place < end and chosen[place] < option_start[order]:
                place += 1
            if place < end and chosen[place] < option_start[order + 1]:
                continue
            strongest = max(strongest, top)
            if top <= weakest:
                continue
            if num_found < len(found):
                found[num_found] = order
            num_found += 1
            for option in range(option_start[order], option_start[order + 1]):
                lane = option_lane[option]
                least = option_saving[option] - weakest
                if least > max(price[lane], needed[lane]):
                    needed[lane] = least
                    wanting[lane] = order
        order = first
        for spot in range(chosen_start[merchant], end):
            option = chosen[spot]
            while option_start[order + 1] <= option:
                order += 1
            reduced = option_saving[option] - price[option_lane[option]]
            if reduced < best[order - first] or reduced < strongest:
                if yielding[merchant] < 0 or option == weakest_option:
                    yielding[merchant] = order
                if num_found < len(found):
                    found[num_found] = order
                num_found += 1
    return num_found


@kernel
def surplus(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    price,
    merchant_price,
):
    """
    What merchants would save above lane prices if every lane had room for all.

    Writes to ``merchant_price`` the lowest best price of each cap.

    Returns
    -------
    int
        Micro-CNY; the prices of the caps are in it.
    """
    total = np.int64(0)
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        room = cap[merchant]
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if len(ranked) < last - first:
            ranked = np.empty(2 * (last - first), np.int64)
        count = np.int64(0)
        for order in range(first, last):
            top = np.int64(0)
            for option in range(option_start[order], option_start[order + 1]):
                top = max(top, option_saving[option] - price[option_lane[option]])
            if top > 0:
                ranked[count] = top
                count += 1
        if count > room:
            merchant_price[merchant] = kth_largest(ranked, count, room)
            count = room
        for place in range(count):
            total += ranked[place]
    return total


@bare_kernel
def above_cuts(
    first_merchant,
    last_merchant,
    merchant_start,
    option_start,
    option_lane,
    option_saving,
    price,
    merchant_price,
    above,
    highest,
):
    """
    What orders are worth above both their prices, by merchant.

    Both results add up over parts of a merchant's orders: sums and maxima.

    Parameters
    ----------
    price
        ``(num_lanes,) int64`` effective prices.
    merchant_price
        ``(num_merchants,) int64``.
    above
        ``(num_merchants,) int64``: takes the sum of what each order's best option
        saves above its lane's price and its merchant's, where it does.
    highest
        ``(num_merchants,) int64``: takes the most that an order saves above its
        lane's price; 0 where none does.
    """
    for merchant in range(first_merchant, last_merchant):
        cut = merchant_price[merchant]
        total, most = np.int64(0), np.int64(0)
        for order in range(merchant_start[merchant], merchant_start[merchant + 1]):
            top = np.int64(0)
            for option in range(option_start[order], option_start[order + 1]):
                top = max(top, option_saving[option] - price[option_lane[option]])
            most = max(most, top)
            if top > cut:
                total += top - cut
        above[merchant] = total
        highest[merchant] = most
