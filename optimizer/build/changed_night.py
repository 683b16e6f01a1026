"""
A built night with other slots and other orders: the arrays that a new build would give.

Orders are merged by merchant and key, and caps are counted again from all orders. That
is exact where the lanes stay what they are (:func:`can_patch`): the night is a network,
every place that a parcel goes to has a capacity row, and nothing was drawn, counted by
day or taken by other nights. Elsewhere a night has to be built from its tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from optimizer.build.assemble import merchant_caps
from optimizer.build.carryover import count_open
from optimizer.build.encode import OPEN, leaf_places
from optimizer.build.lanes import rows_over
from optimizer.model.problem import Problem, starts
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.assemble import Names
    from optimizer.build.encode_rows import Encoded
    from optimizer.build.lanes import Place
    from optimizer.build.merge_orders_kernel import ListedOrders
    from optimizer.build.night import InputRecord, Intake
    from optimizer.config import Config


@dataclass(frozen=True, slots=True, eq=False)
class NightChange:
    """
    What changes of a night, checked.

    Attributes
    ----------
    slots
        Slots of capacity rows, by place.
    dropped
        ``(k,) int64``: rows of orders that do not exist any more, ascending.
    cancelled
        ``(k,) int64``: rows of orders that are not to be served, ascending.
    added
        New orders and their options, encoded by themselves; ``None``: none.
    """

    slots: Mapping[Place, int]
    dropped: NDArray[np.int64]
    cancelled: NDArray[np.int64]
    added: Encoded | None


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """
    Where the orders of a night stand after a change.

    Attributes
    ----------
    place
        ``(num_orders,) int64``: of each order before; -1 where it is gone.
    added
        ``(k,) int64``: places of new orders, ascending.
    merchant
        ``(num_merchants,) int64``: each merchant's number before; -1 for a new one.
    """

    place: NDArray[np.int64]
    added: NDArray[np.int64]
    merchant: NDArray[np.int64]


def can_patch(intake: Intake, config: Config) -> bool:
    """Whether a night's lanes stay what they are whatever orders it has."""
    problem, index, history = intake.problem, intake.index, intake.history
    wide = any(place.outlet_id and not place.region_id for place in index.places)
    return (
        problem.side is None
        and index.limits is None
        and index.counting is None
        and index.pool is None
        and index.draws is None
        and not index.uncovered
        and not wide
        and intake.params.service_day is None
        and history.in_flight is None
        and not config.capacity.peaks
        and config.model is None
    )


def patched(intake: Intake, change: NightChange) -> tuple[Intake, Moved | None] | None:
    """
    A night with its changes.

    Parameters
    ----------
    intake
        The built night, of which :func:`can_patch` holds.
    change
        What changes.

    Returns
    -------
    intake, moved
        ``moved`` is ``None`` where all orders stand where they stood. ``None`` for both
        where a new order goes to a place without a capacity row, or takes
        more than one slot, or is pinned: such a night has other lanes or rows.

    Raises
    ------
    DataError
        When a merchant has more orders now than the merchants table says.
    """
    added, problem = change.added, intake.problem
    lanes = np.zeros(0, np.int32)
    if added is not None:
        if not _is_plain(added):
            return None
        found = _lanes_of(added, intake.index.places)
        if found is None:
            return None
        lanes = found
    if change.slots:
        number = {place: at for at, place in enumerate(intake.index.places)}
        slots = problem.slots.copy()
        for place, count in change.slots.items():
            slots[number[place]] = count
        problem = replace(problem, slots=slots)
    if not (len(change.dropped) or len(change.cancelled) or added):
        return replace(intake, problem=problem), None
    return _with_orders(replace(intake, problem=problem), change, lanes)


def _is_plain(added: Encoded) -> bool:
    """Whether new orders take a slot each, and no pin has them chosen."""
    orders, options = added.orders, added.options
    has_pins = bool(orders.is_pinned.any())
    return not has_pins and bool(np.all(orders.load == 1) and np.all(options.load <= 1))


def _lanes_of(added: Encoded, places: tuple[Place, ...]) -> NDArray[np.int32] | None:
    """Lane of each new option; ``None`` where one goes where no row is."""
    number = {place: at for at, place in enumerate(places)}
    names = {place: place for place in places}
    leaves = leaf_places(added.coder)
    lane_of_leaf = np.full(len(leaves), -1, np.int32)
    for leaf in np.unique(added.options.leaf).tolist():
        over = rows_over(leaves[leaf], names)
        if not over:
            return None
        lane_of_leaf[leaf] = number[over[-1]]
    return lane_of_leaf[added.options.leaf]


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows of the changed orders table: their status, and merchants by number."""

    status: NDArray[np.uint8]
    merchant: NDArray[np.int32]
    merchant_ids: tuple[str, ...]
    before: NDArray[np.int64]


def _with_orders(
    intake: Intake, change: NightChange, lanes: NDArray[np.int32]
) -> tuple[Intake, Moved]:
    """Take orders out, and put the new ones in."""
    index, problem = intake.index, intake.problem
    num_rows = len(index.status)
    is_dropped = np.zeros(num_rows, np.bool_)
    is_dropped[change.dropped] = True
    is_out = is_dropped.copy()
    is_out[change.cancelled] = True
    rows = _rows(index, change, is_dropped)
    less = np.cumsum(is_dropped) if len(change.dropped) else None
    new = _listed(change.added, rows, num_rows - len(change.dropped), lanes)
    is_there = rows.merchant >= 0
    status, merchant = rows.status[is_there], rows.merchant[is_there]
    num_merchants = len(rows.merchant_ids)
    there = np.bincount(merchant, minlength=num_merchants)
    eligible = there
    if intake.policy.cap.base == "eligible_orders":
        counted = merchant[status != Reason.INELIGIBLE]
        eligible = np.bincount(counted, minlength=num_merchants)
    num_open = count_open(status, merchant, num_merchants)
    made = merchant_caps(
        there=there,
        eligible=eligible,
        num_open=num_open,
        merchant_ids=[*rows.merchant_ids],
        merchants=intake.params.merchants,
        policy=intake.policy,
        history=intake.history,
    )
    row = problem.row if less is None else problem.row - less[problem.row]
    stays = _Staying(row, is_out[problem.row], rows.before)
    problem, moved = _merged(problem, stays, new, made.caps)
    names = replace(
        index,
        merchant_ids=rows.merchant_ids,
        merchant_num_orders=made.num_orders,
        status=rows.status,
        row_merchant=rows.merchant,
        has_budget=made.has_budget,
        merchant_num_open=num_open,
        bank=made.bank,
        warnings=made.warnings,
    )
    others = [w for w in intake.warnings if w not in index.warnings]
    changed = replace(
        intake,
        problem=problem,
        index=names,
        inputs=tuple(_counted(intake, change)),
        warnings=(*others, *made.warnings),
        quarantine=_renumbered(intake, is_dropped),
    )
    return changed, moved


def _rows(index: Names, change: NightChange, is_dropped: NDArray[np.bool_]) -> _Rows:
    """Status and merchant of each row, with the merchants that have orders now."""
    status = index.status.copy()
    status[change.cancelled] = Reason.INELIGIBLE
    status, merchant = status[~is_dropped], index.row_merchant[~is_dropped]
    names, before = index.merchant_ids, np.arange(len(index.merchant_ids))
    new_ids: list[str] = []
    added = change.added
    if added is not None:
        ids = added.coder.merchants.ids
        new_ids = [ids[code] for code in np.unique(added.orders.merchant).tolist()]
    known = {name: at for at, name in enumerate(names)}
    count = np.bincount(merchant[merchant >= 0], minlength=len(names))
    if not count.all() or not known.keys() >= {*new_ids}:
        stays = {names[at] for at in np.flatnonzero(count).tolist()}
        names = tuple(sorted(stays | {*new_ids}))
        before = np.array([known.get(name, -1) for name in names], np.int64)
        now = np.full(len(known) + 1, -1, np.int32)
        now[before[before >= 0]] = np.flatnonzero(before >= 0)
        merchant = now[merchant]
    if added is not None:
        number = {name: at for at, name in enumerate(names)}
        ids = added.coder.merchants.ids
        of_code = np.array([number.get(name, -1) for name in ids], np.int32)
        status = np.concatenate((status, added.orders.status))
        merchant = np.concatenate((merchant, of_code[added.orders.merchant]))
    return _Rows(status, merchant, names, before)


def _listed(
    added: Encoded | None, rows: _Rows, first_row: int, lanes: NDArray[np.int32]
) -> ListedOrders:
    """New open orders by merchant and key, with their options by lane."""
    from optimizer.build.merge_orders_kernel import ListedOrders

    num_merchants, none = len(rows.merchant_ids), np.zeros(0, np.int64)
    if added is None:
        start = np.zeros(num_merchants + 1, np.int64)
        keys, lane = np.zeros(0, np.uint64), np.zeros(0, np.int32)
        return ListedOrders(start, keys, none, np.zeros(1, np.int64), lane, none)
    orders, options = added.orders, added.options
    merchant = rows.merchant[first_row + orders.row]
    is_open = np.flatnonzero(orders.status == OPEN)
    turn = is_open[np.lexsort((orders.key[is_open], merchant[is_open]))]
    place = np.full(len(orders.row), -1, np.int64)
    place[turn] = np.arange(len(turn))
    order = place[options.order]
    by = np.lexsort((lanes, order))
    by = by[order[by] >= 0]
    return ListedOrders(
        merchant_start=starts(merchant[turn], num_merchants),
        key=orders.key[turn],
        row=first_row + orders.row[turn],
        option_start=starts(order[by], len(turn)),
        option_lane=lanes[by],
        option_saving=options.saving[by],
    )


class _Staying(NamedTuple):
    """Rows of a problem's orders now, which of them go, and the merchants before."""

    row: NDArray[np.int64]
    is_gone: NDArray[np.bool_]
    before: NDArray[np.int64]


def _merged(
    problem: Problem, stays: _Staying, new: ListedOrders, cap: NDArray[np.int64]
) -> tuple[Problem, Moved]:
    """The problem without some orders and with others, and with its caps."""
    from optimizer.build.merge_orders_kernel import ListedOrders, merge_orders

    row, is_gone, before = stays
    num_ways = np.diff(problem.option_start)
    num_orders = problem.num_orders - int(is_gone.sum()) + len(new.key)
    num_options = problem.num_options - int(num_ways[is_gone].sum())
    num_options += len(new.option_lane)
    merged = ListedOrders(
        merchant_start=np.empty(len(before) + 1, np.int64),
        key=np.empty(num_orders, np.uint64),
        row=np.empty(num_orders, np.int64),
        option_start=np.zeros(num_orders + 1, np.int64),
        option_lane=np.empty(num_options, np.int32),
        option_saving=np.empty(num_options, np.int64),
    )
    place = np.full(problem.num_orders, -1, np.int64)
    new_place = np.empty(len(new.key), np.int64)
    old = ListedOrders(
        problem.merchant_start,
        problem.key,
        row,
        problem.option_start,
        problem.option_lane,
        problem.option_saving,
    )
    merge_orders(
        _read_only(old),
        _read_only(new),
        old_of=before,
        is_gone=is_gone,
        merged=merged,
        place=place,
        new_place=new_place,
    )
    made = Problem(
        merchant_start=merged.merchant_start,
        cap=cap,
        option_start=merged.option_start,
        option_lane=merged.option_lane,
        option_saving=merged.option_saving,
        slots=problem.slots,
        lane_parent=problem.lane_parent,
        key=merged.key,
        row=merged.row,
    )
    return made, Moved(place, new_place, before)


def _read_only(orders: ListedOrders) -> ListedOrders:
    """Views through which nothing is written: kernels are compiled for one kind."""
    views: list[Any] = [array.view() for array in orders]
    for view in views:
        view.setflags(write=False)
    return type(orders)(*views)


def _counted(intake: Intake, change: NightChange) -> Iterator[InputRecord]:
    """The inputs, with as many rows as they have now; options that went are counted."""
    more = {} if change.added is None else change.added.counts
    for used in intake.inputs:
        less = len(change.dropped) if used.name == "orders" else 0
        num_rows = used.num_rows + more.get(used.name, 0) - less
        yield replace(used, num_rows=num_rows)


def _renumbered(intake: Intake, is_dropped: NDArray[np.bool_]) -> pl.DataFrame:
    """Refused rows, by their number in the changed orders table."""
    import polars as pl

    quarantine = intake.quarantine
    if quarantine.is_empty() or not is_dropped.any():
        return quarantine
    row = quarantine["row"].to_numpy()
    before = np.concatenate(([0], np.cumsum(is_dropped)))
    less = np.where(
        quarantine["source"] == "orders",
        before[np.minimum(row, len(is_dropped)) - 1],
        0,
    )
    return quarantine.with_columns(row=pl.Series(row - less))
