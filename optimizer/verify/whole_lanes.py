r"""
The most that single lanes can hold: the knapsacks of the second bound.

A lane of :math:`c` slots holds of items with loads :math:`l` and values :math:`v` at
most :math:`\max \sum v x` with :math:`\sum l x \le c`. Up to ``MAX_SLOTS`` slots that
is worked out; above, where not everything fits, at the price of a slot at which the
lane is full, or one micro-CNY more, whichever bounds better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import duckdb
    from numpy.typing import NDArray

#: Most slots of a lane that is worked out.
MAX_SLOTS = 1_024


def fill_worths(statement: duckdb.DuckDBPyConnection) -> None:
    """Give the statement what each lane can hold at most."""
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
            worths.append((int(lane[rows[0]]), most_worth(loads, values, room)))
    if worths:
        statement.executemany("INSERT INTO given_worth VALUES (?, ?)", worths)


def most_worth(loads: NDArray[np.int64], values: NDArray[np.int64], slots: int) -> int:
    """
    Bound what a lane can hold.

    Parameters
    ----------
    loads, values
        ``(k,) int64``, values above 0; ascending by load, and by value descending.
    slots
        Of the lane.

    Examples
    --------
    >>> most_worth(np.array([1, 1, 2]), np.array([5, 3, 9]), 2)
    9
    """
    useful = [
        np.flatnonzero(loads == load)[: slots // int(load)]
        for load in np.unique(loads[loads <= slots])
    ]
    if not useful:
        return 0
    keep = np.concatenate(useful)
    loads, values = loads[keep], values[keep]
    if int(loads.sum()) <= slots or len(useful) == 1:
        return sum(values.tolist())
    if slots > MAX_SLOTS:
        return min(sum(values.tolist()), _by_price(loads, values, slots))
    table = np.zeros(slots + 1, np.int64)
    for load, value in zip(loads.tolist(), values.tolist(), strict=True):
        table[load:] = np.maximum(table[load:], table[:-load] + value)
    return int(table[slots])


def _by_price(loads: NDArray[np.int64], values: NDArray[np.int64], slots: int) -> int:
    by_ratio = np.argsort(-(values / loads), kind="stable")
    full = int(np.searchsorted(np.cumsum(loads[by_ratio]), slots, side="right"))
    last = by_ratio[min(full, len(by_ratio) - 1)]
    price = int(values[last] // loads[last])
    return min(
        slots * each + sum(np.maximum(values - loads * each, 0).tolist())
        for each in (price, price + 1)
    )
