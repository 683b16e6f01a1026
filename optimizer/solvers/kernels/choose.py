"""
Kernels that let merchants choose their best orders at given prices.

``orders`` is a :class:`~optimizer.solvers.market.Orders`, ``uses`` a
:class:`~optimizer.solvers.market.Uses`, or ``None`` where each option takes one slot
and no side row: numba compiles a kernel for each, and what the other needs is not in
it. ``price`` are effective prices of lanes, ``row_price`` signed prices of side rows or
``None``; ``(num_lanes,)`` and ``(num_rows,) int64``, micro-CNY for a unit.

Every kernel works on the merchants ``first_merchant : last_merchant`` and writes
only what belongs to them, so that threads can share the work and the result does
not depend on their number.
"""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, inner_kernel, kernel
from optimizer.solvers.kernels.rank import (
    HIGH,
    best_option,
    best_worth,
    cuts,
    kth_largest,
    reduced_saving,
)


@inner_kernel
def rank_orders(
    orders, uses, first, last, price, row_price, best, second, pick, ranked
):
    """
    Price a merchant's orders.

    Writes each order's ``best`` and ``second`` reduced savings and its ``pick``, and
    the positive ones of those that are not pinned to ``ranked``.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`; ``None`` where each option takes one
        slot.
    first, last
        The merchant's orders ``first : last``.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY for a unit of load.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight, may be negative; or
        ``None``.
    best
        ``(n,) int64``: best reduced saving of each of the merchant's orders, micro-CNY.
    second
        ``(n,) int64``: likewise, of the second best option.
    pick
        ``(n,) int64``: likewise, the best option; -1 for none.
    ranked
        ``(n,) int64``: filled with the positive reduced savings, unsorted.

    Returns
    -------
    count, num_pinned
        How many are ranked; how many are pinned.
    """
    count, num_pinned = np.int64(0), np.int64(0)
    for order in range(first, last):
        here = order - first
        pick[here], best[here], second[here] = best_option(
            orders, uses, order, price, row_price
        )
        if uses is not None and uses.is_pinned[order]:
            num_pinned += 1
        elif best[here] > 0:
            ranked[count] = best[here]
            count += 1
    return count, num_pinned


@inner_kernel
def at_the_cut(uses, first, last, best, pick, inside, outside):
    """
    Options of the last order inside a cap and of the first outside; -1: none.

    They stand for all that are worth as much: which of these would move is not known.
    Where the cap does not bind, orders compete with no other order.

    Parameters
    ----------
    uses
        A :class:`~optimizer.solvers.market.Uses`; ``None`` where each option takes one
        slot.
    first, last
        The merchant's orders ``first : last``.
    best
        ``(n,) int64``: best reduced saving of each of the merchant's orders, micro-CNY.
    pick
        ``(n,) int64``: likewise, the best option; -1 for none.
    inside, outside
        Least reduced saving inside the cap and greatest outside, micro-CNY.
    """
    option_inside, option_outside = np.int64(-1), np.int64(-1)
    if outside <= 0:
        return option_inside, option_outside
    for here in range(last - first):
        if uses is not None and uses.is_pinned[first + here]:
            continue
        if best[here] == inside and option_inside < 0:
            option_inside = pick[here]
        if best[here] == outside:
            option_outside = pick[here]
    return option_inside, option_outside


@inner_kernel
def rival(orders, uses, option):
    """How a pair names an option: by its lane, where that is all it uses."""
    if uses is not None or option < 0:
        return np.int64(option)
    return np.int64(orders.option_lane[option])


@inner_kernel
def add_pairs(
    orders, uses, order, first, least, price, row_price, mine, pairs, num_pairs
):
    """
    Write a pair of ``first`` and each option of an order worth at least ``least``.

    Its own choice ``mine`` is left out.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`; ``None`` where each option takes one
        slot.
    order
        The order.
    first
        What the options are paired with, as pairs name it; -1 for none.
    least
        Least reduced saving for a pair, micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY for a unit of load.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight, may be negative; or
        ``None``.
    mine
        What the order takes, as pairs name it, and what is left out; -1 for none.
    pairs
        ``(m, 2)`` integers: filled with pairs of options, or of their lanes.
    num_pairs
        Rows of ``pairs`` that are filled.
    """
    for option in range(orders.option_start[order], orders.option_start[order + 1]):
        if reduced_saving(orders, uses, option, price, row_price) < least:
            continue
        other = rival(orders, uses, option)
        if other != mine and num_pairs < len(pairs):
            pairs[num_pairs, 0] = first
            pairs[num_pairs, 1] = other
            num_pairs += 1
    return num_pairs


@inner_kernel
def use_up(orders, uses, option, demand, usage):
    """
    Add what an option uses of its lane, and of the side rows.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`; ``None`` where each option takes one
        slot.
    option
        The option.
    demand
        ``(num_lanes,) int64``: what is chosen is added.
    usage
        ``(num_rows,) int64``: likewise; or ``None``.
    """
    lane = orders.option_lane[option]
    if uses is None:
        demand[lane] += 1
        return
    demand[lane] += uses.option_load[option]
    for entry in range(uses.entry_start[option], uses.entry_start[option + 1]):
        usage[uses.entry_row[entry]] += uses.entry_weight[entry]


@kernel
def choose(
    first_merchant,
    last_merchant,
    orders,
    uses,
    price,
    row_price,
    window,
    demand,
    usage,
    pairs,
):
    """
    Let merchants choose, and note what competes for the next order.

    Kept pins are chosen whatever they save; of a merchant's other orders the best.
    Adds the chosen loads to ``demand`` of their lanes, ``(num_lanes,) int64``, and
    their weights to ``usage`` of the side rows. A pair is written to ``pairs``, ``(k,
    2)``, for each order that would change between two options (-1: none) if their
    worth changed by up to ``window`` against each other: together the pairs are the
    slope of demand. Where options take one slot, a pair names their lanes.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`; ``None`` where each option takes one
        slot.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight, may be negative; or
        ``None``.
    window
        Change of prices, micro-CNY, within which an order counts as near the margin.
    demand
        ``(num_lanes,) int64``: chosen orders are added.
    usage
        ``(num_rows,) int64``: likewise; or ``None``.
    pairs
        ``(m, 2)`` integers: filled with pairs of options, or of their lanes.

    Returns
    -------
    surplus, num_pairs
        Total saving of the choices beyond prices, micro-CNY; pairs written.
    """
    # Not 0 alone: numba would compile what takes it for that number too.
    surplus, num_pairs = np.int64(0), np.int64(0)
    best = np.empty(0, np.int64)
    second, ranked, pick = best.copy(), best.copy(), best.copy()
    for merchant in range(first_merchant, last_merchant):
        room = orders.cap[merchant]
        first = orders.merchant_start[merchant]
        last = orders.merchant_start[merchant + 1]
        if room == 0 or first == last:
            continue
        if len(best) < last - first:
            best = np.empty(2 * (last - first), np.int64)
            second, ranked, pick = best.copy(), best.copy(), best.copy()
        count, num_pinned = rank_orders(
            orders=orders,
            uses=uses,
            first=first,
            last=last,
            price=price,
            row_price=row_price,
            best=best,
            second=second,
            pick=pick,
            ranked=ranked,
        )
        inside, outside, ties = HIGH, HIGH, np.int64(0)
        if room > num_pinned:
            inside, outside, ties = cuts(ranked, count, room - num_pinned)
        last_in, first_out = at_the_cut(
            uses=uses,
            first=first,
            last=last,
            best=best,
            pick=pick,
            inside=inside,
            outside=outside,
        )
        last_in = rival(orders, uses, last_in)
        first_out = rival(orders, uses, first_out)
        for order in range(first, last):
            top = best[order - first]
            is_pinned = uses is not None and uses.is_pinned[order]
            if not is_pinned and top + window < max(inside, 0):
                continue
            is_chosen = is_pinned or top > outside
            if not is_chosen and top == outside and ties > 0:
                is_chosen = True
                ties -= 1
            if not is_chosen:
                num_pairs = add_pairs(
                    orders=orders,
                    uses=uses,
                    order=order,
                    first=last_in,
                    least=inside - window,
                    price=price,
                    row_price=row_price,
                    mine=np.int64(-1),
                    pairs=pairs,
                    num_pairs=num_pairs,
                )
                continue
            mine = rival(orders, uses, pick[order - first])
            surplus += top
            use_up(orders, uses, pick[order - first], demand, usage)
            # Dearer, it would go to its second best, or leave to the first outside.
            if is_pinned or second[order - first] >= outside:
                num_pairs = add_pairs(
                    orders=orders,
                    uses=uses,
                    order=order,
                    first=mine,
                    least=top - window,
                    price=price,
                    row_price=row_price,
                    mine=mine,
                    pairs=pairs,
                    num_pairs=num_pairs,
                )
            elif top - outside <= window and num_pairs < len(pairs):
                pairs[num_pairs, 0] = mine
                pairs[num_pairs, 1] = first_out
                num_pairs += 1
    return surplus, num_pairs


@kernel
def settle(
    first_merchant,
    last_merchant,
    orders,
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
    orders
        An :class:`~optimizer.solvers.market.Orders`.
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
        room = orders.cap[merchant]
        first = orders.merchant_start[merchant]
        last = orders.merchant_start[merchant + 1]
        if room == 0 or first == last:
            continue
        if len(ranked) < last - first:
            ranked = np.empty(2 * (last - first), np.int64)
        count = np.int64(0)
        for order in range(first, last):
            option, top, second = best_option(orders, None, order, price, None)
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
                top = reduced_saving(orders, None, option, price, None)
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
def rank_best(orders, first, last, price, best, ranked):
    """
    Write the best reduced saving of each of a merchant's orders.

    Positive ones are also written to ``ranked``, unsorted; returns their number.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    first, last
        The merchant's orders ``first : last``.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    best
        ``(n,) int64``: filled with the best reduced saving of each order, micro-CNY.
    ranked
        ``(n,) int64``: filled with the positive reduced savings, unsorted.
    """
    count = np.int64(0)
    for order in range(first, last):
        top = best_worth(orders, None, order, price, None)
        best[order - first] = top
        if top > 0:
            ranked[count] = top
            count += 1
    return count


@inner_kernel
def weakest_chosen(orders, chosen, start, end, price, highest):
    """
    The least reduced saving of some chosen options, at most ``highest``, and its
    option.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    chosen
        ``(num_chosen,) int64``: chosen options, ascending.
    start, end
        The merchant's chosen options are ``chosen[start:end]``.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    highest
        Value to return where all are at least this, micro-CNY.
    """
    weakest, weakest_option = highest, np.int64(-1)
    for spot in range(start, end):
        option = chosen[spot]
        reduced = reduced_saving(orders, None, option, price, None)
        if reduced < weakest:
            weakest, weakest_option = reduced, option
    return weakest, weakest_option


@inner_kernel
def raise_needed(orders, order, weakest, price, needed, wanting):
    """
    Raise the prices that lanes need so that an unchosen order wants none of them.

    Parameters
    ----------
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    order
        An order that is not chosen.
    weakest
        Least reduced saving of the merchant's chosen orders, micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    needed
        ``(num_lanes,) int64``: raised to the prices needed, micro-CNY.
    wanting
        ``(num_lanes,) int64``: set to the order wherever ``needed`` is raised.
    """
    for option in range(orders.option_start[order], orders.option_start[order + 1]):
        lane = orders.option_lane[option]
        least = orders.option_saving[option] - weakest
        if least > max(price[lane], needed[lane]):
            needed[lane] = least
            wanting[lane] = order


@kernel
def check(
    first_merchant,
    last_merchant,
    orders,
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
    orders
        An :class:`~optimizer.solvers.market.Orders`.
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
        room = orders.cap[merchant]
        first = orders.merchant_start[merchant]
        last = orders.merchant_start[merchant + 1]
        if first == last:
            continue
        if len(best) < last - first:
            best = np.empty(2 * (last - first), np.int64)
            ranked = np.empty(2 * (last - first), np.int64)
        count = rank_best(
            orders=orders,
            first=first,
            last=last,
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
            orders=orders,
            chosen=chosen,
            start=place,
            end=end,
            price=price,
            highest=HIGH if end - place == room else np.int64(0),
        )
        strongest = np.int64(0)
        for order in range(first, last):
            top = best[order - first]
            if top <= weakest and top <= strongest:
                continue
            while place < end and chosen[place] < orders.option_start[order]:
                place += 1
            if place < end and chosen[place] < orders.option_start[order + 1]:
                continue
            strongest = max(strongest, top)
            if top <= weakest:
                continue
            num_found = add_found(order, found, num_found)
            raise_needed(
                orders=orders,
                order=order,
                weakest=weakest,
                price=price,
                needed=needed,
                wanting=wanting,
            )
        order = first
        for spot in range(chosen_start[merchant], end):
            option = chosen[spot]
            while orders.option_start[order + 1] <= option:
                order += 1
            reduced = reduced_saving(orders, None, option, price, None)
            if reduced < best[order - first] or reduced < strongest:
                if yielding[merchant] < 0 or option == weakest_option:
                    yielding[merchant] = order
                num_found = add_found(order, found, num_found)
    return num_found


@bare_kernel
def closed_offers(
    first_merchant,
    last_merchant,
    orders,
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
    orders
        An :class:`~optimizer.solvers.market.Orders`.
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
        room = orders.cap[merchant]
        first = orders.merchant_start[merchant]
        last = orders.merchant_start[merchant + 1]
        if room == 0 or first == last:
            continue
        place, end = chosen_start[merchant], chosen_start[merchant + 1]
        weakest, _ = weakest_chosen(
            orders=orders,
            chosen=chosen,
            start=place,
            end=end,
            price=price,
            highest=HIGH if end - place == room else np.int64(0),
        )
        for order in range(first, last):
            worth = weakest
            if place < end and chosen[place] < orders.option_start[order + 1]:
                worth = reduced_saving(orders, None, chosen[place], price, None)
                place += 1
            for option in range(
                orders.option_start[order], orders.option_start[order + 1]
            ):
                lane = orders.option_lane[option]
                if is_closed[lane]:
                    offers[lane] = max(
                        offers[lane], orders.option_saving[option] - worth
                    )


@kernel
def surplus(
    first_merchant, last_merchant, orders, uses, price, row_price, merchant_price
):
    """
    Total saving beyond prices if lanes and rows had room for all orders.

    Kept pins are taken whatever they save. Writes to ``merchant_price``,
    ``(num_merchants,) int64``, the lowest best price of each cap.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    uses
        A :class:`~optimizer.solvers.market.Uses`; ``None`` where each option takes one
        slot.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` micro-CNY for a unit of weight, may be negative; or
        ``None``.
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
        room = orders.cap[merchant]
        first = orders.merchant_start[merchant]
        last = orders.merchant_start[merchant + 1]
        if len(ranked) < last - first:
            ranked = np.empty(2 * (last - first), np.int64)
        count = np.int64(0)
        for order in range(first, last):
            top = best_worth(orders, uses, order, price, row_price)
            if uses is not None and uses.is_pinned[order]:
                total += top
                room -= 1
            elif top > 0:
                ranked[count] = top
                count += 1
        merchant_price[merchant] = 0
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
    orders,
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
    orders
        An :class:`~optimizer.solvers.market.Orders`.
    price
        ``(num_lanes,) int64`` effective prices.
    merchant_price
        ``(num_merchants,) int64``.
    above
        ``(num_merchants,) int64``: takes the sum of what each order's best option saves
        above its lane's price and its merchant's, where it does.
    highest
        ``(num_merchants,) int64``: takes the most that an order saves above its lane's
        price; 0 where none does.
    """
    for merchant in range(first_merchant, last_merchant):
        cut = merchant_price[merchant]
        total, most = np.int64(0), np.int64(0)
        for order in range(
            orders.merchant_start[merchant], orders.merchant_start[merchant + 1]
        ):
            top = max(best_worth(orders, None, order, price, None), np.int64(0))
            most = max(most, top)
            if top > cut:
                total += top - cut
        above[merchant] = total
        highest[merchant] = most
