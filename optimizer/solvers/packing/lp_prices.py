"""Prices of a small packing night: dual values of the linear program, rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.solvers.packing.local_search import make_packing_night
from optimizer.solvers.packing.market import (
    PackingPrices,
    price_limits,
    side_of,
    with_lane,
)
from optimizer.solvers.packing.programs import (
    Program,
    RowBlock,
    joined_program,
    solve_linear,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from optimizer.model.problem import Problem
    from optimizer.solvers.market import NearMarket
    from optimizer.solvers.packing.local_search import PackingNight
    from optimizer.solvers.packing.market import Targets


def linear_prices(
    problem: Problem,
    market: NearMarket,
    targets: Targets,
    seconds: float,
) -> PackingPrices | None:
    """
    The best linear prices, to the nearest micro-CNY; ``None`` where there are none.

    Targets that no plan reaches have none.

    Parameters
    ----------
    problem
        The night.
    market
        The orders of the linear program.
    targets
        Floors and pins that the program must keep.
    seconds
        Time limit.
    """
    night = make_packing_night(problem, market, market.option_saving, 0)
    is_pinned = targets.is_pinned[market.order]
    program = _linear_program(problem, night, targets.low, is_pinned)
    dual = solve_linear(program, seconds=seconds)
    if dual is None:
        return None
    first = problem.num_merchants
    lane_dual, row_dual = np.split(dual[first : len(night.high)], [problem.num_lanes])
    lane_limit, least, most = price_limits(problem, targets.low)
    own = np.rint(np.clip(lane_dual, 0, lane_limit)).astype(np.int64)
    row = np.clip(np.rint(row_dual), least, most).astype(np.int64)
    prices = with_lane(own, row, problem)
    return PackingPrices(np.minimum(prices.lane, lane_limit), prices.row)


def _linear_program(
    problem: Problem,
    night: PackingNight,
    floors: NDArray[np.int64],
    is_pinned: NDArray[np.bool_],
) -> Program:
    """Columns: options, then shortfalls of soft floors; rows: limits, orders."""
    num_options, num_limits = len(night.option_order), len(night.high)
    side = side_of(problem)
    soft = np.flatnonzero((side.penalty >= 0) & (side.low > 0))
    floor = num_limits - side.num_rows + soft
    low = np.full(num_limits, -np.inf)
    low[num_limits - side.num_rows :] = np.where(floors > 0, floors, -np.inf)
    limits = RowBlock(
        row=np.concatenate((night.use_limit, floor)),
        column=np.concatenate((night.use_option, num_options + np.arange(len(soft)))),
        amount=np.concatenate((night.use_amount, np.ones(len(soft), np.int64))),
        least=low,
        most=night.high,
    )
    orders = RowBlock(
        row=night.option_order,
        column=np.arange(num_options),
        amount=np.ones(num_options, np.int64),
        least=np.where(is_pinned, 1.0, -np.inf),
        most=np.ones(len(is_pinned)),
    )
    upper = np.concatenate((np.ones(num_options), side.low[soft]))
    return joined_program(
        [limits, orders],
        np.concatenate((night.option_saving, -side.penalty[soft])).astype(np.float64),
        upper.astype(np.float64),
        num_whole=0,
    )
