"""
Of several optimal plans the same one, whatever found it.

At optimal prices (:mod:`optimizer.solvers.network.price_interval`: the least ones, so
the same for every method) an order worth more than its cap's price, on one lane alone,
is decided; so is one worth less. The others are *tied*. A plan is optimal exactly where
every lane and cap with a price is full, every tied order stays on lanes where it is
worth most, and those worth more than their cap's price are chosen. That is a network
without costs: merchants, kinds of tied orders (same merchant, same best lanes), lanes.
Of its flows the one is taken that is cheapest by hashes of each kind's first key and
the lane; within a kind the first orders by key go to the first lane. Neither knows the
plan that was found, nor how.

Where the network of what may change has no cycle there is one optimal plan, and nothing
is solved; that is the rule on savings that differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.errors import SolveError
from optimizer.model.lane_tree import effective_price, lane_use
from optimizer.solvers.deadline import OutOfTime, ends_after
from optimizer.solvers.flow.arcs import Network
from optimizer.solvers.flow.plan import find_flow
from optimizer.solvers.kernels.rank import HIGH
from optimizer.solvers.market import Threads, running, whole_market
from optimizer.solvers.network.alike_orders import options_of
from optimizer.solvers.network.screen import is_closed
from optimizer.solvers.owners import merchant_at, order_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution, SolveParams

#: Tied orders that a part of a market lists at first.
FEW_TIED = 4_096
#: Bits of a hashed cost, of which a few tell most flows apart and each takes time; and
#: of what OR-Tools makes of it with so many nodes.
COST_BITS, SCALED_BITS = 24, 59


@dataclass(frozen=True, slots=True, eq=False)
class Tied:
    """
    Tied orders by kind: the same merchant, and the same lanes where they save most.

    Attributes
    ----------
    order, kind
        ``(num_tied,) int64``: orders by kind, ascending in each, and their kinds.
    first
        ``(num_kinds + 1,) int64``: where the orders of each kind start.
    option, option_start
        Best options of each order, by lane, and where those of each start.
    is_sure
        ``(num_kinds,) bool``: whether all orders are chosen.
    """

    order: NDArray[np.int64]
    kind: NDArray[np.int64]
    first: NDArray[np.int64]
    option: NDArray[np.int64]
    option_start: NDArray[np.int64]
    is_sure: NDArray[np.bool_]


class Ways(NamedTuple):
    """
    Best lanes of each kind: where they start, whose each is, and the lane itself.

    ``held`` is how many orders of the kind a plan has there.
    """

    start: NDArray[np.int64]
    kind: NDArray[np.int64]
    lane: NDArray[np.int64]
    held: NDArray[np.int64]


class Arcs(NamedTuple):
    """What may change: from where, to where, the most that may flow, and what does."""

    tail: NDArray[np.int64]
    head: NDArray[np.int64]
    most: NDArray[np.int64]
    flow: NDArray[np.int64]


def solve_canonically(
    solver: Callable[[Problem, SolveParams], Solution],
    problem: Problem,
    params: SolveParams,
) -> Solution:
    """Solve a network night, and take the canonical plan of those that are optimal."""
    ends = ends_after(params.time_limit_seconds)
    solution = solver(problem, params)
    with Threads(params.num_threads) as pool:
        return with_canonical_plan(problem, solution, pool, ends())


def with_canonical_plan(
    problem: Problem,
    solution: Solution,
    pool: Threads | None = None,
    ends: float = np.inf,
) -> Solution:
    """
    Change an optimal plan to the canonical one, of the same worth.

    Parameters
    ----------
    problem, solution
        The night, and an optimal plan with the least prices that prove it.
    pool
        Threads; ``None``: this one alone.
    ends
        When to give up, on the monotonic clock.

    Returns
    -------
    Solution
        With the same prices. The plan is returned as it is where it is not optimal, or
        the time was up.
    """
    if solution.termination.reason != "OPTIMAL":
        return solution
    price = barred(problem, effective_price(solution.lane_price, problem.lane_parent))
    orders = tied_orders(problem, price, solution.merchant_price, pool)
    saves = problem.option_saving[solution.chosen] > 0
    if not saves.all():
        solution = replace(solution, chosen=solution.chosen[saves])
    if not _leave_choice(problem, solution, price, orders):
        return solution
    tied = _by_kind(problem, orders, price, solution.merchant_price)
    try:
        return _decided(problem, solution, tied, ends)
    except (OutOfTime, SolveError):
        return solution


def barred(problem: Problem, price: NDArray[np.int64]) -> NDArray[np.int64]:
    """Effective prices, above every saving where a lane takes nothing."""
    return np.where(is_closed(problem), HIGH, price)


def count_tied(
    problem: Problem, price: NDArray[np.int64], merchant_price: NDArray[np.int64]
) -> NDArray[np.int64]:
    """``(num_merchants,) int64``: each one's orders that prices do not decide."""
    orders = tied_orders(problem, price, merchant_price, None)
    merchant = merchant_at(problem, orders)
    return np.bincount(merchant, minlength=problem.num_merchants)


def tied_orders(
    problem: Problem,
    price: NDArray[np.int64],
    merchant_price: NDArray[np.int64],
    pool: Threads | None,
) -> NDArray[np.int64]:
    """
    Orders that effective prices do not decide, ascending.

    Parameters
    ----------
    problem
        The night.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY; above every saving on lanes
        without slots.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY: price of a place in each cap.
    pool
        Threads that share the merchants; ``None``: one thread.
    """
    from optimizer.solvers.kernels.tied import list_tied

    full = whole_market(problem)
    orders = full.orders

    def work(_: int, first: int, last: int) -> NDArray[np.int64]:
        size = FEW_TIED
        while True:
            found = np.empty(size, np.int64)
            count = list_tied(
                first,
                last,
                merchant_start=orders.merchant_start,
                cap=orders.cap,
                option_start=orders.option_start,
                option_lane=orders.option_lane,
                option_saving=orders.option_saving,
                price=price,
                merchant_price=merchant_price,
                found=found,
            )
            if count <= size:
                return found[:count]
            size = count

    if pool is not None:
        return np.concatenate(pool.over_parts(full, work))
    return work(0, 0, problem.num_merchants)


def _leave_choice(
    problem: Problem,
    solution: Solution,
    price: NDArray[np.int64],
    orders: NDArray[np.int64],
) -> bool:
    from optimizer.solvers.kernels.tied import leave_choice

    if len(orders) == 0:
        return False
    return bool(
        leave_choice(
            orders=orders,
            order_merchant=merchant_at(problem, orders),
            option_start=problem.option_start,
            option_lane=problem.option_lane,
            option_saving=problem.option_saving,
            price=price,
            merchant_price=solution.merchant_price,
            lane_parent=problem.lane_parent,
            own_price=solution.lane_price,
        )
    )


def _by_kind(
    problem: Problem,
    orders: NDArray[np.int64],
    price: NDArray[np.int64],
    merchant_price: NDArray[np.int64],
) -> Tied:
    """Put tied orders together that have the same merchant and the same best lanes."""
    option, place, top = _best_options(problem, orders, price)
    start = running(np.bincount(place, minlength=len(orders)))
    merchant, ways = merchant_at(problem, orders), np.diff(start)
    is_sure = top > merchant_price[merchant]
    lane = np.full((int(ways.max(initial=0)), len(orders)), problem.num_lanes)
    way = np.arange(len(option)) - start[place]
    lane[way, place] = problem.option_lane[option]
    marks = np.concatenate((lane[::-1], [2 * merchant + is_sure]))
    by_kind = np.lexsort(marks)
    is_new = np.any(np.diff(marks[:, by_kind], axis=1) != 0, axis=0)
    kind = np.concatenate(([0], np.cumsum(is_new)))
    ways = ways[by_kind]
    first = running(np.bincount(kind))
    at = np.repeat(start[by_kind] - running(ways)[:-1], ways) + np.arange(ways.sum())
    sure = is_sure[by_kind][first[:-1]]
    return Tied(orders[by_kind], kind, first, option[at], running(ways), sure)


def _best_options(
    problem: Problem, orders: NDArray[np.int64], price: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Best options of some orders, by order and lane; whose, and what they save."""
    option, ways = options_of(problem, orders)
    place = np.repeat(np.arange(len(orders)), ways)
    saving, lane = problem.option_saving[option], problem.option_lane[option]
    reduced = np.where(saving > 0, saving - price[lane], -HIGH)
    top = np.maximum.reduceat(reduced, running(ways)[:-1])
    is_best = reduced == top[place]
    option, place, lane = option[is_best], place[is_best], lane[is_best]
    by_lane = np.argsort(place * problem.num_lanes + lane, kind="stable")
    return option[by_lane], place, top


def _decided(problem: Problem, solution: Solution, tied: Tied, ends: float) -> Solution:
    """Decide tied orders by the cheapest flow of what may change."""
    chosen = solution.chosen
    is_tied = is_among(order_at(problem, chosen), np.sort(tied.order))
    ways = _ways(problem, tied, chosen[is_tied])
    key = problem.key[tied.order[tied.first[:-1]]][ways.kind]
    arcs = _arcs(problem, solution, tied, ways)
    flow = _cheapest(arcs, _hashed(key, ways.lane), ends)
    # Of each kind the first orders go to the first lane, the next to the second.
    count = np.add.reduceat(flow, ways.start[:-1])
    taken = np.repeat(np.arange(len(flow)) - ways.start[ways.kind], flow)
    turn = np.arange(len(taken)) - np.repeat(running(count)[:-1], count)
    place = np.repeat(tied.first[:-1], count) + turn
    picked = tied.option[tied.option_start[place] + taken]
    return replace(solution, chosen=np.sort(np.concatenate((chosen[~is_tied], picked))))


def is_among(values: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.bool_]:
    """
    Whether each value is one of some items, which ascend.

    Examples
    --------
    >>> is_among(np.array([7, 2, 3]), np.array([2, 5])).tolist()
    [False, True, False]
    """
    place = np.searchsorted(items, values)
    found = place < len(items)
    found[found] = items[place[found]] == values[found]
    return found


def _ways(problem: Problem, tied: Tied, chosen: NDArray[np.int64]) -> Ways:
    """Best lanes of each kind, and how many orders have which of them in a plan."""
    example = tied.first[:-1]
    num_ways = tied.option_start[example + 1] - tied.option_start[example]
    start = running(num_ways)
    kind = np.repeat(np.arange(len(num_ways)), num_ways)
    first = np.repeat(tied.option_start[example] - start[:-1], num_ways)
    lane = problem.option_lane[tied.option[first + np.arange(len(first))]]
    count = np.diff(tied.option_start)
    place = np.repeat(np.arange(len(count)), count)
    way = np.arange(len(place)) - tied.option_start[place] + start[tied.kind[place]]
    held = np.bincount(way[is_among(tied.option, chosen)], minlength=start[-1])
    return Ways(start, kind, lane.astype(np.int64), held)


def _arcs(problem: Problem, solution: Solution, tied: Tied, ways: Ways) -> Arcs:
    """
    What may change, between the outside, merchants, lanes and kinds.

    Arcs go from kinds to lanes, in the order of ways, then from merchants to kinds,
    from lanes to those around them or outside, and from there to merchants.
    """
    num_kinds, sizes = len(tied.is_sure), np.diff(tied.first)
    first_lane = 1 + problem.num_merchants
    first_kind = first_lane + problem.num_lanes
    merchant = merchant_at(problem, tied.order[tied.first[:-1]])
    used = np.bincount(
        merchant_at(problem, order_at(problem, solution.chosen)),
        minlength=problem.num_merchants,
    )
    on_lane = lane_use(problem.option_lane[solution.chosen], problem.lane_parent)
    parent = problem.lane_parent.astype(np.int64)
    is_open = ~tied.is_sure
    lanes = np.flatnonzero((solution.lane_price == 0) & (problem.slots > 0))
    caps = np.flatnonzero((solution.merchant_price == 0) & (problem.cap > 0))
    kinds = first_kind + np.arange(num_kinds)
    arcs = [
        (kinds[ways.kind], first_lane + ways.lane, sizes[ways.kind], ways.held),
        (
            1 + merchant[is_open],
            kinds[is_open],
            sizes[is_open],
            np.add.reduceat(ways.held, ways.start[:-1])[is_open],
        ),
        (
            first_lane + lanes,
            np.where(parent < 0, 0, first_lane + parent)[lanes],
            problem.slots[lanes],
            on_lane[lanes],
        ),
        (np.zeros(len(caps), np.int64), 1 + caps, problem.cap[caps], used[caps]),
    ]
    return Arcs._make(np.concatenate(part) for part in zip(*arcs, strict=True))


def _cheapest(arcs: Arcs, hashed: NDArray[np.uint64], ends: float) -> NDArray[np.int64]:
    """
    The flow on the first arcs that is cheapest by their hashes.

    Only arcs between cycles are looked at. What flows out of a node there less what
    flows in is the same in every optimal plan: the source gives it, or the sink takes
    it.
    """
    from optimizer.solvers.kernels.tied import between_cycles

    size = int(max(arcs.tail.max(), arcs.head.max())) + 1
    kept = np.flatnonzero(between_cycles(arcs.tail, arcs.head, size))
    result = arcs.flow[: len(hashed)].copy()
    num_ways = int(np.searchsorted(kept, len(hashed)))
    if num_ways == 0:
        return result
    tail, head, most, flow = (part[kept] for part in arcs)
    nodes, ends_of = np.unique(np.concatenate((tail, head)), return_inverse=True)
    tail, head = 2 + ends_of[: len(kept)], 2 + ends_of[len(kept) :]
    left = np.zeros(2 + len(nodes), np.int64)
    np.add.at(left, tail, flow)
    np.subtract.at(left, head, flow)
    gives, takes = np.flatnonzero(left > 0), np.flatnonzero(left < 0)
    bits = min(COST_BITS, SCALED_BITS - len(left).bit_length())
    cost = np.zeros(len(kept) + len(gives) + len(takes), np.int64)
    cost[:num_ways] = hashed[kept[:num_ways]] >> np.uint64(64 - bits)
    network = Network(
        tail=np.concatenate((tail, np.zeros(len(gives)), takes)).astype(np.int32),
        head=np.concatenate((head, gives, np.ones(len(takes)))).astype(np.int32),
        capacity=np.concatenate((most, left[gives], -left[takes])),
        cost=cost,
        option=kept[:num_ways],
        num_nodes=len(left),
        supply=int(left[gives].sum()),
    )
    result[network.option] = find_flow(network, ends)[:num_ways]
    return result


def _hashed(key: NDArray[np.uint64], lane: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash keys with lanes."""
    number = lane.astype(np.uint64) + np.uint64(1)
    mixed = key ^ (number * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return mixed ^ (mixed >> np.uint64(31))
