"""The bound by lanes: after the plan, or beside it where large blocks leave a core."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from optimizer.model.side_constraints import HARD, NO_PIN
from optimizer.solvers.market import sub_market, whole_market
from optimizer.solvers.packing.lagrangian import lane_view, start_prices
from optimizer.solvers.packing.lane_prices import best_lane_prices
from optimizer.solvers.packing.local_search import closest, margins, most_chosen
from optimizer.solvers.packing.market import side_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.model.problem import Problem
    from optimizer.solvers.packing.lane_prices import Held
    from optimizer.solvers.packing.market import Targets
    from optimizer.solvers.packing.refine_prices import PackingSearch, Priced

#: Lanes decide about so many options for each one that could be chosen.
LANE_OPTIONS = 4
#: With no more options than this near their prices, the bound is made after the plan:
#: it then starts from the prices of the linear program.
FEW_OPTIONS = 20_000


def lane_prices(
    search: PackingSearch, priced: Priced, targets: Targets, money: int
) -> Held | None:
    """
    Prices for the bound by lanes, and their bound for all; ``None``: no time.

    Parameters
    ----------
    search, priced, targets
        The night, its prices, and what every plan is held to.
    money
        Value of a known plan, micro-CNY.
    """
    problem, market, pool = search.problem, priced.market, search.pool
    whole = whole_market(problem, targets.is_pinned)
    worth = margins(market, priced.prices, priced.merchant_price)
    deep = closest(worth, LANE_OPTIONS * most_chosen(problem, market))
    orders = market.order[np.unique(market.option_order[worth >= -deep])]
    view = lane_view(problem, sub_market(whole, orders, problem.cap, pool), targets.low)
    start = start_prices(view, priced.prices, priced.merchant_price)
    return best_lane_prices(whole, view, start, money, pool, search)


@dataclass(slots=True, eq=False)
class BoundAside:
    """
    A bound that may be begun while the plan is still improved.

    It steps towards the plan of that moment, on any number of threads, so that it does
    not depend on which is ready first.

    Attributes
    ----------
    search
        The night, and the time that is left.
    has_begun
        Whether it has.
    """

    search: PackingSearch
    has_begun: bool = False
    _answer: Callable[[], Held | None] = field(default=lambda: None)

    @property
    def takes_no_time(self) -> bool:
        """Whether no time need be kept for it after the plan."""
        return self.has_begun and self.search.pool.is_shared

    def begin(self, priced: Priced, targets: Targets, money: int) -> None:
        """Begin with a plan of this value, unless it has begun or may not yet."""
        is_few = priced.market.num_options <= FEW_OPTIONS
        if self.has_begun or is_few or _may_clash(self.search.problem):
            return
        self.has_begun = True
        alone = replace(self.search, pool=self.search.pool.alone())
        self._answer = self.search.pool.aside(
            partial(lane_prices, alone, priced, targets, money)
        )

    def held(self, priced: Priced, targets: Targets, money: int) -> Held | None:
        """The answer of what has begun, or of what begins now."""
        if self.has_begun:
            return self._answer()
        return lane_prices(self.search, priced, targets, money)


def _may_clash(problem: Problem) -> bool:
    """Whether floors or pins may be given up, and bounds then hold to others."""
    side = side_of(problem)
    has_floor = np.any((side.penalty == HARD) & (side.low > 0))
    return bool(has_floor or np.any(side.pin_rank != NO_PIN))
