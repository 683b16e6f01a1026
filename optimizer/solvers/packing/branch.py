"""
Branch and bound: what prices leave open is divided, option by option.

The bound of a node is that of lanes filled as knapsacks, with its options in or out.
Prices are those of its linear program where that is small, and steps go on from there
where lanes are filled; else steps start from those of its parent. The better of two
children is divided next; where a branch ends, the node with the greatest bound. In the
end every node whose own prices suffice is a leaf, whatever was found below it.

Memory and work are counted, in bytes and steps, so that a tree depends on the clock
only where the time runs out.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.certify.packing import is_kept, packing_bound
from optimizer.model.branch_tree import BranchTree
from optimizer.model.lane_tree import effective_price
from optimizer.model.side_constraints import HARD
from optimizer.model.solution import Termination
from optimizer.solvers.market import sub_market, whole_market
from optimizer.solvers.packing.branch_night import (
    first_state,
    kernel_night,
    make_linear,
)
from optimizer.solvers.packing.close_look import looked_closer
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
from optimizer.solvers.packing.market import PackingPrices, row_use, side_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Limit, Solution
    from optimizer.solvers.packing.branch_night import (
        BranchNight,
        LinearNight,
        LinearState,
    )
    from optimizer.solvers.packing.local_search import PackingNight, PackingPlan
    from optimizer.solvers.packing.refine_prices import PackingSearch

#: Nights with more options are not divided.
MOST_OPTIONS = 20_000
#: Memory of a tree in the making, and what a node takes of it beside its prices; the
#: prices of its leaves, as they are published, take at most half as much again.
TREE_BYTES, NODE_BYTES = 2**28, 41
#: Options that all steps price: about a minute of one core.
MOST_WORK = 2 * 10**9
#: The same of a tree that is grown for plans alone: about four seconds.
DIVE_WORK = 6 * 10**7
#: Steps of the prices at the root, in so many slices, between which the clock is looked
#: at; and at every other node.
ROOT_STEPS, ROOT_SLICES, NODE_STEPS = 100, 4, 30
#: Nodes between looks at the clock and for a plan, by the linear program and by steps;
#: fewer on nights whose nodes have more options than so many.
LINEAR_PAUSE, STEPS_PAUSE, PAUSE_OPTIONS = 64, 8, 2_000
#: Seconds that a tree has on a whole machine before plans are looked for beside it.
HEAD_START = 0.5
#: Plans that are also improved by exchanges, of so many options.
IMPROVED_PLANS, IMPROVED_OPTIONS = 32, 5_000


class GrownTree(NamedTuple):
    """
    A search tree in the making; arrays have room for more nodes.

    Attributes
    ----------
    parent, option, is_in
        As in :class:`~optimizer.model.branch_tree.BranchTree`.
    bound
        Micro-CNY; ``NO_PLAN`` where there is no plan.
    divide
        The option to divide by; -1 where none is left.
    prices
        ``(num_nodes, num_priced) int64``: of the bound, micro-CNY.
    priced
        ``(num_priced,) int64``: which prices these are; all others are 0.
    heap
        Nodes that wait.
    counts
        ``(4,) int64``: as in :mod:`~optimizer.solvers.kernels.branch_grow`.
    """

    parent: NDArray[np.int64]
    option: NDArray[np.int64]
    is_in: NDArray[np.bool_]
    bound: NDArray[np.int64]
    divide: NDArray[np.int64]
    prices: NDArray[np.int64]
    priced: NDArray[np.int64]
    heap: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Branching:
    """
    A search for a tree.

    Attributes
    ----------
    search, night, kernel_night, linear, state
        The night: as it was given, for plans, for bounds, and its linear program.
    kept
        ``(num_orders,) bool``: pins that every plan has to keep.
    chosen, money
        The best plan and its value, micro-CNY.
    num_plans
        Plans that were looked for so far.
    """

    search: PackingSearch
    night: PackingNight
    kernel_night: BranchNight
    linear: LinearNight
    state: LinearState
    kept: NDArray[np.bool_]
    chosen: NDArray[np.int64]
    money: int
    num_plans: int = 0

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
    branching = _started(search, found)
    root = packing_bound(problem, side_of(problem), found)
    tree = _divided_beside(branching, found)
    bound = min(_proved(branching, tree), root)
    plan = replace(found, chosen=branching.chosen)
    termination = _termination(search, bound, branching.money)
    if termination.limit is not None and bound >= root:
        return replace(plan, termination=termination)
    return replace(plan, termination=termination, tree=_frozen(branching, tree, bound))


def dived(
    search: PackingSearch, found: Solution, is_over: Callable[[], bool]
) -> NDArray[np.int64]:
    """
    The best plan that the beginning of a tree finds, the tree left aside.

    Parameters
    ----------
    search
        The night, and the time that is left.
    found
        A feasible plan, with prices.
    is_over
        Whether nobody wants it any more.

    Returns
    -------
    ``(n,) int64``: options of the problem, ascending; no worse than those known.
    """
    branching = _started(search, found)
    fixed, share, root = _rooted(branching, found)
    _divided(branching, root, fixed, share, most_work=DIVE_WORK, is_over=is_over)
    return branching.chosen


def _started(search: PackingSearch, found: Solution) -> Branching:
    """A search that has divided nothing."""
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
    for_kernels = kernel_night(problem, found)
    linear = make_linear(for_kernels)
    return Branching(
        search=search,
        night=night,
        kernel_night=for_kernels,
        linear=linear,
        state=first_state(linear),
        kept=is_kept(problem, side_of(problem), found.chosen),
        chosen=found.chosen,
        money=worth_key(night, state)[-1],
    )


def _effective(found: Solution, problem: Problem) -> NDArray[np.int64]:
    return effective_price(found.lane_price, problem.lane_parent)


def _or_zeros(price: NDArray[np.int64] | None, problem: Problem) -> NDArray[np.int64]:
    return np.zeros(side_of(problem).num_rows, np.int64) if price is None else price


def _first_prices(branching: Branching, found: Solution) -> NDArray[np.int64]:
    night, problem = branching.kernel_night, branching.search.problem
    order = found.order_price
    if order is None:
        worth = np.maximum(branching.night.margin, 0)
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


def _divided_beside(branching: Branching, found: Solution) -> GrownTree:
    """
    Grow a tree; beside it, once it takes a while, look for plans at its prices.

    A plan that the tree has proved is not replaced, for none is better: so what is
    published does not depend on which of the two is faster.
    """
    search, has_ended = branching.search, threading.Event()
    fixed, share, root = _rooted(branching, found)
    night, is_proved = _at_root(branching, found), False
    state = state_of(night, branching.chosen)

    def grown() -> GrownTree:
        nonlocal is_proved
        try:
            tree = _divided(branching, root, fixed, share, most_work=MOST_WORK)
            is_proved = _proved(branching, tree) < branching.target
        finally:
            has_ended.set()
        return tree

    def beside() -> PackingPlan | None:
        has_ended.wait(HEAD_START)
        return looked_closer(search, night, state, lambda: is_proved)

    tree, better = search.pool.each(lambda number: (grown, beside)[number](), 2)
    if better is not None:
        _keep_if_better(branching, better)
    return tree


def _at_root(branching: Branching, found: Solution) -> PackingNight:
    """The night with margins at all prices that its solution has."""
    night = branching.night
    if found.order_price is None:
        return night
    return night._replace(margin=night.margin - found.order_price[night.option_order])


def _divided(
    branching: Branching,
    tree: GrownTree,
    fixed: NDArray[np.int8],
    share: NDArray[np.float64],
    *,
    most_work: int,
    is_over: Callable[[], bool] = lambda: False,
) -> GrownTree:
    """Divide until all nodes are closed, a limit is met or the time is up."""
    from optimizer.solvers.kernels.branch_grow import DONE, NODES, PAUSED, grow

    count = len(fixed)
    has_linear = len(branching.linear.limit) > 0
    pause = LINEAR_PAUSE if has_linear else STEPS_PAUSE
    pause = max(pause * PAUSE_OPTIONS // max(count, PAUSE_OPTIONS), 2)
    stop = PAUSED
    while stop != DONE and not branching.search.is_late() and not is_over():
        tree = _with_room(tree)
        before = int(tree.counts[NODES])
        stop = grow(
            branching.kernel_night,
            branching.linear,
            branching.state,
            tree,
            kept=branching.kept,
            margin=branching.night.margin,
            money=branching.money,
            unit=branching.search.unit,
            steps=NODE_STEPS,
            most=np.array([pause, most_work]),
            fixed=fixed,
            share=share,
        )
        added = slice(before, int(tree.counts[NODES]))
        if np.any(tree.bound[added] >= branching.target):
            _keep_if_better(branching, _built(branching, fixed, share))
        if stop not in (DONE, PAUSED) and not _can_grow(tree, most_work):
            break
    return tree


def _rooted(
    branching: Branching, found: Solution
) -> tuple[NDArray[np.int8], NDArray[np.float64], GrownTree]:
    """
    A tree of all plans, bounded.

    Returns
    -------
    fixed, share, tree
        ``(num_options,)``: nothing is fixed, and the mean of the choices; the root.
    """
    from optimizer.solvers.kernels.branch_grow import ambiguous, price_node

    night, search, work = branching.kernel_night, branching.search, 0
    prices = _first_prices(branching, found)
    fixed, share = np.zeros(len(night.saving), np.int8), np.zeros(len(night.saving))
    for _ in range(ROOT_SLICES):
        bound, done = price_node(
            night,
            branching.linear,
            branching.state,
            fixed=fixed,
            prices=prices,
            money=branching.money,
            unit=search.unit,
            steps=ROOT_STEPS,
            share=share,
        )
        work += int(done)
        is_stalled = done < ROOT_STEPS * len(fixed) or len(branching.linear.limit)
        if bound < branching.target or is_stalled or search.is_late():
            break
    if bound >= branching.target:
        _keep_if_better(branching, _built(branching, fixed, share))
    divide = ambiguous(fixed, share, night.saving, branching.night.margin)
    priced = np.flatnonzero(night.has_price)
    tree = GrownTree(
        parent=np.array([-1]),
        option=np.array([-1]),
        is_in=np.ones(1, np.bool_),
        bound=np.array([int(bound)]),
        divide=np.array([int(divide)]),
        prices=prices[priced][None, :],
        priced=priced,
        heap=np.zeros(1, np.int64),
        counts=np.array([1, 0, 0, work]),
    )
    return fixed, share, tree


def _most_nodes(tree: GrownTree) -> int:
    return TREE_BYTES // (NODE_BYTES + 8 * len(tree.priced))


def _can_grow(tree: GrownTree, most_work: int) -> bool:
    from optimizer.solvers.kernels.branch_grow import NODES, WORK

    has_room = int(tree.counts[NODES]) + 2 <= _most_nodes(tree)
    return has_room and int(tree.counts[WORK]) <= most_work


def _with_room(tree: GrownTree) -> GrownTree:
    """Twice as much room where there is no more, within the memory of a tree."""
    from optimizer.solvers.kernels.branch_grow import NODES

    room, used = len(tree.parent), int(tree.counts[NODES])
    most = max(min(2 * room + 2**10, _most_nodes(tree)), room)
    if used + 2 <= room or most == room:
        return tree
    names = ("parent", "option", "is_in", "bound", "divide", "prices", "heap")
    grown = {}
    for name in names:
        old = getattr(tree, name)
        grown[name] = np.zeros((most, *old.shape[1:]), old.dtype)
        grown[name][:room] = old
    return tree._replace(**grown)


def _proved(branching: Branching, tree: GrownTree) -> int:
    """The bound of all plans: that of the open node with the greatest."""
    from optimizer.solvers.kernels.branch_grow import NODES

    count = int(tree.counts[NODES])
    is_open = tree.bound[:count] >= branching.target
    is_open[tree.parent[1:count]] = False
    return max([branching.money, *tree.bound[:count][is_open].tolist()])


def _built(
    branching: Branching, fixed: NDArray[np.int8], share: NDArray[np.float64]
) -> PackingPlan:
    """A plan of what is in, and of what lanes choose most often."""
    from optimizer.solvers.kernels.packing_improve import accept_in_turn

    night, state = branching.night, empty_state(branching.night)
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
    branching.num_plans += 1
    if branching.num_plans <= IMPROVED_PLANS:
        deep = closest(night.margin, IMPROVED_OPTIONS)
        state = improved(night, state, deep, branching.search.is_late)
    return state


def _keep_if_better(branching: Branching, state: PackingPlan) -> None:
    """Keep a plan that saves more, and misses no floor and no pin that was kept."""
    chosen = np.sort(state.pick[state.pick >= 0])
    money = worth_key(branching.night, state)[-1]
    if money <= branching.money:
        return
    side = side_of(branching.search.problem)
    used = row_use(branching.search.problem, chosen)
    floors = used >= np.where(side.penalty == HARD, branching.kernel_night.low, used)
    kept = is_kept(branching.search.problem, side, chosen)
    if np.all(floors) and np.all(kept[branching.kept]):
        branching.chosen, branching.money = chosen, money


def _frozen(branching: Branching, tree: GrownTree, bound: int) -> BranchTree:
    """The nodes that prove a bound, numbered anew, with the prices of leaves."""
    from optimizer.solvers.kernels.branch_grow import NODES, needed, settle

    problem, night = branching.search.problem, branching.kernel_night
    count, unit = int(tree.counts[NODES]), branching.search.unit
    enough = bound - bound % unit + unit
    kept = np.flatnonzero(needed(tree.parent[:count], tree.bound[:count], enough))
    place = np.full(count, -1)
    place[kept] = np.arange(len(kept))
    parent = np.where(kept > 0, place[tree.parent[kept]], -1)
    is_leaf = np.ones(len(kept), np.bool_)
    is_leaf[parent[1:]] = False
    leaf = kept[is_leaf]
    cuts = np.cumsum((problem.num_merchants, problem.num_orders, problem.num_lanes))
    merchant, order, lane, row = (
        _prices_of(tree, leaf, np.arange(*ends))
        for ends in zip((0, *cuts), (*cuts, len(night.has_price)), strict=True)
    )
    if order.flags.writeable:
        settle(night, tree, leaf, order)
    has_inner = np.isin(np.arange(problem.num_lanes), problem.lane_parent)
    return BranchTree(
        parent=parent,
        option=tree.option[kept],
        is_in=tree.is_in[kept],
        lane_price=np.where(has_inner, lane, 0),
        merchant_price=merchant,
        row_price=row,
        order_price=order,
    )


def _prices_of(
    tree: GrownTree, leaf: NDArray[np.int64], some: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Some prices of leaves; where all are 0, one row of them stands for all."""
    from optimizer.solvers.kernels.branch_grow import NO_PLAN

    column = np.flatnonzero(np.isin(tree.priced, some))
    if len(column) == 0:
        return np.broadcast_to(np.zeros(len(some), np.int64), (len(leaf), len(some)))
    found = np.zeros((len(leaf), len(some)), np.int64)
    has_plan = tree.bound[leaf] > NO_PLAN
    for each in column.tolist():
        own = np.where(has_plan, tree.prices[leaf, each], 0)
        found[:, tree.priced[each] - some[0]] = own
    return found


def _termination(search: PackingSearch, bound: int, money: int) -> Termination:
    if bound - bound % search.unit <= money:
        return Termination("OPTIMAL")
    limit: Limit = "TIME" if search.is_late() else "METHOD"
    return Termination("FEASIBLE", limit)
