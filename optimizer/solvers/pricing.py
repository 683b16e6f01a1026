"""
Exact at any size: price, fix, solve, unfix.

1. **Price.** Newton prices on a sample, then on the orders that could matter.
2. **Fix** the orders that are plainly in or out at these prices.
3. **Solve** the rest, the core, exactly by minimum cost flow; of the prices that
   prove it, take those nearest to the ones of step 1.
4. **Unfix**: evaluate the dual bound of all orders at these prices. If it equals
   the plan, that is the proof. If not, free what the prices contradict, and go
   to 3. What is freed stays free, so this ends.

Integers decide every comparison; the Newton steps are floating point, but only
propose prices.
"""

from __future__ import annotations

import time, os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.problem import Problem
from optimizer.model.solution import Solution, SolveParams, Termination
from optimizer.model.tree import effective_price, lane_use, own_price
from optimizer.solvers.flow import flow_plan
from optimizer.solvers.market import Market, Pool, split, whole_market
from optimizer.solvers.newton import FIRST_WINDOW, LAST_WINDOW, Lanes, newton_prices
from optimizer.solvers.greedy import clearing_price
from optimizer.solvers.prices import cap_prices, nearest_effective

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: Below this many orders the core is the whole problem.
SMALL = 20_000
#: Orders in the sample, about; the number of windows it is priced with.
SAMPLE_ORDERS, SAMPLE_SLOTS = 100_000, 8
#: Screening keeps of each merchant DEPTH times its cap and SPARE orders more, and
#: none that is further below its price than REACH times the mean price.
DEPTH, SPARE, REACH = 2, 4, 0.5
#: An order is close, and goes to the core, within this share of the mean price.
CLOSE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Fixing:
    """
    Which orders are decided and which are in the core.

    Attributes
    ----------
    fixed
        ``(f,) int64``: options fixed in, ascending.
    core
        ``(c,) int64``: orders that the core decides, ascending.
    """

    fixed: NDArray[np.int64]
    core: NDArray[np.int64]


def solve_pricing(problem: Problem, params: SolveParams) -> Solution:
    """
    Find the optimum, and the lowest prices that prove it.

    Returns
    -------
    Solution
        ``OPTIMAL``.
    """
    ends = time.monotonic() + params.time_limit_seconds
    with Pool(params.num_threads) as pool:
        return _solve(problem, pool, lambda: time.monotonic() > ends)


def _solve(problem: Problem, pool: Pool, is_late: Callable[[], bool]) -> Solution:
    full = whole_market(problem)
    lanes = Lanes(problem.slots, problem.lane_parent)
    price, scale = first_prices(problem, full, pool, is_late)
    near = screened(problem, full, price, scale, pool)
    if os.environ.get("TRACE"): print(f"near {near.num_orders} scale {scale/1e6}")
    price = newton_prices(
        near,
        lanes,
        price,
        pool,
        scale=scale,
        windows=(FIRST_WINDOW, LAST_WINDOW),
        is_late=is_late,
    )
    fixing = fix(problem, near, price, scale, pool)
    return _solve_core(problem, full, near, fixing, price, scale, pool)


def first_prices(
    problem: Problem, full: Market, pool: Pool, is_late: Callable[[], bool]
) -> tuple[NDArray[np.int64], float]:
    """
    Own prices from a sample of the orders, and the mean price as a scale.

    Of ``k`` merchants one is taken whole, and of very large ones every ``k``-th
    order; slots are divided by ``k``.
    """
    lanes_used = max(1, int(np.sum(problem.slots > 0)))
    room = min(int(problem.cap.sum()), int(problem.slots.sum()))
    every = min(problem.num_orders // SAMPLE_ORDERS, room // (SAMPLE_SLOTS * lanes_used))
    every = max(1, every)
    sample, cap = _sample(problem, full, every, pool)
    lanes = Lanes(problem.slots / every, problem.lane_parent)
    effective = clearing_price(
        sample.option_lane, sample.option_saving, lanes.slots, problem.lane_parent
    )
    priced = effective[effective > 0]
    scale = float(priced.mean()) if len(priced) else 1e6
    price = newton_prices(
        sample,
        lanes,
        own_price(effective, problem.lane_parent),
        pool,
        scale=scale,
        windows=(FIRST_WINDOW, FIRST_WINDOW / 8),
        is_late=is_late,
    )
    return price, scale


def _sample(
    problem: Problem, full: Market, every: int, pool: Pool
) -> tuple[Market, NDArray[np.int64]]:
    sizes = np.diff(problem.merchant_start)
    is_large = problem.cap >= 4 * every
    by_size = np.lexsort((np.arange(len(sizes)), sizes, is_large))
    turn = np.empty(len(sizes), np.int64)
    turn[by_size] = np.arange(len(sizes))
    cap = np.where(turn % every == every // 2, problem.cap, 0)
    cap[is_large] = (problem.cap[is_large] + turn[is_large] % every) // every
    keep = np.repeat(cap > 0, sizes)
    is_drawn = problem.key % np.uint64(every) == 0
    keep &= ~np.repeat(is_large, sizes) | is_drawn
    return submarket(full, keep, cap, pool), cap


def submarket(
    market: Market, keep: NDArray[np.bool_], cap: NDArray[np.int64], pool: Pool
) -> Market:
    """The kept orders of a whole market, copied together."""
    from optimizer.solvers.kernels.market import gather

    num_merchants = len(cap)
    count = np.concatenate(([0], np.cumsum(keep)))
    sizes = np.where(keep, np.diff(market.option_start), 0)
    options = np.concatenate(([0], np.cumsum(sizes)))
    at_merchant = market.merchant_start
    sub = Market(
        count[at_merchant],
        cap,
        np.empty(count[-1] + 1, np.int64),
        np.empty(options[-1], np.int32),
        np.empty(options[-1], np.int64),
        split(options[at_merchant]),
        np.empty(count[-1], np.int64),
    )
    sub.option_start[-1] = options[-1]

    def work(_: int, first: int, last: int) -> None:
        gather(
            first,
            last,
            market.merchant_start,
            market.option_start,
            market.option_lane,
            market.option_saving,
            keep,
            count[at_merchant[first]],
            options[at_merchant[first]],
            np.empty(num_merchants, np.int64),
            sub.option_start,
            sub.order,
            sub.option_lane,
            sub.option_saving,
        )

    pool.over_parts(market, work)
    return sub


def screened(
    problem: Problem,
    full: Market,
    price: NDArray[np.int64],
    scale: float,
    pool: Pool,
) -> Market:
    """The orders that could matter at prices somewhat like these."""
    from optimizer.solvers.kernels.market import screen

    effective = effective_price(price, problem.lane_parent)
    keep = np.zeros(problem.num_orders, np.bool_)

    def work(_: int, first: int, last: int) -> None:
        screen(
            first, last, *full.arrays, effective, DEPTH, SPARE, int(REACH * scale), keep
        )

    pool.over_parts(full, work)
    return submarket(full, keep, problem.cap, pool)


def fix(
    problem: Problem,
    near: Market,
    price: NDArray[np.int64],
    scale: float,
    pool: Pool,
) -> Fixing:
    """Tell plain orders from close ones, and keep what is fixed within the slots."""
    from optimizer.solvers.kernels.market import classify

    effective = effective_price(price, problem.lane_parent)
    state = np.zeros(near.num_orders, np.int8)
    pick = np.zeros(near.num_orders, np.int64)
    margin = np.zeros(near.num_orders, np.int64)

    def work(_: int, first: int, last: int) -> None:
        classify(
            first,
            last,
            *near.arrays,
            effective,
            np.int64(CLOSE * scale),
            state,
            pick,
            margin,
        )

    pool.over_parts(near, work)
    _free_overfull(problem, near, state, pick, margin)
    fixed_in = np.flatnonzero(state == 1)
    full_order = near.order[fixed_in]
    offset = pick[fixed_in] - near.option_start[fixed_in]
    fixed = problem.option_start[full_order] + offset
    return Fixing(fixed, near.order[state == 2])


def _free_overfull(
    problem: Problem,
    near: Market,
    state: NDArray[np.int8],
    pick: NDArray[np.int64],
    margin: NDArray[np.int64],
) -> None:
    """Free the weakest fixed orders of lanes that they overfill."""
    while True:
        fixed = np.flatnonzero(state == 1)
        lane = near.option_lane[pick[fixed]]
        use = lane_use(lane, problem.lane_parent)
        over = np.flatnonzero(use > problem.slots)
        if len(over) == 0:
            return
        worst = over[-1]
        inside = _below(worst, problem.lane_parent)[lane]
        on_lane = fixed[inside]
        weakest = on_lane[np.lexsort((on_lane, margin[on_lane]))]
        state[weakest[: use[worst] - problem.slots[worst]]] = 2


def _below(lane: int, lane_parent: NDArray[np.int32]) -> NDArray[np.bool_]:
    """``(num_lanes,) bool``: the lane and all lanes inside it."""
    inside = np.zeros(len(lane_parent), np.bool_)
    inside[lane] = True
    for child in range(lane + 1, len(lane_parent)):
        inside[child] = lane_parent[child] >= 0 and inside[lane_parent[child]]
    return inside


def _solve_core(
    problem: Problem,
    full: Market,
    near: Market,
    fixing: Fixing,
    price: NDArray[np.int64],
    scale: float,
    pool: Pool,
) -> Solution:
    import os
    wanted = effective_price(price, problem.lane_parent)
    reach = int(4 * CLOSE * scale)
    market = near
    while True:
        t0 = time.perf_counter()
        core, options = core_problem(problem, fixing)
        plan = flow_plan(core)
        t1 = time.perf_counter()
        effective = nearest_effective(core, plan, wanted)
        t2 = time.perf_counter()
        chosen = np.sort(np.concatenate((fixing.fixed, options[plan])))
        while True:
            used = np.clip(effective, wanted - reach, wanted + reach)
            is_own = bool(np.all(used == effective))
            surplus, wrong = disagreement(problem, market, chosen, used, pool)
            wrong = np.setdiff1d(wrong, fixing.core, assume_unique=True)
            if len(wrong) or (is_own and market is full):
                break
            if is_own:
                market = full
            else:
                reach *= 4
        t3 = time.perf_counter()
        dual = surplus + int((problem.slots * own_price(effective, problem.lane_parent)).sum())
        primal = int(problem.option_saving[chosen].sum())
        if os.environ.get("TRACE"):
            print(f"core {core.num_orders} fixed {len(fixing.fixed)} gap {dual-primal} wrong {len(wrong)} {is_own} reach {reach/scale:.3f} build+flow {t1-t0:.3f} prices {t2-t1:.3f} check {t3-t2:.3f} {market is full}")
        if dual == primal and is_own and market is full:
            return Solution(chosen, own_price(effective, problem.lane_parent), cap_prices(problem, effective), Termination("OPTIMAL"))
        assert len(wrong)
        fixing = unfix(problem, fixing, wrong)


def unfix(problem: Problem, fixing: Fixing, wrong: NDArray[np.int64]) -> Fixing:
    order = np.searchsorted(problem.option_start, fixing.fixed, side="right") - 1
    kept = fixing.fixed[~np.isin(order, wrong)]
    return Fixing(kept, np.union1d(fixing.core, wrong))


def core_problem(problem: Problem, fixing: Fixing):
    order = fixing.core
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    fo = np.searchsorted(problem.option_start, fixing.fixed, side="right") - 1
    fm = np.searchsorted(problem.merchant_start, fo, side="right") - 1
    cap = problem.cap - np.bincount(fm, minlength=problem.num_merchants)
    slots = problem.slots - lane_use(problem.option_lane[fixing.fixed], problem.lane_parent)
    ms, m = np.unique(merchant, return_inverse=True)
    size = (problem.option_start[order + 1] - problem.option_start[order])
    start = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
    options = np.repeat(problem.option_start[order] - start[:-1], size) + np.arange(start[-1])
    starts = lambda g, n: np.concatenate(([0], np.cumsum(np.bincount(g, minlength=n)))).astype(np.int64)
    return Problem(starts(m, len(ms)), cap[ms], start, problem.option_lane[options], problem.option_saving[options], slots, problem.lane_parent.copy(), problem.key[order], problem.row[order]), options


def disagreement(problem, market, chosen, effective, pool):
    from optimizer.solvers.kernels.market import contradictions
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    if market.order is not None:
        place = np.searchsorted(market.order, order)
        chosen = market.option_start[place] + chosen - problem.option_start[order]
        order = place
    cs = np.searchsorted(order, market.merchant_start).astype(np.int64)

    def work(_, first, last):
        found = np.empty(100_000, np.int64)
        s, k = contradictions(first, last, *market.arrays, effective, chosen, cs, found)
        return s, found[: min(k, len(found))]

    parts = pool.over_parts(market, work)
    wrong = np.concatenate([f for _, f in parts])
    return sum(int(s) for s, _ in parts), wrong if market.order is None else market.order[wrong]
