"""
From checked tables to the frozen problem: read → validate → **value → build**.

Orders are grouped by merchant (in the order of merchant ids) and sorted by key within
a merchant, so that the problem does not depend on the order of rows, on batches or on
the kind of source.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from optimizer.build.budgets import merchant_budgets
from optimizer.build.canonical_order import arrange
from optimizer.build.carryover import EarlierNights, count_open, policy_caps
from optimizer.build.changed_ids import warn_changed
from optimizer.build.checks import (
    refuse_to_explore,
    refuse_to_hold,
    warn_heavy,
    warn_idle,
    warn_low_limit,
    warn_uncovered,
    warn_unknown,
    warn_unnamed,
    warn_unused,
)
from optimizer.build.encode import OPEN
from optimizer.build.experiment import ExploreField, draw_pool
from optimizer.build.lanes import places_frame
from optimizer.build.side_constraints import NightInputs, lay_out, limit_night
from optimizer.errors import DataError, counted
from optimizer.io.array_records import take
from optimizer.model.frozen import freeze_arrays
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.carryover import Bank
    from optimizer.build.drawn_savings import Draws
    from optimizer.build.encode import NightCodes, OptionArrays, OrderArrays
    from optimizer.build.experiment import Experiment, ExplorePool
    from optimizer.build.lanes import Forest, Place
    from optimizer.build.margin_coins import Tossed
    from optimizer.build.side_limits import SideLimits
    from optimizer.build.take_up import Counting
    from optimizer.config import Config, PolicyRow
    from optimizer.contracts.warnings import CodedWarning
    from optimizer.model.problem import Problem


def _nothing() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Names:
    """
    The names behind a problem's numbers.

    Attributes
    ----------
    merchant_ids
        By merchant, ascending.
    merchant_num_orders
        ``(num_merchants,) int64``: the base of each cap.
    places
        By lane.
    uncovered
        Places that parcels go to and no capacity row covers.
    status
        ``(num_rows,) uint8``: by row of the orders table, ``OPEN`` or the
        :class:`~optimizer.model.reasons.Reason` that kept it from the solver.
    row_merchant
        ``(num_rows,) int32``: merchant of each row; -1 where quarantined.
    limits
        Limits other than caps and lanes; ``None`` where there are none.
    has_budget
        ``(num_merchants,) bool``: the budget, not the rate, makes the cap; ``None``
        where there are no budgets.
    counting
        How purchases are counted; ``None``: every recommendation.
    warnings
        What a person should look at.
    merchant_num_open
        ``(num_merchants,) int64``: orders that went to the solver.
    in_flight
        ``(num_lanes,) int64``: slots that parcels of other nights take.
    bank
        The cap bank's part of the night, with carryover.
    experiment, pool
        Rules of the random draws, and orders of the explore arm; ``None``: no draws.
    draws
        Other draws of the savings; ``None`` where savings are not drawn.
    tossed
        Pairs of the margin arm, where they were made elsewhere; ``None``: they are made
        of the plan.
    stopped_pins
        ``(k,) int64``: rows of orders pinned to "must" that never went to the solver;
        their ``status`` says why.
    pin_priority
        Of all pins.
    """

    merchant_ids: tuple[str, ...]
    merchant_num_orders: NDArray[np.int64]
    places: tuple[Place, ...]
    uncovered: tuple[Place, ...]
    status: NDArray[np.uint8]
    row_merchant: NDArray[np.int32]
    limits: SideLimits | None = None
    has_budget: NDArray[np.bool_] | None = None
    counting: Counting | None = None
    warnings: tuple[CodedWarning, ...] = ()
    merchant_num_open: NDArray[np.int64] = field(default_factory=_nothing)
    in_flight: NDArray[np.int64] = field(default_factory=_nothing)
    bank: Bank | None = None
    experiment: Experiment | None = None
    pool: ExplorePool | None = None
    draws: Draws | None = None
    tossed: Tossed | None = None
    stopped_pins: NDArray[np.int64] = field(default_factory=_nothing)
    pin_priority: int = 0

    def __post_init__(self) -> None:
        """Freeze the arrays: stages hand them on."""
        freeze_arrays(self)

    @cached_property
    def merchant_column(self) -> pl.Series:
        """Ids by merchant, as a column to look them up in."""
        import polars as pl

        return pl.Series(self.merchant_ids, dtype=pl.String)

    @cached_property
    def place_columns(self) -> pl.DataFrame:
        """Names of places by lane, as columns; made once for all blocks of a night."""
        return places_frame(self.places)

    @property
    def scale(self) -> int:
        """Units of the problem for one slot of a lane."""
        return 1 if self.counting is None else self.counting.scale


def build_problem(
    given: NightInputs,
    *,
    num_rows: int,
    taken: Mapping[Place, int],
    history: EarlierNights,
    experiment: Experiment | None = None,
) -> tuple[Problem, Names]:
    """
    Build the frozen problem of a night.

    Parameters
    ----------
    given
        The encoded night, and the rules and tables that it is built from.
    num_rows
        Rows of the orders table, quarantined ones included.
    taken
        Slots by place that parcels of other nights take, already subtracted from rows.
    history
        Carry-over from other nights.
    experiment
        Rules of the random draws; the explore arm leaves the problem here.

    Raises
    ------
    DataError
        When a merchant has more orders than it says, or limits contradict each other.
    """
    orders, options, policy = given.orders, given.options, given.policy
    merchant_ids, merchant = _rank_merchants(orders, given.coder)
    there = np.bincount(merchant, minlength=len(merchant_ids))
    eligible = there
    if policy.cap.base == "eligible_orders":
        counted_in = merchant[orders.status != Reason.INELIGIBLE]
        eligible = np.bincount(counted_in, minlength=len(merchant_ids))
    num_open = count_open(orders.status, merchant, len(merchant_ids))
    made = merchant_caps(
        there=there,
        eligible=eligible,
        num_open=num_open,
        merchant_ids=merchant_ids,
        merchants=given.merchants,
        policy=policy,
        history=history,
    )
    num_orders, caps = made.num_orders, made.caps
    layout = lay_out(given)
    pool, forest = None, layout.forest
    if experiment is not None and experiment.is_exploring:
        refuse_to_explore(given, layout)
    night = _Laid(orders, options, merchant, caps, forest, layout.lane)
    if experiment is not None and experiment.explore_share:
        pool, night = _explore(night, experiment)
    problem = arrange(
        night.orders, night.options, merchant, night.caps, night.forest, night.lane
    )
    draws = given.draws
    if draws is not None:
        # Each option's own number in place of its saving: where it comes to stand.
        numbers = replace(night.options, saving=np.arange(len(night.options.saving)))
        draws = draws.placed(
            arrange(
                night.orders, numbers, merchant, night.caps, night.forest, night.lane
            ).option_saving
        )
    problem, limits, counting = limit_night(
        problem, given, layout, merchant_ids, num_orders
    )
    if experiment is not None and experiment.hold_share:
        refuse_to_hold(problem)
    status = np.full(num_rows, Reason.QUARANTINED, np.uint8)
    status[orders.row] = night.orders.status
    row_merchant = np.full(num_rows, -1, np.int32)
    row_merchant[orders.row] = merchant
    return problem, Names(
        merchant_ids=tuple(merchant_ids),
        merchant_num_orders=num_orders,
        places=forest.places,
        uncovered=forest.uncovered,
        status=status,
        row_merchant=row_merchant,
        limits=limits,
        has_budget=made.has_budget,
        counting=counting,
        warnings=(
            *made.warnings,
            *warn_idle(layout),
            *warn_unnamed(given, layout),
            *warn_heavy(problem, limits),
            *warn_unused(problem, given.config),
        ),
        merchant_num_open=num_open,
        in_flight=_by_place(taken, forest.places),
        bank=made.bank,
        experiment=experiment,
        pool=pool,
        draws=draws,
        stopped_pins=_stopped_pins(night.orders),
        pin_priority=given.config.pin_priority,
    )


def _by_place(taken: Mapping[Place, int], places: Sequence[Place]) -> NDArray[np.int64]:
    """Slots that other nights take, by place; on most nights none are."""
    if not taken:
        return np.zeros(len(places), np.int64)
    return np.array([taken.get(place, 0) for place in places], np.int64)


def _stopped_pins(orders: OrderArrays) -> NDArray[np.int64]:
    """Rows of pinned orders that are not open, ascending."""
    if not len(orders.is_pinned):
        return _nothing()
    return np.sort(orders.row[orders.is_pinned & (orders.status != OPEN)])


@dataclass(frozen=True, slots=True, eq=False)
class _Laid:
    """A night before its problem is made: merchants of orders, lanes of options."""

    orders: OrderArrays
    options: OptionArrays
    merchant: NDArray[np.int32]
    caps: NDArray[np.int64]
    forest: Forest
    lane: NDArray[np.int32]


def _explore(night: _Laid, experiment: Experiment) -> tuple[ExplorePool, _Laid]:
    """Take the explore arm, and the slots that it uses, out of the night."""
    orders, options, forest = night.orders, night.options, night.forest
    field = ExploreField(
        key=orders.key,
        row=orders.row,
        merchant=night.merchant,
        is_open=orders.status == OPEN,
        order=options.order,
        lane=night.lane,
        saving=options.saving,
        cap=night.caps,
        slots=forest.slots,
        parent=forest.parent,
    )
    pool, member = draw_pool(field, experiment)
    status = orders.status.copy()
    status[member] = np.where(pool.is_premium, Reason.EXPLORED, Reason.HELD_OUT)
    keep = status[options.order] == OPEN
    return pool, _Laid(
        orders=replace(orders, status=status),
        options=take(options, keep),
        merchant=night.merchant,
        caps=night.caps - pool.used_cap,
        forest=replace(forest, slots=forest.slots - pool.used_slots),
        lane=night.lane[keep],
    )


def _rank_merchants(
    orders: OrderArrays, coder: NightCodes
) -> tuple[list[str], NDArray[np.int32]]:
    """Merchants that have orders, by id; and each order's merchant among them."""
    ids = coder.merchants.ids
    seen = np.bincount(orders.merchant, minlength=len(ids)) > 0
    ranked = sorted(np.flatnonzero(seen).tolist(), key=ids.__getitem__)
    rank = np.zeros(len(ids), np.int32)
    rank[ranked] = np.arange(len(ranked))
    return [ids[code] for code in ranked], rank[orders.merchant]


@dataclass(frozen=True, slots=True, eq=False)
class MerchantCaps:
    """
    Caps of merchants, and the order counts that they are shares of.

    Attributes
    ----------
    num_orders, caps
        ``(num_merchants,) int64``.
    bank
        The cap bank's part of the night, with carryover.
    has_budget
        ``(num_merchants,) bool``: the budget, not the rate, makes the cap; ``None``
        where there are no budgets.
    warnings
        About the budgets.
    """

    num_orders: NDArray[np.int64]
    caps: NDArray[np.int64]
    bank: Bank | None
    has_budget: NDArray[np.bool_] | None
    warnings: tuple[CodedWarning, ...]


def merchant_caps(
    there: NDArray[np.int64],
    eligible: NDArray[np.int64],
    num_open: NDArray[np.int64],
    merchant_ids: list[str],
    merchants: pl.DataFrame | None,
    policy: PolicyRow,
    history: EarlierNights,
) -> MerchantCaps:
    """
    Make the caps of merchants.

    Parameters
    ----------
    there, eligible, num_open
        ``(num_merchants,) int64``: orders of each merchant; those not ineligible;
        those that may be recommended.
    merchant_ids, merchants, policy, history
        Names by merchant, the checked merchants table, the rules, and the carry-over
        from other nights.

    Raises
    ------
    DataError
        When a merchant has more orders than the merchants table says.
    """
    base = policy.cap.base
    num_orders = _cap_base(there, eligible, merchant_ids, merchants, base)
    override = merchant_column(merchants, "cap_override", merchant_ids)
    caps, bank = policy_caps(
        policy.cap, num_orders, num_open, override, merchant_ids, history
    )
    caps, has_budget, warnings = merchant_budgets(caps, merchant_ids, merchants, policy)
    return MerchantCaps(
        num_orders=num_orders,
        caps=caps,
        bank=bank,
        has_budget=has_budget,
        warnings=warnings,
    )


def _cap_base(
    there: NDArray[np.int64],
    eligible: NDArray[np.int64],
    merchant_ids: list[str],
    merchants: pl.DataFrame | None,
    base: str,
) -> NDArray[np.int64]:
    """Orders of each merchant that its cap is a share of."""
    stated = merchant_column(merchants, "num_orders", merchant_ids)
    short = np.flatnonzero((stated >= 0) & (stated < there))
    if len(short):
        name = merchant_ids[short[0]]
        raise DataError(
            f"the merchants table gives {counted(len(short), 'merchant')} fewer orders "
            f"than the orders table has, first {name!r} ({stated[short[0]]:,} against "
            f"{there[short[0]]:,}): num_orders is the whole day's number"
        )
    if base == "eligible_orders":
        return eligible.astype(np.int64)
    return np.where(stated >= 0, stated, there).astype(np.int64)


def merchant_column(
    merchants: pl.DataFrame | None, column: str, merchant_ids: Sequence[str]
) -> NDArray[np.int64]:
    """An optional count by merchant; -1 where it is not given."""
    if merchants is None or merchants[column].null_count() == len(merchants):
        return np.full(len(merchant_ids), -1, np.int64)
    given = merchants.filter(merchants[column].is_not_null())
    values = dict(given.select("merchant_id", column).iter_rows())
    return np.array([values.get(m, -1) for m in merchant_ids], np.int64)


def find_warnings(
    index: Names, coder: NightCodes, config: Config
) -> list[CodedWarning]:
    """Collect warnings that a person should see before trusting a quiet night."""
    is_open = config.capacity.uncovered_lanes == "open"
    found = warn_uncovered(index.uncovered, is_open=is_open)
    unknown = warn_unknown(coder.carriers.ids, coder.roster)
    looked_at = coder.looked_at.ids
    changed = warn_changed({} if looked_at is None else {"order_id": looked_at})
    low = warn_low_limit(config)
    return [*found, *index.warnings, *unknown, *changed, *low]
