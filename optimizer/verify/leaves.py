r"""
What the leaves of a tree are worth at most: many at once, in whole numbers.

A leaf has options :math:`T` that its plans take, others that they leave out, and prices
of merchants' slots, lanes, further limits and orders. With :math:`v_x` what option
:math:`x` saves less what it uses at these prices, its plans are worth at most

.. math:: \sum_y p_y c_y + \sum_{x \in T} v_x
    + \sum_\ell \max \Big\{ \sum_{x \in S} v_x : \sum_{x \in S} l_x \le
    c_\ell - \sum_{x \in T} l_x \Big\},

where :math:`S` is of the options of lane :math:`\ell` that are still free. Leaves have
the same options and loads, and differ in prices and in what is fixed: a lane is filled
for all of them in one table, slot by slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.verify.whole_lanes import MAX_SLOTS, most_worth

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

#: Prices times loads stay far inside 64 bits, or are no prices.
MAX_CHARGE = 2**60
#: Numbers in a table of leaves: they are looked at in pieces of that size.
MAX_NUMBERS = 2**22


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """
    All ways of the night's orders, and its limits.

    Attributes
    ----------
    number
        ``{(order_id, carrier_id): way}``.
    order, merchant, lane, load, saving
        ``(k,) int64`` by way; ``lane`` is the one that holds no other on its path.
    lane_use, row_use
        ``(k, n) int64``: what a way takes of each lane and each further limit.
    cap, room, high, low
        Limits of merchants, lanes and further rows; -1: no ceiling, no floor.
    lowest
        ``(num_rows,) int64``: how far below 0 the price of a floor may be.
    has_child
        ``(num_lanes,) bool``: lanes around others.
    must
        ``(num_orders,) bool``: pins that the plan keeps.
    rows
        Rows of published tables as places here, by table.
    scale
        What published prices of each place are divided by, by table.
    """

    number: Mapping[tuple[str, str], int]
    order: NDArray[np.int64]
    merchant: NDArray[np.int64]
    lane: NDArray[np.int64]
    load: NDArray[np.int64]
    saving: NDArray[np.int64]
    lane_use: NDArray[np.int64]
    row_use: NDArray[np.int64]
    cap: NDArray[np.int64]
    room: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    lowest: NDArray[np.int64]
    has_child: NDArray[np.bool_]
    must: NDArray[np.bool_]
    rows: Mapping[str, Mapping[Any, int]]
    scale: Mapping[str, NDArray[np.int64]]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """
    A node without children.

    Attributes
    ----------
    node
        Its number.
    fixed
        Ways that the branches to it fix, and whether its plans have them.
    prices
        Its prices above and below 0, ``{(table, place): price}``.
    """

    node: int
    fixed: Sequence[tuple[int, bool]]
    prices: Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True, eq=False)
class _Leaves:
    """
    Some leaves beside each other: axis 0 of every array.

    Attributes
    ----------
    taken, is_free
        ``(n, k) bool`` by way: the plans have it; it is still open.
    value
        ``(n, k) int64``: what a way saves, less what it uses at the leaf's prices.
    base
        What the prices and the ways taken come to, of any size.
    """

    taken: NDArray[np.bool_]
    is_free: NDArray[np.bool_]
    value: NDArray[np.int64]
    base: list[int]


class WrongTreeError(Exception):
    """The tree bounds nothing."""


def most_of_leaves(
    ways: Ways, leaves: Sequence[Leaf], *, is_filled: bool
) -> list[tuple[int, int] | None]:
    """
    Most that each leaf's plans can be worth, from both sides; ``None``: it has none.

    Parameters
    ----------
    ways, leaves
        The night, and leaves of its tree.
    is_filled
        Whether lanes above ``MAX_SLOTS`` are filled, not only priced: then both sides
        may differ.

    Raises
    ------
    WrongTreeError
        Prices with which no bound holds.
    """
    wide = max(len(ways.order), len(ways.room), len(ways.cap), len(ways.high), 1)
    step = max(1, MAX_NUMBERS // wide)
    return [
        bounds
        for start in range(0, len(leaves), step)
        for bounds in _most(ways, leaves[start : start + step], is_filled)
    ]


def _most(
    ways: Ways, leaves: Sequence[Leaf], is_filled: bool
) -> Iterator[tuple[int, int] | None]:
    has_plans, taken, is_free = _fixed(ways, leaves)
    prices = _prices(ways, leaves)
    of = np.flatnonzero(has_plans)
    given = {table: one[of] for table, one in prices.items()}
    some = _Leaves(
        taken=taken[of],
        is_free=is_free[of],
        value=_values(ways, given),
        base=[_paid(ways, leaves[leaf].prices) for leaf in of.tolist()],
    )
    found = iter(_lanes_filled(ways, some, is_filled))
    return (next(found) if has else None for has in has_plans.tolist())


def _fixed(
    ways: Ways, leaves: Sequence[Leaf]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which leaves have plans at all, what these take, and what is open to them."""
    num_leaves, num_ways = len(leaves), len(ways.order)
    pairs = np.array(
        [
            (at, way, is_in)
            for at, leaf in enumerate(leaves)
            for way, is_in in leaf.fixed
        ],
        np.int64,
    ).reshape(-1, 3)
    is_in = pairs[:, 2] == 1
    taken = np.zeros((num_leaves, num_ways), np.bool_)
    left_out = taken.copy()
    taken[pairs[is_in, 0], pairs[is_in, 1]] = True
    left_out[pairs[~is_in, 0], pairs[~is_in, 1]] = True
    at, way = np.nonzero(taken)

    def used(amounts: NDArray[np.int64], num: int) -> NDArray[np.int64]:
        total = np.zeros((num_leaves, num), np.int64)
        np.add.at(total, at, amounts)
        return total

    of_order = np.zeros((num_leaves, len(ways.must)), np.int64)
    np.add.at(of_order, (at, ways.order[way]), 1)
    of_merchant = np.zeros((num_leaves, len(ways.cap)), np.int64)
    np.add.at(of_merchant, (at, ways.merchant[way]), 1)
    is_free = ~left_out & (of_order[:, ways.order] == 0)
    can_be = of_order > 0
    free_at, free_way = np.nonzero(is_free & ways.must[ways.order])
    can_be[free_at, ways.order[free_way]] = True
    on_rows = used(ways.row_use[way], len(ways.high))
    has_plans: NDArray[np.bool_] = np.asarray(
        (of_order <= 1).all(axis=1)
        & ~(taken & left_out).any(axis=1)
        & (of_merchant <= ways.cap).all(axis=1)
        & (used(ways.lane_use[way], len(ways.room)) <= ways.room).all(axis=1)
        & ((ways.high < 0) | (on_rows <= ways.high)).all(axis=1)
        & can_be[:, ways.must].all(axis=1)
    )
    return has_plans, taken, is_free


def _prices(ways: Ways, leaves: Sequence[Leaf]) -> dict[str, NDArray[np.int64]]:
    """Prices of leaves by table; 0 where none is published."""
    prices = {
        table: np.zeros((len(leaves), len(one)), np.int64)
        for table, one in ways.scale.items()
    }
    for at, leaf in enumerate(leaves):
        for (table, place), price in leaf.prices.items():
            prices[table][at, place] = price
    row = prices["rows"]
    is_wrong = (
        (prices["lanes"] < 0).any(axis=1)
        | (prices["merchants"] < 0).any(axis=1)
        | ((prices["orders"] < 0) & ~ways.must).any(axis=1)
        | ((row > 0) & (ways.high < 0)).any(axis=1)
        | (-row > ways.lowest).any(axis=1)
    )
    if is_wrong.any():
        node = leaves[int(np.flatnonzero(is_wrong)[0])].node
        raise WrongTreeError(f"a price of node {node} bounds nothing")
    # In floats, which do not wrap around: the most that a way could pay for each limit.
    size = {table: np.abs(each.astype(np.float64)) for table, each in prices.items()}
    charged = size["lanes"] @ ways.lane_use.max(axis=0, initial=1).astype(np.float64)
    charged += size["rows"] @ ways.row_use.max(axis=0, initial=1).astype(np.float64)
    for table in ("orders", "merchants"):
        charged += size[table].max(axis=1, initial=0)
    for leaf, charge in zip(leaves, charged.tolist(), strict=True):
        if charge > MAX_CHARGE:
            raise WrongTreeError(f"a price of node {leaf.node} is beyond any saving")
    return prices


def _values(ways: Ways, prices: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """What each way saves, less what it uses: of outer lanes, and of all else."""
    outer = np.where(ways.has_child, prices["lanes"], 0)
    value = ways.saving - prices["merchants"][:, ways.merchant]
    value -= prices["orders"][:, ways.order]
    for price, use in ((outer, ways.lane_use), (prices["rows"], ways.row_use)):
        priced = np.flatnonzero(price.any(axis=0))
        value -= price[:, priced] @ use[:, priced].T
    most = int(np.abs(value).max(initial=0))
    if most * max(value.shape[1], 1) > MAX_CHARGE:
        raise WrongTreeError("prices of its nodes are beyond any saving")
    return value


def _paid(ways: Ways, prices: Mapping[tuple[str, int], int]) -> int:
    """What all that is limited costs at a leaf's prices."""
    total = 0
    for (table, place), price in prices.items():
        if table == "merchants":
            total += price * int(ways.cap[place])
        elif table == "lanes":
            total += price * int(ways.room[place]) * int(ways.has_child[place])
        elif table == "rows":
            limit = ways.high if price > 0 else ways.low
            total += price * int(limit[place])
        else:
            total += price
    return total


def _lanes_filled(ways: Ways, some: _Leaves, is_filled: bool) -> list[tuple[int, int]]:
    """Both sides of the leaves' bounds, lane after lane."""
    fixed = np.where(some.taken, some.value, 0).sum(axis=1)
    least = np.zeros(len(some.base), np.int64)
    most = least.copy()
    by_lane = np.lexsort((ways.load, ways.lane))
    cuts = np.flatnonzero(np.diff(ways.lane[by_lane])) + 1
    for of_lane in np.split(by_lane, cuts):
        if not len(of_lane):
            continue
        value = np.maximum(
            np.where(some.is_free[:, of_lane], some.value[:, of_lane], 0), 0
        )
        load = ways.load[of_lane]
        room = ways.room[ways.lane[of_lane[0]]] - some.taken[:, of_lane] @ load
        worth, by_price = _worths(load, value, room, is_filled)
        least += worth
        most += by_price
    paid = zip(some.base, fixed.tolist(), strict=True)
    base = [price + taken for price, taken in paid]
    return [
        (start + one, start + other)
        for start, one, other in zip(base, least.tolist(), most.tolist(), strict=True)
    ]


def _worths(
    load: NDArray[np.int64],
    value: NDArray[np.int64],
    room: NDArray[np.int64],
    is_filled: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """
    Greatest values of a lane in each leaf.

    Parameters
    ----------
    load
        ``(k,) int64``, ascending.
    value
        ``(n, k) int64`` from 0 on; 0: not in this leaf.
    room
        ``(n,) int64``: slots left.
    is_filled
        Whether large lanes are filled.
    """
    worth = value.sum(axis=1)
    is_full = np.flatnonzero((value > 0) @ load > room)
    by_price = worth.copy()
    unit = int(np.gcd.reduce(load))
    is_small = room[is_full] // unit <= MAX_SLOTS
    small = is_full[is_small]
    step = max(1, MAX_NUMBERS // (MAX_SLOTS + 1))
    for start in range(0, len(small), step):
        of = small[start : start + step]
        worth[of] = by_price[of] = _filled(load // unit, value[of], room[of] // unit)
    for leaf in is_full[~is_small].tolist():
        here = np.flatnonzero(value[leaf])
        here = here[np.lexsort((-value[leaf, here], load[here]))]
        worth[leaf], by_price[leaf] = most_worth(
            load[here], value[leaf, here], int(room[leaf]), is_filled=is_filled
        )
    return worth, by_price


def _filled(
    load: NDArray[np.int64], value: NDArray[np.int64], room: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Greatest value of each leaf, by number of slots."""
    slots = int(room.max())
    table = np.zeros((len(value), slots + 1), np.int64)
    for item in np.flatnonzero(value.any(axis=0) & (load <= slots)).tolist():
        with_it = table[:, : slots + 1 - load[item]] + value[:, item, None]
        np.maximum(table[:, load[item] :], with_it, out=table[:, load[item] :])
    return table[np.arange(len(value)), room]
