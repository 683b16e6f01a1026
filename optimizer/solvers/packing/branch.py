"""
Branch and bound: what prices leave open is divided, option by option.

The bound of a node is that of lanes filled as knapsacks, with its options in or out;
prices start from those of its parent. The better of two children is divided next; where
a branch ends, the node with the greatest bound. In the end every node whose own prices
suffice is a leaf, whatever was found below it.

Memory and work are counted, in bytes and steps, so that a tree depends on the clock
only where the time runs out.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.certify.knapsack import MAX_SLOTS
from optimizer.certify.packing import is_kept, packing_bound
from optimizer.model.branch_tree import BranchTree
from optimizer.model.lane_tree import effective_price, lane_use
from optimizer.model.side_constraints import HARD
from optimizer.model.solution import Termination
from optimizer.solvers.market import running, sub_market, whole_market
from optimizer.solvers.owners import merchant_at, order_at
from optimizer.solvers.packing.local_search import (
    DEEP,
    closest,
    empty_state,
    improved,
    make_packing_night,
    margins,
    state_of,
    worth_key,
)
from optimizer.solvers.packing.market import (
    PackingPrices,
    price_limits,
    row_use,
    side_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Limit, Solution
    from optimizer.solvers.packing.local_search import PackingNight, PackingPlan
    from optimizer.solvers.packing.refine_prices import PackingSearch

#: Nights with more options are not divided.
MOST_OPTIONS = 20_000
#: Memory of a tree in the making, and what a node takes of it beside its prices; the
#: prices of its leaves, as they are published, take at most half as much again.
TREE_BYTES, NODE_BYTES = 2**28, 400
#: Options that all steps price: about a minute of one core.
MOST_WORK = 2 * 10**9
#: Steps of the prices at the root, in so many slices, between which the clock is looked
#: at; and at every other node.
ROOT_STEPS, ROOT_SLICES, NODE_STEPS = 100, 4, 30
#: Nodes at which a plan is also improved by exchanges, of so many options.
IMPROVED_NODES, IMPROVED_OPTIONS = 32, 5_000
#: Largest price, and largest value of all that is sold, micro-CNY.
LARGEST_PRICE, LARGEST_VALUE = 2**42, 2**60


class BranchNight(NamedTuple):
    """
    A night for the kernels; prices are those of merchants, orders, lanes, side rows.

    Attributes
    ----------
    order_merchant, option_order, option_lane, load, saving
        As in the problem, ``int64``.
    entry_start, entry_row, entry_weight
        As in its side rows, ``int64``.
    lane_parent, slots, cap, high, low
        Limits; floors that are kept at any price only as far as the plan reaches them.
    list_start, listed
        Options by lane.
    is_large
        ``(num_lanes,) bool``: lanes that only a price fills.
    guide
        ``(num_lanes,) int64``: about what a slot is worth, micro-CNY.
    has_price
        ``(n,) bool``: prices that differ from 0.
    lowest, highest
        ``(n,) int64`` micro-CNY.
    """

    order_merchant: NDArray[np.int64]
    option_order: NDArray[np.int64]
    option_lane: NDArray[np.int64]
    load: NDArray[np.int64]
    saving: NDArray[np.int64]
    entry_start: NDArray[np.int64]
    entry_row: NDArray[np.int64]
    entry_weight: NDArray[np.int64]
    lane_parent: NDArray[np.int64]
    slots: NDArray[np.int64]
    cap: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    list_start: NDArray[np.int64]
    listed: NDArray[np.int64]
    is_large: NDArray[np.bool_]
    guide: NDArray[np.int64]
    has_price: NDArray[np.bool_]
    lowest: NDArray[np.int64]
    highest: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """
    Plans that some branchings leave.

    Attributes
    ----------
    parent, option, is_in
        As in :class:`~optimizer.model.branch_tree.BranchTree`.
    bound
        Micro-CNY; ``None`` where there is no plan.
    prices
        Those of the bound.
    divide
        The option to divide by; -1 where none is left.
    """

    parent: int
    option: int
    is_in: bool
    bound: int | None
    prices: NDArray[np.int64]
    divide: int


@dataclass(slots=True, eq=False)
class Branching:
    """
    A search tree in the making.

    Attributes
    ----------
    search, night, kernel_night
        The night: as it was given, for plans, and for bounds.
    kept
        ``(num_orders,) bool``: pins that every plan has to keep.
    chosen, money
        The best plan and its value, micro-CNY.
    nodes
        All nodes so far.
    work
        Options that were priced so far.
    """

    search: PackingSearch
    night: PackingNight
    kernel_night: BranchNight
    kept: NDArray[np.bool_]
    chosen: NDArray[np.int64]
    money: int
    nodes: list[Node] = field(default_factory=list)
    work: int = 0

    @property
    def target(self) -> int:
        """A bound below it proves that a node has no better plan."""
        return self.money + self.search.unit


def with_branches(search: PackingSearch, found: Solution) -> Solution:
    """
    Divide a night whose plan its prices do not prove.

    Parameters
    ----------
    search
        The night, and the time that is left.
    found
        A feasible plan, with prices.

    Returns
    -------
    Solution
        With a tree if that bounds all plans better; the plan may be a better one too.
    """
    problem, limit = search.problem, found.termination.limit
    is_small = 0 < problem.num_options <= MOST_OPTIONS
    if not is_small or limit != "METHOD" or search.is_late():
        return found
    tree = _started(search, found)
    root = packing_bound(problem, side_of(problem), found)
    bound = min(_divided(tree, found), root)
    plan = replace(found, chosen=tree.chosen)
    termination = _termination(search, bound, tree.money)
    if termination.limit is not None and bound >= root:
        return replace(plan, termination=termination)
    nodes = _needed(tree, bound)
    return replace(plan, termination=termination, tree=_frozen(tree, nodes))


def _started(search: PackingSearch, found: Solution) -> Branching:
    """A tree without nodes."""
    problem = search.problem
    market = sub_market(
        whole_market(problem, is_kept(problem, side_of(problem), found.chosen)),
        np.arange(problem.num_orders),
        problem.cap,
        search.pool,
    )
    prices = PackingPrices(
        _effective(found, problem), _or_zeros(found.row_price, problem)
    )
    worth = margins(market, prices, found.merchant_price)
    deep = closest(worth, DEEP * max(len(found.chosen), 1))
    night = make_packing_night(problem, market, worth, deep)
    state = state_of(night, found.chosen)
    return Branching(
        search,
        night,
        _kernel_night(problem, found),
        is_kept(problem, side_of(problem), found.chosen),
        found.chosen,
        worth_key(night, state)[-1],
    )


def _effective(found: Solution, problem: Problem) -> NDArray[np.int64]:
    return effective_price(found.lane_price, problem.lane_parent)


def _or_zeros(price: NDArray[np.int64] | None, problem: Problem) -> NDArray[np.int64]:
    return np.zeros(side_of(problem).num_rows, np.int64) if price is None else price


def _kernel_night(problem: Problem, found: Solution) -> BranchNight:
    """Lay a night out for the kernels."""
    side, lanes = side_of(problem), problem.num_lanes
    used = row_use(problem, found.chosen)
    low = np.where(side.penalty == HARD, np.minimum(side.low, used), side.low)
    kept = is_kept(problem, side, found.chosen)
    lane = problem.option_lane.astype(np.int64)
    load_on = np.bincount(lane, side.option_load, lanes)
    has_inner = np.zeros(lanes, np.bool_)
    has_inner[problem.lane_parent[problem.lane_parent >= 0]] = True
    fits = load_on <= problem.slots
    is_large = (problem.slots > MAX_SLOTS) & ~fits
    has_choice = (np.diff(problem.option_start) > 1) | kept
    has_price = (
        *(problem.cap >= 0, has_choice, has_inner | is_large),
        np.ones(side.num_rows, np.bool_),
    )
    most, least_row, most_row = price_limits(problem, low)
    amounts = (
        *(problem.cap, np.ones(problem.num_orders, np.int64), problem.slots),
        np.maximum(np.where(most_row > 0, side.high, 0), np.maximum(low, 0)),
    )
    amount = np.concatenate(amounts)
    most = np.minimum(
        min(most, LARGEST_PRICE), LARGEST_VALUE // np.maximum(amount, 1) // len(amount)
    )
    others = len(amount) - side.num_rows
    lowest = np.concatenate((np.zeros(others, np.int64), least_row))
    lowest[problem.num_merchants : problem.num_merchants + len(kept)][kept] = -(2**62)
    highest = np.concatenate((np.full(others, 2**62), most_row))
    return BranchNight(
        order_merchant=merchant_at(problem, np.arange(problem.num_orders)),
        option_order=order_at(problem, np.arange(problem.num_options)),
        option_lane=lane,
        load=side.option_load,
        saving=problem.option_saving,
        entry_start=side.entry_start,
        entry_row=side.entry_row.astype(np.int64),
        entry_weight=side.entry_weight,
        lane_parent=problem.lane_parent.astype(np.int64),
        slots=problem.slots,
        cap=problem.cap,
        high=side.high,
        low=low,
        list_start=running(np.bincount(lane, minlength=lanes)),
        listed=np.argsort(lane, kind="stable"),
        is_large=is_large,
        guide=np.where(fits, 0, found.lane_price),
        has_price=np.concatenate(has_price),
        lowest=np.maximum(lowest, -most),
        highest=np.minimum(highest, most),
    )


def _first_prices(tree: Branching, found: Solution) -> NDArray[np.int64]:
    night, problem = tree.kernel_night, tree.search.problem
    order = found.order_price
    if order is None:
        worth = np.maximum(tree.night.margin, 0)
        turn = np.lexsort((-worth, night.option_order))
        order = np.zeros(problem.num_orders, np.int64)
        has_two = np.diff(problem.option_start) >= 2
        order[has_two] = worth[turn[problem.option_start[:-1][has_two] + 1]]
    prices = np.concatenate(
        (
            *(found.merchant_price, order, found.lane_price),
            _or_zeros(found.row_price, problem),
        )
    )
    return np.where(
        night.has_price, np.clip(prices, night.lowest, night.highest), 0
    ).astype(np.int64)


def _divided(tree: Branching, found: Solution) -> int:
    """Divide until all nodes are closed or a limit is met; the bound of all plans."""
    _add(tree, -1, -1, is_in=True, prices=_first_prices(tree, found))
    heap: list[tuple[int, int]] = []
    stuck = list[int]()
    here: int | None = 0
    while here is not None:
        node = tree.nodes[here]
        if _is_open(tree, node) and node.divide < 0:
            # Prices that may not be as high as they would have to be.
            stuck.append(here)
            here = None
        elif _is_open(tree, node):
            if _is_full(tree) or tree.search.is_late():
                heapq.heappush(heap, (-_bound(node), here))
                break
            here = _branch(tree, here, heap)
        else:
            here = None
        if here is None and heap:
            here = heapq.heappop(heap)[1]
    left = [tree.nodes[number] for number in (*stuck, *(n for _, n in heap))]
    return max([tree.money, *(_bound(n) for n in left if _is_open(tree, n))])


def _bound(node: Node) -> int:
    """The bound of a node that may have plans."""
    if node.bound is None:
        raise ValueError("a node without plans has no bound")
    return node.bound


def _is_open(tree: Branching, node: Node) -> bool:
    return node.bound is not None and node.bound >= tree.target


def _is_full(tree: Branching) -> bool:
    each = NODE_BYTES + tree.nodes[0].prices.nbytes
    return (len(tree.nodes) + 2) * each > TREE_BYTES or tree.work > MOST_WORK


def _branch(tree: Branching, number: int, heap: list[tuple[int, int]]) -> int | None:
    """Divide a node; the child to go on with, if one is open."""
    node = tree.nodes[number]
    children = [
        _add(tree, number, node.divide, is_in=is_in, prices=node.prices)
        for is_in in (True, False)
    ]
    still = [c for c in children if _is_open(tree, tree.nodes[c])]
    still.sort(key=lambda c: (-_bound(tree.nodes[c]), c))
    for other in still[1:]:
        heapq.heappush(heap, (-_bound(tree.nodes[other]), other))
    return still[0] if still else None


def _add(
    tree: Branching,
    parent: int,
    option: int,
    *,
    is_in: bool,
    prices: NDArray[np.int64],
) -> int:
    """Bound a new node, and look for a plan in it; its number."""
    from optimizer.solvers.kernels.branch import bound_node

    number = len(tree.nodes)
    fixed = _fixed(tree, parent, option, is_in=is_in)
    prices = prices.copy()
    if not _has_plans(tree, fixed):
        tree.nodes.append(Node(parent, option, is_in, None, prices, -1))
        return number
    share = np.zeros(len(fixed))
    steps, slices = (NODE_STEPS, 1) if number else (ROOT_STEPS, ROOT_SLICES)
    for _ in range(slices):
        bound, num_steps = bound_node(
            night=tree.kernel_night,
            fixed=fixed,
            prices=prices,
            money=tree.money,
            unit=tree.search.unit,
            most_steps=steps,
            share=share,
        )
        tree.work += (int(num_steps) + 1) * len(fixed)
        if bound < tree.target or num_steps < steps or tree.search.is_late():
            break
    if bound >= tree.target:
        _keep_if_better(tree, _built(tree, fixed, share))
    divide = _ambiguous(tree, fixed, share) if np.any(fixed == 0) else -1
    tree.nodes.append(Node(parent, option, is_in, int(bound), prices, divide))
    return number


def _fixed(
    tree: Branching, parent: int, option: int, *, is_in: bool
) -> NDArray[np.int8]:
    """``(num_options,) int8``: 1 in, -1 out, 0 open."""
    problem = tree.search.problem
    fixed = np.zeros(problem.num_options, np.int8)
    way = [(option, is_in)]
    while parent > 0:
        node = tree.nodes[parent]
        way.append((node.option, node.is_in))
        parent = node.parent
    put_in = np.array([o for o, yes in way if yes and o >= 0], np.int64)
    for order in order_at(problem, put_in).tolist():
        fixed[problem.option_start[order] : problem.option_start[order + 1]] = -1
    fixed[[o for o, yes in way if not yes]] = -1
    fixed[put_in] = 1
    return fixed


def _has_plans(tree: Branching, fixed: NDArray[np.int8]) -> bool:
    """Whether what is in keeps all limits, and pins that are kept can be."""
    problem, side = tree.search.problem, side_of(tree.search.problem)
    put_in = np.flatnonzero(fixed == 1)
    order = order_at(problem, put_in)
    count = np.bincount(merchant_at(problem, order), minlength=problem.num_merchants)
    load = side.option_load[put_in]
    taken = lane_use(problem.option_lane[put_in], problem.lane_parent, load)
    can_be = np.zeros(problem.num_orders, np.bool_)
    can_be[order_at(problem, np.flatnonzero(fixed >= 0))] = True
    return bool(
        np.all(count <= problem.cap)
        and np.all(taken <= problem.slots)
        and np.all(row_use(problem, put_in) <= side.high)
        and np.all(can_be[tree.kept])
    )


def _ambiguous(
    tree: Branching, fixed: NDArray[np.int8], share: NDArray[np.float64]
) -> int:
    """The open option that lanes choose most nearly every other time."""
    open_options = np.flatnonzero(fixed == 0)
    doubt = np.minimum(share, 1 - share)[open_options]
    saving = np.abs(tree.kernel_night.saving[open_options])
    margin = np.abs(tree.night.margin[open_options])
    return int(open_options[np.lexsort((margin, -saving, -np.round(doubt, 2)))[0]])


def _built(
    tree: Branching, fixed: NDArray[np.int8], share: NDArray[np.float64]
) -> PackingPlan:
    """A plan of what is in, and of what lanes choose most often."""
    from optimizer.solvers.kernels.packing_improve import accept_in_turn

    night, state = tree.night, empty_state(tree.night)
    if not np.any(fixed == 0):
        return state_of(night, np.flatnonzero(fixed == 1))
    allowed = np.flatnonzero(fixed >= 0)
    pin = night.pin_rank[night.option_order[allowed]]
    rank = np.where(pin >= 0, pin, int(night.num_ranks[0]))
    rank = np.where(fixed[allowed] == 1, -1, rank)
    often = -np.round(share[allowed], 1)
    accept_in_turn(
        night, state, allowed[np.lexsort((-night.margin[allowed], often, rank))]
    )
    if len(tree.nodes) < IMPROVED_NODES:
        deep = closest(night.margin, IMPROVED_OPTIONS)
        state = improved(night, state, deep, tree.search.is_late)
    return state


def _keep_if_better(tree: Branching, state: PackingPlan) -> None:
    """Keep a plan that saves more, and misses no floor and no pin that was kept."""
    chosen = np.sort(state.pick[state.pick >= 0])
    money = worth_key(tree.night, state)[-1]
    if money <= tree.money:
        return
    side = side_of(tree.search.problem)
    used = row_use(tree.search.problem, chosen)
    floors = used >= np.where(side.penalty == HARD, tree.kernel_night.low, used)
    kept = is_kept(tree.search.problem, side, chosen)
    if np.all(floors) and np.all(kept[tree.kept]):
        tree.chosen, tree.money = chosen, money


def _needed(tree: Branching, bound: int) -> list[int]:
    """Nodes of the tree, cut off where prices prove the bound."""
    children: dict[int, list[int]] = {}
    for number, node in enumerate(tree.nodes):
        children.setdefault(node.parent, []).append(number)
    unit = tree.search.unit
    enough = bound - bound % unit + unit
    nodes, stack = list[int](), [0]
    while stack:
        number = stack.pop()
        nodes.append(number)
        own = tree.nodes[number].bound
        if own is not None and own >= enough:
            stack += reversed(children.get(number, []))
    return nodes


def _frozen(tree: Branching, nodes: list[int]) -> BranchTree:
    """Number nodes anew, and keep the prices of leaves."""
    problem = tree.search.problem
    place = {number: at for at, number in enumerate(nodes)}
    kept = [tree.nodes[number] for number in nodes]
    parent = np.array([place.get(node.parent, -1) for node in kept], np.int64)
    is_leaf = np.ones(len(nodes), np.bool_)
    is_leaf[parent[parent >= 0]] = False
    rows = [_published(tree, nodes[at]) for at in np.flatnonzero(is_leaf).tolist()]
    cuts = np.cumsum((problem.num_merchants, problem.num_orders, problem.num_lanes))
    merchant, order, lane, row = np.split(np.array(rows, np.int64), cuts, axis=1)
    has_inner = np.isin(np.arange(problem.num_lanes), problem.lane_parent)
    return BranchTree(
        parent=parent,
        option=np.array([node.option for node in kept], np.int64),
        is_in=np.array([node.is_in for node in kept], np.bool_),
        lane_price=np.where(has_inner, lane, 0),
        merchant_price=merchant,
        row_price=row,
        order_price=order,
    )


def _published(tree: Branching, number: int) -> NDArray[np.int64]:
    """A leaf's prices; orders without a choice, and leaves without plans, need none."""
    node, night = tree.nodes[number], tree.kernel_night
    if node.bound is None:
        return np.zeros_like(node.prices)
    fixed = _fixed(tree, node.parent, node.option, is_in=node.is_in)
    is_settled = np.ones(tree.search.problem.num_orders, np.bool_)
    is_settled[night.option_order[fixed == 0]] = False
    prices, first = node.prices.copy(), tree.search.problem.num_merchants
    prices[first : first + len(is_settled)][is_settled] = 0
    return prices


def _termination(search: PackingSearch, bound: int, money: int) -> Termination:
    if bound - bound % search.unit <= money:
        return Termination("OPTIMAL")
    limit: Limit = "TIME" if search.is_late() else "METHOD"
    return Termination("FEASIBLE", limit)
