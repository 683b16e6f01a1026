"""Orders and options as arrays: read, checked, valued, encoded, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from optimizer.build import encode
from optimizer.build.drawn_savings import GatheredDraws
from optimizer.build.eligibility import KeptNames, apply_rules
from optimizer.build.learned_probabilities import (
    StandardRisks,
    fill_options,
    fill_orders,
    order_shares,
)
from optimizer.build.option_join import make_finder, orders_of_options
from optimizer.build.sendable import is_sendable, without_unsendable
from optimizer.build.unseen_names import CARRIER, UnseenNames, known_names
from optimizer.build.want_of_knowledge import Hopes
from optimizer.errors import DataError
from optimizer.io.array_records import join, take
from optimizer.io.duplicates import KeyCollision, refuse_repeated_pairs, refuse_repeats
from optimizer.io.mapped_arrays import Gathered
from optimizer.io.night_sources import PREMIUM_PROBS
from optimizer.io.order_keys import refused_keys
from optimizer.io.quarantine import QuarantineLog
from optimizer.io.read import BATCH_ROWS, worded_batches
from optimizer.io.read_ahead import read_ahead
from optimizer.io.validate import checked_batch, require_rows
from optimizer.model.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from optimizer.build.drawn_savings import DrawnModels
    from optimizer.build.encode import (
        NightCodes,
        OptionArrays,
        OrderArrays,
        OrderBasis,
    )
    from optimizer.build.learned_model import LearnedModel
    from optimizer.build.learned_probabilities import OrderShares
    from optimizer.build.night_lookups import ColumnValues
    from optimizer.build.option_join import OrderFinder
    from optimizer.build.side_constraints import NightInputs
    from optimizer.clock import StageClock
    from optimizer.config import EligibilityRule
    from optimizer.config.sinks import Outbox
    from optimizer.io.read import Source
    from optimizer.io.validate import CheckedBatch


#: Keys are retried with another salt when two ids share one; twice is a miracle.
MAX_SALTS = 8


class Look(Protocol):
    """Sees a night while it is taken in, and changes nothing of it."""

    def batch(self, source: Source, frame: pl.DataFrame) -> None:
        """See checked rows of orders or options, with the model's probabilities."""

    def night(self, given: NightInputs) -> None:
        """See the whole night, before its problem is made."""


@dataclass(frozen=True, slots=True, eq=False)
class RowRules:
    """
    How orders and options are encoded.

    Attributes
    ----------
    params
        First codes, fees and costs.
    eligibility
        Rules that keep orders out.
    model, hopeful, drawn
        Give probabilities that the tables lack: the night's model; as much as may be
        hoped of it; and draws of it. ``None``: there is none.
    values
        Notes the values that rules look at.
    outboxes
        Platforms that must take an order.
    look
        Sees the rows on the way.
    room
        Bytes that one table of arrays may take in memory; ``None``: any.
    """

    params: encode.CodeParams
    eligibility: Sequence[EligibilityRule]
    model: LearnedModel | None
    hopeful: LearnedModel | None
    drawn: DrawnModels | None
    values: ColumnValues
    outboxes: tuple[Outbox, ...]
    look: Look | None = None
    room: int | None = None

    @property
    def others(self) -> tuple[LearnedModel, ...]:
        """Models that value the night beside the one that decides, the mean first."""
        return () if self.drawn is None else (self.drawn.mean, *self.drawn.further)

    def see(self, source: Source, frame: pl.DataFrame) -> None:
        """Show a batch to whoever looks."""
        if self.look is not None:
            self.look.batch(source, frame)


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """
    All orders and options of a night.

    Attributes
    ----------
    orders, options
        As arrays.
    coder
        Codes of their names.
    counts
        By table: its rows, refused ones too.
    log
        The rows that were refused.
    hopes, draws, unseen
        What further models say of them, and names that the model has not seen.
    named
        Their names, where they are kept in memory.
    """

    orders: OrderArrays
    options: OptionArrays
    coder: NightCodes
    counts: dict[str, int]
    log: QuarantineLog
    hopes: Hopes
    draws: GatheredDraws
    unseen: UnseenNames
    named: KeptNames | None = None


def encode_rows(
    sources: Mapping[str, Source],
    by: RowRules,
    clock: StageClock,
) -> Encoded:
    """
    Read, check, value and encode the rows of a night's orders and options.

    Parameters
    ----------
    sources
        ``orders``, and ``options`` where orders do not name their carrier.
    by
        How they are encoded.
    clock
        Measures the stages.

    Returns
    -------
    Encoded
        With another salt of the keys if two ids share one.

    Raises
    ------
    DataError
        When a table is damaged, empty, or names an order twice.
    """
    for salt in range(MAX_SALTS):
        coder = encode.make_codes(by.params, salt)
        try:
            return encode_with(coder, sources, by, QuarantineLog(), clock)
        except KeyCollision:
            continue
    raise DataError("order ids share keys under every salt; this cannot be by chance")


def encode_with(
    coder: NightCodes,
    sources: Mapping[str, Source],
    by: RowRules,
    log: QuarantineLog,
    clock: StageClock,
) -> Encoded:
    """
    As :func:`encode_rows`, with codes and a log that are given.

    Parameters
    ----------
    coder
        Gives names their codes, by keys of one salt.
    sources, by, clock
        As there.
    log
        Takes the rows that are refused.

    Raises
    ------
    KeyCollision
        When two ids share a key.
    """
    encode_all = _encode_choice if "options" in sources else _encode_single
    return encode_all(sources, coder, by, log, clock)


def _encode_single(
    sources: Mapping[str, Source],
    coder: NightCodes,
    by: RowRules,
    log: QuarantineLog,
    clock: StageClock,
) -> Encoded:
    """Encode orders that each go with their own carrier."""
    source = sources["orders"]
    orders: Gathered[OrderArrays] = Gathered(by.room)
    options: Gathered[OptionArrays] = Gathered(by.room)
    num_rows, first = 0, 0
    hopes, draws, kept = Hopes(), GatheredDraws(by.drawn), KeptNames(source)
    unseen = UnseenNames(known_names(by.model))
    for batch_in in _checked(source, coder.salt, log, clock):
        frame, words = batch_in.rows.frame, batch_in.rows.words
        num_rows += batch_in.rows.num_rows
        clock.tell_rows("orders", num_rows)
        with clock.stage("value"):
            by.values.note(frame)
            frame = apply_rules(frame, by.eligibility) if by.eligibility else frame
            kept.note(frame)
            unseen.note(frame, frame.columns)
            given, frame = frame, fill_orders(frame, by.model)
            by.see(source, frame)
            batch = encode.encode_orders(
                frame, coder, words, batch_in.rows.keys.get("order_id")
            )
            batch = without_unsendable(frame, batch, by.params.roster, by.outboxes)
            batch, own = encode.encode_own_carrier(frame, batch, coder, first, words)
            options.append(own)
            bare = frame.with_columns(given.select(*PREMIUM_PROBS))
            other = _OwnBatch(bare, batch, coder, first)
            known = draws.note([*map(other.valued, by.others)]) or own
            if by.hopeful is not None:
                hopes.note(known, other.valued(by.hopeful))
        orders.append(batch)
        first += len(frame)
    require_rows(source, num_rows)
    with clock.stage("validate"):
        together = _distinct(source, orders)
    counts = {"orders": num_rows}
    return Encoded(
        orders=together,
        options=options.joined(),
        coder=coder,
        counts=counts,
        log=log,
        hopes=hopes,
        draws=draws,
        unseen=unseen,
        named=kept if kept.is_any else None,
    )


class _Checked(NamedTuple):
    """Checked rows of a batch of orders, and the keys of those that were refused."""

    rows: CheckedBatch
    refused: NDArray[np.uint64]


def _checked(
    source: Source, salt: int, log: QuarantineLog, clock: StageClock
) -> Iterator[_Checked]:
    """Read and check the orders; of a large table while the batch before is valued."""

    def made() -> Iterator[_Checked]:
        batches = worded_batches(source, coded=encode.CODED)
        for raw, words in clock.measured("read", batches):
            with clock.stage("validate"):
                rows = checked_batch(raw, source, log, encode.CODED, words)
                found = _Checked(rows, refused_keys(raw, rows.frame, salt))
            yield found

    return read_ahead(made()) if _is_large(source) else made()


def _joined(
    source: Source,
    finder: OrderFinder,
    salt: int,
    log: QuarantineLog,
    clock: StageClock,
) -> Iterator[tuple[CheckedBatch, NDArray[np.int64]]]:
    """Read, check and join the options, likewise; with the order of each."""

    def made() -> Iterator[tuple[CheckedBatch, NDArray[np.int64]]]:
        batches = worded_batches(source, coded=encode.CODED)
        for raw, words in clock.measured("read", batches):
            with clock.stage("validate"):
                rows = checked_batch(raw, source, log, encode.CODED, words)
                order = orders_of_options(rows.frame, finder, salt, log)
                is_known = order >= 0
                found = rows.kept(is_known), order[is_known]
            yield found

    return read_ahead(made()) if _is_large(source) else made()


def _is_large(source: Source) -> bool:
    """Whether a table has several batches, as far as is known before it is read."""
    return source.memory is None or source.memory.num_rows > BATCH_ROWS


@dataclass(frozen=True, slots=True, eq=False)
class _OwnBatch:
    """Orders that go with their own carrier, to be valued by further models."""

    frame: pl.DataFrame
    orders: OrderArrays
    coder: NightCodes
    first: int

    def valued(self, model: LearnedModel) -> OptionArrays:
        """Their options."""
        filled = fill_orders(self.frame, model)
        return encode.encode_own_carrier(filled, self.orders, self.coder, self.first)[1]


def _encode_choice(
    sources: Mapping[str, Source],
    coder: NightCodes,
    by: RowRules,
    log: QuarantineLog,
    clock: StageClock,
) -> Encoded:
    """Encode orders whose carriers are in the options table."""
    orders: Gathered[OrderArrays] = Gathered(by.room)
    basis: Gathered[encode.OrderBasis] = Gathered(by.room)
    shares: Gathered[OrderShares] = Gathered(by.room)
    hoped: Gathered[OrderShares] = Gathered(by.room)
    refused, num_rows = [], 0
    hopes, kept = Hopes(), KeptNames(sources["orders"])
    draws, unseen = GatheredDraws(by.drawn), UnseenNames(known_names(by.model))
    others: list[list[OrderShares]] = [[] for _ in by.others]
    for batch_in in _checked(sources["orders"], coder.salt, log, clock):
        frame, words = batch_in.rows.frame, batch_in.rows.words
        num_rows += batch_in.rows.num_rows
        clock.tell_rows("orders", num_rows)
        refused.append(batch_in.refused)
        with clock.stage("value"):
            by.values.note(frame)
            frame = apply_rules(frame, by.eligibility) if by.eligibility else frame
            kept.note(frame)
            unseen.note(frame, unseen.of_orders)
            frame = fill_orders(frame, by.model)
            by.see(sources["orders"], frame)
            shares.append(order_shares(frame, by.model))
            hoped.append(order_shares(frame, by.hopeful))
            for parts, model in zip(others, by.others, strict=True):
                parts.append(order_shares(frame, model))
            ids = batch_in.rows.keys.get("order_id")
            batch = encode.encode_orders(frame, coder, words, ids)
            orders.append(batch)
            basis.append(encode.encode_basis(frame, batch, coder, words))
    require_rows(sources["orders"], num_rows)
    with clock.stage("validate"):
        together = _distinct(sources["orders"], orders)
        finder = make_finder(together.key, np.concatenate(refused))
    ordered = _Ordered(
        orders=together,
        basis=basis.joined(),
        finder=finder,
        shares=shares.joined(),
        hoped=hoped.joined(),
        hopes=hopes,
        others=[join(parts) for parts in others],
        draws=draws,
        unseen=unseen,
    )
    together, options, num_options = _options(
        sources["options"],
        ordered,
        coder,
        by,
        log,
        clock,
    )
    counts = {"orders": num_rows, "options": num_options}
    return Encoded(
        orders=together,
        options=options,
        coder=coder,
        counts=counts,
        log=log,
        hopes=hopes,
        draws=draws,
        unseen=unseen,
        named=kept if kept.is_any else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Ordered:
    """All orders, as their options need them."""

    orders: OrderArrays
    basis: OrderBasis
    finder: OrderFinder
    shares: OrderShares
    hoped: OrderShares
    hopes: Hopes
    others: list[OrderShares]
    draws: GatheredDraws
    unseen: UnseenNames


def _options(
    source: Source,
    given: _Ordered,
    coder: NightCodes,
    by: RowRules,
    log: QuarantineLog,
    clock: StageClock,
) -> tuple[OrderArrays, OptionArrays, int]:
    """
    Join options to their orders by key, and value those that may be used.

    Returns
    -------
    orders, options, num_rows
        Orders without an option have the status ``NO_OPTION``, ``CARRIER_INACTIVE`` or
        ``NOT_DELIVERABLE``: the first that is true.
    """
    orders, basis = given.orders, given.basis
    standard = StandardRisks(basis.complaint_prob, basis.return_prob)
    batches: Gathered[OptionArrays] = Gathered(by.room)
    num_rows = 0
    has_row, has_active, has_option = np.zeros((3, len(orders.row)), np.bool_)
    for rows, order in _joined(source, given.finder, coder.salt, log, clock):
        num_rows += rows.num_rows
        clock.tell_rows("options", num_rows)
        with clock.stage("value"):
            bare = rows.frame
            given.unseen.note(bare, [CARRIER])
            frame = fill_options(bare, order, standard, given.shares, by.model)
            by.see(source, frame)
            batch, is_active = encode.encode_options(
                frame, order, basis, coder, rows.words
            )
            has_row[order] = True
            has_active[order[is_active]] = True
            keep = is_active & (orders.status[order] == encode.OPEN)
            if by.outboxes:
                keep &= _sendable_options(frame, orders.merchant[order], coder, by)
            has_option[order[keep]] = True
            own = take(batch, keep)
            batches.append(own)
            other = _OptionBatch(bare, order, keep, standard, basis, coder)
            others = [*map(other.valued, given.others, by.others)]
            known = given.draws.note(others) or own
            if by.hopeful is not None:
                given.hopes.note(known, other.valued(given.hoped, by.hopeful))
    for has, reason in (
        (has_row, Reason.NO_OPTION),
        (has_active, Reason.CARRIER_INACTIVE),
        (has_option, Reason.NOT_DELIVERABLE),
    ):
        orders = orders.with_status((orders.status == encode.OPEN) & ~has, reason)
    require_rows(source, num_rows)
    with clock.stage("validate"):
        joined = batches.joined()
        carrier = encode.carrier_of_leaf(coder)[joined.leaf]
        refuse_repeated_pairs(joined.order, carrier, source)
    return orders, joined, num_rows


@dataclass(frozen=True, slots=True, eq=False)
class _OptionBatch:
    """Rows of the options table, to be valued by further models."""

    frame: pl.DataFrame
    order: NDArray[np.int64]
    keep: NDArray[np.bool_]
    standard: StandardRisks
    basis: OrderBasis
    coder: NightCodes

    def valued(self, shares: OrderShares, model: LearnedModel) -> OptionArrays:
        """Those that are kept, by a model and its shares of all orders."""
        filled = fill_options(self.frame, self.order, self.standard, shares, model)
        options, _ = encode.encode_options(filled, self.order, self.basis, self.coder)
        return take(options, self.keep)


def _sendable_options(
    frame: pl.DataFrame, merchant: NDArray[np.int32], coder: NightCodes, by: RowRules
) -> NDArray[np.bool_]:
    """Which of a batch of options some outbox takes, ``(len(frame),) bool``."""
    import polars as pl

    names = pl.Series(coder.merchants.ids, dtype=pl.String)
    return is_sendable(
        by.outboxes, frame["order_id"], names.gather(merchant), frame["carrier_id"]
    )


def _distinct(source: Source, parts: Gathered[OrderArrays]) -> OrderArrays:
    """Join the orders, refuse duplicates, and free the memory that only this needed."""
    together = parts.joined()
    refuse_repeats(source, together)
    return replace(together, folded_key=np.zeros(0, np.uint64))
