"""
Exact by minimum cost flow on the whole night (OR-Tools SimpleMinCostFlow).

    source → merchant (cap) → [order] → lane → lane around it → … → sink

An order with one option is an arc from its merchant to its lane; one with several
is a node. Supply that is not worth sending takes a free arc from source to sink, so
that it always balances. Costs are minus the savings, in micro-CNY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.errors import SolveError
from optimizer.model.lane_tree import least_slots
from optimizer.solvers.deadline import OutOfTime, look
from optimizer.solvers.flow.arcs import Network
from optimizer.solvers.flow.worker import cheapest_flow, find_python, flow_elsewhere
from optimizer.solvers.owners import merchant_of_order, order_of_option

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem

#: OR-Tools multiplies costs by the number of nodes, in 64 bits; it counts arcs,
#: both ways, in 32 bits.
MAX_SCALED_COST = 2**60
MAX_ARCS = 2**30
#: With more arcs OR-Tools, which cannot be interrupted, runs in a process of its own.
MAX_ARCS_HERE = 200_000


def flow_plan(problem: Problem, ends: float = np.inf) -> NDArray[np.int64] | None:
    """
    Options of an optimal plan.

    Parameters
    ----------
    problem
        The night.
    ends
        When to give up, on the monotonic clock.

    Returns
    -------
    ``(num_chosen,) int64``, ascending; ``None`` when the time was up.
    """
    flow = flow_of(problem, None, ends)
    return None if flow is None else np.flatnonzero(flow)


def flow_of(
    problem: Problem, count: NDArray[np.int64] | None, ends: float
) -> NDArray[np.int64] | None:
    """
    Parcels on each option of an optimal plan.

    Parameters
    ----------
    problem
        The night.
    count
        ``(num_orders,) int64``: parcels that each order stands for; ``None``: one.
    ends
        When to give up, on the monotonic clock.

    Returns
    -------
    ``(num_options,) int64``; ``None`` when the time was up.
    """
    sent = np.zeros(problem.num_options, np.int64)
    try:
        network = build_network(problem, ends, count)
        if len(network.option) == 0:
            return sent
        check_size(network)
        flow = find_flow(network, ends)
    except OutOfTime:
        return None
    sent[network.option] = flow[: len(network.option)]
    return sent


def build_network(
    problem: Problem, ends: float = np.inf, count: NDArray[np.int64] | None = None
) -> Network:
    """
    Build the network of a night, without options that can never be chosen.

    Parameters
    ----------
    problem
        The night.
    ends
        When to give up, on the monotonic clock.
    count
        ``(num_orders,) int64``: parcels that each order stands for; ``None``: one.

    Raises
    ------
    OutOfTime
        When the clock passes ``ends``.
    """
    order, option = _worth_sending(problem, ends)
    merchant = merchant_of_order(problem)
    ways = np.bincount(order, minlength=problem.num_orders)
    look(ends)
    orders = np.flatnonzero(ways)
    place, ways = (np.cumsum(ways > 0) - 1)[order], ways[orders]
    look(ends)
    is_node = ways > 1
    nodes = np.full(len(orders), -1, np.int64)
    first_lane = 2 + problem.num_merchants
    first_order = first_lane + problem.num_lanes
    nodes[is_node] = first_order + np.arange(is_node.sum())
    from_merchant = 2 + merchant[order]
    look(ends)
    most = np.ones(problem.num_orders, np.int64) if count is None else count
    sends = Arcs(
        tail=np.where(is_node[place], nodes[place], from_merchant),
        head=first_lane + problem.option_lane[option],
        capacity=most[order],
    )
    choices = Arcs(
        tail=2 + merchant[orders[is_node]],
        head=nodes[is_node],
        capacity=most[orders[is_node]],
    )
    return _join(problem, option, sends, choices, ends)


def _worth_sending(
    problem: Problem, ends: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Options that save something and have slots and a cap, and their orders."""
    look(ends)
    is_worth = problem.option_saving > 0
    has_slots = least_slots(problem.slots, problem.lane_parent) > 0
    is_worth &= has_slots[problem.option_lane]
    look(ends)
    order = order_of_option(problem)
    look(ends)
    has_cap = (problem.cap > 0)[merchant_of_order(problem)]
    is_worth &= has_cap[order]
    look(ends)
    return order[is_worth], np.flatnonzero(is_worth)


class Arcs(NamedTuple):
    """Some arcs of a network: ``(n,)`` each."""

    tail: NDArray[np.integer]
    head: NDArray[np.integer]
    capacity: NDArray[np.int64]


def _join(
    problem: Problem,
    option: NDArray[np.int64],
    sends: Arcs,
    choices: Arcs,
    ends: float,
) -> Network:
    """Join the arcs of options, choices, lanes, merchants, and the free arc."""
    num_merchants, num_lanes = problem.num_merchants, problem.num_lanes
    first_lane = 2 + num_merchants
    parent = problem.lane_parent.astype(np.int64)
    every = int(sends.capacity.sum())
    caps = np.minimum(problem.cap, every)
    supply = int(min(every, caps.sum()))
    arcs = [
        sends,
        choices,
        Arcs(
            first_lane + np.arange(num_lanes),
            np.where(parent < 0, 1, first_lane + parent),
            np.minimum(problem.slots, every),
        ),
        Arcs(np.zeros(num_merchants, np.int64), 2 + np.arange(num_merchants), caps),
        Arcs(np.zeros(1, np.int64), np.ones(1, np.int64), np.array([supply])),
    ]
    joined = []
    for parts, kind in zip(zip(*arcs, strict=True), _ARC_TYPES, strict=True):
        look(ends)
        joined.append(np.concatenate(parts, dtype=kind, casting="same_kind"))
    tails, heads, capacities = joined
    cost = np.zeros(len(tails), np.int64)
    cost[: len(option)] = -problem.option_saving[option]
    look(ends)
    return Network(
        tail=tails,
        head=heads,
        capacity=capacities,
        cost=cost,
        option=option,
        num_nodes=first_lane + num_lanes + len(choices.tail),
        supply=supply,
    )


#: Types of tails, heads and capacities.
_ARC_TYPES = (np.int32, np.int32, np.int64)


def check_size(network: Network) -> None:
    """
    Refuse a network that OR-Tools' integers cannot hold, before it is called.

    Raises
    ------
    SolveError
        Saying which number is too large.
    """
    if len(network.tail) > MAX_ARCS:
        raise SolveError(
            f"method flow takes at most {MAX_ARCS:,} arcs, this night has "
            f"{len(network.tail):,}: use method auto"
        )
    largest = -int(network.cost.min(initial=0))
    if largest * (network.num_nodes + 1) > MAX_SCALED_COST:
        raise SolveError(
            f"a saving of {largest / 1e6:,.2f} CNY with {network.num_nodes:,} nodes is "
            "beyond the integers of method flow: lower the costs in objective, or "
            "use method auto"
        )


def find_flow(network: Network, ends: float) -> NDArray[np.int64]:
    """Find the flow on each arc; for large networks in a process that can be ended."""
    look(ends)
    is_small = len(network.tail) <= MAX_ARCS_HERE or np.isinf(ends)
    python = None if is_small else find_python()
    if python is None:
        return cheapest_flow(
            tail=network.tail,
            head=network.head,
            capacity=network.capacity,
            cost=network.cost,
            supply=network.supply,
        )
    return flow_elsewhere(network, python, ends)
