"""
From merchants' choices at prices to a balanced plan: shortest paths, exactly.

At any prices every merchant can choose its best orders; lanes may then hold too many
parcels, or have empty slots with a price. Each such imbalance is removed along a
shortest path in the residual graph, which keeps every choice best at the prices
that go with it (the successive shortest path method, with potentials). When the
lanes balance, plan and prices are optimal for all orders in the market.

References
----------
Edmonds, J., Karp, R. M. (1972). Theoretical improvements in algorithmic efficiency
for network flow problems. J. ACM 19(2), 248-264. Tomizawa, N. (1971). On some
techniques useful for solution of transportation network problems. Networks 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.lane_tree import is_nested
from optimizer.solvers.market import running

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.kernels.dijkstra import PathSearch
    from optimizer.solvers.kernels.paths import PathNetwork, Plan
    from optimizer.solvers.market import Market, NearMarket, Threads

#: Arcs that are tried between looks at the clock.
WORK_LIMIT = 10_000_000


def make_network(problem: Problem, near: NearMarket) -> PathNetwork:
    """Build the network of a near market for the search."""
    from optimizer.solvers.kernels.paths import PathNetwork
    from optimizer.solvers.kernels.screen import list_by_lane

    lane_start = running(np.bincount(near.option_lane, minlength=problem.num_lanes))
    by_lane = np.empty(len(near.option_lane), np.int32)
    list_by_lane(near.option_lane, lane_start, by_lane)
    child_start, child = _children(problem.lane_parent)
    return PathNetwork(
        merchant_start=near.merchant_start,
        cap=near.cap,
        order_merchant=near.order_merchant,
        option_start=near.option_start,
        option_order=near.option_order,
        option_lane=near.option_lane,
        option_saving=near.option_saving,
        lane_option_start=lane_start,
        lane_option=by_lane,
        slots=problem.slots,
        lane_parent=problem.lane_parent,
        child_start=child_start,
        child=child,
    )


def _children(
    lane_parent: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Where the lanes in each lane start, and all of them, by the lane around them."""
    if not is_nested(lane_parent):
        return np.zeros(len(lane_parent) + 1, np.int64), np.zeros(0, np.int32)
    from optimizer.solvers.kernels.screen import list_by_lane

    # Roots have the parent -1, and so stand first.
    around = lane_parent + np.int32(1)
    start = running(np.bincount(around, minlength=len(lane_parent) + 1))
    lanes = np.empty(len(lane_parent), np.int32)
    list_by_lane(around, start, lanes)
    return start[1:] - start[1], lanes[start[1] :]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """
    What the merchants of a market choose at effective prices.

    Attributes
    ----------
    price
        ``(num_lanes,) int64`` micro-CNY.
    pick
        ``(num_orders,) int64``: the option of each order; -1 for none.
    used, merchant_price
        ``(num_merchants,) int64``: how much of each cap, and its price.
    margin
        ``(num_orders,) int64`` micro-CNY: how far prices could move before the
        choice changed.
    """

    price: NDArray[np.int64]
    pick: NDArray[np.int64]
    used: NDArray[np.int64]
    merchant_price: NDArray[np.int64]
    margin: NDArray[np.int64]


def choose_at(market: Market, price: NDArray[np.int64], pool: Threads) -> Choice:
    """Let all merchants of a market choose at effective prices."""
    from optimizer.solvers.kernels.choose import settle

    used, merchant_price = np.zeros((2, len(market.cap)), np.int64)
    pick = np.full(market.num_orders, -1, np.int64)
    margin = np.zeros(market.num_orders, np.int64)

    orders = market.orders

    def work(_: int, first: int, last: int) -> None:
        settle(
            first,
            last,
            orders=orders,
            price=price,
            pick=pick,
            used=used,
            merchant_price=merchant_price,
            margin=margin,
        )

    pool.over_parts(market, work)
    return Choice(price, pick, used, merchant_price, margin)


def make_plan(
    night: PathNetwork, near: Market, core: NearMarket, choice: Choice
) -> Plan:
    """
    Make the plan of a core from a choice; all other orders stay as they are.

    Parameters
    ----------
    night
        The core, laid out.
    near, core
        The market that chose, and the orders of it that may change.
    choice
        What it chose.
    """
    pick = choice.pick[core.order]
    offset = core.option_start[:-1] - near.option_start[core.order]
    return plan_at(night, near, np.where(pick >= 0, pick + offset, -1), choice)


def plan_at(
    night: PathNetwork, near: Market, pick: NDArray[np.int64], choice: Choice
) -> Plan:
    """
    Make a plan of picks.

    Parameters
    ----------
    night
        A core, laid out.
    near
        The market that chose.
    pick
        ``(num_orders,) int64``: the option of each order of the core; -1 for none.
    choice
        What all orders of ``near`` chose.
    """
    from optimizer.solvers.kernels.paths import Plan, lay_out

    num_lanes, num_orders = len(night.slots), len(pick)
    picked = choice.pick[choice.pick >= 0]
    plan = Plan(
        pick=pick,
        used=choice.used.copy(),
        lane_head=np.empty(num_lanes, np.int32),
        order_next=np.empty(num_orders, np.int32),
        order_previous=np.empty(num_orders, np.int32),
        flow=np.zeros(num_lanes, np.int64),
        imbalance=np.zeros(num_lanes, np.int64),
        price=choice.price.copy(),
        merchant_price=choice.merchant_price.copy(),
    )
    asked = np.bincount(near.option_lane[picked], minlength=num_lanes)
    lay_out(night, plan, asked.astype(np.int64))
    return plan


def picks_of(
    plan: Plan, near: Market, core: NearMarket, choice: Choice
) -> NDArray[np.int64]:
    """
    Picks of the whole market: the plan's in the core, the choice's elsewhere.

    Parameters
    ----------
    plan
        The plan of the core.
    near
        The market that the core was taken from.
    core
        The core: some orders of ``near``.
    choice
        What merchants of ``near`` choose at the prices.
    """
    pick = choice.pick.copy()
    offset = core.option_start[:-1] - near.option_start[core.order]
    pick[core.order] = np.where(plan.pick >= 0, plan.pick - offset, -1)
    return pick


def make_search(night: PathNetwork) -> PathSearch:
    """Scratch for searches on a night."""
    from optimizer.solvers.kernels.dijkstra import new_search

    return new_search(len(night.slots) + len(night.cap) + 1)


class Stalled(Exception):
    """Balancing takes far longer than expected; another method is faster."""


class Patience:
    """
    How many intervals of work balancing may take before it is given up.

    Parameters
    ----------
    num_looks
        In all.
    num_arcs
        Arcs between looks; ``None``: ``WORK_LIMIT``.
    """

    def __init__(self, num_looks: int, num_arcs: int | None = None) -> None:
        self._num_looks = num_looks
        self.num_arcs = WORK_LIMIT if num_arcs is None else num_arcs

    def spend(self) -> None:
        """
        Use up one interval.

        Raises
        ------
        Stalled
            When there is none left.
        """
        self._num_looks -= 1
        if self._num_looks < 0:
            raise Stalled


def balance(
    night: PathNetwork,
    plan: Plan,
    search: PathSearch,
    is_late: Callable[[], bool],
    patience: Patience | None = None,
) -> tuple[bool, list[int]]:
    """
    Balance all lanes, in place.

    Parameters
    ----------
    night
        Orders, options and lanes.
    plan
        The plan; changed in place.
    search
        Scratch of the search.
    is_late
        Whether the time is up.
    patience
        When to give up before the time is up; ``None``: never.

    Raises
    ------
    Stalled
        When ``patience``, if there is any, is at its end.

    Returns
    -------
    is_done, stuck
        Whether all lanes were tried before the time was up; lanes that cannot be
        balanced, as too much on them is fixed.
    """
    from optimizer.solvers.kernels.paths import augment

    lane = 0
    num_arcs = WORK_LIMIT if patience is None else patience.num_arcs
    stuck: list[int] = []
    while lane < len(night.slots):
        if is_late():
            return False, stuck
        lane, _ = augment(night, plan, search, lane, num_arcs)
        if lane < 0:
            stuck.append(-1 - lane)
            lane = -lane
        elif patience is not None and lane < len(night.slots):
            patience.spend()
    return True, stuck
