"""
Kernels that let merchants choose at prices of lanes and side rows.

As in :mod:`optimizer.solvers.kernels.choose`, but an option pays for each unit of
its load and of its weights. ``goods`` is a
:class:`~optimizer.solvers.packing.market.PackingOrders`; ``price`` are effective prices
of lanes, ``row_price`` signed prices of side rows.
"""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, kernel
from optimizer.solvers.kernels.rank import HIGH, cuts, kth_largest


@bare_kernel
def reduced_saving(goods, option, price, row_price):
    """
    Saving of an option beyond all prices except its merchant's.

    Parameters
    ----------
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
    option
        The option.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` signed prices of side rows, micro-CNY for a unit of
        weight.
    """
    worth = goods.option_saving[option]
    worth -= goods.option_load[option] * price[goods.option_lane[option]]
    for entry in range(goods.entry_start[option], goods.entry_start[option + 1]):
        worth -= goods.entry_weight[entry] * row_price[goods.entry_row[entry]]
    return worth


@bare_kernel
def best_of(goods, order, price, row_price):
    """
    Best option of an order, its reduced saving, and the second best one's.

    Parameters
    ----------
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
    order
        The order.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` signed prices of side rows, micro-CNY for a unit of
        weight.
    """
    top, second, best = -HIGH, -HIGH, np.int64(-1)
    for option in range(goods.option_start[order], goods.option_start[order + 1]):
        worth = reduced_saving(goods, option, price, row_price)
        if worth > top:
            second = top
            top = worth
            best = option
        else:
            second = max(second, worth)
    return best, top, second


@kernel
def surplus(first_merchant, last_merchant, goods, price, row_price, merchant_price):
    """
    Total saving beyond prices if every row had room for all orders.

    Pinned orders are chosen whatever they save. Writes to ``merchant_price`` the lowest
    best price of each cap.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` signed prices of side rows, micro-CNY for a unit of
        weight.
    merchant_price
        ``(num_merchants,) int64``: filled with the price of each cap, micro-CNY.

    Returns
    -------
    int
        Micro-CNY; the value of the caps at their prices is included.
    """
    total = np.int64(0)
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        room = goods.cap[merchant]
        first, last = goods.merchant_start[merchant], goods.merchant_start[merchant + 1]
        if len(ranked) < last - first:
            ranked = np.empty(2 * (last - first), np.int64)
        count = np.int64(0)
        for order in range(first, last):
            _, top, _ = best_of(goods, order, price, row_price)
            if goods.is_pinned[order]:
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
def add_pairs(goods, order, first, least, price, row_price, mine, pairs, num_pairs):
    """
    Pair ``first`` with each option of an order that saves at least ``least``.

    Its own choice ``mine`` is left out.

    Parameters
    ----------
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
    order
        The order.
    first
        Option that the others are paired with; -1 for none.
    least
        Least reduced saving for a pair, micro-CNY.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` signed prices of side rows, micro-CNY for a unit of
        weight.
    mine
        Option that is left out; -1 for none.
    pairs
        ``(m, 2) int64``: filled from row ``num_pairs`` on.
    num_pairs
        Rows of ``pairs`` that are filled.
    """
    for option in range(goods.option_start[order], goods.option_start[order + 1]):
        if option == mine or num_pairs == len(pairs):
            continue
        if reduced_saving(goods, option, price, row_price) >= least:
            pairs[num_pairs, 0] = first
            pairs[num_pairs, 1] = option
            num_pairs += 1
    return num_pairs


@bare_kernel
def use_up(goods, option, demand, usage):
    """
    Add the use of an option.

    Parameters
    ----------
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
    option
        The option.
    demand
        ``(num_lanes,) int64``: loads of chosen options are added.
    usage
        ``(num_rows,) int64``: weights of chosen options are added.
    """
    demand[goods.option_lane[option]] += goods.option_load[option]
    for entry in range(goods.entry_start[option], goods.entry_start[option + 1]):
        usage[goods.entry_row[entry]] += goods.entry_weight[entry]


@bare_kernel
def rank_orders(goods, first, last, price, row_price, best, second, pick, ranked):
    """
    Price a merchant's orders.

    Writes each order's ``best`` and ``second`` reduced savings and its ``pick``, and
    the positive ones of those that are not pinned to ``ranked``.

    Parameters
    ----------
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
    first, last
        The merchant's orders ``first : last``.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` signed prices of side rows, micro-CNY for a unit of
        weight.
    best, second
        ``(n,) int64``: filled with the best and second best reduced saving of each
        order, micro-CNY.
    pick
        ``(n,) int64``: filled with the best option of each order; -1 for none.
    ranked
        ``(n,) int64``: filled with the positive reduced savings of orders that are not
        pinned.

    Returns
    -------
    count, num_pinned
        How many are ranked; how many are pinned.
    """
    count, num_pinned = 0, 0
    for order in range(first, last):
        here = order - first
        pick[here], best[here], second[here] = best_of(goods, order, price, row_price)
        if goods.is_pinned[order]:
            num_pinned += 1
        elif best[here] > 0:
            ranked[count] = best[here]
            count += 1
    return count, num_pinned


@bare_kernel
def at_the_cut(goods, first, last, best, pick, inside, outside):
    """
    Options of the last order inside a cap and of the first outside; -1: none.

    Parameters
    ----------
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
    first, last
        The merchant's orders ``first : last``.
    best
        ``(n,) int64``: best reduced saving of each order, micro-CNY.
    pick
        ``(n,) int64``: best option of each order.
    inside, outside
        Least reduced saving inside the cap and greatest outside, micro-CNY.
    """
    option_inside, option_outside = np.int64(-1), np.int64(-1)
    if outside <= 0:
        return option_inside, option_outside
    for here in range(last - first):
        if goods.is_pinned[first + here]:
            continue
        if best[here] == inside and option_inside < 0:
            option_inside = pick[here]
        if best[here] == outside:
            option_outside = pick[here]
    return option_inside, option_outside


@kernel
def respond(
    first_merchant,
    last_merchant,
    goods,
    price,
    row_price,
    window,
    demand,
    usage,
    pairs,
):
    """
    Let merchants choose, and note which options compete for the next order.

    Adds the chosen loads to ``demand`` of their lanes, and their weights to ``usage``
    of the side rows. A pair of options (-1: none) is written for each order that
    would change between them if its value changed by up to ``window``: together the
    pairs are the slope of demand.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` signed prices of side rows, micro-CNY for a unit of
        weight.
    window
        Change of value, micro-CNY, within which an order counts as near the margin.
    demand
        ``(num_lanes,) int64``: loads of chosen options are added.
    usage
        ``(num_rows,) int64``: weights of chosen options are added.
    pairs
        ``(m, 2) int64``: filled with pairs of options.

    Returns
    -------
    surplus, num_pairs
        Total saving of the choices beyond prices, micro-CNY; pairs written.
    """
    total, num_pairs = np.int64(0), np.int64(0)
    best = np.empty(0, np.int64)
    second, ranked, pick = best.copy(), best.copy(), best.copy()
    for merchant in range(first_merchant, last_merchant):
        first, last = goods.merchant_start[merchant], goods.merchant_start[merchant + 1]
        if goods.cap[merchant] == 0 or first == last:
            continue
        if len(best) < last - first:
            best = np.empty(2 * (last - first), np.int64)
            second, ranked, pick = best.copy(), best.copy(), best.copy()
        count, num_pinned = rank_orders(
            goods=goods,
            first=first,
            last=last,
            price=price,
            row_price=row_price,
            best=best,
            second=second,
            pick=pick,
            ranked=ranked,
        )
        room = goods.cap[merchant] - num_pinned
        inside, outside, ties = HIGH, HIGH, 0
        if room > 0:
            inside, outside, ties = cuts(ranked, count, room)
        cut = at_the_cut(
            goods=goods,
            first=first,
            last=last,
            best=best,
            pick=pick,
            inside=inside,
            outside=outside,
        )
        for order in range(first, last):
            top, is_pinned = best[order - first], goods.is_pinned[order]
            if not is_pinned and top + window < max(inside, 0):
                continue
            is_chosen = is_pinned or top > outside
            if not is_chosen and top == outside and ties > 0:
                is_chosen = True
                ties -= 1
            if not is_chosen:
                num_pairs = add_pairs(
                    goods=goods,
                    order=order,
                    first=cut[0],
                    least=inside - window,
                    price=price,
                    row_price=row_price,
                    mine=np.int64(-1),
                    pairs=pairs,
                    num_pairs=num_pairs,
                )
                continue
            mine = pick[order - first]
            total += top
            use_up(goods, mine, demand, usage)
            if is_pinned or second[order - first] >= outside:
                num_pairs = add_pairs(
                    goods=goods,
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
                pairs[num_pairs, 1] = cut[1]
                num_pairs += 1
    return total, num_pairs


@kernel
def screen(
    first_merchant,
    last_merchant,
    goods,
    price,
    row_price,
    room,
    room_start,
    reach,
    kept,
    num_kept,
):
    """
    List the orders that could be chosen at prices somewhat like these.

    Of each merchant the ``room`` best by reduced saving that are at most ``reach``
    below their prices, of equal ones the first; and every kept pin.

    Parameters
    ----------
    first_merchant, last_merchant
        The merchants ``first_merchant : last_merchant``.
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    row_price
        ``(num_rows,) int64`` signed prices of side rows, micro-CNY for a unit of
        weight.
    room
        ``(num_merchants,) int64``: most orders to keep of each merchant.
    room_start
        ``(num_merchants + 1,) int64``: where each merchant's orders begin in ``kept``.
    reach
        Distance below the prices, micro-CNY, up to which an order is kept.
    kept
        ``(k,) int64``: filled with orders.
    num_kept
        ``(num_merchants,) int64``: filled with the number of orders kept.
    """
    best = np.empty(0, np.int64)
    ranked = np.empty(0, np.int64)
    for merchant in range(first_merchant, last_merchant):
        most = room[merchant]
        first, last = goods.merchant_start[merchant], goods.merchant_start[merchant + 1]
        if len(best) < last - first:
            best = np.empty(2 * (last - first), np.int64)
            ranked = np.empty(2 * (last - first), np.int64)
        count = np.int64(0)
        for order in range(first, last):
            _, top, _ = best_of(goods, order, price, row_price)
            best[order - first] = top
            if goods.is_pinned[order]:
                most -= 1
            elif top >= -reach:
                ranked[count] = top
                count += 1
        floor, ties = -reach, count
        if count > most:
            floor, ties = HIGH, np.int64(0)
            if most > 0:
                floor = kth_largest(ranked, count, most - 1)
                ties = most
                for place in range(most):
                    ties -= ranked[place] > floor
        place = room_start[merchant]
        for order in range(first, last):
            top = best[order - first]
            if not goods.is_pinned[order]:
                if top < floor:
                    continue
                if top == floor:
                    if ties == 0:
                        continue
                    ties -= 1
            kept[place] = order
            place += 1
        num_kept[merchant] = place - room_start[merchant]


@kernel
def slope_times(goods, pairs, lane_parent, vector, num_lanes):
    """
    Multiply the slope of demand by a change of own prices of lanes, then rows.

    With :math:`d` the use of a pair's first option minus that of its second,
    the slope is the sum of :math:`d d^T` over the pairs.

    Parameters
    ----------
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
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
            lane = goods.option_lane[option]
            change += sign * goods.option_load[option] * effective[lane]
            for entry in range(
                goods.entry_start[option], goods.entry_start[option + 1]
            ):
                row = num_lanes + goods.entry_row[entry]
                change += sign * goods.entry_weight[entry] * effective[row]
        for side in range(2):
            option = pairs[pair, side]
            if option < 0:
                continue
            part = change * (1.0 - 2.0 * side)
            result[goods.option_lane[option]] += part * goods.option_load[option]
            for entry in range(
                goods.entry_start[option], goods.entry_start[option + 1]
            ):
                row = num_lanes + goods.entry_row[entry]
                result[row] += part * goods.entry_weight[entry]
    for lane in range(num_lanes - 1, -1, -1):
        if lane_parent[lane] >= 0:
            result[lane_parent[lane]] += result[lane]
    return result


@kernel
def slope_diagonal(goods, pairs, lane_parent, num_rows):
    """
    Sum of squares of what the options of pairs use: bounds the slope's diagonal.

    Parameters
    ----------
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
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
            lane, load = goods.option_lane[option], float(goods.option_load[option])
            while lane >= 0:
                diagonal[lane] += load * load
                lane = lane_parent[lane]
            for entry in range(
                goods.entry_start[option], goods.entry_start[option + 1]
            ):
                weight = float(goods.entry_weight[entry])
                diagonal[num_lanes + goods.entry_row[entry]] += weight * weight
    return diagonal


@kernel
def price_step(goods, pairs, scale, lane_parent, is_free, excess, damping, rounds):
    """
    Solve (scale · slope + damping) · step = excess over the free prices.

    Conjugate gradients with a diagonal preconditioner; few rounds are enough.

    Parameters
    ----------
    goods
        A :class:`~optimizer.solvers.packing.market.PackingOrders`.
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
    diagonal = slope_diagonal(goods, pairs, lane_parent, len(excess) - num_lanes)
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
        image = scale * slope_times(goods, pairs, lane_parent, direction, num_lanes)
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
