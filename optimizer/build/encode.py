"""
Valued orders as plain arrays: the last place that sees ids, one batch at a time.

Text is kept only while its batch is read. Of each order a key, dense codes and integer
savings remain, so that a hundred million orders fit in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from optimizer.build.changed_ids import IdSample
from optimizer.build.codes import GroupCodes, IdCodes, NumberCodes
from optimizer.build.costs import Costs, saving_micro_cny
from optimizer.build.lanes import Place
from optimizer.build.order_day import encode_days
from optimizer.build.place_codes import pack, refuse_too_many, unpack
from optimizer.contracts.tables import load_column
from optimizer.io.kept import Kept, Same
from optimizer.io.order_keys import order_keys
from optimizer.model.frozen import freeze_arrays
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.order_day import ServiceDay
    from optimizer.config import Fulfilment
    from optimizer.io.contiguous import LaidTexts
    from optimizer.io.words import Words

_Value = TypeVar("_Value", bound=np.generic)

#: Status of an order that the solver is to decide.
OPEN = np.uint8(255)


@dataclass(frozen=True, slots=True, eq=False)
class OrderArrays:
    """
    All orders of the day, in source order, quarantined rows left out.

    Attributes
    ----------
    row
        ``(n,) int64``: row in the orders table, from 0.
    key, folded_key
        ``(n,) uint64``: hash of ``order_id``, and of it without case and spaces.
    merchant
        ``(n,) int32``: code of the merchant.
    status
        ``(n,) uint8``: ``OPEN``, or the :class:`Reason` that excludes the order.
    load
        ``(n,) int64``: slots that the order takes; empty where the table has none.
    amounts
        ``(n, num_resources) int64``: what it takes of each; empty without any.
    is_pinned
        ``(n,) bool``: pinned to "must"; empty where the table has no pins.
    group
        ``(n,) int32``: code of the order's values in the columns of
        ``NightCodes.groups``; empty where no rule asks for any.
    """

    row: NDArray[np.int64]
    key: NDArray[np.uint64]
    folded_key: NDArray[np.uint64]
    merchant: NDArray[np.int32]
    status: NDArray[np.uint8]
    load: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    is_pinned: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    group: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    amounts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        """Freeze the arrays: stages hand them on."""
        freeze_arrays(self)

    def with_status(self, is_now: NDArray[np.bool_], reason: Reason) -> OrderArrays:
        """The same orders, some with another status."""
        return replace(self, status=np.where(is_now, np.uint8(reason), self.status))


@dataclass(frozen=True, slots=True, eq=False)
class OptionArrays:
    """
    Ways to carry the open orders.

    Attributes
    ----------
    order
        ``(k,) int64``: position in :class:`OrderArrays`.
    leaf
        ``(k,) int32``: code of the place it goes to.
    saving
        ``(k,) int64`` micro-CNY.
    load
        ``(k,) int64``: slots with this carrier, 0 for the order's own; empty where
        the options have none.
    amounts
        ``(k, num_resources) int64``: likewise of each resource, -1 for the order's own.
    """

    order: NDArray[np.int64]
    leaf: NDArray[np.int32]
    saving: NDArray[np.int64]
    load: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    amounts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        """Freeze the arrays: stages hand them on."""
        freeze_arrays(self)


@dataclass(slots=True)
class NightCodes:
    """
    Codes and rates that all batches of one night share.

    Attributes
    ----------
    worth
        Costs, in micro-CNY.
    roster
        Carriers that are active on the date.
    fulfilment
        Share of promises kept, by carrier and region, the most specific first.
    merchants, carriers, regions, outlets
        Codes by id.
    take_up, is_enrolled
        By merchant code; merchants beyond are enrolled and take up everything.
    leaves
        Codes of places, by their packed carrier, day, region and outlet codes.
    service_day
        Which day's slots orders take; ``None``: capacity is not counted by day.
    days
        Codes of those days, from 1.
    salt
        Varies the order keys; raised when two ids share a key.
    looked_at
        Order ids that are looked at for what spreadsheets do.
    columns
        Columns that the orders table has; ``options.load`` where the options have it.
    groups
        Codes of the orders' values in columns that rules ask for.
    resources
        What capacity rows count beside slots.
    """

    worth: Costs
    roster: frozenset[str]
    fulfilment: Mapping[tuple[str, str | None], float]
    take_up: NDArray[np.float64]
    is_enrolled: NDArray[np.bool_]
    merchants: IdCodes
    salt: int = 0
    carriers: IdCodes = field(default_factory=IdCodes)
    regions: IdCodes = field(default_factory=IdCodes)
    outlets: IdCodes = field(default_factory=IdCodes)
    leaves: NumberCodes = field(default_factory=NumberCodes)
    service_day: ServiceDay | None = None
    days: dict[dt.date, int] = field(default_factory=dict)
    looked_at: IdSample = field(default_factory=IdSample)
    columns: frozenset[str] = frozenset()
    groups: GroupCodes = field(default_factory=lambda: GroupCodes(()))
    resources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CodeParams:
    """
    Initial contents of a night's codes: everything that a batch of orders cannot know.

    Attributes
    ----------
    worth
        Costs, in micro-CNY.
    roster
        Carriers that are active on the date.
    fulfilment
        Share of promises kept, by carrier and perhaps region.
    merchants
        The checked merchants table, where there is one.
    columns
        Columns that the tables have, as in :class:`NightCodes`.
    further
        Columns that rules ask for.
    service_day
        Which day's slots orders take; ``None``: capacity is not counted by day.
    resources
        What capacity rows count beside slots.
    """

    worth: Costs
    roster: Iterable[str]
    fulfilment: Iterable[Fulfilment]
    merchants: pl.DataFrame | None
    columns: Iterable[str] = ()
    further: tuple[str, ...] = ()
    service_day: ServiceDay | None = None
    resources: tuple[str, ...] = ()


def make_codes(params: CodeParams, salt: int = 0) -> NightCodes:
    """Start the codes of a night with the merchants table, where there is one."""
    merchants = params.merchants
    codes = IdCodes()
    take_up, is_enrolled = np.ones(0), np.ones(0, bool)
    if merchants is not None:
        codes = _codes_of(merchants)
        take_up = merchants["take_up"].to_numpy()
        is_enrolled = merchants["is_enrolled"].to_numpy()
    kept = {
        (row.carrier_id, row.region_id): float(row.probability)
        for row in params.fulfilment
    }
    return NightCodes(
        worth=params.worth,
        roster=frozenset(params.roster),
        fulfilment=kept,
        take_up=take_up,
        is_enrolled=is_enrolled,
        merchants=codes,
        salt=salt,
        columns=frozenset(params.columns),
        groups=GroupCodes(params.further),
        service_day=params.service_day,
        resources=params.resources,
    )


#: Codes of larger tables are not kept.
_FEW_MERCHANTS = 20_000
_CODES: Kept[IdCodes] = Kept(4)


def _codes_of(merchants: pl.DataFrame) -> IdCodes:
    """Codes by a checked merchants table, which mostly comes again as it was."""

    def made() -> IdCodes:
        codes = IdCodes()
        codes.encode(merchants["merchant_id"])
        return codes

    if len(merchants) > _FEW_MERCHANTS:
        return made()
    return _CODES.get((Same(merchants),), made).copy()


#: Columns of ids that become codes.
CODED = frozenset({"merchant_id", "carrier_id", "region_id", "outlet_id"})
_NO_WORDS: Mapping[str, Words] = MappingProxyType({})


def encode_orders(
    frame: pl.DataFrame,
    coder: NightCodes,
    words: Mapping[str, Words] = _NO_WORDS,
    ids: LaidTexts | None = None,
) -> OrderArrays:
    """
    Encode one batch of checked orders, without their options.

    Parameters
    ----------
    frame, coder
        The batch, and the codes of the night.
    words
        Texts of its columns of ids, where they are known.
    ids
        Its order ids laid out, where they are.
    """
    given = frame["order_id"] if ids is None else ids
    key, folded = order_keys(given, coder.salt)
    if len(frame):
        coder.looked_at.note(key, frame["order_id"])
    merchant = coder.merchants.encode(words.get("merchant_id", frame["merchant_id"]))
    status = np.full(len(frame), OPEN, np.uint8)
    if "pin" in coder.columns:
        status[_pinned(frame, "never")] = Reason.PINNED_OUT
    enrolled = _by_merchant(coder.is_enrolled, merchant, default=True)
    status[~(frame["is_eligible"].to_numpy() & enrolled)] = Reason.INELIGIBLE
    return OrderArrays(
        frame["row"].to_numpy(),
        key,
        folded,
        merchant,
        status,
        load=frame["load"].to_numpy() if "load" in coder.columns else _NO_LOAD,
        is_pinned=_pinned(frame, "must") if "pin" in coder.columns else _NO_PIN,
        group=coder.groups.encode(frame) if coder.groups.columns else _NO_GROUP,
        amounts=_amounts(frame, coder.resources),
    )


_NO_LOAD, _NO_PIN = np.zeros(0, np.int64), np.zeros(0, np.bool_)
_NO_GROUP = np.zeros(0, np.int32)


def _amounts(frame: pl.DataFrame, resources: tuple[str, ...]) -> NDArray[np.int64]:
    """What each row takes of each resource; -1 where it does not say."""
    if not resources:
        return _NO_LOAD
    given = [
        frame[column].fill_null(-1).to_numpy()
        if (column := load_column(name)) in frame.columns
        else np.full(len(frame), -1, np.int64)
        for name in resources
    ]
    return np.column_stack(given).astype(np.int64)


def _pinned(frame: pl.DataFrame, pin: str) -> NDArray[np.bool_]:
    """Orders with a pin, those that may not be chosen among them."""
    return (frame["pin"] == pin).fill_null(value=False).to_numpy()


def encode_own_carrier(
    frame: pl.DataFrame,
    orders: OrderArrays,
    coder: NightCodes,
    first: int,
    words: Mapping[str, Words] = _NO_WORDS,
) -> tuple[OrderArrays, OptionArrays]:
    """
    Make each open order's one option: the carrier that the order names.

    Parameters
    ----------
    frame
        The batch of checked orders.
    orders
        The same batch, encoded.
    coder
        Codes of the night.
    first
        Position of the batch's first order among all orders.
    words
        Texts of its columns of ids, where they are known.

    Returns
    -------
    orders, options
        Orders of carriers outside the roster have the status ``CARRIER_INACTIVE``.
    """
    leaves = code_leaves(
        coder,
        coder.carriers.encode(words.get("carrier_id", frame["carrier_id"])),
        coder.regions.encode(words.get("region_id", frame["region_id"])),
        coder.outlets.encode(words.get("outlet_id", frame["outlet_id"])),
        encode_days(frame, coder.service_day, coder.days),
    )
    is_left = (orders.status == OPEN) & ~leaves.is_active
    orders = orders.with_status(is_left, Reason.CARRIER_INACTIVE)
    keep = np.flatnonzero(orders.status == OPEN)
    take_up = _by_merchant(coder.take_up, orders.merchant, default=1.0)
    saving = saving_micro_cny(
        coder.worth,
        (frame["complaint_prob_standard"] - frame["complaint_prob_premium"]).to_numpy(),
        (frame["return_prob_standard"] - frame["return_prob_premium"]).to_numpy(),
        take_up * leaves.kept,
    )
    options = OptionArrays(
        keep + first,
        leaves.leaf[keep],
        saving[keep],
        amounts=np.full_like(orders.amounts[keep], -1) if coder.resources else _NO_LOAD,
    )
    return orders, options


@dataclass(frozen=True, slots=True, eq=False)
class OrderBasis:
    """
    Order data that options are valued against, where options are a table.

    Attributes
    ----------
    complaint_prob, return_prob
        ``(n,) float64``: on standard service.
    take_up
        ``(n,) float64``: of the order's merchant.
    region, outlet
        ``(n,) int32``: codes; -1 for no outlet.
    day
        ``(n,) int32``: codes; 0 where capacity is not counted by day.
    """

    complaint_prob: NDArray[np.float64]
    return_prob: NDArray[np.float64]
    take_up: NDArray[np.float64]
    region: NDArray[np.int32]
    outlet: NDArray[np.int32]
    day: NDArray[np.int32]


def encode_basis(
    frame: pl.DataFrame,
    orders: OrderArrays,
    coder: NightCodes,
    words: Mapping[str, Words] = _NO_WORDS,
) -> OrderBasis:
    """
    Keep the data of a batch of orders that their options will be valued against.

    Parameters
    ----------
    frame, orders
        The batch of checked orders, and the same encoded.
    coder
        Codes of the night.
    words
        Texts of its columns of ids, where they are known.
    """
    return OrderBasis(
        frame["complaint_prob_standard"].to_numpy(),
        frame["return_prob_standard"].to_numpy(),
        _by_merchant(coder.take_up, orders.merchant, default=1.0),
        coder.regions.encode(words.get("region_id", frame["region_id"])),
        coder.outlets.encode(words.get("outlet_id", frame["outlet_id"])),
        encode_days(frame, coder.service_day, coder.days),
    )


def encode_options(
    frame: pl.DataFrame,
    order: NDArray[np.int64],
    basis: OrderBasis,
    coder: NightCodes,
    words: Mapping[str, Words] = _NO_WORDS,
) -> tuple[OptionArrays, NDArray[np.bool_]]:
    """
    Encode one batch of the options table.

    Parameters
    ----------
    frame
        The batch of checked options.
    order
        ``(len(frame),) int64``: position of each option's order.
    basis
        Of all orders.
    coder
        Codes of the night.
    words
        Texts of the batch's columns of ids, where they are known.

    Returns
    -------
    options, is_active
        All options of the batch, and which of them are with a carrier of the
        roster: only those may be used.
    """
    outlet = coder.outlets.encode(words.get("outlet_id", frame["outlet_id"]))
    leaves = code_leaves(
        coder,
        coder.carriers.encode(words.get("carrier_id", frame["carrier_id"])),
        basis.region[order],
        np.where(outlet < 0, basis.outlet[order], outlet),
        basis.day[order],
    )
    saving = saving_micro_cny(
        coder.worth,
        basis.complaint_prob[order] - frame["complaint_prob_premium"].to_numpy(),
        basis.return_prob[order] - frame["return_prob_premium"].to_numpy(),
        basis.take_up[order] * leaves.kept,
    )
    load = _NO_LOAD
    if "options.load" in coder.columns:
        load = frame["load"].fill_null(0).to_numpy()
    amounts = _amounts(frame, coder.resources)
    return OptionArrays(order, leaves.leaf, saving, load, amounts), leaves.is_active


def leaf_places(coder: NightCodes) -> list[Place]:
    """Names of all places seen, by leaf code."""
    carriers, regions = coder.carriers.ids, [*coder.regions.ids, None]
    outlets, days = [*coder.outlets.ids, None], [None, *coder.days]
    named = (
        (carriers[carrier], regions[region], outlets[outlet], days[day])
        for carrier, day, region, outlet in zip(*_leaf_codes(coder), strict=True)
    )
    return [*map(tuple.__new__, repeat(Place), named)]


def _leaf_codes(coder: NightCodes) -> list[list[int]]:
    """Carriers, days, regions and outlets of all places seen, by leaf code."""
    codes = unpack(coder.leaves.numbers)
    return [column.tolist() for column in codes]


def carrier_of_leaf(coder: NightCodes) -> NDArray[np.int64]:
    """``(num_leaves,) int64``: code of the carrier of each place."""
    return unpack(coder.leaves.numbers)[0]


def _by_merchant(
    values: NDArray[_Value], merchant: NDArray[np.int32], *, default: float | bool
) -> NDArray[_Value]:
    """Look up by merchant code; codes beyond the table get the default."""
    table = np.append(values, np.array([default], values.dtype))
    return table[np.minimum(merchant, len(values))]


class LeafCodes(NamedTuple):
    """
    The places of some options.

    Attributes
    ----------
    leaf
        ``(n,) int32``: codes.
    kept
        ``(n,) float64``: share of promises that the carrier keeps there.
    is_active
        ``(n,) bool``: whether the carrier may be used.
    """

    leaf: NDArray[np.int32]
    kept: NDArray[np.float64]
    is_active: NDArray[np.bool_]


def code_leaves(
    coder: NightCodes,
    carrier: NDArray[np.int32],
    region: NDArray[np.int32],
    outlet: NDArray[np.int32],
    day: NDArray[np.int32],
) -> LeafCodes:
    """
    Code each place; with its fulfilment, and whether its carrier is active.

    Parameters
    ----------
    coder
        Codes of the night; new places are added.
    carrier, region, outlet
        ``(n,) int32`` codes; -1 for no outlet.
    day
        ``(n,) int32`` codes; 0 where capacity is not counted by day.

    Raises
    ------
    DataError
        When the tables name more carriers, days, regions or outlets than a code can
        hold.
    """
    refuse_too_many(coder.carriers, coder.days, coder.regions, coder.outlets)
    leaf = coder.leaves.encode(pack(carrier, day, region, outlet))
    kept, is_active = _rates(coder, coder.leaves.numbers)
    return LeafCodes(leaf, kept[leaf], is_active[leaf])


def _rates(
    coder: NightCodes, places: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Fulfilment of each place's carrier in its region; whether it is of the roster."""
    carrier, _, region, _ = unpack(places)
    carriers, rates = coder.carriers.ids, coder.fulfilment
    # the last one stands for no carrier
    is_of_roster = np.array([*(c in coder.roster for c in carriers), False])
    whole = np.array([*(rates.get((c, None), 1.0) for c in carriers), 0.0])
    is_active, kept = is_of_roster[carrier], whole[carrier]
    code_of = {name: code for code, name in enumerate(carriers)}
    region_of = {name: code for code, name in enumerate(coder.regions.ids)}
    for (carrier_id, region_id), rate in rates.items():
        if carrier_id in code_of and region_id in region_of:
            is_there = carrier == code_of[carrier_id]
            kept[is_there & (region == region_of[region_id])] = rate
    return np.where(is_active, kept, 0.0), is_active
