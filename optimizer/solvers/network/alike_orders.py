"""
Orders that are alike, solved once: same merchant, same options, same savings.

Alike orders differ only in their keys, so it only matters how many of them go where. A
night of classes is a smaller network whose arcs take several parcels. Its answer is
shared out in canonical order: the first orders of each class go to the first lane.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import lane_use, own_price
from optimizer.model.problem import Problem, starts
from optimizer.solvers.flow.plan import flow_of
from optimizer.solvers.network.price_interval import cap_prices, least_effective
from optimizer.solvers.owners import merchant_of_order

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Orders that are looked at to see whether merging is worth it, and the share of
#: classes among them up to which it is.
SAMPLE_ORDERS, FEW_CLASSES = 2_048, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """
    Orders by class.

    Attributes
    ----------
    first
        ``(num_classes,) int64``: the first order of each class, ascending.
    member
        ``(num_orders,) int64``: orders by class, and within it ascending.
    start
        ``(num_classes + 1,) int64``: where each class's members start.
    """

    first: NDArray[np.int64]
    member: NDArray[np.int64]
    start: NDArray[np.int64]

    @property
    def count(self) -> NDArray[np.int64]:
        """``(num_classes,) int64``: orders in each class."""
        return np.diff(self.start)


def is_tied(problem: Problem) -> bool:
    """
    Whether most orders in a sample of merchants are alike others.

    Whole merchants are sampled at even intervals, up to about so many orders.
    """
    from optimizer.solvers.kernels.rank import count_classes

    size = np.diff(problem.merchant_start)
    every = max(1, problem.num_orders // SAMPLE_ORDERS)
    merchants = np.flatnonzero(size > 0)[every // 2 :: every].copy()
    num_orders, num_classes = count_classes(
        merchants,
        SAMPLE_ORDERS,
        problem.merchant_start,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
    )
    return bool(num_orders >= 2 and num_classes <= FEW_CLASSES * num_orders)


def find_classes(problem: Problem, orders: NDArray[np.int64] | None = None) -> Classes:
    """
    Put orders that are alike together.

    Parameters
    ----------
    problem
        A night of the network class.
    orders
        Some orders, ascending; ``None``: all.
    """
    if orders is None:
        orders = np.arange(problem.num_orders)
        merchant = merchant_of_order(problem)
    else:
        merchant = np.searchsorted(problem.merchant_start, orders, side="right") - 1
    mark = _marks(problem, orders)
    turn = np.lexsort((orders, mark, merchant))
    is_new = np.ones(len(turn), np.bool_)
    is_new[1:] = (np.diff(merchant[turn]) != 0) | (mark[turn[1:]] != mark[turn[:-1]])
    group = np.cumsum(is_new) - 1
    odd = ~_are_alike(problem, orders[turn], orders[turn[is_new][group]])
    first = turn[is_new]
    if odd.any():
        group[odd] = len(first) + np.arange(int(odd.sum()))
        first = np.concatenate((first, turn[odd]))
    # Classes in the order of their first orders, so that these stand by merchant.
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    number = np.empty(len(turn), np.int64)
    number[turn] = rank[group]
    member = orders[np.argsort(number, kind="stable")]
    return Classes(np.sort(orders[first]), member, starts(number, len(first)))


def _marks(problem: Problem, orders: NDArray[np.int64]) -> NDArray[np.uint64]:
    """``(n,) uint64``: a hash of each order's options."""
    option, ways = options_of(problem, orders)
    mixed = problem.option_saving[option].astype(np.uint64) * _FACTORS[0]
    mixed += problem.option_lane[option].astype(np.uint64) * _FACTORS[1]
    mixed ^= mixed >> np.uint64(31)
    mixed *= _FACTORS[2]
    mixed ^= mixed >> np.uint64(29)
    mark = ways.astype(np.uint64)
    has_option = ways > 0
    if len(option):
        first = (np.cumsum(ways) - ways)[has_option]
        mark[has_option] += np.add.reduceat(mixed, first)
    return mark


_FACTORS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xBF58476D1CE4E5B9], np.uint64
)


def _are_alike(
    problem: Problem, one: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """``(n,) bool``: whether orders have the same options as others, one by one."""
    mine, ways = options_of(problem, one)
    same = ways == np.diff(problem.option_start)[other]
    offset = np.repeat(problem.option_start[other] - problem.option_start[one], ways)
    theirs = np.minimum(mine + offset, problem.num_options - 1)
    is_same = problem.option_lane[mine] == problem.option_lane[theirs]
    is_same &= problem.option_saving[mine] == problem.option_saving[theirs]
    number = np.repeat(np.arange(len(one)), ways)
    same[number[~is_same]] = False
    return same


def options_of(
    problem: Problem, orders: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Options of some orders, one order's after the other's; and how many each has."""
    first = problem.option_start[orders]
    ways = problem.option_start[orders + 1] - first
    begin = np.cumsum(ways) - ways
    return np.arange(int(ways.sum())) + np.repeat(first - begin, ways), ways


def solve_merged(
    problem: Problem, classes: Classes, ends: float, is_late: Callable[[], bool]
) -> (
    tuple[NDArray[np.int64], tuple[NDArray[np.int64], NDArray[np.int64]] | None] | None
):
    """
    Find the optimum of a night by its classes, and the least prices that prove it.

    Parameters
    ----------
    problem, classes
        The night, and which of its orders are alike.
    ends, is_late
        When to give up.

    Returns
    -------
    chosen, prices
        Options, ascending, and lane and merchant prices, ``None`` where there was no
        time for them; ``None`` where there was none for a plan.
    """
    night = merged(problem, classes)
    flow = flow_of(night, classes.count, ends)
    if flow is None:
        return None
    chosen = shared_out(problem, classes, night, flow)
    price = least_prices_of(problem, classes, chosen, is_late)
    if is_late():
        return chosen, None
    own = own_price(price, problem.lane_parent)
    return chosen, (own, cap_prices(problem, price))


def merged(problem: Problem, classes: Classes) -> Problem:
    """The first order of each class, as a problem of its own."""
    return _of_orders(problem, classes.first, problem.cap, problem.slots)


def _of_orders(
    problem: Problem,
    orders: NDArray[np.int64],
    cap: NDArray[np.int64],
    slots: NDArray[np.int64],
) -> Problem:
    option, ways = options_of(problem, orders)
    return Problem(
        merchant_start=np.searchsorted(orders, problem.merchant_start).astype(np.int64),
        cap=cap,
        option_start=np.append(0, np.cumsum(ways)).astype(np.int64),
        option_lane=problem.option_lane[option],
        option_saving=problem.option_saving[option],
        slots=slots,
        lane_parent=problem.lane_parent,
        key=problem.key[orders],
        row=problem.row[orders],
    )


def shared_out(
    problem: Problem, classes: Classes, night: Problem, flow: NDArray[np.int64]
) -> NDArray[np.int64]:
    """
    Share out the flow through each class to its orders, the first lane to the first.

    Parameters
    ----------
    problem, classes, night
        The night, its classes, and the night of these.
    flow
        ``(night.num_options,) int64``: parcels on each option.

    Returns
    -------
    ``(num_chosen,) int64``: options of the whole night, ascending.
    """
    used = np.flatnonzero(flow)
    kind = np.searchsorted(night.option_start, used, side="right") - 1
    offset = np.repeat(used - night.option_start[kind], flow[used])
    of = np.repeat(kind, flow[used])
    place = np.arange(len(of)) - np.searchsorted(of, of)
    order = classes.member[classes.start[of] + place]
    return np.sort(problem.option_start[order] + offset)


def least_prices_of(
    problem: Problem,
    classes: Classes,
    chosen: NDArray[np.int64],
    is_late: Callable[[], bool],
) -> NDArray[np.int64]:
    """
    The least effective prices that prove a plan, from few orders of each class.

    Of alike orders with the same choice one is enough: the first of each class on each
    lane, and the first that is out. Full caps and slots stay full, others stay open.

    Parameters
    ----------
    problem
        The night.
    classes
        Classes of orders that are alike.
    chosen
        ``(num_chosen,) int64``: chosen options of the plan, ascending.
    is_late
        Whether the time is up.
    """
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    way = np.full(problem.num_orders, -1, np.int64)
    way[order] = chosen - problem.option_start[order]
    number = np.repeat(np.arange(len(classes.first)), classes.count)
    turn = np.lexsort((classes.member, way[classes.member], number))
    member = classes.member[turn]
    is_new = np.ones(len(member), np.bool_)
    is_new[1:] = (np.diff(number[turn]) != 0) | (np.diff(way[member]) != 0)
    orders = np.sort(member[is_new])
    few = _of_orders(problem, orders, problem.cap, problem.slots)
    here = np.flatnonzero(way[orders] >= 0)
    picked = few.option_start[here] + way[orders[here]]
    merchant = np.searchsorted(few.merchant_start, here, side="right") - 1
    all_of = np.searchsorted(problem.merchant_start, order, side="right") - 1
    counts = [
        np.bincount(m, minlength=problem.num_merchants) for m in (merchant, all_of)
    ]
    parent = problem.lane_parent
    uses = [
        lane_use(few.option_lane[picked], parent),
        lane_use(problem.option_lane[chosen], parent),
    ]
    few = replace(
        few,
        cap=counts[0] + np.minimum(problem.cap - counts[1], 1),
        slots=uses[0] + np.minimum(problem.slots - uses[1], 1),
    )
    start = np.zeros(problem.num_lanes, np.int64)
    return least_effective(few, picked, start, is_late)
