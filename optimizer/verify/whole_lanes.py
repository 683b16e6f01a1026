r"""
Greatest values of single lanes: the knapsacks of the second bound.

A lane of :math:`c` slots holds of items with loads :math:`l` and values :math:`v` at
most :math:`\max \sum v x` with :math:`\sum l x \le c`. This is computed slot by slot,
in slots of the loads' common divisor, or item by item where there are too many slots.
On lanes above ``MAX_SLOTS``, items that a price of a slot and a simple filling decide
with certainty are fixed first. The bound by that price is valid there too, so that a
night may have published a weaker one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

#: Above so many slots items are first put on their plain side.
MAX_SLOTS = 1_024
#: A table has at most so many slots; lanes of grams or coins may have billions.
MAX_TABLE = 2**22


def fill_worths(statement: duckdb.DuckDBPyConnection) -> None:
    """Give the statement the greatest value of each lane."""
    found = statement.execute(
        "SELECT i.lane, s.room, i.load, i.value::BIGINT AS value FROM item AS i "
        "JOIN lane_said AS s USING (lane) ORDER BY i.lane, i.load, i.value DESC"
    ).fetchnumpy()
    lane = np.asarray(found["lane"], np.int64)
    cuts = np.flatnonzero(np.diff(lane)) + 1
    worths = []
    for rows in np.split(np.arange(len(lane)), cuts):
        if len(rows):
            room = int(found["room"][rows[0]])
            loads = np.asarray(found["load"][rows], np.int64)
            values = np.asarray(found["value"][rows], np.int64)
            worth, by_price = most_worth(loads, values, room)
            worths.append((int(lane[rows[0]]), worth, by_price))
    if worths:
        statement.executemany("INSERT INTO given_worth VALUES (?, ?, ?)", worths)


def most_worth(
    loads: NDArray[np.int64],
    values: NDArray[np.int64],
    slots: int,
    *,
    is_filled: bool = True,
) -> tuple[int, int]:
    """
    Find the greatest value of a lane, and a bound on it by the price of a slot.

    Parameters
    ----------
    loads, values
        ``(k,) int64``, values above 0; ascending by load, and by value descending.
    slots
        Of the lane.
    is_filled
        Whether a lane above ``MAX_SLOTS`` is filled; else its price bounds it.

    Returns
    -------
    worth, by_price
        Equal for lanes of up to ``MAX_SLOTS`` slots, and for all that are not filled.

    Examples
    --------
    >>> most_worth(np.array([1, 1, 2]), np.array([5, 3, 9]), 2)
    (9, 9)
    """
    # Of one load no more than fit by themselves, the best first.
    turn = np.arange(len(loads)) - np.searchsorted(loads, loads)
    is_useful = turn < slots // loads
    if not is_useful.any():
        return 0, 0
    loads, values = loads[is_useful], values[is_useful]
    total = sum(values.tolist())
    if int(loads.sum()) <= slots or loads[0] == loads[-1]:
        return total, total
    if slots <= MAX_SLOTS:
        worth = _filled(loads, values, slots)
        return worth, worth
    _, by_price = _at_price(loads, values, slots)
    if not is_filled:
        return min(total, by_price), min(total, by_price)
    # As large units of loads and as small ones of values as there can be: a whole price
    # of a slot is then near the best one.
    size, fine = int(np.gcd.reduce(loads)), 1 << max(0, 60 - total.bit_length())
    worth = _kept_apart(loads // size, values * fine, slots // size) // fine
    return worth, min(total, by_price)


def _kept_apart(loads: NDArray[np.int64], values: NDArray[np.int64], slots: int) -> int:
    """Greatest value, with items that a price decides with certainty fixed first."""
    price, by_price = _at_price(loads, values, slots)
    simple = _in_turn(loads, values, slots)
    margin = values - loads * price
    is_sure = margin > by_price - simple
    is_open = np.abs(margin) <= by_price - simple
    sure, left = sum(values[is_sure].tolist()), slots - int(loads[is_sure].sum())
    if left < 0:
        return simple
    loads, values = loads[is_open], values[is_open]
    if left <= MAX_TABLE:
        return max(sure + _filled(loads, values, left), simple)
    return max(sure + _by_item(loads, values, left, price, simple - sure), simple)


def _filled(loads: NDArray[np.int64], values: NDArray[np.int64], slots: int) -> int:
    """Greatest value by number of slots."""
    slots = min(slots, int(loads.sum()))
    table = np.zeros(slots + 1, np.int64)
    for load, value in zip(loads.tolist(), values.tolist(), strict=True):
        if load <= slots:
            with_it = table[: slots + 1 - load] + value
            np.maximum(table[load:], with_it, out=table[load:])
    return int(table[slots])


def _by_item(
    loads: NDArray[np.int64],
    values: NDArray[np.int64],
    slots: int,
    price: int,
    least: int,
) -> int:
    """
    Greatest value by items, those first that a price decides most clearly.

    Choices are left out where others take no more and are worth as much, or where the
    price of the slots left and of the items to come proves them below ``least``.
    """
    margin = values - loads * price
    turn = np.argsort(-np.abs(margin), kind="stable")
    to_come = int(np.maximum(margin, 0).sum())
    used, worth = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for item in turn.tolist():
        to_come -= max(int(margin[item]), 0)
        used = np.append(used, used + loads[item])
        worth = np.append(worth, worth + values[item])
        by_use = np.lexsort((-worth, used))
        used, worth = used[by_use], worth[by_use]
        is_kept = np.append(True, worth[1:] > np.maximum.accumulate(worth)[:-1])
        is_kept &= used <= slots
        is_kept &= worth + (slots - used) * price + to_come >= least
        used, worth = used[is_kept], worth[is_kept]
    return int(worth.max(initial=0))


def _in_turn(loads: NDArray[np.int64], values: NDArray[np.int64], slots: int) -> int:
    """Value that fits when items are taken by value per slot."""
    worth = 0
    turn = np.argsort(-(values / loads), kind="stable")
    for load, value in zip(loads[turn].tolist(), values[turn].tolist(), strict=True):
        if load <= slots:
            slots, worth = slots - load, worth + value
    return worth


def _at_price(
    loads: NDArray[np.int64], values: NDArray[np.int64], slots: int
) -> tuple[int, int]:
    """The price of a slot that bounds a lane best, and the bound."""
    by_ratio = np.argsort(-(values / loads), kind="stable")
    full = int(np.searchsorted(np.cumsum(loads[by_ratio]), slots, side="right"))
    last = by_ratio[min(full, len(by_ratio) - 1)]
    price = int(values[last] // loads[last])
    bounds = {
        each: slots * each + sum(np.maximum(values - loads * each, 0).tolist())
        for each in (price, price + 1)
    }
    return min(bounds.items(), key=lambda item: (item[1], item[0]))
