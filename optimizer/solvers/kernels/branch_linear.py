"""
Prices of a node by its linear program: a dual simplex method on one table.

The table stays as the last node left it. Its basis prices every other node, too:
options lie between 0 and 1, so they can always be put where their reduced saving wants
them, and only limits that are broken then have to be mended. What is missing of a floor
has a column of its own, so that every node has an answer. All of it is floating
point, and only proposes prices; the bound is stated at them in integers.
"""

from __future__ import annotations

import numpy as np

from optimizer.kernel_cache import bare_kernel, kernel

#: What counts as 0: of an amount that is too much, and of an entry of the table.
TOO_MUCH, TINY = 1e-7, 1e-9
#: Pivots after which the table is computed anew.
FRESH = 200


@bare_kernel
def _clear(table, row, column):
    """Divide a row by its entry of a column, and take it from all others."""
    by = table[row, column]
    for at in range(table.shape[1]):
        table[row, at] /= by
    for other in range(len(table)):
        share = table[other, column]
        if other != row and share != 0.0:
            for at in range(table.shape[1]):
                table[other, at] -= share * table[row, at]


@bare_kernel
def _greatest(table, column, order):
    """The greatest entry of a column in rows that have no column yet, and its row."""
    best, at = 0.0, -1
    for row in range(len(order)):
        if order[row] < 0 and abs(table[row, column]) > best:
            best, at = abs(table[row, column]), row
    return best, at


@kernel
def fresh_table(linear, state):
    """Compute the table of the basis from the rows; that of slacks, if it fails."""
    count = len(linear.limit)
    columns = len(linear.cost)
    table, whole = state.table, linear.whole
    reduced, order = np.empty(columns), np.empty(count, np.int64)
    for _ in range(2):
        for row in range(count):
            order[row] = -1
            for column in range(columns + 1):
                table[row, column] = whole[row, column]
        for column in range(columns):
            reduced[column] = linear.cost[column]
        is_sound = True
        for place in range(count):
            column = state.basis[place]
            best, at = _greatest(table, column, order)
            if best < 1e-6:
                is_sound = False
                break
            order[at] = column
            _clear(table, at, column)
            share = reduced[column]
            if share != 0.0:
                for other in range(columns):
                    reduced[other] -= share * table[at, other]
        if is_sound:
            for row in range(count):
                state.basis[row] = order[row]
            for column in range(columns):
                state.reduced[column] = reduced[column]
            break
        for row in range(count):
            state.basis[row] = len(linear.saving) + row
    for column in range(columns):
        state.is_basic[column] = False
    for row in range(count):
        state.is_basic[state.basis[row]] = True
        state.reduced[state.basis[row]] = 0.0
    state.pivots[0] = 0


@bare_kernel
def _placed(linear, state, fixed, low, high):
    """
    Put every option where its reduced saving wants it, and add up what rows hold.

    Parameters
    ----------
    linear, state
        The program and its table; the answer is changed.
    fixed
        ``(num_options,) int8``: 1 in, -1 out, 0 open.
    low, high
        ``(num_columns,) float64``: filled with the limits of all columns.
    """
    options, columns = len(linear.saving), len(linear.cost)
    x, table = state.x, state.table
    for column in range(columns):
        if column >= options:
            low[column], high[column] = 0.0, linear.most[column]
        elif fixed[column] == 0:
            low[column], high[column] = 0.0, 1.0
        else:
            at = 1.0 if fixed[column] == 1 else 0.0
            low[column], high[column] = at, at
        if not state.is_basic[column]:
            up = state.reduced[column] > 0.0 and high[column] < np.inf
            x[column] = high[column] if up else low[column]
    for row in range(len(linear.limit)):
        value = table[row, columns]
        for column in range(columns):
            if x[column] != 0.0 and not state.is_basic[column]:
                value -= table[row, column] * x[column]
        x[state.basis[row]] = value


@bare_kernel
def _worst(state, low, high):
    """The row whose column is furthest beyond its limits; -1: none is."""
    most, row = TOO_MUCH, -1
    for place in range(len(state.basis)):
        here = state.basis[place]
        wrong = max(state.x[here] - high[here], low[here] - state.x[here])
        if wrong > most:
            most, row = wrong, place
    return row


@bare_kernel
def _ratios(state, row, is_above, low, high, ratio):
    """
    How far prices may go until each column that mends a row wants to move.

    Parameters
    ----------
    state
        The table.
    row, is_above
        The row, and whether its column is above its limits, not below.
    low, high
        ``(num_columns,) float64``: limits of all columns.
    ratio
        ``(num_columns,) float64``: filled; infinite where a column mends nothing.
    """
    for column in range(len(ratio)):
        ratio[column] = np.inf
        if state.is_basic[column] or low[column] == high[column]:
            continue
        amount = state.table[row, column]
        if not is_above:
            amount = -amount
        is_low = state.x[column] <= low[column]
        if (is_low and amount > TINY) or (not is_low and amount < -TINY):
            ratio[column] = abs(state.reduced[column]) / abs(amount)


@bare_kernel
def _entering(state, row, bound, low, high, ratio):
    """
    The column that enters; those before it go from one end to the other.

    Parameters
    ----------
    state, row
        As in :func:`_ratios`.
    low, high, ratio
        ``(num_columns,) float64``: likewise; ratios are used up.
    bound
        The limit to which the row's column goes.

    Returns
    -------
    int
        -1 where nothing mends the row.
    """
    x, table = state.x, state.table
    left = abs(x[state.basis[row]] - bound)
    while True:
        entering, best, size = -1, np.inf, 0.0
        for column in range(len(ratio)):
            near, amount = ratio[column], abs(table[row, column])
            if near == np.inf:
                continue
            is_tied = near <= best + 1e-12 and amount > size
            if near < best - 1e-12 or is_tied:
                best, size, entering = near, amount, column
        if entering < 0:
            return -1
        room = (high[entering] - low[entering]) * size
        if room >= left - TOO_MUCH:
            return entering
        # All of it is not enough: put it to its other end, and go on.
        other = high[entering] if x[entering] <= low[entering] else low[entering]
        for place in range(len(state.basis)):
            x[state.basis[place]] -= table[place, entering] * (other - x[entering])
        x[entering] = other
        left -= room
        ratio[entering] = np.inf


@bare_kernel
def _pivot(state, row, entering, bound):
    """
    Exchange a column of the basis, which goes to its limit.

    Parameters
    ----------
    state, row, bound
        As in :func:`_entering`.
    entering
        The column that takes its place.
    """
    x, table, reduced = state.x, state.table, state.reduced
    leaving, count = state.basis[row], len(state.basis)
    step = (x[leaving] - bound) / table[row, entering]
    for place in range(count):
        x[state.basis[place]] -= step * table[place, entering]
    x[entering] += step
    x[leaving] = bound
    _clear(table, row, entering)
    share = reduced[entering]
    for column in range(len(reduced)):
        reduced[column] -= share * table[row, column]
    reduced[entering] = 0.0
    state.basis[row] = entering
    state.is_basic[entering], state.is_basic[leaving] = True, False


@kernel
def solve_node(linear, state, fixed, most_pivots):
    """
    Solve a node's linear program from the present table.

    Parameters
    ----------
    linear
        A :class:`~optimizer.solvers.packing.branch_linear.LinearNight`.
    state
        A :class:`~optimizer.solvers.packing.branch_linear.LinearState`: changed; its
        ``x`` begins with how much of each option is taken.
    fixed
        ``(num_options,) int8``: 1 in, -1 out, 0 open.
    most_pivots
        Pivots at most.

    Returns
    -------
    int
        Number of pivots.
    """
    columns = len(linear.cost)
    low, high = np.empty(columns), np.empty(columns)
    if state.pivots[0] >= FRESH:
        fresh_table(linear, state)
    _placed(linear, state, fixed, low, high)
    ratio, pivots = np.empty(columns), 0
    while pivots < most_pivots:
        row = _worst(state, low, high)
        if row < 0:
            break
        leaving = state.basis[row]
        is_above = state.x[leaving] > high[leaving]
        _ratios(state, row, is_above, low, high, ratio)
        bound = high[leaving] if is_above else low[leaving]
        entering = _entering(state, row, bound, low, high, ratio)
        if entering < 0:
            break
        _pivot(state, row, entering, bound)
        pivots += 1
        state.pivots[0] += 1
    return pivots


@bare_kernel
def linear_prices(linear, state, night, prices):
    """
    Write the prices of the present table, to the nearest micro-CNY.

    Parameters
    ----------
    linear, state
        As in :func:`solve_node`.
    night
        A :class:`~optimizer.solvers.packing.branch_night.BranchNight`.
    prices
        ``(n,) int64``: filled; 0 but for the rows of the program.
    """
    options = len(linear.saving)
    for place in range(len(prices)):
        prices[place] = 0
    for row in range(len(linear.limit)):
        place = linear.place[row]
        if not night.has_price[place]:
            continue
        price = np.rint(-state.reduced[options + row] * linear.factor[row])
        low, high = float(night.lowest[place]), float(night.highest[place])
        prices[place] = np.int64(min(max(price, low), high))
