r"""
The outcome of each order and its reason, at the certificate's prices.

With effective lane prices :math:`p` and cap prices :math:`\mu`, an order's
**surplus** is :math:`\max_a (s_a - p_{\ell(a)}) - \mu_m`: what it saves beyond all its
prices; where positive, this is its part of the dual bound. Take an order that saves
something and is not chosen. Capacity stops it if it would be out even with a free cap
(:math:`\max_a (s_a - p_{\ell(a)}) \le 0`); the cap stops it if it would be out even
with free capacity (:math:`\max_a s_a \le \mu_m`). Both stop it if each alone would, or
if neither alone would.

How much it lacks, or could lose, is its **margin** (:mod:`optimizer.model.margins`).
Where no exact margin is given, bounds enclose it: with :math:`u` the surplus, :math:`s`
the saving and :math:`g` the gap of these prices, forcing an order in leaves a bound of
:math:`\mathrm{dual} + \min(0, u)`, forcing it out one of
:math:`\mathrm{dual} - \max(0, u)`, and a plan stays feasible without one of its orders:

.. math::

   \text{chosen:}\quad \max(0, u) - g \le \text{margin} \le \min(0, u) + s + g,
   \qquad \text{not chosen:}\quad \text{margin} \le \min(0, u) + g .

The upper end for chosen orders needs a night without floors and pins. Pinned orders
have no margin: they are chosen whatever they save.

On packing nights :math:`p` is for the option's load, and side rows count as capacity.
Owners' caps and ceilings of groups count as caps. An order that only the subsidy budget
stops has the reason ``BUDGET``, and so has one whose merchant's cap comes from its own
budget. Where the prices do not decide, the room that the plan leaves does.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.build.drawn_savings import count_plans
from optimizer.build.encode import OPEN
from optimizer.build.experiment import COIN, is_held, station_keys
from optimizer.build.margin_coins import toss_coins
from optimizer.explain.explored import by_merchant
from optimizer.explain.stops import find_stops, make_prices
from optimizer.model.frozen import freeze_arrays
from optimizer.model.lane_tree import effective_price, least_slots
from optimizer.model.margins import NO_END
from optimizer.model.reasons import Reason
from optimizer.model.reduced_savings import (
    BLOCK_ORDERS,
    NO_OPTION,
    best_of,
    best_reduced,
    has_room,
    net_savings,
)
from optimizer.model.side_constraints import NO_FLOOR, NO_PIN
from optimizer.solvers.market import Threads

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.build.drawn_savings import Draws
    from optimizer.build.experiment import ExplorePool
    from optimizer.build.margin_coins import Tossed
    from optimizer.explain.stops import StopPrices
    from optimizer.model.margins import Margins
    from optimizer.model.problem import Problem
    from optimizer.model.solution import Solution


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """
    One outcome for each row of the orders table.

    Attributes
    ----------
    reason
        ``(num_rows,) uint8``: a :class:`~optimizer.model.reasons.Reason`.
    lane
        ``(num_rows,) int32``: lane of the chosen option; -1 where not chosen.
    load
        ``(num_rows,) int64``: slots that the chosen option takes; ``None``: each one.
    saving
        ``(num_rows,) int64`` micro-CNY of the chosen option, or of the best one.
    surplus
        ``(num_rows,) int64`` micro-CNY: above all prices, or below them.
    margin_low, margin_high
        ``(num_rows,) int64`` micro-CNY: ends of the margin; usually the same
        array. Both ``NO_END``: no margin; else ``-NO_END`` and ``NO_END`` mark ends
        that are not known.
    is_priced
        ``(num_rows,) bool``: whether saving, surplus and margin mean anything: the
        order went to the solver.
    has_room
        ``(num_rows,) bool``: whether there is a slot at all where the order could go.
    arm
        ``(num_rows,) int8``: index in ``ARMS``; -1 for orders that were not randomised.
    propensity
        ``(num_rows,) float64``: probability of premium, given the rest of the night.
    num_plans
        ``(num_rows,) int32``: plans that choose it, of those of all draws of the
        savings; ``None`` where savings are not drawn.
    """

    reason: NDArray[np.uint8]
    lane: NDArray[np.int32]
    load: NDArray[np.int64] | None
    saving: NDArray[np.int64]
    surplus: NDArray[np.int64]
    margin_low: NDArray[np.int64]
    margin_high: NDArray[np.int64]
    is_priced: NDArray[np.bool_]
    has_room: NDArray[np.bool_]
    arm: NDArray[np.int8]
    propensity: NDArray[np.float64]
    num_plans: NDArray[np.int32] | None = None


#: Its arrays, each with an entry for every row.
BY_ROW = tuple(field.name for field in fields(Outcomes))

_CARRIED = "outcome "


def with_outcomes(frame: pl.DataFrame, outcomes: Outcomes) -> pl.DataFrame:
    """Rows with what each got, in columns of their own, for :func:`outcomes_of`."""
    import polars as pl

    rows = frame["row"].to_numpy()
    arrays = ((name, getattr(outcomes, name)) for name in BY_ROW)
    return frame.with_columns(
        pl.Series(_CARRIED + name, array[rows])
        for name, array in arrays
        if array is not None
    )


def outcomes_of(frame: pl.DataFrame) -> Outcomes:
    """What the rows of a frame got, in its order."""
    found: dict[str, Any] = dict.fromkeys(BY_ROW)
    found |= {
        name: frame[_CARRIED + name].to_numpy()
        for name in BY_ROW
        if _CARRIED + name in frame.columns
    }
    return Outcomes(**found)


#: Arms of the experiment: chosen by the optimum, drawn blind, by coins between parcels
#: just inside and just outside the plan, and by savings that are drawn.
ARMS = ("policy", "explore", "margin", "thompson")


def find_outcomes(
    problem: Problem,
    solution: Solution,
    index: Names,
    margins: Margins | None,
    price_gap: int,
) -> Outcomes:
    """
    Give every row of the orders table its reason, saving and margin.

    Parameters
    ----------
    problem, solution
        The night and its certified plan.
    index
        Which rows went to the solver, and why the others did not.
    margins
        Exact margins; ``None`` where there are none.
    price_gap
        How far the bound of the prices is above the plan, micro-CNY.
    """
    num_rows = len(index.status)
    margin = np.full(num_rows, NO_END)
    is_one = margins is not None and _is_exact(margins)
    outcomes = Outcomes(
        reason=index.status.copy(),
        lane=np.full(num_rows, -1, np.int32),
        load=None if problem.side is None else np.ones(num_rows, np.int64),
        saving=np.zeros(num_rows, np.int64),
        surplus=np.zeros(num_rows, np.int64),
        margin_low=margin,
        margin_high=margin if is_one else margin.copy(),
        is_priced=index.status == OPEN,
        has_room=np.zeros(num_rows, np.bool_),
        arm=np.full(num_rows, -1, np.int8),
        propensity=np.zeros(num_rows),
        num_plans=None if index.draws is None else np.zeros(num_rows, np.int32),
    )
    room = least_slots(problem.slots, problem.lane_parent)
    price = effective_price(solution.lane_price, problem.lane_parent)
    side = problem.side
    prices = None if side is None else make_prices(problem, side, solution, index)

    def work(block: int) -> None:
        first = block * BLOCK_ORDERS
        last = min(first + BLOCK_ORDERS, problem.num_orders)
        row = problem.row[first:last]
        outcomes.has_room[row] = has_room(problem, room, first, last)
        if prices is None:
            _price_block(problem, solution, price, (first, last), outcomes, index)
        else:
            _stop_block(problem, solution, prices, (first, last), outcomes)
        if index.has_budget is not None:
            _mark_budgets(index, row, outcomes)

    with Threads() as pool:  # no two blocks have a row in common
        pool.each(work, -(-problem.num_orders // BLOCK_ORDERS))
    _mark_chosen(problem, solution.chosen, outcomes, index)
    if index.tossed is not None:
        _mark_pairs(problem, index.tossed, outcomes)
    elif index.experiment is not None and index.experiment.coin_share:
        pairs = toss_coins(
            problem, solution.chosen, index.merchant_ids, index.experiment
        )
        _mark_pairs(problem, pairs.tossed, outcomes)
    if index.draws is not None:
        _mark_draws(problem, solution, index, index.draws, outcomes)
    if index.pool is not None:
        _mark_pool(index.pool, price, solution.merchant_price, outcomes)
    if margins is None:
        _bound_margins(problem, solution.chosen, index, outcomes, price_gap)
    else:
        _give_margins(problem, index, margins, outcomes)
    freeze_arrays(outcomes)
    return outcomes


def _is_exact(margins: Margins) -> bool:
    """Whether all margins are known exactly, by one array for both ends."""
    both = [each for each in (margins.order, margins.beside) if each is not None]
    return all(np.array_equal(each.low, each.high) for each in both)


def _give_margins(
    problem: Problem, index: Names, margins: Margins, outcomes: Outcomes
) -> None:
    """Fill in exact margins."""
    for given, name in ((outcomes.margin_low, "low"), (outcomes.margin_high, "high")):
        if name == "high" and given is outcomes.margin_low:
            continue
        given[problem.row] = getattr(margins.order, name)
        if index.pool is not None:
            row = index.pool.row[by_merchant(index.pool)]
            given[row] = getattr(margins.beside, name)


def _bound_margins(
    problem: Problem,
    chosen: NDArray[np.int64],
    index: Names,
    outcomes: Outcomes,
    gap: int,
) -> None:
    """Fill in the ends of margins that the prices give."""
    side, pool = problem.side, index.pool
    low, high = outcomes.margin_low, outcomes.margin_high
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    row = problem.row[order]
    for first in range(0, problem.num_orders, BLOCK_ORDERS):
        block = np.arange(first, min(first + BLOCK_ORDERS, problem.num_orders))
        merchant = np.searchsorted(problem.merchant_start, block, side="right") - 1
        here = problem.row[block]
        can = outcomes.has_room[here] & (problem.cap[merchant] > 0)
        here = here[can]
        low[here] = -NO_END
        high[here] = np.minimum(outcomes.surplus[here], 0) + gap
    low[row] = np.maximum(outcomes.surplus[row], 0) - gap
    high[row] = np.minimum(outcomes.surplus[row], 0) + outcomes.saving[row] + gap
    if pool is not None:
        low[pool.row], high[pool.row] = -NO_END, outcomes.surplus[pool.row] + gap
    if side is None:
        return
    is_pinned = side.pin_rank != NO_PIN
    if is_pinned.any() or np.any(side.low > NO_FLOOR):
        high[row] = NO_END
    low[problem.row[is_pinned]] = high[problem.row[is_pinned]] = NO_END


def _price_block(
    problem: Problem,
    solution: Solution,
    price: NDArray[np.int64],
    block: tuple[int, int],
    outcomes: Outcomes,
    index: Names,
) -> None:
    """Fill in the outcomes of some orders as if none were chosen."""
    cap = problem.cap if index.pool is None else problem.cap + index.pool.used_cap
    order = np.arange(*block)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    best = best_reduced(problem, np.zeros_like(price), *block)
    reduced = best_reduced(problem, price, *block)
    cut = solution.merchant_price[merchant]
    row = problem.row[block[0] : block[1]]
    outcomes.saving[row] = best
    outcomes.surplus[row] = reduced - cut
    outcomes.reason[row] = np.select(
        [
            best == NO_OPTION,
            best <= 0,
            cap[merchant] == 0,
            (reduced <= 0) == (best <= cut),
            reduced <= 0,
        ],
        [
            Reason.CARRIER_INACTIVE,
            Reason.NO_SAVING,
            Reason.CAP_ZERO,
            Reason.CAP_AND_CAPACITY,
            Reason.CAPACITY_FULL,
        ],
        Reason.CAP_FULL,
    )
    outcomes.is_priced[row] = best > NO_OPTION


def _stop_block(
    problem: Problem,
    solution: Solution,
    prices: StopPrices,
    block: tuple[int, int],
    outcomes: Outcomes,
) -> None:
    """Fill in the outcomes of some orders of a packing night as if none were chosen."""
    assert problem.side is not None
    order = np.arange(*block)
    merchant = np.searchsorted(problem.merchant_start, order, side="right") - 1
    nothing = np.zeros(problem.num_lanes, np.int64)
    best = best_of(
        problem.option_start[block[0] : block[1] + 1],
        net_savings(problem, nothing, None, *block),
        NO_OPTION,
    )
    cut = solution.merchant_price[merchant]
    stops = find_stops(problem, problem.side, prices, cut, block)
    row = problem.row[block[0] : block[1]]
    by_capacity, has_room_alone = stops.by_capacity, outcomes.has_room[row]
    outcomes.saving[row] = best
    outcomes.surplus[row] = stops.surplus
    outcomes.reason[row] = np.select(
        [
            best == NO_OPTION,
            best <= 0,
            problem.cap[merchant] == 0,
            stops.is_beyond_budget,
            ~has_room_alone,
            stops.by_budget & ~by_capacity & ~stops.by_cap,
            by_capacity == stops.by_cap,
            by_capacity,
        ],
        [
            Reason.CARRIER_INACTIVE,
            Reason.NO_SAVING,
            Reason.CAP_ZERO,
            Reason.BUDGET,
            Reason.CAPACITY_FULL,
            Reason.BUDGET,
            Reason.CAP_AND_CAPACITY,
            Reason.CAPACITY_FULL,
        ],
        Reason.CAP_FULL,
    )
    outcomes.is_priced[row] = best > NO_OPTION


def _mark_budgets(index: Names, row: NDArray[np.int64], outcomes: Outcomes) -> None:
    """Give the reason ``BUDGET`` where the stopping cap comes from a budget."""
    assert index.has_budget is not None
    reason = outcomes.reason[row]
    by_cap = (reason == Reason.CAP_ZERO) | (reason == Reason.CAP_FULL)
    stopped = row[by_cap & index.has_budget[index.row_merchant[row]]]
    outcomes.reason[stopped] = Reason.BUDGET


def pool_surplus(
    pool: ExplorePool, price: NDArray[np.int64], merchant_price: NDArray[np.int64]
) -> NDArray[np.int64]:
    """
    What the explore arm's orders save beyond the prices of the remaining night.

    Parameters
    ----------
    pool
        The arm.
    price
        ``(num_lanes,) int64`` effective prices, micro-CNY.
    merchant_price
        ``(num_merchants,) int64`` micro-CNY.

    Returns
    -------
    ``(p,) int64`` micro-CNY.
    """
    if len(pool.row) == 0:
        return np.zeros(0, np.int64)
    reduced = pool.option_saving - price[pool.option_lane]
    best = np.maximum.reduceat(reduced, pool.start[:-1])
    return np.asarray(best - merchant_price[pool.merchant])


def _mark_chosen(
    problem: Problem, chosen: NDArray[np.int64], outcomes: Outcomes, index: Names
) -> None:
    """Mark the plan's orders: most are chosen, a random few held out."""
    order = np.searchsorted(problem.option_start, chosen, side="right") - 1
    row = problem.row[order]
    outcomes.reason[row] = Reason.CHOSEN
    outcomes.arm[row] = ARMS.index("policy")
    outcomes.propensity[row] = 1.0
    if index.experiment is not None:
        key = problem.key[order]
        if index.experiment.is_by_station:
            key = station_keys(index.places)[problem.option_lane[chosen]]
        held = is_held(key, index.experiment)
        outcomes.reason[row[held]] = Reason.HELD_OUT
        outcomes.propensity[row] = 1.0 - float(index.experiment.hold_share)
    outcomes.lane[row] = problem.option_lane[chosen]
    if problem.side is not None and outcomes.load is not None:
        # Rounded up where a slot counts as several parts of expected purchases.
        outcomes.load[row] = -(-problem.side.option_load[chosen] // index.scale)
    outcomes.saving[row] = problem.option_saving[chosen]


def _mark_pairs(problem: Problem, pairs: Tossed, outcomes: Outcomes) -> None:
    """Mark the margin arm: where the coin swaps a pair, the other parcel is premium."""
    for option in (pairs.inside, pairs.outside):
        order = np.searchsorted(problem.option_start, option, side="right") - 1
        row, lane = problem.row[order], problem.option_lane[option]
        outcomes.lane[row], outcomes.saving[row] = lane, problem.option_saving[option]
        outcomes.arm[row] = ARMS.index("margin")
        outcomes.propensity[row] = COIN
        if option is pairs.inside:
            service = np.where(pairs.is_inside_kept, Reason.CHOSEN, Reason.HELD_OUT)
            outcomes.reason[row] = service
        else:
            outcomes.reason[row[~pairs.is_outside_kept]] = Reason.EXPLORED


def _mark_draws(
    problem: Problem,
    solution: Solution,
    index: Names,
    draws: Draws,
    outcomes: Outcomes,
) -> None:
    """Mark what other draws would decide otherwise, and its propensity."""
    assert index.experiment is not None
    assert outcomes.num_plans is not None
    count = count_plans(problem, solution.chosen, solution.lane_price, draws)
    all_plans = draws.num_draws + 1
    is_kept = 1.0 - float(index.experiment.hold_share)
    outcomes.num_plans[problem.row] = count
    outcomes.propensity[problem.row] = count / all_plans * is_kept
    is_drawn = (count > 0) & (count < all_plans)
    outcomes.arm[problem.row[is_drawn]] = ARMS.index("thompson")


def _mark_pool(
    pool: ExplorePool,
    price: NDArray[np.int64],
    merchant_price: NDArray[np.int64],
    outcomes: Outcomes,
) -> None:
    """Mark the explore arm; the draw itself has given the reason."""
    row = pool.row
    outcomes.lane[row] = pool.lane
    outcomes.saving[row] = pool.saving
    outcomes.surplus[row] = pool_surplus(pool, price, merchant_price)
    outcomes.is_priced[row] = True
    outcomes.has_room[row] = True
    outcomes.arm[row] = ARMS.index("explore")
    outcomes.propensity[row] = COIN
