r"""
Upper bounds on the value that each lane can hold, orders and caps ignored.

Lane :math:`\ell` with :math:`c` slots holds, of items with load :math:`l_a` and
value :math:`v_a`, at most

.. math:: \max_{x \in \{0,1\}} \sum_a v_a x_a
   \quad\text{s.t.}\quad \sum_a l_a x_a \le c .

Only the :math:`\lfloor c / l \rfloor` best items of each load matter. Lanes whose
items all fit, or all have one load, need no more; small ones are solved by dynamic
programming over slots, larger ones over the states that could still be best. Where
these become too many, the best value that any of them could reach is the bound.

References
----------
Nemhauser, G. L., Ullmann, Z. (1969). Discrete dynamic programming and capital
allocation. Management Science 15(9), 494-505. Pisinger, D. (1997). A minimal algorithm
for the 0-1 knapsack problem. Operations Research 45(5), 758-767.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Most slots of a lane that has a table, and cells of all tables at a time.
MAX_SLOTS, MAX_CELLS = 1_024, 2**22
#: States of all larger lanes together: about half a second.
MAX_STATES = 2**22
#: Values add up to less than this in each lane.
MAX_VALUE = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """
    Items that could go on lanes.

    Attributes
    ----------
    lane, load, value
        ``(k,) int64`` each: lane, slots that the item takes, and its value.
    rank
        ``(k,) int64``: place among items of the same lane and load, the best is 0.
    """

    lane: NDArray[np.int64]
    load: NDArray[np.int64]
    value: NDArray[np.int64]
    rank: NDArray[np.int64]

    def of(self, keep: NDArray[np.bool_] | slice) -> Items:
        """Some of the items."""
        return Items(
            self.lane[keep], self.load[keep], self.value[keep], self.rank[keep]
        )


def lane_worths(
    lane: NDArray[np.integer],
    load: NDArray[np.int64],
    value: NDArray[np.int64],
    slots: NDArray[np.int64],
    states: int | None = None,
) -> NDArray[np.int64]:
    """
    Bound the total value of each lane's items.

    Parameters
    ----------
    lane, load, value
        ``(k,)`` integers: lane, slots and value of each item; items whose value is not
        above 0 are left out.
    slots
        ``(num_lanes,) int64``.
    states
        Of all large lanes together; ``MAX_STATES`` where it is not given. With none,
        these lanes are bounded by a price of their slots.

    Returns
    -------
    ``(num_lanes,) int64``: the best, or not below it for lanes with more states than
    there are for them.

    Raises
    ------
    CertificateError
        When values are too large to add up.

    Examples
    --------
    >>> lane, load = np.array([0, 0, 0]), np.array([2, 1, 1])
    >>> lane_worths(lane, load, np.array([9, 5, 3]), np.array([2])).tolist()
    [9]
    """
    of_lane = np.asarray(lane, np.int64)
    gains = np.flatnonzero((value > 0) & (load <= slots[of_lane]))
    of_lane, load, value = of_lane[gains], load[gains], value[gains]
    if int(value.max(initial=0)) * len(value) > MAX_VALUE:
        raise CertificateError("a price is beyond any saving, and could overflow")
    worth = _sums(of_lane, value, len(slots))
    # Lanes on which all that gains fits need no more.
    is_full = (_sums(of_lane, load, len(slots)) > slots)[of_lane]
    items = _useful(of_lane[is_full], load[is_full], value[is_full], slots)
    total_load = _sums(items.lane, items.load, len(slots))
    full = np.unique(items.lane)
    worth[full] = _sums(items.lane, items.value, len(slots))[full]
    lightest = np.full(len(slots), 2**62)
    heaviest = np.zeros(len(slots), np.int64)
    np.minimum.at(lightest, items.lane, items.load)
    np.maximum.at(heaviest, items.lane, items.load)
    # Where all items have one load, as many were kept as fit.
    is_hard = (total_load > slots) & (lightest < heaviest)
    small = np.flatnonzero(is_hard & (slots <= MAX_SLOTS))
    worth[small] = _by_tables(items, small, slots)
    large = np.flatnonzero(is_hard & (slots > MAX_SLOTS))
    worth[large] = np.minimum(worth[large], _by_prices(items, large, slots))
    states = MAX_STATES if states is None else states
    first, last = np.searchsorted(items.lane, [large, large + 1])
    for lane_number, begin, end in zip(large, first, last, strict=True):
        if states >= len(large):
            here = items.of(np.s_[begin:end])
            most = _by_states(here, int(slots[lane_number]), states // len(large))
            worth[lane_number] = min(worth[lane_number], most)
    return worth


def _useful(
    lane: NDArray[np.int64],
    load: NDArray[np.int64],
    value: NDArray[np.int64],
    slots: NDArray[np.int64],
) -> Items:
    """Items that could be in an optimal choice: of each load as many as fit."""
    by_rank = np.lexsort((-value, load, lane))
    lane, load, value = lane[by_rank], load[by_rank], value[by_rank]
    is_first = np.ones(len(lane), bool)
    is_first[1:] = (np.diff(lane) != 0) | (np.diff(load) != 0)
    first = np.flatnonzero(is_first)
    rank = np.arange(len(lane)) - np.repeat(first, np.diff(np.append(first, len(lane))))
    return Items(lane, load, value, rank).of(rank < slots[lane] // load)


def _sums(
    group: NDArray[np.int64], values: NDArray[np.int64], num_groups: int
) -> NDArray[np.int64]:
    total = np.zeros(num_groups, np.int64)
    np.add.at(total, group, values)
    return total


def _by_tables(
    items: Items, lanes: NDArray[np.int64], slots: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Greatest value of some lanes, by dynamic programming, many lanes at a time."""
    worth = np.zeros(len(lanes), np.int64)
    place = np.full(len(slots), -1, np.int64)
    for part in _batches(slots[lanes]):
        width = int(slots[lanes[part]].max()) + 1
        place[:] = -1
        place[lanes[part]] = np.arange(len(part))
        table = np.zeros((len(part), width), np.int64)
        here = items.of(place[items.lane] >= 0)
        _fill(table, place[here.lane], here)
        worth[part] = table[np.arange(len(part)), slots[lanes[part]]]
    return worth


def _batches(slots: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Lanes of like sizes together, as many as the tables may hold."""
    by_size = np.argsort(slots, kind="stable")
    size = np.frexp(slots[by_size].astype(float))[1]
    for group in np.split(by_size, np.flatnonzero(np.diff(size)) + 1):
        if len(group):
            most = max(1, MAX_CELLS // (int(slots[group].max()) + 1))
            yield from np.split(group, range(most, len(group), most))


def _fill(table: NDArray[np.int64], row: NDArray[np.int64], items: Items) -> None:
    """Add items to the tables, those of one load and rank in all rows at once."""
    turn = np.lexsort((items.rank, items.load))
    load, rank = items.load[turn], items.rank[turn]
    cuts = np.flatnonzero((np.diff(load) != 0) | (np.diff(rank) != 0)) + 1
    for step in np.split(turn, cuts):
        if len(step) == 0:
            continue
        rows, weight = row[step], int(items.load[step[0]])
        best = table[rows]
        added = best[:, :-weight] + items.value[step][:, None]
        best[:, weight:] = np.maximum(best[:, weight:], added)
        table[rows] = best


def _by_states(items: Items, slots: int, work: int) -> int:
    """
    The greatest value of one large lane, from at most ``work`` states.

    At the value ratio of the break item each item is in or out, and switching it loses
    something. Items are decided in ascending order of that loss. A state is the load
    and value of all decided items, with the others left as they are. Dominated states
    are dropped, as are those whose loss puts them below the best choice that fits.
    """
    by_ratio = np.argsort(-(items.value / items.load), kind="stable")
    full = np.searchsorted(np.cumsum(items.load[by_ratio]), slots, side="right")
    break_item = by_ratio[min(int(full), len(by_ratio) - 1)]
    over, under = int(items.load[break_item]), int(items.value[break_item])
    total = int(items.value.sum())
    if (total + 1) * over + (slots + int(items.load.sum())) * under >= MAX_VALUE:
        return total
    margin = items.value * over - items.load * under
    is_in = margin > 0
    turn = np.argsort(np.abs(margin), kind="stable")
    load, value = np.where(is_in, -items.load, items.load), items.value
    value = np.where(is_in, -value, value)
    can_leave = _after(np.maximum(-load[turn], 0))
    unit = int(np.gcd.reduce(items.value))
    used = np.array([items.load[is_in].sum()])
    worth = np.array([items.value[is_in].sum()])
    best = _greedy(items, by_ratio, slots)
    for place, item in enumerate(turn.tolist()):
        work -= len(used)
        if work < 0 or len(used) == 0:
            break
        used, worth = _with_item(used, worth, int(load[item]), int(value[item]))
        best = max(best, int(worth[used <= slots].max(initial=0)))
        is_open = worth * over + (slots - used) * under >= (best + unit) * over
        is_open &= used - can_leave[place] <= slots
        used, worth = used[is_open], worth[is_open]
    else:
        return best
    most = worth * over + (slots - used) * under
    return max(best, int(most.max(initial=0)) // over)


def _with_item(
    used: NDArray[np.int64], worth: NDArray[np.int64], load: int, value: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All states with and without a change; dominated ones are left out."""
    both, worths = np.append(used, used + load), np.append(worth, worth + value)
    turn = np.lexsort((-worths, both))
    both, worths = both[turn], worths[turn]
    is_better = np.ones(len(both), np.bool_)
    is_better[1:] = worths[1:] > np.maximum.accumulate(worths)[:-1]
    return both[is_better], worths[is_better]


def _after(loads: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of the values after each position."""
    return loads.sum() - np.cumsum(loads)


def _greedy(items: Items, by_ratio: NDArray[np.int64], slots: int) -> int:
    """Value that fits when items are taken by ratio."""
    worth = 0
    for load, value in zip(
        items.load[by_ratio].tolist(), items.value[by_ratio].tolist(), strict=True
    ):
        if load <= slots:
            slots, worth = slots - load, worth + value
    return worth


def _by_prices(
    items: Items, lanes: NDArray[np.int64], slots: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Bound lanes by pricing their slots at the ratio where each is full."""
    here = items.of(np.isin(items.lane, lanes))
    place = np.searchsorted(lanes, here.lane)
    turn = np.lexsort((-(here.value / here.load), place))
    load, at = here.load[turn], place[turn]
    first = np.searchsorted(at, np.arange(len(lanes)))
    used = np.cumsum(load)
    used -= np.repeat(used[first] - load[first], np.diff(first, append=len(used)))
    is_over = np.flatnonzero(used > slots[lanes][at])
    _, last = np.unique(at[is_over], return_index=True)
    full = turn[is_over[last]]
    price = here.value[full] // here.load[full]
    worths = [
        slots[lanes] * each
        + _sums(place, np.maximum(here.value - here.load * each[place], 0), len(lanes))
        for each in (price, price + 1)
    ]
    return np.minimum(*worths)
