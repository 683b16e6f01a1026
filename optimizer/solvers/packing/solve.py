"""
The packing class: a feasible integer plan with a proved gap.

1. **Network.** Where every parcel takes one slot, the night without its side rows is
   solved exactly; a plan that keeps these rows all the same is the optimum.
   Likewise, on small nights, if lanes filled one by one keep all else.
2. **Price.** Newton prices of lanes and side rows, on the orders that could matter.
3. **Plan.** Pins first, then options by their saving beyond prices, while they fit;
then
   exchanges that gain. From here on there is always a feasible plan.
4. **Solve.** Parts of the plan are solved again by integer programs: all of it on small
   nights, blocks of competing lanes on large ones. An answer is taken only if it keeps
   every limit, counted in integers, and is better.
5. **Bound.** The linear bound, and the bound by lanes; the better one is kept. On
   large nights it is made beside large blocks, which leave a core idle.
6. **Core.** Orders that these prices leave open are solved again together.
7. **Branch.** Small nights that still have a gap are divided until it is closed;
   beside the tree what loses least at its first prices is solved again.

Floors and pins that clash are kept by rank. All work is counted in steps and nodes, so
that a plan depends on the clock only where the time runs out.
"""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certify.certificate import saving_unit
from optimizer.certify.packing import packing_bound
from optimizer.model.lane_tree import effective_price, own_price
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.solvers.choose_method import solve_network
from optimizer.solvers.compiling import compiling_seconds
from optimizer.solvers.market import Threads, whole_market
from optimizer.solvers.network.primal_heuristic import chosen_options
from optimizer.solvers.packing.bound_aside import BoundAside
from optimizer.solvers.packing.branch import MOST_OPTIONS, dived, with_branches
from optimizer.solvers.packing.core_mip import Beside, make_core, solve_core, undecided
from optimizer.solvers.packing.lane_relaxation import lanes_plan
from optimizer.solvers.packing.local_search import (
    DEEP,
    better_start,
    closest,
    improved,
    make_packing_night,
    margins,
    most_chosen,
    state_of,
    targets_of,
    worth_key,
)
from optimizer.solvers.packing.lp_prices import linear_prices
from optimizer.solvers.packing.market import (
    PackingPrices,
    bound_at,
    first_targets,
    side_of,
)
from optimizer.solvers.packing.neighborhood_search import (
    Watch,
    improved_by_blocks,
    rescued,
)
from optimizer.solvers.packing.network_relaxation import network_plan
from optimizer.solvers.packing.programs import Effort
from optimizer.solvers.packing.refine_prices import PackingSearch, priced_market

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.model.solution import Limit
    from optimizer.solvers.packing.core_mip import Core
    from optimizer.solvers.packing.local_search import PackingNight, PackingPlan
    from optimizer.solvers.packing.market import Targets
    from optimizer.solvers.packing.refine_prices import Priced

#: With no more options than this, one integer program holds all of them, with a
#: search tree of so many nodes.
FEW_OPTIONS, FEW_NODES = 3_000, 5_000
#: With no more options than this near their prices, one program holds all that these
#: leave open, with a search tree of so many nodes.
CORE_OPTIONS, CORE_NODES = 20_000, 1_000
#: What CP-SAT may do beside HiGHS, in its own count of work.
CORE_WORK = 10.0
#: A small night is solved again where prices leave open no more than such a share.
SMALLER = 0.7
#: Options for each chosen one in the narrow part of a program.
NARROW = 3
#: Share of the time left that such a program has where branches have the rest, and
#: where none follow.
PROGRAM_SHARE, LAST_SHARE = 0.5, 0.9
#: Rounds of prices and plans, where floors and pins cannot all be kept.
MOST_ROUNDS = 3
#: Where Newton prices prove a plan no better than this, and there are no more options
#: than so many, the linear program is solved for its own prices.
WIDE_GAP, LINEAR_OPTIONS = 1e-3, 20_000
#: Time that is kept for the bound of large nights: so many times what their prices
#: took, but no more than such a share of all.
BOUND_TIMES, BOUND_SHARE = 5, 0.3


def solve_packing(problem: Problem, params: SolveParams) -> Solution:
    """
    Find an integer plan that keeps every limit, and prices that bound all others.

    Returns
    -------
    Solution
        ``OPTIMAL`` where the bound equals the plan; else ``FEASIBLE`` with limit
        ``GAP``, ``TIME`` or ``METHOD``. With a price for each order where the bound by
        lanes is better.
    """
    if problem.side is None:
        return solve_network(problem, params)
    ends = time.monotonic() + params.time_limit_seconds
    compiled = compiling_seconds()
    with Threads(params.num_threads) as pool:
        unit = saving_unit(problem)
        search = PackingSearch(problem, params, pool, ends, unit, compiled)
        found = network_plan(problem, params, search.seconds_left())
        return found or _solve(search)


def _solve(search: PackingSearch) -> Solution:
    """Price, plan and bound; repeat if a plan misses targets of the prices."""
    problem = search.problem
    hoped = first_targets(problem)
    began = search.seconds_left()
    priced = priced_market(search, hoped, None)
    pricing = BOUND_TIMES * (began - search.seconds_left())
    kept_back = min(pricing, BOUND_SHARE * search.params.time_limit_seconds)
    if problem.num_options <= FEW_OPTIONS and not search.is_late():
        found = lanes_plan(problem, priced.prices.lane)
        if found is not None:
            return found
    chosen, aside = priced.chosen, BoundAside(search)
    for _ in range(MOST_ROUNDS):
        planned = priced
        night, state = _planned(search, priced, chosen, kept_back, aside)
        chosen = chosen_options(problem.option_start, priced.market, state.pick)
        money = worth_key(night, state)[-1]
        targets = targets_of(problem, priced.market, state, night)
        if _is_same(hoped, targets):
            break
        hoped = targets
        priced = priced_market(search, hoped, priced)
        if search.is_late():
            break
    found = _bounded(search, priced, hoped, chosen, money, aside)
    if planned.market.num_options <= CORE_OPTIONS:
        found = _with_core(search, planned, night, state, found)
    return _said_cut(search, with_branches(search, found))


def _said_cut(search: PackingSearch, found: Solution) -> Solution:
    """Say that the clock ended the search, wherever on the way it ended a step."""
    if found.termination.limit != "METHOD" or not search.cut.is_set():
        return found
    return replace(found, termination=Termination("FEASIBLE", "TIME"))


def _planned(
    search: PackingSearch,
    priced: Priced,
    chosen: NDArray[np.int64],
    kept_back: float,
    aside: BoundAside,
) -> tuple[PackingNight, PackingPlan]:
    """Make a plan at prices, or keep the present one if it is better."""
    problem, market = search.problem, priced.market
    worth = margins(market, priced.prices, priced.merchant_price)
    deep = closest(worth, DEEP * most_chosen(problem, market))
    night = make_packing_night(problem, market, worth, deep)
    state = better_start(problem, market, night, chosen)
    is_late = search.is_late
    if problem.num_options > FEW_OPTIONS:
        is_late = partial(search.is_late, kept_back)
    state = improved(night, state, deep, is_late)
    if not _is_close(search, night, state, priced.bound):
        state = _solved(search, priced, night, state, kept_back, aside)
    return night, state


def _is_same(one: Targets, other: Targets) -> bool:
    return np.array_equal(one.low, other.low) and np.array_equal(
        one.is_pinned, other.is_pinned
    )


def _is_close(
    search: PackingSearch, night: PackingNight, state: PackingPlan, bound: int
) -> bool:
    """Whether a plan misses nothing and its gap is at most the wanted one."""
    *missing, money = worth_key(night, state)
    if search.params.tell is not None:
        share = (bound - money) / max(1, abs(money))
        search.params.tell(f"solve: a plan within {share:.4%} of the best there can be")
    return not any(missing) and _is_within(search, bound, money)


def _is_within(search: PackingSearch, bound: int, money: int) -> bool:
    """Whether the gap to a bound, rounded down, is at most the wanted one."""
    share = Fraction(repr(float(search.params.relative_gap)))
    return bound - bound % search.unit - money <= share * max(1, abs(money))


def _solved(
    search: PackingSearch,
    priced: Priced,
    night: PackingNight,
    state: PackingPlan,
    kept_back: float,
    aside: BoundAside,
) -> PackingPlan:
    """Solve everything again, or block by block."""
    if len(night.option_order) <= FEW_OPTIONS:
        if search.is_late():
            return state
        every = np.arange(len(night.option_order))
        seconds = PROGRAM_SHARE * search.seconds_left()
        effort = Effort(seconds, FEW_NODES, 0.0, CORE_WORK, search.pool.is_stopped)
        gap = max(priced.bound - worth_key(night, state)[-1], 0)
        # A tree is of all options.
        is_all = len(every) == search.problem.num_options
        stop = Termination("FEASIBLE", "METHOD")
        found = _at_prices(search.problem, priced, every[:0], stop) if is_all else None
        return (
            _solved_core(search, night, state, every, effort, gap=gap, found=found)
            or state
        )

    def is_done(now: PackingPlan) -> bool:
        return _is_close(search, night, now, priced.bound)

    def seconds_left() -> float:
        kept = 0.0 if aside.takes_no_time else kept_back
        search.is_late(kept)
        return search.seconds_left() - kept

    def before_large(now: PackingPlan) -> None:
        aside.begin(priced, first_targets(search.problem), worth_key(night, now)[-1])

    state = rescued(night, state, search.seconds_left())
    return improved_by_blocks(
        problem=search.problem,
        market=priced.market,
        night=night,
        state=state,
        pool=search.pool,
        watch=Watch(is_done, seconds_left, before_large),
    )


def _at_prices(
    problem: Problem, priced: Priced, chosen: NDArray[np.int64], stop: Termination
) -> Solution:
    """A plan with the prices of a market."""
    return Solution(
        chosen=chosen,
        lane_price=own_price(priced.prices.lane, problem.lane_parent),
        merchant_price=priced.merchant_price,
        termination=stop,
        row_price=priced.prices.row,
    )


def _bounded(
    search: PackingSearch,
    priced: Priced,
    targets: Targets,
    chosen: NDArray[np.int64],
    money: int,
    aside: BoundAside,
) -> Solution:
    """Compare a plan with the best bound found."""
    problem = search.problem
    is_wide = priced.bound - money > WIDE_GAP * abs(money)
    most = LINEAR_OPTIONS if is_wide else FEW_OPTIONS
    is_few = priced.market.num_options <= most
    if is_few and priced.bound > money and not search.is_late():
        priced = _with_linear_prices(search, priced, targets)
    stop = _termination(search, priced.bound, money)
    plan = _at_prices(problem, priced, chosen, stop)
    is_late = search.is_late() and not aside.takes_no_time
    if _is_within(search, priced.bound, money) or is_late:
        return plan
    held = aside.held(priced, targets, money)
    if held is None:
        return replace(plan, termination=_termination(search, priced.bound, money))
    found, bound = held.prices, held.bound
    stop = Termination("FEASIBLE", "METHOD")
    lanes = Solution(chosen, found.own, found.merchant, stop, found.row, found.order)
    if bound > money and priced.market.num_options <= LINEAR_OPTIONS:
        # Lanes that were too large to be filled here may be none for the proof.
        bound = min(bound, packing_bound(problem, side_of(problem), lanes))
    if bound >= priced.bound:
        return replace(plan, termination=_termination(search, priced.bound, money))
    return replace(lanes, termination=_termination(search, bound, money))


def _with_core(
    search: PackingSearch,
    priced: Priced,
    night: PackingNight,
    state: PackingPlan,
    found: Solution,
) -> Solution:
    """Solve what the prices of a solution leave open, all at once."""
    problem, market = search.problem, priced.market
    if found.termination.limit != "METHOD" or search.is_late():
        return found
    bound = packing_bound(problem, side_of(problem), found)
    prices = PackingPrices(
        effective_price(found.lane_price, problem.lane_parent),
        np.zeros(0, np.int64) if found.row_price is None else found.row_price,
    )
    margin = margins(market, prices, found.merchant_price)
    night = night._replace(margin=margin)
    gap = bound - worth_key(night, state)[-1]
    option = undecided(night, state, gap, CORE_OPTIONS)
    if len(option) > SMALLER * len(margin) and len(margin) <= FEW_OPTIONS:
        return found
    share = PROGRAM_SHARE if problem.num_options <= MOST_OPTIONS else LAST_SHARE
    seconds = share * search.seconds_left()
    effort = Effort(seconds, CORE_NODES, 0.0, CORE_WORK, search.pool.is_stopped)
    better = _solved_core(search, night, state, option, effort, gap)
    if better is None:
        return found
    money = worth_key(night, better)[-1]
    chosen = chosen_options(problem.option_start, market, better.pick)
    found = replace(found, chosen=chosen)
    bound = packing_bound(problem, side_of(problem), found)
    return replace(found, termination=_termination(search, bound, money))


def _solved_core(
    search: PackingSearch,
    night: PackingNight,
    state: PackingPlan,
    option: NDArray[np.int64],
    effort: Effort,
    gap: int,
    found: Solution | None = None,
) -> PackingPlan | None:
    """
    Solve some options by HiGHS; beside it by other means.

    These are a tree grown from prices, if they are given for all that can be chosen;
    HiGHS on the options that lose least; and CP-SAT.
    """

    def dive(now: PackingPlan, is_over: Callable[[], bool]) -> PackingPlan:
        if found is None or any(worth_key(night, now)[:-1]):
            return now
        chosen = np.sort(now.pick[now.pick >= 0])
        better = dived(search, replace(found, chosen=chosen), is_over)
        return now if np.array_equal(better, chosen) else state_of(night, better)

    def narrow(now: PackingPlan) -> Core | None:
        most = NARROW * int(np.sum(now.pick >= 0))
        close = np.intersect1d(option, undecided(night, now, gap, most))
        is_small = 2 * len(close) <= len(option)
        return make_core(night, now, close) if is_small else None

    beside = Beside(search.pool, dive, narrow)
    before = search.seconds_left()
    better = solve_core(make_core(night, state, option), state, effort, beside)
    search.is_late(before - effort.seconds)
    return better


def _with_linear_prices(
    search: PackingSearch, priced: Priced, targets: Targets
) -> Priced:
    """The linear program's dual values, if they are better."""
    problem, seconds = search.problem, search.seconds_left()
    exact = linear_prices(problem, priced.market, targets, seconds)
    if exact is None:
        return priced
    whole = whole_market(problem, targets.is_pinned)
    price, bound = bound_at(problem, whole, exact, targets.low, search.pool)
    if bound >= priced.bound:
        return priced
    return replace(priced, prices=exact, merchant_price=price, bound=bound)


def _termination(search: PackingSearch, bound: int, money: int) -> Termination:
    if bound - bound % search.unit <= money:
        return Termination("OPTIMAL")
    limit: Limit = "TIME" if search.is_late() else "METHOD"
    is_enough = _is_within(search, bound, money)
    return Termination("FEASIBLE", "GAP" if is_enough else limit)
