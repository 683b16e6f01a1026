"""The kernel that grows a tree: take a node, divide it, bound both parts."""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, kernel
from optimizer.solvers.kernels.branch import _choose, bound_node, has_open, write
from optimizer.solvers.kernels.branch_linear import linear_prices, solve_node

#: Bound of a node without plans.
NO_PLAN = -(2**62)
#: Why growing paused: all is closed; the nodes that were asked for; no memory or work.
DONE, PAUSED, FULL = 0, 1, 2
#: Places in ``tree.counts``: nodes, open nodes in the heap, the node to go on with, and
#: options that were priced.
NODES, WAITING, HERE, WORK = 0, 1, 2, 3
#: How far from 0 and 1 the share of an option has to be to be in doubt.
CLOSE = 1e-6


@bare_kernel
def fix(night, tree, number, fixed):
    """
    Write what the branchings on the way to a node decide.

    Parameters
    ----------
    night
        A :class:`~optimizer.solvers.packing.branch_night.BranchNight`.
    tree
        A :class:`~optimizer.solvers.packing.branch.GrownTree`.
    number
        The node.
    fixed
        ``(num_options,) int8``: filled with 1 in, -1 out, 0 open.
    """
    count, node = len(fixed), number
    for option in range(count):
        fixed[option] = 0
    while node > 0:
        option = tree.option[node]
        if not tree.is_in[node]:
            fixed[option] = -1
        else:
            order, other = night.option_order[option], option
            while other > 0 and night.option_order[other - 1] == order:
                other -= 1
            while other < count and night.option_order[other] == order:
                fixed[other] = -1
                other += 1
        node = tree.parent[node]
    node = number
    while node > 0:
        if tree.is_in[node]:
            fixed[tree.option[node]] = 1
        node = tree.parent[node]


@bare_kernel
def _is_within(used, most):
    """Whether no amount is above its limit."""
    for place in range(len(used)):
        if used[place] > most[place]:
            return False
    return True


@kernel
def _has_plans(night, fixed, kept):
    """Whether what is in keeps all limits, and pins that are kept can be."""
    cap, slots = (
        np.zeros(len(night.cap), np.int64),
        np.zeros(len(night.slots), np.int64),
    )
    row, can_be = np.zeros(len(night.high), np.int64), np.zeros(len(kept), np.bool_)
    for option in range(len(fixed)):
        order = night.option_order[option]
        if fixed[option] >= 0:
            can_be[order] = True
        if fixed[option] != 1:
            continue
        cap[night.order_merchant[order]] += 1
        lane = night.option_lane[option]
        while lane >= 0:
            slots[lane] += night.load[option]
            lane = night.lane_parent[lane]
        for entry in range(night.entry_start[option], night.entry_start[option + 1]):
            row[night.entry_row[entry]] += night.entry_weight[entry]
    for order in range(len(kept)):
        if kept[order] and not can_be[order]:
            return False
    return (
        _is_within(cap, night.cap)
        and _is_within(slots, night.slots)
        and _is_within(row, night.high)
    )


@bare_kernel
def ambiguous(fixed, share, saving, margin):
    """
    The open option that is chosen most nearly every other time; -1: none is open.

    Parameters
    ----------
    fixed
        ``(num_options,) int8``: 1 in, -1 out, 0 open.
    share
        ``(num_options,) float64``: how often or how much of each is chosen.
    saving, margin
        ``(num_options,) int64`` micro-CNY: of options alike, the greatest saving is
        taken, then the one nearest to its prices.
    """
    best, found = 0.0, -1
    for option in range(len(fixed)):
        if fixed[option] != 0:
            continue
        doubt = np.rint(100.0 * min(share[option], 1.0 - share[option]))
        is_better = found < 0 or doubt > best
        if not is_better and doubt == best:
            mine, other = abs(saving[option]), abs(saving[found])
            is_better = mine > other or (
                mine == other and abs(margin[option]) < abs(margin[found])
            )
        if is_better:
            best, found = doubt, option
    return found


@bare_kernel
def is_whole(fixed, share):
    """Whether no open option is in doubt."""
    for option in range(len(fixed)):
        if fixed[option] == 0 and min(share[option], 1.0 - share[option]) > CLOSE:
            return False
    return True


@bare_kernel
def _is_before(tree, one, other):
    """Whether a node is taken before another: by its bound, then by its number."""
    if tree.bound[one] != tree.bound[other]:
        return tree.bound[one] > tree.bound[other]
    return one < other


@bare_kernel
def _push(tree, number):
    heap, at = tree.heap, tree.counts[WAITING]
    tree.counts[WAITING] += 1
    while at > 0 and _is_before(tree, number, heap[(at - 1) // 2]):
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = number


@bare_kernel
def _pop(tree):
    heap = tree.heap
    tree.counts[WAITING] -= 1
    count, first = tree.counts[WAITING], heap[0]
    last, at = heap[count], 0
    while 2 * at + 1 < count:
        child = 2 * at + 1
        if child + 1 < count and _is_before(tree, heap[child + 1], heap[child]):
            child += 1
        if not _is_before(tree, heap[child], last):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = last
    return first


@kernel
def price_node(night, linear, state, fixed, prices, money, unit, steps, share):
    """
    Bound a node by its linear program, or by steps where there is none.

    Where lanes are filled as knapsacks, steps go on from the prices of the linear
    program; what it leaves in doubt is still what its answer says.

    Parameters
    ----------
    night, money, unit
        As in :func:`~optimizer.solvers.kernels.branch.bound_node`.
    fixed
        ``(num_options,) int8``: 1 in, -1 out, 0 open.
    prices
        ``(n,) int64``: known ones; the best ones found are written here.
    share
        ``(num_options,) float64``: filled with how much of each option is chosen.
    linear, state
        As in :func:`~optimizer.solvers.kernels.branch_linear.solve_node`.
    steps
        Steps at most.

    Returns
    -------
    bound, work
        Micro-CNY, exact at the prices that are written; options that were priced.
    """
    if len(linear.limit) == 0 or not has_open(fixed):
        bound, done = bound_node(
            night,
            fixed=fixed,
            prices=prices,
            money=money,
            unit=unit,
            most_steps=steps,
            share=share,
        )
        return bound, (done + 1) * len(fixed)
    profit, taken = np.zeros(len(fixed), np.int64), np.zeros(len(fixed), np.bool_)
    known = np.empty(len(prices), np.int64)
    write(prices, known)
    pivots = solve_node(linear, state, fixed, 50 * len(linear.limit) + 50)
    linear_prices(linear, state, night, prices)
    bound = _choose(night, fixed, prices, profit, taken)
    before = _choose(night, fixed, known, profit, taken)
    if before < bound:
        write(known, prices)
        bound = before
    done = 0
    if linear.is_filled and bound >= money + unit:
        bound, done = bound_node(
            night,
            fixed=fixed,
            prices=prices,
            money=money,
            unit=unit,
            most_steps=steps,
            share=share,
        )
    for option in range(len(fixed)):
        share[option] = min(max(state.x[option], 0.0), 1.0)
    return bound, (pivots * len(linear.limit) // 8 + 2 + done) * len(fixed)


@bare_kernel
def _prices_of(tree, number, prices):
    """Write the prices that a node has kept where the night has them."""
    for place in range(len(tree.priced)):
        prices[tree.priced[place]] = tree.prices[number, place]


@bare_kernel
def _keep_prices(tree, number, prices):
    for place in range(len(tree.priced)):
        tree.prices[number, place] = prices[tree.priced[place]]


@kernel
def grow(
    night, linear, state, tree, kept, margin, money, unit, steps, most, fixed, share
):
    """
    Divide nodes until so many are added, all are closed, or a limit is met.

    Parameters
    ----------
    night, linear, state
        The night, its linear program, and the table of that.
    tree
        A :class:`~optimizer.solvers.packing.branch.GrownTree`; its root is bounded.
    kept, margin
        As in :class:`~optimizer.solvers.packing.branch.Branching`.
    money, unit, steps
        As in :func:`price_node`.
    most
        ``(2,) int64``: nodes to add, and options that all may price.
    fixed
        ``(num_options,) int8``: filled with that of an open node that was added, the
        last or one whose answer is whole.
    share
        ``(num_options,) float64``: likewise.

    Returns
    -------
    int
        ``DONE``, ``PAUSED`` or ``FULL``.
    """
    counts, target = tree.counts, money + unit
    end = counts[NODES] + most[0]
    prices = np.zeros(len(night.has_price), np.int64)
    here_fixed, here_share = np.zeros(len(fixed), np.int8), np.zeros(len(fixed))
    while True:
        if counts[HERE] < 0:
            if counts[WAITING] == 0:
                return DONE
            counts[HERE] = _pop(tree)
        here = counts[HERE]
        if tree.bound[here] < target or tree.divide[here] < 0:
            # Closed, or at prices that may not be as high as they would have to be.
            counts[HERE] = -1
            continue
        if counts[NODES] + 2 > len(tree.parent) or counts[WORK] > most[1]:
            return FULL
        if counts[NODES] >= end:
            return PAUSED
        first, has_answer = counts[NODES], False
        for turn in range(2):
            number = counts[NODES]
            counts[NODES] += 1
            tree.parent[number], tree.option[number] = here, tree.divide[here]
            tree.is_in[number] = turn == 0
            tree.bound[number], tree.divide[number] = NO_PLAN, -1
            fix(night, tree, number, here_fixed)
            if not _has_plans(night, here_fixed, kept):
                continue
            _prices_of(tree, here, prices)
            bound, work = price_node(
                night,
                linear,
                state,
                fixed=here_fixed,
                prices=prices,
                money=money,
                unit=unit,
                steps=steps,
                share=here_share,
            )
            counts[WORK] += work
            tree.bound[number] = bound
            _keep_prices(tree, number, prices)
            if bound >= target:
                tree.divide[number] = ambiguous(
                    here_fixed, here_share, night.saving, margin
                )
                if not has_answer:
                    write(here_fixed, fixed)
                    write(here_share, share)
                    has_answer = len(linear.limit) > 0 and is_whole(fixed, share)
        one, other = first, first + 1
        if _is_before(tree, other, one):
            one, other = other, one
        if tree.bound[other] >= target:
            _push(tree, other)
        counts[HERE] = one if tree.bound[one] >= target else -1
        if has_answer:
            return PAUSED


@kernel
def needed(parent, bound, enough):
    """``(n,) bool``: nodes that are left where prices that suffice end a branch."""
    is_needed = np.zeros(len(parent), np.bool_)
    is_needed[0] = True
    for number in range(1, len(parent)):
        above = parent[number]
        is_needed[number] = is_needed[above] and bound[above] >= enough
    return is_needed


@kernel
def settle(night, tree, leaf, order_price):
    """
    Drop prices that leaves do not need: of orders without a choice.

    Parameters
    ----------
    night, tree
        As in :func:`fix`.
    leaf
        ``(num_leaves,) int64``: nodes.
    order_price
        ``(num_leaves, num_orders) int64``: changed.
    """
    fixed = np.zeros(len(night.saving), np.int8)
    for row in range(len(leaf)):
        fix(night, tree, leaf[row], fixed)
        has_choice = np.zeros(order_price.shape[1], np.bool_)
        for option in range(len(fixed)):
            if fixed[option] == 0:
                has_choice[night.option_order[option]] = True
        for order in range(len(has_choice)):
            if not has_choice[order]:
                order_price[row, order] = 0
