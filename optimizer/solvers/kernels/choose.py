"""
Kernels that let merchants choose their best orders at given lane prices.

Every kernel works on the merchants ``first_merchant : last_merchant`` and writes
only what belongs to them, so that threads can share the work and the result does
not depend on their number.
"""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, inner_kernel, kernel
from optimizer.solvers.kernels.rank import HIGH, best_option, cuts, kth_largest


@inner_kernel
def add_pair(first, second, pairs, num_pairs):
    """
    Write a pair if there is room; return the new number of pairs.

    Parameters
    ----------
    first, second
        The lanes of the pair; -1 for none.
    pairs
        ``(m, 2) int32``: filled with pairs of lanes from row ``num_pairs`` on.
    num_pairs
        Rows of ``pairs`` that are filled.
    """
    if num_pairs < len(pairs):
        pairs[num_pairs, 0] = first
        pairs[num_pairs, 1] = second
        num_pairs += 1
    return num_pairs


@inner_kernel
def lanes_at_cut(best, pick, count, inside, outside, option_lane):
    """
    Lanes of the first of ``count`` orders at the cut and of the last beyond it.

    -1 where there is none. They represent all orders with the same reduced saving,
    since it is not known which of these would move.

    Parameters
    ----------
    best
        ``(n,) int64``: best reduced saving of each order of the merchant.
    pick
        ``(n,) int64``: best option of each of these orders.
    count
        Number of these orders to look at.
    inside, outside
        Least reduced saving inside the cap and greatest outside, micro-CNY.
    option_lane
        ``(num_options,) int32``: lane of each option.
    """
    lane_inside, lane_outside = np.int64(-1), np.int64(-1)
    for place in range(count):
        if best[place] == inside and lane_inside < 0:
            lane_inside = np.int64(option_lane[pick[place]])
        if best[place] == outside:
            lane_outside = np.int64(option_lane[pick[place]])
    return lane_inside, lane_outside


@inner_kernel
def add_near_options(
    order,
    taken,
    least,
    fellow,
    option_start,
    option_lane,
    option_saving,
    price,
    pairs,
    num_pairs,
):
    """
    Pair a lane with the lanes where an order's reduced saving is high enough.

    The lane ``taken`` is left out. Returns the new number of pairs.

    Parameters
    ----------
    order
        The order.
    taken
        Lane that is left out; -1 for none.
    least
        Least reduced saving for a pair, micro-CNY.
    fellow
        Lane that the others are paired with; -1 for none.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    pairs
        ``(m, 2) int32``: filled with pairs of lanes from row ``num_pairs`` on.
    num_pairs
        Rows of ``pairs`` that are filled.
    """
    for option in range(option_start[order], option_start[order + 1]):
        lane = np.int64(option_lane[option])
        if lane != taken and option_saving[option] - price[lane] >= least:
            num_pairs = add_pair(fellow, lane, pairs, num_pairs)
    return num_pairs


@kernel
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

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    cap
        ``(num_merchants,) int64``: places in each merchant's cap.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    window
        Change of prices, micro-CNY, within which an order counts as near the margin.
    demand
        ``(num_lanes,) int64``: chosen orders are added.
    pairs
        ``(m, 2) int32``: filled with pairs of lanes.

    Returns
    -------
    surplus, num_pairs
        Total saving of the choices beyond lane prices, micro-CNY; pairs written.
    """
    # Not 0 alone: numba would compile what takes it for that number too.
    surplus, num_pairs = np.int64(0), np.int64(0)
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
        lane_inside, lane_outside = np.int64(-1), np.int64(-1)
        # Where the cap does not bind, orders compete with no other order.
        if outside > 0:
            lane_inside, lane_outside = lanes_at_cut(
                best, pick, last - first, inside, outside, option_lane
            )
        for order in range(first, last):
            top = best[order - first]
            if top + window < inside or top + window < 0:
                continue
            is_chosen = top > outside
            if not is_chosen and top == outside and ties > 0:
                is_chosen = True
                ties -= 1
            if not is_chosen:
                num_pairs = add_near_options(
                    order=order,
                    taken=np.int64(-1),
                    least=inside - window,
                    fellow=lane_inside,
                    option_start=option_start,
                    option_lane=option_lane,
                    option_saving=option_saving,
                    price=price,
                    pairs=pairs,
                    num_pairs=num_pairs,
                )
                continue
            lane = np.int64(option_lane[pick[order - first]])
            surplus += top
            demand[lane] += 1
            # Dearer, it would go to its second lane, or leave to the first outside.
            if second[order - first] >= outside:
                num_pairs = add_near_options(
                    order=order,
                    taken=lane,
                    least=top - window,
                    fellow=lane,
                    option_start=option_start,
                    option_lane=option_lane,
                    option_saving=option_saving,
                    price=price,
                    pairs=pairs,
                    num_pairs=num_pairs,
                )
            elif top - outside <= window:
                num_pairs = add_pair(lane, lane_outside, pairs, num_pairs)
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
    Let merchants make their final choice.

    Writes each order's chosen option to ``pick`` (-1: none), how many of a cap are
    ``used``, and the lowest best ``merchant_price``: the saving of the first order
    outside a full cap beyond its lane's price. Of equal orders the first is chosen.
    ``margin`` becomes the distance that prices could move before the choice changed.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    cap
        ``(num_merchants,) int64``: places in each merchant's cap.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    pick
        ``(num_orders,) int64``: filled with the chosen option of each order; -1 for
        none.
    used
        ``(num_merchants,) int64``: filled with the places used in each cap.
    merchant_price
        ``(num_merchants,) int64``: filled with the price of each cap, micro-CNY.
    margin
        ``(num_orders,) int64``: filled with the least change of prices that changes the
        order's choice, micro-CNY.
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


@inner_kernel
def add_found(order, found, num_found):
    """Write an order if there is room; return how many were found so far."""
    if num_found < len(found):
        found[num_found] = order
    return num_found + 1


@inner_kernel
def rank_best(
    first, last, option_start, option_lane, option_saving, price, best, ranked
):
    """
    Write the best reduced saving of each of a merchant's orders.

    Positive ones are also written to ``ranked``, unsorted; returns their number.

    Parameters
    ----------
    first, last
        The merchant's orders ``first : last``.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    best
        ``(n,) int64``: filled with the best reduced saving of each order, micro-CNY.
    ranked
        ``(n,) int64``: filled with the positive reduced savings, unsorted.
    """
    count = np.int64(0)
    for order in range(first, last):
        top = -HIGH
        for option in range(option_start[order], option_start[order + 1]):
            top = max(top, option_saving[option] - price[option_lane[option]])
        best[order - first] = top
        if top > 0:
            ranked[count] = top
            count += 1
    return count


@inner_kernel
def weakest_chosen(chosen, start, end, option_lane, option_saving, price, highest):
    """
    The least reduced saving of some chosen options, at most ``highest``, and its
    option.

    Parameters
    ----------
    chosen
        ``(num_chosen,) int64``: chosen options, ascending.
    start, end
        The merchant's chosen options are ``chosen[start:end]``.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    highest
        Value to return where all are at least this, micro-CNY.
    """
    weakest, weakest_option = highest, np.int64(-1)
    for spot in range(start, end):
        option = chosen[spot]
        reduced = option_saving[option] - price[option_lane[option]]
        if reduced < weakest:
            weakest, weakest_option = reduced, option
    return weakest, weakest_option


@inner_kernel
def raise_needed(
    order, weakest, option_start, option_lane, option_saving, price, needed, wanting
):
    """
    Raise the prices that lanes need so that an unchosen order wants none of them.

    Parameters
    ----------
    order
        An order that is not chosen.
    weakest
        Least reduced saving of the merchant's chosen orders, micro-CNY.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    needed
        ``(num_lanes,) int64``: raised to the prices needed, micro-CNY.
    wanting
        ``(num_lanes,) int64``: set to the order wherever ``needed`` is raised.
    """
    for option in range(option_start[order], option_start[order + 1]):
        lane = option_lane[option]
        least = option_saving[option] - weakest
        if least > max(price[lane], needed[lane]):
            needed[lane] = least
            wanting[lane] = order


@kernel
def check(
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
    Compare a plan with what merchants would choose at these prices.

    Writes to ``merchant_price`` the lowest best price of each cap: the first positive
    reduced saving that finds no room in it. Writes to ``found`` the orders that
    contradict the prices: unchosen ones with a higher reduced saving than the weakest
    chosen one, chosen ones with a lower one than the best unchosen one, and those that
    prefer another lane. For each lane, ``needed`` is raised to the least price at which
    no unchosen order would want it, and ``wanting`` is set to the order that needs it.
    ``yielding`` is set to a chosen order of each merchant that contradicts the prices,
    the weakest if it is one of them. Other entries of the three are left alone.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    cap
        ``(num_merchants,) int64``: places in each merchant's cap.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    chosen
        ``(num_chosen,) int64``: chosen options, ascending.
    chosen_start
        ``(num_merchants + 1,) int64``: first chosen option of each merchant.
    merchant_price
        ``(num_merchants,) int64``: filled with the price of each cap that lacks room,
        micro-CNY.
    found
        ``(k,) int64``: filled with orders; may be too short.
    needed
        ``(num_lanes,) int64``: least price at which no unchosen order wants the lane,
        micro-CNY.
    wanting
        ``(num_lanes,) int64``: the order that needs that price.
    yielding
        ``(num_merchants,) int64``: a chosen order that should change; -1 for none.

    Returns
    -------
    int
        Orders found; those that do not fit into ``found`` are only counted.
    """
    num_found = np.int64(0)
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
        count = rank_best(
            first=first,
            last=last,
            option_start=option_start,
            option_lane=option_lane,
            option_saving=option_saving,
            price=price,
            best=best,
            ranked=ranked,
        )
        if count > room:
            merchant_price[merchant] = kth_largest(ranked, count, room)
        if room == 0:
            continue
        place, end = chosen_start[merchant], chosen_start[merchant + 1]
        # While a cap has room, an order need only save something to come in.
        weakest, weakest_option = weakest_chosen(
            chosen=chosen,
            start=place,
            end=end,
            option_lane=option_lane,
            option_saving=option_saving,
            price=price,
            highest=HIGH if end - place == room else np.int64(0),
        )
        strongest = np.int64(0)
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
            num_found = add_found(order, found, num_found)
            raise_needed(
                order=order,
                weakest=weakest,
                option_start=option_start,
                option_lane=option_lane,
                option_saving=option_saving,
                price=price,
                needed=needed,
                wanting=wanting,
            )
        order = first
        for spot in range(chosen_start[merchant], end):
            option = chosen[spot]
            while option_start[order + 1] <= option:
                order += 1
            reduced = option_saving[option] - price[option_lane[option]]
            if reduced < best[order - first] or reduced < strongest:
                if yielding[merchant] < 0 or option == weakest_option:
                    yielding[merchant] = order
                num_found = add_found(order, found, num_found)
    return num_found


@bare_kernel
def closed_offers(
    first_merchant,
    last_merchant,
    merchant_start,
    cap,
    option_start,
    option_lane,
    option_saving,
    price,
    is_closed,
    chosen,
    chosen_start,
    offers,
):
    """
    Raise the offers for closed lanes to what the orders of a plan would pay there.

    A chosen order offers the difference to its present reduced saving. Another order
    offers the difference to the merchant's weakest chosen one, or its whole saving
    where the cap is not full.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    cap
        ``(num_merchants,) int64``: places in each merchant's cap.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    is_closed
        ``(num_lanes,) bool``: lanes to make offers for.
    chosen
        ``(num_chosen,) int64``: chosen options, ascending.
    chosen_start
        ``(num_merchants + 1,) int64``: first chosen option of each merchant.
    offers
        ``(num_lanes,) int64``: raised to the best offer for each closed lane,
        micro-CNY.
    """
    for merchant in range(first_merchant, last_merchant):
        first, last = merchant_start[merchant], merchant_start[merchant + 1]
        if cap[merchant] == 0 or first == last:
            continue
        place, end = chosen_start[merchant], chosen_start[merchant + 1]
        weakest = HIGH if end - place == cap[merchant] else np.int64(0)
        for spot in range(place, end):
            option = chosen[spot]
            reduced = option_saving[option] - price[option_lane[option]]
            weakest = min(weakest, reduced)
        for order in range(first, last):
            worth = weakest
            if place < end and chosen[place] < option_start[order + 1]:
                option = chosen[place]
                worth = option_saving[option] - price[option_lane[option]]
                place += 1
            for option in range(option_start[order], option_start[order + 1]):
                lane = option_lane[option]
                if is_closed[lane]:
                    offers[lane] = max(offers[lane], option_saving[option] - worth)


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
    Total saving beyond lane prices if every lane had room for all orders.

    Writes to ``merchant_price`` the lowest best price of each cap.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    cap
        ``(num_merchants,) int64``: places in each merchant's cap.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    merchant_price
        ``(num_merchants,) int64``: filled with the price of each cap that lacks room,
        micro-CNY.

    Returns
    -------
    int
        Micro-CNY; the value of the caps at their prices is included.
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
    Sum of what orders save beyond lane and cap prices, by merchant.

    Both results add up over parts of a merchant's orders: sums and maxima.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    merchant_start
        ``(num_merchants + 1,) int64``: first order of each merchant.
    option_start
        ``(num_orders + 1,) int64``: first option of each order.
    option_lane
        ``(num_options,) int32``: lane of each option.
    option_saving
        ``(num_options,) int64`` micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY: price of a place in each cap.
    above
        ``(num_merchants,) int64``: filled with the sum of what each order's best option
        saves beyond its lane's price and its merchant's, where positive, micro-CNY.
    highest
        ``(num_merchants,) int64``: filled with the most that an order saves beyond its
        lane's price, micro-CNY; 0 where none does.
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
